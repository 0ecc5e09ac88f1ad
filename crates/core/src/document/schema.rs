//! Holding a tree against a JSON schema, to find all that is wrong with its form at once.
//!
//! Only the part of JSON schema that `schemars` derives for our written forms is known: what is
//! not known here is not complained about, and the parser's own first error stands in.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value as Schema;

use super::problem::{Place, Problem, Problems, nearest};
use super::tree::{Entry, Node, Style, Value};
use super::yaml_options;

/// The JSON schema of a written form.
pub fn schema_of<T: JsonSchema>() -> Schema {
    schemars::schema_for!(T).to_value()
}

/// Adds every place where the tree is not as its schema wants it.
pub(super) fn walk(
    root: &Schema,
    node: &Node<'_>,
    place: &Place,
    text: &str,
    is_yaml: bool,
    problems: &mut Problems,
) {
    Walker { root, text, is_yaml, problems }.visit(root, node, &place.to_string());
}

struct Walker<'a> {
    root: &'a Schema,
    text: &'a str,
    is_yaml: bool,
    problems: &'a mut Problems,
}

impl<'a> Walker<'a> {
    fn visit(&mut self, schema: &'a Schema, node: &Node<'_>, what: &str) {
        let schema = resolve(self.root, schema);
        for word in ["anyOf", "oneOf"] {
            if let Some(choices) = schema[word].as_array() {
                return self.visit_choice(choices, node, what);
            }
        }
        let types = types(schema);
        if types.is_empty() || (is_null(node) && types.contains(&"null")) {
            return;
        }
        match &node.value {
            Value::Map(entries) if types.contains(&"object") => self.visit_map(schema, node, entries, what),
            Value::List(items) if types.contains(&"array") => {
                for (index, item) in items.iter().enumerate() {
                    self.visit(&schema["items"], item, &format!("{what}[{index}]"));
                }
            }
            Value::Scalar(style) if self.fits(schema, &types, node, *style) => {}
            _ => self.mismatch(&[schema], node, what),
        }
    }

    /// One of several forms: the one for this kind of value, where there is exactly one.
    fn visit_choice(&mut self, choices: &'a [Schema], node: &Node<'_>, what: &str) {
        let choices: Vec<&'a Schema> = choices.iter().map(|choice| resolve(self.root, choice)).collect();
        if is_null(node) && choices.iter().any(|choice| types(choice).contains(&"null")) {
            return;
        }
        let rest: Vec<&'a Schema> =
            choices.into_iter().filter(|choice| !types(choice).contains(&"null")).collect();
        let kind = match &node.value {
            Value::Map(_) => "object",
            Value::List(_) => "array",
            Value::Scalar(style) => {
                let scalar = |choice: &&Schema| self.fits(choice, &types(choice), node, *style);
                if !rest.iter().any(scalar) && !self.visit_nested(&rest, node, what) {
                    self.mismatch(&rest, node, what);
                }
                return;
            }
        };
        match rest.iter().find(|choice| choice["anyOf"].is_array() || types(choice).contains(&kind)) {
            Some(choice) => self.visit(choice, node, what),
            None => self.mismatch(&rest, node, what),
        }
    }

    /// A single choice that is itself a choice: `Option` of an enum.
    fn visit_nested(&mut self, rest: &[&'a Schema], node: &Node<'_>, what: &str) -> bool {
        let [only] = rest else { return false };
        let nested = only["anyOf"].is_array() || only["oneOf"].is_array();
        if nested {
            self.visit(only, node, what);
        }
        nested
    }

    fn visit_map(&mut self, schema: &'a Schema, node: &Node<'_>, entries: &[Entry<'_>], what: &str) {
        let properties = schema["properties"].as_object();
        let others = &schema["additionalProperties"];
        for entry in entries {
            match properties.and_then(|known| known.get(&*entry.key)) {
                Some(schema) => self.visit(schema, &entry.value, &entry.key),
                None if others.is_object() => self.visit(others, &entry.value, &entry.key),
                None if others == false && self.problems.is_full() => self.problems.count(),
                None if others == false => {
                    let known = || properties.into_iter().flatten().map(|(key, _)| key.as_str());
                    let mut problem = Problem::error(format!("unknown field `{}`", entry.key));
                    problem = problem.help(match nearest(&entry.key, known()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("known here: {}", known().collect::<Vec<_>>().join(", ")),
                    });
                    problem.at = Some(entry.key_span());
                    self.problems.push(problem);
                }
                None => {}
            }
        }
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Schema::as_str) {
            if !entries.iter().any(|entry| entry.key == required) {
                let mut problem = Problem::error(format!("{} has no `{required}`", say(what)));
                problem.at = Some(node.span());
                self.problems.push(problem);
            }
        }
    }

    /// Whether a scalar is of one of these types. The question is put to the parser that reads the
    /// document, so that there is one opinion of what a number is.
    fn fits(&self, schema: &Schema, types: &[&str], node: &Node<'_>, style: Style) -> bool {
        if style == Style::Null {
            return types.contains(&"null");
        }
        types.iter().any(|name| match *name {
            "string" if !self.is_yaml && style != Style::Quoted => false,
            "string" => match words(schema) {
                Some(words) => self.scalar::<String>(node).is_some_and(|text| words.contains(&text.as_str())),
                None => true,
            },
            "boolean" => self.scalar::<bool>(node).is_some(),
            "number" => self.scalar::<f64>(node).is_some_and(f64::is_finite),
            "integer" => self.scalar::<i128>(node).is_some_and(|n| {
                let (least, most) = bounds(schema);
                (least..=most).contains(&n)
            }),
            _ => false,
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

    fn mismatch(&mut self, wanted: &[&Schema], node: &Node<'_>, what: &str) {
        if self.problems.is_full() {
            return self.problems.count();
        }
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
            Problem::error(format!("{} must be {}, not {found}", say(what), names.join(" or ")));
        problem = problem.maybe_help(near);
        problem.at = Some(node.span());
        self.problems.push(problem);
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

/// A place in a message.
fn say(what: &str) -> String {
    if what.is_empty() { "the document".into() } else { format!("`{what}`") }
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
