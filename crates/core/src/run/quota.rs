//! The retry quota of an account: how many retries it may get while they do not help.
//!
//! As in the AWS SDKs' standard mode: 500 tokens, a retry costs 14 (5 before 2026, and 10 after a
//! timeout), the success of a retry gives back what one costs, any other success gives back 1
//! (aws-sdk-cpp issue 3832; botocore `retries/standard.py`; `aws_smithy_runtime` `token_bucket.rs`).
//! So when every call fails no more than 35 retries are sent, whatever the number of tasks.
//!
//! Where theirs denies a retry and the call has failed, ours makes it wait: tasks outlast outages.
//! Without tokens one retry may be in flight at a time, or one for every ten calls of the account
//! (the retry ratio of Google's SRE book, "Handling Overload"), so that a run always goes on.
//! Throttled attempts and probes draw on nothing: a gate's closing and its breaker bound them.

use super::planted;

const FULL: u32 = 500;
const RETRY: u32 = 14;
/// Without tokens: one retry for so many calls in flight.
const CALLS_FOR_ONE: u32 = 10;

/// The quota of one account.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quota {
    tokens: u32,
    /// Attempts in flight, and how many of them are retries.
    in_flight: u32,
    retries: u32,
}

impl Quota {
    pub(super) const fn new() -> Self {
        Quota { tokens: FULL, in_flight: 0, retries: 0 }
    }

    /// Whether a retry may start now.
    pub(super) fn allows_retry(&self) -> bool {
        self.tokens >= RETRY
            || self.retries == 0
            || (self.retries + 1).saturating_mul(CALLS_FOR_ONE) <= self.in_flight + 1
            || planted!(QuotaIgnored)
    }

    pub(super) fn started(&mut self, is_retry: bool, is_probe: bool) {
        self.in_flight += 1;
        self.retries += u32::from(is_retry);
        if is_retry && !is_probe {
            // What starts without enough is let through for nothing.
            self.tokens = self.tokens.checked_sub(RETRY).unwrap_or(self.tokens);
        }
    }

    pub(super) fn ended(&mut self, was_retry: bool, succeeded: bool) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.retries = self.retries.saturating_sub(u32::from(was_retry));
        if succeeded && !planted!(QuotaLeaks) {
            self.tokens = (self.tokens + if was_retry { RETRY } else { 1 }).min(FULL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries_until_held(quota: &mut Quota) -> u32 {
        let mut sent = 0;
        while quota.allows_retry() {
            quota.started(true, false);
            sent += 1;
        }
        sent
    }

    #[test]
    fn thirty_five_retries_in_flight_empty_it_and_then_one_goes_at_a_time() {
        let mut quota = Quota::new();
        assert_eq!(retries_until_held(&mut quota), 35);
        (0..35).for_each(|_| quota.ended(true, false));
        assert_eq!(retries_until_held(&mut quota), 1);
        // Beside a hundred other calls eleven may be retries: one in ten of all.
        (0..100).for_each(|_| quota.started(false, false));
        assert_eq!(retries_until_held(&mut quota), 10);
    }

    #[test]
    fn a_retry_that_succeeds_gives_back_its_cost_and_another_call_gives_one() {
        let mut quota = Quota { tokens: 0, ..Quota::new() };
        for (was_retry, left) in [(true, 14), (false, 15), (true, 29)] {
            quota.started(was_retry, true);
            quota.ended(was_retry, true);
            assert_eq!(quota.tokens, left);
        }
        let mut quota = Quota::new();
        quota.started(false, false);
        quota.ended(false, true);
        assert_eq!(quota.tokens, FULL);
    }
}
