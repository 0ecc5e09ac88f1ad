//! Signals, and two processes that want the same run.

use rustix::process::Signal;

use crate::support::{Sandbox, Simulator, until};

/// The second task is in flight when the test steps in; how long it takes is up to the test.
fn plan(seconds: u32) -> String {
    format!(
        "
tasks:
  - {{ id: first, prompt: First. }}
  - {{ id: second, prompt: 'Second. [[sim latency={seconds}]]', depends_on: [first] }}
  - {{ id: third, prompt: Third., depends_on: [second] }}
"
    )
}

/// A second call that outlasts every test.
const FOR_EVER: u32 = 3600;

fn until_the_second_call_is_in_flight(simulator: &Simulator) {
    until("the second call is in flight", || {
        let stats = simulator.stats();
        (stats.generations == 2 && stats.in_flight == 1).then_some(())
    });
}

#[test]
fn the_first_signal_lets_calls_in_flight_finish_and_leaves_the_run_resumable() {
    for (signal, name, code) in [(Signal::INT, "SIGINT", 130), (Signal::TERM, "SIGTERM", 143)] {
        let simulator = Simulator::start();
        let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", plan(1));
        let running = sandbox.start("run plan.yaml --run-id one --json");
        until_the_second_call_is_in_flight(&simulator);
        running.signal(signal);
        let ran = running.end().exits(code);
        let document = ran.json();
        assert_eq!(document["execution_history"], serde_json::json!(["first", "second"]));
        assert_eq!(document["error"], format!("interrupted ({name}); 1 task pending"));
        ran.says(&format!("{name} received: calls in flight have 30.0 s to finish, nothing new starts"));

        // Without a name: the newest run that is not finished.
        let document = sandbox.sortie("resume --json").exits(0).json();
        assert_eq!((&document["run_id"], &document["successful_tasks"]), (&"one".into(), &3.into()));
        let stats = simulator.stats();
        assert_eq!((stats.generations, stats.repeats), (3, 0), "{name}");
    }
}

#[test]
fn the_second_signal_ends_the_run_at_once_and_what_was_in_flight_is_at_risk() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", plan(FOR_EVER));
    let running = sandbox.start("run plan.yaml --run-id one");
    until_the_second_call_is_in_flight(&simulator);
    running.signal(Signal::INT);
    until("the first signal is heard", || running.stderr().contains("SIGINT received").then_some(()));
    running.signal(Signal::INT);
    running.end().exits(130);
    let shown = sandbox.sortie("show one --json").exits(0).json();
    assert_eq!((&shown["successful_tasks"], &shown["pending_tasks"]), (&1.into(), &2.into()));

    // A resume counts the call that was cut off as lost, and goes on with it.
    let resumed = sandbox.start("resume one");
    until("the second call is made again", || (simulator.stats().generations == 3).then_some(()));
    assert!(resumed.stderr().contains("task second: attempt 1 was lost"), "{}", resumed.stderr());
}

#[test]
fn what_does_not_finish_in_its_grace_time_is_given_up_and_at_risk() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", plan(FOR_EVER));
    let sandbox = sandbox.file("sortie.yaml", "timeouts: { grace: 0.2 }");
    let running = sandbox.start("run plan.yaml --run-id one --json");
    until_the_second_call_is_in_flight(&simulator);
    running.signal(Signal::TERM);
    let ran = running.end().exits(143).says("task second: attempt 1 was lost");
    let document = ran.json();
    assert_eq!(document["error"], "interrupted (SIGTERM); 2 tasks pending");
    assert!(document["cost"]["at_risk"].as_f64().unwrap() > 0.0, "{document}");
    let resumed = sandbox.start("resume one");
    until("the second call is made again", || (simulator.stats().generations == 3).then_some(()));
    drop(resumed);
}

#[test]
fn a_run_that_another_process_drives_is_refused_and_free_once_that_is_killed() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", plan(FOR_EVER));
    let mut running = sandbox.start("run plan.yaml --run-id one");
    until_the_second_call_is_in_flight(&simulator);
    sandbox.sortie("resume one").exits(4).says("hint: ");
    assert_eq!(sandbox.sortie("runs --json").exits(0).json()[0]["running"], true);
    // Looking on disturbs nothing.
    assert_eq!(sandbox.sortie("show one --json").exits(0).json()["successful_tasks"], 1);
    assert!(running.is_running());
    assert_eq!(simulator.stats().generations, 2);
    running.kill();
    let _resumed = sandbox.start("resume one");
    until("the second call is made again", || (simulator.stats().generations == 3).then_some(()));
}

