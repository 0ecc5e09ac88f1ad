//! What a schedule reaches that does not know how long each call will take.
//!
//! The ceiling knows, and gives the last place to the shortest call. Nobody else does: of a few calls the longest may
//! just as well come last. So the calls that were made are played again under the run's limits, with their lengths
//! exchanged between tasks of the same kind, which nothing told apart beforehand. Whoever took longer than nearly all
//! of these plays lost time; whoever did not had bad luck.

use std::collections::BTreeMap;
use std::time::Duration;

use sortie_core::agent::AgentId;
use sortie_core::chance::Chance;
use sortie_core::forecast::{Laws, makespan};
use sortie_core::hash::Hash;
use sortie_core::run::input::{Mode, Settings};

use crate::bound;
use crate::fold::Report;
use crate::trial::chance::UNLIKELY;

/// Tasks above which luck is no excuse: what one call more or less at the end comes to is far below what a trial may
/// lose.
const MOST_TASKS: usize = 100;
/// Enough for the last hundredth of them to be two.
const PLAYS: usize = 200;
/// What passes between calls, as a part of the time: plays know of nothing but calls and limits.
const BETWEEN: f64 = 0.01;

/// How long the run may take with bad luck: all but a hundredth of the plays take less. None where there are too many tasks for
/// luck to matter, or where no call was made.
pub(super) fn unlucky(report: &Report) -> Option<Duration> {
    let plan = &report.fold.run().plan;
    let views = report.fold.tasks();
    let called: Vec<usize> = (0..views.len()).filter(|place| !views[*place].call_time.is_zero()).collect();
    if called.is_empty() || called.len() > MOST_TASKS {
        return None;
    }
    let mut kinds: BTreeMap<(&str, AgentId, u32), Vec<usize>> = BTreeMap::new();
    for place in called {
        let task = plan.tasks().get(place)?;
        kinds.entry((&task.task_type, task.agent, task.max_tokens)).or_default().push(place);
    }
    let mut lengths: Vec<Duration> = views.iter().map(|view| view.call_time).collect();
    let limits = bound::limits(report.fold, &report.allowed);
    // What was spent is known to have fitted.
    let settings = Settings { mode: Mode::Parallel, budget: None, ..limits.into_owned() };
    let laws = Laws::new(plan, |_| None);
    let mut chance = Chance::new(0, &Hash::of(b""), "orders");
    let mut play = || {
        for kind in kinds.values() {
            // Fisher and Yates (1938).
            for last in (1..kind.len()).rev() {
                lengths.swap(kind[last], kind[chance.below(last as u64 + 1) as usize]);
            }
        }
        makespan(plan, &settings, &laws.clone().stating(lengths.clone()))
    };
    let mut plays: Vec<Duration> = (0..PLAYS).map(|_| play()).collect();
    plays.sort_unstable();
    let longer = (UNLIKELY * PLAYS as f64) as usize;
    plays.get(PLAYS - 1 - longer).map(|play| play.mul_f64(1.0 + BETWEEN))
}
