//! The server's half, requests in: what a request says, and what the API refuses of it.

use serde_json::Value;

use super::super::openai::{MAX_TOKENS_UNLESS_SAID, invalid, temperature};
use super::super::turns::{last_of, text_of, whole_number};
use super::super::{Caching, Part, Particulars, Request, Tier, WireError};
use super::{is_reasoning, tools};

/// Stop sequences, at most (OpenAI's reference of `stop`).
const MOST_STOPS: usize = 4;

/// Choices, at most (OpenAI's reference of `n`).
const MOST_CHOICES: u32 = 128;

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
    check_turns(turns)?;
    check_choices(&body)?;
    check_tier(&body)?;
    Ok(Request {
        model: model.to_owned(),
        system: (!system.is_empty()).then(|| system.join("\n")),
        prompt,
        max_tokens: bound(&body, model)?,
        temperature: temperature(&body)?,
        stream: body["stream"] == true,
        stop: stops(&body)?,
        shape: tools::shape(&body)?,
    })
}

fn check_turns(turns: &[Value]) -> Result<(), WireError> {
    const ROLES: [&str; 5] = ["system", "developer", "user", "assistant", "tool"];
    for (i, turn) in turns.iter().enumerate() {
        let role = turn["role"].as_str().unwrap_or_default();
        if !ROLES.contains(&role) {
            let known = ROLES.join("', '");
            let message =
                format!("Invalid value: '{role}'. Supported values are: '{known}'. (messages[{i}].role)");
            return Err(invalid(Some("invalid_value"), message));
        }
        if role == "tool" && turn["tool_call_id"].as_str().is_none() {
            return Err(invalid(
                Some("missing_required_parameter"),
                format!("Missing required parameter: 'messages[{i}].tool_call_id'."),
            ));
        }
    }
    Ok(())
}

fn choices(body: &Value) -> Result<u32, WireError> {
    let number = whole_number(body, "n")
        .map_err(|_| invalid(Some("invalid_type"), "Invalid type for 'n': expected a whole number."))?;
    Ok(number.unwrap_or(1))
}

fn check_choices(body: &Value) -> Result<(), WireError> {
    match choices(body)? {
        1..=MOST_CHOICES => Ok(()),
        0 => {
            let code = Some("integer_below_min_value");
            Err(invalid(code, "Invalid 'n': integer below minimum value. Expected a value >= 1."))
        }
        _ => Err(invalid(
            Some("integer_above_max_value"),
            format!("Invalid 'n': integer above maximum value. Expected a value <= {MOST_CHOICES}."),
        )),
    }
}

fn check_tier(body: &Value) -> Result<(), WireError> {
    let known = ["auto", "default", "flex", "scale", "priority", "fast"];
    match &body["service_tier"] {
        Value::Null => Ok(()),
        Value::String(tier) if known.contains(&tier.as_str()) => Ok(()),
        _ => Err(invalid(
            Some("invalid_value"),
            format!("Invalid 'service_tier': expected one of {}.", known.join(", ")),
        )),
    }
}

fn stops(body: &Value) -> Result<Vec<String>, WireError> {
    let wrong_type = || {
        invalid(Some("invalid_type"), "Invalid type for 'stop': expected a string or an array of strings.")
    };
    match &body["stop"] {
        Value::Null => Ok(Vec::new()),
        Value::String(one) => Ok(vec![one.clone()]),
        Value::Array(several) if several.len() > MOST_STOPS => {
            let (most, found) = (MOST_STOPS, several.len());
            Err(invalid(
                Some("array_above_max_length"),
                format!(
                    "Invalid 'stop': array too long. Expected an array with maximum length {most}, but got \
                     an array with length {found} instead."
                ),
            ))
        }
        Value::Array(several) => {
            several.iter().map(|stop| stop.as_str().map(str::to_owned).ok_or_else(wrong_type)).collect()
        }
        _ => Err(wrong_type()),
    }
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

/// What the model reads, in order: the schema, the tools, the turns and the calls in them.
fn parts(body: &Value) -> Vec<Part> {
    let mut parts = Vec::new();
    if let Some(schema) = body["response_format"].get("json_schema") {
        parts.push(Part::text(schema.to_string()));
    }
    parts.extend(body["tools"].as_array().into_iter().flatten().map(|tool| Part::text(tool.to_string())));
    for turn in body["messages"].as_array().into_iter().flatten() {
        parts.extend(Part::content(&turn["content"]));
        let calls = turn["tool_calls"].as_array().into_iter().flatten();
        parts.extend(calls.map(|call| Part::text(call.to_string())));
    }
    parts
}

pub(super) fn particulars(body: &[u8]) -> Particulars {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let effort = body["reasoning_effort"].as_str();
    Particulars {
        parts: parts(&body),
        caching: Caching::Automatic,
        thinking: effort.filter(|effort| !matches!(*effort, "none" | "minimal")).map(|_| u32::MAX),
        choices: choices(&body).unwrap_or(1),
        // Whoever asks for the priority tier is served at the usual one, as happens when it is full:
        // the public price tables disagree on its rates.
        tier: if body["service_tier"] == "flex" { Tier::Flex } else { Tier::Standard },
        geo: None,
    }
}
