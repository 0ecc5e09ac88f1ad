//! The table of first-party prices: `table.json`, made by `tools/prices/make.py` from the tables of
//! LiteLLM and genai-prices (both MIT), dated and hashed.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::{Absurd, Long, Price, Rates};
use crate::hash::Hash;
use crate::money::Usd;
use crate::usage::Tier;

/// The price table that this program was built with.
pub fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        Table::read(include_str!("table.json")).expect("the price table is tested to be readable")
    })
}

/// Models with their prices.
#[derive(Debug)]
pub struct Table {
    /// The day the prices were looked up, `YYYY-MM-DD`.
    pub dated: String,
    /// SHA-256 of the rows in canonical form: JSON without spaces, keys in order.
    pub hash: Hash,
    /// The public tables that it is made from, with their versions.
    pub sources: Vec<String>,
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
    /// What it costs.
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

/// Why a text is no price table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It is no JSON of its form.
    #[error("the price table does not read")]
    Form(#[from] serde_json::Error),
    /// A row is none: a rate is negative, no number, or missing.
    #[error("the price table's row {model:?} does not read")]
    Row {
        /// The row.
        model: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A row's tokens would be free.
    #[error("the price table's row {model:?} is absurd: input costs nothing")]
    Free {
        /// The row.
        model: String,
    },
    /// A row is not to be believed.
    #[error("the price table's row {model:?} is absurd")]
    Absurd {
        /// The row.
        model: String,
        /// The rule that it breaks.
        source: Absurd,
    },
}

impl Table {
    /// Reads a table.
    ///
    /// # Errors
    /// Where it has another form, or a rate that no price list says.
    pub fn read(text: &str) -> Result<Self, TableError> {
        let written: written::Table = serde_json::from_str(text)?;
        let rows = written.rows.into_iter().map(Row::read).collect::<Result<_, _>>()?;
        Ok(Table { dated: written.dated, hash: written.sha256, sources: written.sources, rows })
    }

    /// The name that a run keeps of the table it was priced with: `2026-11-25 (1a2b3c4d)`.
    pub fn name(&self) -> String {
        format!("{} ({})", self.dated, self.short_hash())
    }

    /// The first eight digits of its hash.
    pub fn short_hash(&self) -> String {
        let mut digits = self.hash.to_string();
        digits.truncate(8);
        digits
    }

    /// The row of a model, found by its id with or without a date: `claude-sonnet-4-5-20250929`,
    /// `gpt-4o-2024-08-06` and `-latest` are the models without it.
    pub fn find(&self, model: &str) -> Option<&Row> {
        self.exact(model).or_else(|| self.exact(undated(model)?))
    }

    fn exact(&self, model: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.model == model || row.aliases.iter().any(|alias| alias == model))
    }
}

impl Row {
    fn read(written: serde_json::Value) -> Result<Self, TableError> {
        let model = written["model"].as_str().unwrap_or("without a model").to_owned();
        let row = match serde_json::from_value::<written::Row>(written) {
            Ok(row) => Row::from(row),
            Err(source) => return Err(TableError::Row { model, source }),
        };
        match row.price.plausible() {
            Err(source) => Err(TableError::Absurd { model, source }),
            Ok(()) if row.price.standard.input.is_zero() => Err(TableError::Free { model }),
            Ok(()) => Ok(row),
        }
    }
}

/// A model's id without its date, `None` where it has none.
pub fn undated(model: &str) -> Option<&str> {
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

/// The table as `table.json` has it: decimal texts in dollars, per million tokens where it is of
/// tokens.
mod written {
    use serde::Deserialize;

    use super::{BTreeMap, Hash, Long, Price, Rates, Tier, Usd};

    #[derive(Deserialize)]
    pub(super) struct Table {
        pub(super) dated: String,
        pub(super) sha256: Hash,
        pub(super) sources: Vec<String>,
        pub(super) rows: Vec<serde_json::Value>,
    }

    #[derive(Deserialize)]
    pub(super) struct Row {
        model: String,
        #[serde(default)]
        aliases: Vec<String>,
        provider: String,
        #[serde(flatten)]
        rates: TierRates,
        #[serde(default)]
        tiers: BTreeMap<Tier, TierRates>,
        web_search: Option<Dollars>,
        /// Where a region is named, whichever.
        us: Option<Percent>,
        context: Option<u64>,
        max_output: Option<u64>,
        retires: Option<String>,
        successor: Option<String>,
    }

    #[derive(Deserialize)]
    struct TierRates {
        #[serde(flatten)]
        short: Plain,
        long: Option<LongRates>,
    }

    #[derive(Deserialize)]
    struct Plain {
        input: PerMillion,
        output: PerMillion,
        cache_read: PerMillion,
        cache_write: PerMillion,
        cache_write_1h: Option<PerMillion>,
    }

    #[derive(Deserialize)]
    struct LongRates {
        above_input_tokens: u64,
        #[serde(flatten)]
        rates: Plain,
    }

    /// A decimal text.
    #[derive(Clone, Copy, Deserialize)]
    #[serde(try_from = "String")]
    struct Dollars(Usd);

    impl TryFrom<String> for Dollars {
        type Error = String;
        fn try_from(text: String) -> Result<Self, String> {
            text.parse().map(Dollars).map_err(|error| format!("{text:?}: {error}"))
        }
    }

    /// A decimal text, kept as what one token costs.
    #[derive(Clone, Copy, Deserialize)]
    #[serde(try_from = "String")]
    struct PerMillion(Usd);

    impl TryFrom<String> for PerMillion {
        type Error = String;
        fn try_from(text: String) -> Result<Self, String> {
            let Dollars(million) = text.clone().try_into()?;
            match million.pico() % 1_000_000 {
                0 => Ok(PerMillion(million.shared_by(1_000_000))),
                _ => Err(format!("{text:?}: a token would cost a fraction of a picodollar")),
            }
        }
    }

    /// A factor from 1 in whole percent, as a decimal text: `1.1`.
    #[derive(Clone, Copy, Deserialize)]
    #[serde(try_from = "String")]
    struct Percent(u32);

    impl TryFrom<String> for Percent {
        type Error = String;
        fn try_from(text: String) -> Result<Self, String> {
            let Dollars(factor) = text.clone().try_into()?;
            let percent = factor.times(100);
            let whole = percent.shared_by(1_000_000_000_000).pico();
            match u32::try_from(whole) {
                Ok(whole @ 100..=1000)
                    if Usd::from_pico(1_000_000_000_000).times(whole.into()) == percent =>
                {
                    Ok(Percent(whole))
                }
                _ => Err(format!("{text:?} is no factor from 1 to 10 in whole percent")),
            }
        }
    }

    impl Plain {
        fn rates(&self, long: Option<Box<Long>>) -> Rates {
            Rates {
                input: self.input.0,
                output: self.output.0,
                cache_read: self.cache_read.0,
                cache_write: self.cache_write.0,
                cache_write_1h: self.cache_write_1h.unwrap_or(self.cache_write).0,
                long,
            }
        }
    }

    impl TierRates {
        fn rates(&self) -> Rates {
            let long = self.long.as_ref().map(|long| {
                let above_input_tokens = long.above_input_tokens;
                Box::new(Long { above_input_tokens, rates: long.rates.rates(None) })
            });
            self.short.rates(long)
        }
    }

    impl From<Row> for super::Row {
        fn from(row: Row) -> Self {
            super::Row {
                price: Price {
                    standard: row.rates.rates(),
                    tiers: row.tiers.iter().map(|(tier, rates)| (*tier, rates.rates())).collect(),
                    region_percent: row.us.map_or(100, |percent| percent.0),
                    web_search: row.web_search.map_or(Usd::ZERO, |usd| usd.0),
                    row: Some(row.model.clone()),
                    in_region: false,
                },
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
