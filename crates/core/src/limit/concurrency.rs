//! So many at a time.

use super::{Limit, Verdict};
use crate::time::Time;
use crate::usage::Cost;

#[derive(Debug)]
pub(super) struct Concurrency {
    most: u32,
    in_flight: u32,
}

impl Concurrency {
    /// At most `most` at a time, at least 1.
    pub(super) fn new(most: u32) -> Self {
        Concurrency { most: most.max(1), in_flight: 0 }
    }

    /// From now on at most `most`, at least 1; what is in flight beyond it stays.
    pub(super) fn set(&mut self, most: u32) {
        self.most = most.max(1);
    }
}

impl Limit for Concurrency {
    fn name(&self) -> &'static str {
        "max_concurrent"
    }

    fn check(&self, _ask: &Cost, _now: Time) -> Verdict {
        if self.in_flight < self.most { Verdict::Go } else { Verdict::WaitForSettle }
    }

    fn reserve(&mut self, _ask: &Cost, _now: Time) {
        self.in_flight += 1;
    }

    fn settle(&mut self, _ask: &Cost, _used: &Cost, _now: Time) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }
}
