//! Holding a tree against a JSON schema, to find all that is wrong with its form at once, and to
//! keep what is right.
//!
//! Only the part of JSON schema that `schemars` derives for our written forms is known: what is
//! not known here is not complained about, and the parser's own first error stands in.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Schema, Value as Json};

use super::broken::{Faults, Gap};
use super::problem::{Place, Problem, Step, nearest};
use super::tree::{Entry, Node, Style, Value};
use super::yaml_options;

/// The JSON schema of a written form.
pub fn schema_of<T: JsonSchema>() -> Schema {
    schemars::schema_for!(T).to_value()
}

/// Adds every place where the tree is not as its schema wants it. What comes back is as the schema
/// wants it: stand-ins fill the gaps, and free-form values, which no check looks at, are left out.
/// Where there are more problems than are kept, nothing is checked after this, and nothing of it is
/// made: a stand-in of each of a million tasks that are nothing would take a hundred times their text.
pub(super) fn walk(
    root: &Schema,
    node: &Node<'_>,
    place: &Place,
    text: &str,
    is_yaml: bool,
    faults: &mut Faults,
) -> Json {
    Walker { root, text, is_yaml, place: place.clone(), faults }.visit(root, node)
}

/// The least that a schema takes: nothing where it may be, else empty texts, zeros and first words.
pub(super) fn stand_in(root: &Schema, schema: &Schema) -> Json {
    let schema = resolve(root, schema);
    if let Some(choices) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        let mut choices = choices.iter().map(|choice| stand_in(root, choice));
        let first = choices.next().unwrap_or_default();
        return if choices.any(|choice| choice.is_null()) { Json::Null } else { first };
    }
    let types = types(schema);
    match types.first() {
        _ if types.contains(&"null") => Json::Null,
        Some(&"object") => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Schema::as_str);
            let pair = |key: &str| (key.to_owned(), stand_in(root, &schema["properties"][key]));
            Json::Object(required.map(pair).collect())
        }
        Some(&"array") => Json::Array(Vec::new()),
        Some(&"string") => words(schema).and_then(|words| words.first().copied()).unwrap_or_default().into(),
        Some(&"boolean") => false.into(),
        Some(_) => 0.into(),
        None => Json::Null,
    }
}

struct Walker<'a> {
    root: &'a Schema,
    text: &'a str,
    is_yaml: bool,
    /// Where the walk is.
    place: Place,
    faults: &'a mut Faults,
}

