//! What the simulated API does and does wrong: a YAML file that names its laws.
//!
//! A scenario holds no state and no seed: with the same seed it does the same to the same requests.
//!
//! # Adding a scenario
//! Put `NAME.yaml` into `scenarios/` and add one line to `BUILT_IN`.

use std::time::Duration;

use serde::Deserialize;
use sortie_providers::dialect::Dimension;

use crate::chance::Chance;
use crate::fault::Fault;
use crate::quota::{Bucket, Buckets};

/// The scenarios that come with the program; the first is the default.
const BUILT_IN: [(&str, &str); 2] =
    [("calm", include_str!("../scenarios/calm.yaml")), ("seed", include_str!("../scenarios/seed.yaml"))];

/// The most output tokens a law or a directive may ask for: an answer's text is four bytes a token
/// and is held in memory.
pub(crate) const MAX_OUTPUT_TOKENS: u64 = 1_000_000;

/// The longest an answer may be told to take, in seconds: a day.
pub(crate) const MAX_SECONDS: f64 = 86_400.0;

/// What the simulated API does. Absent quotas do not bind.
#[derive(Clone, Debug, PartialEq, Deserialize)]
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
    /// Requests a minute, for each key and model.
    #[serde(default)]
    pub requests_per_minute: Option<u64>,
    /// Requests that may come at once after a pause; a second's worth unless given.
    #[serde(default)]
    pub requests_burst: Option<u64>,
    /// Input tokens a minute, for each key and model; a minute's worth may come at once.
    #[serde(default)]
    pub input_tokens_per_minute: Option<u64>,
    /// Output tokens a minute, likewise.
    #[serde(default)]
    pub output_tokens_per_minute: Option<u64>,
    /// Whether replies tell the quotas and how long to wait.
    #[serde(default = "yes")]
    pub limit_headers: bool,
    /// What goes wrong, and how often.
    #[serde(default)]
    pub faults: Vec<FaultShare>,
    /// Ids of models that are answered 404, as a provider answers for retired ones.
    #[serde(default)]
    pub retired_models: Vec<String>,
}

fn yes() -> bool {
    true
}

/// How often a fault is drawn.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultShare {
    /// Which, as [`Fault`] is written.
    pub kind: Fault,
    /// The share of tries that draw it, 0 to 1; all shares together at most 1.
    pub share: f64,
}

/// A range, ends included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
}

/// How long an answer takes, the network apart.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Latency {
    /// A first token, then the others at a pace: long answers take long.
    Paced {
        /// Seconds until the first token.
        first_token: Law,
        /// Tokens each second after it.
        tokens_per_second: Law,
    },
    /// A time for all of it, whatever its length.
    Total {
        /// Seconds until the last token.
        seconds: Law,
        /// Seconds until the first; never more than all of it.
        first_token: Law,
    },
}

/// How a number is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Law {
    /// Always this one.
    Fixed(f64),
    /// Any of a range, evenly.
    Uniform {
        /// The least.
        min: f64,
        /// The most.
        max: f64,
    },
    /// Lognormal, clipped to a range.
    Lognormal {
        /// The mean of the distribution before it is clipped.
        mean: f64,
        /// The standard deviation of its logarithm.
        sigma: f64,
        /// The least.
        min: f64,
        /// The most.
        max: f64,
    },
}

impl Law {
    pub(crate) fn draw(self, chance: &mut Chance) -> f64 {
        match self {
            Law::Fixed(number) => number,
            Law::Uniform { min, max } => min + (max - min) * chance.share(),
            // A lognormal's mean is exp(mu + sigma²/2).
            Law::Lognormal { mean, sigma, min, max } => {
                (mean.ln() - sigma * sigma / 2.0 + sigma * chance.normal()).exp().max(min).min(max)
            }
        }
    }

    /// What is wrong with it where its numbers have to lie between `least` and `most`.
    fn problem(self, least: f64, most: f64) -> Option<String> {
        let (min, max) = match self {
            Law::Fixed(number) => (number, number),
            Law::Lognormal { mean, sigma, .. }
                if !(mean > 0.0 && mean.is_finite() && sigma >= 0.0 && sigma.is_finite()) =>
            {
                return Some("needs a mean above 0 and a sigma of at least 0".to_owned());
            }
            Law::Uniform { min, max } | Law::Lognormal { min, max, .. } => (min, max),
        };
        // Written so that a NaN is a problem too.
        let holds = least <= min && min <= max && max <= most;
        (!holds).then(|| format!("has to stay between {least} and {most}, its min not above its max"))
    }
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

