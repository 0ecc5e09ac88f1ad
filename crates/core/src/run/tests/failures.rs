//! What runs after a failure, what is skipped for it, and when it ends the run.

use super::named::Table;
use crate::failure::{Class, Failure};
use crate::plan::{Edge, Task, TaskId, When};
use crate::run::event::Outcome;
use crate::run::input::{Billing, Input, Resume, Settings};
use crate::run::{Phase, TooManyFailures};
use crate::testing::{settings, task};

fn fail(table: &mut Table, task: u32) {
    table.reply(task, Err(Failure::new(Class::Refused, "no")), Billing::Nothing);
}

/// The phases of all tasks, by their first letters.
fn phases(table: &Table) -> String {
    let letter = |id| match table.run.task(id).phase {
        Phase::Blocked => 'b',
        Phase::Ready | Phase::Delayed(_) => 'r',
        Phase::Running => 'R',
        Phase::Succeeded { .. } => 'S',
        Phase::Failed => 'F',
        Phase::Skipped | Phase::Removed => '-',
    };
    table.run.plan().ids().map(letter).collect()
}

fn behind(name: &str, edges: &[(u32, When)]) -> Task {
    let edges = edges.iter().map(|&(task, when)| Edge { task: TaskId(task), when });
    Task { depends_on: edges.collect(), ..task(name, &[], 1) }
}

#[test]
fn a_condition_says_which_ends_of_a_dependency_a_task_runs_after() {
    use When::{Any, Finished, Succeeded};
    // The first task fails; the second is skipped for it.
    let cases: [(&[(u32, When)], char); 8] = [
        (&[(0, Succeeded)], '-'),
        (&[(0, Finished)], 'R'),
        (&[(0, Any)], 'R'),
        (&[(1, Succeeded)], '-'),
        (&[(1, Finished)], '-'),
        (&[(1, Any)], 'R'),
        (&[(0, Finished), (1, Any)], 'R'),
        (&[(0, Finished), (1, Finished)], '-'),
    ];
    for (edges, expect) in cases {
        let tasks = vec![task("fails", &[], 1), task("skipped", &[0], 1), behind("asks", edges)];
        let mut table = Table::new(settings(), tasks);
        fail(&mut table, 0);
        assert_eq!(phases(&table), format!("F-{expect}"), "{edges:?}");
    }
}

#[test]
fn a_task_that_runs_after_a_failure_waits_for_all_else() {
    let tasks =
        vec![task("a", &[], 1), task("b", &[], 1), behind("c", &[(0, When::Finished), (1, When::Finished)])];
    let mut table = Table::new(settings(), tasks);
    fail(&mut table, 0);
    assert_eq!(phases(&table), "FRb");
    table.succeed(1, 1);
    assert_eq!(phases(&table), "FSR");
    table.succeed(2, 1);
    assert_eq!(table.finished(), Some(&Outcome::Completed));
}

#[test]
fn a_task_whose_failure_stops_the_run_lets_what_is_in_flight_finish() {
    let two = Settings { max_concurrent: 2, ..settings() };
    let stops = Task { stops_run: true, ..task("stops", &[], 1) };
    let mut table = Table::new(two, vec![stops, task("b", &[], 1), task("c", &[], 1), task("d", &[0], 1)]);
    fail(&mut table, 0);
    assert_eq!((phases(&table).as_str(), table.finished()), ("FRr-", None));
    table.succeed(1, 1);
    let because = TooManyFailures::Task(TaskId(0));
    assert_eq!(
        (phases(&table).as_str(), table.finished()),
        ("FSr-", Some(&Outcome::TooManyFailures { because }))
    );
    // Whoever resumes it means to go on.
    table.tell(Input::Resumed(Resume::default()));
    assert_eq!(phases(&table), "FSR-");
}

#[test]
fn as_many_failures_as_are_allowed_end_the_run_and_a_resume_counts_anew() {
    let one = Settings { max_concurrent: 1, max_failures: Some(2), ..settings() };
    let mut table = Table::new(one, (0..6).map(|n| task(&format!("t{n}"), &[], 1)).collect());
    fail(&mut table, 0);
    table.succeed(1, 1);
    fail(&mut table, 2);
    let ended = Outcome::TooManyFailures { because: TooManyFailures::Limit(2) };
    assert_eq!((phases(&table).as_str(), table.finished()), ("FSFrrr", Some(&ended)));
    table.tell(Input::Resumed(Resume::default()));
    fail(&mut table, 3);
    assert_eq!(phases(&table), "FSFFRr");
    fail(&mut table, 4);
    assert_eq!(table.finished(), Some(&ended));
}

#[test]
fn a_run_whose_last_task_fails_too_often_is_complete() {
    let mut table = Table::new(Settings { max_failures: Some(1), ..settings() }, vec![task("a", &[], 1)]);
    fail(&mut table, 0);
    assert_eq!(table.finished(), Some(&Outcome::Completed));
}

#[test]
fn a_task_that_waits_for_its_retry_takes_the_answer_that_its_twin_has_by_now() {
    let twin = Task { same_as: Some(TaskId(0)), ..behind("twin", &[(0, When::Any)]) };
    let mut table = Table::new(settings(), vec![task("asked", &[], 1), twin]);
    fail(&mut table, 0);
    table.fail(1, Failure::new(Class::Overloaded, "busy"));
    assert_eq!(phases(&table), "Fr", "it was asked itself");
    table.tell(Input::Resumed(Resume { retry_failed: true, ..Resume::default() }));
    assert_eq!(phases(&table), "Rb");
    table.succeed(0, 1);
    assert_eq!((phases(&table).as_str(), table.finished()), ("SS", Some(&Outcome::Completed)));
}
