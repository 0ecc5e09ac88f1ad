//! Answers that need no call, and answers that are gone.

use std::time::Duration;

use super::named::{Table, dollars};
use crate::failure::{Class, Failure};
use crate::hash::Hash;
use crate::plan::{Task, TaskId};
use crate::run::event::{Answer, Event, Finish, Outcome};
use crate::run::input::{Action, Input, Recalled, Resume, Settings};
use crate::testing::{settings, task};

fn table(tasks: Vec<Task>) -> Table {
    Table::new(Settings { cache: true, ..settings() }, tasks)
}

/// The tasks that the last step asks for.
fn asked(table: &Table) -> Vec<u32> {
    let ids = table.last.actions.iter().filter_map(|action| match action {
        Action::Recall(ids) => Some(ids.iter().map(|id| id.0)),
        _ => None,
    });
    ids.flatten().collect()
}

/// Tells what is known of the tasks of one question.
fn told(table: &mut Table, ids: &[u32]) {
    let known = |id: &u32| {
        let answer = Answer {
            output: Hash::of(b"known"),
            bytes: 5,
            finish: Finish::Stop,
            model: "m".into(),
            request: None,
        };
        (TaskId(*id), Recalled { answer, run: "earlier".into() })
    };
    let known = ids.iter().map(known).collect();
    table.tell(Input::Recalled(known));
}

#[test]
fn nothing_starts_until_all_that_is_asked_for_is_told() {
    let tasks = vec![task("a", &[], 1), task("b", &[], 1), task("c", &[0], 1), task("d", &[1], 1)];
    let mut table = table(tasks);
    assert_eq!(asked(&table), [0, 1]);
    told(&mut table, &[]);
    assert_eq!(table.started(), ["a", "b"]);
    // Two steps of one round, before either question is answered.
    table.succeed(0, 1);
    assert_eq!((asked(&table), table.started()), (vec![2], vec![]));
    table.succeed(1, 1);
    assert_eq!((asked(&table), table.started()), (vec![3], vec![]));
    told(&mut table, &[]);
    assert!(table.started().is_empty(), "what is known of d is not told yet");
    told(&mut table, &[3]);
    assert_eq!(table.started(), ["c"]);
}

#[test]
fn a_task_that_had_an_attempt_is_looked_up_again() {
    let mut lost = table(vec![task("a", &[], 10)]);
    told(&mut lost, &[]);
    lost.tell(Input::Resumed(Resume::default()));
    assert_eq!((asked(&lost), lost.started()), (vec![0], vec![]));
    told(&mut lost, &[0]);
    assert_eq!(lost.finished(), Some(&Outcome::Completed));

    let mut retried = table(vec![task("a", &[], 10)]);
    told(&mut retried, &[]);
    retried.fail(0, Failure::new(Class::Transient, "oops"));
    let until = retried.last.wake_at.unwrap();
    let seconds = until.since(retried.now) + Duration::from_millis(1);
    retried.at(seconds.as_secs_f64()).tell(Input::Woke);
    assert_eq!((asked(&retried), retried.started()), (vec![0], vec![]));
    told(&mut retried, &[0]);
    assert_eq!(retried.finished(), Some(&Outcome::Completed));
}

#[test]
fn a_task_whose_answer_is_gone_is_done_again_and_what_was_made_of_it_is_kept() {
    let tasks = vec![task("a", &[], 1), task("b", &[0], 1), task("c", &[0], 1)];
    let mut table = Table::new(settings(), tasks);
    table.succeed(0, 1);
    table.succeed(1, 1);
    let gone = vec![TaskId(0), TaskId(2)];
    table.tell(Input::Resumed(Resume { gone, ..Resume::default() }));
    let reopened: Vec<&Event> = table.last.records.iter().map(|record| &record.event).collect();
    assert!(reopened.contains(&&Event::Reopened { tasks: vec![TaskId(0)] }), "{reopened:?}");
    assert_eq!(table.started(), ["a"], "c waits for it again, b is kept");
    table.succeed(0, 1);
    assert_eq!(table.started(), ["c"]);
    table.succeed(2, 1);
    assert_eq!(table.finished(), Some(&Outcome::Completed));
    // Paid: a twice, b, c, and what was lost of c.
    assert_eq!(table.run.charged().actual, dollars(4));
}
