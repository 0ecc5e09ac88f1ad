//! When a run says that it uses an account, and when it looks for others.

use std::sync::{Arc, Mutex};

use sortie_core::limit::{GateId, Gates, Verdict};
use sortie_core::run::Run;
use sortie_core::time::Time;
use sortie_core::usage::Cost;

use super::world::header;
use crate::driver::meeting::Seat;
use crate::sharing::{Met, Sharing, Used};

/// Keeps what it is told, and says that there are so many.
#[derive(Clone, Debug)]
struct Minutes(Arc<Mutex<Vec<(u64, bool)>>>, u32);

impl Sharing for Minutes {
    fn meet(&mut self, gates: &[Used], now: Time) -> Vec<Met> {
        self.0.lock().unwrap().extend(gates.iter().map(|used| (now.micros() / 1000, used.now)));
        vec![Met { users: self.1, learned: None }; gates.len()]
    }

    fn leave(&mut self) {}
}

#[test]
fn runs_that_start_together_meet_before_the_first_call_and_soon_again() {
    let header = header(&[("one", "answer", &[])]);
    let run = Run::new(header.plan.clone(), header.settings.clone());
    let mut gates = Gates::new(&header.settings);
    let minutes = Minutes(Arc::default(), 1);
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

#[test]
fn who_comes_to_others_starts_when_they_know() {
    let header = header(&[("one", "answer", &[])]);
    let run = Run::new(header.plan.clone(), header.settings.clone());
    let mut gates = Gates::new(&header.settings);
    let mut seat = Seat::at(Some(Box::new(Minutes(Arc::default(), 2))));
    let at = |ms: u64| Time::from_micros(ms * 1000);
    seat.meet(&run, &mut gates, at(1));
    let held = gates.check(GateId(0), &Cost::default(), at(999)).unwrap_err();
    assert_eq!((held.verdict, &*held.reason), (Verdict::WaitUntil(at(1001)), "a share of test/model"));
    seat.meet(&run, &mut gates, at(1001));
    assert_eq!(gates.check(GateId(0), &Cost::default(), at(1001)), Ok(()));
}
