//! How sure a measured speedup is: its confidence interval, by resampling the calls of both halves.
//!
//! Calls of one type of task are taken to be drawn from one law. Each resample draws them anew: the serial half is their
//! sum, the parallel half is the plan played with them under the run's own limits by the core's own machine, and both
//! are scaled so that the calls as they were come to the times that were measured. What does not come from calls (waits
//! between retries, the way there) is kept in proportion.
//!
//! Resampled as they are, few calls vary too little: none is longer than the longest that was seen. So they are drawn on
//! a logarithmic scale, smoothed, and with the variance of the law rather than of the sample (B. W. Silverman and
//! G. A. Young, "The bootstrap: to smooth or not to smooth?", 1987; A. C. Davison and D. V. Hinkley, "Bootstrap methods and
//! their application", 1997, 3.4).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sortie_core::chance::Chance;
use sortie_core::forecast::{Laws, makespan};
use sortie_core::hash::Hash;
use sortie_core::plan::{Plan, TaskId};
use sortie_core::run::input::{Mode, Settings};
use sortie_report::fold::Fold;
use sortie_report::trial::{Disturbed, Measured};

/// Tasks in each half that make an interval: of fewer, their spread is not known.
const LEAST_TASKS: usize = 10;
/// Calls of a type that tell its spread by themselves; types with fewer are taken together.
const LEAST_OF_TYPE: usize = 4;
/// How often both halves are resampled: enough for the 2.5th percentile to rest on ten of them.
const RESAMPLES: usize = 400;
/// The part of them that lies outside of the interval, on each side.
const TAIL: f64 = 0.025;

/// Both halves of a speedup beside each other, with its interval; none where the parallel one took no time. `pause` is
/// what was waited in between.
pub fn measured(
    serial: &Fold,
    parallel: &Fold,
    pause: Duration,
    settings: &Settings,
    laws: &Laws,
    seed: u64,
) -> Option<Measured> {
    let interval = interval(serial, parallel, settings, laws, seed);
    Some(Measured { interval, ..beside(serial, parallel, pause)? })
}

/// The same without the interval.
pub fn beside(serial: &Fold, parallel: &Fold, pause: Duration) -> Option<Measured> {
    let took = |fold: &Fold| fold.elapsed(fold.last_time());
    let mut measured = Measured {
        serial: took(serial),
        parallel: took(parallel),
        pause,
        speedup: 0.0,
        interval: None,
        disturbed: Disturbed::of(serial, took(serial)),
    };
    measured.speedup = measured.counted().as_secs_f64() / took(parallel).as_secs_f64();
    measured.speedup.is_finite().then_some(measured)
}

/// The 95 % confidence interval of the speedup of two runs of the same plan, one after the other and side by side. Of
/// the serial half so much time counts.
/// `settings` and `laws` are what is expected of the parallel half: its limits, and its provider's
/// ([`Foresight`](crate::foresight::Foresight)). None where fewer than ten tasks were called in either half. The same
/// seed gives the same interval.
pub fn interval(
    serial: &Fold,
    parallel: &Fold,
    settings: &Settings,
    laws: &Laws,
    seed: u64,
) -> Option<(f64, f64)> {
    let plan = &parallel.run().plan;
    let (serially, side_by_side) = (Calls::of(serial), Calls::of(parallel));
    if serially.called.len().min(side_by_side.called.len()) < LEAST_TASKS {
        return None;
    }
    let took = |fold: &Fold| fold.elapsed(fold.last_time()).as_secs_f64();
    // What disturbed the serial half is no speed of the other one.
    let serially_took = Disturbed::of(serial, serial.elapsed(serial.last_time()))
        .map_or(took(serial), |disturbed| disturbed.answers.as_secs_f64());
    // What was spent is known to have fitted its budget; what is played is only expected to cost as much.
    let settings = Settings { mode: Mode::Parallel, budget: None, ..settings.clone() };
    let play = |calls: Vec<Duration>| played(plan, &settings, laws, calls);
    let (sum, span) = (serially.sum(), play(side_by_side.durations.clone()));
    if took(parallel) <= 0.0 || sum <= 0.0 || span <= 0.0 {
        return None;
    }
    let chance = &mut Chance::new(seed, &Hash::of(b"speedup"), "resample");
    let mut speedups: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let serial_time = serially_took * total(&serially.resampled(chance)) / sum;
            let parallel_time = took(parallel) * play(side_by_side.resampled(chance)) / span;
            serial_time / parallel_time
        })
        .filter(|speedup| speedup.is_finite())
        .collect();
    speedups.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| speedups.get((share * speedups.len() as f64) as usize).copied();
    at(TAIL).zip(speedups.iter().rev().nth((TAIL * speedups.len() as f64) as usize).copied())
}

