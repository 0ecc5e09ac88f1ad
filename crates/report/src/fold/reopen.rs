//! Tasks that are done again: what was spent on them stays, and all else is told of their last go.

use std::collections::BTreeSet;

use sortie_core::plan::{Edge, TaskId};
use sortie_core::run::event::Finish;
use sortie_core::time::Time;

use super::{Fold, Status, TaskView};

impl Fold {
    pub(super) fn reopened(&mut self, tasks: &[TaskId], at: Time) {
        let ready = self.clock.at(at);
        let again: BTreeSet<TaskId> = tasks.iter().copied().collect();
        self.finished.retain(|id| !again.contains(id));
        for &id in &again {
            let Some(view) = self.tasks.get_mut(id.index()) else { continue };
            let was = view.answer.take();
            let was_cut = was.is_some_and(|answer| answer.finish == Finish::MaxTokens);
            self.counts.cut_by_max_tokens -= u64::from(was_cut);
            *view = TaskView {
                ready,
                queued: None,
                started_at: None,
                finished_at: None,
                took: None,
                answer_input: None,
                failure: None,
                skipped: None,
                ..std::mem::take(view)
            };
            self.set(id, Status::Pending);
        }
        self.count_unmet();
    }

    /// Counts anew what each task still waits for.
    fn count_unmet(&mut self) {
        let is_met =
            |on: &&Edge| self.tasks[on.task.index()].status.end().is_some_and(|end| on.when.is_met_by(end));
        let unmet = |on: &[Edge]| (on.len() - on.iter().filter(is_met).count()) as u32;
        self.unmet = self.run.plan.tasks().iter().map(|task| unmet(&task.depends_on)).collect();
        let queued = self.tasks.iter().zip(&self.unmet);
        let queued = queued.filter(|(view, unmet)| view.status == Status::Pending && **unmet == 0);
        self.counts.queued = queued.count() as u64;
    }
}
