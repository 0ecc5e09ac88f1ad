//! What an account may use in a minute of one model, as providers enforce it: token buckets that
//! refill continuously.
//!
//! This is the server's side, written apart from the client's limits on purpose: the one is what
//! the other is tested against.

use std::time::Duration;

use sortie_providers::dialect::{Dimension, Quota};

/// Parts of a unit that a bucket counts in. A quota of `n` a minute refills exactly `n` parts each
/// microsecond, so that nothing is ever rounded.
const PARTS: u128 = 60_000_000;

/// A token bucket in whole parts of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    per_minute: u64,
    burst: u64,
    /// What it lacks to be full. More than the burst is a debt, which output tokens may run up.
    missing: u128,
    /// When `missing` was true.
    at: Duration,
}

impl Bucket {
    /// A full bucket that refills `per_minute` units a minute up to `burst`; both at least 1.
    pub fn full(per_minute: u64, burst: u64, now: Duration) -> Self {
        Bucket { per_minute: per_minute.max(1), burst: burst.max(1), missing: 0, at: now }
    }

    /// Counts what came in since the last time; a clock that ran backwards brings nothing.
    pub fn refill(&mut self, now: Duration) {
        let refilled = now.saturating_sub(self.at).as_micros() * u128::from(self.per_minute);
        self.missing = self.missing.saturating_sub(refilled);
        self.at = self.at.max(now);
    }

    /// Takes units that are there or not.
    pub fn take(&mut self, units: u64) {
        self.missing += u128::from(units) * PARTS;
    }

    /// How long until this many units are there, as of the last refill: zero where they are,
    /// `None` where the bucket never holds so many.
    pub fn fits_in(&self, units: u64) -> Option<Duration> {
        let spare = u128::from(self.burst.checked_sub(units)?) * PARTS;
        Some(self.refilled_in(self.missing.saturating_sub(spare)))
    }

    /// How long until it is full.
    pub fn full_in(&self) -> Duration {
        self.refilled_in(self.missing)
    }

    /// What the provider's headers would say is left of a minute's quota. A burst smaller than the
    /// quota does not show in it: limit, remaining and reset then fit
    /// `reset = (limit - remaining) / limit * 60 s`, as measured at OpenAI.
    pub fn told_remaining(&self) -> u64 {
        self.per_minute.saturating_sub(u64::try_from(self.missing.div_ceil(PARTS)).unwrap_or(u64::MAX))
    }

    fn refilled_in(&self, parts: u128) -> Duration {
        Duration::from_micros(u64::try_from(parts.div_ceil(u128::from(self.per_minute))).unwrap_or(u64::MAX))
    }
}

/// What one request asks of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) input_tokens: u64,
    /// What the answer will have. Output counts as it is produced and a request is admitted as
    /// long as any is left (Anthropic's documentation of rate limits); here all of an answer is
    /// taken when it begins.
    pub(crate) output_tokens: u64,
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

/// The buckets of one account and model.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buckets(Vec<(Dimension, Bucket)>);

impl Buckets {
    pub(crate) fn new(buckets: Vec<(Dimension, Bucket)>) -> Self {
        Buckets(buckets)
    }

    /// Asks all buckets, and takes from all of them or from none.
    pub(crate) fn admit(&mut self, ask: Ask, now: Duration) -> Admission {
        let mut longest = None;
        for (dimension, bucket) in &mut self.0 {
            bucket.refill(now);
            let needed = match dimension {
                Dimension::InputTokens => ask.input_tokens,
                Dimension::Requests | Dimension::OutputTokens => 1,
            };
            let Some(wait) = bucket.fits_in(needed) else { return Admission::TooLarge(*dimension) };
            if !wait.is_zero() && longest.is_none_or(|(longest, _)| wait > longest) {
                longest = Some((wait, *dimension));
            }
        }
        if let Some((wait, dimension)) = longest {
            return Admission::Wait(wait, dimension);
        }
        for (dimension, bucket) in &mut self.0 {
            bucket.take(match dimension {
                Dimension::Requests => 1,
                Dimension::InputTokens => ask.input_tokens,
                Dimension::OutputTokens => ask.output_tokens,
            });
        }
        Admission::Granted
    }

