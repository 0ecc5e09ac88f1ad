//! Where journals live: the durable boundary.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sortie_core::hash::Hash;
use sortie_core::plan::{Plan, Prompts};
use sortie_core::run::event::Record;
use sortie_core::run::input::Settings;
use sortie_core::time::Time;

/// What a run was created with; never changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    /// The run's id.
    pub run_id: String,
    /// When it was created.
    pub created: Time,
    /// The plan.
    pub plan: Plan,
    /// The texts of its tasks.
    pub prompts: Prompts,
    /// What binds it.
    pub settings: Settings,
    /// What whoever binds engine and providers needs to go on: opaque here, never a key.
    pub binding: serde_json::Value,
}

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such run.
    #[error("no run {0:?} in this results directory")]
    NoSuchRun(String),
    /// The id is taken.
    #[error("a run {0:?} exists already")]
    Exists(String),
    /// Another process drives this run.
    #[error("another process{} drives run {run:?}", .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Owned {
        /// Which run.
        run: String,
        /// Who, where known.
        pid: Option<u32>,
    },
    /// Another process has taken the run over: nothing was written.
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
    /// The journal is not as it was written.
    #[error("the journal of run {run:?} is damaged: {what}")]
    Damaged {
        /// Which run.
        run: String,
        /// What is wrong.
        what: String,
    },
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

/// An output to keep under its hash.
pub type Output = (Hash, Arc<str>);

/// A run in a line, for lists.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The run's id.
    pub run_id: String,
    /// The plan's name.
    pub plan_name: String,
    /// When it was created.
    pub created: Time,
    /// How many tasks it began with.
    pub tasks: u64,
    /// Its last record, if it has one.
    pub last: Option<Record>,
    /// Whether a process drives it now.
    pub owned: bool,
}

/// Where journals live. One process owns a run at a time; `after` is the fence of [`Store::append`].
pub trait Store {
    /// Creates a run and owns it.
    fn create(&mut self, header: &Header) -> impl Future<Output = Result<(), StoreError>>;
    /// Takes a run over, and gives its header and its whole journal.
    fn open(&mut self, run_id: &str) -> impl Future<Output = Result<(Header, Vec<Record>), StoreError>>;
    /// Makes these records durable, and the outputs that they name, all or nothing. `after` is the
    /// number of the last record before them.
    fn append(
        &mut self,
        run_id: &str,
        after: u64,
        records: &[Record],
        outputs: &[Output],
    ) -> impl Future<Output = Result<(), StoreError>>;
    /// An output that was kept.
    fn output(&self, hash: &Hash) -> impl Future<Output = Result<Arc<str>, StoreError>>;
    /// Reads a run without owning it.
    fn read(&self, run_id: &str) -> impl Future<Output = Result<(Header, Vec<Record>), StoreError>>;
    /// All runs, the newest first.
    fn list(&self) -> impl Future<Output = Result<Vec<Listed>, StoreError>>;
}
