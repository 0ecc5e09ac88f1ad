//! What chance explains: how much worse a figure may be than in another trial of the same kind before it counts.
//!
//! One comparison of a kind in a hundred may be called worse although nothing changed ([`SURE`]); and what is worse
//! by less than a floor is not called so however many tasks there were, because the same endpoint differs by so much
//! from one hour to the next.
//!
//! | figure | worse when |
//! | --- | --- |
//! | success rate, failed calls, throttled calls | Fisher's exact test of both counts has p < 0.01, and the difference is at least 1, 2 or 5 points |
//! | latency, half of the answers | by a factor above e^(2.33 · 1.25 · s · √(1/n + 1/m)), and by 10 % |
//! | latency, 95 % of the answers | the same with 2.11 in place of 1.25, and by 15 % |
//! | throughput, cost per task | the same with 1, and by 10 % |
//! | speedup, efficiency | by more than 2.33 standard errors where both trials have an interval, else the same with 1; and by 10 % |
//!
//! n and m are the numbers of answers, s is the spread of the logarithm of latencies: as p50 and p95 tell it, and at
//! least 0.5 where one trial has fewer than 20 answers. With 5 answers each half of the answers may take 2.5 times as
//! long, with 30 each and s = 0.4 a third longer, with 500 each 10 %.

use super::super::Trial;
use super::super::figure::{Bound, named};

/// Standard errors beyond which chance is not believed: of the normal distribution the 99th percentile.
const SURE: f64 = 2.326;
/// The same as a probability.
const UNLIKELY: f64 = 0.01;
/// From the median of a normal distribution to its 95th percentile, in standard deviations.
const P95: f64 = 1.645;
/// Answers from which on p50 and p95 tell the spread.
const ENOUGH: u64 = 20;
/// The spread that is supposed of fewer: what we see of language models lies between 0.2 and 0.6.
const SUPPOSED_SPREAD: f64 = 0.5;

/// The standard error of a sample's mean, median and 95th percentile, in standard deviations over √n: of the median
/// √(π/2), of the 95th percentile √(0.95 · 0.05) / φ(1.645) (both of a normal distribution).
const OF_MEAN: f64 = 1.0;
const OF_MEDIAN: f64 = 1.253;
const OF_P95: f64 = 2.113;

/// Two trials, of which one is to be called worse.
pub(super) struct Worse<'a> {
    now: &'a Trial,
    then: &'a Trial,
}

impl<'a> Worse<'a> {
    pub(super) const fn between(now: &'a Trial, then: &'a Trial) -> Self {
        Worse { now, then }
    }

    /// Whether the figure of this name, which was `then` and is `now`, is worse by more than chance explains.
    pub(super) fn than_chance(&self, name: &str, then: f64, now: f64) -> bool {
        match name {
            "success_rate" => self.fewer(then, now, tasks, 1.0),
            "error_rate" => self.fewer(100.0 - then, 100.0 - now, calls, 2.0),
            "throttled_rate" => self.fewer(100.0 - then, 100.0 - now, calls, 5.0),
            "p50_latency" => self.factor(name, then, now, OF_MEDIAN, 1.10),
            "p95_latency" => self.factor(name, then, now, OF_P95, 1.15),
            "speedup" | "efficiency" => match self.intervals(then, now) {
                Some(apart) => apart && then >= now * 1.10,
                None => self.factor(name, then, now, OF_MEAN, 1.10),
            },
            _ => self.factor(name, then, now, OF_MEAN, 1.10),
        }
    }

    /// Whether fewer of a hundred are well, by at least so many points.
    fn fewer(&self, then: f64, now: f64, of: fn(&Trial) -> u64, points: f64) -> bool {
        let count = |percent: f64, total: u64| (percent / 100.0 * total as f64).round() as u64;
        let (n, m) = (of(self.then), of(self.now));
        then - now >= points && chance_of_fewer((count(then, n), n), (count(now, m), m)) < UNLIKELY
    }

    /// Whether a figure is worse by a factor that is above both what chance explains and `floor`.
    fn factor(&self, name: &str, then: f64, now: f64, error: f64, floor: f64) -> bool {
        let is_more_better = named(name).is_none_or(|figure| figure.bound == Bound::AtLeast);
        let (better, worse) = if is_more_better { (now, then) } else { (then, now) };
        if better <= 0.0 || worse <= 0.0 {
            return false;
        }
        let [n, m] = [answers(self.now), answers(self.then)].map(|n| 1.0 / n.max(1) as f64);
        let explained = SURE * error * self.spread() * (n + m).sqrt();
        worse / better > floor.max(explained.exp())
    }

