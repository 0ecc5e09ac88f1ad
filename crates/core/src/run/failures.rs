//! When failed tasks end a run: one that says so (`on_failure: stop`), or too many of them (`max_failures`).
//!
//! What is in flight then finishes, nothing new starts, and what is left stays pending. Whoever resumes the
//! run means to go on, so a resume counts anew.

use serde::{Deserialize, Serialize};

use crate::plan::TaskId;

/// The tasks that failed since a run was started or last resumed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Failures {
    failed: u32,
    /// What ended the run; the first that did.
    pub(super) end: Option<TooManyFailures>,
}

/// Why failed tasks ended a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TooManyFailures {
    /// This task failed, whose `on_failure` is `stop`.
    Task(TaskId),
    /// So many tasks failed as `max_failures` says.
    Limit(u32),
}

impl Failures {
    /// A task failed.
    pub(super) fn count(&mut self, task: TaskId, stops: bool, most: Option<u32>) {
        self.failed += 1;
        if self.end.is_none() {
            let reached = most.filter(|most| self.failed >= *most).map(TooManyFailures::Limit);
            self.end = if stops { Some(TooManyFailures::Task(task)) } else { reached };
        }
    }
}
