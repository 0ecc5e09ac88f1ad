//! What a user changes while a run is under way, each told in a sentence.

use std::time::Duration;

use super::named::Table;
use crate::limit::{GateId, GateSpec, Gates};
use crate::run::Run;
use crate::run::control::{Control, PAUSED};
use crate::run::event::{Event, Outcome, Record, Signal};
use crate::run::input::{Input, Resume, Settings, Waiting};
use crate::testing::{settings, task};

fn rpm(per_minute: u32) -> Control {
    Control::RequestsPerMinute { gate: None, per_minute }
}

/// A run of so many tasks that depend on nothing.
fn table(settings: Settings, tasks: u32) -> Table {
    Table::new(settings, (0..tasks).map(|i| task(&format!("t{i}"), &[], 10)).collect())
}

#[test]
fn a_paused_run_starts_nothing_and_waits_for_ever() {
    let mut table = table(Settings { max_concurrent: 1, ..settings() }, 2);
    table.at(1.0).tell(Input::Controlled(Control::Pause));
    let waiting = Waiting { reason: PAUSED.to_owned(), until: None, tasks: 1 };
    assert_eq!((&table.last.waiting, table.last.wake_at), (&vec![waiting], None));
    table.at(2.0).succeed(0, 1);
    table.at(100_000.0).tell(Input::Woke);
    assert_eq!((table.started().len(), table.finished(), table.last.wake_at), (0, None, None));
    assert!(table.run.is_paused());
    table.tell(Input::Controlled(Control::Resume));
    assert_eq!(table.started(), ["t1"]);
    assert!(table.last.waiting.is_empty());
    // 600 s from the start, of which one had passed.
    assert_eq!(table.last.wake_at.unwrap().since(table.now), Duration::from_secs(599));
    table.at(100_599.0).tell(Input::Woke);
    assert!(matches!(table.finished(), Some(Outcome::TimedOut { .. })), "{:?}", table.last);
}

#[test]
fn a_pause_within_a_pause_is_one_and_its_end_is_the_end() {
    let mut table = table(settings(), 1);
    table.tell(Input::Controlled(Control::Resume));
    for second in [10.0, 20.0] {
        table.at(second).tell(Input::Controlled(Control::Pause));
    }
    let is_control = |record: &&Record| matches!(record.event, Event::Controlled { .. });
    assert_eq!(table.journal.iter().filter(is_control).count(), 1, "the second is no fact");
    table.at(50.0).tell(Input::Controlled(Control::Resume));
    assert_eq!(table.last.wake_at.unwrap().since(table.now), Duration::from_secs(590));
}

#[test]
fn an_answer_in_a_pause_begins_the_count_anew_and_the_pause_does_not_count_twice() {
    let mut table = table(Settings { max_concurrent: 1, timeout_restarts: true, ..settings() }, 2);
    table.at(10.0).tell(Input::Controlled(Control::Pause));
    table.at(30.0).succeed(0, 1);
    table.at(100.0).tell(Input::Controlled(Control::Resume));
    assert_eq!(table.last.wake_at.unwrap().since(table.now), Duration::from_secs(600));
}

#[test]
fn a_paused_run_ends_on_a_signal_and_a_resume_lifts_the_pause() {
    let mut table = table(Settings { max_concurrent: 1, ..settings() }, 2);
    table.tell(Input::Controlled(Control::Pause));
    table.succeed(0, 1);
    table.tell(Input::Cancelled(Signal::Interrupt));
    assert_eq!(table.finished(), Some(&Outcome::Interrupted { signal: Signal::Interrupt }));
    table.tell(Input::Resumed(Resume::default()));
    assert_eq!(table.started(), ["t1"]);
}

#[test]
fn fewer_at_a_time_give_nothing_up_and_more_start_at_once() {
    let mut table = table(Settings { max_concurrent: 3, ..settings() }, 9);
    assert_eq!(table.started().len(), 3);
    table.tell(Input::Controlled(Control::Concurrency(1)));
    assert_eq!(table.last.actions, []);
    assert_eq!(table.last.waiting[0].reason, "max_concurrent");
    for task in [0, 1] {
        table.succeed(task, 1);
        assert_eq!(table.started(), [""; 0]);
    }
    table.succeed(2, 1);
    assert_eq!(table.started(), ["t3"]);
    table.tell(Input::Controlled(Control::Concurrency(5)));
    assert_eq!(table.started(), ["t4", "t5", "t6", "t7"]);
}

#[test]
fn a_rate_changes_from_now_on_and_for_the_gate_that_is_named() {
    let gate = |per_minute| GateSpec {
        name: "a/m".into(),
        account: "a".into(),
        requests_per_minute: per_minute,
        requests_burst: 1,
        ..GateSpec::default()
    };
    let mut table = table(Settings { gates: vec![gate(Some(6)), gate(None)], ..settings() }, 9);
    assert_eq!(table.started(), ["t0"]);
    let next = |table: &Table| table.last.wake_at.unwrap().since(table.now).as_millis();
    assert_eq!(next(&table), 10_000);
    // Half of the next one is there already; the other half comes ten times as fast.
    table.at(5.0).tell(Input::Controlled(rpm(60)));
    assert_eq!(next(&table), 500);
    let other = Control::RequestsPerMinute { gate: Some(GateId(1)), per_minute: 1 };
    table.tell(Input::Controlled(other));
    assert_eq!(next(&table), 500);
    // A second's worth may start together after a while.
    table.at(5.5).tell(Input::Controlled(rpm(180)));
    table.at(60.0).tell(Input::Woke);
    assert_eq!(table.started(), ["t2", "t3", "t4"]);
}

#[test]
fn a_gate_without_a_rate_gets_one() {
    let mut table = table(Settings { max_concurrent: 1, ..settings() }, 4);
    table.tell(Input::Controlled(rpm(6)));
    for seconds in [0.0, 10.0] {
        table.at(seconds).tell(Input::Controlled(Control::Concurrency(4)));
        assert_eq!(table.started().len(), 1, "{seconds} s");
        assert_eq!(table.last.wake_at.unwrap().since(table.now).as_millis(), 10_000);
    }
}

#[test]
fn a_resume_goes_on_with_the_last_limits() {
    let mut table = table(Settings { max_concurrent: 1, ..settings() }, 9);
    table.tell(Input::Controlled(Control::Concurrency(4)));
    table.tell(Input::Controlled(rpm(6)));
    let journal = &table.journal;
    let mut gates = Gates::new(table.run.settings());
    gates.rebuild(table.run.plan(), table.run.settings(), journal);
    let mut run = Run::replay(table.run.plan().clone(), table.run.settings().clone(), journal).unwrap();
    let step = run.step(Input::Resumed(Resume::default()), table.now, &mut gates);
    // One start in ten seconds; the burst was full when the limit came.
    assert_eq!(step.actions.len(), 1);
    assert_eq!(step.waiting[0].reason, "requests/min of a/m");
    let mut settings = (**table.run.settings()).clone();
    for control in [Control::Concurrency(4), rpm(120)] {
        control.change(&mut settings);
    }
    let gate = &settings.gates[0];
    assert_eq!((settings.max_concurrent, gate.requests_per_minute, gate.requests_burst), (4, Some(120), 2));
}
