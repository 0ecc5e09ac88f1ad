//! `sortie check`: what is missing before a run, found without spending.

use serde_json::Value;

use crate::support::{Ran, Sandbox, Simulator, WEBSITE};

/// The state of a line of the list.
fn state(ran: &Ran, what: &str) -> String {
    let list = ran.json();
    let found = list.as_array().unwrap().iter().find(|point| point["what"] == what);
    found.map_or("absent", |point| point["state"].as_str().unwrap()).to_owned()
}

#[test]
fn what_is_set_up_is_asked_and_costs_nothing() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator).file("website.yaml", WEBSITE);
    let ran = sandbox.sortie("check website.yaml --json").exits(0);
    for what in ["key of claude", "endpoint of claude", "results directory", "plan"] {
        assert_eq!(state(&ran, what), "ok", "{what}:\n{}", ran.transcript());
    }
    // An agent that the plan does not use is not asked.
    assert_eq!(state(&ran, "endpoint of openai"), "absent");
    let stats = simulator.stats();
    assert_eq!((stats.requests, stats.generations), (1, 0));
    assert!(!sandbox.path("results").exists(), "checking makes nothing");
}

#[test]
fn what_is_missing_is_listed_all_at_once() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator)
        .with("ANTHROPIC_API_KEY", "sk-sim-invalid")
        .with("OPENAI_API_KEY", "")
        .file("taken", "a file");
    let ran = sandbox.sortie("check --json --results-dir taken/here").exits(4);
    assert_eq!(state(&ran, "key of claude"), "ok");
    for what in ["endpoint of claude", "key of openai", "results directory"] {
        assert_eq!(state(&ran, what), "missing", "{what}:\n{}", ran.transcript());
    }
    let hints = ran.json().as_array().unwrap().iter().filter(|point| point["hint"] != Value::Null).count();
    assert!(hints >= 2, "{}", ran.transcript());
}

#[test]
fn offline_asks_nobody() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator).file("website.yaml", WEBSITE);
    let ran = sandbox.sortie("check website.yaml --offline --json").exits(0);
    assert_eq!(
        (state(&ran, "key of claude"), state(&ran, "endpoint of claude")),
        ("ok".into(), "absent".into())
    );
    assert_eq!(simulator.stats().requests, 0);
}

#[test]
fn a_price_that_a_run_would_be_refused_for_is_missing() {
    let agent = "agents: { own: { provider: anthropic, model: house-model";
    let plan = |task: &str| format!("tasks: [{{ id: a, prompt: A.{task} }}]");
    for (config, task, state_of_it, exit) in [
        (" } }", "", "warning", 0),
        (", max_cost: 1 } }", "", "missing", 4),
        (" } }\ncost_control: { max_cost_per_task: 1 }", "", "missing", 4),
        (" } }\ncost_control: { max_cost_per_session: 1 }", "", "missing", 4),
        (" } }", ", max_cost: 1", "missing", 4),
    ] {
        let sandbox = Sandbox::new().with("ANTHROPIC_API_KEY", "sk-test");
        let sandbox = sandbox.file("sortie.yaml", format!("{agent}{config}")).file("plan.yaml", plan(task));
        let ran = sandbox.sortie("check plan.yaml --offline --json").exits(exit);
        assert_eq!(state(&ran, "price of house-model"), state_of_it, "{config} {task}");
    }
}

#[test]
fn calls_that_can_never_fit_a_limit_are_warned_of_with_the_amounts() {
    let plan = "defaults: { max_tokens: 100 }\n\
                tasks: [{ id: a, prompt: A. }, { id: b, prompt: B. }, { id: c, prompt: C., max_cost: 1 }]";
    let check = |config: &str, said: &str| {
        let sandbox = Sandbox::new().with("ANTHROPIC_API_KEY", "sk-test");
        let sandbox = sandbox.file("plan.yaml", plan).file("sortie.yaml", config);
        let ran = sandbox.sortie("check plan.yaml --offline").exits(0);
        assert_eq!(ran.stdout.contains("may cost $"), !said.is_empty(), "{}", ran.transcript());
        assert!(ran.stdout.contains(said), "{said}\n{}", ran.transcript());
    };
    check("cost_control: { max_cost_per_session: 1, max_cost_per_task: 0.5 }", "");
    let of_task = "more than its limit of $0.0001: it fails unsent (so of 1 more)";
    check("cost_control: { max_cost_per_task: 0.0001 }", of_task);
    check(
        "cost_control: { max_cost_per_task: 0.0001 }",
        "limit of a task: $0.0001, where a task states no other",
    );
    let of_run = "more than the budget of $0.0001: the run stops there (so of 2 more)";
    check("cost_control: { max_cost_per_session: 0.0001 }", of_run);
    let of_agent = "more than the budget of claude of $0.0001: its tasks stop there (so of 2 more)";
    check("agents: { claude: { max_cost: 0.0001 } }", of_agent);
}

#[test]
fn all_limits_that_are_stated_are_listed_and_those_of_agents_that_are_not_used_are_not() {
    let config = "agents:\n  claude: { rate_limiting: { max_concurrent: 3, input_tokens_per_minute: 90000 } }\n  \
                  openai: { rate_limiting: { requests_per_minute: 7 } }";
    let sandbox =
        Sandbox::new().file("sortie.yaml", config).file("plan.yaml", "tasks: [{ id: a, prompt: Go. }]");
    let stated =
        "rate limits: 90000 input tokens/min, 3 at a time at anthropic/claude-sonnet-5-5; 10 at a time\n";
    let sandbox = sandbox.with("ANTHROPIC_API_KEY", "sk-test");
    sandbox.sortie("check plan.yaml --offline").exits(0).says(stated);
    let ran = sandbox.sortie("run plan.yaml --simulate").exits(0);
    ran.says("  10 at a time, 3 of them at anthropic/claude-sonnet-5-5, ");
}
