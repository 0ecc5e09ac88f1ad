//! A disk that loses power: what a log of changes leaves on it.
//!
//! # The model
//! - What was written to a file is on the disk once the file is synced; a name, once its directory is synced.
//!   Syncing a file makes no name durable.
//! - Of what is not synced anything may be there: each block (of 512 bytes, of 4 KiB, or all) of each write is
//!   written, not written, written in part, or garbage, by itself; each change of a length or of a name is
//!   there or not.
//! - Bytes that were synced and not written since stay as they are, also beside others in a block that are
//!   garbage. SQLite relies on that, too (`SQLITE_IOCAP_POWERSAFE_OVERWRITE`).
//! - A sync that failed has thrown away what was to be written: no later sync brings it back, although whoever
//!   reads the file still finds it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::Random;

const DATABASE: &str = "results/sortie.db";

/// A change that a program made, or something that it said.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Write {
        file: usize,
        at: usize,
        data: Vec<u8>,
    },
    Truncate {
        file: usize,
        size: usize,
    },
    Name {
        path: String,
        file: Option<usize>,
    },
    Unname {
        path: String,
    },
    SyncFile {
        file: usize,
        kind: usize,
    },
    SyncDirectory {
        path: String,
        kind: usize,
    },
    FailedSync {
        path: String,
        file: Option<usize>,
    },
    /// It is about to append up to this record of a run, or was told that so many are durable.
    Says {
        run: String,
        tries: bool,
        records: u64,
    },
}

/// What a program did, in its order.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) ops: Vec<Op>,
    /// What syncs there are, by what they sync.
    pub(crate) kinds: Vec<String>,
    files: usize,
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(parent, _)| parent)
}

impl Log {
    /// Reads the shim's log.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let (mut log, mut rest) = (Log::default(), bytes);
        let (mut names, mut disk) = (BTreeMap::<String, usize>::new(), Disk::default());
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let head = str::from_utf8(&rest[..end]).unwrap();
            let [call, at, length, path] = head.splitn(4, ' ').collect::<Vec<_>>()[..] else {
                panic!("no line of a log: {head}")
            };
            let (at, length): (usize, usize) = (at.parse().unwrap(), length.parse().unwrap());
            let data = &rest[end + 1..end + 1 + length];
            rest = &rest[end + 1 + length..];
            if path.ends_with("-shm") || (path == "acks" && call != "write") {
                continue;
            }
            let op = match call {
                "write" if path == "acks" => said(str::from_utf8(data).unwrap().trim_end()),
                "create" => {
                    names.insert(path.to_owned(), log.files);
                    log.files += 1;
                    Op::Name { path: path.to_owned(), file: Some(log.files - 1) }
                }
                "mkdir" => Op::Name { path: path.to_owned(), file: None },
                "unlink" => {
                    names.remove(path);
                    Op::Unname { path: path.to_owned() }
                }
                "write" => {
                    if path == DATABASE {
                        log.before_a_checkpoint(names.get("results/sortie.db-wal"));
                    }
                    Op::Write { file: names[path], at, data: data.to_vec() }
                }
                "truncate" => Op::Truncate { file: names[path], size: at },
                "sync" => {
                    let file = names.get(path).copied();
                    let kind = log.kind(disk.what_is_pending(path, file));
                    match file {
                        Some(file) => Op::SyncFile { file, kind },
                        None => Op::SyncDirectory { path: path.to_owned(), kind },
                    }
                }
                "failed-sync" => Op::FailedSync { path: path.to_owned(), file: names.get(path).copied() },
                other => panic!("the journal is not expected to {other}"),
            };
            disk.apply(&op, &|_| Sync::Made);
            log.ops.push(op);
        }
        log
    }

    /// Where syncs of these kinds are.
    pub(crate) fn syncs(&self, is_of: impl Fn(usize) -> bool) -> Vec<usize> {
        let is_one = |op: &Op| match op {
            Op::SyncFile { kind, .. } | Op::SyncDirectory { kind, .. } => is_of(*kind),
            _ => false,
        };
        (0..self.ops.len()).filter(|&at| is_one(&self.ops[at])).collect()
    }

    /// The database is written to: a sync of the log just before was for that.
    fn before_a_checkpoint(&mut self, log: Option<&usize>) {
        let last = self.ops.iter().rposition(|op| !matches!(op, Op::SyncDirectory { .. } | Op::Says { .. }));
        if let Some(last) = last
            && let Op::SyncFile { file, kind } = self.ops[last]
            && Some(&file) == log
        {
            let kind = self.kind(format!("{} before a checkpoint", self.kinds[kind]));
            self.ops[last] = Op::SyncFile { file, kind };
        }
    }

    fn kind(&mut self, name: String) -> usize {
        if let Some(known) = self.kinds.iter().position(|known| *known == name) {
            return known;
        }
        self.kinds.push(name);
        self.kinds.len() - 1
    }
}

