//! Where journals live: the durable boundary.
//!
//! A [`Store`] keeps for every run what it was created with, its records and the outputs that they
//! name, and sees to it that one process at a time adds to a run. It knows nothing of what the
//! records mean, but which of them is an answer to which request.
//!
//! # Adding a store
//! Implement [`Store`] in a file of its own and run `contract.rs` over it: it says what a driver
//! relies on.

#[cfg(test)]
mod contract;
pub mod memory;
mod run_id;
pub mod sqlite;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sortie_core::hash::Hash;
use sortie_core::plan::{Plan, Prompts};
use sortie_core::run::event::{Answer, Event, Record};
use sortie_core::run::input::Settings;
use sortie_core::run::revise::Revision;
use sortie_core::time::Time;

pub use run_id::{BadRunId, check_run_id};

/// What a run was created with; never changes ([`Header::after`] is what it goes on with). Its JSON form is part of the journal's format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The run's id.
    pub run_id: String,
    /// When it was created.
    pub created: Time,
    /// The plan.
    pub plan: Arc<Plan>,
    /// The texts of its tasks.
    pub prompts: Arc<Prompts>,
    /// What binds it.
    pub settings: Arc<Settings>,
    /// What whoever binds engine and providers needs to go on: opaque here, never a key.
    pub binding: serde_json::Value,
}

impl Header {
    /// What the run goes on with after these records: as it was created, unless its plan was changed since. Every task
    /// and agent has the place that records name it by.
    #[must_use]
    pub fn after(&self, records: &[Record]) -> Self {
        let revision = records.iter().rev().find_map(|record| match &record.event {
            Event::PlanChanged { revision, .. } => revision.as_deref(),
            _ => None,
        });
        revision.map_or_else(|| self.clone(), |revision| self.revised(revision))
    }

    /// What the run goes on with once its plan is changed like this.
    #[must_use]
    pub fn revised(&self, revision: &Revision) -> Self {
        let Revision { plan, prompts, settings, binding } = revision.clone();
        Header { run_id: self.run_id.clone(), created: self.created, plan, prompts, settings, binding }
    }
}

/// What a run goes on with, and its whole journal, for whoever only looks: without owning it.
///
/// # Errors
/// As [`Store::read`].
pub async fn read_newest<S: Store>(store: &S, run_id: &str) -> Result<(Header, Vec<Record>), StoreError> {
    let (header, records) = store.read(run_id).await?;
    Ok((header.after(&records), records))
}

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The id cannot name a run.
    #[error(transparent)]
    BadRunId(#[from] BadRunId),
    /// There is no such run.
    #[error("no run {0:?} in this results directory")]
    NoSuchRun(String),
    /// The id is taken.
    #[error("a run {0:?} exists already")]
    Exists(String),
    /// There is no output with this hash.
    #[error("no output {0} in the journal")]
    NoSuchOutput(Hash),
    /// Another process drives this run.
    #[error("another process{} drives run {run:?}", .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Owned {
        /// Which run.
        run: String,
        /// Who, where known.
        pid: Option<u32>,
    },
    /// This store does not own the run, or no longer: nothing was written.
    #[error("run {0:?} was taken over by another process")]
    Fenced(String),
    /// The journal is of a version that this program does not know.
    #[error("the journal has format {found}, this program knows {known}")]
    Format {
        /// What it is.
        found: u32,
        /// What we know.
        known: u32,
    },
    /// The file is something else.
    #[error("{} is not a journal of sortie", .0.display())]
    NotAJournal(std::path::PathBuf),
    /// The journal is not as it was written.
    #[error("the journal of run {run:?} is damaged: {what}")]
    Damaged {
        /// Which run.
        run: String,
        /// What is wrong.
        what: String,
    },
    /// An output is not the text that its hash was made of.
    #[error("the output {0} in the journal is damaged")]
    DamagedOutput(Hash),
    /// The database or the disk failed.
    #[error("failed to {doing}")]
    Io {
        /// What we were doing.
        doing: String,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// A failure of the database or the disk; turns a library's error into ours in `map_err`.
    pub(crate) fn io<E>(doing: impl Into<String>) -> impl FnOnce(E) -> StoreError
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let doing = doing.into();
        move |source| StoreError::Io { doing, source: source.into() }
    }
}

