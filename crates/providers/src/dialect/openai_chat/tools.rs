//! The server's half: the shape that a request's tools and formats ask an answer to have. What they
//! are is the same in all of OpenAI's APIs; here is where they stand in this one.

use serde_json::Value;

use super::super::openai::checks::{at_most, empty, word, wrong_type};
use super::super::openai::tools::{self, Choice, Tool};
use super::super::openai::{invalid, missing};
use super::super::{Shape, WireError};

/// Tools, at most (as recorded replies have it; the reference does not say).
const MOST_TOOLS: usize = 128;

/// What a tool is, and what a choice is of.
const KINDS: [&str; 2] = ["function", "custom"];
const CHOICES: [&str; 3] = ["function", "custom", "allowed_tools"];

/// What the answer has to look like: a function's call where one is forced, or where functions are
/// offered and the last turn is not already a tool's result; else the format that is asked for.
pub(super) fn shape(body: &Value) -> Result<Shape, WireError> {
    let called_as_before = function_call(body)?;
    let (functions, choice, format) = (functions(body)?, &body["tool_choice"], &body["response_format"]);
    check_choice(choice)?;
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
    let kind = if choice["type"] == "custom" { "custom" } else { "function" };
    let named = ("tool_choice.function.name", &choice[kind]["name"]);
    let choice = Choice { said: choice, named, allowed: &choice["allowed_tools"] };
    let called = tools::chosen((&functions, &body["tools"]), &choice, has_result, not_offered)?;
    Ok(tools::shape(called.or(called_as_before.as_ref()), format))
}

/// Whether a request offers functions as before there were tools, and is answered so.
pub(super) fn is_as_before(body: &Value) -> bool {
    body["tools"].is_null() && !body["functions"].is_null()
}

/// The function that is called of those that are offered as before there were tools, which has the rules of
/// a tool's call.
fn function_call(body: &Value) -> Result<Option<Tool>, WireError> {
    let list = match &body["functions"] {
        Value::Null => return Ok(None),
        list => list
            .as_array()
            .ok_or_else(|| wrong_type("functions", "an array of function definitions", list))?,
    };
    let each = list.iter().enumerate();
    let functions = each
        .map(|(i, function)| tools::function(&format!("functions[{i}]"), function))
        .collect::<Result<Vec<_>, _>>()?;
    let choice = &body["function_call"];
    if choice == "none" {
        return Ok(None);
    }
    if choice.is_object() {
        let name = choice["name"].as_str().ok_or_else(|| missing("function_call.name"))?;
        let found = functions.into_iter().find(|(known, _)| known == name);
        return found.map(Some).ok_or_else(|| not_offered(name));
    }
    let last = body["messages"].as_array().and_then(|turns| turns.last());
    let has_result = last.is_some_and(|turn| turn["role"] == "function");
    Ok(functions.into_iter().next().filter(|_| !has_result))
}

fn functions(body: &Value) -> Result<Vec<Tool>, WireError> {
    let list = match &body["tools"] {
        Value::Null => return Ok(Vec::new()),
        list => list.as_array().ok_or_else(|| wrong_type("tools", "an array of objects", list))?,
    };
    if list.is_empty() {
        return Err(empty("tools"));
    }
    at_most("tools", list, MOST_TOOLS)?;
    let names =
        ["function", "custom"].map(|kind| list.iter().filter_map(move |tool| tool[kind]["name"].as_str()));
    tools::check_unique(names.into_iter().flatten())?;
    let mut functions = Vec::new();
    for (i, tool) in list.iter().enumerate() {
        let field = format!("tools[{i}]");
        if !tool.is_object() {
            return Err(wrong_type(&field, "an object", tool));
        }
        let kind = format!("{field}.type");
        let Some(named) = tool["type"].as_str() else { return Err(missing(&kind)) };
        word(&kind, &tool["type"], &KINDS)?;
        let field = format!("{field}.{named}");
        if tool[named].is_null() {
            return Err(missing(&field));
        }
        if named == "function" {
            functions.push(tools::function(&field, &tool[named])?);
        } else {
            functions.extend(tool[named]["name"].as_str().map(tools::custom));
        }
    }
    Ok(functions)
}

/// Refuses a choice that there is not. Of one of no kind the API speaks as of a function.
fn check_choice(choice: &Value) -> Result<(), WireError> {
    match choice {
        Value::Null | Value::String(_) => word("tool_choice", choice, &["none", "auto", "required"]),
        Value::Object(fields) => {
            let kind = choice["type"].as_str().filter(|kind| CHOICES.contains(kind)).unwrap_or("function");
            let is_there = fields.get(kind).is_some_and(|held| !held.is_null());
            if is_there { Ok(()) } else { Err(missing(&format!("tool_choice.{kind}"))) }
        }
        other => {
            let expected = "one of one of 'none', 'auto', or 'required' or object";
            Err(wrong_type("tool_choice", expected, other))
        }
    }
}

/// A choice of a function that is not offered, in the words of before there were tools.
fn not_offered(name: &str) -> WireError {
    let message = format!(
        "Invalid value for 'function_call': no function named '{name}' was specified in the 'functions' \
         parameter."
    );
    invalid(None, message).about("function_call")
}
