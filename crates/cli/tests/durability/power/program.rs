//! The program that loses power: this test, started again under the shim. It keeps two runs in a store of
//! the product, and says in a file what it is about to append and what it was told to be durable.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;
use sortie::engine::store::sqlite::{Durability, SqliteStore};
use sortie::engine::store::{Store, StoreError};

use crate::asked;
use crate::journal::{header, output, records};
use crate::shim::Shim;

/// What the program does.
#[derive(Clone, Copy, Debug)]
enum Step {
    Create(&'static str),
    /// Takes a run over that a session before this one has left.
    Open(&'static str),
    /// So many appends of one to three records.
    Append(&'static str, u64),
    /// So many appends to a run whose appends are not synced, as those of simulated runs are not, by a store
    /// beside the other.
    Unsynced(&'static str, u64),
    /// What SQLite does by itself once the write-ahead log has a thousand pages.
    Checkpoint,
    /// Closes the store, which empties the log into the database and removes it.
    Close,
    /// Dies and leaves all as it is.
    Die,
}

use Step::{Append, Checkpoint, Close, Create, Die, Open, Unsynced};

/// One process after the other.
const SESSIONS: [&[Step]; 4] = [
    &[
        Create("a"),
        Append("a", 3),
        Create("b"),
        Append("b", 3),
        Append("a", 2),
        Checkpoint,
        Append("a", 4),
        Append("b", 2),
        Unsynced("c", 3),
        Checkpoint,
        Append("b", 3),
        Close,
    ],
    &[Open("a"), Append("a", 3), Die],
    &[
        Open("b"),
        Append("b", 2),
        Open("a"),
        Append("a", 1),
        Unsynced("d", 2),
        Checkpoint,
        Append("a", 3),
        Die,
    ],
    &[Open("a"), Append("a", 2), Close],
];

/// How much it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// Some pages, so that many crashes can be tried.
    Small,
    /// The same without appends that are not synced.
    AllSynced,
    /// So much that SQLite makes its checkpoints itself, twice.
    Large,
}

impl Size {
    /// The length of the longer outputs.
    pub(crate) fn output_bytes(self) -> usize {
        match self {
            Size::Small | Size::AllSynced => 6_000,
            Size::Large => 90_000,
        }
    }

    fn appends(self, appends: u64) -> u64 {
        if self == Size::Large { appends * 8 } else { appends }
    }
}

/// Lets the program run to its end below `dir`, session after session, and keeps its changes in a log. The
/// shim may carry a fault: then a session may end early, and the others follow all the same.
pub(crate) fn run(dir: &Path, log: &Path, size: Size, shim: impl Fn() -> Option<Shim>) -> Option<()> {
    for session in 0..SESSIONS.len() {
        let shim = shim()?;
        let mut program = Command::new(std::env::current_exe().unwrap());
        program.args(["--exact", "power::program::the_program", "--nocapture"]);
        program.envs(shim.environment().iter().map(|(name, value)| (name, value)));
        program.env("SHIM_LOG", log).env("SORTIE_POWER", format!("{session} {size:?}"));
        program.env("SORTIE_POWER_DIR", dir);
        let ended = program.output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout);
        assert!(said.contains("the session ended"), "{said}{}", String::from_utf8_lossy(&ended.stderr));
    }
    Some(())
}

/// What the program says of a run, in a line of `acks`.
struct Says(File);

impl Says {
    fn tries(&mut self, run: &str, records: u64) {
        self.says(&format!("try {run} {records}\n"));
    }

    fn has(&mut self, run: &str, records: u64) {
        self.says(&format!("has {run} {records}\n"));
    }

    /// In one write, because the log has writes.
    fn says(&mut self, line: &str) {
        self.0.write_all(line.as_bytes()).unwrap();
    }
}

/// One session; does nothing where it is not started by [`run`].
#[test]
#[expect(clippy::print_stdout, reason = "whoever started it hears that it came to its end")]
fn the_program() {
    let (Some(which), Some(dir)) = (asked("SORTIE_POWER"), asked("SORTIE_POWER_DIR")) else { return };
    let (session, size) = which.split_once(' ').unwrap();
    let size = match size {
        "Large" => Size::Large,
        "AllSynced" => Size::AllSynced,
        _ => Size::Small,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ended =
        runtime.block_on(session_of(SESSIONS[session.parse::<usize>().unwrap()], size, Path::new(&dir)));
    // A store that failed ends the session: nothing is tried again.
    println!("the session ended: {ended:?}");
    std::process::exit(0);
}

async fn session_of(steps: &[Step], size: Size, dir: &Path) -> Result<(), StoreError> {
    let acks = OpenOptions::new().create(true).append(true).open(dir.join("acks")).unwrap();
    let mut says = Says(acks);
    let results = dir.join("results");
    let mut store = SqliteStore::open(&results, Durability::Synced)?;
    let mut last = std::collections::BTreeMap::new();
    for &step in steps {
        match step {
            Create(run) => {
                says.tries(run, 0);
                store.create(&header(run)).await?;
                says.has(run, 0);
                last.insert(run, 0);
            }
            Open(run) => {
                let there = store.open(run).await?.1.len() as u64;
                says.has(run, there);
                last.insert(run, there);
            }
            Append(run, appends) => {
                let now = append(&mut store, &mut says, run, last[run], size.appends(appends), size).await?;
                last.insert(run, now);
            }
            Unsynced(..) if size == Size::AllSynced => {}
            Unsynced(run, appends) => {
                let mut store = SqliteStore::open(&results, Durability::Unsynced)?;
                says.tries(run, 0);
                store.create(&header(run)).await?;
                append(&mut store, &mut says, run, 0, appends, size).await?;
            }
            Checkpoint => {
                // What fails here is tried again by the next one, as SQLite's own is.
                let db = Connection::open(results.join("sortie.db")).unwrap();
                let _ = db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
            }
            Close => {
                drop(store);
                return Ok(());
            }
            Die => {
                println_died();
                std::process::exit(0);
            }
        }
    }
    Ok(())
}

/// So many appends of one to three records after this one; gives the number of the last.
async fn append(
    store: &mut SqliteStore,
    says: &mut Says,
    run: &str,
    mut last: u64,
    appends: u64,
    size: Size,
) -> Result<u64, StoreError> {
    for number in 0..appends {
        let now = last + 1 + number % 3;
        let outputs = (last + 1..=now).filter_map(|seq| output(run, seq, size.output_bytes()));
        says.tries(run, now);
        store.append(run, last, &records(run, last + 1..=now), &outputs.collect::<Vec<_>>()).await?;
        says.has(run, now);
        last = now;
    }
    Ok(last)
}

#[expect(clippy::print_stdout, reason = "whoever started it hears that it came to its end")]
fn println_died() {
    println!("the session ended by dying");
}
