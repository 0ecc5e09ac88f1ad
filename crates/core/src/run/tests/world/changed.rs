//! Plans that are changed while nobody drives the run.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Violation, World};
use crate::hash::Hash;
use crate::plan::{Edge, Plan, TaskId, When};
use crate::run::input::Change;
use crate::run::revise::Revision;
use crate::run::tests::random;

impl World {
    /// A plan in which some tasks are otherwise, some are gone and some are new; often an agent, too.
    pub(super) fn change(&mut self) -> Change {
        let rng = &mut self.rng;
        let (mut agents, mut tasks) = (self.plan.agents().to_vec(), self.plan.tasks().to_vec());
        if rng.percent(30) {
            let more = random::another_agent(rng, &agents, self.settings.budget.is_some());
            agents.push(more);
        }
        let mut removed: BTreeSet<TaskId> = self.plan.ids().filter(|id| self.plan.is_removed(*id)).collect();
        removed.extend(self.plan.ids().filter(|_| rng.percent(3)));
        let mut changed = BTreeSet::new();
        for (id, task) in self.plan.ids().zip(&mut tasks) {
            let before = task.depends_on.len();
            let is_gone = removed.contains(&id);
            task.same_as = task.same_as.filter(|same| !is_gone && !removed.contains(same));
            task.depends_on.retain(|on| !is_gone && !removed.contains(&on.task));
            let stays = |of: &TaskId| task.depends_on.iter().any(|on| on.task == *of);
            task.prompt.inserts.retain(|(of, _)| stays(of));
            if rng.percent(8) {
                task.max_tokens = rng.range(1, 2_000) as u32;
                task.invalid = None;
            } else if task.depends_on.len() == before {
                task.priority = rng.pick(&[task.priority, task.priority, 1]);
                continue; // is done no more than before
            }
            changed.insert(id);
        }
        for _ in 0..rng.below(3) {
            let id = TaskId(tasks.len() as u32);
            let mut task = random::task(rng, id.0, agents.len() as u64, 0);
            let on = TaskId(rng.below(u64::from(id.0)) as u32);
            if !removed.contains(&on) {
                task.depends_on.push(Edge { task: on, when: rng.pick(&[When::Succeeded, When::Any]) });
            }
            tasks.push(task);
            changed.insert(id);
        }
        let plan = Plan::new("changed".to_owned(), agents, tasks).without(removed);
        let mut again = BTreeSet::new();
        for id in plan.in_order().filter(|id| !plan.is_removed(*id)) {
            let is_behind = plan.task(id).depends_on.iter().any(|on| again.contains(&on.task));
            if is_behind || changed.contains(&id) {
                again.insert(id);
            }
        }
        let (settings, binding) = (Arc::clone(&self.settings), serde_json::Value::Null);
        let revision = Revision { plan: Arc::new(plan), prompts: Arc::default(), settings, binding };
        Change {
            header: Hash::of(&self.changed.to_le_bytes()),
            again: again.into_iter().collect(),
            revision: Arc::new(revision),
        }
    }

    /// The run goes on with another plan.
    pub(super) fn enter_changed(
        &mut self,
        again: &[TaskId],
        revision: Option<&Revision>,
    ) -> Result<(), Violation> {
        let revision = revision.ok_or("the plan that was changed is not told")?;
        self.plan = Arc::clone(&revision.plan);
        self.changed += 1;
        for id in self
            .plan
            .ids()
            .filter(|id| self.plan.is_removed(*id))
            .chain(again.iter().copied())
            .collect::<Vec<_>>()
        {
            self.forget(id);
            self.outdate(id);
        }
        Ok(())
    }
}
