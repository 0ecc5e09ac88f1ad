//! The server's half, replies out: answers, errors and headers. Requests are read in `reading`.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use sortie_core::run::event::Finish;

use super::super::turns::header_value;
use super::super::{Dimension, Frames, Quota, ServerAnswer, Thinking, Tier, WireError};

/// Whose key it is, as every reply says: made-up ids, the same for all keys.
const WHOSE: [(&str, &str); 2] = [
    ("anthropic-organization-id", "7f3a91c2-5e0d-4b86-9d17-c4e2a85b6f03"),
    ("anthropic-workspace-id", "wrkspc_01SimulatedByNobodyAtAll"),
];

/// Why it stops. A tool is called to the end or cut off; a text may end at a stop sequence.
fn stop_reason(answer: &ServerAnswer) -> &str {
    match &answer.finish {
        Finish::Stop if answer.tool.is_some() => "tool_use",
        Finish::Stop if answer.besides.stop.is_some() => "stop_sequence",
        Finish::Stop => "end_turn",
        Finish::MaxTokens => "max_tokens",
        Finish::Other(word) => word,
    }
}

/// Every field that the official SDKs know (their `types/usage.py`), zeros included.
fn usage_of(answer: &ServerAnswer, output: u64) -> Value {
    let usage = &answer.usage;
    let thinking = answer.besides.thinking.as_ref().map_or(0, |thinking| thinking.tokens);
    json!({
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write + usage.cache_write_1h,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": output,
        "output_tokens_details": {"thinking_tokens": thinking.min(output)},
        "server_tool_use": {"web_search_requests": usage.web_searches, "web_fetch_requests": 0},
        "service_tier": match answer.besides.tier {
            Tier::Batch => "batch",
            Tier::Priority => "priority",
            Tier::Standard | Tier::Flex | Tier::Fast | Tier::Ultrafast => "standard",
        },
        "speed": if answer.besides.tier == Tier::Fast { "fast" } else { "standard" },
        "inference_geo": answer.besides.geo,
    })
}

fn message(answer: &ServerAnswer, content: &[Value], stop: &Value, output: u64) -> Value {
    // Before it is over nobody knows what ended it.
    let sequence = if stop.is_null() { None } else { answer.besides.stop.as_deref() };
    json!({
        "id": format!("msg_{}", answer.id),
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": sequence,
        "stop_details": null,
        "container": null,
        "diagnostics": null,
        "usage": usage_of(answer, output),
    })
}

/// A call of a tool; what it is called with is an object, also where the answer was cut off in it.
fn tool_use(answer: &ServerAnswer, name: &str, input: &Value) -> Value {
    json!({"type": "tool_use", "id": format!("toolu_{}", answer.id), "name": name, "input": input})
}

/// What vouches for a thought; only the provider that gave it can read it.
fn signature(answer: &ServerAnswer) -> String {
    format!("sim-{}", answer.id)
}

/// A whole answer; what was thought is shown, or only vouched for.
pub(super) fn body(answer: &ServerAnswer, shows_thoughts: bool) -> Bytes {
    let mut content = Vec::new();
    if let Some(Thinking { text, .. }) = &answer.besides.thinking {
        let text = if shows_thoughts { text } else { "" };
        content.push(json!({"type": "thinking", "thinking": text, "signature": signature(answer)}));
    }
    content.push(match &answer.tool {
        Some(name) => {
            let input = serde_json::from_str(&answer.text).ok().filter(Value::is_object);
            tool_use(answer, name, &input.unwrap_or_else(|| json!({})))
        }
        None => json!({"type": "text", "text": answer.text, "citations": null}),
    });
    message(answer, &content, &json!(stop_reason(answer)), answer.usage.output).to_string().into()
}

/// An event; its name stands both before and inside the payload.
pub(super) fn event(name: &str, payload: &Value) -> String {
    format!("event: {name}\ndata: {payload}\n\n")
}

fn block_start(index: usize, block: &Value) -> String {
    let payload = json!({"type": "content_block_start", "index": index, "content_block": block});
    event("content_block_start", &payload)
}

fn block_delta(index: usize, delta: &Value) -> String {
    let payload = json!({"type": "content_block_delta", "index": index, "delta": delta});
    event("content_block_delta", &payload)
}

fn block_stop(index: usize) -> String {
    event("content_block_stop", &json!({"type": "content_block_stop", "index": index}))
}

/// A whole block of thinking; its signature comes last, and alone where nothing is shown.
fn thought(answer: &ServerAnswer, thinking: &Thinking, is_shown: bool) -> String {
    let shown = if is_shown {
        block_delta(0, &json!({"type": "thinking_delta", "thinking": thinking.text}))
    } else {
        String::new()
    };
    [
        block_start(0, &json!({"type": "thinking", "thinking": "", "signature": ""})),
        shown,
        block_delta(0, &json!({"type": "signature_delta", "signature": signature(answer)})),
        block_stop(0),
    ]
    .concat()
}

