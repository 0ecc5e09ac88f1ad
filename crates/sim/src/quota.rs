//! What an account may use of a class of models, as providers enforce it: token buckets that refill
//! continuously.
//!
//! This is the server's side, written apart from the client's limits on purpose: the one is what
//! the other is tested against.

use std::collections::BTreeMap;
use std::time::Duration;

use sortie_core::usage::Usage;
use sortie_providers::dialect::{Dimension, Quota};

use crate::scenario::{OutputCharge, Quotas};
use crate::timeline::Pace;

/// A token bucket in whole parts of a unit: as many parts as its period has microseconds, so that
/// a quota of `n` a period refills exactly `n` parts each microsecond and nothing is ever rounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    quota: u64,
    parts: u128,
    burst: u64,
    /// What it lacks to be full. More than the burst is a debt, which output tokens may run up.
    missing: u128,
    /// When `missing` was true.
    at: Duration,
}

impl Bucket {
    /// A full bucket that refills `quota` units a period up to `burst`; both at least 1.
    pub fn full(quota: u64, period: Duration, burst: u64, now: Duration) -> Self {
        Bucket {
            quota: quota.max(1),
            parts: period.as_micros().max(1),
            burst: burst.max(1),
            missing: 0,
            at: now,
        }
    }

    /// From now on it refills so much a period, up to another burst.
    fn change(&mut self, quota: u64, burst: u64) {
        (self.quota, self.burst) = (quota.max(1), burst.max(1));
    }

    /// Counts what came in since the last time; a clock that ran backwards brings nothing.
    pub fn refill(&mut self, now: Duration) {
        let refilled = now.saturating_sub(self.at).as_micros() * u128::from(self.quota);
        self.missing = self.missing.saturating_sub(refilled);
        self.at = self.at.max(now);
    }

    /// Takes units that are there or not.
    pub fn take(&mut self, units: u64) {
        self.missing += u128::from(units) * self.parts;
    }

    /// Gives back what was taken and not needed.
    pub fn give_back(&mut self, units: u64) {
        self.missing = self.missing.saturating_sub(u128::from(units) * self.parts);
    }

    /// How long until this many units are there, as of the last refill: zero where they are,
    /// `None` where the bucket never holds so many.
    pub fn fits_in(&self, units: u64) -> Option<Duration> {
        let spare = u128::from(self.burst.checked_sub(units)?) * self.parts;
        Some(self.refilled_in(self.missing.saturating_sub(spare)))
    }

    /// How long until it is full.
    pub fn full_in(&self) -> Duration {
        self.refilled_in(self.missing)
    }

    /// What the provider's headers would say is left of the quota. A burst smaller than the quota
    /// does not show in it: limit, remaining and reset then fit
    /// `reset = (limit - remaining) / limit * 60 s`, as measured at OpenAI.
    pub fn told_remaining(&self) -> u64 {
        self.quota.saturating_sub(u64::try_from(self.missing.div_ceil(self.parts)).unwrap_or(u64::MAX))
    }

    fn refilled_in(&self, parts: u128) -> Duration {
        Duration::from_micros(u64::try_from(parts.div_ceil(u128::from(self.quota))).unwrap_or(u64::MAX))
    }

    /// Whether its quota is one of a minute: those are told, a day's are not.
    fn is_told(&self) -> bool {
        self.parts <= 60_000_000
    }
}

/// What one request asks of the quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    /// Input tokens that count: not those that are read from a cache.
    pub(crate) input_tokens: u64,
    /// What the answer will have, and when.
    pub(crate) output_tokens: u64,
    pub(crate) pace: Pace,
    /// What the answer may have.
    pub(crate) max_tokens: u64,
    pub(crate) charge: OutputCharge,
}

impl Ask {
    pub(crate) fn new(usage: &Usage, pace: Pace, max_tokens: u32, charge: OutputCharge) -> Self {
        Ask {
            input_tokens: usage.total_input() - usage.cache_read,
            output_tokens: usage.output,
            pace,
            max_tokens: u64::from(max_tokens),
            charge,
        }
    }

    /// What it takes when it is admitted.
    pub(crate) fn at_once(&self, dimension: Dimension) -> u64 {
        match (dimension, self.charge) {
            (Dimension::Requests, _) => 1,
            (Dimension::InputTokens, _) => self.input_tokens,
            (Dimension::Tokens, _) => self.max_tokens.max(self.input_tokens),
            (Dimension::OutputTokens, OutputCharge::MaxTokensUpFront) => self.max_tokens,
            (Dimension::OutputTokens, OutputCharge::AsProduced) => 0,
        }
    }

