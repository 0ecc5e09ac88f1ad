//! What counts as a success (SPEC.md K), and whether a trial is one.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use sortie_core::money::Usd;
use sortie_core::plan::TaskId;

use super::{Faulted, Measured, Recovery};
use crate::fold::Report;

/// What a trial has to reach (SPEC.md K2, K3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Criteria {
    /// How many times faster than one after the other, at least.
    pub min_speedup: f64,
    /// The part of the possible speedup that has to be reached, 0 to 1.
    pub min_efficiency: f64,
    /// Percent of tasks that succeed, at least.
    pub min_success_rate: f64,
    /// Seconds, at most.
    pub max_p95_latency: f64,
    /// USD, at most.
    pub max_cost_per_task: f64,
    /// What a task may cost at most, times the median of its type.
    pub max_cost_outlier: f64,
}

impl Default for Criteria {
    fn default() -> Self {
        Criteria {
            min_speedup: 2.5,
            min_efficiency: 0.9,
            min_success_rate: 95.0,
            max_p95_latency: 15.0,
            max_cost_per_task: 0.10,
            max_cost_outlier: 3.0,
        }
    }
}

/// One thing that a trial has to reach, and whether it did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Criterion {
    /// Which: `success_rate`.
    pub name: String,
    /// What was measured; null where it is no figure, or nothing was.
    pub value: Option<f64>,
    /// What it had to be; null where it is no figure.
    pub threshold: Option<f64>,
    /// Whether it was reached; null: not applicable.
    pub met: Option<bool>,
    /// Why it is met or not, or does not apply, in a sentence.
    pub why: String,
}

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The run that is judged.
    pub report: &'a Report<'a>,
    /// Tasks that were made to fail: that they do is what was tested.
    pub meant_to_fail: &'a BTreeSet<TaskId>,
    /// Both halves of a speedup, where both were made.
    pub measured: Option<&'a Measured>,
    /// The recovery from a kill, where one was made.
    pub recovery: Option<&'a Recovery>,
    /// The faults that were made.
    pub faults: &'a [Faulted],
    /// What all runs of the trial cost, and what is at risk besides.
    pub spent: (Usd, Usd),
    /// What they may cost together.
    pub budget: Option<Usd>,
}

/// Whether a trial was good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No criterion that applies was missed.
    Pass,
    /// At least one was.
    Fail,
}

impl Verdict {
    /// The verdict over these criteria.
    pub fn over(criteria: &[Criterion]) -> Self {
        if criteria.iter().any(|criterion| criterion.met == Some(false)) { Verdict::Fail } else { Verdict::Pass }
    }

    /// `pass` or `fail`.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
