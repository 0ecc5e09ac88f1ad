//! The price table for programs: `sortie prices --json`.

use std::collections::BTreeMap;

use serde::Serialize;
use sortie_core::money::Usd;
use sortie_core::price::{Pricing, Rates, Row};

use super::{Prices, Stated};

#[derive(Serialize)]
struct Document {
    dated: String,
    sha256: String,
    sources: Vec<String>,
    unit: &'static str,
    models: Vec<ModelDocument>,
    /// What a configuration states.
    stated: Vec<StatedDocument>,
}

#[derive(Serialize)]
struct ModelDocument {
    model: String,
    aliases: Vec<String>,
    provider: String,
    context: Option<u64>,
    max_output: Option<u64>,
    retires: Option<String>,
    retired: bool,
    successor: Option<String>,
    web_search: f64,
    region_factor: f64,
    rates: BTreeMap<&'static str, RatesDocument>,
}

#[derive(Serialize)]
struct StatedDocument {
    agent: String,
    model: String,
    provider: String,
    free: bool,
    rates: Option<RatesDocument>,
}

impl StatedDocument {
    fn of(stated: &Stated<'_>) -> Self {
        StatedDocument {
            agent: stated.agent.to_owned(),
            model: stated.model.to_owned(),
            provider: stated.provider.to_owned(),
            free: *stated.pricing == Pricing::Free,
            rates: match stated.pricing {
                Pricing::Known(price) => Some(RatesDocument::of(&price.standard)),
                Pricing::Free | Pricing::Unknown => None,
            },
        }
    }
}

#[derive(Serialize)]
struct RatesDocument {
    input: f64,
    output: f64,
    cache_read: f64,
    cache_write: f64,
    cache_write_1h: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    above_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    long: Option<Box<RatesDocument>>,
}

impl RatesDocument {
    fn of(rates: &Rates) -> Self {
        let dollars = |token: Usd| token.times(1_000_000).as_f64();
        let long = rates.long.as_ref();
        RatesDocument {
            input: dollars(rates.input),
            output: dollars(rates.output),
            cache_read: dollars(rates.cache_read),
            cache_write: dollars(rates.cache_write),
            cache_write_1h: dollars(rates.cache_write_1h),
            above_input_tokens: long.map(|long| long.above_input_tokens),
            long: long.map(|long| Box::new(RatesDocument::of(&long.rates))),
        }
    }
}

impl Prices<'_> {
    /// All that is listed, for programs.
    pub fn document(&self) -> impl Serialize + use<> {
        Document {
            dated: self.table.dated.clone(),
            sha256: self.table.hash.to_string(),
            sources: self.table.sources.clone(),
            unit: "USD per million tokens; web_search: USD for one",
            models: self.rows.iter().map(|row| self.model(row)).collect(),
            stated: self.stated.iter().map(StatedDocument::of).collect(),
        }
    }

    fn model(&self, row: &Row) -> ModelDocument {
        ModelDocument {
            model: row.model.clone(),
            aliases: row.aliases.clone(),
            provider: row.provider.clone(),
            context: row.context,
            max_output: row.max_output,
            retires: row.retires.clone(),
            retired: row.retires.as_deref().is_some_and(|date| date <= self.today),
            successor: row.successor.clone(),
            web_search: row.price.web_search.as_f64(),
            region_factor: f64::from(row.price.region_percent) / 100.0,
            rates: row
                .price
                .each_tier()
                .map(|(tier, rates)| (tier.name(), RatesDocument::of(rates)))
                .collect(),
        }
    }
}
