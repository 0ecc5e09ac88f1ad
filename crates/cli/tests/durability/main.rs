//! What the journal promises, held against processes that die at any call, disks that fail at any call,
//! power that goes at any moment, and bits that flip. The simulator lives in a process of its own and keeps
//! a ledger, which says what was sent and billed.
//!
//! Every proof has a short form, which is a sample of the long one: `SORTIE_PROOFS=long` asks for that. Each
//! prints what it tried; where one fails, it prints the command that repeats just that.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by where it panics")]

mod flips;
mod journal;
mod kill;
mod points;
mod power;
mod rivals;
mod shim;
#[expect(dead_code, unused_imports, reason = "the tests of `cli` use the rest of it")]
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sortie::core::money::Usd;

/// An environment variable of whoever runs the tests.
#[expect(clippy::disallowed_methods, reason = "whoever repeats a failure says which")]
fn asked(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Whether the whole of each proof is asked for.
fn is_long() -> bool {
    asked("SORTIE_PROOFS").is_some_and(|form| form == "long")
}

/// Where files are only in memory, so that syncs cost nothing; else where temporary files are.
fn memory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

/// `SplitMix64`, from its authors' reference implementation.
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// The results that a run has, by task.
fn results(document: &Value) -> BTreeMap<String, String> {
    let tasks = document["task_results"].as_object().unwrap();
    let done = tasks.iter().filter(|(_, task)| task["success"] == true);
    done.map(|(name, task)| (name.clone(), task["result"].as_str().unwrap().to_owned())).collect()
}

fn usd(amount: &Value) -> Usd {
    amount.to_string().parse().unwrap()
}

/// Says how a failure is repeated, where it is dropped by one: the environment, and the test's name.
struct Repeat(String, &'static str);

impl Drop for Repeat {
    #[expect(clippy::print_stdout, reason = "a failure says how it is repeated")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!(
                "repeat it: {} cargo test -p sortie-cli --test durability {} -- --nocapture",
                self.0, self.1
            );
        }
    }
}