    /// The quotas as the reply's headers tell them, as of the last refill.
    pub(crate) fn told(&self) -> Vec<Quota> {
        let told = |(dimension, bucket): &(Dimension, Bucket)| Quota {
            dimension: *dimension,
            limit: bucket.per_minute,
            remaining: bucket.told_remaining(),
            full_in: bucket.full_in(),
        };
        self.0.iter().map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;
    use sortie_core::hash::Hash;

    const START: Duration = Duration::from_secs(1_800_000_000);

    #[test]
    fn no_window_admits_more_than_its_burst_and_its_refill() {
        for seed in 0..300 {
            let mut chance = Chance::new(seed, &Hash::of(b""), "bucket");
            let (per_minute, burst) = (1 + chance.bits() % 5000, 1 + chance.bits() % 20);
            let mut bucket = Bucket::full(per_minute, burst, START);
            let (mut now, mut admitted) = (START, Vec::<Duration>::new());
            for _ in 0..300 {
                now += Duration::from_micros(chance.bits() % (60_000_000 / per_minute));
                bucket.refill(now);
                match bucket.fits_in(1) {
                    Some(Duration::ZERO) => {
                        bucket.take(1);
                        admitted.push(now);
                    }
                    Some(wait) => {
                        let mut early = bucket.clone();
                        early.refill(now + wait.saturating_sub(Duration::from_micros(1)));
                        assert_ne!(early.fits_in(1), Some(Duration::ZERO), "seed {seed}: waits too long");
                        early.refill(now + wait);
                        assert_eq!(early.fits_in(1), Some(Duration::ZERO), "seed {seed}: waits too short");
                    }
                    None => panic!("seed {seed}: one unit fits every bucket"),
                }
            }
            for (first, from) in admitted.iter().enumerate() {
                for (last, until) in admitted.iter().enumerate().skip(first) {
                    let allowed = u128::from(burst) * PARTS
                        + until.saturating_sub(*from).as_micros() * u128::from(per_minute);
                    let count = (last - first + 1) as u128 * PARTS;
                    assert!(count <= allowed, "seed {seed}: {per_minute}/min, burst {burst}");
                }
            }
        }
    }

    #[test]
    fn a_minute_refills_the_quota_to_the_part() {
        let mut bucket = Bucket::full(7, 7, START);
        bucket.take(7);
        bucket.refill(START + Duration::from_micros(59_999_999));
        assert_eq!(bucket.missing, 7);
        bucket.refill(START + Duration::from_secs(60));
        assert_eq!(bucket.missing, 0);
    }

    #[test]
    fn the_headers_fit_the_refill_formula_that_was_measured() {
        let check = |per_minute, burst, taken, remaining, full_in_micros| {
            let mut bucket = Bucket::full(per_minute, burst, START);
            bucket.take(taken);
            let told = (bucket.told_remaining(), bucket.full_in());
            assert_eq!(told, (remaining, Duration::from_micros(full_in_micros)), "{per_minute} {taken}");
        };
        check(5000, 5000, 1, 4999, 12_000); // a captured reply: 12ms
        check(160_000, 160_000, 24, 159_976, 9_000); // the same: 9ms
        check(50, 1, 1, 49, 1_200_000);
        check(10, 10, 15, 0, 90_000_000); // in debt
    }

    #[test]
    fn a_clock_that_runs_backwards_brings_nothing() {
        let mut bucket = Bucket::full(60, 1, START);
        bucket.take(1);
        bucket.refill(START + Duration::from_millis(500));
        bucket.refill(START);
        bucket.refill(START + Duration::from_millis(600));
        assert_eq!(bucket.fits_in(1), Some(Duration::from_millis(400)));
    }

    #[test]
    fn a_refused_request_takes_from_no_bucket() {
        let mut buckets = Buckets::new(vec![
            (Dimension::Requests, Bucket::full(60, 2, START)),
            (Dimension::InputTokens, Bucket::full(100, 100, START)),
        ]);
        let ask = |input_tokens| Ask { input_tokens, output_tokens: 1 };
        assert_eq!(buckets.admit(ask(101), START), Admission::TooLarge(Dimension::InputTokens));
        assert_eq!(buckets.admit(ask(80), START), Admission::Granted);
        let until_enough = Duration::from_secs(36);
        assert_eq!(buckets.admit(ask(80), START), Admission::Wait(until_enough, Dimension::InputTokens));
        assert_eq!(buckets.told()[0].remaining, 59);
        assert_eq!(buckets.admit(ask(20), START), Admission::Granted);
    }

    #[test]
    fn output_may_run_into_debt_and_then_holds_the_next_request_back() {
        let mut buckets = Buckets::new(vec![(Dimension::OutputTokens, Bucket::full(60, 60, START))]);
        let ask = Ask { input_tokens: 1, output_tokens: 90 };
        assert_eq!(buckets.admit(ask, START), Admission::Granted);
        assert_eq!(
            buckets.admit(ask, START),
            Admission::Wait(Duration::from_secs(31), Dimension::OutputTokens)
        );
    }
}
