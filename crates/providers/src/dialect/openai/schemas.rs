//! The server's half: what OpenAI's APIs refuse of schemas, in their words (as recorded replies and users
//! have shown them). Of a schema that a format has and that is not strict, nothing is refused.

use serde_json::Value;

use super::super::schema::{Within, all};

/// What the parameters of a function may not have at the top.
const NOT_AT_THE_TOP: [&str; 5] = ["oneOf", "anyOf", "allOf", "enum", "not"];

/// Keywords that a strict schema may not have: those that OpenAI's guide to structured outputs calls not
/// supported, and others whose refusals users have shown.
const NOT_PERMITTED: [&str; 15] = [
    "oneOf",
    "allOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "propertyNames",
    "contains",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "default",
];

/// What a text may be said to be (OpenAI's guide to structured outputs).
const FORMATS: [&str; 9] =
    ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];

/// What says what a value is.
const TYPED: [&str; 4] = ["type", "$ref", "anyOf", "enum"];

/// Levels of a strict schema's values, and fields of all of its objects, at most (OpenAI's guide to
/// structured outputs).
const MOST_LEVELS: usize = 10;
const MOST_PROPERTIES: usize = 5_000;

/// The first thing that is refused of the parameters of a function that is not strict.
pub(super) fn unfit(schema: &Value) -> Option<String> {
    if NOT_AT_THE_TOP.into_iter().any(|keyword| !schema[keyword].is_null()) {
        let keywords = NOT_AT_THE_TOP.join("'/'");
        return Some(format!("schema must have type 'object' and not have '{keywords}' at the top level."));
    }
    other_than_object(schema)
        .or_else(|| {
            let has_none = schema["properties"].is_null();
            has_none.then(|| "In context=(), object schema missing properties.".to_owned())
        })
        .or_else(|| {
            all(schema).iter().find_map(|within| without_items(within).map(|why| placed(within, &why)))
        })
}

/// The first thing that is refused of a schema that is strict.
pub(super) fn unstrict(schema: &Value) -> Option<String> {
    let within = all(schema);
    other_than_object(schema)
        .or_else(|| within.iter().find_map(unstrict_within))
        .or_else(|| over_limits(&within))
}

/// A schema that is not one of objects; of one that does not say, Python's word for nothing is told.
fn other_than_object(schema: &Value) -> Option<String> {
    let kind = schema["type"].as_str().unwrap_or("None");
    (kind != "object")
        .then(|| format!("schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."))
}

fn placed(within: &Within<'_>, why: &str) -> String {
    format!("In context={}, {why}", within.place())
}

fn unstrict_within(within: &Within<'_>) -> Option<String> {
    let fields = within.fields;
    let beside: Vec<_> = fields.keys().filter(|key| *key != "$ref").map(|key| format!("'{key}'")).collect();
    if fields.contains_key("$ref") && !beside.is_empty() {
        let (place, beside) = (within.place(), beside.join(", "));
        return Some(format!("context={place}, $ref cannot have keywords {{{beside}}}."));
    }
    let not_permitted = || {
        let keyword = NOT_PERMITTED.into_iter().find(|keyword| fields.contains_key(*keyword))?;
        Some(format!("'{keyword}' is not permitted."))
    };
    let untyped = || {
        let is_typed = TYPED.into_iter().any(|keyword| fields.contains_key(keyword));
        (!is_typed && !within.is_object()).then(|| "schema must have a 'type' key.".to_owned())
    };
    let why = not_permitted()
        .or_else(untyped)
        .or_else(|| without_items(within))
        .or_else(|| unknown_format(within))
        .or_else(|| loose_object(within))?;
    Some(placed(within, &why))
}

fn without_items(within: &Within<'_>) -> Option<String> {
    let is_array = within.fields.get("type").is_some_and(|kind| kind == "array");
    (is_array && !within.fields.contains_key("items")).then(|| "array schema missing items.".to_owned())
}

fn unknown_format(within: &Within<'_>) -> Option<String> {
    let format = within.fields.get("format")?.as_str()?;
    (!FORMATS.contains(&format)).then(|| format!("'{format}' is not a valid format."))
}

/// Each object is closed, and requires all of its fields and no others.
fn loose_object(within: &Within<'_>) -> Option<String> {
    if !within.is_object() {
        return None;
    }
    if !within.is_closed() {
        return Some("'additionalProperties' is required to be supplied and to be false.".to_owned());
    }
    let required = within.required();
    let missing = within.properties().find(|name| !required.contains(name));
    let extra =
        || required.iter().copied().filter(|name| within.properties().all(|known| known != *name)).min();
    let why = match missing {
        Some(name) => format!("Missing '{name}'."),
        None => format!("Extra required key '{}' supplied.", extra()?),
    };
    Some(format!(
        "'required' is required to be supplied and to be an array including every key in properties. {why}"
    ))
}

