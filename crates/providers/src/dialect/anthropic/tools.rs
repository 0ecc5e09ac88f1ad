//! The server's half: the shape that a request's tools and formats ask an answer to have.

use serde_json::{Value, json};

use super::super::schema::is_open;
use super::super::{Shape, WireError};
use super::reading::invalid;

/// The longest name of a tool, in characters (Anthropic's reference of `tools`).
const LONGEST_NAME: usize = 128;

/// What the answer has to look like: a tool's call where one is forced, or where tools are offered
/// and the last turn is not already a tool's result; else the format that is asked for.
pub(super) fn shape(body: &Value) -> Result<Shape, WireError> {
    let tools = tools(body)?;
    let format = format(body)?;
    let choice = &body["tool_choice"];
    let all = body["tools"].as_array().map_or(&[][..], Vec::as_slice);
    let called = match choice["type"].as_str() {
        _ if all.is_empty() && !choice.is_null() && choice["type"] != "none" => {
            return Err(invalid("tool_choice: may only be specified while providing `tools`"));
        }
        None if choice.is_null() => offered(&tools, body),
        Some("auto") => offered(&tools, body),
        Some("none") => None,
        Some("any") => tools.first(),
        Some("tool") => {
            let name =
                choice["name"].as_str().ok_or_else(|| invalid("tool_choice.tool.name: Field required"))?;
            if !all.iter().any(|tool| tool["name"] == name) {
                let message = format!("tool_choice.tool.name: Tool '{name}' not found in provided tools");
                return Err(invalid(message));
            }
            // Another's than the client's own has no schema that is known here.
            tools.iter().find(|(known, _)| known == name)
        }
        _ => {
            return Err(invalid("tool_choice.type: Input should be 'auto' or 'any' or 'tool' or 'none'"));
        }
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
        list => list.as_array().ok_or_else(|| invalid("tools: Input should be a valid list"))?,
    };
    for (i, tool) in list.iter().enumerate() {
        if tool["type"] == "mcp_toolset" {
            continue; // it is named by its server
        }
        let name =
            tool["name"].as_str().ok_or_else(|| invalid(format!("tools.{i}.custom.name: Field required")))?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(is_name) {
            return Err(invalid(format!(
                "tools.{i}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,{LONGEST_NAME}}}$'"
            )));
        }
        if names.contains(&name) {
            return Err(invalid("tools: Tool names must be unique."));
        }
        names.push(name);
        if !matches!(tool["type"].as_str(), None | Some("custom")) {
            continue;
        }
        let schema = &tool["input_schema"];
        if !schema.is_object() {
            return Err(invalid(format!("tools.{i}.custom.input_schema: Field required")));
        }
        if schema["type"] != "object" {
            return Err(invalid(format!("tools.{i}.custom.input_schema.type: Input should be 'object'")));
        }
        if tool["strict"] == true {
            check_closed(&format!("tools.{i}.custom.input_schema"), schema)?;
        }
        tools.push((name.to_owned(), schema.clone()));
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
    check_closed("output_config.format.schema", schema)?;
    Ok(Some(schema.clone()))
}

fn check_closed(field: &str, schema: &Value) -> Result<(), WireError> {
    if is_open(schema) {
        return Err(invalid(format!(
            "{field}: For 'object' type, 'additionalProperties' must be explicitly set to false"
        )));
    }
    Ok(())
}
