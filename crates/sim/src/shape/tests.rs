//! What is made is held against a validator that knows nothing of how it was made.

use serde_json::{Value, json};

use super::value;
use sortie_core::chance::Chance;
use sortie_core::hash::Hash;

fn made(schema: &Value, seed: u64) -> Value {
    value(schema, &mut Chance::new(seed, &Hash::of(b"shape"), "shape"))
}

/// Makes values of many seeds and validates each, formats included.
fn check(schema: &Value) {
    let validator = jsonschema::options().should_validate_formats(true).build(schema).unwrap();
    for seed in 0..40 {
        let value = made(schema, seed);
        let problems: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "seed {seed}: {schema} gave {value}: {problems:?}");
        assert_eq!(value, made(schema, seed));
    }
}

#[test]
fn values_fit_their_schemas() {
    check(&json!({}));
    check(&json!(true));
    check(&json!({"type": "null"}));
    check(&json!({"type": "boolean"}));
    check(&json!({"enum": ["a", 3, null]}));
    check(&json!({"const": {"a": [1]}}));
    check(&json!({"type": ["integer", "null"]}));
    check(&json!({"anyOf": [{"type": "string"}, {"type": "null"}]}));
    check(&json!({"oneOf": [{"type": "integer"}, {"type": "string"}], "description": "either"}));
    check(&json!({"allOf": [
        {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
        {"properties": {"b": {"type": "string"}}, "required": ["b"]}]}));
    check(&json!({"type": "object", "minProperties": 3, "properties": {"a": {"type": "null"}}}));
    check(&json!({"type": "object", "required": ["x", "y"], "additionalProperties": {"type": "integer"}}));
    check(&json!({"required": ["x"], "properties": {"x": {"minimum": 3}}}));
}

#[test]
fn numbers_stay_within_their_bounds() {
    check(&json!({"type": "integer", "minimum": -3, "maximum": -3}));
    check(&json!({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 2}));
    check(&json!({"type": "integer", "minimum": 1.5, "multipleOf": 7}));
    check(&json!({"type": "integer", "maximum": -1000}));
    check(&json!({"type": "number", "exclusiveMinimum": 0.0, "exclusiveMaximum": 0.001}));
    check(&json!({"type": "number", "minimum": 10}));
    check(&json!({"type": "number", "multipleOf": 0.5, "minimum": 3.2}));
}

#[test]
fn strings_have_their_formats_patterns_and_lengths() {
    for format in
        ["date-time", "date", "time", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"]
    {
        check(&json!({"type": "string", "format": format}));
    }
    for pattern in [
        "^[A-Z]{3}-\\d{4}$",
        "^(red|green)+$",
        "^a*b?c+$",
        "[^a-z]",
        "^[a-zA-Z0-9_\\-]{2,8}$",
        "^\\w+\\.(?:json|yaml)$",
        "^.{5,}$",
        "^[\\d.]+$",
    ] {
        check(&json!({"type": "string", "pattern": pattern}));
    }
    check(&json!({"type": "string", "pattern": "^[a-f0-9]+$", "minLength": 20, "maxLength": 40}));
    check(&json!({"type": "string", "minLength": 50, "maxLength": 50}));
    check(&json!({"type": "string", "maxLength": 3}));
    check(&json!({"type": "string", "maxLength": 0}));
}

#[test]
fn arrays_have_as_many_items_as_they_may() {
    check(&json!({"type": "array"}));
    check(&json!({"type": "array", "items": {"type": "integer"}, "minItems": 5}));
    check(&json!({"type": "array", "items": {"type": "string"}, "maxItems": 1}));
    check(&json!({"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": true, "minItems": 2}));
    check(&json!({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "null"}], "items": false}));
}

#[test]
fn a_schema_that_names_itself_comes_to_an_end() {
    check(&json!({
        "$ref": "#/$defs/node",
        "$defs": {"node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["name", "children", "next"],
            "additionalProperties": false,
        }},
    }));
    // What has no finite value is ended all the same.
    let endless = json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "object", "required": ["a"],
        "properties": {"a": {"$ref": "#/$defs/a"}, "b": {"$ref": "#/$defs/a"}}}}});
    assert!(made(&endless, 1).is_object());
    assert_eq!(made(&json!({"$ref": "#"}), 1), Value::Null);
}

#[test]
fn what_is_not_understood_is_a_string_all_the_same() {
    for pattern in ["(?=x)x", "(", "[", "a{x}", "\\", "*", "(a", "a)", "\\1"] {
        assert!(made(&json!({"type": "string", "pattern": pattern}), 1).is_string(), "{pattern}");
    }
}