#[test]
fn a_name_that_is_taken_is_refused_and_a_finished_run_is_only_shown() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", "tasks: [{ id: a, prompt: A. }]");
    let first = sandbox.sortie("run plan.yaml --run-id one").exits(0);
    sandbox.sortie("run plan.yaml --run-id one").exits(2).says("hint: `sortie resume one`");
    let again = sandbox.sortie("resume one").exits(0).says("run one is finished");
    assert_eq!(again.stdout, first.stdout);
    sandbox.sortie("resume").exits(2);
    assert_eq!(simulator.stats().requests, 1);
}

#[test]
fn the_files_of_a_run_that_had_ended_are_written_where_its_process_could_not() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", plan(0));
    sandbox.sortie("run plan.yaml --run-id one").exits(0);
    let files = ["results.jsonl", "summary.json", "report.md"].map(|name| format!("results/one/{name}"));
    let results = sandbox.read(&files[0]);
    for file in &files {
        std::fs::remove_file(sandbox.path(file)).unwrap();
    }
    sandbox.sortie("resume one").exits(0).says("run one is finished");
    assert_eq!(sandbox.read(&files[0]), results);
    assert!(sandbox.read(&files[1]).contains("\"successful_tasks\": 3,"));
    assert!(sandbox.read(&files[2]).contains("All 3 tasks succeeded"));
}

#[test]
fn a_damaged_answer_is_bought_again_only_if_asked_and_only_where_it_is_missed() {
    let simulator = Simulator::start();
    let plan = "
tasks:
  - { id: a, prompt: A. }
  - { id: b, depends_on: [a], prompt: 'B. {{ results.a }}' }
";
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", plan);
    sandbox.sortie("run plan.yaml --run-id one").exits(0);
    let db = rusqlite::Connection::open(sandbox.path("results/sortie.db")).unwrap();
    let of_a = "SELECT event ->> '$.answer.output' FROM records WHERE event ->> '$.attempt.task' = 0
        AND event ->> '$.answer.output' IS NOT NULL";
    let hash: String = db.query_row(of_a, [], |row| row.get(0)).unwrap();
    db.execute("UPDATE outputs SET text = 'x' || text WHERE hash = ?1", [hash]).unwrap();
    drop(db);
    sandbox.sortie("resume one").exits(4).says("is damaged").says("--salvage");
    let ran = sandbox.sortie("resume one --salvage --json").exits(0).says("1 answer of the run");
    assert_eq!(ran.json()["successful_tasks"], 2);
    assert_eq!(simulator.stats().generations, 3, "a again, and b is kept");
    sandbox.sortie("show one a").exits(0);
}

#[test]
fn calls_in_flight_at_a_kill_are_listed_as_at_risk() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", plan(FOR_EVER));
    let running = sandbox.start("run plan.yaml --run-id one --quiet");
    until_the_second_call_is_in_flight(&simulator);
    running.kill();
    let calls = sandbox.sortie("show one --at-risk --json").exits(0).json();
    assert_eq!((&calls[0]["task_id"], &calls[0]["why"]), (&"second".into(), &"in_flight".into()));
    let shown = sandbox.sortie("show one --at-risk").exits(0).transcript();
    assert!(shown.contains("at risk in 1 call"), "{shown}");
}

#[test]
fn a_damaged_journal_is_refused_and_goes_on_from_before_the_damage_if_asked() {
    let sandbox = Sandbox::new().file("plan.yaml", plan(1));
    sandbox.sortie("run plan.yaml --simulate --run-id one --quiet").exits(0);
    let journal = rusqlite::Connection::open(sandbox.path("results/sortie.db")).unwrap();
    let answered = "SELECT min(seq) FROM records WHERE event LIKE '%attempt_succeeded%'";
    let seq: i64 = journal.query_row(answered, [], |row| row.get(0)).unwrap();
    journal.execute("UPDATE records SET at = at + 1 WHERE seq = ?1", [seq + 1]).unwrap();
    drop(journal);

    let refused = sandbox.sortie("resume one").exits(4);
    let refused = refused.says(&format!("record {} is not as it was written", seq + 1));
    refused.says("`sortie resume one --salvage` goes on from before the damage");
    let ran = sandbox.sortie("resume one --salvage --json").exits(0).says(&format!("{seq} records kept"));
    let document = ran.json();
    assert_eq!(document["successful_tasks"], 3);
    assert_eq!(document["execution_history"], serde_json::json!(["first", "second", "third"]));
    sandbox.sortie("resume one --salvage").exits(0).says("is whole");
}