fn over_limits(within: &[Within<'_>]) -> Option<String> {
    let levels = within.iter().map(|within| within.level).max().unwrap_or(0);
    let properties = within.iter().map(|within| within.properties().count()).sum();
    let limits = [(levels, "levels of nesting", MOST_LEVELS), (properties, "parameters", MOST_PROPERTIES)];
    let (found, of_what, most) = limits.into_iter().find(|(found, _, most)| found > most)?;
    Some(format!("{found} {of_what} exceeds limit of {most}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(refused: fn(&Value) -> Option<String>, schema: &Value, expected: &str) {
        let found = refused(schema).unwrap_or_default();
        assert!(found.starts_with(expected) && found.is_empty() == expected.is_empty(), "{schema}: {found}");
    }

    /// A strict object of one field.
    fn held(inner: &Value) -> Value {
        json!({"type": "object", "properties": {"a": inner}, "required": ["a"],
            "additionalProperties": false})
    }

    #[test]
    fn a_function_s_parameters_are_those_of_an_object() {
        let with = |inner: Value| json!({"type": "object", "properties": {"a": inner}});
        for fit in [
            with(json!({})),
            with(json!({"type": "object"})),
            with(json!({"type": "array", "items": {}})),
            with(json!({"anyOf": [{"type": "string", "format": "uri"}, {"not": {}}]})),
            json!({"type": "object", "properties": {}}),
        ] {
            check(unfit, &fit, "");
        }
        let none = "schema must be a JSON Schema of 'type: \"object\"', got 'type: ";
        check(unfit, &json!({"type": "string"}), &format!("{none}\"string\"'."));
        check(unfit, &json!({"properties": {}}), &format!("{none}\"None\"'."));
        check(unfit, &json!({"type": "object"}), "In context=(), object schema missing properties.");
        let items = "array schema missing items.";
        check(unfit, &with(json!({"type": "array"})), &format!("In context=('properties', 'a'), {items}"));
        check(
            unfit,
            &with(json!({"type": "array", "items": {"type": "array"}})),
            &format!("In context=('properties', 'a', 'items'), {items}"),
        );
        for keyword in NOT_AT_THE_TOP {
            let mut top = with(json!({}));
            top[keyword] = json!([]);
            let why = "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the \
                       top level.";
            check(unfit, &top, why);
        }
    }

    #[test]
    fn a_strict_schema_s_objects_are_closed_and_require_all_that_they_have() {
        let text = || json!({"type": "string"});
        let part = json!({"type": "object", "properties": {"a": text(), "b": text()}, "required": ["a"],
            "additionalProperties": false});
        let required = "'required' is required to be supplied and to be an array including every key in \
                        properties.";
        check(unstrict, &held(&text()), "");
        check(unstrict, &json!({"type": "object", "properties": {}, "additionalProperties": false}), "");
        check(unstrict, &part, &format!("In context=(), {required} Missing 'b'."));
        let closed = "'additionalProperties' is required to be supplied and to be false.";
        check(unstrict, &json!({"type": "object"}), &format!("In context=(), {closed}"));
        check(unstrict, &held(&held(&text())), "");
        check(unstrict, &held(&part), &format!("In context=('properties', 'a'), {required}"));
        let open = json!({"type": ["object", "null"]});
        let items = json!({"type": "array", "items": open});
        check(unstrict, &held(&items), &format!("In context=('properties', 'a', 'items'), {closed}"));
        let any = json!({"anyOf": [{"type": "null"}, part]});
        check(unstrict, &held(&any), &format!("In context=('properties', 'a', 'anyOf', '1'), {required}"));
        let mut more = held(&text());
        more["required"] = json!(["a", "c", "b"]);
        check(unstrict, &more, &format!("In context=(), {required} Extra required key 'b' supplied."));
        let mut defined = held(&json!({"$ref": "#/$defs/d"}));
        defined["$defs"] = json!({"d": open});
        check(unstrict, &defined, &format!("In context=('$defs', 'd'), {closed}"));
    }

    #[test]
    fn a_strict_schema_says_what_it_can_hold_to() {
        for fit in [
            json!({"type": "string", "format": "date-time", "minLength": 1, "pattern": "a"}),
            json!({"type": ["number", "null"], "minimum": 1, "title": "A", "description": "a"}),
            json!({"enum": ["a"]}),
            json!({"type": "array", "items": {"type": "string"}, "minItems": 1}),
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
            json!({"$ref": "#"}),
        ] {
            check(unstrict, &held(&fit), "");
        }
        let of_a = |inner: Value, why: &str| {
            check(unstrict, &held(&inner), &format!("In context=('properties', 'a'), {why}"));
        };
        for keyword in NOT_PERMITTED {
            of_a(json!({"type": "string", keyword: []}), &format!("'{keyword}' is not permitted."));
        }
        of_a(json!({}), "schema must have a 'type' key.");
        of_a(json!({"const": "a"}), "schema must have a 'type' key.");
        of_a(json!({"type": "array"}), "array schema missing items.");
        of_a(json!({"type": "string", "format": "uri"}), "'uri' is not a valid format.");
        check(
            unstrict,
            &held(&json!({"$ref": "#", "description": "a"})),
            "context=('properties', 'a'), $ref cannot have keywords {'description'}.",
        );
    }

    #[test]
    fn a_strict_schema_is_neither_too_deep_nor_too_wide() {
        let deep = |levels: usize| (0..levels).fold(json!({"type": "string"}), |inner, _| held(&inner));
        check(unstrict, &deep(10), "");
        check(unstrict, &deep(11), "11 levels of nesting exceeds limit of 10.");
        let wide = |count: usize| {
            let names: Vec<String> = (0..count).map(|n| format!("f{n}")).collect();
            let fields: Value = names.iter().map(|name| (name.clone(), json!({"type": "null"}))).collect();
            json!({"type": "object", "properties": fields, "required": names, "additionalProperties": false})
        };
        check(unstrict, &wide(5_000), "");
        check(unstrict, &wide(5_001), "5001 parameters exceeds limit of 5000.");
    }
}
