//! The server's half, requests in: what a request says, and what the API refuses of it.

use serde_json::Value;

use super::super::openai::checks::{empty, thoughts, wrong_type};
use super::super::openai::{MAX_TOKENS_UNLESS_SAID, invalid, missing, tier};
use super::super::turns::{asked_of, text_of};
use super::super::{Caching, Part, Particulars, Request, WireError};
use super::{checks, kept, tools};

pub(super) fn read(body: &[u8]) -> Result<Request, WireError> {
    let body: Value = serde_json::from_slice(body).map_err(|error| {
        invalid(None, format!("We could not parse the JSON body of your request: {error}"))
    })?;
    let model = body["model"].as_str().ok_or_else(|| invalid(None, "you must provide a model parameter"))?;
    let turns = match &body["messages"] {
        Value::Array(turns) => turns,
        Value::Null => return Err(missing("messages")),
        other => return Err(wrong_type("messages", "an array of objects", other)),
    };
    if turns.is_empty() {
        return Err(empty("messages"));
    }
    let temperature = checks::check(&body, model, turns)?;
    let system: Vec<_> = turns
        .iter()
        .filter(|turn| turn["role"] == "system" || turn["role"] == "developer")
        .filter_map(|turn| text_of(&turn["content"]))
        .collect();
    Ok(Request {
        model: model.to_owned(),
        system: (!system.is_empty()).then(|| system.join("\n")),
        prompt: asked_of(turns),
        max_tokens: checks::bound(&body, model)?.unwrap_or(MAX_TOKENS_UNLESS_SAID),
        temperature,
        stream: body["stream"] == true,
        stop: checks::stops(&body, model)?,
        shape: tools::shape(&body)?,
        kept_as: kept::name_in(&body),
    })
}

/// What the model reads, in order: the schema, the tools, the turns and the calls in them.
fn parts(body: &Value) -> Vec<Part> {
    let mut parts = Vec::new();
    if let Some(schema) = body["response_format"].get("json_schema") {
        parts.push(Part::text(schema.to_string()));
    }
    for offered in ["functions", "tools"] {
        parts.extend(body[offered].as_array().into_iter().flatten().map(|one| Part::text(one.to_string())));
    }
    for turn in body["messages"].as_array().into_iter().flatten() {
        parts.extend(Part::content(&turn["content"]));
        let calls = turn["tool_calls"].as_array().into_iter().flatten();
        parts.extend(calls.map(|call| Part::text(call.to_string())));
    }
    parts
}

pub(super) fn particulars(body: &[u8]) -> Particulars {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let model = body["model"].as_str().unwrap_or_default();
    let (thinking, thinks_untold) = thoughts(model, &body["reasoning_effort"]);
    Particulars {
        parts: parts(&body),
        caching: Caching::Automatic,
        thinking,
        thinks_untold,
        bound: checks::bound(&body, model).unwrap_or_default(),
        choices: checks::choices(&body).unwrap_or(1),
        tier: tier(&body).unwrap_or_default(),
        geo: None,
        is_stored: body["store"] == true,
        in_background: false,
    }
}
