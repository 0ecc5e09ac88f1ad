//! What a driver relies on, said as tests that every [`Store`] has to pass.
//!
//! A store's own tests say `contract!(Place)`, where the place is where its stores keep things: two
//! stores of one place stand for two processes.

use std::sync::Arc;

use sortie_core::hash::Hash;
use sortie_core::plan::{Plan, Prompts, TaskId};
use sortie_core::run::event::{Answer, AttemptId, Event, Finish, Record, Signal, Spent, Timing};
use sortie_core::run::input::Settings;
use sortie_core::run::revise::Revision;
use sortie_core::time::Time;

use super::{Header, Listed, Output, Store, StoreError, read_newest};

/// Where stores keep things.
pub(super) trait Place: Default {
    type Store: Store;
    /// Another store on the same things.
    fn store(&self) -> Self::Store;
    /// Takes the lock of this run from a store that lives and does not notice.
    fn lose_lock(&self, owner: &Self::Store, run_id: &str);
}

/// The header of an empty run.
pub(super) fn header(run_id: &str, created: u64) -> Header {
    let settings = Settings { seed: 7, max_concurrent: 1, ..Settings::default() };
    Header {
        run_id: run_id.to_owned(),
        created: Time::from_micros(created),
        plan: Arc::new(Plan::new(format!("plan of {run_id}"), Vec::new(), Vec::new())),
        prompts: Arc::new(Prompts::new()),
        settings: Arc::new(settings),
        binding: serde_json::json!({ "config": "sortie.yaml" }),
    }
}

/// A record like no other.
pub(super) fn record(seq: u64) -> Record {
    let event = match seq % 3 {
        0 => Event::RunStarted,
        1 => Event::CancelRequested { signal: Signal::Terminate },
        _ => Event::BudgetSet { budget: Some(sortie_core::money::Usd::from_pico(seq)), agent: None },
    };
    Record { seq, at: Time::from_micros(1_000 + seq), event }
}

/// The records of these numbers.
pub(super) fn records(numbers: std::ops::RangeInclusive<u64>) -> Vec<Record> {
    numbers.map(record).collect()
}

pub(super) fn output(text: &str) -> Output {
    (Hash::of(text.as_bytes()), Arc::from(text))
}

pub(super) async fn what_was_appended_is_read_back<P: Place>(place: P) {
    let mut store = place.store();
    store.create(&header("r", 1)).await.unwrap();
    let (long, odd) = (output(&"long ".repeat(100_000)), output("quote ' nul \0 emoji 🛩 \u{2028}"));
    store.append("r", 0, &records(1..=3), std::slice::from_ref(&long)).await.unwrap();
    store.append("r", 3, &[], &[]).await.unwrap();
    store.append("r", 3, &records(4..=70), &[odd.clone(), long.clone()]).await.unwrap();
    let expected = (header("r", 1), records(1..=70));
    assert_eq!(store.read("r").await.unwrap(), expected);
    drop(store);
    let mut store = place.store();
    assert_eq!(store.open("r").await.unwrap(), expected);
    assert_eq!(store.outputs(&[odd.0, long.0]).await.unwrap(), [odd.1.clone(), long.1.clone()]);
    for (hash, text) in [long, odd] {
        assert_eq!(store.output(&hash).await.unwrap(), text);
    }
    let unknown = Hash::of(b"nobody said this");
    assert!(
        matches!(store.outputs(&[unknown]).await, Err(StoreError::NoSuchOutput(hash)) if hash == unknown)
    );
    assert!(matches!(store.output(&unknown).await, Err(StoreError::NoSuchOutput(hash)) if hash == unknown));
}

pub(super) async fn an_id_names_one_run<P: Place>(place: P) {
    let (mut store, mut other) = (place.store(), place.store());
    store.create(&header("r", 1)).await.unwrap();
    for store in [&mut store, &mut other] {
        assert!(matches!(store.create(&header("r", 2)).await, Err(StoreError::Exists(id)) if id == "r"));
        assert!(matches!(store.open("s").await, Err(StoreError::NoSuchRun(id)) if id == "s"));
        assert!(matches!(store.read("s").await, Err(StoreError::NoSuchRun(id)) if id == "s"));
        assert!(matches!(store.create(&header("../r", 2)).await, Err(StoreError::BadRunId(_))));
        assert!(matches!(store.open("../r").await, Err(StoreError::BadRunId(_))));
    }
    store.append("r", 0, &records(1..=1), &[]).await.unwrap();
}

