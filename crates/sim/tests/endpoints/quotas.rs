//! Whose quotas bind which requests.

use http::Method;
use serde_json::{Value, json};
use sortie_sim::{Model, Scenario};

use crate::{ANTHROPIC, NOON, OPENAI, reply};

/// The statuses of these requests to OpenAI and Anthropic, which all come at once.
fn statuses(quotas: &str, model: &str, paths: &[&'static str]) -> Vec<u16> {
    let calm = Scenario::text_of("calm").unwrap();
    let scenario = Scenario::parse(&format!("{calm}\nunknown_models: served\n{quotas}\n")).unwrap();
    let mut simulator = Model::new(scenario, 7);
    let turns = json!([{"role": "user", "content": "Explain tides."}]);
    let mut status = |path: &&'static str| {
        let (headers, more): (_, Value) = match *path {
            "/v1/responses" => (OPENAI, json!({"model": model, "input": turns})),
            "/v1/messages" => (ANTHROPIC, json!({"model": model, "max_tokens": 100, "messages": turns})),
            _ => (OPENAI, json!({"model": model, "messages": turns})),
        };
        reply(&mut simulator, headers, (Method::POST, path), more.to_string(), NOON).0
    };
    paths.iter().map(&mut status).collect()
}

#[test]
fn a_provider_s_quota_binds_all_its_apis_whichever_is_asked_first() {
    let (chat, responses, messages) = ("/v1/chat/completions", "/v1/responses", "/v1/messages");
    let openai = "quotas: { openai: { requests_per_minute: 2, requests_burst: 2 } }";
    for paths in [[responses; 3], [chat; 3], [responses, chat, responses], [chat, responses, chat]] {
        assert_eq!(statuses(openai, "gpt-4o", &paths), [200, 200, 429], "{paths:?}");
    }
    // A model of both providers: each has its own quota of it.
    for paths in [[messages, responses, chat, chat, messages], [chat, chat, messages, messages, chat]] {
        let expected = if paths[0] == chat { [200, 200, 200, 200, 429] } else { [200, 200, 200, 429, 200] };
        assert_eq!(statuses(openai, "m", &paths), expected, "{paths:?}");
    }
}
