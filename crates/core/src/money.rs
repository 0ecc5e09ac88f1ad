//! Money as whole picodollars.
//!
//! Every first-party price fits twelve decimals of a dollar per token, so sums of prices times
//! tokens are exact; nothing here rounds except [`Usd::from_f64`],
//! [`Usd::percent_rounded_up`] and the display.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Picodollars in one dollar.
const PER_DOLLAR: u64 = 1_000_000_000_000;

/// An amount of US dollars, in whole picodollars (10⁻¹² $), from 0 to about 18.4 million dollars.
///
/// Arithmetic saturates at both ends: an amount that would not fit is a plan no budget allows, and
/// "too much" must never wrap round to "cheap".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Usd(u64);

impl Usd {
    /// No money.
    pub const ZERO: Usd = Usd(0);
    /// The largest amount, about 18.4 million dollars.
    pub const MAX: Usd = Usd(u64::MAX);

    /// An amount of whole picodollars.
    pub const fn from_pico(pico: u64) -> Self {
        Usd(pico)
    }

    /// The amount in picodollars.
    pub const fn pico(self) -> u64 {
        self.0
    }

    /// The nearest amount to `dollars`; `None` where it is negative, not a number or too large.
    ///
    /// Ten-digit decimals such as `0.1` come out exact, because the nearest picodollar to the
    /// nearest `f64` of a short decimal is that decimal.
    pub fn from_f64(dollars: f64) -> Option<Self> {
        let pico = (dollars * PER_DOLLAR as f64).round();
        (pico >= 0.0 && pico < u64::MAX as f64).then_some(Usd(pico as u64))
    }

    /// The amount in dollars, for figures that people read.
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / PER_DOLLAR as f64
    }

    /// Whether there is none.
    pub const fn is_zero(&self) -> bool {
        self.0 == 0
    }

    /// This amount `n` times, saturating.
    #[must_use]
    pub const fn times(self, n: u64) -> Self {
        Usd(self.0.saturating_mul(n))
    }

    /// What is left after `other`, zero where `other` is more.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Usd(self.0.saturating_sub(other.0))
    }

    /// This amount shared by `n`, rounded down; zero for `n` = 0.
    #[must_use]
    pub const fn shared_by(self, n: u64) -> Self {
        match self.0.checked_div(n) {
            Some(share) => Usd(share),
            None => Usd::ZERO,
        }
    }

    /// This many percent of it, saturating; a fraction of a picodollar is rounded up, so that a
    /// factor never makes anything cheaper than it is.
    #[must_use]
    pub const fn percent_rounded_up(self, percent: u32) -> Self {
        let scaled = (self.0 as u128 * percent as u128).div_ceil(100);
        if scaled > u64::MAX as u128 { Usd::MAX } else { Usd(scaled as u64) }
    }

    /// The decimal digits of the amount with at least `decimals` and as many more as it has, at
    /// most twelve: `0.0046` for 4.6 thousandths with `decimals` 2.
    pub fn exact(self, decimals: usize) -> String {
        let (whole, fraction) = (self.0 / PER_DOLLAR, self.0 % PER_DOLLAR);
        let digits = format!("{fraction:012}");
        let kept = digits.trim_end_matches('0').len().max(decimals.min(12));
        if kept == 0 {
            return whole.to_string();
        }
        format!("{whole}.{}", &digits[..kept])
    }
}

impl Add for Usd {
    type Output = Usd;
    fn add(self, other: Usd) -> Usd {
        Usd(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Usd) {
        *self = *self + other;
    }
}

impl Sub for Usd {
    type Output = Usd;
    fn sub(self, other: Usd) -> Usd {
        self.minus(other)
    }
}

impl SubAssign for Usd {
    fn sub_assign(&mut self, other: Usd) {
        *self = *self - other;
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Usd>>(amounts: I) -> Usd {
        amounts.fold(Usd::ZERO, Add::add)
    }
}

/// Shows the amount rounded half up to `{:.N}` decimals, or exactly with at least two.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match f.precision() {
            None => f.write_str(&self.exact(2)),
            Some(decimals) => {
                let decimals = decimals.min(12);
                let unit = 10u64.pow(12 - decimals as u32);
                let rounded = Usd(self.0.saturating_add(unit / 2) / unit * unit);
                let digits = format!("{:012}", rounded.0 % PER_DOLLAR);
                let whole = rounded.0 / PER_DOLLAR;
                match decimals {
                    0 => write!(f, "{whole}"),
                    _ => write!(f, "{whole}.{}", &digits[..decimals]),
                }
            }
        }
    }
}

/// Why a text is not an amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsdError {
    /// Not a decimal number without sign or exponent.
    #[error("not a decimal number of dollars")]
    Form,
    /// More than twelve decimals, or more dollars than fit.
    #[error("out of range: at most twelve decimals and 18 million dollars")]
    Range,
}

impl FromStr for Usd {
    type Err = UsdError;

    fn from_str(text: &str) -> Result<Self, UsdError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(UsdError::Form);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 12 {
            return Err(UsdError::Range);
        }
        let whole: u64 = whole.parse().map_err(|_| UsdError::Range)?;
        let fraction: u64 = format!("{fraction:0<12}").parse().map_err(|_| UsdError::Range)?;
        whole
            .checked_mul(PER_DOLLAR)
            .and_then(|pico| pico.checked_add(fraction))
            .map(Usd)
            .ok_or(UsdError::Range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_and_shown_exactly() {
        let check = |text: &str, pico: u64, shown: &str| {
            let usd: Usd = text.parse().unwrap();
            assert_eq!((usd.pico(), usd.to_string().as_str()), (pico, shown), "{text}");
        };
        check("0", 0, "0.00");
        check("10.0", 10 * PER_DOLLAR, "10.00");
        check("0.0046", 4_600_000_000, "0.0046");
        check("0.000000000001", 1, "0.000000000001");
    }

    #[test]
    fn precision_rounds_half_up() {
        let usd: Usd = "0.0235".parse().unwrap();
        assert_eq!(format!("{usd:.3}"), "0.024");
        assert_eq!(format!("{usd:.0}"), "0");
        assert_eq!(format!("{:.2}", Usd::from_f64(9.999).unwrap()), "10.00");
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", ".", "-1", "1e3", "1.", ".5", "NaN", "0.0000000000001"] {
            assert!(text.parse::<Usd>().is_err(), "{text}");
        }
        for dollars in [-0.01, f64::NAN, f64::INFINITY, 1e9] {
            assert_eq!(Usd::from_f64(dollars), None, "{dollars}");
        }
    }

    #[test]
    fn sums_saturate_instead_of_wrapping() {
        assert_eq!(Usd::MAX + Usd::from_pico(1), Usd::MAX);
        assert_eq!(Usd::ZERO - Usd::from_pico(1), Usd::ZERO);
        assert_eq!(Usd::MAX.times(2), Usd::MAX);
        assert_eq!(Usd::MAX.percent_rounded_up(110), Usd::MAX);
    }

    #[test]
    fn percent_are_exact_or_rounded_up() {
        let check = |pico, percent, expected| {
            assert_eq!(
                Usd::from_pico(pico).percent_rounded_up(percent).pico(),
                expected,
                "{percent} % of {pico}"
            );
        };
        check(10, 110, 11);
        check(11, 110, 13); // 12.1
        check(1, 50, 1); // 0.5
        check(u64::MAX, 100, u64::MAX);
        check(0, 110, 0);
    }
}
