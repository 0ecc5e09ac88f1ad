//! Which task is next: the first in the order of the queue whose provider is well enough.

use super::breaker::Barred;
use super::input::Mode;
use super::ready::{Lane, Place};
use super::step::Deciding;
use crate::agent::AgentId;
use crate::limit::GateId;

/// Whose tasks are held for the rest of a step.
pub(super) struct Held {
    pub(super) agents: Vec<bool>,
    /// Whose retries are.
    retries: Vec<bool>,
}

impl Held {
    pub(super) fn none(agents: usize) -> Self {
        Held { agents: vec![false; agents], retries: vec![false; agents] }
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

    fn holds(&self, agent: AgentId, lane: Lane) -> bool {
        self.agents[agent.index()] || (lane == Lane::Retry && self.retries[agent.index()])
    }
}

impl Deciding<'_> {
    /// The first task in the order of the queue that nothing but money and rates may hold; tasks of
    /// providers that are ill are held on the way.
    pub(super) fn next(&mut self, held: &mut Held) -> Option<(AgentId, Place)> {
        let is_serial = self.run.settings.mode == Mode::Serial;
        if !self.may_start() || (is_serial && !self.run.state.in_flight.is_empty()) {
            return None;
        }
        loop {
            let (agent, lane, place) = self.first(held)?;
            let gate = self.run.plan.agent(agent).gate;
            let behind = || -> Vec<AgentId> { self.agents_behind(gate).collect() };
            if let Err(barred) = self.run.state.health.check(gate, self.now) {
                let behind = behind();
                self.say_barred(gate, barred, &behind);
                held.hold(&behind);
            } else if self.run.state.health.wants_probe(gate) {
                let behind = behind();
                return self.fresh(&behind, held).or_else(|| self.least_tried(&behind, held));
            } else if lane == Lane::Retry
                && self.run.state.health.doubts(gate)
                && let Some(fresh) = self.fresh(&behind(), held)
            {
                return Some(fresh);
            } else if lane == Lane::Retry && !self.run.state.health.allows_retry(gate) {
                let account = &self.run.settings.gates[gate.index()].account;
                let (reason, behind) = (format!("the retry quota of {account}"), behind());
                self.wait_in(&[Lane::Retry], reason, None, &behind);
                held.hold_retries(&behind);
            } else {
                return Some((agent, place));
            }
        }
    }

    fn first(&self, held: &Held) -> Option<(AgentId, Lane, Place)> {
        let (plan, ready) = (&self.run.plan, &self.run.state.ready);
        let lanes = plan.agent_ids().filter(|agent| self.serves(*agent)).flat_map(|agent| {
            Lane::ALL.into_iter().filter(move |lane| !held.holds(agent, *lane)).map(move |lane| (agent, lane))
        });
        lanes
            .filter_map(|(agent, lane)| Some((agent, lane, ready.first(plan, agent, lane, self.now)?)))
            .min_by_key(|(.., place)| *place)
    }

    /// The first task behind a gate that its provider has not failed yet. A task that is ill itself
    /// would never find the provider well.
    fn fresh(&self, behind: &[AgentId], held: &Held) -> Option<(AgentId, Place)> {
        let (plan, ready) = (&self.run.plan, &self.run.state.ready);
        self.serving(behind, held)
            .filter_map(|agent| Some((agent, ready.first(plan, agent, Lane::First, self.now)?)))
            .min_by_key(|(_, place)| *place)
    }

    /// The failed task behind a gate with the fewest attempts, so that each gets its turn to probe.
    fn least_tried(&self, behind: &[AgentId], held: &Held) -> Option<(AgentId, Place)> {
        let (plan, ready) = (&self.run.plan, &self.run.state.ready);
        let all = |agent| ready.all(plan, agent, Lane::Retry, self.now).map(move |place| (agent, place));
        self.serving(behind, held)
            .flat_map(all)
            .min_by_key(|(_, place)| (self.run.task(place.task).attempts, *place))
    }

    fn serving(&self, behind: &[AgentId], held: &Held) -> impl Iterator<Item = AgentId> {
        behind.iter().copied().filter(|agent| !held.agents[agent.index()] && self.serves(*agent))
    }

    /// Says why the tasks behind a gate wait for its provider to be well.
    fn say_barred(&mut self, gate: GateId, barred: Barred, behind: &[AgentId]) {
        let name = &self.run.settings.gates[gate.index()].name;
        let (reason, until) = match barred {
            Barred::ProbeAt(until) => (format!("the next probe: {name} is failing"), Some(until)),
            Barred::Probing => (format!("the answer to a probe: {name} is failing"), None),
            Barred::Recovering => (format!("answers of {name}, which was failing"), None),
        };
        self.wait_in(&Lane::ALL, reason, until, behind);
    }
}
