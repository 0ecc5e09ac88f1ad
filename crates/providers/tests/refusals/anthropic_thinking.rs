//! Messages: what goes with thinking and what does not.

use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use sortie_providers::dialect::{Anthropic, Dialect};

use crate::{refused, said, taken, turns};

const MODEL: &str = "claude-sonnet-4-5";

/// A request that thinks, with `more` fields or others.
fn thoughtful(more: &Value) -> Value {
    let mut body = json!({"model": MODEL, "thinking": {"type": "enabled", "budget_tokens": 2000}});
    body.as_object_mut().expect("it is one").extend(more.as_object().expect("it is one").clone());
    body
}

/// That it is taken, or refused in words that begin so.
fn check(more: &Value, message: &str) {
    match message {
        "" => taken(&Anthropic, &thoughtful(more)),
        message => refused(&Anthropic, &thoughtful(more), ("", ""), message),
    }
}

#[test]
fn a_budget_is_less_than_the_answer_s_bound_unless_thinking_is_interleaved() {
    let bound = "`max_tokens` must be greater than `thinking.budget_tokens`";
    check(&json!({"max_tokens": 2001}), "");
    check(&json!({"max_tokens": 2000}), bound);
    check(&json!({"max_tokens": 1000, "betas": ["interleaved-thinking-2025-05-14"]}), "");
    check(&json!({"max_tokens": 1000, "betas": ["message-batches-2024-09-24"]}), bound);
    let with = |betas: &[&'static str]| {
        let mut headers = HeaderMap::new();
        headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
        for value in betas {
            headers.append("anthropic-beta", HeaderValue::from_static(value));
        }
        let body = thoughtful(&json!({"max_tokens": 1000, "messages": [said("user", json!("a"))]}));
        Anthropic.read(&headers, body.to_string().as_bytes()).is_ok()
    };
    assert!(with(&["interleaved-thinking-2025-05-14"]));
    assert!(with(&["files-api-2025-04-14, interleaved-thinking-2025-05-14"]));
    assert!(with(&["files-api-2025-04-14", "interleaved-thinking-2025-05-14"]));
    assert!(!with(&["files-api-2025-04-14"]));
}

#[test]
fn ways_to_think_have_no_fields_but_their_own() {
    check(&json!({"thinking": {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}}), "");
    let extra = "Extra inputs are not permitted";
    check(
        &json!({"thinking": {"type": "enabled", "budget_tokens": 2000, "effort": "low"}}),
        &format!("thinking.enabled.effort: {extra}"),
    );
    check(
        &json!({"thinking": {"type": "disabled", "budget_tokens": 2000}}),
        &format!("thinking.disabled.budget_tokens: {extra}"),
    );
    check(&json!({"thinking": {"type": "enabled"}}), "thinking.enabled.budget_tokens: Field required");
    check(
        &json!({"thinking": {"type": "enabled", "budget_tokens": "2000"}}),
        "thinking.enabled.budget_tokens: Input should be a valid integer",
    );
}

#[test]
fn what_paused_goes_on_thinking_and_what_is_pre_filled_does_not() {
    let ask = said("user", json!("a"));
    let search =
        json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}});
    let result = json!({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []});
    let thought = json!({"type": "thinking", "thinking": "t", "signature": "s"});
    check(&turns(&json!([ask, said("assistant", json!([thought, search]))])), "");
    check(&turns(&json!([ask, said("assistant", json!([thought, search, result]))])), "");
    let prefill = "Thinking may not be enabled when the final message is the assistant's.";
    check(&turns(&json!([ask, said("assistant", json!("b"))])), prefill);
    check(&turns(&json!([ask, said("assistant", json!([thought, {"type": "text", "text": "b"}]))])), prefill);
}

