//! A page of an API on which no bucket has a result: nothing was used on its days. Without results it
//! does not say whether it counts tokens or money; of either it says that there were none, and so it is
//! held against tokens.
//!
//! Anthropic's buckets begin at `starting_at`, OpenAI's at `start_time` (see the formats beside this one).

use super::sheet::{Columns, ExportError, Row};
use super::{Format, Line, Quantity};

pub(super) struct Quiet {
    pub(super) name: &'static str,
    pub(super) provider: &'static str,
    /// What a bucket has beside its results, its beginning first.
    pub(super) columns: &'static [&'static str],
}

pub(super) const ANTHROPIC: Quiet = Quiet {
    name: "Anthropic page without results",
    provider: "anthropic",
    columns: &["starting_at", "ending_at"],
};

pub(super) const OPENAI: Quiet = Quiet {
    name: "OpenAI page without results",
    provider: "openai",
    columns: &["start_time", "end_time", "start_time_iso", "end_time_iso", "object"],
};

impl Format for Quiet {
    fn name(&self) -> &'static str {
        self.name
    }

    fn provider(&self) -> &'static str {
        self.provider
    }

    fn recognises(&self, columns: &Columns) -> bool {
        self.columns.first().is_some_and(|day| columns.contains_key(*day))
            && columns.keys().all(|column| self.columns.contains(&column.as_str()))
    }

    fn read(&self, row: &Row<'_>) -> Result<Line, ExportError> {
        let amounts = vec![(Quantity::Input, 0), (Quantity::Output, 0)];
        Ok(Line { day: row.day(&self.columns[..1])?, amounts, ..Line::default() })
    }
}
