//! The books on providers' health: when a breaker has to be open, what a retry quota has left, and
//! which calls failed alike. Kept from starts and replies alone.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Violation, World};
use crate::agent::AgentId;
use crate::failure::{Class, Failure};
use crate::limit::GateId;
use crate::plan::TaskId;
use crate::run::event::{AttemptId, Event, Record};
use crate::run::input::Step;
use crate::time::Time;

/// What is known of the provider behind one gate.
#[derive(Debug, Default)]
pub(super) struct Provider {
    /// Calls in flight, and when they started.
    calls: Vec<(AttemptId, Time)>,
    /// Its failures since it last answered.
    row: Vec<(Time, TaskId)>,
    outage: Option<Outage>,
    /// How often it was found to be ill since it last was well.
    outages: u32,
    last_outage: Option<Time>,
    /// Since it answered a probe: how many may be in flight.
    ramp: Option<usize>,
}

/// What is known of one model behind a gate.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// What the last calls failed with, and whose they were.
    alike: Option<(String, Vec<TaskId>)>,
    stopped: bool,
}

#[derive(Debug)]
struct Outage {
    /// No probe before.
    until: Time,
    probe: Option<AttemptId>,
}

/// What a failure says.
pub(super) struct Says {
    /// Nothing of its task.
    pub(super) of_outage: bool,
    pub(super) too_many_alike: bool,
}

impl Provider {
    /// Whether it was found to be ill and has not answered since.
    pub(super) fn is_ill(&self) -> bool {
        self.outage.is_some()
    }

    /// Whether it has answered since it was ill, and few calls may be in flight yet.
    pub(super) fn is_recovering(&self) -> bool {
        self.ramp.is_some()
    }

    fn fall_ill(&mut self, at: Time) {
        let seconds = (5 << self.outages.min(4)).min(54);
        self.outage = Some(Outage { until: at + Duration::from_secs(seconds), probe: None });
        self.outages += 1;
        self.last_outage = Some(at);
        self.row.clear();
    }

    /// A call ended; whether it was the probe, and whether it started before the last outage.
    fn end(&mut self, attempt: AttemptId) -> (bool, bool) {
        let started = self.calls.iter().find(|(of, _)| *of == attempt).map(|(_, at)| *at);
        self.calls.retain(|(of, _)| *of != attempt);
        let is_probe = self.outage.as_ref().is_some_and(|outage| outage.probe == Some(attempt));
        (is_probe, started <= self.last_outage)
    }

    /// A call ended in a way that a provider that is ill has not.
    fn answered(&mut self, attempt: AttemptId, most: usize) {
        let (is_probe, is_old) = self.end(attempt);
        if is_probe {
            (self.outage, self.ramp) = (None, Some(2));
            self.row.clear();
        } else if self.outage.is_none() && !is_old {
            self.row.clear();
            self.ramp = self.ramp.map(|ramp| ramp + 1).filter(|ramp| *ramp < most);
            self.outages = if self.ramp.is_some() { self.outages } else { 0 };
        }
    }

    /// A call ended without saying anything.
    fn said_nothing(&mut self, attempt: AttemptId, at: Time) -> bool {
        let (is_probe, _) = self.end(attempt);
        if let Some(outage) = self.outage.as_mut().filter(|_| is_probe) {
            (outage.until, outage.probe) = (at, None);
        }
        is_probe
    }

    /// A call failed as calls to a provider that is ill do; whether that is no fault of its task.
    fn failed(&mut self, attempt: AttemptId, at: Time) -> bool {
        let (is_probe, is_old) = self.end(attempt);
        if is_probe {
            self.fall_ill(at);
        } else if self.outage.is_none() && !is_old {
            self.row.push((at, attempt.task));
            let tasks: BTreeSet<TaskId> = self.row.iter().map(|(_, task)| *task).collect();
            let is_long = self.row.len() >= 10 || at.since(self.row[0].0) >= Duration::from_secs(10);
            if tasks.len() >= 3 && (is_long || self.ramp.is_some()) {
                self.fall_ill(at);
            }
        }
        self.outage.is_some() || is_old
    }
}

impl Model {
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Whether this is the twentieth in a row of its kind.
    fn is_too_many(&mut self, failure: &Failure, task: TaskId) -> bool {
        match failure.class {
            Class::Refused | Class::InvalidOutput => self.alike = None,
            Class::Invalid | Class::Redirected | Class::Malformed => {
                let said = format!("{failure}");
                let mut tasks = match self.alike.take() {
                    Some((before, tasks)) if before == said => tasks,
                    _ => Vec::new(),
                };
                tasks.push(task);
                let is_too_many = tasks.len() >= 20 && tasks.iter().collect::<BTreeSet<_>>().len() >= 3;
                if is_too_many {
                    tasks.pop();
                }
                self.stopped |= is_too_many;
                self.alike = Some((said, tasks));
                return is_too_many;
            }
            _ => {}
        }
        false
    }
}

