//! What only the SQLite journal promises: files, damage, failing disks.

mod log;
mod others;

use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;
use sortie_core::hash::Hash;
use tempfile::TempDir;

use super::{Durability, SqliteStore};
use crate::store::contract::{Place, contract, header, output, records};
use crate::store::{Header, Store, StoreError};

struct Directory(TempDir);

impl Default for Directory {
    fn default() -> Self {
        Directory(tempfile::tempdir().unwrap())
    }
}

impl Place for Directory {
    type Store = SqliteStore;

    fn store(&self) -> SqliteStore {
        SqliteStore::open(&self.results(), Durability::Synced).unwrap()
    }

    fn lose_lock(&self, _: &SqliteStore, run_id: &str) {
        fs::remove_dir_all(self.results().join(run_id)).unwrap();
    }
}

impl Directory {
    fn results(&self) -> std::path::PathBuf {
        self.0.path().join("of/all/runs")
    }

    fn db(&self) -> std::path::PathBuf {
        self.results().join("sortie.db")
    }

    /// A journal of one run with four records and an output, closed.
    async fn with_a_run() -> Self {
        let place = Directory::default();
        let mut store = place.store();
        store.create(&header("r", 1)).await.unwrap();
        store.append("r", 0, &records(1..=4), &[output("an answer")]).await.unwrap();
        place
    }
}

contract!(Directory);

#[cfg(unix)]
#[tokio::test]
async fn everything_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = Directory::default();
    let mut store = place.store();
    store.create(&header("r", 1)).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let results = place.results();
    for dir in [&results, results.parent().unwrap(), &results.join("r")] {
        assert_eq!(mode(dir), 0o700, "{}", dir.display());
    }
    for file in ["sortie.db", "sortie.db-wal", "sortie.db-shm", "r/owner.lock"] {
        assert_eq!(mode(&results.join(file)), 0o600, "{file}");
    }
    assert_eq!(
        fs::read_to_string(results.join("r/owner.lock")).unwrap(),
        format!("{}\n0 {}\n", std::process::id(), super::reading::sum("r 0"))
    );
}

/// Opening a results directory that was prepared so.
fn opened(prepare: impl FnOnce(&Directory)) -> Result<SqliteStore, StoreError> {
    let place = Directory::default();
    fs::create_dir_all(place.results()).unwrap();
    prepare(&place);
    SqliteStore::open(&place.results(), Durability::Synced)
}

#[test]
fn what_is_no_journal_of_ours_is_refused_and_left_as_it_is() {
    let sql = |sql: &'static str| {
        move |place: &Directory| Connection::open(place.db()).unwrap().execute_batch(sql).unwrap()
    };
    let foreign = [
        opened(|place| fs::write(place.db(), "dear diary, ".repeat(1000)).unwrap()),
        opened(sql("CREATE TABLE songs (title TEXT)")),
        opened(sql("PRAGMA user_version = 1")),
        opened(sql("PRAGMA application_id = 99")),
    ];
    for opened in foreign {
        assert!(matches!(opened, Err(StoreError::NotAJournal(_))), "{opened:?}");
    }
    let newer = opened(sql("PRAGMA application_id = 0x73727465; PRAGMA user_version = 2"));
    assert!(matches!(newer, Err(StoreError::Format { found: 2, known: 1 })), "{newer:?}");

    for sql in
        ["CREATE TABLE songs (title TEXT)", "PRAGMA application_id = 0x73727465; PRAGMA user_version = 2"]
    {
        let place = Directory::default();
        fs::create_dir_all(place.results()).unwrap();
        Connection::open(place.db()).unwrap().execute_batch(sql).unwrap();
        let before = fs::read(place.db()).unwrap();
        assert!(SqliteStore::open(&place.results(), Durability::Synced).is_err());
        assert!(fs::read(place.db()).unwrap() == before, "{sql}: the file was changed");
    }
}

