//! The simulator fitted to a real model behind a real server: llama.cpp's, with four slots.
//!
//! `SORTIE_LLAMA=http://127.0.0.1:8080/v1 cargo test -p sortie-sim --test fit -- --ignored --nocapture` calls the
//! server that runs there (`llama-server -np 4 --api-key sk-local-test`; the model's name does not matter),
//! 1, 4 and 16 calls at a time, prints what it does beside what the fitted scenario does, and the scenario.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sortie_core::agent::Timeouts;
use sortie_core::run::input::Billing;
use sortie_providers::dialect::{Dialect, OpenAiChat, Request};
use sortie_providers::http::{Client, Endpoint};
use sortie_providers::keys::Key;
use sortie_sim::fit::{Failed, Observed, fit};
use sortie_sim::{Model, Scenario};
use tokio::time::Instant;

use super::{Figures, WIDTHS, rehearsal, table};

/// Calls at each width, in each round.
const CALLS: usize = 48;

/// How often each width is tried, in turns, so that a machine that becomes slower does so for all of them.
const ROUNDS: usize = 3;

/// Tokens that an answer may have.
const MAX_TOKENS: u32 = 48;

/// Simulations of the same calls, of whose figures the medians are taken.
const REPLAYS: u64 = 21;

/// The most that a figure may be off.
const TOLERANCE: f64 = 0.1;

const SUBJECTS: [&str; 12] = [
    "tides", "bridges", "bees", "glaciers", "clocks", "bread", "maps", "violins", "rust", "salt", "kites",
    "wells",
];

/// Requests of which none is like another, not even in how it begins, nor like those of another test: the server
/// keeps prompts.
fn requests(width: usize, round: usize) -> Vec<Request> {
    let test = std::process::id();
    let prompt = |n: usize| {
        let (subject, other) =
            (SUBJECTS[n % SUBJECTS.len()], SUBJECTS[(n / SUBJECTS.len() + n) % SUBJECTS.len()]);
        format!("{test}.{round}.{width}.{n}: write a long story of {subject} and {other}.")
    };
    (0..CALLS).map(|n| rehearsal::request(&prompt(n), MAX_TOKENS)).collect()
}

#[expect(clippy::disallowed_methods, reason = "what is measured takes real time")]
fn now() -> Instant {
    Instant::now()
}

/// One lane of calls, the next as soon as one has ended.
async fn lane(
    client: Client,
    endpoint: Endpoint,
    queue: Arc<Mutex<VecDeque<Request>>>,
    origin: Instant,
) -> Vec<Observed> {
    let mut calls = Vec::new();
    loop {
        let Some(request) = queue.lock().unwrap().pop_front() else { return calls };
        let started_s = now().duration_since(origin).as_secs_f64();
        let returned =
            client.call(&endpoint, &request, Timeouts::default(), Duration::from_secs(120), |_| ()).await;
        let usage = match returned.billing {
            Billing::Reported(usage) | Billing::Estimated(usage) => usage,
            Billing::Nothing | Billing::Unknown => sortie_core::usage::Usage::default(),
        };
        let failed = |failure: sortie_core::failure::Failure| Failed {
            class: failure.class,
            status: failure.http_status,
        };
        calls.push(Observed {
            provider: "openai".to_owned(),
            started_s,
            first_token_s: returned.timing.first_token.map(|first| first.as_secs_f64()),
            total_s: returned.timing.total.as_secs_f64(),
            input_tokens: usage.total_input(),
            output_tokens: usage.output,
            failed: returned.result.err().map(failed),
        });
    }
}

async fn measured(base_url: &str, (width, round): (usize, usize), origin: Instant) -> Vec<Observed> {
    let client = Client::new(Duration::from_secs(5)).unwrap();
    let key = Key::new("sk-local-test").unwrap();
    let endpoint = Endpoint::new(&OpenAiChat, base_url, OpenAiChat.default_variant(), Some(key)).unwrap();
    let queue = Arc::new(Mutex::new(VecDeque::from(requests(width, round))));
    let lanes =
        (0..width).map(|_| tokio::spawn(lane(client.clone(), endpoint.clone(), Arc::clone(&queue), origin)));
    let mut calls = Vec::new();
    for lane in lanes.collect::<Vec<_>>() {
        calls.extend(lane.await.unwrap());
    }
    calls
}

/// What the fitted scenario does with the same calls.
fn replayed(scenario: &Scenario, width: usize) -> Figures {
    let test = |seed: u64, round: usize| {
        let mut model = Model::new(scenario.clone(), seed);
        rehearsal::calls(&mut model, &requests(width, round), width)
    };
    let figures = |seed| Figures::of(&(0..ROUNDS).map(|round| test(seed, round)).collect::<Vec<_>>());
    Figures::medians(&(0..REPLAYS).map(figures).collect::<Vec<_>>())
}

#[expect(clippy::print_stdout, reason = "shown with --nocapture: the figures")]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs llama.cpp's server at SORTIE_LLAMA, and an idle machine"]
async fn a_real_server_is_reproduced() {
    #[expect(clippy::disallowed_methods, reason = "the server is started by whoever starts this")]
    let base_url = std::env::var("SORTIE_LLAMA").expect("SORTIE_LLAMA is the base URL of llama.cpp's server");
    let origin = now();
    let mut tests: [Vec<Vec<Observed>>; 3] = Default::default();
    for round in 0..ROUNDS {
        for (width, tests) in WIDTHS.into_iter().zip(&mut tests) {
            let calls = measured(&base_url, (width, round), origin).await;
            assert!(
                calls.iter().any(|call| call.failed.is_none()),
                "nothing is answered: {:?}",
                calls.first()
            );
            tests.push(calls);
        }
    }
    let real = tests.each_ref().map(|tests| Figures::of(tests));
    let all = tests.concat().concat();
    let fitted = fit("llama", &all).unwrap();
    let (table, worst) = table(&real, &WIDTHS.map(|width| replayed(&fitted.scenario, width)));
    println!("{}\n{table}\ngreatest difference: {:.1} %", fitted.to_yaml(), worst * 100.0);
    assert!(worst <= TOLERANCE, "{table}");
}
