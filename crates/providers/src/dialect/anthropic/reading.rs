//! The server's half, requests in: what a request says, and what the API refuses of it.

use http::HeaderMap;
use serde_json::Value;

use super::super::turns::{last_of, text_of, whole_number};
use super::super::{Caching, Keep, Part, Particulars, Request, Tier, WireError};
use super::{V2023, V2026, VERSION, tools};

/// Places in a request that the cache can be told to keep it up to, at most (Anthropic's
/// documentation of prompt caching).
const MOST_BREAKPOINTS: usize = 4;

/// The least that a thinking budget may be, in tokens (Anthropic's documentation of extended
/// thinking).
const LEAST_THINKING: u32 = 1_024;

pub(super) fn invalid(message: impl Into<String>) -> WireError {
    WireError { status: 400, kind: "invalid_request_error".to_owned(), code: None, message: message.into() }
}

pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Request, WireError> {
    let version = headers.get(VERSION).ok_or_else(|| invalid("anthropic-version: header is required"))?;
    let is_2026 = match version.to_str() {
        Ok(V2023) => false,
        Ok(V2026) => true,
        _ => return Err(invalid("anthropic-version: not a valid version")),
    };
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| invalid(format!("The request body is not valid JSON: {error}")))?;
    let required = |field: &str| invalid(format!("{field}: Field required"));

    let model = body["model"].as_str().ok_or_else(|| required("model"))?;
    let max_tokens = whole_number(&body, "max_tokens")
        .map_err(|_| invalid("max_tokens: Input should be a valid integer"))?
        .ok_or_else(|| required("max_tokens"))?;
    let turns = body["messages"].as_array().ok_or_else(|| required("messages"))?;
    check_turns(turns, is_2026)?;
    let prompt =
        last_of(turns, "user").ok_or_else(|| invalid("messages: a user turn with content is required"))?;
    let shape = tools::shape(&body)?;
    let temperature = temperature(&body, is_2026)?;
    check_thinking(&body, max_tokens)?;
    check_cache(&body)?;
    check_words(&body)?;
    Ok(Request {
        model: model.to_owned(),
        system: text_of(&body["system"]),
        prompt,
        max_tokens,
        temperature,
        stream: body["stream"] == true,
        stop: stop_sequences(&body)?,
        shape,
    })
}

fn temperature(body: &Value, is_2026: bool) -> Result<Option<f64>, WireError> {
    if is_2026
        && let Some(extra) = ["temperature", "top_k", "top_p"].into_iter().find(|f| body.get(f).is_some())
    {
        return Err(invalid(format!("{extra}: Extra inputs are not permitted")));
    }
    match &body["temperature"] {
        Value::Null => Ok(None),
        value => match value.as_f64().filter(|t| (0.0..=1.0).contains(t)) {
            Some(temperature) => Ok(Some(temperature)),
            None => Err(invalid("temperature: Input should be a number from 0 to 1")),
        },
    }
}

/// Roles and contents; in 2026-10-21, also blocks that moved.
fn check_turns(turns: &[Value], is_2026: bool) -> Result<(), WireError> {
    if turns.is_empty() {
        return Err(invalid("messages: at least one message is required"));
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
    Ok(())
}

fn stop_sequences(body: &Value) -> Result<Vec<String>, WireError> {
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

/// The budget of what is thought, `None` where nothing is.
fn thinking(body: &Value) -> Option<u32> {
    match body["thinking"]["type"].as_str()? {
        "enabled" => whole_number(&body["thinking"], "budget_tokens").ok().flatten(),
        "adaptive" | "between_tools" => Some(u32::MAX),
        _ => None,
    }
}

fn check_thinking(body: &Value, max_tokens: u32) -> Result<(), WireError> {
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
    let efforts = ["low", "medium", "high", "xhigh", "max"];
    check("output_config.effort", &body["output_config"]["effort"], &efforts)
}

/// How long a `cache_control` keeps what it marks.
fn keep(mark: &Value) -> Result<Option<Keep>, WireError> {
    match (mark["type"].as_str(), mark["ttl"].as_str()) {
        _ if mark.is_null() => Ok(None),
        (Some("ephemeral"), None | Some("5m")) => Ok(Some(Keep::FiveMinutes)),
        (Some("ephemeral"), Some("1h")) => Ok(Some(Keep::Hour)),
        (Some("ephemeral"), Some(_)) => Err(invalid("cache_control.ttl: Input should be '5m' or '1h'")),
        _ => Err(invalid("cache_control.type: Input should be 'ephemeral'")),
    }
}

fn check_cache(body: &Value) -> Result<(), WireError> {
    keep(&body["cache_control"])?;
    for block in read_in_order(body) {
        keep(&block["cache_control"])?;
    }
    let kept: Vec<Keep> = parts(body).into_iter().filter_map(|part| part.keep).collect();
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

/// The blocks in the order in which they are read and cached: tools, system, turns. A content that
/// is a string is a block too.
fn read_in_order(body: &Value) -> Vec<&Value> {
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

fn parts(body: &Value) -> Vec<Part> {
    let of = |block: &Value| match block.as_str() {
        Some(text) => Part::text(text),
        None => Part { keep: keep(&block["cache_control"]).ok().flatten(), ..Part::block(block) },
    };
    let mut parts = Vec::new();
    // A schema for the answer is read before all else.
    if let Some(schema) = body["output_config"]["format"].get("schema") {
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
        choices: 1,
        tier: Tier::Standard,
        geo: body["inference_geo"].as_str().map(str::to_owned),
    }
}
