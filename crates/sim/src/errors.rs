//! What the providers say where a status has more than one reason: a row for each, so that
//! `fail=STATUS:WORD` is answered in the provider's own words.
//!
//! Statuses, types and codes are from Anthropic's and OpenAI's documentation of errors, rate limits
//! and billing and from the error classes of their official SDKs; messages are theirs where the
//! documentation shows them or clients tell the reason by them. What a status says by itself is the
//! dialect's (`Dialect::usual_error`).

use sortie_providers::dialect::{Dialect, WireError};

/// One reason of one status.
struct Row {
    status: u16,
    /// How a fault names it; the same word as its code wherever it has one.
    word: &'static str,
    /// `error.type`.
    kind: &'static str,
    /// The code on the wire.
    code: Option<&'static str>,
    /// The parameter that it is about, where the provider names it.
    param: Option<&'static str>,
    message: &'static str,
}

impl Row {
    /// The same about this parameter.
    const fn about(self, param: &'static str) -> Self {
        Row { param: Some(param), ..self }
    }
}

const INVALID: &str = "invalid_request_error";

const ANTHROPIC: [Row; 11] = [
    row(400, "prompt_too_long", INVALID, None, "prompt is too long: 213462 tokens > 200000 maximum"),
    row(
        400,
        "context_limit",
        INVALID,
        None,
        "input length and `max_tokens` exceed context limit: 199000 + 8000 > 200000, decrease input length or `max_tokens` and try again",
    ),
    row(
        400,
        "credit",
        INVALID,
        None,
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.",
    ),
    row(
        400,
        "usage_limit",
        INVALID,
        None,
        "You have reached your specified API usage limits. You will regain access on the first of next month at 00:00 UTC.",
    ),
    row(
        400,
        "workspace_usage_limit",
        INVALID,
        None,
        "You have reached your specified workspace API usage limits. You will regain access on the first of next month at 00:00 UTC.",
    ),
    row(403, "model", "permission_error", None, "Your API key does not have permission to use this model"),
    row(404, "model_not_found", "not_found_error", None, "model: no-such-model"),
    row(
        429,
        "quota",
        "rate_limit_error",
        Some("enforced_spend_limit_reached"),
        "Your organization has reached its monthly spend limit",
    ),
    row(
        429,
        "enforced_spend_limit_reached",
        "rate_limit_error",
        Some("enforced_spend_limit_reached"),
        "Your organization has reached its monthly spend limit",
    ),
    row(
        429,
        "contract_spend_limit_reached",
        "rate_limit_error",
        Some("contract_spend_limit_reached"),
        "Your organization has reached the spend limit of its contract",
    ),
    row(
        429,
        "ramp_limit_exceeded",
        "rate_limit_error",
        Some("ramp_limit_exceeded"),
        "Your organization's usage has grown too fast: scale it up gradually (acceleration limit)",
    ),
];

const OUT_OF_QUOTA: &str = "insufficient_quota";

const CHECK_PLAN: &str = "You exceeded your current quota, please check your plan and billing details.";

