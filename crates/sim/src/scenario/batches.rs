//! How long batches take, how long they may take, and how many there may be at once.

use serde::{Deserialize, Serialize};

/// Batches of both providers. Absent quotas do not bind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Batching {
    /// Seconds from a batch's creation until all of its requests are worked through, evenly.
    pub seconds: f64,
    /// Seconds after which what is not worked through expires: a day, as both providers say.
    pub expire_after_s: f64,
    /// Requests a minute that a key may make to the endpoints of Anthropic's batches, whichever.
    pub requests_per_minute: Option<u64>,
    /// Requests that a key may have in Anthropic's batches under way.
    pub queued_requests: Option<u64>,
    /// Input tokens that a key may have in OpenAI's batches under way, for each class of models.
    pub enqueued_tokens: Option<u64>,
}

impl Default for Batching {
    fn default() -> Self {
        Batching {
            seconds: 5.0,
            expire_after_s: 24.0 * 60.0 * 60.0,
            requests_per_minute: None,
            queued_requests: None,
            enqueued_tokens: None,
        }
    }
}

impl Batching {
    /// What makes no sense.
    pub(super) fn problems(&self, most_seconds: f64) -> impl Iterator<Item = String> {
        let times = [
            ("seconds", self.seconds, 2.0 * most_seconds),
            ("expire_after_s", self.expire_after_s, most_seconds),
        ];
        // Written so that a NaN is a problem too.
        let wrong = times.into_iter().filter(|(_, time, most)| !(0.0..=*most).contains(time));
        let wrong = wrong.map(|(name, _, most)| format!("batches.{name} has to stay between 0 and {most}"));
        let quotas = [
            ("requests_per_minute", self.requests_per_minute),
            ("queued_requests", self.queued_requests),
            ("enqueued_tokens", self.enqueued_tokens),
        ];
        let empty = quotas.into_iter().filter(|(_, quota)| *quota == Some(0));
        wrong.chain(empty.map(|(name, _)| format!("batches.{name} has to be at least 1")))
    }
}
