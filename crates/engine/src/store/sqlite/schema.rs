//! How the database is opened, and what is in it.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};
use sortie_core::run::event::FORMAT;

use super::{Durability, log};
use crate::private::{create, create_dir, sync_dir};
use crate::store::StoreError;

/// The journal's file in the results directory.
pub(super) const FILE: &str = "sortie.db";

/// Says in the file's header that a database is ours: "srte".
const APPLICATION_ID: i64 = 0x7372_7465;

/// How long to wait while another process writes. Appends take milliseconds; disks were measured
/// to stall for half a second, and a checkpoint syncs twice.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// `runs` has short rows, because every append rewrites one. The sums make a changed, missing or
/// swapped row visible (see [`super::journal`]).
const SCHEMA: &str = "
CREATE TABLE runs (
  run_id    TEXT PRIMARY KEY,
  created   INTEGER NOT NULL, -- microseconds since the Unix epoch, as all times
  plan_name TEXT NOT NULL,    -- of the header, for lists
  tasks     INTEGER NOT NULL, -- of the header, for lists
  epoch     INTEGER NOT NULL, -- counts the owners; who has an older one may not write
  last_seq  INTEGER NOT NULL,
  last_sum  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE headers (
  run_id TEXT PRIMARY KEY REFERENCES runs,
  header TEXT NOT NULL,       -- JSON
  sum    TEXT NOT NULL        -- over run_id and header
) STRICT;

CREATE TABLE records (
  run_id TEXT NOT NULL REFERENCES runs,
  seq    INTEGER NOT NULL,    -- from 1 without gaps
  at     INTEGER NOT NULL,
  event  TEXT NOT NULL,       -- JSON
  sum    TEXT NOT NULL,       -- over the sum before it, seq, at and event
  PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE outputs (
  hash TEXT PRIMARY KEY,      -- SHA-256 of the text
  text TEXT NOT NULL
) STRICT;
";

/// Opens the database in this directory, and creates what is missing.
pub(super) fn open(results_dir: &Path, durability: Durability) -> Result<Connection, StoreError> {
    create_dir(results_dir)
        .map_err(StoreError::io(format!("create the results directory {}", results_dir.display())))?;
    let path = results_dir.join(FILE);
    // SQLite gives the files it puts beside a database the permissions of the database.
    create(&path).map_err(StoreError::io(format!("open the journal {}", path.display())))?;
    // One process at a time: while the journal mode changes, SQLite answers "locked" at once
    // instead of waiting. The lock is the directory's own, so that it leaves no file.
    let directory = File::open(results_dir).and_then(|directory| directory.lock().map(|()| directory));
    let _alone = directory.map_err(StoreError::io(format!("lock {}", results_dir.display())))?;
    // The names of the journal's files survive a power cut only once their directory is synced. SQLite does
    // that too, but goes on where it fails; so the name of the database is durable before SQLite asks, and
    // that of its write-ahead log before the first commit to it.
    let sync = || {
        sync_dir(results_dir).map_err(StoreError::io(format!("sync the directory {}", results_dir.display())))
    };
    sync()?;
    let db = connect(&path, durability).map_err(|error| match error {
        Opening::Format(found) => StoreError::Format { found, known: FORMAT },
        Opening::Foreign => StoreError::NotAJournal(path.clone()),
        Opening::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            StoreError::NotAJournal(path.clone())
        }
        Opening::Sqlite(error) => StoreError::io(format!("open the journal {}", path.display()))(error),
        Opening::NoLog => StoreError::io(format!("open the journal {}", path.display()))(
            "write-ahead logging could not be turned on: the disk failed, or its file system does not share memory",
        ),
    })?;
    sync()?;
    Ok(db)
}

/// Begins to write, once nobody else does: nothing is written yet, so to wait for long costs nothing but time. Whoever
/// waits is told.
pub(super) fn begin(db: &Connection) -> rusqlite::Result<Transaction<'_>> {
    let mut tries = 0_u64;
    loop {
        match Transaction::new_unchecked(db, TransactionBehavior::Immediate) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                tries += 1;
                if tries.is_power_of_two() {
                    let seconds = BUSY_TIMEOUT.as_secs() * tries;
                    tracing::warn!(
                        "another process has been writing to the journal for {seconds} s, or stands still while it \
                         does: waiting for it; nothing is lost meanwhile"
                    );
                }
            }
            begun => return begun,
        }
    }
}

/// Why a database could not be opened.
enum Opening {
    Sqlite(rusqlite::Error),
    Format(u32),
    Foreign,
    NoLog,
}

impl From<rusqlite::Error> for Opening {
    fn from(error: rusqlite::Error) -> Self {
        Opening::Sqlite(error)
    }
}

fn connect(path: &Path, durability: Durability) -> Result<Connection, Opening> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "trusted_schema", false)?;
    match durability {
        Durability::Synced => {
            db.pragma_update(None, "synchronous", "full")?;
            // On macOS a plain fsync leaves the data in the drive's cache.
            db.pragma_update(None, "fullfsync", true)?;
        }
        // Not `off`: the file is shared with runs whose appends are synced, and an unsynced
        // checkpoint of ours could lose what they were promised.
        Durability::Unsynced => db.pragma_update(None, "synchronous", "normal")?,
    }
    let creating = begin(&db)?;
    // Nobody else writes now, and what SQLite takes for the end of the log is the end.
    log::trim(&creating, path);
    if let Found::Empty = check_format(&creating)? {
        creating.execute_batch(SCHEMA)?;
        creating.pragma_update(None, "application_id", APPLICATION_ID)?;
        creating.pragma_update(None, "user_version", FORMAT)?;
    }
    creating.commit()?;
    // Only now: it writes to the file, and what is not ours stays as it is. Where it fails SQLite goes on
    // in the mode before, in which a power cut may undo the last commit, and says so in the mode that it
    // answers with, or as an error behind that.
    let mut mode = String::new();
    let mut switch = db.prepare("PRAGMA journal_mode = wal")?;
    let mut answers = switch.query([])?;
    while let Some(answer) = answers.next()? {
        mode = answer.get(0)?;
    }
    drop(answers);
    drop(switch);
    if mode != "wal" {
        return Err(Opening::NoLog);
    }
    // The first look creates the log, so that its name can be made durable.
    db.query_row("SELECT count(*) FROM runs", [], |_| Ok(()))?;
    Ok(db)
}

/// What a database that we may write to holds.
enum Found {
    Empty,
    Ours,
}

fn check_format(db: &Connection) -> Result<Found, Opening> {
    let number = |pragma| db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (number("application_id")?, number("user_version")?) {
        (APPLICATION_ID, format) if format == i64::from(FORMAT) => Ok(Found::Ours),
        (APPLICATION_ID, format) => Err(Opening::Format(u32::try_from(format).unwrap_or(0))),
        (0, 0) if tables == 0 => Ok(Found::Empty),
        _ => Err(Opening::Foreign),
    }
}
