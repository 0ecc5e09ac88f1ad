use serde_json::{Value, json};
use sortie_core::run::event::{Event, Outcome, Then};

use super::*;
use crate::testing::{self, Random, Story, ended, failed, invalid, lost, skipped, started, succeeded, usd};

/// The story's summary as programs read it.
fn summary(story: &Story) -> Value {
    let fold = story.fold();
    serde_json::to_value(fold.summary(fold.last_time())).unwrap()
}

/// Checks the fields that are named, and no others.
fn check(story: &Story, expected: &Value) {
    fn within(found: &Value, expected: &Value, path: &str) {
        match expected {
            Value::Object(fields) => {
                for (name, value) in fields {
                    within(&found[name], value, &format!("{path}.{name}"));
                }
            }
            _ => assert_eq!(found, expected, "{path}"),
        }
    }
    within(&summary(story), expected, "summary");
}

#[test]
fn the_names_are_those_of_the_design_and_no_others() {
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    let summary = summary(&testing::diamond());
    assert_eq!(
        names(&summary),
        "api_calls_count avg_duration cost cost_per_task error execution_history failed_tasks forecast metrics mode \
         pending_tasks run_id simulated skipped_tasks speedup success success_rate successful_tasks total_cost \
         total_duration total_tasks waits"
    );
    assert_eq!(
        names(&summary["cost"]),
        "actual agent_budgets at_risk avg_cost_per_task budget by_agent by_day by_model by_type estimated \
         input most_expensive_task overruns price_table tasks_count total_cost unpriced_agents utilization"
    );
    assert_eq!(
        names(&summary["metrics"]),
        "active_tasks api_calls_count avg_latency cost_per_task error_count p50_latency p95_latency p99_latency \
         queue_length rate_limit_hits success_rate throughput timeout_count total_cost ttft_p50"
    );
    assert_eq!(names(&summary["speedup"]), "binding ceiling efficiency serial_duration speedup");
}

#[test]
fn tasks_that_a_fallback_did_are_counted_and_its_calls_are_its_own() {
    let story = testing::rerouted();
    check(
        &story,
        &json!({
            "success": true, "rerouted_tasks": 1, "total_cost": 0.0046,
            "cost": { "by_agent": { "claude": { "cost": 0.0, "calls": 1 }, "gpt": { "cost": 0.0046, "calls": 1 } } },
        }),
    );
    let by_model = &summary(&story)["cost"]["by_model"]["gpt-6.1-sol"];
    assert_eq!((&by_model["cost"], &by_model["calls"]), (&json!(0.0046), &json!(1)));
}

#[test]
fn a_diamond_is_counted_timed_and_judged_against_its_ceiling() {
    check(
        &testing::diamond(),
        &json!({
            "success": true, "error": null, "mode": "parallel", "simulated": false,
            "total_tasks": 5, "successful_tasks": 5, "success_rate": 100.0,
            "total_duration": 13.0, "avg_duration": 3.2, "total_cost": 0.023, "cost_per_task": 0.0046,
            "execution_history": ["analyze", "design", "impl_b", "impl_a", "test"],
            "cost": {
                "at_risk": 0.0, "budget": 10.0, "utilization": 0.23, "tasks_count": 5,
                "price_table": "2026-11-25 (0123abcd)",
                "most_expensive_task": {"task_id": "analyze", "cost": 0.0046},
            },
            "metrics": {
                "throughput": 5.0 / 13.0, "avg_latency": 3.2, "p50_latency": 3.5, "p95_latency": 4.0,
                "p99_latency": 4.0, "ttft_p50": 0.4, "queue_length": 0, "error_count": 0,
            },
            "speedup": {
                "serial_duration": 16.0, "speedup": 16.0 / 13.0, "ceiling": 16.0 / 12.5,
                "binding": "longest_path", "efficiency": (16.0 / 13.0) / (16.0 / 12.5),
            },
            "api_calls_count": 5,
        }),
    );
}

#[test]
fn a_retry_is_an_error_and_a_call_and_no_failed_task() {
    check(
        &testing::retried(),
        &json!({
            "success": true, "failed_tasks": 0, "api_calls_count": 2, "avg_duration": 3.3,
            "metrics": {"error_count": 1, "rate_limit_hits": 1, "timeout_count": 0, "avg_latency": 2.0},
            "speedup": {"serial_duration": 2.3},
        }),
    );
}

