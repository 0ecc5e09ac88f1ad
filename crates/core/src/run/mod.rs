//! A run: one execution of a plan, as a pure state machine.
//!
//! It is told what happened ([`input::Input`]) and answers with what to remember
//! ([`event::Event`]s) and what to do ([`input::Action`]s). [`Run::step`] decides; [`Run::apply`]
//! is the only function that changes state, live and in a replay alike, so a resume is a replay.
//!
//! | file | for |
//! | --- | --- |
//! | `event` | what is remembered; the journal's format |
//! | `input` | what it is told and answers |
//! | `control` | what a user changes while it is under way |
//! | `state` | the state and `apply` |
//! | `task` | what records do to tasks, as a part of `apply` |
//! | `ready` | the index of tasks that may start |
//! | `reopen` | tasks that are done again, and where they stand then |
//! | `revise` | a plan that was changed since the run began |
//! | `step` | what to do about an input |
//! | `schedule` | which task starts next, and why none does |
//! | `failures` | when failed tasks end the run |
//! | `recall` | answers that need no call |
//! | `recover` | answers of lost attempts, as their providers kept them |
//! | `retry` | whether and when a failed attempt is tried again |
//! | `health` | what is known of the providers' health, of `breaker`, `alike` and `quota` |
//! | `pass` | which task is next, by the queue and by the providers' health |
//! | `route` | whom a task goes to: its own agent or a fallback |
//! | `money` | reservations and charges |
//! | `gates` | the limits' state after a restart |
//!
//! What it does not do: it holds no prompts and no outputs, knows no clock, and never scans all
//! tasks in a step.
//!
//! # Common pitfalls
//! - A field changed outside `apply` is forgotten by a resume. The random plans of `tests` compare
//!   the live state with the replayed one after every step.
//! - An action without a record before it is repeated or lost by a crash.

mod alike;
mod breaker;
pub mod control;
pub mod event;
mod failures;
mod gates;
mod health;
pub mod input;
mod money;
mod pass;
mod quota;
mod ready;
mod recall;
mod recover;
mod reopen;
mod retry;
pub mod revise;
mod route;
mod schedule;
mod state;
mod step;
mod task;
mod waits;

#[cfg(test)]
mod faults;
#[cfg(test)]
mod tests;

/// Whether the named deliberate fault is planted. Only test builds can plant one; elsewhere this
/// is `false` at compile time.
#[cfg(test)]
macro_rules! planted {
    ($fault:ident) => {
        $crate::run::faults::is($crate::run::faults::Fault::$fault)
    };
}
#[cfg(not(test))]
macro_rules! planted {
    ($fault:ident) => {
        false
    };
}
use planted;

pub use failures::TooManyFailures;
pub(crate) use money::OVERHEAD_TOKENS;
pub use state::{IllegalRecord, Run};
pub use task::{Phase, TaskState};
