//! What the end-to-end tests stand on: a place to run the program in, the simulator in a process of
//! its own, and waiting for what has to happen.
//!
//! Nothing here knows the program's insides: it is started, read from and killed as a user would.

mod sandbox;
mod simulator;
mod terminal;

use std::time::{Duration, Instant};

pub(crate) use sandbox::{Ran, Sandbox};
pub(crate) use simulator::{Simulator, Trap};
pub(crate) use terminal::{Terminal, on_a_terminal};

/// How long anything may take that has to happen: far more than it takes, for a machine that is
/// busy with something else. No test is faster or slower for it unless it fails.
const DEADLINE: Duration = Duration::from_secs(60);

/// How long a look at a condition lies behind the last one.
const PAUSE: Duration = Duration::from_millis(3);

/// The pipeline of the founding document (SPEC.md S3).
pub(crate) const WEBSITE: &str = include_str!("../../../../examples/website.yaml");

/// Waits until a look finds something.
///
/// # Panics
/// After a minute, with what was waited for.
#[expect(clippy::disallowed_methods, reason = "other processes are waited for in real time")]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "waited in vain until {what}");
        std::thread::sleep(PAUSE);
    }
}
