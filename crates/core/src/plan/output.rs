//! What an answer has to be, where a task says so.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Tokens that a provider adds to a request for its schema, beyond the bytes of that: Anthropic puts a
/// system prompt before it that explains the format (its guide "Structured outputs"), of a length that it
/// does not name.
const EXPLAINED_IN: u64 = 512;

/// An answer that is JSON and fits a schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OutputSchema(Arc<Value>);

impl OutputSchema {
    /// This schema, with every object closed that does not say whether it is: both providers demand
    /// `additionalProperties: false` of what they enforce, and what they enforce is what is checked.
    pub fn closed(mut schema: Value) -> Self {
        close(&mut schema);
        OutputSchema(Arc::new(schema))
    }

    /// The schema.
    pub fn schema(&self) -> &Value {
        &self.0
    }

    /// The tokens that it adds to a request, at most.
    pub(super) fn most_tokens(&self) -> u64 {
        self.0.to_string().len() as u64 + EXPLAINED_IN
    }
}

/// What precedes and follows what was wrong with an answer, when it is asked for again.
const WRONG: [&str; 2] =
    ["\n\nYour last answer was not accepted: ", "\nAnswer again, with JSON that fits the schema."];

/// The prompt of a task whose last answer was not what it has to be.
pub fn corrected(mut prompt: String, wrong: &str) -> String {
    let [before, after] = WRONG;
    for part in [before, wrong, after] {
        prompt.push_str(part);
    }
    prompt
}

/// How many bytes that adds.
pub(crate) fn correction_bytes(wrong: &str) -> u64 {
    WRONG.iter().chain([&wrong]).map(|part| part.len() as u64).sum()
}

/// Closes the objects of a schema. What `allOf` joins stays open: closed parts would exclude each other.
fn close(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    if is_object(fields) && !fields.contains_key("allOf") {
        fields.entry("additionalProperties").or_insert(Value::Bool(false));
    }
    for (keyword, held) in fields.iter_mut() {
        match (keyword.as_str(), held) {
            ("items", held) => close(held),
            ("anyOf" | "oneOf" | "prefixItems", Value::Array(schemas)) => schemas.iter_mut().for_each(close),
            ("properties" | "$defs" | "definitions", Value::Object(schemas)) => {
                schemas.values_mut().for_each(close);
            }
            _ => {}
        }
    }
}

/// Whether a schema with these fields is one of objects, be it among others (`["object", "null"]`).
pub fn is_object(fields: &Map<String, Value>) -> bool {
    match fields.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        Some(kind) => kind == "object",
        None => fields.contains_key("properties"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_are_closed_unless_they_say_what_they_are_or_are_joined() {
        let check = |schema: Value, expected: Value| {
            assert_eq!(OutputSchema::closed(schema).schema(), &expected);
        };
        check(
            json!({"type": "object", "properties": {"a": {"type": ["object", "null"]}, "properties": {}}}),
            json!({
                "type": "object",
                "properties": {
                    "a": {"type": ["object", "null"], "additionalProperties": false}, "properties": {}
                },
                "additionalProperties": false
            }),
        );
        check(
            json!({"items": {"$defs": {"d": {"properties": {}}}, "additionalProperties": {}, "type": "object"}}),
            json!({
                "items": {
                    "$defs": {"d": {"properties": {}, "additionalProperties": false}},
                    "additionalProperties": {},
                    "type": "object"
                }
            }),
        );
        let joined = json!({"type": "object", "allOf": [{"properties": {"a": {}}}]});
        check(joined.clone(), joined);
        check(json!(true), json!(true));
    }
}
