//! A value that fits a JSON schema, drawn from a seed: what a simulated model answers where its
//! answer has to have a shape.
//!
//! It knows the keywords that structured outputs and tools are written in. It is no validator:
//! keywords that it does not know (`not`, `if`, `dependentRequired`, `propertyNames` …) are ignored.

mod pattern;
mod text;
mod told;

use serde_json::{Map, Number, Value, json};

use sortie_core::chance::Chance;

/// How deep a value may go before only what is required is made: enough for what people write, and
/// an end for schemas that name themselves.
const DEEP: usize = 6;

/// How deep it goes at all. A schema that requires itself has no finite value; it gets `null` here.
const DEEPEST: usize = 24;

/// Items of an array that may have as many as it likes.
const ITEMS: u64 = 2;

/// The most items or characters made because a schema asks for at least so many.
const MOST: u64 = 1_000;

/// Values made at most for one schema. Each level may have several fields, and each of those the
/// same again, so that depth alone would not bound them.
const MOST_VALUES: usize = 4_000;

/// A value that fits this schema; the same for the same draws.
pub(crate) fn value(schema: &Value, chance: &mut Chance) -> Value {
    Maker { root: schema, chance, left: MOST_VALUES }.make(schema, 0)
}

struct Maker<'a> {
    root: &'a Value,
    chance: &'a mut Chance,
    left: usize,
}

impl Maker<'_> {
    fn make(&mut self, schema: &Value, depth: usize) -> Value {
        if depth > DEEPEST || self.left == 0 {
            return Value::Null;
        }
        self.left -= 1;
        let Value::Object(fields) = schema else {
            return json!(self.chance.pick(&text::WORDS));
        };
        if let Some(merged) = self.resolved(fields, depth) {
            return self.make(&Value::Object(merged), depth + 1);
        }
        if let Some(value) = fields.get("const") {
            return value.clone();
        }
        if let Some(choices) = fields.get("enum").and_then(Value::as_array).filter(|list| !list.is_empty()) {
            return choices[self.chance.below(choices.len() as u64) as usize].clone();
        }
        let bounded = told::bounded(fields);
        let fields = bounded.as_ref().unwrap_or(fields);
        match kind(fields, depth) {
            "object" => self.object(fields, depth),
            "array" => self.array(fields, depth),
            "integer" => self.integer(fields),
            "number" => self.number(fields),
            "boolean" => json!(self.chance.bits().is_multiple_of(2)),
            "null" => Value::Null,
            _ => json!(text::fitting(fields, self.chance)),
        }
    }

    /// The schema with its reference, its alternatives and its conjunctions put in their place; `None`
    /// where it has none. The first alternative counts, in the depth the shallowest.
    fn resolved(&self, fields: &Map<String, Value>, depth: usize) -> Option<Map<String, Value>> {
        let mut rest = fields.clone();
        let mut joined = Vec::new();
        if let Some(reference) = rest.remove("$ref") {
            joined.extend(self.referenced(&reference).cloned());
        }
        for word in ["anyOf", "oneOf"] {
            if let Some(Value::Array(branches)) = rest.remove(word) {
                let shallow = branches.iter().find(|branch| is_shallow(branch)).filter(|_| depth >= DEEP);
                joined.extend(shallow.or(branches.first()).cloned());
            }
        }
        if let Some(Value::Array(parts)) = rest.remove("allOf") {
            joined.extend(parts);
        }
        if joined.is_empty() {
            return None;
        }
        for part in joined {
            if let Value::Object(part) = part {
                merge(&mut rest, part);
            }
        }
        Some(rest)
    }

    /// What `#/$defs/Name` names.
    fn referenced(&self, reference: &Value) -> Option<&Value> {
        self.root.pointer(reference.as_str()?.strip_prefix('#')?)
    }

    fn object(&mut self, fields: &Map<String, Value>, depth: usize) -> Value {
        let nothing = Map::new();
        let properties = fields.get("properties").and_then(Value::as_object).unwrap_or(&nothing);
        let required: Vec<&str> = fields
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut object = Map::new();
        for (name, schema) in properties {
            if required.contains(&name.as_str()) || depth < DEEP {
                object.insert(name.clone(), self.make(schema, depth + 1));
            }
        }
        // What is required and not described, and as many more as it has to have.
        let other = fields.get("additionalProperties").unwrap_or(&Value::Null);
        let least = whole(fields, "minProperties").unwrap_or(0).min(MOST) as usize;
        let more = (1..).map(|n| format!("field_{n}"));
        let missing: Vec<String> = required
            .iter()
            .filter(|name| !properties.contains_key(**name))
            .map(|name| (*name).to_owned())
            .chain(more.take(least))
            .collect();
        for (at, name) in missing.into_iter().enumerate() {
            if at >= required.len() && object.len() >= least {
                break;
            }
            if required.contains(&name.as_str()) || object.len() < least {
                object.insert(name, self.make(other, depth + 1));
            }
        }
        Value::Object(object)
    }

    fn array(&mut self, fields: &Map<String, Value>, depth: usize) -> Value {
        let nothing = Vec::new();
        let first = fields.get("prefixItems").and_then(Value::as_array).unwrap_or(&nothing);
        let least = whole(fields, "minItems").unwrap_or(0).min(MOST);
        let usual = if depth < DEEP { ITEMS.max(first.len() as u64) } else { 0 };
        let most = whole(fields, "maxItems").unwrap_or(u64::MAX);
        let no_more = fields.get("items") == Some(&Value::Bool(false));
        let most = if no_more { most.min(first.len() as u64) } else { most };
        let count = least.max(usual).min(most);
        let items = fields.get("items").unwrap_or(&Value::Null);
        let unique = fields.get("uniqueItems") == Some(&Value::Bool(true));
        let mut made: Vec<Value> = Vec::new();
        // Few draws of a small enumeration are all different; more tries than items, then.
        for _ in 0..count.saturating_mul(8) {
            if made.len() as u64 >= count {
                break;
            }
            let item = self.make(first.get(made.len()).unwrap_or(items), depth + 1);
            if !(unique && made.contains(&item)) {
                made.push(item);
            }
        }
        Value::Array(made)
    }

    fn integer(&mut self, fields: &Map<String, Value>) -> Value {
        let bound = |name: &str| fields.get(name).and_then(Value::as_f64);
        let floor = [bound("minimum").map(f64::ceil), bound("exclusiveMinimum").map(|n| n.floor() + 1.0)];
        let ceiling = [bound("maximum").map(f64::floor), bound("exclusiveMaximum").map(|n| n.ceil() - 1.0)];
        let (least, most) = between(floor, ceiling, 1.0, 100.0);
        let step = bound("multipleOf").filter(|step| *step >= 1.0).unwrap_or(1.0);
        let first = (least / step).ceil() as i64;
        let last = ((most / step).floor() as i64).max(first);
        let choices = last.abs_diff(first).saturating_add(1);
        let multiple = first.saturating_add_unsigned(self.chance.below(choices));
        json!(multiple.saturating_mul(step as i64))
    }

    fn number(&mut self, fields: &Map<String, Value>) -> Value {
        let bound = |name: &str| fields.get(name).and_then(Value::as_f64);
        if let Some(step) = bound("multipleOf").filter(|step| *step > 0.0) {
            let least = bound("minimum").unwrap_or(0.0);
            return json!((least / step).ceil() * step);
        }
        let (least, most) = between(
            [bound("minimum"), bound("exclusiveMinimum")],
            [bound("maximum"), bound("exclusiveMaximum")],
            0.0,
            1.0,
        );
        // Never an end, which may be excluded; two decimals where the range has room for them.
        let drawn = least + (most - least) * (0.01 + 0.98 * self.chance.share());
        let rounded = (drawn * 100.0).round() / 100.0;
        let inside = if rounded > least && rounded < most { rounded } else { drawn };
        Number::from_f64(inside).map_or(Value::Null, Value::Number)
    }
}

