//! Journals of every released format version, which the newest version still resumes.
//!
//! # Adding a format version
//! Run `cargo test -p sortie-engine write_the_fixture -- --ignored` with the version before it is
//! changed, and keep what it wrote for ever. Events that a version learns later are added to its fixture as rows
//! of their own: those that are there are as they were first written, without what came later.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use sortie_core::failure::{Class, Failure};
use sortie_core::hash::Hash;
use sortie_core::limit::Gates;
use sortie_core::money::Usd;
use sortie_core::plan::{Plan, TaskId};
use sortie_core::price::{Price, Pricing, Rates};
use sortie_core::run::Run;
use sortie_core::run::event::{Answer, AttemptId, Event, FORMAT, Finish, Outcome, Record, Timing};
use sortie_core::run::input::{Billing, Change, Found, Input, Recalled, Reply, Resume, Settings};
use sortie_core::run::revise::Revision;
use sortie_core::time::Time;
use sortie_core::usage::Usage;

use super::world::{DIAMOND, Fault, Witness, Witnessed, Written, drive, header, results};
use crate::driver::{Ended, create, resume};
use crate::executor::signals::Signals;
use crate::store::sqlite::{Durability, SqliteStore};
use crate::store::{Header, Output, Store};

fn fixture(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/format-{format}.sql"))
}

/// What the runs of the fixtures came to: the diamond's results.
const RESULTS: [&str; 8] = [
    "task 0's answer",
    "task 1's answer",
    "task 2's answer",
    "task 3's answer",
    "Failed",
    "Skipped",
    "Skipped",
    "Skipped",
];

#[tokio::test]
async fn journals_of_every_format_are_resumed() {
    for format in 1..=FORMAT {
        let dir = tempfile::tempdir().unwrap();
        let sql = fs::read_to_string(fixture(format)).unwrap();
        Connection::open(dir.path().join("sortie.db")).unwrap().execute_batch(&sql).unwrap();
        let mut store =
            Witnessed::new(SqliteStore::open(dir.path(), Durability::Unsynced).unwrap(), &Witness::default());
        let listed: Vec<_> =
            store.list().await.unwrap().into_iter().map(|run| (run.run_id, run.tasks, run.owned)).collect();
        assert_eq!(listed, [("s".to_owned(), 3, false), ("r".to_owned(), 8, false)]);

        let (header, records) = store.read("r").await.unwrap();
        let before = Run::replay(header.plan, header.settings, &records).unwrap();
        assert_eq!((before.in_flight(), before.outcome()), (1, None), "it was killed at work");
        assert_eq!(before.charged().total().pico(), 2 * 7_000_000, "two answers");
        let opened = resume(&mut store, "r").await.unwrap();
        let ended = drive(opened, DIAMOND, &mut store, Signals::none()).await.unwrap();
        assert_eq!(ended, Ended::Finished(Outcome::Completed));
        assert_eq!(results(&store).await, RESULTS);

        // The run whose journal has the events that came later.
        let (_, records) = store.read("s").await.unwrap();
        let names: BTreeSet<String> = records.iter().map(|record| name(&record.event)).collect();
        for event in LATER {
            assert!(names.contains(event), "format {format} has no {event}: {names:?}");
        }
        let opened = resume(&mut store, "s").await.unwrap();
        assert_eq!((opened.header().plan.name(), opened.run().in_flight()), ("changed", 1));
        let ended = drive(opened, NEWER, &mut store, Signals::none()).await.unwrap();
        assert_eq!(ended, Ended::Finished(Outcome::Completed));
        let (header, records) = store.read("s").await.unwrap();
        let run = Run::replay(header.plan, header.settings, &records).unwrap();
        for id in run.plan().ids() {
            assert!(run.output(id).is_some(), "{id:?}");
        }
    }
}

/// Events that came after the first ones.
const LATER: [&str; 5] = ["task_recalled", "task_shared", "attempt_recovered", "plan_changed", "reopened"];

fn name(event: &Event) -> String {
    serde_json::to_value(event).unwrap()["event"].as_str().unwrap().to_owned()
}

/// One that was answered before, one that asks the same, and one that is lost, changed and tried again.
const NEWER: Written<'static> =
    &[("first", "answer", &[]), ("same", "answer", &[0]), ("tried", "answer", &[])];

