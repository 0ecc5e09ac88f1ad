//! The server's half: the shape that a request's tools and formats ask an answer to have.

use serde_json::{Value, json};

use super::super::openai::invalid;
use super::super::turns::open_object;
use super::super::{Shape, WireError};

/// The longest name of a function or schema, in characters (OpenAI's reference of `tools` and
/// `response_format`).
const LONGEST_NAME: usize = 64;

/// What the answer has to look like: a function's call where one is forced, or where functions are
/// offered and the last turn is not already a tool's result; else the format that is asked for.
pub(super) fn shape(body: &Value) -> Result<Shape, WireError> {
    let tools = tools(body)?;
    let format = format(body)?;
    let choice = &body["tool_choice"];
    if tools.is_empty() && !choice.is_null() && choice != "none" {
        let message = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are \
                       specified.";
        return Err(invalid(None, message));
    }
    let called = match choice {
        Value::Null => offered(&tools, body),
        Value::String(word) => match word.as_str() {
            "none" => None,
            "auto" => offered(&tools, body),
            "required" => tools.first(),
            _ => return Err(unknown_choice()),
        },
        Value::Object(_) if choice["type"] == "function" => {
            let name = choice["function"]["name"].as_str().ok_or_else(|| {
                let message = "Missing required parameter: 'tool_choice.function.name'.";
                invalid(Some("missing_required_parameter"), message)
            })?;
            let known = tools.iter().find(|(known, _)| known == name);
            Some(known.ok_or_else(|| {
                let message = format!(
                    "Invalid value for 'tool_choice': no function named '{name}' was specified in the \
                     'tools' parameter."
                );
                invalid(None, message)
            })?)
        }
        _ => return Err(unknown_choice()),
    };
    Ok(match (called, format) {
        (Some((name, schema)), _) => Shape::Tool { name: name.clone(), schema: schema.clone() },
        (None, Some(schema)) => Shape::Json(schema),
        (None, None) => Shape::Text,
    })
}

fn unknown_choice() -> WireError {
    let message = "Invalid value for 'tool_choice': expected 'none', 'auto', 'required' or a function.";
    invalid(Some("invalid_value"), message)
}

/// The function that a model calls of its own will: the first, unless it has just been given a result.
fn offered<'a>(tools: &'a [(String, Value)], body: &Value) -> Option<&'a (String, Value)> {
    let last = body["messages"].as_array().and_then(|turns| turns.last());
    tools.first().filter(|_| last.is_none_or(|turn| turn["role"] != "tool"))
}

fn check_name(field: &str, name: &Value) -> Result<String, WireError> {
    let name = name.as_str().ok_or_else(|| {
        invalid(Some("missing_required_parameter"), format!("Missing required parameter: '{field}'."))
    })?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(is_name) {
        let message = format!(
            "Invalid '{field}': expected a string of at most {LONGEST_NAME} characters that matches the \
             pattern '^[a-zA-Z0-9_-]+$'."
        );
        return Err(invalid(Some("invalid_value"), message));
    }
    Ok(name.to_owned())
}

fn tools(body: &Value) -> Result<Vec<(String, Value)>, WireError> {
    let list = match &body["tools"] {
        Value::Null => return Ok(Vec::new()),
        list => list.as_array().ok_or_else(|| {
            invalid(Some("invalid_type"), "Invalid type for 'tools': expected an array of objects.")
        })?,
    };
    if list.is_empty() {
        return Err(invalid(Some("empty_array"), "Invalid 'tools': empty array. Expected at least one."));
    }
    let mut tools = Vec::new();
    for (i, tool) in list.iter().enumerate().filter(|(_, tool)| tool["type"] != "custom") {
        if tool["type"] != "function" {
            return Err(invalid(
                Some("invalid_value"),
                format!("Invalid value for 'tools[{i}].type': expected 'function' or 'custom'."),
            ));
        }
        let function = &tool["function"];
        let name = check_name(&format!("tools[{i}].function.name"), &function["name"])?;
        let schema = match &function["parameters"] {
            // A function without parameters takes an empty object.
            Value::Null => json!({"type": "object", "properties": {}, "additionalProperties": false}),
            schema => schema.clone(),
        };
        if function["strict"] == true {
            check_strict(&format!("function '{name}'"), &schema)?;
        }
        tools.push((name, schema));
    }
    Ok(tools)
}

/// The schema that the text has to fit, if one is given; `json_object` asks for any object.
fn format(body: &Value) -> Result<Option<Value>, WireError> {
    let format = &body["response_format"];
    match format["type"].as_str() {
        None if format.is_null() => Ok(None),
        Some("text") => Ok(None),
        Some("json_object") => {
            if !body["messages"].to_string().to_lowercase().contains("json") {
                return Err(invalid(
                    None,
                    "'messages' must contain the word 'json' in some form, to use 'response_format' of type \
                     'json_object'.",
                ));
            }
            let answer = json!({"type": "object", "properties": {"answer": {"type": "string"}}});
            Ok(Some(answer))
        }
        Some("json_schema") => {
            let asked = &format["json_schema"];
            let name = check_name("response_format.json_schema.name", &asked["name"])?;
            let schema = &asked["schema"];
            if !schema.is_object() {
                return Err(invalid(
                    Some("missing_required_parameter"),
                    "Missing required parameter: 'response_format.json_schema.schema'.",
                ));
            }
            if asked["strict"] == true {
                check_strict(&format!("response_format '{name}'"), schema)?;
            }
            Ok(Some(schema.clone()))
        }
        _ => Err(invalid(
            Some("invalid_value"),
            "Invalid value for 'response_format.type': expected 'text', 'json_object' or 'json_schema'.",
        )),
    }
}

/// A strict schema is an object, and all its objects say that they take no other fields.
fn check_strict(whose: &str, schema: &Value) -> Result<(), WireError> {
    let refuse =
        |why: String| Err(invalid(Some("invalid_json_schema"), format!("Invalid schema for {whose}: {why}")));
    if schema["type"] != "object" {
        return refuse(format!(
            "schema must be a JSON Schema of 'type: \"object\"', got 'type: {}'.",
            schema["type"]
        ));
    }
    match open_object(schema) {
        None => Ok(()),
        Some(path) => {
            let path: Vec<String> = path.into_iter().map(|step| format!("'{step}'")).collect();
            let place = path.join(", ");
            refuse(format!(
                "In context=({place}), 'additionalProperties' is required to be supplied and to be false."
            ))
        }
    }
}
