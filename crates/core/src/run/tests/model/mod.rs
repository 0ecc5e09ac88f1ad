//! The run against a small [`reference`], operation by operation.
//!
//! A case is a seed for its plan and settings, and a list of operations, each of which means something in every
//! state: so any of them can be left out, and what fails is made small before it is shown.
//!
//! Rates and the health of providers are left to the random worlds beside this one: no two failures in a row are of the
//! kind that speaks of an outage, and there are never so many retries that their quota would hold one back.

mod play;
mod reference;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use self::play::Play;
use super::number;
use super::random::Rng;
use crate::money::Usd;
use crate::run::faults::{self, Fault};

/// Cases that `cargo test` tries; more by `SORTIE_RUNS=N`.
const CASES: u64 = 10_000;
/// Operations of a case, at most.
const OPERATIONS: u64 = 60;
/// Tasks of a plan, at most.
const TASKS: u64 = 9;
/// The wait before a task's first retry.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// Whole dollars.
fn whole(amount: Usd) -> u64 {
    amount.pico() / dollars(1).pico()
}

fn dollars(n: u64) -> Usd {
    Usd::from_f64(n as f64).unwrap()
}

/// What happens to a run. Which task, how much or how many is picked by a number, of what there is then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    /// An attempt that is in flight is answered.
    Succeed(u64),
    /// An attempt that is in flight fails.
    Fail(u64),
    /// The next moment at which a retry is due.
    Wake,
    /// The user asks to stop.
    Cancel,
    Pause,
    Unpause,
    /// So many attempts at a time, less one.
    Concurrency(u64),
    /// The process dies, and another one goes on.
    Crash,
    /// The same, with so much more money.
    Raise(u64),
    /// The same, and failed tasks are tried again.
    Reopen,
}

/// How an attempt came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// With an answer that costs so much.
    Back(u64),
    /// Refused for what it asks.
    Refused,
    /// From a provider that has no room now.
    Overloaded,
    /// With a part of an answer, by estimate worth so much.
    Cut(u64),
    /// With an answer that costs so much and is not what it has to be.
    Wrong(u64),
    /// Refused for want of money at the provider.
    Unpaid,
}

impl Operation {
    fn drawn(rng: &mut Rng) -> Self {
        let number = rng.below(1_000);
        match rng.below(100) {
            0..=44 => Operation::Succeed(number),
            45..=64 => Operation::Fail(number),
            65..=81 => Operation::Wake,
            82..=83 => Operation::Cancel,
            84..=85 => Operation::Pause,
            86..=87 => Operation::Unpause,
            88..=89 => Operation::Concurrency(number),
            90..=94 => Operation::Crash,
            95..=96 => Operation::Raise(number),
            _ => Operation::Reopen,
        }
    }

    /// The same with a smaller number, where it has one.
    fn smaller(self) -> Self {
        match self {
            Operation::Succeed(_) => Operation::Succeed(0),
            Operation::Fail(_) => Operation::Fail(0),
            Operation::Concurrency(_) => Operation::Concurrency(0),
            Operation::Raise(_) => Operation::Raise(0),
            other => other,
        }
    }
}

#[derive(Clone, Debug)]
struct Case {
    seed: u64,
    /// How many of the seed's tasks there are.
    tasks: u64,
    operations: Vec<Operation>,
}

impl Case {
    fn drawn(seed: u64) -> Self {
        let rng = &mut Rng::new(seed);
        let tasks = rng.range(1, TASKS);
        let operations = (0..rng.range(1, OPERATIONS)).map(|_| Operation::drawn(rng)).collect();
        Case { seed, tasks, operations }
    }

    /// What is wrong, in a sentence.
    fn violation(&self) -> Option<String> {
        let played = catch_unwind(AssertUnwindSafe(|| {
            let mut play = Play::new(self.seed, self.tasks)?;
            self.operations.iter().enumerate().try_for_each(|(index, operation)| {
                play.does(*operation).map_err(|why| format!("operation {index}, {operation:?}: {why}"))
            })
        }));
        played.unwrap_or_else(|_| Err("the run panicked".to_owned())).err()
    }

