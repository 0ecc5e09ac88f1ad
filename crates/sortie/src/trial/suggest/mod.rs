//! Which other setting would make a run better, and what it would bring: by the forecast, under the same laws.
//!
//! What the run's figures call for is tried: a limit that its tasks waited for, room that they reserved and did not use,
//! a budget or a timeout that ended it. A value is doubled for as long as each doubling brings a twentieth of the time,
//! by one play in which every call is as expected; then both settings are forecast in full, and what brings less than
//! a twentieth of time or money, and mends no criterion, is not suggested.
//!
//! | file | for |
//! | --- | --- |
//! | `limits` | concurrency, rates, quotas of tokens: the configuration's and the provider's |
//! | `ended` | what ended the run before its time: the budget, the timeouts |
//! | `missed` | answers that come too slowly or cost too much |
//! | `answers` | `max_tokens` far above what answers are long |
//! | `around` | the trial that the run is part of |
//! | `keys` | what the settings are called, and which of them have to be changed |
//!
//! What it does not do: laws are drawn from past calls, so that answers come faster from a provider that has less to
//! do is foreseen of a simulator only, whose scenario says so.
//!
//! # Adding a suggestion
//! A function from `Case` to `Candidate`s, and its line in `candidates`.

mod answers;
mod around;
mod ended;
pub(super) mod keys;
mod limits;
mod missed;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sortie_core::agent::{Agent, AgentId};
use sortie_core::forecast::{Forecast, Laws, forecast, makespan};
use sortie_core::limit::{GateId, Learned, WaitReason};
use sortie_core::money::Usd;
use sortie_core::plan::{Plan, Task};
use sortie_core::run::input::Settings;
use sortie_engine::store::{Header, Store};
use sortie_report::Report;
use sortie_report::trial::{Criterion, Suggestion};
use sortie_report::units::{duration, money};

use crate::foresight::{Foresight, Past};

pub use around::{Around, Stated};

/// Suggestions that are made: more would be a list to choose from.
const MOST: usize = 3;

/// The part of the time or the money that a change has to bring, and each doubling of a value.
const WORTH_IT: f64 = 0.05;

/// What would have made a run better, the best first, at most three. `criteria` are those that it was judged by, and
/// `around` is the trial that it is part of;
/// `past` is what the runs before it know, itself included. None where nothing can be foreseen.
pub async fn suggestions<S: Store>(
    header: &Header,
    report: &Report<'_>,
    criteria: &[Criterion],
    around: Around,
    past: Past<'_, S>,
) -> Vec<Suggestion> {
    let Ok(foresight) = Foresight::of(header, past).await else { return Vec::new() };
    let Foresight { laws, settings, forecast, learned, .. } = foresight;
    let world = World { plan: Arc::clone(&header.plan), settings: Settings::clone(&settings), laws };
    let seed = header.settings.seed;
    let case =
        Case { header, report, criteria, around, world: &world, now: &forecast, learned: &learned, seed };
    let mut found: Vec<Ranked> = candidates(&case).into_iter().filter_map(|one| case.weigh(one)).collect();
    // Stable: of equals the first that was thought of. Of two values of one setting the better one is told.
    found.sort_by(|a, b| b.mends.cmp(&a.mends).then(b.share.total_cmp(&a.share)));
    let mut said = BTreeSet::new();
    found.retain(|ranked| said.insert(ranked.suggestion.setting.clone()));
    found.into_iter().map(|ranked| ranked.suggestion).take(MOST).collect()
}

/// All changes that the run's figures call for.
fn candidates(case: &Case) -> Vec<Candidate> {
    let all = [ended::all, limits::all, missed::all, answers::all];
    // What another run than the judged one waited for is not what would make that one better.
    let all = if case.around.is_unmade { &all[..1] } else { &all[..] };
    all.iter().flat_map(|of: &fn(&Case) -> Vec<Candidate>| of(case)).collect()
}

/// What a forecast is made of.
#[derive(Clone)]
struct World {
    plan: Arc<Plan>,
    settings: Settings,
    laws: Laws,
}

impl World {
    /// How long the plan takes where every call is as expected.
    fn makespan(&self) -> Duration {
        makespan(&self.plan, &self.settings, &self.laws)
    }

    fn forecast(&self, seed: u64) -> Forecast {
        forecast(&self.plan, &self.settings, &self.laws, seed)
    }

    /// The same world with other tasks, which keep their places.
    fn with_tasks(&self, change: impl Fn(&mut Task)) -> Self {
        let mut tasks = self.plan.tasks().to_vec();
        tasks.iter_mut().for_each(change);
        self.with_plan(self.plan.agents().to_vec(), tasks)
    }

    /// The same world with another agent in the place of this one.
    fn with_agent(&self, id: AgentId, change: impl FnOnce(&mut Agent)) -> Self {
        let mut agents = self.plan.agents().to_vec();
        if let Some(agent) = agents.get_mut(id.index()) {
            change(agent);
        }
        self.with_plan(agents, self.plan.tasks().to_vec())
    }

