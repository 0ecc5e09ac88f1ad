//! Like with like: whether tasks of a kind took longer at the end of a run than at its beginning.
//!
//! Those that begin first are of other kinds than those that begin last: priorities and dependencies see to that. So
//! each answer is held against those of its own kind, and the kinds that ran over a longer part of the run say more.

use std::collections::BTreeMap;
use std::time::Duration;

use sortie_core::agent::AgentId;
use sortie_core::plan::{Plan, TaskId};

use crate::trial::Trend;
use crate::trial::chance::SURE;

/// From the middle of the first quarter to that of the last, as a part of the run.
const APART: f64 = 0.75;

/// What tasks have in common that take about as long: their type, their agent, the longest answer that they allow.
type Kind<'a> = (&'a str, AgentId, u32);

/// How the latencies of tasks of a kind changed over the run, from answers in the order in which their calls began. None where no
/// kind has enough of them.
///
/// One line for the logarithms of all latencies over their places in the run, with a height of its own for each kind
/// (analysis of covariance: R. A. Fisher, "Statistical Methods for Research Workers", 1932): its slope is the change,
/// and what the latencies differ by from their lines says how much of it chance explains.
pub(super) fn trend(plan: &Plan, answers: &[(TaskId, Duration)]) -> Option<Trend> {
    let mut kinds: BTreeMap<Kind, Vec<(f64, f64)>> = BTreeMap::new();
    for (place, (task, latency)) in answers.iter().enumerate() {
        // A damaged journal may name what its plan does not have.
        let Some(of) = plan.tasks().get(task.index()).filter(|_| !latency.is_zero()) else { continue };
        let place = (place as f64 + 0.5) / answers.len() as f64;
        let kind = (of.task_type.as_str(), of.agent, of.max_tokens);
        kinds.entry(kind).or_default().push((place, latency.as_secs_f64().ln()));
    }
    let [mut places, mut both, mut logs] = [0.0; 3];
    let n: usize = kinds.values().map(Vec::len).sum();
    // A height for each kind, and the slope.
    let free = n.checked_sub(kinds.len() + 1).filter(|free| *free > 0)?;
    for points in kinds.values() {
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
        let (place, log) = (mean(|point| point.0), mean(|point| point.1));
        for (x, y) in points.iter().map(|point| (point.0 - place, point.1 - log)) {
            places += x * x;
            both += x * y;
            logs += y * y;
        }
    }
    if places <= 0.0 {
        return None;
    }
    let slope = both / places;
    let residual = (logs - slope * both).max(0.0) / free as f64;
    let error = (residual / places).sqrt();
    let trend = Trend { factor: (APART * slope).exp(), explained: (SURE * APART * error).exp() };
    // Of kinds that ran at one moment only a line says nothing.
    (trend.factor.is_normal() && trend.explained.is_finite()).then_some(trend)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, Story};
    use crate::trial::testing::lognormal;

    /// So many tasks, the first half of which is of another type than the second, and `slower` so many times as long.
    fn halves(tasks: u32, slower: f64, drift: impl Fn(f64) -> f64, random: &mut Random) -> Trend {
        let names: Vec<String> = (0..tasks).map(|n| format!("t{n}")).collect();
        let kind = |n: usize| if n < names.len() / 2 { "general" } else { "design" };
        let all: Vec<(&str, &str, &[u32])> =
            names.iter().enumerate().map(|(n, name)| (&**name, kind(n), [].as_slice())).collect();
        let plan = Story::new("halves", &all).plan;
        let answer = |n: u32| {
            let kind = if n < tasks / 2 { 1.0 } else { slower };
            let took = 4.0 * kind * drift(f64::from(n) / f64::from(tasks)) * lognormal(0.4, random);
            (TaskId(n), Duration::from_secs_f64(took))
        };
        let answers: Vec<_> = (0..tasks).map(answer).collect();
        trend(&plan, &answers).unwrap()
    }

    #[test]
    fn longer_tasks_at_the_end_are_no_drift() {
        let mut random = Random::seeded(11);
        let found = (0..200).filter(|_| halves(200, 3.0, |_| 1.0, &mut random).is_real()).count();
        // One in a hundred to each side.
        assert!(found <= 10, "{found} of 200 runs in which nothing drifts");
    }

    #[test]
    fn tasks_that_take_ever_longer_are_a_drift_whatever_their_kinds() {
        let mut random = Random::seeded(12);
        // Shorter tasks at the end hide that all of them take four times as long.
        let (mut found, mut factors) = (0, 0.0);
        for _ in 0..100 {
            let of = halves(200, 0.3, |place| 4_f64.powf(place / APART), &mut random);
            found += u32::from(of.is_real());
            factors += of.factor.ln() / 100.0;
        }
        assert!(
            found >= 98 && (3.6..4.4).contains(&factors.exp()),
            "{found} of 100, {:.2} times",
            factors.exp()
        );
    }

    #[test]
    fn kinds_of_one_task_each_say_nothing() {
        let story = Story::new("two", &[("a", "general", &[]), ("b", "design", &[])]);
        let second = Duration::from_secs(1);
        assert_eq!(trend(&story.plan, &[(TaskId(0), second), (TaskId(1), 9 * second)]), None);
        assert_eq!(trend(&story.plan, &[]), None);
        assert_eq!(trend(&story.plan, &[(TaskId(7), second); 9]), None, "no task of the plan");
    }
}
