//! What chance explains: figures of calls differ though nothing changed, the more so the fewer calls there were.
//!
//! Criteria, the drift of a run and the history of trials ask here, so that they all believe in chance to the same
//! extent: one figure in a hundred may be called odd although it is not ([`UNLIKELY`]). What the figures are, and from
//! which difference on one is worth a word at all, they say themselves.

use sortie_core::chance::probit;

/// How likely a figure may be by chance alone that is not believed to be chance.
pub(super) const UNLIKELY: f64 = 0.01;
/// The same in standard errors: of the normal distribution the 99th percentile.
pub(super) const SURE: f64 = 2.326;

/// The standard error of a sample's mean, median and 95th percentile, in standard deviations over √n: of the median
/// √(π/2), of the 95th percentile √(0.95 · 0.05) / φ(1.645) (both of a normal distribution).
pub(super) const OF_MEAN: f64 = 1.0;
pub(super) const OF_MEDIAN: f64 = 1.253;
pub(super) const OF_P95: f64 = 2.113;

/// The standard deviation of the logarithm that is supposed of latencies and costs where too few were seen to tell:
/// what we see of language models lies between 0.2 and 0.6.
pub(super) const SUPPOSED_SPREAD: f64 = 0.5;
/// So many calls of the supposed spread weigh as much as those that were seen: the quartiles of ten calls tell the
/// spread to 40 %, and a spread that was taken too small calls things odd that are not.
const SUPPOSED_CALLS: f64 = 20.0;

/// Between the quartiles of a normal distribution, in standard deviations.
const QUARTILES: f64 = 1.349;

/// The standard deviation of the logarithms of these amounts, all above 0, as their quartiles tell it, so that an odd
/// one does not excuse itself; of few drawn to [`SUPPOSED_SPREAD`].
pub(super) fn spread(mut amounts: Vec<f64>) -> f64 {
    amounts.sort_unstable_by(f64::total_cmp);
    let told = match (quantile(&amounts, 0.25), quantile(&amounts, 0.75)) {
        (Some(low), Some(high)) if low > 0.0 => (high / low).ln() / QUARTILES,
        _ => 0.0,
    };
    let n = amounts.len() as f64;
    (n * told + SUPPOSED_CALLS * SUPPOSED_SPREAD) / (n + SUPPOSED_CALLS)
}

/// Straight on between the two that are next to this place.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted.get(place.floor() as usize)?, sorted.get(place.ceil() as usize)?);
    Some(below + (above - below) * place.fract())
}

/// How many times their median the greatest of `n` amounts may be by chance: of a lognormal distribution with this
/// spread, what the greatest of so many stays below unless something is [`UNLIKELY`] (Bonferroni's bound).
pub(super) fn greatest(spread: f64, n: usize) -> f64 {
    (spread * probit(1.0 - UNLIKELY / n.max(1) as f64)).exp()
}

/// How likely it is that so few of `m` are well by chance alone, or fewer, where so many of `n` were: the one-sided
/// exact test of Fisher (1935), the lower tail of the hypergeometric distribution.
pub(super) fn chance_of_fewer((then, n): (u64, u64), (now, m): (u64, u64)) -> f64 {
    let well = then + now;
    let all = ln_choose(n + m, well);
    // Of all that are well, `k` are of the `m`; what the `n` cannot hold has no chance at all.
    let tail: f64 = (0..=now).map(|k| (ln_choose(m, k) + ln_choose(n, well - k) - all).exp()).sum();
    tail.min(1.0)
}

/// The logarithm of n over k.
fn ln_choose(n: u64, k: u64) -> f64 {
    if k > n {
        return f64::NEG_INFINITY;
    }
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

/// ln n!, by Stirling's series above 20: its error is below 1e-9 there.
fn ln_factorial(n: u64) -> f64 {
    if n <= 20 {
        return (2..=n).map(|n| (n as f64).ln()).sum();
    }
    let n = n as f64;
    let series = 1.0 / (12.0 * n) - 1.0 / (360.0 * n.powi(3)) + 1.0 / (1260.0 * n.powi(5));
    n * n.ln() - n + 0.5 * (std::f64::consts::TAU * n).ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;
    use crate::trial::testing::lognormal;

    #[test]
    fn quartiles_tell_a_spread_and_one_odd_amount_does_not() {
        let mut random = Random::seeded(1);
        for told in [0.2, 0.5, 0.8] {
            let mut amounts: Vec<f64> = (0..5000).map(|_| lognormal(told, &mut random)).collect();
            assert!((spread(amounts.clone()) - told).abs() < 0.03, "{told}");
            amounts[0] = 1e9;
            assert!((spread(amounts) - told).abs() < 0.03, "{told}");
        }
        assert_eq!(spread(vec![1.0; 20]).to_bits(), (SUPPOSED_SPREAD / 2.0).to_bits());
        assert_eq!(spread(Vec::new()).to_bits(), SUPPOSED_SPREAD.to_bits());
    }

    #[test]
    fn the_greatest_of_many_is_seldom_beyond_what_chance_explains() {
        let mut random = Random::seeded(2);
        for n in [4, 20, 200] {
            let beyond =
                (0..2000).filter(|_| (0..n).any(|_| lognormal(0.4, &mut random) > greatest(0.4, n))).count();
            assert!((6..=40).contains(&beyond), "of {n}: {beyond} of 2,000");
        }
        assert!((greatest(0.5, 1) - (0.5 * SURE).exp()).abs() < 0.01);
    }

    #[test]
    fn the_exact_test_is_fishers() {
        // Worked out by hand: of 3 of 4 and 1 of 4, C(4,1)C(4,3)/C(8,4) + C(4,0)C(4,4)/C(8,4) = 17/70.
        for (then, now, p) in [
            ((3, 4), (1, 4), 17.0 / 70.0),
            ((4, 4), (4, 4), 1.0),
            ((5, 5), (0, 5), 1.0 / 252.0),
            ((0, 0), (0, 3), 1.0),
        ] {
            let found = chance_of_fewer(then, now);
            assert!((found - p).abs() < 1e-9, "{then:?} {now:?}: {found} instead of {p}");
        }
        // 100 of 100, then 90 of 100: C(200,10) with all 10 failures on one side.
        let found = chance_of_fewer((100, 100), (90, 100));
        assert!((0.0007..0.0009).contains(&found), "{found}");
    }

    #[test]
    fn logarithms_of_factorials_go_over_into_each_other() {
        let by_sum = |n: u64| (2..=n).map(|n| (n as f64).ln()).sum::<f64>();
        for n in [0, 1, 20, 21, 22, 100, 1000] {
            assert!((ln_factorial(n) - by_sum(n)).abs() < 1e-8, "{n}");
        }
    }
}
