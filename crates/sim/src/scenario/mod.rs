//! What the simulated API does and does wrong: a YAML file that names its laws.
//!
//! A scenario holds no state and no seed: with the same seed it does the same to the same requests.
//!
//! # Adding a scenario
//! Put `NAME.yaml` into `scenarios/` and add one line to `BUILT_IN`.

mod batches;
mod law;
mod quotas;
mod serving;
mod shares;
mod switches;
#[cfg(test)]
mod tests;
mod told;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use sortie_core::chance::Chance;
use sortie_core::serving::Serving;
use sortie_providers::models::class;

pub use batches::Batching;
pub use law::{Latency, Law, Samples, Span};
pub use quotas::{OutputCharge, QuotaChange, Quotas};
pub use shares::FaultShare;
pub(crate) use shares::{draw as draw_fault, problems as problems_of_shares};
pub use switches::{MissingHeader, TooLong, UnknownModels};
pub use told::{LimitHeaders, RetryAfter};
pub(crate) use told::{skewed, tell_date, tell_usage_based};

/// The scenarios that come with the program; the first is the default.
const BUILT_IN: [(&str, &str); 7] = [
    ("calm", include_str!("../../scenarios/calm.yaml")),
    ("seed", include_str!("../../scenarios/seed.yaml")),
    ("tier1", include_str!("../../scenarios/tier1.yaml")),
    ("busy-evening", include_str!("../../scenarios/busy-evening.yaml")),
    ("outage", include_str!("../../scenarios/outage.yaml")),
    ("no-credit", include_str!("../../scenarios/no-credit.yaml")),
    ("flaky-network", include_str!("../../scenarios/flaky-network.yaml")),
];

/// The most output tokens a law or a directive may ask for: an answer's text is four bytes a token
/// and is held in memory.
pub(crate) const MAX_OUTPUT_TOKENS: u64 = 1_000_000;

/// The longest an answer may be told to take, in seconds: a day.
pub(crate) const MAX_SECONDS: f64 = 86_400.0;

/// What the simulated API does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What it is, in a line.
    #[serde(default)]
    pub about: String,
    /// How long an answer takes.
    pub latency: Latency,
    /// The network's share, in milliseconds, added once to an answer's first byte; uniform.
    #[serde(default)]
    pub network_ms: Span,
    /// How many tokens an answer has, before the request's own limit on them.
    pub output_tokens: Law,
    /// How many requests are answered at a time, whoever sends them, and how much longer that takes; as many
    /// as come and no longer unless given. Those beyond it wait in the order of their arrival, unseen: not
    /// even the head of their reply comes before their turn (with the first token, as ever), which is what
    /// llama.cpp's server does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Serving>,
    /// As in [`Quotas`], for every key and class of models that `quotas` has nothing for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_burst: Option<u64>,
    /// Likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_day: Option<u64>,
    /// Likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens_per_minute: Option<u64>,
    /// Likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens_per_minute: Option<u64>,
    /// Likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// The quotas of a class of models (`opus 4`, `gpt-4o`) or of a provider (`openai`), in place of
    /// all those above; a class goes before its provider. Other names are refused, but for one's own
    /// models where `unknown_models` are served.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quotas: BTreeMap<String, Quotas>,
    /// How the quotas change while it goes on; of several that hold the last counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quota_changes: Vec<QuotaChange>,
    /// When output tokens are taken from their quota.
    #[serde(default)]
    pub otpm: OutputCharge,
    /// What the rate-limit headers say.
    #[serde(default)]
    pub limit_headers: LimitHeaders,
    /// How a 429 says how long to wait.
    #[serde(default)]
    pub retry_after: RetryAfter,
    /// `x-should-retry` on every error reply; none unless given. The official SDKs follow it before
    /// anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub should_retry: Option<bool>,
    /// Seconds that the server's clock is ahead, in `date` and in what else names a date.
    #[serde(default)]
    pub clock_skew_s: f64,
    /// What goes wrong, and how often.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultShare>,
    /// Ids of models that are answered 404, as a provider answers for retired ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired_models: Vec<String>,
    /// What becomes of requests for models that the price table does not have.
    #[serde(default)]
    pub unknown_models: UnknownModels,
    /// What becomes of Anthropic's requests without `anthropic-version`. One with a version that there
    /// is not is always refused.
    #[serde(default)]
    pub missing_version: MissingHeader,
    /// What becomes of requests whose body is not said to be JSON. Anthropic's documentation requires
    /// it; nobody has shown that its absence is refused.
    #[serde(default = "taken")]
    pub missing_content_type: MissingHeader,
    /// How a body that is too long is refused.
    #[serde(default)]
    pub too_long: TooLong,
    /// Whether OpenAI's token headers come a second time, as `x-ratelimit-…-tokens_usage_based`, which
    /// some of its replies have.
    #[serde(default)]
    pub usage_based_headers: bool,
    /// Batches.
    #[serde(default)]
    pub batches: Batching,
}

