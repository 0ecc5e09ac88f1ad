//! Files and directories for their owner alone: what a run keeps holds prompts and answers.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a file for reading and writing; creates it for its owner alone. Does not truncate.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    options().read(true).write(true).create(true).truncate(false).open(path)
}

/// Creates an empty file for its owner alone, where there is none.
///
/// One that is there is never opened. POSIX drops all locks of a process on a file as soon as the process closes any
/// descriptor of it: to open and close a database that SQLite has open in the same process would take SQLite's own
/// locks away, and the next process to look would empty the write-ahead log under it.
pub(crate) fn create(path: &Path) -> io::Result<()> {
    match options().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created.map(drop),
    }
}

/// How files are created: for their owner alone, whatever the umask.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Creates a directory for its owner alone, and those above it, and makes their names durable.
///
/// # Errors
/// Where one of them cannot be created or synced, or a file has its name.
pub fn create_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = match dir.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    create_dir(above)?;
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
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}
