//! What may follow a failure.

use std::time::Duration;

use super::{Violation, World};
use crate::agent::{Agent, Backoff};
use crate::failure::{Class, Failure, Policy};
use crate::limit::GateId;
use crate::run::event::{AttemptId, Then};
use crate::time::Time;

impl World {
    pub(super) fn account(&self, gate: GateId) -> String {
        self.settings.gates[gate.index()].account.clone()
    }

    pub(super) fn enter_failure(
        &mut self,
        attempt: AttemptId,
        failure: &Failure,
        then: &Then,
        at: Time,
    ) -> Result<(), Violation> {
        let id = attempt.task;
        let plan = self.plan.clone();
        let agent = plan.agent_asked(attempt);
        let before = *self.failures.entry(id).or_default();
        let says = self.provider_failed(attempt, failure, at);
        // A wait that a refusal names is its gate's.
        let elsewhere = (failure.class == Class::Throttled).then_some(agent.gate);
        let is_invalid = failure.class == Class::InvalidOutput;
        match then {
            Then::RetryAt(_) => {
                must!(before < agent.retry.max_retries, "task {id:?} is retried too often");
                must!(!says.of_outage, "task {id:?} is charged with an outage");
                must!(!is_invalid || self.corrected.insert(id), "task {id:?} is corrected twice");
                let own = match agent.retry.backoff {
                    _ if is_invalid => Duration::ZERO,
                    Backoff::Exponential => agent.retry.initial_delay * (1 << before),
                    Backoff::Linear => agent.retry.initial_delay * (before + 1),
                    Backoff::Constant => agent.retry.initial_delay,
                };
                let wait = failure.retry_after.unwrap_or(own.min(agent.retry.max_delay));
                self.not_before.insert(id, (at + wait, elsewhere));
                self.failures.insert(id, before + 1);
            }
            Then::Fail => {
                let was_asked = failure.class != Class::Throttled || agent.retry.retry_throttled;
                let may_be_corrected = !is_invalid || !self.corrected.contains(&id);
                let may_retry = failure.policy() == Policy::Retry && was_asked && may_be_corrected;
                must!(!may_retry || before >= agent.retry.max_retries, "task {id:?} was given up too early");
                must!(!may_retry || !says.of_outage, "task {id:?} failed for an outage");
                self.enter_failed(id);
            }
            Then::AgainAt(at) => {
                let is_echo = failure.class == Class::Throttled
                    && self.started[&id] <= self.closed_at[agent.gate.index()];
                must!(is_echo || says.of_outage, "{failure} of task {id:?} does not count");
                self.not_before.insert(id, (*at, elsewhere));
            }
            Then::StopAccount => {
                must!(
                    failure.policy() == Policy::StopAccount || says.too_many_alike,
                    "{failure} stops a gate"
                );
                if failure.policy() == Policy::StopAccount {
                    self.stopped.insert(self.account(agent.gate));
                }
            }
        }
        self.enter_throttling(agent, failure, then, at)?;
        let stops = failure.policy() == Policy::StopAccount || says.too_many_alike;
        must!(stops == (*then == Then::StopAccount), "{failure} led to {then:?}");
        Ok(())
    }

    fn enter_throttling(
        &mut self,
        agent: &Agent,
        failure: &Failure,
        then: &Then,
        at: Time,
    ) -> Result<(), Violation> {
        if failure.class != Class::Throttled || failure.hopeless {
            return Ok(());
        }
        let index = agent.gate.index();
        let named = failure.retry_after.map(|wait| at + wait);
        let until = match then {
            Then::RetryAt(until) | Then::AgainAt(until) => *until,
            Then::Fail | Then::StopAccount => named.unwrap_or(at + agent.retry.initial_delay),
        };
        if self.closed_until[index] <= at {
            self.closed_at[index] = at;
        }
        self.closed_until[index] = self.closed_until[index].max(until);
        self.refused_since[index].get_or_insert(at);
        if self.settings.timeout_restarts && matches!(then, Then::RetryAt(_) | Then::AgainAt(_)) {
            self.session = self.session.max(until);
        }
        must!(named.is_none_or(|named| self.closed_until[index] >= named), "a gate opens too early");
        Ok(())
    }
}
