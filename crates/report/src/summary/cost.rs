//! Money of a run in figures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sortie_core::agent::Agent;
use sortie_core::money::Usd;
use sortie_core::plan::Plan;
use sortie_core::usage::Tier;

use super::share;
use crate::costs::{Costs, Group, Grouping};
use crate::fold::{Fold, Overrun, TaskView};
use crate::units::{as_dollars, money};

/// Money of a run (SPEC.md C4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostSummary {
    /// What is known to be spent.
    #[serde(with = "as_dollars")]
    pub total_cost: Usd,
    /// Of the total, what the providers' usage says.
    #[serde(default, with = "as_dollars")]
    pub actual: Usd,
    /// Of the total, what is estimated from what arrived, where no usage came.
    #[serde(default, with = "as_dollars")]
    pub estimated: Usd,
    /// What may have been spent besides, for answers that were lost or cut. What is reserved for
    /// calls in flight is not in it: a journal cannot tell whether anyone still waits for them, and
    /// it is the resume that writes off what nobody does.
    #[serde(with = "as_dollars")]
    pub at_risk: Usd,
    /// The budget; null: without a limit.
    #[serde(with = "as_dollars::option")]
    pub budget: Option<Usd>,
    /// Percent of the budget that is used as the budget counts: what is at risk included.
    pub utilization: Option<f64>,
    /// The budgets that agents have of their own, by their names.
    #[serde(default)]
    pub agent_budgets: BTreeMap<String, AgentBudget>,
    /// Agents that were called and whose price nobody knows: their calls are in no amount.
    #[serde(default)]
    pub unpriced_agents: Vec<String>,
    /// The first calls that cost more than was reserved for them: the tier and the model that the reply
    /// names decide the price, and nobody can bound what was not asked for.
    #[serde(default)]
    pub overruns: Vec<OverrunCall>,
    /// Tasks that made a call.
    pub tasks_count: u64,
    /// The total shared by them.
    #[serde(with = "as_dollars::option")]
    pub avg_cost_per_task: Option<Usd>,
    /// The price table that costs were worked out with, by its date and the beginning of its hash:
    /// `2026-11-25 (0123abcd)`; null of a run of before it was kept.
    #[serde(default)]
    pub price_table: Option<String>,
    /// The task that cost most, the first in the plan of those; null where nothing cost anything.
    pub most_expensive_task: Option<TaskCost>,
    /// What the answers' input was of what was reserved for it, by agent: how far the estimate is above it.
    #[serde(default)]
    pub input: BTreeMap<String, InputTokens>,
    /// What the calls of each agent came to, by its name.
    #[serde(default)]
    pub by_agent: BTreeMap<String, Group>,
    /// By the type of the task.
    #[serde(default)]
    pub by_type: BTreeMap<String, Group>,
    /// By the model that the reply named, else the agent's.
    #[serde(default)]
    pub by_model: BTreeMap<String, Group>,
    /// By the day of the record that charged the call, `YYYY-MM-DD`, UTC.
    #[serde(default)]
    pub by_day: BTreeMap<String, Group>,
}

/// Input tokens of an agent's answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InputTokens {
    /// As the provider counted them.
    pub actual: u64,
    /// As they were reserved.
    pub reserved: u64,
    /// The first to one of the second; null where nothing was reserved.
    pub ratio: Option<f64>,
}

/// An agent's own budget (its `max_cost`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentBudget {
    /// The budget.
    #[serde(with = "as_dollars")]
    pub budget: Usd,
    /// What its calls came to, what is at risk included.
    #[serde(with = "as_dollars")]
    pub used: Usd,
    /// Percent of the budget that is used.
    pub utilization: Option<f64>,
}

/// A call that cost more than was reserved for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverrunCall {
    /// For which task.
    pub task_id: String,
    /// What was reserved.
    #[serde(with = "as_dollars")]
    pub reserved: Usd,
    /// What it cost beyond that.
    #[serde(with = "as_dollars")]
    pub over: Usd,
    /// The model that the reply named; null where it named none.
    pub model: Option<String>,
    /// The tier that it was served in.
    pub tier: Tier,
}