/// The range that these bounds leave, as wide as the usual one where they leave an end open.
fn between(floors: [Option<f64>; 2], ceilings: [Option<f64>; 2], usual: f64, width: f64) -> (f64, f64) {
    let floor = floors.into_iter().flatten().reduce(f64::max);
    let ceiling = ceilings.into_iter().flatten().reduce(f64::min);
    match (floor, ceiling) {
        (Some(floor), Some(ceiling)) => (floor, ceiling.max(floor)),
        (Some(floor), None) => (floor, floor + width),
        (None, Some(ceiling)) => (usual.min(ceiling - width), ceiling),
        (None, None) => (usual, usual + width),
    }
}

/// The type that is made: the first that is named, in the depth `null` if that is allowed; where none
/// is named, what the other keywords speak of.
fn kind(fields: &Map<String, Value>, depth: usize) -> &str {
    match fields.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) if depth >= DEEP && kinds.iter().any(|kind| kind == "null") => "null",
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str).unwrap_or("null"),
        _ if ["properties", "required", "additionalProperties"].iter().any(|k| fields.contains_key(*k)) => {
            "object"
        }
        _ if ["items", "prefixItems", "minItems"].iter().any(|k| fields.contains_key(*k)) => "array",
        _ if ["minimum", "maximum", "multipleOf"].iter().any(|k| fields.contains_key(*k)) => "number",
        _ => "string",
    }
}

/// Whether a branch ends here: it holds no other values.
fn is_shallow(schema: &Value) -> bool {
    let kind = schema["type"].as_str();
    kind.is_some_and(|kind| kind != "object" && kind != "array")
        || schema.get("const").is_some()
        || schema.get("enum").is_some()
}

/// Takes what a part of a conjunction asks for beside the rest.
fn merge(into: &mut Map<String, Value>, part: Map<String, Value>) {
    for (name, asked) in part {
        match (into.get_mut(&name), asked) {
            (Some(Value::Object(known)), Value::Object(more)) if name == "properties" => known.extend(more),
            (Some(Value::Array(known)), Value::Array(more)) if name == "required" => known.extend(more),
            (Some(_), _) => {}
            (None, asked) => drop(into.insert(name, asked)),
        }
    }
}

/// A keyword's count.
fn whole(fields: &Map<String, Value>, name: &str) -> Option<u64> {
    fields.get(name).and_then(Value::as_u64)
}

#[cfg(test)]
mod tests;
