//! What a user changes of a run while it is under way: how much of it may happen at once, and
//! whether anything new starts at all.
//!
//! A control is an event like any other: it is remembered before it acts, and a resume goes on with
//! it. A pause alone does not outlive its session: whoever resumes a run means to go on.

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::input::Settings;
use super::state::Run;
use super::step::Deciding;
use crate::limit::{GateId, Gates, burst_of};
use crate::time::Time;

/// Why ready tasks of a paused run do not start ([`super::input::Waiting::reason`]).
pub const PAUSED: &str = "paused by the user";

/// What a user changes of a run that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// So many attempts may be in flight, over all accounts; at least 1. What is in flight beyond it
    /// is not given up. A serial run stays serial.
    Concurrency(u32),
    /// An account and model gets so many requests a minute, at least 1, with a burst of a second's
    /// worth.
    RequestsPerMinute {
        /// Whose; none: each of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gate: Option<GateId>,
        /// How many.
        per_minute: u32,
    },
    /// Nothing new starts; what is in flight finishes. The run timeout stands still: it bounds how
    /// long a run works, and a pause that outlasts it would end the run that it is to keep. Where the run is paused
    /// already, it is no fact.
    Pause,
    /// A pause ends. Where there is none, it is no fact.
    Resume,
}

impl Control {
    /// Changes limits as configured: what is in force after it.
    pub fn change(&self, settings: &mut Settings) {
        match *self {
            Control::Concurrency(most) => settings.max_concurrent = most.max(1),
            Control::RequestsPerMinute { gate, per_minute } => {
                for (index, spec) in settings.gates.iter_mut().enumerate() {
                    if gate.is_none_or(|gate| gate.index() == index) {
                        spec.requests_per_minute = Some(per_minute.max(1));
                        spec.requests_burst = burst_of(per_minute);
                    }
                }
            }
            Control::Pause | Control::Resume => {}
        }
    }
}

impl Run {
    /// Whether the user has paused it.
    pub fn is_paused(&self) -> bool {
        self.state.paused.is_some()
    }

    /// The part of [`Run::apply`] that is about controls.
    pub(super) fn controlled(&mut self, control: Control, at: Time) -> Result<(), &'static str> {
        match control {
            Control::RequestsPerMinute { gate: Some(gate), .. }
                if gate.index() >= self.settings.gates.len() =>
            {
                return Err("its gate is not in the settings");
            }
            // Limits are the gates' business, not the run's.
            Control::Concurrency(_) | Control::RequestsPerMinute { .. } => {}
            Control::Pause => {
                self.state.paused.get_or_insert(at);
            }
            Control::Resume => {
                if let Some(since) = self.state.paused.take() {
                    // What came in the pause began the count anew.
                    let stood = |session: Time| session + at.since(since.max(session));
                    self.state.session = self.state.session.map(stood);
                }
            }
        }
        Ok(())
    }
}

impl Deciding<'_> {
    pub(super) fn control(&mut self, control: Control) {
        let is_known = match control {
            Control::Pause => self.run.is_paused(),
            Control::Resume => !self.run.is_paused(),
            Control::Concurrency(_) | Control::RequestsPerMinute { .. } => false,
        };
        if is_known {
            return;
        }
        self.remember(Event::Controlled { control });
        self.gates.control(control, self.now);
    }
}

impl Gates {
    /// What a control changes of the limits.
    pub(super) fn control(&mut self, control: Control, now: Time) {
        match control {
            Control::Concurrency(most) => self.set_concurrency(most),
            Control::RequestsPerMinute { gate: Some(gate), per_minute } => {
                self.set_requests_per_minute(gate, per_minute, now);
            }
            Control::RequestsPerMinute { gate: None, per_minute } => {
                for gate in self.ids() {
                    self.set_requests_per_minute(gate, per_minute, now);
                }
            }
            Control::Pause | Control::Resume => {}
        }
    }
}
