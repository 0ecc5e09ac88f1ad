//! How figures are written: for programs as JSON numbers in seconds and dollars, for people in a
//! few digits.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use sortie_core::money::Usd;
use sortie_core::time::Time;

/// A time in RFC 3339, in UTC, with microseconds: `2026-11-23T09:30:00.000000Z`.
pub fn rfc3339(time: Time) -> String {
    format!("{:.6}", timestamp(time))
}

/// A time for people, in UTC, to the second: `2026-11-23 09:30:00 UTC`.
pub fn moment(time: Time) -> String {
    timestamp(time).strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The day of a time, in UTC: `2026-11-23`.
pub fn date(time: Time) -> String {
    timestamp(time).strftime("%Y-%m-%d").to_string()
}

/// The first moment of a day `YYYY-MM-DD` in UTC; none where it is none, or before 1970.
pub fn midnight(day: &str) -> Option<Time> {
    // `jiff` reads longer forms too, which say more than a day.
    let day = Some(day).filter(|day| day.len() == 10)?.parse::<Date>().ok()?;
    let at = Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()?;
    u64::try_from(at.as_microsecond()).ok().map(Time::from_micros)
}

/// The time that a text in RFC 3339 names, with its offset; none where it is none, or before 1970.
pub fn instant(text: &str) -> Option<Time> {
    let at = text.parse::<Timestamp>().ok()?;
    u64::try_from(at.as_microsecond()).ok().map(Time::from_micros)
}

/// Times past the year 9999, which only a damaged journal has, become the last moment of it.
fn timestamp(time: Time) -> Timestamp {
    i64::try_from(time.micros())
        .ok()
        .and_then(|micros| Timestamp::from_microsecond(micros).ok())
        .unwrap_or(Timestamp::MAX)
}

/// Seconds, as the nearest `f64` to the whole microseconds: it prints with at most six decimals.
pub fn seconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e6
}

/// A duration for people: `450 ms`, `12.3 s`, `2 min 05 s`, `1 h 02 min`.
pub fn duration(duration: Duration) -> String {
    let millis = (duration.as_micros() + 500) / 1000;
    let whole = (millis + 500) / 1000;
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..59_950 => format!("{:.1} s", millis as f64 / 1e3),
        59_950..3_599_500 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", (whole + 30) / 3600, (whole + 30) / 60 % 60),
    }
}

/// How long ago something was, roughly: `40 s ago`, `12 min ago`, `3 h ago`, `5 days ago`.
pub fn ago(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..60 => format!("{seconds} s ago"),
        seconds @ 60..3600 => format!("{} min ago", seconds / 60),
        seconds @ 3600..86_400 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} ago", count(seconds / 86_400, "day")),
    }
}

/// A share of a hundred for people: `66.7 %`, `100 %`, `< 0.1 %`.
pub fn percent(value: f64) -> String {
    if 0.0 < value && value < 0.05 {
        return "< 0.1 %".into();
    }
    let text = format!("{value:.1}");
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

/// Significant digits of amounts below a dollar: a task costs fractions of a cent.
const SIGNIFICANT: usize = 3;

/// Money for people: cents, and below a dollar three significant digits: `$10.05`, `$0.0046`.
pub fn money(amount: Usd) -> String {
    let digits = amount.pico().checked_ilog10().map_or(0, |log| log as usize + 1);
    let decimals = (12 + SIGNIFICANT).saturating_sub(digits).clamp(2, 12);
    let decimals = if amount.is_zero() || digits > 12 { 2 } else { decimals };
    let mut text = format!("${amount:.decimals$}");
    let cents = text.find('.').map_or(text.len(), |dot| dot + 3);
    text.truncate(text.trim_end_matches('0').len().max(cents));
    text
}

/// `Budget exceeded: $10.05 > $10.00`, word for word as the founding document has it (SPEC.md C2),
/// with as many decimals as the budget has, and as it takes for the two amounts to differ and for
/// neither to look like nothing.
pub fn budget_exceeded(needed: Usd, budget: Usd) -> String {
    let set = budget.exact(2);
    let as_set = set.find('.').map_or(0, |dot| set.len() - dot - 1);
    let shown = |decimals: usize| (format!("{needed:.decimals$}"), format!("{budget:.decimals$}"));
    let nothing = |decimals: usize| format!("{:.decimals$}", Usd::ZERO);
    let told_apart = |&decimals: &usize| {
        let (needed_shown, budget_shown) = shown(decimals);
        let hidden = !needed.is_zero() && needed_shown == nothing(decimals);
        needed_shown != budget_shown && !hidden
    };
    let (needed, budget) = shown((as_set..12).find(told_apart).unwrap_or(12));
    format!("Budget exceeded: ${needed} > ${budget}")
}

/// `1 task`, `5 tasks`, `0 tasks`.
pub fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A count with its thousands apart: `1,050,000`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let first = (digits.len() - 1) % 3 + 1;
    let (head, tail) = digits.split_at(first);
    tail.as_bytes()
        .chunks(3)
        .fold(head.to_owned(), |text, group| text + "," + &String::from_utf8_lossy(group))
}

/// Durations as JSON numbers in seconds, for `#[serde(with = …)]`.
pub(crate) mod as_seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(super::seconds(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(from)?).map_err(D::Error::custom)
    }

    pub(crate) mod option {
        use std::time::Duration;

        use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

        #[expect(clippy::ref_option, reason = "serde hands a reference")]
        pub(crate) fn serialize<S: Serializer>(value: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
            value.map(super::super::seconds).serialize(to)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
            let seconds = Option::<f64>::deserialize(from)?;
            seconds.map(|s| Duration::try_from_secs_f64(s).map_err(D::Error::custom)).transpose()
        }
    }
}

