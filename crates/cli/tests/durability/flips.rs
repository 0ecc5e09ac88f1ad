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

/// A journal of one run with its records and outputs, as its files are.
struct Files {
    db: Vec<u8>,
    /// Its write-ahead log; empty where it was closed.
    log: Vec<u8>,
    owner: Vec<u8>,
}

/// Which of them is flipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Database,
    Log,
}

impl Files {
    /// Closed, so that all is in the database; or left by a kill, so that all is in the log.
    async fn written(of: Of) -> Result<Self, StoreError> {
        let place = TempDir::with_prefix_in("sortie-flips-", memory()).unwrap();
        let mut store = SqliteStore::open(place.path(), Durability::Synced)?;
        store.create(&header("a")).await?;
        for seq in 1..=RECORDS {
            let output = output("a", seq, OUTPUT_BYTES);
            store.append("a", seq - 1, &records("a", seq..=seq), output.as_slice()).await?;
        }
        let left = (of == Of::Log).then(|| Files::of(place.path()));
        drop(store);
        Ok(left.unwrap_or_else(|| Files::of(place.path())))
    }

    fn of(results: &Path) -> Self {
        let file = |name| fs::read(results.join(name));
        let log = file("sortie.db-wal").unwrap_or_default();
        Files { db: file("sortie.db").unwrap(), log, owner: file("a/owner.lock").unwrap() }
    }

    /// The same with one bit flipped.
    fn put(&self, results: &Path, flipped: Option<(Of, u64)>) {
        let [mut db, mut log] = [self.db.clone(), self.log.clone()];
        if let Some((of, bit)) = flipped {
            let file = if of == Of::Log { &mut log } else { &mut db };
            file[(bit / 8) as usize] ^= 1 << (bit % 8);
        }
        for beside in ["sortie.db-shm", "sortie.db-journal"] {
            // There are none unless the flip before has made SQLite leave one.
            let _ = fs::remove_file(results.join(beside));
        }
        fs::create_dir_all(results.join("a")).unwrap();
        for (name, bytes) in [("sortie.db", &db), ("sortie.db-wal", &log), ("a/owner.lock", &self.owner)] {
            fs::write(results.join(name), bytes).unwrap();
        }
    }
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

/// Flips these bits of one of the files, one after the other.
async fn flip(sound: &Files, of: Of, bits: impl Iterator<Item = u64>) -> Flips {
    let place = TempDir::with_prefix_in("sortie-flips-", memory()).unwrap();
    let results = place.path().join("results");
    sound.put(&results, None);
    let (written, in_list) = look(&results).await;
    let (written, in_list) = (written.unwrap(), in_list.unwrap());
    let mut flips = Flips::default();
    for bit in bits {
        let _repeat = Repeat(format!("{}={bit}", of.variable()), "flips::");
        sound.put(&results, Some((of, bit)));
        flips.tried += 1;
        match look(&results).await {
            (Ok(read), listed) => {
                assert!(read == written, "bit {bit}: what is read was never written");
                flips.only_in_lists += u64::from(listed.is_ok_and(|listed| listed != in_list));
            }
            (Err(_), _) => flips.refused += 1,
        }
    }
    flips
}

impl Of {
    /// Names the one bit that is to be flipped.
    const fn variable(self) -> &'static str {
        match self {
            Of::Database => "SORTIE_BIT",
            Of::Log => "SORTIE_LOG_BIT",
        }
    }
}

#[expect(clippy::print_stdout, reason = "`--nocapture` shows what was tried")]
fn check_flips(of: Of) {
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let sound = runtime().block_on(Files::written(of)).unwrap();
    let bits = if of == Of::Log { &sound.log } else { &sound.db }.len() as u64 * 8;
    let mut random = Random(5);
    let chosen: Vec<u64> = match asked(of.variable()) {
        Some(bit) => vec![bit.parse().unwrap()],
        // Two bits of every byte of the database. The log has several versions of most pages: as many of it.
        None if is_long() => {
            let bytes = sound.db.len() as u64;
            let stretch = bits / (bytes * 8);
            let half = |half: u64| half * stretch * 4 + random.below(4 * stretch);
            (0..bytes * 2).map(half).collect()
        }
        None => (0..SAMPLE).map(|_| random.below(bits)).collect(),
    };
    let (next, all) = (AtomicU64::new(0), Mutex::new(Flips::default()));
    thread::scope(|threads| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            threads.spawn(|| {
                let bits =
                    std::iter::from_fn(|| chosen.get(next.fetch_add(1, Ordering::Relaxed) as usize).copied());
                let flips = runtime().block_on(flip(&sound, of, bits));
                let mut all = all.lock().unwrap();
                all.tried += flips.tried;
                all.refused += flips.refused;
                all.only_in_lists += flips.only_in_lists;
            });
        }
    });
    let Flips { tried, refused, only_in_lists } = all.into_inner().unwrap();
    println!(
        "{of:?}: {tried} of {bits} bits flipped: {refused} refused  {} change nothing  accepted 0  (lists of runs differ by {only_in_lists})",
        tried - refused
    );
    assert!(tried < 100 || refused > tried / 5, "hardly a bit mattered: are the pages empty?");
}

#[test]
fn a_flipped_bit_is_never_taken_for_what_was_written() {
    check_flips(Of::Database);
}

#[test]
fn a_flipped_bit_of_the_log_is_never_taken_for_its_end() {
    check_flips(Of::Log);
}
