//! Batches: many requests at once, answered within the scenario's time for half the price.
//!
//! Each request of a batch is answered by the same model as one that comes alone. All answers are
//! worked out when the batch is created; what of them is there depends on the time alone, so that
//! nothing here waits. They are billed when the batch has ended, those of a cancelled one as far as
//! it came; what is not worked through when a batch expires never is. They have quotas of their own,
//! and faults of a connection do not reach them.

pub(super) mod anthropic;
mod lines;
pub(super) mod openai;

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;
use sortie_core::hash::Hash;
use sortie_core::usage::Usage;
use sortie_providers::dialect::{Dialect, ServerAnswer, Tier, WireError};

use super::asked::seconds;
use super::reply::Try;
use super::{Asker, Model, Refusal, fingerprint};
use crate::fault::Fault;
use crate::ledger::{Entry, Generation};
use crate::timeline::ServerRequest;
use sortie_core::chance::Chance;

/// How long a cancelled batch takes to stop: requests under way are finished.
const CANCELLING: Duration = Duration::from_millis(500);

/// One request of a batch and what becomes of it.
#[derive(Debug)]
struct Item {
    /// Its name within the batch.
    custom_id: String,
    /// Where it comes in the results, whose order means nothing.
    place: u64,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    Answered {
        body: Value,
        usage: Usage,
        entry: Box<Entry>,
        generation: Generation,
    },
    Refused(WireError),
    /// Nobody ever comes to it: it waits until the batch expires.
    Never,
}

/// A batch of either provider.
#[derive(Debug)]
struct Batch {
    id: String,
    key: String,
    created: Duration,
    /// When it is worked through unless it is cancelled or expires.
    ends: Duration,
    /// When what is not worked through expires.
    expires: Duration,
    cancelled: Option<Duration>,
    items: Vec<Item>,
    is_billed: bool,
    /// What only OpenAI's have.
    job: openai::Job,
}

impl Batch {
    /// When it has ended or will have.
    fn ended_at(&self) -> Duration {
        let worked = if self.has_stuck() { self.expires } else { self.ends.min(self.expires) };
        self.cancelled.map_or(worked, |at| worked.min(at + CANCELLING))
    }

    /// Whether it expired before it was worked through. What was cancelled before that never expires.
    fn has_expired(&self) -> bool {
        (self.expires < self.ends || self.has_stuck())
            && self.cancelled.is_none_or(|at| self.expires < at + CANCELLING)
    }

    fn has_stuck(&self) -> bool {
        self.items.iter().any(|item| matches!(item.outcome, Outcome::Never))
    }

    fn has_ended(&self, now: Duration) -> bool {
        self.ended_at() <= now
    }

    /// Its requests with whether each was answered before the batch ended or was cancelled.
    fn worked(&self) -> impl Iterator<Item = (&Item, bool)> {
        self.worked_by(self.ends)
    }

    /// Its requests with whether each is answered by then: they are worked through evenly, until the
    /// batch is cancelled.
    fn worked_by(&self, then: Duration) -> impl Iterator<Item = (&Item, bool)> {
        let time = self.ends.saturating_sub(self.created);
        let until = self.cancelled.map_or(then, |at| at.min(then)).min(self.expires);
        let count = u32::try_from(self.items.len()).unwrap_or(u32::MAX).max(1);
        // A share of the time may be rounded down: the last one is done when the batch ends.
        let done_at = move |nth: u32| {
            if nth == count { self.ends } else { self.created + time.saturating_mul(nth) / count }
        };
        (1..)
            .zip(&self.items)
            .map(move |(nth, item)| (item, done_at(nth) <= until && !matches!(item.outcome, Outcome::Never)))
    }

    /// The same in the order of the results.
    fn results(&self) -> Vec<(&Item, bool)> {
        let mut results: Vec<_> = self.worked().collect();
        results.sort_by_key(|(item, _)| item.place);
        results
    }
}

/// All batches, in the order of their creation.
#[derive(Debug, Default)]
pub(super) struct Batches {
    batches: Vec<Batch>,
    created: u64,
}

impl Batches {
    /// The batch with this id, which belongs to this key.
    fn find(&mut self, asker: &Asker<'_>, id: &str) -> Result<&mut Batch, Box<Refusal>> {
        let found = self.batches.iter_mut().find(|batch| batch.id == id && batch.key == asker.key);
        found.ok_or_else(|| Refusal::says(asker.dialect, 404, format!("there is no batch {id}")).uncoded())
    }

    /// Requests in this key's batches of one provider that are under way.
    fn queued(&self, key: &str, prefix: &str, now: Duration) -> usize {
        self.of(key, prefix).filter(|batch| !batch.has_ended(now)).map(|batch| batch.items.len()).sum()
    }

