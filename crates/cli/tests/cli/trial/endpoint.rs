//! Trials over HTTP, against a simulator of a hurried clock: what they report against what was billed.
//!
//! Nothing here depends on how fast the machine is: the criteria that would are told to be content with anything.

use serde_json::{Value, json};
use sortie::core::money::Usd;

use super::{criterion, held, number, unmet};
use crate::support::{Sandbox, Simulator};

/// Speed is not judged, and nobody waits for quotas that do not exist.
const UNTIMED: &str = "--pause 0 --min-speedup 0.01 --max-p95-latency 1000 --max-cost-outlier 1000";

/// Answers of 2 s in 50 ms.
fn simulator() -> Simulator {
    Simulator::hurried("calm", 40)
}

#[track_caller]
fn made(simulator: &Simulator, arguments: &str) -> (Sandbox, Value) {
    let sandbox = Sandbox::reaching(simulator);
    let ran = sandbox.sortie(&format!("trial {arguments} {UNTIMED} --json"));
    let document = held(&sandbox, "results", &ran);
    assert_eq!(unmet(&document), Vec::<&str>::new(), "{}", ran.transcript());
    assert_eq!(document["endpoint"], simulator.url(), "whoever stands between is not what was tested");
    assert_eq!(document["simulated"], false);
    (sandbox, document)
}

fn usd(amount: &Value) -> Usd {
    amount.to_string().parse().unwrap()
}

fn billed(simulator: &Simulator) -> Usd {
    simulator.stats().cost_usd_exact.parse().unwrap()
}

fn calls(document: &Value) -> u64 {
    document["runs"].as_array().unwrap().iter().map(|run| run["api_calls_count"].as_u64().unwrap()).sum()
}

#[test]
fn the_first_phase_and_the_third_report_what_they_were_billed() {
    for (arguments, phase, tasks) in [("--phase 1", 1, 5), ("--phase 3 --tasks 100", 3, 100)] {
        let simulator = simulator();
        let (_, document) = made(&simulator, arguments);
        assert_eq!((&document["phase"], &document["successful_tasks"]), (&json!(phase), &json!(tasks)));
        assert_eq!(simulator.stats().generations, calls(&document));
        assert_eq!(calls(&document), tasks + 1, "the call that tries the key is one more");
        assert_eq!(
            (usd(&document["trial_cost"]), usd(&document["trial_at_risk"])),
            (billed(&simulator), Usd::ZERO)
        );
        let keys =
            document["checklist"].as_array().unwrap().iter().find(|point| point["what"] == "key of claude");
        assert_eq!(keys.unwrap()["state"], "ok");
    }
}

/// It is killed in the middle by itself, and goes on: what was in flight is called again, and nothing else is.
#[test]
fn the_second_phase_recovers_from_a_kill_and_counts_what_that_costs() {
    let simulator = simulator();
    let (_, document) = made(&simulator, "--phase 2");
    let recovery = &document["recovery"];
    assert_eq!(
        [&recovery["done_again"], &recovery["successful_tasks"]],
        [&json!(0), &json!(20)],
        "{recovery}"
    );
    let [before, again] = ["done_before", "repeated_calls"].map(|of| recovery[of].as_u64().unwrap());
    assert!((10..20).contains(&before), "it is killed once half of them are done: {recovery}");
    assert!(again <= 10, "{recovery}");
    // A call that was begun before the kill may not have come as far as the provider.
    let generations = simulator.stats().generations;
    let known = calls(&document);
    assert!((known - again..=known).contains(&generations), "{generations} of {known}, {again} twice");
    assert_eq!(known, 1 + 3 * 20 + again);
    let (cost, at_risk) = (usd(&document["trial_cost"]), usd(&document["trial_at_risk"]));
    assert!(cost <= billed(&simulator) && billed(&simulator) <= cost + at_risk, "{cost:?} {at_risk:?}");
    assert_eq!(usd(&recovery["at_risk"]), at_risk);
    assert!(criterion(&document, "error_recovery")["why"].as_str().unwrap().contains("killed in the middle"));
    // Both halves of the speedup are of the same tasks.
    assert!(number(&document, "/measured/speedup") > 0.0);
}

/// The words between two others, as a number.
fn between(text: &str, before: &str, after: &str) -> u64 {
    let found = text.split_once(before).and_then(|(_, rest)| rest.split_once(after));
    found
        .and_then(|(number, _)| number.parse().ok())
        .unwrap_or_else(|| panic!("no number after {before:?}: {text}"))
}

