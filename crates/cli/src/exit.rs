//! The exit codes, in one list. Scripts depend on them.

use std::process::ExitCode;

use sortie::core::run::event::{Outcome, Signal};

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All tasks succeeded.
    Success,
    /// The run ended with failed tasks, or could not go on.
    Failed,
    /// The command line, the plan or the configuration is invalid.
    Invalid,
    /// The budget stopped the run.
    Budget,
    /// A provider stopped the run, or a check before the start did: no key, no price, a results
    /// directory that cannot be written, a run that another process drives.
    Setup,
    /// A trial's criteria were not met.
    Unmet,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl Exit {
    /// The code that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Failed => 1,
            Exit::Invalid => 2,
            Exit::Budget => 3,
            Exit::Setup => 4,
            Exit::Unmet => 5,
            Exit::Interrupted => 130,
            Exit::Terminated => 143,
        }
    }

    /// The exit of a run that ended like this.
    pub(crate) fn of(outcome: &Outcome, all_succeeded: bool) -> Self {
        match outcome {
            Outcome::Completed if all_succeeded => Exit::Success,
            Outcome::Completed | Outcome::TimedOut { .. } | Outcome::TooManyFailures { .. } => Exit::Failed,
            Outcome::BudgetExceeded { .. } => Exit::Budget,
            Outcome::ProviderStopped { .. } => Exit::Setup,
            Outcome::Interrupted { signal } => Exit::by(*signal),
        }
    }
}

impl Exit {
    /// The exit of what this signal ended.
    pub(crate) const fn by(signal: Signal) -> Self {
        match signal {
            Signal::Interrupt | Signal::Cancel => Exit::Interrupted,
            Signal::Terminate => Exit::Terminated,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}
