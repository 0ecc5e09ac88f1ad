//! What a provider's error means: from its body, status and headers to a [`Failure`].
//!
//! One table for all dialects: the words of the providers never contradict each other, and gateways
//! answer in one dialect with the other's words. It is asked by code, then by type, then by status;
//! by message only where the documentation gives nothing else ([`MONEY_MESSAGES`], [`TOO_LARGE`]).
//! Words and meanings are from Anthropic's and OpenAI's documentation of errors and rate limits, the
//! error classes of their official SDKs, and the sources and documentation of vLLM, llama.cpp,
//! OpenRouter, `DeepSeek` and LiteLLM.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::Value;
use sortie_core::failure::{Class, Failure};

use super::retry_after::retry_after;

/// The longest message that is handed on, in characters.
const LONGEST_MESSAGE: usize = 500;

/// Anthropic's 400s for a spend limit that the user set (for the organisation, for the workspace)
/// and for spent credit: plain `invalid_request_error`s, told apart by their text alone.
const MONEY_MESSAGES: [&str; 3] =
    ["specified API usage limits", "specified workspace API usage limits", "credit balance is too low"];

/// How OpenAI's 429 for a request that is larger than its bucket begins; its code is the same as
/// that of a 429 that waiting helps.
const TOO_LARGE: &str = "Request too large";

/// The codes of throttling because the account's use grew too fast: Anthropic's and OpenAI's.
const RAMPS: [&str; 2] = ["ramp_limit_exceeded", "slow_down"];

/// What an error body says, whoever's it is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// `error.type`.
    kind: String,
    /// `error.details.error_code` (Anthropic) or `error.code` (OpenAI).
    code: String,
    /// `error.code` where it is an HTTP status (vLLM, OpenRouter, llama.cpp).
    status: Option<u16>,
    /// `error.message`, as it came.
    message: String,
}

impl Said {
    /// The error in this JSON, if it is one: `{"error": {…}}`, `{"error": "…"}`, or the flat
    /// `{"object": "error", …}` of older vLLM.
    pub(super) fn of(body: &Value) -> Option<Said> {
        let error = match body.get("error") {
            Some(Value::String(message)) if !message.is_empty() => {
                return Some(Said { message: message.clone(), ..Said::default() });
            }
            Some(error @ Value::Object(_)) => error,
            _ if body["object"] == "error" => body,
            _ => return None,
        };
        Some(Said::within(error))
    }

    /// What an error object says.
    pub(super) fn within(error: &Value) -> Said {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let status = error["code"].as_u64().and_then(|code| u16::try_from(code).ok());
        Said {
            kind: text(&error["type"]),
            code: error["details"]["error_code"].as_str().map_or_else(|| text(&error["code"]), str::to_owned),
            status,
            message: text(&error["message"]),
        }
    }

    /// The failure that it means, where it came with this HTTP status (200 in mid-stream).
    pub(super) fn failure(&self, http_status: u16) -> Failure {
        // In a 200 the body's own number says what the status would have been.
        let status = if http_status < 300 { self.status.unwrap_or(http_status) } else { http_status };
        let class = self
            .class_by_code(status)
            .or_else(|| self.class_by_type(status))
            .or_else(|| class_by_status(status))
            .unwrap_or(Class::Malformed);
        let mut failure = Failure::new(class, self.shown(http_status)).with_status(http_status);
        failure.hopeless = class == Class::Throttled && self.message.trim_start().starts_with(TOO_LARGE);
        failure.ramps = class == Class::Throttled && RAMPS.contains(&self.code.as_str());
        failure
    }

    fn class_by_code(&self, status: u16) -> Option<Class> {
        Some(match self.code.as_str() {
            // Anthropic: the tier's and the contract's monthly cap, and a linked organisation's.
            "enforced_spend_limit_reached"
            | "contract_spend_limit_reached"
            | "linked_organization_billing_unavailable"
            | "linked_organization_spend_limit_reached"
            // OpenAI, which says that retrying these never helps.
            | "insufficient_quota"
            | "credit_balance_exhausted"
            | "organization_spend_limit_exceeded"
            | "project_spend_limit_exceeded"
            | "organization_usage_limit_exceeded"
            | "billing_hard_limit_reached"
            | "billing_not_active" => Class::QuotaGone,
            "invalid_api_key" | "organization_on_hold" => Class::Auth,
            "rate_limit_exceeded" | "ramp_limit_exceeded" => Class::Throttled,
            // Formerly a 503, now a 429: the status says which of the two it is.
            "slow_down" if status == 429 => Class::Throttled,
            "slow_down" | "server_is_overloaded" => Class::Overloaded,
            // OpenAI, of a response that fails after its 200.
            "server_error" | "vector_store_timeout" => Class::Transient,
            "content_policy_violation" | "content_filter" | "bio_policy" | "misalignment_policy_violation" => {
                Class::Refused
            }
            "context_length_exceeded"
            | "unsupported_parameter"
            | "unsupported_value"
            | "model_not_found"
            | "invalid_prompt"
            | "data_residency_mismatch"
            | "request_body_too_large_after_decoding" => Class::Invalid,
            _ => return None,
        })
    }