#[test]
fn faults_before_a_real_endpoint_lose_no_call_and_no_money_without_counting_it() {
    let simulator = simulator();
    let (sandbox, document) = made(&simulator, "--test-type fault-tolerance --tasks 24 --run-id one");
    let note = document["notes"][0].as_str().unwrap();
    let (made, asked) = (between(note, "of ", " calls"), between(note, "the provider was asked for ", ","));
    assert_eq!(document["api_calls_count"], made, "{note}");
    // And the call that tried the key, which nobody stood before.
    assert_eq!(simulator.stats().generations, asked + 1, "{note}");
    let (cost, at_risk) = (usd(&document["trial_cost"]), usd(&document["trial_at_risk"]));
    assert!(billed(&simulator) <= cost + at_risk, "{cost:?} {at_risk:?}");
    let done = document["faults"].as_array().unwrap();
    let done: u64 =
        done.iter().filter(|fault| fault["tasks"] == 0).map(|fault| fault["calls"].as_u64().unwrap()).sum();
    assert!(done > 0 && done <= made, "{document}");
    // Only the task that is too long fails.
    assert_eq!(document["failed_tasks"], 1, "{document}");
    assert_eq!(document["failures"][0]["task_id"], "too_long");
    assert!(!sandbox.read("results/one/api_calls.log").is_empty());
}

#[test]
fn the_simulator_is_fitted_to_an_endpoint_and_rehearses_it_for_free() {
    let simulator = simulator();
    let (sandbox, document) = made(&simulator, "--test-type compare --tasks 16 --fit fitted.yaml");
    // What the simulator does beside it costs nothing and asks nobody.
    assert_eq!(simulator.stats().generations, 1 + 3 * 16);
    assert_eq!(usd(&document["trial_cost"]), billed(&simulator));
    let comparison = &document["comparison"];
    assert_eq!(comparison["scenario"], "seed");
    for row in comparison["rows"].as_array().unwrap() {
        assert!(row["simulated"].is_number() && row["real"].is_number(), "{row}");
    }
    assert_eq!(comparison["scenario_file"], "fitted.yaml");
    let widths: Vec<&Value> =
        comparison["fitted"].as_array().unwrap().iter().map(|row| &row["max_concurrent"]).collect();
    assert_eq!(widths, [1, 2, 4]);
    assert_eq!(criterion(&document, "fit")["met"], true);
    listed(&sandbox, &document);
    let rehearsed = sandbox.sortie("trial --simulate=fitted.yaml --phase 1 --json").exits(0);
    let rehearsed = held(&sandbox, "results", &rehearsed);
    assert_eq!((&rehearsed["successful_tasks"], &rehearsed["simulated"]), (&json!(5), &json!(true)));
    // It is nearer to the endpoint than what it was compared with.
    let real = number(&document, "/metrics/p50_latency");
    assert!(number(&rehearsed, "/metrics/p50_latency") < 20.0 * real, "{real}");
    assert_eq!(simulator.stats().generations, 1 + 3 * 16, "a rehearsal asks nobody");
}

/// The runs of a trial are all there, those of the simulator marked, the plays of the fitted one in one line each.
#[track_caller]
fn listed(sandbox: &Sandbox, document: &Value) {
    let runs = document["runs"].as_array().unwrap();
    let of = |simulated: bool| -> Vec<&str> {
        let runs = runs.iter().filter(|run| run["simulated"] == simulated && run["rehearsal"] == simulated);
        runs.map(|run| run["role"].as_str().unwrap()).collect()
    };
    assert_eq!(of(false), ["key", "serial", "judged", "width-2"]);
    let fitted = ["fitted-1", "fitted-2", "fitted-4"].into_iter().flat_map(|role| [role; 5]);
    let simulated: Vec<&str> = ["simulated-serial", "simulated"].into_iter().chain(fitted).collect();
    assert_eq!(of(true), simulated);
    for run in runs {
        let results = sandbox.read(run["results"].as_str().unwrap());
        assert_eq!(run["total_tasks"], results.lines().count(), "{run}");
    }
    let last = runs.last().unwrap()["run_id"].as_str().unwrap();
    sandbox.sortie(&format!("show {last}")).exits(0).says("16 of 16");
    let id = document["run_id"].as_str().unwrap();
    let report = sandbox.read(&format!("results/{id}/test_report.md"));
    let line = format!(
        "| fitted-4 (on the simulator, 5 plays) | {id}-fitted-4-1 to {id}-fitted-4-5 | 80 of 80 | 4 |"
    );
    assert!(report.contains(&line), "{report}");
    assert!(
        report.contains(&format!("| simulated (on the simulator) | {id}-simulated | 16 of 16 |")),
        "{report}"
    );
}
