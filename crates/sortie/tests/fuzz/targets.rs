//! What reads bytes from outside, one function each; what it makes of them does not matter, as long
//! as it says so.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use sortie::config::Config;
use sortie::control::Request;
use sortie::core::agent::Timeouts;
use sortie::core::document::Source;
use sortie::core::plan::check::Checked;
use sortie::core::plan::template::Template;
use sortie::core::run::event::Record;
use sortie::engine::store::sqlite::{Durability, SqliteStore};
use sortie::engine::store::{Header, Store};
use sortie::providers::dialect;
use sortie::providers::exchange::{End, Exchange};
use sortie::sim::Scenario;
use sortie::sim::directive::Steering;
use sortie::sim::record;

use crate::seeds;

/// Something that reads bytes.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&[u8]),
    pub(crate) seeds: fn() -> Vec<Vec<u8>>,
    /// For how many executions one of it counts.
    pub(crate) weight: u64,
}

pub(crate) const ALL: [Target; 11] = [
    Target { name: "replies", run: replies, seeds: seeds::replies, weight: 1 },
    Target { name: "requests", run: requests, seeds: seeds::requests, weight: 1 },
    Target { name: "headers", run: headers, seeds: seeds::headers, weight: 1 },
    Target { name: "records", run: records, seeds: seeds::records, weight: 1 },
    // Each is a database of its own, on the disk.
    Target { name: "journals", run: journals, seeds: seeds::journals, weight: 200 },
    Target { name: "plans", run: plans, seeds: seeds::plans, weight: 1 },
    Target { name: "configurations", run: configurations, seeds: seeds::configurations, weight: 1 },
    Target { name: "scenarios", run: scenarios, seeds: seeds::scenarios, weight: 1 },
    Target { name: "prompts", run: prompts, seeds: seeds::prompts, weight: 1 },
    Target { name: "recordings", run: recordings, seeds: seeds::recordings, weight: 1 },
    Target { name: "controls", run: controls, seeds: seeds::controls, weight: 1 },
];

/// 2026-11-23 12:00:00 UTC.
const NOW: Duration = Duration::from_secs(1_795_435_200);

/// The same whole and in slices, in every dialect.
fn replies(bytes: &[u8]) {
    let heard = |dialect, slice: usize| {
        let mut exchange = Exchange::new(dialect, Timeouts::default(), NOW, NOW, 100);
        exchange.head(Duration::ZERO, 200, &HeaderMap::new());
        for bytes in bytes.chunks(slice) {
            exchange.bytes(Duration::ZERO, bytes);
        }
        exchange.end(Duration::ZERO, End::Closed)
    };
    for dialect in dialect::ALL {
        assert_eq!(heard(*dialect, bytes.len().max(1)), heard(*dialect, 7));
    }
}

/// What is read, what it says beside it, and an error of the same bytes.
fn requests(bytes: &[u8]) {
    for dialect in dialect::ALL {
        let headers = dialect.headers(&dialect.default_variant());
        if dialect.read(&headers, bytes).is_ok() {
            let _said = dialect.particulars(bytes);
        }
        let mut decoder = dialect.decoder(400, &headers, NOW);
        decoder.push(bytes);
        assert!(decoder.finish(true).result.is_err());
    }
}

/// The headers that name a wait, a line each.
fn headers(bytes: &[u8]) {
    const NAMES: [&str; 7] = [
        "retry-after-ms",
        "retry-after",
        "date",
        "x-ratelimit-reset-tokens",
        "anthropic-ratelimit-tokens-reset",
        "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-tokens",
    ];
    let mut headers = HeaderMap::new();
    for (name, value) in NAMES.iter().zip(bytes.split(|byte| *byte == b'\n')) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    let failure = dialect::ALL[0].decoder(429, &headers, NOW).finish(true).result.unwrap_err();
    assert!(failure.retry_after.is_none_or(|wait| !wait.is_zero() && wait <= Duration::from_secs(600)));
}

fn records(bytes: &[u8]) {
    let _record = serde_json::from_slice::<Record>(bytes);
    let _header = serde_json::from_slice::<Header>(bytes);
}

/// A journal's file: listed, read, and taken over.
fn journals(bytes: &[u8]) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("sortie.db"), bytes).unwrap();
    let Ok(mut store) = SqliteStore::open(directory.path(), Durability::Unsynced) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for run in store.list().await.unwrap_or_default() {
            let _read = store.read(&run.run_id).await;
            let _opened = store.open(&run.run_id).await;
        }
    });
}

fn plans(bytes: &[u8]) {
    let Ok(config) = Config::default_agents(&|_| None, today()) else { return };
    let Ok(source) = Source::new("plan", bytes.to_vec()) else { return };
    if let Err(problems) = Checked::read(&source, &config.routing()) {
        let _shown = problems.to_string();
    }
}

fn configurations(bytes: &[u8]) {
    let Ok(source) = Source::new("sortie.yaml", bytes.to_vec()) else { return };
    if let Err(problems) = Config::read(&source, &|_| None, today()) {
        let _shown = problems.to_string();
    }
}

fn today() -> jiff::civil::Date {
    jiff::civil::Date::constant(2026, 11, 23)
}

fn scenarios(bytes: &[u8]) {
    let _scenario = str::from_utf8(bytes).map(Scenario::parse);
}

fn prompts(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let _steering = Steering::read(text);
    let _template = Template::parse(text, |_| None);
}

/// What is read says the same when it is written and read again.
fn recordings(bytes: &[u8]) {
    let Ok(exchange) = record::Exchange::read(bytes) else { return };
    let _bodies = (exchange.response.body(), exchange.request.body.bytes(), exchange.response.header_map());
    let again = serde_json::to_vec(&exchange).unwrap();
    assert_eq!(record::Exchange::read(&again).unwrap(), exchange);
    let replay: record::Replay = [exchange].into_iter().collect();
    assert_eq!(replay.len(), 1);
}

/// What is read says the same when it is written and read again.
fn controls(bytes: &[u8]) {
    let Ok(request) = Request::read(bytes) else { return };
    assert_eq!(Request::read(&serde_json::to_vec(&request).unwrap()).unwrap(), request);
}
