//! Tasks that are done again, and where they stand then.
//!
//! What was spent on them stays spent, and their attempts are counted on, so that no two have the same id; all
//! else begins anew. Who is open again is decided by `step` and said by an event; where it stands is computed here
//! alone, from how the tasks ended that it depends on.

use std::collections::BTreeSet;

use super::event::Event;
use super::planted;
use super::state::Run;
use super::step::Deciding;
use super::task::{Phase, TaskState};
use crate::plan::{Edge, End, TaskId};

impl Run {
    /// The tasks that another try may help: failed ones that can be sent at all, and those that were skipped for
    /// nothing else. In the order of the plan.
    pub fn retryable(&self) -> Vec<TaskId> {
        let plan = &self.plan;
        // How each task ends that is not tried again.
        let mut ends: Vec<Option<End>> = vec![None; plan.len()];
        for id in plan.in_order() {
            let is_doomed = |on: &Edge| ends[on.task.index()].is_some_and(|end| !on.when.is_met_by(end));
            ends[id.index()] = match self.task(id).phase.end() {
                Some(End::Failed) => plan.task(id).invalid.is_some().then_some(End::Failed),
                Some(End::Succeeded) => Some(End::Succeeded),
                Some(End::Skipped) | None => {
                    plan.task(id).depends_on.iter().any(is_doomed).then_some(End::Skipped)
                }
            };
        }
        let has_ended = |id: &TaskId| matches!(self.task(*id).phase, Phase::Failed | Phase::Skipped);
        plan.ids().filter(has_ended).filter(|id| ends[id.index()].is_none()).collect()
    }

    /// The part of [`Run::apply`] that is about tasks that are tried again.
    pub(super) fn reopened(&mut self, tasks: &[TaskId]) -> Result<(), &'static str> {
        if !self.state.in_flight.is_empty() {
            return Err("a call is in flight");
        }
        for id in tasks {
            match self.state.tasks.get(id.index()).map(|task| &task.phase) {
                Some(Phase::Failed | Phase::Skipped | Phase::Succeeded { .. }) => {}
                Some(_) => return Err("a task that is tried again had not ended"),
                None => return Err("its task is not in the plan"),
            }
        }
        self.state.ended = None;
        self.open(tasks);
        Ok(())
    }

    /// Opens tasks that have ended. Nothing is in flight.
    pub(super) fn open(&mut self, tasks: &[TaskId]) {
        for id in tasks {
            self.begin_anew(*id);
            self.state.open += 1;
        }
        let behind = |id: &TaskId| self.plan.dependants(*id).iter().map(|dependant| dependant.task);
        let mut moved: BTreeSet<TaskId> = tasks.iter().flat_map(behind).collect();
        for id in &moved {
            self.void_lost(*id); // its prompt may have another result in it now
        }
        moved.extend(tasks);
        for id in moved {
            self.stand(id);
        }
    }

    /// Forgets all of a task but its attempts and what they cost. Until it is known where it stands, it stands nowhere.
    pub(super) fn begin_anew(&mut self, id: TaskId) {
        let task = &mut self.state.tasks[id.index()];
        let TaskState { attempts, charged, failures, .. } = *task;
        let failures = if planted!(FailuresKept) { failures } else { 0 };
        let fresh = TaskState::new(self.plan.task(id));
        *task = TaskState { attempts, charged, failures, phase: Phase::Blocked, ..fresh };
    }

    /// Brings a task to where it stands, from how those ended that it depends on. One that has ended stays as it is
    /// and waits for none of them, but is told of their ends like every other.
    pub(super) fn stand(&mut self, id: TaskId) {
        let is_met = |on: &&Edge| self.task(on.task).phase.end().is_some_and(|end| on.when.is_met_by(end));
        let on = &self.plan.task(id).depends_on;
        let unmet = (on.len() - on.iter().filter(is_met).count()) as u32;
        self.state.tasks[id.index()].unmet = unmet;
        let waits_for = match self.task(id).phase {
            Phase::Blocked if unmet == 0 => return self.make_ready(id),
            Phase::Ready => None,
            Phase::Delayed(until) => Some(until),
            _ => return,
        };
        if unmet > 0 && !planted!(ReadyAnyway) && self.leave_queue(id).is_ok() {
            let task = &mut self.state.tasks[id.index()];
            (task.phase, task.not_before) = (Phase::Blocked, waits_for);
        }
    }
}

impl Deciding<'_> {
    /// Does tasks again whose answers are nowhere any more. What was answered with their help is kept.
    pub(super) fn reopen_gone(&mut self, mut gone: Vec<TaskId>) {
        gone.retain(|id| matches!(self.run.task(*id).phase, Phase::Succeeded { .. }));
        if !gone.is_empty() {
            self.remember(Event::Reopened { tasks: gone });
        }
    }

    /// Gives failed tasks another try, where there are any that it may help.
    pub(super) fn reopen_failed(&mut self) {
        let mut tasks = self.run.retryable();
        if planted!(SkippedForgotten) {
            tasks.retain(|id| self.run.task(*id).phase == Phase::Failed);
        }
        if !tasks.is_empty() {
            self.remember(Event::Reopened { tasks });
        }
    }
}
