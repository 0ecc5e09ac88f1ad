//! Anthropic's dollars: the CSV of the Console's page *Cost*, and the JSON of
//! `GET /v1/organizations/cost_report`, grouped by description.
//!
//! What is known, and from where (November 2026):
//! - The API: buckets of `starting_at` with `results` of `amount`, "in lowest currency units (e.g. cents)
//!   as a decimal string", `currency` (always `USD`), `cost_type` (`tokens`, `web_search`,
//!   `code_execution`), `token_type` and `model`, which is null "if not grouping by description or for
//!   non-token costs". From `platform.claude.com/docs/en/api/admin/cost_report`.
//! - The CSV: `usage_date_utc, model, workspace, api_key, usage_type, context_window, token_type, cost_usd,
//!   list_price_usd, cost_type, inference_geo, speed` and lately `api_key_id, api_key_status`; models by
//!   the names that people read (`Claude Opus 4.6`). No documentation of Anthropic's says so; several
//!   public programs that read such exports agree on it.
//! - **Unverified:** that the CSV's amounts are rounded to cents in every row. The copies of exports that
//!   are public have two decimals, and many rows of `0.00`. So an amount with at most two decimals may be
//!   off by half a cent here, one with more is taken for exact.

use super::sheet::{Columns, ExportError, Row, has};
use super::{Format, Line, Quantity};

pub(super) struct AnthropicCost;

const DAY: &[&str] = &["usage_date_utc", "starting_at"];
const DOLLARS: &[&str] = &["cost_usd"];
const CENTS: &[&str] = &["amount"];
const CURRENCY: &[&str] = &["currency"];

/// Half a cent, in picodollars.
const HALF_A_CENT: i128 = 5_000_000_000;
/// By how much an exact amount may be off: half a millionth of a dollar, in picodollars. Providers work
/// with binary fractions, and round somewhere.
pub(super) const EXACT: i128 = 500_000;

impl Format for AnthropicCost {
    fn name(&self) -> &'static str {
        "Anthropic cost"
    }

    fn provider(&self) -> &'static str {
        "anthropic"
    }

    fn recognises(&self, columns: &Columns) -> bool {
        has(columns, DAY) && (has(columns, DOLLARS) || has(columns, CENTS) && has(columns, CURRENCY))
    }

    fn read(&self, row: &Row<'_>) -> Result<Line, ExportError> {
        row.check_currency(CURRENCY)?;
        let is_in_cents = row.text(DOLLARS).is_none();
        let amount = if is_in_cents { row.money(CENTS, 10)? } else { row.money(DOLLARS, 12)? };
        let is_rounded = !is_in_cents && row.decimals(DOLLARS) <= 2;
        Ok(Line {
            day: row.day(DAY)?,
            model: row.text(&["model"]).map(str::to_owned),
            amounts: amount.map(|amount| (Quantity::Money, amount)).into_iter().collect(),
            rounding: if is_rounded { HALF_A_CENT } else { EXACT },
        })
    }
}
