//! Tasks that are tried again.

use std::collections::BTreeSet;

use super::{Violation, World};
use crate::plan::TaskId;

impl World {
    /// Whether a completed run stays so: where something failed, it is often tried again.
    pub(super) fn is_done(&mut self) -> bool {
        self.failed.is_empty() || self.rng.percent(60)
    }

    /// The failed and skipped tasks that another try may help: none that are invalid, and none behind those.
    fn retryable(&self) -> BTreeSet<TaskId> {
        let is_invalid = |id: &TaskId| self.plan.task(*id).invalid.is_some();
        let never: BTreeSet<TaskId> = self.failed.iter().copied().filter(is_invalid).collect();
        let doomed = self.doomed_by(&never);
        let failed = self.failed.difference(&never);
        failed.chain(self.skipped.difference(&doomed)).copied().collect()
    }

    /// Tasks are tried again: from here on as if they never had been, but for what they cost.
    pub(super) fn enter_reopened(&mut self, tasks: &[TaskId]) -> Result<(), Violation> {
        let expected = self.retryable();
        let reopened: BTreeSet<TaskId> = tasks.iter().copied().collect();
        let failed =
            |ids: &BTreeSet<TaskId>| -> Vec<TaskId> { ids.intersection(&self.failed).copied().collect() };
        must!(failed(&reopened) == failed(&expected), "tried again are {tasks:?} and not {expected:?}");
        must!(reopened.len() == tasks.len(), "{tasks:?} are tried again twice");
        must!(reopened.is_disjoint(&self.succeeded), "{tasks:?} have succeeded and are tried again");
        self.reopened += 1;
        let plan = self.plan.clone();
        for id in tasks {
            self.forget(*id);
            plan.dependants(*id).iter().for_each(|behind| self.outdate(behind.task));
        }
        Ok(())
    }

    /// From here on a task is as if it never had been, but for what it cost.
    pub(super) fn forget(&mut self, id: TaskId) {
        for ended in [&mut self.succeeded, &mut self.failed, &mut self.skipped, &mut self.corrected] {
            ended.remove(&id);
        }
        self.failures.remove(&id);
        self.not_before.remove(&id);
        self.retried.remove(&id);
    }
}
