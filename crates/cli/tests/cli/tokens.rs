//! How many tokens a prompt has is counted where that can be known, and never asked for twice.

use std::fmt::Write;

use serde_json::Value;

use crate::support::{Sandbox, Simulator, Trap};

/// Of some 400 bytes and 100 tokens.
const LONG: &str =
    "The shared interface explains the narrow answer, and the narrow answer follows the plain service.";

const COUNTED: &str = "agents: { claude: { model: claude-sonnet-5-5, count_tokens: true } }";

/// So many tasks; each second one has the prompt of the one before.
fn plan(tasks: usize) -> String {
    let mut plan = "defaults: { max_tokens: 100 }\ntasks:\n".to_owned();
    for n in 0..tasks {
        writeln!(plan, "  - {{ id: t{n}, prompt: \"{} Number {}.\" }}", LONG.repeat(4), n / 2).unwrap();
    }
    plan
}

fn agent(forecast: &Value) -> (u64, f64) {
    let agent = &forecast["agents"][0];
    (agent["input_tokens"].as_u64().unwrap(), agent["input_ratio"].as_f64().unwrap())
}

/// Actual and reserved input tokens, as the report of a run tells them.
fn reported(sandbox: &Sandbox, run: &str) -> (u64, u64) {
    let report = sandbox.read(&format!("results/{run}/report.md"));
    let line = report.lines().find_map(|line| line.strip_prefix("| Input tokens | ")).expect("it is told");
    let (actual, rest) = line.split_once(" of ").unwrap();
    (actual.parse().unwrap(), rest.split(' ').next().unwrap().parse().unwrap())
}

#[test]
fn anthropic_counts_each_distinct_prompt_once_where_it_is_asked_to() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", plan(6));
    let (_, by_bytes) = agent(&sandbox.sortie("forecast plan.yaml --json").exits(0).json());
    assert_eq!(simulator.stats().requests, 0, "nobody is asked unless told");
    sandbox.sortie("run plan.yaml --run-id bytes").exits(0);
    let before = simulator.stats().requests;

    let sandbox = sandbox.file("sortie.yaml", COUNTED);
    let ran = sandbox.sortie("forecast plan.yaml --json").exits(0);
    let ran = ran.says("counting the tokens of 3 distinct prompts at the provider, at no cost");
    let (_, counted) = agent(&ran.json());
    assert!(by_bytes < 0.26 && counted > 0.7, "{by_bytes} {counted}");
    assert_eq!(simulator.stats().requests - before, 3);
    // What is supposed of limits changes no prompt, another model counts anew.
    let asked = |what_if: &str| {
        let before = simulator.stats().requests;
        sandbox.sortie(&format!("forecast plan.yaml {what_if} --quiet")).exits(0);
        simulator.stats().requests - before
    };
    assert_eq!((asked("--rpm 60"), asked("--agent claude=claude-haiku-4-5")), (3, 6));
    sandbox.sortie("check plan.yaml").exits(0).says("input tokens: counted in 6 tasks");

    sandbox
        .sortie("run plan.yaml --run-id counted")
        .exits(0)
        .says("counting the tokens of 3 distinct prompts");
    let (actual, by_bytes) = reported(&sandbox, "bytes");
    let (same, counted) = reported(&sandbox, "counted");
    assert_eq!(actual, same);
    assert!(actual <= counted && counted < by_bytes / 2, "{actual} of {counted}, by bytes {by_bytes}");
    assert_eq!(simulator.stats().generations, 12);
}

#[test]
fn a_provider_that_does_not_count_is_not_asked_again_and_bytes_bound() {
    let body = r#"{"type":"error","error":{"type":"rate_limit_error","message":"Slow down."}}"#;
    let reply = format!(
        "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\nretry-after: 1\r\n\r\n{body}",
        body.len()
    );
    let server = Trap::start(move |_| reply.clone());
    let sandbox = Sandbox::new()
        .with("ANTHROPIC_API_KEY", "sk-test-a")
        .with("ANTHROPIC_BASE_URL", server.url())
        .file("sortie.yaml", COUNTED)
        .file("plan.yaml", plan(80));
    let ran = sandbox.sortie("forecast plan.yaml --json").exits(0);
    let ran = ran.says("warning: the tokens of 80 tasks of 80 were not counted, and bytes bound them: ");
    assert!(agent(&ran.json()).1 < 0.26, "{}", ran.transcript());
    let asked = server.requests().len();
    assert!(asked <= 8, "eight at a time, and none after a refusal: {asked}");
    assert!(server.requests().iter().all(|request| request.starts_with("POST /v1/messages/count_tokens ")));

    // Whoever has no key yet can still be told what it will cost.
    let keyless = Sandbox::new().file("sortie.yaml", COUNTED).file("plan.yaml", plan(2));
    keyless.sortie("forecast plan.yaml").exits(0).says("warning: no tokens are counted: ");
}

#[test]
fn models_with_a_published_tokenizer_are_counted_here_and_only_those() {
    let plan = "tasks: [{ id: a, prompt: Write a test plan of five. }]";
    let check = |agent_says: &str, expect: (u64, f64)| {
        let config = format!("agents: {{ gpt: {{ provider: openai, {agent_says} }} }}");
        let sandbox = Sandbox::new().file("plan.yaml", plan).file("sortie.yaml", config);
        let (tokens, ratio) = agent(&sandbox.sortie("forecast plan.yaml --json").exits(0).json());
        assert_eq!((tokens, (ratio * 1000.0).round() / 1000.0), expect, "{agent_says}");
    };
    // Seven tokens, and seven around them, of 7 + 32 reserved; or a quarter of 26 bytes + 32.
    let (counted, by_bytes) = ((14, 0.359), (15, 0.259));
    check("model: gpt-4o", counted);
    check("model: gpt-5.6-sol, api: responses", counted);
    check("model: gpt-4o, count_tokens: false", by_bytes);
    check("model: gpt-6.1-sol", by_bytes);
    check("model: gpt-6.1-sol, count_tokens: true", by_bytes);
    check("model: gpt-4o, base_url: 'http://127.0.0.1:9/v1'", by_bytes);
    check("model: gpt-4o, base_url: 'http://127.0.0.1:9/v1', count_tokens: true", counted);
}
