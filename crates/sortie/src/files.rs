//! What a run leaves in its directory: reports, results and logs, for their owner alone.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sortie_core::hash::Hash;
use sortie_core::plan::TaskId;
use sortie_core::run::event::Record;
use sortie_core::run::input::Waiting;
use sortie_core::time::Time;
use sortie_engine::driver::Observe;
use sortie_engine::private;
use sortie_engine::store::{Output, Store};
use sortie_report::fold::{Fold, RunView};
use sortie_report::log::Level;
use sortie_report::results::TaskResult;
use sortie_report::{calls, format, log};

use crate::error::Error;

/// What a line of `production.log` names as its source.
const LOGGER: &str = "sortie.run";

/// How many answers are read from the store together: to wait for it takes longer than to read one, and they are not all
/// to be in memory.
const AT_ONCE: usize = 64;

/// Folds a run's records while they come, and writes its logs. Without a directory it only folds.
pub(crate) struct Recorder {
    pub(crate) fold: Fold,
    logs: Option<Logs>,
}

struct Logs {
    level: Level,
    production: File,
    calls: File,
    /// The first failure to write; the run goes on, the journal has it all.
    failed: Option<io::Error>,
}

impl Recorder {
    /// A recorder that has seen `before` already: they are folded, and were logged when they came.
    pub(crate) fn new(view: RunView, before: &[Record], logs: Option<(&Path, Level)>) -> Result<Self, Error> {
        let logs = logs.map(|(directory, level)| Logs::open(directory, level)).transpose()?;
        Ok(Recorder { fold: Fold::of(view, before), logs })
    }
}

impl Observe for Recorder {
    fn records(&mut self, records: &[Record], _outputs: &[Output]) {
        for record in records {
            self.fold.apply(record);
            if let Some(logs) = &mut self.logs {
                logs.write(&self.fold, record);
            }
        }
    }

    fn waiting(&mut self, _waiting: &[Waiting], _now: Time) {}
}

impl Logs {
    fn open(directory: &Path, level: Level) -> Result<Self, Error> {
        make_directory(directory)?;
        let append = |name: &str| {
            let path = directory.join(name);
            private::options().append(true).create(true).open(&path).map_err(|source| Error::File {
                doing: "open",
                path,
                source,
            })
        };
        Ok(Logs {
            level,
            production: append("production.log")?,
            calls: append("api_calls.log")?,
            failed: None,
        })
    }

    fn write(&mut self, fold: &Fold, record: &Record) {
        let (level, message) = log::line(fold, record);
        let mut written = Ok(());
        if level >= self.level {
            written = writeln!(self.production, "{}", log::written(record.at, LOGGER, level, &message));
        }
        if let Some(line) = calls::line(fold.run(), record) {
            written = written.and(writeln!(self.calls, "{line}"));
        }
        if let (Err(error), None) = (written, &self.failed) {
            tracing::warn!(%error, "failed to write a log; the journal has everything");
            self.failed = Some(error);
        }
    }
}

/// What each task of a run came to, a line for each.
pub(crate) const RESULTS: &str = "results.jsonl";

/// Writes the reports and the results of a run as it stands.
///
/// # Errors
/// The first file that could not be written; each is replaced whole or not at all.
pub(crate) async fn export<S: Store>(directory: &Path, fold: &Fold, store: &S) -> Result<(), Error> {
    make_directory(directory)?;
    let report = fold.report(fold.last_time());
    for format in format::ALL {
        replace(directory, format.file(), &format.render(&report))?;
    }
    let mut file = Replacement::new(directory, RESULTS)?;
    let ids: Vec<TaskId> = fold.run().plan.ids().collect();
    for ids in ids.chunks(AT_ONCE) {
        let hashes: Vec<Hash> = ids.iter().filter_map(|id| output_of(fold, *id)).collect();
        let mut texts = store.outputs(&hashes).await?.into_iter();
        for id in ids {
            let text = output_of(fold, *id).and_then(|_| texts.next());
            if let Some(result) = TaskResult::of(fold, *id, text) {
                let mut line = serde_json::to_vec(&result).map_err(|error| file.failed(error.into()))?;
                line.push(b'\n');
                file.write(&line)?;
            }
        }
    }
    file.done()
}

fn output_of(fold: &Fold, id: TaskId) -> Option<Hash> {
    fold.tasks()[id.index()].answer.as_ref().map(|answer| answer.output)
}

/// A task's result, its text read from the store.
pub(crate) async fn result_of<S: Store>(
    fold: &Fold,
    id: TaskId,
    store: &S,
) -> Result<Option<TaskResult>, Error> {
    let text = match output_of(fold, id) {
        Some(hash) => Some(store.output(&hash).await?),
        None => None,
    };
    Ok(TaskResult::of(fold, id, text))
}

/// Writes a file of a directory whole, or not at all.
pub(crate) fn replace(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    make_directory(directory)?;
    let mut file = Replacement::new(directory, name)?;
    file.write(bytes)?;
    file.done()
}

/// A file that takes its place once it is whole.
struct Replacement {
    path: PathBuf,
    beside: PathBuf,
    file: io::BufWriter<File>,
}

impl Replacement {
    fn new(directory: &Path, name: &str) -> Result<Self, Error> {
        let (path, beside) = (directory.join(name), directory.join(format!(".{name}.new")));
        let file = private::options().write(true).create(true).truncate(true).open(&beside);
        let file = file.map_err(|source| Error::File { doing: "write", path: path.clone(), source })?;
        Ok(Replacement { path, beside, file: io::BufWriter::new(file) })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|source| self.failed(source))
    }

    fn done(mut self) -> Result<(), Error> {
        let placed = self.file.flush().and_then(|()| fs::rename(&self.beside, &self.path));
        placed.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::File { doing: "write", path: self.path.clone(), source }
    }
}

/// Creates a directory for its owner alone, and those above it.
fn make_directory(directory: &Path) -> Result<(), Error> {
    let failed = |source| Error::File { doing: "create", path: directory.to_owned(), source };
    private::create_dir(directory).map_err(failed)
}
