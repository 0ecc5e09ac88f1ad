//! One trial of each kind.

use sortie_core::money::Usd;

use super::{figure, of, of_speed, plain, point, rounded, run, seconds, task};
use crate::grade::Grade;
use crate::testing::usd;
use crate::trial::comparison::{Compared, Comparison, Fitted};
use crate::trial::*;
use crate::waits::WaitedFor;

/// Phase 1, all well, and its forecast was right.
pub(crate) fn phase_1() -> Trial {
    let mut trial = of("phase", 5, 11.0);
    (trial.phase, trial.max_concurrent) = (Some(1), 2);
    trial.summary.forecast = Some(Grade {
        cost_low: usd("0.02"),
        cost_expected: usd("0.025"),
        cost_worst: usd("0.05"),
        duration_p5: seconds(9.0),
        duration_p50: seconds(10.5),
        duration_p95: seconds(14.0),
        cost_within: Some(true),
        duration_within: Some(true),
    });
    trial.notes = vec![
        "two calls at a time instead of the phase's three: max_concurrent of the configuration is lower"
            .to_owned(),
    ];
    trial.runs = vec![run(&trial, "phase")];
    trial
}

/// One call.
pub(crate) fn single() -> Trial {
    let mut trial = of("single", 1, 4.0);
    trial.max_concurrent = 1;
    let (metrics, took) = (&mut trial.summary.metrics, Some(seconds(4.0)));
    (metrics.p95_latency, metrics.p99_latency, trial.summary.avg_duration) = (took, took, took);
    trial.runs = vec![run(&trial, "single")];
    trial
}

/// 30 tasks in both halves: fast enough, and slower than the trial before.
pub(crate) fn speedup() -> Trial {
    let mut trial = of("speedup", 30, 40.2);
    let serial = TrialRun {
        role: "serial".to_owned(),
        run_id: "20251114-092700-11aa".to_owned(),
        max_concurrent: 1,
        total_duration: seconds(123.0),
        ..run(&trial, "")
    };
    trial.runs = vec![serial, run(&trial, "parallel")];
    trial.trial_cost = usd("0.276");
    trial.measured = Some(Measured {
        serial: seconds(123.0),
        parallel: seconds(40.2),
        pause: seconds(60.0),
        speedup: rounded(123.0 / 40.2),
        interval: Some((2.88, 3.24)),
        disturbed: None,
    });
    trial.summary.waits = vec![WaitedFor {
        reason: "requests/min of anthropic/claude-sonnet-4-5".to_owned(),
        seconds: seconds(31.0),
    }];
    trial.bottlenecks = Bottlenecks {
        waited_for: vec!["requests/min of anthropic/claude-sonnet-4-5 (31.0 s)".to_owned()],
        slowest: vec![task("t17", 7.1, "0.0046"), task("t3", 6.4, "0.0046")],
        dearest: vec![task("t3", 6.4, "0.0046")],
        longest_path: Vec::new(),
    };
    trial.suggestions = vec![Suggestion {
        setting: "rate_limiting.requests_per_minute".to_owned(),
        from: "50".to_owned(),
        to: "90".to_owned(),
        brings: "30 tasks would take 25.1 s instead of 40.2 s, as far as the account allows it".to_owned(),
        saves: Some(seconds(15.1)),
        saves_cost: None,
    }];
    let change = |name: &str, then, now, regressed| Change { name: name.to_owned(), then, now, regressed };
    trial.before = Some(Before {
        run_id: "20251113-101500-5b21".to_owned(),
        started_at: "2025-11-13T10:15:00.000000Z".to_owned(),
        figures: vec![
            change("success_rate", 100.0, 100.0, false),
            change("p50_latency", 3.1, 4.0, true),
            change("speedup", 3.1, 3.06, false),
            change("cost_per_task", 0.0047, 0.0046, false),
            change("throttled_rate", 0.0, 0.0, false),
        ],
    });
    let why = "3.06x of at most 3.22x (bound by the limit on concurrent calls), measured: 2 min 03 s serially, 40.2 s \
               side by side; 95 % confidence: 2.88x to 3.24x";
    trial.judged(&[
        figure("speedup", Some(rounded(123.0 / 40.2)), Some(true), 2.5, why),
        figure("efficiency", Some(0.95), None, 0.9, "up to 3.22x is possible: judged by the speedup"),
    ])
}

/// The graph of scenario 2, which no schedule runs more than twice as fast: judged by the efficiency, and too slow.
pub(crate) fn dag() -> Trial {
    let mut trial = of("scenario-2", 8, 22.0);
    let speed = &mut trial.summary.speedup;
    speed.binding = Some("longest_path".to_owned());
    (speed.speedup, speed.ceiling, speed.efficiency) = (Some(1.49), Some(1.98), Some(0.753));
    trial.bottlenecks.longest_path = ["1", "3", "6", "8"].map(|id| task(id, 4.1, "0.0046")).to_vec();
    let [speedup, efficiency] = of_speed(&trial);
    let kept = "all 9 dependencies of tasks that were called were kept";
    trial.judged(&[plain("dependencies", Some(true), kept), speedup, efficiency])
}

