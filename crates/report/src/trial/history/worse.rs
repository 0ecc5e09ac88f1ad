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
use super::super::chance::{OF_MEAN, OF_MEDIAN, OF_P95, SUPPOSED_SPREAD, SURE, UNLIKELY, chance_of_fewer};
use super::super::figure::{Bound, named};

/// From the median of a normal distribution to its 95th percentile, in standard deviations.
const P95: f64 = 1.645;
/// Answers from which on p50 and p95 tell the spread.
const ENOUGH: u64 = 20;

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::Random;
    use crate::trial::testing::{lognormal, of};

    /// A trial of so many calls, whose latencies are lognormal with this spread around 4 s, and whose costs are too.
    fn drawn(tasks: u64, spread: f64, factor: f64, random: &mut Random) -> Trial {
        let mut latencies: Vec<f64> = (0..tasks).map(|_| 4.0 * factor * lognormal(spread, random)).collect();
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
}
