//! What ended a run before its time: how much more it would have needed.

use std::time::Duration;

use sortie_core::agent::AgentId;
use sortie_core::failure::Class;
use sortie_core::misfit::{Holder, misfits};
use sortie_core::money::Usd;
use sortie_core::plan::TaskId;
use sortie_core::run::event::Outcome;
use sortie_report::fold::TaskView;
use sortie_report::units::{count, duration, money};

use super::super::needs::unasked;
use super::{Candidate, Case, World, keys};

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
    let short = || case.around.short.and_then(|(agent, budget)| larger(case, budget, Some(agent)));
    ended.or_else(short).into_iter().chain(of_task(case)).chain(patient(case)).collect()
}

/// A limit for a task that lets each of them be asked: what a call may cost without the results in its prompt, or more
/// until they fit as well, and a quarter above that, for results are longer or shorter.
fn of_task(case: &Case) -> Option<Candidate> {
    let World { plan, settings, laws } = case.world;
    let unasked = unasked(plan, settings, laws);
    let limit = |id: &TaskId| plan.task(*id).max_cost.or(settings.max_cost_per_task);
    let lowest = unasked.iter().filter(|id| limit(id).is_some()).min_by_key(|id| limit(id))?;
    let from = limit(lowest)?;
    let setting =
        if plan.task(*lowest).max_cost.is_some() { keys::COST_OF_OWN_TASK } else { keys::COST_OF_TASK };
    let least = misfits(plan, settings).filter(|one| one.of == Holder::Task).map(|one| one.needs).max();
    let mut enough = rounded(least.unwrap_or(from));
    for _ in 0..TRIES {
        let world = with_limit(case, enough);
        if enough > from && self::unasked(&world.plan, &world.settings, &world.laws).is_empty() {
            let to = rounded(enough.percent_rounded_up(MORE));
            let besides = format!("without it {} would not be asked", count(unasked.len() as u64, "task"));
            return Some(Candidate {
                setting: setting.to_owned(),
                from: money(from),
                to: money(to),
                world: with_limit(case, to),
                mends: &["budget", "success_rate", "task_types"],
                besides: Some(besides),
            });
        }
        enough = rounded(enough.percent_rounded_up(MORE));
    }
    None
}

/// The same world where no task has a lower limit than this.
fn with_limit(case: &Case, least: Usd) -> World {
    let mut world = case.world.with_tasks(|task| task.max_cost = task.max_cost.map(|most| most.max(least)));
    world.settings.max_cost_per_task = world.settings.max_cost_per_task.map(|most| most.max(least));
    world
}

/// A budget that lets all tasks be done, those of an agent in all runs of the trial.
fn larger(case: &Case, budget: Usd, agent: Option<AgentId>) -> Option<Candidate> {
    let free = with_budget(case, agent, None).forecast(case.seed);
    let of_agent = agent.and_then(|id| free.by_agent.get(&id)).map(|share| share.expected);
    let expected = of_agent.unwrap_or(free.cost.expected);
    // As it is configured: the run has what others of the trial left of it.
    let configured = agent.and_then(|id| *case.around.agent_budgets.get(id.index())?);
    let budget = configured.unwrap_or(budget);
    // Beside the run, what its agent's budget is for as well.
    let name = agent.map(|id| case.header.plan.agent(id).name.as_str());
    let others = name.map_or(Usd::ZERO, |_| expected.times(case.around.other_runs));
    let spent = name.map_or(Usd::ZERO, |name| case.around.before.of_agent(name));
    let besides = others.percent_rounded_up(MORE) + spent;
    let mut judged = rounded(expected.max(budget.minus(besides)));
    for _ in 0..TRIES {
        let (world, needed) = (with_budget(case, agent, Some(judged)), judged + besides);
        let needed = if besides.is_zero() { needed } else { rounded(needed) };
        if needed > budget && world.forecast(case.seed).budget_stop.is_none() {
            let agent = agent.map(|id| case.header.plan.agent(id));
            let setting = agent.map_or_else(|| keys::budget(case.around.stated).to_owned(), keys::budget_of);
            let besides = format!(
                "the forecast comes to {} and no play of it is stopped by {}",
                money(expected + others + spent),
                money(needed)
            );
            return Some(Candidate {
                setting,
                from: money(budget),
                to: money(needed),
                world,
                mends: &["budget", "success_rate"],
                besides: Some(besides),
            });
        }
        judged = rounded(judged.percent_rounded_up(MORE));
    }
    None
}

/// A budget of the whole trial that lets all of its runs be made. Those besides the judged one take the same tasks, and
/// the one that is killed makes some calls twice.
fn whole(case: &Case, budget: Usd) -> Option<Candidate> {
    let expected = with_budget(case, None, None).forecast(case.seed).cost.expected;
    let others = expected.times(case.around.other_runs);
    let before = case.around.before.total();
    let comes_to = expected + others + before;
    let besides = others.percent_rounded_up(MORE) + before;
    let mut judged = rounded(expected);
    for _ in 0..TRIES {
        let (world, needed) = (with_budget(case, None, Some(judged)), rounded(judged + besides));
        if needed > budget && world.forecast(case.seed).budget_stop.is_none() {
            return Some(Candidate {
                setting: keys::budget(case.around.stated).to_owned(),
                from: money(budget),
                to: money(needed),
                world: with_budget(case, None, None),
                mends: &["budget", "success_rate"],
                besides: Some(format!(
                    "all that counts against it so far comes to {} by the forecast, {} of it already spent",
                    money(comes_to),
                    money(before),
                )),
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
        setting: keys::RUN_TIMEOUT.to_owned(),
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
        setting: keys::REQUEST_TIMEOUT.to_owned(),
        from: timeout.as_secs().to_string(),
        to: twice.as_secs().to_string(),
        world: case.world.with_tasks(|task| task.timeout = task.timeout.saturating_mul(2)),
        mends: &["success_rate", "error_recovery", "task_types"],
        besides: Some(besides),
    })
}
