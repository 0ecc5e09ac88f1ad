//! A run of five tasks that meets a fault at its N-th call of the disk or the network, for every N until it
//! meets none: it is killed there, or the disk fails there, once or for ever. It is resumed without the
//! fault, and held against the simulator's ledger.
//!
//! Calls of several threads have no fixed order, so the N-th call of one run may be the (N+1)-th of another:
//! what is proven is that no N breaks anything, over all N.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde_json::Value;
use sortie::core::money::Usd;
use sortie::sim::ledger::Entry;

use crate::shim::{Fault, How, Shim};
use crate::support::{Ran, Sandbox, Simulator, until};
use crate::{Repeat, asked, is_long, memory, results, usd};

/// A diamond with a tail, in answers of a few milliseconds.
const PLAN: &str = "
name: points
defaults: { max_tokens: 64 }
tasks:
  - { id: t0, prompt: 'Task t0. [[sim latency=0.004]]' }
  - { id: t1, depends_on: [t0], prompt: 'Task t1. {{ results.t0 }} [[sim latency=0.004]]' }
  - { id: t2, depends_on: [t0], prompt: 'Task t2. {{ results.t0 }} [[sim latency=0.009]]' }
  - { id: t3, depends_on: [t1, t2], prompt: 'Task t3. {{ results.t1 }} {{ results.t2 }} [[sim latency=0.004]]' }
  - { id: t4, depends_on: [t3], prompt: 'Task t4. {{ results.t3 }} [[sim latency=0.004]]' }
";
const TASKS: usize = 5;
const MAX_CONCURRENT: usize = 2;
const RUN: &str = "run plan.yaml --run-id one --quiet --json --max-concurrent 2";

/// So many calls of a disk that fails for ever may fail before the process has ended. To end within seconds is not to go
/// on trying, and calls can be counted where seconds on a busy machine cannot.
const MOST_FAILED: usize = 100;

/// In the short form, every so many-th call is tried, each kind of fault beginning at another.
const STRIDE: u64 = 23;

/// The task that a generation was for.
fn task_of(entry: &Entry) -> String {
    entry.prompt.strip_prefix("Task ").and_then(|rest| rest.get(..2)).unwrap_or(&entry.prompt).to_owned()
}

/// A sandbox with the plan, its agents reaching this simulator.
fn place(simulator: &Simulator) -> Sandbox {
    Sandbox::within(&memory()).asking(simulator).file("plan.yaml", PLAN)
}

/// What an undisturbed run comes to. The simulator answers a request alike whenever it comes.
fn undisturbed() -> BTreeMap<String, String> {
    let simulator = Simulator::start();
    let results = results(&place(&simulator).sortie(RUN).exits(0).json());
    assert_eq!(results.len(), TASKS);
    results
}

/// What a fault came to.
struct Struck {
    /// As the shim reports it.
    what: String,
    exit: i32,
    /// Calls whose answers the journal did not have.
    in_flight: usize,
    /// Calls of the disk that failed before it had ended.
    failed: usize,
}

/// A run that meets this fault, and its resume; none where it ended before there were so many calls.
fn meet(fault: Fault, expected: &BTreeMap<String, String>) -> Option<Struck> {
    let simulator = Simulator::start();
    let sandbox = place(&simulator);
    let shim = Shim::over(&sandbox.path("results"))?.with(fault);
    let ran = sandbox.start_under(shim.environment(), RUN).end();
    let Some(what) = shim.struck() else {
        assert_eq!(results(&ran.exits(0).json()), *expected);
        return None;
    };
    // The simulator bills what it had generated once it hears that the client has gone.
    until("the simulator has noticed", || (simulator.stats().in_flight == 0).then_some(()));
    let called: Vec<String> = simulator.ledger().iter().map(task_of).collect();
    let distinct: BTreeSet<&String> = called.iter().collect();
    assert_eq!(called.len(), distinct.len(), "{what}: called twice by one session: {called:?}");

    let shown = shown(&sandbox);
    let before = shown.as_ref().map(results).unwrap_or_default();
    assert!(shown.is_some() || called.is_empty(), "{what}: {called:?} were called by no run");
    check_end(fault, &what, &ran, &before);
    let failed = shim.strikes();
    assert!(failed <= MOST_FAILED, "{what}: {failed} calls failed before it ended: it goes on trying");
    for (task, result) in &before {
        assert_eq!(Some(result), expected.get(task), "{what}: nobody delivered this result of {task}");
    }
    let in_flight = called.iter().filter(|task| !before.contains_key(*task)).count();
    assert!(in_flight <= MAX_CONCURRENT, "{what}: {in_flight} calls were for nothing");

    let resumed = sandbox.sortie(if shown.is_some() { "resume one --quiet --json" } else { RUN }).exits(0);
    let document = resumed.json();
    assert_eq!(results(&document), *expected, "{what}");
    // A call is in the journal before it is sent: what was billed for it is at risk, or known.
    let (known, risk) = (usd(&document["total_cost"]), usd(&document["cost"]["at_risk"]));
    let billed: Usd = simulator.stats().cost_usd_exact.parse().unwrap();
    assert!(
        known <= billed && billed <= known + risk,
        "{what}: {known:?} <= {billed:?} <= {known:?} + {risk:?}"
    );
    for task in simulator.ledger()[called.len()..].iter().map(task_of) {
        assert!(!before.contains_key(&task), "{what}: {task} was bought again");
    }
    assert_eq!(simulator.stats().generations as usize, TASKS + in_flight, "{what}");
    Some(Struck { what, exit: ran.code(), in_flight, failed })
}

