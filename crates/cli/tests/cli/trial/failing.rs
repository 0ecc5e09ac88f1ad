//! Trials that have to fail, with the criterion that says why, and what keeps one from beginning.

use serde_json::{Value, json};

use super::{RESULTS, criterion, held, number, production, scenario, unmet};
use crate::support::{Ran, Sandbox, Simulator};

/// A trial with the founding document's configuration on a scenario of its own, on the virtual clock.
fn on(scenario: &str, arguments: &str) -> (Sandbox, Value) {
    let sandbox = production().file("own.yaml", scenario);
    let ran = sandbox.sortie(&format!("trial --simulate=own.yaml --json {arguments}"));
    let document = held(&sandbox, RESULTS, &ran);
    (sandbox, document)
}

/// Why a criterion is as it is.
fn why<'a>(document: &'a Value, name: &str) -> &'a str {
    criterion(document, name)["why"].as_str().unwrap()
}

#[test]
fn what_is_slow_fails_by_its_latency() {
    let (_, document) = on(&scenario(16, ""), "--phase 1");
    assert_eq!(unmet(&document), ["p95_latency"]);
    assert_eq!(criterion(&document, "p95_latency")["value"], 16.0);
    // And nothing else is wrong with it.
    assert_eq!((&document["success_rate"], &document["error"]), (&json!(100.0), &Value::Null));
}

/// Whoever tried the keys met no fault: they begin later than its call ends.
const AFTER_THE_KEY: f64 = 4.5;

#[test]
fn what_is_flaky_fails_by_its_successes_and_names_what_went_wrong() {
    let faults = format!("{{ kind: 500, share: 0.3, from_s: {AFTER_THE_KEY} }}");
    let sandbox = production().file("own.yaml", scenario(4, &faults)).file(
        "sortie.yaml",
        "rate_limiting: { max_retries: 0 }\nmonitoring: { results_dir: results/production }\n",
    );
    let ran = sandbox.sortie("trial --simulate=own.yaml --json --test-type mixed --tasks 40");
    let document = held(&sandbox, RESULTS, &ran);
    let missed = unmet(&document);
    assert!(missed.contains(&"success_rate") && missed.contains(&"error_recovery"), "{missed:?}");
    assert!(number(criterion(&document, "success_rate"), "/value") < 95.0);
    let failures = document["failures"].as_array().unwrap();
    assert_eq!(document["failed_tasks"], failures.len());
    assert!(why(&document, "success_rate").contains("transient"), "{document}");
}

#[test]
fn retries_that_help_save_a_flaky_api() {
    let faults = format!("{{ kind: 500, share: 0.15, from_s: {AFTER_THE_KEY} }}");
    let (_, document) = on(&scenario(4, &faults), "--test-type mixed --tasks 40 --min-speedup 1.5");
    assert_eq!(criterion(&document, "error_recovery")["met"], true, "{document}");
    assert_eq!(unmet(&document), Vec::<&str>::new(), "{document}");
    assert!(number(&document, "/metrics/error_count") > 0.0);
}

#[test]
fn what_is_throttled_fails() {
    let faults = format!("{{ kind: 429, share: 1, from_s: {AFTER_THE_KEY} }}");
    let (sandbox, document) = on(&scenario(4, &faults), "--phase 1 --run-id one");
    let missed = unmet(&document);
    assert!(missed.contains(&"success_rate") && missed.contains(&"error_recovery"), "{missed:?}");
    assert!(why(&document, "success_rate").contains("throttled"), "{document}");
    assert!(sandbox.read(&format!("{RESULTS}/one/junit.xml")).contains("<failure"));
}

#[test]
fn a_key_that_is_refused_in_the_middle_fails_the_trial() {
    let faults = format!("{{ kind: 401, share: 1, from_s: {AFTER_THE_KEY} }}");
    let (_, document) = on(&scenario(4, &faults), "--phase 1");
    assert!(unmet(&document).contains(&"success_rate"), "{document}");
    assert!(why(&document, "success_rate").contains("stopped by the provider"), "{document}");
}

#[test]
fn what_is_dear_fails_by_the_cost_of_a_task() {
    // A hundred tokens of an answer come to $0.20.
    let price = "agents: { claude: { price: { input: 400, output: 2000 } } }\n\
                 monitoring: { results_dir: results/production }\n";
    let sandbox = production().file("own.yaml", scenario(4, "")).file("sortie.yaml", price);
    let ran = sandbox.sortie("trial --simulate=own.yaml --json --phase 1");
    let document = held(&sandbox, RESULTS, &ran);
    assert_eq!(unmet(&document), ["cost_per_task"]);
    assert!(number(criterion(&document, "cost_per_task"), "/value") > 0.2);
    // Or by what the command line asks for.
    let (_, document) = on(&scenario(4, ""), "--phase 1 --max-cost-per-task 0.001");
    assert_eq!(unmet(&document), ["cost_per_task"]);
    assert_eq!(criterion(&document, "cost_per_task")["threshold"], 0.001);
}

