//! When a run says that it uses an account, and when it looks for others.

use std::sync::{Arc, Mutex};

use sortie_core::limit::Gates;
use sortie_core::run::Run;
use sortie_core::time::Time;

use super::world::header;
use crate::driver::meeting::Seat;
use crate::sharing::{Met, Sharing, Used};

/// Keeps what it is told.
#[derive(Clone, Debug, Default)]
struct Minutes(Arc<Mutex<Vec<(u64, bool)>>>);

impl Sharing for Minutes {
    fn meet(&mut self, gates: &[Used], now: Time) -> Vec<Met> {
        self.0.lock().unwrap().extend(gates.iter().map(|used| (now.micros() / 1000, used.now)));
        vec![Met::default(); gates.len()]
    }

    fn leave(&mut self) {}
}

#[test]
fn runs_that_start_together_meet_before_the_first_call_and_soon_again() {
    let header = header(&[("one", "answer", &[])]);
    let run = Run::new(header.plan.clone(), header.settings.clone());
    let mut gates = Gates::new(&header.settings);
    let minutes = Minutes::default();
    let mut seat = Seat::at(Some(Box::new(minutes.clone())));
    for ms in (1..4000).step_by(5) {
        seat.meet(&run, &mut gates, Time::from_micros(ms * 1000));
    }
    let met = minutes.0.lock().unwrap().clone();
    // Nothing is under way in this test: only the first time it is said to be used.
    assert_eq!(
        met,
        [
            (1, true),
            (51, false),
            (151, false),
            (351, false),
            (751, false),
            (1551, false),
            (2551, false),
            (3551, false)
        ]
    );
}
