//! A token bucket: so many a minute, so many at once.
//!
//! Exact integer arithmetic: what is missing is kept in units of a 60-millionth, so that a microsecond
//! refills exactly `per_minute` of them and nothing is ever lost or gained by rounding.

use std::time::Duration;

use super::MINUTE;
use crate::time::Time;

/// Units in one request or token: microseconds in a minute.
pub(super) const UNIT: i128 = MINUTE.as_micros().cast_signed();

/// The longest lag as a share of the time in which the bucket fills: a bucket that holds one request loses
/// that share of its rate.
const LAG_SHARE: u64 = 100;

#[derive(Clone, Debug)]
pub(super) struct Bucket {
    per_minute: u64,
    capacity: u64,
    /// What it lacks to be full, in units, as of `at`; more than the capacity is a debt.
    missing: i128,
    at: Time,
    /// How much later than we the provider may begin to count what a full bucket lacks.
    lag: Duration,
}

impl Bucket {
    /// A full bucket that holds `capacity` and gains `per_minute` a minute; both at least 1.
    pub(super) fn full(per_minute: u64, capacity: u64, lag: Duration) -> Self {
        Bucket { per_minute: per_minute.max(1), capacity: capacity.max(1), missing: 0, at: Time::ZERO, lag }
    }

    /// How late it is counted.
    pub(super) fn lag(&self) -> Duration {
        self.lag
    }

    /// What it gains in a minute.
    pub(super) fn per_minute(&self) -> u64 {
        self.per_minute
    }

    /// What it holds when it is full.
    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// What it lacks to be full, in units.
    pub(super) fn missing(&self, now: Time) -> i128 {
        let gained = now.since(self.at).as_micros().cast_signed() * i128::from(self.per_minute);
        (self.missing - gained).max(0)
    }

    /// From now on it gains so much and holds so much.
    pub(super) fn change(&mut self, per_minute: u64, capacity: u64, now: Time) {
        self.refill(now);
        (self.per_minute, self.capacity) = (per_minute.max(1), capacity.max(1));
    }

    /// When so much is there; none where it is there now.
    ///
    /// What is larger than the bucket passes when it is full, and leaves a debt: it may be a bound far
    /// above what is really used, and waiting longer would not help it.
    pub(super) fn wait_for(&self, amount: u64, now: Time) -> Option<Time> {
        let spare = i128::from(self.capacity - amount.min(self.capacity)) * UNIT;
        let excess = self.missing(now) - spare;
        if excess <= 0 {
            return None;
        }
        let rate = i128::from(self.per_minute);
        let micros = u64::try_from((excess + rate - 1) / rate).unwrap_or(u64::MAX);
        Some(now.max(self.at) + Duration::from_micros(micros))
    }

    pub(super) fn take(&mut self, amount: u64, now: Time) {
        self.refill(now);
        if self.missing == 0 {
            // What a full bucket lacks comes back from when the provider began to count.
            self.at = self.at.max(now + self.bounded_lag());
        }
        self.missing += i128::from(amount) * UNIT;
    }

    pub(super) fn give_back(&mut self, amount: i128, now: Time) {
        self.refill(now);
        self.missing = (self.missing - amount * UNIT).max(0);
    }

    /// What it holds, in units; a debt is less than nothing.
    pub(super) fn holds(&self, now: Time) -> i128 {
        i128::from(self.capacity) * UNIT - self.missing(now)
    }

    /// It holds so many units, as far as they go into it.
    pub(super) fn hold(&mut self, units: i128, now: Time) {
        self.refill(now);
        self.missing = (i128::from(self.capacity) * UNIT - units).max(0);
    }

    /// It lacks at least so many units.
    pub(super) fn lacks(&mut self, units: i128, now: Time) {
        self.refill(now);
        self.missing = self.missing.max(units);
    }

    /// It lacks so many units less than was believed.
    pub(super) fn gives_up(&mut self, units: i128, now: Time) {
        self.refill(now);
        self.missing = (self.missing - units).max(0);
    }

    /// What it lacks counts so many times as much as before, as a fraction.
    pub(super) fn scale(&mut self, by: u32, of: u32, now: Time) {
        self.refill(now);
        self.missing = self.missing * i128::from(by) / i128::from(of.max(1));
    }

    /// Nothing of it is left at a time.
    pub(super) fn used_up(&mut self, at: Time) {
        self.lacks(i128::from(self.capacity) * UNIT, at);
    }

    fn bounded_lag(&self) -> Duration {
        let fills_in = self.capacity.saturating_mul(MINUTE.as_micros() as u64) / self.per_minute;
        self.lag.min(Duration::from_micros(fills_in / LAG_SHARE))
    }

    fn refill(&mut self, now: Time) {
        self.missing = self.missing(now);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAG: Duration = Duration::from_millis(20);

    fn seconds(s: f64) -> Time {
        Time::from_micros((s * 1e6) as u64)
    }

    /// When `count` requests start that all want to at 100 s.
    fn starts(mut bucket: Bucket, count: usize) -> Vec<f64> {
        let mut now = seconds(100.0);
        let start = |_| {
            while let Some(until) = bucket.wait_for(1, now) {
                now = until;
            }
            bucket.take(1, now);
            now.since(seconds(100.0)).as_secs_f64()
        };
        (0..count).map(start).collect()
    }

    #[test]
    fn a_burst_starts_at_once_and_then_the_rate_holds() {
        assert_eq!(starts(Bucket::full(50, 2, LAG), 6), [0.0, 0.0, 1.22, 2.42, 3.62, 4.82]);
        assert_eq!(starts(Bucket::full(50, 2, Duration::ZERO), 5), [0.0, 0.0, 1.2, 2.4, 3.6]);
    }

    #[test]
    fn a_bucket_of_one_loses_a_hundredth_at_most() {
        let last = *starts(Bucket::full(600, 1, LAG), 601).last().unwrap();
        assert!(last > 60.0 && last < 60.0 * (1.0 + 1.0 / 99.0), "{last}");
    }

    #[test]
    fn unused_tokens_come_back_and_missing_ones_are_owed() {
        let mut bucket = Bucket::full(600, 600, LAG);
        let now = seconds(1.0);
        bucket.take(600, now);
        assert_eq!(bucket.wait_for(600, now), Some(seconds(61.02)));
        bucket.give_back(600, now);
        assert_eq!(bucket.wait_for(600, now), None);
        bucket.take(600, now);
        bucket.give_back(-600, now);
        assert_eq!(bucket.wait_for(600, now), Some(seconds(121.02)));
    }

    #[test]
    fn what_is_larger_than_the_bucket_passes_when_it_is_full() {
        let mut bucket = Bucket::full(300, 300, LAG);
        assert_eq!(bucket.wait_for(600, Time::ZERO), None);
        bucket.take(600, Time::ZERO);
        // 300 owed, 300 to be full again.
        assert_eq!(bucket.wait_for(600, Time::ZERO), Some(seconds(120.02)));
    }

    #[test]
    fn what_a_provider_tells_counts_where_it_is_more_than_we_know() {
        let mut bucket = Bucket::full(60, 10, Duration::ZERO);
        bucket.take(3, seconds(0.0));
        bucket.lacks(10 * UNIT, seconds(1.0));
        assert_eq!(bucket.wait_for(1, seconds(1.0)), Some(seconds(2.0)));
        bucket.lacks(0, seconds(1.0));
        assert_eq!(bucket.wait_for(1, seconds(1.0)), Some(seconds(2.0)));
    }
}
