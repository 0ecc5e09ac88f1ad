//! Answers that are kept: OpenAI's completions with `store`, its responses unless they say no, and those in
//! the background, which nobody waits for; Anthropic's messages of a thread.
//!
//! All that is to be told of an answer is worked out when it is asked for; what of it is there depends
//! on the time alone. An answer that never reached its client is kept like any other, which is how a
//! client can find out what it has paid for. No more is kept than [`MOST`] answers of [`MOST_BYTES`]
//! together: the oldest go first, and are not found any more.

pub(super) mod completions;
pub(super) mod responses;
mod threads;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use sortie_providers::dialect::{Dialect, WireError};

use super::reply::Try;
use super::{Asker, Model, Refusal, is_anthropic};
use crate::ledger::{Delivery, Entry, Generation, Ticket};
use crate::timeline::ServerRequest;

/// Answers that are kept at a time. A provider keeps them for 30 days; a simulator has to stay small.
const MOST: usize = 10_000;

/// Bytes of them all.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// An answer that is kept.
#[derive(Debug)]
struct Answer {
    id: String,
    key: String,
    /// The dialect that it was asked in.
    dialect: &'static str,
    /// When it is there, whole.
    done: Duration,
    /// What it is then.
    body: Value,
    /// What it was asked with; of responses and threads only.
    said: Said,
    bytes: usize,
    /// The reply that it streams by: an answer whose client hangs up before its end is not kept.
    ticket: Option<Ticket>,
    /// Whether it was asked for as a stream.
    is_streamed: bool,
    job: Option<Job>,
}

/// What goes before the answers that go on from a kept one.
#[derive(Debug, Default)]
struct Said {
    /// The items or turns that it was asked with, those of what it continues before its own.
    items: Vec<Value>,
    /// What all turns of a thread share.
    shared: Value,
    /// The id of the answer that it continues, where nothing else may.
    continues: Option<String>,
    /// About how many bytes all of that is.
    bytes: usize,
}

/// An answer in the background.
#[derive(Debug)]
struct Job {
    /// When it has waited for long enough.
    begins: Duration,
    cancelled: Option<Duration>,
    bill: Option<(Entry, Generation)>,
}

/// All answers that are kept, in the order in which they were asked for.
#[derive(Debug, Default)]
pub(super) struct Kept {
    answers: VecDeque<Answer>,
    bytes: usize,
    /// Those in the background that are still to be billed.
    open: usize,
}

impl Kept {
    fn keep(&mut self, answer: Answer) {
        self.bytes += answer.bytes;
        self.open += usize::from(answer.job.as_ref().is_some_and(|job| job.bill.is_some()));
        self.answers.push_back(answer);
        while self.answers.len() > MOST || self.bytes > MOST_BYTES {
            // One that nobody was billed for yet stays, and those behind it.
            let is_open = |answer: &Answer| answer.job.as_ref().is_some_and(|job| job.bill.is_some());
            if self.answers.front().is_none_or(is_open) {
                break;
            }
            let oldest = self.answers.pop_front();
            self.bytes -= oldest.map_or(0, |answer| answer.bytes);
        }
    }

    fn remove(&mut self, is_meant: impl Fn(&Answer) -> bool) {
        if let Some(at) = self.answers.iter().position(is_meant) {
            let answer = self.answers.remove(at);
            self.bytes -= answer.map_or(0, |answer| answer.bytes);
        }
    }

    /// A reply has ended: what was streamed to a client that hung up is not kept.
    pub(super) fn delivered(&mut self, ticket: Ticket, delivery: Delivery, now: Duration) {
        if delivery == Delivery::Broken {
            self.remove(|answer| answer.ticket == Some(ticket) && now < answer.done);
        }
    }

    /// The answer with this id, which this key asked for in this dialect, if it is there to be seen.
    fn find(&mut self, asker: &Asker<'_>, dialect: &str, id: &str, now: Duration) -> Option<&mut Answer> {
        self.answers.iter_mut().find(|answer| {
            answer.id == id
                && answer.key == asker.key
                && answer.dialect == dialect
                && (answer.job.is_some() || answer.done <= now)
        })
    }
}