/// A streamed answer, likewise.
pub(super) fn frames(answer: &ServerAnswer, pieces: &[&str], shows_thoughts: bool) -> Frames {
    // The real first count is a token or so; the final one comes in `message_delta`.
    let start = message(answer, &[], &Value::Null, answer.usage.output.min(1));
    let mut opening = event("message_start", &json!({"type": "message_start", "message": start}));
    if let Some(thinking) = &answer.besides.thinking {
        opening += &thought(answer, thinking, shows_thoughts);
    }
    let index = usize::from(answer.besides.thinking.is_some());
    opening += &block_start(
        index,
        &match &answer.tool {
            Some(name) => tool_use(answer, name, &json!({})),
            None => json!({"type": "text", "text": "", "citations": null}),
        },
    );
    opening += &event("ping", &json!({"type": "ping"}));

    let piece = |text: &&str| {
        let delta = match &answer.tool {
            Some(_) => json!({"type": "input_json_delta", "partial_json": text}),
            None => json!({"type": "text_delta", "text": text}),
        };
        Bytes::from(block_delta(index, &delta))
    };

    let mut closing = block_stop(index);
    closing += &event(
        "message_delta",
        &json!({
            "type": "message_delta",
            "delta": {
                "stop_reason": stop_reason(answer),
                "stop_sequence": answer.besides.stop,
                "stop_details": null,
                "container": null,
            },
            "usage": usage_of(answer, answer.usage.output),
        }),
    );
    let terminator = event("message_stop", &json!({"type": "message_stop"}));
    closing += &terminator;
    Frames {
        opening: opening.into(),
        pieces: pieces.iter().map(piece).collect(),
        closing: closing.into(),
        terminator: terminator.len(),
    }
}

/// Types from the documentation of errors; the messages are ours but for those that it quotes.
pub(super) fn usual_error(status: u16) -> WireError {
    let (kind, message) = match status {
        401 => ("authentication_error", "invalid x-api-key"),
        402 => ("billing_error", "There is a problem with your billing or payment information"),
        403 => ("permission_error", "Your API key does not have permission to use this resource"),
        404 => ("not_found_error", "Not found"),
        409 => ("conflict_error", "The request conflicts with the state of the resource"),
        413 => ("request_too_large", "Request exceeds the maximum size"),
        429 => ("rate_limit_error", "This request would exceed your organization's rate limit"),
        504 => ("timeout_error", "The request timed out while processing"),
        529 => ("overloaded_error", "Overloaded"),
        400..500 => ("invalid_request_error", "The request is invalid"),
        _ => ("api_error", "Internal server error"),
    };
    WireError { status, kind: kind.to_owned(), code: None, param: None, message: message.to_owned() }
}

pub(super) fn error_body(error: &WireError, request_id: &str) -> Value {
    let mut body = json!({
        "type": "error",
        "error": {"type": error.kind, "message": error.message},
        "request_id": request_id,
    });
    if let Some(code) = &error.code {
        body["error"]["details"] = json!({"error_code": code});
    }
    body
}

/// A triple of headers for each quota, and one for input and output tokens together. What is left
/// of tokens is told to the nearest thousand, the reset as the whole second when the quota is full.
pub(super) fn reply_headers(request_id: &str, quotas: &[Quota], now: Duration) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("request-id", header_value(request_id));
    headers.extend(WHOSE.map(|(name, id)| (HeaderName::from_static(name), HeaderValue::from_static(id))));
    let mut tell = |name: &str, quota: &Quota| {
        let remaining = match quota.dimension {
            Dimension::Requests => quota.remaining,
            Dimension::InputTokens | Dimension::OutputTokens | Dimension::Tokens => {
                quota.remaining.saturating_add(500) / 1000 * 1000
            }
        };
        let values = [
            ("limit", quota.limit.to_string()),
            ("remaining", remaining.to_string()),
            ("reset", rfc3339(now + quota.full_in)),
        ];
        for (what, value) in values {
            let mut full = String::new();
            let _infallible = write!(full, "anthropic-ratelimit-{name}-{what}");
            if let Ok(name) = HeaderName::try_from(full) {
                headers.insert(name, header_value(&value));
            }
        }
    };
    for quota in quotas {
        tell(
            match quota.dimension {
                Dimension::Requests => "requests",
                Dimension::InputTokens => "input-tokens",
                Dimension::OutputTokens => "output-tokens",
                Dimension::Tokens => "tokens",
            },
            quota,
        );
    }
    if let Some(tokens) = Quota::all_tokens(quotas) {
        tell("tokens", &tokens);
    }
    headers
}

/// Unix time as RFC 3339, rounded up to the second.
fn rfc3339(at: Duration) -> String {
    let seconds = at.as_secs() + u64::from(at.subsec_nanos() > 0);
    let timestamp = i64::try_from(seconds).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
    timestamp.unwrap_or(jiff::Timestamp::MAX).to_string()
}
