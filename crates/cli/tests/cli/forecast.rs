//! What is said before anything is spent.

use serde_json::json;

use crate::support::{Sandbox, Simulator, WEBSITE};

/// A diamond whose durations are all given.
const TIMED: &str = "
name: timed
tasks:
  - { id: a, prompt: '[[sim latency=2]] a', expected_seconds: 2 }
  - { id: b, prompt: '[[sim latency=3]] b', expected_seconds: 3, depends_on: [a] }
  - { id: c, prompt: '[[sim latency=1.5]] c', expected_seconds: 1.5, depends_on: [a] }
  - { id: d, prompt: '[[sim latency=1]] d', expected_seconds: 1, depends_on: [b, c] }
";

#[test]
fn the_document_has_the_fields_of_its_format_and_the_schedule_that_the_hints_give() {
    let sandbox = Sandbox::new().file("plan.yaml", TIMED);
    let document = sandbox.sortie("forecast plan.yaml --json").exits(0).json();
    let slot = |id: &str, start: f64, end: f64| json!({ "task_id": id, "start_s": start, "end_s": end });
    let schedule = [slot("a", 0.0, 2.0), slot("b", 2.0, 5.0), slot("c", 2.0, 3.5), slot("d", 5.0, 6.0)];
    let mut found = document["schedule"].as_array().unwrap().clone();
    found.sort_by_key(|slot| slot["task_id"].as_str().map(str::to_owned));
    assert_eq!(found, schedule);
    assert_eq!(document["tasks"], 4);
    assert_eq!((&document["binding"], &document["lower_bound_s"]), (&json!("longest_path"), &json!(6.0)));
    let number = |path: &str| document.pointer(path).and_then(serde_json::Value::as_f64).expect(path);
    assert!((number("/ceiling") - 7.5 / 6.0).abs() < 1e-9);
    assert!(
        number("/cost/low") < number("/cost/expected") && number("/cost/expected") < number("/cost/worst")
    );
    assert!(number("/makespan_s/p5") <= number("/makespan_s/p50"));
    assert!(number("/makespan_s/p50") <= number("/makespan_s/p95"));
    // A run with those durations does the same.
    let ran = sandbox.sortie("run plan.yaml --simulate --json").exits(0).json();
    assert_eq!(ran["total_duration"], 6.0);
}

#[test]
fn nothing_is_needed_for_it_and_nothing_is_left_by_it() {
    let config = "agents: { own: { provider: openai, model: house-model } }";
    let sandbox = Sandbox::new().file("plan.yaml", TIMED).file("sortie.yaml", config);
    let ran = sandbox.sortie("forecast plan.yaml").exits(0);
    assert!(ran.stdout.contains("no price"), "{}", ran.transcript());
    assert!(!sandbox.path("results").exists());
}

#[test]
fn what_if_is_shown_beside_what_is() {
    let sandbox = Sandbox::new();
    let arguments = "forecast - --agent claude=haiku --rpm 10 --max-concurrent 1 --json";
    let document = sandbox.sortie_reading(arguments, TIMED).exits(0).json();
    assert_eq!(document["agents"][0]["model"], "claude-haiku-5-5");
    assert_eq!(document["binding"], "requests_per_minute");
    assert_eq!(document["as_configured"]["binding"], "longest_path");
    let (supposed, configured) = (&document["cost"]["worst"], &document["as_configured"]["cost"]["worst"]);
    assert!(supposed.as_f64() < configured.as_f64(), "{document}");
    let typo = sandbox.sortie_reading("forecast - --agent cloud=haiku", TIMED).exits(2);
    typo.says("there is no agent `cloud`");
}

#[test]
fn a_damaged_journal_is_one_without_history() {
    let sandbox = Sandbox::new().file("plan.yaml", TIMED);
    std::fs::create_dir(sandbox.path("results")).unwrap();
    let sandbox = sandbox.file("results/sortie.db", "this is no journal");
    let ran = sandbox.sortie("forecast plan.yaml --json").exits(0).says("warning: no past runs are known");
    assert_eq!(ran.json()["agents"][0]["past_calls"], 0);
}

