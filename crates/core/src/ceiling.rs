//! The least time that these very tasks can take under these limits, and what binds.
//!
//! A speedup says little without its ceiling: five tasks in a diamond cannot be 2.5 times faster
//! than serially, and at 50 requests a minute and 4 s a call nothing is more than 3.3 times faster.
//! Each bound below holds for every schedule, so the largest of them does; none of them looks at
//! two causes at once, so the true minimum may be longer.

use std::cmp::Reverse;
use std::fmt;
use std::time::Duration;

use crate::plan::{Plan, TaskId};
use crate::run::input::{Mode, Settings};

/// What a task's call took, or is expected to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// How long the call took.
    pub duration: Duration,
    /// Input tokens that count against the limit.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Whether any of it went to a fallback: then no account's limits are known to have bound all of it.
    pub elsewhere: bool,
}

/// The least time, and why not less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The least time.
    pub makespan: Duration,
    /// What binds.
    pub binding: Binding,
}

/// What keeps a plan from being faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The longest chain of dependent tasks.
    LongestPath,
    /// How many calls may be in flight.
    Concurrency,
    /// Requests a minute.
    Requests,
    /// Input tokens a minute.
    InputTokens,
    /// Output tokens a minute.
    OutputTokens,
}

impl Binding {
    /// The name in summaries and forecasts.
    pub const fn name(self) -> &'static str {
        match self {
            Binding::LongestPath => "longest_path",
            Binding::Concurrency => "concurrency",
            Binding::Requests => "requests_per_minute",
            Binding::InputTokens => "input_tokens_per_minute",
            Binding::OutputTokens => "output_tokens_per_minute",
        }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A lower bound of the makespan of the tasks that `work` knows; `None` where it knows none.
pub fn lower_bound(plan: &Plan, settings: &Settings, work: impl Fn(TaskId) -> Option<Work>) -> Option<Bound> {
    let mut known: Vec<(TaskId, Work)> = plan.ids().filter_map(|id| Some((id, work(id)?))).collect();
    if known.is_empty() {
        return None;
    }
    // Sorted once: the bounds of the whole and of each gate count from the longest call.
    known.sort_unstable_by_key(|(_, work)| Reverse(work.duration));
    let mut by_gate = vec![Vec::new(); settings.gates.len()];
    for (id, work) in known.iter().filter(|(_, work)| !work.elsewhere) {
        if let Some(here) = by_gate.get_mut(plan.agent_of(*id).gate.index()) {
            here.push((*id, *work));
        }
    }
    let paths = plan.paths(|id| work(id).unwrap_or_default().duration);
    let slots = match settings.mode {
        Mode::Serial => 1,
        Mode::Parallel => settings.max_concurrent.max(1),
    };
    let mut bounds = vec![
        (paths.iter().map(|(_, after)| *after).max().unwrap_or_default(), Binding::LongestPath),
        (concurrency(known.iter().map(|(_, work)| work.duration), slots), Binding::Concurrency),
    ];
    for (spec, here) in settings.gates.iter().zip(&by_gate) {
        if here.is_empty() {
            continue;
        }
        if let Some(slots) = spec.max_concurrent {
            bounds
                .push((concurrency(here.iter().map(|(_, work)| work.duration), slots), Binding::Concurrency));
        }
        if let Some(rate) = spec.requests_per_minute {
            let within = here.iter().map(|(id, _)| paths[id.index()]).collect();
            bounds.push((requests(within, rate, spec.requests_burst), Binding::Requests));
        }
        for (rate, binding, tokens) in [
            (spec.input_tokens_per_minute, Binding::InputTokens, sum(here, |work| work.input_tokens)),
            (spec.output_tokens_per_minute, Binding::OutputTokens, sum(here, |work| work.output_tokens)),
        ] {
            if let Some(rate) = rate {
                // A full bucket holds a minute's quota.
                bounds.push((refill(tokens.saturating_sub(rate), rate), binding));
            }
        }
    }
    let (makespan, binding) = bounds.into_iter().rev().max_by_key(|(makespan, _)| *makespan)?;
    Some(Bound { makespan, binding })
}

/// Work shared by `slots`, with its rounding: of the m longest calls some slot has at least
/// ⌈m / slots⌉, which take at least as long as the shortest so many of those m. The longest come
/// first.
fn concurrency(durations: impl ExactSizeIterator<Item = Duration>, slots: u32) -> Duration {
    let slots = slots.max(1) as usize;
    let len = durations.len();
    let mut before = Vec::with_capacity(len + 1);
    before.push(Duration::ZERO);
    for duration in durations {
        before.push(before[before.len() - 1].saturating_add(duration));
    }
    let evenly = before[len] / slots as u32;
    // Only m = k * slots + 1 can be more than the one before it.
    let rounded = (0..).map(|k| (k + 1, k * slots + 1)).take_while(|&(_, m)| m <= len);
    rounded
        .map(|(share, m)| before[m].saturating_sub(before[m - share]))
        .max()
        .unwrap_or_default()
        .max(evenly)
}

/// How many moments are tried from which on starts are counted.
const MOST_MOMENTS: usize = 64;

/// The last starts that a request rate allows, between what has to come before each task and what comes from its
/// start on. Of n tasks that have so much before them the last starts no earlier than (n − burst) / rate after that,
/// and what comes from there on is at least the shortest of theirs (the one-machine bound with heads and tails:
/// J. Carlier, "The one-machine sequencing problem", 1982; here the machine is the rate).
fn requests(mut within: Vec<(Duration, Duration)>, per_minute: u32, burst: u32) -> Duration {
    within.sort_unstable_by_key(|(_, after)| Reverse(*after));
    let mut moments: Vec<Duration> = within.iter().map(|(before, _)| *before).collect();
    moments.sort_unstable();
    moments.dedup();
    let every = moments.len().div_ceil(MOST_MOMENTS).max(1);
    let start = |k: usize| refill((k as u64 + 1).saturating_sub(u64::from(burst)), u64::from(per_minute));
    let from = |moment: &Duration| {
        let later = within.iter().filter(|(before, _)| before >= moment).enumerate();
        later.map(|(k, (_, after))| moment.saturating_add(start(k)).saturating_add(*after)).max()
    };
    moments.iter().step_by(every).filter_map(from).max().unwrap_or_default()
}

/// How long a bucket takes to gain so much.
fn refill(amount: u64, per_minute: u64) -> Duration {
    Duration::from_secs_f64(amount as f64 * 60.0 / per_minute.max(1) as f64)
}

fn sum(work: &[(TaskId, Work)], of: impl Fn(&Work) -> u64) -> u64 {
    work.iter().map(|(_, work)| of(work)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(s: &[u64]) -> Vec<Duration> {
        s.iter().copied().map(Duration::from_secs).collect()
    }

    #[test]
    fn slots_round_up() {
        let check = |durations: &[u64], slots, expected| {
            let bound = concurrency(seconds(durations).into_iter(), slots);
            assert_eq!(bound, Duration::from_secs(expected), "{durations:?} on {slots}");
        };
        check(&[4; 10], 4, 12);
        check(&[4; 10], 10, 4);
        check(&[4; 10], 1, 40);
        check(&[9, 1, 1, 1], 2, 9);
        check(&[3, 3, 2, 2, 2], 2, 6);
        check(&[5, 5, 5], 2, 10);
    }

    #[test]
    fn fifty_a_minute_and_four_seconds_a_call_is_three_point_three_times_faster() {
        let work = vec![(Duration::ZERO, Duration::from_secs(4)); 100];
        let bound = requests(work, 50, 1);
        assert_eq!(bound, Duration::from_secs_f64(99.0 * 1.2 + 4.0));
        assert!((400.0 / bound.as_secs_f64() - 3.26).abs() < 0.01);
    }

    #[test]
    fn starts_are_counted_between_what_comes_before_and_after() {
        // 1 → {2, 3, 4} → 5, a second each: at 60/min the third of the middle starts at 3 s.
        let second = Duration::from_secs(1);
        let middle = (second, 2 * second);
        let work = vec![(Duration::ZERO, 3 * second), middle, middle, middle, (2 * second, second)];
        assert_eq!(requests(work.clone(), 60, 1), 5 * second);
        assert_eq!(requests(work.clone(), 60, 2), 4 * second);
        assert_eq!(requests(work, 60, 5), 3 * second);
    }
}
