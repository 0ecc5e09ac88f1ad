//! What the journal costs: `cargo bench -p sortie-cli --bench journal`.
//!
//! - The share of a run's time: 10,000 tasks whose calls keep a run busy for a minute, once with the journal
//!   in memory, once in its file on this machine's disk with a sync for every append.
//! - A resume: the program itself, on a run of which 100,000 records are kept and some tasks are left.
//!
//! It prints what was measured with the targets beside it. What it does not do: fail. A busy machine is no
//! verdict.

#![expect(clippy::print_stdout, reason = "its table is what it is for")]

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sortie::config::Config;
use sortie::core::call::{Call, Returned, Text};
use sortie::core::document::Source;
use sortie::core::hash::Hash;
use sortie::core::plan::check::check;
use sortie::core::plan::written::PlanFile;
use sortie::core::run::event::{Event, Finish, Outcome, Record, Timing};
use sortie::core::run::input::Billing;
use sortie::core::time::Time;
use sortie::core::usage::Usage;
use sortie::engine::driver::{self, Ended, Observe};
use sortie::engine::executor::Executor;
use sortie::engine::executor::local::{Caller, Ear, LocalExecutor};
use sortie::engine::executor::signals::Signals;
use sortie::engine::executor::simulated::{Answered, Answerer, Pace, SimulatedExecutor};
use sortie::engine::store::memory::MemoryStore;
use sortie::engine::store::sqlite::{Durability, SqliteStore};
use sortie::engine::store::{Header, Output, Store};
use sortie::launch::Launch;
use sortie::providers::keys::Environment;
use tempfile::TempDir;

/// Tasks of the run whose time is compared, how many are under way at once, and how long a call takes on
/// average, so that the run takes a minute.
const TASKS: usize = 10_000;
const MAX_CONCURRENT: u32 = 64;
const CALL: Duration = Duration::from_millis(384);
/// The share of its time that the journal may take.
const MOST_PERCENT: f64 = 5.0;

/// Records of the run that is resumed, and what its resume may take.
const RECORDS: usize = 100_000;
const MOST_SECONDS: f64 = 2.0;
const MOST_MIB: f64 = 300.0;
const TRIES: usize = 5;

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    // `cargo bench` says so; whoever else starts it wants to know that it still works.
    let is_asked = std::env::args().any(|argument| argument == "--bench");
    let (tasks, records, tries) = if is_asked { (TASKS, RECORDS, TRIES) } else { (64, 300, 1) };
    resume(records, tries)?;
    share(tasks)
}

fn verdict(value: f64, most: f64, unit: &str) {
    let word = if value <= most { "met" } else { "MISSED" };
    println!("    {value:.2} {unit} (target: at most {most}): {word}");
}

/// The header of a run of so many tasks, in two hundred chains.
fn header(tasks: usize) -> Result<Header, Failed> {
    let mut text = String::new();
    for task in 0..tasks {
        let before = task.checked_sub(200).map(|before| format!("\"t{before}\""));
        let on = before.unwrap_or_default();
        writeln!(
            text,
            r#"{{"id": "t{task}", "prompt": "Write a line about {task}.", "depends_on": [{on}]}}"#
        )?;
    }
    let config = format!(
        "agents: {{ claude: {{ model: claude-sonnet-4-5-20250929, max_tokens: 400 }} }}\n\
         rate_limiting: {{ max_concurrent: {MAX_CONCURRENT} }}"
    );
    let source = Source::new("journal.jsonl", text.into_bytes()).map_err(|problems| problems.to_string())?;
    let file = PlanFile::read(&source).map_err(|problems| problems.to_string())?;
    let config = Source::new("sortie.yaml", config.into()).map_err(|problems| problems.to_string())?;
    let config = Config::read(&config, &|_| None, sortie::session::today()).map_err(|p| p.to_string())?;
    let checked = check(file, &config.routing()).map_err(|problems| problems.to_string())?;
    let simulation = Some(sortie::binding::Simulation::named("calm", 0)?);
    let launch = Launch { run_id: Some("journal".to_owned()), simulation, ..Launch::default() };
    Ok(launch.header(checked, &config, &Environment::default(), sortie::session::now())?)
}

/// What a call comes back with, and after how long.
fn answer(call: &Call) -> (Returned, Duration) {
    let task = call.attempt.task.0;
    let total = CALL / 2 + CALL * (task.wrapping_mul(2_654_435_761) >> 22) / 1024;
    let usage = Usage { input: call.prompt.len() as u64 / 4, output: 20, ..Usage::default() };
    let text = format!("The result of task number {task}, a line of text as short as they come.");
    let returned = Returned {
        result: Ok(Text { text, finish: Finish::Stop, model: "claude-sonnet-4-5-20250929".to_owned() }),
        billing: Billing::Reported(usage),
        timing: Timing { first_token: Some(total / 4), total },
    };
    (returned, total)
}

struct Answers;

impl Answerer for Answers {
    fn answer(&mut self, call: &Call, _: Time) -> Answered {
        answer(call).into()
    }
}

impl Caller for Answers {
    #[expect(clippy::disallowed_methods, reason = "a call takes real time here")]
    async fn call(&self, call: Call, _: Ear) -> Returned {
        let (returned, took) = answer(&call);
        tokio::time::sleep(took).await;
        returned
    }
}

/// Keeps what becomes durable, and counts the appends.
#[derive(Default)]
struct Seen {
    appends: usize,
    records: usize,
    kept: Option<(Vec<Record>, HashMap<Hash, Output>)>,
}

impl Observe for Seen {
    fn records(&mut self, records: &[Record], outputs: &[Output]) {
        self.appends += 1;
        self.records += records.len();
        if let Some((all, by_hash)) = &mut self.kept {
            all.extend_from_slice(records);
            by_hash.extend(outputs.iter().map(|output| (output.0, output.clone())));
        }
    }
}

