//! What a run prints and leaves behind.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use sortie::core::money::Usd;

use crate::support::{Sandbox, Simulator, WEBSITE};

/// The fields of `summary.json`: a format that other programs read.
const SUMMARY: &str = "
    run_id success error mode simulated total_tasks successful_tasks failed_tasks skipped_tasks pending_tasks
    success_rate total_duration avg_duration total_cost cost_per_task execution_history api_calls_count waits
    cost.total_cost cost.at_risk cost.budget cost.utilization cost.tasks_count cost.avg_cost_per_task cost.price_table
    cost.actual cost.estimated cost.overruns cost.unpriced_agents
    cost.input.*.actual cost.input.*.reserved cost.input.*.ratio
    cost.most_expensive_task.task_id cost.most_expensive_task.cost
    cost.by_agent.*.SHARE cost.by_type.*.SHARE cost.by_model.*.SHARE cost.by_day.*.SHARE
    metrics.throughput metrics.avg_latency metrics.p50_latency metrics.p95_latency metrics.p99_latency
    metrics.ttft_p50 metrics.success_rate metrics.active_tasks metrics.queue_length metrics.api_calls_count
    metrics.total_cost metrics.cost_per_task metrics.error_count metrics.rate_limit_hits metrics.timeout_count
    speedup.serial_duration speedup.speedup speedup.ceiling speedup.binding speedup.efficiency
    forecast.cost_low forecast.cost_expected forecast.cost_worst forecast.cost_within
    forecast.duration_p5 forecast.duration_p50 forecast.duration_p95 forecast.duration_within";

/// The fields of each group that costs are shared by.
const SHARE: &str =
    "cost actual estimated at_risk tasks calls unpriced_calls input_tokens cached_input_tokens output_tokens";

/// The fields of a line of `results.jsonl`.
const RESULT: &str = "
    task_id task_type agent model success status result error cached cached_from attempts queued_s latency_s ttft_s input_tokens
    cached_input_tokens output_tokens cost_usd actual_usd estimated_usd at_risk_usd price_known finish_reason started_at finished_at";

#[track_caller]
fn check_fields(found: &Value, expected: &str) {
    let mut names = BTreeSet::new();
    collect(found, "", &mut names);
    let expected = expected.split_whitespace().flat_map(|name| match name.strip_suffix(".SHARE") {
        Some(group) => SHARE.split_whitespace().map(|field| format!("{group}.{field}")).collect(),
        None => vec![name.to_owned()],
    });
    assert_eq!(names, expected.collect());
}

/// The paths of all fields, objects entered and lists not.
fn collect(value: &Value, path: &str, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                // What an amount is grouped by is no name of the format.
                let name = if (path.starts_with("cost.by_") || path == "cost.input") && field.is_object() {
                    "*"
                } else {
                    name
                };
                let dot = if path.is_empty() { "" } else { "." };
                collect(field, &format!("{path}{dot}{name}"), names);
            }
        }
        _ => {
            names.insert(path.to_owned());
        }
    }
}

/// An amount as JSON shows it, to the last picodollar.
fn usd(amount: &Value) -> Usd {
    amount.to_string().parse().expect("an amount of money")
}

#[test]
fn a_pipeline_ends_with_the_result_of_its_last_task_and_what_it_cost() {
    let sandbox = Sandbox::new().file("website.yaml", WEBSITE);
    let ran = sandbox.sortie("run website.yaml --simulate --run-id one").exits(0);
    assert!(ran.stdout.starts_with("── test ──\nOn \"Write a test plan of five\": "), "{}", ran.transcript());
    let last = ran.stdout.lines().last().unwrap();
    let summary: Value = serde_json::from_str(&sandbox.read("results/one/summary.json")).unwrap();
    let total = summary["total_cost"].as_f64().unwrap();
    // SPEC.md P5, word for word; the figures are this run's.
    let (cost, rest) = last.strip_prefix("Total cost: $").unwrap().split_once(" (5 tasks, avg $").unwrap();
    let average = rest.strip_suffix("/task)").unwrap();
    for (shown, meant) in [(cost, total), (average, total / 5.0)] {
        let shown: f64 = shown.parse().unwrap();
        assert!((shown - meant).abs() <= 0.005 * meant, "{last}: {shown} stands for {meant}");
    }
    assert!(ran.stderr.ends_with("results in ./results/one\n"), "{}", ran.transcript());
}

#[test]
fn the_history_keeps_the_dependencies() {
    let sandbox = Sandbox::new().file("website.yaml", WEBSITE);
    let summary = sandbox.sortie("run website.yaml --simulate --json").exits(0).json();
    let mut history = summary["execution_history"].as_array().unwrap().clone();
    history[2..4].sort_by_key(ToString::to_string);
    assert_eq!(history, ["analyze", "design", "impl_a", "impl_b", "test"]);
}

