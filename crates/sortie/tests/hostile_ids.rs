//! Task ids are text of the plan's author: whatever they are, no file is named after one, and no
//! two of them are taken for the same.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sortie::{Scheduler, Task};

/// How many ids are tried.
const IDS: usize = 10_000;

/// Ids that have broken programs, and variations of them that are easily taken for the same.
const SEEDS: [&str; 16] = [
    "..",
    "../../etc/passwd",
    "/",
    "/tmp/x",
    "CON",
    "nul.txt",
    "-rf",
    "--help",
    "a\u{301}",
    "\u{e1}",
    "A",
    "a",
    "\u{202e}txt.exe",
    "{{ results.a }}",
    "'; DROP TABLE runs; --",
    "%s%n",
];

fn hostile_ids() -> BTreeSet<String> {
    let mut ids: BTreeSet<String> = SEEDS.iter().map(|&id| id.to_owned()).collect();
    let mut n = 0usize;
    while ids.len() < IDS {
        let (a, b) = (SEEDS[n % SEEDS.len()], SEEDS[n / SEEDS.len() % SEEDS.len()]);
        ids.insert(format!("{a}{n}{b}"));
        n += 1;
    }
    ids
}

/// Every file and directory below this one.
fn below(directory: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path.clone());
            }
            found.insert(path);
        }
    }
    found
}

#[tokio::test]
async fn no_id_names_a_file_and_no_two_collide() {
    let outside = tempfile::tempdir().unwrap();
    let results_dir = outside.path().join("results");
    let ids = hostile_ids();
    let tasks = ids.iter().map(|id| Task::new(id, "Say it.").max_tokens(5));
    let scheduler = Scheduler::new().simulate("calm").max_concurrent(1_000).results_dir(&results_dir);
    let result = scheduler.run(tasks).await.unwrap();
    assert_eq!(result.task_results.keys().collect::<BTreeSet<_>>(), ids.iter().collect());
    assert!(result.success);

    let run = results_dir.join(&result.run_id);
    let mut expected: BTreeSet<PathBuf> =
        [results_dir.clone(), results_dir.join("sortie.db"), run.clone()].into();
    for name in
        ["api_calls.log", "owner.lock", "production.log", "report.md", "results.jsonl", "summary.json"]
    {
        expected.insert(run.join(name));
    }
    assert_eq!(below(outside.path()), expected);
}

#[tokio::test]
async fn an_id_that_cannot_be_shown_is_refused() {
    for id in ["", "a\0b", "a\nb", &"x".repeat(5_000)] {
        let refused = Scheduler::new().simulate("calm").run([Task::new(id, "Say it.")]).await;
        assert!(matches!(refused, Err(sortie::Error::Plan(_))), "{id:?}");
    }
}