/// A run of these whose last task is in flight for the third time, with the texts that its records name.
fn newer() -> (Header, Vec<Record>, Vec<Output>) {
    let header = header(NEWER);
    let mut tasks = header.plan.tasks().to_vec();
    tasks[1].same_as = Some(TaskId(0));
    let plan_of =
        |name: &str| Arc::new(Plan::new(name.to_owned(), header.plan.agents().to_vec(), tasks.clone()));
    let settings = Arc::new(Settings { cache: true, ..Settings::clone(&header.settings) });
    let header = Header {
        run_id: "s".to_owned(),
        created: Time::from_micros(1),
        plan: plan_of("newer"),
        settings: Arc::clone(&settings),
        ..header.clone()
    };
    let (plan, prompts) = (plan_of("changed"), Arc::clone(&header.prompts));
    let revision = Revision { plan, prompts, settings, binding: header.binding.clone() };
    let kept = [serde_json::to_string(&revision).unwrap(), "answered before".to_owned()];
    let [changed, known] = kept.map(|text| (Hash::of(text.as_bytes()), Arc::from(text)));

    let answer =
        Answer { output: known.0, bytes: 15, finish: Finish::Stop, model: "m".into(), request: None };
    let usage = Usage { output: 1, ..Usage::default() };
    let lost = AttemptId::new(TaskId(2), 1);
    let found = vec![Found { attempt: lost, answer: None, wrong: None, usage, model: "m".into() }];
    let change = Change { header: changed.0, again: vec![TaskId(2)], revision: Arc::new(revision) };
    let refused = Reply {
        attempt: AttemptId { number: 2, ..lost },
        result: Err(Failure::new(Class::Refused, "as told")),
        billing: Billing::Nothing,
        timing: Timing::default(),
    };
    let story = [
        Input::Started,
        Input::Recalled(vec![(TaskId(0), Recalled { answer, run: "r".into() })]),
        Input::Resumed(Resume { found, change: Some(change), ..Resume::default() }),
        Input::Recalled(Vec::new()),
        Input::Replied(refused),
        Input::Resumed(Resume { retry_failed: true, ..Resume::default() }),
        Input::Recalled(Vec::new()),
    ];
    let mut run = Run::new(Arc::clone(&header.plan), Arc::clone(&header.settings));
    let (mut gates, mut records) = (Gates::new(&header.settings), Vec::new());
    for (second, input) in (1..).zip(story) {
        records.extend(run.step(input, Time::from_micros(second * 1_000_000), &mut gates).records);
    }
    (header, records, vec![changed, known])
}

/// A header with something in every field.
fn rich() -> Header {
    let mut header = header(DIAMOND);
    let mut agents = header.plan.agents().to_vec();
    let mut tasks = header.plan.tasks().to_vec();
    let rate = Usd::from_pico;
    agents[0].pricing = Pricing::Known(Price::stated(Rates {
        input: rate(1_000_000),
        output: rate(3_000_000),
        cache_read: rate(100_000),
        ..Rates::default()
    }));
    tasks[0].expected = Some(std::time::Duration::from_secs(4));
    tasks[0].expected_output_tokens = Some(5);
    tasks[1].max_cost = Usd::from_f64(0.5);
    header.plan = Arc::new(Plan::new("fixture".to_owned(), agents, tasks));
    let settings = Arc::make_mut(&mut header.settings);
    settings.budget = Usd::from_f64(2.0);
    settings.alert_threshold = Some(rate(8_000_000));
    settings.gates[0].requests_per_minute = Some(600);
    settings.gates[0].requests_burst = 10;
    let prompts = Arc::make_mut(&mut header.prompts);
    prompts[0].system = Some("Be brief: it's a \"test\".".to_owned());
    prompts[0].temperature = Some(0.7);
    prompts[0].metadata = Some(serde_json::json!({ "owner": "nobody", "tags": [1, null] }));
    header.binding = serde_json::json!({ "config": "sortie.yaml" });
    header
}

#[tokio::test]
#[ignore = "writes the fixture of the present format"]
async fn write_the_fixture() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path(), Durability::Synced).unwrap();
    let mut store = Witnessed::new(store, &Witness::default());
    let opened = create(&mut store, rich()).await.unwrap();
    // Until two tasks have their answers, one has failed, and one is being tried again.
    store.fail = Some((7, Fault::Before));
    assert!(drive(opened, DIAMOND, &mut store, Signals::none()).await.is_err());
    let retried =
        |event: &Event| matches!(event, Event::AttemptStarted { attempt, .. } if attempt.number == 2);
    assert!(store.read("r").await.unwrap().1.iter().any(|record| retried(&record.event)));
    let (header, records, outputs) = newer();
    store.create(&header).await.unwrap();
    store.fail = None;
    store.append("s", 0, &records, &outputs).await.unwrap();
    drop(store);
    let db = Connection::open(dir.path().join("sortie.db")).unwrap();
    fs::create_dir_all(fixture(FORMAT).parent().unwrap()).unwrap();
    fs::write(fixture(FORMAT), dump(&db)).unwrap();
}

/// A database as the SQL that makes it.
fn dump(db: &Connection) -> String {
    let rows = |sql: &str| -> Vec<String> {
        let mut query = db.prepare(sql).unwrap();
        let rows = query.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let mut sql = String::from("-- Written by `write_the_fixture`; never to be changed once released.\n");
    for pragma in ["application_id", "user_version"] {
        let value: i64 = db.pragma_query_value(None, pragma, |row| row.get(0)).unwrap();
        writeln!(sql, "PRAGMA {pragma} = {value};").unwrap();
    }
    for create in rows("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL") {
        writeln!(sql, "{create};").unwrap();
    }
    for table in ["runs", "headers", "records", "outputs"] {
        let columns = rows(&format!("SELECT name FROM pragma_table_info('{table}')"));
        let quoted: Vec<String> = columns.iter().map(|name| format!("quote({name})")).collect();
        for row in rows(&format!("SELECT {} FROM {table}", quoted.join(" || ', ' || "))) {
            writeln!(sql, "INSERT INTO {table} VALUES ({row});").unwrap();
        }
    }
    sql
}
