//! The written form of every event is the journal's format: what stands in the fixture is read, and written again
//! as it stands there, by every later version.
//!
//! # Adding an event, or a field of one
//! Add a line that has it; change none. What has to change a line is a new version of the format.

use std::collections::BTreeSet;

use sortie_core::run::event::Event;

const WRITTEN: &str = include_str!("fixtures/events-1.jsonl");

/// How many kinds of events [`kind`] knows.
const KINDS: usize = 20;

/// A number for each kind; who adds an event adds it here, and a line to the fixture.
const fn kind(event: &Event) -> usize {
    match event {
        Event::RunStarted => 0,
        Event::RunResumed => 1,
        Event::ForecastMade { .. } => 2,
        Event::AttemptStarted { .. } => 3,
        Event::AttemptSucceeded { .. } => 4,
        Event::AttemptFailed { .. } => 5,
        Event::AttemptLost { .. } => 6,
        Event::TaskRecalled { .. } => 7,
        Event::TaskShared { .. } => 8,
        Event::TaskFailed { .. } => 9,
        Event::TaskSkipped { .. } => 10,
        Event::Reopened { .. } => 11,
        Event::PlanChanged { .. } => 12,
        Event::BudgetWarned { .. } | Event::BudgetReached { .. } => 13,
        Event::BudgetSet { .. } => 14,
        Event::Waited { .. } => 15,
        Event::Controlled { .. } => 16,
        Event::CancelRequested { .. } => 17,
        Event::RunEnded { .. } => 18,
        Event::AttemptRecovered { .. } => 19,
    }
}

#[test]
fn every_event_is_read_and_written_as_it_always_was() {
    let mut kinds = BTreeSet::new();
    for line in WRITTEN.lines() {
        let event: Event = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(serde_json::to_string(&event).unwrap(), line);
        kinds.insert(kind(&event));
    }
    assert_eq!(kinds, (0..KINDS).collect(), "each kind of event has a line");
}
