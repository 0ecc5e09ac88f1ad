//! A run of 200 tasks that is killed a hundred times (in the long form: of 500, a thousand times), and what its
//! provider billed for it.
//!
//! The simulator lives in a process of its own and keeps a ledger. After each kill that ledger is
//! held against the run's journal: what the journal has is never lost and never bought again, and
//! what it does not have was in flight. Nothing here looks into the journal's file; it is shown by
//! `sortie show`, as a user would see it.
//!
//! The seed decides the plan and when kills are due. Processes take their own time, so the same seed
//! gives the same plan and about the same kills, not the very same interleaving.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;
use sortie::core::money::Usd;
use sortie::sim::ledger::Entry;

use crate::support::{Sandbox, Simulator, until};
use crate::{Random, Repeat, asked, is_long, results, usd};

/// How much is done.
#[derive(Clone, Copy)]
struct Form {
    tasks: u32,
    kills: u32,
    max_concurrent: usize,
    /// About how many tasks are to be done when the last kill comes.
    by_the_last_kill: u32,
}

const SHORT: Form = Form { tasks: 200, kills: 100, max_concurrent: 4, by_the_last_kill: 160 };
const LONG: Form = Form { tasks: 500, kills: 1_000, max_concurrent: 16, by_the_last_kill: 440 };

/// Within so many kills a task has to be done: a loop in which everything fails would lose nothing, either.
const MOST_WITHOUT_PROGRESS: u32 = 20;

/// The longest that a kill waits after it is due, in looks of a few milliseconds: beyond the longest
/// call, so that kills fall into every part of it.
const LOOKS: u64 = 25;

fn seed() -> u64 {
    asked("SORTIE_SEED").and_then(|seed| seed.parse().ok()).unwrap_or(20_251_114)
}

fn name(task: u32) -> String {
    format!("t{task:03}")
}

/// Small tasks of 30 to 150 ms, each using up to two that come before it.
fn plan(tasks: u32, random: &mut Random) -> String {
    let mut plan = String::from("name: killed\ntasks:\n");
    for task in 0..tasks {
        let on: BTreeSet<u32> = (0..random.below(3))
            .filter(|_| task > 0)
            .map(|_| task - 1 - random.below(u64::from(task.min(30))) as u32)
            .collect();
        let latency = 30 + random.below(121);
        let name_of = |&on: &u32| name(on);
        let list: Vec<String> = on.iter().map(name_of).collect();
        let uses: String = list.iter().fold(String::new(), |uses, on| uses + " {{ results." + on + " }}");
        let _ = writeln!(
            plan,
            "  - id: {id}\n    depends_on: [{list}]\n    max_tokens: 64\n    prompt: 'Task {id}.{uses} [[sim latency=0.{latency:03}]]'",
            id = name(task),
            list = list.join(", "),
        );
    }
    plan
}

/// The task that a generation was for.
fn task_of(entry: &Entry) -> String {
    entry.prompt.strip_prefix("Task ").and_then(|rest| rest.get(..4)).unwrap_or(&entry.prompt).to_owned()
}

/// What the loop has seen so far.
#[derive(Default)]
struct Seen {
    /// What the journal had after the last kill.
    results: BTreeMap<String, String>,
    /// Generations until then.
    generations: usize,
    /// Generations that a kill made worthless.
    in_flight: usize,
    /// What those were billed.
    in_doubt: Usd,
    /// Kills after which the journal had more than after the one before.
    advances: u32,
    /// Kills since then, and the most that there were.
    since: u32,
    longest: u32,
}

impl Seen {
    /// Holds what a session did, until it was killed, to the journal and the ledger.
    fn check(&mut self, form: Form, kill: u32, ledger: &[Entry], shown: &Value) {
        let now = results(shown);
        for (task, result) in &self.results {
            assert_eq!(now.get(task), Some(result), "kill {kill}: {task} had its result and has lost it");
        }
        let session = &ledger[self.generations..];
        let mut called = BTreeSet::new();
        for entry in session {
            let task = task_of(entry);
            assert!(!self.results.contains_key(&task), "kill {kill}: {task} was bought again: {entry:?}");
            assert!(called.insert(task), "kill {kill}: called twice by one session: {entry:?}");
        }
        // A session that has called has counted before what was in flight when the last one died, at all
        // that was reserved for it, and so at no less than its bill.
        let at_risk = usd(&shown["cost"]["at_risk"]);
        assert!(
            session.is_empty() || self.in_doubt <= at_risk,
            "kill {kill}: {:?} were billed in flight, {at_risk:?} counts",
            self.in_doubt
        );
        let is_lost = |entry: &&Entry| !now.contains_key(&task_of(entry));
        self.in_doubt += session.iter().filter(is_lost).map(|entry| entry.cost_picodollars).sum();
        let in_flight = called.iter().filter(|task| !now.contains_key(*task)).count();
        assert!(
            in_flight <= form.max_concurrent,
            "kill {kill}: {in_flight} calls were for nothing: {session:?}"
        );
        self.in_flight += in_flight;
        let advanced = now.len() > self.results.len();
        self.advances += u32::from(advanced);
        self.since = if advanced { 0 } else { self.since + 1 };
        self.longest = self.longest.max(self.since);
        (self.generations, self.results) = (ledger.len(), now);
    }
}

