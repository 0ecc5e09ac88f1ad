//! Limits belong to an account: what bounds the starts of all runs that use its key.
//!
//! All limits share one life: an attempt asks all of them, takes from all or from none
//! ([`Gates::check`], [`Gates::reserve`]), and settles once ([`Gates::settle`]). Gates are not
//! part of a run's state: a step is handed them, and after a restart they are rebuilt from the
//! journal (`run::gates`). The budget is a limit that does not refill; it belongs to the run
//! (`run::money`), because a resume must know it exactly.
//!
//! A gate is several limits, asked as one: `meter`s, one for each quota that is configured or that
//! replies tell; a `pace`, found by trying, for what nobody tells; `concurrency`; and the wait that a
//! refusal names, during which the gate is closed for all. Where others use the account, too, each keeps to
//! its `part`.
//!
//! # Adding a limit
//! A quota that is counted in something else is a line in [`Dimension`]. A limit of another kind is a file
//! of its own, asked in `Gate::check` and told of starts, replies and ends beside the others.

mod bucket;
mod concurrency;
mod dimension;
mod gate;
mod learned;
mod meter;
mod oversized;
mod pace;
mod part;
mod reason;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::run::event::AttemptId;
use crate::time::{Time, micros};
use crate::usage::Cost;

use concurrency::Concurrency;
pub use dimension::{Dimension, Left, Told};
use gate::Gate;
pub use learned::{Learned, LearnedQuota};
pub use oversized::{Oversized, oversized};
pub use part::Share;
pub use reason::WaitReason;

/// A gate's place in [`crate::run::input::Settings::gates`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GateId(pub u16);

impl GateId {
    /// As an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The limits of one account and model class, as configured. An absent limit does not bind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateSpec {
    /// Whose, for people: `anthropic/claude-sonnet-5-5`.
    pub name: String,
    /// The account behind it; a money stop stops all gates of the same account.
    pub account: String,
    /// The class of models that its provider counts together: `opus 4`. Empty in journals of before it was
    /// kept.
    #[serde(default)]
    pub class: String,
    /// Requests a minute, at least 1.
    pub requests_per_minute: Option<u32>,
    /// How many requests may start at once after a pause, at least 1.
    pub requests_burst: u32,
    /// Input tokens a minute.
    pub input_tokens_per_minute: Option<u64>,
    /// Output tokens a minute.
    pub output_tokens_per_minute: Option<u64>,
    /// Tokens of both kinds a minute, in one quota (OpenAI's). Not configured: only learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Attempts in flight.
    pub max_concurrent: Option<u32>,
    /// Whether input that is read from a cache does not count against the quota of input tokens, as at
    /// Anthropic.
    #[serde(default)]
    pub cached_input_is_free: bool,
    /// Whether a rate of requests that is not stated is found out, beginning carefully; else nothing binds
    /// before the first refusal.
    #[serde(default)]
    pub probes: bool,
    /// How much later than we the provider may begin to count, at most: it sees the first request of a
    /// burst after it was sent, and the first one opens the connection. None where calls are simulated.
    #[serde(default, with = "micros")]
    pub lag: Duration,
}

impl GateSpec {
    /// The quota of a minute that it has.
    pub fn per_minute(&self, quota: Dimension) -> Option<u64> {
        match quota {
            Dimension::Requests => self.requests_per_minute.map(u64::from),
            Dimension::InputTokens => self.input_tokens_per_minute,
            Dimension::OutputTokens => self.output_tokens_per_minute,
            Dimension::Tokens => self.tokens_per_minute,
        }
    }
}

/// What a limit says to a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It may start.
    Go,
    /// It may start at this time, if nothing else takes its place.
    WaitUntil(Time),
    /// It may start once something in flight has settled.
    WaitForSettle,
}

/// The burst of a rate for which nobody states one: a second's worth of requests, at least 1,
/// because providers enforce 60 a minute as one a second (Anthropic's documentation of rate limits).
pub const fn burst_of(per_minute: u32) -> u32 {
    if per_minute < 60 { 1 } else { per_minute / 60 }
}

/// All limits that the attempts of this process pass.
#[derive(Clone, Debug)]
pub struct Gates {
    process: Concurrency,
    gates: Vec<Gate>,
}

/// Why an attempt has to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Never `Go`.
    pub verdict: Verdict,
    /// What for: `requests/min of anthropic/claude-sonnet-5-5`.
    pub reason: String,
    /// Whether other gates may be open all the same.
    pub scope: Scope,
}

/// How far a refusal reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This gate only.
    Gate,
    /// Every gate of the process.
    Process,
}

impl Gates {
    /// Full buckets, nothing in flight; at most `max_concurrent` over all gates.
    pub fn of(specs: &[GateSpec], max_concurrent: u32) -> Self {
        Gates { process: Concurrency::new(max_concurrent), gates: specs.iter().map(Gate::new).collect() }
    }

    /// Gates as a provider would hold them: full buckets, and nothing to be found out.
    pub fn enforcing(specs: &[GateSpec]) -> Self {
        let mut gates = Gates::of(specs, u32::MAX);
        gates.gates.iter_mut().for_each(Gate::enforce);
        gates
    }

    /// May an attempt that takes at most `ask` start now?
    ///
    /// # Errors
    /// Why it has to wait; of several reasons the one that holds longest.
    pub fn check(&self, gate: GateId, ask: &Cost, now: Time) -> Result<(), Held> {
        if self.process.is_full() {
            let reason = WaitReason::Concurrency.to_string();
            return Err(Held { verdict: Verdict::WaitForSettle, reason, scope: Scope::Process });
        }
        self.gates[gate.index()].check(ask, now)
    }