/// The run as its journal has it; none where it was not created yet.
fn shown(sandbox: &Sandbox) -> Option<Value> {
    let shown = sandbox.sortie("show one --json");
    if shown.code() == 0 {
        return Some(shown.json());
    }
    shown.exits(2).says("no run \"one\"");
    None
}

/// How the process has to end: by the kill; else with a message that says what the disk did, or well where
/// all is there all the same.
fn check_end(fault: Fault, what: &str, ran: &Ran, before: &BTreeMap<String, String>) {
    let (code, said) = (ran.code(), ran.transcript());
    match fault.how {
        How::KillBefore | How::KillAfter => assert_eq!(code, -1, "{what}: it was not killed:\n{said}"),
        How::Once(_) | How::Ever(_) if code == 0 => {
            assert_eq!(before.len(), TASKS, "{what}: it ended well with a part of the results:\n{said}");
        }
        How::Once(error) | How::Ever(error) => {
            assert!(code == 1 || code == 4, "{what}: {said}");
            let own: &[&str] = match error {
                "EIO" => &["os error 5"],
                _ => &["os error 28", "database or disk is full"],
            };
            let any = ["disk I/O error", "unable to open database file", "the disk failed"];
            let error = ran.stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
            assert!(
                own.iter().chain(&any).any(|word| error.contains(word)),
                "{what}: the disk is not blamed:\n{said}"
            );
        }
    }
}

/// Every fault of these kinds, as many at once as there are processors. Gives what was struck.
fn every(kinds: &[How]) -> Vec<(How, Vec<Struck>)> {
    let expected = undisturbed();
    let stride = if is_long() { 1 } else { STRIDE };
    let mut all = Vec::new();
    for (number, &how) in kinds.iter().enumerate() {
        let (next, end) = (AtomicU64::new(1 + number as u64 * 5 % stride), AtomicU64::new(u64::MAX));
        let struck = Mutex::new(Vec::new());
        let work = || {
            loop {
                let at = next.fetch_add(stride, Ordering::Relaxed);
                if at > end.load(Ordering::Relaxed) {
                    break;
                }
                let fault = Fault { how, at };
                let _repeat = Repeat(format!("SORTIE_POINT={fault}"), "points::one_point");
                match meet(fault, &expected) {
                    Some(met) => struck.lock().unwrap().push(met),
                    None => drop(end.fetch_min(at, Ordering::Relaxed)),
                }
            }
        };
        thread::scope(|threads| {
            for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
                threads.spawn(work);
            }
        });
        all.push((how, struck.into_inner().unwrap()));
    }
    all
}

/// What was struck and how often the run ended well all the same, by the file and the call.
fn table(struck: &[Struck]) -> BTreeMap<String, (u32, u32)> {
    let mut table = BTreeMap::new();
    for Struck { what, exit, .. } in struck {
        let what = what.split_once(' ').map_or(what.as_str(), |(_, what)| what);
        let (all, well): &mut (u32, u32) = table.entry(what.to_owned()).or_default();
        *all += 1;
        *well += u32::from(*exit == 0);
    }
    table
}

#[test]
#[expect(clippy::print_stdout, reason = "`--nocapture` shows what was tried")]
fn a_run_that_is_killed_at_any_call_loses_nothing_and_pays_for_nothing_twice() {
    for (how, struck) in every(&[How::KillBefore, How::KillAfter]) {
        let in_flight: usize = struck.iter().map(|struck| struck.in_flight).sum();
        println!("{how:?}: {} points  lost 0  bought again 0  in flight at kills {in_flight}", struck.len());
        assert!(struck.is_empty() || struck.len() as u64 >= 100 / STRIDE, "hardly a call was seen");
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "`--nocapture` shows what was tried")]
fn a_run_whose_disk_fails_at_any_call_says_so_and_loses_nothing() {
    let errors = [How::Once("EIO"), How::Ever("EIO"), How::Once("ENOSPC"), How::Ever("ENOSPC")];
    for (how, struck) in every(&errors) {
        let well = struck.iter().filter(|struck| struck.exit == 0).count();
        println!(
            "{how:?}: {} points  lost 0  ended with an error {}  well {well}  calls failed before the end at most {}",
            struck.len(),
            struck.len() - well,
            struck.iter().map(|struck| struck.failed).max().unwrap_or(0)
        );
        for (what, (all, well)) in table(&struck) {
            println!("    {what}: {all}, {well} of them harmless");
        }
    }
}

/// `SORTIE_POINT=kill-before:17` is one point alone.
#[test]
#[expect(clippy::print_stdout, reason = "`--nocapture` shows what was tried")]
fn one_point() {
    let Some(point) = asked("SORTIE_POINT") else { return };
    let (how, at) = point.split_once(':').unwrap();
    let how = match how {
        "kill-before" => How::KillBefore,
        "kill-after" => How::KillAfter,
        "EIO" => How::Once("EIO"),
        "EIO+" => How::Ever("EIO"),
        "ENOSPC" => How::Once("ENOSPC"),
        "ENOSPC+" => How::Ever("ENOSPC"),
        other => panic!("no such fault: {other}"),
    };
    let met = meet(Fault { how, at: at.parse().unwrap() }, &undisturbed());
    println!(
        "{}",
        met.map_or("not so many calls".to_owned(), |met| format!("{}: exit {}", met.what, met.exit))
    );
}
