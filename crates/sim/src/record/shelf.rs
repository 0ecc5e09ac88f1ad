//! The directory that exchanges are kept in.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Exchange, FormError};

/// Characters of a path that a file's name shows.
const SHOWN: usize = 60;

/// A directory of exchanges.
#[derive(Debug)]
pub struct Shelf {
    directory: PathBuf,
    /// The number of the next.
    next: AtomicU64,
}

/// Why exchanges cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// The system refused.
    #[error("{doing} {path}", path = path.display())]
    Io {
        /// What was done: `read`.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not one of ours.
    #[error("read the exchange {path}", path = path.display())]
    Form {
        /// Which.
        path: PathBuf,
        /// Why.
        source: FormError,
    },
}

impl Shelf {
    /// A directory to keep exchanges in; it is made, readable by its owner alone, where there is
    /// none. What is there already stays, and what comes is numbered after it.
    pub fn open(directory: &Path) -> Result<Self, ShelfError> {
        let made = private_directory(directory);
        made.map_err(|source| ShelfError::Io { doing: "make", path: directory.to_owned(), source })?;
        let number = |path: &PathBuf| path.file_name()?.to_str()?.split('-').next()?.parse::<u64>().ok();
        let last = files(directory)?.iter().filter_map(number).max().unwrap_or(0);
        Ok(Shelf { directory: directory.to_owned(), next: AtomicU64::new(last + 1) })
    }

    /// The number of a request that has arrived.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Writes an exchange; the file is there whole or not at all, for its owner alone to read.
    pub(crate) fn keep(&self, number: u64, exchange: &Exchange) -> Result<(), ShelfError> {
        let asked = &exchange.request;
        let letters = asked.path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
        let shown: String = letters.take(SHOWN).collect();
        let path = self.directory.join(format!("{number:04}-{}{shown}.json", asked.method));
        let failed = |source| ShelfError::Io { doing: "write", path: path.clone(), source };
        let json = serde_json::to_vec_pretty(exchange).map_err(|error| failed(error.into()))?;
        let draft = path.with_extension("draft");
        private_file(&draft).and_then(|mut file| file.write_all(&json)).map_err(failed)?;
        fs::rename(&draft, &path).map_err(failed)
    }
}

/// All exchanges of a directory, in their order.
pub(super) fn exchanges(directory: &Path) -> Result<Vec<Exchange>, ShelfError> {
    files(directory)?.iter().map(|path| exchange(path)).collect()
}

fn exchange(path: &Path) -> Result<Exchange, ShelfError> {
    let path = || path.to_owned();
    let text = fs::read(path()).map_err(|source| ShelfError::Io { doing: "read", path: path(), source })?;
    Exchange::read(&text).map_err(|source| ShelfError::Form { path: path(), source })
}

/// The JSON files of a directory, by their numbers.
fn files(directory: &Path) -> Result<Vec<PathBuf>, ShelfError> {
    let failed = |source| ShelfError::Io { doing: "read", path: directory.to_owned(), source };
    let entries = fs::read_dir(directory).map_err(failed)?;
    let paths: Result<Vec<PathBuf>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(failed)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    // A number of five digits follows one of four.
    paths.sort_by_key(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        (name.split('-').next().and_then(|number| number.parse::<u64>().ok()), name)
    });
    Ok(paths)
}

#[cfg(unix)]
fn private_directory(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn private_directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

fn private_file(path: &Path) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
