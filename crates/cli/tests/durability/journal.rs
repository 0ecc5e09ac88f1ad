//! Journals whose every record is known beforehand, so that what is read can be told from what was lost,
//! changed or invented.

use std::sync::Arc;

use sortie::core::hash::Hash;
use sortie::core::money::Usd;
use sortie::core::plan::{Plan, Prompts};
use sortie::core::run::event::{Event, Record, Signal};
use sortie::core::run::input::Settings;
use sortie::core::time::Time;
use sortie::engine::store::{Header, Output};

/// The header of a run without tasks.
pub(crate) fn header(run_id: &str) -> Header {
    let settings = Settings { seed: 7, max_concurrent: 1, ..Settings::default() };
    Header {
        run_id: run_id.to_owned(),
        created: Time::from_micros(7),
        plan: Arc::new(Plan::new(format!("plan of {run_id}"), Vec::new(), Vec::new())),
        prompts: Arc::new(Prompts::new()),
        settings: Arc::new(settings),
        binding: serde_json::json!({ "config": "sortie.yaml" }),
    }
}

/// The record with this number, like no other of any run.
fn record(run_id: &str, seq: u64) -> Record {
    let of_run = u64::from(run_id.as_bytes()[0]);
    let event = match seq % 3 {
        0 => Event::RunStarted,
        1 => Event::CancelRequested { signal: Signal::Terminate },
        _ => Event::BudgetSet { budget: Some(Usd::from_pico(of_run * 1_000_000 + seq)), agent: None },
    };
    Record { seq, at: Time::from_micros(of_run * 1_000_000 + seq), event }
}

/// The records from this number on, up to that one.
pub(crate) fn records(run_id: &str, numbers: std::ops::RangeInclusive<u64>) -> Vec<Record> {
    numbers.map(|seq| record(run_id, seq)).collect()
}

/// The output that every third record brings with it, of this length or up to a quarter of it.
pub(crate) fn output(run_id: &str, seq: u64, bytes: usize) -> Option<Output> {
    let words = format!("output {seq} of {run_id}, ");
    let bytes = if seq.is_multiple_of(2) { bytes } else { bytes / 4 };
    let text = words.repeat(bytes / words.len() + 1);
    seq.is_multiple_of(3).then(|| (Hash::of(text.as_bytes()), Arc::from(text)))
}
