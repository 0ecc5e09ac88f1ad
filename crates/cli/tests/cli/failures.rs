//! What goes wrong with a task or with a provider, and what the rest does then.

use std::fmt::Write;

use crate::support::{Sandbox, Simulator, Trap, WEBSITE};

/// The status of a task in a document.
fn status(document: &serde_json::Value, task: &str) -> String {
    document["task_results"][task]["status"].as_str().unwrap_or("absent").to_owned()
}

#[test]
fn a_failed_task_takes_down_its_dependants_alone() {
    let plan = "
tasks:
  - { id: a, prompt: 'A. [[sim fail=400]]' }
  - { id: b, prompt: B., depends_on: [a] }
  - { id: c, prompt: C., depends_on: [b] }
  - { id: d, prompt: D. }
";
    let sandbox = Sandbox::new().file("plan.yaml", plan);
    let ran = sandbox.sortie("run plan.yaml --simulate --json").exits(1);
    let document = ran.json();
    let found = ["a", "b", "c", "d"].map(|task| status(&document, task));
    assert_eq!(found, ["failed", "skipped", "skipped", "succeeded"]);
    assert_eq!(document["task_results"]["a"]["error"]["http_status"], 400);
    assert_eq!(document["task_results"]["c"]["error"]["class"], "skipped");
    ran.says("task b skipped: it depends on a, which failed");
}

/// The statuses of the tasks of a plan that is run with these options, in its order, and what is said of the run.
fn statuses(plan: &str, options: &str, exit: i32) -> (Vec<String>, String) {
    let sandbox = Sandbox::new().file("plan.yaml", plan);
    let ran = sandbox.sortie(&format!("run plan.yaml --simulate --json {options}")).exits(exit);
    let document = ran.json();
    let results = document["task_results"].as_object().unwrap();
    (results.keys().map(|task| status(&document, task)).collect(), document["error"].to_string())
}

#[test]
fn a_task_can_run_on_what_did_succeed() {
    let plan = "
tasks:
  - { id: a, prompt: 'A. [[sim fail=400]]' }
  - { id: b, prompt: 'B. [[sim output_tokens=9]]' }
  - { id: c, prompt: C., depends_on: [a] }
  - id: d
    prompt: 'Merge: <{{ results.a }}> <{{ results.a.score }}> <{{ results.b }}>'
    depends_on: [{ task: a, when: finished }, b, { task: c, when: any }]
";
    let (found, _) = statuses(plan, "", 1);
    assert_eq!(found, ["failed", "succeeded", "skipped", "succeeded"]);
    let relaxed = plan.replace("fail=400]]'", "fail=400]]', on_failure: continue");
    let (found, _) = statuses(&relaxed, "", 1);
    assert_eq!(found, ["failed", "succeeded", "succeeded", "succeeded"]);
}

#[test]
fn failures_end_a_run_where_the_plan_says_so_and_a_resume_goes_on() {
    let plan = "
tasks:
  - { id: a, prompt: 'A. [[sim fail=400]]' }
  - { id: b, prompt: 'B. [[sim fail=400]]' }
  - { id: c, prompt: C. }
  - { id: d, prompt: D., depends_on: [a] }
";
    let (found, said) = statuses(plan, "--mode serial --max-failures 2", 1);
    assert_eq!(found, ["failed", "failed", "pending", "skipped"]);
    assert_eq!(said, "\"stopped after 2 failed tasks; 1 task pending\"");
    let (found, said) =
        statuses(&plan.replace("B. [[sim fail=400]]'", "B.', on_failure: stop"), "--mode serial", 1);
    assert_eq!(found, ["failed", "succeeded", "succeeded", "skipped"], "{said}");
    let stops = format!(
        "max_failures: 9{}",
        plan.replace("A. [[sim fail=400]]'", "A. [[sim fail=400]]', on_failure: stop")
    );
    let sandbox = Sandbox::new().file("plan.yaml", &stops);
    let ran = sandbox.sortie("run plan.yaml --simulate --json --mode serial --run-id one").exits(1);
    assert_eq!(ran.json()["error"], "stopped because task a failed; 2 tasks pending");
    sandbox.sortie("runs").exits(0).says("stopped: failures");
    let document = sandbox.sortie("resume one --json").exits(1).json();
    let found = ["a", "b", "c", "d"].map(|task| status(&document, task));
    assert_eq!(found, ["failed", "failed", "succeeded", "skipped"]);
}

#[test]
fn each_retry_is_announced_with_its_delay() {
    let plan = "tasks: [{ id: a, prompt: 'A. [[sim fail=529,529]]' }]";
    let sandbox = Sandbox::new().file("plan.yaml", plan);
    let ran = sandbox.sortie("run plan.yaml --simulate --json").exits(0);
    assert_eq!(ran.json()["task_results"]["a"]["attempts"], 3);
    for attempt in [1, 2] {
        let announced =
            format!("task a: attempt {attempt} met an overloaded provider (HTTP 529), retrying in ");
        assert!(ran.stderr.contains(&announced), "{}", ran.transcript());
    }
}

