//! Staged tests of agents, limits and budget (`sortie trial`).
//!
//! | file | for |
//! | --- | --- |
//! | `kinds` | each test and phase on the virtual clock: its documents, and what the founding document asks of it |
//! | `scenarios` | the founding document's three scenarios, over many seeds |
//! | `dying` | endpoints that die in the middle, and slow ones that do not |
//! | `failing` | trials that have to fail, and what keeps one from beginning |
//! | `advice` | what is said of money, quotas and settings, before and after |
//! | `endpoint` | the same over HTTP: what was reported against what was billed |
//! | `rows` | several phases, earlier trials, the user's own tasks |
//! | `stops` | signals, whenever they come |

mod advice;
mod dying;
mod endpoint;
mod failing;
mod kinds;
mod rows;
mod scenarios;
mod stops;

use std::path::Path;

use serde_json::Value;

use crate::support::{Ran, Sandbox};

/// The founding document's configuration as it stands (SPEC.md E5).
const CONFIGURATION: &str = include_str!("../../../../../examples/config.production.yaml");

/// Where that configuration keeps its runs.
const RESULTS: &str = "results/production";

/// A place with the founding document's configuration, and no key.
fn production() -> Sandbox {
    Sandbox::new().file("config.production.yaml", CONFIGURATION)
}

/// Makes a trial in a place with that configuration, on the founding document's API; gives its document.
#[track_caller]
fn seeded(arguments: &str) -> Value {
    let sandbox = production();
    let ran = sandbox.sortie(&format!("trial --simulate=seed --json {arguments}"));
    held(&sandbox, RESULTS, &ran)
}

/// What holds of every trial that came to a verdict: one document, which agrees with itself, the exit code and the files.
#[track_caller]
fn held(sandbox: &Sandbox, results: &str, ran: &Ran) -> Value {
    let document = ran.json();
    let told = ran.transcript();
    let criteria = criteria(&document);
    assert!(criteria.len() >= 10, "{told}");
    for criterion in criteria {
        let fields: Vec<&str> = criterion.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["met", "name", "threshold", "value", "why"], "{told}");
        assert_ne!(criterion["why"], "", "{told}");
    }
    let passed = unmet(&document).is_empty();
    assert_eq!(document["success"], passed, "{told}");
    assert_eq!(document["verdict"], if passed { "pass" } else { "fail" }, "{told}");
    assert_eq!(ran.code(), if passed { 0 } else { 5 }, "{told}");
    assert!(document["endpoint"].is_string() && document["started_at"].is_string(), "{told}");
    for trial in document.get("phases").and_then(Value::as_array).unwrap_or(&vec![document.clone()]) {
        left(sandbox, results, trial);
    }
    document
}

/// The files of a trial, beside those of the run that was judged.
#[track_caller]
fn left(sandbox: &Sandbox, results: &str, trial: &Value) {
    let directory = Path::new(results).join(trial["run_id"].as_str().unwrap());
    let read = |name: &str| sandbox.read(directory.join(name).to_str().unwrap());
    let kept: Value = serde_json::from_str(&read("trial.json")).unwrap();
    let mut shown = trial.clone();
    // Of several in a row, the last one's document has all of them besides.
    shown.as_object_mut().unwrap().remove("phases");
    assert_eq!(kept, shown);
    let report = read("test_report.md");
    let verdict = if trial["success"] == true { "**Passed**" } else { "**Failed**" };
    assert!(report.starts_with("# Trial report: ") && report.contains(verdict), "{report}");
    let junit = read("junit.xml");
    assert!(junit.starts_with("<?xml") && junit.contains("<testsuite name=\"criteria\""), "{junit}");
    let judged: Value =
        match std::fs::read_to_string(sandbox.path(directory.join("summary.json").to_str().unwrap())) {
            Ok(text) => serde_json::from_str(&text).unwrap(),
            // The test itself was not made.
            Err(_) => return,
        };
    let missing: Vec<&String> =
        judged.as_object().unwrap().keys().filter(|field| trial.get(field).is_none()).collect();
    assert!(missing.is_empty(), "the run's summary has {missing:?}");
    for name in ["report.md", "results.jsonl", "api_calls.log", "production.log"] {
        assert!(sandbox.path(directory.join(name).to_str().unwrap()).is_file(), "{name}");
    }
}

/// A scenario whose answers take so many seconds and have 100 tokens.
fn scenario(seconds: u32, faults: &str) -> String {
    format!(
        "name: own\nlatency: {{ total: {{ seconds: {{ fixed: {seconds} }}, first_token: {{ fixed: 1 }} }} }}\n\
         output_tokens: {{ fixed: 100 }}\nfaults: [{faults}]\n"
    )
}

/// What a trial was held to.
fn criteria(document: &Value) -> &[Value] {
    document["criteria"].as_array().unwrap()
}

/// The criterion of this name.
#[track_caller]
fn criterion<'a>(document: &'a Value, name: &str) -> &'a Value {
    let found = criteria(document).iter().find(|criterion| criterion["name"] == name);
    found.unwrap_or_else(|| panic!("no criterion is called {name}: {document}"))
}

fn named<'a>(document: &'a Value, met: &Value) -> Vec<&'a str> {
    let of = criteria(document).iter().filter(|criterion| criterion["met"] == *met);
    of.map(|criterion| criterion["name"].as_str().unwrap()).collect()
}

/// The names of the criteria that were not met.
fn unmet(document: &Value) -> Vec<&str> {
    named(document, &Value::Bool(false))
}

/// The names of those that do not apply.
fn idle(document: &Value) -> Vec<&str> {
    named(document, &Value::Null)
}

fn number(document: &Value, path: &str) -> f64 {
    document
        .pointer(path)
        .and_then(Value::as_f64)
        .unwrap_or_else(|| panic!("{path} is no number: {document}"))
}

/// Says what was measured, for whoever reads along.
#[expect(clippy::print_stdout, reason = "figures that no assertion shows")]
fn say(figures: &str) {
    println!("{figures}");
}
