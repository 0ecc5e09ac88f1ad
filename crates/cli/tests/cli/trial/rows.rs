//! Phases in a row, earlier trials, and tasks of the user's own.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{CONFIGURATION, RESULTS, criterion, held, number, production, seeded, unmet};
use crate::support::Sandbox;

fn phases(document: &Value) -> Vec<(u64, &str)> {
    let one = |trial: &'_ Value| trial["phase"].as_u64().unwrap();
    let all = document["phases"].as_array().unwrap();
    all.iter().map(|trial| (one(trial), if trial["success"] == true { "pass" } else { "fail" })).collect()
}

#[test]
fn phases_in_a_row_go_on_as_long_as_they_pass() {
    let document = seeded("--phase 1..3 --run-id row");
    assert_eq!(phases(&document), [(1, "pass"), (2, "pass"), (3, "pass")]);
    // The document itself is the last one's.
    assert_eq!((&document["phase"], &document["run_id"]), (&json!(3), &json!("row-3")));
    // What each learns is what the next is forecast from.
    let forecast = |phase: usize| number(&document, &format!("/phases/{phase}/forecast/duration_p50"));
    let took = |phase: usize| number(&document, &format!("/phases/{phase}/total_duration"));
    assert!((forecast(2) / took(2) - 1.0).abs() < 0.1, "{} s of {} s", forecast(2), took(2));
}

#[test]
fn phases_in_a_row_end_with_the_first_that_fails() {
    let document = seeded("--phase 1..3 --max-p95-latency 4");
    assert_eq!((phases(&document), unmet(&document)), (vec![(1, "fail")], vec!["p95_latency"]));
    // Enough for the first one's five tasks, and for all of them together.
    for cap in ["--max-cost 0.08", "--max-cost claude=0.08"] {
        // Not for the second one: that is known before it begins.
        let document = seeded(&format!("--phase 1..3 {cap}"));
        assert_eq!(phases(&document), [(1, "pass"), (2, "fail")]);
        assert!(unmet(&document).contains(&"budget"), "{document}");
        let of = |phase: usize, what: &str| number(&document, &format!("/phases/{phase}/trial_{what}"));
        let spent: f64 = [0, 1].map(|phase| of(phase, "cost") + of(phase, "at_risk")).iter().sum();
        assert!(spent <= 0.08, "{spent}");
    }
}

/// The founding document's API at half its speed, under the same name.
const SLOWER: &str = "\
name: seed
latency:
  total:
    seconds: { lognormal: { mean: 8, sigma: 0.35, min: 4, max: 20 } }
    first_token: { uniform: { min: 0.4, max: 1.2 } }
output_tokens: { lognormal: { mean: 300, sigma: 0.4, min: 50, max: 1000 } }
requests_per_minute: 50
requests_burst: 1
";