fn taken() -> MissingHeader {
    MissingHeader::Taken
}

/// Why there is no such scenario.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// No scenario of this name comes with the program.
    #[error("find a scenario named `{name}`: there are {known}", known = Scenario::names().collect::<Vec<_>>().join(", "))]
    Unknown {
        /// The name that was asked for.
        name: String,
    },
    /// The text is not a scenario's YAML.
    #[error("read the scenario")]
    Form(#[source] Box<serde_saphyr::Error>),
    /// A file that it names cannot be read.
    #[error("read the samples of {path}", path = path.display())]
    Samples {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its numbers make no sense; all of them are named.
    #[error("accept the scenario `{name}`: {}", problems.join("; "))]
    Senseless {
        /// The scenario.
        name: String,
        /// What is wrong, one line each.
        problems: Vec<String>,
    },
}

impl Scenario {
    /// The names of the scenarios that come with the program; the first is the default.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// A scenario that comes with the program.
    pub fn named(name: &str) -> Result<Self, ScenarioError> {
        Self::parse(Self::text_of(name)?)
    }

    /// The YAML of a scenario that comes with the program.
    pub fn text_of(name: &str) -> Result<&'static str, ScenarioError> {
        let built_in = BUILT_IN.iter().find(|(known, _)| *known == name);
        built_in.map(|(_, text)| *text).ok_or_else(|| ScenarioError::Unknown { name: name.to_owned() })
    }

    /// A scenario from its YAML, which stands by itself: samples are listed in it.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        Self::from_text(text)?.checked()
    }

    /// A scenario from its YAML, with the samples of the files that it names. `read` is given the
    /// paths as they are written.
    pub fn parse_with(
        text: &str,
        mut read: impl FnMut(&Path) -> io::Result<String>,
    ) -> Result<Self, ScenarioError> {
        let mut scenario = Self::from_text(text)?;
        for (_, law, ..) in scenario.laws() {
            let Some(path) = law.file().cloned() else { continue };
            let samples = read(&path).and_then(|text| law::samples(&text).map_err(io::Error::other));
            *law = Law::Samples(samples.map_err(|source| ScenarioError::Samples { path, source })?);
        }
        scenario.checked()
    }

    /// The scenario as YAML that stands by itself.
    pub fn to_text(&self) -> String {
        // JSON is YAML; and a scenario is maps with names as keys, which JSON always can say.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn from_text(text: &str) -> Result<Self, ScenarioError> {
        serde_saphyr::from_str(text).map_err(|error| ScenarioError::Form(Box::new(error)))
    }

    /// The scenario, unless it makes no sense.
    pub(crate) fn checked(mut self) -> Result<Self, ScenarioError> {
        match self.problems() {
            problems if problems.is_empty() => Ok(self),
            problems => Err(ScenarioError::Senseless { name: self.name, problems }),
        }
    }

    /// All laws, with their names and bounds.
    fn laws(&mut self) -> impl Iterator<Item = (&'static str, &mut Law, f64, f64)> {
        let output = ("output_tokens", &mut self.output_tokens, 1.0, MAX_OUTPUT_TOKENS as f64);
        self.latency.laws(MAX_SECONDS).into_iter().chain([output])
    }

    fn problems(&mut self) -> Vec<String> {
        let laws = self.laws().filter_map(|(name, law, least, most)| Some((name, law.problem(least, most)?)));
        let mut problems: Vec<String> = laws.map(|(name, problem)| format!("{name} {problem}")).collect();
        let Span { min, max } = self.network_ms;
        let network = Law::Uniform { min, max }.problem(0.0, MAX_SECONDS * 1000.0);
        problems.extend(network.map(|problem| format!("network_ms {problem}")));
        problems.extend(self.quotas_of_all().problems());
        for (of, quotas) in &self.quotas {
            let name = quotas::problem_of_name(of, self.unknown_models);
            problems.extend(name.map(|problem| format!("quotas.{of} {problem}")));
            problems.extend(quotas.problems().map(|problem| format!("quotas.{of}.{problem}")));
        }
        if self.clock_skew_s.is_nan() || self.clock_skew_s.abs() > MAX_SECONDS {
            problems.push(format!("clock_skew_s has to stay between -{MAX_SECONDS} and {MAX_SECONDS}"));
        }
        problems.extend(self.server.iter().flat_map(serving::problems));
        problems.extend(self.quota_changes.iter().filter_map(QuotaChange::problem));
        problems.extend(self.batches.problems(MAX_SECONDS));
        problems.extend(shares::problems(&self.faults));
        problems
    }

    fn quotas_of_all(&self) -> Quotas {
        Quotas {
            requests_per_minute: self.requests_per_minute,
            requests_burst: self.requests_burst,
            requests_per_day: self.requests_per_day,
            input_tokens_per_minute: self.input_tokens_per_minute,
            output_tokens_per_minute: self.output_tokens_per_minute,
            tokens_per_minute: self.tokens_per_minute,
        }
    }

    /// What a key may use of this class of models (see [`class`]) at this provider.
    pub(crate) fn quotas_of(&self, provider: &str, class: &str) -> Quotas {
        let own = self.quotas.get(class).or_else(|| self.quotas.get(provider));
        own.cloned().unwrap_or_else(|| self.quotas_of_all())
    }

    /// The same this long after the scenario began.
    pub(crate) fn quotas_at(&self, provider: &str, class: &str, elapsed: Duration) -> Quotas {
        let holds = |change: &&QuotaChange| change.from_s <= elapsed.as_secs_f64();
        let factor = self.quota_changes.iter().rev().find(holds).map_or(1.0, |change| change.times);
        self.quotas_of(provider, class).times(factor)
    }

    /// What a key may use of this model's class at this provider.
    pub fn quotas_for(&self, provider: &str, model: &str) -> Quotas {
        self.quotas_of(provider, &class(model))
    }

    /// The same scenario with nothing that a key could use up.
    #[must_use]
    pub fn without_quotas(&self) -> Self {
        let mut free = self.clone();
        free.quotas.clear();
        (free.requests_per_minute, free.requests_burst, free.requests_per_day) = (None, None, None);
        (free.input_tokens_per_minute, free.output_tokens_per_minute, free.tokens_per_minute) =
            (None, None, None);
        free
    }

    /// The network's share of a reply's time, in seconds.
    pub(crate) fn network(&self, chance: &mut Chance) -> f64 {
        let Span { min, max } = self.network_ms;
        Law::Uniform { min, max }.draw(chance) / 1000.0
    }

    /// The fault that a try at a provider draws this long after the scenario began.
    pub(crate) fn fault(&self, provider: &str, chance: &mut Chance, elapsed: Duration) -> Fault {
        shares::draw(&self.faults, provider, chance, elapsed)
    }
}
