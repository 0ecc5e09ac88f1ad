//! How a number of a scenario is drawn, and how long an answer takes.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use sortie_core::chance::Chance;

/// A range, ends included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
}

/// How long an answer takes, the network apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

impl Latency {
    /// Its laws, with their names and the least and the most that they may draw.
    pub(super) fn laws(&mut self, most_seconds: f64) -> [(&'static str, &mut Law, f64, f64); 2] {
        match self {
            Latency::Paced { first_token, tokens_per_second } => [
                ("latency.first_token", first_token, 0.0, most_seconds),
                ("latency.tokens_per_second", tokens_per_second, 0.001, 1e9),
            ],
            Latency::Total { seconds, first_token } => [
                ("latency.seconds", seconds, 0.0, most_seconds),
                ("latency.first_token", first_token, 0.0, most_seconds),
            ],
        }
    }
}

/// How a number is drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// One of those that were measured, each as likely.
    Samples(Samples),
}

/// Numbers that were measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Samples {
    /// These.
    Numbers(Arc<[f64]>),
    /// Those of a file: one a line, empty lines and lines that begin with `#` apart. A scenario that
    /// has been read holds [`Samples::Numbers`] in its place.
    File(PathBuf),
}

impl Law {
    pub(crate) fn draw(&self, chance: &mut Chance) -> f64 {
        match self {
            Law::Fixed(number) => *number,
            Law::Uniform { min, max } => min + (max - min) * chance.share(),
            // A lognormal's mean is exp(mu + sigma²/2).
            Law::Lognormal { mean, sigma, min, max } => {
                (mean.ln() - sigma * sigma / 2.0 + sigma * chance.normal()).exp().max(*min).min(*max)
            }
            Law::Samples(Samples::Numbers(numbers)) => {
                let index = chance.bits() % numbers.len().max(1) as u64;
                numbers.get(index as usize).copied().unwrap_or_default()
            }
            Law::Samples(Samples::File(_)) => 0.0,
        }
    }

    /// The file that its numbers still have to be read from.
    pub(super) fn file(&self) -> Option<&PathBuf> {
        match self {
            Law::Samples(Samples::File(path)) => Some(path),
            _ => None,
        }
    }

    /// What is wrong with it where its numbers have to lie between `least` and `most`.
    pub(super) fn problem(&self, least: f64, most: f64) -> Option<String> {
        // Written so that a NaN is a problem too.
        let within = |numbers: &[f64]| numbers.iter().all(|n| least <= *n && *n <= most);
        let holds = match self {
            Law::Fixed(number) => within(&[*number]),
            Law::Lognormal { mean, sigma, .. }
                if !(*mean > 0.0 && mean.is_finite() && *sigma >= 0.0 && sigma.is_finite()) =>
            {
                return Some("needs a mean above 0 and a sigma of at least 0".to_owned());
            }
            Law::Uniform { min, max } | Law::Lognormal { min, max, .. } => {
                within(&[*min, *max]) && min <= max
            }
            Law::Samples(Samples::Numbers(numbers)) if numbers.is_empty() => {
                return Some("needs at least one sample".to_owned());
            }
            Law::Samples(Samples::Numbers(numbers)) => within(numbers),
            Law::Samples(Samples::File(path)) => {
                return Some(format!(
                    "names the file {}, which only a scenario's own file may",
                    path.display()
                ));
            }
        };
        (!holds).then(|| format!("has to stay between {least} and {most}, its min not above its max"))
    }
}

/// The numbers of a file of samples.
pub(super) fn samples(text: &str) -> Result<Samples, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let number = |line: &str| line.parse::<f64>().map_err(|_| format!("`{line}` is no number"));
    lines.map(number).collect::<Result<Vec<_>, _>>().map(|numbers| Samples::Numbers(numbers.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sortie_core::hash::Hash;

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
    fn samples_are_drawn_each_as_often() {
        let law = Law::Samples(samples("# measured\n0.5\n\n 2\n").unwrap());
        let mut chance = Chance::new(1, &Hash::of(b""), "law");
        let draws: Vec<f64> = (0..20_000).map(|_| law.draw(&mut chance)).collect();
        let halves = draws.iter().filter(|d| **d < 1.0).count();
        assert!(
            draws.iter().all(|d| [0.5, 2.0].contains(d)) && (9_500..10_500).contains(&halves),
            "{halves}"
        );
        assert_eq!(samples("1\nsoon").unwrap_err(), "`soon` is no number");
        assert!(Law::Samples(samples("").unwrap()).problem(0.0, 1.0).is_some());
    }
}
