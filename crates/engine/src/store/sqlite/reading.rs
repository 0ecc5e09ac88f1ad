//! How a run is read back, every sum checked, and how the sound beginning of a damaged one is saved.

use std::sync::Arc;

use rusqlite::types::FromSql;
use rusqlite::{OptionalExtension, Transaction, params};
use sortie_core::hash::Hash;
use sortie_core::run::event::{Event, Record};
use sortie_core::run::revise::Revision;

use super::journal::Row;
use crate::store::{Header, Salvaged, StoreError};

/// 64 bits are enough against chance; nobody is kept from forging a journal of their own.
pub(super) fn sum(text: &str) -> String {
    let mut sum = Hash::of(text.as_bytes()).to_string();
    sum.truncate(16);
    sum
}

/// Where a run's chain of sums begins.
pub(super) fn header_sum(run_id: &str, header: &str) -> String {
    sum(&format!("{run_id}\n{header}"))
}

/// A run as far as it is as it was written.
struct Sound {
    header: Header,
    records: Vec<Record>,
    /// The sum of the last of them.
    sum: String,
    /// Why it does not go on; none where it is whole.
    broken: Option<String>,
}

/// The header and the records of a run, of which at least so many were durable.
pub(super) fn read(
    tx: &Transaction<'_>,
    run_id: &str,
    durable: Option<u64>,
) -> Result<(Header, Vec<Record>), StoreError> {
    let Sound { header, mut records, broken, .. } = sound(tx, run_id, durable)?;
    if let Some(what) = broken {
        return Err(StoreError::Damaged { run: run_id.to_owned(), what });
    }
    for record in &mut records {
        if let Event::PlanChanged { header, revision, .. } = &mut record.event {
            *revision = Some(Arc::new(revised(tx, run_id, header)?));
        }
    }
    Ok((header, records))
}

/// What a run goes on with after its plan was changed.
fn revised(tx: &Transaction<'_>, run_id: &str, hash: &Hash) -> Result<Revision, StoreError> {
    let damaged = |what: String| StoreError::Damaged { run: run_id.to_owned(), what };
    let text: Option<String> = tx
        .query_row("SELECT text FROM outputs WHERE hash = ?1", [hash.to_string()], |row| row.get(0))
        .optional()
        .map_err(StoreError::io(format!("read run {run_id:?} from the journal")))?;
    let text = text.ok_or_else(|| damaged("the plan that it was changed to is missing".to_owned()))?;
    if Hash::of(text.as_bytes()) != *hash {
        return Err(damaged("the plan that it was changed to is not as it was written".to_owned()));
    }
    serde_json::from_str(&text).map_err(|error| {
        damaged(format!("the plan that it was changed to is none that this program knows: {error}"))
    })
}

/// Where a run stops being as it was written.
pub(super) struct Flaw {
    /// What cutting it off there comes to.
    pub(super) salvaged: Salvaged,
    /// The sum of the last record that is kept.
    sum: String,
}

/// Where a run, of which at least so many records were durable, stops being as it was written. None where it is whole.
pub(super) fn flaw_of(
    tx: &Transaction<'_>,
    run_id: &str,
    durable: Option<u64>,
) -> Result<Option<Flaw>, StoreError> {
    let Sound { records, sum, broken, .. } = sound(tx, run_id, durable)?;
    let Some(what) = broken else { return Ok(None) };
    let kept = records.len() as u64;
    let behind: i64 = tx
        .query_row(
            "SELECT count(*) FROM records WHERE run_id = ?1 AND seq > ?2",
            params![run_id, kept.cast_signed()],
            |row| row.get(0),
        )
        .map_err(StoreError::io(format!("read run {run_id:?} from the journal")))?;
    // Those that are not even there any more are dropped, too.
    let dropped = behind.cast_unsigned().max(durable.unwrap_or(0).saturating_sub(kept));
    Ok(Some(Flaw { salvaged: Salvaged { kept, dropped, what }, sum }))
}