#[test]
fn a_prompt_that_cannot_be_sent_fails_alone() {
    let simulator = Simulator::start();
    let mut plan = String::from("tasks:\n  - { id: fits, prompt: Hello. }\n  - { id: empty, prompt: '' }\n");
    let _ = writeln!(plan, "  - {{ id: long, prompt: '{}' }}", "x".repeat(100_001));
    let _ = writeln!(plan, "  - {{ id: untyped, prompt: Hello, task_type: '' }}");
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", plan);
    let ran = sandbox.sortie("run plan.yaml --json").exits(1);
    let document = ran.json();
    for task in ["empty", "long", "untyped"] {
        let error = &document["task_results"][task]["error"];
        assert_eq!(error["class"], "invalid", "{task}");
        assert!(error["message"].as_str().unwrap().contains(task), "the message names {task}: {error}");
    }
    assert_eq!(status(&document, "fits"), "succeeded");
    assert_eq!(document["success_rate"], 25.0);
    assert_eq!(simulator.stats().requests, 1);
}

#[test]
fn a_prompt_that_asks_for_what_a_result_does_not_have_is_no_call() {
    let simulator = Simulator::start();
    let plan =
        "tasks:\n  - { id: j, prompt: J. }\n  - { id: k, prompt: '{{ results.j.nope }}', depends_on: [j] }\n";
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", plan);
    let document = sandbox.sortie("run plan.yaml --run-id one --json").exits(1).json();
    assert_eq!(document["task_results"]["k"]["error"]["class"], "template");
    assert_eq!(
        (&document["api_calls_count"], &document["metrics"]["api_calls_count"]),
        (&1.into(), &1.into())
    );
    assert_eq!(sandbox.read("results/one/api_calls.log").lines().count(), 1);
    assert_eq!(simulator.stats().requests, 1);
}

#[test]
fn a_refused_key_stops_the_run_at_its_first_request() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator)
        .with("ANTHROPIC_API_KEY", "sk-sim-invalid")
        .file("website.yaml", WEBSITE);
    let document = sandbox.sortie("run website.yaml --run-id one --json").exits(4).json();
    assert_eq!(document["pending_tasks"], 5);
    assert_eq!(simulator.stats().requests, 1);
    // With another key the same run goes on.
    let sandbox = sandbox.with("ANTHROPIC_API_KEY", "sk-test");
    assert_eq!(sandbox.sortie("resume one --json").exits(0).json()["successful_tasks"], 5);
}

#[test]
fn what_is_missing_is_named_before_anything_is_made_or_sent() {
    let simulator = Simulator::start();
    let unpriced = "agents: { own: { provider: anthropic, model: house-model } }\ndefault_agent: own\n";
    let reaching = || Sandbox::reaching(&simulator).file("plan.yaml", "tasks: [{ id: a, prompt: A. }]");
    let check = |sandbox: Sandbox, options: &str, words: [&str; 2]| {
        let ran = sandbox.sortie(&format!("run plan.yaml {options}")).exits(4).says(words[0]).says(words[1]);
        assert_eq!(ran.stdout, "");
        assert!(!sandbox.path("results").exists(), "something was made:\n{}", ran.transcript());
    };
    check(reaching().with("ANTHROPIC_API_KEY", ""), "", ["ANTHROPIC_API_KEY is not set", "hint: "]);
    let (named, hint) = ("price of model \"house-model\"", "hint: set agents.own.price");
    check(reaching().file("sortie.yaml", unpriced), "--max-cost 1", [named, hint]);
    assert_eq!(simulator.stats().requests, 0);
    let limited = reaching().file("sortie.yaml", unpriced);
    check(limited.file("plan.yaml", "tasks: [{ id: a, prompt: A., max_cost: 1 }]"), "", [named, hint]);
    assert_eq!(simulator.stats().requests, 0);
    // Without a budget nobody has to know a price; a key that no task needs may be missing.
    reaching().file("sortie.yaml", unpriced).sortie("run plan.yaml").exits(0);
    reaching().with("OPENAI_API_KEY", "").sortie("run plan.yaml").exits(0);
}

#[test]
fn a_redirect_is_never_followed() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Trap::start(|_| "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned());
        let location = format!("{}/v1/messages", elsewhere.url());
        let endpoint = Trap::start(move |_| {
            format!(
                "HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
        });
        let sandbox = Sandbox::new()
            .with("ANTHROPIC_BASE_URL", endpoint.url())
            .with("ANTHROPIC_API_KEY", "sk-test")
            .file("plan.yaml", "tasks: [{ id: a, prompt: A. }]");
        sandbox.sortie("run plan.yaml").exits(1).says("redirects are not followed");
        assert_eq!((endpoint.requests().len(), elsewhere.requests().len()), (1, 0), "{status}");
    }
}

#[test]
fn a_run_that_cannot_be_reached_says_where_it_was_looked_for() {
    // A port that was free a moment ago: nothing listens there.
    let gone = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    let config = "rate_limiting: { max_retries: 0 }";
    let sandbox = Sandbox::new()
        .with("ANTHROPIC_BASE_URL", &format!("http://{gone}"))
        .with("ANTHROPIC_API_KEY", "sk-test")
        .file("sortie.yaml", config)
        .file("plan.yaml", "tasks: [{ id: a, prompt: A. }]");
    let ran = sandbox.sortie("run plan.yaml --json").exits(1);
    let document = ran.json();
    assert_eq!(document["task_results"]["a"]["error"]["class"], "network");
    assert_eq!(document["cost"]["at_risk"], 0.0);
    ran.says(&gone.to_string());
}
