//! What records do to the tasks of a run: the part of `apply` that is about them.

use std::sync::Arc;

use super::event::{AttemptId, Spent, Then};
use super::planted;
use super::ready::Lane;
use super::route::Queue;
use super::state::{InFlight, Run};
use crate::agent::AgentId;
use crate::failure::{Class, Failure, Policy};
use crate::hash::Hash;
use crate::plan::{End, TaskId};
use crate::time::Time;
use crate::usage::{Charge, Cost};

/// What a run knows of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskState {
    /// Where it stands.
    pub phase: Phase,
    /// Attempts so far.
    pub attempts: u32,
    /// Failed attempts that count against `max_retries`.
    pub failures: u32,
    /// What all its attempts came to.
    pub charged: Charge,
    /// What was wrong with its answer, where that was not what it has to be ([`Class::InvalidOutput`]).
    pub wrong: Option<Box<str>>,
    /// Dependencies that have not ended yet as they have to.
    pub(super) unmet: u32,
    /// Whose provider failed its last attempt: the next one there, or the one in flight, draws on the retry
    /// quota.
    pub(super) failed_at: Option<AgentId>,
    /// When it may be tried again, where it has to wait for another task before that.
    pub(super) not_before: Option<Time>,
    /// Where it waits, or waited last.
    pub(super) queue: Queue,
}

/// Where a task stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    /// A dependency has not ended yet as it has to.
    Blocked,
    /// It may start as soon as the limits allow.
    Ready,
    /// It is tried again from this time on; ready with the first record after it.
    Delayed(Time),
    /// An attempt is in flight.
    Running,
    /// It has its answer.
    Succeeded {
        /// The hash of its text.
        output: Hash,
        /// UTF-8 bytes of its text.
        bytes: u64,
    },
    /// It will not be tried again.
    Failed,
    /// It will never run.
    Skipped,
    /// The plan does not have it any more.
    Removed,
}

impl Phase {
    /// How it ended, if it has.
    pub const fn end(&self) -> Option<End> {
        match self {
            Phase::Blocked | Phase::Ready | Phase::Delayed(_) | Phase::Running => None,
            Phase::Succeeded { .. } => Some(End::Succeeded),
            Phase::Failed => Some(End::Failed),
            Phase::Skipped | Phase::Removed => Some(End::Skipped),
        }
    }
}