#[test]
fn an_attempt_that_never_left_is_an_error_and_no_call() {
    check(
        &testing::unwritten(),
        &json!({
            "success": false, "successful_tasks": 3, "failed_tasks": 1, "skipped_tasks": 1,
            "api_calls_count": 3,
            // The mean of the three that were called.
            "avg_duration": (2.0 + 4.0 + 3.0) / 3.0,
            "cost": {"tasks_count": 3, "avg_cost_per_task": 0.0046},
            "metrics": {"api_calls_count": 3, "error_count": 1, "active_tasks": 0},
        }),
    );
    assert_eq!(testing::unwritten().fold().reserved(), usd("0"));
}

#[test]
fn a_failure_names_the_tasks_it_took_along() {
    check(
        &testing::failure(),
        &json!({
            "success": false, "error": "1 of 5 tasks failed, 1 skipped",
            "successful_tasks": 3, "failed_tasks": 1, "skipped_tasks": 1, "pending_tasks": 0,
            "success_rate": 60.0, "execution_history": ["analyze", "design", "impl_b", "impl_a"],
            // The failed task made a call, the skipped one did not.
            "cost": {"tasks_count": 4, "avg_cost_per_task": 0.00345},
            "metrics": {"success_rate": 60.0},
        }),
    );
}

#[test]
fn a_budget_stop_says_by_how_much_and_leaves_tasks_pending() {
    check(
        &testing::budget_stop(),
        &json!({
            "success": false, "error": "Budget exceeded: $0.07 > $0.05",
            "successful_tasks": 3, "pending_tasks": 2, "skipped_tasks": 0, "success_rate": 60.0,
            "metrics": {"success_rate": 100.0, "queue_length": 1},
            "cost": {"utilization": 27.6},
        }),
    );
}

#[test]
fn a_resume_sums_its_sessions_and_shows_what_is_at_risk_apart() {
    check(
        &testing::resumed(),
        &json!({
            "success": true,
            // 7 s until the crash's last record, 7 s after the resume.
            "total_duration": 14.0, "total_cost": 0.023, "api_calls_count": 7,
            "cost": {"at_risk": 0.12, "utilization": 1.43},
            "metrics": {"error_count": 2, "active_tasks": 0},
            // The hour between the sessions is in nobody's time: `impl_b` took 1 s and 4 s.
            "avg_duration": (2.0 + 4.0 + 4.5 + 5.0 + 2.5) / 5.0,
        }),
    );
    let story = testing::resumed();
    assert_eq!(story.fold().tasks()[2].queued, Some(Duration::from_secs(1)));
}

#[test]
fn costs_are_grouped_by_agent_type_model_and_day() {
    check(
        &testing::two_agents(),
        &json!({
            "total_cost": 0.0066,
            "cost": {
                "by_agent": {
                    "claude": {
                        "cost": 0.0046, "actual": 0.0046, "estimated": 0.0, "at_risk": 0.06, "tasks": 1, "calls": 2,
                        "input_tokens": 100, "cached_input_tokens": 20, "output_tokens": 200,
                    },
                    "gpt": {
                        "cost": 0.002, "actual": 0.0, "estimated": 0.002, "at_risk": 0.01, "tasks": 1, "calls": 1,
                        "input_tokens": 50, "output_tokens": 7,
                    },
                },
                "by_type": {"analysis": {"cost": 0.0046}, "writing": {"cost": 0.002}},
                "by_model": {
                    // Which model lost its answer nobody said: the one that was asked.
                    "claude-sonnet-4-5": {"cost": 0.0, "at_risk": 0.06, "tasks": 1, "calls": 1},
                    "claude-haiku-4-5": {"cost": 0.0046, "at_risk": 0.0, "tasks": 1, "calls": 1},
                    "gpt-6.1-sol": {"cost": 0.002},
                },
                "by_day": {
                    "2025-11-14": {"cost": 0.002, "at_risk": 0.07, "tasks": 2, "calls": 2},
                    "2025-11-15": {"cost": 0.0046, "at_risk": 0.0, "tasks": 1, "calls": 1},
                },
            },
        }),
    );
}

