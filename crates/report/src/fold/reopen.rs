//! Tasks that are done again: what was spent on them stays, and all else is told of their last go.

use std::collections::BTreeSet;
use std::sync::Arc;

use sortie_core::plan::{Edge, TaskId};
use sortie_core::run::event::Finish;
use sortie_core::run::revise::Revision;
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
            self.counts.without_call -= u64::from(view.without_call.is_some());
            *view = TaskView {
                ready,
                queued: None,
                started_at: None,
                finished_at: None,
                took: None,
                answer_input: None,
                without_call: None,
                failure: None,
                skipped: None,
                skipped_at: None,
                ..std::mem::take(view)
            };
            self.set(id, Status::Pending);
        }
        self.count_unmet();
    }

    /// The run goes on with another plan; whoever reads a journal may have begun with it already.
    pub(super) fn plan_changed(&mut self, again: &[TaskId], revision: Option<&Revision>, at: Time) {
        if let Some(revision) = revision {
            (self.run.plan, self.run.settings) = (Arc::clone(&revision.plan), Arc::clone(&revision.settings));
        }
        let plan = Arc::clone(&self.run.plan);
        let new = plan.len().saturating_sub(self.tasks.len());
        self.counts.pending += new as u64;
        self.tasks.resize_with(self.tasks.len() + new, TaskView::default);
        self.unmet.resize(self.tasks.len(), 0);
        self.costs.iter_mut().for_each(|costs| costs.grow(plan.len()));
        let agents = plan.agents().iter().skip(self.agent_budgets.len());
        self.agent_budgets.extend(agents.map(|agent| agent.max_cost));
        self.reopened(again, at);
        for id in plan.ids().filter(|id| plan.is_removed(*id)) {
            self.finished.retain(|finished| *finished != id);
            self.set(id, Status::Removed);
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

#[cfg(test)]
mod tests {
    use sortie_core::hash::Hash;
    use sortie_core::plan::{Plan, Task};
    use sortie_core::run::event::Event;

    use super::*;
    use crate::testing;

    #[test]
    fn a_task_that_is_gone_counts_for_its_cost_alone_whatever_plan_the_fold_began_with() {
        // `impl_b` (3) had failed and `test` (4) was skipped for it.
        let story = testing::failure();
        let spent = story.fold().charge();
        let mut tasks = story.plan.tasks().to_vec();
        tasks[4].depends_on = vec![TaskId(2).into()];
        tasks.push(Task { name: "new".into(), depends_on: vec![TaskId(4).into()], ..tasks[0].clone() });
        let plan = Plan::new("other".into(), story.plan.agents().to_vec(), tasks).without([TaskId(3)].into());
        let revision = Revision {
            plan: Arc::new(plan.clone()),
            prompts: Arc::default(),
            settings: Arc::new(story.settings.clone()),
            binding: serde_json::Value::Null,
        };
        let changed = Event::PlanChanged {
            header: Hash::of(b"revision"),
            again: vec![TaskId(2), TaskId(4), TaskId(5)],
            revision: Some(Arc::new(revision)),
        };
        let mut story = story.at(69.0, Event::RunResumed).at(69.0, changed);
        for plan in [story.plan.clone(), plan] {
            story.plan = plan;
            let fold = story.fold();
            let (summary, counts) = (fold.summary(fold.last_time()), fold.counts());
            assert_eq!((summary.total_tasks, counts.succeeded, counts.pending, counts.removed), (5, 2, 3, 1));
            assert_eq!((counts.failed, counts.skipped, counts.queued), (0, 0, 1), "impl_a waits for nothing");
            assert_eq!(fold.charge(), spent);
            assert_eq!(fold.finished().len(), 2, "what is done again is not finished");
            assert!(fold.tasks()[2].answer.is_none());
            assert_eq!(fold.run().plan.name(), "other");
        }
    }
}
