//! Prices, and what usage comes to.
//!
//! The rates are data (`table.json`), dated, and read once; a configuration may override them.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::money::Usd;
use crate::usage::Usage;

/// What one token of each kind costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Plain input.
    pub input: Usd,
    /// Output.
    pub output: Usd,
    /// Input read from a cache.
    pub cache_read: Usd,
    /// Input written to a five-minute cache.
    pub cache_write: Usd,
    /// Input written to a one-hour cache.
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
    pub price: Price,
}

impl Price {
    /// Rates from input and output alone: cached input costs what plain input costs, so that
    /// nothing comes out too cheap.
    pub fn flat(input: Usd, output: Usd) -> Self {
        Price { input, output, cache_read: input, cache_write: input, cache_write_1h: input, long: None }
    }

    /// What this usage costs.
    ///
    /// The long rate applies to the whole request, not to the tokens past the threshold (the rule
    /// of every first-party long-context price).
    pub fn of(&self, usage: &Usage) -> Usd {
        let rates = match &self.long {
            Some(long) if usage.total_input() > long.above_input_tokens => &long.price,
            _ => self,
        };
        rates.input.times(usage.input)
            + rates.cache_read.times(usage.cache_read)
            + rates.cache_write.times(usage.cache_write)
            + rates.cache_write_1h.times(usage.cache_write_1h)
            + rates.output.times(usage.output)
    }

    /// The most that a request of at most these tokens can cost: no cache hit, the dearer of plain
    /// input and five-minute cache writes (some providers write unasked; hour-long writes are only
    /// made where they are asked for, which we never do), and the long rate where the input may
    /// reach it.
    pub fn most(&self, input_tokens: u64, output_tokens: u64) -> Usd {
        let most_at = |rates: &Price| {
            rates.input.max(rates.cache_write).times(input_tokens) + rates.output.times(output_tokens)
        };
        match &self.long {
            Some(long) if input_tokens > long.above_input_tokens => most_at(self).max(most_at(&long.price)),
            _ => most_at(self),
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
    /// What this usage costs; nothing where the price is unknown (and then no budget is set).
    pub fn of(&self, usage: &Usage) -> Usd {
        match self {
            Pricing::Known(price) => price.of(usage),
            Pricing::Free | Pricing::Unknown => Usd::ZERO,
        }
    }
}

/// The price table that this program was built with.
pub fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let written: written::Table = serde_json::from_str(include_str!("table.json"))
            .expect("the price table is tested to be readable");
        Table::from(written)
    })
}

/// Models with their prices.
#[derive(Debug)]
pub struct Table {
    /// The day the prices were looked up, `YYYY-MM-DD`.
    pub dated: String,
    /// One row for each model.
    pub rows: Vec<Row>,
}

/// What is known of a model.
#[derive(Debug)]
pub struct Row {
    /// Its id without a date.
    pub model: String,
    /// Other ids of it.
    pub aliases: Vec<String>,
    /// `anthropic` or `openai`.
    pub provider: String,
    /// Its rates.
    pub price: Price,
    /// Tokens that fit its context window, where known.
    pub context: Option<u64>,
    /// The most output tokens it gives, where known.
    pub max_output: Option<u64>,
    /// The day from which the provider serves it no more, `YYYY-MM-DD`, where announced.
    pub retires: Option<String>,
    /// What to use instead.
    pub successor: Option<String>,
}

impl Table {
    /// The row of a model, found by its id with or without a date: `claude-sonnet-4-5-20250929`,
    /// `gpt-4o-2024-08-06` and `-latest` are the models without it.
    pub fn find(&self, model: &str) -> Option<&Row> {
        self.exact(model).or_else(|| self.exact(undated(model)?))
    }

    fn exact(&self, model: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.model == model || row.aliases.iter().any(|alias| alias == model))
    }
}

/// A model's id without its date, `None` where it has none.
fn undated(model: &str) -> Option<&str> {
    if let Some(base) = model.strip_suffix("-latest") {
        return Some(base);
    }
    for (length, pattern) in [(9, "-dddddddd"), (11, "-dddd-dd-dd")] {
        let Some(cut) = model.len().checked_sub(length).filter(|&cut| model.is_char_boundary(cut)) else {
            continue;
        };
        let matches = model[cut..].bytes().zip(pattern.bytes()).all(|(byte, form)| match form {
            b'd' => byte.is_ascii_digit(),
            _ => byte == form,
        });
        if matches {
            return Some(&model[..cut]);
        }
    }
    None
}

/// The table as `table.json` has it: decimal texts in dollars per million tokens.
mod written {
    use serde::Deserialize;

    use super::{Long, Price, Usd};

    #[derive(Deserialize)]
    pub(super) struct Table {
        pub(super) dated: String,
        pub(super) rows: Vec<Row>,
    }

    #[derive(Deserialize)]
    pub(super) struct Row {
        pub(super) model: String,
        #[serde(default)]
        pub(super) aliases: Vec<String>,
        pub(super) provider: String,
        #[serde(flatten)]
        pub(super) rates: Rates,
        pub(super) long: Option<LongRates>,
        pub(super) context: Option<u64>,
        pub(super) max_output: Option<u64>,
        pub(super) retires: Option<String>,
        pub(super) successor: Option<String>,
    }