#[test]
fn a_budget_is_of_all_runs_of_a_trial_and_ends_it() {
    // Enough by the forecast, and not for what calls may cost at most or twice.
    for (arguments, budget) in [("--phase 2", 0.11), ("--test-type large-scale", 0.321)] {
        let (_, document) = on(&scenario(4, ""), &format!("{arguments} --max-cost {budget}"));
        assert!(unmet(&document).contains(&"budget"), "{document}");
        assert!(why(&document, "budget").starts_with("Budget exceeded: $"), "{document}");
        assert_eq!(criterion(&document, "budget")["threshold"], budget);
        let spent = number(&document, "/trial_cost") + number(&document, "/trial_at_risk");
        assert!(spent > 0.0 && spent <= budget, "{spent} of {budget}");
    }
}

#[test]
fn an_agents_own_budget_is_of_all_runs_of_a_trial_too() {
    let (_, document) = on(&scenario(4, ""), "--phase 2 --max-cost claude=0.11 --max-cost 9");
    assert!(unmet(&document).contains(&"budget"), "{document}");
    assert!(why(&document, "budget").contains(" (the budget of agent claude): "), "{document}");
    let spent = number(&document, "/trial_cost") + number(&document, "/trial_at_risk");
    assert!(spent > 0.05 && spent <= 0.11, "{spent}");
}

/// Two of three tasks are refused, always.
const REFUSED: &str = "\
tasks:
  - { id: a, prompt: A., max_tokens: 100 }
  - { id: b, prompt: 'B. [[sim fail=400]]', max_tokens: 100 }
  - { id: c, prompt: 'C. [[sim fail=400]]', max_tokens: 100 }
";

#[test]
fn a_fit_that_was_asked_for_and_could_not_be_made_is_a_failed_trial() {
    let sandbox = production().file("plan.yaml", REFUSED);
    let fit = "--test-type compare --plan plan.yaml --tasks 3 --fit own.yaml --run-id one";
    let ran = sandbox.sortie(&format!("trial --simulate=calm --json {fit} --min-success-rate 1"));
    let document = held(&sandbox, RESULTS, &ran);
    assert!(unmet(&document).contains(&"fit"), "{document}");
    assert!(why(&document, "fit").contains("3 answered calls: at least 5 are needed"), "{document}");
    assert!(!sandbox.path("own.yaml").exists());
    assert_eq!(document["comparison"]["scenario_file"], Value::Null);
    assert!(sandbox.read(&format!("{RESULTS}/one/test_report.md")).contains("at least 5 are needed"));
}

/// Somewhere that nobody listens.
fn nowhere() -> Sandbox {
    Sandbox::new()
        .with("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
        .with("ANTHROPIC_API_KEY", "sk-test-a")
        .file("sortie.yaml", "rate_limiting: { max_retries: 0 }")
}

#[test]
fn an_endpoint_that_cannot_be_reached_is_a_failed_trial_with_a_report() {
    for test in ["--phase 1", "--test-type fault-tolerance", "--test-type compare"] {
        let sandbox = nowhere();
        let ran = sandbox.sortie(&format!("trial {test} --json --run-id one")).exits(5);
        let document = held(&sandbox, "results", &ran);
        assert!(unmet(&document).contains(&"success_rate"), "{document}");
        assert_eq!(document["runs"].as_array().unwrap().len(), 1, "{document}");
        let report = sandbox.read("results/one/test_report.md");
        assert!(report.contains("127.0.0.1:1") && report.contains("was not made"), "{report}");
        assert!(document["checklist"].as_array().unwrap().iter().any(|point| point["state"] == "missing"));
    }
    let ran = nowhere().sortie("trial --phase 1..3").exits(5);
    ran.says("missing").says("key of claude");
}

/// Held to this code, and to leave nothing but what was there before.
#[track_caller]
fn untouched(sandbox: &Sandbox, arguments: &str, code: i32) -> Ran {
    let of_ours = |sandbox: &Sandbox| {
        let files = sandbox.files();
        let mut files: Vec<_> = files
            .into_iter()
            .filter(|file| !file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".std")))
            .collect();
        files.sort();
        files
    };
    let before = of_ours(sandbox);
    let ran = sandbox.sortie(arguments).exits(code);
    assert_eq!(of_ours(sandbox), before, "{}", ran.transcript());
    assert_eq!(ran.stdout, "", "{}", ran.transcript());
    ran
}

