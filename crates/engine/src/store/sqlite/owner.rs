//! Who drives a run: a lock on `results_dir/RUN_ID/owner.lock`.
//!
//! The lock is the operating system's, held by an open file, so it dies with the process: a run
//! whose owner was killed is free at once, and there is no lease to wait for. The process id in the
//! file is for people only. Where the lock can be lost while its owner lives (somebody deletes the
//! directory), the run's epoch fences the slower one ([`super::journal`]).

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

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
        create_private_dir(&dir)
            .map_err(StoreError::io(format!("create the directory {}", dir.display())))?;
        let path = dir.join(LOCK);
        let doing = || format!("lock {}", path.display());
        let mut file = open_private(&path).map_err(StoreError::io(doing()))?;
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

/// Opens a file for reading and writing; creates it for its owner alone. Does not truncate.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Creates a directory for its owner alone, and those above it, and makes their names durable.
pub(super) fn create_private_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = match dir.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    create_private_dir(above)?;
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Another process was faster, or a file has the name.
            if !dir.is_dir() {
                return Err(io::ErrorKind::NotADirectory.into());
            }
        }
        created => created?,
    }
    sync_dir(above)
}

/// A new name survives a power cut only once its directory is synced.
fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}
