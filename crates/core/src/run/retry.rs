//! Whether and when a failed attempt is tried again. The only owner of retries: no client below
//! the run repeats a request.

use std::time::Duration;

use super::event::{AttemptId, Then};
use super::planted;
use super::state::Run;
use crate::agent::{Backoff, Retry};
use crate::failure::{Class, Failure, Policy};
use crate::hash::Hash;
use crate::time::Time;

/// Waits get up to this share longer, so that calls that failed together do not return together.
/// Never shorter: earlier than a provider named fails again.
const JITTER: f64 = 0.1;

/// And at most so much longer after a 429: whoever waited for the same gate is spread by its pace, and
/// minutes that a provider names shall cost no more than they have to.
const LONGEST_JITTER: Duration = Duration::from_millis(250);

impl Run {
    /// What follows this failure of an attempt that was in flight. `is_echo` says that it tells
    /// nothing of its task: its account was throttled while it was under way, or its provider is ill
    /// ([`Run::is_of_outage`]).
    ///
    /// Ten calls that meet a full bucket together are one message, not ten: if each of them counted,
    /// tasks would fail that only had to wait. The one that closes the gate always counts, so there
    /// are no more rounds than retries.
    pub(super) fn follow_up(&self, attempt: AttemptId, failure: &Failure, now: Time, is_echo: bool) -> Then {
        match failure.policy() {
            _ if self.fails_alike(attempt, failure, now) => return Then::StopAccount,
            Policy::StopAccount => return Then::StopAccount,
            Policy::Fail => return Then::Fail,
            Policy::Retry => {}
        }
        let retry = &self.plan.agent_asked(attempt).retry;
        let failures = self.task(attempt.task).failures;
        if failure.class == Class::Throttled && !retry.retry_throttled {
            return Then::Fail;
        }
        let is_invalid = failure.class == Class::InvalidOutput;
        if is_invalid && self.task(attempt.task).wrong.is_some() && !planted!(CorrectionsUnbounded) {
            return Then::Fail;
        }
        let is_echo =
            !is_invalid && is_echo || (failure.class == Class::Throttled && planted!(ThrottlingUncounted));
        if failures >= retry.max_retries && !is_echo && !planted!(RetriesUnbounded) {
            return Then::Fail;
        }
        if is_invalid {
            // Nobody has to recover: the next attempt says what was wrong.
            return Then::RetryAt(now);
        }
        let own = own_wait(retry, failures);
        // A named wait is trusted once. Where it was kept to and the next attempt failed again, it
        // was too short: from then on ours is the least.
        let wait = match failure.retry_after {
            Some(named) if failures == 0 => named,
            Some(named) => named.max(own),
            None => own,
        };
        let mut jitter = wait.mul_f64(jitter(self.settings.seed, attempt));
        if failure.class == Class::Throttled {
            jitter = jitter.min(LONGEST_JITTER);
        }
        let at = now + wait + jitter;
        if is_echo { Then::AgainAt(at) } else { Then::RetryAt(at) }
    }
}

/// The share by which the wait after an attempt is longer: the same in every replay of a run.
pub(super) fn jitter(seed: u64, attempt: AttemptId) -> f64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..12].copy_from_slice(&attempt.task.0.to_le_bytes());
    bytes[12..].copy_from_slice(&attempt.number.to_le_bytes());
    let [a, b, c, d, ..] = *Hash::of(&bytes).as_bytes();
    JITTER * f64::from(u32::from_le_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0)
}

/// The wait before the retry that follows `failures` earlier failures and this one, where the
/// provider named none (SPEC.md F1: 1 s, 2 s, 4 s, at most 30 s).
fn own_wait(retry: &Retry, failures: u32) -> Duration {
    let factor = match retry.backoff {
        Backoff::Exponential => 2u32.saturating_pow(failures),
        Backoff::Linear => failures.saturating_add(1),
        Backoff::Constant => 1,
    };
    retry.initial_delay.saturating_mul(factor).min(retry.max_delay)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_as_the_strategy_says_up_to_the_longest() {
        let check = |backoff, expected: [u64; 7]| {
            let retry = Retry { backoff, ..Retry::default() };
            let waits: Vec<u64> = (0..7).map(|failures| own_wait(&retry, failures).as_secs()).collect();
            assert_eq!(waits, expected, "{backoff:?}");
        };
        check(Backoff::Exponential, [1, 2, 4, 8, 16, 30, 30]);
        check(Backoff::Linear, [1, 2, 3, 4, 5, 6, 7]);
        check(Backoff::Constant, [1; 7]);
    }
}
