//! Decimal numbers as exports write them.

/// Digits that a number may have; providers write up to 35 of them for an amount.
const MOST_DIGITS: usize = 64;

/// The number times 10^`shift`, rounded half away from zero to a whole one: picodollars of dollars by
/// 12, of cents by 10, a count by 0. None where the text is no decimal number, or too large.
///
/// A sign, an exponent (`5e-05`), a dollar sign before it and commas between thousands may be there:
/// exports pass through spreadsheets.
pub(super) fn scaled(text: &str, shift: i32) -> Option<i128> {
    let text = text.trim();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let text = text.strip_prefix('$').unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse::<i16>().ok()?.into();
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = if whole.starts_with(',') { return None } else { whole.replace(',', "") };
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

/// Digits after the point, as written.
pub(super) fn decimals(text: &str) -> usize {
    text.trim().split_once('.').map_or(0, |(_, fraction)| fraction.len())
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
            assert_eq!(scaled(text, shift), expected, "{text:?}");
        }
        assert_eq!(scaled(&"9".repeat(65), 0), None);
    }
}
