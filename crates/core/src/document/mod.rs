//! Documents that people write: from text to the written form of a plan or a configuration, with
//! everything that is wrong reported at once and each problem at its place.
//!
//! The written form is a plain struct that derives `Deserialize` and `JsonSchema` and denies
//! unknown fields; it is the only declaration of its keys. A text is deserialised straight into
//! it. Only where that fails is the text parsed again into a `tree` that knows where everything
//! stands, and held against the struct's own schema: serde stops at the first error, the walk
//! does not. What is left without the wrong parts is checked too ([`Source::check`]). Checks of meaning come later and name places ([`Place`]); [`Source::locate`] finds
//! them in the text by the same tree.
//!
//! Hostile documents are bounded rather than trusted: size, depth, no aliases, no merge keys.
//! This module opens no files and knows no key of any document.

mod broken;
mod problem;
mod schema;
mod tree;
pub mod unique;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use broken::{Faults, Gap};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

pub use broken::Broken;
pub use problem::{Also, Place, Problem, Problems, Severity, Span, Step, nearest};
pub use schema::schema_of;

/// The largest document that is read, in bytes: a million tasks with prompts of a page each are
/// more, and come as JSONL from a program that can cut them.
pub const MAX_BYTES: usize = 256 << 20;

/// How deep collections may nest, root included: what `serde_json` allows, for YAML too.
const MAX_DEPTH: usize = 128;

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2.
    Yaml,
    /// One JSON value.
    Json,
    /// One JSON value a line; blank lines do not count.
    JsonLines,
}

impl Format {
    /// By the extension of the name, else by a look at the text: JSON begins with `{"`, `{}` or
    /// `[`, and is JSONL where its first line is a whole value and more follows.
    fn of(name: &str, text: &str) -> Format {
        match name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).as_deref() {
            Some("yaml" | "yml") => return Format::Yaml,
            Some("json") => return Format::Json,
            Some("jsonl" | "ndjson") => return Format::JsonLines,
            _ => {}
        }
        let text = text.trim_start();
        let is_json = text.starts_with('[')
            || text.strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with(['"', '}']));
        if !is_json {
            return Format::Yaml;
        }
        match text.split_once('\n') {
            Some((line, rest))
                if !rest.trim().is_empty() && serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok() =>
            {
                Format::JsonLines
            }
            _ => Format::Json,
        }
    }
}

/// A document's text, and what messages call it.
#[derive(Clone, Debug)]
pub struct Source {
    name: String,
    text: Arc<str>,
    format: Format,
}

impl Source {
    /// Takes a document in. `name` is what messages call it, as a rule its path; its extension
    /// tells the format, else the text does.
    ///
    /// # Errors
    /// Where it is larger than [`MAX_BYTES`], or not UTF-8.
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Result<Source, Problems> {
        let name = name.into();
        let refuse = |message: String| Err(Problems::from(Problem::error(message)).named(&name, ""));
        if bytes.len() > MAX_BYTES {
            let mib = bytes.len() >> 20;
            return refuse(format!("a document of {mib} MiB is too large: at most {} MiB", MAX_BYTES >> 20));
        }
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(e) => {
                let offset = e.utf8_error().valid_up_to();
                let line = e.as_bytes()[..offset].split(|&byte| byte == b'\n').count();
                return refuse(format!("not UTF-8 text: the byte at offset {offset} (line {line}) is not"));
            }
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let format = Format::of(&name, text);
        Ok(Source { text: text.into(), format, name })
    }

