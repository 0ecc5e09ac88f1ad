//! Stories in which answers were lost, and one was found again.

use sortie_core::run::event::{Event, Outcome};

use super::{Story, ended, lost, pipeline_until_impls, started, succeeded, usd};

/// The process dies at 7 s with `impl_b` in flight, and a second one goes on an hour later.
pub(crate) fn resumed() -> Story {
    pipeline_until_impls()
        .at(7.0, started(2, 1))
        .at(3600.0, Event::RunResumed)
        .at(3600.0, lost(3, 1))
        .at(3600.0, lost(2, 1))
        .at(3600.0, started(3, 2))
        .at(3601.0, started(2, 2))
        .at(3604.0, succeeded(3, 2, 4.0))
        .at(3604.5, succeeded(2, 2, 3.5))
        .at(3604.5, started(4, 1))
        .at(3607.0, succeeded(4, 1, 2.5))
        .at(3607.0, ended(Outcome::Completed))
}

/// The answer of an attempt that was lost, found again: $0.0046 in place of $0.06 at risk.
fn found(task: u32, number: u32) -> Event {
    let Event::AttemptSucceeded { attempt, answer, spent, .. } = succeeded(task, number, 0.0) else {
        unreachable!()
    };
    let model = answer.model.clone();
    Event::AttemptRecovered { attempt, answer: Some(answer), wrong: None, at_risk: usd("0.06"), spent, model }
}

/// The same as [`resumed`], and one of the answers that were lost is found.
pub(crate) fn recovered() -> Story {
    pipeline_until_impls()
        .at(7.0, started(2, 1))
        .at(3600.0, Event::RunResumed)
        .at(3600.0, lost(3, 1))
        .at(3600.0, lost(2, 1))
        .at(3600.0, found(3, 1))
        .at(3601.0, started(2, 2))
        .at(3604.5, succeeded(2, 2, 3.5))
        .at(3604.5, started(4, 1))
        .at(3607.0, succeeded(4, 1, 2.5))
        .at(3607.0, ended(Outcome::Completed))
}
