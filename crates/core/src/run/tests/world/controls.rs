//! What the user changes while a run is under way, and what holds from then on, in the second set of
//! books.

use std::time::Duration;

use super::{Violation, World};
use crate::limit::{GateId, GateSpec};
use crate::run::control::Control;
use crate::run::event::Outcome;
use crate::run::input::{Input, Mode, Settings};
use crate::time::Time;

pub(super) struct Controls {
    /// Attempts that may be in flight.
    most: u32,
    /// For each gate its rates, the oldest first.
    rates: Vec<Vec<Rate>>,
    pub(super) paused: Option<Time>,
}

/// A rate of a gate.
#[derive(Clone, Copy)]
struct Rate {
    from: Time,
    /// None: without a limit.
    per_minute: Option<u32>,
    burst: u32,
}

impl Controls {
    pub(super) fn new(settings: &Settings) -> Self {
        let rate = |spec: &GateSpec| Rate {
            from: Time::ZERO,
            per_minute: spec.requests_per_minute,
            burst: spec.requests_burst,
        };
        Controls {
            most: settings.max_concurrent,
            rates: settings.gates.iter().map(|spec| vec![rate(spec)]).collect(),
            paused: None,
        }
    }
}

impl World {
    /// The user turns a knob.
    pub(super) fn control(&mut self) -> Result<Option<Outcome>, Violation> {
        let per_minute = self.rng.range(10, 600) as u32;
        let gate = GateId(self.rng.below(self.settings.gates.len() as u64) as u16);
        let control = match self.rng.below(6) {
            0 | 1 => Control::Concurrency(self.rng.range(1, 8) as u32),
            2 => Control::RequestsPerMinute { gate: Some(gate), per_minute },
            3 => Control::RequestsPerMinute { gate: None, per_minute },
            4 => Control::Pause,
            _ => Control::Resume,
        };
        self.tell(Input::Controlled(control))
    }

    /// A paused run that has nothing in flight waits for its user.
    pub(super) fn end_pause(&mut self) -> Result<Option<Outcome>, Violation> {
        self.now = self.now + self.rng.pick(&[Duration::ZERO, Duration::from_secs(50)]);
        self.tell(Input::Controlled(Control::Resume))
    }

    pub(super) fn enter_control(&mut self, control: Control, at: Time) {
        match control {
            Control::Concurrency(most) => self.controls.most = most,
            Control::RequestsPerMinute { gate, per_minute } => {
                let rate = Rate { from: at, per_minute: Some(per_minute), burst: (per_minute / 60).max(1) };
                for (index, rates) in self.controls.rates.iter_mut().enumerate() {
                    if gate.is_none_or(|gate| gate.index() == index) {
                        rates.push(rate);
                    }
                }
            }
            Control::Pause => {
                self.controls.paused.get_or_insert(at);
            }
            Control::Resume => {
                if let Some(since) = self.controls.paused.take() {
                    self.session = self.session + at.since(since.max(self.session));
                }
            }
        }
    }

    pub(super) fn check_concurrency(&self, gate: GateId) -> Result<(), Violation> {
        let most = match self.settings.mode {
            Mode::Serial => 1,
            Mode::Parallel => self.controls.most as usize,
        };
        must!(self.in_flight.len() <= most, "{} in flight of {most}", self.in_flight.len());
        let here = self.in_flight.keys().filter(|attempt| self.gate_of(**attempt) == gate).count();
        let most = self.settings.gates[gate.index()].max_concurrent;
        must!(most.is_none_or(|most| here <= most as usize), "{here} in flight at {gate:?} of {most:?}");
        Ok(())
    }

    /// In every span, at most the burst and what the rates give in that span.
    pub(super) fn check_rate(&mut self, gate: GateId) -> Result<(), Violation> {
        let starts = &mut self.starts[gate.index()];
        starts.push(self.now);
        for (index, from) in starts.iter().enumerate() {
            let count = (starts.len() - index) as u128;
            let Some(allowed) = allowed(&self.controls.rates[gate.index()], *from, self.now) else {
                continue;
            };
            must!(count * 60_000_000 <= allowed, "{count} starts since {from} at {gate:?}");
        }
        Ok(())
    }
}

/// How much may start in a span that begins with a start, in 60-millionths; none: without a limit.
fn allowed(rates: &[Rate], from: Time, to: Time) -> Option<u128> {
    let (mut burst, mut gained) = (0, 0);
    for (index, rate) in rates.iter().enumerate() {
        let until = rates.get(index + 1).map_or(to, |next| next.from);
        if until < from {
            continue; // it was over
        }
        let per_minute = rate.per_minute?;
        gained += until.since(from.max(rate.from)).as_micros() * u128::from(per_minute);
        // Of changes in the moment of the first start, nobody knows which came before it.
        if rate.from <= from {
            burst = burst.max(u128::from(rate.burst));
        }
    }
    Some(burst * 60_000_000 + gained)
}
