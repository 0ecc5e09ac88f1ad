//! Answers that come too slowly or cost too much: shorter ones, and fewer at a time where the server slows down with
//! company.
//!
//! A forecast's percentiles are those of whole runs, so a latency is foreseen as a proportion: what was measured, times
//! how much less the calls are expected to take. A higher threshold would mend nothing and is not suggested.

use std::time::Duration;

use sortie_core::agent::AgentId;
use sortie_core::forecast::Forecast;
use sortie_report::units::{duration, money};

use super::{Candidate, Case, World, keys};

/// Answers are not cut to less than this: tokens.
const SHORTEST: u32 = 50;

pub(super) fn all(case: &Case) -> Vec<Candidate> {
    if case.around.faults {
        return Vec::new();
    }
    let slow = case.threshold("p95_latency").map(|most| Aim::Latency { most });
    let dear = case.threshold("cost_per_task").map(|most| Aim::Cost { most });
    let aims = || slow.into_iter().chain(dear);
    let shorter = aims().flat_map(|aim| {
        // Generated tasks have no setting for it.
        let agents = (!case.around.is_generated).then(|| case.header.plan.used_agents());
        agents.into_iter().flatten().filter_map(move |agent| shorter(case, aim, agent))
    });
    let fewer = slow.and_then(|aim| fewer(case, aim));
    shorter.chain(fewer).collect()
}

/// What has to be reached.
#[derive(Clone, Copy)]
enum Aim {
    /// 95 % of the answers within so many seconds.
    Latency { most: f64 },
    /// A task for less than so much, in USD.
    Cost { most: f64 },
}

impl Aim {
    /// What a world would come to, in words, where that is enough.
    fn reached(self, case: &Case, world: &World) -> Option<String> {
        let then = world.forecast(case.seed);
        match self {
            Aim::Latency { most } => {
                let measured = case.report.summary.metrics.p95_latency?;
                let now = p95(case.now).filter(|now| !now.is_zero())?;
                let foreseen = measured.mul_f64(p95(&then)?.as_secs_f64() / now.as_secs_f64());
                let (measured, shown) = (duration(measured), duration(foreseen));
                (foreseen.as_secs_f64() < most).then(|| {
                    format!("the latency of 95 % of the answers falls from {measured} to about {shown}")
                })
            }
            Aim::Cost { most } => {
                let measured = case.report.summary.cost_per_task?;
                let of = |forecast: &Forecast| forecast.cost.expected.shared_by(forecast.tasks.max(1) as u64);
                let (now, foreseen) = (of(case.now), of(&then));
                (foreseen.as_f64() < most && foreseen < now).then(|| {
                    format!("a task that costs {} comes to about {}", money(measured), money(foreseen))
                })
            }
        }
    }

    const fn mends(self) -> &'static [&'static str] {
        match self {
            Aim::Latency { .. } => &["p95_latency"],
            Aim::Cost { .. } => &["cost_per_task"],
        }
    }
}

/// What 95 % of the calls do not exceed where each is as expected.
fn p95(forecast: &Forecast) -> Option<Duration> {
    let mut took: Vec<Duration> =
        forecast.schedule.iter().map(|call| call.end.saturating_sub(call.start)).collect();
    took.sort_unstable();
    took.get((took.len() * 95).div_ceil(100).saturating_sub(1)).copied()
}

/// The largest of ever smaller `max_tokens` of an agent's tasks that is small enough.
fn shorter(case: &Case, aim: Aim, id: AgentId) -> Option<Candidate> {
    let plan = &case.header.plan;
    let now = plan.tasks().iter().filter(|task| task.agent == id).map(|task| task.max_tokens).max()?;
    let least_allowed = |most: &u32| *most >= SHORTEST;
    (1..).map_while(|halvings| now.checked_shr(halvings).filter(least_allowed)).find_map(|most| {
        let world = case.world.with_tasks(|task| {
            if task.agent == id {
                task.max_tokens = task.max_tokens.min(most);
            }
        });
        let brings = aim.reached(case, &world)?;
        let answers = plan.tasks().iter().zip(case.report.fold.tasks());
        let answers = answers.filter(|(task, view)| task.agent == id && view.answer.is_some());
        let lengths: Vec<u64> = answers.filter_map(|(_, view)| Some(view.usage?.output)).collect();
        let cut = lengths.iter().filter(|length| **length > u64::from(most)).count();
        let cut = format!("{cut} of {} answers were longer and would be cut", lengths.len());
        Some(Candidate {
            setting: keys::max_tokens(plan.agent(id), now),
            from: now.to_string(),
            to: most.to_string(),
            world,
            mends: aim.mends(),
            besides: Some(format!("{brings}; {cut}")),
        })
    })
}

/// The largest of ever fewer calls at a time that is few enough.
fn fewer(case: &Case, aim: Aim) -> Option<Candidate> {
    let now = case.header.settings.max_concurrent;
    (1..).map_while(|halvings| now.checked_shr(halvings).filter(|most| *most > 0)).find_map(|most| {
        let mut world = case.world.clone();
        world.settings.max_concurrent = most;
        let brings = aim.reached(case, &world)?;
        Some(Candidate {
            setting: keys::concurrency(case.around.width, most),
            from: now.to_string(),
            to: most.to_string(),
            world,
            mends: aim.mends(),
            besides: Some(brings),
        })
    })
}
