//! Which request was answered by which record: an index over the records themselves, so that it can never say
//! anything else than they do. It is made when it is first asked, and SQLite keeps it from then on.

use rusqlite::{OptionalExtension, TransactionBehavior};
use sortie_core::hash::Hash;
use sortie_core::run::event::Answer;

use super::journal::{Journal, Row};
use crate::store::{StoreError, answer_to};

/// Partial: most records are no answers.
const INDEX: &str = "CREATE INDEX IF NOT EXISTS answers ON records (event ->> '$.answer.request')
     WHERE event ->> '$.answer.request' IS NOT NULL";

/// The second condition is the index's own, or SQLite does not take it.
pub(super) const QUERY: &str = "SELECT run_id, seq, at, event FROM records
     WHERE event ->> '$.answer.request' = ?1 AND event ->> '$.answer.request' IS NOT NULL
     ORDER BY at DESC LIMIT 1";

impl Journal {
    pub(super) fn answered(&mut self, request: &Hash) -> Result<Option<(String, Answer)>, StoreError> {
        let looking = || StoreError::io(format!("look for an answer to {request} in the journal"));
        if !self.answers_are_indexed {
            let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(looking())?;
            tx.execute_batch(INDEX).map_err(looking())?;
            tx.commit().map_err(looking())?;
            self.answers_are_indexed = true;
        }
        let found: Option<(String, Row)> = self
            .db
            .prepare_cached(QUERY)
            .and_then(|mut query| {
                query
                    .query_row([request.to_string()], |row| {
                        Ok((row.get(0)?, Row { seq: row.get(1)?, at: row.get(2)?, event: row.get(3)? }))
                    })
                    .optional()
            })
            .map_err(looking())?;
        // What is damaged is no answer; whoever reads its run is told.
        let Some((run, record)) = found.and_then(|(run, row)| Some((run, row.record().ok()?))) else {
            return Ok(None);
        };
        let answer = answer_to(request, &record).cloned();
        let answer = answer.filter(|answer| self.output(&answer.output).is_ok());
        Ok(answer.map(|answer| (run, answer)))
    }
}
