//! Whom a task goes to: its own agent, or one of that agent's fallbacks while it cannot serve.
//!
//! Decided when a task starts and not before: only the attempt is another's, the task stays where it queues, and
//! goes to its own agent again as soon as that serves. What a fallback may do at all (its model's context window,
//! the task's own limit in money) is settled when the task becomes ready, because nothing of it changes while it
//! waits; so tasks that may go to the same agents share a queue, and no step looks past the first of each.
//!
//! A fallback is for an agent that cannot serve, not for one whose money is spent: tasks of an agent whose own
//! budget is reached stay pending. And it owes nothing to strangers: a call that its own budget or the run's does
//! not allow any more is no reason to stop it, the task waits for somebody else.

use super::breaker::Barred;
use super::event::Unserved;
use super::pass::Held;
use super::planted;
use super::state::Run;
use super::step::Deciding;
use crate::agent::{Agent, AgentId, MAX_FALLBACKS};
use crate::failure::Failure;
use crate::limit::GateId;
use crate::plan::{Plan, TaskId};
use crate::price::Pricing;
use crate::time::Time;

/// Where a task waits: with those of its agent that may go to the same fallbacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Queue {
    pub(super) agent: AgentId,
    /// A bit for each fallback of the agent, the lowest for its first: whether it may do these tasks.
    admits: u16,
}

impl Queue {
    /// Of tasks that only their own agent may do.
    pub(super) const fn of(agent: AgentId) -> Self {
        Queue { agent, admits: 0 }
    }

    pub(super) const fn has_fallbacks(self) -> bool {
        self.admits != 0
    }

    fn fallbacks(self, plan: &Plan) -> impl Iterator<Item = AgentId> {
        let all = plan.agent(self.agent).fallbacks.iter().copied().enumerate();
        all.filter(move |(place, _)| self.admits >> place & 1 == 1).map(|(_, agent)| agent)
    }
}

/// Who is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) agent: AgentId,
    /// Why it is not the task's own agent; none: it is.
    pub(super) because: Option<Unserved>,
}

impl Run {
    /// Where a task that is ready now, or will be without being asked for anything else, has to wait.
    pub(super) fn queue_for(&self, id: TaskId) -> Queue {
        let agent = self.plan.task(id).agent;
        let fallbacks = self.plan.agent(agent).fallbacks.iter().take(MAX_FALLBACKS);
        let may = fallbacks.enumerate().filter(|(_, fallback)| self.may_ever_do(**fallback, id));
        Queue { agent, admits: may.fold(0, |admits, (place, _)| admits | 1 << place) }
    }

    /// Whether a call for a task fits the context window of an agent's model, and the task's own limit.
    fn may_ever_do(&self, agent: AgentId, id: TaskId) -> bool {
        let fits = self.plan.fits(id, agent, self.inserted(id)) || planted!(FallbackTooLong);
        let Some(limit) = self.limit_of_task(id) else { return fits };
        let is_priced = self.plan.agent(agent).pricing != Pricing::Unknown;
        let needed = self.task(id).charged.total() + self.reservation(id, agent).usd;
        fits && is_priced && needed <= limit
    }

    /// Whether the next attempt at a task repeats, with this agent's account, one that its provider failed.
    pub(super) fn repeats(&self, id: TaskId, asked: AgentId) -> bool {
        let account = |agent| &self.settings.gates[self.gate_of(agent).index()].account;
        self.task(id).failed_at.is_some_and(|failed| account(failed) == account(asked))
    }

    pub(super) fn gate_of(&self, agent: AgentId) -> GateId {
        self.plan.agent(agent).gate
    }

    /// Why nothing more is sent to an agent in this session: what stopped its account, or its model.
    pub(super) fn stop_of(&self, agent: AgentId) -> Option<&Failure> {
        let gate = self.gate_of(agent);
        let account = &self.settings.gates[gate.index()].account;
        self.state.stopped.get(account).or_else(|| self.state.health.stopped(agent))
    }

    fn is_over(&self, agent: AgentId) -> bool {
        self.state.agents[agent.index()].over.is_some()
    }
}

