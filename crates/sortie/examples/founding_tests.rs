//! The progressive tests of the document that the project was founded on (SPEC.md S1 to S4), as a
//! program would run them: `cargo run -p sortie --example founding_tests`.
//!
//! They ask the real API where `ANTHROPIC_API_KEY` or `OPENAI_API_KEY` is set, for a few cents and
//! never more than a dollar; with `--simulate` the simulator answers, without a key and on a
//! virtual clock. Exits 0 where all tests held, 1 where one did not, 2 on a wrong argument, 4
//! where there is no key.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example speaks to whoever runs it")]

use std::path::Path;
use std::process::ExitCode;

use sortie::{Environment, Error, RunResult, Scheduler, Task};

/// What each run may cost, in USD; there are five.
const MAX_COST: f64 = 0.20;
/// Output tokens of an answer: enough for a paragraph.
const MAX_TOKENS: u32 = 300;

#[tokio::main]
async fn main() -> ExitCode {
    let simulate = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [argument] if argument == "--simulate" => true,
        _ => {
            eprintln!("usage: founding_tests [--simulate]");
            return ExitCode::from(2);
        }
    };
    match all(simulate).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            if let Some(hint) = error.hint() {
                eprintln!("hint: {hint}");
            }
            ExitCode::from(4)
        }
    }
}

async fn all(simulate: bool) -> Result<bool, Error> {
    let scheduler = scheduler(simulate)?;
    let held = [
        single_task(&scheduler).await?,
        parallel(&scheduler).await?,
        dependencies(&scheduler).await?,
        fault_tolerance(&scheduler).await?,
    ];
    Ok(held == [true; 4])
}

/// The default agents, and of these the one that there is a key for.
fn scheduler(simulate: bool) -> Result<Scheduler, Error> {
    let environment = Environment::read(None, Path::new("."))?;
    let has = |name| environment.get(name).is_some();
    let agent = if has("OPENAI_API_KEY") && !has("ANTHROPIC_API_KEY") { "openai" } else { "claude" };
    let scheduler = Scheduler::new().default_agent(agent).environment(environment).max_cost(MAX_COST);
    Ok(if simulate { scheduler.simulate("calm") } else { scheduler })
}

fn task(id: &str, prompt: impl Into<String>) -> Task {
    Task::new(id, prompt).max_tokens(MAX_TOKENS)
}

async fn single_task(scheduler: &Scheduler) -> Result<bool, Error> {
    println!("== single task");
    let result = scheduler.run([task("ml", "Explain machine learning in one sentence.")]).await?;
    println!("success: {}", result.success);
    let text = result.text("ml").unwrap_or_default();
    println!("result: {}", text.chars().take(100).collect::<String>());
    println!("time: {:.2} s", result.total_duration.as_secs_f64());
    Ok(held(&result, result.success))
}

async fn parallel(scheduler: &Scheduler) -> Result<bool, Error> {
    println!("== parallel");
    let subjects = ["sorting", "hashing", "parsing", "caching", "testing"];
    let tasks = subjects.map(|subject| task(subject, format!("Explain {subject} in two sentences.")));
    let serial = scheduler.clone().serial().run(tasks.clone()).await?;
    let parallel = scheduler.run(tasks).await?;
    let (slow, fast) = (serial.total_duration.as_secs_f64(), parallel.total_duration.as_secs_f64());
    println!("serial: {slow:.2} s");
    println!("parallel: {fast:.2} s");
    println!("speedup: {:.2}x", slow / fast);
    Ok(held(&serial, serial.success) && held(&parallel, parallel.success && fast < slow))
}

async fn dependencies(scheduler: &Scheduler) -> Result<bool, Error> {
    println!("== dependencies");
    let tasks = [
        task("analyze", "List the three main requirements of a to-do list.").task_type("analysis"),
        task("design", "Design it in three sentences:\n{{ results.analyze }}")
            .task_type("design")
            .depends_on(["analyze"]),
        task("impl_a", "Write its data type in Rust:\n{{ results.design }}")
            .task_type("coding")
            .depends_on(["design"]),
        task("impl_b", "Write its main function in Rust:\n{{ results.design }}")
            .task_type("coding")
            .depends_on(["design"]),
        task("test", "Write one test of it:\n{{ results.impl_a }}\n{{ results.impl_b }}")
            .task_type("testing")
            .depends_on(["impl_a", "impl_b"]),
    ];
    let result = scheduler.run(tasks).await?;
    let history = &result.execution_history;
    println!("execution history: {}", history.join(" → "));
    let in_order = matches!(
        history.iter().map(String::as_str).collect::<Vec<_>>().as_slice(),
        ["analyze", "design", _, _, "test"]
    );
    Ok(held(&result, result.success && in_order))
}

async fn fault_tolerance(scheduler: &Scheduler) -> Result<bool, Error> {
    println!("== fault tolerance");
    let tasks = [
        task("first", "Name a prime number."),
        task("too-long", "x".repeat(100_001)),
        task("third", "Name a composite number."),
    ];
    let result = scheduler.run(tasks).await?;
    println!("successes: {} of {}", result.successful_tasks, result.total_tasks);
    println!("success rate: {:.1} %", result.success_rate.unwrap_or_default());
    Ok(held(&result, result.successful_tasks == 2 && !result.task_results["too-long"].success))
}

/// Says what a test came to, and why it did not hold.
fn held(result: &RunResult, held: bool) -> bool {
    if !held {
        println!("NOT AS EXPECTED: {}", result.error.as_deref().unwrap_or("all tasks succeeded"));
    }
    held
}
