//! Runs meet in a file of the results directory: `limits.db`, an SQLite database beside the journal's.
//!
//! It is not the journal's own, because it needs none of its promises and must not wait for its syncs.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use sortie_core::limit::{GateSpec, Learned};
use sortie_core::time::Time;

use super::opening::{FILE, Unopened, is_damage, only_read, opened};
use super::{FORGOTTEN_AFTER, GONE_AFTER, Met, Sharing, Used, name_of};
use crate::private;

/// So many meetings that fail one after the other are said, once: ten seconds in which nobody was met are no
/// accident.
const FAILURES_SAID: u32 = 10;

/// The file where runs meet.
#[derive(Debug)]
pub struct SharedFile {
    /// Nobody else asks it; a connection that only one thread may look at could not be driven by a task.
    db: Mutex<Connection>,
    path: PathBuf,
    user: String,
    /// Meetings that failed, one after the other.
    failures: u32,
}

impl SharedFile {
    /// The meeting place of all runs of this results directory, for a run that calls itself `user`. One that is
    /// damaged is moved aside. None where it cannot be opened; the log says why.
    pub fn open(results_dir: &Path, user: &str) -> Option<Self> {
        let path = results_dir.join(FILE);
        let opened = private::create_dir(results_dir).map_err(Unopened::Io).and_then(|()| opened(&path));
        match opened {
            Ok(db) => Some(SharedFile { db: Mutex::new(db), path, user: user.to_owned(), failures: 0 }),
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "limits are not shared with other runs");
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
        // Before it is waited for others who write: those who take turns go by it.
        let moment = clock(self.db())?;
        let tx = self.db().transaction_with_behavior(TransactionBehavior::Immediate)?;
        let met = gates.iter().map(|used| met(&tx, &user, used, moment, now)).collect::<Result<_, _>>()?;
        tx.commit()?;
        Ok(met)
    }
}

impl Sharing for SharedFile {
    fn meet(&mut self, gates: &[Used], now: Time) -> Option<Vec<Met>> {
        match self.try_meet(gates, now, moment_of) {
            Ok(met) => {
                self.failures = 0;
                Some(met)
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                tracing::debug!(%error, "other runs were not met");
                if is_damage(&error)
                    && let Ok(db) = opened(&self.path)
                {
                    *self.db() = db;
                }
                if self.failures == FAILURES_SAID {
                    let path = self.path.display();
                    tracing::warn!(%error, %path, "limits are not shared with other runs, as long as this lasts");
                }
                None
            }
        }
    }

    fn leave(&mut self) {
        let user = self.user.clone();
        if let Err(error) = self.db().execute("DELETE FROM users WHERE user = ?1", [&user]) {
            tracing::debug!(%error, "others will think for a moment that the run goes on");
        }
    }
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
    let (others, place) = tx.query_row(
        "SELECT count(*), count(*) FILTER (WHERE user < ?2) FROM users WHERE gate = ?1 AND user <> ?2",
        [gate.as_str(), user],
        |row| Ok((row.get::<_, u32>(0)?, row.get(1)?)),
    )?;
    // What others say is heard before it is written over.
    let learned = learned_of(tx, gate, moment, now)?;
    if let Some(learned) = &used.learned
        && let Ok(json) = serde_json::to_string(learned)
    {
        tx.execute(
            "INSERT INTO learned VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET at = excluded.at, learned = excluded.learned",
            params![gate, micros(moment - now.since(learned.at)), json],
        )?;
    }
    Ok(Met { users: others + 1, place, moment, learned })
}

/// What is known of a gate at this moment, with its time by the clock of who asks, which is `now`.
fn learned_of(db: &Connection, gate: &str, moment: Time, now: Time) -> rusqlite::Result<Option<Learned>> {
    let since = (moment - FORGOTTEN_AFTER).micros().cast_signed();
    let query = "SELECT at, learned FROM learned WHERE gate = ?1 AND at >= ?2";
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
    let Some((at, json)) = db.query_row(query, params![gate, since], read).optional()? else {
        return Ok(None);
    };
    // What another version wrote may be more than this one reads, and what is damaged may say anything.
    let learned = serde_json::from_str(&json).ok().filter(Learned::is_sane);
    // What is learned in the future was learned before the clock was set back.
    let ago = moment.since(Time::from_micros(at.unsigned_abs()));
    Ok(learned.map(|learned| Learned { at: now - ago, ..learned }))
}

/// What the runs of this results directory have learned of these gates, in their order. Nothing where
/// nobody has, or where it cannot be read.
pub fn learned(results_dir: &Path, gates: &[GateSpec], now: Time) -> Vec<Option<Learned>> {
    let db = only_read(&results_dir.join(FILE));
    let moment = db.as_ref().ok().and_then(|db| moment_of(db).ok()).unwrap_or(now);
    let of = |gate: &GateSpec| learned_of(db.as_ref().ok()?, &name_of(gate), moment, now).ok()?;
    gates.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        one.try_meet(&used(Some(learned.clone())), second(3600), |_| Ok(second(3600))).unwrap();
        let mut reads = |json: &str| {
            one.db().execute("UPDATE learned SET learned = ?1", [json]).unwrap();
            one.try_meet(&used(None), second(0), |_| Ok(second(0))).unwrap().remove(0).learned
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
        one.try_meet(&used(Some(learned.clone())), second(0), |_| Ok(second(0))).unwrap();
        let mut two = SharedFile::open(dir.path(), "two").unwrap();
        let mut after =
            |seconds| two.try_meet(&used(None), second(seconds), |_| Ok(second(seconds))).unwrap();
        assert_eq!(after(86_400)[0].learned, Some(learned));
        assert_eq!(after(8 * 86_400)[0].learned, None);
    }

    #[test]
    fn who_comes_last_has_the_last_place_whatever_time_it_is_for_whom() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = ["b", "c", "a"].map(|user| SharedFile::open(dir.path(), user).unwrap());
        let meet = |file: &mut SharedFile, own| {
            let met = file.try_meet(&used(None), second(own), |_| Ok(second(7))).unwrap().remove(0);
            (met.place, met.users, met.moment)
        };
        for own in 0..3 {
            meet(&mut files[own as usize], own);
        }
        let places = [0, 1, 2].map(|own| meet(&mut files[own as usize], own));
        assert_eq!(places, [(1, 3, second(7)), (2, 3, second(7)), (0, 3, second(7))]);
    }

    #[test]
    fn what_was_learned_is_as_old_as_the_common_clock_says() {
        let dir = tempfile::tempdir().unwrap();
        let mut one = SharedFile::open(dir.path(), "one").unwrap();
        let learned = |at| Learned { at, quotas: Vec::new(), rate: Some(2.5) };
        // One's own clock is ten minutes ahead, the other's an hour behind.
        let (ahead, behind) = (second(7_200 + 600), second(3_600));
        one.try_meet(&used(Some(learned(ahead - Duration::from_secs(5)))), ahead, |_| Ok(second(7_200)))
            .unwrap();
        let met = one.try_meet(&used(None), behind, |_| Ok(second(7_230))).unwrap().remove(0);
        assert_eq!(met.learned, Some(learned(behind - Duration::from_secs(35))));
    }
}
