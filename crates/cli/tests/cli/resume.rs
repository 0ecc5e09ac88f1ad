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

/// Four tasks in two lines: `a` before `b`, `c` before `d`.
const LINES: &str = "
defaults: { max_tokens: 100 }
tasks:
  - { id: a, prompt: A. }
  - { id: b, depends_on: [a], prompt: 'B. {{ results.a }}' }
  - { id: c, prompt: C. }
  - { id: d, depends_on: [c], prompt: 'D. {{ results.c }}' }
";

/// The same with other words for `c`, without `b`, and with `e` behind `a`.
fn changed_lines() -> String {
    let b = LINES.lines().find(|line| line.contains("id: b")).unwrap();
    let e = "  - { id: e, depends_on: [a], prompt: 'E. {{ results.a }}' }";
    LINES.replace(b, e).replace("prompt: C. }", "prompt: 'C, in other words.', priority: 3 }")
}

#[test]
fn a_plan_that_was_changed_is_refused_with_what_changed() {
    let sandbox = Sandbox::new().file("plan.yaml", LINES);
    sandbox.sortie("run plan.yaml --simulate --run-id one --max-cost 0.0013").exits(3);
    let sandbox = sandbox
        .file("plan.yaml", changed_lines())
        .file("sortie.yaml", "agents: { claude: { model: claude-opus-5-5, temperature: 0.5 } }");
    let ran = sandbox.sortie("resume one").exits(2);
    insta::assert_snapshot!("resume_changed", ran.stderr);
    // And nothing was done.
    let shown = sandbox.sortie("show one --json").json();
    let ran = sandbox.sortie("resume one --as-started --max-cost 1 --json").exits(0);
    assert_eq!(ran.json()["total_tasks"], 4, "{shown}");
}

#[test]
fn what_was_changed_is_done_again_with_all_behind_it_and_the_rest_is_kept() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", LINES);
    let first = sandbox.sortie("run plan.yaml --run-id one --json").exits(0).json();
    let sandbox = sandbox.file("plan.yaml", changed_lines());
    // What is finished is only shown, unless somebody says that it is to go on.
    sandbox.sortie("resume one").exits(0).says("run one is finished");
    let ran = sandbox.sortie("resume one --changed --json").exits(0);
    let ran = ran.says("of its tasks 2 done again, 1 new, 1 removed, 1 kept");
    let document = ran.json();
    let tasks: Vec<u64> = ["a", "b", "c", "d", "e"].map(|id| attempts(&document, id)).into();
    assert_eq!(tasks, [1, 1, 2, 2, 1], "{document}");
    assert_eq!(document["task_results"]["b"]["status"], "removed");
    assert_eq!((&document["total_tasks"], &document["successful_tasks"]), (&json!(4), &json!(4)));
    assert_eq!(document["task_results"]["a"]["result"], first["task_results"]["a"]["result"]);
    assert_ne!(document["task_results"]["c"]["result"], first["task_results"]["c"]["result"]);
    assert_eq!(simulator.stats().generations, 4 + 3);
    let billed: u64 = 7;
    assert_eq!(document["api_calls_count"].as_u64(), Some(billed));
    assert!(
        document["total_cost"].as_f64() > first["total_cost"].as_f64(),
        "what the old answers cost stays"
    );

    // From here on that is its plan.
    let shown = sandbox.sortie("show one --json").json();
    assert_eq!(shown["task_results"], document["task_results"]);
    sandbox.sortie("resume one --changed").exits(0).says("the plan and its agents are as they were");
    let costs = sandbox.sortie("costs --by run --json").exits(0);
    assert!(
        costs.stdout.contains("\"calls\":7") || costs.stdout.contains("\"calls\": 7"),
        "{}",
        costs.transcript()
    );
    let (sandbox, before) = (sandbox.file("plan.yaml", LINES), simulator.stats().generations);
    // And back: `b` is done again, because nobody knows whether its answer is still what it was.
    sandbox
        .sortie("resume one --changed")
        .exits(0)
        .says("of its tasks 2 done again, 1 new, 1 removed, 1 kept");
    assert_eq!(simulator.stats().generations, before + 3);
}

#[test]
fn another_model_of_an_agent_does_its_tasks_again() {
    let simulator = Simulator::start();
    let plan = LINES.replace("id: c,", "id: c, agent: other,").replace("id: d,", "id: d, agent: other,");
    let config =
        |model: &str| format!("agents: {{ claude: {{}}, other: {{ provider: anthropic, model: {model} }} }}");
    let sandbox =
        Sandbox::reaching(&simulator).file("plan.yaml", plan).file("sortie.yaml", config("claude-haiku-4-5"));
    sandbox.sortie("run plan.yaml --run-id one").exits(0);
    let sandbox = sandbox.file("sortie.yaml", config("claude-opus-4-5"));
    let ran = sandbox.sortie("resume one --changed --json").exits(0);
    let document = ran.says("model: claude-haiku-4-5 → claude-opus-4-5").json();
    let tasks: Vec<u64> = ["a", "b", "c", "d"].map(|id| attempts(&document, id)).into();
    assert_eq!(tasks, [1, 1, 2, 2]);
    assert!(document["task_results"]["c"]["model"].as_str().unwrap().contains("opus"), "{document}");
}

#[test]
fn a_run_whose_plan_is_gone_goes_on_with_what_it_was_started_with() {
    let sandbox = Sandbox::new().file("plan.yaml", LINES);
    sandbox.sortie("run plan.yaml --simulate --run-id one --max-cost 0.0013").exits(3);
    std::fs::rename(sandbox.path("plan.yaml"), sandbox.path("moved.yaml")).unwrap();
    sandbox
        .sortie("resume one")
        .exits(3)
        .says("cannot be read: the run goes on with what it was started with");
    sandbox.sortie("resume one --changed").exits(2).says("failed to read");
    sandbox.sortie("resume one --plan moved.yaml --max-cost 1").exits(0);
}

#[test]
fn limits_and_budgets_of_the_configuration_are_no_change_of_the_plan() {
    let sandbox = Sandbox::new().file("plan.yaml", LINES);
    sandbox.sortie("run plan.yaml --simulate --run-id one --max-cost 0.0013").exits(3);
    let config = "rate_limiting: { requests_per_minute: 7, max_retries: 9 }\ncost_control: { max_cost_per_session: 2 }";
    sandbox.file("sortie.yaml", config).sortie("resume one --max-cost 1").exits(0);
}
