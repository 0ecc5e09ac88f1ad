//! Signals, whenever they come: a trial ends with the first, makes no further call, and says what it leaves.

use std::path::Path;
use std::{fs, thread};

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use rustix::process::Signal;
use serde_json::json;

use crate::support::{Sandbox, Simulator, Terminal, Trap, until};

#[test]
fn a_signal_ends_a_trial_without_a_verdict_and_leaves_its_run_resumable() {
    let simulator = Simulator::hurried("calm", 3);
    let sandbox = Sandbox::reaching(&simulator);
    let running = sandbox.start("trial --phase 1 --run-id one");
    until("the judged run calls", || {
        let stats = simulator.stats();
        (stats.generations >= 2 && stats.in_flight > 0).then_some(())
    });
    running.signal(Signal::INT);
    let ran = running.end().exits(130).says("interrupted (SIGINT): the trial has no verdict");
    let ran = ran.says("so far $").says("in 2 runs: one-key, one");
    assert_eq!(ran.stdout, "", "{}", ran.transcript());
    assert!(!sandbox.path("results/one/trial.json").exists(), "{}", ran.transcript());
    assert_eq!(sandbox.sortie("trial --history --json").exits(0).json(), json!([]));
    let document = sandbox.sortie("resume one --json").exits(0).json();
    assert_eq!(document["successful_tasks"], 5);
}

#[test]
fn a_signal_ends_the_pause_between_two_halves() {
    let simulator = Simulator::hurried("calm", 40);
    let sandbox = Sandbox::reaching(&simulator);
    let running = sandbox.start("trial --test-type parallel --pause 3600 --run-id one");
    until("it pauses", || running.stderr().contains("waiting 1 h").then_some(()));
    running.signal(Signal::INT);
    running.end().exits(130).says("in 2 runs: one-key, one-serial");
    assert_eq!(simulator.stats().generations, 6, "the key and the serial half");
}

/// Which of its processes the signal reaches is no matter: nothing goes on calling.
#[test]
fn a_signal_ends_the_run_that_is_to_be_killed() {
    let simulator = Simulator::hurried("calm", 4);
    let sandbox = Sandbox::reaching(&simulator);
    let running = sandbox.start("trial --phase 2 --pause 0 --run-id one");
    let made = 1 + 20 + 20;
    until("the other process calls", || (simulator.stats().generations > made).then_some(()));
    running.signal(Signal::TERM);
    let ran = running.end().exits(143).says("interrupted (SIGTERM): the trial has no verdict");
    let ran = ran.says("in 4 runs: one-key, one-serial, one, one-recovery").says("at risk besides)");
    until("nothing calls any more", || (simulator.stats().in_flight == 0).then_some(()));
    assert!(simulator.stats().generations < made + 20, "{}", ran.transcript());
    let resumed = sandbox.sortie("resume one-recovery --json").exits(0).json();
    assert_eq!(resumed["successful_tasks"], 20);
}

/// Some scenario.
const OWN: &str = "\
name: own
latency: { total: { seconds: { fixed: 1 }, first_token: { fixed: 0.5 } } }
output_tokens: { fixed: 20 }
";

/// A file that takes its writer in only once somebody reads it. Its first reader finds this in it.
fn gate(path: &Path, first: &'static str) -> thread::JoinHandle<()> {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("the sandbox takes a pipe");
    let path = path.to_owned();
    thread::spawn(move || fs::write(path, first).expect("somebody reads it"))
}

/// The parts that ask the endpoint have ended, and the scenario cannot be written before somebody reads it.
#[test]
fn a_signal_between_two_parts_ends_the_trial_before_the_next() {
    let simulator = Simulator::hurried("calm", 40);
    let sandbox = Sandbox::reaching(&simulator);
    let file = sandbox.path("own.yaml");
    let first = gate(&file, OWN);
    let running =
        sandbox.start("trial --test-type compare --tasks 4 --pause 0 --fit own.yaml --run-id one --json");
    let made = 1 + 3 * 4;
    until("the endpoint is asked no more", || {
        let stats = simulator.stats();
        (stats.generations == made && stats.in_flight == 0).then_some(())
    });
    first.join().expect("it was read");
    running.signal(Signal::INT);
    let reader =
        open(&file, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).expect("a pipe is opened at once");
    let ran = running.end().exits(130).says("interrupted (SIGINT): the trial has no verdict");
    let runs = "one-key, one-simulated-serial, one-simulated, one-serial, one, one-width-2";
    let ran = ran.says(&format!("in 6 runs: {}", &runs[..40]));
    assert_eq!(ran.stdout, "", "{}", ran.transcript());
    drop(reader);
    assert_eq!(simulator.stats().generations, made);
    assert!(
        !sandbox.path("results/one-fitted-1-1").exists() && !sandbox.path("results/one/trial.json").exists()
    );
    let runs = sandbox.sortie("show one-width-2 --json").exits(0).json();
    assert_eq!(runs["successful_tasks"], 4);
}

