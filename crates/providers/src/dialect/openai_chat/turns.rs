//! The server's half: what the API refuses of the turns of a request. Roles, contents and their parts
//! are those of OpenAI's reference; the rules of calls and their answers, and the words for both, are
//! those that recorded replies show.

use std::collections::HashSet;

use serde_json::Value;

use super::super::WireError;
use super::super::openai::checks::{empty, only_known_in, unknown_parameter, word, wrong_type};
use super::super::openai::media::check_chat_image;
use super::super::openai::{invalid, missing};

/// Who may speak: the reference's roles. `function` is the one that `tool` replaced.
const ROLES: [&str; 6] = ["system", "assistant", "user", "function", "tool", "developer"];

/// What a content may be made of.
const PARTS: [&str; 6] = ["text", "image_url", "input_audio", "refusal", "audio", "file"];

/// What parts of a kind have to have.
const HELD: [(&str, &str); 4] =
    [("text", "text"), ("input_audio", "input_audio"), ("file", "file"), ("refusal", "refusal")];

/// What a developer's turn may have (the official SDKs'
/// `types/chat/chat_completion_developer_message_param.py`).
const OF_DEVELOPER: [&str; 3] = ["role", "content", "name"];

/// What an assistant may call.
const CALLS: [&str; 2] = ["function", "custom"];

/// What may stand for an assistant's content.
const BESIDES: [&str; 4] = ["tool_calls", "function_call", "refusal", "audio"];

/// Refuses turns that no conversation has.
pub(super) fn check(turns: &[Value]) -> Result<(), WireError> {
    for (i, turn) in turns.iter().enumerate() {
        if !turn.is_object() {
            return Err(wrong_type(&format!("messages[{i}]"), "an object", turn));
        }
        let field = format!("messages[{i}].role");
        if turn["role"].is_null() {
            return Err(missing(&field));
        }
        word(&field, &turn["role"], &ROLES)?;
        check_content(i, turn)?;
        if turn["role"] == "tool" && turn["tool_call_id"].as_str().is_none() {
            return Err(missing(&format!("messages[{i}].tool_call_id")));
        }
        if turn["role"] == "assistant" {
            check_calls(i, &turn["tool_calls"])?;
        }
    }
    check_answers(turns)?;
    check_said(turns)
}

/// A content is text or parts. A developer's turn has to have one and nothing that it cannot have, which
/// the API overlooks in other turns.
fn check_content(i: usize, turn: &Value) -> Result<(), WireError> {
    let (turn_field, field) = (format!("messages[{i}]"), format!("messages[{i}].content"));
    let is_developer = turn["role"] == "developer";
    match turn.get("content") {
        None if is_developer => return Err(missing(&field)),
        Some(Value::Null) if !is_developer => (),
        None | Some(Value::String(_)) => (),
        Some(Value::Array(parts)) => {
            for (j, part) in parts.iter().enumerate() {
                check_part(&format!("{field}[{j}]"), part)?;
                if part["type"] == "image_url" && turn["role"] != "user" {
                    return Err(no_image_of(&turn_field, &turn["role"]));
                }
                if is_developer && !part["cache_control"].is_null() {
                    return Err(unknown_parameter(&format!("{field}[{j}].cache_control")));
                }
            }
        }
        Some(other) => return Err(wrong_type(&field, "one of a string or array of objects", other)),
    }
    if is_developer { only_known_in(&turn_field, turn, &OF_DEVELOPER) } else { Ok(()) }
}

/// An image that somebody else than the user shows.
fn no_image_of(field: &str, role: &Value) -> WireError {
    let role = role.as_str().unwrap_or_default();
    let message = format!(
        "Invalid '{field}'. Image URLs are only allowed for messages with role 'user', but this message with \
         role '{role}' contains an image URL."
    );
    invalid(Some("invalid_value"), message).about(field)
}

fn check_part(field: &str, part: &Value) -> Result<(), WireError> {
    let kind = format!("{field}.type");
    if !part.is_object() {
        return Err(wrong_type(field, "an object", part));
    }
    if part["type"].is_null() {
        return Err(missing(&kind));
    }
    word(&kind, &part["type"], &PARTS)?;
    if part["type"] == "image_url" {
        return check_chat_image(field, &part["image_url"]);
    }
    match HELD.into_iter().find(|(kind, name)| part["type"] == *kind && part[*name].is_null()) {
        Some((_, name)) => Err(missing(&format!("{field}.{name}"))),
        None if part["type"] == "text" && !part["text"].is_string() => {
            Err(wrong_type(&format!("{field}.text"), "a string", &part["text"]))
        }
        None => Ok(()),
    }
}