pub(super) async fn one_store_at_a_time_owns_a_run<P: Place>(place: P) {
    let (mut store, mut other) = (place.store(), place.store());
    store.create(&header("r", 1)).await.unwrap();
    store.append("r", 0, &records(1..=2), &[]).await.unwrap();
    let us = Some(std::process::id());
    let refused = other.open("r").await;
    assert!(matches!(refused, Err(StoreError::Owned { run, pid }) if run == "r" && pid == us));
    assert!(matches!(other.append("r", 2, &records(3..=3), &[]).await, Err(StoreError::Fenced(_))));
    // Reading and listing own nothing and disturb nobody.
    assert_eq!(other.read("r").await.unwrap().1, records(1..=2));
    assert!(other.list().await.unwrap()[0].owned);
    store.append("r", 2, &records(3..=3), &[]).await.unwrap();

    store.release("r").await;
    assert!(!other.list().await.unwrap()[0].owned);
    assert!(matches!(store.append("r", 3, &records(4..=4), &[]).await, Err(StoreError::Fenced(_))));
    assert_eq!(other.open("r").await.unwrap().1, records(1..=3));
    drop(other);
    assert_eq!(store.open("r").await.unwrap().1, records(1..=3), "a dropped store has released its runs");
    assert_eq!(store.open("r").await.unwrap().1, records(1..=3), "an owner may begin anew");
    store.append("r", 3, &records(4..=4), &[]).await.unwrap();
}

pub(super) async fn who_lost_a_run_without_noticing_is_fenced<P: Place>(place: P) {
    let (mut slow, mut quick) = (place.store(), place.store());
    slow.create(&header("r", 1)).await.unwrap();
    slow.append("r", 0, &records(1..=2), &[]).await.unwrap();
    place.lose_lock(&slow, "r");
    assert_eq!(quick.open("r").await.unwrap().1, records(1..=2));
    // Nothing was appended since, so only the epoch tells the two apart.
    let refused = slow.append("r", 2, &records(3..=3), &[output("late")]).await;
    assert!(matches!(refused, Err(StoreError::Fenced(run)) if run == "r"));
    quick.append("r", 2, &records(3..=4), &[]).await.unwrap();
    assert_eq!(slow.read("r").await.unwrap().1, records(1..=4));
    assert!(quick.output(&output("late").0).await.is_err(), "all or nothing");
    slow.release("r").await;
    assert!(quick.list().await.unwrap()[0].owned, "who is fenced cannot release the run of another");
}

pub(super) async fn records_follow_each_other_without_gaps<P: Place>(place: P) {
    let mut store = place.store();
    store.create(&header("r", 1)).await.unwrap();
    store.append("r", 0, &records(1..=2), &[]).await.unwrap();
    for (after, numbers) in [(0, 1..=1), (1, 2..=3), (3, 4..=4)] {
        let refused = store.append("r", after, &records(numbers), &[output("no")]).await;
        assert!(matches!(refused, Err(StoreError::Fenced(_))), "after {after}: {refused:?}");
    }
    for (after, records) in [
        (2, vec![record(4)]),
        (2, vec![record(2)]),
        (2, vec![record(3), record(5)]),
        (2, vec![record(3), record(3)]),
        (u64::MAX, vec![record(0)]),
    ] {
        let refused = store.append("r", after, &records, &[output("no")]).await;
        assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{records:?}: {refused:?}");
    }
    assert_eq!(store.read("r").await.unwrap().1, records(1..=2));
    assert!(store.output(&output("no").0).await.is_err(), "all or nothing");
    store.append("r", 2, &records(3..=3), &[]).await.unwrap();
}

