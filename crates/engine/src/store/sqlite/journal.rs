//! What the journal's thread does: every method is one transaction.
//!
//! # What is checked
//! Every record carries a sum over itself and the sum before it; the chain begins with the header
//! and its end is kept with the run. SQLite's pages have no checksums of their own, and a flipped
//! bit in a price would still be JSON. A read gives what was written, or an error.
//!
//! # Common pitfall
//! Taking an owner's lock, or looking whether it is taken, belongs inside an immediate transaction,
//! of which SQLite lets one run at a time over all processes: the look holds the lock for a moment,
//! and must not be mistaken for an owner.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use sortie_core::hash::Hash;
use sortie_core::run::event::Record;
use sortie_core::time::Time;

use super::owner::{Owner, is_taken};
use super::reading::{header_sum, parsed, read, row_of, salvage, sum};
use super::{Durability, schema};
use crate::store::{Header, Listed, Output, Salvaged, StoreError};

/// The open database and the runs that we own.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) db: Connection,
    /// Whether this process has seen to the index of answers.
    pub(super) answers_are_indexed: bool,
    results_dir: PathBuf,
    owned: HashMap<String, Ownership>,
}

/// Our hold on a run.
#[derive(Debug)]
struct Ownership {
    /// Held while we own it.
    _owner: Owner,
    epoch: i64,
    /// An append failed and may or may not be on the disk.
    in_doubt: bool,
}

/// A record as its row has it.
pub(super) struct Row {
    pub(super) seq: i64,
    pub(super) at: i64,
    pub(super) event: String,
}

impl Row {
    pub(super) fn of(record: &Record) -> Result<Self, StoreError> {
        let event = serde_json::to_string(&record.event)
            .map_err(StoreError::io(format!("write record {} as JSON", record.seq)))?;
        Ok(Row { seq: record.seq.cast_signed(), at: record.at.micros().cast_signed(), event })
    }

    /// The sum of this row after a row with that sum: 64 bits in hexadecimal.
    pub(super) fn sum(&self, before: &str) -> String {
        sum(&format!("{before}\n{} {}\n{}", self.seq, self.at, self.event))
    }

    pub(super) fn record(&self) -> Result<Record, serde_json::Error> {
        Ok(Record {
            seq: self.seq.cast_unsigned(),
            at: Time::from_micros(self.at.cast_unsigned()),
            event: serde_json::from_str(&self.event)?,
        })
    }
}

impl Journal {
    pub(super) fn open(results_dir: &Path, durability: Durability) -> Result<Self, StoreError> {
        let db = schema::open(results_dir, durability)?;
        Ok(Journal {
            db,
            answers_are_indexed: false,
            results_dir: results_dir.to_owned(),
            owned: HashMap::new(),
        })
    }

    pub(super) fn create(&mut self, header: &Header) -> Result<(), StoreError> {
        let created = self.try_create(header);
        self.whole_or_not_at_all(created)
    }

    fn try_create(&mut self, header: &Header) -> Result<(), StoreError> {
        let run_id = &header.run_id;
        let json = serde_json::to_string(header)
            .map_err(StoreError::io(format!("write the header of run {run_id:?} as JSON")))?;
        let creating = || StoreError::io(format!("create run {run_id:?} in the journal"));
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(creating())?;
        if epoch(&tx, run_id).map_err(creating())?.is_some() {
            return Err(StoreError::Exists(run_id.clone()));
        }
        if is_taken(&self.results_dir.join(run_id)) {
            return Err(StoreError::Exists(run_id.clone()));
        }
        let owner = Owner::take(&self.results_dir, run_id)?;
        insert_run(&tx, header, &json).map_err(creating())?;
        tx.commit().map_err(creating())?;
        self.owned.insert(run_id.clone(), Ownership { _owner: owner, epoch: 1, in_doubt: false });
        Ok(())
    }

    pub(super) fn take_over(&mut self, run_id: &str) -> Result<(Header, Vec<Record>), StoreError> {
        let taken = self.try_take_over(run_id);
        self.whole_or_not_at_all(taken)
    }