    /// The standard deviation of the logarithm of latencies, the greater of both trials.
    fn spread(&self) -> f64 {
        let of = |trial: &Trial| {
            let metrics = &trial.summary.metrics;
            let (p50, p95) = metrics.p50_latency.zip(metrics.p95_latency)?;
            let spread = (p95.as_secs_f64() / p50.as_secs_f64()).ln() / P95;
            spread.is_finite().then_some(spread.max(0.0))
        };
        let told = [self.now, self.then].into_iter().filter_map(of).fold(0.0, f64::max);
        let few = answers(self.now).min(answers(self.then)) < ENOUGH;
        if few { told.max(SUPPOSED_SPREAD) } else { told }
    }

    /// Whether a speedup is less than it was by more than its confidence intervals explain; none where one of them has
    /// none. What holds of a speedup holds of its share of the ceiling.
    fn intervals(&self, then: f64, now: f64) -> Option<bool> {
        let error = |trial: &Trial| {
            let measured = trial.measured.as_ref()?;
            let (low, high) = measured.interval?;
            // A 95 % interval is 1.96 standard errors to each side; relative, so that it is the efficiency's too.
            let error = (high - low) / (2.0 * 1.96 * measured.speedup);
            error.is_finite().then_some(error)
        };
        let (of_then, of_now) = (error(self.then)? * then, error(self.now)? * now);
        Some(then - now > SURE * of_then.hypot(of_now))
    }
}

fn answers(trial: &Trial) -> u64 {
    trial.summary.successful_tasks
}

fn tasks(trial: &Trial) -> u64 {
    trial.summary.total_tasks
}

fn calls(trial: &Trial) -> u64 {
    trial.summary.api_calls_count
}

/// How likely it is that so few of `m` are well by chance alone, or fewer, where so many of `n` were: the one-sided
/// exact test of Fisher (1935), the lower tail of the hypergeometric distribution.
fn chance_of_fewer((then, n): (u64, u64), (now, m): (u64, u64)) -> f64 {
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
    use std::time::Duration;

    use super::*;
    use crate::testing::Random;
    use crate::trial::testing::of;

    /// From 0 to 1, neither of them.
    fn uniform(random: &mut Random) -> f64 {
        ((random.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// A trial of so many calls, whose latencies are lognormal with this spread around 4 s, and whose costs are too.
    fn drawn(tasks: u64, spread: f64, factor: f64, random: &mut Random) -> Trial {
        // Box and Muller (1958).
        let mut normal = || {
            let (u, v) = (uniform(random), uniform(random));
            (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
        };
        let mut latencies: Vec<f64> = (0..tasks).map(|_| 4.0 * factor * (spread * normal()).exp()).collect();
        latencies.sort_by(f64::total_cmp);
        let at = |p: u64| latencies[((p * tasks).div_ceil(100) - 1) as usize];
        let mut trial = of("parallel", tasks, 40.0);
        let metrics = &mut trial.summary.metrics;
        metrics.p50_latency = Some(Duration::from_secs_f64(at(50)));
        metrics.p95_latency = Some(Duration::from_secs_f64(at(95)));
        let mean = latencies.iter().sum::<f64>() / tasks as f64;
        trial.summary.cost.avg_cost_per_task = sortie_core::money::Usd::from_f64(mean / 1000.0);
        trial
    }

    /// Of 500 pairs of trials the share, in percent, in which each of these is called worse.
    fn called_worse(tasks: u64, spread: f64, factor: f64) -> [f64; 3] {
        let mut random = Random::seeded(tasks);
        let mut worse = [0_u32; 3];
        for _ in 0..500 {
            let then = drawn(tasks, spread, 1.0, &mut random);
            let now = drawn(tasks, spread, factor, &mut random);
            let before = super::super::before(&now, &then);
            for (count, name) in worse.iter_mut().zip(["p50_latency", "p95_latency", "cost_per_task"]) {
                let change = before.figures.iter().find(|change| change.name == name).unwrap();
                *count += u32::from(change.regressed);
            }
        }
        worse.map(|count| f64::from(count) / 5.0)
    }

    #[test]
    fn what_did_not_change_is_seldom_called_worse() {
        for (tasks, spread) in [(5, 0.4), (10, 0.5), (30, 0.2), (30, 0.5), (200, 0.4), (500, 0.6)] {
            let worse = called_worse(tasks, spread, 1.0);
            assert!(worse.iter().all(|share| *share <= 2.0), "{tasks} tasks, spread {spread}: {worse:?} %");
        }
    }

    #[test]
    fn what_became_much_worse_is_mostly_called_so() {
        for (tasks, factor) in [(5, 10.0), (30, 2.5), (200, 1.4), (500, 1.3)] {
            let worse = called_worse(tasks, 0.4, factor);
            assert!(worse.iter().all(|share| *share >= 75.0), "{tasks} tasks, {factor} times: {worse:?} %");
        }
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
