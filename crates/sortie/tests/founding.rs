//! What the founding document promises (SPEC.md S1 to S4, B1 to B3), held against the simulator by
//! way of the library: what a program that uses it can rely on. Times are simulated, so they are
//! exact and nothing waits.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by where it panics")]

use std::time::Duration;

use sortie::report::summary::Speedup;
use sortie::{Agent, Environment, Error, RunResult, Scheduler, Setup, Task};

/// Five tasks of which the last needs all others.
const DIAMOND: [(&str, &[&str]); 5] = [
    ("analyze", &[]),
    ("design", &["analyze"]),
    ("impl_a", &["design"]),
    ("impl_b", &["design"]),
    ("test", &["impl_a", "impl_b"]),
];

/// Eight tasks as the founding document's figure draws them.
const FIGURE: [(&str, &[&str]); 8] = [
    ("1", &[]),
    ("2", &["1"]),
    ("3", &["1"]),
    ("4", &["1"]),
    ("5", &["2"]),
    ("6", &["3"]),
    ("7", &["4"]),
    ("8", &["5", "6", "7"]),
];

/// The founding document's API and limits: 4 s a call, 50 requests a minute, ten calls at once.
fn founding(seed: u64) -> Scheduler {
    simulated("seed").requests_per_minute(50).max_concurrent(10).seed(seed)
}

fn simulated(scenario: &str) -> Scheduler {
    Scheduler::new()
        .agent("claude", Agent::anthropic("claude-sonnet-4-5-20250929").max_tokens(1000))
        .environment(Environment::default())
        .simulate(scenario)
}

fn tasks(graph: &[(&str, &[&str])], prompt: &str) -> Vec<Task> {
    graph.iter().map(|(id, on)| Task::new(*id, prompt).depends_on(on.iter().copied())).collect()
}

/// No two have the same prompt: the simulator gives the same answer to the same request.
fn independent(count: usize, prompt: &str) -> Vec<Task> {
    (0..count).map(|n| Task::new(format!("task-{n}"), format!("{prompt} Number {n}."))).collect()
}

async fn run(scheduler: &Scheduler, tasks: Vec<Task>) -> RunResult {
    let result = scheduler.run(tasks).await.unwrap();
    assert!(result.success, "{:?}", result.error);
    assert_eq!(result.metrics.rate_limit_hits, 0, "our own limit keeps below the provider's");
    result
}

/// Serially and in parallel; checks what holds of every pair, and returns it.
async fn compared(scheduler: &Scheduler, tasks: Vec<Task>) -> (RunResult, RunResult) {
    let serial = run(&scheduler.clone().serial(), tasks.clone()).await;
    let parallel = run(scheduler, tasks).await;
    let figures = &parallel.speedup;
    let (speedup, ceiling) = (figures.speedup.unwrap(), figures.ceiling.unwrap());
    assert!(speedup <= ceiling * 1.000_001, "no schedule is faster than its ceiling: {figures:?}");
    let measured = ratio(&serial, &parallel);
    assert!(measured > 1.0 && measured <= ceiling * 1.05, "measured {measured}, ceiling {ceiling}");
    (serial, parallel)
}

fn ratio(serial: &RunResult, parallel: &RunResult) -> f64 {
    serial.total_duration.as_secs_f64() / parallel.total_duration.as_secs_f64()
}

#[tokio::test]
async fn s1_a_single_task_gives_its_text_its_time_and_its_cost() {
    let result = run(
        &simulated("calm"),
        vec![Task::new("ml", "Explain machine learning in one sentence.").task_type("general")],
    )
    .await;
    let text = result.text("ml").unwrap();
    assert!(!text.chars().take(100).collect::<String>().trim().is_empty());
    assert!(result.total_duration > Duration::from_millis(300), "{:?}", result.total_duration);
    assert!(result.total_cost > sortie::Usd::ZERO && result.cost_per_task == Some(result.total_cost));
    assert_eq!((result.successful_tasks, result.total_tasks, result.success_rate), (1, 1, Some(100.0)));
}