/// Faults of each kind, one of which was not recovered from.
pub(crate) fn fault_tolerance() -> Trial {
    let mut trial = of("fault-tolerance", 20, 31.0).with_failed(2, "2 of 20 tasks failed");
    let fault = |fault: &str, calls, tasks, recovered, should_recover, cost: &str| Faulted {
        fault: fault.to_owned(),
        calls,
        tasks,
        recovered,
        should_recover: Some(should_recover),
        cost: Some(usd(cost)),
    };
    trial.faults = vec![
        fault("prompt of 120,000 characters", 0, 1, 0, false, "0"),
        fault("answered 429", 6, 4, 4, true, "0"),
        fault("cut in the middle", 5, 3, 2, true, "0.0112"),
        fault("delayed by 30 s", 0, 0, 0, true, "0"),
    ];
    trial.trial_at_risk = usd("0.021");
    trial.runs = vec![run(&trial, "faults")];
    let failure = |task_id: &str, class: &str, message: &str, on_purpose| TrialFailure {
        task_id: task_id.to_owned(),
        task_type: "general".to_owned(),
        class: class.to_owned(),
        message: message.to_owned(),
        on_purpose,
    };
    trial.failures = vec![
        failure("oversized", "invalid", "the prompt has 120000 characters, more than 100000", true),
        failure("t7", "transient", "the stream broke off", false),
    ];
    let why = "cut in the middle: 2 of 3 tasks recovered";
    let rate = "18 of 19 tasks succeeded (94.7 %): 2 of 20 tasks failed (1 time transient)";
    trial.judged(&[
        plain("error_recovery", Some(false), why),
        figure("success_rate", Some(rounded(100.0 * 18.0 / 19.0)), Some(false), 95.0, rate),
    ])
}

/// Killed in the middle and resumed.
pub(crate) fn recovery() -> Trial {
    let mut trial = of("phase", 30, 34.0);
    (trial.phase, trial.trial_at_risk) = (Some(2), usd("0.03"));
    trial.trial_cost = trial.summary.total_cost.times(2);
    trial.recovery = Some(Recovery {
        done_before: 14,
        total_tasks: 30,
        repeated_calls: 5,
        done_again: 0,
        at_risk: usd("0.03"),
        successful_tasks: 30,
        first_failure: None,
        not_made: None,
    });
    trial.runs = vec![
        run(&trial, "phase"),
        TrialRun {
            role: "recovery".to_owned(),
            run_id: "20251114-093200-c0de".to_owned(),
            ..run(&trial, "")
        },
    ];
    let why =
        "killed in the middle and resumed: 30 of 30 tasks succeeded, nothing that was done was done again";
    trial.judged(&[plain("error_recovery", Some(true), why)])
}

/// 500 tasks that become slower with time, simulated, and too slow in the end.
pub(crate) fn large_scale() -> Trial {
    let mut trial = of("large-scale", 500, 734.0);
    (trial.phase, trial.max_concurrent, trial.endpoint) = (Some(3), 40, "scenario seed".to_owned());
    trial.summary.simulated = true;
    let metrics = &mut trial.summary.metrics;
    (metrics.p95_latency, metrics.p99_latency) = (Some(seconds(18.2)), Some(seconds(19.4)));
    (metrics.rate_limit_hits, metrics.error_count) = (12, 12);
    trial.summary.cost.budget = Some(usd("5"));
    trial.summary.cost.utilization = Some(46.0);
    trial.runs = vec![run(&trial, "large-scale")];
    let quarter = |until, throughput, p95, throttled_rate, memory| Quarter {
        until: seconds(until),
        throughput: Some(throughput),
        p95_latency: Some(seconds(p95)),
        error_rate: throttled_rate,
        throttled_rate,
        memory_mib: Some(memory),
    };
    trial.drift = Some(Drift {
        quarters: vec![
            quarter(150.0, 0.83, 6.0, 0.0, 41.0),
            quarter(330.0, 0.69, 8.1, 1.6, 42.0),
            quarter(520.0, 0.66, 14.9, 2.4, 42.0),
            quarter(734.0, 0.58, 18.9, 5.6, 43.0),
        ],
        latency: Some(Trend { factor: 3.15, explained: 1.12 }),
        utilisation: Some(0.94),
    });
    let cost = trial.summary.total_cost.as_f64();
    let outlier = "t88 (general) cost $0.0138, 3.0 times the $0.0046 that is the median of its type";
    trial.judged(&[
        figure("p95_latency", Some(18.2), Some(false), 15.0, "95 % of the answers came within 18.2 s"),
        figure("budget", Some(cost), Some(true), 5.0, "$2.30 of $5.00"),
        figure("cost_outlier", Some(3.0), Some(true), 3.0, outlier),
    ])
}