    fn try_take_over(&mut self, run_id: &str) -> Result<(Header, Vec<Record>), StoreError> {
        let opening = || StoreError::io(format!("open run {run_id:?} in the journal"));
        self.release(run_id);
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(opening())?;
        let Some(before) = epoch(&tx, run_id).map_err(opening())? else {
            return Err(StoreError::NoSuchRun(run_id.to_owned()));
        };
        let owner = Owner::take(&self.results_dir, run_id)?;
        let epoch = before.wrapping_add(1);
        tx.execute("UPDATE runs SET epoch = ?2 WHERE run_id = ?1", params![run_id, epoch])
            .map_err(opening())?;
        let journal = read(&tx, run_id)?;
        tx.commit().map_err(opening())?;
        self.owned.insert(run_id.to_owned(), Ownership { _owner: owner, epoch, in_doubt: false });
        Ok(journal)
    }

    /// Cuts off what is damaged of a run that nobody owns.
    pub(super) fn salvage(&mut self, run_id: &str) -> Result<Option<Salvaged>, StoreError> {
        let salvaged = self.try_salvage(run_id);
        self.whole_or_not_at_all(salvaged)
    }

    fn try_salvage(&mut self, run_id: &str) -> Result<Option<Salvaged>, StoreError> {
        let opening = || StoreError::io(format!("open run {run_id:?} in the journal"));
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(opening())?;
        if epoch(&tx, run_id).map_err(opening())?.is_none() {
            return Err(StoreError::NoSuchRun(run_id.to_owned()));
        }
        let _alone = Owner::take(&self.results_dir, run_id)?;
        let salvaged = salvage(&tx, run_id)?;
        tx.commit().map_err(opening())?;
        Ok(salvaged)
    }

    pub(super) fn release(&mut self, run_id: &str) {
        self.owned.remove(run_id);
    }

    pub(super) fn append(
        &mut self,
        run_id: &str,
        after: u64,
        rows: &[Row],
        outputs: &[Output],
    ) -> Result<(), StoreError> {
        let doing = || format!("append to the journal of run {run_id:?}");
        let Some(ownership) = self.owned.get_mut(run_id) else {
            return Err(StoreError::Fenced(run_id.to_owned()));
        };
        if ownership.in_doubt {
            return Err(StoreError::io(doing())("an append before this one failed"));
        }
        let appended = match append(&mut self.db, run_id, ownership.epoch, after, rows, outputs) {
            Ok(Appended::Yes) => Ok(()),
            Ok(Appended::Fenced) => Err(StoreError::Fenced(run_id.to_owned())),
            Err(error) => {
                ownership.in_doubt = true;
                Err(StoreError::io(doing())(error))
            }
        };
        self.whole_or_not_at_all(appended)
    }

    /// Takes what a failed commit may have left out of the write-ahead log.
    ///
    /// Where its sync failed it is not on the disk, and no later sync brings it there, but the next process
    /// would read it and write behind it: at a power cut all that would be gone with it.
    fn whole_or_not_at_all<T>(&mut self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if matches!(done, Err(StoreError::Io { .. }))
            && let Err(error) = schema::cut_log(&mut self.db, &self.results_dir)
        {
            tracing::warn!(error = &*error, "what could not be synced may still be in the journal's log");
        }
        done
    }

    pub(super) fn output(&mut self, hash: &Hash) -> Result<Arc<str>, StoreError> {
        let text: Option<String> = self
            .db
            .prepare_cached("SELECT text FROM outputs WHERE hash = ?1")
            .and_then(|mut query| query.query_row([hash.to_string()], |row| row.get(0)).optional())
            .map_err(StoreError::io(format!("read the output {hash} from the journal")))?;
        let text = text.ok_or(StoreError::NoSuchOutput(*hash))?;
        if Hash::of(text.as_bytes()) != *hash {
            return Err(StoreError::DamagedOutput(*hash));
        }
        Ok(text.into())
    }

    pub(super) fn read(&mut self, run_id: &str) -> Result<(Header, Vec<Record>), StoreError> {
        // One snapshot for all of it: the run's owner may be writing.
        let tx = self
            .db
            .transaction_with_behavior(TransactionBehavior::Deferred)
            .map_err(StoreError::io(format!("read run {run_id:?} from the journal")))?;
        read(&tx, run_id)
    }