#[test]
fn a_run_that_is_killed_again_and_again_loses_nothing_and_pays_for_nothing_twice() {
    let (seed, form) = (seed(), if is_long() { LONG } else { SHORT });
    let _repeat = Repeat(format!("SORTIE_SEED={seed}"), "kill::");
    let mut random = Random(seed);
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", plan(form.tasks, &mut random));
    let mut seen = Seen::default();
    for kill in 0..form.kills {
        let begin = format!("run plan.yaml --run-id killed --quiet --max-concurrent {}", form.max_concurrent);
        let mut running = sandbox.start(if kill == 0 { &begin } else { "resume killed --quiet" });
        let (starts, mut looks) = due(form, kill, &seen, &mut random);
        let mut looks_for_calls = 0;
        until("the session has called", || {
            looks_for_calls += 1;
            let calls = simulator.stats().generations as usize - seen.generations;
            if !running.is_running() || looks_for_calls == 2_000 {
                let log = sandbox.read("results/killed/production.log");
                let last: Vec<&str> = log.lines().rev().take(40).collect();
                panic!(
                    "kill {kill}: {calls} of {starts} calls, {} done\n{}\n{}",
                    seen.results.len(),
                    running.stderr(),
                    last.join("\n")
                );
            }
            (calls >= starts).then_some(())
        });
        until("the kill is due", || {
            looks = looks.saturating_sub(1);
            (looks == 0).then_some(())
        });
        running.kill();
        // The simulator bills what it had generated once it hears that the client has gone.
        until("the simulator has noticed", || (simulator.stats().in_flight == 0).then_some(()));
        let shown = sandbox.sortie("show killed --json").exits(0).json();
        seen.check(form, kill, &simulator.ledger(), &shown);
    }
    let done = seen.results.len() as u32;
    assert!(done < form.tasks, "the run ended before its last kill");
    assert!(done >= form.by_the_last_kill / 2 && seen.advances >= form.kills / 20, "{done} done");
    assert!(seen.longest <= MOST_WITHOUT_PROGRESS, "{} kills without progress", seen.longest);
    finish(form, &sandbox, &simulator, &mut seen);
}

/// When a session is killed: once so many calls have begun, after so many looks more.
fn due(form: Form, kill: u32, seen: &Seen, random: &mut Random) -> (usize, u64) {
    // Ahead of this pace, sessions are killed as soon as they begin, some before their first call:
    // the last kill has to find work to do, on however slow a machine.
    let is_ahead = seen.results.len() as u32 * form.kills > (kill + 1) * form.by_the_last_kill;
    let looks = random.below(LOOKS);
    match (kill, is_ahead) {
        (0, _) => (1, looks),
        // One more than at a time: so many begin only where one has ended. It is killed at once, so that few
        // end with that one.
        _ if seen.since >= MOST_WITHOUT_PROGRESS - 5 => (form.max_concurrent + 1, 0),
        (_, true) => (random.below(2) as usize, 0),
        (_, false) => (random.below(3 * form.max_concurrent.min(6) as u64) as usize, looks),
    }
}

/// Lets the run come to its end, and holds the whole of it against the ledger.
#[expect(clippy::print_stdout, reason = "`--nocapture` shows the table")]
fn finish(form: Form, sandbox: &Sandbox, simulator: &Simulator, seen: &mut Seen) {
    let before = seen.results.len();
    let document = sandbox.sortie("resume killed --quiet --json").exits(0).json();
    let stats = simulator.stats();
    println!(
        "kills {}  tasks {}  lost 0  generations {}  repeats {}  in flight at kills {}  sessions that advanced {}  most kills without progress {}  results before the last {before}",
        form.kills, form.tasks, stats.generations, stats.repeats, seen.in_flight, seen.advances, seen.longest,
    );
    assert_eq!(results(&document).len(), form.tasks as usize);
    let in_flight = seen.in_flight;
    seen.check(form, form.kills, &simulator.ledger(), &document);
    assert_eq!(seen.in_flight, in_flight, "a session that ends by itself throws nothing away");
    // Each task was bought once, and once more for each time that it was in flight at a kill.
    assert_eq!(seen.generations, form.tasks as usize + seen.in_flight);
    assert!(stats.repeats as usize <= seen.in_flight, "{} repeats", stats.repeats);
    check_money(&document, simulator);
}

/// What the run says it cost is what was billed for the answers that it has, and what it calls at
/// risk covers the rest of the bill.
fn check_money(document: &Value, simulator: &Simulator) {
    let last: BTreeMap<String, Usd> =
        simulator.ledger().iter().map(|entry| (task_of(entry), entry.cost_picodollars)).collect();
    let known = usd(&document["total_cost"]);
    assert_eq!(known, last.values().copied().sum());
    let billed: Usd = simulator.stats().cost_usd_exact.parse().unwrap();
    let risk = usd(&document["cost"]["at_risk"]);
    assert!(known <= billed && billed <= known + risk, "{known:?} <= {billed:?} <= {known:?} + {risk:?}");
}
