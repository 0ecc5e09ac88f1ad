//! The index of tasks that may start: what has no unmet dependency and waits for nothing but
//! limits, and what waits for the time of its retry.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::agent::AgentId;
use crate::plan::{Plan, TaskId};
use crate::time::Time;

/// Where a task stands in its queue; the smallest goes first.
///
/// The plan's priority, then the longest remaining path. Among equals the one with the longer
/// answer and the longer prompt (SPEC.md B3: the complex ones first), then the order written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    priority: Reverse<i32>,
    /// Whole microseconds, and bytes up to 4 GiB: a fan of a million tasks queues at once, so these
    /// are small.
    rank_us: Reverse<u64>,
    max_tokens: Reverse<u32>,
    prompt_bytes: Reverse<u32>,
    pub(super) task: TaskId,
}

impl Place {
    fn of(plan: &Plan, id: TaskId) -> Self {
        let task = plan.task(id);
        Place {
            priority: Reverse(task.priority),
            rank_us: Reverse(u64::try_from(plan.rank(id).as_micros()).unwrap_or(u64::MAX)),
            max_tokens: Reverse(task.max_tokens),
            prompt_bytes: Reverse(u32::try_from(task.prompt.fixed_bytes).unwrap_or(u32::MAX)),
            task: id,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ready {
    /// For each agent, what may start now.
    queues: Vec<BTreeSet<Place>>,
    /// What may start from a time on.
    delayed: BTreeSet<(Time, TaskId)>,
}

impl Ready {
    pub(super) fn new(agents: usize) -> Self {
        Ready { queues: vec![BTreeSet::new(); agents], delayed: BTreeSet::new() }
    }

    pub(super) fn insert(&mut self, plan: &Plan, id: TaskId) {
        self.queues[plan.task(id).agent.index()].insert(Place::of(plan, id));
    }

    pub(super) fn delay(&mut self, until: Time, id: TaskId) {
        self.delayed.insert((until, id));
    }

    /// Takes a task out, wherever it waits.
    pub(super) fn remove(&mut self, plan: &Plan, id: TaskId, delayed_until: Option<Time>) {
        match delayed_until {
            Some(until) => self.delayed.remove(&(until, id)),
            None => self.queues[plan.task(id).agent.index()].remove(&Place::of(plan, id)),
        };
    }

    /// The next task of an agent, queued or due.
    pub(super) fn first(&self, plan: &Plan, agent: AgentId, now: Time) -> Option<Place> {
        let due = self.due(now).filter(|&id| plan.task(id).agent == agent).map(|id| Place::of(plan, id));
        due.chain(self.queues[agent.index()].first().copied()).min()
    }

    /// Retries whose time has come; the next record moves them into their queues.
    fn due(&self, now: Time) -> impl Iterator<Item = TaskId> + '_ {
        self.delayed.iter().take_while(move |(until, _)| *until <= now).map(|&(_, id)| id)
    }

    /// Takes out the retries whose time has come.
    pub(super) fn take_due(&mut self, now: Time) -> Vec<TaskId> {
        let due: Vec<_> = self.delayed.iter().take_while(|(until, _)| *until <= now).copied().collect();
        for delay in &due {
            self.delayed.remove(delay);
        }
        due.into_iter().map(|(_, id)| id).collect()
    }

    /// The time of the next retry after `now` among tasks that `counts`.
    pub(super) fn next_due(&self, now: Time, counts: impl Fn(TaskId) -> bool) -> Option<Time> {
        self.delayed.iter().find(|&&(until, id)| until > now && counts(id)).map(|&(until, _)| until)
    }

    /// How many tasks of an agent could start if nothing held them.
    pub(super) fn len(&self, agent: AgentId) -> usize {
        self.queues[agent.index()].len()
    }

    /// Whether any task of an agent that `counts` waits here, for a limit or a time.
    pub(super) fn any(&self, plan: &Plan, counts: impl Fn(AgentId) -> bool) -> bool {
        plan.agent_ids().any(|agent| counts(agent) && self.len(agent) > 0)
            || self.delayed.iter().any(|&(_, id)| counts(plan.task(id).agent))
    }
}
