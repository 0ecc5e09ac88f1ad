//! The server's half: requests in, replies out, for the simulator.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use serde_json::{Value, json};
use sortie_core::run::event::Finish;
use sortie_core::usage::Usage;

use super::super::turns::{header_value, last_of, text_of, whole_number};
use super::super::{Dimension, Frames, Quota, Request, ServerAnswer, WireError};
use super::is_reasoning;

/// What an answer is bound by where the request does not say: the maximum of the gpt-4o family.
const MAX_TOKENS_UNLESS_SAID: u32 = 16_384;

fn invalid(code: Option<&str>, message: impl Into<String>) -> WireError {
    WireError {
        status: 400,
        kind: "invalid_request_error".to_owned(),
        code: code.map(str::to_owned),
        message: message.into(),
    }
}

pub(super) fn read(body: &[u8]) -> Result<Request, WireError> {
    let body: Value = serde_json::from_slice(body).map_err(|error| {
        invalid(None, format!("We could not parse the JSON body of your request: {error}"))
    })?;
    let model = body["model"].as_str().ok_or_else(|| invalid(None, "you must provide a model parameter"))?;
    let turns = body["messages"].as_array().ok_or_else(|| {
        invalid(Some("missing_required_parameter"), "Missing required parameter: 'messages'.")
    })?;
    if turns.is_empty() {
        return Err(invalid(Some("empty_array"), "Invalid 'messages': empty array."));
    }
    let prompt = last_of(turns, "user")
        .ok_or_else(|| invalid(Some("invalid_value"), "Invalid 'messages': no user turn with content."))?;
    let system: Vec<_> = turns
        .iter()
        .filter(|turn| turn["role"] == "system" || turn["role"] == "developer")
        .filter_map(|turn| text_of(&turn["content"]))
        .collect();
    Ok(Request {
        model: model.to_owned(),
        system: (!system.is_empty()).then(|| system.join("\n")),
        prompt,
        max_tokens: bound(&body, model)?,
        temperature: temperature(&body)?,
        stream: body["stream"] == true,
        ..Request::default()
    })
}

/// The bound on the answer, under either name; reasoning models refuse the old one.
fn bound(body: &Value, model: &str) -> Result<u32, WireError> {
    let number = |field: &str| {
        whole_number(body, field).map_err(|_| {
            invalid(Some("invalid_type"), format!("Invalid type for '{field}': expected a whole number."))
        })
    };
    let old = number("max_tokens")?;
    if old.is_some() && is_reasoning(model) {
        return Err(invalid(
            Some("unsupported_parameter"),
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
             'max_completion_tokens' instead.",
        ));
    }
    Ok(number("max_completion_tokens")?.or(old).unwrap_or(MAX_TOKENS_UNLESS_SAID))
}

fn temperature(body: &Value) -> Result<Option<f64>, WireError> {
    match &body["temperature"] {
        Value::Null => Ok(None),
        value => match value.as_f64().filter(|t| (0.0..=2.0).contains(t)) {
            Some(temperature) => Ok(Some(temperature)),
            None => {
                Err(invalid(Some("invalid_value"), "Invalid 'temperature': expected a number from 0 to 2."))
            }
        },
    }
}

fn finish_reason(finish: &Finish) -> &str {
    match finish {
        Finish::Stop => "stop",
        Finish::MaxTokens => "length",
        Finish::Other(word) => word,
    }
}

