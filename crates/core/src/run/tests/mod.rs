//! Random plans × limits × faults × crashes, and proof that these tests can fail.

mod budgets;
mod controls;
mod failures;
mod fallback;
mod model;
mod named;
mod outage;
mod random;
mod recalled;
mod recovered;
mod throttled;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::world::World;
use super::event::Outcome;
use super::faults::{self, Fault};

/// How many random runs `cargo test` drives; the whole proof is `SORTIE_RUNS=100000`.
const RUNS: u64 = 10_000;

/// Drives the run of a seed to its end.
fn drive(seed: u64) -> Result<World, String> {
    let mut world = World::new(seed);
    // An illegal transition is caught by an assertion inside the step.
    let lived = catch_unwind(AssertUnwindSafe(|| world.live()));
    match lived {
        Ok(lived) => lived.map(|()| world),
        Err(_) => Err("the run panicked".to_owned()),
    }
}

/// The seeds that are tried: the one that the environment names, to repeat a failure, or as many as it says.
fn seeds() -> std::ops::Range<u64> {
    match number("SORTIE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SORTIE_RUNS").unwrap_or(RUNS),
    }
}

#[expect(clippy::disallowed_methods, reason = "who runs the test says what to try and how often")]
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
#[expect(clippy::print_stdout, reason = "shown with --nocapture: how much was tried")]
fn ten_thousand_random_runs_hold_every_invariant() {
    let (mut steps, mut crashes, mut records, mut completed) = (0, 0, 0, 0u64);
    let (mut rerouted, mut reopened, mut changed, mut recovered) = (0, 0, 0, 0);
    for seed in seeds() {
        match drive(seed) {
            Ok(world) => {
                steps += world.steps;
                crashes += world.crashes;
                rerouted += world.rerouted;
                reopened += world.reopened;
                changed += world.changed;
                recovered += world.recovered;
                records += world.journal.len();
                completed += u64::from(world.outcome == Some(Outcome::Completed));
            }
            Err(violation) => panic!(
                "seed {seed}: {violation}\n  again: SORTIE_SEED={seed} cargo test -p sortie-core ten_thousand"
            ),
        }
    }
    // A run that only ever fails proves little.
    assert!(recovered > 0 || seeds().count() == 1, "no lost attempt was found");
    assert!(changed > 0 || seeds().count() == 1, "no plan was changed");
    assert!(reopened > 0 || seeds().count() == 1, "no failed task was tried again");
    assert!(completed > 0 || seeds().count() == 1, "no run came to its end");
    println!("{steps} steps, {records} records, {crashes} crashes, {completed} runs completed");
    println!(
        "{rerouted} calls went to a fallback, failed tasks were tried again {reopened} times, plans changed {changed} times, {recovered} lost attempts were found"
    );
}

#[test]
fn every_planted_fault_is_caught() {
    let silent = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let missed: Vec<Fault> = Fault::ALL.into_iter().filter(|&fault| !is_caught(fault)).collect();
    faults::plant(None);
    std::panic::set_hook(silent);
    assert_eq!(missed, []);
}

#[expect(clippy::print_stdout, reason = "shown with --nocapture: what caught the fault")]
fn is_caught(fault: Fault) -> bool {
    faults::plant(Some(fault));
    let caught_by = (0..RUNS).find_map(|seed| Some((seed, drive(seed).err()?)));
    if let Some((seed, violation)) = &caught_by {
        println!("{fault:?} is caught by seed {seed}: {violation}");
    }
    caught_by.is_some()
}

#[test]
fn the_same_seed_gives_the_same_journal() {
    for seed in 0..1_000 {
        let journal = || drive(seed).map(|world| world.journal);
        assert_eq!(journal(), journal(), "seed {seed}");
    }
}
