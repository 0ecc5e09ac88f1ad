//! `sortie ctl`: a run that is changed while it is under way.

use std::fmt::Write;

use crate::support::{Sandbox, Simulator, until};

/// Calls of a third of a second; so many that one after the other they outlast what a test asks.
fn plan(tasks: u32) -> String {
    (0..tasks).fold(String::from("tasks:\n"), |mut plan, n| {
        let _ = writeln!(plan, "  - {{ id: t{n}, prompt: 'Task {n}. [[sim latency=0.3]]' }}");
        plan
    })
}

#[test]
fn a_run_is_paused_let_do_more_at_once_taken_up_again_and_cancelled() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", plan(120));
    let running = sandbox.start("run plan.yaml --run-id one --max-concurrent 1");
    until("the first call", || (simulator.stats().generations > 0).then_some(()));

    sandbox.sortie("ctl one resume").exits(0).says("the run was not paused");
    sandbox.sortie("ctl one pause").exits(0).says("paused by the user");
    until("what is in flight finishes", || {
        let shown = sandbox.sortie("show one --json").exits(0).json();
        (shown["metrics"]["active_tasks"] == 0).then_some(())
    });
    let made = simulator.stats().generations;
    let done = sandbox.sortie("ctl one concurrency 4 --json").exits(0).json();
    assert_eq!(done["done"], "calls at a time set to 4 by the user");
    sandbox.sortie("show one").exits(0).says("UTC  paused by the user").says("at a time set to 4");
    assert_eq!(simulator.stats().generations, made, "a paused run makes no calls");

    sandbox.sortie("ctl one resume").exits(0);
    until("four calls are in flight", || (simulator.stats().peak_in_flight == 4).then_some(()));
    sandbox.sortie("ctl one cancel").exits(0).says("nothing new starts");
    let ran = running.end().exits(130).says("`sortie resume one` goes on with it");
    let ran = ran.says("cancelled by the user (ctl cancel); ");
    assert_eq!(ran.stderr.matches("pause ended by the user").count(), 1, "{}", ran.transcript());
    sandbox.sortie("show one").exits(0).says("UTC  cancelled by the user (ctl cancel)");
    assert!(sandbox.read("results/one/production.log").contains("INFO calls at a time set to 4 by the user"));
    assert!(!sandbox.path("results/one/control.sock").exists());

    // A resume goes on with what was set, not with what was configured.
    let resumed = sandbox.start("resume one");
    until("it calls again", || resumed.stderr().contains("succeeded in").then_some(()));
    assert_eq!(simulator.stats().peak_in_flight, 4);
    sandbox.sortie("ctl one concurrency 120").exits(0);
    resumed.end().exits(0).says("  4 at a time, ");
    assert_eq!(simulator.stats().generations, 120);
    sandbox.sortie("ctl one pause").exits(4).says("run one is not under way").says("hint: ");
}

#[test]
fn a_simulated_run_in_real_time_is_controlled_as_a_real_one() {
    let sandbox = Sandbox::new().file("plan.yaml", plan(40));
    let running = sandbox.start("run plan.yaml --run-id one --simulate --realtime --max-concurrent 1");
    until("its first result", || running.stderr().contains("succeeded").then_some(()));
    sandbox.sortie("ctl one pause").exits(0);
    sandbox.sortie("ctl one concurrency 40").exits(0);
    sandbox.sortie("ctl one rpm 6000 --agent claude").exits(0).says("claude-sonnet-5-5 set to 6000");
    sandbox.sortie("ctl one resume").exits(0);
    let ran = running.end().exits(0);
    assert!(ran.stderr.contains("set to 6000 by the user"), "{}", ran.transcript());
}

#[test]
fn what_cannot_be_asked_is_said() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", plan(400));
    sandbox.sortie("ctl one pause").exits(2).says("no run \"one\"");
    sandbox.sortie("ctl ../one pause").exits(2).says("cannot name a run");
    let _running = sandbox.start("run plan.yaml --run-id one --mode serial");
    until("it is under way", || sandbox.path("results/one/control.sock").exists().then_some(()));
    for (arguments, words) in [
        ("concurrency 4", "serial mode"),
        ("concurrency 0", "0 is not in 1..=100000"),
        ("rpm 5 --agent nobody", "the run has no agent \"nobody\""),
        ("rpm", "required"),
        ("stop", "<RUN> <CONTROL>"),
    ] {
        sandbox.sortie(&format!("ctl one {arguments}")).exits(2).says(words);
    }
    sandbox.sortie("ctl two pause").exits(2).says("hint: `sortie runs` lists the runs there are");
}
