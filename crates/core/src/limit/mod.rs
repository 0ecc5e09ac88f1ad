//! Limits belong to an account: what bounds the starts of all runs that use its key.
//!
//! All limits share one life: an attempt asks all of them, takes from all or from none
//! ([`Gates::check`], [`Gates::reserve`]), and settles once ([`Gates::settle`]). Gates are not
//! part of a run's state: a step is handed them, and after a restart they are rebuilt from the
//! journal (`run::gates`). The budget is a limit that does not refill; it belongs to the run
//! (`run::money`), because a resume must know it exactly.
//!
//! # Adding a limit
//! Write `limit/NAME.rs` with a type that implements `Limit`, and add it to `Gate::new`.

mod bucket;
mod concurrency;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Time;
use crate::usage::Cost;

use bucket::{Bucket, Dimension};
use concurrency::Concurrency;

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
    /// Requests a minute, at least 1.
    pub requests_per_minute: Option<u32>,
    /// How many requests may start at once after a pause, at least 1.
    pub requests_burst: u32,
    /// Input tokens a minute.
    pub input_tokens_per_minute: Option<u64>,
    /// Output tokens a minute.
    pub output_tokens_per_minute: Option<u64>,
    /// Attempts in flight.
    pub max_concurrent: Option<u32>,
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

/// Something that bounds starts.
trait Limit: std::fmt::Debug + Send + Sync {
    /// Its name, for people: `requests/min`.
    fn name(&self) -> &'static str;
    /// May an attempt that takes at most `ask` start now?
    fn check(&self, ask: &Cost, now: Time) -> Verdict;
    /// An attempt that takes at most `ask` starts now.
    fn reserve(&mut self, ask: &Cost, now: Time);
    /// An attempt that reserved `ask` has ended and took `used`.
    fn settle(&mut self, ask: &Cost, used: &Cost, now: Time);
    /// From now on so many requests a minute; whether that is what it bounds.
    fn set_requests_per_minute(&mut self, _per_minute: u32, _now: Time) -> bool {
        false
    }
}

/// The burst of a rate for which nobody states one: a second's worth of requests, at least 1,
/// because providers enforce 60 a minute as one a second (Anthropic's documentation of rate limits).
pub const fn burst_of(per_minute: u32) -> u32 {
    if per_minute < 60 { 1 } else { per_minute / 60 }
}

/// All limits that the attempts of this process pass.
#[derive(Debug)]
pub struct Gates {
    process: Concurrency,
    gates: Vec<Gate>,
}

/// The limits of one account and model class.
#[derive(Debug)]
struct Gate {
    name: String,
    account: String,
    limits: Vec<Box<dyn Limit>>,
    /// The provider said slow down: nobody starts before this.
    closed_until: Time,
    /// When it said so, first, of the last time.
    closed_at: Option<Time>,
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

    /// May an attempt that takes at most `ask` start now?
    ///
    /// # Errors
    /// Why it has to wait; of several reasons the one that holds longest.
    pub fn check(&self, gate: GateId, ask: &Cost, now: Time) -> Result<(), Held> {
        if let verdict @ (Verdict::WaitUntil(_) | Verdict::WaitForSettle) = self.process.check(ask, now) {
            return Err(Held { verdict, reason: self.process.name().to_owned(), scope: Scope::Process });
        }
        self.gates[gate.index()].check(ask, now)
    }

    /// An attempt that takes at most `ask` starts now.
    pub fn reserve(&mut self, gate: GateId, ask: &Cost, now: Time) {
        self.process.reserve(ask, now);
        self.gates[gate.index()].limits.iter_mut().for_each(|limit| limit.reserve(ask, now));
    }

    /// An attempt that reserved `ask` has ended and took `used`.
    pub fn settle(&mut self, gate: GateId, ask: &Cost, used: &Cost, now: Time) {
        self.process.settle(ask, used, now);
        self.gates[gate.index()].limits.iter_mut().for_each(|limit| limit.settle(ask, used, now));
    }

    /// From now on at most so many attempts in flight over all gates, at least 1; those that are in
    /// flight beyond it stay.
    pub fn set_concurrency(&mut self, most: u32) {
        self.process.set(most);
    }

    /// From now on so many requests a minute pass a gate, at least 1, also where it had no such limit;
    /// its burst is [`burst_of`] them. Nothing where there is no such gate.
    pub fn set_requests_per_minute(&mut self, gate: GateId, per_minute: u32, now: Time) {
        let Some(gate) = self.gates.get_mut(gate.index()) else { return };
        if !gate.limits.iter_mut().any(|limit| limit.set_requests_per_minute(per_minute, now)) {
            let burst = u64::from(burst_of(per_minute));
            gate.limits.push(Box::new(Bucket::new(Dimension::Requests, u64::from(per_minute), burst)));
        }
    }

    /// All gates.
    pub(crate) fn ids(&self) -> impl Iterator<Item = GateId> + use<> {
        (0..self.gates.len()).map(|index| GateId(index as u16))
    }

    /// Whether an attempt that started then was under way when the provider last said slow down.
    pub(crate) fn closed_since(&self, gate: GateId, started: Time) -> bool {
        self.gates[gate.index()].closed_at.is_some_and(|closed| started <= closed)
    }

    /// The provider said slow down: nobody passes this gate before `until`.
    pub fn throttled(&mut self, gate: GateId, until: Time, now: Time) {
        let gate = &mut self.gates[gate.index()];
        if gate.closed_until <= now {
            gate.closed_at = Some(now);
        }
        gate.closed_until = gate.closed_until.max(until);
    }
}

impl Gate {
    fn new(spec: &GateSpec) -> Self {
        let mut limits: Vec<Box<dyn Limit>> = Vec::new();
        if let Some(per_minute) = spec.requests_per_minute {
            let burst = u64::from(spec.requests_burst.max(1));
            limits.push(Box::new(Bucket::new(Dimension::Requests, u64::from(per_minute), burst)));
        }
        for (dimension, per_minute) in [
            (Dimension::InputTokens, spec.input_tokens_per_minute),
            (Dimension::OutputTokens, spec.output_tokens_per_minute),
        ] {
            if let Some(per_minute) = per_minute {
                limits.push(Box::new(Bucket::new(dimension, per_minute, per_minute)));
            }
        }
        if let Some(most) = spec.max_concurrent {
            limits.push(Box::new(Concurrency::new(most)));
        }
        Gate {
            name: spec.name.clone(),
            account: spec.account.clone(),
            limits,
            closed_until: Time::ZERO,
            closed_at: None,
        }
    }

    fn check(&self, ask: &Cost, now: Time) -> Result<(), Held> {
        let held = |verdict, what: &str| Held {
            verdict,
            reason: format!("{what} of {}", self.name),
            scope: Scope::Gate,
        };
        if self.closed_until > now {
            let reason = format!("throttled by {}", self.account);
            return Err(Held { verdict: Verdict::WaitUntil(self.closed_until), reason, scope: Scope::Gate });
        }
        let mut longest: Option<(Time, &str)> = None;
        for limit in &self.limits {
            match limit.check(ask, now) {
                Verdict::Go => {}
                Verdict::WaitForSettle => return Err(held(Verdict::WaitForSettle, limit.name())),
                Verdict::WaitUntil(until) => {
                    if longest.is_none_or(|(latest, _)| until > latest) {
                        longest = Some((until, limit.name()));
                    }
                }
            }
        }
        match longest {
            None => Ok(()),
            Some((until, name)) => Err(held(Verdict::WaitUntil(until), name)),
        }
    }
}

/// How long a provider's minute is.
const MINUTE: Duration = Duration::from_secs(60);