/// Every turn says something, but an assistant's may call or refuse instead. The API looks at this last.
fn check_said(turns: &[Value]) -> Result<(), WireError> {
    let is_silent = |turn: &Value| {
        let instead = turn["role"] == "assistant" && BESIDES.iter().any(|field| !turn[field].is_null());
        turn["content"].is_null() && !instead && turn["role"] != "function"
    };
    match turns.iter().position(is_silent) {
        None => Ok(()),
        Some(i) => {
            let message = "Invalid value for 'content': expected a string, got null.";
            Err(invalid(None, message).about(format!("messages.[{i}].content")))
        }
    }
}

/// The calls of an assistant: each has an id, and a function is called with text.
fn check_calls(i: usize, calls: &Value) -> Result<(), WireError> {
    let field = format!("messages[{i}].tool_calls");
    let calls = match calls {
        Value::Null => return Ok(()),
        Value::Array(calls) if calls.is_empty() => return Err(empty(&field)),
        Value::Array(calls) => calls,
        other => return Err(wrong_type(&field, "an array of objects", other)),
    };
    for (j, call) in calls.iter().enumerate() {
        let field = |name: &str| format!("{field}[{j}].{name}");
        for name in ["id", "type"] {
            if call[name].as_str().is_none() {
                return Err(missing(&field(name)));
            }
        }
        word(&field("type"), &call["type"], &CALLS)?;
        let said = [("function", "name"), ("function", "arguments"), ("custom", "name"), ("custom", "input")];
        for (kind, name) in said.into_iter().filter(|(kind, _)| call["type"] == *kind) {
            let field = field(&format!("{kind}.{name}"));
            match &call[kind][name] {
                Value::String(_) => (),
                Value::Null => return Err(missing(&field)),
                other => return Err(wrong_type(&field, "a string", other)),
            }
        }
    }
    Ok(())
}

/// The answers to an assistant's calls come right after them, one for each; nothing else is answered.
fn check_answers(turns: &[Value]) -> Result<(), WireError> {
    let mut calls: Vec<&str> = Vec::new();
    let mut known: HashSet<&str> = HashSet::new();
    let mut answered: HashSet<&str> = HashSet::new();
    for (i, turn) in turns.iter().enumerate() {
        if turn["role"] == "tool" {
            let id = turn["tool_call_id"].as_str().unwrap_or_default();
            check_answer(i, id, &known)?;
            answered.insert(id);
            continue;
        }
        check_all_answered(&calls, &answered, || format!("messages.[{i}].role"))?;
        let made = turn["tool_calls"].as_array().filter(|_| turn["role"] == "assistant");
        calls = made.into_iter().flatten().filter_map(|call| call["id"].as_str()).collect();
        known = calls.iter().copied().collect();
        answered.clear();
    }
    check_all_answered(&calls, &answered, || "messages".to_owned())
}

/// An answer is to one of the calls before it.
fn check_answer(i: usize, id: &str, calls: &HashSet<&str>) -> Result<(), WireError> {
    if calls.is_empty() {
        let message = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message \
                       with 'tool_calls'.";
        return Err(invalid(None, message).about(format!("messages.[{i}].role")));
    }
    if calls.contains(id) {
        return Ok(());
    }
    let message =
        format!("Invalid parameter: 'tool_call_id' of '{id}' not found in 'tool_calls' of previous message.");
    Err(invalid(None, message).about(format!("messages.[{i}].tool_call_id")))
}

/// Refuses calls that nobody has answered by this place. Recorded replies name it in both ways, by the
/// turn and by the field.
fn check_all_answered(
    calls: &[&str],
    answered: &HashSet<&str>,
    place: impl Fn() -> String,
) -> Result<(), WireError> {
    let open: Vec<&str> = calls.iter().copied().filter(|id| !answered.contains(id)).collect();
    if open.is_empty() {
        return Ok(());
    }
    let message = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each \
         'tool_call_id'. The following tool_call_ids did not have response messages: {}",
        open.join(", ")
    );
    Err(invalid(None, message).about(place()))
}
