//! Agents whose account will not serve, and who does their tasks then.

use serde_json::Value;

use crate::support::{Ran, Sandbox, Simulator};

const CONFIG: &str = "agents: { claude: { fallback: gpt }, gpt: { model: gpt-6.1-sol } }";

const PLAN: &str = "
tasks:
  - { id: a, prompt: A. }
  - { id: b, prompt: 'B after {{ results.a }}.', depends_on: [a] }
";

/// A sandbox in which Anthropic refuses the key.
fn without_claude(simulator: &Simulator) -> Sandbox {
    let sandbox = Sandbox::reaching(simulator).with("ANTHROPIC_API_KEY", "sk-sim-invalid");
    sandbox.file("sortie.yaml", CONFIG).file("plan.yaml", PLAN)
}

fn point(ran: &Ran, what: &str) -> Value {
    let list = ran.json();
    let found = list.as_array().unwrap().iter().find(|point| point["what"] == what);
    found.cloned().unwrap_or_else(|| panic!("{what}:\n{}", ran.transcript()))
}

#[test]
fn an_account_that_refuses_costs_no_task_and_who_answered_is_billed() {
    let simulator = Simulator::start();
    let sandbox = without_claude(&simulator);
    let ran = sandbox.sortie("run plan.yaml --run-id one --json").exits(0);
    let ran = ran.says("only as a fallback").says("task a goes to gpt: claude is stopped");
    let document = ran.json();
    assert_eq!((&document["success"], &document["rerouted_tasks"]), (&true.into(), &2.into()));
    for task in ["a", "b"] {
        let result = &document["task_results"][task];
        assert_eq!((&result["agent"], &result["model"]), (&"gpt".into(), &"gpt-6.1-sol".into()), "{task}");
    }
    let billed: u64 = simulator.ledger().iter().map(|entry| entry.cost_picodollars.pico()).sum();
    let dollars = |agent: &str| document["cost"]["by_agent"][agent]["cost"].as_f64().unwrap();
    assert!((dollars("gpt") * 1e12 - billed as f64).abs() < 1.0 && billed > 0, "{billed}");
    assert!(dollars("claude").abs() < f64::EPSILON);
    sandbox.sortie("show one a").exits(0).says("gpt (gpt-6.1-sol), for claude");
    sandbox.sortie("show one").exits(0).says("2 tasks went to a fallback");
}

#[test]
fn a_fallback_without_a_key_is_left_out_and_stops_nobody_from_starting() {
    let simulator = Simulator::start();
    let sandbox = without_claude(&simulator).with("OPENAI_API_KEY", "");
    let checked = sandbox.sortie("check plan.yaml --offline --json").exits(0);
    assert_eq!(point(&checked, "key of gpt")["state"], "warning");
    let fallback = point(&checked, "fallback of claude");
    assert_eq!(fallback["state"], "warning");
    assert!(fallback["found"].as_str().unwrap().contains("no task goes there: "), "{fallback}");
    let ran = sandbox.sortie("run plan.yaml --json").exits(4);
    let ran = ran.says("warning: gpt will be nobody's fallback: ").says("stopped by the provider");
    assert_eq!(ran.json()["pending_tasks"], 2);
}

#[test]
fn a_price_that_nobody_knows_keeps_tasks_from_a_fallback_under_a_budget() {
    let simulator = Simulator::start();
    let config = "agents: { claude: { fallback: own }, own: { provider: openai, model: my-model } }";
    let sandbox = without_claude(&simulator).file("sortie.yaml", config);
    let ran = sandbox.sortie("run plan.yaml --max-cost 1 --json").exits(4);
    ran.says("warning: own will be nobody's fallback: ");
    let ran = sandbox.sortie("run plan.yaml --json").exits(0);
    assert_eq!(ran.json()["task_results"]["b"]["agent"], "own");
}

#[test]
fn a_resume_goes_on_without_a_fallback_whose_key_is_gone() {
    let simulator = Simulator::start();
    let sandbox = without_claude(&simulator);
    sandbox.sortie("run plan.yaml --run-id one --max-cost 0.000001").exits(3);
    let sandbox = sandbox.with("OPENAI_API_KEY", "");
    let ran = sandbox.sortie("resume one --max-cost 1 --json").exits(4);
    let ran = ran.says("OPENAI_API_KEY is not set");
    assert_eq!(ran.json()["pending_tasks"], 2);
    let sandbox = sandbox.with("OPENAI_API_KEY", "sk-test-o");
    assert_eq!(sandbox.sortie("resume one --json").exits(0).json()["successful_tasks"], 2);
}

#[test]
fn a_prompt_that_a_fallback_cannot_take_is_told_before_the_run() {
    let simulator = Simulator::start();
    let config = "agents: { claude: { fallback: small }, small: { provider: openai, model: gpt-4 } }";
    let long = "word ".repeat(1_000);
    let plan = format!("tasks: [{{ id: a, prompt: Go. }}, {{ id: b, prompt: '{long}' }}]");
    let sandbox = Sandbox::reaching(&simulator).file("sortie.yaml", config).file("plan.yaml", plan);
    let found = point(&sandbox.sortie("check plan.yaml --offline --json").exits(0), "fallback of claude");
    let expected =
        "small (gpt-4): 1 of 2 tasks may be more than its window of 8192 tokens, and do not go there";
    assert_eq!((&found["state"], &found["found"]), (&"warning".into(), &expected.into()));
}