/// Money as JSON numbers in dollars, for `#[serde(with = …)]`.
///
/// An `f64` is written as the shortest decimal that reads back as the same `f64`, and below $8,192
/// that decimal *is* the amount: picodollars and 10¹² are integers below 2⁵³, so their quotient is
/// the `f64` nearest to the amount; neighbours are less than 10⁻¹² apart there, so no other decimal
/// of twelve places, and thus no shorter one, can have the same nearest `f64`. Above, the last
/// place may be off by one.
pub(crate) mod as_dollars {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use sortie_core::money::Usd;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    pub(crate) fn serialize<S: Serializer>(value: &Usd, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(value.as_f64())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Usd, D::Error> {
        Usd::from_f64(f64::deserialize(from)?).ok_or_else(|| D::Error::custom("not an amount of money"))
    }

    pub(crate) mod option {
        use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
        use sortie_core::money::Usd;

        #[expect(clippy::ref_option, reason = "serde hands a reference")]
        pub(crate) fn serialize<S: Serializer>(value: &Option<Usd>, to: S) -> Result<S::Ok, S::Error> {
            value.map(Usd::as_f64).serialize(to)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Usd>, D::Error> {
            let dollars = Option::<f64>::deserialize(from)?;
            let amount = |d| Usd::from_f64(d).ok_or_else(|| D::Error::custom("not an amount of money"));
            dollars.map(amount).transpose()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    #[test]
    fn durations_are_short_and_round_up_into_the_next_unit() {
        for (micros, shown) in [
            (0, "0 ms"),
            (999_499, "999 ms"),
            (999_500, "1.0 s"),
            (12_340_000, "12.3 s"),
            (59_949_000, "59.9 s"),
            (59_950_000, "1 min 00 s"),
            (125_000_000, "2 min 05 s"),
            (3_599_500_000, "1 h 00 min"),
            (3_720_000_000, "1 h 02 min"),
        ] {
            assert_eq!(duration(Duration::from_micros(micros)), shown, "{micros}");
        }
    }

    #[test]
    fn a_share_that_is_there_is_never_shown_as_none() {
        let shown = [0.0, 0.046, 0.05, 66.666, 99.95, 100.0].map(percent);
        assert_eq!(shown, ["0 %", "< 0.1 %", "0.1 %", "66.7 %", "100 %", "100 %"]);
    }

    #[test]
    fn money_is_shown_in_cents_and_below_a_dollar_in_three_digits() {
        for (amount, shown) in [
            ("0", "$0.00"),
            ("0.023", "$0.023"),
            ("0.0046", "$0.0046"),
            ("0.0229834", "$0.023"),
            ("0.5", "$0.50"),
            ("0.9999", "$1.00"),
            ("10.05", "$10.05"),
            ("1234.5678", "$1234.57"),
            ("0.000000000001", "$0.000000000001"),
        ] {
            assert_eq!(money(usd(amount)), shown, "{amount}");
        }
        assert_eq!(money(Usd::MAX), "$18446744.07");
    }

    #[test]
    fn a_budget_error_shows_the_budget_as_set_and_no_amount_as_nothing() {
        for (needed, budget, shown) in [
            ("10.05", "10", "Budget exceeded: $10.05 > $10.00"),
            ("10.0004", "10", "Budget exceeded: $10.0004 > $10.0000"),
            ("0.01", "0.0001", "Budget exceeded: $0.0100 > $0.0001"),
            ("0.00012", "0.0001", "Budget exceeded: $0.00012 > $0.00010"),
            ("0.02004", "0.0125", "Budget exceeded: $0.0200 > $0.0125"),
            // Of a damaged journal, which may say that nothing was enough.
            ("0.0001", "10", "Budget exceeded: $0.0001 > $10.0000"),
            ("0.000000000002", "0.000000000001", "Budget exceeded: $0.000000000002 > $0.000000000001"),
        ] {
            assert_eq!(budget_exceeded(usd(needed), usd(budget)), shown);
        }
    }

    #[test]
    fn money_in_json_is_the_very_decimal_below_8192_dollars() {
        let mut random = Random::seeded(7);
        for _ in 0..100_000 {
            // Small, middling and large amounts alike.
            let pico = (random.next() % (8192 * 1_000_000_000_000)) >> (random.next() % 52);
            let json = serde_json::to_string(&Usd::from_pico(pico).as_f64()).unwrap();
            assert_eq!(decimal_pico(&json), Some(pico), "{json}");
        }
    }

    /// Picodollars of a JSON number, by its digits alone.
    fn decimal_pico(json: &str) -> Option<u64> {
        let (mantissa, exponent) = json.split_once('e').unwrap_or((json, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let shift = 12 + exponent.parse::<i32>().ok()? - i32::try_from(fraction.len()).ok()?;
        let digits: u64 = format!("{whole}{fraction}").parse().ok()?;
        let scale = 10u64.pow(shift.unsigned_abs());
        if shift >= 0 {
            digits.checked_mul(scale)
        } else {
            digits.is_multiple_of(scale).then_some(digits / scale)
        }
    }

    #[test]
    fn times_are_rfc_3339_with_microseconds() {
        assert_eq!(rfc3339(Time::from_micros(1_763_112_600_000_001)), "2025-11-14T09:30:00.000001Z");
        assert_eq!(rfc3339(Time::ZERO), "1970-01-01T00:00:00.000000Z");
        assert_eq!(&rfc3339(Time::from_micros(u64::MAX))[..4], "9999");
        assert_eq!(moment(Time::from_micros(1_763_112_600_999_999)), "2025-11-14 09:30:00 UTC");
    }
}