    /// An attempt that takes at most `ask` starts now.
    pub fn reserve(&mut self, gate: GateId, attempt: AttemptId, ask: &Cost, now: Time) {
        self.process.start();
        self.gates[gate.index()].reserve(attempt, ask, now);
    }

    /// The head of an attempt's reply came, and told this.
    pub fn hear(&mut self, gate: GateId, attempt: AttemptId, told: &Told, now: Time) {
        self.gates[gate.index()].hear(attempt, told, now);
    }

    /// From now on at most so many attempts in flight over all gates, at least 1; those that are in
    /// flight beyond it stay.
    pub fn set_concurrency(&mut self, most: u32) {
        self.process.set(most);
    }

    /// From now on so many requests a minute pass a gate, at least 1, also where it had no such limit;
    /// its burst is [`burst_of`] them. Nothing where there is no such gate.
    pub fn set_requests_per_minute(&mut self, gate: GateId, per_minute: u32, now: Time) {
        if let Some(gate) = self.gates.get_mut(gate.index()) {
            gate.set_requests_per_minute(per_minute, now);
        }
    }

    /// All gates.
    pub(crate) fn ids(&self) -> impl Iterator<Item = GateId> + use<> {
        (0..self.gates.len()).map(|index| GateId(index as u16))
    }

    /// Whether an attempt was under way when the provider last said slow down.
    pub(crate) fn is_echo(&self, gate: GateId, attempt: AttemptId) -> bool {
        self.gates[gate.index()].is_echo(attempt)
    }

    /// The provider refused an attempt for its quotas: nobody passes this gate before `until`. `ramps`:
    /// because the account's use grew too fast. To be said before [`Gates::settle`].
    pub fn throttled(&mut self, gate: GateId, attempt: AttemptId, ramps: bool, until: Time, now: Time) {
        self.gates[gate.index()].throttled(attempt, ramps, until, now);
    }

    /// Where a gate is closed by a refusal: since when nothing was let in, and until when nothing will be.
    pub(crate) fn throttled_for(&self, gate: GateId, now: Time) -> Option<(Time, Time)> {
        self.gates[gate.index()].throttled_for(now)
    }

    /// An attempt has ended and took `used`; `throttled`: it was not let in.
    pub fn settle(&mut self, gate: GateId, attempt: AttemptId, used: &Cost, throttled: bool, now: Time) {
        self.process.end();
        self.gates[gate.index()].settle(attempt, used, throttled, now);
    }

    /// Others use the account of a gate, too: this process keeps to its part.
    pub fn share(&mut self, gate: GateId, share: Share, now: Time) {
        self.gates[gate.index()].share(share, now);
    }

    /// The same for a process that has just come: the others have what there is, and hear of it by `until`.
    /// Nothing of it passes before.
    pub fn join(&mut self, gate: GateId, share: Share, until: Time, now: Time) {
        self.gates[gate.index()].join(share, until, now);
    }

    /// Takes what others who use a gate's account have seen of the size of its buckets, where this process has
    /// seen nothing of it yet.
    pub fn heed(&mut self, gate: GateId, learned: &Learned, now: Time) {
        self.gates[gate.index()].heed(learned, now);
    }

    /// Nothing passes a gate before `until`; a time that is past ends it.
    pub fn stand_aside(&mut self, gate: GateId, until: Time) {
        self.gates[gate.index()].stand_aside(until);
    }

    /// A start was asked for and has to wait, as [`Gates::check`] said.
    pub(crate) fn held(&mut self, gate: GateId) {
        self.gates[gate.index()].held();
    }

    /// Whether a start was asked for since [`Gates::take_asked`], whether it was let through or not.
    pub fn is_asked(&self, gate: GateId) -> bool {
        self.gates[gate.index()].is_asked()
    }

    /// The same, counted anew from now on.
    pub fn take_asked(&mut self, gate: GateId) -> bool {
        self.gates[gate.index()].take_asked()
    }

    /// What was rebuilt of a gate from records is what was sent: what was found out by it is asked of who has kept
    /// it, because records do not tell what replies told.
    pub(crate) fn rebuilt(&mut self) {
        self.gates.iter_mut().for_each(Gate::rebuilt);
    }

    /// What is left of each quota of a gate, as a provider with these limits would tell it.
    pub fn left(&self, gate: GateId, now: Time) -> Vec<Left> {
        self.gates[gate.index()].left(now)
    }

    /// Whether attempts that pass a gate are under way.
    pub fn is_used(&self, gate: GateId) -> bool {
        self.gates[gate.index()].is_used()
    }

    /// Whether nothing is known yet of the limits behind a gate.
    pub fn is_seeking(&self, gate: GateId) -> bool {
        self.gates[gate.index()].is_seeking()
    }

    /// What has become known of the limits behind a gate; none where nothing has.
    pub fn learned(&self, gate: GateId, now: Time) -> Option<Learned> {
        self.gates[gate.index()].learned(now)
    }

    /// Begins with what an earlier run has learned of a gate. What is configured stays the upper bound.
    pub fn recall(&mut self, gate: GateId, learned: &Learned, now: Time) {
        self.gates[gate.index()].recall(learned, now);
    }
}

/// How long a provider's minute is.
const MINUTE: Duration = Duration::from_secs(60);
