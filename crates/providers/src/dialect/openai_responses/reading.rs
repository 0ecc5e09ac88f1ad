//! The server's half, requests in: read and checked as the API does.

use serde_json::Value;

use super::super::openai::{MAX_TOKENS_UNLESS_SAID, invalid, missing, temperature};
use super::super::turns::{last_of, text_of, whole_number};
use super::super::{Caching, Part, Particulars, Request, Tier, WireError};
use super::tools;

/// The least that `max_output_tokens` may be.
const LEAST_OUTPUT: u32 = 16;

/// Parameters of Chat Completions, and what they are here.
const MOVED: [(&str, &str); 5] = [
    ("messages", "input"),
    ("max_tokens", "max_output_tokens"),
    ("max_completion_tokens", "max_output_tokens"),
    ("response_format", "text.format"),
    ("reasoning_effort", "reasoning.effort"),
];

/// Parameters of Chat Completions that have no match here.
const UNKNOWN: [&str; 4] = ["stop", "n", "seed", "logit_bias"];

/// Parameters that mean a response which is kept; none is here.
const KEPT: [&str; 4] = ["previous_response_id", "conversation", "prompt", "background"];

/// Who may speak in an item of the input.
const ROLES: [&str; 4] = ["user", "assistant", "system", "developer"];

pub(super) fn read(body: &[u8]) -> Result<Request, WireError> {
    let body: Value = serde_json::from_slice(body).map_err(|error| {
        invalid(None, format!("We could not parse the JSON body of your request: {error}"))
    })?;
    check_parameters(&body)?;
    let model = body["model"].as_str().ok_or_else(|| missing("model"))?;
    let (prompt, spoken) = input(&body["input"])?;
    let system: Vec<_> = text_of(&body["instructions"]).into_iter().chain(spoken).collect();
    Ok(Request {
        model: model.to_owned(),
        system: (!system.is_empty()).then(|| system.join("\n")),
        prompt,
        max_tokens: bound(&body)?,
        temperature: temperature(&body)?,
        stream: body["stream"] == true,
        shape: tools::shape(&body)?,
        ..Request::default()
    })
}

/// Refuses what this API does not have, and what cannot be kept.
fn check_parameters(body: &Value) -> Result<(), WireError> {
    if let Some((old, new)) = MOVED.into_iter().find(|(old, _)| !body[old].is_null()) {
        return Err(invalid(
            Some("unsupported_parameter"),
            format!(
                "Unsupported parameter: '{old}'. In the Responses API, this parameter has moved to '{new}'."
            ),
        ));
    }
    if let Some(unknown) = UNKNOWN.into_iter().find(|name| !body[name].is_null()) {
        return Err(invalid(Some("unknown_parameter"), format!("Unknown parameter: '{unknown}'.")));
    }
    if let Some(id) = body["previous_response_id"].as_str() {
        let message = format!("Previous response with id '{id}' not found.");
        return Err(invalid(Some("previous_response_not_found"), message));
    }
    match KEPT.into_iter().find(|name| !body[name].is_null() && body[name] != false) {
        Some(kept) => {
            let message = format!("Unsupported parameter: '{kept}': no response is kept here.");
            Err(invalid(Some("unsupported_parameter"), message))
        }
        None => Ok(()),
    }
}

/// The last turn of the user, and what the system said before it.
fn input(input: &Value) -> Result<(String, Vec<String>), WireError> {
    let items = match input {
        Value::String(prompt) => return Ok((prompt.clone(), Vec::new())),
        Value::Array(items) if items.is_empty() => {
            return Err(invalid(Some("empty_array"), "Invalid 'input': empty array."));
        }
        Value::Array(items) => items,
        Value::Null => return Err(missing("input")),
        _ => {
            let message = "Invalid type for 'input': expected a string or an array of items.";
            return Err(invalid(Some("invalid_type"), message));
        }
    };
    for (i, item) in items.iter().enumerate() {
        check_item(i, item)?;
    }
    let prompt = last_of(items, "user").ok_or_else(|| {
        invalid(Some("invalid_value"), "Invalid 'input': no item of the user with content.")
    })?;
    let is_system = |item: &&Value| item["role"] == "system" || item["role"] == "developer";
    let system = items.iter().filter(is_system).filter_map(|item| text_of(&item["content"])).collect();
    Ok((prompt, system))
}

/// A turn has a role and a content, a tool's result its call; other items are the API's own, sent
/// back to it.
fn check_item(i: usize, item: &Value) -> Result<(), WireError> {
    match item["type"].as_str() {
        None | Some("message") => {
            let role = item["role"].as_str().ok_or_else(|| missing(&format!("input[{i}].role")))?;
            if !ROLES.contains(&role) {
                let message = format!(
                    "Invalid value: '{role}'. Supported values are: 'assistant', 'system', 'developer', \
                     and 'user'."
                );
                return Err(invalid(Some("invalid_value"), message));
            }
            text_of(&item["content"]).map(drop).ok_or_else(|| missing(&format!("input[{i}].content")))
        }
        Some("function_call_output") => match ["call_id", "output"].into_iter().find(|f| item[f].is_null()) {
            Some(field) => Err(missing(&format!("input[{i}].{field}"))),
            None => Ok(()),
        },
        Some(_) => Ok(()),
    }
}

/// The bound on the answer.
fn bound(body: &Value) -> Result<u32, WireError> {
    let name = "max_output_tokens";
    let stated = whole_number(body, name).map_err(|_| {
        invalid(Some("invalid_type"), format!("Invalid type for '{name}': expected a whole number."))
    })?;
    match stated {
        Some(few) if few < LEAST_OUTPUT => {
            let message = format!(
                "Invalid '{name}': integer below minimum value. Expected a value >= {LEAST_OUTPUT}, but \
                 got {few} instead."
            );
            Err(invalid(Some("integer_below_min_value"), message))
        }
        Some(bound) => Ok(bound),
        None => Ok(MAX_TOKENS_UNLESS_SAID),
    }
}

/// What the model reads, in order: the schema, the tools, the instructions, the items.
fn parts(body: &Value) -> Vec<Part> {
    let whole = |value: &Value| Part::text(value.to_string());
    let schema = body["text"]["format"].get("schema").into_iter().map(whole);
    let tools = body["tools"].as_array().into_iter().flatten().map(whole);
    let mut parts: Vec<Part> = schema.chain(tools).chain(Part::content(&body["instructions"])).collect();
    match &body["input"] {
        Value::Array(items) => {
            for item in items {
                match &item["content"] {
                    // A call, its result, or what else the API has of its own.
                    Value::Null => parts.push(whole(item)),
                    content => parts.extend(Part::content(content)),
                }
            }
        }
        input => parts.extend(Part::content(input)),
    }
    parts
}

pub(super) fn particulars(body: &[u8]) -> Particulars {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let effort = body["reasoning"]["effort"].as_str();
    Particulars {
        parts: parts(&body),
        caching: Caching::Automatic,
        thinking: effort.filter(|effort| !matches!(*effort, "none" | "minimal")).map(|_| u32::MAX),
        choices: 1,
        tier: if body["service_tier"] == "flex" { Tier::Flex } else { Tier::Standard },
        geo: None,
    }
}
