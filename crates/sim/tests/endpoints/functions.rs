//! Functions as they were called before there were tools, and thoughts that are not shown.

use http::Method;
use serde_json::{Value, json};

use crate::{ANTHROPIC, NOON, OPENAI, calm, json_of, reply};

const CHAT: (Method, &str) = (Method::POST, "/v1/chat/completions");
const RESPONSES: (Method, &str) = (Method::POST, "/v1/responses");
const MESSAGES: (Method, &str) = (Method::POST, "/v1/messages");

/// The payloads of a stream.
fn events(headers: &[(&str, &str)], asked: (Method, &str), mut body: Value) -> Vec<Value> {
    body["stream"] = json!(true);
    let (status, stream) = reply(&mut calm(), headers, asked, body.to_string(), NOON);
    assert_eq!(status, 200, "{stream}");
    stream.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
}

#[test]
fn a_function_that_is_offered_as_before_is_called_so() {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let body = json!({
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Explain tides."}],
        "functions": [{"name": "f"}, {"name": "g", "parameters": schema}],
        "function_call": {"name": "g"},
    });
    let said = json_of(&mut calm(), OPENAI, CHAT, &body, (NOON, 200));
    let choice = &said["choices"][0];
    assert_eq!(choice["finish_reason"], "function_call");
    let (call, message) = (&choice["message"]["function_call"], &choice["message"]);
    assert_eq!((&call["name"], &message["content"]), (&json!("g"), &Value::Null));
    assert!(message["tool_calls"].is_null());
    let arguments = call["arguments"].as_str().unwrap();
    assert!(serde_json::from_str::<Value>(arguments).unwrap()["n"].is_i64(), "{arguments}");

    let chunks = events(OPENAI, CHAT, body);
    let deltas = || chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]["function_call"]);
    let streamed: String = deltas().filter_map(|call| call["arguments"].as_str()).collect();
    assert_eq!((deltas().find_map(|call| call["name"].as_str()), streamed.as_str()), (Some("g"), arguments));
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "function_call");
}

#[test]
fn a_thought_that_is_not_shown_has_its_signature_and_its_tokens() {
    for (model, display, is_shown) in [
        ("claude-sonnet-4-6", None, true),
        ("claude-sonnet-4-6", Some("omitted"), false),
        ("claude-opus-4-7", None, false),
        ("claude-opus-4-7", Some("summarized"), true),
    ] {
        let mut body = json!({
            "model": model,
            "max_tokens": 4000,
            "messages": [{"role": "user", "content": "Explain tides."}],
            "thinking": {"type": "adaptive"},
        });
        if let Some(display) = display {
            body["thinking"]["display"] = json!(display);
        }
        let said = json_of(&mut calm(), ANTHROPIC, MESSAGES, &body, (NOON, 200));
        let thought = &said["content"][0];
        assert_eq!((&thought["type"], thought["thinking"] != ""), (&json!("thinking"), is_shown), "{body}");
        assert!(thought["signature"].as_str().is_some_and(|signature| !signature.is_empty()));
        assert!(said["usage"]["output_tokens_details"]["thinking_tokens"].as_u64() > Some(0), "{body}");
        let deltas: Vec<Value> =
            events(ANTHROPIC, MESSAGES, body).iter().map(|event| event["delta"]["type"].clone()).collect();
        assert_eq!(deltas.contains(&json!("thinking_delta")), is_shown, "{deltas:?}");
        assert!(deltas.contains(&json!("signature_delta")));
    }
}

#[test]
fn a_custom_tool_is_called_with_a_text() {
    let body = json!({
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Explain tides."}],
        "tools": [{"type": "custom", "custom": {"name": "c"}}],
        "tool_choice": {"type": "custom", "custom": {"name": "c"}},
    });
    let said = json_of(&mut calm(), OPENAI, CHAT, &body, (NOON, 200));
    let call = &said["choices"][0]["message"]["tool_calls"][0];
    let input = call["custom"]["input"].as_str().unwrap();
    assert_eq!((&call["type"], &call["custom"]["name"]), (&json!("custom"), &json!("c")));
    assert!(!input.is_empty() && !input.contains('{') && call["function"].is_null(), "{call}");
    let chunks = events(OPENAI, CHAT, body);
    let deltas = || chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"][0]);
    let streamed: String = deltas().filter_map(|call| call["custom"]["input"].as_str()).collect();
    assert_eq!(streamed, input);
    assert_eq!(deltas().find_map(|call| call["type"].as_str()), Some("custom"));

    let body = json!({
        "model": "gpt-4o",
        "input": "Explain tides.",
        "tools": [{"type": "custom", "name": "c"}],
        "tool_choice": "required",
    });
    let said = json_of(&mut calm(), OPENAI, RESPONSES, &body, (NOON, 200));
    let call = &said["output"][0];
    let input = call["input"].as_str().unwrap();
    assert_eq!((&call["type"], &call["name"]), (&json!("custom_tool_call"), &json!("c")));
    assert!(!input.is_empty() && !input.contains('{'), "{call}");
    let told = events(OPENAI, RESPONSES, body);
    let of = |kind: &str| told.iter().filter(move |event| event["type"] == kind).collect::<Vec<_>>();
    let deltas = of("response.custom_tool_call_input.delta");
    let streamed: String = deltas.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(streamed, input);
    assert_eq!(of("response.custom_tool_call_input.done")[0]["input"], *input);
    assert_eq!(told.last().unwrap()["response"]["output"][0]["input"], *input);
}