/// What a task cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskCost {
    /// The task's id.
    pub task_id: String,
    /// What is known to be spent on it.
    #[serde(with = "as_dollars")]
    pub cost: Usd,
}

impl CostSummary {
    /// The total for people: at least so much, or nothing known at all, where calls have no price.
    pub(crate) fn total(&self) -> String {
        match (self.unpriced_agents.is_empty(), self.total_cost.is_zero()) {
            (true, _) => money(self.total_cost),
            (false, true) => "unknown".to_owned(),
            (false, false) => format!("at least {}", money(self.total_cost)),
        }
    }

    pub(super) fn of(fold: &Fold, total_cost: Usd) -> Self {
        let ran = || fold.tasks().iter().zip(fold.run().plan.tasks()).filter(|(view, _)| view.ran);
        let tasks_count = ran().count() as u64;
        // What a task's lost calls may have cost is in no sum, so it is no part of an average.
        let is_all_lost = |view: &TaskView| view.cost().is_zero() && !view.charge.at_risk.is_zero();
        let in_sum = ran().filter(|(view, _)| !is_all_lost(view)).count() as u64;
        let used = fold.charge().total();
        // The first of equals: `max_by_key` would give the last.
        let dearest =
            ran().rev().max_by_key(|(view, _)| view.cost()).filter(|(view, _)| !view.cost().is_zero());
        let grouped = |by: Grouping| {
            let costs = fold.costs().iter().find(|costs| costs.by() == by);
            costs.map(Costs::by_group).unwrap_or_default()
        };
        let charge = fold.charge();
        CostSummary {
            total_cost,
            actual: charge.actual,
            estimated: charge.estimated,
            at_risk: charge.at_risk,
            agent_budgets: agent_budgets(fold),
            input: input(fold),
            overruns: fold.overruns().iter().map(|of| overrun_call(&fold.run().plan, of)).collect(),
            unpriced_agents: fold.unpriced().iter().map(|agent| agent.name.clone()).collect(),
            budget: fold.budget(),
            utilization: fold.budget().and_then(|budget| share(used, budget)),
            tasks_count,
            price_table: fold.run().settings.price_table.clone(),
            avg_cost_per_task: (in_sum > 0).then(|| total_cost.shared_by(in_sum)),
            most_expensive_task: dearest
                .map(|(view, task)| TaskCost { task_id: task.name.clone(), cost: view.cost() }),
            by_agent: grouped(Grouping::Agent),
            by_type: grouped(Grouping::Type),
            by_model: grouped(Grouping::Model),
            by_day: grouped(Grouping::Day),
        }
    }
}

fn overrun_call(plan: &Plan, of: &Overrun) -> OverrunCall {
    OverrunCall {
        task_id: plan.task(of.task).name.clone(),
        reserved: of.reserved,
        over: of.over,
        model: of.model.clone(),
        tier: of.tier,
    }
}

fn input(fold: &Fold) -> BTreeMap<String, InputTokens> {
    let plan = &fold.run().plan;
    let mut agents: BTreeMap<String, InputTokens> = BTreeMap::new();
    for (view, task) in fold.tasks().iter().zip(plan.tasks()) {
        let Some(actual) = view.answer_input else { continue };
        let tokens = agents.entry(view.agent(plan, task.agent).name.clone()).or_default();
        tokens.actual = tokens.actual.saturating_add(actual);
        tokens.reserved = tokens.reserved.saturating_add(view.reserved_input);
        tokens.ratio = (tokens.reserved > 0).then(|| tokens.actual as f64 / tokens.reserved as f64);
    }
    agents
}

fn agent_budgets(fold: &Fold) -> BTreeMap<String, AgentBudget> {
    let costs = fold.costs().iter().find(|costs| costs.by() == Grouping::Agent);
    let groups = costs.map(Costs::by_group).unwrap_or_default();
    let of = |(agent, budget): (&Agent, Usd)| {
        let used = groups.get(&agent.name).map_or(Usd::ZERO, Group::total);
        (agent.name.clone(), AgentBudget { budget, used, utilization: share(used, budget) })
    };
    fold.agent_budgets().map(of).collect()
}
