//! Bits that flip in a journal's file: what is read is what was written, or an error.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use sortie::core::run::event::Record;
use sortie::engine::store::sqlite::{Durability, SqliteStore};
use sortie::engine::store::{Header, Listed, Store, StoreError};
use tempfile::TempDir;

use crate::journal::{header, output, records};
use crate::{Random, Repeat, asked, is_long, memory};

const RECORDS: u64 = 100;
const OUTPUT_BYTES: usize = 300;

/// Bits that the short form flips.
const SAMPLE: u64 = 800;

/// All that is read of a run.
type Read = (Header, Vec<Record>, Vec<String>);

/// A journal of one run with its records and outputs, closed.
async fn write(results: &Path) -> Result<(), StoreError> {
    let mut store = SqliteStore::open(results, Durability::Unsynced)?;
    store.create(&header("a")).await?;
    let outputs = (1..=RECORDS).filter_map(|seq| output("a", seq, OUTPUT_BYTES)).collect::<Vec<_>>();
    store.append("a", 0, &records("a", 1..=RECORDS), &outputs).await
}

async fn read(store: &SqliteStore) -> Result<Read, StoreError> {
    let (header, records) = store.read("a").await?;
    let mut outputs = Vec::new();
    for (hash, _) in (1..=RECORDS).filter_map(|seq| output("a", seq, OUTPUT_BYTES)) {
        outputs.push(store.output(&hash).await?.to_string());
    }
    Ok((header, records, outputs))
}

/// What is read, and the list of runs.
async fn look(results: &Path) -> (Result<Read, StoreError>, Result<Vec<Listed>, StoreError>) {
    match SqliteStore::open(results, Durability::Unsynced) {
        Ok(store) => (read(&store).await, store.list().await),
        Err(error) => (Err(error), Ok(Vec::new())),
    }
}

/// What flips came to.
#[derive(Default, Debug)]
struct Flips {
    tried: u64,
    refused: u64,
    /// All is read as it was written, but a list of runs, whose lines have no sums, is not.
    only_in_lists: u64,
}

/// Flips bits of this file, those of `bits`, one after the other.
async fn flip(sound: &[u8], bits: impl Iterator<Item = u64>) -> Flips {
    let place = TempDir::with_prefix_in("sortie-flips-", memory()).unwrap();
    let results = place.path().join("results");
    fs::create_dir(&results).unwrap();
    let db = results.join("sortie.db");
    fs::write(&db, sound).unwrap();
    let (written, in_list) = look(&results).await;
    let (written, in_list) = (written.unwrap(), in_list.unwrap());
    let mut flips = Flips::default();
    for bit in bits {
        let _repeat = Repeat(format!("SORTIE_BIT={bit}"), "flips::");
        let mut damaged = sound.to_vec();
        damaged[(bit / 8) as usize] ^= 1 << (bit % 8);
        fs::write(&db, damaged).unwrap();
        flips.tried += 1;
        match look(&results).await {
            (Ok(read), listed) => {
                assert!(read == written, "bit {bit}: what is read was never written");
                flips.only_in_lists += u64::from(listed.is_ok_and(|listed| listed != in_list));
            }
            (Err(_), _) => flips.refused += 1,
        }
        for beside in ["sortie.db-wal", "sortie.db-shm", "sortie.db-journal"] {
            // There are none unless the flip has made SQLite leave one.
            let _ = fs::remove_file(results.join(beside));
        }
    }
    flips
}

#[test]
#[expect(clippy::print_stdout, reason = "`--nocapture` shows what was tried")]
fn a_flipped_bit_is_never_taken_for_what_was_written() {
    let place = TempDir::with_prefix_in("sortie-flips-", memory()).unwrap();
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime().block_on(write(place.path())).unwrap();
    let sound = fs::read(place.path().join("sortie.db")).unwrap();
    let bits = sound.len() as u64 * 8;
    let mut random = Random(5);
    let chosen: Vec<u64> = match asked("SORTIE_BIT") {
        Some(bit) => vec![bit.parse().unwrap()],
        // Two bits of every byte.
        None if is_long() => (0..bits / 8)
            .flat_map(|byte| [byte * 8, byte * 8 + 4].map(|half| half + random.below(4)))
            .collect(),
        None => (0..SAMPLE).map(|_| random.below(bits)).collect(),
    };
    let (next, all) = (AtomicU64::new(0), Mutex::new(Flips::default()));
    thread::scope(|threads| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            threads.spawn(|| {
                let bits =
                    std::iter::from_fn(|| chosen.get(next.fetch_add(1, Ordering::Relaxed) as usize).copied());
                let flips = runtime().block_on(flip(&sound, bits));
                let mut all = all.lock().unwrap();
                all.tried += flips.tried;
                all.refused += flips.refused;
                all.only_in_lists += flips.only_in_lists;
            });
        }
    });
    let Flips { tried, refused, only_in_lists } = all.into_inner().unwrap();
    println!(
        "{tried} of {bits} bits flipped: {refused} refused  {} change nothing  accepted 0  (lists of runs differ by {only_in_lists})",
        tried - refused
    );
    assert!(tried < 100 || refused > tried / 5, "hardly a bit mattered: are the pages empty?");
}
