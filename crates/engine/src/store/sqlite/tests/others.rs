//! Others who use the same journal at the same time.

use std::fs;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use super::Directory;
use crate::store::contract::{Place, header, output, records};
use crate::store::{Store, StoreError};

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_second_store_of_a_process_leaves_the_locks_of_the_first() {
    use std::os::unix::fs::MetadataExt;
    let place = Directory::with_a_run().await;
    let inode = fs::metadata(place.db()).unwrap().ino();
    // Whoever sees none thinks to be the last, and takes the write-ahead log away.
    let is_locked = || {
        let all = fs::read_to_string("/proc/locks").unwrap();
        all.lines().any(|line| {
            let mut words = line.split_whitespace();
            words.nth(1) == Some("POSIX") && line.contains(&format!(":{inode} "))
        })
    };
    assert!(!is_locked());
    let first = place.store();
    assert!(is_locked());
    let second = place.store();
    assert!(is_locked(), "the second store took the lock of the first away");
    drop(second);
    assert!(is_locked());
    drop(first);
}

/// A connection of somebody else, which is never waited for.
fn other(place: &Directory) -> Connection {
    let other = Connection::open(place.db()).unwrap();
    other.busy_timeout(Duration::ZERO).unwrap();
    other
}

#[tokio::test]
async fn whoever_wants_to_write_waits_for_as_long_as_somebody_else_writes() {
    let place = Directory::with_a_run().await;
    let mut store = place.store();
    store.open("r").await.unwrap();
    let impatient = |journal: &mut super::super::Journal| {
        journal.db.busy_timeout(Duration::from_millis(1)).map_err(StoreError::io("be impatient"))
    };
    store.ask(impatient).await.unwrap();
    let writes = other(&place);
    let writing = Transaction::new_unchecked(&writes, TransactionBehavior::Immediate).unwrap();
    let third = other(&place);
    let append = async { store.append("r", 4, &records(5..=5), &[]).await };
    let let_go = async {
        // Many times as long as it would take to give up.
        third.busy_timeout(Duration::from_millis(100)).unwrap();
        let refused = Transaction::new_unchecked(&third, TransactionBehavior::Immediate).unwrap_err();
        assert_eq!(refused.sqlite_error_code(), Some(ErrorCode::DatabaseBusy));
        drop(writing);
    };
    let (appended, ()) = tokio::join!(append, let_go);
    appended.unwrap();
    assert_eq!(store.read("r").await.unwrap().1, records(1..=5));
}

#[tokio::test]
async fn nobody_is_kept_from_writing_while_a_run_is_read() {
    let place = Directory::with_a_run().await;
    let writes = other(&place);
    let epoch = || writes.query_row("SELECT epoch FROM runs", [], |row| row.get::<_, i64>(0)).unwrap();
    let store = place.store();
    let writing = Transaction::new_unchecked(&writes, TransactionBehavior::Immediate).unwrap();
    assert_eq!(store.read("r").await.unwrap().1, records(1..=4));
    drop((writing, store));
    // It is taken over by a transaction that has ended before it is read: what is read does not undo it.
    writes.execute("UPDATE records SET at = at + 1 WHERE seq = 3", []).unwrap();
    let before = epoch();
    assert!(matches!(place.store().open("r").await, Err(StoreError::Damaged { .. })));
    assert_eq!(epoch(), before + 1);
}

#[tokio::test]
async fn a_damaged_output_is_made_whole_by_whoever_is_answered_with_its_text() {
    let place = Directory::with_a_run().await;
    let mut store = place.store();
    store.create(&header("s", 1)).await.unwrap();
    let db = other(&place);
    db.execute("UPDATE outputs SET text = 'another'", []).unwrap();
    let (hash, text) = output("an answer");
    assert!(matches!(store.output(&hash).await, Err(StoreError::DamagedOutput(_))));
    store.append("s", 0, &records(1..=1), &[(hash, text.clone())]).await.unwrap();
    assert_eq!(store.output(&hash).await.unwrap(), text);
}

#[tokio::test]
async fn an_answer_whose_record_is_not_as_it_was_written_is_not_taken() {
    use sortie_core::hash::Hash;
    use sortie_core::run::event::{Answer, AttemptId, Event, Finish, Record, Spent, Timing};
    let place = Directory::default();
    let mut store = place.store();
    let request = Hash::of(b"asked");
    let (hash, text) = output("said");
    let answer = |model: &str| Answer {
        output: hash,
        bytes: 4,
        finish: Finish::Stop,
        model: model.into(),
        request: Some(request),
    };
    for (run, at, model) in [("a", 10, "older"), ("b", 20, "newer")] {
        store.create(&header(run, 1)).await.unwrap();
        let event = Event::AttemptSucceeded {
            attempt: AttemptId::new(sortie_core::plan::TaskId(0), 1),
            answer: answer(model),
            spent: Spent::default(),
            timing: Timing::default(),
        };
        let record = Record { seq: 1, at: sortie_core::time::Time::from_micros(at), event };
        store.append(run, 0, &[record], &[(hash, text.clone())]).await.unwrap();
    }
    let found = async || store.answered(&request).await.unwrap();
    assert_eq!(found().await, Some(("b".to_owned(), answer("newer"))));
    let damage = "UPDATE records SET event = json_set(event, '$.answer.bytes', 1) WHERE run_id = ?1";
    other(&place).execute(damage, ["b"]).unwrap();
    assert_eq!(found().await, Some(("a".to_owned(), answer("older"))));
    other(&place).execute(damage, ["a"]).unwrap();
    assert_eq!(found().await, None);
}
