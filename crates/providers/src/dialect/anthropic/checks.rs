//! The server's half: what the API refuses of a request, and in which words. The rules are those of
//! Anthropic's reference of the Messages API and of its versions; the forms of messages are those that
//! recorded replies show, where there are any.

use http::HeaderMap;
use serde_json::Value;

use super::super::turns::{text_of, whole_number};
use super::super::{Keep, WireError};
use super::reading::{invalid, keep, parts, read_in_order, thinking};
use super::{V2023, V2026, VERSION};

/// Turns of a request, at most (Anthropic's reference of `messages`).
const MOST_TURNS: usize = 100_000;

/// Places in a request that the cache can be told to keep it up to, at most (Anthropic's
/// documentation of prompt caching).
const MOST_BREAKPOINTS: usize = 4;

/// The least that a thinking budget may be, in tokens (Anthropic's documentation of extended
/// thinking).
const LEAST_THINKING: u32 = 1_024;

/// The sampling parameters, which the version of 2026-10-21 does not have.
const SAMPLING: [&str; 3] = ["temperature", "top_k", "top_p"];

/// The first generation without prefill, and the first whose sampling cannot be told (users of Claude
/// 4.6 and 4.7 have shown both refusals).
const WITHOUT_PREFILL: (u32, u32) = (4, 6);
const WITHOUT_SAMPLING: (u32, u32) = (4, 7);

/// Every parameter of the official SDKs' `types/message_create_params.py` and of the beta's, of all
/// versions that are tested here. What a beta's header brings is taken without it too.
const KNOWN: [&str; 31] = [
    "billing_policy",
    "cache_control",
    "compaction",
    "container",
    "context_management",
    "diagnostics",
    "fallback_credit_token",
    "fallbacks",
    "inference_geo",
    "max_tokens",
    "mcp_servers",
    "messages",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "thread",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
    "user_profile_id",
    "workspace_id",
    // Where `?beta=true` cannot be set, some clients name it here.
    "betas",
];

/// The version that a request is of: whether it is that of 2026-10-21.
///
/// # Errors
/// There is none, or it is no version.
pub(super) fn is_2026(headers: &HeaderMap) -> Result<bool, WireError> {
    let version = headers.get(VERSION).ok_or_else(|| invalid("anthropic-version: header is required"))?;
    match version.to_str() {
        Ok(V2023) => Ok(false),
        Ok(V2026) => Ok(true),
        _ => Err(invalid("anthropic-version: not a valid version")),
    }
}

/// Refuses what no request may say; gives the temperature.
pub(super) fn check(
    body: &Value,
    model: &str,
    max_tokens: u32,
    is_2026: bool,
) -> Result<Option<f64>, WireError> {
    let unknown = body.as_object().into_iter().flatten().find(|(name, _)| !KNOWN.contains(&name.as_str()));
    if let Some((extra, _)) = unknown {
        return Err(invalid(format!("{extra}: Extra inputs are not permitted")));
    }
    if !matches!(body["system"], Value::Null | Value::String(_) | Value::Array(_)) {
        return Err(invalid("system: Input should be a valid string or a list of text blocks"));
    }
    let temperature = sampling(body, model, is_2026)?;
    check_thinking(body, model, max_tokens)?;
    check_cache(body)?;
    check_words(body)?;
    check_metadata(&body["metadata"])?;
    Ok(temperature)
}

/// The generation that a model's name tells: 4.6 of `claude-sonnet-4-6`, 5.0 of `claude-opus-5`. Older
/// names have the family last.
fn generation(model: &str) -> Option<(u32, u32)> {
    let (family, numbers) = model.strip_prefix("claude-")?.split_once('-')?;
    if !family.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    let mut parts = numbers.split('-');
    let major = parts.next()?.parse().ok()?;
    // What has more digits is a date.
    let minor = parts.next().filter(|part| part.len() < 3).and_then(|part| part.parse().ok());
    Some((major, minor.unwrap_or(0)))
}

fn is_since(model: &str, first: (u32, u32)) -> bool {
    generation(model).is_some_and(|own| own >= first)
}

fn sampling(body: &Value, model: &str, is_2026: bool) -> Result<Option<f64>, WireError> {
    let said = |field: &&str| body.get(*field).is_some();
    if is_2026 && let Some(extra) = SAMPLING.into_iter().find(said) {
        return Err(invalid(format!("{extra}: Extra inputs are not permitted")));
    }
    let share = |field: &str| match &body[field] {
        Value::Null => Ok(None),
        value => match value.as_f64().filter(|t| (0.0..=1.0).contains(t)) {
            Some(share) => Ok(Some(share)),
            None => Err(invalid(format!("{field}: Input should be a number from 0 to 1"))),
        },
    };
    let (temperature, top_p) = (share("temperature")?, share("top_p")?);
    let top_k = whole_number(body, "top_k").map_err(|_| invalid("top_k: Input should be a valid integer"))?;
    let is_usual = |value: Option<f64>| value.is_none_or(|value| (value - 1.0).abs() < f64::EPSILON);
    if is_since(model, WITHOUT_SAMPLING) {
        let others = [
            ("temperature", !is_usual(temperature)),
            ("top_p", !is_usual(top_p)),
            ("top_k", top_k.is_some()),
        ];
        if let Some((field, _)) = others.into_iter().find(|(_, is_other)| *is_other) {
            return Err(invalid(format!("`{field}` is deprecated for this model.")));
        }
    }
    Ok(temperature)
}