#[tokio::test]
async fn s1_without_a_key_it_says_so_and_stops() {
    let scheduler = Scheduler::new().environment(Environment::default());
    let error = scheduler.run([Task::new("ml", "Explain machine learning.")]).await.unwrap_err();
    let Error::Setup(missing) = &error else { panic!("{error:?}") };
    assert!(matches!(missing.as_slice(), [Setup::NoKey { variable, .. }] if variable == "ANTHROPIC_API_KEY"));
    assert!(error.to_string().contains("ANTHROPIC_API_KEY is not set"), "{error}");
    assert!(error.hint().unwrap().contains("ANTHROPIC_API_KEY"));
}

#[tokio::test]
async fn s2_five_tasks_are_as_much_faster_side_by_side_as_the_longest_allows() {
    let mut sum = 0.0;
    for seed in 0..10 {
        let (serial, parallel) = compared(&simulated("calm").seed(seed), independent(5, "Explain.")).await;
        let Speedup { ceiling, binding, efficiency, .. } = parallel.speedup.clone();
        assert_eq!(binding.as_deref(), Some("longest_path"), "seed {seed}");
        assert!(efficiency.unwrap() > 0.999, "seed {seed}: nothing else held them up");
        assert!(ratio(&serial, &parallel) > 0.999 * ceiling.unwrap(), "seed {seed}");
        sum += ratio(&serial, &parallel);
    }
    assert!((2.5..4.9).contains(&(sum / 10.0)), "the document expects 2.5 to 3.5: {}", sum / 10.0);
}

#[tokio::test]
async fn s3_the_history_keeps_to_the_dependencies() {
    for seed in 0..10 {
        let result = run(&simulated("calm").seed(seed), tasks(&DIAMOND, "Go on.")).await;
        let history: Vec<&str> = result.execution_history.iter().map(String::as_str).collect();
        assert_eq!((history[0], history[1], history[4]), ("analyze", "design", "test"), "{history:?}");
    }
}

#[tokio::test]
async fn s4_a_prompt_that_is_too_long_fails_alone() {
    let tasks = [
        Task::new("first", "Name a prime number."),
        Task::new("too-long", "x".repeat(100_001)),
        Task::new("third", "Name another."),
    ];
    let result = simulated("calm").run(tasks).await.unwrap();
    assert!(!result.success);
    assert_eq!((result.successful_tasks, result.failed_tasks, result.total_tasks), (2, 1, 3));
    assert!((result.success_rate.unwrap() - 200.0 / 3.0).abs() < 1e-9, "{:?}", result.success_rate);
    assert_eq!(result.error.as_deref(), Some("1 of 3 tasks failed"));
    let failed = &result.task_results["too-long"];
    let error = failed.error.as_ref().unwrap();
    assert_eq!((failed.success, failed.attempts, error.class.as_str()), (false, 0, "invalid"));
    assert!(error.message.contains("too-long") && error.message.contains("100000"), "{}", error.message);
    assert!(result.task_results["first"].success && result.task_results["third"].success);
}

#[tokio::test]
async fn s4_a_prompt_of_a_hundred_thousand_characters_is_still_sent() {
    run(&simulated("calm"), vec![Task::new("long", "x".repeat(100_000))]).await;
}

#[tokio::test]
async fn b1_ten_tasks_start_as_fast_as_fifty_a_minute_allow() {
    let (mut serial_sum, mut parallel_sum) = (0.0, 0.0);
    for seed in 0..20 {
        let (serial, parallel) = compared(&founding(seed), independent(10, "Explain one thing.")).await;
        // The last start is nine times 1.2 s after the first. Which call takes longest nobody knows
        // before, so that in the worst case it starts last; the ceiling has it start first.
        let last_start = Duration::from_millis(10_800);
        let latest = last_start + parallel.metrics.p99_latency.unwrap();
        let took = parallel.total_duration;
        assert!(last_start < took && took <= latest, "seed {seed}: {took:?}, at most {latest:?}");
        serial_sum += serial.total_duration.as_secs_f64();
        parallel_sum += parallel.total_duration.as_secs_f64();
    }
    let (serial, parallel) = (serial_sum / 20.0, parallel_sum / 20.0);
    assert!((39.0..45.0).contains(&serial), "the document says about 40 s, without the network: {serial}");
    assert!((12.0..16.0).contains(&parallel), "and 12 to 15 s: {parallel}");
    assert!((2.7..3.3).contains(&(serial / parallel)), "2.7 to 3.3 times: {}", serial / parallel);
}