    /// The same text read as this format.
    #[must_use]
    pub fn with_format(mut self, format: Format) -> Source {
        self.format = format;
        self
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text, without a byte order mark.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How it is read.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Reads the document into its written form; JSONL is one value a line (see
    /// [`Source::read_lines`]), so it is read as JSON here.
    ///
    /// # Errors
    /// Everything that is wrong with its form, and the rest of it for [`Source::check`].
    pub fn read<T: DeserializeOwned + JsonSchema>(&self) -> Result<T, Broken<T>> {
        let failed = match self.format {
            Format::Yaml => match serde_saphyr::from_str_with_options(&self.text, yaml_options()) {
                Ok(value) => return Ok(value),
                Err(e) => Failed::yaml(&e, &self.text),
            },
            Format::Json | Format::JsonLines => match serde_json::from_str(&self.text) {
                Ok(value) => return Ok(value),
                Err(e) => Failed::json(&e, &self.text, 0),
            },
        };
        let mut faults = Faults::default();
        let rest = self.explain(&schema_of::<T>(), &self.text, 0, &Place::root(), failed, &mut faults);
        Err(self.broken(faults, rest.and_then(|rest| serde_json::from_value(rest).ok())))
    }

    /// Reads JSONL: one value a line. Problems name the places `LIST[0]`, `LIST[1]`, …
    ///
    /// # Errors
    /// Everything that is wrong with the form of any line, and the rest for [`Source::check`].
    pub fn read_lines<T: DeserializeOwned + JsonSchema>(
        &self,
        list: &'static str,
    ) -> Result<Vec<T>, Broken<Vec<T>>> {
        let mut values = Vec::new();
        let mut faults = Faults::default();
        let mut schema = None;
        for (index, (offset, line)) in self.lines().enumerate() {
            match serde_json::from_str(line) {
                Ok(value) => values.push(value),
                Err(_) if faults.problems.is_full() => faults.problems.count(),
                Err(e) => {
                    let schema = schema.get_or_insert_with(schema_of::<T>);
                    let place = Place::root().key(list).index(index);
                    let failed = Failed::json(&e, &self.text, offset);
                    let rest = self.explain(schema, line, offset, &place, failed, &mut faults);
                    let rest = rest.unwrap_or_else(|| {
                        faults.gaps.push(Gap { place, is_written: true });
                        schema::stand_in(schema, schema)
                    });
                    values.extend(serde_json::from_value::<T>(rest));
                }
            }
        }
        if faults.problems.is_empty() { Ok(values) } else { Err(self.broken(faults, Some(values))) }
    }

    /// Checks what was read from this document. Where its form is wrong, the rest is checked too,
    /// so that all is told at once; what comes of the wrong parts alone is not told again.
    ///
    /// # Errors
    /// Everything that is wrong with its form and its meaning, at its place.
    pub fn check<T, U>(
        &self,
        read: Result<T, Broken<T>>,
        check: impl FnOnce(T) -> Result<U, Problems>,
    ) -> Result<U, Problems> {
        match read {
            Ok(value) => check(value),
            Err(broken) => Err(broken.with(check)),
        }
        .map_err(|problems| self.locate(problems))
    }

    /// Nobody reads more problems than are kept, so that nothing is left to check then.
    fn broken<T>(&self, faults: Faults, rest: Option<T>) -> Broken<T> {
        let rest = rest.filter(|_| !faults.problems.is_full()).map(Box::new);
        let problems = faults.problems.named(&self.name, self.text.clone());
        Broken { faults: Faults { problems, ..faults }, rest }
    }

    /// Finds the places that checks of meaning named, in this text.
    #[must_use]
    pub fn locate(&self, mut problems: Problems) -> Problems {
        // With JSONL only the lines that are named are parsed again, each once for each problem.
        let lines: Vec<(usize, &str)> = match self.format {
            Format::JsonLines if !problems.is_empty() => self.lines().collect(),
            _ => Vec::new(),
        };
        let whole = match self.format {
            Format::JsonLines => None,
            _ if problems.is_empty() => None,
            _ => tree::parse(&self.text, 0, &mut Problems::default()),
        };
        problems.find_spans(|place, quote| match self.format {
            Format::JsonLines => {
                let (index, rest) = place.in_list()?;
                let (offset, line) = *lines.get(index)?;
                let root = tree::parse(line, offset, &mut Problems::default())?;
                root.find(rest, quote, &self.text)
            }
            _ => whole.as_ref()?.find(place.steps(), quote, &self.text),
        });
        problems.named(&self.name, self.text.clone())
    }

    /// The lines that are not blank, with their offsets.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut offset = 0;
        self.text.split('\n').filter_map(move |line| {
            let start = offset;
            offset += line.len() + 1;
            (!line.trim().is_empty()).then_some((start, line))
        })
    }

    /// Adds everything that is wrong with the form of this part of the text; at least `failed`,
    /// which is why it was not read. What is left comes back, unless nothing is known of what is
    /// wrong but `failed`.
    fn explain(
        &self,
        schema: &serde_json::Value,
        part: &str,
        offset: usize,
        place: &Place,
        failed: Failed,
        faults: &mut Faults,
    ) -> Option<serde_json::Value> {
        if part.trim().is_empty() {
            faults.problems.push(Problem::error("the document is empty"));
            return None;
        }
        let before = faults.problems.len();
        // What serde_json refuses as syntax stays its word: the YAML parser would take more.
        let root = if failed.is_syntax { None } else { tree::parse(part, offset, &mut faults.problems) };
        let is_yaml = self.format == Format::Yaml;
        let rest = root.map(|root| schema::walk(schema, &root, place, &self.text, is_yaml, faults));
        if faults.problems.len() == before {
            faults.problems.push(failed.problem);
            return None;
        }
        rest
    }
}

/// Why a parser did not take a text: its first error.
struct Failed {
    problem: Problem,
    is_syntax: bool,
}

impl Failed {
    fn yaml(e: &serde_saphyr::Error, text: &str) -> Failed {
        let e = e.without_snippet();
        let message = e.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message);
        let mut problem = Problem::error(message);
        if let Some(at) = e.location() {
            let start = problem::offset_of(text, at.line() as usize, at.column() as usize);
            problem.at = Some(Span::at(start, start));
        }
        Failed { problem, is_syntax: false }
    }

    /// `from` is where the part that was parsed begins in the text.
    fn json(e: &serde_json::Error, text: &str, from: usize) -> Failed {
        let message = e.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message);
        let mut problem = Problem::error(message);
        if e.line() > 0 {
            // serde_json counts columns in bytes, and names the last byte that it read.
            let line = problem::offset_of(&text[from..], e.line(), 1);
            let start = from + line + e.column().saturating_sub(1);
            let start = (0..=start.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
            problem.at = Some(Span::at(start, start));
        }
        Failed { problem, is_syntax: e.is_syntax() || e.is_eof() }
    }
}

/// YAML 1.2 within bounds: what is not data alone (aliases, merge keys, tags of programs) is
/// refused, so that a document is never longer in memory than a small multiple of its text.
fn yaml_options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            // Without anchors there are no aliases.
            max_anchors: 0,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            // Without aliases all of these are bounded by the size of the text.
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
        },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        merge_keys: serde_saphyr::MergeKeyPolicy::Error,
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::Reject,
        strict_booleans: true,
        reject_unsupported_tags: true,
        ignore_binary_tag_for_string: true,
        with_snippet: false,
    }
}
