//! What a call used, in tokens and in what else decides its price, and what it may cost, as a vector
//! over all limits.

use serde::{Deserialize, Serialize};

use crate::money::Usd;

/// What a provider reports of one call: its tokens as disjoint counts, and how it was served.
///
/// Anthropic reports the counts disjoint; OpenAI's inclusive counts are taken apart by its dialect, so
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
    /// Input tokens written to a cache that lives minutes (Anthropic: five, OpenAI: thirty).
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write: u64,
    /// Input tokens written to a cache that lives hours (Anthropic: one, OpenAI: twelve).
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_1h: u64,
    /// Output tokens, reasoning included.
    #[serde(skip_serializing_if = "is_zero")]
    pub output: u64,
    /// Web searches that the provider made.
    #[serde(skip_serializing_if = "is_zero")]
    pub web_searches: u64,
    /// How it was served, as the reply says.
    #[serde(skip_serializing_if = "Tier::is_standard")]
    pub tier: Tier,
    /// Where it was served, as the reply says.
    #[serde(skip_serializing_if = "Region::is_any")]
    pub region: Region,
}

/// How a call is served: what of several prices applies. The reply's word counts, not the request's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// At the usual rates; also where a reply says nothing, or a word that we do not know.
    #[default]
    Standard,
    /// Within a batch.
    Batch,
    /// When there is room (OpenAI).
    Flex,
    /// Before others: OpenAI's `priority`, which it also calls `fast`. Anthropic's is capacity that
    /// is paid for in advance, without rates in the table.
    Priority,
    /// Anthropic's `speed: fast`.
    Fast,
    /// OpenAI's `ultrafast`.
    Ultrafast,
}

impl Tier {
    /// The name as the price table and the journal have it.
    pub const fn name(self) -> &'static str {
        match self {
            Tier::Standard => "standard",
            Tier::Batch => "batch",
            Tier::Flex => "flex",
            Tier::Priority => "priority",
            Tier::Fast => "fast",
            Tier::Ultrafast => "ultrafast",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    fn is_standard(&self) -> bool {
        *self == Tier::Standard
    }
}

/// Where a call was served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Region {
    /// Wherever there was room.
    #[default]
    Any,
    /// In the region that the request or the account's workspace names (Anthropic's
    /// `inference_geo`, of which `us` is the only one that is sold).
    Named,
}

impl Region {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    fn is_any(&self) -> bool {
        *self == Region::Any
    }
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

    /// Whether there is nothing in any of them.
    pub fn is_zero(&self) -> bool {
        *self == Charge::default()
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

    #[test]
    fn what_is_usual_is_not_written() {
        let written = |usage: Usage| serde_json::to_string(&usage).unwrap();
        assert_eq!(written(Usage { input: 7, ..Usage::default() }), r#"{"input":7}"#);
        let rare = Usage { web_searches: 2, tier: Tier::Priority, region: Region::Named, ..Usage::default() };
        let text = r#"{"web_searches":2,"tier":"priority","region":"named"}"#;
        assert_eq!(written(rare), text);
        assert_eq!(serde_json::from_str::<Usage>(text).unwrap(), rare);
    }
}