/// Roles and contents; in 2026-10-21, also blocks that moved.
pub(super) fn check_turns(turns: &[Value], model: &str, is_2026: bool) -> Result<(), WireError> {
    if turns.is_empty() {
        return Err(invalid("messages: at least one message is required"));
    }
    if turns.len() > MOST_TURNS {
        let found = turns.len();
        return Err(invalid(format!(
            "messages: List should have at most {MOST_TURNS} items after validation, not {found}"
        )));
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
    if turns.last().is_some_and(|turn| turn["role"] == "assistant") && is_since(model, WITHOUT_PREFILL) {
        return Err(invalid(
            "This model does not support assistant message prefill. The conversation must end with a user \
             message.",
        ));
    }
    Ok(())
}

/// The texts that end an answer.
pub(super) fn stop_sequences(body: &Value) -> Result<Vec<String>, WireError> {
    let not_a_list = || invalid("stop_sequences: Input should be a valid list of strings");
    let list = match &body["stop_sequences"] {
        Value::Null => return Ok(Vec::new()),
        list => list.as_array().ok_or_else(not_a_list)?,
    };
    let sequence = |text: &Value| match text.as_str() {
        None => Err(not_a_list()),
        Some(text) if text.trim().is_empty() => {
            Err(invalid("stop_sequences: each stop sequence must contain non-whitespace"))
        }
        Some(text) => Ok(text.to_owned()),
    };
    list.iter().map(sequence).collect()
}

fn check_thinking(body: &Value, model: &str, max_tokens: u32) -> Result<(), WireError> {
    let asked = &body["thinking"];
    match asked["type"].as_str() {
        None if asked.is_null() => return Ok(()),
        Some("disabled" | "between_tools") => return Ok(()),
        Some("adaptive") => {}
        Some("enabled") => {
            let field = "thinking.enabled.budget_tokens";
            let budget = thinking(body).ok_or_else(|| invalid(format!("{field}: Field required")))?;
            if budget < LEAST_THINKING {
                let rule = format!("Input should be greater than or equal to {LEAST_THINKING}");
                return Err(invalid(format!("{field}: {rule}")));
            }
            if budget >= max_tokens {
                return Err(invalid("`max_tokens` must be greater than `thinking.budget_tokens`"));
            }
        }
        _ => return Err(invalid("thinking.type: Input should be 'adaptive', 'enabled' or 'disabled'")),
    }
    if body["temperature"].as_f64().is_some_and(|t| (t - 1.0).abs() > f64::EPSILON) {
        return Err(invalid("`temperature` may only be set to 1 when thinking is enabled"));
    }
    if matches!(body["tool_choice"]["type"].as_str(), Some("any" | "tool")) {
        return Err(invalid("Thinking may not be enabled when tool_choice forces tool use."));
    }
    let is_prefilled =
        body["messages"].as_array().and_then(|turns| turns.last()).is_some_and(|t| t["role"] == "assistant");
    if is_prefilled && !is_since(model, WITHOUT_PREFILL) && asked["type"] == "enabled" {
        // Anthropic's documentation of extended thinking: no response can be pre-filled with it.
        return Err(invalid("Thinking may not be enabled when the final message is the assistant's."));
    }
    Ok(())
}

/// Fields that take one of a few words.
fn check_words(body: &Value) -> Result<(), WireError> {
    let check = |name: &str, value: &Value, words: &[&str]| match value {
        Value::Null => Ok(()),
        Value::String(word) if words.contains(&word.as_str()) => Ok(()),
        _ => Err(invalid(format!("{name}: Input should be '{}'", words.join("' or '")))),
    };
    check("service_tier", &body["service_tier"], &["auto", "standard_only"])?;
    check("speed", &body["speed"], &["standard", "fast"])?;
    let efforts = ["low", "medium", "high", "xhigh", "max"];
    check("output_config.effort", &body["output_config"]["effort"], &efforts)
}

/// Who asks, in no other than an opaque word of the client's.
fn check_metadata(metadata: &Value) -> Result<(), WireError> {
    let fields = match metadata {
        Value::Null => return Ok(()),
        metadata => metadata
            .as_object()
            .ok_or_else(|| invalid("metadata: Input should be a valid dictionary or object"))?,
    };
    match fields.iter().find(|(name, value)| *name != "user_id" || !(value.is_string() || value.is_null())) {
        None => Ok(()),
        Some((name, _)) if name == "user_id" => {
            Err(invalid("metadata.user_id: Input should be a valid string"))
        }
        Some((extra, _)) => Err(invalid(format!("metadata.{extra}: Extra inputs are not permitted"))),
    }
}

fn check_cache(body: &Value) -> Result<(), WireError> {
    keep(&body["cache_control"])?;
    for block in read_in_order(body) {
        keep(&block["cache_control"])?;
    }
    let kept: Vec<_> = parts(body).into_iter().filter_map(|part| part.keep).collect();
    if kept.len() > MOST_BREAKPOINTS {
        let found = kept.len();
        return Err(invalid(format!(
            "A maximum of {MOST_BREAKPOINTS} blocks with cache_control may be provided. Found {found}."
        )));
    }
    if kept.windows(2).any(|two| two == [Keep::FiveMinutes, Keep::Hour]) {
        return Err(invalid(
            "cache_control.ttl: a ttl='1h' block must not come after a ttl='5m' block. Note that blocks \
             are processed in the following order: `tools`, `system`, `messages`.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_s_name_tells_its_generation() {
        for (model, expected) in [
            ("claude-sonnet-4-6", Some((4, 6))),
            ("claude-sonnet-4-5-20250929", Some((4, 5))),
            ("claude-opus-4-20250514", Some((4, 0))),
            ("claude-opus-5", Some((5, 0))),
            ("claude-fable-5-1", Some((5, 1))),
            ("claude-3-5-haiku-20241022", None),
            ("claude-next", None),
            ("smollm2-135m", None),
        ] {
            assert_eq!(generation(model), expected, "{model}");
        }
    }
}
