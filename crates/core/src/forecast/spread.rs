//! Percentiles of few or many plays.

use std::time::Duration;

use crate::chance::probit;
use crate::prediction::Spread;

/// The standard normal quantile of 0.95.
const Z95: f64 = 1.644_853_626_951_472_7;

/// The percentiles of a distribution that these were drawn from; nothing for none. Sorts them.
///
/// The i-th smallest of n stands for the quantile (i − ½) / n (Hazen's plotting position).
/// Between two of them it goes straight on the scale of a normal distribution, and past the
/// outermost as between them and their neighbours, so that nine draws have a 95th percentile.
pub(super) fn of(draws: &mut [Duration]) -> Spread {
    draws.sort_unstable();
    let at = |z| Duration::from_secs_f64(quantile(draws, z).max(0.0));
    // What does not vary is told to the microsecond.
    match (draws.first(), draws.last()) {
        (Some(first), Some(last)) if first != last => Spread { p5: at(-Z95), p50: at(0.0), p95: at(Z95) },
        (Some(&all), _) => Spread { p5: all, p50: all, p95: all },
        (None, _) => Spread::default(),
    }
}

/// The value at this standard normal quantile, of at least two sorted draws, in seconds.
fn quantile(sorted: &[Duration], z: f64) -> f64 {
    let place = |index: usize| probit((index as f64 + 0.5) / sorted.len() as f64);
    let above = (1..sorted.len() - 1).find(|&index| place(index) >= z).unwrap_or(sorted.len() - 1);
    let (z0, z1) = (place(above - 1), place(above));
    let (y0, y1) = (sorted[above - 1].as_secs_f64(), sorted[above].as_secs_f64());
    y0 + (y1 - y0) * (z - z0) / (z1 - z0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;
    use crate::hash::Hash;

    #[test]
    fn few_draws_tell_the_percentiles_of_many() {
        // Draws at even places of a normal distribution around 100 s: what stratified plays give.
        for count in [7, 9, 20, 200] {
            let draw = |n: usize| 100.0 + 10.0 * probit((n as f64 + 0.5) / count as f64);
            let mut draws: Vec<Duration> = (0..count).map(|n| Duration::from_secs_f64(draw(n))).collect();
            let Spread { p5, p50, p95 } = of(&mut draws);
            let near = |a: Duration, b: f64| (a.as_secs_f64() - b).abs() < 0.05;
            assert!(
                near(p50, 100.0) && near(p5, 83.55) && near(p95, 116.45),
                "{count}: {p5:?} {p50:?} {p95:?}"
            );
        }
        let mut chance = Chance::new(3, &Hash::of(b""), "spread");
        let mut skewed: Vec<Duration> =
            (0..2000).map(|_| Duration::from_secs_f64((0.5 * chance.normal()).exp())).collect();
        let Spread { p5, p50, p95 } = of(&mut skewed);
        for (found, expected) in [(p5, 0.4394), (p50, 1.0), (p95, 2.276)] {
            assert!((found.as_secs_f64() / expected - 1.0).abs() < 0.06, "{found:?} is not {expected}");
        }
    }

    #[test]
    fn what_does_not_vary_has_no_spread() {
        let all = Duration::from_micros(1_234_567);
        assert_eq!(of(&mut [all; 5]), Spread { p5: all, p50: all, p95: all });
        assert_eq!(of(&mut [all]), Spread { p5: all, p50: all, p95: all });
        assert_eq!(of(&mut []), Spread::default());
    }
}
