//! What sortie believes it spent, held against what a provider's export says: tokens of each kind and
//! dollars, by day (UTC) and model.
//!
//! An export is bytes from outside and believed in nothing but its numbers: its size is bounded, every
//! cell is parsed, and what it does not say is not guessed. Which formats there are is in `ALL`.
//!
//! Adding a format: a file beside this one with a type that implements `Format`, a line in `ALL`,
//! and an export of its shape in `fixtures/`.
//!
//! Common pitfall: providers book a call on the day on which they served it, a journal on the day of
//! the record that charged it. A call that crosses midnight may be on two days.

mod anthropic_cost;
mod anthropic_usage;
mod believed;
mod decimal;
mod openai_cost;
mod openai_usage;
mod quiet;
mod sheet;
mod show;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::costs::model_of;
pub use believed::{Believed, Compared, Comparison};
use sheet::{Columns, Row, Sheet};
pub use sheet::{ExportError, MAX_BYTES};
pub use show::Document;

/// A kind of export. How its columns are called is in its file, with where that is known from.
trait Format: Sync {
    /// What people call it: `Anthropic usage`.
    fn name(&self) -> &'static str;

    /// Whose export it is, as the price table calls the provider.
    fn provider(&self) -> &'static str;

    /// Whether an export with these columns is of this kind.
    fn recognises(&self, columns: &Columns) -> bool;

    /// What a row says.
    fn read(&self, row: &Row<'_>) -> Result<Line, ExportError>;
}

/// All formats.
const ALL: &[&dyn Format] = &[
    &anthropic_usage::AnthropicUsage,
    &anthropic_cost::AnthropicCost,
    &openai_usage::OpenAiUsage,
    &openai_cost::OpenAiCost,
    &quiet::ANTHROPIC,
    &quiet::OPENAI,
];

/// What a row says.
#[derive(Debug, Default)]
struct Line {
    /// The day, `YYYY-MM-DD`.
    day: String,
    /// The model as the provider calls it; none where the row is not about one.
    model: Option<String>,
    /// What it counts.
    amounts: Vec<(Quantity, i128)>,
    /// By how much an amount of money may be off, because it was rounded: picodollars.
    rounding: i128,
}

/// What is compared. Money is in picodollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    /// Plain input tokens: neither read from nor written to a cache.
    Input,
    /// Input tokens written to a cache that lives minutes.
    CacheWrite,
    /// Input tokens written to a cache that lives hours.
    CacheWrite1h,
    /// Input tokens read from a cache.
    CacheRead,
    /// Output tokens.
    Output,
    /// Web searches.
    WebSearches,
    /// Money.
    Money,
}

impl Quantity {
    /// The name for programs; for people with spaces.
    pub const fn name(self) -> &'static str {
        match self {
            Quantity::Input => "input_tokens",
            Quantity::CacheWrite => "cache_write_tokens",
            Quantity::CacheWrite1h => "cache_write_1h_tokens",
            Quantity::CacheRead => "cache_read_tokens",
            Quantity::Output => "output_tokens",
            Quantity::WebSearches => "web_searches",
            Quantity::Money => "usd",
        }
    }
}

/// Sums by quantity.
type Amounts = BTreeMap<Quantity, i128>;

/// A day and a model; none for what an export does not tell by model.
type Key = (String, Option<String>);

/// What an export says.
#[derive(Debug)]
pub struct Export {
    /// Its kind: `Anthropic usage`.
    pub format: &'static str,
    /// Whose it is, as the price table calls the provider.
    pub provider: &'static str,
    /// Whether it says of itself that it is only the first of several pages.
    pub is_partial: bool,
    /// Whether any row names a model.
    by_model: bool,
    quantities: BTreeSet<Quantity>,
    days: BTreeSet<String>,
    cells: BTreeMap<Key, Cell>,
}

/// What an export says of a day and a model.
#[derive(Debug, Default)]
struct Cell {
    amounts: Amounts,
    rounding: i128,
}

impl Export {
    /// Reads an export: CSV (or with tabs or semicolons), or JSON: a page of an API, several of them in
    /// an array or one after the other.
    ///
    /// # Errors
    /// What is wrong with it, with the row where it is.
    pub fn read(bytes: &[u8]) -> Result<Self, ExportError> {
        let sheet = Sheet::read(bytes)?;
        let format = ALL.iter().find(|format| format.recognises(&sheet.columns));
        let format = format.ok_or_else(|| sheet.unknown())?;
        let mut export = Export {
            format: format.name(),
            provider: format.provider(),
            is_partial: sheet.is_partial,
            by_model: false,
            quantities: BTreeSet::new(),
            days: BTreeSet::new(),
            cells: BTreeMap::new(),
        };
        for row in sheet.rows() {
            export.add(format.read(&row)?);
        }
        Ok(export)
    }

    fn add(&mut self, line: Line) {
        let model = line.model.as_deref().map(canonical);
        self.by_model |= model.is_some();
        self.days.insert(line.day.clone());
        self.quantities.extend(line.amounts.iter().map(|(quantity, _)| *quantity));
        if line.amounts.is_empty() {
            return;
        }
        let cell = self.cells.entry((line.day, model)).or_default();
        cell.rounding = cell.rounding.saturating_add(line.rounding);
        for (quantity, n) in line.amounts {
            let sum = cell.amounts.entry(quantity).or_default();
            *sum = sum.saturating_add(n);
        }
    }

    /// The first and the last day that it says something of, `YYYY-MM-DD`; none where it is empty.
    pub fn days(&self) -> Option<(&str, &str)> {
        Some((self.days.first()?, self.days.last()?))
    }
}

/// A model as the price table calls it. Exports name models by their ids, with or without a date, or
/// as people read them: `Claude Opus 4.6`.
fn canonical(name: &str) -> String {
    let name = name.trim();
    let known = model_of(name);
    if known != name {
        return known.to_owned();
    }
    let slug: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let known = model_of(&slug);
    let is_known = sortie_core::price::table().find(&slug).is_some();
    if is_known { known.to_owned() } else { name.to_owned() }
}
