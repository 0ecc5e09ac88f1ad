//! Runs meet in a file of the results directory: `limits.db`, an SQLite database beside the journal's.
//!
//! It is not the journal's own, because it needs none of its promises and must not wait for its syncs.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};
use sortie_core::limit::{GateSpec, Learned};
use sortie_core::time::Time;

use super::{FORGOTTEN_AFTER, GONE_AFTER, Met, Sharing, Used, name_of};
use crate::private;

/// The file in the results directory.
const FILE: &str = "limits.db";

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

/// The file where runs meet.
#[derive(Debug)]
pub struct SharedFile {
    /// Nobody else asks it; a connection that only one thread may look at could not be driven by a task.
    db: Mutex<Connection>,
    user: String,
}

impl SharedFile {
    /// The meeting place of all runs of this results directory, for a run that calls itself `user`. None
    /// where it cannot be opened; the log says why.
    pub fn open(results_dir: &Path, user: &str) -> Option<Self> {
        let opened = private::create_dir(results_dir)
            .and_then(|()| private::open(&results_dir.join(FILE)).map(drop))
            .map_err(|error| error.to_string())
            .and_then(|()| connect(&results_dir.join(FILE)).map_err(|error| error.to_string()));
        match opened {
            Ok(db) => Some(SharedFile { db: Mutex::new(db), user: user.to_owned() }),
            Err(error) => {
                tracing::warn!(%error, "limits are not shared with other runs: {FILE} cannot be opened");
                None
            }
        }
    }

    fn db(&mut self) -> &mut Connection {
        self.db.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Meets the others at the moment that `clock` tells.
    fn try_meet(
        &mut self,
        gates: &[Used],
        now: Time,
        clock: impl FnOnce(&Connection) -> rusqlite::Result<Time>,
    ) -> rusqlite::Result<Vec<Met>> {
        let user = self.user.clone();
        let tx = self.db().transaction_with_behavior(TransactionBehavior::Immediate)?;
        let moment = clock(&tx)?;
        let met = gates.iter().map(|used| met(&tx, &user, used, moment, now)).collect::<Result<_, _>>()?;
        tx.commit()?;
        Ok(met)
    }
}

impl Sharing for SharedFile {
    fn meet(&mut self, gates: &[Used], now: Time) -> Option<Vec<Met>> {
        let met = self.try_meet(gates, now, moment_of);
        met.inspect_err(|error| tracing::debug!(%error, "other runs were not met")).ok()
    }

