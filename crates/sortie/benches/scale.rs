//! What a plan costs us, by its size: `cargo bench -p sortie --bench scale`.
//!
//! Everything that a run does apart from its calls: read the plan, check it, drive it to its end in
//! virtual time by the engine's own loop, summarise it. The answers are made up on the spot, and
//! the journal is in memory, so that what is measured is this program and neither a disk nor an
//! API. Beside it stands what a forecast of the plan takes. Half of the tasks hang on one task and are gathered by one other, half stand in chains with
//! fans and joins; prompts insert results.
//!
//! Each size runs in a process of its own (this one, started again), so that one peak of memory
//! does not hide another; of several tries the fastest counts. What it does not do: fail. Times on
//! a busy machine are no verdict; the targets are printed beside what was measured.

#![expect(clippy::print_stdout, reason = "its table is what it is for")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sortie::config::Config;
use sortie::core::call::{Call, Returned, Text};
use sortie::core::document::Source;
use sortie::core::forecast::{Laws, forecast};
use sortie::core::plan::check::check;
use sortie::core::plan::written::PlanFile;
use sortie::core::run::event::{Finish, Outcome, Record, Timing};
use sortie::core::run::input::Billing;
use sortie::core::time::Time;
use sortie::core::usage::Usage;
use sortie::engine::driver::{self, Ended, Observe};
use sortie::engine::executor::signals::Signals;
use sortie::engine::executor::simulated::{Answered, Answerer, Pace, SimulatedExecutor};
use sortie::engine::store::memory::MemoryStore;
use sortie::engine::store::{Output, Store};
use sortie::launch::Launch;
use sortie::providers::keys::Environment;
use sortie::report::results::TaskResult;
use sortie::report::{Fold, format};

/// Tasks of a plan; the first is what the last is compared with.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
/// How often each size is tried. The same for all: the fastest of many is compared with the fastest
/// of as many.
const TRIES: usize = 10;
/// What the largest size may take, all in all.
const MOST_SECONDS: f64 = 3.0;
/// And how much memory.
const MOST_MIB: f64 = 400.0;
/// What its forecast may take, before the run begins.
const MOST_FORECAST_SECONDS: f64 = 3.0;
/// How much more a task of the largest plan may cost than one of the smallest.
const MOST_GROWTH: f64 = 1.3;

/// Budget, prices and rates are set, so that money and gates are asked; none of them binds.
const CONFIG: &str = "
agents: { claude: { model: claude-sonnet-4-5-20250929, max_tokens: 400 } }
cost_control: { max_cost_per_session: 1000000, max_cost_per_task: 0.5 }
rate_limiting: { requests_per_minute: 6000000, requests_burst: 100000, input_tokens_per_minute: 6000000000, max_concurrent: 200 }
";

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["one", format, tasks] => {
            let figures = measure(tasks.parse()?, format)?;
            println!("{}", serde_json::to_string(&figures)?);
            Ok(())
        }
        // `cargo bench` says so; whoever else starts it wants to know that it still works.
        arguments if arguments.contains(&"--bench") => table(&SIZES, TRIES),
        _ => table(&SIZES[..1], 1),
    }
}

/// What one size came to: seconds of each phase, and the peak of memory.
#[derive(Debug, Serialize, Deserialize)]
struct Figures {
    tasks: usize,
    parse: f64,
    check: f64,
    run: f64,
    summarise: f64,
    /// Beside the rest: nothing of a run waits for it.
    forecast: f64,
    peak_mib: f64,
}

impl Figures {
    fn total(&self) -> f64 {
        self.parse + self.check + self.run + self.summarise
    }

    fn micros_per_task(&self) -> f64 {
        self.total() * 1e6 / self.tasks as f64
    }
}

fn table(sizes: &[usize], tries: usize) -> Result<(), Failed> {
    println!("format    tasks   parse   check     run  summarise   total (s)  µs/task  peak MiB  forecast");
    for format in ["jsonl", "yaml"] {
        let mut all = Vec::new();
        for &tasks in sizes {
            let figures = fastest(tasks, format, tries)?;
            let Figures { parse, check, run, summarise, forecast, peak_mib, .. } = &figures;
            println!(
                "{format:<6} {tasks:>8}  {parse:>6.3}  {check:>6.3}  {run:>6.3}     {summarise:>6.3}      {:>6.3}   {:>6.2}    {peak_mib:>6.1}    {forecast:>6.3}",
                figures.total(),
                figures.micros_per_task(),
            );
            all.push(figures);
        }
        if let [smallest, .., largest] = all.as_slice() {
            verdict(smallest, largest);
        }
    }
    Ok(())
}

