//! What the API refuses of a schema that has to be fitted to the letter, be it that of an
//! `output_config.format` or of a tool that is `strict`, and, for the client, what is left of a schema
//! without that. The rules are those of Anthropic's
//! documentation of structured outputs ("JSON Schema limitations"); the forms of messages are those of
//! recorded replies, where there are any.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::super::WireError;
use super::super::schema::is_open;
use super::reading::invalid;

/// Keywords that no schema may have. Lengths of arrays have a rule of their own.
const UNSUPPORTED: [&str; 20] = [
    "contains",
    "else",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "if",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "prefixItems",
    "propertyNames",
    "then",
    "uniqueItems",
];

/// The most fields that may be left out, and that may be of several kinds, of all schemas of a request
/// together (Anthropic's documentation of structured outputs, "Schema complexity limits").
const MOST_OPTIONAL: usize = 24;
const MOST_UNIONS: usize = 16;

/// What a string may be the form of.
const FORMATS: [&str; 10] =
    ["date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uri", "uuid"];

/// What says of which kind a value is.
const KINDS: [&str; 7] = ["type", "enum", "const", "anyOf", "allOf", "$ref", "properties"];

/// Where schemas lie by name: those of fields, and those that others refer to.
const PROPERTIES: &str = "properties";
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];
const NAMED: [&str; 3] = [PROPERTIES, DEFINITIONS[0], DEFINITIONS[1]];

/// A schema as far as it can be asked for: without bounds and forms that the API does not keep to. Whoever
/// asks has to hold the answer against all of it, as the official SDKs do.
pub(super) fn loosened(schema: &Value) -> Value {
    let Some(fields) = schema.as_object() else { return schema.clone() };
    let stays = |(keyword, value): &(&String, &Value)| match keyword.as_str() {
        "minItems" => matches!(value.as_u64(), Some(0 | 1)),
        "format" => value.as_str().is_some_and(|form| FORMATS.contains(&form)),
        keyword => !UNSUPPORTED.contains(&keyword),
    };
    let inner = |(keyword, value): (&String, &Value)| {
        let named = |map: &Map<String, Value>| {
            map.iter().map(|(name, schema)| (name.clone(), loosened(schema))).collect::<Map<_, _>>().into()
        };
        match (keyword.as_str(), value) {
            ("items", value) => (keyword.clone(), loosened(value)),
            // What fits exactly one of them fits one of them.
            ("anyOf" | "oneOf", Value::Array(all)) => {
                ("anyOf".to_owned(), all.iter().map(loosened).collect())
            }
            ("allOf", Value::Array(all)) => (keyword.clone(), all.iter().map(loosened).collect()),
            (keyword, Value::Object(map)) if NAMED.contains(&keyword) => (keyword.to_owned(), named(map)),
            (keyword, value) => (keyword.to_owned(), value.clone()),
        }
    };
    fields.iter().filter(stays).map(inner).collect::<Map<_, _>>().into()
}

/// Refuses what a schema cannot say; it stands at `field`.
pub(super) fn check(field: &str, schema: &Value) -> Result<(), WireError> {
    let open = || {
        let why = "For 'object' type, 'additionalProperties' must be explicitly set to false";
        is_open(schema).then(|| why.to_owned())
    };
    match fault(schema, schema).or_else(open).or_else(|| circle(schema)) {
        None => Ok(()),
        Some(why) => Err(invalid(format!("{field}: {why}"))),
    }
}

/// Refuses schemas that are too much together, whatever each of them is.
pub(super) fn check_all(schemas: &[&Value]) -> Result<(), WireError> {
    let (mut optional, mut unions) = (0, 0);
    for schema in schemas {
        count(schema, &mut optional, &mut unions);
    }
    if unions > MOST_UNIONS {
        return Err(invalid(format!(
            "Schemas contains too many parameters with union types ({unions} parameters with type arrays or anyOf). \
             This causes exponential compilation cost. Reduce the number of nullable or union-typed parameters \
             (limit: {MOST_UNIONS} parameters with unions)."
        )));
    }
    if optional > MOST_OPTIONAL {
        return Err(invalid(format!(
            "Schemas contains too many optional parameters ({optional}), which would make grammar compilation \
             inefficient. Reduce the number of optional parameters in your tool schemas (limit: {MOST_OPTIONAL})."
        )));
    }
    Ok(())
}

