//! The server's half: requests in, replies out, for the simulator.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use serde_json::{Value, json};
use sortie_core::run::event::Finish;
use sortie_core::usage::Usage;

use super::super::turns::{header_value, last_of, text_of, whole_number};
use super::super::{Dimension, Frames, Quota, Request, ServerAnswer, WireError};
use super::{V2023, V2026, VERSION};

fn invalid(message: impl Into<String>) -> WireError {
    WireError { status: 400, kind: "invalid_request_error".to_owned(), code: None, message: message.into() }
}

pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Request, WireError> {
    let version = headers.get(VERSION).ok_or_else(|| invalid("anthropic-version: header is required"))?;
    let is_2026 = match version.to_str() {
        Ok(V2023) => false,
        Ok(V2026) => true,
        _ => return Err(invalid("anthropic-version: not a valid version")),
    };
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| invalid(format!("The request body is not valid JSON: {error}")))?;
    let required = |field: &str| invalid(format!("{field}: Field required"));

    let model = body["model"].as_str().ok_or_else(|| required("model"))?;
    let max_tokens = whole_number(&body, "max_tokens")
        .map_err(|_| invalid("max_tokens: Input should be a valid integer"))?
        .ok_or_else(|| required("max_tokens"))?;
    let turns = body["messages"].as_array().ok_or_else(|| required("messages"))?;
    check_turns(turns, is_2026)?;
    let prompt =
        last_of(turns, "user").ok_or_else(|| invalid("messages: a user turn with content is required"))?;

    if is_2026
        && let Some(extra) = ["temperature", "top_k", "top_p"].into_iter().find(|f| body.get(f).is_some())
    {
        return Err(invalid(format!("{extra}: Extra inputs are not permitted")));
    }
    let temperature = match &body["temperature"] {
        Value::Null => None,
        value => match value.as_f64().filter(|t| (0.0..=1.0).contains(t)) {
            Some(temperature) => Some(temperature),
            None => return Err(invalid("temperature: Input should be a number from 0 to 1")),
        },
    };
    Ok(Request {
        model: model.to_owned(),
        system: text_of(&body["system"]),
        prompt,
        max_tokens,
        temperature,
        stream: body["stream"] == true,
        ..Request::default()
    })
}

/// Roles and contents; in 2026-10-21, also blocks that moved.
fn check_turns(turns: &[Value], is_2026: bool) -> Result<(), WireError> {
    if turns.is_empty() {
        return Err(invalid("messages: at least one message is required"));
    }
    for (i, turn) in turns.iter().enumerate() {
        let role = turn["role"].as_str().unwrap_or_default();
        if !matches!(role, "user" | "assistant" | "system") {
            return Err(invalid(format!("messages.{i}.role: Input should be 'user' or 'assistant'")));
        }
        if text_of(&turn["content"]).is_none() {
            return Err(invalid(format!(
                "messages.{i}.content: Input should be a string or a list of blocks"
            )));
        }
        for block in turn["content"].as_array().into_iter().flatten().filter(|_| is_2026) {
            let has_citations = block["citations"].as_array().is_some_and(|list| !list.is_empty());
            let is_refused = (role == "assistant" && block["type"] == "document")
                || (role == "user" && block["type"] == "text" && has_citations);
            if is_refused {
                return Err(invalid(format!("messages.{i}.content: Extra inputs are not permitted")));
            }
        }
    }
    Ok(())
}

fn stop_reason(finish: &Finish) -> &str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::MaxTokens => "max_tokens",
        Finish::Other(word) => word,
    }
}

fn usage_of(usage: &Usage, output: u64) -> Value {
    json!({
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write + usage.cache_write_1h,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": output,
        "service_tier": "standard",
    })
}

fn message(answer: &ServerAnswer, content: &Value, stop: &Value, output: u64) -> Value {
    json!({
        "id": format!("msg_{}", answer.id),
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": null,
        "usage": usage_of(&answer.usage, output),
    })
}

pub(super) fn body(answer: &ServerAnswer) -> Bytes {
    let content = json!([{"type": "text", "text": answer.text, "citations": null}]);
    message(answer, &content, &json!(stop_reason(&answer.finish)), answer.usage.output).to_string().into()
}

/// An event; its name stands both before and inside the payload.
pub(super) fn event(name: &str, payload: &Value) -> String {
    format!("event: {name}\ndata: {payload}\n\n")
}

pub(super) fn frames(answer: &ServerAnswer, pieces: &[&str]) -> Frames {
    // The real first count is a token or so; the final one comes in `message_delta`.
    let start = message(answer, &json!([]), &Value::Null, answer.usage.output.min(1));
    let mut opening = event("message_start", &json!({"type": "message_start", "message": start}));
    opening += &event(
        "content_block_start",
        &json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    );
    opening += &event("ping", &json!({"type": "ping"}));

    let piece = |text: &&str| {
        let delta = json!({"type": "text_delta", "text": text});
        let payload = json!({"type": "content_block_delta", "index": 0, "delta": delta});
        Bytes::from(event("content_block_delta", &payload))
    };

    let mut closing = event("content_block_stop", &json!({"type": "content_block_stop", "index": 0}));
    closing += &event(
        "message_delta",
        &json!({
            "type": "message_delta",
            "delta": {"stop_reason": stop_reason(&answer.finish), "stop_sequence": null},
            "usage": usage_of(&answer.usage, answer.usage.output),
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
    WireError { status, kind: kind.to_owned(), code: None, message: message.to_owned() }
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
    let mut tell = |name: &str, quota: &Quota| {
        let remaining = match quota.dimension {
            Dimension::Requests => quota.remaining,
            Dimension::InputTokens | Dimension::OutputTokens => {
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
