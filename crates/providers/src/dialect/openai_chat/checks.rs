//! The server's half: what the API refuses of a request beside its turns and tools.

use serde_json::Value;

use super::super::WireError;
use super::super::openai::checks::{self, at_most, number, number_at, unsupported, whole, word, wrong_type};
use super::super::openai::options::{self, Api};
use super::super::openai::{efforts, invalid, is_of, is_plain, is_reasoning, logprobs};
use super::turns;

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

/// Stop sequences, at most (OpenAI's reference of `stop`).
const MOST_STOPS: usize = 4;

/// Choices, at most (OpenAI's reference of `n`).
const MOST_CHOICES: u32 = 128;

/// The generation that has rules of its own, what it does not know, and its choices, at most.
const NEWEST: &str = "gpt-5.6";
const NOT_IN_NEWEST: [&str; 3] = ["audio", "modalities", "web_search_options"];
const MOST_CHOICES_OF_NEWEST: u32 = 8;

/// Models that take no stop sequences: those of the docstring of `stop` in the official SDKs, and all
/// GPT models that reason (as users of gpt-5, gpt-5.4-nano and gpt-5.6 have shown it).
const WITHOUT_STOP: [&str; 3] = ["o3", "o4-mini", "gpt-"];

/// What is not taken by a model that thinks (logprobs have a rule of their own).
const WITHOUT_THINKING: [&str; 3] = ["presence_penalty", "frequency_penalty", "logit_bias"];

/// The most that a token may be made likelier or less so (OpenAI's reference of `logit_bias`).
const MOST_BIAS: f64 = 100.0;

/// Refuses what no request may say, whoever the model is; gives the temperature.
pub(super) fn check(body: &Value, model: &str, said: &[Value]) -> Result<Option<f64>, WireError> {
    checks::only_known(body, &KNOWN)?;
    check_generation(body, model)?;
    turns::check(said)?;
    options::check(body, Api::Chat)?;
    choices(body)?;
    check_bias(&body["logit_bias"])?;
    for penalty in ["frequency_penalty", "presence_penalty"] {
        number(body, penalty, -2.0, 2.0)?;
    }
    let tiers = ["auto", "default", "flex", "scale", "priority", "fast"];
    word("service_tier", &body["service_tier"], &tiers)?;
    word("verbosity", &body["verbosity"], &["low", "medium", "high"])?;
    let effort = &body["reasoning_effort"];
    efforts::check_chat(model, effort)?;
    let temperature = checks::shared(body, (model, effort), other_than_usual)?;
    check_reasoning(body, model)?;
    let tools = body["tools"].as_array().into_iter().flatten();
    efforts::check_functions(model, effort, tools.into_iter().any(|tool| tool["type"] == "function"))?;
    if !body["seed"].is_null() && body["seed"].as_i64().is_none() {
        return Err(wrong_type("seed", "an integer", &body["seed"]));
    }
    if !checks::flag(body, "logprobs")? && !body["top_logprobs"].is_null() {
        let message = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.";
        return Err(invalid(None, message).about("top_logprobs"));
    }
    logprobs::check_chat(body, model)?;
    Ok(temperature)
}

/// A number that a model which thinks has no choice of.
fn other_than_usual(field: &str, value: f64) -> WireError {
    if field != "temperature" {
        return unsupported(field, "");
    }
    let message = format!(
        "Unsupported value: '{field}' does not support {value} with this model. Only the default (1) value is \
         supported."
    );
    invalid(Some("unsupported_value"), message).about(field)
}

/// Refuses what models that reason do not take, and what only they take (as users of gpt-5.4-nano,
/// gpt-5.6 and gpt-4.1 have shown it).
fn check_reasoning(body: &Value, model: &str) -> Result<(), WireError> {
    let effort = &body["reasoning_effort"];
    if !effort.is_null() && is_plain(model) {
        // Of a parameter that the API has, but not for this model, it speaks as of one that it has not.
        return Err(invalid(None, "Unrecognized request argument supplied: reasoning_effort"));
    }
    if !checks::thinks(model, effort) {
        return Ok(());
    }
    match WITHOUT_THINKING.into_iter().find(|field| !body[*field].is_null()) {
        Some(field) => Err(unsupported(field, "")),
        None => Ok(()),
    }
}

/// Refuses what the models of the newest generation do not take that others do, thinking or not (as users of
/// gpt-5.6 have shown it).
fn check_generation(body: &Value, model: &str) -> Result<(), WireError> {
    let is_there = |field: &&str| !body[*field].is_null();
    if !is_of(model, NEWEST) {
        return Ok(());
    }
    if let Some(field) = NOT_IN_NEWEST.into_iter().find(is_there) {
        return Err(checks::unknown_parameter(field));
    }
    if is_there(&"prediction") {
        return Err(unsupported("prediction", ""));
    }
    whole(body, "n", 1, MOST_CHOICES_OF_NEWEST).map(drop)
}

/// How likely tokens are made: a bias for each, by its number.
fn check_bias(bias: &Value) -> Result<(), WireError> {
    let biases = match bias {
        Value::Null => return Ok(()),
        bias => bias.as_object().ok_or_else(|| wrong_type("logit_bias", "an object", bias))?,
    };
    for (token, bias) in biases {
        if token.parse::<u32>().is_err() {
            let message = format!(
                "Invalid key in 'logit_bias': {token}. You should only be submitting non-negative integers."
            );
            return Err(invalid(None, message).about("logit_bias"));
        }
        number_at(&format!("logit_bias.{token}"), bias, -MOST_BIAS, MOST_BIAS)?;
    }
    Ok(())
}

/// How many answers are asked for.
pub(super) fn choices(body: &Value) -> Result<u32, WireError> {
    Ok(whole(body, "n", 1, MOST_CHOICES)?.unwrap_or(1))
}

/// The texts that end an answer.
pub(super) fn stops(body: &Value, model: &str) -> Result<Vec<String>, WireError> {
    let not_text = || wrong_type("stop", "a string or an array of strings", &body["stop"]);
    let is_without = || is_reasoning(model) && WITHOUT_STOP.into_iter().any(|name| model.starts_with(name));
    match &body["stop"] {
        Value::Null => Ok(Vec::new()),
        _ if is_without() => Err(unsupported("stop", "")),
        Value::String(one) => Ok(vec![one.clone()]),
        Value::Array(several) => {
            at_most("stop", several, MOST_STOPS)?;
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
