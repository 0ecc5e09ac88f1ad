//! OpenAI's tokens: the JSON of `GET /v1/organization/usage/completions`, grouped by model, and the CSV
//! of the usage page, which has the same names.
//!
//! What is known, and from where (November 2026):
//! - The API: buckets of `start_time` (Unix seconds) with `results` of `input_tokens`,
//!   `input_cached_tokens`, `output_tokens`, `num_model_requests`, `model`; then `has_more` and
//!   `next_page`. From developers.openai.com/api/reference (usage, completions) and OpenAI's cookbook
//!   (`examples/completions_usage_api.ipynb`).
//! - `input_tokens` is "including cached and cache-write tokens": a client generated from OpenAI's
//!   description of the API says so (openai-client-base 0.16.0). That description has a count of cache
//!   writes; its name, `input_cache_write_tokens`, is that of two public programs and **unverified**.
//! - The CSV: `start_time, end_time, start_time_iso, end_time_iso, project_id, num_model_requests, …,
//!   model, batch, service_tier, input_tokens, output_tokens, input_cached_tokens, …`, counts with a
//!   decimal (`59200.0`), and a row without a model for days without use: a public copy of such an
//!   export, of October 2025.

use super::sheet::{Columns, ExportError, Row, has};
use super::{Format, Line, Quantity};

pub(super) struct OpenAiUsage;

const DAY: &[&str] = &["start_time", "start_time_iso"];
const INPUT: &[&str] = &["input_tokens"];
const OUTPUT: &[&str] = &["output_tokens"];
const CACHE_READ: &[&str] = &["input_cached_tokens"];
const CACHE_WRITE: &[&str] = &["input_cache_write_tokens", "input_cache_creation_tokens"];

impl Format for OpenAiUsage {
    fn name(&self) -> &'static str {
        "OpenAI usage"
    }

    fn provider(&self) -> &'static str {
        "openai"
    }

    fn recognises(&self, columns: &Columns) -> bool {
        has(columns, DAY) && has(columns, INPUT) && has(columns, OUTPUT)
    }

    fn read(&self, row: &Row<'_>) -> Result<Line, ExportError> {
        let (all, read, written) = (row.count(INPUT)?, row.count(CACHE_READ)?, row.count(CACHE_WRITE)?);
        // The parts of the input are within its whole; here they are disjoint.
        let parts = read.unwrap_or(0).saturating_add(written.unwrap_or(0));
        let plain = all.map(|all| all - parts);
        if plain.is_some_and(|plain| plain < 0) {
            return Err(row.bad(INPUT, "at least its cached tokens"));
        }
        let counts = [
            (Quantity::Input, plain),
            (Quantity::CacheRead, read),
            (Quantity::CacheWrite, written),
            (Quantity::Output, row.count(OUTPUT)?),
        ];
        let amounts = counts.into_iter().filter_map(|(quantity, n)| Some((quantity, n?))).collect();
        let model = row.text(&["model"]).map(str::to_owned);
        Ok(Line { day: row.day(DAY)?, model, amounts, rounding: 0 })
    }
}
