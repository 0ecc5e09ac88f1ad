//! What must hold when a run has ended.

use std::collections::BTreeSet;
use std::time::Duration;

use super::health::Model;
use super::{Violation, World};
use crate::money::Usd;
use crate::run::Run;
use crate::run::event::Outcome;

impl World {
    pub(super) fn check_end(&self, outcome: &Outcome) -> Result<(), Violation> {
        must!(self.in_flight.is_empty(), "the run ended with calls in flight");
        must!(self.run.reserved() == Usd::ZERO, "money is reserved after the end");
        let open = self.plan.ids().filter(|id| {
            !self.plan.is_removed(*id)
                && !self.succeeded.contains(id)
                && !self.failed.contains(id)
                && !self.skipped.contains(id)
        });
        let open = open.count();
        let doomed: BTreeSet<_> = self.doomed().difference(&self.failed).copied().collect();
        must!(self.skipped == doomed, "skipped are {:?} and not {doomed:?}", self.skipped);
        let replayed = Run::replay(self.first.clone(), self.settings.clone(), &self.journal);
        must!(
            replayed.map_err(|error| error.to_string())?.state == self.run.state,
            "the end is not replayable"
        );
        match outcome {
            Outcome::Completed => must!(open == 0, "{open} tasks are open in a completed run"),
            Outcome::TimedOut { after } => {
                must!(self.now.since(self.session) >= *after, "the run timed out too early");
                must!(*after < Duration::from_secs(1_000_000), "the run waited for nothing");
            }
            Outcome::BudgetExceeded { needed, budget, .. } => {
                must!(needed > budget, "{needed} fits {budget}");
            }
            Outcome::ProviderStopped { .. } => {
                let gate = self.models.values().any(Model::is_stopped);
                must!(gate || !self.stopped.is_empty(), "no account was stopped");
                self.check_nobody_serves()?;
            }
            Outcome::TooManyFailures { .. } => {
                must!(self.ends_by_failures(), "too few tasks failed to end the run");
            }
            Outcome::Interrupted { .. } => {
                must!(self.cancelled.is_some(), "nobody asked to stop");
            }
        }
        Ok(())
    }

    /// Whoever asked to stop does not wait for longer than the grace time.
    pub(super) fn check_grace(&self, ended: Option<&Outcome>) -> Result<(), Violation> {
        let is_over = self.cancelled.is_some_and(|at| self.now >= at + self.settings.grace);
        must!(
            !is_over || ended.is_some() || !self.asked.is_empty(),
            "calls are waited for after the grace time"
        );
        Ok(())
    }
}