#[test]
fn what_is_in_flight_is_not_at_risk_before_a_resume_says_so() {
    check(
        &testing::killed(),
        &json!({
            "success": false, "pending_tasks": 3, "api_calls_count": 4,
            "cost": {"at_risk": 0.0}, "metrics": {"active_tasks": 2},
        }),
    );
}

#[test]
fn an_interrupted_run_says_so() {
    check(
        &testing::interrupted(),
        &json!({"error": "interrupted (SIGINT); 2 tasks pending", "pending_tasks": 2}),
    );
}

#[test]
fn a_run_that_never_began_has_nulls_and_no_division_by_zero() {
    check(
        &Story::pipeline(),
        &json!({
            "success": false, "error": "not ended; 5 of 5 tasks pending", "success_rate": 0.0,
            "total_duration": 0.0, "avg_duration": null, "total_cost": 0.0, "cost_per_task": null,
            "cost": {"most_expensive_task": null, "avg_cost_per_task": null, "utilization": 0.0},
            "metrics": {"throughput": null, "p95_latency": null, "success_rate": null, "queue_length": 1},
            "speedup": {"serial_duration": 0.0, "speedup": null, "ceiling": null, "binding": null},
        }),
    );
}

#[test]
fn an_average_is_of_the_tasks_whose_money_is_in_the_sum() {
    let story = Story::new("two", &[("a", "general", &[]), ("b", "general", &[])]);
    let story = story.at(0.0, Event::RunStarted).at(0.0, started(0, 1)).at(0.0, started(1, 1));
    let story = story.at(1.0, succeeded(0, 1, 1.0)).at(2.0, lost(1, 1));
    let fold = story.fold();
    let summary = fold.summary(fold.last_time());
    assert_eq!((summary.cost.tasks_count, summary.cost.avg_cost_per_task), (2, Some(summary.total_cost)));
    assert!(!summary.total_cost.is_zero() && !summary.cost.at_risk.is_zero());
}

#[test]
fn what_is_in_flight_is_seen_while_the_run_is_live() {
    let story = Story::pipeline().at(0.0, Event::RunStarted).at(0.5, started(0, 1));
    let fold = story.fold();
    let summary = fold.summary(fold.last_time() + Duration::from_secs(9));
    assert_eq!(summary.total_duration, Duration::from_millis(9500));
    assert_eq!((summary.metrics.active_tasks, summary.metrics.queue_length), (1, 0));
    assert_eq!(fold.reserved(), usd("0.06"));
}

#[test]
fn percentiles_are_values_by_the_nearest_rank() {
    let values: Vec<Duration> = (1..=20).map(Duration::from_secs).collect();
    for (n, p, expected) in [(20, 50, 10), (20, 95, 19), (20, 99, 20), (1, 50, 1), (3, 50, 2), (2, 50, 1)] {
        assert_eq!(percentile(&values[..n], p), Some(Duration::from_secs(expected)), "p{p} of {n}");
    }
    assert_eq!(percentile(&[], 50), None);
}

#[test]
fn a_summary_reads_back_as_it_was_written() {
    let story = testing::resumed();
    let summary = story.fold().summary(story.fold().last_time());
    let json = serde_json::to_string(&summary).unwrap();
    assert_eq!(serde_json::from_str::<Summary>(&json).unwrap(), summary);
}

/// Records in any order, of tasks that do not exist, twice: a journal is not believed.
#[test]
fn no_order_of_records_panics() {
    for seed in 0..2_000 {
        let mut random = Random::seeded(seed);
        let mut story = Story::pipeline();
        for _ in 0..40 {
            let task = random.below(6) as u32;
            let event = match random.below(10) {
                0 => Event::RunStarted,
                1 => Event::RunResumed,
                2 => ended(Outcome::Completed),
                3 => skipped(task, 9),
                4 => testing::lost(task, 1),
                5 => failed(task, 1, invalid(), Then::Fail),
                6 => failed(task, 1, testing::throttled(), Then::StopAccount),
                7 => succeeded(task, 1, 1.0),
                _ => started(task, 1),
            };
            story = story.at(random.below(100) as f64, event);
        }
        let fold = story.fold();
        let summary = fold.summary(fold.last_time());
        let tasks =
            summary.successful_tasks + summary.failed_tasks + summary.skipped_tasks + summary.pending_tasks;
        assert_eq!(tasks, 5, "seed {seed}");
    }
}
