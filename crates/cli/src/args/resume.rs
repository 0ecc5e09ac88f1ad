//! What of a run that is resumed is done again.

use std::path::PathBuf;

use clap::Args;

#[derive(Args, Debug)]
pub(crate) struct Again {
    /// Where the run's journal is damaged, go on from before the damage, and do tasks again whose answers are damaged; what
    /// is gone may be paid for again
    #[arg(long, requires = "run")]
    pub(crate) salvage: bool,
    /// Try failed and skipped tasks again, also of a run that is finished; what succeeded is kept
    #[arg(long, requires = "run")]
    pub(crate) retry_failed: bool,
    #[command(flatten)]
    pub(crate) plan: PlanNow,
}

impl PlanNow {
    /// Whether anything is said of it, so that also a run that is finished is held against it.
    pub(crate) fn is_asked_for(&self) -> bool {
        self.plan.is_some() || self.changed
    }
}

/// Which plan a run goes on with.
#[derive(Args, Debug)]
pub(crate) struct PlanNow {
    /// Where its plan is now, if not where it was
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: Option<PathBuf>,
    /// Go on with a plan that was changed: tasks of which prompt, agent or inputs changed, and all behind them, are done
    /// again; the rest is kept
    #[arg(long, conflicts_with = "as_started")]
    pub(crate) changed: bool,
    /// Go on with the plan that the run has: what it was started with, or changed to since; whatever became of the file
    #[arg(long, conflicts_with = "plan")]
    pub(crate) as_started: bool,
}
