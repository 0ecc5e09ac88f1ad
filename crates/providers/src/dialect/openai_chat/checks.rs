//! The server's half: what the API refuses of a request beside its turns and tools.

use serde_json::Value;

use super::super::WireError;
use super::super::openai::checks::{self, number, unsupported, whole, word, wrong_type};
use super::super::openai::{invalid, is_reasoning, logprobs, missing};

/// Every parameter of the official SDKs' `types/chat/completion_create_params.py`, of all versions that
/// are tested here.
const KNOWN: [&str; 37] = [
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];

/// Who may speak: the reference's roles. `function` is the one that `tool` replaced.
const ROLES: [&str; 6] = ["system", "assistant", "user", "function", "tool", "developer"];

/// Stop sequences, at most (OpenAI's reference of `stop`).
const MOST_STOPS: usize = 4;

/// Choices, at most (OpenAI's reference of `n`).
const MOST_CHOICES: u32 = 128;

/// Models that take no stop sequences (the docstring of `stop` in the official SDKs).
const WITHOUT_STOP: [&str; 2] = ["o3", "o4-mini"];

/// Refuses what no request may say, whoever the model is; gives the temperature.
pub(super) fn check(body: &Value, model: &str, turns: &[Value]) -> Result<Option<f64>, WireError> {
    checks::only_known(body, &KNOWN)?;
    check_turns(turns)?;
    choices(body)?;
    for penalty in ["frequency_penalty", "presence_penalty"] {
        number(body, penalty, -2.0, 2.0)?;
    }
    let tiers = ["auto", "default", "flex", "scale", "priority", "fast"];
    word("service_tier", &body["service_tier"], &tiers)?;
    word("verbosity", &body["verbosity"], &["low", "medium", "high"])?;
    word("reasoning_effort", &body["reasoning_effort"], &checks::EFFORTS)?;
    let temperature = checks::shared(body, model, &body["reasoning_effort"])?;
    if !body["seed"].is_null() && body["seed"].as_i64().is_none() {
        return Err(wrong_type("seed", "an integer"));
    }
    if !checks::flag(body, "logprobs")? && !body["top_logprobs"].is_null() {
        let message = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.";
        return Err(invalid(None, message).about("top_logprobs"));
    }
    logprobs::check_chat(body, model)?;
    Ok(temperature)
}

fn check_turns(turns: &[Value]) -> Result<(), WireError> {
    for (i, turn) in turns.iter().enumerate() {
        let field = format!("messages[{i}].role");
        if turn["role"].is_null() {
            return Err(missing(&field));
        }
        word(&field, &turn["role"], &ROLES)?;
        check_content(i, turn)?;
        if turn["role"] == "tool" && turn["tool_call_id"].as_str().is_none() {
            return Err(missing(&format!("messages[{i}].tool_call_id")));
        }
    }
    Ok(())
}

/// Every turn has a content, but an assistant's may call or refuse instead.
fn check_content(i: usize, turn: &Value) -> Result<(), WireError> {
    let besides = ["tool_calls", "function_call", "refusal", "audio"];
    match &turn["content"] {
        Value::String(_) | Value::Array(_) => Ok(()),
        Value::Null if turn["role"] == "assistant" && besides.iter().any(|f| !turn[f].is_null()) => Ok(()),
        Value::Null if turn["role"] == "function" => Ok(()),
        _ => Err(wrong_type(&format!("messages[{i}].content"), "a string or an array of parts")),
    }
}

/// How many answers are asked for.
pub(super) fn choices(body: &Value) -> Result<u32, WireError> {
    Ok(whole(body, "n", 1, MOST_CHOICES)?.unwrap_or(1))
}

/// The texts that end an answer.
pub(super) fn stops(body: &Value, model: &str) -> Result<Vec<String>, WireError> {
    let not_text = || wrong_type("stop", "a string or an array of strings");
    let is_without = || WITHOUT_STOP.into_iter().any(|name| model.starts_with(name));
    match &body["stop"] {
        Value::Null => Ok(Vec::new()),
        _ if is_without() => Err(unsupported("stop", "")),
        Value::String(one) => Ok(vec![one.clone()]),
        Value::Array(several) if several.len() > MOST_STOPS => {
            let found = several.len();
            let message = format!(
                "Invalid 'stop': array too long. Expected an array with maximum length {MOST_STOPS}, but got \
                 an array with length {found} instead."
            );
            Err(invalid(Some("array_above_max_length"), message).about("stop"))
        }
        Value::Array(several) => {
            several.iter().map(|stop| stop.as_str().map(str::to_owned).ok_or_else(not_text)).collect()
        }
        _ => Err(not_text()),
    }
}

/// The bound on the answer, under either name; reasoning models refuse the old one.
pub(super) fn bound(body: &Value, model: &str) -> Result<Option<u32>, WireError> {
    let old = whole(body, "max_tokens", 1, u32::MAX)?;
    let new = whole(body, "max_completion_tokens", 1, u32::MAX)?;
    if old.is_some() && is_reasoning(model) {
        return Err(unsupported("max_tokens", " Use 'max_completion_tokens' instead."));
    }
    if old.is_some() && new.is_some() {
        let message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.";
        return Err(invalid(Some("invalid_parameter_combination"), message).about("max_tokens"));
    }
    Ok(new.or(old))
}
