//! What is wrong with a document, and where.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Problems that are kept in full; a generated document with a systematic fault has millions, and
/// nobody reads more than the first few.
const KEPT: usize = 100;

/// Candidates that are looked at for "did you mean": bounds the time for plans of a million tasks.
const CANDIDATES: usize = 10_000;

/// Whether it stops us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It does.
    Error,
    /// It does not, but somebody should know.
    Warning,
}

/// A stretch of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Counted from 1; 0 until the problem is located in a text.
    pub line: usize,
    /// In characters, counted from 1; 0 until the problem is located in a text.
    pub column: usize,
    /// Where it starts, in bytes.
    pub start: usize,
    /// Where it ends, in bytes; as `start` where only a point is known.
    pub end: usize,
}

impl Span {
    /// A stretch whose line and column are not yet known.
    pub(super) fn at(start: usize, end: usize) -> Span {
        Span { line: 0, column: 0, start, end }
    }
}

/// A way from the root of a document to a value, or to a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place(Vec<Step>);

/// One step of a [`Place`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// To the value of this key.
    Key(Cow<'static, str>),
    /// To the value at this index, counted from 0.
    Index(usize),
    /// To the key itself, not its value; the last step.
    Name(Cow<'static, str>),
}

impl Step {
    /// The key that this step goes to, by its value or by its name.
    pub(super) fn as_key(&self) -> Option<&str> {
        match self {
            Step::Key(key) | Step::Name(key) => Some(key),
            Step::Index(_) => None,
        }
    }
}

impl Place {
    /// The document itself.
    pub fn root() -> Place {
        Place::default()
    }

    /// From here to the value of this key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Cow<'static, str>>) -> Place {
        self.0.push(Step::Key(key.into()));
        self
    }

    /// From here to the value at this index.
    #[must_use]
    pub fn index(mut self, index: usize) -> Place {
        self.0.push(Step::Index(index));
        self
    }

    /// From here to this key itself.
    #[must_use]
    pub fn name(mut self, key: impl Into<Cow<'static, str>>) -> Place {
        self.0.push(Step::Name(key.into()));
        self
    }

    /// Back by one step.
    pub(super) fn pop(&mut self) {
        self.0.pop();
    }

    /// Ahead by one step.
    pub(super) fn push(&mut self, step: Step) {
        self.0.push(step);
    }

    /// The steps from the root.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// For a place inside a list at the root's only key: the index, and the steps from there.
    pub(super) fn in_list(&self) -> Option<(usize, &[Step])> {
        match self.0.as_slice() {
            [Step::Key(_), Step::Index(index), rest @ ..] => Some((*index, rest)),
            _ => None,
        }
    }
}

/// `tasks[3].depends_on[0]`
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) | Step::Name(key) if at == 0 => f.write_str(key)?,
                Step::Key(key) | Step::Name(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

/// One thing that is wrong, or worth a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether it stops us.
    pub severity: Severity,
    /// What is wrong, in one line, without its place.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Which value or key; the root where it has no place of its own.
    pub place: Place,
    /// A piece of the value's text that is meant, as it is written there.
    pub quote: Option<String>,
    /// Where in the text, once [`super::Source::locate`] or the reading found it.
    pub at: Option<Span>,
    /// Another place that belongs to it.
    pub also: Option<Box<Also>>,
    /// What it says is absent: a key somewhere within a place.
    pub(super) absent: Vec<(Place, &'static str)>,
}

/// Another place that belongs to a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Also {
    /// What is there: `first used here`.
    pub label: String,
    /// Which value.
    pub place: Place,
    /// Where in the text.
    pub at: Option<Span>,
}

impl Also {
    pub(super) fn at(label: &str, span: Span) -> Also {
        Also { label: label.into(), place: Place::root(), at: Some(span) }
    }
}

impl Problem {
    /// An error without a place.
    pub fn error(message: impl Into<String>) -> Problem {
        Problem {
            severity: Severity::Error,
            message: message.into(),
            help: None,
            place: Place::root(),
            quote: None,
            at: None,
            also: None,
            absent: Vec::new(),
        }
    }

    /// A warning without a place.
    pub fn warning(message: impl Into<String>) -> Problem {
        Problem { severity: Severity::Warning, ..Problem::error(message) }
    }

    /// Whether it stops us.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The same at this place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Problem {
        self.place = place;
        self
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }

    /// The same with advice, if there is any.
    #[must_use]
    pub fn maybe_help(mut self, help: Option<String>) -> Problem {
        self.help = help.or(self.help);
        self
    }

    /// The same about this piece of the value's text.
    #[must_use]
    pub fn quote(mut self, quote: impl Into<String>) -> Problem {
        self.quote = Some(quote.into());
        self
    }

    /// The same about the absence of something that this key, somewhere within this place, would
    /// have brought; it is not told where such a key is written, but could not be read.
    #[must_use]
    pub fn absent(mut self, within: Place, key: &'static str) -> Problem {
        self.absent.push((within, key));
        self
    }

    /// The same with another place that belongs to it.
    #[must_use]
    pub fn also(mut self, label: impl Into<String>, place: Place) -> Problem {
        self.also = Some(Box::new(Also { label: label.into(), place, at: None }));
        self
    }
}