/// The request with what was said before it, where it goes on from an answer that is kept.
pub(super) fn continued<'a>(
    kept: &Kept,
    dialect: &dyn Dialect,
    request: &'a ServerRequest,
    key: &str,
    now: Duration,
) -> Result<Cow<'a, ServerRequest>, Box<Refusal>> {
    if is_anthropic(dialect) {
        threads::continued(kept, dialect, request, key, now)
    } else {
        responses::continued(kept, dialect, request, key, now)
    }
}

impl Model {
    /// Keeps the answer of a try, where it asks for that and the answer is generated whole.
    pub(super) fn keep_answer(
        &mut self,
        this: &Try,
        (key, body): (&str, Bytes),
        generation: Option<Generation>,
        (ticket, now): (Ticket, Duration),
    ) {
        let is_whole = generation.is_some_and(|generation| generation.is_whole());
        let in_background = this.asked.said.in_background;
        if !(this.asked.said.is_stored || in_background) || !is_whole {
            return;
        }
        let is_awaited = this.asked.request.stream && !in_background && !outlives_its_client(this);
        let ticket = is_awaited.then_some(ticket);
        let mut answer = kept(this, (key, body), now, ticket);
        // It is billed as the stream that it comes in.
        answer.job = in_background.then_some(Job { begins: now, cancelled: None, bill: None });
        self.kept.keep(answer);
    }
}

/// Whether what is streamed is generated to its end, billed and kept though its client has hung up. Nobody tells of
/// OpenAI's completions: here those are that are to be stored, and responses are not.
pub(super) fn outlives_its_client(this: &Try) -> bool {
    this.asked.said.is_stored && this.asked.dialect.name() == completions::DIALECT
}

/// The answer of a try, as it is kept.
fn kept(this: &Try, (key, body): (&str, Bytes), now: Duration, ticket: Option<Ticket>) -> Answer {
    let said = if is_anthropic(this.asked.dialect) {
        threads::said(&this.asked)
    } else {
        responses::said(&this.asked)
    };
    let bytes = body.len() + said.bytes;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    Answer {
        id: body["id"].as_str().unwrap_or_default().to_owned(),
        key: key.to_owned(),
        dialect: this.asked.dialect.name(),
        done: now + this.asked.pace.last,
        body,
        said,
        bytes,
        ticket,
        is_streamed: this.asked.request.stream,
        job: None,
    }
}

/// The refusal of an id that is not found.
fn unknown(asker: &Asker<'_>, what: &str, id: &str) -> Box<Refusal> {
    let message = format!("{what} with id '{id}' not found.");
    let error = asker.dialect.usual_error(404);
    Refusal::new(WireError { message, code: None, ..error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(n: usize, bytes: usize) -> Answer {
        Answer {
            id: n.to_string(),
            key: "sk-test".to_owned(),
            dialect: "openai",
            done: Duration::ZERO,
            body: Value::Null,
            said: Said::default(),
            bytes,
            ticket: None,
            is_streamed: false,
            job: None,
        }
    }

    #[test]
    fn only_so_many_answers_are_kept_and_the_oldest_go_first() {
        let check = |count: usize, bytes: usize, expected: usize| {
            let mut kept = Kept::default();
            (0..count).for_each(|n| kept.keep(answer(n, bytes)));
            assert_eq!((kept.answers.len(), kept.bytes), (expected, expected * bytes), "{count} of {bytes}");
            assert_eq!(
                kept.answers.front().map(|oldest| oldest.id.clone()),
                Some((count - expected).to_string())
            );
            kept.remove(|answer| answer.id == (count - 1).to_string());
            assert_eq!(kept.bytes, (expected - 1) * bytes);
        };
        check(10, 1, 10);
        check(MOST + 5, 1, MOST);
        check(10, MOST_BYTES / 4, 4);
    }
}