/// The simulator beside the real API, fitted to it.
pub(crate) fn compare() -> Trial {
    let mut trial = of("compare", 16, 22.0);
    let row = |dimension: &str, simulated, real, unit: &str| Compared {
        dimension: dimension.to_owned(),
        simulated,
        real,
        unit: unit.to_owned(),
    };
    let fitted = |max_concurrent, p50_latency, p95_latency, throughput| Fitted {
        max_concurrent,
        p50_latency,
        p95_latency,
        throughput,
    };
    trial.comparison = Some(Comparison {
        scenario: "seed".to_owned(),
        rows: vec![
            row("response time, p50", Some(3.2), Some(4.0), "s"),
            row("network latency, p50", None, Some(0.12), "s"),
            row("calls that were throttled", Some(0.0), Some(3.0), "calls"),
            row("calls that failed", Some(0.0), Some(6.3), "%"),
            row("cost", Some(0.0), Some(0.0736), "USD"),
            row("speedup", Some(3.5), Some(2.98), "x"),
        ],
        fitted: vec![
            fitted(1, (2.0, 2.1), (2.5, 2.4), (0.49, 0.47)),
            fitted(4, (4.0, 4.0), (5.1, 5.3), (0.98, 0.97)),
        ],
        scenario_file: Some("fitted.yaml".to_owned()),
    });
    let key = TrialRun { run_id: format!("{}-key", trial.summary.run_id), ..run(&trial, "key") };
    trial.runs = vec![key, beside(&trial, "simulated", "simulated"), run(&trial, "judged")];
    let plays: Vec<_> = (1..=5).map(|play| beside(&trial, "fitted-4", &format!("fitted-4-{play}"))).collect();
    trial.runs.extend(plays);
    trial
}

/// A run of the simulator beside the trial.
fn beside(trial: &Trial, role: &str, suffix: &str) -> TrialRun {
    let run_id = format!("{}-{suffix}", trial.summary.run_id);
    let results = Some(format!("results/{run_id}/results.jsonl"));
    TrialRun { run_id, simulated: true, rehearsal: true, results, ..run(trial, role) }
}

/// The endpoint does not answer: every task failed.
pub(crate) fn down() -> Trial {
    let mut trial = of("parallel", 5, 61.0).with_failed(5, "5 of 5 tasks failed");
    let summary = &mut trial.summary;
    (summary.total_cost, summary.cost.total_cost, summary.cost.actual) = (Usd::ZERO, Usd::ZERO, Usd::ZERO);
    (summary.cost.avg_cost_per_task, summary.cost_per_task) = (None, None);
    (summary.cost.tasks_count, summary.cost.most_expensive_task) = (0, None);
    summary.cost.utilization = Some(0.0);
    let metrics = &mut summary.metrics;
    (metrics.throughput, metrics.p50_latency, metrics.p95_latency) = (Some(0.0), None, None);
    (metrics.p99_latency, metrics.avg_latency, metrics.ttft_p50) = (None, None, None);
    (summary.api_calls_count, metrics.error_count, summary.avg_duration) = (20, 20, None);
    let speed = &mut summary.speedup;
    (speed.speedup, speed.ceiling, speed.efficiency, speed.binding) = (None, None, None, None);
    trial.trial_cost = Usd::ZERO;
    let unreachable = "https://api.anthropic.com does not answer: connection refused";
    trial.checklist.push(point(
        PointState::Missing,
        "endpoint of claude",
        unreachable,
        Some("is the network up?"),
    ));
    trial.failures = (0..5)
        .map(|n| TrialFailure {
            task_id: format!("t{n}"),
            task_type: "general".to_owned(),
            class: "connect".to_owned(),
            message: "connection refused".to_owned(),
            on_purpose: false,
        })
        .collect();
    trial.runs = vec![run(&trial, "parallel")];
    trial.judged(&[
        figure("speedup", None, None, 2.5, "no call was answered"),
        figure("efficiency", None, None, 0.9, "no call was answered"),
        plain("task_types", Some(false), "no task of these types succeeded: general; 0 of 1 type work"),
        plain(
            "error_recovery",
            Some(false),
            "0 of 5 tasks that met an error succeeded in the end; not so: t0, t1, t2, t3, t4",
        ),
        figure(
            "success_rate",
            Some(0.0),
            Some(false),
            95.0,
            "0 of 5 tasks succeeded (0 %): 5 of 5 tasks failed",
        ),
        figure("p95_latency", None, None, 15.0, "no answer came"),
        figure("budget", Some(0.0), Some(true), 1.0, "$0.00 of $1.00"),
        figure("cost_per_task", None, None, 0.1, "no call came to an end"),
    ])
}

/// A trial that could not begin: there is no key, so nothing was called and nothing is judged.
pub(crate) fn keyless() -> Trial {
    let mut trial = down();
    trial.criteria.clear();
    trial.runs.clear();
    trial.failures.clear();
    trial.summary.api_calls_count = 0;
    (trial.summary.failed_tasks, trial.summary.pending_tasks) = (0, 5);
    trial.summary.error = Some("not ended; 5 of 5 tasks pending".to_owned());
    trial.checklist = vec![point(
        PointState::Missing,
        "key of claude",
        "no ANTHROPIC_API_KEY",
        Some("export ANTHROPIC_API_KEY"),
    )];
    trial
}
