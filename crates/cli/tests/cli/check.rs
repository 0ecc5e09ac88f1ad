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
