//! So many at a time.

#[derive(Clone, Debug)]
pub(super) struct Concurrency {
    most: u32,
    in_flight: u32,
}

impl Concurrency {
    /// At most `most` at a time, at least 1.
    pub(super) fn new(most: u32) -> Self {
        Concurrency { most: most.max(1), in_flight: 0 }
    }

    /// From now on at most `most`, at least 1; what is in flight beyond it stays.
    pub(super) fn set(&mut self, most: u32) {
        self.most = most.max(1);
    }

    pub(super) fn is_full(&self) -> bool {
        self.in_flight >= self.most
    }

    pub(super) fn start(&mut self) {
        self.in_flight += 1;
    }

    pub(super) fn end(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }
}
