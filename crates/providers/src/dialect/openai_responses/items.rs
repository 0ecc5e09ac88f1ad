//! The server's half: what the API refuses of the items of an input. Kinds, rules and words are those
//! that recorded replies show; kinds that the official SDKs know beside them are taken too.

use std::collections::HashSet;

use serde_json::Value;

use super::super::WireError;
use super::super::openai::checks::{known_word, unknown_parameter, word, wrong_type};
use super::super::openai::media::check_response_image;
use super::super::openai::{invalid, missing};

/// Who may speak.
const ROLES: [&str; 4] = ["assistant", "system", "developer", "user"];

/// What an input may be made of. Most of it is the API's own, sent back to it.
const KINDS: [&str; 34] = [
    "additional_tools",
    "agent_message",
    "apply_patch_call",
    "apply_patch_call_output",
    "code_interpreter_call",
    "compaction",
    "compaction_trigger",
    "computer_call",
    "computer_call_output",
    "configuration_update",
    "custom_tool_call",
    "custom_tool_call_output",
    "file_search_call",
    "function_call",
    "function_call_output",
    "image_generation_call",
    "item_reference",
    "local_shell_call",
    "local_shell_call_output",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "mcp_list_tools",
    "message",
    "multi_agent_call",
    "multi_agent_call_output",
    "program",
    "program_output",
    "reasoning",
    "shell_call",
    "shell_call_output",
    "tool_search_call",
    "tool_search_output",
    "web_search_call",
];

/// What contents are made of, as errors have it.
const PARTS: [&str; 9] = [
    "input_text",
    "input_image",
    "input_audio",
    "output_text",
    "refusal",
    "input_file",
    "computer_screenshot",
    "summary_text",
    "encrypted_content",
];

/// What the content of an assistant may be made of, of anyone else, and of a tool's result.
const OF_ASSISTANT: [&str; 2] = ["output_text", "refusal"];
const OF_OTHERS: [&str; 5] = ["input_text", "input_image", "input_file", "scoped_content", "input_audio"];
const OF_RESULT: [&str; 3] = ["input_text", "input_image", "input_file"];

/// What a message may have beside its content; the last is an assistant's alone.
const FIELDS: [&str; 6] = ["type", "role", "content", "status", "id", "phase"];
const PHASES: [&str; 2] = ["commentary", "final_answer"];

/// What ids of items begin with (as users have shown it of gpt-6-astra, kind by kind).
const IDS: [(&str, &str); 8] = [
    ("message", "msg"),
    ("reasoning", "rs"),
    ("function_call", "fc"),
    ("function_call_output", "fc"),
    ("custom_tool_call", "ctc"),
    ("custom_tool_call_output", "ctco"),
    ("web_search_call", "ws"),
    ("tool_search_call", "tsc"),
];

/// A call that the client answers.
struct Called {
    call: &'static str,
    output: &'static str,
    /// The field of what it is called with.
    said: &'static str,
    /// What errors call it.
    words: &'static str,
}

const CALLED: [Called; 2] = [
    Called {
        call: "function_call",
        output: "function_call_output",
        said: "arguments",
        words: "function call",
    },
    Called {
        call: "custom_tool_call",
        output: "custom_tool_call_output",
        said: "input",
        words: "custom tool call",
    },
];

/// Refuses items that no conversation has. Where it goes on from something kept (`is_continued`), the
/// other halves of calls may be there.
pub(super) fn check(items: &[Value], is_continued: bool) -> Result<(), WireError> {
    for (i, item) in items.iter().enumerate() {
        check_item(&format!("input[{i}]"), item)?;
    }
    check_thoughts(items)?;
    if is_continued || items.iter().any(is_reference) {
        Ok(())
    } else {
        CALLED.iter().try_for_each(|called| check_calls(items, called))
    }
}

/// Whether an item stands for one that is kept; its type may be left out.
fn is_reference(item: &Value) -> bool {
    let bare = item["type"].is_null() && item["role"].is_null() && item["id"].is_string();
    bare || item["type"] == "item_reference"
}

fn check_item(field: &str, item: &Value) -> Result<(), WireError> {
    if !item.is_object() {
        return Err(wrong_type(field, "an input item", item));
    }
    word(field, &item["type"], &KINDS)?;
    let kind = if is_reference(item) { "item_reference" } else { item["type"].as_str().unwrap_or("message") };
    check_id(&format!("{field}.id"), &item["id"], kind)?;
    if kind == "message" {
        return check_message(field, item);
    }
    for called in &CALLED {
        let required: &[&str] = match kind {
            kind if kind == called.output => &["call_id", "output"],
            kind if kind == called.call => &["call_id", "name", called.said],
            _ => continue,
        };
        if let Some(name) = required.iter().find(|name| item[**name].is_null()) {
            return Err(missing(&format!("{field}.{name}")));
        }
        // What shells and other agents give back has parts of its own.
        return check_parts(&format!("{field}.output"), &item["output"], &OF_RESULT);
    }
    Ok(())
}

