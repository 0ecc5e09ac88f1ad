//! Everything that looks random, drawn from a seed and from what it is drawn for.
//!
//! There is no generator whose state moves from one content to the next: the same content draws
//! the same numbers in whatever order it is asked for, which is what makes a simulation repeatable.

use crate::hash::Hash;

/// A stream of numbers that depends on the seed, a content and the purpose alone.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The stream for one purpose; draws for different purposes never shift each other.
    pub fn new(seed: u64, content: &Hash, purpose: &str) -> Self {
        let mut bytes = Vec::with_capacity(40 + purpose.len());
        bytes.extend_from_slice(&seed.to_le_bytes());
        bytes.extend_from_slice(content.as_bytes());
        bytes.extend_from_slice(purpose.as_bytes());
        let digest = Hash::of(&bytes);
        let mut first = [0; 8];
        first.copy_from_slice(&digest.as_bytes()[..8]);
        Chance(u64::from_le_bytes(first))
    }

    /// The next 64 bits (`SplitMix64`: Steele, Lea, Flood, "Fast splittable pseudorandom number
    /// generators", 2014).
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number below `end`; 0 where that is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.bits() % end.max(1)
    }

    /// A number from 0 up to, not including, 1.
    pub fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number of the standard normal distribution (Box and Muller's transform).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.share()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.share()).cos()
    }

    /// One of the choices.
    pub fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        let index = self.bits() % choices.len().max(1) as u64;
        choices.get(index as usize).copied().unwrap_or_default()
    }
}

/// The standard normal quantile of a share between 0 and 1, to 4.5 · 10⁻⁴: formula 26.2.23 of
/// Abramowitz and Stegun's Handbook of Mathematical Functions.
pub fn probit(share: f64) -> f64 {
    let tail = share.min(1.0 - share).max(1e-300);
    let t = (-2.0 * tail.ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let z = (t - above / below).max(0.0);
    if share < 0.5 { -z } else { z }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_seed_content_and_purpose() {
        let draw =
            |seed, content: &str, purpose| Chance::new(seed, &Hash::of(content.as_bytes()), purpose).bits();
        let one = draw(1, "a", "latency");
        assert_eq!(one, draw(1, "a", "latency"));
        for other in [draw(2, "a", "latency"), draw(1, "b", "latency"), draw(1, "a", "network")] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn shares_and_normals_have_the_moments_they_should() {
        let mut chance = Chance::new(7, &Hash::of(b""), "moments");
        let shares: Vec<f64> = (0..20_000).map(|_| chance.share()).collect();
        let normals: Vec<f64> = (0..20_000).map(|_| chance.normal()).collect();
        let mean = |numbers: &[f64]| numbers.iter().sum::<f64>() / numbers.len() as f64;
        let squares: Vec<f64> = normals.iter().map(|n| n * n).collect();
        assert!(shares.iter().all(|s| (0.0..1.0).contains(s)));
        assert!((mean(&shares) - 0.5).abs() < 0.01, "{}", mean(&shares));
        assert!(mean(&normals).abs() < 0.03, "{}", mean(&normals));
        assert!((mean(&squares) - 1.0).abs() < 0.05, "{}", mean(&squares));
    }

    #[test]
    fn quantiles_of_the_normal_distribution_are_known() {
        for (share, z) in
            [(0.5, 0.0), (0.95, 1.644_854), (0.05, -1.644_854), (0.975, 1.959_964), (0.999, 3.090_232)]
        {
            assert!((probit(share) - z).abs() < 5e-4, "{share}: {}", probit(share));
        }
    }
}
