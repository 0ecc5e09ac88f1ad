//! The server's half: the shape that a request's tools and formats ask an answer to have.

use serde_json::{Value, json};

use super::super::{Shape, WireError};
use super::reading::invalid;
use super::{schemas, tool_kinds};

/// What the answer has to look like: a tool's call where one is forced, or where tools are offered
/// and the last turn is not already a tool's result; else the format that is asked for.
pub(super) fn shape(body: &Value) -> Result<Shape, WireError> {
    let tools = tools(body)?;
    let format = format(body)?;
    let choice = &body["tool_choice"];
    let all = body["tools"].as_array().map_or(&[][..], Vec::as_slice);
    let called = match choice["type"].as_str() {
        None if choice.is_null() => offered(&tools, body),
        Some("none") => None,
        Some(kind @ ("auto" | "any")) if all.is_empty() => {
            return Err(invalid(format!("tool_choice.{kind} may only be specified while providing tools")));
        }
        Some("auto") => offered(&tools, body),
        Some("any") => tools.first(),
        Some("tool") => {
            let name =
                choice["name"].as_str().ok_or_else(|| invalid("tool_choice.tool.name: Field required"))?;
            if !all.iter().any(|tool| tool["name"] == name) {
                return Err(invalid(format!("Tool '{name}' not found in provided tools")));
            }
            // Another's than the client's own has no schema that is known here.
            tools.iter().find(|(known, _)| known == name)
        }
        _ => return Err(invalid("tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'")),
    };
    Ok(match (called, format) {
        (Some((name, schema)), _) => Shape::Tool { name: name.clone(), schema: schema.clone() },
        (None, Some(schema)) => Shape::Json(schema),
        (None, None) => Shape::Text,
    })
}

/// The tool that a model calls of its own will: the first, unless it has just been given a result.
fn offered<'a>(tools: &'a [(String, Value)], body: &Value) -> Option<&'a (String, Value)> {
    let last = body["messages"].as_array().and_then(|turns| turns.last());
    let blocks = last.and_then(|turn| turn["content"].as_array());
    let has_result = blocks.is_some_and(|blocks| blocks.iter().any(|block| block["type"] == "tool_result"));
    tools.first().filter(|_| !has_result)
}

/// The tools that the client runs, with their schemas. Tools that the provider runs have a `type`
/// of their own and no schema; they are never called here.
fn tools(body: &Value) -> Result<Vec<(String, Value)>, WireError> {
    let mut tools: Vec<(String, Value)> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    let list = match &body["tools"] {
        Value::Null => return Ok(tools),
        list => list.as_array().ok_or_else(|| invalid("tools: Input should be a valid array"))?,
    };
    for (i, tool) in list.iter().enumerate() {
        let kind = tool_kinds::check(i, tool)?;
        // Some are named by what they are made of.
        let Some(name) = tool["name"].as_str() else { continue };
        if names.contains(&name) {
            return Err(invalid("tools: Tool names must be unique."));
        }
        names.push(name);
        if kind == "custom" {
            tools.push((name.to_owned(), tool["input_schema"].clone()));
        }
    }
    Ok(tools)
}

/// The schema that the text has to fit, if one is given.
fn format(body: &Value) -> Result<Option<Value>, WireError> {
    let format = &body["output_config"]["format"];
    if format.is_null() {
        return Ok(None);
    }
    if format["type"] != json!("json_schema") {
        return Err(invalid("output_config.format.type: Input should be 'json_schema'"));
    }
    let schema = &format["schema"];
    if !schema.is_object() {
        return Err(invalid("output_config.format.schema: Field required"));
    }
    schemas::check("output_config.format.schema", schema)?;
    Ok(Some(schema.clone()))
}
