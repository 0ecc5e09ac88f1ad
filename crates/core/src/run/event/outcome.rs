//! How a run ends.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Signal;
use crate::agent::AgentId;
use crate::failure::Failure;
use crate::money::Usd;
use crate::run::failures::TooManyFailures;
use crate::time::micros;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every task has succeeded, failed or been skipped.
    Completed,
    /// The next call would go past the budget.
    BudgetExceeded {
        /// Spent, at risk, and what the next call would have to reserve.
        needed: Usd,
        /// The budget.
        budget: Usd,
        /// The agent whose own budget it is (its `max_cost`); none: the run's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<AgentId>,
    },
    /// A provider will not serve us: all that is left belongs to stopped accounts.
    ProviderStopped {
        /// What it said.
        failure: Failure,
    },
    /// The run timeout passed.
    TimedOut {
        /// It was this long.
        #[serde(with = "micros")]
        after: Duration,
    },
    /// Failed tasks ended it.
    TooManyFailures {
        /// Which, or how many.
        because: TooManyFailures,
    },
    /// A signal stopped it.
    Interrupted {
        /// Which.
        signal: Signal,
    },
}
