//! Power goes: the changes that a program made to its journal are recorded with its syncs, cut off anywhere,
//! and what was not synced is taken, torn or garbled (`disk.rs` has the model). What is left is opened by
//! the product's own code.
//!
//! That every sync is needed is shown by leaving out one kind after the other: then something is lost, or
//! it is said here why nothing can be.

mod disk;
mod program;

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use sortie::engine::store::sqlite::{Durability, SqliteStore};
use sortie::engine::store::{Store, StoreError};
use tempfile::TempDir;

use crate::journal::{header, output, records};
use crate::shim::{Fault, How, Shim};
use crate::{Random, Repeat, asked, is_long};
use disk::{Disk, Log, Op, Said, Sync};
use program::Size;

const RUNS: [&str; 2] = ["a", "b"];

/// Outputs are many and long: of so many records before the last one they are looked at.
const OUTPUTS_LOOKED_AT: u64 = 12;

fn in_memory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    TempDir::with_prefix_in("sortie-power-", place).unwrap()
}

/// The log of the program; the shim may carry a fault. None where there is no shim.
fn recorded(size: Size, with: impl Fn(Shim) -> Shim) -> Option<(Log, bool)> {
    let place = in_memory();
    let (dir, log) = (place.path().join("disk"), place.path().join("log"));
    fs::create_dir(&dir).unwrap();
    program::run(&dir, &log, size, || Shim::over(&dir).map(&with))?;
    let struck = Shim::over(&dir)?.struck().is_some();
    Some((Log::read(&fs::read(log).unwrap()), struck))
}

/// Opens what a power cut has left, by the product's own code, and holds it to what its program had said.
async fn check(dir: &Path, size: Size, disk: &Disk) -> Result<(), String> {
    let said = |doing: &str| {
        let doing = doing.to_owned();
        move |error: StoreError| format!("{doing}: {}", sortie::chain(&error))
    };
    let mut store = SqliteStore::open(&dir.join("results"), Durability::Synced).map_err(said("open"))?;
    for run in RUNS {
        let Said { has, tried } = disk.said(run);
        let (found, there) = match store.open(run).await {
            Err(StoreError::NoSuchRun(_)) if has.is_none() => continue,
            opened => opened.map_err(said(run))?,
        };
        let n = there.len() as u64;
        if found != header(run) || there != records(run, 1..=n) {
            return Err(format!("{run}: what is read was never written"));
        }
        if has != Some(n) && !tried.contains(&n) {
            return Err(format!("{run}: {n} records, when it had {has:?} and was to have {tried:?}"));
        }
        for seq in n.saturating_sub(OUTPUTS_LOOKED_AT)..=n {
            let Some((hash, text)) = output(run, seq, size.output_bytes()) else { continue };
            if seq > 0 && store.output(&hash).await.map_err(said(run))? != text {
                return Err(format!("{run}: another output than that of {seq}"));
            }
        }
        store.append(run, n, &records(run, n + 1..=n + 1), &[]).await.map_err(said("go on"))?;
        if store.read(run).await.map_err(said("go on"))?.1.len() as u64 != n + 1 {
            return Err(format!("{run}: it cannot go on"));
        }
    }
    Ok(())
}

/// A power cut: after which change, and what decides the rest.
#[derive(Clone, Copy)]
struct Cut {
    seed: u64,
    after: usize,
}