impl<'a> Walker<'a> {
    fn visit(&mut self, schema: &'a Schema, node: &Node<'_>) -> Json {
        let schema = resolve(self.root, schema);
        for word in ["anyOf", "oneOf"] {
            if let Some(choices) = schema[word].as_array() {
                return self.visit_choice(schema, choices, node);
            }
        }
        let types = types(schema);
        if types.is_empty() || (is_null(node) && types.contains(&"null")) {
            return Json::Null;
        }
        match &node.value {
            Value::Map(entries) if types.contains(&"object") => self.visit_map(schema, node, entries),
            Value::List(items) if types.contains(&"array") => {
                let mut array = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    let value = self.visit_at(Step::Index(index), &schema["items"], item);
                    if !self.faults.problems.is_full() {
                        array.push(value);
                    }
                }
                Json::Array(array)
            }
            Value::Scalar(style) => match self.fits(schema, &types, node, *style) {
                Some(value) => value,
                None => self.mismatch(schema, &[schema], node),
            },
            _ => self.mismatch(schema, &[schema], node),
        }
    }

    fn visit_at(&mut self, step: Step, schema: &'a Schema, node: &Node<'_>) -> Json {
        self.place.push(step);
        let value = self.visit(schema, node);
        self.place.pop();
        value
    }

    /// One of several forms: the one for this kind of value, where there is exactly one.
    fn visit_choice(&mut self, schema: &'a Schema, choices: &'a [Schema], node: &Node<'_>) -> Json {
        let choices: Vec<&'a Schema> = choices.iter().map(|choice| resolve(self.root, choice)).collect();
        if is_null(node) && choices.iter().any(|choice| types(choice).contains(&"null")) {
            return Json::Null;
        }
        let rest: Vec<&'a Schema> =
            choices.into_iter().filter(|choice| !types(choice).contains(&"null")).collect();
        let kind = match &node.value {
            Value::Map(_) => "object",
            Value::List(_) => "array",
            Value::Scalar(style) => {
                let scalar = |choice: &&Schema| self.fits(choice, &types(choice), node, *style);
                if let Some(value) = rest.iter().find_map(scalar) {
                    return value;
                }
                // A single choice that is itself a choice: `Option` of an enum.
                return match rest.as_slice() {
                    [only] if only["anyOf"].is_array() || only["oneOf"].is_array() => self.visit(only, node),
                    _ => self.mismatch(schema, &rest, node),
                };
            }
        };
        match rest.iter().find(|choice| choice["anyOf"].is_array() || types(choice).contains(&kind)) {
            Some(choice) => self.visit(choice, node),
            None => self.mismatch(schema, &rest, node),
        }
    }

    fn visit_map(&mut self, schema: &'a Schema, node: &Node<'_>, entries: &[Entry<'_>]) -> Json {
        let properties = schema["properties"].as_object();
        let others = &schema["additionalProperties"];
        let mut map = Map::new();
        let mut has_unknown = false;
        for entry in entries {
            let schema = match properties.and_then(|known| known.get(&*entry.key)) {
                Some(schema) => schema,
                None if others.is_object() => others,
                None => {
                    if others == false {
                        has_unknown = true;
                        self.unknown(properties, entry, entries);
                    }
                    continue;
                }
            };
            let step = Step::Key(entry.key.clone().into_owned().into());
            let value = self.visit_at(step, schema, &entry.value);
            if !self.faults.problems.is_full() {
                map.insert(entry.key.clone().into_owned(), value);
            }
        }
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Schema::as_str) {
            if entries.iter().any(|entry| entry.key == required) {
                continue;
            }
            if self.faults.problems.is_full() {
                self.faults.problems.count();
            } else {
                let mut problem = Problem::error(format!("{} has no `{required}`", self.here()));
                problem.at = Some(node.span());
                self.faults.problems.push(problem);
                // What is unknown may be this by another name.
                self.gap(required, has_unknown);
                map.insert(required.to_owned(), stand_in(self.root, &schema["properties"][required]));
            }
        }
        Json::Object(map)
    }

    fn unknown(&mut self, known: Option<&Map<String, Schema>>, entry: &Entry<'_>, all: &[Entry<'_>]) {
        if self.faults.problems.is_full() {
            return self.faults.problems.count();
        }
        let known = || known.into_iter().flatten().map(|(key, _)| key.as_str());
        let near = nearest(&entry.key, known());
        let mut problem = Problem::error(format!("unknown field `{}`", entry.key)).help(match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known here: {}", known().collect::<Vec<_>>().join(", ")),
        });
        problem.at = Some(entry.key_span());
        self.faults.problems.push(problem);
        if let Some(near) = near.filter(|near| !all.iter().any(|other| other.key == *near)) {
            self.gap(near, true);
        }
    }

    /// Notes that the map here lacks a key.
    fn gap(&mut self, key: &str, is_written: bool) {
        let place = self.place.clone().key(key.to_owned());
        self.faults.gaps.push(Gap { place, is_written });
    }

    /// The place in a message: the last key, and the indices after it.
    fn here(&self) -> String {
        let steps = self.place.steps();
        let from = steps.iter().rposition(|step| step.as_key().is_some()).unwrap_or(0);
        let what = steps[from..].iter().fold(Place::root(), |mut place, step| {
            place.push(step.clone());
            place
        });
        if steps.is_empty() { "the document".into() } else { format!("`{what}`") }
    }

    /// A scalar as one of these types. The question is put to the parser that reads the document,
    /// so that there is one opinion of what a number is.
    fn fits(&self, schema: &Schema, types: &[&str], node: &Node<'_>, style: Style) -> Option<Json> {
        if style == Style::Null {
            return types.contains(&"null").then_some(Json::Null);
        }
        types.iter().find_map(|name| match *name {
            "string" if !self.is_yaml && style != Style::Quoted => None,
            "string" => {
                let text = match style {
                    // Without its header, which its span leaves out, a block is as it stands.
                    Style::Block => self.text.get(node.start as usize..node.end as usize).map(str::to_owned),
                    _ => self.scalar::<String>(node),
                };
                match words(schema) {
                    Some(words) => text.filter(|text| words.contains(&text.as_str())).map(Json::from),
                    // Any text fits; one that cannot be read on its own is as good as empty.
                    None => Some(text.unwrap_or_default().into()),
                }
            }
            "boolean" => self.scalar::<bool>(node).map(Json::from),
            "number" => self.scalar::<f64>(node).filter(|n| n.is_finite()).map(Json::from),
            "integer" => {
                let (least, most) = bounds(schema);
                let n = self.scalar::<i128>(node).filter(|n| (least..=most).contains(n))?;
                serde_json::Number::from_i128(n).map(Json::Number)
            }
            _ => None,
        })
    }

    fn scalar<T: DeserializeOwned>(&self, node: &Node<'_>) -> Option<T> {
        let slice = self.text.get(node.start as usize..node.end as usize)?;
        if self.is_yaml {
            serde_saphyr::from_str_with_options(slice, yaml_options()).ok()
        } else {
            serde_json::from_str(slice).ok()
        }
    }

    /// Tells that a value is none of the wanted forms; a stand-in of its schema takes its place.
    fn mismatch(&mut self, schema: &Schema, wanted: &[&Schema], node: &Node<'_>) -> Json {
        if self.faults.problems.is_full() {
            self.faults.problems.count();
            return Json::Null;
        }
        self.tell(wanted, node);
        self.faults.gaps.push(Gap { place: self.place.clone(), is_written: true });
        stand_in(self.root, schema)
    }

    fn tell(&mut self, wanted: &[&Schema], node: &Node<'_>) {
        let names: Vec<String> = wanted.iter().flat_map(|schema| self.names(schema)).collect();
        let found = match &node.value {
            Value::Map(_) => "a map".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Scalar(Style::Null) => "nothing".to_owned(),
            Value::Scalar(_) => {
                let text = self.text.get(node.start as usize..node.end as usize).unwrap_or_default();
                let short: String = text.chars().take(40).collect();
                format!("`{}`{}", short.trim_end(), if short.len() < text.len() { "…" } else { "" })
            }
        };
        let word = self.scalar::<String>(node).unwrap_or_default();
        let known: Vec<&str> = wanted.iter().filter_map(|schema| words(schema)).flatten().collect();
        let near = nearest(&word, known).map(|near| format!("did you mean `{near}`?"));
        let mut problem =
            Problem::error(format!("{} must be {}, not {found}", self.here(), names.join(" or ")));
        problem = problem.maybe_help(near);
        problem.at = Some(node.span());
        self.faults.problems.push(problem);
    }

    /// What the user is told to write.
    fn names(&self, schema: &Schema) -> Vec<String> {
        let schema = match (schema["anyOf"].as_array(), schema["oneOf"].as_array()) {
            (Some(choices), _) | (_, Some(choices)) => {
                return choices.iter().flat_map(|choice| self.names(resolve(self.root, choice))).collect();
            }
            _ => schema,
        };
        if let Some(words) = words(schema) {
            return words.iter().map(|word| format!("`{word}`")).collect();
        }
        let name = |name: &&str| match *name {
            "object" => "a map".to_owned(),
            "array" => "a list".to_owned(),
            "string" => "text".to_owned(),
            "boolean" => "`true` or `false`".to_owned(),
            "number" => "a number".to_owned(),
            "integer" => match bounds(schema) {
                (i128::MIN, _) => "a whole number".to_owned(),
                (least, most) => format!("a whole number from {least} to {most}"),
            },
            other => other.to_owned(),
        };
        types(schema).iter().filter(|name| **name != "null").map(name).collect()
    }
}

