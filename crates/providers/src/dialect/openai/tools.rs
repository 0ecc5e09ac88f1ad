//! The server's half: functions, choices and schemas, which both of OpenAI's APIs have in different
//! places. Where they stand is told as the path that errors name.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::super::{ServerAnswer, Shape, WireError};
use super::checks::{short, word, wrong_type};
use super::schemas::{unfit, unstrict};
use super::{invalid, missing};

/// The longest name of a function or schema, in characters (OpenAI's reference of `tools` and
/// `response_format`).
const LONGEST_NAME: usize = 64;

/// A function, or a custom tool, that the client runs: its name, and the schema of its input.
pub(in super::super) type Tool = (String, Value);

/// A custom tool, whose input is text. While its call is made that is the only field of an object: so it has a
/// schema as a function has.
pub(in super::super) fn custom(name: &str) -> Tool {
    let input = json!({"input": {"type": "string"}});
    let schema =
        json!({"type": "object", "properties": input, "required": ["input"], "additionalProperties": false});
    (name.to_owned(), schema)
}

/// Whether the tool that an answer calls is a custom one of the request's.
pub(in super::super) fn calls_custom(answer: &ServerAnswer, asked: &Value) -> bool {
    let is_called = |tool: &Value| {
        let name = answer.tool.as_deref();
        tool["type"] == "custom"
            && [&tool["name"], &tool["custom"]["name"]].iter().any(|one| one.as_str() == name)
    };
    answer.tool.is_some() && asked["tools"].as_array().is_some_and(|tools| tools.iter().any(is_called))
}

/// The same answer with the texts that a custom tool is called with in place of the objects that hold them. Of one
/// that was cut off there is what came.
pub(in super::super) fn with_inputs(answer: &ServerAnswer) -> ServerAnswer {
    let input = |text: &String| {
        let object: Value = serde_json::from_str(text).unwrap_or_default();
        let cut_off = || text.trim_start_matches("{\"input\":").trim_start_matches('"');
        object["input"].as_str().unwrap_or_else(cut_off).to_owned()
    };
    let mut told = answer.clone();
    told.text = input(&answer.text);
    told.besides.others = answer.besides.others.iter().map(input).collect();
    told
}

/// A text in this many pieces, whole characters each; the last ones may be empty.
pub(in super::super) fn cut(text: &str, pieces: usize) -> Vec<&str> {
    let size = text.len().div_ceil(pieces.max(1));
    let mut rest = text;
    let mut cut = Vec::with_capacity(pieces);
    for _ in 0..pieces {
        let (piece, after) = rest.split_at(rest.ceil_char_boundary(size));
        cut.push(piece);
        rest = after;
    }
    cut
}

/// What the answer has to look like: a function's call goes before the format of a text.
pub(in super::super) fn shape(called: Option<&Tool>, format: Option<Value>) -> Shape {
    match (called, format) {
        (Some((name, schema)), _) => Shape::Tool { name: name.clone(), schema: schema.clone() },
        (None, Some(schema)) => Shape::Json(schema),
        (None, None) => Shape::Text,
    }
}

/// A choice of tools, as a request of either API has it.
pub(in super::super) struct Choice<'a> {
    /// All of it.
    pub(in super::super) said: &'a Value,
    /// Where the name of a forced function stands, and the name.
    pub(in super::super) named: (&'a str, &'a Value),
    /// Of `allowed_tools`, what holds their `mode` and the `tools`.
    pub(in super::super) allowed: &'a Value,
}

impl Choice<'_> {
    /// The first of the functions that may be called, where only some of those that are offered may.
    fn first_allowed<'a>(&self, tools: &'a [Tool]) -> Option<&'a Tool> {
        let allowed = self.allowed["tools"].as_array()?;
        // Chat Completions has the name a level deeper.
        let is_of = |tool: &Value, known: &str| {
            ["function", "custom"].iter().any(|kind| tool[*kind]["name"] == known) || tool["name"] == known
        };
        tools.iter().find(|(known, _)| allowed.iter().any(|tool| is_of(tool, known)))
    }
}

/// The function that is called: the one that is forced, or the first one that is offered and allowed, unless
/// the model `has_result` of one already. A forced one that is not offered is refused in the API's own words.
/// `all` are the request's tools of every kind: those that the provider runs are never called here.
pub(in super::super) fn chosen<'a>(
    (tools, all): (&'a [Tool], &Value),
    choice: &Choice<'_>,
    has_result: bool,
    not_offered: fn(&str) -> WireError,
) -> Result<Option<&'a Tool>, WireError> {
    let word = choice.said.as_str().or_else(|| choice.said["type"].as_str());
    let has_tools = all.as_array().is_some_and(|all| !all.is_empty());
    if !has_tools && matches!(word, Some("required" | "function" | "custom" | "allowed_tools")) {
        let message =
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.";
        return Err(invalid(None, message).about("tool_choice"));
    }
    match word {
        None | Some("auto") => Ok(tools.first().filter(|_| !has_result)),
        Some("required") => Ok(tools.first()),
        Some("allowed_tools") => {
            let is_forced = choice.allowed["mode"] == "required";
            Ok(choice.first_allowed(tools).filter(|_| is_forced || !has_result))
        }
        Some("function") => {
            let (field, name) = choice.named;
            let name = name.as_str().ok_or_else(|| missing(field))?;
            let known = tools.iter().find(|(known, _)| known == name);
            known.map(Some).ok_or_else(|| not_offered(name))
        }
        Some("custom") => Ok(tools.iter().find(|(known, _)| choice.named.1 == known.as_str())),
        // None of them, or one that the provider runs.
        Some(_) => Ok(None),
    }
}

