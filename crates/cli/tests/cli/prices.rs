//! `sortie prices`, and which prices a run is charged by.

use serde_json::{Value, json};
use sortie::core::price::table;

use crate::support::{Sandbox, Simulator, Trap};

/// Two agents whose price the configuration states, and one of the table.
const OWN: &str = "
agents:
  local: { provider: openai, model: qwen3, base_url: 'http://127.0.0.1:1/v1', price: free }
  own: { provider: openai, model: gpt-6.1-sol, price: { input: 0.5, output: 2 } }
  claude: {}
";

#[test]
fn all_models_are_listed_with_the_table_s_name() {
    let list = Sandbox::new().sortie("prices").exits(0).stdout;
    let rows: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
    for row in &table().rows {
        assert!(rows.iter().any(|cells| cells.first() == Some(&&*row.model)), "{}: {list}", row.model);
    }
    let sonnet = rows.iter().find(|row| row.first() == Some(&"claude-sonnet-5-5")).unwrap();
    assert_eq!(sonnet[1..7], ["2", "10", "0.1", "2.5", "4", "1/5"], "{list}");
    assert!(list.contains("2026-06-15 (retired)"), "{list}");
    assert!(list.contains(&format!("Price table of {}, made from litellm ", table().name())), "{list}");
    assert!(!list.contains("Stated in"), "{list}");
}

#[test]
fn one_provider_s_models_can_be_listed() {
    for (provider, has, has_not) in
        [("anthropic", "claude-opus-5-5", "gpt-6.1-sol"), ("openai", "gpt-6.1-sol", "claude-")]
    {
        let list = Sandbox::new().sortie(&format!("prices --provider {provider}")).exits(0).stdout;
        assert!(list.contains(has) && !list.contains(has_not), "{list}");
    }
}

#[test]
fn one_model_is_shown_with_all_its_rates_under_any_of_its_names() {
    let sandbox = Sandbox::new();
    let shown = sandbox.sortie("prices claude-sonnet-4-5-20250929").exits(0).stdout;
    assert!(shown.starts_with("claude-sonnet-4-5 (anthropic)\n"), "{shown}");
    assert!(shown.contains("its successor is claude-sonnet-5-5"), "{shown}");
    assert!(shown.contains("standard, input above 200,000"), "{shown}");
    let document = sandbox.sortie("prices gpt-6.1-sol --json").exits(0).json();
    let [model] = &document["models"].as_array().unwrap()[..] else { panic!("{document}") };
    assert_eq!(model["rates"]["priority"]["long"]["output"], 30.0);
    assert_eq!(model["rates"]["standard"]["cache_read"], 0.1);
    assert_eq!((&model["web_search"], &model["retired"]), (&json!(0.01), &json!(false)));
    assert_eq!(document["sha256"], table().hash.to_string());
}

#[test]
fn a_configuration_s_own_prices_are_shown_as_such() {
    let sandbox = Sandbox::new().file("sortie.yaml", OWN);
    let list = sandbox.sortie("prices").exits(0).stdout;
    let (_, stated) = list.split_once("\nStated in sortie.yaml").unwrap();
    let agents: Vec<&str> = stated.lines().skip(2).map_while(|line| line.split_whitespace().next()).collect();
    assert_eq!(agents, ["local", "own"], "{list}");
    let shown = sandbox.sortie("prices qwen3").exits(0).stdout;
    assert!(shown.contains("free") && !shown.contains("gpt-"), "{shown}");
    let document = sandbox.sortie("prices gpt-6.1-sol --json").exits(0).json();
    assert_eq!(
        (&document["models"][0]["model"], &document["stated"][0]["rates"]["input"]),
        (&json!("gpt-6.1-sol"), &json!(0.5))
    );
    // An absurd one is refused, by its rule.
    let absurd = "agents: { own: { model: gpt-6.1-sol, price: { input: 5, output: 0.1 } } }";
    let ran = Sandbox::new().file("sortie.yaml", absurd).sortie("prices").exits(2);
    ran.says("the price of agent `own` is absurd: output costs less than a tenth of input");
}

#[test]
fn a_run_names_the_table_that_it_was_priced_with() {
    let plan = "tasks: [{ id: a, prompt: A. }, { id: b, prompt: B., agent: local }]";
    let config = "agents: { claude: {}, local: { provider: openai, model: qwen3, price: free } }";
    let sandbox = Sandbox::new().file("plan.yaml", plan).file("sortie.yaml", config);
    sandbox.sortie("run plan.yaml --simulate --run-id one").exits(0);
    let named = table().name();
    let report = sandbox.read("results/one/report.md");
    assert!(report.contains(&format!("| Prices | table of {named}; local free |")), "{report}");
    let summary: Value = serde_json::from_str(&sandbox.read("results/one/summary.json")).unwrap();
    assert_eq!(summary["cost"]["price_table"], json!(named));
}

#[test]
fn what_is_free_costs_nothing_and_holds_no_budget_up() {
    let simulator = Simulator::start();
    let config = format!(
        "agents: {{ local: {{ provider: openai, model: qwen3, base_url: '{}/v1', price: free }} }}\ndefault_agent: local\n",
        simulator.url()
    );
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", "tasks: [{ id: a, prompt: A. }]");
    let sandbox = sandbox.file("sortie.yaml", &config);
    let document = sandbox.sortie("run plan.yaml --max-cost 0.000001 --json").exits(0).json();
    assert_eq!((&document["successful_tasks"], &document["total_cost"]), (&json!(1), &json!(0.0)));
    assert_eq!(simulator.stats().generations, 1);
}

/// A gateway that serves a dearer model than asked, in a tier that nobody asked for.
fn dear_gateway(message: &'static str) -> Trap {
    Trap::start(move |_| {
        let message: Value = serde_json::from_str(message).unwrap();
        let body = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1,
            "model": "gpt-6-astra", "service_tier": "priority",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}});
        let body = body.to_string();
        let length = body.len();
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
    })
}

#[test]
fn a_dearer_reply_is_charged_for_what_it_is_and_the_overrun_is_said() {
    let answered = r#"{"role": "assistant", "content": "Yes."}"#;
    let refused = r#"{"role": "assistant", "content": null, "refusal": "No."}"#;
    for (message, code) in [(answered, 0), (refused, 1)] {
        let gateway = dear_gateway(message);
        let plan = "defaults: { agent: openai, max_tokens: 20 }\ntasks: [{ id: a, prompt: A. }]";
        let sandbox = Sandbox::new()
            .with("OPENAI_BASE_URL", &format!("{}/v1", gateway.url()))
            .with("OPENAI_API_KEY", "sk-test")
            .file("plan.yaml", plan);
        let document =
            sandbox.sortie("run plan.yaml --max-cost 0.0004 --run-id one --json").exits(code).json();
        // 10 tokens at $20 and 5 at $100 a million, gpt-6-astra's priority rates.
        assert_eq!(document["cost"]["total_cost"], json!(0.0007), "{message}");
        assert_eq!(document["cost"]["utilization"], json!(175.0), "{message}");
        let log = sandbox.read("results/one/production.log");
        assert!(log.contains("Budget exceeded: $0.0007 > $0.0004"), "{log}");
    }
}

#[test]
fn a_model_of_another_provider_is_said_to_be_that() {
    let ran = Sandbox::new().sortie("prices --provider anthropic gpt-4o").exits(2);
    ran.says("gpt-4o is no model of anthropic's: the table has it as openai's")
        .says("--provider openai has it");
}
