//! What ended a run before its time: how much more it would have needed.

use std::time::Duration;

use sortie_core::agent::AgentId;
use sortie_core::failure::Class;
use sortie_core::money::Usd;
use sortie_core::run::event::Outcome;
use sortie_report::fold::TaskView;
use sortie_report::units::{count, duration, money};

use super::{Candidate, Case, World};

/// How much more is tried each time that a budget is still too small.
const MORE: u32 = 125;
/// How often.
const TRIES: usize = 8;

/// A timeout that answers came this near to, as a part of it, cuts answers and not only connections that hang.
const NEAR: f64 = 0.7;

pub(super) fn all(case: &Case) -> Vec<Candidate> {
    let ended = match case.report.fold.outcome() {
        Some(Outcome::BudgetExceeded { agent: Some(_), .. }) | None => None,
        _ => case.around.stopped_by.and_then(|budget| whole(case, budget)),
    };
    let ended = ended.or_else(|| match case.report.fold.outcome() {
        Some(Outcome::BudgetExceeded { budget, agent, .. }) => larger(case, *budget, *agent),
        Some(Outcome::TimedOut { after }) => longer(case, *after),
        _ => None,
    });
    ended.into_iter().chain(patient(case)).collect()
}

/// A budget that lets all tasks be done. One of an agent is told as it is configured, with what other runs took of it.
fn larger(case: &Case, budget: Usd, agent: Option<AgentId>) -> Option<Candidate> {
    let free = with_budget(case, agent, None).forecast(case.seed);
    let of_agent = agent.and_then(|id| free.by_agent.get(&id)).map(|share| share.expected);
    let expected = of_agent.unwrap_or(free.cost.expected);
    let taken = agent.map_or(Usd::ZERO, |id| taken_before(case, budget, id));
    let mut needed = rounded(expected.max(budget));
    for _ in 0..TRIES {
        let world = with_budget(case, agent, Some(needed));
        if needed > budget && world.forecast(case.seed).budget_stop.is_none() {
            let whose = agent.map(|id| case.header.plan.agent(id).name.clone());
            let setting = whose.map_or("cost_control.max_cost_per_session".to_owned(), |name| {
                format!("agents.{name}.max_cost")
            });
            let mut besides = format!(
                "the forecast comes to {} and no play of it is stopped by {}",
                money(expected),
                money(needed)
            );
            if !taken.is_zero() {
                besides = format!("{besides}; the runs before it took {}", money(taken));
            }
            return Some(Candidate {
                setting,
                from: money(budget + taken),
                to: money(if taken.is_zero() { needed } else { rounded(needed + taken) }),
                world,
                mends: &["budget", "success_rate"],
                besides: Some(besides),
            });
        }
        needed = rounded(needed.percent_rounded_up(MORE));
    }
    None
}

/// What other runs of the trial took of an agent's own budget, of which so much was left.
fn taken_before(case: &Case, left: Usd, agent: AgentId) -> Usd {
    let configured = case.around.configured.and_then(|plan| plan.agents().get(agent.index()));
    configured.and_then(|agent| agent.max_cost).map_or(Usd::ZERO, |configured| configured.minus(left))
}

/// A budget of the whole trial that lets all of its runs be made. Those besides the judged one take the same tasks, and
/// the one that is killed makes some calls twice.
fn whole(case: &Case, budget: Usd) -> Option<Candidate> {
    let expected = with_budget(case, None, None).forecast(case.seed).cost.expected;
    let others = expected.times(case.around.other_runs);
    let comes_to = expected + others + case.around.before;
    let besides = others.percent_rounded_up(MORE) + case.around.before;
    let mut judged = rounded(expected);
    for _ in 0..TRIES {
        let (world, needed) = (with_budget(case, None, Some(judged)), rounded(judged + besides));
        if needed > budget && world.forecast(case.seed).budget_stop.is_none() {
            return Some(Candidate {
                setting: "cost_control.max_cost_per_session".to_owned(),
                from: money(budget),
                to: money(needed),
                world: with_budget(case, None, None),
                mends: &["budget", "success_rate"],
                besides: Some(format!("all runs of the trial come to {} by the forecast", money(comes_to))),
            });
        }
        judged = rounded(judged.percent_rounded_up(MORE));
    }
    None
}

/// The same world with another budget of the run, or of an agent.
fn with_budget(case: &Case, agent: Option<AgentId>, budget: Option<Usd>) -> World {
    if let Some(id) = agent {
        return case.world.with_agent(id, |agent| agent.max_cost = budget);
    }
    let mut world = case.world.clone();
    world.settings.budget = budget;
    world
}

/// Up to two significant digits.
fn rounded(amount: Usd) -> Usd {
    let digits = amount.pico().checked_ilog10().unwrap_or_default();
    let unit = 10_u64.pow(digits.saturating_sub(1));
    Usd::from_pico(amount.pico().div_ceil(unit).saturating_mul(unit))
}

/// A run timeout that the forecast fits into. Of one that nobody stated nothing is said: it ends only what stands still.
fn longer(case: &Case, after: Duration) -> Option<Candidate> {
    let spread = case.now.makespan;
    let minutes = spread.p95.as_secs().div_ceil(60).saturating_mul(60);
    let enough = Duration::from_secs(minutes);
    if case.header.settings.timeout_restarts || enough <= after {
        return None;
    }
    let besides = format!(
        "the forecast's median time is {}, and 95 % of its plays end within {}",
        duration(spread.p50),
        duration(spread.p95)
    );
    Some(Candidate {
        setting: "timeouts.total_timeout".to_owned(),
        from: after.as_secs().to_string(),
        to: minutes.to_string(),
        world: case.world.clone(),
        mends: &["success_rate"],
        besides: Some(besides),
    })
}

/// A request timeout twice as long, where answers come near to the one there is. What those answers would have been
/// that it cut nobody knows, so this one has figures of the run and none of the forecast.
fn patient(case: &Case) -> Option<Candidate> {
    let fold = case.report.fold;
    let cut = fold.counts().of(Class::Timeout);
    let timeout = case.header.plan.tasks().iter().map(|task| task.timeout).max()?;
    let answered = fold.tasks().iter().filter(|view| view.answer.is_some());
    let slowest = answered.filter_map(TaskView::latency).max()?;
    if cut == 0 || slowest.as_secs_f64() < NEAR * timeout.as_secs_f64() {
        return None;
    }
    let twice = timeout.saturating_mul(2);
    let besides = format!(
        "{} given up, and answers took up to {}",
        match cut {
            1 => "1 call was".to_owned(),
            _ => format!("{} were", count(cut, "call")),
        },
        duration(slowest)
    );
    Some(Candidate {
        setting: "timeouts.request_timeout".to_owned(),
        from: timeout.as_secs().to_string(),
        to: twice.as_secs().to_string(),
        world: case.world.with_tasks(|task| task.timeout = task.timeout.saturating_mul(2)),
        mends: &["success_rate", "error_recovery", "task_types"],
        besides: Some(besides),
    })
}
