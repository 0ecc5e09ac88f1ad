//! The file where runs meet is opened, and begun anew where it is damaged.

use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::private;

/// The file in the results directory.
pub(super) const FILE: &str = "limits.db";

/// The end of the name of one that is damaged, which is moved there.
const DAMAGED: &str = "damaged";

/// The end of the name of SQLite's own journal beside it.
const JOURNAL: &str = "db-journal";

/// How long to wait for another process that writes; a meeting that fails is made up for by the next.
const BUSY_TIMEOUT: Duration = Duration::from_millis(100);

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS users (
  gate TEXT NOT NULL,
  user TEXT NOT NULL,
  seen INTEGER NOT NULL,      -- microseconds since the Unix epoch, by the database's clock
  PRIMARY KEY (gate, user)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS learned (
  gate TEXT PRIMARY KEY,
  at INTEGER NOT NULL,
  learned TEXT NOT NULL       -- JSON
) STRICT, WITHOUT ROWID;
";

/// Why there is no meeting place.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unopened {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// The file at a path, as it has to be; what is damaged there is moved aside, since nothing of it has to last.
pub(super) fn opened(path: &Path) -> Result<Connection, Unopened> {
    // Twice: another run may have moved it aside just now.
    for _ in 0..2 {
        private::create(path)?;
        match connect(path) {
            Err(error) if is_damage(&error) => {}
            opened => return Ok(opened?),
        }
    }
    let aside = path.with_extension(DAMAGED);
    fs::rename(path, &aside)?;
    // Of the one that was damaged: it would be played back into the new one.
    let _ = fs::remove_file(path.with_extension(JOURNAL));
    let [path_shown, aside] = [path, &aside].map(|path| path.display().to_string());
    tracing::warn!("{path_shown} was damaged and is begun anew; it is kept as {aside}");
    private::create(path)?;
    Ok(connect(path)?)
}

/// Whether it says that the file is none of ours, or was.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    use ErrorCode::{DatabaseCorrupt, NotADatabase, Unknown};
    match error {
        // The tables are none, or others: our queries are as they have to be.
        rusqlite::Error::SqlInputError { .. } | rusqlite::Error::InvalidColumnType(..) => true,
        rusqlite::Error::SqliteFailure(error, _) => {
            matches!(error.code, DatabaseCorrupt | NotADatabase | Unknown)
        }
        _ => false,
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.pragma_update(None, "trusted_schema", false)?;
    // What a power cut takes of this is found out again.
    db.pragma_update(None, "synchronous", "off")?;
    db.execute_batch(SCHEMA)?;
    // Whether the tables have the shape that they should have.
    for query in ["SELECT gate, user, seen FROM users", "SELECT gate, at, learned FROM learned"] {
        db.prepare(query)?;
    }
    Ok(db)
}

/// The same only to be read.
pub(super) fn only_read(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.pragma_update(None, "trusted_schema", false)?;
    Ok(db)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use sortie_core::time::Time;

    use super::*;
    use crate::sharing::{SharedFile, Sharing, Used};

    /// How many use the gate, by who meets there; none where the meeting fails.
    fn users(file: &mut SharedFile) -> Option<u32> {
        let used = [Used { gate: "a/m".into(), now: true, learned: None }];
        Some(file.meet(&used, Time::ZERO)?[0].users)
    }

    #[test]
    fn what_is_damaged_is_moved_aside_and_begun_anew() {
        let junk = || "no database, but longer than its header would have been".repeat(9);
        for is_ours in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(FILE);
            if is_ours {
                let db = Connection::open(&path).unwrap();
                db.execute_batch("CREATE TABLE users (gate TEXT, somebody TEXT)").unwrap();
            } else {
                private::open(&path).unwrap().write_all(junk().as_bytes()).unwrap();
            }
            let mut one = SharedFile::open(dir.path(), "one").unwrap();
            let mut two = SharedFile::open(dir.path(), "two").unwrap();
            assert_eq!(users(&mut one), Some(1));
            assert_eq!(users(&mut two), Some(2));
            assert!(dir.path().join("limits.damaged").exists());
        }
    }

    #[test]
    fn what_is_damaged_under_way_is_begun_anew_at_the_next_meeting() {
        let dir = tempfile::tempdir().unwrap();
        let mut one = SharedFile::open(dir.path(), "one").unwrap();
        assert!(users(&mut one).is_some());
        Connection::open(dir.path().join(FILE)).unwrap().execute_batch("DROP TABLE learned").unwrap();
        assert_eq!(users(&mut one), None);
        assert!(users(&mut one).is_some());
        private::open(&dir.path().join(FILE)).unwrap().write_all("none ".repeat(4000).as_bytes()).unwrap();
        let met: Vec<bool> = (0..3).map(|_| users(&mut one).is_some()).collect();
        assert_eq!(met.last(), Some(&true), "{met:?}");
    }
}
