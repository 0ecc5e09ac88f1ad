//! Whose price has to be known: where a limit in money holds an agent's calls, one that only warns
//! included.

use std::collections::BTreeMap;

use crate::agent::AgentId;
use crate::plan::Plan;
use crate::price::Pricing;
use crate::run::input::{Budgets, Settings};

/// The agents of a plan's tasks that have no price, and whether a run with these settings is refused for
/// it, or its resume with these budgets.
pub fn unpriced(plan: &Plan, settings: &Settings, budgets: &Budgets) -> BTreeMap<AgentId, bool> {
    let is_held = |id: AgentId| {
        settings.limits_cost_of(plan, id) || budgets.run.is_some() || budgets.agents.contains_key(&id)
    };
    let unpriced = plan.used_agents().into_iter().filter(|id| plan.agent(*id).pricing == Pricing::Unknown);
    unpriced.map(|id| (id, is_held(id))).collect()
}

/// Those of them that it is refused for.
pub fn refused(plan: &Plan, settings: &Settings, budgets: &Budgets) -> Vec<AgentId> {
    unpriced(plan, settings, budgets).into_iter().filter_map(|(id, is_held)| is_held.then_some(id)).collect()
}
