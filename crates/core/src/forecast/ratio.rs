//! What past calls were, over what they were expected to be: ratios, and the line that is expected.

use std::sync::Arc;

use crate::chance::{Chance, probit};

/// What was measured over what was expected: numbers around 1, each as likely as the other.
#[derive(Clone, Debug)]
pub(super) struct Ratios(Arc<[f64]>);

/// Ratios that stand for a lognormal law.
const EVEN: usize = 64;

impl Ratios {
    /// These, scaled so that their mean is 1.
    pub(super) fn of(ratios: impl Iterator<Item = f64>) -> Self {
        let mut ratios: Vec<f64> = ratios.collect();
        let mean = mean(&ratios);
        for ratio in &mut ratios {
            *ratio /= mean.max(1e-9);
        }
        Ratios(ratios.into())
    }

    /// Of a lognormal law with this standard deviation of the logarithm, evenly.
    pub(super) fn lognormal(sigma: f64) -> Self {
        Ratios::of((0..EVEN).map(|n| (sigma * probit((n as f64 + 0.5) / EVEN as f64)).exp()))
    }

    pub(super) fn draw(&self, chance: &mut Chance) -> f64 {
        self.0.get(chance.below(self.0.len() as u64) as usize).copied().unwrap_or(1.0)
    }

    pub(super) fn least(&self) -> f64 {
        self.0.iter().copied().fold(1.0, f64::min)
    }

    /// The standard deviation of their logarithms.
    pub(super) fn sigma(&self) -> f64 {
        let logs: Vec<f64> = self.0.iter().map(|ratio| ratio.max(1e-9).ln()).collect();
        let mean = mean(&logs);
        let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
        (squares / logs.len().saturating_sub(1).max(1) as f64).sqrt()
    }
}

pub(super) fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len().max(1) as f64
}

/// The line through these by least squares, as its height at 0 and its slope; neither is negative, for
/// no call takes less than no time and none gets shorter by being longer.
pub(super) fn line(tokens: &[f64], seconds: &[f64]) -> (f64, f64) {
    let (mean_tokens, mean_seconds) = (mean(tokens), mean(seconds));
    let pairs = || tokens.iter().zip(seconds).map(|(t, s)| (t - mean_tokens, s - mean_seconds));
    let squares: f64 = pairs().map(|(t, _)| t * t).sum();
    let products: f64 = pairs().map(|(t, s)| t * s).sum();
    let steepest = if mean_tokens > 0.0 { mean_seconds / mean_tokens } else { 0.0 };
    let slope = if squares > 0.0 { (products / squares).clamp(0.0, steepest) } else { 0.0 };
    (mean_seconds - slope * mean_tokens, slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_neither_falls_nor_begins_below_zero() {
        let check = |points: &[(f64, f64)], base: f64, slope: f64| {
            let (tokens, seconds): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
            let found = line(&tokens, &seconds);
            assert!((found.0 - base).abs() < 1e-9 && (found.1 - slope).abs() < 1e-9, "{points:?}: {found:?}");
        };
        check(&[(100.0, 3.0), (200.0, 5.0), (300.0, 7.0)], 1.0, 0.02);
        check(&[(100.0, 7.0), (300.0, 3.0)], 5.0, 0.0);
        check(&[(100.0, 1.0), (200.0, 5.0)], 0.0, 0.02);
        check(&[(100.0, 4.0), (100.0, 6.0)], 5.0, 0.0);
    }

    #[test]
    fn ratios_have_the_mean_one_and_their_law_s_spread() {
        let ratios = Ratios::lognormal(0.5);
        assert!((mean(&ratios.0) - 1.0).abs() < 1e-9);
        assert!((ratios.sigma() - 0.5).abs() < 0.02, "{}", ratios.sigma());
    }
}
