//! How each provider says that a request is over its quota.

use std::time::Duration;

use sortie_providers::dialect::{Dialect, Dimension, Quota, WireError};

use super::Model;
use super::asked::Asked;
use super::refusal::Refusal;
use crate::quota::{Admission, Ask, Bucket};

const MINUTE: Duration = Duration::from_secs(60);

/// What OpenAI's messages end with.
const MORE: &str = "Visit https://platform.openai.com/account/rate-limits to learn more.";

/// The error for a request that was not admitted, and how long to wait where a wait helps.
pub(super) fn refusal(
    admission: Admission,
    ask: Ask,
    quotas: &[Quota],
    asked: &Asked,
) -> Option<(WireError, Option<Duration>)> {
    let (dimension, wait) = match admission {
        Admission::Granted => return None,
        Admission::Wait(wait, dimension) => (dimension, Some(wait)),
        Admission::TooLarge(dimension) => (dimension, None),
    };
    let over = Over {
        dimension,
        quota: quotas.iter().find(|quota| quota.dimension == dimension),
        requested: ask.at_once(dimension),
        wait,
    };
    let usual = asked.dialect.usual_error(429);
    let error = if asked.dialect.name() == "anthropic" {
        WireError { message: over.in_anthropics_words(), ..usual }
    } else {
        let kind = if dimension == Dimension::Requests { "requests" } else { "tokens" };
        WireError { kind: kind.to_owned(), message: over.in_openais_words(&asked.request.model), ..usual }
    };
    Some((error, wait))
}

impl Model {
    /// Takes a request to the endpoints of batches from their own quota.
    pub(super) fn admit_batches(
        &mut self,
        key: &str,
        dialect: &dyn Dialect,
        now: Duration,
    ) -> Result<(), Box<Refusal>> {
        let Some(quota) = self.scenario.batches.requests_per_minute else { return Ok(()) };
        let full = || Bucket::full(quota, MINUTE, quota.div_ceil(60), now);
        let bucket = self.batch_requests.entry(key.to_owned()).or_insert_with(full);
        bucket.refill(now);
        match bucket.fits_in(1).filter(|wait| !wait.is_zero()) {
            None => {
                bucket.take(1);
                Ok(())
            }
            Some(wait) => {
                let quota = grouped(quota);
                let message = format!(
                    "This request would exceed your organization's rate limit of {quota} requests per minute \
                     to the batch endpoints"
                );
                let told = self.scenario.retry_after.header(wait, self.told_time(now));
                Err(Refusal::says(dialect, 429, message).with_header(told))
            }
        }
    }
}

struct Over<'a> {
    dimension: Dimension,
    /// The quota as it is told; a day's is not.
    quota: Option<&'a Quota>,
    requested: u64,
    wait: Option<Duration>,
}

impl Over<'_> {
    /// As clients have shown it: "This request would exceed your organization's rate limit of 30,000
    /// input tokens per minute".
    fn in_anthropics_words(&self) -> String {
        let counted = match self.dimension {
            Dimension::Requests => "requests",
            Dimension::InputTokens => "input tokens",
            Dimension::OutputTokens => "output tokens",
            Dimension::Tokens => "tokens",
        };
        match self.quota {
            Some(quota) => format!(
                "This request would exceed your organization's rate limit of {} {counted} per minute",
                grouped(quota.limit)
            ),
            None => format!("This request would exceed your organization's rate limit of {counted} per day"),
        }
    }

    /// As OpenAI's guide to rate limits and its users show it: "Rate limit reached for gpt-4o in
    /// organization … on tokens per min (TPM): Limit 30000, Used 29000, Requested 3006. Please try
    /// again in 4.012s. Visit …"
    fn in_openais_words(&self, model: &str) -> String {
        let (counted, short) = match (self.dimension, self.quota) {
            (Dimension::Requests, Some(_)) => ("requests per min", "RPM"),
            (Dimension::Requests, None) => ("requests per day", "RPD"),
            _ => ("tokens per min", "TPM"),
        };
        let of = format!("for {model} in organization org-simulated on {counted} ({short})");
        let requested = self.requested;
        let limits = self.quota.map_or_else(String::new, |quota| {
            let used = quota.limit.saturating_sub(quota.remaining);
            match self.wait {
                Some(_) => format!(": Limit {}, Used {used}, Requested {requested}", quota.limit),
                None => format!(": Limit {}, Requested {requested}", quota.limit),
            }
        });
        match self.wait {
            Some(wait) => {
                let seconds = wait.as_micros().div_ceil(1000) as f64 / 1000.0;
                format!("Rate limit reached {of}{limits}. Please try again in {seconds}s. {MORE}")
            }
            None => format!(
                "Request too large {of}{limits}. The input or output tokens must be reduced in order to run successfully. {MORE}"
            ),
        }
    }
}

/// A number with a comma between its thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
