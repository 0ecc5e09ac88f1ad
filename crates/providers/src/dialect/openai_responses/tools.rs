//! The server's half: the shape that a request's tools and its text format ask an answer to have.

use serde_json::{Value, json};

use super::super::openai::invalid;
use super::super::{Shape, WireError};
use super::reading::missing;

/// What the answer has to look like: a call of a tool where one is forced, or where tools are
/// offered and the last item is not already a tool's result; else the format that is asked for.
pub(super) fn shape(body: &Value) -> Result<Shape, WireError> {
    let (tools, format) = (tools(body)?, format(&body["text"]["format"])?);
    let choice = &body["tool_choice"];
    let called = match choice.as_str().or_else(|| choice["type"].as_str()) {
        None | Some("auto") => offered(&tools, &body["input"]),
        Some("required") => {
            let message = "Tool choice 'required' must be specified with 'tools' parameter.";
            Some(tools.first().copied().ok_or_else(|| invalid(None, message))?)
        }
        Some("function") => {
            let name = choice["name"].as_str().ok_or_else(|| missing("tool_choice.name"))?;
            let message = format!("Tool choice 'function' not found in 'tools' parameter: '{name}'.");
            let named = tools.iter().copied().find(|tool| tool["name"] == name);
            Some(named.ok_or_else(|| invalid(None, message))?)
        }
        // None, or a tool of the provider's own: what comes of that is text.
        Some(_) => None,
    };
    Ok(match (called, format) {
        (Some(tool), _) => Shape::Tool {
            name: tool["name"].as_str().unwrap_or_default().to_owned(),
            schema: tool["parameters"].clone(),
        },
        (None, Some(schema)) => Shape::Json(schema),
        (None, None) => Shape::Text,
    })
}

/// The tool that a model calls of its own will: the first, unless it has just been given a result.
fn offered<'a>(tools: &[&'a Value], input: &Value) -> Option<&'a Value> {
    let last = input.as_array().and_then(|items| items.last());
    let has_result = last.is_some_and(|item| item["type"] == "function_call_output");
    tools.first().copied().filter(|_| !has_result)
}

/// The tools that the client runs. Those that the provider runs have a type of their own and are
/// never called here.
fn tools(body: &Value) -> Result<Vec<&Value>, WireError> {
    let mut tools = Vec::new();
    for (i, tool) in body["tools"].as_array().into_iter().flatten().enumerate() {
        match tool["type"].as_str() {
            None => return Err(missing(&format!("tools[{i}].type"))),
            Some("function") => (),
            Some(_) => continue,
        }
        let name = tool["name"].as_str().ok_or_else(|| missing(&format!("tools[{i}].name")))?;
        // Unless told, a tool is strict here, and the API then closes its schema itself.
        if tool["strict"] == true {
            check_closed(&format!("function '{name}'"), "invalid_function_parameters", &tool["parameters"])?;
        }
        tools.push(tool);
    }
    Ok(tools)
}

/// The schema that the text has to fit, if one is given.
fn format(format: &Value) -> Result<Option<Value>, WireError> {
    match format["type"].as_str() {
        None if format.is_null() => Ok(None),
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(json!({"type": "object"}))),
        Some("json_schema") => {
            let name = format["name"].as_str().ok_or_else(|| missing("text.format.name"))?;
            let schema = &format["schema"];
            if !schema.is_object() {
                return Err(missing("text.format.schema"));
            }
            if format["strict"] == true {
                check_closed(&format!("response_format '{name}'"), "invalid_json_schema", schema)?;
            }
            Ok(Some(schema.clone()))
        }
        None => Err(missing("text.format.type")),
        Some(other) => {
            let message = format!(
                "Invalid value: '{other}'. Supported values are: 'text', 'json_object', and 'json_schema'."
            );
            Err(invalid(Some("invalid_value"), message))
        }
    }
}

/// Strict schemas say what else an object may have: nothing.
fn check_closed(whose: &str, code: &str, schema: &Value) -> Result<(), WireError> {
    if schema["type"] == "object" && schema["additionalProperties"] != false {
        let message = format!(
            "Invalid schema for {whose}: In context=(), 'additionalProperties' is required to be supplied \
             and to be false."
        );
        return Err(invalid(Some(code), message));
    }
    Ok(())
}
