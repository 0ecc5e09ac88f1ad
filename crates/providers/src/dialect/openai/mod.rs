//! What both of OpenAI's APIs have in common: how usage is counted, errors, rate-limit headers.
//! From OpenAI's API reference, its documentation of error codes and rate limits, and the types of
//! its official SDKs.

pub(in super::super) mod checks;
pub(super) mod efforts;
pub(super) mod logprobs;
pub(super) mod media;
pub(super) mod options;
pub(super) mod padding;
mod schemas;
pub(super) mod tools;

use std::time::Duration;

use http::{HeaderMap, HeaderName};
use serde_json::{Value, json};
use sortie_core::usage::{Tier, Usage};

use super::turns::header_value;
use super::{Dimension, Quota, Variant, WireError};

/// The name of the schema that an answer has to fit: the APIs want one, and nobody reads it.
pub(super) const FORMAT_NAME: &str = "answer";

/// Whether a schema may be asked for to the letter: what may not is asked for all the same, and may not be
/// kept to.
pub(super) fn is_strict(schema: &Value) -> bool {
    schemas::unstrict(schema).is_none()
}

/// Where OpenAI serves both, in the form of its official SDKs.
pub(super) const BASE_URL: &str = "https://api.openai.com/v1";

/// The host of OpenAI's own API; regions are its subdomains (`eu.api.openai.com`).
const OWN_HOST: &str = "api.openai.com";

/// Whether this host is OpenAI's own.
pub(crate) fn is_own(host: &str) -> bool {
    host.strip_suffix(OWN_HOST).is_some_and(|region| region.is_empty() || region.ends_with('.'))
}

/// What a request says to be served at the usual rates, where it is to say so.
pub(super) fn pin_tier(body: &mut Value, variant: &Variant) {
    if variant.pins_tier {
        body["service_tier"] = json!("default");
    }
}

/// The tier that a reply names, or a request asks for. `fast` is another word for `priority`; `scale` is capacity that is
/// paid for in advance.
pub(super) fn tier(body: &Value) -> Option<Tier> {
    Some(match body["service_tier"].as_str()? {
        "flex" => Tier::Flex,
        "priority" | "fast" => Tier::Priority,
        "ultrafast" => Tier::Ultrafast,
        _ => Tier::Standard,
    })
}

/// The tier as replies name it.
pub(super) const fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Flex => "flex",
        Tier::Priority => "priority",
        Tier::Ultrafast => "ultrafast",
        Tier::Standard | Tier::Batch | Tier::Fast => "default",
    }
}

/// What an answer is bound by where the request does not say: the maximum of the gpt-4o family.
pub(super) const MAX_TOKENS_UNLESS_SAID: u32 = 16_384;

/// The counts taken apart: cached and cache-writing tokens are inside those of the input (`details`
/// has them), reasoning is inside those of the output. Parts larger than the whole are cut to it.
pub(super) fn disjoint(input: u64, output: u64, details: &Value) -> Usage {
    let part = |field: &str, room: u64| details[field].as_u64().unwrap_or(0).min(room);
    let cache_read = part("cached_tokens", input);
    let written = part("cache_write_tokens", input - cache_read);
    let kept_long =
        details["cache_write_tokens_details"]["ttl_12h_tokens"].as_u64().unwrap_or(0).min(written);
    Usage {
        input: input - cache_read - written,
        cache_read,
        cache_write: written - kept_long,
        cache_write_1h: kept_long,
        output,
        ..Usage::default()
    }
}

/// The error for a request that can never succeed.
pub(super) fn invalid(code: Option<&str>, message: impl Into<String>) -> WireError {
    WireError {
        status: 400,
        kind: "invalid_request_error".to_owned(),
        code: code.map(str::to_owned),
        param: None,
        message: message.into(),
    }
}

/// The error for a request that leaves out what it has to have.
pub(super) fn missing(parameter: &str) -> WireError {
    let message = format!("Missing required parameter: '{parameter}'.");
    invalid(Some("missing_required_parameter"), message).about(parameter)
}

/// Whether it is of the o-series or of gpt-5 and later: these refuse `max_tokens`, wherever they are
/// served.
pub(super) fn is_reasoning(model: &str) -> bool {
    let is_late = || generation(model).is_some_and(|generation| generation >= REASONING);
    model.strip_prefix('o').and_then(leading).is_some() || (is_late() && !is_chat(model))
}

/// Whether it is one of OpenAI's models that do not reason; of others' nobody knows.
pub(super) fn is_plain(model: &str) -> bool {
    model.starts_with("chatgpt-")
        || is_chat(model)
        || generation(model).is_some_and(|generation| generation < REASONING)
}

/// Whether it is the one of gpt-5 that answers `ChatGPT`'s users at once, which never reasons; those of the
/// same name of 5.1 and later do (OpenAI's pages of these models).
fn is_chat(model: &str) -> bool {
    model.strip_prefix("gpt-5-chat").is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Whether it is the model of this generation, or one of its: `gpt-5.6` and `gpt-5.6-sol`, `gpt-6.1-sol` of
/// `gpt-6`.
pub(super) fn is_of(model: &str, generation: &str) -> bool {
    let is_whole = !generation.contains('.');
    model
        .strip_prefix(generation)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-') || (is_whole && rest.starts_with('.')))
}

/// The generation from which on GPT models reason.
const REASONING: u32 = 5;

/// 4 of `gpt-4o`, 5 of `gpt-5.4-mini`.
fn generation(model: &str) -> Option<u32> {
    model.strip_prefix("gpt-").and_then(leading)
}

/// The whole number that a text begins with.
fn leading(text: &str) -> Option<u32> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().ok()
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
    WireError {
        status,
        kind: kind.to_owned(),
        code: code.map(str::to_owned),
        param: None,
        message: message.to_owned(),
    }
}

pub(super) fn error_body(error: &WireError) -> Value {
    json!({"error": {"message": error.message, "type": error.kind, "param": error.param, "code": error.code}})
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
fn go_duration(duration: Duration) -> String {
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

    #[test]
    fn reasoning_models_are_told_by_their_names() {
        let models = ["o1", "o4-mini", "gpt-5", "gpt-5.6-sol", "gpt-6.1-sol", "gpt-10"];
        assert!(models.into_iter().all(is_reasoning));
        let others = ["gpt-4o", "gpt-4.1-mini", "gpt-3.5-turbo", "olmo", "omni", "gpt-oss-20b", ""];
        assert!(!others.into_iter().any(is_reasoning));
        assert!(["gpt-4o", "gpt-4.1-mini", "gpt-3.5-turbo", "chatgpt-4o-latest"].into_iter().all(is_plain));
        assert!(
            ["gpt-5-chat", "gpt-5-chat-latest"]
                .into_iter()
                .all(|model| is_plain(model) && !is_reasoning(model))
        );
        assert!(["gpt-5.1-chat-latest", "gpt-5-chatty"].into_iter().all(is_reasoning));
        assert!(!models.into_iter().chain(["olmo", "gpt-oss-20b", "llama-3", ""]).any(is_plain));
    }
}
