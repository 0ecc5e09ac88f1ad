//! What quotas are counted in.

use serde::{Deserialize, Serialize};

use crate::usage::Cost;

/// What a quota is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Requests.
    Requests,
    /// Input tokens.
    InputTokens,
    /// Output tokens.
    OutputTokens,
    /// Tokens of both kinds in one quota.
    Tokens,
}

impl Dimension {
    /// The name of its quota of a minute, for people.
    pub const fn per_minute(self) -> &'static str {
        match self {
            Dimension::Requests => "requests/min",
            Dimension::InputTokens => "input tokens/min",
            Dimension::OutputTokens => "output tokens/min",
            Dimension::Tokens => "tokens/min",
        }
    }

    /// How much of it an attempt takes.
    pub(super) fn of(self, cost: &Cost) -> u64 {
        match self {
            Dimension::Requests => 1,
            Dimension::InputTokens => cost.input_tokens,
            Dimension::OutputTokens => cost.output_tokens,
            // OpenAI's guide to rate limits: the larger of `max_tokens` and an estimate of the input.
            Dimension::Tokens => cost.output_tokens.max(cost.input_tokens),
        }
    }

    /// Whether what an attempt did not use of it comes back: a request that failed was a request, and
    /// OpenAI's one quota of tokens keeps what it charged at the start.
    pub(super) const fn settles(self) -> bool {
        matches!(self, Dimension::InputTokens | Dimension::OutputTokens)
    }
}

/// What a reply's headers say of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// What is counted.
    pub dimension: Dimension,
    /// The quota of a minute, at least 1.
    pub limit: u64,
    /// What is left of it, at most `limit`. A bucket that is smaller than the quota does not show in it.
    pub remaining: u64,
}

/// What the head of a reply says of the limits of its account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Whether the request was taken in, so that it counts against the quotas: an answer has begun.
    pub admitted: bool,
    /// The quotas that it names, as far as they make sense.
    pub quotas: Vec<Left>,
}
