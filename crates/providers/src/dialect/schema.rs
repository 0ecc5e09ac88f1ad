//! The server's half: what APIs ask of the schemas that answers have to fit to the letter.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// Keywords of JSON Schema that hold a schema, a list of them, or a map of names to them. What others
/// hold (`enum`, `const`, `default`, `examples`) are values.
const ONE: [&str; 8] =
    ["items", "contains", "not", "if", "then", "else", "additionalProperties", "propertyNames"];
const SEVERAL: [&str; 4] = ["anyOf", "allOf", "oneOf", "prefixItems"];
const NAMED: [&str; 5] = ["properties", "$defs", "definitions", "patternProperties", "dependentSchemas"];

/// Whether an object in the schema does not say `additionalProperties: false`.
pub(super) fn is_open(schema: &Value) -> bool {
    objects(schema).iter().any(|object| !object.is_closed())
}

/// The first thing that OpenAI refuses of a schema that is `strict`, in its words (as recorded
/// replies have them): each object has to be closed, and to require all of its fields.
pub(super) fn unstrict(schema: &Value) -> Option<String> {
    objects(schema).into_iter().find_map(|object| {
        let why = if object.is_closed() {
            let missing = object.unrequired()?;
            format!(
                "'required' is required to be supplied and to be an array including every key in \
                 properties. Missing '{missing}'."
            )
        } else {
            "'additionalProperties' is required to be supplied and to be false.".to_owned()
        };
        Some(format!("In context={}, {why}", object.place()))
    })
}

/// An object in a schema.
struct Object<'a> {
    /// The keywords and names that lead to it.
    path: Vec<String>,
    fields: &'a Map<String, Value>,
}

impl Object<'_> {
    fn is_closed(&self) -> bool {
        self.fields.get("additionalProperties") == Some(&Value::Bool(false))
    }

    /// The first of its fields that may be left out.
    fn unrequired(&self) -> Option<&str> {
        let required = self.fields.get("required").and_then(Value::as_array).into_iter().flatten();
        let required: HashSet<&str> = required.filter_map(Value::as_str).collect();
        let fields = self.fields.get("properties")?.as_object()?;
        fields.keys().map(String::as_str).find(|name| !required.contains(name))
    }

    /// Where it is, as Python prints a tuple: `()`, `('items',)`, `('properties', 'a')`.
    fn place(&self) -> String {
        let steps: Vec<_> = self.path.iter().map(|step| format!("'{step}'")).collect();
        match steps.as_slice() {
            [one] => format!("({one},)"),
            steps => format!("({})", steps.join(", ")),
        }
    }
}

/// All objects of a schema, each before those within it.
fn objects(schema: &Value) -> Vec<Object<'_>> {
    let mut found = Vec::new();
    collect(schema, &mut Vec::new(), &mut found);
    found
}

fn collect<'a>(schema: &'a Value, path: &mut Vec<String>, found: &mut Vec<Object<'a>>) {
    let Some(fields) = schema.as_object() else { return };
    if is_object(fields) {
        found.push(Object { path: path.clone(), fields });
    }
    for (keyword, held) in fields {
        path.push(keyword.clone());
        let mut within = |step: String, schema| {
            path.push(step);
            collect(schema, path, found);
            path.pop();
        };
        match held {
            Value::Array(schemas) if SEVERAL.contains(&keyword.as_str()) => {
                schemas.iter().enumerate().for_each(|(i, schema)| within(i.to_string(), schema));
            }
            Value::Object(schemas) if NAMED.contains(&keyword.as_str()) => {
                schemas.iter().for_each(|(name, schema)| within(name.clone(), schema));
            }
            _ if ONE.contains(&keyword.as_str()) => collect(held, path, found),
            _ => (),
        }
        path.pop();
    }
}

/// Whether a schema is one of objects, be it among others (`["object", "null"]`).
fn is_object(fields: &Map<String, Value>) -> bool {
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
    fn a_strict_schema_s_objects_are_closed_and_require_all_that_they_have() {
        let check = |schema: Value, expected: &str| {
            let found = unstrict(&schema).unwrap_or_default();
            assert!(
                found.starts_with(expected) && found.is_empty() == expected.is_empty(),
                "{schema}: {found}"
            );
        };
        let object = |properties: Value, required: Value| {
            json!({"type": "object", "properties": properties, "required": required,
                "additionalProperties": false})
        };
        let whole = object(json!({"a": {"type": "string"}}), json!(["a"]));
        let part = object(json!({"a": {"type": "string"}, "b": {}}), json!(["a"]));
        let open = json!({"type": ["object", "null"]});
        check(whole.clone(), "");
        check(object(json!({}), Value::Null), "");
        check(part.clone(), "In context=(), 'required'");
        check(json!({"properties": {"a": {}}}), "In context=(), 'additionalProperties'");
        let held = |inner: &Value| object(json!({"a": inner}), json!(["a"]));
        check(held(&whole), "");
        check(held(&part), "In context=('properties', 'a'), 'required'");
        check(
            held(&json!({"type": "array", "items": part})),
            "In context=('properties', 'a', 'items'), 'req",
        );
        check(json!({"type": "array", "items": open}), "In context=('items',), 'additionalProperties'");
        check(
            held(&json!({"anyOf": [{"type": "null"}, part]})),
            "In context=('properties', 'a', 'anyOf', '1'), 'required'",
        );
        let mut defined = whole;
        defined["$defs"] = json!({"d": open});
        check(defined.clone(), "In context=('$defs', 'd'), 'additionalProperties'");
        assert!(is_open(&defined) && !is_open(&part));
        // What is a value, and a field that is called like a keyword.
        check(object(json!({"enum": {"enum": [open]}}), json!(["enum"])), "");
    }
}
