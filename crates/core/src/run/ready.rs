//! The index of tasks that may start: what has no unmet dependency and waits for nothing but
//! limits, and what waits for the time of its retry.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

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

/// Retries queue beside the others, because their account's quota may hold them back alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    First,
    Retry,
}

impl Lane {
    pub(super) const ALL: [Lane; 2] = [Lane::First, Lane::Retry];

    pub(super) const fn of(is_retry: bool) -> Self {
        if is_retry { Lane::Retry } else { Lane::First }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ready {
    /// For each agent and lane, what may start now.
    queues: Vec<[BTreeSet<Place>; 2]>,
    /// What may start from a time on.
    delayed: BTreeMap<(Time, TaskId), Lane>,
}

impl Ready {
    pub(super) fn new(agents: usize) -> Self {
        Ready { queues: vec![<[BTreeSet<Place>; 2]>::default(); agents], delayed: BTreeMap::new() }
    }

    pub(super) fn insert(&mut self, plan: &Plan, id: TaskId, lane: Lane) {
        self.queues[plan.task(id).agent.index()][lane.index()].insert(Place::of(plan, id));
    }

    pub(super) fn delay(&mut self, until: Time, id: TaskId, lane: Lane) {
        self.delayed.insert((until, id), lane);
    }

    /// Takes a task out, wherever it waits.
    pub(super) fn remove(&mut self, plan: &Plan, id: TaskId, lane: Lane, delayed_until: Option<Time>) {
        match delayed_until {
            Some(until) => {
                self.delayed.remove(&(until, id));
            }
            None => {
                self.queues[plan.task(id).agent.index()][lane.index()].remove(&Place::of(plan, id));
            }
        }
    }

    /// The next task of an agent's lane, queued or due.
    pub(super) fn first(&self, plan: &Plan, agent: AgentId, lane: Lane, now: Time) -> Option<Place> {
        let queued = self.queues[agent.index()][lane.index()].first().copied();
        self.due_in(plan, agent, lane, now).chain(queued).min()
    }

    /// All tasks of an agent's lane, queued or due.
    pub(super) fn all(
        &self,
        plan: &Plan,
        agent: AgentId,
        lane: Lane,
        now: Time,
    ) -> impl Iterator<Item = Place> {
        self.due_in(plan, agent, lane, now).chain(self.queues[agent.index()][lane.index()].iter().copied())
    }

    fn due_in(&self, plan: &Plan, agent: AgentId, lane: Lane, now: Time) -> impl Iterator<Item = Place> {
        let due = self.due(now).filter(move |&(id, of)| of == lane && plan.task(id).agent == agent);
        due.map(|(id, _)| Place::of(plan, id))
    }

    /// Retries whose time has come; the next record moves them into their queues.
    fn due(&self, now: Time) -> impl Iterator<Item = (TaskId, Lane)> {
        let due = self.delayed.iter().take_while(move |((until, _), _)| *until <= now);
        due.map(|(&(_, id), &lane)| (id, lane))
    }

    /// Takes out the retries whose time has come.
    pub(super) fn take_due(&mut self, now: Time) -> Vec<TaskId> {
        let due: Vec<_> = self.delayed.keys().take_while(|(until, _)| *until <= now).copied().collect();
        for delay in &due {
            self.delayed.remove(delay);
        }
        due.into_iter().map(|(_, id)| id).collect()
    }

    /// The time of the next retry after `now` among tasks that `counts`.
    pub(super) fn next_due(&self, now: Time, counts: impl Fn(TaskId) -> bool) -> Option<Time> {
        self.delayed.keys().find(|&&(until, id)| until > now && counts(id)).map(|&(until, _)| until)
    }

    /// How many tasks of an agent's lane could start now if nothing held them.
    pub(super) fn waiting(&self, plan: &Plan, agent: AgentId, lane: Lane, now: Time) -> usize {
        let due = self.due_in(plan, agent, lane, now).count();
        due + self.queues[agent.index()][lane.index()].len()
    }

    /// Whether any task of an agent that `counts` waits here, for a limit or a time.
    pub(super) fn any(&self, plan: &Plan, counts: impl Fn(AgentId) -> bool) -> bool {
        plan.agent_ids()
            .any(|agent| counts(agent) && self.queues[agent.index()].iter().any(|lane| !lane.is_empty()))
            || self.delayed.keys().any(|&(_, id)| counts(plan.task(id).agent))
    }
}
