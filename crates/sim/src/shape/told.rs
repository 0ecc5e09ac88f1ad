//! Bounds that are told in words. Anthropic's structured outputs take none in a schema, and its official SDKs
//! move those of a type into the description of the field, from where the model may follow them
//! (`lib/_parse/_transform.py`): `A number\n\n{minimum: 1, maximum: 10}`. A simulated model follows them.

use serde_json::{Map, Value};

/// The keywords that are followed: those whose values are numbers, and those whose values are texts.
const NUMBERS: [&str; 9] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
];
const TEXTS: [&str; 1] = ["pattern"];

/// The schema with the bounds that its description tells and that it has not itself; `None` where there are
/// none.
pub(super) fn bounded(fields: &Map<String, Value>) -> Option<Map<String, Value>> {
    let description = fields.get("description")?.as_str()?;
    let last = description.rsplit("\n\n").next()?;
    let mut bounded = fields.clone();
    for (key, value) in pairs(last.strip_prefix('{')?.strip_suffix('}')?) {
        let value = match key {
            number if NUMBERS.contains(&number) => value.parse().ok().map(Value::Number),
            text if TEXTS.contains(&text) => Some(Value::String(value)),
            _ => None,
        };
        if let Some(value) = value.filter(|_| !fields.contains_key(key)) {
            bounded.insert(key.to_owned(), value);
        }
    }
    (bounded.len() > fields.len()).then_some(bounded)
}

/// `a: 1, b: 2` as its pairs. A comma that no key follows is the value's own.
fn pairs(list: &str) -> Vec<(&str, String)> {
    let mut pairs: Vec<(&str, String)> = Vec::new();
    for part in list.split(", ") {
        let is_key = |key: &str| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphabetic());
        match (part.split_once(": ").filter(|(key, _)| is_key(key)), pairs.last_mut()) {
            (Some((key, value)), _) => pairs.push((key, value.to_owned())),
            (None, Some((_, value))) => {
                value.push_str(", ");
                value.push_str(part);
            }
            (None, None) => {}
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bounds_are_found_where_the_sdk_puts_them_and_nowhere_else() {
        let check = |schema: Value, expected: Value| {
            let bounded = bounded(schema.as_object().unwrap()).map(Value::Object);
            let mut whole = schema.clone();
            for (key, value) in expected.as_object().unwrap() {
                whole[key] = value.clone();
            }
            assert_eq!(bounded.unwrap_or(schema), whole);
        };
        let of = |description: &str| json!({"type": "integer", "description": description});
        check(of("A number\n\n{minimum: 1, maximum: 10}"), json!({"minimum": 1, "maximum": 10}));
        check(of("{exclusiveMinimum: 0.5, default: None}"), json!({"exclusiveMinimum": 0.5}));
        check(of("{pattern: ^[a, b]{2}$, maxLength: 2}"), json!({"pattern": "^[a, b]{2}$", "maxLength": 2}));
        for none in ["A number", "{minimum: one}", "A {minimum: 1}", "{}", "", "{minimum: 1} or so"] {
            check(of(none), json!({}));
        }
        check(json!({"minimum": 3, "description": "{minimum: 1}"}), json!({}));
    }
}