#[tokio::test]
async fn b1_four_seconds_a_call_take_exactly_what_the_rate_says() {
    let prompt = "[[sim latency=4]] Explain one thing.";
    let (serial, parallel) = compared(&founding(0), independent(10, prompt)).await;
    // Nine times 1.2 s until the last start, and its call.
    assert_eq!(serial.total_duration, Duration::from_secs(40));
    assert_eq!(parallel.total_duration, Duration::from_millis(14_800));
    assert_eq!(parallel.speedup.binding.as_deref(), Some("requests_per_minute"));
    assert!((parallel.speedup.efficiency.unwrap() - 1.0).abs() < 1e-9);
}

#[tokio::test]
async fn b2_the_figure_is_twice_as_fast_and_never_more() {
    let prompt = "[[sim latency=4]] Go on.";
    let (serial, parallel) = compared(&simulated("calm"), tasks(&FIGURE, prompt)).await;
    assert_eq!((serial.total_duration.as_secs(), parallel.total_duration.as_secs()), (32, 16));
    assert_eq!(parallel.speedup.binding.as_deref(), Some("longest_path"));
    assert!((parallel.speedup.ceiling.unwrap() - 2.0).abs() < 1e-9, "{:?}", parallel.speedup);
}

#[tokio::test]
async fn b2_twenty_tasks_in_layers_take_about_half_a_minute() {
    // Four layers of five, each task on its like and its neighbour in the layer before.
    let layered: Vec<Task> = (0..20)
        .map(|n| {
            let task = Task::new(format!("task-{n}"), "[[sim latency=4]] Go on.");
            let (layer, place) = (n / 5, n % 5);
            let on = |place: usize| format!("task-{}", (layer - 1) * 5 + place % 5);
            if layer == 0 { task } else { task.depends_on([on(place), on(place + 1)]) }
        })
        .collect();
    let (serial, parallel) = compared(&founding(0), layered).await;
    assert_eq!(serial.total_duration, Duration::from_secs(80));
    assert!((26.8..35.0).contains(&parallel.total_duration.as_secs_f64()), "{:?}", parallel.total_duration);
    assert!((2.3..3.0).contains(&ratio(&serial, &parallel)), "{:?}", parallel.speedup);
}

#[tokio::test]
async fn b3_the_complex_tasks_start_first() {
    /// How a plan says that a task is complex: by what its answer may have, or by what it will.
    type Say = fn(Task, u32) -> Task;
    let ways: [Say; 2] = [Task::max_tokens, Task::expected_output_tokens];
    for say in ways {
        let kinds = [("simple", 200), ("medium", 500), ("complex", 1000)];
        let task = |n: usize, (kind, tokens)| say(Task::new(format!("{kind}-{n}"), "Write."), tokens);
        let tasks: Vec<Task> = (0..3).flat_map(|n| kinds.map(|kind| task(n, kind))).collect();
        let result = run(&founding(0).max_concurrent(2), tasks).await;
        let mut started: Vec<_> =
            result.task_results.values().map(|task| (&task.started_at, &task.task_id)).collect();
        started.sort();
        let kinds: Vec<&str> = started.iter().map(|(_, id)| id.split('-').next().unwrap()).collect();
        assert_eq!(kinds, [["complex"; 3], ["medium"; 3], ["simple"; 3]].concat());
    }
}