/// What the README shows of the program, each block with its first line.
fn shown_in_the_readme(beginning: &str) -> (&'static str, &'static str) {
    const README: &str = include_str!("../../../../README.md");
    let blocks = README.split("```text\n").skip(1).filter_map(|rest| rest.split("```").next());
    let block = blocks.into_iter().find(|block| block.starts_with(beginning)).expect(beginning);
    block.split_once('\n').expect(beginning)
}

#[test]
fn the_readme_s_forecast_is_what_is_printed() {
    let (command, shown) = shown_in_the_readme("$ sortie forecast ");
    let arguments = command.strip_prefix("$ sortie ").unwrap().replace("examples/", "");
    let ran = Sandbox::new().file("website.yaml", WEBSITE).sortie(&arguments).exits(0);
    assert_eq!(ran.stdout, shown, "{}", ran.transcript());
}

#[test]
fn the_readme_s_first_run_is_what_is_printed() {
    let (first, rest) = shown_in_the_readme("run 2");
    let run_id = first.strip_prefix("run ").unwrap().split(':').next().unwrap();
    let sandbox = Sandbox::new().file("website.yaml", WEBSITE);
    let ran = sandbox.sortie(&format!("run website.yaml --simulate --run-id {run_id}")).exits(0);
    for line in std::iter::once(first).chain(rest.lines()) {
        let said = ran.stdout.lines().chain(ran.stderr.lines()).any(|said| said == line);
        assert!(said, "`{line}` is in the README:\n{}", ran.transcript());
    }
}

#[test]
fn it_says_where_the_budget_would_stop_the_run_and_exits_well() {
    let sandbox = Sandbox::new().file("website.yaml", WEBSITE);
    let ran = sandbox.sortie("forecast website.yaml --max-cost 0.02").exits(0);
    assert!(ran.stdout.contains("the budget of $0.02 stops the run after about"), "{}", ran.transcript());
}

#[test]
fn what_is_foreseen_of_a_run_says_that_its_budget_stops_it() {
    let sandbox = Sandbox::new().file("website.yaml", WEBSITE);
    let ran = sandbox.sortie("run website.yaml --simulate --run-id one --max-cost 0.01").exits(3);
    let log = std::fs::read_to_string(sandbox.path("results/one/production.log")).unwrap();
    assert!(log.contains("; the budget of $0.01 stops the run after about"), "{log}\n{}", ran.transcript());
    let simulated = sandbox.sortie("forecast website.yaml --simulate").exits(0);
    assert!(simulated.stdout.contains(" calls to the simulator"), "{}", simulated.transcript());
}

#[test]
fn past_runs_are_what_it_is_drawn_from() {
    let simulator = Simulator::start();
    let tasks: Vec<String> = (0..12)
        .map(|n| format!("  - {{ id: t{n}, prompt: '[[sim latency=0.01 output_tokens=30]] Task {n}.' }}\n"))
        .collect();
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", format!("tasks:\n{}", tasks.concat()));
    let cold = sandbox.sortie("forecast plan.yaml --json").exits(0).json();
    assert_eq!(cold["agents"][0]["past_calls"], 0);
    let ran = sandbox.sortie("run plan.yaml --json").exits(0).json();
    let warm = sandbox.sortie("forecast plan.yaml --json").exits(0).json();
    assert_eq!(warm["agents"][0]["past_calls"], 12);
    let expected = |document: &serde_json::Value| document["cost"]["expected"].as_f64().unwrap();
    let actual = ran["total_cost"].as_f64().unwrap();
    assert!((expected(&warm) / actual - 1.0).abs() < 0.1, "{} is not {actual}", expected(&warm));
    assert!(expected(&cold) > 3.0 * actual, "{} is {actual}", expected(&cold));
}

#[test]
fn a_run_remembers_what_was_forecast_and_says_whether_it_came_so() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator)
        .file("plan.yaml", "tasks: [{ id: a, prompt: '[[sim latency=0.3]] a' }]");
    // Made beside the start, since nobody is asked.
    let ran = sandbox.sortie("run plan.yaml --run-id one --json").exits(0);
    let forecast = &ran.json()["forecast"];
    assert_eq!(forecast["cost_within"], true, "{}", ran.transcript());
    assert!(sandbox.read("results/one/report.md").contains("| Forecast |"));
    assert!(sandbox.read("results/one/production.log").contains("forecast: $"));
}
