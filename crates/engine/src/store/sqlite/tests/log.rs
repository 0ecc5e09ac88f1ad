//! A write-ahead log that is not as it was written.

use std::fs;
use std::path::Path;

use super::{Directory, next_random};
use crate::store::contract::{Place, header, output, record, records};
use crate::store::sqlite::{Durability, SqliteStore};
use crate::store::{Store, StoreError};

const RECORDS: u64 = 30;

/// What the death of a process leaves of a run with records that are all in the log.
struct Left(Directory);

impl Left {
    async fn behind() -> Self {
        let (place, left) = (Directory::default(), Directory::default());
        let mut store = place.store();
        store.create(&header("r", 1)).await.unwrap();
        for seq in 1..=RECORDS {
            let text = output(&format!("answer {seq}"));
            store.append("r", seq - 1, &[record(seq)], &[text]).await.unwrap();
        }
        fs::create_dir_all(left.results().join("r")).unwrap();
        for name in ["sortie.db", "sortie.db-wal", "r/owner.lock"] {
            fs::copy(place.results().join(name), left.results().join(name)).unwrap();
        }
        Left(left)
    }

    fn log(&self) -> std::path::PathBuf {
        self.0.results().join("sortie.db-wal")
    }

    /// The same with another log.
    fn with(&self, log: &[u8]) -> Self {
        let other = Directory::default();
        fs::create_dir_all(other.results().join("r")).unwrap();
        for name in ["sortie.db", "r/owner.lock"] {
            fs::copy(self.0.results().join(name), other.results().join(name)).unwrap();
        }
        fs::write(other.results().join("sortie.db-wal"), log).unwrap();
        Left(other)
    }

    async fn read(&self) -> Result<usize, StoreError> {
        let store = SqliteStore::open(&self.0.results(), Durability::Synced)?;
        let (found, there) = store.read("r").await?;
        assert_eq!((found, &there), (header("r", 1), &records(1..=there.len() as u64)));
        Ok(there.len())
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

#[tokio::test]
async fn what_a_kill_leaves_is_read_whole_and_its_torn_tail_is_cut_off() {
    let left = Left::behind().await;
    let sound = fs::read(left.log()).unwrap();
    // A transaction that did not come to its end: pages of the same log, of which the last is not whole.
    let page = 24 + 4096;
    let mut torn = sound.clone();
    torn.extend_from_slice(&sound[32..32 + 2 * page + 100]);
    // Pages of before the log was begun anew are nothing to speak of.
    let mut old = torn.clone();
    for at in [sound.len(), sound.len() + page, sound.len() + 2 * page] {
        old[at + 8] ^= 1;
    }
    for (log, cut) in [(&sound, false), (&torn, true), (&old, false)] {
        let left = left.with(log);
        let store = left.0.store();
        assert_eq!(store.read("r").await.unwrap().1, records(1..=RECORDS));
        let expected = if cut { sound.len() } else { log.len() };
        assert_eq!(length(&left.log()), expected as u64);
    }
}

#[tokio::test]
async fn a_log_that_was_damaged_is_never_taken_for_what_was_durable() {
    let left = Left::behind().await;
    let sound = fs::read(left.log()).unwrap();
    assert_eq!(left.with(&sound).read().await.unwrap() as u64, RECORDS);
    let (mut seed, mut refused) = (20_261_126, 0);
    for _ in 0..200 {
        let bit = next_random(&mut seed) as usize % (sound.len() * 8);
        let mut damaged = sound.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        match left.with(&damaged).read().await {
            Ok(there) => assert_eq!(there as u64, RECORDS, "bit {bit}"),
            Err(StoreError::Damaged { .. }) => refused += 1,
            other => panic!("bit {bit}: {other:?}"),
        }
    }
    assert!(refused > 100, "only {refused} of 200 flipped bits mattered");
    for short in [0, 32, sound.len() / 2] {
        let read = left.with(&sound[..short]).read().await;
        assert!(matches!(read, Err(StoreError::Damaged { .. })), "{short}: {read:?}");
    }
}

#[tokio::test]
async fn what_is_sound_of_a_damaged_log_can_be_saved() {
    let left = Left::behind().await;
    let mut log = fs::read(left.log()).unwrap();
    let middle = log.len() / 2;
    log[middle] ^= 1;
    let left = left.with(&log);
    let mut store = left.0.store();
    let Err(StoreError::Damaged { what, .. }) = store.open("r").await else { panic!("it was opened") };
    assert!(what.ends_with("or an older journal is in its place"), "{what}");
    let salvaged = store.salvage("r").await.unwrap().unwrap();
    assert_eq!(salvaged.kept + salvaged.dropped, RECORDS);
    assert!((1..RECORDS).contains(&salvaged.kept), "{salvaged:?}");
    assert_eq!(store.salvage("r").await.unwrap(), None, "it is whole now");
    assert_eq!(store.open("r").await.unwrap().1, records(1..=salvaged.kept));
}

#[tokio::test]
async fn what_a_power_cut_may_take_is_not_missed() {
    let place = Directory::default();
    let mut store = SqliteStore::open(&place.results(), Durability::Unsynced).unwrap();
    store.create(&header("r", 1)).await.unwrap();
    let before = fs::read(place.results().join("sortie.db-wal")).unwrap();
    store.append("r", 0, &records(1..=3), &[]).await.unwrap();
    let left = Left(Directory::default());
    fs::create_dir_all(left.0.results().join("r")).unwrap();
    for name in ["sortie.db", "r/owner.lock"] {
        fs::copy(place.results().join(name), left.0.results().join(name)).unwrap();
    }
    assert_eq!(left.with(&before).read().await.unwrap(), 0);
    // What its owner said may be gone or garbage, too: nothing is known then.
    let synced = Left::behind().await;
    let log = fs::read(synced.log()).unwrap();
    for said in ["", "17", "17\n99", "17\n99 0123456789abcdef\n", "\0\0\0\0\0\0"] {
        let left = synced.with(&log[..log.len() / 2]);
        fs::write(left.0.results().join("r/owner.lock"), said).unwrap();
        assert!(left.read().await.is_ok(), "{said:?}");
    }
}
