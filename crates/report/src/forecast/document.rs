//! A forecast as JSON.

use std::time::Duration;

use serde::Serialize;
use sortie_core::agent::{Agent, AgentId};
use sortie_core::ceiling::Binding;
use sortie_core::forecast::{Basis, Forecast, TaskCost};
use sortie_core::misfit::Doom;
use sortie_core::money::Usd;
use sortie_core::plan::TaskId;
use sortie_core::price::Pricing;

use super::{Forecasted, notes, why};
use crate::learned::{self, LearnedLimits};
use crate::units::{as_dollars, as_seconds};

/// The JSON form: the names are the format's (DESIGN.md).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Document {
    /// How many tasks there are.
    tasks: usize,
    cost: Range,
    makespan_s: Times,
    /// How many times faster than one call after the other the plan can be at best.
    ceiling: Option<f64>,
    /// What keeps it from being faster.
    binding: Option<&'static str>,
    #[serde(with = "as_seconds")]
    lower_bound_s: Duration,
    /// Where a budget stops the run; null where none does.
    budget_stop: Option<Stop>,
    /// Agents whose price nobody knows: with any of them no sum is known. Absent where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unpriced: Vec<Unpriced>,
    /// Tasks that are bound to fail unsent, and those behind them. Absent where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    will_not_run: Vec<WillNotRun>,
    /// How often the run was played.
    plays: usize,
    agents: Vec<AgentRow>,
    /// What earlier runs have learned of limits, and this one is expected to meet. Absent where nothing is
    /// known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    learned_limits: Vec<LearnedLimits>,
    /// What has to be known of what was supposed. Absent where there is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    schedule: Vec<Slot>,
    /// In the order of the plan.
    task_costs: Vec<TaskRow>,
    /// The same without what was asked on the command line; absent where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_configured: Option<Baseline>,
}

/// What a forecast comes to in short, to be compared with another.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Baseline {
    cost: Range,
    makespan_s: Times,
    binding: Option<&'static str>,
}