    #[derive(Deserialize)]
    pub(super) struct Rates {
        input: PerMillion,
        output: PerMillion,
        cache_read: PerMillion,
        cache_write: PerMillion,
        cache_write_1h: Option<PerMillion>,
    }

    #[derive(Deserialize)]
    pub(super) struct LongRates {
        above_input_tokens: u64,
        #[serde(flatten)]
        rates: Rates,
    }

    /// A decimal text, kept as what one token costs.
    #[derive(Clone, Copy, Deserialize)]
    #[serde(try_from = "String")]
    struct PerMillion(Usd);

    impl TryFrom<String> for PerMillion {
        type Error = String;
        fn try_from(text: String) -> Result<Self, String> {
            let million: Usd = text.parse().map_err(|error| format!("{text:?}: {error}"))?;
            match million.pico() % 1_000_000 {
                0 => Ok(PerMillion(million.shared_by(1_000_000))),
                _ => Err(format!("{text:?}: a token would cost a fraction of a picodollar")),
            }
        }
    }

    impl Rates {
        fn price(&self, long: Option<Box<Long>>) -> Price {
            Price {
                input: self.input.0,
                output: self.output.0,
                cache_read: self.cache_read.0,
                cache_write: self.cache_write.0,
                cache_write_1h: self.cache_write_1h.unwrap_or(self.cache_write).0,
                long,
            }
        }
    }

    impl From<Table> for super::Table {
        fn from(table: Table) -> Self {
            super::Table { dated: table.dated, rows: table.rows.into_iter().map(super::Row::from).collect() }
        }
    }

    impl From<Row> for super::Row {
        fn from(row: Row) -> Self {
            let long = row.long.map(|long| {
                Box::new(Long { above_input_tokens: long.above_input_tokens, price: long.rates.price(None) })
            });
            super::Row {
                price: row.rates.price(long),
                model: row.model,
                aliases: row.aliases,
                provider: row.provider,
                context: row.context,
                max_output: row.max_output,
                retires: row.retires,
                successor: row.successor,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    #[test]
    fn models_are_found_with_and_without_their_date() {
        let check = |model: &str, found: Option<&str>| {
            assert_eq!(table().find(model).map(|row| row.model.as_str()), found, "{model}");
        };
        check("claude-sonnet-4-5", Some("claude-sonnet-4-5"));
        check("claude-sonnet-4-5-20250929", Some("claude-sonnet-4-5"));
        check("claude-opus-4-20250514", Some("claude-opus-4-0"));
        check("gpt-4o-2024-08-06", Some("gpt-4o"));
        check("claude-sonnet-5-5-latest", Some("claude-sonnet-5-5"));
        check("claude-sonnet-4-5-2025092x", None);
        check("gpt-é2345678", None);
        check("", None);
    }

    #[test]
    fn the_founding_document_s_model_costs_what_it_says() {
        // SPEC.md C1: $0.003 and $0.015 per 1K tokens.
        let price = &table().find("claude-sonnet-4-5-20250929").unwrap().price;
        assert_eq!(price.input.times(1000), usd("0.003"));
        assert_eq!(price.output.times(1000), usd("0.015"));
    }

    #[test]
    fn every_row_is_plausible() {
        for row in &table().rows {
            for price in
                [Some(&row.price), row.price.long.as_ref().map(|long| &long.price)].into_iter().flatten()
            {
                assert!(price.input > Usd::ZERO && price.output >= price.input, "{}", row.model);
                assert!(price.cache_read <= price.input && price.cache_write >= price.input, "{}", row.model);
                assert!(price.output <= price.input.times(20), "{}", row.model);
            }
            assert_eq!(row.retires.is_some(), row.successor.is_some(), "{}", row.model);
            if let Some(successor) = &row.successor {
                let next = table().find(successor).unwrap_or_else(|| panic!("{successor} has no row"));
                assert_eq!(next.retires, None, "{} leads to a model that retires", row.model);
            }
        }
    }

    #[test]
    fn disjoint_counts_cost_their_own_rates() {
        let price = &table().find("claude-sonnet-5-5").unwrap().price;
        let usage =
            Usage { input: 1000, cache_read: 1000, cache_write: 1000, cache_write_1h: 1000, output: 1000 };
        assert_eq!(price.of(&usage), usd("0.0186")); // 2 + 0.1 + 2.5 + 4 + 10 dollars a million
    }

    #[test]
    fn the_long_rate_takes_the_whole_request() {
        let price = &table().find("claude-sonnet-4-5").unwrap().price;
        let at = |input| price.of(&Usage { input, ..Usage::default() });
        assert_eq!(at(200_000), usd("0.60"));
        assert_eq!(at(200_001), usd("1.200006"));
    }

    #[test]
    fn nothing_costs_more_than_the_most() {
        for row in &table().rows {
            for (input, output) in [(1, 1), (50_000, 4_000), (150_000, 1), (900_000, 100_000)] {
                let most = row.price.most(input, output);
                for usage in [
                    Usage { input, output, ..Usage::default() },
                    Usage { cache_write: input, output, ..Usage::default() },
                    Usage { cache_read: input, output, ..Usage::default() },
                    Usage { input: input / 2, output: output / 2, ..Usage::default() },
                ] {
                    assert!(row.price.of(&usage) <= most, "{} {usage:?}", row.model);
                }
            }
        }
    }
}
