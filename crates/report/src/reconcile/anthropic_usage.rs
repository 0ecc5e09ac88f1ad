//! Anthropic's tokens: the CSV of the Console's page *Usage*, and the JSON of
//! `GET /v1/organizations/usage_report/messages`, grouped by model.
//!
//! What is known, and from where (November 2026):
//! - The API: buckets of `starting_at` (RFC 3339, UTC) with `results` of `uncached_input_tokens`,
//!   `cache_read_input_tokens`, `output_tokens`, `cache_creation` (`ephemeral_5m_input_tokens`,
//!   `ephemeral_1h_input_tokens`), `server_tool_use.web_search_requests`, `model`; then `has_more` and
//!   `next_page`. From `platform.claude.com/docs/en/api/admin/usage_report/retrieve_messages`. A
//!   derived schema (api-evangelist/anthropic) has `cache_creation_5m_input_tokens` in place of the nested ones:
//!   both are read.
//! - The CSV: `usage_date_utc, model_version, api_key, workspace, usage_type, context_window,
//!   usage_input_tokens_no_cache, usage_input_tokens_cache_write_5m, usage_input_tokens_cache_write_1h,
//!   usage_input_tokens_cache_read, usage_output_tokens, web_search_count, inference_geo, speed`. No
//!   documentation of Anthropic's says so; several public programs that read such exports agree on it.
//!   An older one has `usage_input_tokens_cache_write` (one such program), and one reads the headings
//!   `Usage Date (UTC)`, `Model`, `Input Tokens` …: both are **unverified** and read all the same.
//! - Counts are disjoint, as in the API's replies.

use super::sheet::{Columns, ExportError, Row, has};
use super::{Format, Line, Quantity};

pub(super) struct AnthropicUsage;

const DAY: &[&str] = &["usage_date_utc", "starting_at"];
const MODEL: &[&str] = &["model_version", "model"];
const INPUT: &[&str] = &["usage_input_tokens_no_cache", "uncached_input_tokens", "input_tokens"];
const OUTPUT: &[&str] = &["usage_output_tokens", "output_tokens"];

/// What is counted, in its spellings.
const COUNTS: &[(Quantity, &[&str])] = &[
    (Quantity::Input, INPUT),
    (
        Quantity::CacheWrite,
        &[
            "usage_input_tokens_cache_write_5m",
            "cache_creation.ephemeral_5m_input_tokens",
            "cache_creation_5m_input_tokens",
            "usage_input_tokens_cache_write",
            "cache_creation_input_tokens",
        ],
    ),
    (
        Quantity::CacheWrite1h,
        &[
            "usage_input_tokens_cache_write_1h",
            "cache_creation.ephemeral_1h_input_tokens",
            "cache_creation_1h_input_tokens",
        ],
    ),
    (Quantity::CacheRead, &["usage_input_tokens_cache_read", "cache_read_input_tokens"]),
    (Quantity::Output, OUTPUT),
    (Quantity::WebSearches, &["web_search_count", "server_tool_use.web_search_requests"]),
];

impl Format for AnthropicUsage {
    fn name(&self) -> &'static str {
        "Anthropic usage"
    }

    fn provider(&self) -> &'static str {
        "anthropic"
    }

    fn recognises(&self, columns: &Columns) -> bool {
        has(columns, DAY) && has(columns, INPUT) && has(columns, OUTPUT)
    }

    fn read(&self, row: &Row<'_>) -> Result<Line, ExportError> {
        let mut line =
            Line { day: row.day(DAY)?, model: row.text(MODEL).map(str::to_owned), ..Line::default() };
        for (quantity, spellings) in COUNTS {
            line.amounts.extend(row.count(spellings)?.map(|n| (*quantity, n)));
        }
        Ok(line)
    }
}
