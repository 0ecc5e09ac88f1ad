//! Order statistics, which a few odd numbers do not move.

/// The numbers from the least to the most.
pub(super) fn sorted(numbers: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_by(f64::total_cmp);
    numbers
}

/// The number below which this share of sorted numbers lies, between two of them in proportion; 0 of none.
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    // The middle of the n-th of N steps is at the share (n + 1/2) / N.
    let at = (share * sorted.len() as f64 - 0.5).clamp(0.0, last as f64);
    let (low, part) = (at.floor() as usize, at.fract());
    sorted[low] + (sorted[(low + 1).min(last)] - sorted[low]) * part
}

/// The median; none of none.
pub(super) fn median(numbers: impl IntoIterator<Item = f64>) -> Option<f64> {
    let sorted = sorted(numbers);
    (!sorted.is_empty()).then(|| quantile(&sorted, 0.5))
}

/// How far numbers are from their median, in the median.
pub(super) fn spread(numbers: &[f64]) -> f64 {
    let Some(middle) = median(numbers.iter().copied()) else { return 0.0 };
    median(numbers.iter().map(|number| (number - middle).abs())).unwrap_or_default()
}

/// The never falling numbers that are nearest to these, each of which counts by its weight (the algorithm
/// of pooled adjacent violators: Ayer and others, "An empirical distribution function for sampling with
/// incomplete information", 1955).
pub(super) fn never_falling(numbers: &[(f64, f64)]) -> Vec<f64> {
    // Blocks of equal numbers: the number, its weight, how many there are.
    let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
    for &(number, weight) in numbers {
        let mut block = (number, weight, 1);
        while let Some(&(before, heavy, count)) = blocks.last().filter(|(before, ..)| *before > block.0) {
            let together = heavy + block.1;
            block = ((before * heavy + block.0 * block.1) / together, together, count + block.2);
            blocks.pop();
        }
        blocks.push(block);
    }
    blocks.into_iter().flat_map(|(number, _, count)| std::iter::repeat_n(number, count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_numbers_and_never_beyond_them() {
        let four = sorted([3.0, 1.0, 4.0, 2.0]);
        let tenths = [0.0, 0.125, 0.5, 0.75, 1.0].map(|share| (quantile(&four, share) * 10.0) as u32);
        assert_eq!(tenths, [10, 10, 25, 35, 40]);
        assert_eq!((median([7.0]), median([])), (Some(7.0), None));
        assert_eq!(spread(&[1.0, 2.0, 3.0, 90.0]).to_string(), "1");
    }

    #[test]
    fn what_falls_is_evened_out() {
        let check = |numbers: &[(f64, f64)], expected: &str| {
            assert_eq!(format!("{:?}", never_falling(numbers)), expected);
        };
        check(&[(1.0, 1.0), (3.0, 1.0), (2.0, 3.0), (4.0, 1.0)], "[1.0, 2.25, 2.25, 4.0]");
        check(&[(3.0, 1.0), (2.0, 1.0), (1.0, 1.0)], "[2.0, 2.0, 2.0]");
    }
}
