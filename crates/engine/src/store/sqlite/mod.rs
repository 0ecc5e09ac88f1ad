//! Journals in one SQLite file, `results_dir/sortie.db`.
//!
//! [`SqliteStore`] hands every request to one thread that owns the database, so that whoever waits
//! for the disk is never the driver's thread. What the thread does is in `journal.rs`; how the file
//! is opened and what is in it in `schema.rs`; who may add to a run in `owner.rs`.
//!
//! Nothing is compressed or packed: `sqlite3 sortie.db 'select * from records'` is a debugger.

mod answers;
mod journal;
mod log;
mod owner;
mod reading;
mod schema;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;

use sortie_core::hash::Hash;
use sortie_core::run::event::{Answer, Record};
use tokio::sync::oneshot;

use super::{Header, Listed, Output, Salvaged, Store, StoreError, check_numbers, check_run_id};
use journal::{Journal, Row};

/// What survives what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// An append that succeeded survives a power cut: every one is synced.
    Synced,
    /// An append that succeeded survives the death of the process; a power cut may take the last
    /// ones, never a part of one and never another run's. For simulated runs.
    Unsynced,
}

impl Durability {
    /// What the appends of a run need, one that is simulated or one that is paid for.
    pub const fn of(is_simulated: bool) -> Self {
        if is_simulated { Durability::Unsynced } else { Durability::Synced }
    }
}

/// Something for the thread that owns the database to do.
type Work = Box<dyn FnOnce(&mut Journal) + Send>;

/// Journals in one SQLite file. Dropping it releases its runs, and waits until that is done.
#[derive(Debug)]
pub struct SqliteStore {
    /// Gone only while the store is dropped.
    work: Option<mpsc::Sender<Work>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl SqliteStore {
    /// Opens the journal in this results directory; creates both where they do not exist, the
    /// directory for its owner alone (0700), the file likewise (0600). Blocks for the disk.
    ///
    /// # Errors
    /// `Io`, `NotAJournal`, `Format`.
    pub fn open(results_dir: &Path, durability: Durability) -> Result<Self, StoreError> {
        let mut journal = Journal::open(results_dir, durability)?;
        let (work, todo) = mpsc::channel::<Work>();
        let thread = thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                for work in todo {
                    work(&mut journal);
                }
            })
            .map_err(StoreError::io("start the journal's thread"))?;
        Ok(SqliteStore { work: Some(work), thread: Some(thread) })
    }

    /// Cuts a run off before the first record that is not as it was written, where it is damaged: a
    /// resume then goes on from there. None where it is whole.
    ///
    /// # Errors
    /// As [`Store::open`]; `Damaged` where not even its header is as it was written.
    pub async fn salvage(&mut self, run_id: &str) -> Result<Option<Salvaged>, StoreError> {
        check_run_id(run_id)?;
        let run_id = run_id.to_owned();
        self.ask(move |journal| journal.salvage(&run_id)).await
    }

    /// Has the journal's thread do this, after all that it was asked before.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Journal) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |journal| {
            // Whoever asked may have stopped waiting; the work is done all the same.
            let _ = reply.send(work(journal));
        });
        let sent = self.work.as_ref().is_some_and(|thread| thread.send(work).is_ok());
        let gone = StoreError::io("reach the journal's thread");
        if !sent {
            return Err(gone("it has ended"));
        }
        answer.await.map_err(|_| gone("it ended while it worked"))?
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        drop(self.work.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

impl Store for SqliteStore {
    async fn create(&mut self, header: &Header) -> Result<(), StoreError> {
        check_run_id(&header.run_id)?;
        let header = header.clone();
        self.ask(move |journal| journal.create(&header)).await
    }

    async fn open(&mut self, run_id: &str) -> Result<(Header, Vec<Record>), StoreError> {
        check_run_id(run_id)?;
        let run_id = run_id.to_owned();
        self.ask(move |journal| journal.take_over(&run_id)).await
    }

    async fn append(
        &mut self,
        run_id: &str,
        after: u64,
        records: &[Record],
        outputs: &[Output],
    ) -> Result<(), StoreError> {
        check_numbers(run_id, after, records)?;
        let run_id = run_id.to_owned();
        let rows = records.iter().map(Row::of).collect::<Result<Vec<_>, _>>()?;
        let outputs = outputs.to_vec();
        self.ask(move |journal| journal.append(&run_id, after, &rows, &outputs)).await
    }

    async fn release(&mut self, run_id: &str) {
        let run_id = run_id.to_owned();
        let released = self.ask(move |journal| {
            journal.release(&run_id);
            Ok(())
        });
        if let Err(error) = released.await {
            // Its lock dies with the thread that held it.
            tracing::debug!(%error, "the run was released by the end of the journal's thread");
        }
    }

    async fn output(&self, hash: &Hash) -> Result<Arc<str>, StoreError> {
        let hash = *hash;
        self.ask(move |journal| journal.output(&hash)).await
    }

    async fn outputs(&self, hashes: &[Hash]) -> Result<Vec<Arc<str>>, StoreError> {
        let hashes = hashes.to_vec();
        self.ask(move |journal| hashes.iter().map(|hash| journal.output(hash)).collect()).await
    }

    async fn answered(&self, request: &Hash) -> Result<Option<(String, Answer)>, StoreError> {
        let request = *request;
        self.ask(move |journal| journal.answered(&request)).await
    }

    async fn read(&self, run_id: &str) -> Result<(Header, Vec<Record>), StoreError> {
        check_run_id(run_id)?;
        let run_id = run_id.to_owned();
        self.ask(move |journal| journal.read(&run_id)).await
    }

    async fn list(&self) -> Result<Vec<Listed>, StoreError> {
        self.ask(Journal::list).await
    }
}