#[test]
fn every_file_has_the_fields_of_its_format() {
    let sandbox = Sandbox::new().file("website.yaml", WEBSITE);
    sandbox.sortie("run website.yaml --simulate --run-id one").exits(0);
    check_fields(&serde_json::from_str(&sandbox.read("results/one/summary.json")).unwrap(), SUMMARY);
    let results = sandbox.read("results/one/results.jsonl");
    assert_eq!(results.lines().count(), 5);
    for line in results.lines() {
        check_fields(&serde_json::from_str(line).unwrap(), RESULT);
    }
    let report = sandbox.read("results/one/report.md");
    assert!(report.contains("website") && report.contains("impl_b"), "{report}");
    let log = sandbox.read("results/one/production.log");
    assert!(log.lines().all(|line| line.contains("Z sortie.run INFO ")), "{log}");
    assert_eq!(sandbox.read("results/one/api_calls.log").lines().count(), 5);
}

#[test]
fn one_document_is_all_that_json_prints() {
    let sandbox = Sandbox::new().file("website.yaml", WEBSITE);
    let mut document = sandbox.sortie("run website.yaml --simulate --run-id one --json").exits(0).json();
    let tasks = document.as_object_mut().unwrap().remove("task_results").unwrap();
    let summary: Value = serde_json::from_str(&sandbox.read("results/one/summary.json")).unwrap();
    assert_eq!(document, summary);
    for line in sandbox.read("results/one/results.jsonl").lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(tasks[line["task_id"].as_str().unwrap()], line);
    }
    assert_eq!(tasks.as_object().unwrap().len(), 5);
    // The same is shown of the run later.
    let mut shown = sandbox.sortie("show one --json").exits(0).json();
    shown.as_object_mut().unwrap().remove("task_results");
    assert_eq!(shown, summary);
}

#[test]
fn quiet_leaves_stderr_empty() {
    let sandbox = Sandbox::new().file("website.yaml", WEBSITE);
    let ran = sandbox.sortie("run website.yaml --simulate --quiet --json").exits(0);
    assert_eq!(ran.stderr, "");
}

#[test]
fn files_are_for_their_owner_alone_whatever_the_umask() {
    let sandbox = Sandbox::new().file("website.yaml", WEBSITE);
    let script =
        format!("umask 000; exec {} run website.yaml --simulate --quiet", env!("CARGO_BIN_EXE_sortie"));
    assert!(sandbox.command("/bin/sh", &["-c", &script]).output().unwrap().status.success());
    let results = sandbox.path("results");
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    let files: Vec<_> = sandbox.files().into_iter().filter(|path| path.starts_with(&results)).collect();
    assert!(files.len() >= 7, "{files:?}");
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
        assert_eq!(mode(file.parent().unwrap()), 0o700, "{}", file.parent().unwrap().display());
    }
}

#[test]
fn the_cost_is_the_providers_to_the_last_picodollar() {
    let agents = "agents: { claude: , openai: , responses: { provider: openai, api: responses } }";
    for agent in ["claude", "openai", "responses"] {
        let simulator = Simulator::start();
        let plan = WEBSITE.replace("agent: claude", &format!("agent: {agent}"));
        let sandbox = Sandbox::reaching(&simulator).file("website.yaml", plan).file("sortie.yaml", agents);
        let summary = sandbox.sortie("run website.yaml --json").exits(0).json();
        let (stats, ledger) = (simulator.stats(), simulator.ledger());
        assert_eq!((stats.generations, stats.answered_whole, stats.repeats), (5, 5, 0), "{agent}");
        assert_eq!(usd(&summary["total_cost"]), stats.cost_usd_exact.parse().unwrap(), "{agent}");
        assert_eq!(usd(&summary["cost"]["at_risk"]), Usd::ZERO, "{agent}");
        // Each task's too, whatever order they came in.
        let mut billed: Vec<Usd> = ledger.iter().map(|entry| entry.cost_picodollars).collect();
        let tasks = summary["task_results"].as_object().unwrap();
        let mut shown: Vec<Usd> = tasks.values().map(|task| usd(&task["cost_usd"])).collect();
        billed.sort_unstable();
        shown.sort_unstable();
        assert_eq!(shown, billed, "{agent}");
        assert!(tasks.values().all(|task| task["agent"] == agent), "{agent}");
    }
}

#[test]
fn the_announcement_says_who_is_asked_where() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator).file("website.yaml", WEBSITE);
    let place = format!("at {} (from ANTHROPIC_BASE_URL)", simulator.url());
    sandbox.sortie("run website.yaml").exits(0).says(&place);
}
