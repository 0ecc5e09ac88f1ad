//! The runs that a trial consists of: what each is for, and how many of its calls are in flight.

use sortie_core::plan::check::Checked;
use sortie_core::run::input::Mode;

/// What one of a trial's runs is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// One small call to each agent: whether its key works and what its account allows.
    Key,
    /// One task after the other.
    Serial,
    /// The run that is judged.
    Judged,
    /// A run that is killed in the middle.
    Recovery,
    /// The same tasks on the simulator, serially.
    SimulatedSerial,
    /// The same tasks on the simulator.
    Simulated,
    /// The same tasks on the real endpoint, so many at a time, to fit the simulator to it.
    Width(u32),
    /// The same tasks on the simulator that was fitted, so many at a time, the how manieth time.
    Fitted(u32, u32),
}

impl Role {
    /// Whether it asks the simulator beside whoever is tested: nobody is paid for that.
    pub const fn is_rehearsal(self) -> bool {
        matches!(self, Role::SimulatedSerial | Role::Simulated | Role::Fitted(..))
    }

    /// Whether it asks those who are tested for the tasks of the trial, so that its calls tell how they answer.
    pub const fn is_real(self) -> bool {
        matches!(self, Role::Serial | Role::Judged | Role::Width(_))
    }

    /// What reports call it: several plays of the same alike.
    pub fn name(self) -> String {
        match self {
            Role::Fitted(width, _) => format!("fitted-{width}"),
            role => role.suffix(),
        }
    }

    /// What its run's id ends with.
    pub fn suffix(self) -> String {
        match self {
            Role::Key => "key".into(),
            Role::Serial => "serial".into(),
            Role::Judged => "judged".into(),
            Role::Recovery => "recovery".into(),
            Role::SimulatedSerial => "simulated-serial".into(),
            Role::Simulated => "simulated".into(),
            Role::Width(width) => format!("width-{width}"),
            Role::Fitted(width, play) => format!("fitted-{width}-{play}"),
        }
    }
}

/// One run of a trial.
#[derive(Clone, Debug)]
pub struct Part {
    /// What for.
    pub role: Role,
    /// Side by side or one after the other.
    pub mode: Mode,
    /// Calls at a time.
    pub max_concurrent: u32,
    /// Its tasks.
    pub checked: Checked,
}

/// What bounds a trial's calls at a time: the lower of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Width {
    /// What the command line says, else what the test or its phase is made for.
    pub own: u32,
    /// What the configuration states.
    pub configured: Option<u32>,
}

impl Width {
    /// Calls at a time.
    pub fn most(self) -> u32 {
        self.configured.map_or(self.own, |configured| configured.min(self.own))
    }
}
