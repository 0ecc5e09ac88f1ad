//! The server's half: the shape that a request's tools and formats ask an answer to have.

use serde_json::{Value, json};

use super::super::{Shape, WireError};
use super::kinds::{Kind, check_fields, kind};
use super::reading::invalid;
use super::{schemas, tool_kinds};

/// Which of the tools are to be called (the official SDKs' `types/tool_choice_*_param.py`).
const CHOICES: [Kind; 4] = [
    kind("any", &[], &["disable_parallel_tool_use"]),
    kind("auto", &[], &["disable_parallel_tool_use"]),
    kind("none", &[], &[]),
    kind("tool", &["name"], &["disable_parallel_tool_use"]),
];

/// The one format that an answer may be asked to have.
const FORMAT: Kind = kind("json_schema", &["schema"], &[]);

/// What the answer has to look like: a tool's call where one is forced, or where tools are offered
/// and the last turn is not already a tool's result; else the format that is asked for.
pub(super) fn shape(body: &Value) -> Result<Shape, WireError> {
    let tools = tools(body)?;
    let format = format(body)?;
    let choice = &body["tool_choice"];
    let all = body["tools"].as_array().map_or(&[][..], Vec::as_slice);
    let strict = all.iter().filter(|tool| tool["strict"] == true).map(|tool| &tool["input_schema"]);
    schemas::check_all(&strict.chain(&format).collect::<Vec<_>>())?;
    if let Some(kind) = CHOICES.iter().find(|kind| choice["type"] == kind.name) {
        check_fields(&format!("tool_choice.{}", kind.name), choice, kind)?;
    }
    let called = match choice["type"].as_str() {
        None if choice.is_null() => offered(&tools, body),
        Some("none") => None,
        Some(kind @ ("auto" | "any")) if all.is_empty() => {
            return Err(invalid(format!("tool_choice.{kind} may only be specified while providing tools")));
        }
        Some("auto") => offered(&tools, body),
        Some("any") => tools.first(),
        Some("tool") => {
            let name = choice["name"].as_str().unwrap_or_default();
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
    let (field, format) = asked_format(body);
    if format.is_null() {
        return Ok(None);
    }
    if format["type"] != json!(FORMAT.name) {
        return Err(invalid(format!("{field}.type: Input should be '{}'", FORMAT.name)));
    }
    check_fields(field, format, &FORMAT)?;
    schemas::check(&format!("{field}.schema"), &format["schema"])?;
    Ok(Some(format["schema"].clone()))
}

/// The format that is asked for, and where that stands: once it was a parameter of its own.
pub(super) fn asked_format(body: &Value) -> (&'static str, &Value) {
    match &body["output_format"] {
        Value::Null => ("output_config.format", &body["output_config"]["format"]),
        format => ("output_format", format),
    }
}
