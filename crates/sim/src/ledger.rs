//! What was asked, answered and billed: the truth that a client's own account is checked against.
//!
//! Money is computed from the public price table and the tokens that this side generated (`bill`),
//! never from what a client says, and not by the code that the client computes with. A client's price overrides are unknown here.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use http::HeaderMap;
use serde::{Deserialize, Serialize};
use sortie_core::hash::Hash;
use sortie_core::money::Usd;
use sortie_core::price;
use sortie_core::usage::Usage;

use crate::bill::{Served, bill};
use crate::fault::Fault;
use crate::timeline::Pace;

/// A reply under way, from arrival to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(u64);

impl Ticket {
    /// What tells it from all others of its model.
    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

/// How a reply's way to the client ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Its last byte was handed to the connection. (Whether the client's program ever read it, no
    /// server can know.)
    Whole,
    /// The client hung up, or the reply was one that breaks off.
    Broken,
}

/// One generation that was accepted. What is billed is known once its reply has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// When the request had arrived whole: microseconds, Unix time.
    pub arrived_us: u64,
    /// The first eight hexadecimal digits of the key's SHA-256.
    pub key: String,
    /// The model that was asked for.
    pub model: String,
    /// The hash of all that the request says.
    pub content: Hash,
    /// The prompt's first 40 characters.
    pub prompt: String,
    /// Which try of this very request it is, from 1.
    pub attempt: u32,
    /// What the simulator did wrong: `ok` where nothing.
    pub fault: Fault,
    /// The HTTP status; absent where no reply was sent.
    pub status: Option<u16>,
    /// Input tokens billed.
    pub input_tokens: u64,
    /// Output tokens billed.
    pub output_tokens: u64,
    /// What it cost; zero where the model's price is unknown.
    pub cost_picodollars: Usd,
    /// Whether a whole answer was handed to the connection; absent while it is under way.
    pub delivered_whole: Option<bool>,
}

/// What has been counted since the start. Requests for `/_sim/…` are not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Requests.
    pub requests: u64,
    /// Requests by the status of their reply.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests that got no reply at all: `close`, `reset`, `stall-first`, `lost`.
    pub unanswered: u64,
    /// Replies of status 429, for whatever reason.
    pub throttled: u64,
    /// Requests by their key's fingerprint (see [`Entry::key`]).
    pub by_key: BTreeMap<String, u64>,
    /// Requests by the `x-stainless-retry-count` that they name: official SDKs say 0 on a first try
    /// and count up on those that they make by themselves. Requests that name none are not counted.
    pub by_retry_count: BTreeMap<u32, u64>,
    /// Generations that were accepted: the ledger's entries.
    pub generations: u64,
    /// Generations of which a whole answer was handed to the connection.
    pub answered_whole: u64,
    /// Accepted generations whose content had been answered whole before: paid repeats. Two tasks
    /// that ask the very same are one too.
    pub repeats: u64,
    /// Requests that came as far as the model and whose reply is under way now; error replies are
    /// not among them.
    pub in_flight: u64,
    /// The most of them at once.
    pub peak_in_flight: u64,
    /// Input tokens billed.
    pub input_tokens: u64,
    /// Output tokens billed.
    pub output_tokens: u64,
    /// What was billed, in dollars, for people.
    pub cost_usd: f64,
    /// The same with all its decimals.
    pub cost_usd_exact: String,
    /// Generations of models that the price table does not know; they cost nothing here.
    pub unpriced: u64,
    /// Directive keys that mean nothing.
    pub unknown_directives: u64,
}

/// What a reply will have generated when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation {
    /// Tokens of the whole answer.
    pub(crate) usage: Usage,
    /// How it is served.
    pub(crate) served: Served,
    /// When its pieces are generated; absent where it is generated to the end, whoever waits: a
    /// reply that is not streamed.
    pub(crate) pace: Option<Pace>,
    /// Pieces that are generated at all.
    pub(crate) pieces: usize,
    /// Whether the reply is the whole answer.
    pub(crate) intact: bool,
}

impl Generation {
    /// Whether it is generated to its end.
    pub(crate) fn is_whole(&self) -> bool {
        self.pace.is_none_or(|pace| pace.pieces <= self.pieces)
    }

    /// Output tokens generated when the reply ended after this long.
    fn output_by(&self, elapsed: Duration, delivery: Delivery) -> u64 {
        let Some(pace) = self.pace.filter(|pace| pace.pieces > 0) else { return self.usage.output };
        let sent = match delivery {
            Delivery::Whole => self.pieces,
            Delivery::Broken => self.pieces.min(pace.sent_by(elapsed)),
        };
        (self.usage.output * sent as u64).div_ceil(pace.pieces as u64)
    }
}