    pub(super) fn list(&mut self) -> Result<Vec<Listed>, StoreError> {
        let listing = || StoreError::io("list the runs in the journal");
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(listing())?;
        let mut query = tx
            .prepare_cached(
                "SELECT runs.run_id, plan_name, created, tasks, seq, at, event, last_sum, CASE last_seq
                   WHEN 1 THEN (SELECT sum FROM headers WHERE headers.run_id = runs.run_id)
                   ELSE (SELECT sum FROM records AS r WHERE r.run_id = runs.run_id AND r.seq = last_seq - 1)
                 END FROM runs
                 LEFT JOIN records ON records.run_id = runs.run_id AND seq = last_seq
                 ORDER BY created DESC, runs.run_id DESC",
            )
            .map_err(listing())?;
        let mut rows = query.query([]).map_err(listing())?;
        let mut runs = Vec::new();
        while let Some(row) = rows.next().map_err(listing())? {
            let (mut listed, last) = listed(row).map_err(listing())?;
            // Whoever reads the run is told what is wrong with it; the others are listed all the same.
            listed.last = last.and_then(|row| parsed(&row).ok());
            listed.owned = Owner::exists(&self.results_dir, &listed.run_id);
            runs.push(listed);
        }
        Ok(runs)
    }
}

/// What came of an append that did not fail.
#[must_use]
enum Appended {
    Yes,
    Fenced,
}

fn append(
    db: &mut Connection,
    run_id: &str,
    epoch: i64,
    after: u64,
    rows: &[Row],
    outputs: &[Output],
) -> rusqlite::Result<Appended> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let ours = "SELECT last_sum FROM runs WHERE run_id = ?1 AND epoch = ?2 AND last_seq = ?3";
    let before: Option<String> = tx
        .prepare_cached(ours)?
        .query_row(params![run_id, epoch, after.cast_signed()], |row| row.get(0))
        .optional()?;
    let Some(mut sum) = before else { return Ok(Appended::Fenced) };
    let mut insert = tx.prepare_cached("INSERT INTO records VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for row in rows {
        sum = row.sum(&sum);
        insert.execute(params![run_id, row.seq, row.at, row.event, sum])?;
    }
    drop(insert);
    let mut keep = tx.prepare_cached("INSERT INTO outputs VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
    for (hash, text) in outputs {
        keep.execute(params![hash.to_string(), &**text])?;
    }
    drop(keep);
    let last = after.cast_signed().saturating_add((rows.len() as u64).cast_signed());
    tx.prepare_cached("UPDATE runs SET last_seq = ?2, last_sum = ?3 WHERE run_id = ?1")?
        .execute(params![run_id, last, sum])?;
    tx.commit()?;
    Ok(Appended::Yes)
}

/// The epoch of a run, if there is such a run.
fn epoch(tx: &Transaction<'_>, run_id: &str) -> rusqlite::Result<Option<i64>> {
    tx.query_row("SELECT epoch FROM runs WHERE run_id = ?1", [run_id], |row| row.get(0)).optional()
}

fn insert_run(tx: &Transaction<'_>, header: &Header, json: &str) -> rusqlite::Result<()> {
    let sum = header_sum(&header.run_id, json);
    tx.execute(
        "INSERT INTO runs (run_id, created, plan_name, tasks, epoch, last_seq, last_sum)
         VALUES (?1, ?2, ?3, ?4, 1, 0, ?5)",
        params![
            header.run_id,
            header.created.micros().cast_signed(),
            header.plan.name(),
            (header.plan.len() as u64).cast_signed(),
            sum,
        ],
    )?;
    tx.execute("INSERT INTO headers VALUES (?1, ?2, ?3)", params![header.run_id, json, sum])?;
    Ok(())
}

fn listed(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Listed, Option<Row>)> {
    let last: Option<i64> = row.get(4)?;
    let last = last.map(|_| row_of(row, 4)).transpose()?;
    // One that is not as it was written is not shown.
    let (sum, before): (String, Option<String>) = (row.get(7)?, row.get(8)?);
    let last = last.filter(|row| before.is_some_and(|before| row.sum(&before) == sum));
    let listed = Listed {
        run_id: row.get(0)?,
        plan_name: row.get(1)?,
        created: Time::from_micros(row.get::<_, i64>(2)?.cast_unsigned()),
        tasks: row.get::<_, i64>(3)?.cast_unsigned(),
        last: None,
        owned: false,
    };
    Ok((listed, last))
}
