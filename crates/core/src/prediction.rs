//! What was foreseen of a run, as the run remembers it: figures alone. How they are made is
//! [`crate::forecast`]'s.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::agent::AgentId;
use crate::money::Usd;
use crate::time::micros;

/// What a forecast said, as a run remembers it to be graded by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prediction {
    /// What the run will cost.
    pub cost: CostRange,
    /// How long it will take.
    pub makespan: Spread,
    /// Where a budget would stop it; none where none would, and in journals of before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
}

/// Where a budget stops a run: of those that do, the one that does most often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// The agent whose own budget it is; none: the run's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// The budget.
    pub budget: Usd,
    /// In how many of the plays, at least 1.
    pub stopped: u32,
    /// How many plays there were.
    pub plays: u32,
    /// Tasks that had their answer when it did: the median of the plays that it stopped.
    pub after_tasks: u32,
    /// When the last of them had: their median too, and not of the same play.
    #[serde(with = "micros")]
    pub after: Duration,
}

impl Stop {
    /// The share of the plays that it stopped, more than 0 and at most 1.
    pub fn share(&self) -> f64 {
        f64::from(self.stopped) / f64::from(self.plays)
    }
}

/// What a plan may cost. What is reported or estimated counts, as in a run's total; what would be at
/// risk does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostRange {
    /// Every answer as short as they come, and every input read from a cache.
    pub low: Usd,
    /// The mean of the plays.
    pub expected: Usd,
    /// Every answer as long as its `max_tokens` allows, nothing cached, the dearest rate that may
    /// apply. Where the budget stops the run, no more than the budget.
    pub worst: Usd,
}

/// Between what the time of a run will lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// One run in twenty is faster.
    #[serde(with = "micros")]
    pub p5: Duration,
    /// Half of the runs are faster.
    #[serde(with = "micros")]
    pub p50: Duration,
    /// One run in twenty is slower.
    #[serde(with = "micros")]
    pub p95: Duration,
}
