//! Prices, and what usage comes to.
//!
//! The rates are data ([`table()`]), dated, and read once; a configuration may override them. What
//! decides a price is what the reply says: its counts, its service tier, where it was served, and
//! the model that it names. Nothing here rounds, but for one rule: a factor (`us` × 1.1) that does
//! not give whole picodollars is rounded up, once for each call.
//!
//! The formulas are Anthropic's and OpenAI's, from their pricing pages: all input in disjoint counts
//! at its own rate, the long-context rate for the whole request, tools besides.

mod absurd;
mod table;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::money::Usd;
use crate::usage::{Region, Tier, Usage};

pub use absurd::{Absurd, Rule};
pub use table::{Row, Table, TableError, table, undated};

/// What a model costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// The usual rates.
    #[serde(flatten)]
    pub standard: Rates,
    /// The rates of other service tiers, where they are known. A tier without any is charged at the
    /// usual rates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tiers: BTreeMap<Tier, Rates>,
    /// Percent of the token rates in a named region; at least 100. Anthropic's replies name it; of
    /// OpenAI's, the host that was asked (see [`Price::at_host`]).
    #[serde(default = "whole", skip_serializing_if = "is_whole")]
    pub region_percent: u32,
    /// One web search by the provider.
    #[serde(default, skip_serializing_if = "Usd::is_zero")]
    pub web_search: Usd,
    /// The row of the price table that this is; none where a configuration states it. A reply by
    /// another model that the table knows is then charged by that model's row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    /// Whether it is for a host that serves in its region alone, at the region's rates: another model
    /// that answers there costs its region's too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_region: bool,
}

/// What one token of each kind costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Plain input.
    pub input: Usd,
    /// Output.
    pub output: Usd,
    /// Input read from a cache.
    pub cache_read: Usd,
    /// Input written to a cache that lives minutes.
    pub cache_write: Usd,
    /// Input written to a cache that lives hours (Anthropic: one, OpenAI: twelve).
    pub cache_write_1h: Usd,
    /// Other rates for the whole request once its input is longer than a threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<Box<Long>>,
}

/// The rates of long requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Long {
    /// Input tokens, cached ones included, above which they apply.
    pub above_input_tokens: u64,
    /// The rates; their own `long` is empty.
    #[serde(rename = "price")]
    pub rates: Rates,
}