    fn leave(&mut self) {
        let user = self.user.clone();
        if let Err(error) = self.db().execute("DELETE FROM users WHERE user = ?1", [&user]) {
            tracing::debug!(%error, "others will think for a moment that the run goes on");
        }
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.pragma_update(None, "trusted_schema", false)?;
    // What a power cut takes of this is found out again.
    db.pragma_update(None, "synchronous", "off")?;
    db.execute_batch(SCHEMA)?;
    Ok(db)
}

/// What time it is by the clock that all who meet here read. A run's own goes its own way: it is anchored
/// once, and may go on from where an earlier process was.
fn moment_of(db: &Connection) -> rusqlite::Result<Time> {
    let seconds: f64 = db.query_row("SELECT unixepoch('subsec')", [], |row| row.get(0))?;
    Ok(Time::from_micros((seconds * 1e6) as u64))
}

/// A run uses a gate at this moment, and hears of the others who do; `now` is its own time.
fn met(tx: &Transaction<'_>, user: &str, used: &Used, moment: Time, now: Time) -> rusqlite::Result<Met> {
    let micros = |time: Time| time.micros().cast_signed();
    let gate = &used.gate;
    if used.now {
        tx.execute(
            "INSERT INTO users VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET seen = excluded.seen",
            params![gate, user, micros(moment)],
        )?;
    }
    // Who was seen long after this moment was seen before the clock was set back, and may be gone.
    tx.execute(
        "DELETE FROM users WHERE gate = ?1 AND seen NOT BETWEEN ?2 AND ?3",
        params![gate, micros(moment - GONE_AFTER), micros(moment + GONE_AFTER)],
    )?;
    let others: u32 = tx.query_row(
        "SELECT count(*) FROM users WHERE gate = ?1 AND user <> ?2",
        [gate.as_str(), user],
        |row| row.get(0),
    )?;
    if let Some(learned) = &used.learned
        && let Ok(json) = serde_json::to_string(learned)
    {
        tx.execute(
            "INSERT INTO learned VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET at = excluded.at, learned = excluded.learned",
            params![gate, micros(learned.at), json],
        )?;
    }
    Ok(Met { users: others + 1, learned: learned_of(tx, gate, now)? })
}

fn learned_of(db: &Connection, gate: &str, now: Time) -> rusqlite::Result<Option<Learned>> {
    let since = (now - FORGOTTEN_AFTER).micros().cast_signed();
    let known = db
        .query_row("SELECT learned FROM learned WHERE gate = ?1 AND at >= ?2", params![gate, since], |row| {
            row.get::<_, String>(0)
        })
        .optional()?;
    // What another version wrote may be more than this one reads, and what is damaged may say anything.
    let learned = known.and_then(|json| serde_json::from_str(&json).ok()).filter(Learned::is_sane);
    // What is learned in the future was learned before the clock was set back.
    Ok(learned.map(|learned| Learned { at: learned.at.min(now), ..learned }))
}

/// What the runs of this results directory have learned of these gates, in their order. Nothing where
/// nobody has, or where it cannot be read.
pub fn learned(results_dir: &Path, gates: &[GateSpec], now: Time) -> Vec<Option<Learned>> {
    let only_read = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(results_dir.join(FILE), only_read);
    let db = db.and_then(|db| {
        db.busy_timeout(BUSY_TIMEOUT)?;
        db.pragma_update(None, "trusted_schema", false)?;
        Ok(db)
    });
    let of = |gate: &GateSpec| learned_of(db.as_ref().ok()?, &name_of(gate), now).ok()?;
    gates.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn second(n: u64) -> Time {
        Time::from_micros(1_800_000_000_000_000 + n * 1_000_000)
    }

    fn used(learned: Option<Learned>) -> [Used; 1] {
        [Used { gate: "a/m".into(), now: true, learned }]
    }

    /// How many use the gate, by who meets there at a moment.
    fn users(file: &mut SharedFile, used: &[Used], moment: Time) -> u32 {
        file.try_meet(used, second(0), |_| Ok(moment)).unwrap()[0].users
    }

    #[test]
    fn runs_see_each_other_while_they_are_there() {
        let dir = tempfile::tempdir().unwrap();
        let mut one = SharedFile::open(dir.path(), "one").unwrap();
        let mut two = SharedFile::open(dir.path(), "two").unwrap();
        assert_eq!(users(&mut one, &used(None), second(0)), 1);
        assert_eq!(users(&mut two, &used(None), second(1)), 2);
        assert_eq!(users(&mut one, &used(None), second(1)), 2);
        let other = [Used { gate: "b/m".into(), now: true, learned: None }];
        assert_eq!(users(&mut two, &other, second(2)), 1);
        // Who dies says nothing more.
        assert_eq!(users(&mut one, &used(None), second(5)), 2);
        assert_eq!(users(&mut one, &used(None), second(6)), 1);
        assert_eq!(users(&mut two, &used(None), second(6)), 2);
        one.leave();
        assert_eq!(users(&mut two, &used(None), second(6)), 1);
    }

    #[test]
    fn runs_whose_clocks_differ_see_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let mut one = SharedFile::open(dir.path(), "one").unwrap();
        let mut two = SharedFile::open(dir.path(), "two").unwrap();
        // By the real clock; a machine that stands still for seconds may separate them now and then.
        let see_each_other = (0..100).any(|_| {
            let users = |file: &mut SharedFile, now| file.meet(&used(None), second(now)).unwrap()[0].users;
            users(&mut one, 3600);
            [users(&mut two, 0), users(&mut one, 3600)] == [2, 2]
        });
        assert!(see_each_other);
    }

