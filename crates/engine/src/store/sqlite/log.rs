//! The write-ahead log, looked at from outside: where it ends, and what lies behind its end.
//!
//! SQLite ends the log at the first page that is not as it was written, and says nothing of what lies behind. Often that
//! is nothing or old: pages of before the log was begun anew. Pages of the same log are what was being written when a
//! process or the power went (a torn tail); or the rest of a log that was damaged in its middle, which only those can
//! tell who know what was durable ([`super::owner`]).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::private;

/// The lengths of the headers of a write-ahead log and of a page in it (SQLite's file format, 4.1).
const HEADER: u64 = 32;
const PAGE_HEADER: u64 = 24;

/// The two salts: they begin here in the header of the log, and in that of each page. Pages of before it was begun anew
/// have others.
const SALTS: usize = 16;
const PAGE_SALTS: usize = 8;

fn file_of(db: &Path) -> PathBuf {
    db.with_extension("db-wal")
}

/// The end of the log as SQLite sees it, in bytes, and the length of a page with its header. None where there is no log.
/// A connection cannot look at the log from within its own transaction, so another one looks.
fn end(db: &Path) -> rusqlite::Result<Option<(u64, u64)>> {
    let look = Connection::open_with_flags(db, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let (pages, page): (i64, i64) = (
        look.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1))?,
        look.pragma_query_value(None, "page_size", |row| row.get(0))?,
    );
    let (Ok(pages), Ok(page)) = (u64::try_from(pages), u64::try_from(page)) else { return Ok(None) };
    Ok(Some((HEADER + pages * (PAGE_HEADER + page), PAGE_HEADER + page)))
}

/// Cuts the log off behind the last commit to it.
pub(super) fn cut(db: &mut Connection, path: &Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // Nobody else writes to it meanwhile.
    let _alone = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Some((end, _)) = end(path)? else { return Ok(()) };
    let log = private::open(&file_of(path))?;
    if log.metadata()?.len() > end {
        log.set_len(end)?;
    }
    Ok(())
}

/// Cuts a torn tail off, and says so. Whoever calls it is alone in writing. Where the log cannot be looked at, SQLite
/// goes on as it would without: what lies behind its end it never reads.
pub(super) fn trim(_alone: &Connection, path: &Path) {
    match try_trim(path) {
        Ok(0) => {}
        Ok(pages) => tracing::warn!(
            "the journal's log ended in what was not written whole, and was cut off before that ({pages} pages): a \
             process or the power went while it was written, or it was damaged"
        ),
        Err(error) => {
            tracing::debug!(error = &*error, "nobody has looked behind the end of the journal's log");
        }
    }
}

/// How many pages of the torn tail were cut off.
fn try_trim(path: &Path) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    let mut log = match private::options().read(true).write(true).open(file_of(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        opened => opened?,
    };
    let length = log.metadata()?.len();
    let Some((end, page)) = end(path)? else { return Ok(0) };
    if length <= end {
        return Ok(0);
    }
    let torn = torn_pages(&mut log, end, page, length)?;
    if torn > 0 {
        log.set_len(end)?;
    }
    Ok(torn)
}

/// How many pages behind the end were written since the log was begun anew. Only their headers are read.
fn torn_pages(log: &mut File, end: u64, page: u64, length: u64) -> io::Result<u64> {
    let mut header = [0; HEADER as usize];
    log.seek(SeekFrom::Start(0))?;
    log.read_exact(&mut header)?;
    let salts = &header[SALTS..SALTS + 8];
    let mut torn = 0;
    let mut at = end;
    while at + PAGE_HEADER <= length {
        let mut header = [0; PAGE_HEADER as usize];
        log.seek(SeekFrom::Start(at))?;
        log.read_exact(&mut header)?;
        torn += u64::from(header[PAGE_SALTS..PAGE_SALTS + 8] == *salts);
        at += page;
    }
    Ok(torn)
}
