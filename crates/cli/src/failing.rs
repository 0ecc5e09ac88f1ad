//! Why a command ends without having done its work: what is said, and the exit code.

use std::fmt::Write;

use sortie::core::document::Problems;
use sortie::engine::store::StoreError;
use sortie::providers::keys::EnvironmentError;
use sortie::report::terminal::{one_line, sanitize};
use sortie::{Error, chain};

use crate::diagnostics;
use crate::exit::Exit;

/// What a command could not do.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) exit: Exit,
    said: Said,
    hint: Option<String>,
}

#[derive(Debug)]
enum Said {
    /// One thing after the other, each on a line of its own.
    Lines(Vec<String>),
    Problems(Problems),
}

impl Failed {
    /// A failure in one line: lower case, without a full stop.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Failed { exit, said: Said::Lines(vec![message.into()]), hint: None }
    }

    /// The same with something that the user can do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The text for stderr.
    pub(crate) fn render(&self, colour: bool) -> String {
        let (bold, off) = if colour { ("\u{1b}[1;31m", "\u{1b}[0m") } else { ("", "") };
        let mut text = match &self.said {
            Said::Problems(problems) => {
                let errors = problems.iter().filter(|problem| problem.is_error()).count() + problems.more();
                let s = if errors == 1 { "" } else { "s" };
                let name = one_line(problems.source_name().unwrap_or("the input")).into_owned();
                format!(
                    "{}\n\n{bold}error{off}: {errors} error{s} in {name}\n",
                    diagnostics::render(problems, colour)
                )
            }
            Said::Lines(lines) => lines.iter().fold(String::new(), |mut text, line| {
                let _ = writeln!(text, "{bold}error{off}: {}", sanitize(line));
                text
            }),
        };
        for hint in self.hint.iter().flat_map(|hint| hint.lines()) {
            let _ = writeln!(text, "hint: {}", one_line(hint));
        }
        text
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let (exit, hint) = (exit_of(&error), error.hint());
        let said = match error {
            Error::Plan(problems) | Error::Config(problems) => Said::Problems(problems),
            Error::Setup(missing) => Said::Lines(missing.iter().map(|setup| chain(setup)).collect()),
            Error::Scenario(error) => Said::Lines(vec![format!("failed to {}", chain(&error))]),
            error => Said::Lines(vec![chain(&error)]),
        };
        Failed { exit, said, hint }
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}

fn exit_of(error: &Error) -> Exit {
    match error {
        Error::Environment(EnvironmentError::Exposed { .. }) => Exit::Setup,
        Error::Plan(_)
        | Error::Config(_)
        | Error::Scenario(_)
        | Error::Binding { .. }
        | Error::Environment(_)
        | Error::NothingToResume
        | Error::NotBilled(_)
        | Error::Fit(_)
        | Error::FitOfFew { .. }
        | Error::Read { .. }
        | Error::Store(StoreError::NoSuchRun(_) | StoreError::Exists(_) | StoreError::BadRunId(_)) => {
            Exit::Invalid
        }
        Error::Setup(_) | Error::Proxy(_) | Error::Client(_) | Error::File { .. } | Error::Store(_) => {
            Exit::Setup
        }
        Error::Drive(_) => Exit::Failed,
    }
}
