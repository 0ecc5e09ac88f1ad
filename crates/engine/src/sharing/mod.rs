//! What runs that use the same accounts tell each other, in whatever process they are: how many they
//! are, so that each keeps to its part, and what they have learned of the accounts' limits.
//!
//! Nothing depends on it: without it a run uses all of an account, and hears of others by the provider's
//! refusals and by what replies tell. So it never fails a run, and nothing of it has to be durable.

mod file;
mod opening;

use std::fmt::Debug;
use std::time::Duration;

use sortie_core::limit::{GateSpec, Learned};
use sortie_core::time::Time;

pub use file::{SharedFile, learned};

/// How often runs meet.
pub(crate) const MEETS_EVERY: Duration = Duration::from_secs(1);

/// Who was not seen for so long uses an account no more.
pub(crate) const GONE_AFTER: Duration = Duration::from_secs(4);

/// What was learned longer ago than this is not worth remembering: quotas follow what was spent in a
/// month.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(7 * 86_400);

/// A gate that a run uses.
#[derive(Clone, Debug, PartialEq)]
pub struct Used {
    /// The account and the class of models, the same for all who share it.
    pub gate: String,
    /// Whether it is used at this moment, or only was.
    pub now: bool,
    /// What the run has learned of its limits.
    pub learned: Option<Learned>,
}

/// The name by which all who share a gate know it.
pub(crate) fn name_of(gate: &GateSpec) -> String {
    format!("{} for {}", gate.account, if gate.class.is_empty() { &gate.name } else { &gate.class })
}

/// What others know of a gate.
#[derive(Clone, Debug, PartialEq)]
pub struct Met {
    /// How many runs use it, this one included: at least 1.
    pub users: u32,
    /// This run's place among them, less than `users`, in an order that is the same for all.
    pub place: u32,
    /// What time it is where they meet.
    pub moment: Time,
    /// What was learned of its limits at last before this meeting, by whomever.
    pub learned: Option<Learned>,
}

impl Default for Met {
    /// Nobody is there, and nothing is known.
    fn default() -> Self {
        Met { users: 1, place: 0, moment: Time::ZERO, learned: None }
    }
}

/// Where runs meet.
pub trait Sharing: Send + Sync + Debug {
    /// Says what this run uses, and hears of the others: a line for each gate, in their order. None where
    /// they cannot be met now, which says nothing of how many they are.
    fn meet(&mut self, gates: &[Used], now: Time) -> Option<Vec<Met>>;

    /// This run uses nothing any more.
    fn leave(&mut self);
}