/// Cuts a run off there.
pub(super) fn cut_off(tx: &Transaction<'_>, run_id: &str, flaw: &Flaw) -> rusqlite::Result<()> {
    let kept = flaw.salvaged.kept.cast_signed();
    tx.execute("DELETE FROM records WHERE run_id = ?1 AND seq > ?2", params![run_id, kept])?;
    let end = params![run_id, kept, flaw.sum];
    tx.execute("UPDATE runs SET last_seq = ?2, last_sum = ?3 WHERE run_id = ?1", end)?;
    Ok(())
}

fn sound(tx: &Transaction<'_>, run_id: &str, durable: Option<u64>) -> Result<Sound, StoreError> {
    let reading = || StoreError::io(format!("read run {run_id:?} from the journal"));
    let end: Option<(i64, String)> = tx
        .query_row("SELECT last_seq, last_sum FROM runs WHERE run_id = ?1", [run_id], pair)
        .optional()
        .map_err(reading())?;
    let (last_seq, last_sum) = end.ok_or_else(|| StoreError::NoSuchRun(run_id.to_owned()))?;
    let (header, mut sum) = header(tx, run_id)?;
    let mut query = tx
        .prepare("SELECT seq, at, event, sum FROM records WHERE run_id = ?1 ORDER BY seq")
        .map_err(reading())?;
    let mut rows = query.query([run_id]).map_err(reading())?;
    let mut records = Vec::new();
    let mut broken = None;
    while let Some(row) = rows.next().map_err(reading())? {
        let kept: String = row.get(3).map_err(reading())?;
        let row = row_of(row, 0).map_err(reading())?;
        broken = flaw(records.len() as u64 + 1, &row, &sum, &kept);
        if broken.is_some() {
            break;
        }
        // Nothing to be cut off: a later program wrote it.
        let unknown = |what| StoreError::Damaged { run: run_id.to_owned(), what };
        records.push(parsed(&row).map_err(unknown)?);
        sum = kept;
    }
    if broken.is_none() && (records.len() as u64, &sum) != (last_seq.cast_unsigned(), &last_sum) {
        broken = Some(format!("it ends at record {}, not at record {last_seq}", records.len()));
    }
    let there = records.len() as u64;
    if let (None, Some(durable)) = (&broken, durable.filter(|durable| *durable > there)) {
        broken = Some(format!(
            "it ends at record {there}, and was durable up to record {durable}: its write-ahead log was damaged, or an \
             older journal is in its place"
        ));
    }
    Ok(Sound { header, records, sum, broken })
}

/// What is wrong with a row that is due after one with the sum `before`.
fn flaw(due: u64, row: &Row, before: &str, kept: &str) -> Option<String> {
    if row.seq.cast_unsigned() != due {
        Some(format!("record {due} is missing"))
    } else if row.sum(before) != kept {
        Some(format!("record {due} is not as it was written"))
    } else {
        None
    }
}

/// The header of a run, and its sum.
fn header(tx: &Transaction<'_>, run_id: &str) -> Result<(Header, String), StoreError> {
    let damaged = |what: String| StoreError::Damaged { run: run_id.to_owned(), what };
    let row: Option<(String, String)> = tx
        .query_row("SELECT header, sum FROM headers WHERE run_id = ?1", [run_id], pair)
        .optional()
        .map_err(StoreError::io(format!("read run {run_id:?} from the journal")))?;
    let (json, sum) = row.ok_or_else(|| damaged("its header is missing".to_owned()))?;
    if sum != header_sum(run_id, &json) {
        return Err(damaged("its header is not as it was written".to_owned()));
    }
    let header = serde_json::from_str(&json);
    let header =
        header.map_err(|error| damaged(format!("its header is none that this program knows: {error}")))?;
    Ok((header, sum))
}

/// A row as a record; else what is wrong with it.
pub(super) fn parsed(row: &Row) -> Result<Record, String> {
    let unknown = |error| format!("record {} is none that this program knows: {error}", row.seq);
    row.record().map_err(unknown)
}

/// The two columns of a row.
fn pair<A: FromSql, B: FromSql>(row: &rusqlite::Row<'_>) -> rusqlite::Result<(A, B)> {
    Ok((row.get(0)?, row.get(1)?))
}

/// `seq, at, event`, from this column on.
pub(super) fn row_of(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Row> {
    Ok(Row { seq: row.get(column)?, at: row.get(column + 1)?, event: row.get(column + 2)? })
}
