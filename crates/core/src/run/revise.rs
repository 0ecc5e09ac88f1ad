//! A plan that was changed since the run began.
//!
//! Records name tasks, agents and gates by their places, so these stay: a task keeps its place by its name, new ones
//! come behind, and those that the plan does not have any more keep theirs and are not done. Who is done again is
//! decided by whoever compares the plans; here it is only done.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::event::{AttemptId, Event, Record};
use super::input::{Billing, Found, Resume, Settings};
use super::money::spent;
use super::planted;
use super::ready::Ready;
use super::state::{AgentMoney, InFlight, Run};
use super::task::{Phase, TaskState};
use crate::plan::{Plan, Prompts, TaskId};

/// What a run goes on with once its plan was changed. Its JSON form is part of the journal's format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// The plan, every task and agent of the one before it at its place.
    pub plan: Arc<Plan>,
    /// The texts of its tasks.
    pub prompts: Arc<Prompts>,
    /// What binds it, every gate at its place.
    pub settings: Arc<Settings>,
    /// What whoever binds engine and providers needs to go on: opaque here, never a key.
    pub binding: serde_json::Value,
}

impl Run {
    /// The run as it is once it goes on like this, but for the budgets: for a forecast.
    #[must_use]
    pub fn going_on(&self, resume: &Resume) -> Self {
        let mut run = self.clone();
        if *resume == (Resume { budgets: resume.budgets.clone(), ..Resume::default() }) {
            return run;
        }
        let in_flight: Vec<InFlight> = run.state.in_flight.values().copied().collect();
        for InFlight { attempt, reserved } in in_flight {
            run.lose(attempt, reserved.usd);
        }
        for found in &resume.found {
            run.take_found(found);
        }
        if let Some(change) = &resume.change {
            let changed = run.plan_changed(&change.again, &change.revision);
            debug_assert_eq!(changed, Ok(()), "a change that cannot be");
        }
        run.open(&resume.gone);
        if resume.retry_failed {
            run.open(&run.retryable());
        }
        run
    }

    fn lose(&mut self, attempt: AttemptId, reserved: crate::money::Usd) {
        let spent = spent(self.plan.agent_asked(attempt), reserved, Billing::Unknown, None);
        self.suppose(Event::AttemptLost { attempt, spent });
    }

    fn take_found(&mut self, found: &Found) {
        if let Some(event) = self.recovery(found) {
            self.suppose(event);
        }
    }

    fn suppose(&mut self, event: Event) {
        let record = Record { seq: self.state.last_seq + 1, at: self.state.last_time, event };
        let applied = self.apply(&record);
        debug_assert_eq!(applied, Ok(()), "what is in flight can be lost, and what was lost found");
    }

    /// The part of [`Run::apply`] that is about a plan that was changed.
    pub(super) fn plan_changed(&mut self, again: &[TaskId], revision: &Revision) -> Result<(), &'static str> {
        if !self.state.in_flight.is_empty() {
            return Err("a call is in flight");
        }
        if !continues(&self.plan, &self.settings, revision)
            || again.iter().any(|id| id.index() >= revision.plan.len())
        {
            return Err("its plan is no change of the run's");
        }
        let known = self.plan.agents().len();
        self.plan = Arc::clone(&revision.plan);
        self.settings = Arc::clone(&revision.settings);
        let plan = Arc::clone(&self.plan);
        self.state.agents.extend(plan.agents().iter().skip(known).map(AgentMoney::of));
        self.state.health.grow(&self.settings, &plan);
        self.state.ended = None;
        self.place_all(again);
        Ok(())
    }

    /// Brings all tasks to where they stand in a plan that is new: also those that are kept queue otherwise than before.
    fn place_all(&mut self, again: &[TaskId]) {
        let plan = Arc::clone(&self.plan);
        let again: BTreeSet<TaskId> = again.iter().copied().filter(|_| !planted!(ChangeIgnored)).collect();
        self.state.ready = Ready::default();
        self.state.shared.clear();
        for id in plan.ids() {
            if id.index() == self.state.tasks.len() {
                self.state.tasks.push(TaskState { phase: Phase::Blocked, ..TaskState::new(plan.task(id)) });
            } else if plan.is_removed(id) && !planted!(RemovedDone) {
                self.state.tasks[id.index()].phase = Phase::Removed;
                self.void_lost(id);
            } else if again.contains(&id) || planted!(KeptDoneAgain) {
                self.begin_anew(id);
                self.void_lost(id);
            } else {
                let task = &mut self.state.tasks[id.index()];
                if let Phase::Delayed(until) = task.phase {
                    task.not_before = Some(until);
                }
                if task.phase.end().is_none() {
                    task.phase = Phase::Blocked;
                }
            }
        }
        for id in plan.ids() {
            self.stand(id);
        }
        self.state.open = self.state.tasks.iter().filter(|task| !task.has_ended()).count();
    }
}

/// Whether everything that records may name has stayed at its place.
fn continues(plan: &Plan, settings: &Settings, revision: &Revision) -> bool {
    fn begins<'a>(new: impl Iterator<Item = &'a String>, old: impl Iterator<Item = &'a String>) -> bool {
        let mut new = new;
        old.into_iter().all(|name| new.next() == Some(name))
    }
    let Revision { plan: new, settings: bound, .. } = revision;
    begins(new.tasks().iter().map(|task| &task.name), plan.tasks().iter().map(|task| &task.name))
        && begins(new.agents().iter().map(|agent| &agent.name), plan.agents().iter().map(|agent| &agent.name))
        && begins(bound.gates.iter().map(|gate| &gate.name), settings.gates.iter().map(|gate| &gate.name))
}
