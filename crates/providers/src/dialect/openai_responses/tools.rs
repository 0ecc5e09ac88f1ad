//! The server's half: the shape that a request's tools and its text format ask an answer to have.
//! What they are is the same in all of OpenAI's APIs; here is where they stand in this one.

use serde_json::Value;

use super::super::openai::checks::wrong_type;
use super::super::openai::missing;
use super::super::openai::tools::{self, Tool};
use super::super::{Shape, WireError};

/// What the answer has to look like: a call of a function where one is forced, or where functions
/// are offered and the last item is not already a tool's result; else the format that is asked for.
pub(super) fn shape(body: &Value) -> Result<Shape, WireError> {
    let (functions, choice, format) = (functions(body)?, &body["tool_choice"], &body["text"]["format"]);
    let asked = ("text.format", format, "text.format.schema");
    let format = tools::format(("text.format", format), asked, ("input", &body["input"]))?;
    let last = body["input"].as_array().and_then(|items| items.last());
    let has_result = last.is_some_and(|item| item["type"] == "function_call_output");
    // A forced tool of the provider's own: what comes of that is text.
    let is_hosted = choice["type"].as_str().is_some_and(|kind| kind != "function");
    let called = if is_hosted {
        None
    } else {
        tools::chosen((&functions, &body["tools"]), choice, "tool_choice.name", &choice["name"], has_result)?
    };
    Ok(tools::shape(called, format))
}

/// The functions that the client runs. Tools that the provider runs have types of their own and are
/// never called here.
fn functions(body: &Value) -> Result<Vec<Tool>, WireError> {
    let list = match &body["tools"] {
        Value::Null => return Ok(Vec::new()),
        list => list.as_array().ok_or_else(|| wrong_type("tools", "an array of tools"))?,
    };
    tools::check_unique(list.iter().filter_map(|tool| tool["name"].as_str()))?;
    let mut functions = Vec::new();
    for (i, tool) in list.iter().enumerate() {
        let field = format!("tools[{i}]");
        match tool["type"].as_str() {
            Some("function") => functions.push(tools::function(&field, tool)?),
            Some(_) => (),
            None => return Err(missing(&format!("{field}.type"))),
        }
    }
    Ok(functions)
}