/// Everything that is wrong with a document, in the order of the text once it is located there.
///
/// As an error it is not empty. The first hundred are kept, the rest is counted.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    name: Option<String>,
    text: Arc<str>,
    list: Vec<Problem>,
    errors: usize,
    more: usize,
}

impl Problems {
    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.errors += usize::from(problem.severity == Severity::Error);
        if self.is_full() { self.more += 1 } else { self.list.push(problem) }
    }

    /// Adds those of `others` that are to be told.
    pub(super) fn extend(&mut self, others: Problems, is_told: impl Fn(&Problem) -> bool) {
        others.list.into_iter().filter(is_told).for_each(|problem| self.push(problem));
        (0..others.more).for_each(|_| self.count());
    }

    /// Counts an error that nobody need word, because the list is full.
    pub fn count(&mut self) {
        self.errors += 1;
        self.more += 1;
    }

    /// Whether further problems are only counted ([`Problems::count`]).
    pub fn is_full(&self) -> bool {
        self.list.len() >= KEPT
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are, kept or not.
    pub fn len(&self) -> usize {
        self.list.len() + self.more
    }

    /// Whether any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Those that are kept.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// How many there are beside those that are kept.
    pub fn more(&self) -> usize {
        self.more
    }

    /// What messages call the document, where there is one.
    pub fn source_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The document's whole text, for showing lines of it; empty where there is none.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Says which document they belong to, and gives the spans lines and columns.
    pub(super) fn named(mut self, name: &str, text: impl Into<Arc<str>>) -> Problems {
        self.name = Some(name.into());
        self.text = text.into();
        let breaks: Vec<usize> = self.text.match_indices('\n').map(|(at, _)| at).collect();
        let text = &self.text;
        let place = |span: &mut Span| {
            let before = breaks.partition_point(|&at| at < span.start);
            let start = before.checked_sub(1).map_or(0, |last| breaks[last] + 1);
            span.line = before + 1;
            // A line can be the whole document, and only a small part of it is ever shown.
            span.column = text.get(start..span.start).map_or(1, |line| line.chars().count() + 1);
        };
        for problem in &mut self.list {
            problem.at.iter_mut().for_each(place);
            problem.also.iter_mut().filter_map(|also| also.at.as_mut()).for_each(place);
        }
        // As a reader meets them; those without a place first.
        self.list.sort_by_key(|problem| problem.at.map(|at| at.start));
        self
    }

    /// Looks up the spans of all problems that have none.
    pub(super) fn find_spans(&mut self, find: impl Fn(&Place, Option<&str>) -> Option<Span>) {
        // What is about the whole document points nowhere.
        let find = |place: &Place, quote| (place != &Place::root()).then(|| find(place, quote)).flatten();
        for problem in &mut self.list {
            problem.at = problem.at.or_else(|| find(&problem.place, problem.quote.as_deref()));
            if let Some(also) = &mut problem.also {
                also.at = also.at.or_else(|| find(&also.place, None));
            }
        }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Problems {
        let mut problems = Problems::default();
        problems.push(problem);
        problems
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One a line, each as `FILE:LINE:COLUMN: MESSAGE`, advice in a line of its own.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            if let Some(name) = &self.name {
                write!(f, "{name}:")?;
            }
            match problem.at {
                Some(at) => write!(f, "{}:{}: ", at.line, at.column)?,
                None if !problem.place.steps().is_empty() => write!(f, " {}: ", problem.place)?,
                None => f.write_str(" ")?,
            }
            if problem.severity == Severity::Warning {
                f.write_str("warning: ")?;
            }
            f.write_str(&problem.message)?;
            if let Some(Also { label, at: Some(at), .. }) = problem.also.as_deref() {
                write!(f, " ({label}: {}:{})", at.line, at.column)?;
            }
            if let Some(help) = &problem.help {
                write!(f, "\n  hint: {help}")?;
            }
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for Problems {}

/// The candidate that `word` was most likely meant to be, if any is near enough; only the first
/// ten thousand are looked at.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters wrong is still the same word; more is another one.
    let length = word.chars().count();
    let allowed = (length / 3).clamp(1, 5);
    let near = |candidate: &'a str| {
        let far = candidate.len().abs_diff(word.len()) > 4 * allowed;
        let distance = if far { usize::MAX } else { strsim::osa_distance(word, candidate) };
        // With all letters wrong it is no misspelling: `z` was not meant to be `a`.
        (distance <= allowed && distance < length).then_some((distance, candidate))
    };
    candidates.into_iter().take(CANDIDATES).filter_map(near).min_by_key(|&(d, _)| d).map(|(_, c)| c)
}

/// The byte offset of a line (from 1) and column (in characters, from 1), inside the text.
pub(super) fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start = match line {
        0 | 1 => 0,
        _ => text.match_indices('\n').nth(line - 2).map_or(text.len(), |(at, _)| at + 1),
    };
    let rest = &text[start..];
    start + rest.char_indices().nth(column.max(1) - 1).map_or(rest.len(), |(at, _)| at)
}