#[test]
fn without_a_key_nothing_is_written_and_nothing_sent() {
    let simulator = Simulator::start();
    for test in [
        "--phase 1",
        "--phase 1..3",
        "--test-type fault-tolerance",
        "--test-type compare --fit own.yaml",
        "--tasks 5 --json",
    ] {
        let sandbox = production().with("ANTHROPIC_BASE_URL", simulator.url());
        let ran = untouched(&sandbox, &format!("trial {test}"), 4);
        ran.says("ANTHROPIC_API_KEY is not set").says("--simulate");
    }
    assert_eq!(simulator.stats().requests, 0);
}

#[test]
fn without_a_price_nothing_can_be_judged_and_nothing_is_sent() {
    let simulator = Simulator::start();
    let config =
        |price: &str| format!("agents: {{ own: {{ provider: openai, model: house-model{price} }} }}");
    let sandbox = Sandbox::reaching(&simulator).file("sortie.yaml", config(""));
    for budget in ["", " --max-cost 1"] {
        untouched(&sandbox, &format!("trial --phase 1{budget}"), 4).says("price");
    }
    assert_eq!(simulator.stats().requests, 0);
    // What is free has a price.
    let sandbox = Sandbox::reaching(&simulator).file("sortie.yaml", config(", price: free"));
    let ran = sandbox.sortie("trial --test-type single --json").exits(0);
    let document = held(&sandbox, "results", &ran);
    assert_ne!(criterion(&document, "cost_per_task")["met"], false);
}

#[test]
fn a_refused_key_is_to_be_set_up_first_and_is_tried_once() {
    for kind in ["401", "403", "'404:model_not_found'"] {
        let simulator = Simulator::with(&format!("faults: [{{ kind: {kind}, share: 1 }}]\n"));
        let sandbox = Sandbox::reaching(&simulator);
        let ran = sandbox.sortie("trial --phase 2 --json").exits(4).says("the trial cannot begin");
        assert_eq!((ran.stdout.as_str(), simulator.stats().requests), ("", 1), "{}", ran.transcript());
        assert_eq!(sandbox.sortie("trial --history --json").exits(0).json(), json!([]));
    }
}

#[test]
fn an_endpoint_that_throttles_every_call_is_a_failed_trial() {
    let simulator = Simulator::with("faults: [{ kind: 429, share: 1 }]\n");
    let quick = "rate_limiting: { max_retries: 1, initial_delay: 0.01, max_delay: 0.01 }";
    let sandbox = Sandbox::reaching(&simulator).file("sortie.yaml", quick);
    let ran = sandbox.sortie("trial --phase 1 --json").exits(5);
    let document = held(&sandbox, "results", &ran);
    assert!(why(&document, "success_rate").contains("throttled"), "{document}");
}

#[test]
fn options_that_cannot_be_meant_together_are_refused_before_anything_is_done() {
    let refused = [
        ("--phase 1 --against calm", "--against is about --test-type compare"),
        ("--phase 1 --fit own.yaml", "--fit needs --test-type compare"),
        ("--phase 1 --send-oversized", "--send-oversized is about --test-type fault-tolerance"),
        ("--phase 1..2 --tasks 5", "--tasks is about one phase"),
        ("--test-type compare --fit nowhere/own.yaml", "--fit: there is no such directory"),
        ("--test-type compare --fit outage", "a built-in scenario has this name"),
        ("--test-type compare --fit plan.yaml", "--fit would replace a file that is no scenario"),
        (
            "--test-type fault-tolerance --send-oversized --plan plan.yaml",
            "--send-oversized is about a task of the built-in ones",
        ),
        (
            "--test-type compare --tasks 1 --fit own.yaml",
            "1 task at most 4 at a time would make 2 calls, and it takes 5 answered ones",
        ),
        ("--test-type compare --tasks 2 --max-concurrent 2 --fit own.yaml", "hint: 5 tasks are enough"),
        ("--phase 4", "not a phase"),
        ("--phase 2..1", "not a phase"),
        ("--tasks 0", "invalid value '0'"),
        ("--test-type every", "invalid value 'every'"),
        ("--min-efficiency 2", "not a number from 0 to 1"),
        ("--max-cost 0", "a budget of nothing allows nothing"),
        ("--max-cost nobody=1", "nobody"),
        ("--test-type compare --against nowhere", "failed to find a scenario named `nowhere`"),
        ("--plan nowhere.yaml", "nowhere.yaml"),
    ];
    let sandbox = production().file("plan.yaml", "tasks: [{ id: a, prompt: A. }]");
    for (arguments, why) in refused {
        untouched(&sandbox, &format!("trial --simulate=seed {arguments}"), 2).says(why);
    }
}