/// Counts the fields of a schema, and of those in it, that may be left out or are of several kinds.
fn count(schema: &Value, optional: &mut usize, unions: &mut usize) {
    let Some(fields) = schema.as_object() else { return };
    let is_required = |name: &String| {
        schema["required"].as_array().is_some_and(|names| names.iter().any(|known| known == name))
    };
    for (name, field) in schema[PROPERTIES].as_object().into_iter().flatten() {
        *optional += usize::from(!is_required(name));
        *unions += usize::from(field["type"].is_array() || field["anyOf"].is_array());
    }
    for inner in within(fields, &NAMED) {
        count(inner, optional, unions);
    }
}

/// What is wrong with a schema or with one in it; `root` is the whole.
fn fault(root: &Value, schema: &Value) -> Option<String> {
    let fields = schema.as_object()?;
    if let Some(place) = fields.get("$ref").and_then(Value::as_str) {
        return reference_fault(root, place);
    }
    own_fault(fields).or_else(|| within(fields, &NAMED).into_iter().find_map(|inner| fault(root, inner)))
}

fn reference_fault(root: &Value, place: &str) -> Option<String> {
    match place.strip_prefix('#') {
        // That it is refused is documented; the words are ours.
        None => Some(format!("Invalid schema: External references are not supported: {place}")),
        Some(pointer) if root.pointer(pointer).is_some() => None,
        Some(_) => Some(format!("Invalid schema: Reference to non-existent definition: {place}")),
    }
}

/// What is wrong with a schema itself, whatever those in it are.
fn own_fault(fields: &Map<String, Value>) -> Option<String> {
    if fields.contains_key("oneOf") {
        return Some("Schema type 'oneOf' is not supported".to_owned());
    }
    if !KINDS.iter().any(|keyword| fields.contains_key(*keyword)) {
        return Some("Invalid schema: Schema type is missing".to_owned());
    }
    let kind = match &fields.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().find_map(Value::as_str).unwrap_or("object"),
        kind => kind.and_then(Value::as_str).unwrap_or("object"),
    };
    let found: Vec<_> = UNSUPPORTED.into_iter().filter(|keyword| fields.contains_key(*keyword)).collect();
    match found.as_slice() {
        [] => (),
        [one] => return Some(format!("For '{kind}' type, property '{one}' is not supported")),
        several => {
            let several = several.join(", ");
            return Some(format!("For '{kind}' type, properties {several} are not supported"));
        }
    }
    value_fault(kind, fields)
}

/// Keywords that may not have every value.
fn value_fault(kind: &str, fields: &Map<String, Value>) -> Option<String> {
    let is_complex = |value: &Value| value.is_array() || value.is_object();
    match fields.get("minItems").map(Value::as_u64) {
        None | Some(Some(0 | 1)) => (),
        _ => {
            return Some(format!("For '{kind}' type, 'minItems' values other than 0 or 1 are not supported"));
        }
    }
    match fields.get("format").and_then(Value::as_str) {
        Some(form) if kind == "string" && !FORMATS.contains(&form) => {
            return Some(format!("For 'string' type, format '{form}' is not supported"));
        }
        _ => (),
    }
    if fields.get("items").is_some_and(Value::is_array) {
        return Some("Array types must be specified with a single object schema for 'items'".to_owned());
    }
    if fields.get("enum").and_then(Value::as_array).is_some_and(|values| values.iter().any(is_complex)) {
        // That it is refused is documented; the words are ours.
        return Some("Enum values must be strings, numbers, booleans or null".to_owned());
    }
    let rest = match fields.get("additionalProperties")? {
        Value::Bool(true) => "true",
        Value::Object(_) => "object",
        _ => return None,
    };
    Some(format!(
        "For 'object' type, 'additionalProperties: {rest}' is not supported. Please set \
         'additionalProperties' to false"
    ))
}

