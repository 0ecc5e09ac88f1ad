//! What of a run that is resumed is done again.

use clap::Args;

#[derive(Args, Debug)]
pub(crate) struct Again {
    /// Where the run's journal is damaged, go on from before the damage; what is behind it may be paid for again
    #[arg(long, requires = "run")]
    pub(crate) salvage: bool,
    /// Try failed and skipped tasks again, also of a run that is finished; what succeeded is kept
    #[arg(long, requires = "run")]
    pub(crate) retry_failed: bool,
}