async fn drive<S: Store, E: Executor>(
    header: Header,
    store: &mut S,
    executor: &mut E,
    seen: &mut Seen,
) -> Result<(), Failed> {
    match driver::create(store, header).await?.drive(store, executor, seen).await? {
        Ended::Finished(Outcome::Completed) => Ok(()),
        ended => Err(format!("the run ended otherwise: {ended:?}").into()),
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}

/// How much longer a run takes with its journal on the disk.
fn share(tasks: usize) -> Result<(), Failed> {
    // Beside the build, on a real disk: a temporary directory may be in memory.
    let place = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let header = header(tasks)?;
    let local = || LocalExecutor::new(Answers, header.created, Signals::none());
    runtime.block_on(async {
        let (mut seen, start) = (Seen::default(), now());
        drive(header.clone(), &mut MemoryStore::new(), &mut local(), &mut seen).await?;
        let memory = now().duration_since(start).as_secs_f64();
        println!(
            "{tasks} tasks, journal in memory: {memory:.2} s, {} records in {} appends",
            seen.records, seen.appends
        );
        let mut store = SqliteStore::open(place.path(), Durability::Synced)?;
        let (mut seen, start) = (Seen::default(), now());
        drive(header.clone(), &mut store, &mut local(), &mut seen).await?;
        let disk = now().duration_since(start).as_secs_f64();
        println!(
            "{tasks} tasks, journal on the disk: {disk:.2} s, {} records in {} appends",
            seen.records, seen.appends
        );
        verdict((disk - memory) / memory * 100.0, MOST_PERCENT, "% of the time for the journal");
        Ok(())
    })
}

/// What a resume of so many records takes, the fastest of some tries.
fn resume(records: usize, tries: usize) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let header = header(records / 2 + 10)?;
    let mut seen = Seen { kept: Some(<_>::default()), ..Seen::default() };
    let mut executor = SimulatedExecutor::new(Answers, header.created, Pace::Jumping, Signals::none());
    runtime.block_on(drive(header.clone(), &mut MemoryStore::new(), &mut executor, &mut seen))?;
    let (all, outputs) = seen.kept.ok_or("nothing was kept")?;
    let all = all.get(..records).ok_or("there are not so many records")?;
    let mut best = Resumed { seconds: f64::INFINITY, worked: f64::INFINITY, mib: f64::INFINITY };
    for _ in 0..tries {
        let place = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
        runtime.block_on(keep(place.path(), &header, all, &outputs))?;
        let Resumed { seconds, worked, mib } = resumed(place.path())?;
        best = Resumed {
            seconds: best.seconds.min(seconds),
            worked: best.worked.min(worked),
            mib: best.mib.min(mib),
        };
    }
    println!("`sortie resume` of {records} records, {} tasks:", header.plan.len());
    verdict(best.seconds, MOST_SECONDS, "seconds");
    println!("    {:.2} seconds of a processor's time", best.worked);
    verdict(best.mib, MOST_MIB, "MiB");
    Ok(())
}

/// Keeps a run that ends after these records.
async fn keep(
    results: &Path,
    header: &Header,
    records: &[Record],
    outputs: &HashMap<Hash, Output>,
) -> Result<(), Failed> {
    let mut store = SqliteStore::open(results, Durability::Unsynced)?;
    store.create(header).await?;
    for chunk in records.chunks(1_000) {
        let named = chunk.iter().filter_map(|record| match &record.event {
            Event::AttemptSucceeded { answer, .. } => outputs.get(&answer.output).cloned(),
            _ => None,
        });
        store.append(&header.run_id, chunk[0].seq - 1, chunk, &named.collect::<Vec<_>>()).await?;
    }
    Ok(())
}

/// What a resume took.
struct Resumed {
    seconds: f64,
    /// Of a processor's time: on a busy machine it is less than what passes.
    worked: f64,
    /// The peak of memory.
    mib: f64,
}

/// What the program takes that resumes this run and ends it.
#[expect(clippy::disallowed_methods, reason = "another process is looked at while it runs")]
fn resumed(results: &Path) -> Result<Resumed, Failed> {
    let start = now();
    let mut resume = Command::new(env!("CARGO_BIN_EXE_sortie"));
    resume.args(["resume", "--quiet", "--results-dir"]).arg(results).current_dir(results);
    let mut child = resume.stdout(Stdio::null()).spawn()?;
    let (process, mut peak, mut worked) = (format!("/proc/{}", child.id()), 0.0, 0.0);
    let ended = loop {
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        // The peak so far (Linux's `VmHWM`): the last look is a millisecond before the end.
        let status = std::fs::read_to_string(format!("{process}/status")).unwrap_or_default();
        let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        peak = kib.map_or(peak, |kib| kib.trim().parse::<f64>().unwrap_or(0.0) / 1024.0);
        worked = processor_seconds(&format!("{process}/stat")).unwrap_or(worked);
        std::thread::sleep(Duration::from_millis(1));
    };
    if !ended.success() {
        return Err(format!("the resume ended with {ended}").into());
    }
    Ok(Resumed { seconds: now().duration_since(start).as_secs_f64(), worked, mib: peak })
}

/// The time that a process has worked, from its `stat` (`proc_pid_stat(5)`: fields 14 and 15, in hundredths).
fn processor_seconds(stat: &str) -> Option<f64> {
    let stat = std::fs::read_to_string(stat).ok()?;
    let behind_the_name = stat.rsplit_once(')')?.1;
    let ticks: Vec<f64> =
        behind_the_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse().ok()).collect();
    Some(ticks.iter().sum::<f64>() / 100.0)
}
