//! What replies tell of quotas and of how long to wait: truly, not at all, or wrongly, as servers
//! have been seen to.

use std::time::{Duration, UNIX_EPOCH};

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use sortie_providers::dialect::Quota;

/// How far [`LimitHeaders::Skewed`] and [`RetryAfter::Past`] are off.
const HOUR: Duration = Duration::from_secs(3600);

/// A number that no client should believe: thirty years of seconds.
const HUGE: &str = "1000000000";

/// What the rate-limit headers say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitHeaders {
    /// How it is.
    #[default]
    Told,
    /// They are not there.
    Absent,
    /// What is left, rounded down to thousands: of small quotas, nothing.
    Rounded,
    /// Resets an hour later than they are, by a clock that `date` does not show.
    Skewed,
    /// What is left and when it resets: `-1`.
    Negative,
    /// The same: `0`.
    Zero,
    /// The same: `NaN`.
    Nan,
    /// The same: a thousand million.
    Huge,
}

impl LimitHeaders {
    /// The quotas as they are told.
    pub(crate) fn told(self, quotas: &[Quota]) -> Vec<Quota> {
        let told = |quota: &Quota| match self {
            LimitHeaders::Rounded => Quota { remaining: quota.remaining / 1000 * 1000, ..*quota },
            LimitHeaders::Skewed => Quota { full_in: quota.full_in + HOUR, ..*quota },
            _ => *quota,
        };
        if self == LimitHeaders::Absent { Vec::new() } else { quotas.iter().map(told).collect() }
    }

    /// Replaces what is left and when it resets, where that is told wrongly.
    pub(crate) fn falsify(self, headers: &mut HeaderMap) {
        let wrong = match self {
            LimitHeaders::Negative => "-1",
            LimitHeaders::Zero => "0",
            LimitHeaders::Nan => "NaN",
            LimitHeaders::Huge => HUGE,
            LimitHeaders::Told | LimitHeaders::Absent | LimitHeaders::Rounded | LimitHeaders::Skewed => {
                return;
            }
        };
        for (name, value) in headers.iter_mut() {
            let name = name.as_str();
            if name.contains("ratelimit") && (name.contains("remaining") || name.contains("reset")) {
                *value = HeaderValue::from_static(wrong);
            }
        }
    }
}

/// How a reply of status 429 says how long to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// `retry-after`, whole seconds, rounded up.
    #[default]
    Seconds,
    /// `retry-after`, seconds with decimals.
    Float,
    /// `retry-after`, the date of that time.
    Date,
    /// `retry-after-ms`, and no other.
    Milliseconds,
    /// It does not.
    Absent,
    /// A date an hour ago.
    Past,
    /// `0`.
    Zero,
    /// `-1`.
    Negative,
    /// `NaN`.
    Nan,
    /// A thousand million seconds.
    Huge,
}

impl RetryAfter {
    /// The header for a wait that begins at `now`, Unix time.
    pub(crate) fn header(self, wait: Duration, now: Duration) -> Option<(HeaderName, String)> {
        let value = match self {
            RetryAfter::Seconds => wait.as_micros().div_ceil(1_000_000).to_string(),
            RetryAfter::Float => wait.as_secs_f64().to_string(),
            RetryAfter::Date => http_date(now + wait + Duration::from_secs(1)),
            RetryAfter::Milliseconds => {
                let name = HeaderName::from_static("retry-after-ms");
                return Some((name, wait.as_micros().div_ceil(1000).to_string()));
            }
            RetryAfter::Absent => return None,
            RetryAfter::Past => http_date(now.saturating_sub(HOUR)),
            RetryAfter::Zero => "0".to_owned(),
            RetryAfter::Negative => "-1".to_owned(),
            RetryAfter::Nan => "NaN".to_owned(),
            RetryAfter::Huge => HUGE.to_owned(),
        };
        Some((RETRY_AFTER, value))
    }
}

/// Unix time as the server's clock shows it, which is off by this many seconds.
pub(crate) fn skewed(now: Duration, skew_s: f64) -> Duration {
    let skew = Duration::try_from_secs_f64(skew_s.abs()).unwrap_or_default();
    if skew_s < 0.0 { now.saturating_sub(skew) } else { now + skew }
}

/// Says what time it is by this clock.
pub(crate) fn tell_date(headers: &mut HeaderMap, now: Duration) {
    headers.extend(HeaderValue::from_str(&http_date(now)).ok().map(|value| (DATE, value)));
}

/// Repeats what is told of tokens under the names that count by use.
pub(crate) fn tell_usage_based(headers: &mut HeaderMap) {
    for what in ["limit", "remaining", "reset"] {
        let name = HeaderName::try_from(format!("x-ratelimit-{what}-tokens_usage_based"));
        let value = headers.get(format!("x-ratelimit-{what}-tokens")).cloned();
        headers.extend(name.ok().zip(value));
    }
}

/// Unix time as HTTP writes it; years that it cannot write are the epoch.
fn http_date(at: Duration) -> String {
    /// The last second of the year 9999.
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let at = if at > LAST { Duration::ZERO } else { at };
    httpdate::fmt_http_date(UNIX_EPOCH + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Duration = Duration::from_secs(1_800_014_400);

    #[test]
    fn a_wait_is_told_in_each_form() {
        let check = |form: RetryAfter, expected: Option<(&str, &str)>| {
            let told = form.header(Duration::from_millis(1146), NOON);
            assert_eq!(
                told.as_ref().map(|(name, value)| (name.as_str(), value.as_str())),
                expected,
                "{form:?}"
            );
        };
        check(RetryAfter::Seconds, Some(("retry-after", "2")));
        check(RetryAfter::Float, Some(("retry-after", "1.146")));
        check(RetryAfter::Date, Some(("retry-after", "Fri, 15 Jan 2027 12:00:02 GMT")));
        check(RetryAfter::Milliseconds, Some(("retry-after-ms", "1146")));
        check(RetryAfter::Absent, None);
        check(RetryAfter::Past, Some(("retry-after", "Fri, 15 Jan 2027 11:00:00 GMT")));
        check(RetryAfter::Zero, Some(("retry-after", "0")));
        check(RetryAfter::Negative, Some(("retry-after", "-1")));
        check(RetryAfter::Nan, Some(("retry-after", "NaN")));
        check(RetryAfter::Huge, Some(("retry-after", "1000000000")));
    }

    #[test]
    fn a_clock_may_be_off_either_way_and_far() {
        for (skew_s, expected) in [(-2.0, 1_800_014_398), (0.0, 1_800_014_400), (1e300, 1_800_014_400)] {
            assert_eq!(skewed(NOON, skew_s).as_secs(), expected, "{skew_s}");
        }
        assert_eq!(http_date(Duration::MAX), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