    fn with_plan(&self, agents: Vec<Agent>, tasks: Vec<Task>) -> Self {
        let removed = self.plan.ids().filter(|id| self.plan.is_removed(*id)).collect();
        let plan = Plan::new(self.plan.name().to_owned(), agents, tasks).without(removed);
        World { plan: Arc::new(plan), ..self.clone() }
    }
}

/// A run, and what is foreseen of another one like it.
struct Case<'a> {
    header: &'a Header,
    report: &'a Report<'a>,
    criteria: &'a [Criterion],
    around: Around,
    world: &'a World,
    /// The forecast as it is.
    now: &'a Forecast,
    /// What was learned of gates that are used.
    learned: &'a [(GateId, Learned)],
    seed: u64,
}

/// A change of settings.
struct Candidate {
    /// What has to be changed ([`Suggestion::setting`]).
    setting: String,
    from: String,
    to: String,
    /// Where it is made.
    world: World,
    /// The criteria that are missed without it.
    mends: &'static [&'static str],
    /// What it brings besides time and money.
    besides: Option<String>,
}

struct Ranked {
    suggestion: Suggestion,
    mends: bool,
    /// The larger of the parts of time and money that it saves.
    share: f64,
}

impl Case<'_> {
    /// Whether any of these criteria was missed.
    fn missed(&self, names: &[&str]) -> bool {
        self.criteria.iter().any(|one| one.met == Some(false) && names.contains(&one.name.as_str()))
    }

    /// What a criterion that was missed had to be.
    fn threshold(&self, name: &str) -> Option<f64> {
        let missed = self.criteria.iter().find(|one| one.met == Some(false) && one.name == name);
        missed.and_then(|one| one.threshold)
    }

    /// Whether tasks waited for any of these for a part of the run that counts.
    fn waited(&self, is_it: impl Fn(&WaitReason) -> bool) -> bool {
        let summary = &self.report.summary;
        let waits = summary.waits.iter().filter(|wait| wait.why().is_some_and(|why| is_it(&why)));
        let waited: f64 = waits.map(|wait| wait.seconds.as_secs_f64()).sum();
        waited > 0.0 && waited >= WORTH_IT * summary.total_duration.as_secs_f64()
    }

    /// The value from which on doubling brings nothing more; none where it brings nothing at all.
    fn least_enough(&self, from: u64, most: u64, with: impl Fn(u64) -> World) -> Option<(u64, World)> {
        let (mut value, mut time, mut found) = (from, self.world.makespan(), None);
        while value < most {
            let next = value.saturating_mul(2).min(most);
            let world = with(next);
            let takes = world.makespan();
            if saved(time, takes) < WORTH_IT {
                break;
            }
            (value, time) = (next, takes);
            found = Some((value, world));
        }
        found
    }

    /// What a change brings, where that is enough.
    fn weigh(&self, candidate: Candidate) -> Option<Ranked> {
        let Candidate { setting, from, to, world, mends, besides } = candidate;
        let then = world.forecast(self.seed);
        let (slow, fast) = (self.now.makespan.p50, then.makespan.p50);
        let (dear, cheap) = (self.now.cost.expected, then.cost.expected);
        // A run that its budget stops takes less time and costs less than one that goes on: nothing is saved by that.
        let are_whole = self.now.budget_stop.is_none() && then.budget_stop.is_none();
        let (of_time, of_money) =
            if are_whole { (saved(slow, fast), saved_money(dear, cheap)) } else { (0.0, 0.0) };
        let mends = self.missed(mends);
        if !mends && of_time.max(of_money) < WORTH_IT {
            return None;
        }
        let mut brings = Vec::new();
        if of_time >= WORTH_IT {
            brings.push(format!(
                "the forecast's median time falls from {} to {}",
                duration(slow),
                duration(fast)
            ));
        }
        if of_money >= WORTH_IT {
            brings.push(format!("the forecast's cost falls from {} to {}", money(dear), money(cheap)));
        }
        brings.extend(besides);
        let suggestion = Suggestion {
            setting,
            from,
            to,
            brings: brings.join("; "),
            saves: (of_time >= WORTH_IT).then(|| slow.saturating_sub(fast)),
            saves_cost: (of_money >= WORTH_IT).then(|| dear.minus(cheap)),
        };
        Some(Ranked { suggestion, mends, share: of_time.max(of_money) })
    }
}

/// The part of the time that is saved; less than nothing where it takes longer.
fn saved(before: Duration, after: Duration) -> f64 {
    let before = before.as_secs_f64();
    if before > 0.0 { 1.0 - after.as_secs_f64() / before } else { 0.0 }
}

fn saved_money(before: Usd, after: Usd) -> f64 {
    if before.is_zero() { 0.0 } else { 1.0 - after.as_f64() / before.as_f64() }
}
