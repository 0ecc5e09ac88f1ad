//! Proofs over whole runs: the product's own configuration, plan, driver, state machine and dialects, on
//! a virtual clock against the simulator, which keeps a ledger of what it billed.
//!
//! | file | for |
//! | --- | --- |
//! | `draw` | random configurations, plans and scenarios |
//! | `world` | a run between a provider that bills and a journal that crashes |
//! | `books` | what the world saw, held against every limit after every record |
//! | `chaos` | every fault at once and a kill each hundred tasks cost no task that can succeed |
//! | `repeat` | the same plan, scenario and seed give the same journal, byte by byte |
//! | `money` | no limit of money is ever passed |
//! | `ledger` | what is charged is what was billed, to the picodollar |
//! | `fallback` | an account that cannot serve costs no task that another can do |
//! | `speedup` | a measured speedup lies as near to the true one as its interval says |
//! | `suggest` | what a trial suggests does what it says |
//! | `waiting` | a budget that is large enough costs no time |
//! | `forecast` | forecasts come true |
//!
//! Each has a short form, which `cargo test` runs, and a long one behind `SORTIE_RUNS=N`. A failure
//! names its seed; `SORTIE_SEED=N` repeats it.

mod books;
mod chaos;
mod draw;
mod fallback;
mod forecast;
mod ledger;
mod money;
mod repeat;
mod speedup;
mod suggest;
mod waiting;
mod world;

use std::ops::Range;

/// The seeds that are tried: the one that the environment names, or as many as it says, else these.
fn seeds(unless_told: u64) -> Range<u64> {
    match (number("SORTIE_SEED"), number("SORTIE_RUNS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, runs) => 0..runs.unwrap_or(unless_told),
    }
}

#[expect(clippy::disallowed_methods, reason = "who runs the test says what to try and how often")]
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// The command that repeats a failure.
fn again(seed: u64, test: &str) -> String {
    format!("again: SORTIE_SEED={seed} cargo test -p sortie --lib {test} -- --nocapture")
}
