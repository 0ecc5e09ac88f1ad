//! Answers that need no call: of a task that asks the same (`dedupe`), or of an earlier run (`cache`).
//!
//! What earlier runs were answered is not known here: the run asks for it ([`Action::Recall`]) for each task that
//! becomes ready, and nothing starts until it is told. What nobody has looked up yet is beside the state: after
//! a crash it is looked up again.

use super::event::Event;
use super::input::{Action, Recalled};
use super::planted;
use super::state::Run;
use super::step::Deciding;
use super::task::Phase;
use crate::plan::TaskId;

/// What is to be looked up.
#[derive(Clone, Debug, Default)]
pub(super) struct Recall {
    /// Tasks that became ready.
    pub(super) unasked: Vec<TaskId>,
    /// Whether an answer is awaited.
    is_asked: bool,
}

impl Run {
    /// Whether there are tasks that may need no call.
    pub(super) fn may_recall(&self) -> bool {
        !self.state.shared.is_empty() || !self.recall.unasked.is_empty()
    }

    /// The task whose answer a task may take for its own.
    pub(super) fn shared_answer(&self, id: TaskId) -> Option<TaskId> {
        let same = self.plan.task(id).same_as?;
        matches!(self.task(same).phase, Phase::Succeeded { .. }).then_some(same)
    }
}

impl Deciding<'_> {
    /// Gives tasks the answers that others have, and asks what else is known. Whether nothing may start before
    /// that is told.
    pub(super) fn recall(&mut self) -> bool {
        while let Some(task) = self.run.state.shared.first().copied() {
            let Some(with) = self.run.shared_answer(task) else { break };
            self.remember(Event::TaskShared { task, with });
        }
        let mut unasked = std::mem::take(&mut self.run.recall.unasked);
        unasked.retain(|id| {
            let task = self.run.task(*id);
            task.phase == Phase::Ready && task.attempts == 0
        });
        unasked.sort_unstable();
        unasked.dedup();
        if !unasked.is_empty() && self.run.state.ended.is_none() {
            self.run.recall.is_asked = true;
            self.step.actions.push(Action::Recall(unasked));
        }
        self.run.recall.is_asked && !planted!(RecallUnawaited)
    }

    /// Earlier runs have answered these tasks' requests.
    pub(super) fn recalled(&mut self, known: Vec<(TaskId, Recalled)>) {
        self.run.recall.is_asked = false;
        for (task, Recalled { answer, run }) in known {
            // It may have been given up meanwhile.
            if self.run.task(task).phase == Phase::Ready {
                self.remember(Event::TaskRecalled { task, answer, run });
            }
        }
    }
}
