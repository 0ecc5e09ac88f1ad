//! OpenAI's dollars: the JSON of `GET /v1/organization/costs`, grouped by line item, and the CSV of the
//! costs page, which has the same names.
//!
//! What is known, and from where (November 2026):
//! - The API: buckets of `start_time` (Unix seconds) with `results` of `amount` (`value` in dollars, a
//!   number, of some programs a string; `currency`, `usd`), `line_item` and `project_id`, both null
//!   unless grouped by. From developers.openai.com/api/reference (usage, costs).
//! - The CSV: `start_time, end_time, start_time_iso, end_time_iso, amount_value, amount_currency,
//!   line_item, project_id, organization_id, organization_name`, days without cost with empty cells: a
//!   public copy of such an export, of October 2025.
//! - **Unverified:** that a line item is a model's id, a comma, and what of it (`gpt-5-mini-2025-08-07,
//!   input`). One public program saw `gpt-image-1 image, output`. What has no comma is taken whole.

use super::anthropic_cost::EXACT;
use super::sheet::{Columns, ExportError, Row, has};
use super::{Format, Line, Quantity};

pub(super) struct OpenAiCost;

const DAY: &[&str] = &["start_time", "start_time_iso"];
const DOLLARS: &[&str] = &["amount_value", "amount.value"];
const CURRENCY: &[&str] = &["amount_currency", "amount.currency"];

impl Format for OpenAiCost {
    fn name(&self) -> &'static str {
        "OpenAI costs"
    }

    fn provider(&self) -> &'static str {
        "openai"
    }

    fn recognises(&self, columns: &Columns) -> bool {
        has(columns, DAY) && has(columns, DOLLARS)
    }

    fn read(&self, row: &Row<'_>) -> Result<Line, ExportError> {
        row.check_currency(CURRENCY)?;
        let item = row.text(&["line_item", "model"]);
        let model = item.map(|item| item.rsplit_once(',').map_or(item, |(model, _)| model));
        let amount = row.money(DOLLARS, 12)?;
        Ok(Line {
            day: row.day(DAY)?,
            model: model.map(str::to_owned),
            amounts: amount.map(|amount| (Quantity::Money, amount)).into_iter().collect(),
            rounding: EXACT,
        })
    }
}
