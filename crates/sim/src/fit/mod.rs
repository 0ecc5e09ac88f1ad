//! A scenario made from calls that were observed: the simulator fitted to a real API, so that the next plan
//! can be rehearsed for free.
//!
//! What is found out: how long an answer takes alone and what its length has to do with it, how long
//! answers are, what goes wrong how often, how many requests the server answers at a time, and how much
//! slower it is then. Medians and quantiles are used throughout, so that a few odd calls do not matter.
//!
//! What is not: quotas that no reply told (a 429 is a share of the tries then), faults that come in waves, and what depends on a
//! prompt. [`Fitted::notes`] says what these very calls could not tell.

mod evidence;
mod faults;
mod laws;
mod notes;
mod serving;
mod stats;
#[cfg(test)]
mod tests;
mod yaml;

use sortie_core::failure::Class;

use crate::scenario::{Scenario, ScenarioError, UnknownModels};
use evidence::Evidence;

/// The fewest answered calls that a scenario is made from.
pub const FEWEST: usize = 5;

/// One call, as whoever made it saw it. A retry is a call of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// Whose API it was: `anthropic` and `openai` are known; all others are one more.
    pub provider: String,
    /// When it was sent, in seconds of a clock that is the same for all calls.
    pub started_s: f64,
    /// Seconds from then to the first token; none where none came, or where it was not streamed.
    pub first_token_s: Option<f64>,
    /// Seconds from then to its end, however it ended.
    pub total_s: f64,
    /// Tokens that it was billed as input.
    pub input_tokens: u64,
    /// Tokens of its answer.
    pub output_tokens: u64,
    /// None where it was answered.
    pub failed: Option<Failed>,
}

/// How a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// What kind of failure it was. One that never left ([`Class::is_unsent`]) is no call here.
    pub class: Class,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
}

/// What replies told of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Requests that are allowed in a minute.
    pub requests_per_minute: u64,
    /// How many of them at once; none where nobody told.
    pub requests_burst: Option<u64>,
}

/// What calls came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// A scenario that does the same, as far as the calls tell.
    pub scenario: Scenario,
    /// What they do not tell and what was supposed instead, a sentence each.
    pub notes: Vec<String>,
}

impl Fitted {
    /// The scenario as YAML with the notes as its comments; [`Scenario::parse`] reads the scenario back.
    pub fn to_yaml(&self) -> String {
        yaml::written(self)
    }
}

/// Why calls make no scenario.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// There are too few.
    #[error("fit a scenario to {answered} answered calls: at least {FEWEST} are needed")]
    TooFew {
        /// So many were answered.
        answered: usize,
    },
    /// A time that is negative, endless, or longer than a day.
    #[error("fit a scenario: the call at index {index} has a time that makes no sense")]
    Senseless {
        /// Which, from 0.
        index: usize,
    },
    /// What they came to is no scenario.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
}

/// Makes a scenario of this name from calls, in any order.
///
/// The calls of a test at several widths (1, 4 and 16 at a time, a few dozen each) tell all that there is
/// to know; they may be in one list as long as the clock is one.
///
/// # Errors
/// Where fewer than [`FEWEST`] calls were answered, or a time makes no sense.
pub fn fit(name: &str, calls: &[Observed]) -> Result<Fitted, FitError> {
    fit_within(name, calls, None)
}

/// The same where replies told a limit: then a refusal is a matter of this limit, and no share of the calls.
///
/// # Errors
/// As [`fit`].
pub fn fit_within(name: &str, calls: &[Observed], told: Option<Told>) -> Result<Fitted, FitError> {
    let mut evidence = Evidence::of(calls)?;
    let mut serving = serving::find(&evidence);
    if evidence.network.is_none() {
        evidence.network = serving::hidden_network(&evidence, &serving);
        if evidence.network.is_some() {
            serving = serving::find(&evidence);
        }
    }
    let laws = laws::find(&evidence, &serving);
    let (shares, of_faults) = faults::find(calls, told.is_some());
    // All that is not said is as in any scenario.
    let least = serde_json::json!({
        "name": name,
        "about": format!("fitted to {} calls, {} of them answered", evidence.sent, evidence.answered().count()),
        "latency": laws.latency,
        "output_tokens": laws.output_tokens,
        "unknown_models": UnknownModels::Served,
    });
    let scenario = Scenario {
        network_ms: laws.network_ms,
        server: serving.server(),
        requests_per_minute: told.map(|told| told.requests_per_minute),
        requests_burst: told.and_then(|told| told.requests_burst),
        faults: shares,
        ..Scenario::parse(&least.to_string())?
    };
    let notes = notes::of(&evidence, &serving).into_iter().chain(of_faults).collect();
    Ok(Fitted { scenario: scenario.checked()?, notes })
}
