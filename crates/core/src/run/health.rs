//! What a run knows of its providers' health: the breaker of each gate, each model's failures that are
//! alike, and each account's retry quota. Changed by `apply` alone, so a resume knows what the run knew.

use std::sync::Arc;

use super::alike::{self, Alike};
use super::breaker::{Barred, Breaker, Ended, Signal};
use super::event::{AttemptId, Then};
use super::input::Settings;
use super::planted;
use super::quota::Quota;
use super::retry::jitter;
use super::state::Run;
use crate::agent::AgentId;
use crate::failure::{Class, Failure, Policy};
use crate::limit::{GateId, GateSpec};
use crate::plan::Plan;
use crate::time::Time;

/// The health of all gates and accounts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Health {
    gates: Vec<GateHealth>,
    /// One for each model behind each gate.
    models: Vec<ModelHealth>,
    /// The place of each agent's model among them.
    model_of: Vec<usize>,
    quotas: Vec<Quota>,
    /// The place of each gate's account among the quotas.
    account_of: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq)]
struct GateHealth {
    breaker: Breaker,
    in_flight: u32,
}

/// Agents of one account and class of models may name models that there are and others.
#[derive(Clone, Debug, Default, PartialEq)]
struct ModelHealth {
    alike: Alike,
    /// Too many failed alike: how they did.
    stopped: Option<Failure>,
}

impl Health {
    pub(super) fn new(settings: &Settings, plan: &Plan) -> Self {
        let mut accounts: Vec<&str> = Vec::new();
        let mut account_of = Vec::with_capacity(settings.gates.len());
        for GateSpec { account, .. } in &settings.gates {
            let known = accounts.iter().position(|known| known == account);
            account_of.push(known.unwrap_or(accounts.len()));
            if known.is_none() {
                accounts.push(account);
            }
        }
        let mut models: Vec<(GateId, &str)> = Vec::new();
        let model_of = plan.agents().iter().map(|agent| {
            let model = (agent.gate, &*agent.model);
            models.iter().position(|known| *known == model).unwrap_or_else(|| {
                models.push(model);
                models.len() - 1
            })
        });
        let model_of = model_of.collect();
        Health {
            gates: vec![GateHealth { breaker: Breaker::new(), in_flight: 0 }; settings.gates.len()],
            models: vec![ModelHealth::default(); models.len()],
            model_of,
            quotas: vec![Quota::new(); accounts.len()],
            account_of,
        }
    }

    /// The same with the gates that these settings have more, which are behind those that are known. Agents may ask other
    /// models than before: nothing is known of them, as after every resume.
    pub(super) fn grow(&mut self, settings: &Settings, plan: &Plan) {
        let more = Health::new(settings, plan);
        self.gates.extend(more.gates.into_iter().skip(self.gates.len()));
        self.quotas.extend(more.quotas.into_iter().skip(self.quotas.len()));
        self.account_of = more.account_of;
        (self.models, self.model_of) = (more.models, more.model_of);
    }

    /// What stopped the run before counts no more.
    pub(super) fn resumed(&mut self, at: Time) {
        for gate in &mut self.gates {
            gate.breaker.resumed(at);
        }
        self.models.fill(ModelHealth::default());
    }

    /// Why nothing more is sent to an agent's model, where too many calls failed alike.
    pub(super) fn stopped(&self, agent: AgentId) -> Option<&Failure> {
        self.models[self.model_of[agent.index()]].stopped.as_ref()
    }

    /// Whether a call may pass a gate's breaker now.
    pub(super) fn check(&self, gate: GateId, now: Time) -> Result<(), Barred> {
        let GateHealth { breaker, in_flight, .. } = &self.gates[gate.index()];
        breaker.check(*in_flight, now)
    }

    /// Whether the next call through a gate is a probe.
    pub(super) fn wants_probe(&self, gate: GateId) -> bool {
        self.gates[gate.index()].breaker.wants_probe()
    }

    /// Whether it takes another task to know if a gate's provider is ill.
    pub(super) fn doubts(&self, gate: GateId) -> bool {
        self.gates[gate.index()].breaker.doubts()
    }

    /// Whether a gate's account has a retry to give.
    pub(super) fn allows_retry(&self, gate: GateId) -> bool {
        self.quotas[self.account_of[gate.index()]].allows_retry()
    }
}

