//! What a trial says of money, quotas and settings: before it begins, and what it suggests in the end.

use serde_json::{Value, json};

use super::{CONFIGURATION, RESULTS, criterion, held, number, production, seeded, unmet};
use crate::support::{Sandbox, Simulator};

/// The suggestion that is told first: the setting, from what, to what.
#[track_caller]
fn first(document: &Value) -> [&str; 3] {
    let first = document.pointer("/suggestions/0").unwrap_or_else(|| panic!("nothing: {document}"));
    ["setting", "from", "to"].map(|field| first[field].as_str().unwrap())
}

/// How a point of the checklist stands, and what was found.
#[track_caller]
fn point<'a>(document: &'a Value, what: &str) -> (&'a str, &'a str) {
    let points = document["checklist"].as_array().unwrap();
    let found = points.iter().find(|point| point["what"] == what);
    let found = found.unwrap_or_else(|| panic!("no point is called {what}: {document}"));
    (found["state"].as_str().unwrap(), found["found"].as_str().unwrap())
}

/// What the runs of a trial cost, what is at risk included.
fn cost(document: &Value) -> f64 {
    number(document, "/trial_cost") + number(document, "/trial_at_risk")
}

fn notes(document: &Value) -> String {
    document["notes"].to_string()
}

/// Those of a scenario's own file, with 100 tokens in 4 s.
const SHORT: &str = "name: own\nlatency: { total: { seconds: { fixed: 4 }, first_token: { fixed: 1 } } }\n\
                     output_tokens: { fixed: 100 }\n";

#[test]
fn money_that_cannot_suffice_is_said_before_any_task_is_paid_for_and_what_is_suggested_suffices() {
    let on = |limits: &str, arguments: &str| {
        let sandbox = production().file("own.yaml", SHORT);
        let own = format!("{limits}monitoring: {{ results_dir: {RESULTS} }}\n");
        let sandbox = if limits.is_empty() { sandbox } else { sandbox.file("sortie.yaml", own) };
        let ran = sandbox.sortie(&format!("trial --simulate=own.yaml --json {arguments}"));
        held(&sandbox, RESULTS, &ran)
    };
    let of_task = |most: &str| format!("cost_control: {{ max_cost_per_task: {most} }}\n");
    for (limits, arguments, what, setting) in [
        ("", "--phase 2 --max-cost 0.05", "cost cap", "--max-cost"),
        ("", "--test-type large-scale --max-cost 0.1", "cost cap", "--max-cost"),
        ("", "--phase 1 --max-cost 0.000001", "cost cap", "--max-cost"),
        ("", "--phase 2 --max-cost claude=0.05", "cost cap of claude", "agents.claude.max_cost"),
        (&of_task("0.001"), "--phase 1", "cost cap of a task", "cost_control.max_cost_per_task"),
    ] {
        let document = on(limits, arguments);
        let (state, found) = point(&document, what);
        assert_eq!(state, "missing", "{document}");
        assert!(found.contains("is too little"), "{found}");
        assert_eq!(
            (unmet(&document).last(), cost(&document) < 0.0001),
            (Some(&"budget"), true),
            "{document}"
        );
        assert_eq!(document["runs"].as_array().unwrap().len(), 1, "the keys were tried: {document}");
        assert!(notes(&document).contains("the test itself was not made, because "), "{document}");
        let [named, _, to] = first(&document);
        assert_eq!(named, setting, "{document}");
        // Followed, it is enough.
        let to = to.trim_start_matches('$');
        let document = match what {
            "cost cap of a task" => on(&of_task(to), arguments),
            "cost cap" => on("", &format!("{} {to}", arguments.rsplit_once(' ').unwrap().0)),
            _ => on("", &format!("--phase 2 --max-cost claude={to}")),
        };
        assert_ne!(criterion(&document, "budget")["met"], false, "{to}: {document}");
        assert_eq!(document["failed_tasks"], 0, "{to}: {document}");
    }
}

/// A budget is of all phases in a row: each figure counts what those before have spent.
#[test]
fn phases_in_a_row_count_what_those_before_have_spent_and_say_so() {
    let document = seeded("--phase 1..2 --max-cost 0.31");
    let phases = document["phases"].as_array().unwrap();
    let spent: f64 = phases.iter().map(cost).sum();
    let budget = criterion(&document, "budget");
    assert!((number(budget, "/value") - spent).abs() < 1e-9, "{budget}");
    let why = budget["why"].as_str().unwrap();
    assert!(why.starts_with("Budget exceeded: $0.3") && why.contains(" > $0.31"), "{why}");
    assert!(why.ends_with(" by the phases before included"), "{why}");
    let (_, found) = point(&document, "cost cap");
    assert!(found.starts_with("$0.31 for all phases, $0.02"), "{found}");
    // What is suggested lets all of them pass.
    let [setting, from, to] = first(&document);
    assert_eq!((setting, from), ("--max-cost", "$0.31"));
    let document = seeded(&format!("--phase 1..2 --max-cost {}", to.trim_start_matches('$')));
    assert_eq!(document["phases"].as_array().unwrap().len(), 2);
    assert_eq!(document["success"], true, "{to}: {document}");
    let why = criterion(&document, "budget")["why"].as_str().unwrap();
    assert!(why.contains(" of it by the phases before"), "{why}");
}

