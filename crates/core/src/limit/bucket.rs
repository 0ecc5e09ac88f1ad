//! A token bucket: so many a minute, so many at once.
//!
//! Exact integer arithmetic: the level is kept in units of a 60-millionth, so that a microsecond
//! refills exactly `per_minute` of them and nothing is ever lost or gained by rounding.

use super::{Limit, MINUTE, Verdict, burst_of};
use crate::time::Time;
use crate::usage::Cost;

/// What a bucket counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dimension {
    Requests,
    InputTokens,
    OutputTokens,
}

impl Dimension {
    fn of(self, cost: &Cost) -> u64 {
        match self {
            Dimension::Requests => 1,
            Dimension::InputTokens => cost.input_tokens,
            Dimension::OutputTokens => cost.output_tokens,
        }
    }
}

/// Level units in one request or token: microseconds in a minute.
const UNIT: i128 = MINUTE.as_micros().cast_signed();

#[derive(Debug)]
pub(super) struct Bucket {
    dimension: Dimension,
    per_minute: u64,
    /// In level units.
    capacity: i128,
    /// In level units, as of `at`; below zero when something larger than the bucket passed.
    level: i128,
    at: Time,
}

impl Bucket {
    /// A full bucket that holds `burst` and gains `per_minute` a minute; both at least 1.
    pub(super) fn new(dimension: Dimension, per_minute: u64, burst: u64) -> Self {
        let capacity = i128::from(burst.max(1)) * UNIT;
        Bucket { dimension, per_minute: per_minute.max(1), capacity, level: capacity, at: Time::ZERO }
    }

    /// Another rate and another burst from now on; what it holds above the new burst is lost.
    fn set(&mut self, per_minute: u64, burst: u64, now: Time) {
        self.refill(now);
        self.per_minute = per_minute.max(1);
        self.capacity = i128::from(burst.max(1)) * UNIT;
        self.level = self.level.min(self.capacity);
    }

    fn level_at(&self, now: Time) -> i128 {
        let gained = now.since(self.at).as_micros().cast_signed() * i128::from(self.per_minute);
        (self.level + gained).min(self.capacity)
    }

    fn refill(&mut self, now: Time) {
        self.level = self.level_at(now);
        self.at = self.at.max(now);
    }
}

impl Limit for Bucket {
    fn name(&self) -> &'static str {
        match self.dimension {
            Dimension::Requests => "requests/min",
            Dimension::InputTokens => "input tokens/min",
            Dimension::OutputTokens => "output tokens/min",
        }
    }

    fn check(&self, ask: &Cost, now: Time) -> Verdict {
        // What is larger than the bucket passes when it is full, and leaves a debt: it may be a
        // bound far above what is really used, and waiting longer would not help it.
        let needed = (i128::from(self.dimension.of(ask)) * UNIT).min(self.capacity);
        let missing = needed - self.level_at(now);
        if missing <= 0 {
            return Verdict::Go;
        }
        let rate = i128::from(self.per_minute);
        let micros = (missing + rate - 1) / rate;
        Verdict::WaitUntil(Time::from_micros(
            now.micros().saturating_add(u64::try_from(micros).unwrap_or(u64::MAX)),
        ))
    }

    fn reserve(&mut self, ask: &Cost, now: Time) {
        self.refill(now);
        self.level -= i128::from(self.dimension.of(ask)) * UNIT;
    }

    fn settle(&mut self, ask: &Cost, used: &Cost, now: Time) {
        if self.dimension == Dimension::Requests {
            return; // a request that failed was a request
        }
        self.refill(now);
        let unused = i128::from(self.dimension.of(ask)) - i128::from(self.dimension.of(used));
        self.level = (self.level + unused * UNIT).min(self.capacity);
    }

    fn set_requests_per_minute(&mut self, per_minute: u32, now: Time) -> bool {
        let is_it = self.dimension == Dimension::Requests;
        if is_it {
            self.set(u64::from(per_minute), u64::from(burst_of(per_minute)), now);
        }
        is_it
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: Cost = Cost { usd: crate::money::Usd::ZERO, input_tokens: 600, output_tokens: 0 };

    fn seconds(s: f64) -> Time {
        Time::from_micros((s * 1e6) as u64)
    }

    #[test]
    fn a_burst_starts_at_once_and_then_the_rate_holds() {
        let mut bucket = Bucket::new(Dimension::Requests, 50, 2);
        let mut starts = Vec::new();
        let mut now = seconds(100.0);
        while starts.len() < 6 {
            match bucket.check(&ASK, now) {
                Verdict::Go => {
                    bucket.reserve(&ASK, now);
                    starts.push(now.since(seconds(100.0)).as_secs_f64());
                }
                Verdict::WaitUntil(until) => now = until,
                Verdict::WaitForSettle => unreachable!(),
            }
        }
        assert_eq!(starts, [0.0, 0.0, 1.2, 2.4, 3.6, 4.8]);
    }

    #[test]
    fn unused_tokens_come_back_and_missing_ones_are_owed() {
        let mut bucket = Bucket::new(Dimension::InputTokens, 600, 600);
        let now = seconds(1.0);
        bucket.reserve(&ASK, now);
        assert_eq!(bucket.check(&ASK, now), Verdict::WaitUntil(seconds(61.0)));
        bucket.settle(&ASK, &Cost { input_tokens: 0, ..ASK }, now);
        assert_eq!(bucket.check(&ASK, now), Verdict::Go);
        bucket.reserve(&ASK, now);
        bucket.settle(&ASK, &Cost { input_tokens: 1200, ..ASK }, now);
        assert_eq!(bucket.check(&ASK, now), Verdict::WaitUntil(seconds(121.0)));
    }

    #[test]
    fn what_is_larger_than_the_bucket_passes_when_it_is_full() {
        let mut bucket = Bucket::new(Dimension::InputTokens, 300, 300);
        assert_eq!(bucket.check(&ASK, Time::ZERO), Verdict::Go);
        bucket.reserve(&ASK, Time::ZERO);
        // 300 owed, 300 to be full again.
        assert_eq!(bucket.check(&ASK, Time::ZERO), Verdict::WaitUntil(seconds(120.0)));
    }
}