/// Null where some calls have no price.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Range {
    #[serde(with = "as_dollars::option")]
    low: Option<Usd>,
    #[serde(with = "as_dollars::option")]
    expected: Option<Usd>,
    #[serde(with = "as_dollars::option")]
    worst: Option<Usd>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Unpriced {
    agent: String,
    model: String,
    /// Whether a run would be refused for it: a limit in dollars holds its calls.
    refused: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct WillNotRun {
    task_id: String,
    /// In words.
    why: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Times {
    #[serde(with = "as_seconds")]
    p5: Duration,
    #[serde(with = "as_seconds")]
    p50: Duration,
    #[serde(with = "as_seconds")]
    p95: Duration,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Stop {
    /// The agent whose own budget it is; null: the run's.
    agent: Option<String>,
    #[serde(with = "as_dollars")]
    budget: Usd,
    /// Of the plays, 0 to 1.
    share: f64,
    after_tasks: usize,
    #[serde(with = "as_seconds")]
    after_s: Duration,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct AgentRow {
    pub(super) agent: String,
    pub(super) model: String,
    pub(super) tasks: usize,
    pub(super) input_tokens: u64,
    /// Input tokens as expected to one that is reserved; null where nothing is.
    pub(super) input_ratio: Option<f64>,
    pub(super) output_tokens: u64,
    /// Null where the agent has no price.
    #[serde(with = "as_dollars::option")]
    pub(super) expected: Option<Usd>,
    #[serde(with = "as_dollars::option")]
    pub(super) worst: Option<Usd>,
    /// How many past calls it was drawn from; 0: from the simulator or documented defaults.
    pub(super) past_calls: usize,
    /// How many calls to the simulator, in a simulated run. Absent where there were none.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) simulator_calls: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Slot {
    task_id: String,
    #[serde(with = "as_seconds")]
    start_s: Duration,
    #[serde(with = "as_seconds")]
    end_s: Duration,
}

/// What a task is expected to cost, and the most; null where its agent has no price.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct TaskRow {
    task_id: String,
    #[serde(with = "as_dollars::option")]
    expected: Option<Usd>,
    #[serde(with = "as_dollars::option")]
    worst: Option<Usd>,
}

/// A forecast as JSON holds it, beside the one without what was asked on the command line.
pub fn document(of: &Forecasted, as_configured: Option<&Forecasted>) -> Document {
    let Forecasted { plan, forecast, .. } = of;
    let Baseline { cost, makespan_s, binding } = baseline(forecast);
    let slot = |task: &sortie_core::forecast::Scheduled| Slot {
        task_id: plan.task(task.task).name.clone(),
        start_s: task.start,
        end_s: task.end,
    };
    let task_cost = |(id, cost): (TaskId, &TaskCost)| TaskRow {
        task_id: plan.task(id).name.clone(),
        expected: if_priced(plan.agent_of(id), cost.expected),
        worst: if_priced(plan.agent_of(id), cost.worst),
    };
    let will_not_run = |&(id, doom): &(TaskId, Doom)| WillNotRun {
        task_id: plan.task(id).name.clone(),
        why: why(plan, id, doom),
    };
    let unpriced = |(id, refused): (&AgentId, &bool)| {
        let agent = plan.agent(*id);
        Unpriced { agent: agent.name.clone(), model: agent.model.clone(), refused: *refused }
    };
    Document {
        tasks: forecast.tasks,
        cost,
        makespan_s,
        ceiling: forecast.ceiling,
        binding,
        lower_bound_s: forecast.lower_bound,
        budget_stop: forecast.budget_stop.map(|stop| Stop {
            agent: stop.agent.map(|id| plan.agent(id).name.clone()),
            budget: stop.budget,
            share: stop.share(),
            after_tasks: stop.after_tasks as usize,
            after_s: stop.after,
        }),
        unpriced: forecast.unpriced.iter().map(unpriced).collect(),
        will_not_run: forecast.doomed.iter().map(will_not_run).collect(),
        plays: forecast.plays,
        agents: agents(of),
        learned_limits: learned::rows(of.learned, of.settings, of.now),
        notes: notes(of),
        schedule: forecast.schedule.iter().map(slot).collect(),
        task_costs: plan.ids().zip(&forecast.by_task).map(task_cost).collect(),
        as_configured: as_configured.map(|configured| baseline(configured.forecast)),
    }
}

fn baseline(forecast: &Forecast) -> Baseline {
    let (cost, time) = (forecast.cost, forecast.makespan);
    let known = |amount| forecast.unpriced.is_empty().then_some(amount);
    Baseline {
        cost: Range { low: known(cost.low), expected: known(cost.expected), worst: known(cost.worst) },
        makespan_s: Times { p5: time.p5, p50: time.p50, p95: time.p95 },
        binding: forecast.binding.map(Binding::name),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_zero(calls: &usize) -> bool {
    *calls == 0
}

fn if_priced(agent: &Agent, amount: Usd) -> Option<Usd> {
    (agent.pricing != Pricing::Unknown).then_some(amount)
}

pub(super) fn agents(of: &Forecasted) -> Vec<AgentRow> {
    let row = |(&id, share): (&AgentId, &sortie_core::forecast::AgentShare)| {
        let agent = of.plan.agent(id);
        let calls = match of.laws.basis().get(&id) {
            Some(Basis::History(calls)) => *calls,
            Some(Basis::Defaults) | None => 0,
        };
        let (past_calls, simulator_calls) = if of.settings.simulated { (0, calls) } else { (calls, 0) };
        AgentRow {
            agent: agent.name.clone(),
            model: agent.model.clone(),
            tasks: share.tasks,
            input_tokens: share.input_tokens,
            input_ratio: (share.reserved_input > 0)
                .then(|| share.input_tokens as f64 / share.reserved_input as f64),
            output_tokens: share.output_tokens,
            expected: if_priced(agent, share.expected),
            worst: if_priced(agent, share.worst),
            past_calls,
            simulator_calls,
        }
    };
    of.forecast.by_agent.iter().map(row).collect()
}
