//! Sessions of a run, and the clock that stands still between them.

use std::time::Duration;

use sortie_core::time::Time;

/// The run's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    pub(crate) sessions: u32,
    started: Time,
    pub(crate) last: Time,
    before: Duration,
    running: bool,
}

impl Clock {
    pub(crate) fn start(&mut self, at: Time) {
        self.stop();
        *self = Clock { sessions: self.sessions + 1, started: at, last: at, running: true, ..*self };
    }

    pub(crate) fn stop(&mut self) {
        self.before = self.at(self.last);
        self.running = false;
    }

    pub(crate) fn touch(&mut self, at: Time) {
        if self.running {
            self.last = self.last.max(at);
        }
    }

    pub(crate) fn at(&self, time: Time) -> Duration {
        if self.running { self.before + time.since(self.started) } else { self.before }
    }
}
