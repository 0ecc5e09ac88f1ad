//! What the head of a reply tells of the quotas of its account.
//!
//! Providers' names of the headers, and those who took them over (gateways, Azure, Groq) with less care:
//! limits of zero and remainders of −1 are said where there is no quota. What makes no sense is not
//! heard; the rest counts as it is said. `tokens` of Anthropic is the sum of two quotas that it tells
//! apart as well, and is left out.
//!
//! Some count by the day under the names of a minute's quotas (Groq its requests). `x-ratelimit-reset-*` says
//! when a quota is full again, which shows how fast it fills: what fills too slowly for a minute's is not heard.

use std::time::Duration;

use http::HeaderMap;
use sortie_core::limit::{Dimension, Left, Told};

use super::retry_after::until_full;

/// Each quota's headers: what is counted, the limit, what is left, and how long it is until it is full.
const HEADERS: [(Dimension, &str, &str, Option<&str>); 5] = [
    (
        Dimension::Requests,
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        None,
    ),
    (
        Dimension::InputTokens,
        "anthropic-ratelimit-input-tokens-limit",
        "anthropic-ratelimit-input-tokens-remaining",
        None,
    ),
    (
        Dimension::OutputTokens,
        "anthropic-ratelimit-output-tokens-limit",
        "anthropic-ratelimit-output-tokens-remaining",
        None,
    ),
    (
        Dimension::Requests,
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        Some("x-ratelimit-reset-requests"),
    ),
    (
        Dimension::Tokens,
        "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-tokens",
        Some("x-ratelimit-reset-tokens"),
    ),
];

/// The largest quota of a minute that is believed.
const LARGEST: f64 = 1e12;

/// How many times as long as a minute's quota one may take to fill and still be taken for one: what is left
/// is rounded, and told at another moment.
const SLOWER: f64 = 3.0;

/// What fills within so many seconds is taken for a minute's quota: some servers round up to whole ones.
const SOON: f64 = 2.0;

/// What a head with this status and these headers tells.
pub(crate) fn told(status: u16, headers: &HeaderMap) -> Told {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let quota = |&(dimension, limit, remaining, reset): &(Dimension, &str, &str, Option<&str>)| {
        let limit = number(limit).filter(|limit| (1.0..=LARGEST).contains(limit))?;
        let remaining = number(remaining).filter(|remaining| *remaining >= 0.0)?.min(limit);
        // A duration in every dialect of these names: no clock is asked.
        let reset = reset.and_then(|name| until_full(headers, name, Duration::ZERO));
        if reset.is_some_and(|reset| is_too_slow(limit, remaining, reset)) {
            return None;
        }
        Some(Left { dimension, limit: limit as u64, remaining: remaining as u64 })
    };
    Told { admitted: (200..300).contains(&status), quotas: HEADERS.iter().filter_map(quota).collect() }
}

/// Whether a quota of which something was used fills too slowly to be one of a minute.
fn is_too_slow(limit: f64, remaining: f64, reset: Duration) -> bool {
    let used = limit - remaining;
    let of_a_minute = used / limit * 60.0;
    used >= 1.0 && reset.as_secs_f64() > SOON.max(SLOWER * of_a_minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quotas(lines: &[(&str, &str)]) -> Vec<(Dimension, u64, u64)> {
        let headers = lines
            .iter()
            .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
            .collect();
        told(200, &headers).quotas.iter().map(|left| (left.dimension, left.limit, left.remaining)).collect()
    }

    #[test]
    fn both_providers_quotas_are_heard() {
        let anthropic = quotas(&[
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "49"),
            ("anthropic-ratelimit-tokens-limit", "38000"),
            ("anthropic-ratelimit-tokens-remaining", "38000"),
            ("anthropic-ratelimit-input-tokens-limit", "30000"),
            ("anthropic-ratelimit-input-tokens-remaining", "29000"),
            ("anthropic-ratelimit-output-tokens-limit", "8000"),
            ("anthropic-ratelimit-output-tokens-remaining", "8000"),
        ]);
        let expected = [
            (Dimension::Requests, 50, 49),
            (Dimension::InputTokens, 30_000, 29_000),
            (Dimension::OutputTokens, 8_000, 8_000),
        ];
        assert_eq!(anthropic, expected);
        let openai = quotas(&[
            ("x-ratelimit-limit-requests", "5000"),
            ("x-ratelimit-remaining-requests", "4999"),
            ("x-ratelimit-limit-tokens", "160000"),
            ("x-ratelimit-remaining-tokens", "159976"),
        ]);
        assert_eq!(openai, [(Dimension::Requests, 5_000, 4_999), (Dimension::Tokens, 160_000, 159_976)]);
    }

    #[test]
    fn what_fills_too_slowly_is_no_quota_of_a_minute() {
        for (limit, remaining, reset, is_heard) in [
            // As OpenAI documents and sends them.
            ("60", "59", "1s", true),
            ("5000", "4999", "12ms", true),
            ("160000", "159976", "9ms", true),
            ("60", "0", "1m0s", true),
            // Its documentation's other line: of 150000 a minute, 16 would be back at once.
            ("150000", "149984", "6m0s", false),
            // Groq: requests by the day, tokens by the minute.
            ("14400", "14370", "2m59.56s", false),
            ("1000", "999", "1m26.4s", false),
            ("14400", "14399", "6s", false),
            ("14400", "0", "24h0m0s", false),
            ("18000", "17997", "10ms", true),
            ("6000", "4000", "20s", true),
            // In whole seconds.
            ("1000", "999", "1", true),
            ("1000", "999", "2", true),
            ("1000", "999", "86", false),
            // Nothing was used, or nothing is said.
            ("14400", "14400", "6s", true),
            ("14400", "14399.5", "6s", true),
            ("14400", "14399", "0", true),
            ("14400", "14399", "0s", true),
            ("14400", "14399", "", true),
            ("14400", "14399", "soon", true),
        ] {
            let heard = quotas(&[
                ("x-ratelimit-limit-requests", limit),
                ("x-ratelimit-remaining-requests", remaining),
                ("x-ratelimit-reset-requests", reset),
            ]);
            assert_eq!(heard.len(), usize::from(is_heard), "{remaining} of {limit}, full in {reset}");
        }
        let anthropic = quotas(&[
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "49"),
            ("anthropic-ratelimit-requests-reset", "2999-01-01T00:00:00Z"),
        ]);
        assert_eq!(anthropic, [(Dimension::Requests, 50, 49)]);
    }

    #[test]
    fn what_makes_no_sense_is_not_heard() {
        for (limit, remaining) in [
            ("0", "0"),
            ("-1", "-1"),
            ("60", "-1"),
            ("", "3"),
            ("60", ""),
            ("sixty", "3"),
            ("NaN", "3"),
            ("inf", "3"),
            ("1e300", "3"),
            ("60", "NaN"),
        ] {
            let lines =
                [("x-ratelimit-limit-requests", limit), ("x-ratelimit-remaining-requests", remaining)];
            assert_eq!(quotas(&lines), [], "{limit} {remaining}");
        }
        let more = [("x-ratelimit-limit-requests", "60"), ("x-ratelimit-remaining-requests", "600")];
        assert_eq!(quotas(&more), [(Dimension::Requests, 60, 60)]);
    }

    #[test]
    fn only_a_success_is_taken_in() {
        let admitted = [200, 201, 299, 304, 429, 500].map(|status| told(status, &HeaderMap::new()).admitted);
        assert_eq!(admitted, [true, true, true, false, false, false]);
    }
}