/// An item that the API gave has an id that says of which kind it is.
fn check_id(field: &str, id: &Value, kind: &str) -> Result<(), WireError> {
    let Some((_, begins)) = IDS.into_iter().find(|(of, _)| *of == kind) else { return Ok(()) };
    let said = match id {
        Value::Null => return Ok(()),
        id => id.as_str().ok_or_else(|| wrong_type(field, "a string", id))?,
    };
    if said.starts_with(begins) {
        return Ok(());
    }
    let message = format!("Invalid '{field}': '{said}'. Expected an ID that begins with '{begins}'.");
    Err(invalid(Some("invalid_value"), message).about(field))
}

/// What a model thought stands before what it said then. Where it comes along whole, encrypted, the API
/// does not look at that.
fn check_thoughts(items: &[Value]) -> Result<(), WireError> {
    let is_thought = |item: &Value| item["type"] == "reasoning";
    for (i, item) in items.iter().enumerate().filter(|(_, item)| is_thought(item)) {
        let next = items[i..].iter().find(|item| !is_thought(item));
        let is_followed = next.is_some_and(|next| next["role"].is_null() || next["role"] == "assistant");
        if item["encrypted_content"].is_null() && !is_followed {
            let id = item["id"].as_str().unwrap_or_default();
            let message =
                format!("Item '{id}' of type 'reasoning' was provided without its required following item.");
            return Err(invalid(None, message).about("input"));
        }
    }
    Ok(())
}

fn check_message(field: &str, item: &Value) -> Result<(), WireError> {
    known_word(field, &item["role"], &ROLES)?;
    let is_assistant = item["role"] == "assistant";
    let content = format!("{field}.content");
    match &item["content"] {
        Value::Null => return Err(missing(&content)),
        Value::String(_) | Value::Array(_) => (),
        other => return Err(wrong_type(&content, "one of a string or array of content parts", other)),
    }
    let is_known = |name: &str| FIELDS.contains(&name) && (is_assistant || name != "phase");
    if let Some((name, _)) = item.as_object().into_iter().flatten().find(|(name, _)| !is_known(name)) {
        return Err(unknown_parameter(&format!("{field}.{name}")));
    }
    word(&format!("{field}.phase"), &item["phase"], &PHASES)?;
    let allowed = if is_assistant { &OF_ASSISTANT[..] } else { &OF_OTHERS };
    check_parts(&content, &item["content"], allowed)
}

/// Parts are refused first where no content has them, and then where this one does not.
fn check_parts(field: &str, parts: &Value, allowed: &[&str]) -> Result<(), WireError> {
    for (i, part) in parts.as_array().into_iter().flatten().enumerate() {
        let field = format!("{field}[{i}]");
        if !part.is_object() {
            return Err(wrong_type(&field, "a content part", part));
        }
        let kind = &part["type"];
        if !allowed.iter().any(|allowed| kind == allowed) {
            known_word(&format!("{field}.type"), kind, &PARTS)?;
            known_word(&field, kind, allowed)?;
        }
        if (kind == "input_text" || kind == "output_text") && part["text"].as_str().is_none() {
            return Err(missing(&format!("{field}.text")));
        }
        if kind == "input_image" {
            check_response_image(&field, part)?;
        }
    }
    Ok(())
}

/// An output is that of a call before it, and every call has one.
fn check_calls(items: &[Value], called: &Called) -> Result<(), WireError> {
    let words = called.words;
    let mut made: HashSet<&str> = HashSet::new();
    let mut answered: HashSet<&str> = HashSet::new();
    for item in items {
        let id = item["call_id"].as_str().unwrap_or_default();
        if item["type"] == called.call {
            made.insert(id);
        } else if item["type"] == called.output {
            if !made.contains(id) {
                let message = format!("No tool call found for {words} output with call_id {id}.");
                return Err(invalid(None, message).about("input"));
            }
            answered.insert(id);
        }
    }
    let calls = items.iter().filter(|item| item["type"] == called.call);
    let mut ids = calls.filter_map(|item| item["call_id"].as_str());
    match ids.find(|id| !answered.contains(id)) {
        None => Ok(()),
        Some(id) => Err(invalid(None, format!("No tool output found for {words} {id}.")).about("input")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_other_half_of_a_call_may_be_where_the_response_goes_on_from() {
        let call = json!({"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"});
        let output = json!({"type": "function_call_output", "call_id": "a", "output": "x"});
        for half in [call, output] {
            assert!(check(std::slice::from_ref(&half), true).is_ok(), "{half}");
            assert!(check(&[half], false).is_err());
        }
        assert!(check(&[json!({"type": "call"})], true).is_err());
    }
}
