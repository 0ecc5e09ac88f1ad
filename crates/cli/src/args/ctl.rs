//! `sortie ctl`: what to change of a run that is under way.

use clap::{Args, Subcommand};
use sortie::control::Request;

use super::{Output, Places};

pub(super) const EXAMPLES: &str = "\
A run that is resumed goes on with the last limits, and a resume ends a pause. All of it is in the journal.

Examples:
  sortie ctl 20261123-180233-4f2a concurrency 20  twenty calls at a time from now on
  sortie ctl 20261123-180233-4f2a rpm 100 --agent claude
  sortie ctl 20261123-180233-4f2a pause           and later: resume

Exit codes: 0 done, 2 there is no such run or it will not, 4 no process drives it.";

#[derive(Args, Debug)]
#[command(
    disable_help_subcommand = true,
    subcommand_value_name = "CONTROL",
    subcommand_help_heading = "Controls"
)]
pub(crate) struct CtlArgs {
    /// The run
    pub(crate) run: String,
    #[command(subcommand)]
    pub(crate) control: Control,
    #[command(flatten)]
    pub(crate) places: Places,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What to change.
#[derive(Debug, Subcommand)]
pub(crate) enum Control {
    /// Let so many calls be in flight; what is in flight beyond it finishes
    Concurrency {
        /// How many
        #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
        at_most: u32,
    },
    /// Let so many requests start in a minute, for each account and model
    Rpm {
        /// How many
        #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        per_minute: u32,
        /// Only for the account and model of this agent
        #[arg(long)]
        agent: Option<String>,
    },
    /// Start nothing new; what is in flight finishes, and the run timeout stands still
    Pause,
    /// End a pause
    Resume,
    /// Stop as Ctrl-C does: what is in flight finishes, and the run can be resumed
    Cancel,
}

impl From<Control> for Request {
    fn from(control: Control) -> Self {
        match control {
            Control::Concurrency { at_most } => Request::Concurrency { at_most },
            Control::Rpm { per_minute, agent } => Request::Rpm { per_minute, agent },
            Control::Pause => Request::Pause {},
            Control::Resume => Request::Resume {},
            Control::Cancel => Request::Cancel {},
        }
    }
}
