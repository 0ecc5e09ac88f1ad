//! Calls that can never fit a limit in money, known before anything is sent.

use std::collections::VecDeque;

use crate::agent::AgentId;
use crate::money::Usd;
use crate::plan::{Edge, End, Plan, TaskId};
use crate::price::Pricing;
use crate::run::input::Settings;

/// A call that may cost more than a limit allows, whatever went before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The task that makes it.
    pub task: TaskId,
    /// What the call may cost, at least: results that its prompt inserts are not in it.
    pub needs: Usd,
    /// What is allowed.
    pub limit: Usd,
    /// Whose limit that is.
    pub of: Holder,
}

/// Whose limit holds a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// The task's own: it fails unsent.
    Task,
    /// This agent's budget: its tasks stop there.
    Agent(AgentId),
    /// The run's budget: the run stops there.
    Run,
}

/// Every call of a plan that can never fit, with each limit that it does not fit, in the order of the plan.
pub fn misfits(plan: &Plan, settings: &Settings) -> impl Iterator<Item = Misfit> {
    let budget = settings.budget.filter(|_| settings.auto_stop);
    let of_task = move |task: TaskId| {
        let needs = least_ask(plan, task);
        let meant = plan.task(task);
        let limits = [
            (Holder::Task, meant.max_cost.or(settings.max_cost_per_task)),
            (Holder::Agent(meant.agent), plan.agent(meant.agent).max_cost),
            (Holder::Run, budget),
        ];
        let misfit = move |(of, limit): (Holder, Option<Usd>)| {
            limit.filter(|limit| needs > *limit).map(|limit| Misfit { task, needs, limit, of })
        };
        limits.into_iter().filter_map(misfit)
    };
    plan.ids().filter(|id| plan.task(*id).invalid.is_none()).flat_map(of_task)
}

/// What a task's first call asks for at least: as a run reserves for it, without the results that its prompt
/// inserts.
fn least_ask(plan: &Plan, id: TaskId) -> Usd {
    let agent = plan.task(id).agent;
    let (input, output) = plan.most_tokens(id, agent, 0);
    match &plan.agent(agent).pricing {
        Pricing::Known(price) => price.most(input, output),
        Pricing::Free | Pricing::Unknown => Usd::ZERO,
    }
}

/// Why a task will not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doom {
    /// It is no task that could be sent ([`crate::plan::Task::invalid`]).
    Invalid,
    /// Its call may cost more than its own limit.
    Limit {
        /// What the call may cost, at least.
        needs: Usd,
        /// What is left of the limit.
        limit: Usd,
    },
    /// It depends on this one, which will not run.
    Behind(TaskId),
}

/// The tasks that are bound to fail unsent, and what hangs behind them, in the order of the plan. `left` is
/// what a task may still cost; tasks that have ended are given as such.
pub(crate) fn doomed(
    plan: &Plan,
    left: impl Fn(TaskId) -> Option<Usd>,
    has_ended: impl Fn(TaskId) -> bool,
) -> Vec<(TaskId, Doom)> {
    let of_itself = |id: TaskId| {
        if plan.task(id).invalid.is_some() {
            return Some(Doom::Invalid);
        }
        let needs = least_ask(plan, id);
        left(id).filter(|limit| needs > *limit).map(|limit| Doom::Limit { needs, limit })
    };
    let mut dooms: Vec<Option<Doom>> =
        plan.ids().map(|id| of_itself(id).filter(|_| !has_ended(id))).collect();
    let mut next: VecDeque<TaskId> = plan.ids().filter(|id| dooms[id.index()].is_some()).collect();
    while let Some(id) = next.pop_front() {
        let end = match dooms[id.index()] {
            Some(Doom::Behind(_)) => End::Skipped,
            _ => End::Failed,
        };
        let behind = plan.dependants(id).iter().filter(|on| !on.when.is_met_by(end) && !has_ended(on.task));
        for Edge { task, .. } in behind {
            let doom = &mut dooms[task.index()];
            if doom.is_none() {
                *doom = Some(Doom::Behind(id));
                next.push_back(*task);
            }
        }
    }
    plan.ids().zip(dooms).filter_map(|(id, doom)| Some((id, doom?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Agent;
    use crate::plan::Task;
    use crate::price::Price;
    use crate::testing::{agent, settings, task};

    fn plan(tasks: Vec<Task>) -> Plan {
        let price = Price::flat(Usd::from_pico(2), Usd::from_pico(10));
        let agent = Agent { pricing: Pricing::Known(price), max_cost: Some(Usd::from_pico(200)), ..agent() };
        Plan::new("plan".into(), vec![agent], tasks)
    }

    #[test]
    fn calls_are_held_against_each_limit() {
        // 42 input tokens are reserved for the prompt: 84, and 10 for each output token.
        let plan = plan(vec![
            Task { max_cost: Some(Usd::from_pico(93)), ..task("a", &[], 1) },
            Task { max_cost: Some(Usd::from_pico(94)), ..task("b", &[], 1) },
            task("c", &[], 100),
        ]);
        let found = |settings: Settings| -> Vec<(u32, Holder, u64, u64)> {
            let misfits = misfits(&plan, &settings);
            misfits.map(|m| (m.task.0, m.of, m.needs.pico(), m.limit.pico())).collect()
        };
        let (own, agent_s) = ((0, Holder::Task, 94, 93), (2, Holder::Agent(AgentId(0)), 1084, 200));
        assert_eq!(found(settings()), [own, agent_s]);
        let bound = Settings {
            budget: Some(Usd::from_pico(1083)),
            max_cost_per_task: Some(Usd::from_pico(1000)),
            ..settings()
        };
        let all = [own, (2, Holder::Task, 1084, 1000), agent_s, (2, Holder::Run, 1084, 1083)];
        assert_eq!(found(bound.clone()), all);
        assert_eq!(found(Settings { auto_stop: false, ..bound }), all[..3], "it only warns");
    }
}