fn verdict(smallest: &Figures, largest: &Figures) {
    let growth = largest.micros_per_task() / smallest.micros_per_task();
    for (what, value, most) in [
        ("seconds", largest.total(), MOST_SECONDS),
        ("seconds to forecast it", largest.forecast, MOST_FORECAST_SECONDS),
        ("MiB", largest.peak_mib, MOST_MIB),
        ("times the cost per task of the smallest", growth, MOST_GROWTH),
    ] {
        let word = if value < most { "met" } else { "MISSED" };
        println!("       {value:.2} {what} (target: below {most}): {word}");
    }
}

/// Measures one size in processes of its own.
fn fastest(tasks: usize, format: &str, tries: usize) -> Result<Figures, Failed> {
    let mut all = Vec::new();
    for _ in 0..tries {
        let output =
            Command::new(std::env::current_exe()?).args(["one", format, &tasks.to_string()]).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        all.push(serde_json::from_slice::<Figures>(&output.stdout)?);
    }
    let forecast = all.iter().map(|figures| figures.forecast).min_by(f64::total_cmp);
    let fastest = all.into_iter().min_by(|a, b| a.total().total_cmp(&b.total()));
    let (fastest, forecast) = fastest.zip(forecast).ok_or("no tries")?;
    Ok(Figures { forecast, ..fastest })
}

/// One size, once, in this process.
fn measure(tasks: usize, format: &str) -> Result<Figures, Failed> {
    let text = plan(tasks, format)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut watch = Watch::start();

    let source = Source::new(format!("scale.{format}"), text).map_err(|problems| problems.to_string())?;
    let file = PlanFile::read(&source).map_err(|problems| problems.to_string())?;
    let parse = watch.lap();

    let config = Source::new("sortie.yaml", CONFIG.into()).map_err(|problems| problems.to_string())?;
    let config = Config::read(&config, &|_| None, sortie::session::today()).map_err(|p| p.to_string())?;
    let checked = check(file, &config.routing()).map_err(|problems| problems.to_string())?;
    drop(source);
    let simulation = Some(sortie::binding::Simulation::named("calm", 0)?);
    let launch = Launch { run_id: Some("scale".to_owned()), simulation, ..Launch::default() };
    let header = launch.header(checked, &config, &Environment::default(), Time::ZERO)?;
    let check = watch.lap();
    let drafted = (Arc::clone(&header.plan), Arc::clone(&header.settings));

    let (fold, store) = runtime.block_on(async {
        let mut observe = Folding(Fold::new(sortie::session::view(&header)));
        let mut store = MemoryStore::new();
        let opened = driver::create(&mut store, header).await?;
        let mut executor = SimulatedExecutor::new(Trivial, Time::ZERO, Pace::Jumping, Signals::none());
        match opened.drive(&mut store, &mut executor, &mut observe).await? {
            Ended::Finished(Outcome::Completed) => Ok::<_, Failed>((observe.0, store)),
            ended => Err(format!("the run ended otherwise: {ended:?}").into()),
        }
    })?;
    let run = watch.lap();

    let report = fold.report(fold.last_time());
    if !report.summary.success {
        return Err(report.summary.error.unwrap_or_default().into());
    }
    let mut nowhere = std::io::sink();
    for format in format::ALL {
        nowhere.write_all(&format.render(&report))?;
    }
    runtime.block_on(async {
        for (id, view) in fold.run().plan.ids().zip(fold.tasks()) {
            let answer = view.answer.as_ref().ok_or("a task has no answer")?;
            let text = store.output(&answer.output).await?;
            serde_json::to_writer(&mut nowhere, &TaskResult::of(&fold, id, Some(text)))?;
        }
        Ok::<_, Failed>(())
    })?;
    let summarise = watch.lap();
    let peak_mib = peak_mib()?;
    drop((fold, store));
    let (plan, settings) = drafted;
    let mut watch = Watch::start();
    let forecast = forecast(&plan, &settings, &Laws::new(&plan, |_| None), 0);
    if forecast.tasks != tasks {
        return Err("the forecast is of another plan".into());
    }
    let forecast = watch.lap();
    Ok(Figures { tasks, parse, check, run, summarise, forecast, peak_mib })
}

