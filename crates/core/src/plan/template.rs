//! Prompts with places for results: `{{ results.analyze }}`.
//!
//! A template is parsed once and rendered once: what is inserted is data and is never looked at
//! again, so a result that contains `{{ … }}` arrives literally in the next prompt. There are no
//! expressions, filters, files or variables here, and `{%` and `{#` are text.
//!
//! What a field inserts is never longer in bytes than the whole result: numbers, lists and objects
//! are inserted as the very slice of the result, and a JSON string is never shorter than what it
//! stands for. Reservations rely on it ([`super::PromptSize`]).

use std::borrow::Cow;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::TaskId;
use crate::failure::{Class, Failure};

/// A prompt, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// Text and places, in order.
    pub parts: Vec<Part>,
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Literal text.
    Text(String),
    /// A result, or a field inside a result that is JSON.
    Insert {
        /// Whose result.
        task: TaskId,
        /// The way into it, keys and indices; empty for all of it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        path: Vec<String>,
        /// The reference as written, for messages: `results.analyze.score`; empty for all of it,
        /// which cannot fail.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        written: String,
    },
}

/// What is wrong with a template. `quote` is the piece of the prompt that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `{{` without `}}`, in this line of the prompt, counted from 1.
    Unclosed {
        /// From the braces to the end of their line.
        quote: String,
        /// Which line.
        line: usize,
    },
    /// Something other than a result between the braces.
    NotAResult {
        /// With its braces.
        quote: String,
    },
    /// A task that does not exist.
    UnknownTask {
        /// With its braces.
        quote: String,
        /// What it names.
        task: String,
    },
}

impl Template {
    /// A prompt that is taken literally.
    pub fn literal(text: String) -> Template {
        Template { parts: if text.is_empty() { Vec::new() } else { vec![Part::Text(text)] } }
    }

    /// Takes a prompt apart; `task` finds a task by its id.
    ///
    /// # Errors
    /// Everything that is wrong with it, in its order.
    pub fn parse(text: &str, task: impl Fn(&str) -> Option<TaskId>) -> Result<Template, Vec<Fault>> {
        let mut parts = Vec::new();
        let mut faults = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find("{{") {
            if open > 0 {
                parts.push(Part::Text(rest[..open].into()));
            }
            let inside = &rest[open + 2..];
            if let Some((name, path, len)) = reference(inside) {
                let quote = &rest[open..open + 2 + len];
                match task(&name) {
                    Some(task) => {
                        let written = if path.is_empty() { "" } else { quote[2..quote.len() - 2].trim() };
                        parts.push(Part::Insert { task, path, written: written.into() });
                    }
                    None => faults.push(Fault::UnknownTask { quote: quote.into(), task: name }),
                }
                rest = &inside[len..];
            } else if let Some(close) = inside.find("}}") {
                faults.push(Fault::NotAResult { quote: rest[open..open + close + 4].into() });
                rest = &inside[close + 2..];
            } else {
                let from = text.len() - inside.len() - 2;
                let line = 1 + text[..from].matches('\n').count();
                let quote = text[from..].lines().next().unwrap_or_default().into();
                faults.push(Fault::Unclosed { quote, line });
                rest = "";
            }
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        if faults.is_empty() { Ok(Template { parts }) } else { Err(faults) }
    }

    /// UTF-8 bytes of the template's own text.
    pub fn text_bytes(&self) -> u64 {
        let bytes = |part: &Part| if let Part::Text(text) = part { text.len() as u64 } else { 0 };
        self.parts.iter().map(bytes).sum()
    }

    /// The tasks whose results are inserted, with repetitions.
    pub fn inserted(&self) -> impl Iterator<Item = TaskId> + '_ {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Insert { task, .. } => Some(*task),
        })
    }

    /// The prompt with every result in its place; a task that has none, because it failed or was skipped,
    /// leaves nothing there.
    ///
    /// # Errors
    /// A failure of class `template` where a field is asked of a result that is not JSON or has no
    /// such field.
    pub fn render<'a>(&self, result: impl Fn(TaskId) -> Option<&'a str>) -> Result<String, Failure> {
        let mut prompt = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => prompt.push_str(text),
                Part::Insert { task, path, .. } if path.is_empty() => {
                    prompt.push_str(result(*task).unwrap_or_default());
                }
                Part::Insert { task, path, written } => {
                    let Some(result) = result(*task) else { continue };
                    let field = field(result, path)
                        .map_err(|why| Failure::new(Class::Template, format!("no `{written}`: {why}")))?;
                    prompt.push_str(&field);
                }
            }
        }
        Ok(prompt)
    }
}