    #[test]
    fn who_was_seen_before_the_clock_was_set_back_counts_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let mut one = SharedFile::open(dir.path(), "one").unwrap();
        let mut two = SharedFile::open(dir.path(), "two").unwrap();
        assert_eq!(users(&mut one, &used(None), second(3600)), 1);
        assert_eq!(users(&mut two, &used(None), second(3596)), 2);
        assert_eq!(users(&mut two, &used(None), second(3595)), 1);
        assert_eq!(users(&mut one, &used(None), second(3595)), 2);
    }

    #[test]
    fn a_meeting_that_fails_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut one = SharedFile::open(dir.path(), "one").unwrap();
        let mut two = SharedFile::open(dir.path(), "two").unwrap();
        let writes = two.db().transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        assert_eq!(one.meet(&used(None), second(0)), None);
        drop(writes);
        assert!(one.meet(&used(None), second(0)).is_some());
    }

    #[test]
    fn what_is_damaged_or_was_learned_in_the_future_parks_no_run() {
        let dir = tempfile::tempdir().unwrap();
        let mut one = SharedFile::open(dir.path(), "one").unwrap();
        let learned = Learned { at: second(3600), quotas: Vec::new(), rate: Some(2.5) };
        drop(one.meet(&used(Some(learned.clone())), second(3600)));
        let mut reads = |json: &str| {
            one.db().execute("UPDATE learned SET learned = ?1", [json]).unwrap();
            one.meet(&used(None), second(0)).unwrap().remove(0).learned
        };
        let good = serde_json::to_string(&learned).unwrap();
        assert_eq!(reads(&good), Some(Learned { at: second(0), ..learned }));
        let quota = |limit: &str, granted: &str| {
            format!(
                r#"{{"at":0,"rate":1.0,"quotas":[{{"dimension":"requests","limit":{limit},"burst":null,"granted":{granted},"missing":0}}]}}"#
            )
        };
        assert!(reads(&quota("60", "9")).is_some());
        for absurd in [
            &good.replace("2.5", "-5.0"),
            &good.replace("2.5", "0.0"),
            &good.replace("2.5", "1e-300"),
            &good.replace("2.5", "1e300"),
            &good.replace("2.5", "NaN"),
            &quota("60", "18446744073709551615"),
            &quota("18446744073709551615", "9"),
            &quota("0", "9"),
            &quota("-1", "9"),
            "",
            "null",
            "[]",
        ] {
            assert_eq!(reads(absurd), None, "{absurd}");
        }
    }

    #[test]
    fn what_one_learns_the_next_knows_for_a_week() {
        let dir = tempfile::tempdir().unwrap();
        let learned = Learned { at: second(0), quotas: Vec::new(), rate: Some(2.5) };
        let mut one = SharedFile::open(dir.path(), "one").unwrap();
        assert_eq!(one.meet(&used(None), second(0)).unwrap()[0].learned, None);
        drop(one.meet(&used(Some(learned.clone())), second(0)));
        let mut two = SharedFile::open(dir.path(), "two").unwrap();
        assert_eq!(two.meet(&used(None), second(86_400)).unwrap()[0].learned, Some(learned));
        assert_eq!(two.meet(&used(None), second(8 * 86_400)).unwrap()[0].learned, None);
    }

    #[test]
    fn a_file_that_is_something_else_shares_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut other = private::open(&dir.path().join(FILE)).unwrap();
        other
            .write_all("no database, but longer than its header would have been".repeat(9).as_bytes())
            .unwrap();
        assert!(SharedFile::open(dir.path(), "one").is_none());
    }
}
