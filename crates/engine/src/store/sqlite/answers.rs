//! Which request was answered by which record: an index over the records themselves, so that it can never say
//! anything else than they do. It is made when it is first asked, and SQLite keeps it from then on.

use sortie_core::hash::Hash;
use sortie_core::run::event::Answer;

use super::journal::{Journal, Row};
use super::reading::row_of;
use super::schema::begin;
use crate::store::{StoreError, answer_to};

/// Partial: most records are no answers.
const INDEX: &str = "CREATE INDEX IF NOT EXISTS answers ON records (event ->> '$.answer.request')
     WHERE event ->> '$.answer.request' IS NOT NULL";

/// The second condition is the index's own, or SQLite does not take it. Each with the sum that it has to have and that
/// of what comes before it.
pub(super) const QUERY: &str = "SELECT run_id, seq, at, event, sum, CASE seq
       WHEN 1 THEN (SELECT sum FROM headers WHERE headers.run_id = records.run_id)
       ELSE (SELECT sum FROM records AS r WHERE r.run_id = records.run_id AND r.seq = records.seq - 1)
     END FROM records
     WHERE event ->> '$.answer.request' = ?1 AND event ->> '$.answer.request' IS NOT NULL
     ORDER BY at DESC";

/// An answer as its record has it.
struct Candidate {
    run: String,
    row: Row,
    /// Whether it is as it was written.
    is_sound: bool,
}

impl Candidate {
    fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let (sum, before): (String, Option<String>) = (row.get(4)?, row.get(5)?);
        let (run, row) = (row.get(0)?, row_of(row, 1)?);
        let is_sound = before.is_some_and(|before| row.sum(&before) == sum);
        Ok(Candidate { run, row, is_sound })
    }
}

impl Journal {
    pub(super) fn answered(&mut self, request: &Hash) -> Result<Option<(String, Answer)>, StoreError> {
        let looking = || StoreError::io(format!("look for an answer to {request} in the journal"));
        if !self.answers_are_indexed {
            let tx = begin(&self.db).map_err(looking())?;
            tx.execute_batch(INDEX).map_err(looking())?;
            tx.commit().map_err(looking())?;
            self.answers_are_indexed = true;
        }
        let mut query = self.db.prepare_cached(QUERY).map_err(looking())?;
        let mut rows = query.query([request.to_string()]).map_err(looking())?;
        while let Some(row) = rows.next().map_err(looking())? {
            // What is damaged is no answer, and an older one may be whole; whoever reads its run is told.
            let Candidate { run, row, is_sound } = Candidate::of(row).map_err(looking())?;
            let Some(record) = row.record().ok().filter(|_| is_sound) else { continue };
            if let Some(answer) = answer_to(request, &record)
                && self.output(&answer.output).is_ok()
            {
                return Ok(Some((run, answer.clone())));
            }
        }
        Ok(None)
    }
}
