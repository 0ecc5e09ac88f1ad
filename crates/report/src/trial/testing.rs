//! Trials written by hand, for tests: one of each kind, and one whose texts mean harm.

mod hostile;
mod kinds;

use std::time::Duration;

use sortie_core::money::Usd;

use super::*;
use crate::testing::{Random, diamond, usd};

pub(crate) use hostile::{HOSTILE, hostile};
pub(crate) use kinds::{
    compare, dag, down, fault_tolerance, keyless, large_scale, phase_1, recovery, single, speedup,
};

const CLAUDE: &str = "claude (claude-sonnet-4-5)";
const API: &str = "api.anthropic.com";

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// An amount around 1 whose logarithm has this standard deviation (Box and Muller, 1958).
pub(crate) fn lognormal(spread: f64, random: &mut Random) -> f64 {
    // From 0 to 1, neither of them.
    let mut uniform = || ((random.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    let (u, v) = (uniform(), uniform());
    (spread * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()).exp()
}

/// To four decimals: the last bit of longer ones is not read back from JSON as it was written.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// A trial of so many tasks, all well: calls of 4 s, $0.0046 each, all at a time.
pub(crate) fn of(test_type: &str, tasks: u64, took: f64) -> Trial {
    let fold = diamond().fold();
    let mut summary = fold.summary(fold.last_time());
    let cost = usd("0.0046").times(tasks);
    summary.total_tasks = tasks;
    summary.successful_tasks = tasks;
    summary.total_duration = seconds(took);
    summary.avg_duration = Some(seconds(4.1));
    summary.total_cost = cost;
    summary.api_calls_count = tasks;
    summary.execution_history = (0..tasks).map(|n| format!("t{n}")).collect();
    summary.cost.total_cost = cost;
    summary.cost.actual = cost;
    summary.cost.tasks_count = tasks;
    summary.cost.budget = Some(usd("1"));
    summary.cost.utilization = Some(rounded(100.0 * cost.as_f64()));
    summary.cost.most_expensive_task.as_mut().unwrap().task_id = "t3".to_owned();
    let metrics = &mut summary.metrics;
    metrics.throughput = Some(rounded(tasks as f64 / took));
    (metrics.p50_latency, metrics.p95_latency) = (Some(seconds(4.0)), Some(seconds(6.4)));
    (metrics.p99_latency, metrics.avg_latency) = (Some(seconds(7.1)), Some(seconds(4.1)));
    (metrics.api_calls_count, metrics.total_cost) = (tasks, cost);
    let speedup = rounded(4.1 * tasks as f64 / took);
    let speed = &mut summary.speedup;
    speed.serial_duration = seconds(4.1 * tasks as f64);
    (speed.speedup, speed.ceiling) = (Some(speedup), Some(rounded(speedup / 0.95)));
    (speed.efficiency, speed.binding) = (Some(0.95), Some("concurrency".to_owned()));
    let mut trial = Trial {
        summary,
        test_type: test_type.to_owned(),
        phase: None,
        plan: None,
        started_at: "2025-11-14T09:30:00.000000Z".to_owned(),
        endpoint: API.to_owned(),
        agents: vec![CLAUDE.to_owned()],
        max_concurrent: 5,
        checklist: vec![
            point(PointState::Ok, "key of claude", "ANTHROPIC_API_KEY (fingerprint 3f9a)", None),
            point(PointState::Ok, "budget", "$1.00 a run", None),
            point(
                PointState::Warning,
                "quota",
                "40 of 50 requests are left, 30 are needed",
                Some("wait a minute"),
            ),
        ],
        runs: Vec::new(),
        trial_cost: cost,
        trial_at_risk: Usd::ZERO,
        measured: None,
        recovery: None,
        faults: Vec::new(),
        drift: None,
        comparison: None,
        criteria: Vec::new(),
        verdict: Verdict::Pass,
        failures: Vec::new(),
        bottlenecks: Bottlenecks::default(),
        suggestions: Vec::new(),
        before: None,
        notes: Vec::new(),
    };
    let [speedup_criterion, efficiency_criterion] = of_speed(&trial);
    trial.criteria = vec![
        plain(
            "task_types",
            Some(true),
            if tasks == 1 {
                "the one type that was tried has a success"
            } else {
                "each of 2 types that were tried has a success"
            },
        ),
        plain("dependencies", None, "no task depends on another"),
        plain("error_recovery", None, "nothing failed that had to be recovered from"),
        speedup_criterion,
        efficiency_criterion,
        figure(
            "success_rate",
            Some(100.0),
            Some(true),
            95.0,
            &format!("{tasks} of {tasks} tasks succeeded (100 %)"),
        ),
        figure("p95_latency", Some(6.4), Some(true), 15.0, "95 % of the answers came within 6.4 s"),
        figure(
            "budget",
            Some(cost.as_f64()),
            Some(true),
            1.0,
            &format!("{} of $1.00", crate::units::money(cost)),
        ),
        figure("cost_per_task", Some(0.0046), Some(true), 0.1, "$0.0046 a task"),
        figure("cost_outlier", None, None, 3.0, "no type of task has 4 tasks that cost anything"),
    ];
    trial.runs = vec![run(&trial, "parallel")];
    trial
}

/// Both criteria of speed, as they are judged.
fn of_speed(trial: &Trial) -> [Criterion; 2] {
    if trial.summary.total_tasks == 1 {
        let why = "a single task has nothing to run beside";
        return [figure("speedup", None, None, 2.5, why), figure("efficiency", None, None, 0.9, why)];
    }
    let speed = &trial.summary.speedup;
    let [speedup, ceiling, share] = [speed.speedup, speed.ceiling, speed.efficiency].map(Option::unwrap);
    let by = crate::bound::of_summary(&trial.summary).unwrap();
    if ceiling < 2.5 {
        let none = format!(
            "{speedup:.2}x, and no schedule of these calls is more than {ceiling:.2}x (bound by {by}): judged by the \
             efficiency"
        );
        let why = format!("{speedup:.2}x of the possible {ceiling:.2}x, bound by {by}");
        return [
            figure("speedup", Some(speedup), None, 2.5, &none),
            figure("efficiency", Some(share), Some(share >= 0.9), 0.9, &why),
        ];
    }
    let why = format!("{speedup:.2}x of at most {ceiling:.2}x (bound by {by}), estimated from its calls");
    let other = format!("up to {ceiling:.2}x is possible: judged by the speedup");
    [
        figure("speedup", Some(speedup), Some(speedup >= 2.5), 2.5, &why),
        figure("efficiency", Some(share), None, 0.9, &other),
    ]
}

fn point(state: PointState, what: &str, found: &str, hint: Option<&str>) -> Point {
    Point { state, what: what.to_owned(), found: found.to_owned(), hint: hint.map(str::to_owned) }
}

fn plain(name: &str, met: Option<bool>, why: &str) -> Criterion {
    Criterion { name: name.to_owned(), value: None, threshold: None, met, why: why.to_owned() }
}

fn figure(name: &str, value: Option<f64>, met: Option<bool>, threshold: f64, why: &str) -> Criterion {
    Criterion { value, threshold: Some(threshold), ..plain(name, met, why) }
}

/// The run that is judged, as one of the trial's.
fn run(trial: &Trial, role: &str) -> TrialRun {
    let summary = &trial.summary;
    TrialRun {
        role: role.to_owned(),
        run_id: summary.run_id.clone(),
        simulated: summary.simulated,
        rehearsal: false,
        results: Some(format!("results/{}/results.jsonl", summary.run_id)),
        total_tasks: summary.total_tasks,
        successful_tasks: summary.successful_tasks,
        max_concurrent: trial.max_concurrent,
        total_duration: summary.total_duration,
        p50_latency: summary.metrics.p50_latency,
        p95_latency: summary.metrics.p95_latency,
        total_cost: summary.total_cost,
        api_calls_count: summary.api_calls_count,
        error: summary.error.clone(),
    }
}

fn task(task_id: &str, took: f64, cost: &str) -> TaskFigure {
    TaskFigure {
        task_id: task_id.to_owned(),
        task_type: "general".to_owned(),
        seconds: seconds(took),
        cost: usd(cost),
    }
}

impl Trial {
    /// With this in place of the criterion of its name, and the verdict that follows.
    fn judged(mut self, criteria: &[Criterion]) -> Self {
        for criterion in criteria {
            if let Some(place) = self.criteria.iter_mut().find(|place| place.name == criterion.name) {
                *place = criterion.clone();
            }
        }
        self.verdict = Verdict::over(&self.criteria);
        self.summary.success = self.verdict == Verdict::Pass;
        self
    }

    /// Of which so many tasks failed.
    fn with_failed(mut self, failed: u64, error: &str) -> Self {
        let summary = &mut self.summary;
        summary.failed_tasks = failed;
        summary.successful_tasks = summary.total_tasks - failed;
        summary.success_rate =
            Some(rounded(100.0 * summary.successful_tasks as f64 / summary.total_tasks as f64));
        summary.error = Some(error.to_owned());
        summary.metrics.error_count = failed;
        self
    }
}

/// One of each kind, with its name.
pub(crate) fn all() -> Vec<(&'static str, Trial)> {
    vec![
        ("phase_1", phase_1()),
        ("single", single()),
        ("speedup", speedup()),
        ("dag", dag()),
        ("fault_tolerance", fault_tolerance()),
        ("recovery", recovery()),
        ("large_scale", large_scale()),
        ("compare", compare()),
        ("down", down()),
        ("keyless", keyless()),
    ]
}
