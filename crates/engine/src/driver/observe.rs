//! Who looks on: progress displays, logs, reports.

use sortie_core::run::event::Record;
use sortie_core::run::input::Waiting;
use sortie_core::time::Time;

use crate::store::Output;

/// Is shown what has happened, once it is durable. It cannot interfere, and it must not block: it
/// is called from the driver's loop.
pub trait Observe: Send {
    /// These records were made durable, and these outputs that they name.
    fn records(&mut self, records: &[Record], outputs: &[Output]);

    /// Why ready tasks do not start at this time; said after every batch of records.
    fn waiting(&mut self, waiting: &[Waiting], now: Time) {
        let _ = (waiting, now);
    }
}

/// Nobody looks on.
impl Observe for () {
    fn records(&mut self, _: &[Record], _: &[Output]) {}
}

/// Two look on.
impl<A: Observe, B: Observe> Observe for (A, B) {
    fn records(&mut self, records: &[Record], outputs: &[Output]) {
        self.0.records(records, outputs);
        self.1.records(records, outputs);
    }

    fn waiting(&mut self, waiting: &[Waiting], now: Time) {
        self.0.waiting(waiting, now);
        self.1.waiting(waiting, now);
    }
}

impl<O: Observe> Observe for &mut O {
    fn records(&mut self, records: &[Record], outputs: &[Output]) {
        (**self).records(records, outputs);
    }

    fn waiting(&mut self, waiting: &[Waiting], now: Time) {
        (**self).waiting(waiting, now);
    }
}
