//! Lost attempts whose answers their providers had kept.

use super::named::{Table, dollars};
use crate::hash::Hash;
use crate::plan::TaskId;
use crate::run::event::{Answer, AttemptId, Event, Finish, Outcome};
use crate::run::input::{Found, Input, Resume, Settings};
use crate::run::{Phase, Run};
use crate::testing::{settings, task};
use crate::usage::{Charge, Usage};

fn found(task: u32, number: u32, output: u64) -> Found {
    let answer = Answer {
        output: Hash::of(b"kept"),
        bytes: 4,
        finish: Finish::Stop,
        model: "m".into(),
        request: None,
    };
    let usage = Usage { output, ..Usage::default() };
    Found {
        attempt: AttemptId::new(TaskId(task), number),
        answer: Some(answer),
        wrong: None,
        usage,
        model: "m".into(),
    }
}

fn resumed(table: &mut Table, found: Vec<Found>) {
    table.tell(Input::Resumed(Resume { found, ..Resume::default() }));
}

/// The names of the records of the last step.
fn said(table: &Table) -> Vec<String> {
    let name = |event: &Event| serde_json::to_value(event).unwrap()["event"].as_str().unwrap().to_owned();
    table.last.records.iter().map(|record| name(&record.event)).collect()
}

#[test]
fn a_lost_answer_that_was_kept_is_not_bought_again_and_costs_what_it_cost() {
    let budget = Settings { budget: Some(dollars(13)), ..settings() };
    let mut table = Table::new(budget, vec![task("a", &[], 10), task("b", &[0], 5)]);
    assert_eq!(table.run.recoverable(), [AttemptId::new(TaskId(0), 1)]);
    resumed(&mut table, vec![found(0, 1, 3)]);
    // At risk, $10 of the $13 would have left no room for the $5 of what follows.
    assert_eq!(said(&table), ["run_resumed", "attempt_lost", "attempt_recovered", "attempt_started"]);
    assert_eq!(table.started(), ["b"]);
    let charge = Charge { actual: dollars(3), ..Charge::default() };
    assert_eq!((table.run.charged(), table.run.task(TaskId(0)).charged), (charge, charge));
    assert_eq!(table.run.output(TaskId(0)), Some(Hash::of(b"kept")));
    assert_eq!(table.run.recoverable(), [AttemptId::new(TaskId(1), 1)]);
    let replayed =
        Run::replay(table.run.plan().clone(), table.run.settings().clone(), &table.journal).unwrap();
    assert_eq!(replayed.state, table.run.state);
}

#[test]
fn what_is_found_late_puts_only_the_money_right() {
    let mut table = Table::new(settings(), vec![task("a", &[], 10)]);
    resumed(&mut table, Vec::new());
    assert_eq!((table.started(), table.run.charged().at_risk), (vec!["a"], dollars(10)));
    table.succeed(0, 2);
    assert_eq!(table.finished(), Some(&Outcome::Completed));
    let before = table.run.output(TaskId(0));
    resumed(&mut table, vec![found(0, 1, 3)]);
    assert_eq!(said(&table), ["run_resumed", "attempt_recovered", "run_ended"]);
    assert_eq!(table.run.charged(), Charge { actual: dollars(5), ..Charge::default() });
    assert_eq!((table.run.output(TaskId(0)), table.run.recoverable()), (before, Vec::new()));
}

#[test]
fn what_was_found_and_is_no_answer_is_paid_and_asked_again() {
    let mut table = Table::new(settings(), vec![task("a", &[], 10)]);
    resumed(&mut table, vec![Found { answer: None, ..found(0, 1, 3) }]);
    assert_eq!(table.started(), ["a"]);
    assert_eq!(table.run.task(TaskId(0)).phase, Phase::Running);
    assert_eq!(table.run.charged(), Charge { actual: dollars(3), ..Charge::default() });
}

#[test]
fn what_was_never_lost_is_not_found() {
    let mut table = Table::new(settings(), vec![task("a", &[], 10)]);
    table.succeed(0, 2);
    resumed(&mut table, vec![found(0, 1, 3), found(0, 2, 3)]);
    assert_eq!(table.run.charged(), Charge { actual: dollars(2), ..Charge::default() });
    assert!(!said(&table).contains(&"attempt_recovered".to_owned()));
}

#[test]
fn what_was_found_and_is_not_what_it_has_to_be_is_corrected() {
    let mut table = Table::new(settings(), vec![task("a", &[], 10)]);
    let wrong = Some("it has no title".into());
    resumed(&mut table, vec![Found { answer: None, wrong, ..found(0, 1, 3) }]);
    assert_eq!(table.started(), ["a"]);
    assert_eq!(table.run.task(TaskId(0)).wrong.as_deref(), Some("it has no title"));
    let replayed =
        Run::replay(table.run.plan().clone(), table.run.settings().clone(), &table.journal).unwrap();
    assert_eq!(replayed.state, table.run.state);
}