#[derive(Debug)]
struct Pending {
    arrived: Duration,
    generation: Option<(usize, Generation)>,
}

/// All entries, and the counts.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: Vec<Entry>,
    stats: Stats,
    cost: Usd,
    answered: HashSet<Hash>,
    pending: HashMap<u64, Pending>,
    tickets: u64,
}

impl Ledger {
    /// Forgets all; tickets of before are never taken for new ones.
    pub(crate) fn reset(&mut self) {
        *self = Ledger { tickets: self.tickets, ..Ledger::default() };
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            generations: self.entries.len() as u64,
            in_flight: self.pending.len() as u64,
            cost_usd: self.cost.as_f64(),
            cost_usd_exact: self.cost.exact(2),
            ..self.stats.clone()
        }
    }

    /// A request had this key.
    pub(crate) fn asked(&mut self, fingerprint: &str) {
        *self.stats.by_key.entry(fingerprint.to_owned()).or_default() += 1;
    }

    /// A request came with these headers: counts what its library says of tries before it.
    pub(crate) fn retried_by(&mut self, headers: &HeaderMap) {
        let before =
            headers.get("x-stainless-retry-count").and_then(|value| value.to_str().ok()?.parse().ok());
        if let Some(before) = before {
            *self.stats.by_retry_count.entry(before).or_default() += 1;
        }
    }

    pub(crate) fn ignored_directives(&mut self, keys: u64) {
        self.stats.unknown_directives += keys;
    }

    /// A request is replied to with this status, or not at all.
    pub(crate) fn replied(&mut self, status: Option<u16>) {
        self.stats.requests += 1;
        match status {
            Some(status) => *self.stats.by_status.entry(status).or_default() += 1,
            None => self.stats.unanswered += 1,
        }
        self.stats.throttled += u64::from(status == Some(429));
    }

    /// A request is under way; where it is a generation, this is its entry.
    pub(crate) fn open(&mut self, arrived: Duration, generation: Option<(Entry, Generation)>) -> Ticket {
        let generation = generation.map(|(entry, generation)| (self.enter(entry), generation));
        self.tickets += 1;
        self.pending.insert(self.tickets, Pending { arrived, generation });
        self.stats.peak_in_flight = self.stats.peak_in_flight.max(self.pending.len() as u64);
        Ticket(self.tickets)
    }

    /// A reply has ended; of a ticket that was told before, nothing changes.
    pub(crate) fn close(&mut self, ticket: Ticket, delivery: Delivery, now: Duration) {
        let Some(Pending { arrived, generation }) = self.pending.remove(&ticket.0) else { return };
        let Some((at, generation)) = generation else { return };
        let output = generation.output_by(now.saturating_sub(arrived), delivery);
        self.bill(at, &generation, output, generation.intact && delivery == Delivery::Whole);
    }

    /// A generation that nobody waits for on a connection is done, or was stopped after this long: one
    /// of a batch, or in the background.
    pub(crate) fn done(&mut self, entry: Entry, generation: &Generation, stopped: Option<Duration>) {
        let at = self.enter(entry);
        let output =
            stopped.map_or(generation.usage.output, |after| generation.output_by(after, Delivery::Broken));
        self.bill(at, generation, output, stopped.is_none());
    }

    fn enter(&mut self, entry: Entry) -> usize {
        self.stats.repeats += u64::from(self.answered.contains(&entry.content));
        self.entries.push(entry);
        self.entries.len() - 1
    }

    fn bill(&mut self, at: usize, generation: &Generation, output: u64, whole: bool) {
        let Some(entry) = self.entries.get_mut(at) else { return };
        let usage = Usage { output, ..generation.usage };
        let row = price::table().find(&entry.model);
        entry.input_tokens = usage.total_input();
        entry.output_tokens = output;
        entry.cost_picodollars = row.map_or(Usd::ZERO, |row| bill(row, &usage, generation.served));
        entry.delivered_whole = Some(whole);
        self.cost += entry.cost_picodollars;
        self.stats.input_tokens += entry.input_tokens;
        self.stats.output_tokens += output;
        self.stats.unpriced += u64::from(row.is_none());
        self.stats.answered_whole += u64::from(whole);
        if whole {
            self.answered.insert(entry.content);
        }
    }
}
