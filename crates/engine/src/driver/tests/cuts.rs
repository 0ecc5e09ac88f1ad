//! Journals that end anywhere, and stores that fail anywhere: every one resumes to the same results.

use std::collections::HashSet;

use sortie_core::plan::TaskId;
use sortie_core::run::Run;
use sortie_core::run::event::{Event, Outcome, Record};
use sortie_core::time::Time;
use tempfile::TempDir;

use super::world::{
    CHAIN, DIAMOND, Fault, Seen, Witness, Witnessed, Written, drive, header, prompts_of, results, run,
};
use crate::driver::{DriveError, Ended, create, resume};
use crate::executor::signals::Signals;
use crate::store::memory::MemoryStore;
use crate::store::sqlite::{Durability, SqliteStore};
use crate::store::{Output, Store};

/// Keeps a journal that ends after these records, with the outputs that they name, in a store.
async fn keep<S: Store>(store: &mut S, written: Written<'_>, records: &[Record], outputs: &[Output]) {
    store.create(&header(written)).await.unwrap();
    let named = |(hash, _): &&Output| {
        records.iter().any(
            |record| matches!(&record.event, Event::AttemptSucceeded { answer, .. } if answer.output == *hash),
        )
    };
    let outputs: Vec<Output> = outputs.iter().filter(named).cloned().collect();
    store.append("r", 0, records, &outputs).await.unwrap();
    store.release("r").await;
}

/// The tasks that need no more attempts after these records.
fn ended(written: Written<'_>, records: &[Record]) -> HashSet<TaskId> {
    let header = header(written);
    let run = Run::replay(header.plan.clone(), header.settings, records).unwrap();
    header.plan.ids().filter(|&id| run.task(id).has_ended()).collect()
}

/// Resumes the journal in this store and gives what the resume added.
async fn check_resume<S: Store + Sync>(
    store: S,
    written: Written<'_>,
    expected: &[String],
    cut: &str,
) -> (Vec<Record>, S) {
    let before = store.read("r").await.unwrap().1;
    let mut store = Witnessed::new(store, &Witness::default());
    let opened = resume(&mut store, "r").await.unwrap();
    assert_eq!(opened.records(), before);
    let outcome = drive(opened, written, &mut store, Signals::none()).await;
    assert_eq!(outcome.unwrap(), Ended::Finished(Outcome::Completed), "{cut}");
    assert_eq!(results(&store).await, expected, "{cut}");
    let settled = ended(written, &before);
    for attempt in store.witness.started() {
        assert!(!settled.contains(&attempt.task), "{cut}: {attempt:?} was paid for again");
    }
    assert_eq!(store.witness.prompts(), prompts_of(&store.witness, written, expected), "{cut}");
    let after = store.read("r").await.unwrap().1;
    assert_eq!(after[..before.len()], before, "{cut}: what was remembered has changed");
    assert_eq!(after[0].event, Event::RunStarted, "{cut}");
    assert!(!store.list().await.unwrap()[0].owned, "{cut}: the run was not released");
    (after, store.inner)
}

/// What the witness of a finished run saw become durable.
async fn uncut(written: Written<'_>) -> (Vec<Record>, Vec<Output>, Vec<String>) {
    let (ended, store) = run(written).await;
    assert_eq!(ended, Ended::Finished(Outcome::Completed));
    let (mut records, mut outputs) = (Vec::new(), Vec::new());
    for seen in store.witness.saw() {
        if let Seen::Appended(appended, kept) = seen {
            records.extend(appended);
            outputs.extend(kept);
        }
    }
    (records, outputs, results(&store).await)
}

#[tokio::test]
async fn a_journal_cut_after_any_record_resumes_to_the_same_results() {
    for written in [DIAMOND, CHAIN] {
        let (records, outputs, expected) = uncut(written).await;
        assert!(records.len() > 10);
        for cut in 0..=records.len() {
            let mut store = MemoryStore::new();
            keep(&mut store, written, &records[..cut], &outputs).await;
            check_resume(store, written, &expected, &format!("cut after {cut}")).await;
        }
    }
}

#[tokio::test]
async fn a_journal_cut_twice_resumes_to_the_same_results() {
    for written in [DIAMOND, CHAIN] {
        let (records, outputs, expected) = uncut(written).await;
        for first in 0..=records.len() {
            let mut store = MemoryStore::new();
            keep(&mut store, written, &records[..first], &outputs).await;
            let (resumed, _) = check_resume(store, written, &expected, &format!("cut after {first}")).await;
            for second in first + 1..resumed.len() {
                let mut store = MemoryStore::new();
                keep(&mut store, written, &resumed[..second], &outputs).await;
                let cut = format!("cut after {first} and, resumed, after {second}");
                check_resume(store, written, &expected, &cut).await;
            }
        }
    }
}

