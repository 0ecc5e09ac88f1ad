//! What the head of a reply tells of the quotas of its account.
//!
//! Providers' names of the headers, and those who took them over (gateways, Azure, Groq) with less care:
//! limits of zero and remainders of −1 are said where there is no quota. What makes no sense is not
//! heard; the rest counts as it is said. `tokens` of Anthropic is the sum of two quotas that it tells
//! apart as well, and is left out.

use http::HeaderMap;
use sortie_core::limit::{Dimension, Left, Told};

/// Each quota's headers: what is counted, the limit, what is left.
const HEADERS: [(Dimension, &str, &str); 5] = [
    (Dimension::Requests, "anthropic-ratelimit-requests-limit", "anthropic-ratelimit-requests-remaining"),
    (
        Dimension::InputTokens,
        "anthropic-ratelimit-input-tokens-limit",
        "anthropic-ratelimit-input-tokens-remaining",
    ),
    (
        Dimension::OutputTokens,
        "anthropic-ratelimit-output-tokens-limit",
        "anthropic-ratelimit-output-tokens-remaining",
    ),
    (Dimension::Requests, "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests"),
    (Dimension::Tokens, "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens"),
];

/// The largest quota of a minute that is believed.
const LARGEST: f64 = 1e12;

/// What a head with this status and these headers tells.
pub(crate) fn told(status: u16, headers: &HeaderMap) -> Told {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let quota = |&(dimension, limit, remaining): &(Dimension, &str, &str)| {
        let limit = number(limit).filter(|limit| (1.0..=LARGEST).contains(limit))?;
        let remaining = number(remaining).filter(|remaining| *remaining >= 0.0)?.min(limit);
        Some(Left { dimension, limit: limit as u64, remaining: remaining as u64 })
    };
    Told { admitted: (200..300).contains(&status), quotas: HEADERS.iter().filter_map(quota).collect() }
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
