//! The index of tasks that may start: what has no unmet dependency and waits for nothing but
//! limits, and what waits for the time of its retry. Tasks that may go to the same agents queue together.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::route::Queue;
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
    /// For each lane of each queue that was ever used, what may start now.
    queues: BTreeMap<Queue, [BTreeSet<Place>; 2]>,
    /// What may start from a time on.
    delayed: BTreeMap<(Time, TaskId), (Queue, Lane)>,
}

impl Ready {
    pub(super) fn insert(&mut self, plan: &Plan, id: TaskId, queue: Queue, lane: Lane) {
        self.queues.entry(queue).or_default()[lane.index()].insert(Place::of(plan, id));
    }

    pub(super) fn delay(&mut self, until: Time, id: TaskId, queue: Queue, lane: Lane) {
        self.queues.entry(queue).or_default(); // known before its time comes
        self.delayed.insert((until, id), (queue, lane));
    }

    /// Takes a task out, wherever it waits.
    pub(super) fn remove(
        &mut self,
        plan: &Plan,
        id: TaskId,
        queue: Queue,
        lane: Lane,
        delayed_until: Option<Time>,
    ) {
        if let Some(until) = delayed_until {
            self.delayed.remove(&(until, id));
        } else if let Some(lanes) = self.queues.get_mut(&queue) {
            lanes[lane.index()].remove(&Place::of(plan, id));
        }
    }

    /// All lanes of all queues, empty ones included.
    pub(super) fn lanes(&self) -> impl Iterator<Item = (Queue, Lane)> {
        self.queues.keys().flat_map(|&queue| Lane::ALL.map(|lane| (queue, lane)))
    }

    /// The next task of a queue's lane, queued or due.
    pub(super) fn first(&self, plan: &Plan, queue: Queue, lane: Lane, now: Time) -> Option<Place> {
        let queued = self.lane(queue, lane).and_then(|lane| lane.first().copied());
        self.due_in(plan, queue, lane, now).chain(queued).min()
    }

    /// All tasks of a queue's lane, queued or due.
    pub(super) fn all(
        &self,
        plan: &Plan,
        queue: Queue,
        lane: Lane,
        now: Time,
    ) -> impl Iterator<Item = Place> {
        let queued = self.lane(queue, lane).into_iter().flatten().copied();
        self.due_in(plan, queue, lane, now).chain(queued)
    }

    fn lane(&self, queue: Queue, lane: Lane) -> Option<&BTreeSet<Place>> {
        self.queues.get(&queue).map(|lanes| &lanes[lane.index()])
    }

    fn due_in(&self, plan: &Plan, queue: Queue, lane: Lane, now: Time) -> impl Iterator<Item = Place> {
        let due = self.delayed.iter().take_while(move |((until, _), _)| *until <= now);
        let here = due.filter(move |(_, waits)| **waits == (queue, lane));
        here.map(|(&(_, id), _)| Place::of(plan, id))
    }

    /// The retries whose time has come.
    pub(super) fn due(&self, now: Time) -> impl Iterator<Item = TaskId> {
        self.delayed.keys().take_while(move |(until, _)| *until <= now).map(|(_, id)| *id)
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
    pub(super) fn next_due(&self, now: Time, counts: impl Fn(Queue, TaskId) -> bool) -> Option<Time> {
        let mut next = self.delayed.iter().filter(|((until, _), _)| *until > now);
        next.find(|&(&(_, id), &(queue, _))| counts(queue, id)).map(|(&(until, _), _)| until)
    }

    /// The agents whose tasks wait here, for whatever it is.
    pub(super) fn agents(&self) -> BTreeSet<AgentId> {
        let queued = self.queues.iter().filter(|(_, lanes)| lanes.iter().any(|lane| !lane.is_empty()));
        queued
            .map(|(queue, _)| queue.agent)
            .chain(self.delayed.values().map(|(queue, _)| queue.agent))
            .collect()
    }

    /// How many tasks of a queue's lane could start now if nothing held them.
    pub(super) fn waiting(&self, plan: &Plan, queue: Queue, lane: Lane, now: Time) -> usize {
        self.due_in(plan, queue, lane, now).count() + self.lane(queue, lane).map_or(0, BTreeSet::len)
    }

    /// Whether any task that `counts` waits here, for a limit or a time: the first one of a lane, behind which
    /// the others wait, or one whose time has not come.
    pub(super) fn any(&self, plan: &Plan, now: Time, counts: impl Fn(Queue, TaskId) -> bool) -> bool {
        let first = |(queue, lane)| Some((queue, self.first(plan, queue, lane, now)?));
        self.lanes().filter_map(first).any(|(queue, place)| counts(queue, place.task))
            || self.next_due(now, counts).is_some()
    }
}
