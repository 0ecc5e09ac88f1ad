//! The two streams: results go to stdout, everything else to stderr. The only place that prints.

use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use sortie::core::document::Problems;
use sortie::report::terminal::Style;

use crate::args::Output;
use crate::diagnostics;

/// How this process may speak.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terminal {
    quiet: bool,
    json: bool,
}

impl Terminal {
    pub(crate) fn new(output: Output) -> Self {
        Terminal { quiet: output.quiet, json: output.json }
    }

    /// One that says nothing but errors and results: of what has been said already.
    pub(crate) fn silent() -> Self {
        Terminal { quiet: true, json: false }
    }

    /// Whether one JSON document is all that goes to stdout.
    pub(crate) fn json(self) -> bool {
        self.json
    }

    /// Whether stderr is watched by a person: progress may be drawn over.
    pub(crate) fn is_watched(self) -> bool {
        !self.quiet && std::io::stderr().is_terminal() && !is_dumb()
    }

    /// Whether notes are shown at all.
    pub(crate) fn is_quiet(self) -> bool {
        self.quiet
    }

    /// Writes a note to stderr, unless nobody wants any.
    pub(crate) fn note(self, text: &str) {
        if !self.quiet {
            error(text);
        }
    }

    /// Shows warnings about a document.
    pub(crate) fn warn(self, problems: &Problems) {
        if !problems.is_empty() {
            self.note(&diagnostics::render(problems, colour_on_stderr()));
        }
    }
}

/// How results are coloured.
pub(crate) fn style() -> Style {
    if std::io::stdout().is_terminal() && may_colour() { Style::Ansi } else { Style::Plain }
}

/// How notes are coloured.
pub(crate) fn style_on_stderr() -> Style {
    if colour_on_stderr() { Style::Ansi } else { Style::Plain }
}

/// Whether a result could not be written.
static LOST: AtomicBool = AtomicBool::new(false);

/// Writes a result to stdout. A reader that has gone away (`| head`) is no error; a full disk is,
/// and is told by the exit code too ([`lost_results`]).
pub(crate) fn result(text: &str) {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(failed) if failed.kind() != ErrorKind::BrokenPipe => {
            LOST.store(true, Ordering::Relaxed);
            error(&format!("error: failed to write to stdout: {failed}"));
        }
        Ok(()) | Err(_) => {}
    }
}

/// Whether any result could not be written.
pub(crate) fn lost_results() -> bool {
    LOST.load(Ordering::Relaxed)
}

/// Writes a document to stdout.
pub(crate) fn document(document: &impl serde::Serialize) {
    let text = serde_json::to_string_pretty(document).unwrap_or_default();
    result(&format!("{text}\n"));
}

/// Writes a line to stderr, whatever the options say.
pub(crate) fn error(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", text.trim_end_matches('\n'));
}

/// Whether stderr takes colours.
pub(crate) fn colour_on_stderr() -> bool {
    std::io::stderr().is_terminal() && may_colour()
}

/// `NO_COLOR` and dumb terminals are respected.
fn may_colour() -> bool {
    !is_dumb() && variable("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn is_dumb() -> bool {
    variable("TERM").is_some_and(|term| term == "dumb")
}

#[expect(clippy::disallowed_methods, reason = "what a terminal can do is told by its variables")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
