//! What a fold tells of its run.

use std::collections::BTreeSet;
use std::time::Duration;

use sortie_core::agent::{Agent, AgentId};
use sortie_core::limit::GateSpec;
use sortie_core::money::Usd;
use sortie_core::plan::TaskId;
use sortie_core::prediction::Prediction;
use sortie_core::run::control::Control;
use sortie_core::run::event::Outcome;
use sortie_core::time::Time;
use sortie_core::usage::Charge;

use super::{Counts, Fold, OverBudget, Overrun, Report, RunView, TaskView};
use crate::amounts::unpriced;
use crate::bound;
use crate::costs::Costs;
use crate::stopped::Stops;
use crate::summary::Summary;
use crate::waits::WaitedFor;

impl Fold {
    /// Whose budget was reached last, if one was.
    pub fn over_budget(&self) -> Option<OverBudget> {
        self.over_budget
    }

    /// The first calls that cost more than was reserved for them.
    pub fn overruns(&self) -> &[Overrun] {
        &self.overruns
    }

    /// What ready tasks were held by, as far as it has been told.
    pub fn waits(&self) -> Vec<WaitedFor> {
        let waits = self.waits.iter();
        waits.map(|(reason, &seconds)| WaitedFor { reason: reason.clone(), seconds }).collect()
    }

    /// What was forecast of it, first.
    pub fn forecast(&self) -> Option<Prediction> {
        self.forecast
    }

    /// The run's summary as of `now`: the clock of a live run, [`Fold::last_time`] of a journal.
    pub fn summary(&self, now: Time) -> Summary {
        Summary::at(self, now, bound::of(self))
    }

    /// What reports are made of, as of `now`.
    pub fn report(&self, now: Time) -> Report<'_> {
        self.report_within(now, &[])
    }

    /// The same where providers are known to allow no more than this, one for each gate of the settings: the bound is
    /// nearer then to what could have been.
    pub fn report_within(&self, now: Time, allowed: &[GateSpec]) -> Report<'_> {
        let bound = bound::within(self, allowed);
        Report { fold: self, summary: Summary::at(self, now, bound), bound, allowed: allowed.to_vec() }
    }

    /// What the run was created with.
    pub fn run(&self) -> &RunView {
        &self.run
    }

    /// All tasks, in the order of the plan.
    pub fn tasks(&self) -> &[TaskView] {
        &self.tasks
    }

    /// How often things happened.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What all attempts came to.
    pub fn charge(&self) -> Charge {
        self.charge
    }

    /// What all attempts came to, in the order of [`crate::costs::Grouping::WITHIN_RUN`].
    pub fn costs(&self) -> &[Costs] {
        &self.costs
    }

    /// What attempts in flight may cost at most. Whether they are lost only a resume decides: until
    /// then they are neither spent nor at risk ([`Fold::charge`]).
    pub fn reserved(&self) -> Usd {
        self.reserved
    }

    /// The budget, as last set.
    pub fn budget(&self) -> Option<Usd> {
        self.budget
    }

    /// Whether the budget stops the run; else it only warns.
    pub fn budget_stops(&self) -> bool {
        self.budget_stops
    }

    /// The agents that have a budget of their own, with it, as last set.
    pub fn agent_budgets(&self) -> impl Iterator<Item = (&Agent, Usd)> {
        let all = self.run.plan.agents().iter().zip(&self.agent_budgets);
        all.filter_map(|(agent, budget)| Some((agent, (*budget)?)))
    }

    /// The agents that were called and whose price nobody knows: their calls are in no amount.
    pub fn unpriced(&self) -> Vec<&Agent> {
        unpriced(&self.run.plan, self.called.iter().copied())
    }

    /// The agents that tasks go to, and the fallbacks that were called in their place, in the order of the
    /// configuration.
    pub fn agents(&self) -> impl Iterator<Item = &Agent> {
        let all = self.run.plan.used_agents().into_iter().chain(self.called.iter().copied());
        let all: BTreeSet<AgentId> = all.collect();
        all.into_iter().filter_map(|id| self.run.plan.agents().get(id.index()))
    }

    /// The tasks that succeeded or failed, in the order they did.
    pub fn finished(&self) -> &[TaskId] {
        &self.finished
    }

    /// How the last session ended; none while it runs, or where it crashed.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Whether a signal or the budget lets nothing new start: what is in flight finishes.
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// What the user changed while it was under way, and when.
    pub fn controls(&self) -> &[(Time, Control)] {
        &self.controls
    }

    /// Which accounts were stopped.
    pub(crate) const fn stops(&self) -> &Stops {
        &self.stops
    }

    /// When the user cancelled it by a control, once for each session at most.
    pub fn cancelled(&self) -> &[Time] {
        &self.cancelled
    }

    /// How often the run was started or resumed.
    pub fn sessions(&self) -> u32 {
        self.clock.sessions
    }

    /// The time of the last record, or of the run's creation.
    pub fn last_time(&self) -> Time {
        self.last
    }

    /// The time of all sessions together, as of `now`.
    pub fn elapsed(&self, now: Time) -> Duration {
        self.clock.at(now.max(self.clock.last))
    }
}