/// Tries these power cuts, as many at once as there are processors, and gives the losses by their seeds.
fn losses(
    log: &Log,
    size: Size,
    mut cuts: Vec<Cut>,
    sync: impl Fn(usize) -> Sync + Copy + Send,
) -> Vec<(u64, String)> {
    cuts.sort_by_key(|cut| cut.after);
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let found = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for cuts in cuts.chunks(cuts.len().div_ceil(threads).max(1)) {
            let found = &found;
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                let (mut disk, mut done, place) = (Disk::default(), 0, in_memory());
                for cut in cuts {
                    log.ops[done..cut.after].iter().for_each(|op| disk.apply(op, &sync));
                    done = cut.after;
                    let dir = place.path().join(cut.seed.to_string());
                    fs::create_dir(&dir).unwrap();
                    disk.crash(&mut Random(cut.seed), &dir);
                    let lost = runtime.block_on(check(&dir, size, &disk)).err();
                    found.lock().unwrap().extend(lost.map(|lost| (cut.seed, lost)));
                    fs::remove_dir_all(&dir).unwrap();
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap();
    found.sort();
    found
}

/// The power cut of this seed, after any of these changes.
fn cut(seed: u64, within: Range<usize>) -> Cut {
    let after = within.start + Random(seed ^ 0xc07).below((within.len() + 1) as u64) as usize;
    Cut { seed, after }
}

/// The seeds to try: the one that is asked for, or so many.
fn seeds(count: u64) -> Vec<u64> {
    match asked("SORTIE_SEED").and_then(|seed| seed.parse().ok()) {
        Some(seed) => vec![seed],
        None => (0..count).collect(),
    }
}

#[expect(clippy::print_stdout, reason = "`--nocapture` shows what was tried")]
fn check_power_cuts(size: Size, count: u64) {
    let Some((log, _)) = recorded(size, |shim| shim) else { return };
    let cuts: Vec<Cut> = seeds(count).into_iter().map(|seed| cut(seed, 0..log.ops.len())).collect();
    let syncs =
        log.ops.iter().filter(|op| matches!(op, Op::SyncFile { .. } | Op::SyncDirectory { .. })).count();
    println!("{size:?}: {} changes, {syncs} of them syncs: {} power cuts", log.ops.len(), cuts.len());
    let lost = losses(&log, size, cuts, |_| Sync::Made);
    let _repeat = lost.first().map(|(seed, _)| Repeat(format!("SORTIE_SEED={seed}"), "power::a_power_cut"));
    assert_eq!(lost, [], "{} of the power cuts lost something", lost.len());
    println!("{size:?}: lost 0  invented 0");
}

#[test]
fn a_power_cut_loses_nothing_that_was_durable_and_invents_nothing() {
    check_power_cuts(Size::Small, if is_long() { 20_000 } else { 600 });
}

#[test]
fn a_power_cut_about_the_checkpoints_of_sqlite_itself_loses_nothing() {
    check_power_cuts(Size::Large, if is_long() { 3_000 } else { 60 });
}

/// Power cuts that may show what a sync was for: half of them shortly after one that was left out, half
/// anywhere behind the first.
fn behind_a_sync(log: &Log, is_left_out: impl Fn(usize) -> bool, count: u64) -> Vec<Cut> {
    const SHORTLY: usize = 24;
    let is_left_out = |op: &Op| match op {
        Op::SyncFile { kind, .. } | Op::SyncDirectory { kind, .. } => is_left_out(*kind),
        _ => false,
    };
    let places: Vec<usize> = (0..log.ops.len()).filter(|&at| is_left_out(&log.ops[at])).collect();
    let end = log.ops.len();
    let cut_of = |seed: u64| {
        let place = places[Random(seed ^ 0x51ac).below(places.len() as u64) as usize];
        if seed.is_multiple_of(2) {
            cut(seed, place..(place + SHORTLY).min(end))
        } else {
            cut(seed, places[0]..end)
        }
    };
    (0..count).map(cut_of).collect()
}

/// How many power cuts lose something where these kinds of sync are left out, and what the first loses.
fn without(log: &Log, is_left_out: impl Fn(usize) -> bool + Copy + Send) -> (usize, Option<String>) {
    let count = if is_long() { 4_000 } else { 300 };
    let sync = move |kind| if is_left_out(kind) { Sync::Dropped } else { Sync::Made };
    let lost = losses(log, Size::Small, behind_a_sync(log, is_left_out, count), sync);
    (lost.len(), lost.into_iter().next().map(|(seed, lost)| format!("seed {seed}: {lost}")))
}

#[test]
#[expect(clippy::print_stdout, reason = "`--nocapture` shows the list")]
fn every_sync_is_needed_or_known_not_to_be() {
    let Some((log, _)) = recorded(Size::Small, |shim| shim) else { return };
    for (kind, name) in log.kinds.iter().enumerate() {
        println!("{name}: {:?}", without(&log, |other| other == kind));
    }
    for all in ["directory of results", "directory above", "sortie.db-journal", "sortie.db:", "sortie.db-wal"]
    {
        let log = &log;
        println!("all of {all}: {:?}", without(log, |kind| log.kinds[kind].starts_with(all)));
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "`--nocapture` shows what was tried")]
fn a_sync_that_failed_loses_nothing_that_was_durable() {
    let mut at = 1;
    loop {
        for how in [How::Once("EIO"), How::Ever("EIO")] {
            let Some((log, struck)) = recorded(Size::Small, |shim| shim.with(Fault { how, at }).only_syncs())
            else {
                return;
            };
            if !struck {
                return;
            }
            let cuts: Vec<Cut> = (0..100).map(|seed| cut(seed, 0..log.ops.len())).collect();
            let failed = log.ops.iter().find_map(|op| match op {
                Op::FailedSync { path, .. } => Some(path),
                _ => None,
            });
            let lost = losses(&log, Size::Small, cuts, |_| Sync::Made);
            println!("{how:?} {at} {failed:?} {}: {:?}", lost.len(), lost.first());
        }
        at += 1;
    }
}
