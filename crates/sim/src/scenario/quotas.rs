//! What a scenario allows an account, and which models share it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sortie_core::document::nearest;
use sortie_core::price;
use sortie_providers::dialect::Dimension;
use sortie_providers::models::class;

use super::UnknownModels;
use crate::model::{PROVIDERS, model_names};
use crate::quota::{Bucket, Buckets};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// What one key may use of one class of models. Absent quotas do not bind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quotas {
    /// Requests a minute.
    pub requests_per_minute: Option<u64>,
    /// Requests that may come at once after a pause; a second's worth unless given.
    pub requests_burst: Option<u64>,
    /// Requests a day, all of which may come at once. The headers do not tell of it.
    pub requests_per_day: Option<u64>,
    /// Input tokens a minute; a minute's worth may come at once. What is read from a cache does not
    /// count (Anthropic's documentation of rate limits).
    pub input_tokens_per_minute: Option<u64>,
    /// Output tokens a minute, likewise; see [`OutputCharge`].
    pub output_tokens_per_minute: Option<u64>,
    /// Tokens a minute of either kind. A request is charged the larger of its `max_tokens` and an
    /// estimate of its input (OpenAI's guide to rate limits).
    pub tokens_per_minute: Option<u64>,
}

/// How the quotas change while a scenario goes on: an account that gets another tier, a provider that is
/// short of capacity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaChange {
    /// Seconds since the scenario began, from which on it holds.
    pub from_s: f64,
    /// What all quotas and bursts are then, times what the scenario says: 0.001 to 1000.
    pub times: f64,
}

impl QuotaChange {
    /// What makes no sense.
    pub(super) fn problem(&self) -> Option<String> {
        let fits = self.from_s >= 0.0 && (0.001..=1000.0).contains(&self.times);
        (!fits)
            .then(|| "quota_changes need a from_s of at least 0 and times between 0.001 and 1000".to_owned())
    }
}

/// When an answer's tokens are taken from the quota of output tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputCharge {
    /// As they are produced; `max_tokens` plays no part (Anthropic's documentation since 2026).
    #[default]
    AsProduced,
    /// `max_tokens` when the request is admitted, and what the answer did not need given back at
    /// its end (the same documentation of 2025).
    MaxTokensUpFront,
}

impl Quotas {
    /// What makes no sense.
    pub(super) fn problems(&self) -> impl Iterator<Item = String> {
        let quotas = [
            ("requests_per_minute", self.requests_per_minute),
            ("requests_burst", self.requests_burst),
            ("requests_per_day", self.requests_per_day),
            ("input_tokens_per_minute", self.input_tokens_per_minute),
            ("output_tokens_per_minute", self.output_tokens_per_minute),
            ("tokens_per_minute", self.tokens_per_minute),
        ];
        let empty = quotas.into_iter().filter(|(_, quota)| *quota == Some(0));
        let is_unused = self.requests_burst.is_some() && self.requests_per_minute.is_none();
        let unused = is_unused.then(|| "requests_burst needs requests_per_minute beside it".to_owned());
        empty.map(|(name, _)| format!("{name} has to be at least 1")).chain(unused)
    }

    /// The same quotas times a factor, at least 1 each.
    pub(super) fn times(&self, factor: f64) -> Quotas {
        let times = |quota: Option<u64>| quota.map(|quota| ((quota as f64 * factor) as u64).max(1));
        Quotas {
            requests_per_minute: times(self.requests_per_minute),
            requests_burst: times(self.requests_burst),
            requests_per_day: times(self.requests_per_day),
            input_tokens_per_minute: times(self.input_tokens_per_minute),
            output_tokens_per_minute: times(self.output_tokens_per_minute),
            tokens_per_minute: times(self.tokens_per_minute),
        }
    }

    /// Full buckets.
    pub(crate) fn buckets(&self, now: Duration) -> Buckets {
        let full = |(dimension, quota, period, burst)| (dimension, Bucket::full(quota, period, burst, now));
        Buckets::new(self.sizes().map(full).collect())
    }

    /// What its buckets count, their quotas, in which time, and what they hold.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = (Dimension, u64, Duration, u64)> {
        let size = |dimension, quota: Option<u64>, burst: Option<u64>, period| {
            quota.map(|quota| (dimension, quota, period, burst.unwrap_or(quota)))
        };
        let per_minute = self.requests_per_minute;
        let burst = self.requests_burst.or(per_minute.map(|quota| quota / 60));
        let told = [
            size(Dimension::Requests, per_minute, burst, MINUTE),
            size(Dimension::InputTokens, self.input_tokens_per_minute, None, MINUTE),
            size(Dimension::OutputTokens, self.output_tokens_per_minute, None, MINUTE),
            size(Dimension::Tokens, self.tokens_per_minute, None, MINUTE),
            size(Dimension::Requests, self.requests_per_day, None, DAY),
        ];
        told.into_iter().flatten()
    }
}

/// What is wrong with a name that quotas are given for: nothing asks for them but a provider, or a class
/// of models. Where unknown models are served, any name may be one's own model, but for a provider's
/// that is misspelt.
pub(super) fn problem_of_name(name: &str, unknown: UnknownModels) -> Option<String> {
    let own = class(name);
    if own != name {
        return Some(format!("is no class of models: {name} is of the class `{own}`"));
    }
    let classes: Vec<String> = model_names().map(class).collect();
    let is_known = PROVIDERS.contains(&name)
        || classes.iter().any(|class| class == name)
        || price::table().find(name).is_some();
    let names = classes.iter().map(String::as_str).filter(|_| unknown == UnknownModels::Refused);
    let near = nearest(name, PROVIDERS.into_iter().chain(names));
    match near {
        _ if is_known => None,
        Some(near) => Some(format!("is neither a provider nor a class of models: did you mean `{near}`?")),
        None if unknown == UnknownModels::Served => None,
        None => Some(
            "is neither a provider nor a class of models that are known; one's own models need \
             `unknown_models: served`"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_that_nobody_would_ask_for_are_refused_with_the_name_that_was_meant() {
        let check = |name: &str, unknown: UnknownModels, part: Option<&str>| {
            let problem = problem_of_name(name, unknown);
            let is_expected = match (&problem, part) {
                (Some(problem), Some(part)) => problem.contains(part),
                (problem, part) => problem.is_none() && part.is_none(),
            };
            assert!(is_expected, "{name}: {problem:?}");
        };
        for unknown in [UnknownModels::Refused, UnknownModels::Served] {
            let known = ["anthropic", "openai", "opus 4", "sonnet 5", "gpt-4o", "gpt-4o-mini", "gpt-4-32k"];
            for name in known {
                check(name, unknown, None);
            }
            check("opnai", unknown, Some("did you mean `openai`?"));
            check("Anthropic", unknown, Some("did you mean `anthropic`?"));
            check("claude-opus-4-1", unknown, Some("of the class `opus 4`"));
            check("gpt-4o-2024-08-06", unknown, Some("of the class `gpt-4o`"));
        }
        check("gpt-4o-mimi", UnknownModels::Refused, Some("did you mean `gpt-4o-mini`?"));
        check("my-own-llama", UnknownModels::Refused, Some("`unknown_models: served`"));
        check("gpt-4o-mimi", UnknownModels::Served, None);
        check("my-own-llama", UnknownModels::Served, None);
    }
}