#[test]
fn nothing_of_the_next_phase_starts_once_one_was_interrupted() {
    let simulator = Simulator::hurried("calm", 3);
    let sandbox = Sandbox::reaching(&simulator);
    let running = sandbox.start("trial --phase 1..3 --run-id one");
    until("the judged run calls", || {
        let stats = simulator.stats();
        (stats.generations >= 2 && stats.in_flight > 0).then_some(())
    });
    running.signal(Signal::TERM);
    running.end().exits(143);
    assert!(!sandbox.path("results/one-2-key").exists() && !sandbox.path("results/one-2").exists());
    assert!(simulator.stats().generations <= 6);
}

/// Waits until only the last of so many calls is in flight.
fn until_the_last_is_in_flight(simulator: &Simulator, calls: u64) {
    until("the last of these calls is in flight", || {
        let stats = simulator.stats();
        (stats.generations == calls && stats.in_flight == 1).then_some(())
    });
}

/// The run of the key has nothing left to start: it ends as completed, and the trial does not.
#[test]
fn a_signal_during_the_call_that_tries_the_key_ends_the_trial() {
    let simulator = Simulator::slow();
    let sandbox = Sandbox::reaching(&simulator);
    let running = sandbox.start("trial --phase 1 --run-id one --quiet");
    until_the_last_is_in_flight(&simulator, 1);
    running.signal(Signal::INT);
    let ran = running.end().exits(130).says("interrupted (SIGINT): the trial has no verdict");
    let ran = ran.says("so far $").says("in 1 run: one-key");
    assert_eq!(ran.stdout, "", "{}", ran.transcript());
    assert_eq!(simulator.stats().generations, 1, "{}", ran.transcript());
    assert!(!sandbox.path("results/one").exists());
    let key = sandbox.sortie("show one-key --json").exits(0).json();
    assert_eq!(key["successful_tasks"], 1, "what was in flight is brought home");
}

#[test]
fn a_signal_during_the_last_task_of_a_half_ends_the_trial_before_the_other() {
    let simulator = Simulator::slow();
    let sandbox = Sandbox::reaching(&simulator);
    let running = sandbox.start("trial --test-type parallel --tasks 2 --pause 3600 --run-id one");
    until_the_last_is_in_flight(&simulator, 1 + 2);
    running.signal(Signal::TERM);
    let ran = running.end().exits(143).says("in 2 runs: one-key, one-serial");
    assert_eq!(simulator.stats().generations, 1 + 2, "{}", ran.transcript());
    assert!(!sandbox.path("results/one").exists(), "{}", ran.transcript());
}

#[test]
fn a_signal_during_the_last_task_of_all_leaves_the_verdict_and_is_told_by_the_exit() {
    let simulator = Simulator::slow();
    let sandbox = Sandbox::reaching(&simulator);
    let running = sandbox.start("trial --test-type single --run-id one --json");
    until_the_last_is_in_flight(&simulator, 1 + 1);
    running.signal(Signal::INT);
    let ran = running.end().exits(130);
    assert_eq!(ran.json()["success"], true, "{}", ran.transcript());
    assert!(sandbox.path("results/one/trial.json").exists(), "{}", ran.transcript());
}

#[test]
fn what_the_phases_before_have_spent_is_counted_with_what_a_signal_leaves() {
    let simulator = Simulator::slow();
    let sandbox = Sandbox::reaching(&simulator);
    let running = sandbox.start("trial --phase 1..2 --run-id one --quiet");
    let first = 1 + 5;
    until_the_last_is_in_flight(&simulator, first + 1);
    running.signal(Signal::INT);
    let ran = running.end().exits(130).says("of it in 1 run of this phase: one-2-key");
    assert_eq!(simulator.stats().generations, first + 1, "{}", ran.transcript());
    assert!(sandbox.path("results/one-1/trial.json").exists(), "{}", ran.transcript());
}

/// Before any run: while the provider is asked how many tokens the prompts have.
#[test]
fn a_signal_before_the_first_call_ends_a_trial_with_nothing_made() {
    let trap = Trap::start(|_| {
        loop {
            thread::park();
        }
    });
    let counted = "agents: { claude: { count_tokens: true, model: claude-sonnet-4-5 } }";
    let sandbox =
        Sandbox::new().with("ANTHROPIC_BASE_URL", trap.url()).with("ANTHROPIC_API_KEY", "sk-test-a");
    let sandbox = sandbox.file("sortie.yaml", counted);
    let running = sandbox.start("trial --phase 1");
    until("it asks", || running.stderr().contains("counting the tokens").then_some(()));
    running.signal(Signal::INT);
    let ran = running.end().exits(130);
    ran.says("interrupted (SIGINT): the trial has no verdict, and made no run");
    assert!(!sandbox.path("results").exists());
}

#[test]
fn a_signal_answers_the_question_before_money_is_spent() {
    // Nobody is called before somebody agrees; a server on this machine is not asked about.
    let sandbox = Sandbox::new()
        .with("ANTHROPIC_BASE_URL", "https://api.example.invalid")
        .with("ANTHROPIC_API_KEY", "sk-test-a");
    let mut terminal = Terminal::start(&sandbox, "trial --phase 1");
    let asked = terminal.read_until("[y/N]");
    terminal.signal(Signal::INT);
    let (code, rest) = terminal.end();
    assert_eq!(code, Some(130), "{asked}{rest}");
    assert!(rest.contains("the trial has no verdict, and made no run"), "{rest}");
}
