//! The server's half, requests in: what a request says. What the API refuses of it is in `checks`.

use http::HeaderMap;
use serde_json::Value;

use super::super::turns::{flag, last_of, text_of, whole_number};
use super::super::{Caching, Keep, Part, Particulars, Request, ServerAnswer, Tier, WireError};
use super::checks::Headers;
use super::models::Model;
use super::{checks, tools, turns};

pub(super) fn invalid(message: impl Into<String>) -> WireError {
    WireError {
        status: 400,
        kind: "invalid_request_error".to_owned(),
        code: None,
        param: None,
        message: message.into(),
    }
}

pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Request, WireError> {
    checks::is_2026(headers)?;
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| invalid(format!("The request body is not valid JSON: {error}")))?;
    let said = Headers::read(headers, &body)?;
    let required = |field: &str| invalid(format!("{field}: Field required"));

    let model = match &body["model"] {
        Value::Null => return Err(required("model")),
        model => model.as_str().ok_or_else(|| invalid("model: Input should be a valid string"))?,
    };
    let max_tokens = whole_number(&body, "max_tokens")
        .map_err(|_| invalid("max_tokens: Input should be a valid integer"))?
        .ok_or_else(|| required("max_tokens"))?;
    let turns = match &body["messages"] {
        Value::Null => return Err(required("messages")),
        turns => turns.as_array().ok_or_else(|| invalid("messages: Input should be a valid array"))?,
    };
    checks::check_forms(&body)?;
    let taken = Model::named(model);
    turns::check(turns, taken, said.is_2026)?;
    let prompt =
        last_of(turns, "user").ok_or_else(|| invalid("messages: a user turn with content is required"))?;
    let shape = tools::shape(&body)?;
    let temperature = checks::check(&body, taken, max_tokens, &said)?;
    Ok(Request {
        model: model.to_owned(),
        system: text_of(&body["system"]),
        prompt,
        max_tokens,
        temperature,
        stream: flag(&body, "stream").map_err(|_| invalid("stream: Input should be a valid boolean"))?,
        stop: checks::stop_sequences(&body)?,
        shape,
        kept_as: None,
    })
}

/// The budget of what is thought, `None` where nothing is.
pub(super) fn thinking(body: &Value) -> Option<u32> {
    match body["thinking"]["type"].as_str()? {
        "enabled" => whole_number(&body["thinking"], "budget_tokens").ok().flatten(),
        "adaptive" | "between_tools" => Some(u32::MAX),
        _ => None,
    }
}

/// Whether what was thought of a request is shown in its answer: as it asks for it, else as the model does it
/// (Anthropic's documentation of thinking, which calls it `display`).
pub(super) fn shows_thoughts(answer: &ServerAnswer, asked: &[u8]) -> bool {
    if answer.besides.thinking.is_none() {
        return false;
    }
    let asked: Value = serde_json::from_slice(asked).unwrap_or_default();
    match asked["thinking"]["display"].as_str() {
        Some(word) => word != "omitted",
        None => Model::named(asked["model"].as_str().unwrap_or_default()).shows_thoughts(),
    }
}

/// How long a `cache_control` keeps what it marks.
pub(super) fn keep(mark: &Value) -> Result<Option<Keep>, WireError> {
    let is_known = |name: &str| name == "type" || name == "ttl";
    if let Some((extra, _)) = mark.as_object().into_iter().flatten().find(|(name, _)| !is_known(name)) {
        return Err(invalid(format!("cache_control.ephemeral.{extra}: Extra inputs are not permitted")));
    }
    match (mark["type"].as_str(), mark["ttl"].as_str()) {
        _ if mark.is_null() => Ok(None),
        (Some("ephemeral"), None | Some("5m")) => Ok(Some(Keep::FiveMinutes)),
        (Some("ephemeral"), Some("1h")) => Ok(Some(Keep::Hour)),
        (Some("ephemeral"), Some(_)) => Err(invalid("cache_control.ttl: Input should be '5m' or '1h'")),
        _ => Err(invalid("cache_control.type: Input should be 'ephemeral'")),
    }
}

/// The blocks in the order in which they are read and cached: tools, system, turns. A content that
/// is a string is a block too.
pub(super) fn read_in_order(body: &Value) -> Vec<&Value> {
    fn blocks(content: &Value) -> Vec<&Value> {
        match content {
            Value::Array(blocks) => blocks.iter().collect(),
            Value::Null => Vec::new(),
            one => vec![one],
        }
    }
    let mut all = blocks(&body["tools"]);
    all.extend(blocks(&body["system"]));
    for turn in body["messages"].as_array().into_iter().flatten() {
        all.extend(blocks(&turn["content"]));
    }
    all
}

pub(super) fn parts(body: &Value) -> Vec<Part> {
    let of = |block: &Value| match block.as_str() {
        Some(text) => Part::text(text),
        None => Part { keep: keep(&block["cache_control"]).ok().flatten(), ..Part::block(block) },
    };
    let mut parts = Vec::new();
    // A schema for the answer is read before all else.
    if let Some(schema) = tools::asked_format(body).1.get("schema") {
        parts.push(Part::text(schema.to_string()));
    }
    parts.extend(read_in_order(body).into_iter().map(of));
    // A mark on the request as a whole is one on its last block.
    if let (Some(last), Ok(Some(mark))) = (parts.last_mut(), keep(&body["cache_control"])) {
        last.keep = last.keep.or(Some(mark));
    }
    parts
}

pub(super) fn particulars(body: &[u8]) -> Particulars {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    Particulars {
        parts: parts(&body),
        caching: Caching::Marked,
        thinking: thinking(&body),
        bound: whole_number(&body, "max_tokens").ok().flatten(),
        thinks_untold: false,
        choices: 1,
        tier: if body["speed"] == "fast" { Tier::Fast } else { Tier::Standard },
        geo: body["inference_geo"].as_str().map(str::to_owned),
        is_stored: body["thread"].is_object(),
        in_background: false,
    }
}
