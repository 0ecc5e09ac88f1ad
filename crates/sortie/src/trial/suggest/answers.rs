//! `max_tokens` far above what answers are long: what is reserved for them holds other tasks.

use sortie_core::agent::AgentId;
use sortie_core::limit::{Dimension, WaitReason};
use sortie_core::run::event::Outcome;

use super::{Candidate, Case, World, keys};

/// What is left above the longest answer, times its length: the next one may be longer.
const ROOM: f64 = 1.5;
/// Lower limits are whole hundreds of tokens.
const STEP: u64 = 100;

pub(super) fn all(case: &Case) -> Vec<Candidate> {
    let by_quota = case
        .waited(|reason| matches!(reason, WaitReason::Quota(Dimension::OutputTokens | Dimension::Tokens, _)));
    let by_budget = case.waited(|reason| matches!(reason, WaitReason::Budget | WaitReason::AgentBudget(_)));
    let stopped = matches!(case.report.fold.outcome(), Some(Outcome::BudgetExceeded { .. }));
    if !(by_quota || by_budget || stopped) {
        return Vec::new();
    }
    case.header.plan.used_agents().into_iter().filter_map(|id| shorter(case, id)).collect()
}

/// Room for answers as long as they come, and half as much again.
fn shorter(case: &Case, agent: AgentId) -> Option<Candidate> {
    let (plan, fold) = (&case.header.plan, case.report.fold);
    let ours = || plan.tasks().iter().zip(fold.tasks()).filter(|(task, _)| task.agent == agent);
    let answers = ours().filter(|(_, view)| view.answer.is_some()).filter_map(|(_, view)| view.usage);
    let longest = answers.map(|usage| usage.output).max().filter(|longest| *longest > 0)?;
    let enough = ((longest as f64 * ROOM) as u64).next_multiple_of(STEP);
    let enough = u32::try_from(enough).ok()?;
    let now = ours().map(|(task, _)| task.max_tokens).max().filter(|now| *now > enough)?;
    let agents = plan.agent(agent);
    let setting = keys::max_tokens(agents, now);
    let world = case.world.with_tasks(|task| {
        if task.agent == agent {
            task.max_tokens = task.max_tokens.min(enough);
        }
    });
    Some(Candidate {
        setting,
        from: now.to_string(),
        to: enough.to_string(),
        // Where the budget stops the one and not the other, that is what it brings.
        mends: mends(case, &world),
        besides: Some(format!("the longest answer had {longest} tokens")),
        world,
    })
}

/// What is missed because the budget has no room for what is reserved, and would have for less.
fn mends(case: &Case, world: &World) -> &'static [&'static str] {
    let stops = case.now.budget_stop.is_some();
    if stops && world.forecast(case.seed).budget_stop.is_none() { &["budget"] } else { &[] }
}