const fn whole() -> u32 {
    100
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_whole(percent: &u32) -> bool {
    *percent == 100
}

impl Rates {
    /// Rates from input and output alone: cached input costs what plain input costs, so that
    /// nothing comes out too cheap.
    pub fn flat(input: Usd, output: Usd) -> Self {
        Rates { input, output, cache_read: input, cache_write: input, cache_write_1h: input, long: None }
    }

    /// So many percent of every rate, rounded up to whole picodollars.
    fn percent(&self, percent: u32) -> Self {
        let of = |rate: Usd| rate.percent_rounded_up(percent);
        Rates {
            input: of(self.input),
            output: of(self.output),
            cache_read: of(self.cache_read),
            cache_write: of(self.cache_write),
            cache_write_1h: of(self.cache_write_1h),
            long: self.long.as_ref().map(|long| {
                Box::new(Long {
                    above_input_tokens: long.above_input_tokens,
                    rates: long.rates.percent(percent),
                })
            }),
        }
    }

    /// The long rates, where this many input tokens are long.
    fn above(&self, input_tokens: u64) -> Option<&Rates> {
        let long = self.long.as_ref().filter(|long| input_tokens > long.above_input_tokens)?;
        Some(&long.rates)
    }

    /// Tokens at these rates, whatever the length of the request.
    fn of(&self, usage: &Usage) -> Usd {
        self.input.times(usage.input)
            + self.cache_read.times(usage.cache_read)
            + self.cache_write.times(usage.cache_write)
            + self.cache_write_1h.times(usage.cache_write_1h)
            + self.output.times(usage.output)
    }

    /// The most that so many tokens cost at these rates: no cache hit, the dearer of plain input and
    /// short-lived cache writes (some providers write unasked; long-lived writes are only made where
    /// they are asked for, which we never do).
    fn most(&self, input_tokens: u64, output_tokens: u64) -> Usd {
        self.input.max(self.cache_write).times(input_tokens) + self.output.times(output_tokens)
    }
}

impl Price {
    /// A price that a configuration states: these rates in every tier and region.
    pub fn stated(rates: Rates) -> Self {
        Price {
            standard: rates,
            tiers: BTreeMap::new(),
            region_percent: whole(),
            web_search: Usd::ZERO,
            row: None,
            in_region: false,
        }
    }

    /// A stated price of input and output alone (see [`Rates::flat`]).
    pub fn flat(input: Usd, output: Usd) -> Self {
        Price::stated(Rates::flat(input, output))
    }

    /// The same at a host that decides by itself about the region, whatever replies say: `in_region`
    /// for one that serves in its region alone, at the region's rates.
    #[must_use]
    pub fn at_host(&self, in_region: bool) -> Self {
        let percent = if in_region { self.region_percent } else { whole() };
        let tiers = self.tiers.iter().map(|(tier, rates)| (*tier, rates.percent(percent))).collect();
        let standard = self.standard.percent(percent);
        Price { standard, tiers, region_percent: whole(), in_region, ..self.clone() }
    }

    /// Its rates in every tier that has some, the standard one first.
    pub fn each_tier(&self) -> impl Iterator<Item = (Tier, &Rates)> {
        let others = self.tiers.iter().map(|(tier, rates)| (*tier, rates));
        std::iter::once((Tier::Standard, &self.standard)).chain(others)
    }

    /// What this usage costs: its tokens at the rates of its tier and length, in its region, and its
    /// web searches, which neither tiers nor regions change.
    ///
    /// The long rate applies to the whole request, not to the tokens past the threshold (the rule
    /// of every first-party long-context price).
    pub fn of(&self, usage: &Usage) -> Usd {
        let tokens = self.tokens(usage);
        let tokens = match usage.region {
            Region::Any => tokens,
            Region::Named => tokens.percent_rounded_up(self.region_percent),
        };
        tokens + self.web_search.times(usage.web_searches)
    }

    fn tokens(&self, usage: &Usage) -> Usd {
        let input_tokens = usage.total_input();
        let rates = self.tiers.get(&usage.tier).unwrap_or(&self.standard);
        match (rates.above(input_tokens), self.standard.above(input_tokens)) {
            (Some(long), _) => long.of(usage),
            // The tier is not sold for long requests, and yet here is one: the dearer of the two
            // that it can be.
            (None, Some(long)) => rates.of(usage).max(long.of(usage)),
            (None, None) => rates.of(usage),
        }
    }

    /// The most that a request of at most these tokens can cost that asks for nothing but the
    /// standard tier: the long rate where the input may reach it, and the rate of a region, because
    /// a workspace may name one without the request.
    pub fn most(&self, input_tokens: u64, output_tokens: u64) -> Usd {
        let usual = self.standard.most(input_tokens, output_tokens);
        let long = self.standard.above(input_tokens);
        let most = long.map_or(usual, |long| usual.max(long.most(input_tokens, output_tokens)));
        most.percent_rounded_up(self.region_percent)
    }

    /// The price of the model that a reply names: its row, where both it and this are the table's, at the
    /// host that was asked.
    fn answered_by(&self, model: Option<&str>) -> Cow<'_, Price> {
        let asked = self.row.as_deref();
        match model.filter(|_| asked.is_some()).and_then(|model| table().find(model)) {
            Some(row) if asked != Some(&row.model) && self.in_region => Cow::Owned(row.price.at_host(true)),
            Some(row) if asked != Some(&row.model) => Cow::Borrowed(&row.price),
            _ => Cow::Borrowed(self),
        }
    }
}

/// What is known of an agent's price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pricing {
    /// By the table or the configuration.
    Known(Price),
    /// Declared free in the configuration: a local server.
    Free,
    /// Not known: refused where a budget is set.
    Unknown,
}

impl Pricing {
    /// Whether a configuration states it, in place of the table.
    pub const fn is_stated(&self) -> bool {
        match self {
            Pricing::Known(price) => price.row.is_none(),
            Pricing::Free => true,
            Pricing::Unknown => false,
        }
    }

    /// What this usage costs, of a reply that names this model; nothing where the price is unknown
    /// (and then no budget is set).
    ///
    /// A dated name is its model without the date. Another model that the table knows (a router's
    /// fallback) is charged by its own row; one that it does not know, as the model asked for.
    pub fn of(&self, usage: &Usage, model: Option<&str>) -> Usd {
        match self {
            Pricing::Known(price) => price.answered_by(model).of(usage),
            Pricing::Free | Pricing::Unknown => Usd::ZERO,
        }
    }
}