const OPENAI: [Row; 18] = [
    row(
        400,
        "context_length_exceeded",
        INVALID,
        Some("context_length_exceeded"),
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 213462 tokens. Please reduce the length of the messages.",
    )
    .about("messages"),
    row(
        400,
        "unsupported_parameter",
        INVALID,
        Some("unsupported_parameter"),
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    )
    .about("max_tokens"),
    row(
        400,
        "content_policy_violation",
        INVALID,
        Some("content_policy_violation"),
        "Your request was rejected as a result of our safety system.",
    ),
    row(
        400,
        "invalid_prompt",
        INVALID,
        Some("invalid_prompt"),
        "Invalid prompt: it was flagged as violating the usage policy.",
    ),
    row(401, "not_member", INVALID, None, "You must be a member of an organization to use the API"),
    row(401, "ip", INVALID, Some("ip_not_authorized"), "Your IP or project is not authorized to use the API"),
    row(
        403,
        "country",
        "request_forbidden",
        Some("unsupported_country_region_territory"),
        "Country, region, or territory not supported",
    ),
    row(403, "model", INVALID, Some("model_not_found"), "The project does not have access to the model"),
    row(
        429,
        "tokens",
        "tokens",
        Some("rate_limit_exceeded"),
        "Rate limit reached for gpt-4o in organization org-simulated on tokens per min (TPM): Limit 50000, Used 47949, Requested 3006. Please try again in 1.146s. Visit https://platform.openai.com/account/rate-limits to learn more.",
    ),
    row(
        429,
        "too_large",
        "tokens",
        Some("rate_limit_exceeded"),
        "Request too large for gpt-4o in organization org-simulated on tokens per min (TPM): Limit 30000, Requested 34307. The input or output tokens must be reduced in order to run successfully. Visit https://platform.openai.com/account/rate-limits to learn more.",
    ),
    row(
        429,
        "slow_down",
        "rate_limit_error",
        Some("slow_down"),
        "Your traffic grew too fast: reduce your request rate, hold it for 15 minutes, then raise it gradually.",
    ),
    row(429, "quota", OUT_OF_QUOTA, Some(OUT_OF_QUOTA), CHECK_PLAN),
    row(429, "insufficient_quota", OUT_OF_QUOTA, Some(OUT_OF_QUOTA), CHECK_PLAN),
    row(
        429,
        "credit_balance_exhausted",
        OUT_OF_QUOTA,
        Some("credit_balance_exhausted"),
        "Your prepaid credit balance is exhausted.",
    ),
    row(
        429,
        "organization_spend_limit_exceeded",
        OUT_OF_QUOTA,
        Some("organization_spend_limit_exceeded"),
        "Your organization has reached its spend limit.",
    ),
    row(
        429,
        "project_spend_limit_exceeded",
        OUT_OF_QUOTA,
        Some("project_spend_limit_exceeded"),
        "Your project has reached its spend limit.",
    ),
    row(
        429,
        "organization_usage_limit_exceeded",
        OUT_OF_QUOTA,
        Some("organization_usage_limit_exceeded"),
        "Your organization has reached its usage limit.",
    ),
    row(
        503,
        "slow_down",
        "service_unavailable_error",
        Some("slow_down"),
        "The server is overloaded: slow down.",
    ),
];

const fn row(
    status: u16,
    word: &'static str,
    kind: &'static str,
    code: Option<&'static str>,
    message: &'static str,
) -> Row {
    Row { status, word, kind, code, param: None, message }
}

fn rows(dialect: &dyn Dialect) -> &'static [Row] {
    if dialect.name() == "anthropic" { &ANTHROPIC } else { &OPENAI }
}

/// The error that a status and a word stand for: the provider's row, else the status's usual error
/// with the word for its code.
pub(crate) fn said(dialect: &dyn Dialect, status: u16, word: &str) -> WireError {
    let usual = dialect.usual_error(status);
    match rows(dialect).iter().find(|row| (row.status, row.word) == (status, word)) {
        Some(row) => WireError {
            kind: row.kind.to_owned(),
            code: row.code.map(str::to_owned),
            param: row.param.map(str::to_owned),
            message: row.message.to_owned(),
            ..usual
        },
        None => WireError { code: Some(word.to_owned()), ..usual },
    }
}

/// How the provider says that the credit is spent.
pub(crate) fn no_credit(dialect: &dyn Dialect) -> WireError {
    let (status, word) = if dialect.name() == "anthropic" { (400, "credit") } else { (429, "quota") };
    said(dialect, status, word)
}

/// Whether a 429 for this reason says how long to wait: those for money and for requests that are
/// too large do not.
pub(crate) fn says_wait(word: Option<&str>) -> bool {
    matches!(word, None | Some("tokens" | "slow_down" | "ramp_limit_exceeded" | "rate_limit_exceeded"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::testing::Plain;

    #[test]
    fn every_row_is_reached_by_its_word_and_only_one_has_it() {
        for rows in [&ANTHROPIC[..], &OPENAI[..]] {
            let words: HashSet<_> = rows.iter().map(|row| (row.status, row.word)).collect();
            assert_eq!(words.len(), rows.len());
        }
        for row in &ANTHROPIC {
            let error = said(&Plain, row.status, row.word);
            assert_eq!((error.status, error.message.as_str()), (row.status, row.message));
        }
    }

    #[test]
    fn a_word_without_a_row_is_the_code_of_the_usual_error() {
        let error = said(&Plain, 503, "cmek_key_unreachable");
        assert_eq!(
            error,
            WireError { code: Some("cmek_key_unreachable".to_owned()), ..Plain.usual_error(503) }
        );
    }
}