/// A line of `acks`.
fn said(line: &str) -> Op {
    let [what, run, records] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    Op::Says { run: run.to_owned(), tries: what == "try", records: records.parse().unwrap() }
}

/// What becomes of a sync.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    Made,
    /// As if the program had not asked for it.
    Dropped,
}

#[derive(Clone, Debug, Default)]
struct File {
    synced: Vec<u8>,
    pending: Vec<Op>,
}

/// What is durable after a part of a log, and what is pending.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    names: BTreeMap<String, Option<usize>>,
    pending: Vec<Op>,
    said: BTreeMap<String, Said>,
}

/// What a program said of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// So many records are durable; none while the run was not created.
    pub(crate) has: Option<u64>,
    /// What it tried to append since.
    pub(crate) tried: BTreeSet<u64>,
    /// What it ever tried.
    pub(crate) ever: BTreeSet<u64>,
}

impl Disk {
    pub(crate) fn apply(&mut self, op: &Op, sync: &impl Fn(usize) -> Sync) {
        match op {
            Op::Write { file, .. } | Op::Truncate { file, .. } => self.files[*file].pending.push(op.clone()),
            Op::Name { file, .. } => {
                if file.is_some() {
                    self.files.push(File::default());
                }
                self.pending.push(op.clone());
            }
            Op::Unname { .. } => self.pending.push(op.clone()),
            Op::SyncFile { file, kind } if sync(*kind) == Sync::Made => {
                let File { synced, pending } = &mut self.files[*file];
                pending.drain(..).for_each(|change| written(synced, &change));
            }
            Op::SyncDirectory { path: directory, kind } if sync(*kind) == Sync::Made => {
                let (synced, pending) = self
                    .pending
                    .drain(..)
                    .partition::<Vec<_>, _>(|change| parent(path_of(change)) == directory);
                self.pending = pending;
                for change in &synced {
                    renamed(&mut self.names, change);
                }
            }
            Op::SyncFile { .. } | Op::SyncDirectory { .. } => {}
            Op::FailedSync { file: Some(file), .. } => self.files[*file].pending.clear(),
            Op::FailedSync { path: directory, .. } => {
                self.pending.retain(|op| parent(path_of(op)) != directory);
            }
            Op::Says { run, tries, records } => {
                let said = self.said.entry(run.clone()).or_default();
                if *tries {
                    said.tried.insert(*records);
                    said.ever.insert(*records);
                } else {
                    said.has = Some(*records);
                    said.tried.clear();
                }
            }
        }
    }

    /// What the program has said of each run.
    pub(crate) fn said(&self, run: &str) -> Said {
        self.said.get(run).cloned().unwrap_or_default()
    }

    /// Whether there is this name now, durable or not.
    fn is_there(&self, path: &str) -> bool {
        let last = self.pending.iter().rev().find(|op| path_of(op) == path);
        last.map_or(self.names.contains_key(path), |op| matches!(op, Op::Name { .. }))
    }

    /// What a sync of this makes durable, in words: its kind.
    fn what_is_pending(&self, path: &str, file: Option<usize>) -> String {
        let Some(file) = file else {
            let here = |op: &&Op| parent(path_of(op)) == path;
            let names = self.pending.iter().filter(here).map(|op| match op {
                Op::Unname { path } => format!(" -{}", name(path)),
                op => format!(" +{}", name(path_of(op))),
            });
            let names: String = names.collect();
            let names = if names.is_empty() { " nothing".to_owned() } else { names };
            return format!("directory {}:{names}", if path == "." { "above" } else { "of results" });
        };
        let pending = &self.files[file].pending;
        let is_head = |op: &Op| matches!(op, Op::Write { at: 0, data, .. } if data.len() < 512);
        let creating = self.is_there("results/sortie.db-journal");
        let what = match (pending.is_empty(), pending.iter().all(is_head), pending.iter().any(is_head)) {
            (true, ..) => "nothing",
            (_, true, _) => "its header",
            (_, _, true) if path.ends_with("-wal") => "its header and pages",
            _ if path == DATABASE && !creating => "pages of a checkpoint",
            _ => "pages",
        };
        format!("{}: {what}", name(path))
    }