#[test]
fn what_thinks_is_sampled_as_usual() {
    check(&json!({"temperature": 1}), "");
    check(&json!({"temperature": 0.5}), "`temperature` may only be set to 1 when thinking is enabled");
    check(&json!({"top_p": 0.95}), "");
    let top_p = "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled";
    check(&json!({"top_p": 0.9}), top_p);
    check(&json!({"top_k": 5}), "`top_k` must be unset when thinking is enabled");
    let adaptive = |more: Value| {
        let mut body = json!({"model": "claude-sonnet-4-6", "thinking": {"type": "adaptive"}});
        body.as_object_mut().expect("it is one").extend(more.as_object().expect("it is one").clone());
        body
    };
    taken(&Anthropic, &adaptive(json!({"top_p": 1})));
    refused(&Anthropic, &adaptive(json!({"top_p": 0.5})), ("", ""), top_p);
    // Without it, all of that is told as one likes.
    for more in [json!({"top_k": 5}), json!({"top_p": 0.5}), json!({"temperature": 0.5})] {
        check(
            &json!({"thinking": {"type": "disabled"}, "top_k": more["top_k"], "temperature": more["temperature"],
                "top_p": more["top_p"]}),
            "",
        );
    }
}

#[test]
fn a_turn_that_goes_on_from_what_tools_gave_begins_with_what_was_thought() {
    let ask = said("user", json!("Weather?"));
    let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "f", "input": {}});
    let text = json!({"type": "text", "text": "Hm."});
    let thought = json!({"type": "thinking", "thinking": "t", "signature": "s"});
    let hidden = json!({"type": "redacted_thinking", "data": "d"});
    let given = |id: &str| said("user", json!([{"type": "tool_result", "tool_use_id": id, "content": "9"}]));
    let by = |blocks: Value| said("assistant", blocks);
    let expected = |turn: usize, found: &str| {
        format!(
            "messages.{turn}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{found}`. When \
             `thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the \
             lastmost set of `tool_use` and `tool_result` blocks)."
        )
    };
    for (said, message) in [
        (json!([ask, by(json!([thought, call("a")])), given("a")]), String::new()),
        (json!([ask, by(json!([hidden, text, call("a")])), given("a")]), String::new()),
        (json!([ask, by(json!([call("a")])), given("a")]), expected(1, "tool_use")),
        (json!([ask, by(json!([text, call("a")])), given("a")]), expected(1, "text")),
        (json!([ask, by(json!([text, thought, call("a")])), given("a")]), expected(1, "text")),
        // It thinks before its first call only.
        (
            json!([ask, by(json!([thought, call("a")])), given("a"), by(json!([call("b")])), given("b")]),
            String::new(),
        ),
        // What is over was not thought about, or is not told any more.
        (json!([ask, by(json!([call("a")])), given("a"), by(json!("9.")), ask]), String::new()),
        (json!([ask, by(json!("b")), ask, by(json!([call("a")])), given("a")]), expected(3, "tool_use")),
    ] {
        check(&turns(&said), &message);
    }
    let bare = turns(&json!([ask, by(json!([call("a")])), given("a")]));
    for (model, thinking) in [
        ("claude-sonnet-4-6", json!({"type": "enabled", "budget_tokens": 2000})),
        ("claude-opus-5-5", json!({"type": "adaptive"})),
        (MODEL, json!({"type": "disabled"})),
    ] {
        let mut body = bare.clone();
        (body["model"], body["thinking"]) = (json!(model), thinking);
        taken(&Anthropic, &body);
    }
}

#[test]
fn a_context_is_managed_where_a_beta_for_that_is_named() {
    let managed = |betas: Value| {
        let mut body = turns(&json!([said("user", json!("a"))]));
        (body["context_management"], body["betas"]) = (json!({"edits": []}), betas);
        body
    };
    let unknown = "context_management: Extra inputs are not permitted";
    for (betas, part) in [
        (json!([]), unknown),
        (json!(["files-api-2025-04-14"]), unknown),
        (json!(["context-management-2025-06-27"]), ""),
        (json!(["compact-2026-01-12"]), ""),
    ] {
        crate::check(&Anthropic, &managed(betas), None, part);
    }
}