    /// Those of this key and of one provider, the newest first.
    fn of<'a>(&'a self, key: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a Batch> {
        self.batches.iter().rev().filter(move |batch| batch.key == key && batch.id.starts_with(prefix))
    }
}

/// One request of a batch as it is written.
struct Written {
    custom_id: String,
    body: Bytes,
}

impl Model {
    /// Bills what the batches that have ended came to. Every request does this first, so that whoever
    /// looks sees it.
    pub(super) fn settle_batches(&mut self, now: Duration) {
        let is_due = |batch: &Batch| !batch.is_billed && batch.has_ended(now);
        let due = self.batches.batches.iter().enumerate().filter(|(_, batch)| is_due(batch));
        let mut due: Vec<(Duration, usize)> = due.map(|(at, batch)| (batch.ended_at(), at)).collect();
        due.sort_unstable();
        for (ended_at, at) in due {
            let batch = &mut self.batches.batches[at];
            batch.is_billed = true;
            for (item, is_done) in batch.worked() {
                if let (Outcome::Answered { entry, generation, .. }, true) = (&item.outcome, is_done) {
                    self.ledger.done((**entry).clone(), generation, None);
                }
            }
            self.write_files(at, ended_at);
        }
    }

    /// Takes a batch in, whose requests are of this dialect.
    fn open_batch(
        &mut self,
        prefix: &str,
        dialect: &'static dyn Dialect,
        asker: &Asker<'_>,
        written: Vec<Written>,
        now: Duration,
    ) -> &mut Batch {
        self.batches.created += 1;
        let number = Hash::of(&self.batches.created.to_le_bytes());
        let id = format!("{prefix}{}", self.id(&number, "batch"));
        let items = written
            .into_iter()
            .map(|written| {
                let place = Chance::new(self.seed, &Hash::of(written.custom_id.as_bytes()), &id).bits();
                let outcome = self.outcome(dialect, (asker.request, written.body), asker.key, now);
                Item { custom_id: written.custom_id, place, outcome }
            })
            .collect();
        self.batches.batches.push(Batch {
            id,
            key: asker.key.to_owned(),
            created: now,
            ends: now + seconds(self.scenario.batches.seconds),
            expires: now + seconds(self.scenario.batches.expire_after_s),
            cancelled: None,
            items,
            is_billed: false,
            job: openai::Job::default(),
        });
        let last = self.batches.batches.len() - 1;
        &mut self.batches.batches[last]
    }

    /// What becomes of one request of a batch. A fault that the prompt asks for counts where it is an
    /// error or a stall for ever; those that scenarios draw are retried by the provider.
    fn outcome(
        &mut self,
        dialect: &'static dyn Dialect,
        (batch, body): (&ServerRequest, Bytes),
        key: &str,
        now: Duration,
    ) -> Outcome {
        // It is asked for where its batch is.
        let request = ServerRequest { body, ..batch.clone() };
        let mut asked = match self.asked(dialect, &request, key, now) {
            Ok(asked) if asked.request.stream => {
                let message = "stream: requests of a batch cannot be streamed".to_owned();
                return Outcome::Refused(WireError { message, ..dialect.usual_error(400) });
            }
            Ok(asked) => asked,
            Err(refusal) => return Outcome::Refused(refusal.error),
        };
        let reading = self.caches.read(&asked.said, key, &asked.request.model, asked.usage.input, now);
        asked.read_as(reading.input);
        asked.answer.besides.tier = Tier::Batch;
        let attempt = *self.tries.entry(asked.content).and_modify(|tries| *tries += 1).or_insert(1);
        let fault = asked.steering.fail.get(attempt as usize - 1).cloned().unwrap_or(Fault::None);
        if fault == Fault::StallFirst {
            return Outcome::Never;
        }
        let this = Try::new(asked, fault, attempt);
        if let Some(refusal) = this.refusal(&self.scenario, now) {
            return Outcome::Refused(refusal.error);
        }
        self.caches.keep(&reading, now);
        let this = Try::new(this.asked, Fault::None, attempt);
        let id = self.id(&this.asked.content, &format!("answer {attempt}"));
        let answer: ServerAnswer = this.answer(id, now);
        let (_, generation) = this.play(&answer, HeaderMap::new(), &request.body, "");
        let body = serde_json::from_slice(&dialect.body(&answer, &request.body)).unwrap_or_default();
        match generation {
            Some(generation) => Outcome::Answered {
                body,
                usage: this.asked.usage,
                entry: Box::new(this.entry(fingerprint(key), Some(200), now)),
                generation,
            },
            None => Outcome::Refused(dialect.usual_error(500)),
        }
    }
}

/// The first name that stands there a second time.
fn repeated<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = HashSet::new();
    names.find(|name| !seen.insert(*name))
}