pub(super) async fn a_plan_that_was_changed_is_read_back_with_its_record<P: Place>(place: P) {
    let mut store = place.store();
    let first = header("r", 1);
    store.create(&first).await.unwrap();
    let Header { prompts, settings, .. } = first.clone();
    let plan = Arc::new(Plan::new("changed".to_owned(), Vec::new(), Vec::new()));
    let revision =
        Revision { plan, prompts, settings, binding: serde_json::json!({ "config": "other.yaml" }) };
    let kept = output(&serde_json::to_string(&revision).unwrap());
    let revision = Arc::new(revision);
    let event =
        Event::PlanChanged { header: kept.0, again: Vec::new(), revision: Some(Arc::clone(&revision)) };
    let changed = Record { seq: 3, at: Time::from_micros(1_003), event };
    store.append("r", 0, &records(1..=2), &[]).await.unwrap();
    store.append("r", 2, std::slice::from_ref(&changed), &[kept]).await.unwrap();
    let (created, read) = store.read("r").await.unwrap();
    assert_eq!((&created, read.last()), (&first, Some(&changed)));
    let (newest, _) = read_newest(&store, "r").await.unwrap();
    assert_eq!((newest.plan.name(), &newest.binding), ("changed", &revision.binding));
    assert_eq!(created.after(&read[..2]), first, "before that it had the plan that it began with");
    let opened = place.store();
    drop(store);
    let mut store = opened;
    assert_eq!(store.open("r").await.unwrap().1, read);
}

pub(super) async fn runs_are_listed_the_newest_first<P: Place>(place: P) {
    let mut store = place.store();
    assert_eq!(store.list().await.unwrap(), []);
    for (run_id, created) in [("b", 5), ("a", 9), ("c", 5)] {
        store.create(&header(run_id, created)).await.unwrap();
    }
    store.append("b", 0, &records(1..=3), &[]).await.unwrap();
    store.release("c").await;
    let listed = |run_id: &str, created, last, owned| Listed {
        run_id: run_id.to_owned(),
        plan_name: format!("plan of {run_id}"),
        created: Time::from_micros(created),
        tasks: 0,
        last,
        owned,
    };
    let expected =
        [listed("a", 9, None, true), listed("c", 5, None, false), listed("b", 5, Some(record(3)), true)];
    assert_eq!(store.list().await.unwrap(), expected);
}

pub(super) async fn an_answer_is_found_by_its_request<P: Place>(place: P) {
    let mut store = place.store();
    let request = Hash::of(b"asked");
    assert_eq!(store.answered(&request).await.unwrap(), None);
    let answer = |text: &str, request| Answer {
        output: Hash::of(text.as_bytes()),
        bytes: text.len() as u64,
        finish: Finish::Stop,
        model: "m".into(),
        request,
    };
    let said = |seq: u64, at: u64, answer: Answer| {
        let (attempt, spent) = (AttemptId::new(TaskId(seq as u32), 1), Spent::default());
        let event = Event::AttemptSucceeded { attempt, answer, spent, timing: Timing::default() };
        Record { seq, at: Time::from_micros(at), event }
    };
    // The last to say it, whatever was created last; nothing where the text is not there.
    for (run, at, text) in [("a", 10, "first"), ("b", 30, "last"), ("c", 20, "between")] {
        store.create(&header(run, 1)).await.unwrap();
        let other = said(2, at, answer("other", Some(Hash::of(b"other"))));
        let records = [said(1, at, answer(text, Some(request))), other];
        store.append(run, 0, &records, &[output(text)]).await.unwrap();
    }
    store.append("a", 2, &[said(3, 99, answer("untold", None))], &[output("untold")]).await.unwrap();
    let found = store.answered(&request).await.unwrap();
    let last = Some(("b".to_owned(), answer("last", Some(request))));
    assert_eq!(found, last);
    store.append("a", 3, &[said(4, 100, answer("lost", Some(request)))], &[]).await.unwrap();
    assert_eq!(store.answered(&request).await.unwrap(), last, "an older one, where the text is nowhere");
    assert_eq!(place.store().answered(&Hash::of(b"other")).await.unwrap(), None, "its text is nowhere");
    assert_eq!(place.store().answered(&Hash::of(b"never")).await.unwrap(), None);
}

/// All of the contract, as tests of the module that says it.
macro_rules! contract {
    ($place:ty) => {
        $crate::store::contract::contract! { $place:
            what_was_appended_is_read_back
            an_id_names_one_run
            one_store_at_a_time_owns_a_run
            who_lost_a_run_without_noticing_is_fenced
            records_follow_each_other_without_gaps
            a_plan_that_was_changed_is_read_back_with_its_record
            runs_are_listed_the_newest_first
            an_answer_is_found_by_its_request
        }
    };
    ($place:ty: $($test:ident)+) => {
        $(
            #[tokio::test]
            async fn $test() {
                $crate::store::contract::$test(<$place>::default()).await;
            }
        )+
    };
}
pub(super) use contract;
