//! What a call used, in tokens, and what it may cost, as a vector over all limits.

use serde::{Deserialize, Serialize};

use crate::money::Usd;

/// Tokens that a provider reports for one call, as disjoint counts.
///
/// Anthropic reports them disjoint; OpenAI's inclusive counts are taken apart by its dialect, so
/// that nothing after the dialect has to know which is which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Input tokens billed at the plain rate: neither read from nor written to a cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub input: u64,
    /// Input tokens read from a cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_read: u64,
    /// Input tokens written to a cache that lives five minutes (OpenAI: its only kind).
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write: u64,
    /// Input tokens written to a cache that lives an hour.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_1h: u64,
    /// Output tokens, reasoning included.
    #[serde(skip_serializing_if = "is_zero")]
    pub output: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Usage {
    /// All input tokens, cached or not. Saturating: counts come from outside.
    pub const fn total_input(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write)
            .saturating_add(self.cache_write_1h)
    }
}

/// What one attempt takes from the limits: the most it may take when reserved, what it took when
/// settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Money.
    pub usd: Usd,
    /// Input tokens that count against input token limits.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
}

/// What an attempt came to, in three amounts that are never mixed: what the provider's usage says,
/// what was estimated, and what may have been spent without anybody having said so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Charge {
    /// From reported usage: exact.
    #[serde(skip_serializing_if = "Usd::is_zero")]
    pub actual: Usd,
    /// Estimated from what arrived, because no usage came.
    #[serde(skip_serializing_if = "Usd::is_zero")]
    pub estimated: Usd,
    /// Reserved for an answer that was lost or cut: it may have been billed.
    #[serde(skip_serializing_if = "Usd::is_zero")]
    pub at_risk: Usd,
}

impl Charge {
    /// Adds another, amount by amount.
    pub fn add(&mut self, other: &Charge) {
        self.actual += other.actual;
        self.estimated += other.estimated;
        self.at_risk += other.at_risk;
    }

    /// All three: what the budget has to count.
    pub fn total(&self) -> Usd {
        self.actual + self.estimated + self.at_risk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_outside_never_wrap() {
        let usage = Usage { input: u64::MAX, cache_read: u64::MAX, cache_write: 5, ..Usage::default() };
        assert_eq!(usage.total_input(), u64::MAX);
    }
}
