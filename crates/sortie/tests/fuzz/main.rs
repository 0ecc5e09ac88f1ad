//! Everything that reads bytes from outside, fed with broken ones: no panic, no hang, no hoarding.
//!
//! A target is a function of bytes, with seeds that it understands ([`targets`]); what it is fed is
//! mutated from those ([`mutation`]). `cargo test` feeds each a few thousand, `SORTIE_FUZZ=N` as
//! many as it says, and with those the time and the memory of each are bounded:
//!
//! ```text
//! SORTIE_FUZZ=1500000 cargo test --release -p sortie --test fuzz -- --nocapture
//! ```
//!
//! An input that made one panic belongs into `found/` as `TARGET--what-it-is`, and is tried from then
//! on. Not covered are sockets, whose client has tests of its own.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]
#![expect(clippy::print_stdout, reason = "whoever asks for a long run wants its figures")]

mod mutation;
mod seeds;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;

use mutation::Mutation;
use targets::Target;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// One target at a time: memory is counted for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

/// How many inputs a target is fed unless `SORTIE_FUZZ` says otherwise.
const SHORT: u64 = 8_000;

/// The longest that one input may take, where the code is optimised: what is read slower holds up
/// the calls beside it.
const SLOWEST: Duration = Duration::from_millis(100);

/// The same where the disk has a part in it.
const SLOWEST_ON_DISK: Duration = Duration::from_secs(2);

/// Bytes of memory that each byte of an input may take, 1 MiB apart: what is read takes little more
/// than its text.
const BYTES_PER_BYTE: usize = 10;

/// What the inputs of a target came to.
#[derive(Debug, Default)]
struct Figures {
    executions: u64,
    slowest: (Duration, usize),
    greediest: (usize, usize),
}

/// Feeds a target: what was found before, its seeds, and mutations of these.
fn feed(name: &str) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let target = targets::ALL.iter().find(|target| target.name == name).unwrap();
    let asked = asked_for();
    let executions = asked.unwrap_or(SHORT) / target.weight;
    let seed = std::process::id().into();
    let seeds = (target.seeds)();
    let mut figures = Figures::default();
    for input in found(name).iter().chain(&seeds) {
        try_one(target, input, seed, &mut figures);
    }
    let mut mutation = Mutation::new(&seeds, seed);
    while figures.executions < executions {
        let input = mutation.next();
        try_one(target, &input, seed, &mut figures);
    }
    let (slowest, greediest) = (figures.slowest, figures.greediest);
    println!(
        "{name}: {} executions, slowest {:?} for {} bytes, most memory {} for {} bytes",
        figures.executions, slowest.0, slowest.1, greediest.0, greediest.1
    );
}

/// How often an input is tried that seems slow: a busy machine is no verdict.
const TRIES: usize = 5;

/// How long the target takes for this input; nothing where it panics.
#[expect(clippy::disallowed_methods, reason = "time is what is measured")]
fn time_of(target: &Target, input: &[u8]) -> Option<Duration> {
    let start = Instant::now();
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).ok()?;
    Some(start.elapsed())
}

fn try_one(target: &Target, input: &[u8], seed: u64, figures: &mut Figures) {
    // Time and memory say something where nothing else runs beside it, and the code is optimised.
    let is_measured = asked_for().is_some();
    let slowest = if target.weight > 1 { SLOWEST_ON_DISK } else { SLOWEST };
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let mut took = time_of(target, input);
    let memory = MEMORY.peak_usage().saturating_sub(before);
    for _ in 1..TRIES {
        if is_measured && took.is_some_and(|took| took > slowest) {
            took = took.min(time_of(target, input));
        }
    }
    figures.executions += 1;
    figures.slowest = figures.slowest.max((took.unwrap_or_default(), input.len()));
    figures.greediest = figures.greediest.max((memory, input.len()));
    let what = match took {
        None => "panicked".to_owned(),
        Some(took) if is_measured && took > slowest => format!("took {took:?}"),
        Some(_) if is_measured && memory > BYTES_PER_BYTE * input.len() + (1 << 20) => {
            format!("took {memory} bytes of memory")
        }
        Some(_) => return,
    };
    let kept = std::env::temp_dir().join(format!("{}--{}", target.name, figures.executions));
    std::fs::write(&kept, input).unwrap();
    panic!("{} {what} (seed {seed}); its input is in {}", target.name, kept.display());
}

#[expect(clippy::disallowed_methods, reason = "who runs the test says how long it may take")]
fn asked_for() -> Option<u64> {
    Some(std::env::var("SORTIE_FUZZ").ok()?.parse().expect("SORTIE_FUZZ is a number of executions"))
}

/// Inputs that once broke this target.
fn found(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/found");
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let ours =
        paths.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&format!("{name}--")));
    ours.map(|path| std::fs::read(path).unwrap()).collect()
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                feed(stringify!($name));
            }
        )*

        #[test]
        fn every_target_is_fed() {
            assert_eq!(targets::ALL.iter().map(|target| target.name).collect::<Vec<_>>(), [$(stringify!($name)),*]);
        }
    };
}

targets! { replies requests headers records journals plans configurations scenarios prompts recordings controls }
