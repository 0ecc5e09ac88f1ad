//! A document as a tree that knows where everything stands; built only to explain what is wrong.
//!
//! JSON is parsed by the same YAML parser (JSON is YAML's flow style), after `serde_json` found
//! nothing wrong with its syntax. Nodes hold offsets, not texts, to stay small for large documents.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span as ParserSpan, StrInput, options};

use super::MAX_DEPTH;
use super::problem::{Also, Problem, Problems, Span, Step};

/// A value and where it stands, in bytes of the whole text.
pub(super) struct Node<'a> {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) value: Value<'a>,
}

/// What a node is.
pub(super) enum Value<'a> {
    Scalar(Style),
    List(Vec<Node<'a>>),
    Map(Vec<Entry<'a>>),
}

/// How a scalar is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Nothing, `~` or `null`.
    Null,
    /// Without quotes.
    Plain,
    /// In quotes, on one or more lines.
    Quoted,
    /// After `|` or `>`.
    Block,
}

impl Style {
    fn of(text: &str, style: ScalarStyle) -> Style {
        match style {
            ScalarStyle::Plain if matches!(text, "" | "~" | "null" | "Null" | "NULL") => Style::Null,
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        }
    }
}

/// A key with its value.
pub(super) struct Entry<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) key_start: u32,
    pub(super) key_end: u32,
    pub(super) value: Node<'a>,
}

impl Entry<'_> {
    pub(super) fn key_span(&self) -> Span {
        Span::at(self.key_start as usize, self.key_end as usize)
    }
}

impl Node<'_> {
    /// What to point at: a scalar, the bracket of a collection, or the first key of a block.
    pub(super) fn span(&self) -> Span {
        match &self.value {
            Value::Map(entries) if self.start == self.end => {
                entries.first().map_or(Span::at(self.start as usize, self.end as usize), Entry::key_span)
            }
            _ => Span::at(self.start as usize, self.end as usize),
        }
    }

    /// Where these steps lead; as far as they exist. A quote is looked for inside the value.
    pub(super) fn find(&self, steps: &[Step], quote: Option<&str>, text: &str) -> Option<Span> {
        let mut node = self;
        for step in steps {
            match (step, &node.value) {
                (Step::Index(index), Value::List(items)) => match items.get(*index) {
                    Some(item) => node = item,
                    None => return Some(node.span()),
                },
                (Step::Key(key), Value::Map(entries)) => match entries.iter().find(|e| e.key == *key) {
                    Some(entry) => node = &entry.value,
                    None => return Some(node.span()),
                },
                (Step::Name(key), Value::Map(entries)) => {
                    return Some(entries.iter().find(|e| e.key == *key).map_or(node.span(), Entry::key_span));
                }
                _ => return Some(node.span()),
            }
        }
        let span = node.span();
        let quoted = || {
            let at = text.get(span.start..span.end)?.find(quote?)?;
            Some(Span::at(span.start + at, span.start + at + quote?.len()))
        };
        quoted().or(Some(span))
    }
}

/// Parses one document. `offset` is where `text` begins in the whole text. What is wrong goes into
/// `problems`; of keys that come twice the tree has the first.
///
/// Nothing comes back where the syntax is wrong, or the document has what it must not have.
pub(super) fn parse<'a>(text: &'a str, offset: usize, problems: &mut Problems) -> Option<Node<'a>> {
    let options = options! { flow_nesting_limit: MAX_DEPTH, block_nesting_limit: MAX_DEPTH };
    let parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder { parser, offset, len: text.len(), problems };
    let root = loop {
        match builder.next()? {
            (Event::StreamStart | Event::DocumentStart(..), _) => {}
            // Nothing but comments: an absent value.
            (Event::StreamEnd, at) => return Some(builder.node(at, Value::Scalar(Style::Null))),
            (event, at) => break builder.value(event, at, 1)?,
        }
    };
    loop {
        match builder.next()? {
            (Event::StreamEnd, _) => return Some(root),
            (Event::DocumentStart(..), at) => {
                builder.problem(at, Problem::error("a second document in the same file"));
                return None;
            }
            _ => {}
        }
    }
}