    /// What the power cut leaves, below this directory.
    pub(crate) fn crash(&self, random: &mut Random, dir: &Path) {
        let mut luck = Luck::draw(random);
        let mut names = self.names.clone();
        for change in &self.pending {
            if luck.is_there() {
                renamed(&mut names, change);
            }
        }
        for (path, file) in &names {
            match file {
                // A name is there only below a directory that is there.
                _ if !dir.join(parent(path)).is_dir() => {}
                None => fs::create_dir_all(dir.join(path)).unwrap(),
                Some(file) => fs::write(dir.join(path), self.files[*file].after(&mut luck)).unwrap(),
            }
        }
        // SQLite's shared memory is as the last process left it, or older, or garbage.
        if dir.join(DATABASE).exists() && luck.is_there() {
            fs::write(dir.join("results/sortie.db-shm"), luck.garbage(32_768)).unwrap();
        }
    }
}

fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn path_of(op: &Op) -> &str {
    match op {
        Op::Name { path, .. } | Op::Unname { path } => path,
        other => panic!("{other:?} is no change of a name"),
    }
}

fn renamed(names: &mut BTreeMap<String, Option<usize>>, change: &Op) {
    match change {
        Op::Name { path, file } => drop(names.insert(path.clone(), *file)),
        other => drop(names.remove(path_of(other))),
    }
}

fn written(content: &mut Vec<u8>, change: &Op) {
    match change {
        Op::Write { at, data, .. } => put(content, *at, data),
        Op::Truncate { size, .. } => content.resize(*size, 0),
        other => panic!("{other:?} changes no file"),
    }
}

fn put(content: &mut Vec<u8>, at: usize, data: &[u8]) {
    if content.len() < at + data.len() {
        content.resize(at + data.len(), 0);
    }
    content[at..at + data.len()].copy_from_slice(data);
}

impl File {
    /// What is in it after the power cut.
    fn after(&self, luck: &mut Luck<'_>) -> Vec<u8> {
        let mut content = self.synced.clone();
        for change in &self.pending {
            let Op::Write { at, data, .. } = change else {
                if luck.is_there() {
                    written(&mut content, change);
                }
                continue;
            };
            let mut from = 0;
            while from < data.len() {
                let to = ((at + from) / luck.block + 1).saturating_mul(luck.block) - at;
                let to = to.min(data.len());
                let block = &data[from..to];
                match luck.of_block() {
                    Fate::Written => put(&mut content, at + from, block),
                    Fate::NotWritten => {}
                    Fate::Torn => {
                        let part = luck.random.below(block.len() as u64 + 1) as usize;
                        put(&mut content, at + from, &block[..part]);
                    }
                    Fate::Garbage => put(&mut content, at + from, &luck.garbage(block.len())),
                }
                from = to;
            }
        }
        content
    }
}

enum Fate {
    Written,
    NotWritten,
    Torn,
    Garbage,
}

/// How much of what is pending one power cut takes.
struct Luck<'a> {
    random: &'a mut Random,
    block: usize,
    /// Of a hundred changes so many are there as if they had been synced.
    percent: u64,
}

impl<'a> Luck<'a> {
    fn draw(random: &'a mut Random) -> Self {
        let block = [512, 4096, usize::MAX][random.below(3) as usize];
        let percent = [0, 10, 50, 90, 97, 100][random.below(6) as usize];
        Luck { random, block, percent }
    }

    fn is_there(&mut self) -> bool {
        self.random.below(100) < self.percent
    }

    fn of_block(&mut self) -> Fate {
        if self.is_there() {
            return Fate::Written;
        }
        [Fate::NotWritten, Fate::NotWritten, Fate::Torn, Fate::Garbage]
            .into_iter()
            .nth(self.random.below(4) as usize)
            .unwrap()
    }

    fn garbage(&mut self, bytes: usize) -> Vec<u8> {
        (0..bytes.div_ceil(8)).flat_map(|_| self.random.next().to_le_bytes()).take(bytes).collect()
    }
}