/// What a `$ref` stands for.
fn resolve<'s>(root: &'s Schema, schema: &'s Schema) -> &'s Schema {
    let name = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/"));
    name.map_or(schema, |name| &root["$defs"][name])
}

fn is_null(node: &Node<'_>) -> bool {
    matches!(node.value, Value::Scalar(Style::Null))
}

/// The types that a schema names; empty where it takes anything.
fn types(schema: &Schema) -> Vec<&str> {
    match &schema["type"] {
        Schema::String(one) => vec![one],
        Schema::Array(several) => several.iter().filter_map(Schema::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The only words that a text may be, where a schema names them.
fn words(schema: &Schema) -> Option<Vec<&str>> {
    match (&schema["const"], &schema["enum"]) {
        (Schema::String(word), _) => Some(vec![word]),
        (_, Schema::Array(words)) => Some(words.iter().filter_map(Schema::as_str).collect()),
        _ => None,
    }
}

/// The least and the most that an integer may be, by the format that `schemars` gives its type.
fn bounds(schema: &Schema) -> (i128, i128) {
    let (least, most) = match schema["format"].as_str() {
        Some("uint8") => (0, u8::MAX.into()),
        Some("uint16") => (0, u16::MAX.into()),
        Some("uint32") => (0, u32::MAX.into()),
        Some("uint64" | "uint") => (0, u64::MAX.into()),
        Some("int32") => (i32::MIN.into(), i32::MAX.into()),
        Some("int64" | "int") => (i64::MIN.into(), i64::MAX.into()),
        _ => (i128::MIN, i128::MAX),
    };
    let bound = |word: &str| schema[word].as_i64().map(i128::from);
    (bound("minimum").unwrap_or(least), bound("maximum").unwrap_or(most))
}