/// What became of a damaged run that was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salvaged {
    /// Records that are as they were written.
    pub kept: u64,
    /// Records behind the damage, which are gone: what they paid for is not known any more.
    pub dropped: u64,
    /// What was wrong.
    pub what: String,
}

/// An output to keep under its hash.
pub type Output = (Hash, Arc<str>);

/// A run in a line, for lists.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The run's id.
    pub run_id: String,
    /// The plan's name.
    pub plan_name: String,
    /// When it was created.
    pub created: Time,
    /// How many tasks it began with.
    pub tasks: u64,
    /// Its last record; none where it has none, or one that this program does not know.
    pub last: Option<Record>,
    /// Whether a process drives it now.
    pub owned: bool,
}

/// Where journals live. One store at a time owns a run; who does not own it cannot add to it.
///
/// Dropping one of these futures does not undo what it asked for: the store may still do it, all
/// or nothing.
pub trait Store: Send {
    /// Creates a run and owns it.
    ///
    /// # Errors
    /// `BadRunId`, `Exists`, `Owned`, `Io`.
    fn create(&mut self, header: &Header) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes a run over, and gives its header and its whole journal, with the plans that its records name. A store that owns the run
    /// already begins anew with it.
    ///
    /// # Errors
    /// `NoSuchRun`, `Owned`, `Damaged`, `Io`.
    fn open(
        &mut self,
        run_id: &str,
    ) -> impl Future<Output = Result<(Header, Vec<Record>), StoreError>> + Send;

    /// Makes these records durable, and the outputs that they name, all or nothing. `after` is the
    /// number of the last record before them. Once this has failed for want of a working disk, it
    /// fails until the run is opened again: what a disk holds after a failed sync is not known.
    ///
    /// # Errors
    /// `Fenced` where this store does not own the run or `after` is not the last record; `Damaged`
    /// where the records are not numbered from `after + 1` on; `Io`.
    fn append(
        &mut self,
        run_id: &str,
        after: u64,
        records: &[Record],
        outputs: &[Output],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Owns the run no longer, so that anybody may open it. A store that is dropped releases all.
    fn release(&mut self, run_id: &str) -> impl Future<Output = ()> + Send;

    /// An output that was kept.
    ///
    /// # Errors
    /// `NoSuchOutput`, `DamagedOutput`, `Io`.
    fn output(&self, hash: &Hash) -> impl Future<Output = Result<Arc<str>, StoreError>> + Send;

    /// Several of them, in this order: whoever wants many waits for the store once, not for each.
    ///
    /// # Errors
    /// As [`Store::output`], of the first that is not there as it was.
    fn outputs(&self, hashes: &[Hash]) -> impl Future<Output = Result<Vec<Arc<str>>, StoreError>> + Send;

    /// The last answer to this request in any run that is there whole with its text, and the id of that run; none where
    /// there is none.
    ///
    /// # Errors
    /// `Io`.
    fn answered(
        &self,
        request: &Hash,
    ) -> impl Future<Output = Result<Option<(String, Answer)>, StoreError>> + Send;

    /// Reads a run without owning it.
    ///
    /// # Errors
    /// `NoSuchRun`, `Damaged`, `Io`.
    fn read(&self, run_id: &str) -> impl Future<Output = Result<(Header, Vec<Record>), StoreError>> + Send;

    /// All runs, the newest first. One that is damaged is among them: reading it says so.
    ///
    /// # Errors
    /// `Io`.
    fn list(&self) -> impl Future<Output = Result<Vec<Listed>, StoreError>> + Send;
}

/// The answer that a record is, where it is one to this request.
fn answer_to<'r>(request: &Hash, record: &'r Record) -> Option<&'r Answer> {
    match &record.event {
        Event::AttemptSucceeded { answer, .. } if answer.request == Some(*request) => Some(answer),
        _ => None,
    }
}

/// Refuses records that do not follow each other from `after` on: a store keeps no gaps.
fn check_numbers(run_id: &str, after: u64, records: &[Record]) -> Result<(), StoreError> {
    let mut last = after;
    for record in records {
        if Some(record.seq) != last.checked_add(1) {
            let what = format!("record {} does not follow record {last}", record.seq);
            return Err(StoreError::Damaged { run: run_id.to_owned(), what });
        }
        last = record.seq;
    }
    Ok(())
}
