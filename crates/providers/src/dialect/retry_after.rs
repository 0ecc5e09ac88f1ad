//! How long a provider asks us to wait, from whichever header says it.
//!
//! In the order of the official SDKs: `retry-after-ms`, then `retry-after` as seconds or as an HTTP
//! date. A throttled reply without either may still tell when its quotas are full again. Dates
//! count from the server's own `Date` where it sends one: its clock wrote both, ours may be off.

use std::time::{Duration, UNIX_EPOCH};

use http::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};

/// The longest wait that is handed on; a longer one is cut to it. A provider that names hours
/// (daily quotas, a spoilt header) would otherwise park a task beyond any run's patience: it is
/// asked again after ten minutes, and the retries bound how often.
pub(super) const LONGEST: Duration = Duration::from_secs(600);

/// The wait that these headers name, longer than nothing and at most [`LONGEST`]. Zero and dates in
/// the past name none, as for the official SDKs: whoever waits has a backoff of his own, and a server
/// must not be able to switch it off. `now` is Unix time; `throttled` lets the quotas' reset times
/// speak where no wait is named: they tell when a bucket is *full*, later than needed, which is why
/// they come last.
pub(super) fn retry_after(headers: &HeaderMap, now: Duration, throttled: bool) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(utf8);
    let millis = text("retry-after-ms").and_then(|ms| seconds(ms.parse::<f64>().ok()? / 1000.0));
    let server_now = text(DATE.as_str()).and_then(http_date).unwrap_or(now);
    millis
        .or_else(|| {
            let value = text(RETRY_AFTER.as_str())?;
            match value.parse::<f64>() {
                Ok(value) => seconds(value),
                Err(_) => until(http_date(value)?, server_now),
            }
        })
        .or_else(|| throttled.then(|| emptiest_quota(headers, server_now))?)
        .map(|wait| wait.min(LONGEST))
}

/// A header's text; `HeaderValue::to_str` refuses the `µ` of a Go duration.
fn utf8(value: &HeaderValue) -> Option<&str> {
    str::from_utf8(value.as_bytes()).ok().map(str::trim)
}

/// A number of seconds as a wait; nothing where it is zero, negative or no number.
fn seconds(value: f64) -> Option<Duration> {
    let wait = value.is_finite().then(|| Duration::from_secs_f64(value.clamp(0.0, LONGEST.as_secs_f64())));
    wait.filter(|wait| !wait.is_zero())
}

/// The time from one point in Unix time to another; nothing where it is not after it.
fn until(at: Duration, now: Duration) -> Option<Duration> {
    at.checked_sub(now).filter(|wait| !wait.is_zero())
}

/// An HTTP date as Unix time.
fn http_date(text: &str) -> Option<Duration> {
    httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()
}

/// When the quota with the smallest part left is full again: that is the one that refused us.
/// Quotas that do not say what is left count as empty.
fn emptiest_quota(headers: &HeaderMap, now: Duration) -> Option<Duration> {
    let number = |name: String| utf8(headers.get(name)?)?.parse::<f64>().ok();
    let mut emptiest: Option<(f64, Duration)> = None;
    for (name, value) in headers {
        let (limit, remaining) = match name.as_str() {
            name if name.starts_with("anthropic-ratelimit-") => {
                let Some(quota) = name.strip_suffix("-reset") else { continue };
                (number(format!("{quota}-limit")), number(format!("{quota}-remaining")))
            }
            name => {
                let Some(quota) = name.strip_prefix("x-ratelimit-reset-") else { continue };
                let told = |what: &str| number(format!("x-ratelimit-{what}-{quota}"));
                (told("limit"), told("remaining"))
            }
        };
        let Some(wait) = utf8(value).and_then(|text| reset(text, now)) else { continue };
        let left = match (limit, remaining) {
            (Some(limit), Some(remaining)) if limit > 0.0 && remaining > 0.0 => remaining / limit,
            _ => 0.0,
        };
        if emptiest.is_none_or(|(least, longest)| left < least || (left <= least && wait > longest)) {
            emptiest = Some((left, wait));
        }
    }
    emptiest.map(|(_, wait)| wait)
}

/// How long until a quota is full again, by a header that says so: longer than nothing.
pub(super) fn until_full(headers: &HeaderMap, name: &str, now: Duration) -> Option<Duration> {
    reset(utf8(headers.get(name)?)?, now)
}

/// A reset time: a Go duration (OpenAI, Groq), plain seconds (Azure), or RFC 3339 (Anthropic).
fn reset(text: &str, now: Duration) -> Option<Duration> {
    if let Ok(value) = text.parse::<f64>() {
        return seconds(value);
    }
    if let Some(duration) = go_duration(text) {
        return Some(duration);
    }
    let at = text.parse::<jiff::Timestamp>().ok()?.duration_since(jiff::Timestamp::UNIX_EPOCH);
    until(Duration::try_from(at).ok()?, now)
}