/// The inclusive counts: cached tokens inside the prompt's.
fn usage_of(usage: &Usage) -> Value {
    let prompt = usage.total_input();
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": usage.output,
        "total_tokens": prompt + usage.output,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

/// What a reply and each of its chunks have in common.
fn envelope(answer: &ServerAnswer, object: &str, choices: &Value) -> Value {
    json!({
        "id": format!("chatcmpl-{}", answer.id),
        "object": object,
        "created": answer.created,
        "model": answer.model,
        "choices": choices,
        "service_tier": "default",
        "system_fingerprint": null,
    })
}

pub(super) fn body(answer: &ServerAnswer) -> Bytes {
    let message = json!({"role": "assistant", "content": answer.text, "refusal": null, "annotations": []});
    let finish = finish_reason(&answer.finish);
    let choices = json!([{"index": 0, "message": message, "logprobs": null, "finish_reason": finish}]);
    let mut body = envelope(answer, "chat.completion", &choices);
    body["usage"] = usage_of(&answer.usage);
    body.to_string().into()
}

/// An event; this API's have no names.
pub(super) fn event(payload: &Value) -> String {
    format!("data: {payload}\n\n")
}

pub(super) fn frames(answer: &ServerAnswer, pieces: &[&str], body: &[u8]) -> Frames {
    let with_usage = serde_json::from_slice::<Value>(body)
        .is_ok_and(|body| body["stream_options"]["include_usage"] == true);
    let chunk = |choices: &Value, usage: Value| {
        let mut chunk = envelope(answer, "chat.completion.chunk", choices);
        if with_usage {
            // Null on all but the last.
            chunk["usage"] = usage;
        }
        event(&chunk)
    };
    let choice = |delta: Value, finish: Value| {
        let choices = json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
        chunk(&choices, Value::Null)
    };
    let mut closing = choice(json!({}), json!(finish_reason(&answer.finish)));
    if with_usage {
        closing += &chunk(&json!([]), usage_of(&answer.usage));
    }
    closing += "data: [DONE]\n\n";
    Frames {
        opening: choice(json!({"role": "assistant", "content": "", "refusal": null}), Value::Null).into(),
        pieces: pieces.iter().map(|text| choice(json!({"content": text}), Value::Null).into()).collect(),
        // The finish reason makes it whole, and nothing of the closing comes before that.
        terminator: closing.len(),
        closing: closing.into(),
    }
}

/// Types and codes from the documentation of error codes; the messages are ours.
pub(super) fn usual_error(status: u16) -> WireError {
    let (kind, code, message) = match status {
        401 => ("invalid_request_error", Some("invalid_api_key"), "Incorrect API key provided."),
        402 => ("insufficient_balance", None, "Insufficient Balance"),
        403 => ("invalid_request_error", None, "Country, region, or territory not supported"),
        404 => ("invalid_request_error", Some("model_not_found"), "The model does not exist"),
        429 => ("requests", Some("rate_limit_exceeded"), "Rate limit reached on requests per min (RPM)."),
        503 => ("service_unavailable_error", Some("server_is_overloaded"), "The server is overloaded"),
        400..500 => ("invalid_request_error", None, "The request is invalid"),
        _ => ("server_error", None, "The server had an error while processing your request"),
    };
    WireError { status, kind: kind.to_owned(), code: code.map(str::to_owned), message: message.to_owned() }
}

pub(super) fn error_body(error: &WireError) -> Value {
    json!({"error": {"message": error.message, "type": error.kind, "param": null, "code": error.code}})
}

/// A triple of headers for requests and one for all tokens: this API counts input and output
/// tokens in one bucket.
pub(super) fn reply_headers(request_id: &str, quotas: &[Quota]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-request-id", header_value(request_id));
    let mut tell = |name: &str, quota: &Quota| {
        let values = [
            ("limit", quota.limit.to_string()),
            ("remaining", quota.remaining.to_string()),
            ("reset", go_duration(quota.full_in)),
        ];
        for (what, value) in values {
            if let Ok(name) = HeaderName::try_from(format!("x-ratelimit-{what}-{name}")) {
                headers.insert(name, header_value(&value));
            }
        }
    };
    if let Some(requests) = quotas.iter().find(|quota| quota.dimension == Dimension::Requests) {
        tell("requests", requests);
    }
    if let Some(tokens) = Quota::all_tokens(quotas) {
        tell("tokens", &tokens);
    }
    headers
}

/// A duration as Go prints it, rounded up to the millisecond: `6m0s`, `1m12.5s`, `12ms`.
pub(super) fn go_duration(duration: Duration) -> String {
    let millis = duration.as_nanos().div_ceil(1_000_000);
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let seconds = rest as f64 / 1000.0;
    match (minutes / 60, minutes % 60) {
        (0, 0) if millis == 0 => "0s".to_owned(),
        (0, 0) if millis < 1000 => format!("{millis}ms"),
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_printed_as_go_prints_them() {
        let check = |ms, expected: &str| assert_eq!(go_duration(Duration::from_millis(ms)), expected);
        check(0, "0s");
        check(12, "12ms");
        check(1_000, "1s");
        check(7_660, "7.66s");
        check(72_500, "1m12.5s");
        check(360_000, "6m0s");
        check(3_661_000, "1h1m1s");
        assert_eq!(go_duration(Duration::from_nanos(1)), "1ms");
    }
}
