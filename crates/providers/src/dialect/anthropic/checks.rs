//! The server's half: what the API refuses of a request, and in which words. The rules are those of
//! Anthropic's reference of the Messages API and of its versions; the forms of messages are those that
//! recorded replies show, where there are any.

use http::HeaderMap;
use serde_json::Value;

use super::super::turns::whole_number;
use super::super::{Keep, WireError};
use super::blocks;
use super::models::Model;
use super::reading::{invalid, keep, parts, read_in_order, thinking};
use super::turns::{EFFORTS, check_texts, word};
use super::{V2023, V2026, VERSION};

/// Places in a request that the cache can be told to keep it up to, at most (Anthropic's
/// documentation of prompt caching).
const MOST_BREAKPOINTS: usize = 4;

/// The least that a thinking budget may be, in tokens (Anthropic's documentation of extended
/// thinking).
const LEAST_THINKING: u32 = 1_024;

/// The sampling parameters, which the version of 2026-10-21 does not have.
const SAMPLING: [&str; 3] = ["temperature", "top_k", "top_p"];

/// Where a model may be told to run (Anthropic's documentation of data residency).
const PLACES: [&str; 2] = ["global", "us"];

/// The highest efforts, for which some models have to think before they answer.
const THOUGHTFUL: [&str; 2] = ["xhigh", "max"];

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
    model: Model<'_>,
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
    blocks::check_system(&body["system"])?;
    check_texts("system", &body["system"], false)?;
    let temperature = sampling(body, model, is_2026)?;
    check_thinking(body, model, max_tokens)?;
    check_cache(body)?;
    check_words(body, model)?;
    check_metadata(&body["metadata"])?;
    Ok(temperature)
}

fn sampling(body: &Value, model: Model<'_>, is_2026: bool) -> Result<Option<f64>, WireError> {
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
    if !model.takes_both_of_sampling() && temperature.is_some() && top_p.is_some() {
        return Err(invalid(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        ));
    }
    if !model.takes_sampling() {
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

/// Whether and how it thinks, as its model can be told.
fn check_thinking(body: &Value, model: Model<'_>, max_tokens: u32) -> Result<(), WireError> {
    let asked = &body["thinking"];
    match asked["type"].as_str() {
        None if asked.is_null() => return Ok(()),
        Some(kind @ ("disabled" | "between_tools")) => return check_thoughtless(kind, body, model),
        Some("adaptive") if !model.takes_adaptive() => {
            return Err(invalid("adaptive thinking is not supported on this model"));
        }
        Some("adaptive") => {}
        Some("enabled") if !model.takes_budget() => return Err(unthinkable("enabled")),
        Some("enabled") => check_budget(body, max_tokens)?,
        _ => return Err(invalid("thinking.type: Input should be 'adaptive', 'enabled' or 'disabled'")),
    }
    if body["temperature"].as_f64().is_some_and(|t| (t - 1.0).abs() > f64::EPSILON) {
        return Err(invalid("`temperature` may only be set to 1 when thinking is enabled"));
    }
    if forces_tools(body) {
        return Err(invalid("Thinking may not be enabled when tool_choice forces tool use."));
    }
    let is_prefilled =
        body["messages"].as_array().and_then(|turns| turns.last()).is_some_and(|t| t["role"] == "assistant");
    if is_prefilled && asked["type"] == "enabled" {
        // Anthropic's documentation of extended thinking: no response can be pre-filled with it.
        return Err(invalid("Thinking may not be enabled when the final message is the assistant's."));
    }
    Ok(())
}

/// A way to think that the model does not have.
fn unthinkable(kind: &str) -> WireError {
    invalid(format!(
        "\"thinking.type.{kind}\" is not supported for this model. Use \"thinking.type.adaptive\" and \
         \"output_config.effort\" to control thinking behavior."
    ))
}

/// A model that is told not to think before it answers: each has its own word for that, or none, and
/// some not at the highest efforts (which Anthropic's guides of migration say; those words are ours).
fn check_thoughtless(kind: &str, body: &Value, model: Model<'_>) -> Result<(), WireError> {
    let effort = body["output_config"]["effort"].as_str().unwrap_or_default();
    match kind {
        "disabled" if model.takes_between_tools() && !model.takes_disabled() => Err(invalid(
            "To turn thinking off on this model, send \"thinking\": {\"type\": \"between_tools\"} instead of \
             {\"type\": \"disabled\"}.",
        )),
        "disabled" if !model.takes_disabled() => Err(unthinkable(kind)),
        "between_tools" if !model.takes_between_tools() => {
            Err(invalid("\"thinking.type.between_tools\" is not supported for this model."))
        }
        _ if model.needs_thought_for_effort() && THOUGHTFUL.contains(&effort) => Err(invalid(format!(
            "\"thinking.type.{kind}\" is not supported with \"output_config.effort\" set to \"{effort}\"."
        ))),
        _ => Ok(()),
    }
}

fn check_budget(body: &Value, max_tokens: u32) -> Result<(), WireError> {
    let field = "thinking.enabled.budget_tokens";
    let budget = thinking(body).ok_or_else(|| invalid(format!("{field}: Field required")))?;
    if budget < LEAST_THINKING {
        let rule = format!("Input should be greater than or equal to {LEAST_THINKING}");
        return Err(invalid(format!("{field}: {rule}")));
    }
    if budget >= max_tokens {
        return Err(invalid("`max_tokens` must be greater than `thinking.budget_tokens`"));
    }
    Ok(())
}

fn forces_tools(body: &Value) -> bool {
    matches!(body["tool_choice"]["type"].as_str(), Some("any" | "tool"))
}

/// Fields that take one of a few words, and not of all models.
fn check_words(body: &Value, model: Model<'_>) -> Result<(), WireError> {
    word("service_tier", &body["service_tier"], &["auto", "standard_only"])?;
    word("speed", &body["speed"], &["standard", "fast"])?;
    let effort = &body["output_config"]["effort"];
    word("output_config.effort", effort, &EFFORTS)?;
    if !effort.is_null() && !model.takes_effort() {
        return Err(invalid("This model does not support the effort parameter."));
    }
    if forces_tools(body) && !model.takes_forced_tools() {
        return Err(invalid("tool_choice: type \"tool\" and \"any\" are not supported for this model."));
    }
    match &body["inference_geo"] {
        Value::Null => Ok(()),
        // That these are refused is documented; the words are ours.
        Value::String(_) if !model.takes_place() => {
            Err(invalid("inference_geo: not supported for this model"))
        }
        Value::String(place) if PLACES.contains(&place.as_str()) => Ok(()),
        Value::String(_) => {
            Err(invalid(format!("inference_geo: must be one of ['{}']", PLACES.join("', '"))))
        }
        _ => Err(invalid("inference_geo: Input should be a valid string")),
    }
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
