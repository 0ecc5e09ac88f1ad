//! Who drives a run: a lock on `results_dir/RUN_ID/owner.lock`.
//!
//! The lock is the operating system's, held by an open file, so it dies with the process: a run
//! whose owner was killed is free at once, and there is no lease to wait for. The process id in the
//! file is for people only. Where the lock can be lost while its owner lives (somebody deletes the
//! directory), the run's epoch fences the slower one ([`super::journal`]).
//!
//! # What was durable
//! The second line says up to which record the run was durable. The database cannot tell: SQLite ends its write-ahead
//! log at the first damaged page, and what comes before that is a sound journal of an earlier time. The line is written
//! after each synced append and is not synced itself, so what it says is true whenever it can be read: at least so many
//! records were there.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use super::reading::sum;
use crate::private::{create_dir, open};
use crate::store::StoreError;

/// The file whose lock is the ownership of a run.
const LOCK: &str = "owner.lock";

/// No file of ours is longer.
const LONGEST: u64 = 128;

/// The ownership of one run, until dropped.
#[derive(Debug)]
pub(super) struct Owner {
    run_id: String,
    /// Closing it is what releases the run.
    locked: File,
    /// So many records were durable when it was taken; none where nobody has said so.
    durable: Option<u64>,
}

impl Owner {
    /// Takes the run, if nobody has it.
    pub(super) fn take(results_dir: &Path, run_id: &str) -> Result<Self, StoreError> {
        let dir = results_dir.join(run_id);
        create_dir(&dir).map_err(StoreError::io(format!("create the directory {}", dir.display())))?;
        let path = dir.join(LOCK);
        let doing = || format!("lock {}", path.display());
        let mut file = open(&path).map_err(StoreError::io(doing()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Owned { run: run_id.to_owned(), pid: pid_in(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(StoreError::io(doing())(source)),
        }
        let durable = read(&mut file).and_then(|text| durable_in(&text, run_id));
        // Only now is the file ours to write to.
        let mut owner = Owner { run_id: run_id.to_owned(), locked: file, durable };
        owner.write(durable).map_err(StoreError::io(doing()))?;
        Ok(owner)
    }

    /// So many records were durable when it was taken; none where nobody has said so.
    pub(super) const fn durable(&self) -> Option<u64> {
        self.durable
    }

    /// From now on so many records are durable. Where that cannot be written, what was written before stays true.
    pub(super) fn note(&mut self, records: u64) {
        if let Err(error) = self.write(Some(records)) {
            tracing::debug!(%error, "how far the run is durable is in its journal alone");
        }
    }

    /// In one write, and only then shortened: who dies in between leaves the whole of it.
    fn write(&mut self, durable: Option<u64>) -> io::Result<()> {
        let mut text = format!("{}\n", std::process::id());
        if let Some(records) = durable {
            text.push_str(&durable_line(&self.run_id, records));
        }
        self.locked.rewind()?;
        self.locked.write_all(text.as_bytes())?;
        if self.locked.metadata()?.len() > text.len() as u64 {
            self.locked.set_len(text.len() as u64)?;
        }
        Ok(())
    }

    /// Whether somebody has the run now. Must not be asked while another process may be taking it:
    /// the question holds the lock for a moment.
    pub(super) fn exists(results_dir: &Path, run_id: &str) -> bool {
        File::open(results_dir.join(run_id).join(LOCK))
            .is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }
}

/// Up to which record a run was durable, as its owner says or said; none where nobody has. To be asked before its
/// records are read: its owner may be writing more.
pub(super) fn durable(results_dir: &Path, run_id: &str) -> Option<u64> {
    let mut file = File::open(results_dir.join(run_id).join(LOCK)).ok()?;
    durable_in(&read(&mut file)?, run_id)
}

fn read(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).ok()?;
    Some(text)
}

/// With a sum, because the file is not synced: what a power cut left of it says nothing.
fn durable_line(run_id: &str, records: u64) -> String {
    format!("{records} {}\n", sum(&format!("{run_id} {records}")))
}

fn durable_in(text: &str, run_id: &str) -> Option<u64> {
    let line = text.lines().nth(1)?;
    let records = line.split_once(' ')?.0.parse().ok()?;
    (durable_line(run_id, records).trim_end() == line).then_some(records)
}

/// Whether a new run may not have this directory: it is a link to elsewhere, or somebody's files are
/// in it. What a creation left that did not come to its end is free.
pub(super) fn is_taken(dir: &Path) -> bool {
    if dir.is_symlink() {
        return true;
    }
    let Ok(entries) = dir.read_dir() else { return dir.exists() };
    entries.flatten().any(|entry| entry.file_name() != LOCK)
}

/// Who says to hold the lock; nothing where the file is being written just now.
fn pid_in(file: &mut File) -> Option<u32> {
    read(file)?.lines().next()?.trim().parse().ok()
}