/// Refuses tools of the same name, whoever runs them (the words are those of a recorded reply).
pub(in super::super) fn check_unique<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), WireError> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(invalid(None, "Tool names must be unique.").about("tools"));
        }
    }
    Ok(())
}

/// A function, whose name and schema stand at `field`.
pub(in super::super) fn function(field: &str, function: &Value) -> Result<Tool, WireError> {
    let name = check_name(&format!("{field}.name"), &function["name"])?;
    let schema = match &function["parameters"] {
        // A function without parameters takes an empty object.
        Value::Null => json!({"type": "object", "properties": {}, "additionalProperties": false}),
        schema => schema.clone(),
    };
    // One that is empty says as little as one that is not there.
    let is_said = schema.as_object().is_none_or(|fields| !fields.is_empty());
    let why = match function["strict"] == true {
        true => unstrict(&schema),
        false if is_said => unfit(&schema),
        false => None,
    };
    check_schema("invalid_function_parameters", &format!("function '{name}'"), why)
        .map_err(|error| error.about(format!("{field}.parameters")))?;
    Ok((name, schema))
}

/// The schema that the text has to fit, if `format` gives one, at `field`. Where it is a schema of
/// the user's own, `asked` has its name and itself, at `schema_field`; one that is not as it has to be
/// is refused as `strict_field`. `json_object` asks for any object, and the `input` has to speak of that.
pub(in super::super) fn format(
    (field, format): (&str, &Value),
    (schema_field, asked, strict_field): (&str, &Value, &str),
    (input_field, input): (&str, &Value),
) -> Result<Option<Value>, WireError> {
    let kind = format!("{field}.type");
    match format {
        Value::Null => return Ok(None),
        Value::Object(_) if format["type"].is_null() => return Err(missing(&kind)),
        Value::Object(_) => word(&kind, &format["type"], &["json_object", "json_schema", "text"])?,
        other => return Err(wrong_type(field, "an object", other)),
    }
    match format["type"].as_str() {
        Some("json_object") => {
            if !input.to_string().to_lowercase().contains("json") {
                let message = format!(
                    "'{input_field}' must contain the word 'json' in some form, to use '{field}' of type \
                     'json_object'."
                );
                return Err(invalid(None, message).about(input_field));
            }
            let answer = json!({"type": "object", "properties": {"answer": {"type": "string"}}});
            Ok(Some(answer))
        }
        Some("json_schema") => {
            if asked.is_null() {
                return Err(missing(schema_field));
            }
            let name = check_name(&format!("{schema_field}.name"), &asked["name"])?;
            let schema = &asked["schema"];
            if !schema.is_object() {
                return Err(missing(&format!("{schema_field}.schema")));
            }
            if asked["strict"] == true {
                let whose = format!("response_format '{name}'");
                check_schema("invalid_json_schema", &whose, unstrict(schema))
                    .map_err(|error| error.about(strict_field))?;
            }
            Ok(Some(schema.clone()))
        }
        _ => Ok(None),
    }
}

fn check_name(field: &str, name: &Value) -> Result<String, WireError> {
    let text = match name {
        Value::String(text) => text,
        Value::Null => return Err(missing(field)),
        other => return Err(wrong_type(field, "a string", other)),
    };
    if text.is_empty() {
        let message = format!(
            "Invalid '{field}': empty string. Expected a string with minimum length 1, but got an empty string \
             instead."
        );
        return Err(invalid(Some("empty_string"), message).about(field));
    }
    short(field, text, LONGEST_NAME)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !text.chars().all(is_name) {
        let message = format!(
            "Invalid '{field}': string does not match pattern. Expected a string that matches the pattern \
             '^[a-zA-Z0-9_-]+$'."
        );
        return Err(invalid(Some("invalid_value"), message).about(field));
    }
    Ok(text.clone())
}

/// Refuses a schema, if there is a reason to.
fn check_schema(code: &str, whose: &str, why: Option<String>) -> Result<(), WireError> {
    match why {
        None => Ok(()),
        Some(why) => Err(invalid(Some(code), format!("Invalid schema for {whose}: {why}"))),
    }
}
