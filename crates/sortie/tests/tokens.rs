//! The estimate of a call's input tokens is never below what the provider bills (RELIABILITY.md B3),
//! counted or not, with results inserted or not. `-- --nocapture` tells how far above it is.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by where it panics")]
#![expect(clippy::print_stdout, reason = "its table is what `--nocapture` is for")]

use std::collections::HashMap;

use sortie::binding::Simulation;
use sortie::config::Config;
use sortie::core::document::Source;
use sortie::core::plan::check::Checked;
use sortie::core::run::event::{AttemptId, Event, Record};
use sortie::core::run::input::Budgets;
use sortie::core::time::Time;
use sortie::engine::driver::{Foreseen, Observe};
use sortie::engine::executor::signals::Signals;
use sortie::engine::executor::simulated::Pace;
use sortie::engine::store::memory::MemoryStore;
use sortie::engine::store::{Header, Output};
use sortie::launch::Launch;
use sortie::providers::keys::Environment;
use sortie::session::{Drive, Session, today};

/// Texts of many kinds, 600 bytes or so of each.
fn corpus() -> Vec<(&'static str, String)> {
    vec![
        (
            "english",
            "The scheduler reserves what a call may cost before it is sent, and settles it after. ".repeat(7),
        ),
        ("code", "fn main() {\n    for i in 0..10 {\n        println!(\"{i}\");\n    }\n}\n".repeat(9)),
        ("json", r#"{"id": 12345, "tags": ["a", "b"], "score": 0.98}, "#.repeat(12)),
        ("chinese", "数据预算必须成立，模型按顺序读取结果。".repeat(10)),
        ("japanese", "東京のカナを読みます。「はい」と言う。".repeat(10)),
        ("arabic", "مرحبا بالعالم، هذا نص عادي ٣٤٥. ".repeat(10)),
        ("emoji", "👩‍👩‍👧‍👦😀🎉🇩🇪".repeat(12)),
        ("white space", " \n\t  \n\n   \r\n".repeat(50)),
        ("digits", "3.14159 2653589793 ".repeat(30)),
        ("base64", "aGVsbG8gd29ybGQhIQo9PT0rL0FCQ0RFRkdISUpL".repeat(15)),
        ("one letter", "a".repeat(600)),
    ]
}

/// What was reserved for each attempt, and what it had.
#[derive(Default)]
struct Input(HashMap<AttemptId, (u64, u64)>);

impl Observe for &mut Input {
    fn records(&mut self, records: &[Record], _: &[Output]) {
        for Record { event, .. } in records {
            match event {
                Event::AttemptStarted { attempt, reserved, .. } => {
                    self.0.entry(*attempt).or_default().0 = reserved.input_tokens;
                }
                Event::AttemptSucceeded { attempt, spent, .. } => {
                    self.0.entry(*attempt).or_default().1 = spent.usage.unwrap().total_input();
                }
                _ => {}
            }
        }
    }
}

/// A task with each text alone, and one with a result before, within and after it.
fn header(agent: &str) -> Header {
    let mut tasks = vec![serde_json::json!({"id": "first", "prompt": "Begin with something."})];
    for (name, text) in corpus() {
        // A prompt of white space alone is none.
        let text = format!("Read: {text}");
        let middle = text.char_indices().nth(text.chars().count() / 2).unwrap().0;
        let (head, tail) = text.split_at(middle);
        let joined =
            format!("{{{{ results.first }}}}{head}{{{{ results.first }}}}{tail}{{{{ results.first }}}}");
        tasks.push(serde_json::json!({"id": name, "prompt": text}));
        tasks.push(
            serde_json::json!({"id": format!("{name}, joined"), "prompt": joined, "depends_on": ["first"]}),
        );
    }
    let plan = serde_json::json!({"name": "corpus", "tasks": tasks}).to_string();
    let config = Source::new("sortie.yaml", format!("agents: {{ a: {{ {agent} }} }}").into()).unwrap();
    let config = Config::read(&config, &|_| None, today()).unwrap_or_else(|problems| panic!("{problems}"));
    let plan = Source::new("plan.json", plan.into()).unwrap();
    let checked = Checked::read(&plan, &config.routing()).unwrap_or_else(|problems| panic!("{problems}"));
    let simulation = Some(Simulation::named("calm", 0).unwrap());
    let launch = Launch { run_id: Some("corpus".into()), simulation, ..Launch::default() };
    launch.header(checked, &config, &Environment::default(), Time::ZERO).unwrap()
}

/// Every call's reserved and actual input, by its task.
async fn input(agent: &str) -> Vec<(String, u64, u64)> {
    let header = header(agent);
    let plan = std::sync::Arc::clone(&header.plan);
    let session = Session::create(MemoryStore::new(), header, None).await.unwrap();
    let mut seen = Input::default();
    let environment = Environment::default();
    let drive = Drive {
        environment: &environment,
        budgets: Budgets::default(),
        pace: Pace::Jumping,
        signals: &mut Signals::none(),
        forecast: Foreseen::nothing(),
    };
    session.drive(drive, &mut seen).await.unwrap();
    let mut all: Vec<_> = seen.0.into_iter().collect();
    all.sort_by_key(|(attempt, _)| attempt.task);
    let named = |(attempt, (reserved, actual)): (AttemptId, _)| {
        (plan.task(attempt.task).name.clone(), reserved, actual)
    };
    all.into_iter().map(named).collect()
}

#[tokio::test]
async fn the_estimate_is_never_below_what_is_billed() {
    let over = |reserved: u64, actual: u64| 100.0 * (reserved as f64 / actual as f64 - 1.0);
    for model in ["gpt-4o", "gpt-3.5-turbo"] {
        let agent = format!("provider: openai, model: {model}, max_tokens: 40");
        let (by_bytes, counted) =
            (input(&format!("{agent}, count_tokens: false")).await, input(&agent).await);
        println!("{model:<24}{:>8}{:>16}{:>16}", "actual", "by bytes", "counted");
        let mut alone = (0, 0, 0);
        for ((task, bytes, actual), (_, counted, same)) in by_bytes.iter().zip(&counted) {
            assert_eq!(actual, same, "{task}: counting changes nothing that is sent");
            assert!(
                actual <= counted && counted <= bytes,
                "{model}, {task}: {actual} of {counted} of {bytes}"
            );
            println!(
                "{task:<24}{actual:>8}{bytes:>8} +{:>4.0} %{counted:>8} +{:>4.0} %",
                over(*bytes, *actual),
                over(*counted, *actual)
            );
            if !task.ends_with("joined") {
                alone = (alone.0 + actual, alone.1 + bytes, alone.2 + counted);
                // The simulator's frame is 8 tokens, what is reserved for one 32.
                assert_eq!(
                    counted - actual,
                    24,
                    "{model}, {task}: a prompt without results is counted exactly"
                );
            }
        }
        let (actual, bytes, counted) = alone;
        println!(
            "without results: +{:.0} % by bytes, +{:.0} % counted",
            over(bytes, actual),
            over(counted, actual)
        );
    }
    // Whose tokenizer is not known is bounded by bytes.
    for (task, reserved, actual) in input("model: claude-sonnet-5-5, max_tokens: 40").await {
        assert!(actual <= reserved, "{task}: {actual} of {reserved}");
    }
}
