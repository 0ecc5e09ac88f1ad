//! What the journal's thread does.
//!
//! # Transactions
//! Whoever writes keeps every other run of the results directory from writing, so those that write are short: a whole run
//! is read in one that only reads, once it is owned.
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
use super::reading::{cut_off, flaw_of, header_sum, parsed, read, row_of, sum};
use super::{Durability, log, owner, schema};
use crate::store::{Header, Listed, Output, Salvaged, StoreError};

/// The open database and the runs that we own.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) db: Connection,
    /// Whether this process has seen to the index of answers.
    pub(super) answers_are_indexed: bool,
    /// Whether an append that succeeded survives a power cut.
    is_synced: bool,
    results_dir: PathBuf,
    owned: HashMap<String, Ownership>,
}

/// Our hold on a run.
#[derive(Debug)]
struct Ownership {
    /// Held while we own it.
    owner: Owner,
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
            is_synced: durability == Durability::Synced,
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
        let tx = schema::begin(&self.db).map_err(creating())?;
        if epoch(&tx, run_id).map_err(creating())?.is_some() {
            return Err(StoreError::Exists(run_id.clone()));
        }
        if is_taken(&self.results_dir.join(run_id)) {
            return Err(StoreError::Exists(run_id.clone()));
        }
        let mut owner = Owner::take(&self.results_dir, run_id)?;
        owner.note(0); // whatever a run of this name has left
        insert_run(&tx, header, &json).map_err(creating())?;
        tx.commit().map_err(creating())?;
        self.owned.insert(run_id.clone(), Ownership { owner, epoch: 1, in_doubt: false });
        Ok(())
    }

    pub(super) fn take_over(&mut self, run_id: &str) -> Result<(Header, Vec<Record>), StoreError> {
        self.release(run_id);
        let owning = self.take(run_id)?;
        let journal = self.read_to(run_id, owning.owner.durable())?;
        self.owned.insert(run_id.to_owned(), owning);
        Ok(journal)
    }

    /// Takes a run over that nobody owns. Whoever had it and has not noticed can write no more.
    fn take(&mut self, run_id: &str) -> Result<Ownership, StoreError> {
        let taken = self.try_take(run_id);
        self.whole_or_not_at_all(taken)
    }

    fn try_take(&self, run_id: &str) -> Result<Ownership, StoreError> {
        let opening = || StoreError::io(format!("open run {run_id:?} in the journal"));
        let tx = schema::begin(&self.db).map_err(opening())?;
        let Some(before) = epoch(&tx, run_id).map_err(opening())? else {
            return Err(self.no_such_run(run_id));
        };
        let owner = Owner::take(&self.results_dir, run_id)?;
        let epoch = before.wrapping_add(1);
        tx.execute("UPDATE runs SET epoch = ?2 WHERE run_id = ?1", params![run_id, epoch])
            .map_err(opening())?;
        tx.commit().map_err(opening())?;
        Ok(Ownership { owner, epoch, in_doubt: false })
    }

    /// There is no such run, or none any more.
    fn no_such_run(&self, run_id: &str) -> StoreError {
        match owner::durable(&self.results_dir, run_id) {
            Some(records @ 1..) => {
                let what = format!("it had {records} records, and none is there");
                StoreError::Damaged { run: run_id.to_owned(), what }
            }
            Some(0) | None => StoreError::NoSuchRun(run_id.to_owned()),
        }
    }

    /// Cuts off what is damaged of a run that nobody owns.
    pub(super) fn salvage(&mut self, run_id: &str) -> Result<Option<Salvaged>, StoreError> {
        let mut alone = self.take(run_id)?.owner;
        let cutting = format!("cut off what is damaged of run {run_id:?}");
        let reading = self.reading(run_id)?;
        let Some(flaw) = flaw_of(&reading, run_id, alone.durable())? else { return Ok(None) };
        drop(reading);
        let tx = schema::begin(&self.db).map_err(StoreError::io(cutting.clone()))?;
        let cut = cut_off(&tx, run_id, &flaw).and_then(|()| tx.commit()).map_err(StoreError::io(cutting));
        self.whole_or_not_at_all(cut)?;
        alone.note(flaw.salvaged.kept);
        Ok(Some(flaw.salvaged))
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
        // Until this transaction has begun nothing of it can be anywhere.
        let tx = schema::begin(&self.db).map_err(StoreError::io(doing()))?;
        let appended = match append(tx, run_id, ownership.epoch, after, rows, outputs) {
            Ok(Appended::Yes) => {
                if self.is_synced {
                    ownership.owner.note(after.saturating_add(rows.len() as u64));
                }
                Ok(())
            }
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
            && let Err(error) = log::cut(&mut self.db, &self.results_dir.join(schema::FILE))
        {
            tracing::warn!(error = &*error, "what could not be synced may still be in the journal's log");
        }
        done
    }

    pub(super) fn output(&self, hash: &Hash) -> Result<Arc<str>, StoreError> {
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
        let durable = owner::durable(&self.results_dir, run_id);
        self.read_to(run_id, durable)
    }

    /// Reads a run that has at least so many records, or is damaged.
    fn read_to(&self, run_id: &str, durable: Option<u64>) -> Result<(Header, Vec<Record>), StoreError> {
        match read(&self.reading(run_id)?, run_id, durable) {
            Err(StoreError::NoSuchRun(_)) => Err(self.no_such_run(run_id)),
            read => read,
        }
    }

    /// One snapshot for all of a run: its owner may be writing.
    fn reading(&self, run_id: &str) -> Result<Transaction<'_>, StoreError> {
        Transaction::new_unchecked(&self.db, TransactionBehavior::Deferred)
            .map_err(StoreError::io(format!("read run {run_id:?} from the journal")))
    }

    pub(super) fn list(&mut self) -> Result<Vec<Listed>, StoreError> {
        let listing = || StoreError::io("list the runs in the journal");
        let tx = schema::begin(&self.db).map_err(listing())?;
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
    tx: Transaction<'_>,
    run_id: &str,
    epoch: i64,
    after: u64,
    rows: &[Row],
    outputs: &[Output],
) -> rusqlite::Result<Appended> {
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
    // What is there under its hash and is not this text is damaged.
    let mut keep = tx.prepare_cached(
        "INSERT INTO outputs VALUES (?1, ?2)
         ON CONFLICT (hash) DO UPDATE SET text = excluded.text WHERE text <> excluded.text",
    )?;
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