    /// A scenario from its YAML.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Scenario =
            serde_saphyr::from_str(text).map_err(|error| ScenarioError::Form(Box::new(error)))?;
        match scenario.problems() {
            problems if problems.is_empty() => Ok(scenario),
            problems => Err(ScenarioError::Senseless { name: scenario.name, problems }),
        }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut law = |name: &str, law: Law, least: f64, most: f64| {
            problems.extend(law.problem(least, most).map(|problem| format!("{name} {problem}")));
        };
        match self.latency {
            Latency::Paced { first_token, tokens_per_second } => {
                law("latency.first_token", first_token, 0.0, MAX_SECONDS);
                law("latency.tokens_per_second", tokens_per_second, 0.001, 1e9);
            }
            Latency::Total { seconds, first_token } => {
                law("latency.seconds", seconds, 0.0, MAX_SECONDS);
                law("latency.first_token", first_token, 0.0, MAX_SECONDS);
            }
        }
        law("output_tokens", self.output_tokens, 1.0, MAX_OUTPUT_TOKENS as f64);
        let Span { min, max } = self.network_ms;
        law("network_ms", Law::Uniform { min, max }, 0.0, MAX_SECONDS * 1000.0);
        let quotas = [
            ("requests_per_minute", self.requests_per_minute),
            ("requests_burst", self.requests_burst),
            ("input_tokens_per_minute", self.input_tokens_per_minute),
            ("output_tokens_per_minute", self.output_tokens_per_minute),
        ];
        for (name, _) in quotas.iter().filter(|(_, quota)| *quota == Some(0)) {
            problems.push(format!("{name} has to be at least 1"));
        }
        let shares: f64 = self.faults.iter().map(|fault| fault.share).sum();
        if !(self.faults.iter().all(|fault| fault.share >= 0.0) && shares <= 1.0) {
            problems.push("the shares of faults have to be at least 0 and at most 1 together".to_owned());
        }
        problems
    }

    /// Full buckets for one key and model.
    pub(crate) fn buckets(&self, now: Duration) -> Buckets {
        let requests = self.requests_per_minute.map(|per_minute| {
            let burst = self.requests_burst.unwrap_or(per_minute / 60);
            (Dimension::Requests, Bucket::full(per_minute, burst, now))
        });
        let tokens = |dimension, per_minute: Option<u64>| {
            per_minute.map(|quota| (dimension, Bucket::full(quota, quota, now)))
        };
        let input = tokens(Dimension::InputTokens, self.input_tokens_per_minute);
        let output = tokens(Dimension::OutputTokens, self.output_tokens_per_minute);
        Buckets::new([requests, input, output].into_iter().flatten().collect())
    }

    /// The network's share of a reply's time, in seconds.
    pub(crate) fn network(&self, chance: &mut Chance) -> f64 {
        let Span { min, max } = self.network_ms;
        Law::Uniform { min, max }.draw(chance) / 1000.0
    }

    /// The fault that a try draws.
    pub(crate) fn fault(&self, chance: &mut Chance) -> Fault {
        let mut share = chance.share();
        for fault in &self.faults {
            if share < fault.share {
                return fault.kind.clone();
            }
            share -= fault.share;
        }
        Fault::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sortie_core::hash::Hash;

    #[test]
    fn the_built_in_scenarios_load_under_their_names() {
        for name in Scenario::names() {
            assert_eq!(Scenario::named(name).unwrap().name, name);
        }
        assert!(matches!(Scenario::named("storm?"), Err(ScenarioError::Unknown { .. })));
    }

    #[test]
    fn the_readme_shows_a_scenario_that_loads() {
        let readme = include_str!("../README.md");
        let shown = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
        let scenario = Scenario::parse(shown.expect("the README shows one")).unwrap();
        assert_eq!((scenario.name.as_str(), scenario.faults.len()), ("rough", 2));
    }

    #[test]
    fn all_that_makes_no_sense_is_said_at_once() {
        let text = "
            name: odd
            latency: { total: { seconds: { fixed: -1 }, first_token: { lognormal: { mean: 0, sigma: 1, min: 0, max: 1 } } } }
            network_ms: { min: 5, max: 1 }
            output_tokens: { uniform: { min: 0, max: .nan } }
            requests_per_minute: 0
            faults: [{ kind: 529, share: 0.6 }, { kind: cut, share: 0.6 }]";
        let ScenarioError::Senseless { problems, .. } = Scenario::parse(text).unwrap_err() else {
            panic!("the text has a scenario's form")
        };
        let named: Vec<&str> = problems.iter().map(|p| p.split(' ').next().unwrap()).collect();
        let expected = ["latency.seconds", "latency.first_token", "output_tokens", "network_ms"];
        assert_eq!(named, [&expected[..], &["requests_per_minute", "the"]].concat(), "{problems:?}");
    }

    #[test]
    fn what_a_scenario_does_not_have_is_refused() {
        let valid = BUILT_IN[0].1;
        for line in ["quota: 3", "faults: [{ kind: explode, share: 0.1 }]", "network_ms: { min: 1, mx: 2 }"] {
            let text = format!("{}\n{line}\n", valid.replace("network_ms: { min: 20, max: 60 }", ""));
            assert!(matches!(Scenario::parse(&text), Err(ScenarioError::Form(_))), "{line}");
        }
    }

    #[test]
    fn a_clipped_lognormal_keeps_its_mean_and_its_ends() {
        let law = Law::Lognormal { mean: 4.0, sigma: 0.35, min: 2.0, max: 10.0 };
        let mut chance = Chance::new(1, &Hash::of(b""), "law");
        let draws: Vec<f64> = (0..20_000).map(|_| law.draw(&mut chance)).collect();
        assert!(draws.iter().all(|d| (2.0..=10.0).contains(d)));
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        assert!((mean - 4.0).abs() < 0.05, "{mean}");
    }

    #[test]
    fn faults_are_drawn_in_their_shares() {
        let mut scenario = Scenario::named("calm").unwrap();
        let share = |kind, share| FaultShare { kind, share };
        scenario.faults = vec![share(Fault::Status(529), 0.1), share(Fault::Cut, 0.2)];
        let draw = |n: u32| scenario.fault(&mut Chance::new(3, &Hash::of(&n.to_le_bytes()), "fault"));
        let drawn: Vec<Fault> = (0..20_000).map(draw).collect();
        let of = |fault: &Fault| drawn.iter().filter(|f| *f == fault).count() as f64 / drawn.len() as f64;
        assert!((of(&Fault::Status(529)) - 0.1).abs() < 0.01);
        assert!((of(&Fault::Cut) - 0.2).abs() < 0.01);
        assert!((of(&Fault::None) - 0.7).abs() < 0.02);
    }
}