/// Folds records as a run's recorder does.
struct Folding(Fold);

impl Observe for Folding {
    fn records(&mut self, records: &[Record], _: &[Output]) {
        for record in records {
            self.0.apply(record);
        }
    }
}

/// Answers at once with what nobody has to make up: the times vary, so that calls end in another
/// order than they start.
struct Trivial;

impl Answerer for Trivial {
    fn answer(&mut self, call: &Call, _: Time) -> Answered {
        let task = call.attempt.task.0;
        let total = Duration::from_millis(1_000 + u64::from(task.wrapping_mul(2_654_435_761) >> 20));
        let usage = Usage { input: call.prompt.len() as u64 / 4, output: 20, ..Usage::default() };
        let text = format!("The result of task number {task}, a line of text as short as they come.");
        let returned = Returned {
            result: Ok(Text { text, finish: Finish::Stop, model: "trivial".to_owned() }),
            billing: Billing::Reported(usage),
            timing: Timing { first_token: Some(total / 4), total },
        };
        (returned, total).into()
    }
}

/// A plan of so many tasks: one that half of them hang on and one that gathers those, and blocks
/// of ten (a fan of four, a join, a chain of four) that hang on the block a hundred blocks before.
fn plan(tasks: usize, format: &str) -> Result<Vec<u8>, Failed> {
    let is_yaml = format == "yaml";
    let mut text = if is_yaml { "name: scale\ntasks:\n".to_owned() } else { String::new() };
    let blocks = (tasks - 2) / 20;
    let fan: Vec<String> = (0..tasks - 2 - blocks * 10).map(|n| format!("fan-{n}")).collect();
    let mut task = |id: &str, prompt: &str, on: &[String]| -> Result<(), Failed> {
        let (id, prompt, on) =
            (serde_json::to_string(id)?, serde_json::to_string(prompt)?, serde_json::to_string(on)?);
        if is_yaml {
            writeln!(text, "  - id: {id}\n    prompt: {prompt}\n    depends_on: {on}")?;
        } else {
            writeln!(text, r#"{{"id": {id}, "prompt": {prompt}, "depends_on": {on}}}"#)?;
        }
        Ok(())
    };
    task("start", "Name a subject.", &[])?;
    for id in &fan {
        task(id, "Write a line about {{ results.start }}", &["start".to_owned()])?;
    }
    task("gather", "How many lines were written?", &fan)?;
    for block in 0..blocks {
        let before: Vec<String> =
            block.checked_sub(100).map(|b| format!("block-{b}-chain-3")).into_iter().collect();
        let name = |part: &str| format!("block-{block}-{part}");
        let one = |part: &str| vec![name(part)];
        task(&name("head"), "Begin something of its own.", &before)?;
        let arms: Vec<String> = (0..4).map(|arm| name(&format!("arm-{arm}"))).collect();
        for arm in &arms {
            task(arm, &format!("Go on with {{{{ results['{}'] }}}}", name("head")), &one("head"))?;
        }
        task(&name("join"), &format!("Join {{{{ results['{}'] }}}}", arms[0]), &arms)?;
        for link in 0..4 {
            let on = if link == 0 { one("join") } else { one(&format!("chain-{}", link - 1)) };
            task(&name(&format!("chain-{link}")), &format!("Improve {{{{ results['{}'] }}}}", on[0]), &on)?;
        }
    }
    Ok(text.into_bytes())
}

/// Seconds from lap to lap.
struct Watch(std::time::Instant);

impl Watch {
    fn start() -> Self {
        Watch(wall())
    }

    fn lap(&mut self) -> f64 {
        let before = std::mem::replace(&mut self.0, wall());
        self.0.duration_since(before).as_secs_f64()
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn wall() -> std::time::Instant {
    std::time::Instant::now()
}

/// The most memory that this process has had (Linux's `VmHWM`; 0 where nobody says).
fn peak_mib() -> Result<f64, Failed> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    Ok(kib.unwrap_or("0").trim().parse::<f64>()? / 1024.0)
}