impl Run {
    /// An attempt has started.
    pub(super) fn note_start(&mut self, attempt: AttemptId, at: Time) {
        let is_retry = self.task(attempt.task).failed_at.is_some();
        let (gate, quota) = self.health_of(attempt);
        gate.in_flight += 1;
        gate.breaker.started(attempt, at);
        quota.started(is_retry, gate.breaker.is_probe(attempt));
    }

    /// An attempt that started then brought its answer.
    pub(super) fn note_success(&mut self, attempt: AttemptId, started: Time, at: Time) {
        self.note_end(&Ended { attempt, started, at, signal: Signal::Well }, true);
        if !planted!(SuccessForgotten) {
            self.model_health(attempt).alike = Alike::default();
        }
    }

    /// An attempt was lost, which tells nothing of its provider.
    pub(super) fn note_loss(&mut self, attempt: AttemptId, at: Time) {
        self.note_end(&Ended { attempt, started: at, at, signal: Signal::Nothing }, false);
    }

    /// An attempt that started then failed. Comes before its task is queued again: whether it draws
    /// on the quota decides where.
    pub(super) fn note_failure(
        &mut self,
        attempt: AttemptId,
        failure: &Failure,
        then: &Then,
        started: Time,
        at: Time,
    ) {
        let signal = Signal::of(failure);
        self.note_end(&Ended { attempt, started, at, signal }, false);
        self.state.tasks[attempt.task.index()].failed_at =
            (signal == Signal::Ill).then(|| self.plan.asked(attempt));
        let model = self.model_health(attempt);
        let is_money_stop = failure.policy() == Policy::StopAccount;
        if *then == Then::StopAccount && !is_money_stop {
            model.stopped.get_or_insert_with(|| Failure { in_a_row: Some(alike::MOST), ..failure.clone() });
        } else if matches!(failure.class, Class::Refused | Class::InvalidOutput) {
            model.alike = Alike::default(); // the model has read it
        } else if alike::may_be_all_s(failure) {
            model.alike.add(failure, attempt.task, at);
        }
    }

    /// Whether this failure is one too many that is like those before it.
    pub(super) fn fails_alike(&self, attempt: AttemptId, failure: &Failure, now: Time) -> bool {
        if !alike::may_be_all_s(failure) || planted!(AlikeIgnored) {
            return false;
        }
        let Health { models, model_of, .. } = &self.state.health;
        let mut alike = models[model_of[self.plan.asked(attempt).index()]].alike.clone();
        alike.add(failure, attempt.task, now);
        alike.is_too_many()
    }

    /// Whether this failure says something of an outage rather than of its task, and does not count
    /// against `max_retries`: it is a probe's, opens the breaker, or is of a call that was under way
    /// when it opened.
    pub(super) fn is_of_outage(
        &self,
        attempt: AttemptId,
        failure: &Failure,
        started: Time,
        now: Time,
    ) -> bool {
        let mut breaker = self.gate_health(attempt).breaker.clone();
        if breaker.is_probe(attempt) {
            return !planted!(ProbesCounted);
        }
        let signal = Signal::of(failure);
        breaker.ended(&Ended { attempt, started, at: now, signal }, u32::MAX, || 0.0);
        signal == Signal::Ill && breaker.excuses(started)
    }

    fn note_end(&mut self, ended: &Ended, succeeded: bool) {
        let attempt = ended.attempt;
        let was_retry = self.task(attempt.task).failed_at.is_some();
        let settings = Arc::clone(&self.settings);
        let of_gate = settings.gates[self.plan.agent_asked(attempt).gate.index()].max_concurrent;
        let most = of_gate.unwrap_or(u32::MAX).min(settings.max_concurrent);
        let (gate, quota) = self.health_of(attempt);
        gate.in_flight = gate.in_flight.saturating_sub(1);
        gate.breaker.ended(ended, most, || jitter(settings.seed, attempt));
        quota.ended(was_retry, succeeded);
    }

    fn model_health(&mut self, attempt: AttemptId) -> &mut ModelHealth {
        let agent = self.plan.asked(attempt);
        let Health { models, model_of, .. } = &mut self.state.health;
        &mut models[model_of[agent.index()]]
    }

    fn gate_health(&self, attempt: AttemptId) -> &GateHealth {
        &self.state.health.gates[self.plan.agent_asked(attempt).gate.index()]
    }

    fn health_of(&mut self, attempt: AttemptId) -> (&mut GateHealth, &mut Quota) {
        let gate = self.plan.agent_asked(attempt).gate;
        let Health { gates, quotas, account_of, .. } = &mut self.state.health;
        (&mut gates[gate.index()], &mut quotas[account_of[gate.index()]])
    }
}
