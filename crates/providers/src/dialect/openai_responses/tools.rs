//! The server's half: the shape that a request's tools and its text format ask an answer to have.
//! What they are is the same in all of OpenAI's APIs; here is where they stand in this one.

use serde_json::Value;

use super::super::openai::checks::{known_word, word, wrong_type};
use super::super::openai::tools::{self, Choice, Tool};
use super::super::openai::{invalid, missing};
use super::super::{Shape, WireError};

/// What tools there are: those of recorded replies, with those beside them that the official SDKs know.
const KINDS: [&str; 18] = [
    "code_interpreter",
    "programmatic_tool_calling",
    "function",
    "namespace",
    "tool_search",
    "file_search",
    "web_search",
    "web_search_2025_08_26",
    "web_search_preview",
    "web_search_preview_2025_03_11",
    "image_generation",
    "mcp",
    "custom",
    "computer",
    "computer_use_preview",
    "local_shell",
    "shell",
    "apply_patch",
];

/// Choices that are no tools: of several, and an old name.
const CHOICES: [&str; 2] = ["allowed_tools", "computer_use"];

/// What the client's own tools have given.
const RESULTS: [&str; 2] = ["custom_tool_call_output", "function_call_output"];

/// Tools that have several names.
const FAMILIES: [&str; 2] = ["web_search", "computer"];

/// What the answer has to look like: a call of a function where one is forced, or where functions
/// are offered and the last item is not already a tool's result; else the format that is asked for.
pub(super) fn shape(body: &Value) -> Result<Shape, WireError> {
    let (functions, choice, format) = (functions(body)?, &body["tool_choice"], &body["text"]["format"]);
    check_choice(choice, &body["tools"])?;
    let asked = ("text.format", format, "text.format.schema");
    let format = tools::format(("text.format", format), asked, ("input", &body["input"]))?;
    let last = body["input"].as_array().and_then(|items| items.last());
    let is_result = |item: &Value| item["type"].as_str().is_some_and(|kind| RESULTS.contains(&kind));
    let has_result = last.is_some_and(is_result);
    // A forced tool of the provider's own: what comes of that is text.
    let is_hosted =
        choice["type"].as_str().is_some_and(|kind| !["function", "custom", "allowed_tools"].contains(&kind));
    let called = if is_hosted {
        None
    } else {
        let named = ("tool_choice.name", &choice["name"]);
        let choice = Choice { said: choice, named, allowed: choice };
        tools::chosen((&functions, &body["tools"]), &choice, has_result, not_offered)?
    };
    Ok(tools::shape(called, format))
}

/// The functions that the client runs. Tools that the provider runs have types of their own and are
/// never called here.
fn functions(body: &Value) -> Result<Vec<Tool>, WireError> {
    let list = match &body["tools"] {
        Value::Null => return Ok(Vec::new()),
        list => list.as_array().ok_or_else(|| wrong_type("tools", "an array of tools", list))?,
    };
    tools::check_unique(list.iter().filter_map(|tool| tool["name"].as_str()))?;
    let mut functions = Vec::new();
    for (i, tool) in list.iter().enumerate() {
        let field = format!("tools[{i}]");
        if !tool.is_object() {
            return Err(wrong_type(&field, "an object", tool));
        }
        let kind = format!("{field}.type");
        if tool["type"].is_null() {
            return Err(missing(&kind));
        }
        word(&kind, &tool["type"], &KINDS)?;
        if tool["type"] == "function" {
            functions.push(tools::function(&field, tool)?);
        } else if tool["type"] == "custom" {
            functions.extend(tool["name"].as_str().map(tools::custom));
        }
    }
    Ok(functions)
}

/// Refuses a choice that there is not, and one of the provider's own tools that is not among `tools`.
fn check_choice(choice: &Value, tools: &Value) -> Result<(), WireError> {
    match choice {
        Value::Null | Value::String(_) => word("tool_choice", choice, &["none", "auto", "required"]),
        Value::Object(_) => {
            let kind = choice["type"].as_str().unwrap_or_default();
            if !CHOICES.contains(&kind) {
                known_word("tool_choice.type", &choice["type"], &KINDS)?;
            }
            let family = FAMILIES.into_iter().find(|family| kind.starts_with(family)).unwrap_or(kind);
            let mut offered = tools.as_array().into_iter().flatten().filter_map(|tool| tool["type"].as_str());
            let is_offered = family == "function"
                || CHOICES.contains(&kind)
                || offered.any(|offered| offered.starts_with(family));
            if is_offered { Ok(()) } else { Err(not_offered(kind)) }
        }
        other => {
            let expected = "one of an object or 'none', 'auto', or 'required'";
            Err(wrong_type("tool_choice", expected, other))
        }
    }
}

/// A choice of a tool that is not offered.
fn not_offered(name: &str) -> WireError {
    let message = format!("Tool choice '{name}' not found in 'tools' parameter.");
    invalid(None, message).about("tool_choice")
}