    /// What has to be there for it: a request is admitted as long as any output token is left.
    fn needed(&self, dimension: Dimension) -> u64 {
        self.at_once(dimension).max(1)
    }

    /// What it takes of the output tokens and gives back to them after its arrival.
    fn later(&self) -> Vec<(Duration, Later)> {
        match self.charge {
            OutputCharge::MaxTokensUpFront => {
                vec![(self.pace.last, Later::GiveBack(self.max_tokens.saturating_sub(self.output_tokens)))]
            }
            OutputCharge::AsProduced => {
                let pieces = self.pace.pieces.max(1) as u64;
                // Whole tokens by each piece, so that their sum is the answer's.
                let by = |piece: u64| u128::from(self.output_tokens) * u128::from(piece) / u128::from(pieces);
                let taken = |piece: u64| (by(piece + 1) - by(piece)) as u64;
                (0..pieces).map(|n| (self.pace.at(n as usize), Later::Take(taken(n)))).collect()
            }
        }
    }
}

/// What a quota says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Admission {
    Granted,
    /// Not before this long; the quota that binds the longest.
    Wait(Duration, Dimension),
    /// The request is larger than the bucket: no wait helps.
    TooLarge(Dimension),
}

/// What an answer under way does to the quota of output tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Later {
    Take(u64),
    GiveBack(u64),
}

/// The buckets of one account and class of models.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buckets {
    of: Vec<(Dimension, Bucket)>,
    /// What is still to be taken from output tokens or given back, by its time and its order.
    /// An answer whose client hangs up is charged as if it had gone on.
    due: BTreeMap<(Duration, u64), Later>,
    /// How many were ever due.
    dues: u64,
}

impl Buckets {
    pub(crate) fn new(buckets: Vec<(Dimension, Bucket)>) -> Self {
        Buckets { of: buckets, ..Buckets::default() }
    }

    /// Asks all buckets, and takes from all of them or from none.
    pub(crate) fn admit(&mut self, ask: Ask, now: Duration) -> Admission {
        self.refill(now);
        let mut longest = None;
        for (dimension, bucket) in &self.of {
            let needed = ask.needed(*dimension);
            let Some(wait) = bucket.fits_in(needed) else { return Admission::TooLarge(*dimension) };
            if !wait.is_zero() && longest.is_none_or(|(longest, _)| wait > longest) {
                longest = Some((wait, *dimension));
            }
        }
        if let Some((wait, dimension)) = longest {
            return Admission::Wait(wait, dimension);
        }
        for (dimension, bucket) in &mut self.of {
            bucket.take(ask.at_once(*dimension));
        }
        if self.output().is_some() {
            for (after, later) in ask.later() {
                self.dues += 1;
                self.due.insert((now + after, self.dues), later);
            }
        }
        Admission::Granted
    }

    /// The quotas are these from now on: as many as before, counted in the same.
    pub(crate) fn change(&mut self, quotas: &Quotas, now: Duration) {
        self.refill(now);
        for ((_, bucket), (_, quota, _, burst)) in self.of.iter_mut().zip(quotas.sizes()) {
            bucket.change(quota, burst);
        }
    }

    fn output(&mut self) -> Option<&mut Bucket> {
        let mut buckets = self.of.iter_mut();
        buckets.find(|(dimension, _)| *dimension == Dimension::OutputTokens).map(|(_, bucket)| bucket)
    }

    /// Brings all buckets to this time; answers under way take and give back on the way there.
    fn refill(&mut self, now: Duration) {
        while let Some(due) = self.due.first_entry().filter(|due| due.key().0 <= now) {
            let ((at, _), later) = due.remove_entry();
            let Some(bucket) = self.output() else { continue };
            bucket.refill(at);
            match later {
                Later::Take(units) => bucket.take(units),
                Later::GiveBack(units) => bucket.give_back(units),
            }
        }
        for (_, bucket) in &mut self.of {
            bucket.refill(now);
        }
    }

    /// The quotas as the reply's headers tell them, as of the last refill.
    pub(crate) fn told(&self) -> Vec<Quota> {
        let told = |(dimension, bucket): &(Dimension, Bucket)| Quota {
            dimension: *dimension,
            limit: bucket.quota,
            remaining: bucket.told_remaining(),
            full_in: bucket.full_in(),
        };
        self.of.iter().filter(|(_, bucket)| bucket.is_told()).map(told).collect()
    }
}

#[cfg(test)]
mod tests;
