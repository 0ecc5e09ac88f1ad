//! The server's half: the schemas within a schema, for what APIs ask of each of them.

use std::collections::HashSet;

use serde_json::{Map, Value};
use sortie_core::plan::output::is_object;

/// Keywords of JSON Schema that hold a schema, a list of them, or a map of names to them. What others
/// hold (`enum`, `const`, `default`, `examples`) are values.
const ONE: [&str; 8] =
    ["items", "contains", "not", "if", "then", "else", "additionalProperties", "propertyNames"];
const SEVERAL: [&str; 4] = ["anyOf", "allOf", "oneOf", "prefixItems"];
const NAMED: [&str; 5] = ["properties", "$defs", "definitions", "patternProperties", "dependentSchemas"];

/// Those of them that lead a level deeper into a value.
const DEEPER: [&str; 6] =
    ["properties", "patternProperties", "additionalProperties", "items", "prefixItems", "contains"];

/// Those that lead nowhere: what they hold is used elsewhere.
const ASIDE: [&str; 2] = ["$defs", "definitions"];

/// Whether an object in the schema does not say `additionalProperties: false`.
pub(super) fn is_open(schema: &Value) -> bool {
    all(schema).iter().any(|within| within.is_object() && !within.is_closed())
}

/// All schemas of a schema, itself among them, each before those within it.
pub(super) fn all(schema: &Value) -> Vec<Within<'_>> {
    let mut found = Vec::new();
    collect(schema, &mut Vec::new(), 0, &mut found);
    found
}

/// A schema in another.
pub(super) struct Within<'a> {
    /// The keywords and names that lead to it.
    path: Vec<String>,
    /// How deep in a value it is, from 0.
    pub(super) level: usize,
    pub(super) fields: &'a Map<String, Value>,
}

impl Within<'_> {
    /// Whether it is one of objects, be it among others (`["object", "null"]`).
    pub(super) fn is_object(&self) -> bool {
        is_object(self.fields)
    }

    /// Whether it takes the fields that it names and no others.
    pub(super) fn is_closed(&self) -> bool {
        self.fields.get("additionalProperties") == Some(&Value::Bool(false))
    }

    /// The fields that it names.
    pub(super) fn properties(&self) -> impl Iterator<Item = &str> {
        let named = self.fields.get("properties").and_then(Value::as_object);
        named.into_iter().flat_map(|named| named.keys().map(String::as_str))
    }

    /// The fields that may not be left out.
    pub(super) fn required(&self) -> HashSet<&str> {
        let required = self.fields.get("required").and_then(Value::as_array).into_iter().flatten();
        required.filter_map(Value::as_str).collect()
    }

    /// Where it is, as Python prints a tuple: `()`, `('items',)`, `('properties', 'a')`.
    pub(super) fn place(&self) -> String {
        let steps: Vec<_> = self.path.iter().map(|step| format!("'{step}'")).collect();
        match steps.as_slice() {
            [one] => format!("({one},)"),
            steps => format!("({})", steps.join(", ")),
        }
    }
}

fn collect<'a>(schema: &'a Value, path: &mut Vec<String>, level: usize, found: &mut Vec<Within<'a>>) {
    let Some(fields) = schema.as_object() else { return };
    found.push(Within { path: path.clone(), level, fields });
    for (keyword, held) in fields {
        let level = match keyword.as_str() {
            deeper if DEEPER.contains(&deeper) => level + 1,
            aside if ASIDE.contains(&aside) => 0,
            _ => level,
        };
        path.push(keyword.clone());
        let mut within = |step: String, schema| {
            path.push(step);
            collect(schema, path, level, found);
            path.pop();
        };
        match held {
            Value::Array(schemas) if SEVERAL.contains(&keyword.as_str()) => {
                schemas.iter().enumerate().for_each(|(i, schema)| within(i.to_string(), schema));
            }
            Value::Object(schemas) if NAMED.contains(&keyword.as_str()) => {
                schemas.iter().for_each(|(name, schema)| within(name.clone(), schema));
            }
            _ if ONE.contains(&keyword.as_str()) => collect(held, path, level, found),
            _ => (),
        }
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn schemas_are_found_where_keywords_hold_them() {
        let check = |schema: Value, expected: &[(&str, usize)]| {
            let found = all(&schema);
            let found: Vec<_> = found.iter().map(|within| (within.place(), within.level)).collect();
            let expected: Vec<_> =
                expected.iter().map(|(place, level)| ((*place).to_owned(), *level)).collect();
            assert_eq!(found, expected, "{schema}");
        };
        check(json!(true), &[]);
        check(json!({"items": {"not": {}}}), &[("()", 0), ("('items',)", 1), ("('items', 'not')", 1)]);
        check(
            json!({"properties": {"a": {"anyOf": [{}, {"items": {}}]}}}),
            &[
                ("()", 0),
                ("('properties', 'a')", 1),
                ("('properties', 'a', 'anyOf', '0')", 1),
                ("('properties', 'a', 'anyOf', '1')", 1),
                ("('properties', 'a', 'anyOf', '1', 'items')", 2),
            ],
        );
        check(
            json!({"items": {"$defs": {"d": {}}}}),
            &[("()", 0), ("('items',)", 1), ("('items', '$defs', 'd')", 0)],
        );
        // What is a value, and a field that is called like a keyword.
        check(
            json!({"enum": [{"type": "object"}], "properties": {"enum": {}}}),
            &[("()", 0), ("('properties', 'enum')", 1)],
        );
    }

    #[test]
    fn a_schema_is_open_where_one_of_its_objects_is() {
        let closed = json!({"type": "object", "additionalProperties": false});
        assert!(!is_open(&closed) && !is_open(&json!({"type": "string", "properties": {"a": 1}})));
        for open in [
            json!({"type": ["object", "null"]}),
            json!({"properties": {}}),
            json!({"items": {"type": "object"}}),
            json!({"type": "object", "additionalProperties": false, "$defs": {"d": {"type": "object"}}}),
        ] {
            assert!(is_open(&open), "{open}");
        }
    }
}
