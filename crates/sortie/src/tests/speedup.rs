//! A measured speedup lies as near to the true one as its interval says.
//!
//! Each plan is run many times in the founding document's world, one after the other and side by side; the true speedup
//! is what all those runs come to together, and it has to lie in so many of a hundred of the intervals.

use std::fmt::Write;
use std::ops::RangeInclusive;
use std::sync::Arc;

use sortie_core::chance::Chance;
use sortie_core::hash::Hash;
use sortie_core::plan::written::TaskFile;
use sortie_core::run::input::Mode;
use sortie_engine::store::Header;
use sortie_engine::store::memory::MemoryStore;
use sortie_report::fold::Fold;
use sortie_sim::Scenario;

use super::draw::header;
use super::number;
use super::world::{Hardship, Lived, live};
use crate::foresight::{Foresight, Past};
use crate::trial::speedup::interval;

/// Pairs of runs of each plan that `cargo test` judges by, and that make the truth.
const SHORT: u64 = 8;
/// Of a hundred intervals, how many have the truth in them; of a few it may be fewer by chance.
const RIGHT: RangeInclusive<f64> = 88.0..=99.0;
const RIGHT_OF_FEW: f64 = 80.0;

/// What is tried.
struct Tried {
    name: &'static str,
    limits: &'static str,
    tasks: usize,
    /// What each task depends on.
    before: fn(usize) -> Vec<usize>,
}

const PLANS: [Tried; 3] = [
    Tried {
        name: "independent",
        limits: "requests_per_minute: 50, max_concurrent: 10",
        tasks: 10,
        before: |_| Vec::new(),
    },
    Tried {
        name: "held by concurrency",
        limits: "requests_per_minute: 50, max_concurrent: 3",
        tasks: 20,
        before: |_| Vec::new(),
    },
    Tried {
        name: "layers",
        limits: "max_concurrent: 10",
        tasks: 20,
        before: |n| if n < 5 { Vec::new() } else { vec![n - 5, (n - 5) / 5 * 5] },
    },
];

fn planned(plan: usize, mode: Mode, seed: u64) -> Header {
    let Tried { limits, tasks, before, .. } = PLANS[plan];
    let task = |index: usize| {
        let mut on: Vec<String> = before(index).iter().map(|on| format!("t{on}")).collect();
        on.dedup();
        TaskFile {
            id: format!("t{index}"),
            prompt: format!("Explain thing {index}."),
            task_type: Some(["analysis", "coding"][index % 2].to_owned()),
            depends_on: Some(on.into_iter().map(Into::into).collect()),
            ..TaskFile::default()
        }
    };
    let config = format!("agents: {{ claude: {{}} }}\nrate_limiting: {{ {limits} }}");
    let scenario = Scenario::text_of("seed").unwrap();
    let mut header = header(&config, (0..tasks).map(task).collect(), scenario, seed);
    Arc::make_mut(&mut header.settings).mode = mode;
    header
}

async fn ran(header: Header) -> Fold {
    let life = &mut Chance::new(0, &Hash::of(b"speedup"), "life");
    let Lived { fold, .. } = live(header, Hardship::default(), life).await.unwrap();
    fold
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "shown with --nocapture: the figures")]
async fn ninety_five_of_a_hundred_intervals_have_the_true_speedup_in_them() {
    let pairs = number("SORTIE_RUNS").unwrap_or(SHORT);
    let (mut right, mut tried) = (0, 0);
    let mut told = String::new();
    for (plan, Tried { name, .. }) in PLANS.iter().enumerate() {
        let foresight =
            Foresight::of(&planned(plan, Mode::Parallel, 0), Past::<MemoryStore>::nothing()).await.unwrap();
        let mut halves = Vec::new();
        for seed in 0..pairs {
            let serial = ran(planned(plan, Mode::Serial, 2 * seed)).await;
            halves.push((serial, ran(planned(plan, Mode::Parallel, 2 * seed + 1)).await));
        }
        let took = |fold: &Fold| fold.elapsed(fold.last_time()).as_secs_f64();
        let sum = |of: fn(&(Fold, Fold)) -> &Fold| halves.iter().map(|pair| took(of(pair))).sum::<f64>();
        let truth = sum(|(serial, _)| serial) / sum(|(_, parallel)| parallel);
        let mut widths = 0.0;
        let mut here = 0;
        for (seed, (serial, parallel)) in (0..).zip(&halves) {
            let (low, high) = interval(serial, parallel, &foresight.settings, &foresight.laws, seed).unwrap();
            here += u32::from((low..=high).contains(&truth));
            widths += high - low;
        }
        let width = widths / halves.len() as f64;
        let _ = writeln!(told, "{name}: truth {truth:.3}x, {here} of {pairs} right, {width:.2}x wide");
        right += here;
        tried += halves.len();
    }
    let share = 100.0 * f64::from(right) / tried as f64;
    println!("{told}{share:.1} % of {tried}");
    let least = if pairs > SHORT { *RIGHT.start() } else { RIGHT_OF_FEW };
    assert!((least..).contains(&share), "{told}");
    assert!(pairs == SHORT || RIGHT.contains(&share), "{told}");
}

#[tokio::test]
async fn the_same_seed_gives_the_same_interval_and_few_tasks_none() {
    let header = planned(0, Mode::Parallel, 1);
    let foresight = Foresight::of(&header, Past::<MemoryStore>::nothing()).await.unwrap();
    let (serial, parallel) = (ran(planned(0, Mode::Serial, 2)).await, ran(header.clone()).await);
    let of = |serial: &Fold, seed| interval(serial, &parallel, &foresight.settings, &foresight.laws, seed);
    let found = of(&serial, 1).unwrap();
    assert_eq!(of(&serial, 1), Some(found));
    assert_ne!(of(&serial, 2), Some(found));
    assert!(found.0 < found.1, "{found:?}");
    let none = Fold::new(crate::session::view(&header));
    assert_eq!(of(&none, 1), None);
}