struct Builder<'a, 'p> {
    parser: Parser<'a, StrInput<'a>>,
    offset: usize,
    len: usize,
    problems: &'p mut Problems,
}

impl<'a> Builder<'a, '_> {
    fn next(&mut self) -> Option<(Event<'a>, ParserSpan)> {
        match self.parser.next_event()? {
            Ok(next) => Some(next),
            Err(e) => {
                let at = *e.marker();
                self.problem(ParserSpan::new(at, at), Problem::error(e.info()));
                None
            }
        }
    }

    fn span(&self, at: ParserSpan) -> (u32, u32) {
        let range = at.byte_range().unwrap_or(self.len..self.len);
        // A document is at most `MAX_BYTES` long, so that offsets fit.
        ((self.offset + range.start) as u32, (self.offset + range.end) as u32)
    }

    fn node(&self, at: ParserSpan, value: Value<'a>) -> Node<'a> {
        let (start, end) = self.span(at);
        Node { start, end, value }
    }

    fn problem(&mut self, at: ParserSpan, mut problem: Problem) {
        let (start, end) = self.span(at);
        problem.at = Some(Span::at(start as usize, end as usize));
        self.problems.push(problem);
    }

    fn value(&mut self, event: Event<'a>, at: ParserSpan, depth: usize) -> Option<Node<'a>> {
        if depth > MAX_DEPTH {
            self.problem(at, Problem::error(format!("nested deeper than {MAX_DEPTH} levels")));
            return None;
        }
        let (is_anchored, value) = match event {
            Event::Scalar(text, style, anchor, _) => {
                (anchor > 0, Some(Value::Scalar(Style::of(&text, style))))
            }
            Event::SequenceStart(_, anchor, _) => (anchor > 0, Some(Value::List(Vec::new()))),
            Event::MappingStart(_, anchor, _) => (anchor > 0, Some(Value::Map(Vec::new()))),
            _ => (true, None),
        };
        if is_anchored {
            let problem = Problem::error("anchors (`&name`) and aliases (`*name`) are not supported");
            self.problem(at, problem.help("write the value out where it is needed"));
            return None;
        }
        let value = match value? {
            Value::Scalar(style) => Value::Scalar(style),
            Value::List(_) => Value::List(self.list(depth)?),
            Value::Map(_) => Value::Map(self.map(depth)?),
        };
        Some(self.node(at, value))
    }

    fn list(&mut self, depth: usize) -> Option<Vec<Node<'a>>> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Some(items),
                (event, at) => items.push(self.value(event, at, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Option<Vec<Entry<'a>>> {
        let mut entries: Vec<Entry<'a>> = Vec::new();
        let mut places: HashMap<Cow<'a, str>, usize> = HashMap::new();
        loop {
            let (key, key_at) = match self.next()? {
                (Event::MappingEnd, _) => return Some(entries),
                (Event::Scalar(key, ..), at) => (key, at),
                (_, at) => {
                    self.problem(at, Problem::error("a key must be text"));
                    return None;
                }
            };
            if key == "<<" {
                let problem = Problem::error("merge keys (`<<`) are not supported");
                self.problem(key_at, problem.help("write the keys out"));
                return None;
            }
            let (event, value_at) = self.next()?;
            let value = self.value(event, value_at, depth + 1)?;
            let (key_start, key_end) = self.span(key_at);
            if let Some(&first) = places.get(&key) {
                let mut problem = Problem::error(format!("duplicate key `{key}`"));
                let first = entries[first].key_span();
                problem.also = Some(Box::new(Also::at("first", first)));
                self.problem(key_at, problem);
            } else {
                places.insert(key.clone(), entries.len());
                entries.push(Entry { key, key_start, key_end, value });
            }
        }
    }
}
