//! How often things happened in a run.

use std::collections::BTreeMap;

use sortie_core::failure::Class;

use super::task::Status;

/// How often things happened.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Calls started, those that never left taken back.
    pub calls: u64,
    /// Calls that failed, by class.
    pub failed_attempts: BTreeMap<Class, u64>,
    /// Attempts lost in a crash, and not found again.
    pub lost: u64,
    /// Attempts lost in a crash whose answers their providers had kept.
    pub recovered: u64,
    /// Attempts that were to be tried again.
    pub retries: u64,
    /// Tasks whose answer was given before: no call was made for them.
    pub without_call: u64,
    /// Tasks of which an attempt went to a fallback.
    pub rerouted: u64,
    /// Tasks that failed before anything was sent.
    pub unsent: u64,
    /// Answers that `max_tokens` ended.
    pub cut_by_max_tokens: u64,
    /// Tasks pending.
    pub pending: u64,
    /// Tasks running.
    pub running: u64,
    /// Tasks succeeded.
    pub succeeded: u64,
    /// Tasks failed.
    pub failed: u64,
    /// Tasks skipped.
    pub skipped: u64,
    /// Tasks that the plan does not have any more.
    pub removed: u64,
    /// Tasks pending whose dependencies have all succeeded.
    pub queued: u64,
}

impl Counts {
    /// Attempts that failed with this class.
    pub fn of(&self, class: Class) -> u64 {
        self.failed_attempts.get(&class).copied().unwrap_or_default()
    }

    pub(super) fn tasks(&mut self, status: Status) -> &mut u64 {
        match status {
            Status::Pending => &mut self.pending,
            Status::Running => &mut self.running,
            Status::Succeeded => &mut self.succeeded,
            Status::Failed => &mut self.failed,
            Status::Skipped => &mut self.skipped,
            Status::Removed => &mut self.removed,
        }
    }
}