/// Reads ` results.ID.field[0] }}` from the start of `text`: the task, the way into its result,
/// and how many bytes that took, braces included.
fn reference(text: &str) -> Option<(String, Vec<String>, usize)> {
    let mut rest = text.trim_start().strip_prefix("results")?;
    let mut steps = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix("}}") {
            let len = text.len() - after.len();
            let mut steps = steps.into_iter();
            return Some((steps.next()?, steps.collect(), len));
        }
        let (step, after) = match rest.strip_prefix('.') {
            Some(after) => word(after.trim_start())?,
            None => bracketed(rest.strip_prefix('[')?.trim_start())?,
        };
        steps.push(step);
        rest = after;
    }
}

/// A key after a point: letters, digits, `_` and `-`.
fn word(text: &str) -> Option<(String, &str)> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').filter(|&end| end > 0)?;
    Some((text[..end].into(), &text[end..]))
}

/// A key in quotes, in which a backslash takes the next character as it is, or an index; with the
/// closing bracket.
fn bracketed(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next()?;
    let (step, rest) = if quote == '\'' || quote == '"' {
        let mut step = String::new();
        let mut chars = text[1..].char_indices();
        loop {
            match chars.next()? {
                (at, c) if c == quote => break (step, &text[at + 2..]),
                (_, '\\') => step.push(chars.next()?.1),
                (_, '\n') => return None,
                (_, c) => step.push(c),
            }
        }
    } else {
        let end = text.find(|c: char| !c.is_ascii_digit()).filter(|&end| end > 0)?;
        (text[..end].to_owned(), &text[end..])
    };
    Some((step, rest.trim_start().strip_prefix(']')?))
}

/// A field of a result: the slice of its text, or the text of a JSON string.
fn field<'a>(result: &'a str, path: &[String]) -> Result<Cow<'a, str>, String> {
    let not_json = |_| "the result is not JSON".to_owned();
    let mut value: &'a RawValue = serde_json::from_str(unfenced(result)).map_err(not_json)?;
    for step in path {
        let inner = match value.get().as_bytes().first() {
            Some(b'{') => {
                let mut fields: HashMap<String, &'a RawValue> =
                    serde_json::from_str(value.get()).map_err(not_json)?;
                fields.remove(step)
            }
            Some(b'[') => {
                let items: Vec<&'a RawValue> = serde_json::from_str(value.get()).map_err(not_json)?;
                step.parse::<usize>().ok().and_then(|index| items.get(index).copied())
            }
            _ => None,
        };
        value = inner.ok_or_else(|| format!("the result has no `{step}` there"))?;
    }
    if value.get().starts_with('"') {
        serde_json::from_str(value.get()).map(Cow::Owned).map_err(not_json)
    } else {
        Ok(Cow::Borrowed(value.get()))
    }
}

/// The inside of a Markdown fence around all of a text: models wrap JSON in one, unasked.
fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let inside = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    match inside.and_then(|inside| inside.split_once('\n')) {
        Some((language, body)) if matches!(language.trim(), "" | "json" | "JSON") => body,
        _ => text,
    }
}

#[cfg(test)]
mod tests;
