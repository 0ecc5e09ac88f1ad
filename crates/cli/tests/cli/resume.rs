//! `sortie resume`: failed tasks that are tried again.

use serde_json::{Value, json};

use crate::support::{Ran, Sandbox, Simulator};

/// Of a run's document: each task's status.
fn statuses(document: &Value) -> Vec<(String, String)> {
    let tasks = document["task_results"].as_object().unwrap();
    tasks.iter().map(|(id, result)| (id.clone(), result["status"].as_str().unwrap().to_owned())).collect()
}

fn attempts(document: &Value, task: &str) -> u64 {
    document["task_results"][task]["attempts"].as_u64().unwrap()
}

#[track_caller]
fn says_not(ran: &Ran, what: &str) {
    assert!(!ran.stderr.contains(what), "{}", ran.transcript());
}

/// `b` fails once for good, `c` is behind it; `empty` can never be sent, `d` is behind that.
const FAILING: &str = "
tasks:
  - { id: a, prompt: A. }
  - { id: b, depends_on: [a], prompt: 'B. {{ results.a }} [[sim fail=400]]' }
  - { id: c, depends_on: [b], prompt: 'C. {{ results.b }}' }
  - { id: empty, prompt: '' }
  - { id: d, prompt: D., depends_on: [empty] }
";

#[test]
fn failed_and_skipped_tasks_of_a_finished_run_are_tried_again_and_the_rest_is_kept() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", FAILING);
    let first = sandbox.sortie("run plan.yaml --run-id one --json").exits(1).json();
    assert_eq!(first["successful_tasks"], 1);
    let before = simulator.stats().generations;

    let ran = sandbox.sortie("resume one").exits(1).says("run one is finished");
    says_not(&ran, "nothing to retry");
    let ran = sandbox.sortie("resume one --retry-failed --json").exits(1);
    let document = ran.says("2 failed or skipped tasks are tried again").json();
    let expected =
        [("a", "succeeded"), ("b", "succeeded"), ("c", "succeeded"), ("d", "skipped"), ("empty", "failed")];
    assert_eq!(statuses(&document), expected.map(|(id, status)| (id.to_owned(), status.to_owned())));
    assert_eq!(simulator.stats().generations, before + 2, "b and c, and a is not paid for again");
    assert_eq!((attempts(&document, "a"), attempts(&document, "b"), attempts(&document, "c")), (1, 2, 1));
    assert_eq!(document["execution_history"], json!(["empty", "a", "b", "c"]));
    assert_eq!(document["task_results"]["c"]["error"], Value::Null);

    // What is left nobody can help.
    let ran = sandbox.sortie("resume one --retry-failed").exits(1);
    ran.says("run one is finished, and there is nothing to retry");
    let shown = sandbox.sortie("show one --json").json();
    for field in ["successful_tasks", "failed_tasks", "skipped_tasks", "total_cost"] {
        assert_eq!(shown[field], document[field], "{field}");
    }
    let lines = sandbox.read("results/one/results.jsonl");
    assert_eq!(lines.lines().filter(|line| line.contains("\"status\":\"succeeded\"")).count(), 3);
    let shown = sandbox.sortie("show one b").exits(0);
    assert!(shown.stdout.contains("tried again"), "{}", shown.transcript());
}

#[test]
fn what_a_task_cost_before_it_was_tried_again_stays_in_its_cost() {
    let simulator = Simulator::start();
    let (plan, config) =
        ("tasks: [{ id: a, prompt: 'A. [[sim fail=lost]]' }]", "rate_limiting: { max_retries: 0 }");
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", plan).file("sortie.yaml", config);
    let first = sandbox.sortie("run plan.yaml --run-id one --json").exits(1).json();
    let last = sandbox.sortie("resume one --retry-failed --json").exits(0).json();
    let of = |document: &Value, amount: &str| document["task_results"]["a"][amount].as_f64().unwrap();
    assert!(of(&first, "at_risk_usd") > 0.0, "{first}");
    let lost = |document: &Value| document["task_results"]["a"]["at_risk_usd"].clone();
    assert_eq!(lost(&first), lost(&last), "what was lost stays at risk");
    assert_eq!((of(&first, "cost_usd"), last["total_cost"].as_f64()), (0.0, Some(of(&last, "cost_usd"))));
    assert!(of(&last, "cost_usd") > 0.0, "{last}");
    // And it counts against the budget.
    assert_eq!(last["cost"]["at_risk"], last["task_results"]["a"]["at_risk_usd"]);
}

#[test]
fn a_run_that_was_stopped_goes_on_and_tries_again_what_had_failed() {
    let plan = "
tasks:
  - { id: a, prompt: 'A. [[sim fail=400]]' }
  - { id: b, prompt: B., depends_on: [a] }
  - { id: c, prompt: C. }
";
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", plan);
    let refusing = sandbox.sortie("run plan.yaml --run-id one --max-cost 0.0001").exits(3);
    refusing.says("Budget exceeded");
    sandbox.sortie("resume one --max-cost 1 --json").exits(1);
    let document = sandbox.sortie("resume one --retry-failed --json").exits(0).json();
    assert_eq!(document["successful_tasks"], 3);
    sandbox.sortie("resume --retry-failed").exits(2).says("<RUN>");
}