    /// A case that fails and of which nothing can be left out.
    fn small(mut self) -> Self {
        loop {
            let Some(smaller) = self.smaller().find(|case| case.violation().is_some()) else { return self };
            self = smaller;
        }
    }

    /// The same without half of its operations, a quarter, and so on, with fewer tasks or smaller numbers.
    fn smaller(&self) -> impl Iterator<Item = Case> {
        let len = self.operations.len();
        let sizes = std::iter::successors(Some(len.div_ceil(2)), |size| (*size > 1).then(|| size / 2));
        let cuts = sizes
            .filter(|size| *size > 0)
            .flat_map(move |size| (0..len).step_by(size).map(move |from| from..len.min(from + size)));
        let without = cuts.map(|cut| {
            let mut operations = self.operations.clone();
            operations.drain(cut);
            Case { operations, ..self.clone() }
        });
        let fewer = (1..self.tasks).map(|tasks| Case { tasks, ..self.clone() });
        let simpler = (0..len).filter(|&at| self.operations[at].smaller() != self.operations[at]).map(|at| {
            let mut operations = self.operations.clone();
            operations[at] = operations[at].smaller();
            Case { operations, ..self.clone() }
        });
        without.chain(fewer).chain(simpler)
    }
}

/// Whatever is done without a word of the panics that are looked for.
fn silently<T>(does: impl FnOnce() -> T) -> T {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let done = does();
    std::panic::set_hook(hook);
    done
}

#[test]
#[expect(clippy::print_stdout, reason = "shown with --nocapture: how much was tried")]
fn the_run_is_what_a_small_reference_makes_of_the_same_operations() {
    let seeds = match number("SORTIE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SORTIE_RUNS").unwrap_or(CASES),
    };
    let mut operations = 0;
    for seed in seeds.clone() {
        let case = Case::drawn(seed);
        operations += case.operations.len();
        if case.violation().is_some() {
            let small = silently(|| case.small());
            panic!(
                "seed {seed}: {}\n  smallest: {small:?}\n  of {}\n  again: SORTIE_SEED={seed} cargo test -p sortie-core \
                 small_reference",
                small.violation().unwrap_or_default(),
                play::told(&Play::plan_of(seed, small.tasks))
            );
        }
    }
    println!("{} cases of {operations} operations", seeds.end - seeds.start);
}

/// Faults that the reference has to see; the others are of what it does not have.
const SEEN: [Fault; 18] = [
    Fault::ReservationForgotten,
    Fault::LostIsFree,
    Fault::SettleForgotten,
    Fault::CancelOutsideApply,
    Fault::DependencyIgnored,
    Fault::FailureUntold,
    Fault::FailuresUncounted,
    Fault::SkipsStopShort,
    Fault::SkipsTooMuch,
    Fault::RetryTooEarly,
    Fault::WakeUpLost,
    Fault::RetriesUnbounded,
    Fault::CorrectionsUnbounded,
    Fault::TaskLimitIgnored,
    Fault::StoppedAccountServed,
    Fault::PauseIgnored,
    Fault::FailuresKept,
    Fault::ReadyAnyway,
];

#[test]
#[expect(clippy::print_stdout, reason = "shown with --nocapture: what each fault was made small to")]
fn planted_faults_are_seen_and_made_small() {
    let missed = silently(|| {
        let missed = SEEN.into_iter().filter(|&fault| {
            faults::plant(Some(fault));
            let found = (0..CASES).map(Case::drawn).find(|case| case.violation().is_some());
            let small = found.map(Case::small);
            if let Some(case) = &small {
                println!("{fault:?}: {case:?}: {}", case.violation().unwrap_or_default());
            }
            // The longest way to any of them is a failure, its retry, and what comes of that.
            small.is_none_or(|case| case.operations.len() > 8)
        });
        missed.collect::<Vec<_>>()
    });
    faults::plant(None);
    assert_eq!(missed, []);
}
