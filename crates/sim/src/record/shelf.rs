//! The directory that exchanges are kept in.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Exchange, FormError};

/// Characters of a path that a file's name shows.
const SHOWN: usize = 60;

/// The longest file of an exchange, in bytes. Answers have 64 MiB at most and requests for them 32; what
/// is longer is an upload of hundreds of MiB, which is not kept.
const MOST_BYTES: u64 = 256 << 20;

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
    /// A directory to answer from holds no exchange.
    #[error("find an exchange in {path}: it has no file `*.json`", path = .0.display())]
    Nothing(PathBuf),
    /// A pipe, a device or a directory stands where an exchange should: reading it might never end.
    #[error("read the exchange {path}: it is no regular file", path = .0.display())]
    NotAFile(PathBuf),
    /// A file is longer than any exchange that is kept.
    #[error("{doing} the exchange {path}: it has more than {MOST_BYTES} bytes", path = path.display())]
    TooLong {
        /// What was done: `read`.
        doing: &'static str,
        /// Which.
        path: PathBuf,
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
        if json.len() as u64 > MOST_BYTES {
            return Err(ShelfError::TooLong { doing: "write", path });
        }
        let draft = path.with_extension("draft");
        private_file(&draft).and_then(|mut file| file.write_all(&json)).map_err(failed)?;
        fs::rename(&draft, &path).map_err(failed)
    }
}

/// All exchanges of a directory, in their order; one at least.
pub(super) fn exchanges(directory: &Path) -> Result<Vec<Exchange>, ShelfError> {
    match files(directory)? {
        none if none.is_empty() => Err(ShelfError::Nothing(directory.to_owned())),
        paths => paths.iter().map(|path| exchange(path)).collect(),
    }
}

fn exchange(path: &Path) -> Result<Exchange, ShelfError> {
    let failed = |source| ShelfError::Io { doing: "read", path: path.to_owned(), source };
    let too_long = || ShelfError::TooLong { doing: "read", path: path.to_owned() };
    // Before it is opened: that of a pipe waits for whoever writes to it.
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(ShelfError::NotAFile(path.to_owned()));
    }
    if metadata.len() > MOST_BYTES {
        return Err(too_long());
    }
    let mut text = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut text));
    read.map_err(failed)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(too_long());
    }
    Exchange::read(&text).map_err(|source| ShelfError::Form { path: path.to_owned(), source })
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
