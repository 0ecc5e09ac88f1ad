//! Earlier trials (`--history`), and what of them a document has.

use std::path::Path;

use serde_json::{Value, json};
use sortie::report::trial::{Trial, history as texts};
use sortie::trial::{TestType, earlier};

use crate::args::TrialArgs;
use crate::exit::Exit;
use crate::terminal::{self, Terminal};

/// Shows the trials of a results directory, newest first: of one test and phase where these are named.
pub(super) fn show(
    results_dir: &Path,
    test_type: Option<TestType>,
    args: &TrialArgs,
    terminal: Terminal,
) -> Exit {
    let phases: Option<Vec<u8>> =
        args.phase.map(|phases| phases.each().map(sortie::trial::Phase::number).collect());
    let is_meant = |trial: &Trial| {
        let of_test = test_type.is_none_or(|test| test.name() == trial.test_type);
        let of_phase =
            phases.as_ref().is_none_or(|phases| trial.phase.is_some_and(|phase| phases.contains(&phase)));
        of_test && of_phase
    };
    let trials: Vec<Trial> = earlier(results_dir).into_iter().filter(is_meant).collect();
    if terminal.json() {
        terminal::document(&texts::document(&trials));
    } else {
        terminal::result(&texts::history(&trials, terminal::style()));
    }
    Exit::Success
}

/// The document of a trial; of several in a row the last one's, with all of them.
pub(super) fn document(last: &Trial, all: Option<&[Trial]>) -> Value {
    let mut document = serde_json::to_value(last).unwrap_or_default();
    if let (Some(all), Value::Object(fields)) = (all, &mut document) {
        fields.insert("phases".to_owned(), json!(all));
    }
    document
}