impl World {
    pub(super) fn enter_health(&mut self, Record { at, event, .. }: &Record) -> Result<(), Violation> {
        match event {
            Event::RunStarted | Event::RunResumed => {
                self.models.clear();
                for provider in &mut self.providers {
                    if let Some(outage) = &mut provider.outage {
                        outage.until = *at;
                    }
                }
            }
            Event::AttemptStarted { attempt, .. } => self.check_start(*attempt, *at)?,
            Event::AttemptSucceeded { attempt, .. } => {
                let gate = self.gate_of(*attempt);
                let most = self.settings.gates[gate.index()].max_concurrent.unwrap_or(u32::MAX);
                let most = most.min(self.settings.max_concurrent) as usize;
                self.providers[gate.index()].answered(*attempt, most);
                self.model(*attempt).alike = None;
                let back = if self.retried.contains_key(&attempt.task) { 14 } else { 1 };
                let quota = self.quota(gate);
                *quota = (*quota + back).min(500);
            }
            Event::AttemptLost { attempt, .. } => {
                let gate = self.gate_of(*attempt);
                self.providers[gate.index()].said_nothing(*attempt, *at);
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes a failure in.
    pub(super) fn provider_failed(&mut self, attempt: AttemptId, failure: &Failure, at: Time) -> Says {
        let gate = self.gate_of(attempt);
        let most = self.settings.gates[gate.index()].max_concurrent.unwrap_or(u32::MAX);
        let most = most.min(self.settings.max_concurrent) as usize;
        let account = self.account(gate);
        let too_many_alike = self.model(attempt).is_too_many(failure, attempt.task);
        let provider = &mut self.providers[gate.index()];
        self.retried.remove(&attempt.task);
        let of_outage = match failure.class {
            Class::Throttled | Class::Template | Class::OverBudget => provider.said_nothing(attempt, at),
            Class::Invalid
            | Class::InvalidOutput
            | Class::Refused
            | Class::Redirected
            | Class::Auth
            | Class::QuotaGone => {
                provider.answered(attempt, most);
                false
            }
            _ => {
                self.retried.insert(attempt.task, account);
                provider.failed(attempt, at)
            }
        };
        Says { of_outage, too_many_alike }
    }

    fn check_start(&mut self, attempt: AttemptId, at: Time) -> Result<(), Violation> {
        let (id, gate) = (attempt.task, self.gate_of(attempt));
        // What another account failed is no retry here.
        if self.retried.get(&id).is_some_and(|account| *account != self.account(gate)) {
            self.retried.remove(&id);
        }
        let provider = &mut self.providers[gate.index()];
        if let Some(outage) = &mut provider.outage {
            must!(outage.probe.is_none(), "task {id:?} goes beside a probe");
            must!(outage.until <= at, "task {id:?} probes too early");
            outage.probe = Some(attempt);
        } else {
            let beside = provider.calls.len();
            must!(provider.ramp.is_none_or(|ramp| beside < ramp), "task {id:?} is one of a herd");
            if self.retried.contains_key(&id) {
                self.check_quota(gate, id)?;
            }
        }
        self.providers[gate.index()].calls.push((attempt, at));
        Ok(())
    }

    fn check_quota(&mut self, gate: GateId, id: TaskId) -> Result<(), Violation> {
        let account = self.account(gate);
        let of_account = |(index, _): &(usize, &Provider)| self.settings.gates[*index].account == account;
        let providers = self.providers.iter().enumerate().filter(of_account);
        let in_flight: Vec<TaskId> = providers.flat_map(|(_, of)| &of.calls).map(|(of, _)| of.task).collect();
        let retries = in_flight.iter().filter(|task| self.retried.contains_key(task)).count();
        let quota = self.quota(gate);
        if *quota >= 14 {
            *quota -= 14;
        } else {
            let few = retries == 0 || (retries + 1) * 10 <= in_flight.len() + 1;
            must!(few, "task {id:?} is a retry too many");
        }
        Ok(())
    }

    /// Nobody waits for a quota that has something left.
    pub(super) fn check_quota_waits(&mut self, step: &Step) -> Result<(), Violation> {
        for waiting in &step.waiting {
            if let Some(account) = waiting.reason.strip_prefix("the retry quota of ") {
                let left = self.quotas.get(account).copied().unwrap_or(500);
                must!(left < 14, "retries wait for a quota of {left}");
            }
        }
        Ok(())
    }

    fn model(&mut self, attempt: AttemptId) -> &mut Model {
        let agent = self.plan.agent_asked(attempt);
        self.models.entry((agent.gate, agent.model.clone())).or_default()
    }

    /// Whether nothing more may go to an agent's model.
    pub(super) fn all_fail_alike(&self, id: AgentId) -> bool {
        let agent = self.plan.agent(id);
        self.models.get(&(agent.gate, agent.model.clone())).is_some_and(Model::is_stopped)
    }

    pub(super) fn gate_of(&self, attempt: AttemptId) -> GateId {
        self.plan.agent_asked(attempt).gate
    }

    fn quota(&mut self, gate: GateId) -> &mut u32 {
        let account = self.account(gate);
        self.quotas.entry(account).or_insert(500)
    }
}