impl Run {
    pub(super) fn attempt_started(&mut self, attempt: AttemptId, reserved: Cost) -> Result<(), &'static str> {
        let asked = self.plan.asked(attempt);
        let is_first_there = !self.repeats(attempt.task, asked);
        let task = &mut self.state.tasks[attempt.task.index()];
        if attempt.number != task.attempts + 1 {
            return Err("its attempt is not the task's next one");
        }
        if task.phase != Phase::Ready {
            return Err("its task was not ready");
        }
        task.attempts = attempt.number;
        task.phase = Phase::Running;
        self.state.shared.remove(&attempt.task);
        self.state.ready.remove(&self.plan, attempt.task, task.queue, task.lane(), None);
        if is_first_there {
            task.failed_at = None;
        }
        self.state.in_flight.insert(attempt.task, InFlight { attempt, reserved });
        if !planted!(ReservationForgotten) {
            self.state.reserved += reserved.usd;
            self.state.agents[asked.index()].reserved += reserved.usd;
        }
        Ok(())
    }

    /// What success, failure and loss have in common: the reservation is replaced by the charge.
    pub(super) fn attempt_ended(&mut self, attempt: AttemptId, spent: &Spent) -> Result<(), &'static str> {
        let in_flight = self.state.in_flight.remove(&attempt.task).filter(|one| one.attempt == attempt);
        let Some(InFlight { reserved, .. }) = in_flight else { return Err("its attempt was not in flight") };
        let task = &mut self.state.tasks[attempt.task.index()];
        self.state.reserved -= reserved.usd;
        self.state.charged.add(&spent.charge);
        task.charged.add(&spent.charge);
        let agent = &mut self.state.agents[self.plan.asked(attempt).index()];
        agent.reserved -= reserved.usd;
        agent.charged.add(&spent.charge);
        Ok(())
    }

    pub(super) fn succeeded(&mut self, id: TaskId, output: Hash, bytes: u64) {
        self.state.tasks[id.index()].phase = Phase::Succeeded { output, bytes };
        self.state.open -= 1;
        self.release_behind(id);
    }

    /// A task has its answer without an attempt.
    pub(super) fn answered(&mut self, id: TaskId, output: Hash, bytes: u64) -> Result<(), &'static str> {
        self.leave_queue(id)?;
        self.succeeded(id, output, bytes);
        Ok(())
    }

    /// A task has ended: whoever waits for it and for nothing else may start, where it may end like this.
    fn release_behind(&mut self, ended: TaskId) {
        let plan = Arc::clone(&self.plan);
        let Some(end) = self.task(ended).phase.end() else { return };
        for dependant in plan.dependants(ended) {
            if !dependant.when.is_met_by(end) {
                continue; // it will be skipped
            }
            let task = &mut self.state.tasks[dependant.task.index()];
            task.unmet -= 1;
            if (task.unmet == 0 || planted!(DependencyIgnored)) && task.phase == Phase::Blocked {
                self.make_ready(dependant.task);
            }
        }
    }

    /// A task has failed, with or without an attempt.
    fn failed(&mut self, id: TaskId) {
        self.state.tasks[id.index()].phase = Phase::Failed;
        self.state.open -= 1;
        if !planted!(FailuresUncounted) {
            self.state.failures.count(id, self.plan.task(id).stops_run, self.settings.max_failures);
        }
        if !planted!(FailureUntold) {
            self.release_behind(id);
        }
    }

    pub(super) fn failed_then(&mut self, attempt: AttemptId, failure: &Failure, then: &Then) {
        let id = attempt.task;
        if failure.class == Class::InvalidOutput {
            // Before its queue is looked for: what is said of it makes its next prompt longer.
            self.state.tasks[id.index()].wrong = Some(failure.message.as_str().into());
        }
        let queue = self.queue_for(id);
        let is_elsewhere = attempt.agent.is_some();
        let leaves_throttled =
            queue.has_fallbacks() && (is_elsewhere || self.plan.agent_of(id).fallback_after.is_some());
        let task = &mut self.state.tasks[id.index()];
        match then {
            Then::RetryAt(until) | Then::AgainAt(until) => {
                task.failures += u32::from(matches!(then, Then::RetryAt(_)));
                if failure.class == Class::Throttled && leaves_throttled {
                    return self.make_ready(id); // its gate is closed until then, others may be open
                }
                (task.phase, task.queue) = (Phase::Delayed(*until), queue);
                self.state.ready.delay(*until, id, queue, task.lane());
            }
            Then::Fail => {
                task.failures += 1;
                self.failed(id);
            }
            Then::StopAccount => {
                if failure.policy() == Policy::StopAccount {
                    let gate = self.plan.agent_asked(attempt).gate;
                    let account = self.settings.gates[gate.index()].account.clone();
                    self.state.stopped.entry(account).or_insert_with(|| failure.clone());
                } // else its model is stopped, by `note_failure`
                self.make_ready(id);
            }
        }
    }

    pub(super) fn make_ready(&mut self, id: TaskId) {
        let queue = self.queue_for(id);
        let now = self.state.last_time;
        let shared = self.shared_answer(id);
        let task = &mut self.state.tasks[id.index()];
        // An answer that is there already needs no attempt, so it waits for none.
        if let Some(until) = task.not_before.take().filter(|until| *until > now && shared.is_none()) {
            (task.phase, task.queue) = (Phase::Delayed(until), queue);
            return self.state.ready.delay(until, id, queue, task.lane());
        }
        (task.phase, task.queue) = (Phase::Ready, queue);
        self.state.ready.insert(&self.plan, id, queue, task.lane());
        if shared.is_some() {
            self.state.shared.insert(id);
        } else if self.settings.cache {
            self.recall.unasked.push(id);
        }
    }

    /// A task fails without an attempt.
    pub(super) fn fail_unsent(&mut self, id: TaskId) -> Result<(), &'static str> {
        self.leave_queue(id)?;
        self.failed(id);
        Ok(())
    }

    pub(super) fn skip(&mut self, id: TaskId) -> Result<(), &'static str> {
        self.leave_queue(id)?;
        self.state.tasks[id.index()].phase = Phase::Skipped;
        self.state.open -= 1;
        self.release_behind(id);
        Ok(())
    }

    /// A task that is about to end without an attempt waits no more.
    pub(super) fn leave_queue(&mut self, id: TaskId) -> Result<(), &'static str> {
        self.state.shared.remove(&id);
        let task = &self.state.tasks[id.index()];
        match task.phase {
            Phase::Blocked => {}
            Phase::Ready => self.state.ready.remove(&self.plan, id, task.queue, task.lane(), None),
            Phase::Delayed(until) => {
                self.state.ready.remove(&self.plan, id, task.queue, task.lane(), Some(until));
            }
            _ => return Err("its task was running or had ended"),
        }
        Ok(())
    }
}

impl TaskState {
    pub(super) fn new(task: &crate::plan::Task) -> Self {
        let unmet = task.depends_on.len() as u32;
        let phase = if unmet == 0 { Phase::Ready } else { Phase::Blocked };
        TaskState {
            phase,
            attempts: 0,
            failures: 0,
            charged: Charge::default(),
            wrong: None,
            unmet,
            failed_at: None,
            not_before: None,
            queue: Queue::of(task.agent),
        }
    }

    /// Where it queues.
    pub(super) const fn lane(&self) -> Lane {
        Lane::of(self.failed_at.is_some())
    }

    /// Whether it has succeeded, failed or been skipped.
    pub fn has_ended(&self) -> bool {
        self.phase.end().is_some()
    }
}