    fn class_by_type(&self, status: u16) -> Option<Class> {
        Some(match self.kind.as_str() {
            "insufficient_quota" | "billing_error" | "budget_exceeded" => Class::QuotaGone,
            "authentication_error" | "permission_error" => Class::Auth,
            "rate_limit_error" | "requests" | "tokens" => Class::Throttled,
            "overloaded_error" => Class::Overloaded,
            "api_error" | "server_error" if status == 529 => Class::Overloaded,
            "timeout_error" | "api_error" | "conflict_error" | "server_error" => Class::Transient,
            "not_found_error" | "request_too_large" | "exceed_context_size_error" => Class::Invalid,
            "invalid_request_error" if self.is_about_money() => Class::QuotaGone,
            // Some say this of everything, OpenAI of a wrong key: the status knows more.
            "invalid_request_error" => class_by_status(status).unwrap_or(Class::Invalid),
            _ => return None,
        })
    }

    fn is_about_money(&self) -> bool {
        MONEY_MESSAGES.iter().any(|words| self.message.contains(words))
    }

    /// What to show: the provider's words, else its code, else what the status is called.
    fn shown(&self, http_status: u16) -> String {
        [&self.message, &self.code, &self.kind]
            .into_iter()
            .map(|text| one_line(text))
            .find(|text| !text.is_empty())
            .unwrap_or_else(|| status_name(http_status))
    }
}

/// The failure of a reply with an error status, whatever its body: JSON, HTML of a proxy in between,
/// nothing, or a part of it. `now` is Unix time.
pub(super) fn failure(status: u16, headers: &HeaderMap, body: &[u8], now: Duration) -> Failure {
    let said = serde_json::from_slice(body).ok().as_ref().and_then(Said::of);
    let mut failure = said.map_or_else(
        || {
            let message = match body.trim_ascii_start() {
                [] => status_name(status),
                [b'<', ..] => format!("{} (an HTML page, not an error of the API)", status_name(status)),
                text => one_line(&String::from_utf8_lossy(&text[..text.len().min(8 * LONGEST_MESSAGE)])),
            };
            Failure::new(class_by_status(status).unwrap_or(Class::Malformed), message).with_status(status)
        },
        |said| said.failure(status),
    );
    failure.retry_after = retry_after(headers, now, failure.class == Class::Throttled);
    failure.hopeless |= headers.get("x-should-retry").is_some_and(|value| value == "false");
    failure
}

/// What a status means where nothing else is said; nothing for a success.
///
/// A 403 stops the account like a 401: what the key may not do now it may do for no other task, and
/// tasks left pending can be resumed once it may, whereas failed ones could not.
fn class_by_status(status: u16) -> Option<Class> {
    Some(match status {
        ..300 => return None,
        300..400 => Class::Redirected,
        401 | 403 => Class::Auth,
        402 => Class::QuotaGone,
        408 | 409 | 425 => Class::Transient,
        429 => Class::Throttled,
        400..500 => Class::Invalid,
        529 => Class::Overloaded,
        500.. => Class::Transient,
    })
}

/// `bad gateway`, or `HTTP 529` where the status has no registered name.
fn status_name(status: u16) -> String {
    StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .map_or_else(|| format!("HTTP {status}"), str::to_lowercase)
}

/// Text from outside as one line of at most 500 characters: white space joined, control, direction
/// and invisible characters gone, and whatever looks like a key masked (OpenAI repeats a wrong key).
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::new();
    // Bounded before the work: a message may be as long as a body.
    let head: String = text.chars().take(4 * LONGEST_MESSAGE).filter(|c| is_shown(*c)).collect();
    for word in head.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        match key_start(word) {
            Some(start) => {
                line.push_str(&word[..start]);
                line.push_str("sk-…");
            }
            None => line.push_str(word),
        }
    }
    if let Some((cut, _)) = line.char_indices().nth(LONGEST_MESSAGE - 1)
        && line[cut..].chars().nth(1).is_some()
    {
        line.truncate(cut);
        line.push('…');
    }
    line
}

/// Whether a character may reach a terminal or a log: no control characters except white space, no
/// bidirectional controls, nothing of zero width, no tags.
fn is_shown(c: char) -> bool {
    let invisible = matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}'
        | '\u{FEFF}' | '\u{E0000}'..='\u{E007F}');
    c.is_whitespace() || !(c.is_control() || invisible)
}

/// Where something like `sk-abc123…` begins in a word.
fn key_start(word: &str) -> Option<usize> {
    word.match_indices("sk-")
        .find(|(at, _)| {
            let inside_word = word[..*at].ends_with(|c: char| c.is_alphanumeric());
            !inside_word && word.len() - at >= "sk-".len() + 8
        })
        .map(|(at, _)| at)
}

#[cfg(test)]
#[path = "failing_tests.rs"]
mod tests;
