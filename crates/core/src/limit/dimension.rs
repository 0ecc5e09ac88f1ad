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

    /// Whether what is asked for is a bound, and its own head tells what was taken in its place. A request is
    /// one request, and output tokens may be counted as they are produced.
    pub(super) const fn is_told_for_a_bound(self) -> bool {
        matches!(self, Dimension::InputTokens | Dimension::Tokens)
    }

    /// How much of what an attempt asked for comes back when it has ended; a debt is less than nothing. A
    /// request that failed was a request, and OpenAI's one quota of tokens keeps `max_tokens`, but charges
    /// no more for the input than there is.
    pub(super) fn unused(self, ask: &Cost, used: &Cost) -> i128 {
        let took = match self {
            Dimension::Requests => return 0,
            Dimension::InputTokens | Dimension::OutputTokens => self.of(used),
            Dimension::Tokens => self.of(&Cost { output_tokens: ask.output_tokens, ..*used }),
        };
        i128::from(self.of(ask)) - i128::from(took)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Usd;

    #[test]
    fn what_comes_back_is_what_the_provider_does_not_keep() {
        let cost = |input_tokens, output_tokens| Cost { usd: Usd::ZERO, input_tokens, output_tokens };
        let (ask, used) = (cost(5000, 300), cost(1000, 20));
        let unused = |of: Dimension| of.unused(&ask, &used);
        assert_eq!(unused(Dimension::Requests), 0);
        assert_eq!((unused(Dimension::InputTokens), unused(Dimension::OutputTokens)), (4000, 280));
        assert_eq!(unused(Dimension::Tokens), 4000, "the input was less than bytes bound it");
        assert_eq!(Dimension::Tokens.unused(&ask, &cost(100, 20)), 4700, "max_tokens stays");
        assert_eq!(Dimension::Tokens.unused(&cost(100, 300), &cost(50, 20)), 0);
    }
}