#[test]
fn an_earlier_trial_of_the_kind_is_compared_with_and_what_is_worse_is_marked() {
    let sandbox = production().file("slower.yaml", SLOWER);
    let trial = |scenario: &str, arguments: &str| {
        let ran = sandbox
            .sortie(&format!("trial --simulate={scenario} --test-type mixed --tasks 30 --json {arguments}"));
        held(&sandbox, RESULTS, &ran)
    };
    assert_eq!(trial("seed", "--run-id first")["before"], Value::Null);
    let again = trial("seed", "--run-id again");
    assert_eq!(again["before"]["run_id"], "first");
    let regressed = |document: &Value| -> Vec<String> {
        let figures = document["before"]["figures"].as_array().unwrap().iter();
        let worse = figures.filter(|figure| figure["regressed"] == true);
        worse.map(|figure| figure["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(regressed(&again), Vec::<String>::new());
    let slower = trial("slower.yaml", "--run-id slower");
    assert_eq!(slower["before"]["run_id"], "again");
    let worse = regressed(&slower);
    assert!(
        worse.iter().any(|name| name == "p50_latency") && worse.iter().any(|name| name == "p95_latency"),
        "{worse:?}"
    );

    let shown = sandbox.sortie("trial --history").exits(0).stdout;
    let block = shown
        .split("\n\n")
        .find(|block| block.starts_with("mixed (30 tasks) against scenario seed"))
        .unwrap();
    assert_eq!(
        block.lines().filter(|line| line.contains("  passed  ") || line.contains("  failed  ")).count(),
        3,
        "{shown}"
    );
    let documents = sandbox.sortie("trial --history --test-type mixed --json").exits(0).json();
    let ids: Vec<&Value> = documents.as_array().unwrap().iter().map(|trial| &trial["run_id"]).collect();
    assert_eq!(ids, ["slower", "again", "first"]);
    let worse =
        documents[0]["figures"].as_array().unwrap().iter().filter(|figure| figure["regressed"] == true);
    assert!(worse.count() >= 2, "{documents}");
    let others = sandbox.sortie("trial --history --test-type single --json").exits(0).json();
    assert_eq!(others, json!([]));
}

/// Four pipelines of ten tasks.
fn pipelines() -> String {
    let mut plan = String::from("name: pipelines\ntasks:\n");
    for pipeline in ["a", "b", "c", "d"] {
        for n in 0..10 {
            let on = if n == 0 { String::new() } else { format!(", depends_on: [{pipeline}{}]", n - 1) };
            let _ = writeln!(
                plan,
                "  - {{ id: {pipeline}{n}, prompt: 'Step {n} of {pipeline}.', max_tokens: 100{on} }}"
            );
        }
    }
    plan
}

#[test]
fn tasks_of_the_users_own_plan_are_taken_with_what_they_depend_on() {
    let sandbox = production().file("plan.yaml", pipelines());
    let ran = sandbox.sortie("trial --simulate=seed --plan plan.yaml --tasks 8 --json").exits(0);
    let document = held(&sandbox, RESULTS, &ran);
    assert_eq!((&document["phase"], &document["total_tasks"]), (&json!(1), &json!(8)));
    let notes = document["notes"].to_string();
    assert!(notes.contains("8 of the plan's 40 tasks were taken"), "{notes}");
    let taken: Vec<&str> =
        document["execution_history"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    for id in &taken {
        let (pipeline, step) = id.split_at(1);
        let step: u32 = step.parse().unwrap();
        let place = |id: &str| taken.iter().position(|taken| *taken == id);
        // What comes before it in its pipeline was taken, and done before.
        assert!(step == 0 || place(&format!("{pipeline}{}", step - 1)) < place(id), "{taken:?}");
    }
    assert_eq!(criterion(&document, "dependencies")["met"], true, "{document}");
    // A plan that is no larger is taken whole.
    let ran = sandbox.sortie("trial --simulate=seed --plan plan.yaml --phase 2 --tasks 40 --json");
    let whole = held(&sandbox, RESULTS, &ran);
    assert_eq!(whole["total_tasks"], 40);
    assert!(!whole["notes"].to_string().contains("were taken"), "{}", whole["notes"]);
}

/// On the simulator, too, faults stand between it and tasks that do not ask for them.
#[test]
fn tasks_of_the_users_own_plan_meet_faults() {
    let sandbox = production().file("plan.yaml", pipelines());
    let ran = sandbox
        .sortie("trial --simulate=calm --test-type fault-tolerance --plan plan.yaml --tasks 40 --json");
    let document = held(&sandbox, RESULTS, &ran);
    let faults = document["faults"].as_array().unwrap();
    assert!(!faults.is_empty() && faults.iter().all(|fault| fault["calls"] != 0), "{faults:?}");
    assert!(number(&document, "/metrics/error_count") > 0.0, "{document}");
    assert_eq!(criterion(&document, "error_recovery")["met"], true, "{document}");
    // By chance no call of so few fails; those that are late take their time all the same.
    let ran =
        sandbox.sortie("trial --simulate=calm --test-type fault-tolerance --plan plan.yaml --tasks 2 --json");
    let document = held(&sandbox, RESULTS, &ran);
    assert_eq!(document["faults"], json!([]));
    assert!(
        criterion(&document, "speedup")["met"].is_null()
            && criterion(&document, "efficiency")["met"].is_null()
    );
    let notes = document["notes"].to_string();
    assert!(
        notes.contains("the simulator made faults for a share of the calls (6 %: answered 429"),
        "{notes}"
    );
}

#[test]
fn an_endpoint_that_answers_one_call_after_the_other_is_said_to() {
    let slots = "name: slots\nlatency: { total: { seconds: { fixed: 2 }, first_token: { fixed: 1 } } }\noutput_tokens: { fixed: 100 }\nserver: { slots: 1 }\n";
    let sandbox = Sandbox::new().file("slots.yaml", slots);
    let ran = sandbox.sortie("trial --simulate=slots.yaml --test-type speedup --tasks 12 --json");
    let document = held(&sandbox, "results", &ran);
    assert!(document["notes"].to_string().contains("times as long side by side"), "{document}");
    let ran = sandbox.sortie("trial --simulate=calm --test-type speedup --tasks 12 --json");
    let document = held(&sandbox, "results", &ran);
    assert_eq!(document["notes"], json!([]));
}

#[test]
fn the_lowest_bound_of_calls_at_a_time_wins_and_a_lower_one_of_the_configuration_is_said() {
    let width = |configured: &str, arguments: &str| {
        let sandbox = Sandbox::new()
            .file("config.production.yaml", CONFIGURATION.replace("max_concurrent: 10", configured));
        let ran = sandbox
            .sortie(&format!("trial --simulate=seed --tasks 5 --json --min-efficiency 0.01 {arguments}"));
        let document = held(&sandbox, RESULTS, &ran);
        let said = document["notes"].to_string().contains("as the configuration has it");
        (document["max_concurrent"].as_u64().unwrap(), said)
    };
    assert_eq!(width("max_concurrent: 10", ""), (3, false));
    assert_eq!(width("max_concurrent: 2", ""), (2, true));
    assert_eq!(width("max_concurrent: 10", "--max-concurrent 5"), (5, false));
    assert_eq!(width("max_concurrent: 2", "--max-concurrent 5"), (2, true));
}