/// How long the plan takes with these calls, in seconds.
fn played(plan: &Arc<Plan>, settings: &Settings, laws: &Laws, calls: Vec<Duration>) -> f64 {
    makespan(plan, settings, &laws.clone().stating(calls)).as_secs_f64()
}

fn total(durations: &[Duration]) -> f64 {
    durations.iter().map(Duration::as_secs_f64).sum()
}

/// The calls of a half.
struct Calls {
    /// How long each task was in calls, in the order of the plan; nothing where it was not called.
    durations: Vec<Duration>,
    called: Vec<TaskId>,
    /// What is drawn from for each called task, as a place in `kinds`.
    kind: Vec<usize>,
    kinds: Vec<Kind>,
}

/// Calls that are taken to be drawn from one law, by the logarithms of their seconds.
struct Kind {
    logs: Vec<f64>,
    mean: f64,
    /// How much resampled logarithms are spread beyond the sample's, so that they vary as the law does.
    widened: f64,
    /// The standard deviation of what each is smoothed by.
    smoothed: f64,
}

impl Kind {
    fn of(logs: Vec<f64>) -> Self {
        let n = logs.len().max(1) as f64;
        let mean = logs.iter().sum::<f64>() / n;
        let variance = logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / n;
        // Silverman's rule for a normal law ("Density estimation", 1986, 3.28).
        let bandwidth = 1.06 * n.powf(-0.2);
        let unbiased = n / (n - 1.0).max(1.0);
        let widened = (unbiased / (1.0 + bandwidth * bandwidth)).sqrt();
        Kind { logs, mean, widened, smoothed: bandwidth * variance.sqrt() }
    }

    fn draw(&self, chance: &mut Chance) -> Duration {
        let log = self.logs.get(chance.below(self.logs.len() as u64) as usize).copied().unwrap_or(self.mean);
        let off = log - self.mean + self.smoothed * chance.normal();
        Duration::from_secs_f64((self.mean + self.widened * off).exp().min(LONGEST))
    }
}

/// Seconds that a resampled call takes at most: what a damaged journal says has to stay a time.
const LONGEST: f64 = 1e6;

impl Calls {
    fn of(fold: &Fold) -> Self {
        let plan = &fold.run().plan;
        let durations: Vec<Duration> = fold.tasks().iter().map(|view| view.call_time).collect();
        let called: Vec<TaskId> = plan.ids().filter(|id| !durations[id.index()].is_zero()).collect();
        let mut by_type: BTreeMap<&str, Vec<TaskId>> = BTreeMap::new();
        for id in &called {
            by_type.entry(&plan.task(*id).task_type).or_default().push(*id);
        }
        let (known, few): (Vec<_>, Vec<_>) =
            by_type.into_values().partition(|tasks| tasks.len() >= LEAST_OF_TYPE);
        let few: Vec<TaskId> = few.into_iter().flatten().collect();
        let groups: Vec<Vec<TaskId>> = known.into_iter().chain((!few.is_empty()).then_some(few)).collect();
        let mut kind_of = vec![0; plan.len()];
        for (kind, group) in groups.iter().enumerate() {
            for id in group {
                kind_of[id.index()] = kind;
            }
        }
        let kind = called.iter().map(|id| kind_of[id.index()]).collect();
        let log = |id: &TaskId| durations[id.index()].as_secs_f64().ln();
        let kinds = groups.iter().map(|group| Kind::of(group.iter().map(log).collect())).collect();
        Calls { durations, called, kind, kinds }
    }

    fn sum(&self) -> f64 {
        total(&self.durations)
    }

    /// The same tasks with other calls.
    fn resampled(&self, chance: &mut Chance) -> Vec<Duration> {
        let mut durations = self.durations.clone();
        for (id, kind) in self.called.iter().zip(&self.kind) {
            if let Some(kind) = self.kinds.get(*kind) {
                durations[id.index()] = kind.draw(chance);
            }
        }
        durations
    }
}
