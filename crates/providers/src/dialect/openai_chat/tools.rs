//! The server's half: the shape that a request's tools and formats ask an answer to have. What they
//! are is the same in all of OpenAI's APIs; here is where they stand in this one.

use serde_json::Value;

use super::super::openai::checks::{at_most, empty, wrong_type};
use super::super::openai::invalid;
use super::super::openai::tools::{self, Tool};
use super::super::{Shape, WireError};

/// Tools, at most (as recorded replies have it; the reference does not say).
const MOST_TOOLS: usize = 128;

/// What the answer has to look like: a function's call where one is forced, or where functions are
/// offered and the last turn is not already a tool's result; else the format that is asked for.
pub(super) fn shape(body: &Value) -> Result<Shape, WireError> {
    let (functions, choice, format) = (functions(body)?, &body["tool_choice"], &body["response_format"]);
    let format = tools::format(
        ("response_format", format),
        ("response_format.json_schema", &format["json_schema"], "response_format"),
        ("messages", &body["messages"]),
    )?;
    if body["tools"].is_null() && choice == "auto" {
        let message =
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.";
        return Err(invalid(None, message).about("tool_choice"));
    }
    let last = body["messages"].as_array().and_then(|turns| turns.last());
    let has_result = last.is_some_and(|turn| turn["role"] == "tool");
    let name = &choice["function"]["name"];
    let called =
        tools::chosen((&functions, &body["tools"]), choice, "tool_choice.function.name", name, has_result)?;
    Ok(tools::shape(called, format))
}

fn functions(body: &Value) -> Result<Vec<Tool>, WireError> {
    let list = match &body["tools"] {
        Value::Null => return Ok(Vec::new()),
        list => list.as_array().ok_or_else(|| wrong_type("tools", "an array of objects"))?,
    };
    if list.is_empty() {
        return Err(empty("tools"));
    }
    at_most("tools", list, MOST_TOOLS)?;
    let names =
        ["function", "custom"].map(|kind| list.iter().filter_map(move |tool| tool[kind]["name"].as_str()));
    tools::check_unique(names.into_iter().flatten())?;
    let functions = list.iter().enumerate().filter(|(_, tool)| tool["type"] != "custom");
    functions
        .map(|(i, tool)| {
            if tool["type"] == "function" {
                return tools::function(&format!("tools[{i}].function"), &tool["function"]);
            }
            let field = format!("tools[{i}].type");
            let message = format!("Invalid value for '{field}': expected 'function' or 'custom'.");
            Err(invalid(Some("invalid_value"), message).about(field))
        })
        .collect()
}
