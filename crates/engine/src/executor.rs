//! Who performs calls, and whose clock counts.
//!
//! The driver talks to one [`Executor`]: it starts calls and waits for whatever comes next. The
//! local one runs them as tokio tasks on the real clock; the simulated one computes each answer
//! at once and jumps its clock from one to the next.

use sortie_core::call::{Call, Returned};
use sortie_core::run::event::{AttemptId, Signal};
use sortie_core::time::Time;

/// What came next.
#[derive(Debug)]
pub enum Next {
    /// A call came back.
    Returned(AttemptId, Returned),
    /// The time that was waited for has come.
    Woke,
    /// The user asked to stop.
    Signal(Signal),
}

/// Who performs calls, and whose clock counts.
pub trait Executor {
    /// The time now; never runs backwards.
    fn now(&self) -> Time;

    /// Starts a call; it comes back through [`Executor::next`].
    fn start(&mut self, call: Call);

    /// Gives a call up: its connection is closed and it never comes back.
    fn abandon(&mut self, attempt: AttemptId);

    /// Waits for what comes next, at most until `wake_at`. Cancel-safe.
    fn next(&mut self, wake_at: Option<Time>) -> impl Future<Output = Next>;

    /// What has come already, without waiting; drained before each append, so that one sync makes
    /// many records durable.
    fn ready(&mut self) -> Option<Next>;
}