#[test]
fn a_place_that_cannot_hold_a_journal_is_an_error() {
    let a_directory = opened(|place| fs::create_dir(place.db()).unwrap());
    let a_file = opened(|place| {
        fs::remove_dir(place.results()).unwrap();
        fs::write(place.results(), "").unwrap();
    });
    let kernel = SqliteStore::open(Path::new("/proc/sortie"), Durability::Synced);
    for opened in [a_directory, a_file, kernel] {
        assert!(matches!(opened, Err(StoreError::Io { .. })), "{opened:?}");
    }
}

#[tokio::test]
async fn a_full_disk_fails_the_append_and_all_after_it_and_the_journal_opens_again() {
    let place = Directory::with_a_run().await;
    let mut store = place.store();
    store.open("r").await.unwrap();
    let limit = |journal: &mut super::Journal| {
        journal.db.pragma_update(None, "max_page_count", 12).map_err(StoreError::io("limit"))
    };
    store.ask(limit).await.unwrap();
    let big = output(&"x".repeat(100_000));
    let failed = store.append("r", 4, &records(5..=5), std::slice::from_ref(&big)).await;
    let message = match failed {
        Err(StoreError::Io { source, .. }) => source.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(message.contains("full"), "{message}");
    // It would fit, but what became of the one before it is not known.
    assert!(matches!(store.append("r", 4, &records(5..=5), &[]).await, Err(StoreError::Io { .. })));
    assert_eq!(store.open("r").await.unwrap().1, records(1..=4));
    store.append("r", 4, &records(5..=5), &[]).await.unwrap();
    assert!(store.output(&big.0).await.is_err(), "all or nothing");
}

#[tokio::test]
async fn a_journal_that_is_not_as_it_was_written_is_refused() {
    let check = async |sql: &str, expected: &str| {
        let place = Directory::with_a_run().await;
        Connection::open(place.db()).unwrap().execute_batch(sql).unwrap();
        let mut store = place.store();
        for found in [store.open("r").await, store.read("r").await] {
            match found {
                Err(StoreError::Damaged { run, what }) => {
                    assert_eq!(run, "r");
                    assert!(what.contains(expected), "{sql}: {what}");
                }
                other => panic!("{sql}: {other:?}"),
            }
        }
    };
    check("DELETE FROM records WHERE seq = 2", "record 2 is missing").await;
    check("DELETE FROM records WHERE seq = 4", "ends at record 3, not at record 4").await;
    check("UPDATE records SET at = at + 1 WHERE seq = 3", "record 3 is not as").await;
    check("UPDATE records SET event = replace(event, '2', '3') WHERE seq = 2", "record 2 is not as").await;
    check("UPDATE records SET event = 'no JSON' WHERE seq = 1", "record 1 is not as").await;
    check("UPDATE records SET seq = seq + 1 WHERE seq = 4", "record 4 is missing").await;
    check("INSERT INTO records SELECT run_id, 5, at, event, sum FROM records WHERE seq = 4", "record 5")
        .await;
    check("UPDATE runs SET last_seq = 9", "ends at record 4, not at record 9").await;
    check("UPDATE headers SET header = replace(header, '7', '8')", "its header is not as").await;
    check("DELETE FROM headers", "its header is missing").await;
}

#[tokio::test]
async fn the_sound_beginning_of_a_damaged_run_can_be_saved() {
    let check = async |sql: &str, kept: u64, dropped: u64| {
        let place = Directory::with_a_run().await;
        Connection::open(place.db()).unwrap().execute_batch(sql).unwrap();
        let mut store = place.store();
        let salvaged = store.salvage("r").await.unwrap().unwrap();
        assert_eq!((salvaged.kept, salvaged.dropped), (kept, dropped), "{sql}: {salvaged:?}");
        assert_eq!(store.salvage("r").await.unwrap(), None, "it is whole now");
        assert_eq!(store.open("r").await.unwrap().1, records(1..=kept), "{sql}");
        store.append("r", kept, &records(kept + 1..=kept + 1), &[]).await.unwrap();
        assert!(matches!(place.store().salvage("r").await, Err(StoreError::Owned { .. })));
    };
    check("DELETE FROM records WHERE seq = 2", 1, 3).await;
    check("UPDATE records SET at = at + 1 WHERE seq = 3", 2, 2).await;
    check("UPDATE records SET event = 'no JSON' WHERE seq = 1", 0, 4).await;
    check("UPDATE runs SET last_seq = 9", 4, 0).await;
    let place = Directory::with_a_run().await;
    assert_eq!(place.store().salvage("r").await.unwrap(), None);
    Connection::open(place.db()).unwrap().execute_batch("DELETE FROM headers").unwrap();
    assert!(matches!(place.store().salvage("r").await, Err(StoreError::Damaged { .. })));
}

#[tokio::test]
async fn a_changed_plan_that_is_not_there_is_named() {
    let place = Directory::with_a_run().await;
    let db = Connection::open(place.db()).unwrap();
    let before: String = db.query_row("SELECT last_sum FROM runs", [], |row| row.get(0)).unwrap();
    let hash = Hash::of(b"nowhere");
    let event = format!(r#"{{"event":"plan_changed","header":"{hash}","again":[]}}"#);
    let row = super::journal::Row { seq: 5, at: 2000, event };
    let sum = row.sum(&before);
    db.execute("INSERT INTO records VALUES ('r', 5, ?1, ?2, ?3)", (row.at, row.event, &sum)).unwrap();
    db.execute("UPDATE runs SET last_seq = 5, last_sum = ?1", [&sum]).unwrap();
    for text in [None, Some("otherwise")] {
        let keep = "INSERT OR REPLACE INTO outputs VALUES (?1, ?2)";
        text.map(|text| db.execute(keep, (hash.to_string(), text)).unwrap());
        let read = place.store().read("r").await;
        let Err(StoreError::Damaged { what, .. }) = read else { panic!("{read:?}") };
        assert!(what.starts_with("the plan that it was changed to is "), "{what}");
    }
}

#[tokio::test]
async fn a_record_of_a_later_program_is_named() {
    let place = Directory::with_a_run().await;
    let db = Connection::open(place.db()).unwrap();
    let before: String = db.query_row("SELECT last_sum FROM runs", [], |row| row.get(0)).unwrap();
    let row = super::journal::Row { seq: 5, at: 2000, event: r#"{"event":"moon_landed"}"#.to_owned() };
    let sum = row.sum(&before);
    db.execute("INSERT INTO records VALUES ('r', 5, ?1, ?2, ?3)", (row.at, row.event, &sum)).unwrap();
    db.execute("UPDATE runs SET last_seq = 5, last_sum = ?1", [&sum]).unwrap();
    let read = place.store().read("r").await;
    let Err(StoreError::Damaged { what, .. }) = read else { panic!("{read:?}") };
    assert!(
        what.starts_with("record 5 is none that this program knows: unknown variant `moon_landed`"),
        "{what}"
    );
    let salvaged = place.store().salvage("r").await;
    assert!(matches!(salvaged, Err(StoreError::Damaged { .. })), "it is not damage: {salvaged:?}");
    let listed = place.store().list().await.unwrap();
    assert_eq!((listed.len(), &listed[0].last), (1, &None), "it hides no other run");
}

#[tokio::test]
async fn an_output_that_was_changed_is_refused() {
    let place = Directory::with_a_run().await;
    Connection::open(place.db()).unwrap().execute("UPDATE outputs SET text = 'another'", []).unwrap();
    let hash = output("an answer").0;
    let read = place.store().output(&hash).await;
    assert!(matches!(read, Err(StoreError::DamagedOutput(found)) if found == hash), "{read:?}");
}

/// Numbers that look random and are the same in every run (xorshift64).
fn next_random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[tokio::test]
async fn a_flipped_bit_is_never_taken_for_what_was_written() {
    let place = Directory::with_a_run().await;
    let mut store = place.store();
    store.open("r").await.unwrap();
    store.append("r", 4, &records(5..=100), &[]).await.unwrap();
    drop(store);
    let sound = fs::read(place.db()).unwrap();
    let (mut seed, mut refused) = (20_261_123, 0);
    for _ in 0..500 {
        let bit = next_random(&mut seed) as usize % (sound.len() * 8);
        let mut damaged = sound.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        fs::write(place.db(), damaged).unwrap();
        let read = match SqliteStore::open(&place.results(), Durability::Unsynced) {
            Ok(store) => store.read("r").await,
            Err(error) => Err(error),
        };
        match read {
            Ok(read) => assert_eq!(read, (header("r", 1), records(1..=100)), "bit {bit}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 100, "only {refused} of 500 flipped bits mattered: are the pages empty?");
}

#[tokio::test]
async fn a_synced_append_is_synced_and_an_unsynced_one_endangers_nobody() {
    let place = Directory::default();
    // 1 (`normal`) syncs at checkpoints, 2 (`full`) at every commit.
    for (durability, expected) in [(Durability::Synced, (2, "wal")), (Durability::Unsynced, (1, "wal"))] {
        let store = SqliteStore::open(&place.results(), durability).unwrap();
        let pragmas = store.ask(|journal| {
            let level: i64 = journal.db.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
            let mode: String = journal.db.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
            Ok((level, mode))
        });
        let (level, mode) = pragmas.await.unwrap();
        assert_eq!((level, &*mode), expected, "{durability:?}");
    }
}

/// So many race for a run while others look whether anybody has it; gives how many got it.
fn race(place: &Directory, racers: usize) -> usize {
    let (all_have_tried, over) = (Barrier::new(racers), AtomicBool::new(false));
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let look = || {
        let store = place.store();
        while !over.load(Ordering::Relaxed) {
            assert!(runtime().block_on(store.list()).is_ok());
        }
    };
    let race = || {
        let mut store = place.store();
        let opened = runtime().block_on(store.open("r"));
        all_have_tried.wait();
        over.store(true, Ordering::Relaxed);
        assert!(matches!(opened, Ok(_) | Err(StoreError::Owned { .. })), "{opened:?}");
        opened.is_ok()
    };
    std::thread::scope(|threads| {
        threads.spawn(look);
        threads.spawn(look);
        let racers: Vec<_> = (0..racers).map(|_| threads.spawn(race)).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).filter(|won| *won).count()
    })
}

#[tokio::test]
async fn of_many_who_take_a_run_at_once_exactly_one_gets_it_although_others_look() {
    let place = Directory::with_a_run().await;
    for trial in 0..100 {
        for racers in [1, 4] {
            assert_eq!(race(&place, racers), 1, "trial {trial} of {racers}");
        }
    }
}

#[test]
fn many_may_open_a_new_results_directory_at_once() {
    for trial in 0..20 {
        let place = Directory::default();
        std::thread::scope(|threads| {
            let opening: Vec<_> = (0..6)
                .map(|_| threads.spawn(|| SqliteStore::open(&place.results(), Durability::Synced).map(drop)))
                .collect();
            for opened in opening {
                let opened = opened.join().unwrap();
                assert!(opened.is_ok(), "trial {trial}: {opened:?}");
            }
        });
    }
}

#[tokio::test]
async fn a_store_whose_thread_died_says_so() {
    let place = Directory::default();
    let mut store = place.store();
    let died = store.ask(|_| -> Result<(), StoreError> { panic!("as told") }).await;
    assert!(matches!(died, Err(StoreError::Io { .. })), "{died:?}");
    let died = store.create(&header("r", 1)).await;
    assert!(matches!(died, Err(StoreError::Io { .. })), "{died:?}");
    store.release("r").await;
}

#[tokio::test]
async fn a_new_run_gets_no_directory_that_is_a_link_or_has_somebody_s_files() {
    let place = Directory::with_a_run().await;
    let mut store = place.store();
    let (header, _) = store.read("r").await.unwrap();
    let named = |name: &str| Header { run_id: name.to_owned(), ..header.clone() };
    fs::create_dir_all(place.results().join("full")).unwrap();
    fs::write(place.results().join("full/summary.json"), "mine").unwrap();
    fs::create_dir(place.results().join("empty")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("empty", place.results().join("link")).unwrap();
    #[cfg(unix)]
    assert!(matches!(store.create(&named("link")).await, Err(StoreError::Exists(_))));
    assert!(matches!(store.create(&named("full")).await, Err(StoreError::Exists(_))));
    assert_eq!(fs::read_to_string(place.results().join("full/summary.json")).unwrap(), "mine");
    assert!(store.create(&named("empty")).await.is_ok());
}
