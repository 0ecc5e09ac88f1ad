//! Who drives a run: a lock on `results_dir/RUN_ID/owner.lock`.
//!
//! The lock is the operating system's, held by an open file, so it dies with the process: a run
//! whose owner was killed is free at once, and there is no lease to wait for. The process id in the
//! file is for people only. Where the lock can be lost while its owner lives (somebody deletes the
//! directory), the run's epoch fences the slower one ([`super::journal`]).

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use crate::private::{create_dir, open};
use crate::store::StoreError;

/// The file whose lock is the ownership of a run.
const LOCK: &str = "owner.lock";

/// The ownership of one run, until dropped.
#[derive(Debug)]
pub(super) struct Owner {
    /// Held, never read: closing it is what releases the run.
    _locked: File,
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
        // Only now is the file ours to write to.
        write_pid(&mut file).map_err(StoreError::io(doing()))?;
        Ok(Owner { _locked: file })
    }

    /// Whether somebody has the run now. Must not be asked while another process may be taking it:
    /// the question holds the lock for a moment.
    pub(super) fn exists(results_dir: &Path, run_id: &str) -> bool {
        File::open(results_dir.join(run_id).join(LOCK))
            .is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }
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
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}
