//! Answers that need no call: of a task that asks the same (`dedupe`), or of an earlier run (`cache`).
//!
//! What earlier runs were answered is not known here: the run asks for it ([`Action::Recall`]) for each task that
//! becomes ready, and nothing starts until it is told. What nobody has looked up yet is beside the state: after
//! a crash it is looked up again.

use std::collections::BTreeMap;

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
    /// Questions that nobody has answered yet: a round may have several steps, and each may ask.
    asked: u32,
    /// After how many attempts a task was asked for.
    before: BTreeMap<TaskId, u32>,
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
        if self.run.settings.cache {
            unasked.extend(self.run.state.ready.due(self.now));
        }
        unasked.retain(|id| self.is_unasked(*id));
        unasked.sort_unstable();
        unasked.dedup();
        if !unasked.is_empty() && self.run.state.ended.is_none() {
            self.run.recall.asked += 1;
            for id in &unasked {
                let attempts = self.run.task(*id).attempts;
                self.run.recall.before.insert(*id, attempts);
            }
            self.step.actions.push(Action::Recall(unasked));
        }
        self.run.recall.asked > 0 && !planted!(RecallUnawaited)
    }

    /// Whether a task may be answered before its next attempt, and nobody has looked. Also one that had an attempt: what
    /// another run, or this one before its plan was changed, has bought since is as good for a retry, for one whose
    /// answer was lost, and for one whose prompt is another now. To look costs nothing beside a call.
    fn is_unasked(&self, id: TaskId) -> bool {
        let task = self.run.task(id);
        let may_start = match task.phase {
            Phase::Ready => true,
            Phase::Delayed(until) => until <= self.now,
            _ => false,
        };
        let is_left_out = planted!(RetriesUnrecalled) && task.attempts > 0;
        may_start && !is_left_out && self.run.recall.before.get(&id) != Some(&task.attempts)
    }

    /// Earlier runs have answered these tasks' requests.
    pub(super) fn recalled(&mut self, known: Vec<(TaskId, Recalled)>) {
        let asked = &mut self.run.recall.asked;
        *asked = if planted!(RecallsUncounted) { 0 } else { asked.saturating_sub(1) };
        for (task, Recalled { answer, run }) in known {
            // It may have been given up meanwhile.
            if matches!(self.run.task(task).phase, Phase::Ready | Phase::Delayed(_)) {
                self.remember(Event::TaskRecalled { task, answer, run });
            }
        }
    }
}
