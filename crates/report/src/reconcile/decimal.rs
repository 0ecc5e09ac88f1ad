//! Decimal numbers as exports write them.

/// Digits that a number may have; providers write up to 35 of them for an amount.
const MOST_DIGITS: usize = 64;

/// Which of point and comma stands before the decimals. Spreadsheets write numbers as their country does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Marks {
    /// The point; commas stand between thousands.
    #[default]
    Point,
    /// The comma, as in a table whose cells semicolons separate; points stand between thousands.
    Comma,
    /// Nobody knows, as in a table whose cells tabs separate.
    Unknown,
}

impl Marks {
    /// Whole part and decimals of a number without sign and exponent; none where they can be taken for
    /// others: `1.234` is a thousand times `1,234` in half of the world.
    fn split(self, number: &str) -> Option<(String, &str)> {
        let (point, between) = match self {
            Marks::Comma if number.contains(',') => (',', '.'),
            _ => ('.', ','),
        };
        let is_ambiguous = match self {
            Marks::Point => false,
            Marks::Comma => is_grouped(number, '.'),
            Marks::Unknown => is_grouped(number, ',') && number.matches(',').count() == 1,
        };
        let (whole, decimals) = number.split_once(point).unwrap_or((number, ""));
        let is_whole = !whole.contains(between) || is_grouped(whole, between);
        (is_whole && !is_ambiguous).then(|| (whole.replace(between, ""), decimals))
    }
}

/// Whether these are digits with a mark between their thousands, one at least.
fn is_grouped(digits: &str, mark: char) -> bool {
    let mut groups = digits.split(mark);
    let is_first = |group: &str| (1..=3).contains(&group.len()) && !group.starts_with('0');
    groups.next().is_some_and(is_first)
        && digits.contains(mark)
        && groups.all(|group| group.len() == 3)
        && digits.chars().all(|c| c == mark || c.is_ascii_digit())
}

/// The number times 10^`shift`, rounded half away from zero to a whole one: picodollars of dollars by
/// 12, of cents by 10, a count by 0. None where the text is no decimal number, or too large.
///
/// A sign, an exponent (`5e-05`), a dollar sign before it and marks between thousands may be there:
/// exports pass through spreadsheets.
pub(super) fn scaled(text: &str, shift: i32, marks: Marks) -> Option<i128> {
    let text = text.trim();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let text = text.strip_prefix('$').unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse::<i16>().ok()?.into();
    let (whole, fraction) = marks.split(mantissa)?;
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || digits.len() > MOST_DIGITS || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // The point moves to behind `kept` digits.
    let kept = i32::try_from(whole.len()).ok()?.checked_add(exponent)?.checked_add(shift)?;
    let number = at_point(&digits, kept)?;
    Some(if negative { -number } else { number })
}

/// The whole number of the first `kept` of these digits, zeros put behind them where there are fewer.
fn at_point(digits: &str, kept: i32) -> Option<i128> {
    let Ok(kept) = usize::try_from(kept) else { return Some(0) };
    let (kept_digits, rest) = digits.split_at_checked(kept).unwrap_or((digits, ""));
    let zeros = u32::try_from(kept - kept_digits.len()).ok()?;
    let number: i128 = if kept_digits.is_empty() { 0 } else { kept_digits.parse().ok()? };
    let number = if number == 0 { 0 } else { number.checked_mul(10_i128.checked_pow(zeros)?)? };
    number.checked_add(i128::from(rest.as_bytes().first().is_some_and(|digit| *digit >= b'5')))
}

/// Decimals, as written.
pub(super) fn decimals(text: &str, marks: Marks) -> usize {
    marks.split(text.trim()).map_or(0, |(_, decimals)| decimals.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly_and_rounded_once() {
        for (text, shift, expected) in [
            ("0.06", 12, Some(60_000_000_000)),
            ("0.8958740000000000", 12, Some(895_874_000_000)),
            ("0.13080438340307326190185546875000000", 12, Some(130_804_383_403)),
            ("123.45", 10, Some(1_234_500_000_000)),
            ("5e-05", 12, Some(50_000_000)),
            ("1.5E3", 0, Some(1500)),
            ("59200.0", 0, Some(59_200)),
            ("$1,234.5", 12, Some(1_234_500_000_000_000)),
            ("-0.10", 12, Some(-100_000_000_000)),
            ("0.0000000000005", 12, Some(1)),
            ("0.0000000000004999", 12, Some(0)),
            ("1e-400", 12, Some(0)),
            ("0e30000", 12, Some(0)),
            ("0", 0, Some(0)),
            ("", 0, None),
            (".", 0, None),
            ("-", 0, None),
            ("NaN", 0, None),
            ("inf", 0, None),
            ("1e99999", 0, None),
            ("1e300", 0, None),
            ("0x10", 0, None),
            ("1_000", 0, None),
            (",1", 0, None),
            ("１２", 0, None),
            ("1.2.3", 0, None),
        ] {
            assert_eq!(scaled(text, shift, Marks::Point), expected, "{text:?}");
        }
        assert_eq!(scaled(&"9".repeat(65), 0, Marks::Point), None);
    }

    #[test]
    fn a_comma_is_what_it_is_where_the_table_is_from_or_the_number_is_refused() {
        for (text, point, comma, unknown) in [
            ("0,012345", None, Some(12_345), None),
            ("1,5", None, Some(1_500_000), None),
            ("1,234", Some(1_234_000_000), Some(1_234_000), None),
            ("1,234,567", Some(1_234_567_000_000), None, Some(1_234_567_000_000)),
            ("1,234.5", Some(1_234_500_000), None, Some(1_234_500_000)),
            ("1.234,5", None, Some(1_234_500_000), None),
            ("1.234", Some(1_234_000), None, Some(1_234_000)),
            ("0.012345", Some(12_345), Some(12_345), Some(12_345)),
            ("59200.0", Some(59_200_000_000), Some(59_200_000_000), Some(59_200_000_000)),
            ("12,34,567", None, None, None),
            ("0,012,345", None, None, None),
            ("59200", Some(59_200_000_000), Some(59_200_000_000), Some(59_200_000_000)),
        ] {
            let read = [Marks::Point, Marks::Comma, Marks::Unknown].map(|marks| scaled(text, 6, marks));
            assert_eq!(read, [point, comma, unknown], "{text}");
        }
        assert_eq!((decimals("1,25", Marks::Comma), decimals("1.25", Marks::Point)), (2, 2));
    }
}
