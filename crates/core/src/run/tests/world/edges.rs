//! What failed tasks mean for others.

use std::collections::BTreeSet;

use super::World;
use crate::plan::{Edge, TaskId, When};

impl World {
    /// Tasks that need more of another than it came to; dependencies come first in the plan.
    pub(super) fn doomed(&self) -> BTreeSet<TaskId> {
        self.doomed_by(&self.failed)
    }

    /// The same where these are all that failed.
    pub(super) fn doomed_by(&self, failed: &BTreeSet<TaskId>) -> BTreeSet<TaskId> {
        let mut doomed = BTreeSet::new();
        for id in self.plan.ids() {
            let is_unmet = |on: &Edge| match on.when {
                _ if failed.contains(&on.task) => on.when == When::Succeeded,
                When::Succeeded | When::Finished => doomed.contains(&on.task),
                When::Any => false,
            };
            if self.plan.task(id).depends_on.iter().any(is_unmet) {
                doomed.insert(id);
            }
        }
        doomed
    }

    /// Whether everything that a task waits for has ended as it has to.
    pub(super) fn is_met(&self, id: TaskId) -> bool {
        self.plan.task(id).depends_on.iter().all(|Edge { task, when }| match when {
            When::Succeeded => self.succeeded.contains(task),
            When::Finished => self.succeeded.contains(task) || self.failed.contains(task),
            When::Any => [&self.succeeded, &self.failed, &self.skipped].iter().any(|set| set.contains(task)),
        })
    }

    pub(super) fn enter_failed(&mut self, id: TaskId) {
        self.failed.insert(id);
        self.failed_lately.push(id);
    }

    /// Whether what failed since the run was last resumed ends it.
    pub(super) fn ends_by_failures(&self) -> bool {
        let most = self.settings.max_failures.map_or(usize::MAX, |most| most as usize);
        self.failed_lately.len() >= most || self.failed_lately.iter().any(|id| self.plan.task(*id).stops_run)
    }
}