#[test]
fn that_a_budget_stopped_a_trial_is_said_once() {
    // One stops the run that is killed, the other the one that is judged.
    for arguments in ["--phase 2 --max-cost 0.11", "--test-type large-scale --max-cost 0.321"] {
        let sandbox = production().file("own.yaml", SHORT);
        let ran = sandbox.sortie(&format!("trial --simulate=own.yaml {arguments}")).exits(5);
        let (sentence, budgets) = (ran.stdout.matches("Budget exceeded"), ran.stdout.matches("Budget"));
        assert_eq!((sentence.count(), budgets.count()), (1, 1), "{}", ran.stdout);
    }
}

#[test]
fn a_change_saves_less_than_the_run_took() {
    // Nobody states a rate: the calls that try the keys find it out.
    let sandbox = Sandbox::new();
    let ran = sandbox.sortie("trial --simulate=seed --test-type scenario-1 --seed 3 --json");
    let document = held(&sandbox, "results", &ran);
    let saves = number(&document, "/suggestions/0/saves");
    let (took, foreseen) =
        (number(&document, "/total_duration"), number(&document, "/forecast/duration_p50"));
    assert!(saves < took && saves < foreseen, "{saves} s of {took} s, of which {foreseen} s were foreseen");
    assert!(first(&document)[0].starts_with("what the provider allows, requests/min of "), "{document}");
}

#[test]
fn every_bound_on_calls_at_a_time_is_named_and_keeps_its_promise() {
    let on = |configured: u32, arguments: &str| {
        let own = format!("rate_limiting: {{ max_concurrent: {configured} }}\n");
        let sandbox = Sandbox::new().file("sortie.yaml", own);
        let test = "--simulate=calm --test-type scenario-1 --tasks 40 --seed 2";
        held(&sandbox, "results", &sandbox.sortie(&format!("trial --json {test} {arguments}")))
    };
    let narrow = on(8, "");
    let both = "rate_limiting.max_concurrent and --max-concurrent";
    assert_eq!(first(&narrow), [both, "8", "40"]);
    let wide = on(40, "--max-concurrent 40");
    assert_eq!(wide["max_concurrent"], 40);
    let took = |document: &Value| number(document, "/total_duration");
    let saved = took(&narrow) - took(&wide);
    let promised = number(&narrow, "/suggestions/0/saves");
    assert!((0.7..1.4).contains(&(saved / promised)), "{saved} s of {promised} s");
    assert_eq!(first(&on(10, ""))[0], both);
    assert_eq!(first(&on(50, ""))[0], "--max-concurrent");
}

/// Answers ten times as long as anybody expects of a new model.
#[test]
fn a_budget_that_stops_the_first_half_is_told_with_what_both_need() {
    let simulator = Simulator::start();
    let task = |n| format!("- {{ id: t{n}, prompt: 'Explain thing {n}. [[sim output_tokens=4000]]' }}\n");
    let tasks = (0..20).map(task).collect::<Vec<_>>().concat();
    let config = "agents: { claude: { max_tokens: 4000 } }\n";
    let sandbox = Sandbox::reaching(&simulator)
        .file("plan.yaml", format!("tasks:\n{tasks}"))
        .file("sortie.yaml", config);
    let ran = sandbox
        .sortie("trial --test-type parallel --plan plan.yaml --tasks 20 --max-cost 0.50 --pause 0 --json");
    let document = held(&sandbox, "results", &ran);
    assert_ne!(point(&document, "cost cap").0, "missing", "nobody knew: {document}");
    let notes = notes(&document);
    assert!(notes.contains("not made, because a budget stopped the serial run before it"), "{notes}");
    let [setting, from, to] = first(&document);
    assert_eq!((setting, from), ("--max-cost", "$0.50"));
    // Forty answers of 4,000 tokens cost this.
    assert!(to.trim_start_matches('$').parse::<f64>().unwrap() > 1.6, "{to}");
}

/// A minute's quotas that replies tell, against what is configured and what the trial asks.
#[test]
fn what_replies_tell_of_quotas_is_held_against_what_is_stated_and_what_is_needed() {
    let simulator = Simulator::with("requests_per_minute: 2\nrequests_burst: 50\n");
    let stated = CONFIGURATION.replace("requests_per_minute: 50", "requests_per_minute: 200");
    let sandbox = Sandbox::reaching(&simulator).file("config.production.yaml", stated);
    // It ends after its checklist: the money is too little.
    let ran = sandbox.sortie("trial --phase 2 --max-cost 0.01 --json");
    let document = held(&sandbox, RESULTS, &ran);
    let (state, found) = point(&document, "rate limit");
    assert_eq!(state, "warning", "{found}");
    assert!(found.starts_with("200 requests/min at ") && found.ends_with(", which allows 2"), "{found}");
    let (state, found) = point(&document, "API quota");
    assert_eq!(state, "warning", "{found}");
    let needs =
        "; the trial's 60 calls take 30 min 00 s of its requests/min, where its phase takes 15 min at most";
    assert!(found.ends_with(needs), "{found}");
    let (state, found) = point(&document, "time and cost of the phase");
    assert_eq!(state, "warning", "{found}");
    assert!(found.starts_with("3 runs, the judged one of "), "{found}");
}

#[test]
fn one_task_of_a_plan_was_taken() {
    let task = |n| format!("- {{ id: t{n}, prompt: Explain thing {n}. }}\n");
    let tasks = (0..5).map(task).collect::<Vec<_>>().concat();
    let sandbox = production().file("plan.yaml", format!("tasks:\n{tasks}"));
    let ran = sandbox.sortie("trial --simulate=seed --plan plan.yaml --tasks 1 --test-type mixed --json");
    let document = held(&sandbox, RESULTS, &ran);
    assert_eq!(document["notes"][0], json!("1 of the plan's 5 tasks was taken"));
}
