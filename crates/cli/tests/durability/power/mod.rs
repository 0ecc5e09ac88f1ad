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
use crate::{Random, Repeat, asked, is_long, memory};
use disk::{Disk, Log, Op, Said, Sync};
use program::Size;

/// The runs of the program, and whether their appends are synced.
const RUNS: [(&str, bool); 4] = [("a", true), ("b", true), ("c", false), ("d", false)];

/// Outputs are many and long: of so many records before the last one they are looked at.
const OUTPUTS_LOOKED_AT: u64 = 12;

/// The log of the program; the shim may carry a fault. None where there is no shim.
fn recorded(size: Size, with: impl Fn(Shim) -> Shim) -> Option<(Log, bool)> {
    let place = TempDir::with_prefix_in("sortie-power-", memory()).unwrap();
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
    for (run, synced) in RUNS {
        let Said { has, tried, ever } = disk.said(run);
        // What is not synced may be gone, from any append on.
        let (has, tried) = if synced { (has, tried) } else { (None, ever) };
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
                let (mut disk, mut done, place) =
                    (Disk::default(), 0, TempDir::with_prefix_in("sortie-power-", memory()).unwrap());
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
    let syncs = log.syncs(|_| true).len();
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
fn a_power_cut_loses_nothing_where_sqlite_makes_its_checkpoints_itself() {
    check_power_cuts(Size::Large, if is_long() { 3_000 } else { 60 });
}

/// A sync without which nothing is lost, and why.
type Unneeded = (&'static str, &'static str);

const UNNEEDED: &[Unneeded] = &[
    (
        "directory of results: +sortie.db",
        "SQLite syncs the directory again with its rollback journal; ours is for where that fails",
    ),
    (
        "sortie.db-journal: pages",
        "its pages have sums, and the database is not touched before the sync of its header",
    ),
    (
        "directory of results: -sortie.db-journal +sortie.db-wal",
        "SQLite syncs the directory again with the first commit; ours is for where that fails",
    ),
    ("directory of results: -sortie.db-wal", "a log that is there again holds what the database has"),
    ("directory of results: +sortie.db-wal", "as above, for a journal that was there"),
    ("directory of results: nothing", "the names are durable by our own syncs before"),
    ("directory of results: +a", "a run's directory holds nothing that has to last"),
    ("directory of results: +b", "as above"),
    ("directory of results: +c", "as above"),
    ("directory of results: +d", "as above"),
    ("sortie.db-wal: nothing before a checkpoint", "every commit was synced"),
];

/// Syncs whose loss few power cuts show, and before which of them nothing is found: where the short form begins.
const RARE: &[(&str, u64)] = &[
    ("directory of results: -sortie.db-journal +sortie.db-journal", 2_400),
    ("sortie.db-wal: its header", 700),
];

/// Syncs of which one makes up for the other: without all of them something is lost.
const TOGETHER: &[&str] =
    &["directory of results", "directory above", "sortie.db-journal", "sortie.db:", "sortie.db-wal"];

/// The power cut of this seed: in every other case shortly after a sync that was left out, else anywhere
/// behind the first.
fn behind(log: &Log, places: &[usize], seed: u64) -> Cut {
    const SHORTLY: usize = 16;
    let place = places[Random(seed ^ 0x51ac).below(places.len() as u64) as usize];
    let end = log.ops.len();
    if seed.is_multiple_of(2) {
        cut(seed, place..(place + SHORTLY).min(end))
    } else {
        cut(seed, places[0]..end)
    }
}

/// Leaves these kinds of sync out until one of these power cuts loses something: which one, and what.
fn without(
    log: &Log,
    is_left_out: impl Fn(usize) -> bool + Copy + Send,
    seeds: Range<u64>,
) -> Option<(u64, String)> {
    const AT_ONCE: u64 = 50;
    let sync = move |kind| if is_left_out(kind) { Sync::Dropped } else { Sync::Made };
    let places = log.syncs(is_left_out);
    seeds.clone().step_by(AT_ONCE as usize).find_map(|from| {
        let seeds = from..seeds.end.min(from + AT_ONCE);
        let cuts = seeds.map(|seed| behind(log, &places, seed)).collect();
        losses(log, Size::Small, cuts, sync).into_iter().next()
    })
}

#[test]
#[expect(clippy::print_stdout, reason = "`--nocapture` shows the list")]
fn every_sync_is_needed_or_known_not_to_be() {
    let Some((log, _)) = recorded(Size::Small, |shim| shim) else { return };
    let (log, most) = (&log, 10_000);
    for (kind, name) in
        log.kinds.iter().enumerate().filter(|(kind, _)| !log.syncs(|other| other == *kind).is_empty())
    {
        let known = UNNEEDED.iter().find(|(unneeded, _)| unneeded == name);
        let from = RARE.iter().find(|(rare, _)| rare == name).map_or(0, |(_, from)| *from);
        let seeds = match (is_long(), known) {
            (true, _) => 0..most,
            // That nothing is found takes long to show.
            (false, Some(_)) => 0..50,
            (false, None) => from..most,
        };
        match (known, without(log, |other| other == kind, seeds.clone())) {
            (None, Some((seed, lost))) => println!("needed: {name} (seed {seed}: {lost})"),
            (Some((_, why)), None) => println!("not needed alone: {name} ({seeds:?} lose nothing): {why}"),
            (known, lost) => panic!("{name}: {seeds:?} lose {lost:?}, when it was {known:?}"),
        }
    }
    for all in TOGETHER {
        let lost = without(log, |kind| log.kinds[kind].starts_with(all), 0..most);
        let (seed, lost) = lost.unwrap_or_else(|| panic!("{all}: nothing is lost without any of its syncs"));
        println!("needed together: {all}… (seed {seed}: {lost})");
    }
}

/// In the short form, every so many-th sync fails.
const STRIDE: usize = 9;

/// Power cuts behind a sync of the program that fails, once or for ever, so many; none where there is no shim
/// or it does not make so many syncs.
fn check_failed_sync(fault: Fault, cuts: u64) -> Option<()> {
    // Without appends that are not synced: where those are taken by a failed sync of the log before a
    // checkpoint, what is synced behind them is at risk until the next one, which SQLite tries with the next
    // commit.
    let (log, struck) = recorded(Size::AllSynced, |shim| shim.with(fault).only_syncs())?;
    struck.then_some(())?;
    let failed = log.ops.iter().position(|op| matches!(op, Op::FailedSync { .. }))?;
    // Before anything is acknowledged there is nothing to lose: what SQLite leaves of a database whose directory
    // could not be synced while it was created may be no database.
    let Some(first) = log.ops.iter().position(|op| matches!(op, Op::Says { tries: false, .. })) else {
        return Some(());
    };
    let cuts = (0..cuts).map(|seed| cut(seed, failed.max(first + 1)..log.ops.len())).collect();
    let lost = losses(&log, Size::AllSynced, cuts, |_| Sync::Made);
    let number = fault.at;
    let _repeat = lost.first().map(|_| Repeat(format!("SORTIE_SYNC={number}"), "power::a_sync"));
    assert!(lost.is_empty(), "{fault}, {:?}: {} power cuts lost: {:?}", log.ops[failed], lost.len(), lost[0]);
    Some(())
}

#[test]
#[expect(clippy::print_stdout, reason = "`--nocapture` shows what was tried")]
fn a_sync_that_failed_loses_nothing_that_was_durable() {
    let (stride, cuts) = if is_long() { (1, 400) } else { (STRIDE, 40) };
    let (first, stride, cuts) = match asked("SORTIE_SYNC") {
        Some(number) => (number.parse().unwrap(), usize::MAX, 400),
        None => (1, stride, cuts),
    };
    let mut syncs = 0;
    for at in (first..).step_by(stride) {
        let tried =
            [How::Once("EIO"), How::Ever("EIO")].map(|how| check_failed_sync(Fault { how, at }, cuts));
        if tried.contains(&None) || stride == usize::MAX {
            break;
        }
        syncs += 1;
    }
    println!("{syncs} syncs failed, once and for ever, with {cuts} power cuts behind each: lost 0");
}