impl Deciding<'_> {
    /// Who is asked next for a task of a queue; none where nobody will do it in this session.
    ///
    /// The first fallback that is well, else the first whose provider is to be tried again. Where there is none, the
    /// task waits: for its own agent, or if that is stopped for the first fallback that is not.
    pub(super) fn asked(&self, queue: Queue, task: TaskId, held: &Held) -> Option<Asked> {
        let own = queue.agent;
        if self.run.is_over(own) {
            return None;
        }
        let Some(because) = self.unserved(own, held) else { return Some(Asked::own(own)) };
        let able = || queue.fallbacks(&self.run.plan).filter(|agent| self.may_ask(*agent, task));
        let well = able().find(|agent| self.is_well(*agent, false));
        let next = well.or_else(|| able().find(|agent| self.is_well(*agent, true)));
        match (next, because) {
            (Some(agent), _) => Some(Asked { agent, because: Some(because) }),
            (None, Unserved::Stopped) => able().next().map(|agent| Asked { agent, because: Some(because) }),
            (None, _) => Some(Asked::own(own)),
        }
    }

    /// Whether a task will be done in this session, as far as is known.
    pub(super) fn serves(&self, queue: Queue, task: TaskId) -> bool {
        self.asked(queue, task, &Held::none(self.run.plan.agents().len())).is_some()
    }

    /// Why an agent's tasks go to its fallbacks; none where they do not. A probe goes to it all the same, unless
    /// it is held by something else.
    fn unserved(&self, agent: AgentId, held: &Held) -> Option<Unserved> {
        if !self.has_account(agent) {
            return Some(Unserved::Stopped);
        }
        let Agent { fallbacks, fallback_after, gate, .. } = self.run.plan.agent(agent);
        if fallbacks.is_empty() {
            return None;
        }
        if planted!(FallbackTooEarly) {
            return Some(Unserved::Failing);
        }
        let health = &self.run.state.health;
        let is_barred = matches!(health.check(*gate, self.now), Err(Barred::ProbeAt(_) | Barred::Probing));
        if is_barred || (health.wants_probe(*gate) && held.agents[agent.index()]) {
            return Some(Unserved::Failing);
        }
        let (since, until) = self.gates.throttled_for(*gate, self.now)?;
        let is_long = fallback_after.is_some_and(|most| until.since(since) > most);
        is_long.then_some(Unserved::ThrottledUntil(until))
    }

    /// Whether an agent's account or model has not been stopped.
    fn has_account(&self, agent: AgentId) -> bool {
        self.run.stop_of(agent).is_none() || planted!(StoppedAccountServed)
    }

    /// Whether nothing that lasts for the session keeps a fallback from a task.
    fn may_ask(&self, agent: AgentId, task: TaskId) -> bool {
        let has_account = self.has_account(agent) || planted!(FallbackStopped);
        has_account
            && !planted!(FallbackForgotten)
            && !self.run.is_over(agent)
            && self.run.is_within_budgets(agent, task)
    }

    /// Whether a fallback's provider takes calls now; `if_probed`: also where the next one is a probe.
    fn is_well(&self, agent: AgentId, if_probed: bool) -> bool {
        let (gate, health) = (self.run.gate_of(agent), &self.run.state.health);
        health.check(gate, self.now).is_ok()
            && (if_probed || !health.wants_probe(gate))
            && self.gates.throttled_for(gate, self.now).is_none()
    }

    /// Looks again when an agent that tasks wait for, beside the one that is asked, may serve again.
    pub(super) fn wake_for_others(&mut self) {
        let (plan, ready) = (&self.run.plan, &self.run.state.ready);
        let waits = |(queue, lane)| ready.first(plan, queue, lane, self.now).is_some();
        let lanes = ready.lanes().filter(|(queue, _)| queue.has_fallbacks());
        let waited_for = lanes.filter(|lane| waits(*lane)).flat_map(|(queue, _)| {
            queue.fallbacks(plan).chain([queue.agent]).filter(|agent| self.has_account(*agent))
        });
        let soonest = waited_for.filter_map(|agent| self.recovers(agent)).min();
        self.wake(soonest);
    }

    /// When an agent may serve again that does not now, where that is known.
    fn recovers(&self, agent: AgentId) -> Option<Time> {
        let gate = self.run.gate_of(agent);
        let probed = match self.run.state.health.check(gate, self.now) {
            Err(Barred::ProbeAt(until)) => Some(until),
            _ => None,
        };
        let throttled = self.gates.throttled_for(gate, self.now).map(|(_, until)| until);
        probed.into_iter().chain(throttled).max()
    }
}

impl Asked {
    const fn own(agent: AgentId) -> Self {
        Asked { agent, because: None }
    }
}
