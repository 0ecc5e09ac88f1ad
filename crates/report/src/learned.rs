//! What earlier runs have learned of limits, with its age.

use serde::Serialize;
use sortie_core::limit::{Dimension, GateId, Learned};
use sortie_core::run::input::Settings;
use sortie_core::time::Time;

use crate::units::{ago, grouped};

/// What limits of a minute count.
pub(crate) const DIMENSIONS: [Dimension; 4] =
    [Dimension::Requests, Dimension::InputTokens, Dimension::OutputTokens, Dimension::Tokens];

/// What was learned of a gate, as JSON holds it. A quota that nobody told is null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LearnedLimits {
    gate: String,
    age_s: u64,
    requests_per_minute: Option<u64>,
    input_tokens_per_minute: Option<u64>,
    output_tokens_per_minute: Option<u64>,
    tokens_per_minute: Option<u64>,
}

/// What was learned of the gates of these settings.
pub fn rows(learned: &[(GateId, Learned)], settings: &Settings, now: Time) -> Vec<LearnedLimits> {
    let row = |(id, learned): &(GateId, Learned)| {
        let [requests, input, output, tokens] = DIMENSIONS.map(|dimension| learned.per_minute(dimension));
        Some(LearnedLimits {
            gate: settings.gates.get(id.index())?.name.clone(),
            age_s: now.since(learned.at).as_secs(),
            requests_per_minute: requests,
            input_tokens_per_minute: input,
            output_tokens_per_minute: output,
            tokens_per_minute: tokens,
        })
    };
    learned.iter().filter_map(row).collect()
}

/// The same of one gate in a line: `anthropic/m allows 600 requests/min, 90,000 input tokens/min (learned
/// 3 h ago)`.
pub fn words(gate: &str, learned: &Learned, now: Time) -> String {
    let quota = |dimension: Dimension| {
        let limit = learned.per_minute(dimension)?;
        Some(format!("{} {}", grouped(limit), dimension.per_minute()))
    };
    let quotas: Vec<String> = DIMENSIONS.into_iter().filter_map(quota).collect();
    format!("{gate} allows {} (learned {})", quotas.join(", "), ago(now.since(learned.at)))
}