#[tokio::test]
async fn the_sqlite_journal_resumes_as_the_memory_does() {
    let (records, outputs, expected) = uncut(DIAMOND).await;
    for cut in 0..=records.len() {
        let dir = TempDir::new().unwrap();
        let open = || SqliteStore::open(dir.path(), Durability::Unsynced).unwrap();
        keep(&mut open(), DIAMOND, &records[..cut], &outputs).await;
        let (sqlite, _) = check_resume(open(), DIAMOND, &expected, &format!("cut after {cut}")).await;
        let mut memory = MemoryStore::new();
        keep(&mut memory, DIAMOND, &records[..cut], &outputs).await;
        let (memory, _) = check_resume(memory, DIAMOND, &expected, &format!("cut after {cut}")).await;
        assert_eq!(sqlite, memory, "cut after {cut}");
    }
}

/// A run whose N-th append fails, resumed; `false` once there is no N-th append.
async fn check_failing_append(n: usize, fault: Fault, written: Written<'_>, expected: &[String]) -> bool {
    let mut store = Witnessed::new(MemoryStore::new(), &Witness::default());
    store.fail = Some((n, fault));
    let opened = create(&mut store, header(written)).await.unwrap();
    let driven = drive(opened, written, &mut store, Signals::none()).await;
    let saw = store.witness.saw();
    let Some(failed) = saw.iter().position(|seen| *seen == Seen::AppendFailed) else {
        assert_eq!(driven.unwrap(), Ended::Finished(Outcome::Completed));
        return false;
    };
    assert!(matches!(driven, Err(DriveError::Store(_))), "{driven:?}");
    assert_eq!(saw[failed + 1..], [Seen::AbandonedAll], "append {n} failed {fault:?} it was written");
    check_resume(store.inner, written, expected, &format!("append {n} failed {fault:?} it was written"))
        .await;
    true
}

#[tokio::test]
async fn nothing_is_done_after_a_failed_append_and_the_journal_resumes() {
    for (written, fault) in
        [(DIAMOND, Fault::Before), (DIAMOND, Fault::After), (CHAIN, Fault::Before), (CHAIN, Fault::After)]
    {
        let (.., expected) = uncut(written).await;
        let mut n = 1;
        while check_failing_append(n, fault, written, &expected).await {
            n += 1;
        }
        assert!(n > 5, "only {n} appends");
    }
}

#[tokio::test]
async fn a_completed_run_is_not_touched_by_a_resume() {
    let (records, outputs, expected) = uncut(DIAMOND).await;
    let mut store = MemoryStore::new();
    keep(&mut store, DIAMOND, &records, &outputs).await;
    let (after, _) = check_resume(store, DIAMOND, &expected, "not cut").await;
    assert_eq!(after, records);
}

#[tokio::test]
async fn a_resumed_run_keeps_to_the_rate_of_the_process_before_it() {
    let written: Written<'_> = &[("first", "answer", &[]), ("second", "answer", &[])];
    let mut header = header(written);
    let settings = std::sync::Arc::make_mut(&mut header.settings);
    settings.gates[0].requests_per_minute = Some(1);
    settings.gates[0].requests_burst = 1;
    let mut store = Witnessed::new(MemoryStore::new(), &Witness::default());
    // Dies with its first call in flight: the third append would be that of its answer.
    store.fail = Some((2, Fault::Before));
    let opened = create(&mut store, header).await.unwrap();
    assert!(drive(opened, written, &mut store, Signals::none()).await.is_err());
    let opened = resume(&mut store, "r").await.unwrap();
    let ended = drive(opened, written, &mut store, Signals::none()).await.unwrap();
    assert_eq!(ended, Ended::Finished(Outcome::Completed));
    let started = |record: &Record| match record.event {
        Event::AttemptStarted { .. } => Some(record.at),
        _ => None,
    };
    let starts: Vec<Time> = store.read("r").await.unwrap().1.iter().filter_map(started).collect();
    assert_eq!(starts.len(), 3, "the lost one is sent again");
    for pair in starts.windows(2) {
        let between = pair[1].since(pair[0]);
        assert!(between.as_millis() >= 59_999, "{starts:?}: {between:?} apart");
    }
}
