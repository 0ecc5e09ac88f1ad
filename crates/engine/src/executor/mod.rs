//! Who performs calls, and whose clock counts.
//!
//! The driver talks to one [`Executor`]: it starts calls and waits for whatever comes next. The
//! [local](local::LocalExecutor) one runs them as tokio tasks on the real clock; the
//! [simulated](simulated::SimulatedExecutor) one computes each answer at once and jumps its clock
//! from one to the next. Neither decides anything: no retry, no limit, no timeout but the one that
//! a call carries to its caller.

mod clock;
pub mod local;
pub mod signals;
pub mod simulated;
#[cfg(test)]
pub(crate) mod testing;

use sortie_core::call::{Call, Returned};
use sortie_core::hash::Hash;
use sortie_core::limit::Told;
use sortie_core::run::event::{AttemptId, Signal};
use sortie_core::time::Time;

/// The time now, by the wall: when a run is created, and what day it is. While a run is driven
/// only its executor's clock counts.
pub fn wall() -> Time {
    clock::Clock::of_the_wall(Time::ZERO).now()
}

/// What came next.
#[derive(Debug, PartialEq)]
pub enum Next {
    /// The head of a call's reply came, and told this of the account's quotas.
    Told(AttemptId, Told),
    /// A call came back.
    Returned(AttemptId, Returned),
    /// The time that was waited for has come.
    Woke,
    /// The user asked to stop.
    Signal(Signal),
}

/// Who performs calls, and whose clock counts. Dropping it gives up every call in flight.
pub trait Executor: Send {
    /// The time now; never runs backwards.
    fn now(&self) -> Time;

    /// Starts a call; it comes back through [`Executor::next`] or [`Executor::ready`], once.
    fn start(&mut self, call: Call);

    /// The hash of all that decides the answer to a call: where it goes, the model, its parameters and its texts.
    /// Two calls that have the same ask the same. None where nothing is known of that.
    fn request_of(&self, _call: &Call) -> Option<Hash> {
        None
    }

    /// Gives a call up: its connection is closed and it never comes back. Nothing where it is not
    /// in flight.
    fn abandon(&mut self, attempt: AttemptId);

    /// Gives up every call in flight.
    fn abandon_all(&mut self);

    /// Waits for what comes next, at most until `wake_at`. Cancel-safe: what is dropped while it
    /// waits has lost nothing.
    fn next(&mut self, wake_at: Option<Time>) -> impl Future<Output = Next> + Send;

    /// Brings the clock up to date where [`Executor::next`] was dropped while it waited; a clock that
    /// goes by itself has nothing to do.
    fn catch_up(&mut self) {}

    /// What has come already, without waiting; drained before each append, so that one sync makes
    /// many records durable.
    fn ready(&mut self) -> Option<Next>;
}