/// The units that Go's `time.Duration` prints, in seconds: `ms` before `m`, which begins it.
const GO_UNITS: [(&str, f64); 8] = [
    ("ms", 1e-3),
    ("µs", 1e-6), // U+00B5, as Go prints it
    ("μs", 1e-6), // U+03BC
    ("us", 1e-6),
    ("ns", 1e-9),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
];

/// `6m0s`, `1m12.5s`, `12ms`.
fn go_duration(text: &str) -> Option<Duration> {
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let (size, after) =
            GO_UNITS.iter().find_map(|(unit, size)| Some((*size, after.strip_prefix(unit)?)))?;
        total += number.parse::<f64>().ok()? * size;
        rest = after;
    }
    if text.is_empty() { None } else { seconds(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23 12:00:00 UTC.
    const NOW: Duration = Duration::from_secs(1_795_435_200);

    fn wait_of(lines: &[(&str, &str)], throttled: bool) -> Option<Duration> {
        let headers = lines
            .iter()
            .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
            .collect();
        retry_after(&headers, NOW, throttled)
    }

    fn check(lines: &[(&str, &str)], expected_ms: Option<u64>) {
        let wait = wait_of(lines, true);
        assert_eq!(wait, expected_ms.map(Duration::from_millis), "{lines:?}");
    }

    #[test]
    fn seconds_milliseconds_and_dates_are_understood() {
        check(&[("retry-after", "7")], Some(7_000));
        check(&[("retry-after", " 1.146 ")], Some(1_146));
        check(&[("retry-after-ms", "250"), ("retry-after", "7")], Some(250));
        check(&[("retry-after", "Mon, 23 Nov 2026 12:00:30 GMT")], Some(30_000));
    }

    #[test]
    fn dates_count_from_the_servers_own_clock() {
        let skewed = ("date", "Mon, 23 Nov 2026 11:00:00 GMT");
        check(&[skewed, ("retry-after", "Mon, 23 Nov 2026 11:00:20 GMT")], Some(20_000));
        check(&[skewed, ("anthropic-ratelimit-requests-reset", "2026-11-23T11:00:12Z")], Some(12_000));
        check(&[("date", "nonsense"), ("retry-after", "Mon, 23 Nov 2026 12:00:05 GMT")], Some(5_000));
    }

    #[test]
    fn zero_the_past_and_nonsense_name_no_wait() {
        check(&[("retry-after", "Mon, 23 Nov 2026 11:59:00 GMT")], None);
        check(&[("anthropic-ratelimit-requests-reset", "2026-11-23T12:00:00Z")], None);
        for nonsense in
            ["0", "-0.0", "1e-12", "0s", "-1", "NaN", "inf", "-inf", "1e999", "soon", "", "5 s", "0x10"]
        {
            check(&[("retry-after", nonsense)], None);
            check(&[("retry-after-ms", nonsense), ("retry-after", "3")], Some(3_000));
            check(&[("x-ratelimit-reset-requests", nonsense)], None);
        }
    }

    #[test]
    fn no_wait_is_longer_than_the_cap() {
        check(&[("retry-after", "1e9")], Some(600_000));
        check(&[("retry-after-ms", "1000000000000")], Some(600_000));
        check(&[("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT")], Some(600_000));
        check(&[("x-ratelimit-reset-requests", "17h12m0s")], Some(600_000));
    }

    #[test]
    fn reset_times_speak_in_every_known_form() {
        for (text, ms) in [
            ("1s", 1_000),
            ("6m0s", 360_000),
            ("12ms", 12),
            ("1m12.5s", 72_500),
            ("7.66s", 7_660),
            ("1000000µs", 1_000),
            ("500us", 0),
            ("42", 42_000),
        ] {
            let wait = wait_of(&[("x-ratelimit-reset-tokens", text)], true).unwrap();
            assert_eq!(wait.as_millis(), ms, "{text}");
        }
        check(&[("anthropic-ratelimit-tokens-reset", "2026-11-23T12:00:59Z")], Some(59_000));
        check(&[("anthropic-ratelimit-tokens-reset", "2026-11-23T13:00:01+01:00")], Some(1_000));
        check(&[("x-ratelimit-reset-requests", "-1")], None);
    }

    #[test]
    fn the_emptiest_quota_decides_and_only_where_throttled() {
        // Groq counts requests by the day: their reset says nothing about a minute's tokens.
        let groq = [
            ("x-ratelimit-limit-requests", "14400"),
            ("x-ratelimit-remaining-requests", "14000"),
            ("x-ratelimit-reset-requests", "40m0s"),
            ("x-ratelimit-limit-tokens", "6000"),
            ("x-ratelimit-remaining-tokens", "120"),
            ("x-ratelimit-reset-tokens", "58.8s"),
        ];
        check(&groq, Some(58_800));
        assert_eq!(wait_of(&groq, false), None);
        let anthropic = [
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2026-11-23T12:00:40Z"),
            ("anthropic-ratelimit-tokens-limit", "80000"),
            ("anthropic-ratelimit-tokens-remaining", "79000"),
            ("anthropic-ratelimit-tokens-reset", "2026-11-23T12:00:01Z"),
        ];
        check(&anthropic, Some(40_000));
    }

    /// Numbers that look random, the same in every run.
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, n: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % n as u64) as usize
        }
    }

    #[test]
    fn whatever_the_headers_say_the_wait_is_in_its_range() {
        const PIECES: [&str; 28] = [
            "0",
            "1",
            "9",
            "60",
            "-",
            "+",
            ".",
            "e",
            "E9",
            "1e9",
            "NaN",
            "inf",
            "h",
            "m",
            "s",
            "ms",
            "µs",
            " ",
            ":",
            "T",
            "Z",
            "2026-11-23",
            "1994-11-06",
            "12:00:00",
            "Mon, 23 Nov 2026 ",
            "Sun, 06 Nov 1994 ",
            "GMT",
            "\u{3bc}s",
        ];
        const NAMES: [&str; 5] = [
            "retry-after",
            "retry-after-ms",
            "date",
            "x-ratelimit-reset-tokens",
            "anthropic-ratelimit-tokens-reset",
        ];
        let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
        let names = NAMES.map(http::HeaderName::from_static);
        let (mut headers, mut values, mut named, mut text) = (HeaderMap::new(), 0, 0, String::new());
        for round in 0.. {
            headers.clear();
            for name in &names {
                text.clear();
                for _ in 0..chance.below(6) {
                    text.push_str(PIECES[chance.below(PIECES.len())]);
                }
                headers.insert(name, HeaderValue::from_bytes(text.as_bytes()).unwrap());
                values += 1;
            }
            let wait = retry_after(&headers, NOW, true);
            assert!(wait.is_none_or(|wait| !wait.is_zero() && wait <= LONGEST), "round {round}: {headers:?}");
            named += usize::from(wait.is_some());
            if values >= 1_000_000 {
                break;
            }
        }
        assert!(named > 20_000, "the generator names a wait in {named} rounds only");
    }

    /// A header that names a wait of so many milliseconds from now, in one of all known forms.
    fn naming(ms: u64, form: usize) -> (&'static str, String) {
        let at = NOW + Duration::from_millis(ms);
        let seconds = ms as f64 / 1000.0;
        match form {
            0 => ("retry-after-ms", ms.to_string()),
            1 => ("retry-after-ms", format!("{ms}.000")),
            2 => ("retry-after", format!("{}.{:03}", ms / 1000, ms % 1000)),
            3 => ("retry-after", format!("{seconds:e}")),
            4 => ("retry-after", httpdate::fmt_http_date(UNIX_EPOCH + at)),
            5 => ("x-ratelimit-reset-tokens", format!("{seconds}s")),
            6 => ("x-ratelimit-reset-tokens", format!("{ms}ms")),
            7 => {
                let (minutes, rest) = (ms / 60_000, ms % 60_000);
                let text = format!("{}h{}m{}s{}ms", minutes / 60, minutes % 60, rest / 1000, rest % 1000);
                ("x-ratelimit-reset-requests", text)
            }
            8 => ("x-ratelimit-reset-requests", format!("{}µs", ms * 1000)),
            _ => {
                let timestamp = jiff::Timestamp::from_millisecond(at.as_millis() as i64).unwrap();
                ("anthropic-ratelimit-requests-reset", timestamp.to_string())
            }
        }
    }

    #[test]
    fn a_named_wait_is_kept_to_and_never_shortened() {
        const FORMS: usize = 10;
        let mut chance = Chance(0x2545_F491_4F6C_DD1D);
        let mut headers = HeaderMap::new();
        for round in 0..100_000 {
            // From none at all to 11 days, of every magnitude.
            let magnitude = chance.below(31);
            let ms = chance.below(1 << magnitude) as u64;
            let form = round % FORMS;
            // Those dates have whole seconds.
            let ms = if form == 4 { ms / 1000 * 1000 } else { ms };
            let (name, value) = naming(ms, form);
            headers.clear();
            headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            let named = Some(Duration::from_millis(ms).min(LONGEST)).filter(|wait| !wait.is_zero());
            assert_eq!(retry_after(&headers, NOW, true), named, "round {round}: {name}: {value}");
        }
    }
}
