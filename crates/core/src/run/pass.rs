//! Which task is next: the first in the order of the queue whose provider is well enough.

use super::breaker::Barred;
use super::input::Mode;
use super::money::Excess;
use super::ready::{Lane, Place};
use super::route::{Asked, Queue};
use super::step::Deciding;
use crate::agent::AgentId;
use crate::limit::{GateId, WaitReason};
use crate::plan::TaskId;

/// Who is held for the rest of a step.
pub(super) struct Held {
    pub(super) agents: Vec<bool>,
    /// Whose retries are.
    retries: Vec<bool>,
    /// Whether something waits that the budget allows, or may allow.
    pub(super) waits: bool,
    /// The first that the budget never allows and whose gate is closed as well.
    pub(super) past: Option<(TaskId, Excess)>,
}

impl Held {
    pub(super) fn none(agents: usize) -> Self {
        Held { agents: vec![false; agents], retries: vec![false; agents], waits: false, past: None }
    }

    pub(super) fn hold(&mut self, agents: &[AgentId]) {
        for agent in agents {
            self.agents[agent.index()] = true;
        }
    }

    fn hold_retries(&mut self, agents: &[AgentId]) {
        for agent in agents {
            self.retries[agent.index()] = true;
        }
    }

    fn holds(&self, head: &Head) -> bool {
        let asked = head.asked.agent.index();
        self.agents[asked] || (head.is_retry && self.retries[asked])
    }
}

/// The first task of a queue's lane, and who is asked for it.
#[derive(Clone, Copy)]
pub(super) struct Head {
    queue: Queue,
    lane: Lane,
    pub(super) place: Place,
    pub(super) asked: Asked,
    /// Whether it repeats, with the same account, what failed there.
    is_retry: bool,
}

impl Deciding<'_> {
    /// The first task in the order of the queue that nothing but money and rates may hold; tasks of
    /// providers that are ill are held on the way.
    pub(super) fn next(&mut self, held: &mut Held) -> Option<Head> {
        let is_serial = self.run.settings.mode == Mode::Serial;
        if !self.may_start() || (is_serial && !self.run.state.in_flight.is_empty()) {
            return None;
        }
        loop {
            let heads: Vec<Head> = self.heads(held).collect();
            let first = *heads.iter().min_by_key(|head| head.place)?;
            let gate = self.run.gate_of(first.asked.agent);
            let health = &self.run.state.health;
            if let Err(barred) = health.check(gate, self.now) {
                let behind: Vec<AgentId> = self.agents_behind(gate).collect();
                self.say_barred(gate, barred, &behind, held);
                held.waits = true;
                held.hold(&behind);
            } else if health.wants_probe(gate) {
                return self.fresh(gate, &heads).or_else(|| self.least_tried(gate, &heads));
            } else if first.is_retry
                && health.doubts(gate)
                && let Some(fresh) = self.fresh(gate, &heads)
            {
                return Some(fresh);
            } else if first.is_retry && !health.allows_retry(gate) {
                let account = &self.run.settings.gates[gate.index()].account;
                let reason = WaitReason::RetryQuota(account.clone()).to_string();
                let behind: Vec<AgentId> = self.agents_behind(gate).collect();
                self.wait_of(&[Lane::Retry], reason, None, &behind, held);
                held.waits = true;
                held.hold_retries(&behind);
            } else {
                return Some(first);
            }
        }
    }

    /// The first task of each lane that somebody does and nothing holds.
    fn heads(&self, held: &Held) -> impl Iterator<Item = Head> {
        let (run, ready) = (&*self.run, &self.run.state.ready);
        let head = move |(queue, lane)| {
            let place: Place = ready.first(&run.plan, queue, lane, self.now)?;
            let asked = self.asked(queue, place.task, held)?;
            let is_retry = lane == Lane::Retry && run.repeats(place.task, asked.agent);
            Some(Head { queue, lane, place, asked, is_retry })
        };
        ready.lanes().filter_map(head).filter(|head| !held.holds(head))
    }

    /// The queues whose first task, of any lane, one of these agents is asked for.
    pub(super) fn queues_of(&self, agents: &[AgentId], held: &Held) -> Vec<Queue> {
        let (plan, ready) = (&self.run.plan, &self.run.state.ready);
        let asks = |&(queue, lane): &(Queue, Lane)| {
            let first = ready.first(plan, queue, lane, self.now);
            let asked = first.and_then(|place| self.asked(queue, place.task, held));
            asked.is_some_and(|asked| agents.contains(&asked.agent))
        };
        ready.lanes().filter(asks).map(|(queue, _)| queue).collect()
    }

    /// The first task behind a gate that its provider has not failed yet. A task that is ill itself
    /// would never find the provider well.
    fn fresh(&self, gate: GateId, heads: &[Head]) -> Option<Head> {
        self.behind(gate, heads).filter(|head| !head.is_retry).min_by_key(|head| head.place)
    }

    /// The failed task behind a gate with the fewest attempts, so that each gets its turn to probe.
    fn least_tried(&self, gate: GateId, heads: &[Head]) -> Option<Head> {
        let (plan, ready) = (&self.run.plan, &self.run.state.ready);
        let all = |head: Head| {
            let places = ready.all(plan, head.queue, head.lane, self.now);
            places.map(move |place| Head { place, ..head }).filter(|head| self.may_be_asked(head))
        };
        self.behind(gate, heads)
            .flat_map(all)
            .min_by_key(|head| (self.run.task(head.place.task).attempts, head.place))
    }

    /// Whether the agent that is asked for the first of its lane may be asked for this one.
    fn may_be_asked(&self, head: &Head) -> bool {
        let Asked { agent, because } = head.asked;
        because.is_none() || self.run.is_within_budgets(agent, head.place.task)
    }

    fn behind(&self, gate: GateId, heads: &[Head]) -> impl Iterator<Item = Head> {
        heads.iter().copied().filter(move |head| self.run.gate_of(head.asked.agent) == gate)
    }

    /// Says why the tasks behind a gate wait for its provider to be well.
    fn say_barred(&mut self, gate: GateId, barred: Barred, behind: &[AgentId], held: &Held) {
        let name = self.run.settings.gates[gate.index()].name.clone();
        let (reason, until) = match barred {
            Barred::ProbeAt(until) => (WaitReason::NextProbe(name), Some(until)),
            Barred::Probing => (WaitReason::Probe(name), None),
            Barred::Recovering => (WaitReason::Recovery(name), None),
        };
        self.wait_of(&Lane::ALL, reason.to_string(), until, behind, held);
    }
}