/// The schemas in a schema: under `named` keywords by name, and those that it is made of.
fn within<'a>(fields: &'a Map<String, Value>, named: &[&str]) -> Vec<&'a Value> {
    let mut all: Vec<&Value> = fields.get("items").into_iter().collect();
    all.extend(
        ["anyOf", "allOf"].into_iter().filter_map(|keyword| fields.get(keyword)?.as_array()).flatten(),
    );
    all.extend(named.iter().filter_map(|keyword| fields.get(*keyword)?.as_object()).flat_map(Map::values));
    all
}

/// The first definition that comes back to itself.
fn circle(root: &Value) -> Option<String> {
    let mut over = HashSet::new();
    let starts =
        DEFINITIONS.into_iter().filter_map(|keyword| Some((keyword, root.get(keyword)?.as_object()?)));
    let mut starts: Vec<String> = starts
        .flat_map(|(keyword, schemas)| schemas.keys().map(move |name| format!("#/{keyword}/{name}")))
        .collect();
    starts.push("#".to_owned());
    let found = starts.into_iter().find_map(|start| back(root, start, &mut Vec::new(), &mut over))?;
    let names: Vec<&str> = found.iter().map(|place| place.rsplit('/').next().unwrap_or_default()).collect();
    Some(format!("Circular reference detected in schema definitions: {}", names.join(" -> ")))
}

/// The way from a place back to itself, by what refers to what; `over` is what has no such way.
fn back(
    root: &Value,
    place: String,
    way: &mut Vec<String>,
    over: &mut HashSet<String>,
) -> Option<Vec<String>> {
    if let Some(first) = way.iter().position(|known| *known == place) {
        let mut circle = way[first..].to_vec();
        circle.push(place);
        return Some(circle);
    }
    if over.contains(&place) {
        return None;
    }
    let schema = root.pointer(place.trim_start_matches('#'))?;
    way.push(place);
    let mut next = Vec::new();
    references(schema, &mut next);
    let found = next.into_iter().find_map(|place| back(root, place, way, over));
    over.extend(way.pop());
    found
}

/// What a schema refers to, but for its definitions' own references.
fn references(schema: &Value, found: &mut Vec<String>) {
    let Some(fields) = schema.as_object() else { return };
    found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
    for inner in within(fields, &[PROPERTIES]) {
        references(inner, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_left_of_a_schema_is_taken() {
        let schema = json!({
            "type": "object",
            "properties": {
                "maximum": {"type": "integer", "maximum": 9},
                "of": {"type": "array", "minItems": 2, "uniqueItems": true, "items": {"type": "string", "minLength": 1}},
                "one": {"oneOf": [{"type": "string", "format": "iri"}, {"type": "number", "multipleOf": 2}]},
                "defined": {"$ref": "#/$defs/d"},
            },
            "$defs": {"d": {"type": "string", "format": "date", "maxLength": 10}},
            "required": ["of"],
            "additionalProperties": false,
        });
        assert!(check("f", &schema).is_err());
        let left = loosened(&schema);
        assert_eq!(check("f", &left).map_err(|error| error.message), Ok(()));
        let properties = json!({
            "maximum": {"type": "integer"},
            "of": {"type": "array", "items": {"type": "string"}},
            "one": {"anyOf": [{"type": "string"}, {"type": "number"}]},
            "defined": {"$ref": "#/$defs/d"},
        });
        assert_eq!(left["properties"], properties);
        assert_eq!(left["$defs"]["d"], json!({"type": "string", "format": "date"}));
        assert_eq!((&left["required"], &left["additionalProperties"]), (&json!(["of"]), &json!(false)));
    }
}
