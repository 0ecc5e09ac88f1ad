//! The numbers of a plan that have a range.

use std::time::Duration;

use super::super::written::{Defaults, TaskFile};
use super::Checker;
use crate::document::{Place, Problem};
use crate::money::Usd;

/// Seconds of a timeout or an expectation, at most: a year, so that no sum of times overflows.
const MAX_SECONDS: f64 = 31_536_000.0;

/// The numbers of a task, or of the defaults, that have a range.
pub(super) struct Given {
    max_tokens: Option<u32>,
    temperature: Option<f64>,
    expected_seconds: Option<f64>,
    max_cost: Option<f64>,
    timeout: Option<f64>,
}

impl Given {
    pub(super) fn of(task: &TaskFile) -> Given {
        let TaskFile { max_tokens, temperature, expected_seconds, max_cost, timeout, .. } = *task;
        Given { max_tokens, temperature, expected_seconds, max_cost, timeout }
    }

    pub(super) fn by_default(defaults: &Defaults) -> Given {
        let Defaults { max_tokens, temperature, expected_seconds, max_cost, timeout, .. } = *defaults;
        Given { max_tokens, temperature, expected_seconds, max_cost, timeout }
    }
}

impl Checker<'_> {
    /// Refuses the numbers that are out of their range.
    pub(super) fn ranges(&mut self, given: &Given, place: &Place) {
        let mut refuse = |is_wrong: bool, key: &'static str, rule: &str| {
            if is_wrong {
                self.problems
                    .push(Problem::error(format!("`{key}` must be {rule}")).at(place.clone().key(key)));
            }
        };
        let wrong = |value: Option<f64>, is_right: fn(f64) -> bool| value.is_some_and(|v| !is_right(v));
        refuse(given.max_tokens == Some(0), "max_tokens", "at least 1");
        let is_wrong = wrong(given.temperature, |t| (0.0..=2.0).contains(&t));
        refuse(is_wrong, "temperature", "from 0 to 2");
        let is_wrong = wrong(given.expected_seconds, |s| (0.0..=MAX_SECONDS).contains(&s));
        refuse(is_wrong, "expected_seconds", "from 0 to 31536000 seconds");
        let is_wrong = wrong(given.timeout, |s| s > 0.0 && s <= MAX_SECONDS);
        refuse(is_wrong, "timeout", "more than 0 and at most 31536000 seconds");
        let is_wrong = wrong(given.max_cost, |c| c > 0.0 && Usd::from_f64(c).is_some_and(|c| !c.is_zero()));
        refuse(is_wrong, "max_cost", "more than 0 and at most 18 million USD");
    }
}

/// A number of seconds that has been checked, or will be refused.
pub(super) fn seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}
