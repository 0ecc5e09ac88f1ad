//! What counts as a success (SPEC.md K), and whether a trial is one.
//!
//! | file | for |
//! | --- | --- |
//! | `function` | K1: task types, dependencies, errors that are recovered from |
//! | `performance` | K2: speedup or efficiency, success rate, latency |
//! | `orders` | what a schedule reaches that knows no lengths |
//! | `money` | K3: the budget, the cost of a task, unexpectedly expensive ones |
//!
//! A criterion that says nothing about a run is not applicable, with the reason, and neither met nor missed: a chain of
//! tasks has no speedup, and what has no price no cost.

mod function;
mod money;
mod orders;
mod performance;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use sortie_core::money::Usd;
use sortie_core::plan::{Task, TaskId};

use super::{Faulted, Measured, Recovery};
use crate::fold::{Report, Status, TaskView};

/// What a trial has to reach (SPEC.md K2, K3).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Criteria {
    /// How many times faster than one after the other, at least. None where nobody stated it: then
    /// [`Criteria::SPEEDUP`], unless bad luck in the order of so few tasks explains less.
    pub min_speedup: Option<f64>,
    /// The part of the possible speedup that has to be reached, 0 to 1. None where nobody stated it: then
    /// [`Criteria::EFFICIENCY`], or what is reached with bad luck where that is less.
    pub min_efficiency: Option<f64>,
    /// Percent of tasks that succeed, at least; so many errors, too, may not be recovered from.
    pub min_success_rate: f64,
    /// Seconds, at most.
    pub max_p95_latency: f64,
    /// USD, at most.
    pub max_cost_per_task: f64,
    /// What a task may cost at most, times the median of its type. None where nobody stated it: then
    /// [`Criteria::COST_OUTLIER`], or what chance explains of so many tasks where that is more.
    pub max_cost_outlier: Option<f64>,
}

impl Default for Criteria {
    fn default() -> Self {
        Criteria {
            min_speedup: None,
            min_efficiency: None,
            min_success_rate: 95.0,
            max_p95_latency: 15.0,
            max_cost_per_task: 0.10,
            max_cost_outlier: None,
        }
    }
}

impl Criteria {
    /// How many times faster tasks side by side are (SPEC.md K2).
    pub const SPEEDUP: f64 = 2.5;
    /// The part of the possible speedup (DESIGN.md decision 10), 0 to 1.
    pub const EFFICIENCY: f64 = 0.9;
    /// What is unexpected of a task's cost, times the median of its type, however few tasks there are.
    pub const COST_OUTLIER: f64 = 3.0;
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
    /// Whether faults are made on purpose, of whatever kind and by whomever.
    pub makes_faults: bool,
    /// Those that are known to have been met.
    pub faults: &'a [Faulted],
    /// What all runs of the trial cost, and what is at risk besides.
    pub spent: (Usd, Usd),
    /// What was spent of its budget before it, by the phases in a row with it, what is at risk included.
    pub before: Usd,
    /// What they may cost together, what was spent before included.
    pub budget: Option<Usd>,
    /// Which part a budget stopped, and on what, in words; none where none did.
    pub stopped: Option<&'a str>,
    /// The file that the fitted scenario was written to, or why there is none; none where nobody asked for one.
    pub fit: Option<Result<&'a str, &'a str>>,
}

/// Holds a trial against what it has to reach: K1's criteria first, then K2's and K3's.
pub fn judge(evidence: &Evidence, thresholds: &Criteria) -> Vec<Criterion> {
    let ours = |criteria: [Criterion; 3]| criteria.into_iter();
    let performance = [
        performance::speedup(evidence, thresholds),
        performance::efficiency(evidence, thresholds),
        performance::success_rate(evidence, thresholds),
        performance::p95_latency(evidence, thresholds),
    ];
    ours(function::all(evidence, thresholds))
        .chain(function::priorities(evidence))
        .chain(function::fit(evidence))
        .chain(performance)
        .chain(ours(money::all(evidence, thresholds)))
        .collect()
}

impl Criterion {
    fn of(name: &str, met: bool, why: impl Into<String>) -> Self {
        Criterion { name: name.to_owned(), value: None, threshold: None, met: Some(met), why: why.into() }
    }

    fn not_applicable(name: &str, why: impl Into<String>) -> Self {
        Criterion { met: None, ..Criterion::of(name, false, why) }
    }

    fn with(self, value: impl Into<Option<f64>>, threshold: f64) -> Self {
        Criterion { value: value.into(), threshold: Some(threshold), ..self }
    }
}

impl Evidence<'_> {
    /// The tasks that count, with their views: those that were made to fail do not, nor those that the plan does not
    /// have any more.
    fn counting(&self) -> impl Iterator<Item = (TaskId, &Task, &TaskView)> {
        let fold = self.report.fold;
        let plan = &fold.run().plan;
        let tasks = plan.ids().zip(plan.tasks()).zip(fold.tasks()).map(|((id, task), view)| (id, task, view));
        tasks.filter(|(id, _, view)| !self.meant_to_fail.contains(id) && view.status != Status::Removed)
    }
}

/// What one part of a quotient's rounding may be: a figure that is just what it has to be, worked out in another
/// order, is not missed for its last bit.
const ROUNDING: f64 = 1e-9;

/// Whether a figure is at least so much.
fn reaches(value: f64, least: f64) -> bool {
    value >= least * (1.0 - ROUNDING)
}

/// The first names, and how many more there are: `a, b, c and 4 more`.
fn named<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let shown = names[..names.len().min(MOST_NAMES)].join(", ");
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Names that a sentence takes.
const MOST_NAMES: usize = 5;

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
        if criteria.iter().any(|criterion| criterion.met == Some(false)) {
            Verdict::Fail
        } else {
            Verdict::Pass
        }
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

#[cfg(test)]
mod tests;
