//! Is it fast and reliable enough (SPEC.md K2): speedup, or efficiency where no schedule reaches that speedup
//! (DESIGN.md decision 10); success rate; latency.

use std::collections::BTreeMap;

use sortie_core::ceiling::Bound;
use sortie_core::failure::Class;
use sortie_core::run::event::Outcome;
use sortie_core::run::input::Mode;

use super::{Criteria, Criterion, Evidence, orders, reaches};
use crate::bound;
use crate::controls::loosest;
use crate::fold::Status;
use crate::summary::Speedup;
use crate::trial::Measured;
use crate::trial::words::serially;
use crate::units::{count, duration, percent, seconds};

/// What is known of the speedup: the run's, with its bound; else why there is none to speak of.
fn speedup_of(evidence: &Evidence) -> Result<(Speedup, Bound), &'static str> {
    let report = evidence.report;
    if evidence.makes_faults {
        return Err("faults were made on purpose, which take their time");
    }
    match (report.bound, report.summary.cost.tasks_count, report.summary.mode) {
        (None, ..) | (_, 0, _) => Err("no call was made"),
        (_, 1, _) => Err("a single task has nothing to run beside"),
        (_, _, Mode::Serial) => Err("its tasks ran one after the other on purpose (serial mode)"),
        (Some(bound), _, Mode::Parallel) => {
            let estimated = || report.summary.speedup.clone();
            let width = loosest(report.fold).max_concurrent;
            let measured = |measured: &Measured| measured.speedup(Some(bound), width);
            Ok((evidence.measured.map_or_else(estimated, measured), bound))
        }
    }
}

/// As a sentence names it: `3.26x`.
fn times(speedup: f64) -> String {
    format!("{speedup:.2}x")
}

/// How the speedup came to be known, and the interval that it lies in.
fn known_by(evidence: &Evidence) -> String {
    match evidence.measured {
        None => "estimated from its calls one after the other".to_owned(),
        Some(measured) => {
            let halves = format!(
                "measured: {} serially, {} side by side",
                serially(measured),
                duration(measured.parallel)
            );
            match measured.interval {
                Some((low, high)) => format!("{halves}; 95 % confidence: {} to {}", times(low), times(high)),
                None => halves,
            }
        }
    }
}

/// By what the speed is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Speedup,
    /// No schedule reaches the speedup that is asked for.
    Efficiency,
    /// One could, but with bad luck in the order of its tasks no more than so much would be reached.
    EfficiencyForLuck(f64),
}

/// The speed of a run, and what it is held against.
struct Speed {
    /// So many times faster than one after the other.
    speedup: f64,
    ceiling: f64,
    /// The part of the ceiling that was reached, 0 to 1.
    efficiency: f64,
    bound_by: &'static str,
    by: By,
    /// The speedup that is asked for.
    least_speedup: f64,
    least_efficiency: f64,
    /// Whether that is less than usual, because with bad luck no more is reached.
    is_lowered: bool,
}

/// The speed of a run; else why there is none to speak of. What nobody stated allows for luck: the ceiling knows how
/// long each call will take.
fn speed(evidence: &Evidence, thresholds: &Criteria) -> Result<Speed, &'static str> {
    let (known, bound) = speedup_of(evidence)?;
    let (Some(speedup), Some(ceiling), Some(efficiency)) = (known.speedup, known.ceiling, known.efficiency)
    else {
        return Err("it took no time");
    };
    let least_speedup = thresholds.min_speedup.unwrap_or(Criteria::SPEEDUP);
    let least_efficiency = thresholds.min_efficiency.unwrap_or(Criteria::EFFICIENCY);
    let (is_possible, is_fast) = (reaches(ceiling, least_speedup), reaches(speedup, least_speedup));
    let is_missed = if is_possible { !is_fast } else { !reaches(efficiency, least_efficiency) };
    // With bad luck, this part of what was reached.
    let luck = if is_missed { orders::unlucky(evidence.report) } else { None };
    let luck = luck.map(|unlucky| bound.makespan.as_secs_f64() / efficiency / unlucky.as_secs_f64());
    let by = match luck.map(|luck| speedup * luck) {
        _ if !is_possible => By::Efficiency,
        Some(unlucky) if thresholds.min_speedup.is_none() && !reaches(unlucky, least_speedup) => {
            By::EfficiencyForLuck(unlucky)
        }
        _ => By::Speedup,
    };
    let unlucky = luck.filter(|_| thresholds.min_efficiency.is_none()).map(|luck| efficiency * luck);
    let lowered = unlucky.filter(|unlucky| *unlucky < least_efficiency);
    Ok(Speed {
        speedup,
        ceiling,
        efficiency,
        bound_by: bound::words(bound.binding, Mode::Parallel),
        by,
        least_speedup,
        least_efficiency: lowered.unwrap_or(least_efficiency),
        is_lowered: lowered.is_some(),
    })
}

/// At least so many times faster than one after the other, where any schedule could be.
pub(super) fn speedup(evidence: &Evidence, thresholds: &Criteria) -> Criterion {
    let name = "speedup";
    let of = match speed(evidence, thresholds) {
        Ok(of) => of,
        Err(why) => {
            let least = thresholds.min_speedup.unwrap_or(Criteria::SPEEDUP);
            return Criterion::not_applicable(name, why).with(None, least);
        }
    };
    let (reached, ceiling, bound_by) = (times(of.speedup), times(of.ceiling), of.bound_by);
    let found = match of.by {
        By::Speedup => {
            let why = format!("{reached} of at most {ceiling} (bound by {bound_by}), {}", known_by(evidence));
            Criterion::of(name, reaches(of.speedup, of.least_speedup), why)
        }
        By::Efficiency => Criterion::not_applicable(
            name,
            format!(
                "{reached}, and no schedule of these calls is more than {ceiling} (bound by {bound_by}): judged by \
                 the efficiency"
            ),
        ),
        By::EfficiencyForLuck(unlucky) => Criterion::not_applicable(
            name,
            format!(
                "{reached} of at most {ceiling} (bound by {bound_by}), and no more than {} with bad luck in the order \
                 of so few tasks, whose lengths nobody knows beforehand: judged by the efficiency",
                times(unlucky)
            ),
        ),
    };
    found.with(of.speedup, of.least_speedup)
}

/// So much of the possible speedup, where that is below the one that is asked for.
pub(super) fn efficiency(evidence: &Evidence, thresholds: &Criteria) -> Criterion {
    let name = "efficiency";
    let of = match speed(evidence, thresholds) {
        Ok(of) => of,
        Err(why) => {
            let least = thresholds.min_efficiency.unwrap_or(Criteria::EFFICIENCY);
            return Criterion::not_applicable(name, why).with(None, least);
        }
    };
    let (reached, ceiling) = (times(of.speedup), times(of.ceiling));
    if of.by == By::Speedup && thresholds.min_efficiency.is_none() {
        let why = format!("up to {ceiling} is possible: judged by the speedup");
        let least = thresholds.min_efficiency.unwrap_or(Criteria::EFFICIENCY);
        return Criterion::not_applicable(name, why).with(of.efficiency, least);
    }
    let mut why =
        format!("{reached} of the possible {ceiling}, bound by {}; {}", of.bound_by, known_by(evidence));
    if of.is_lowered {
        let least = percent(100.0 * of.least_efficiency);
        why = format!(
            "{why}; who does not know how long each task will take reaches {least} with bad luck in their order"
        );
    }
    Criterion::of(name, reaches(of.efficiency, of.least_efficiency), why)
        .with(of.efficiency, of.least_efficiency)
}

/// At least so many of a hundred tasks succeed; of a run that something ended before its time not enough do, however
/// many had.
pub(super) fn success_rate(evidence: &Evidence, thresholds: &Criteria) -> Criterion {
    let (name, least) = ("success_rate", thresholds.min_success_rate);
    let (mut good, mut total) = (0_u64, 0_u64);
    let mut classes: BTreeMap<Class, u64> = BTreeMap::new();
    for (.., view) in evidence.counting() {
        total += 1;
        good += u64::from(view.status == Status::Succeeded);
        let failure = view.failure.as_ref().filter(|_| view.status == Status::Failed);
        if let Some(failure) = failure {
            *classes.entry(failure.class).or_default() += 1;
        }
    }
    if total == 0 {
        return Criterion::not_applicable(name, "there are no tasks that are meant to succeed")
            .with(None, least);
    }
    let value = 100.0 * good as f64 / total as f64;
    let reached = format!("{good} of {} succeeded ({})", count(total, "task"), percent(value));
    let stopped = match evidence.report.fold.outcome() {
        Some(
            Outcome::ProviderStopped { .. } | Outcome::TooManyFailures { .. } | Outcome::TimedOut { .. },
        ) => true,
        Some(Outcome::Completed | Outcome::BudgetExceeded { .. } | Outcome::Interrupted { .. }) | None => {
            false
        }
    };
    let met = reaches(value, least) && !stopped;
    if met {
        return Criterion::of(name, true, reached).with(value, least);
    }
    let mut why = reached;
    let is_over_budget = matches!(evidence.report.fold.outcome(), Some(Outcome::BudgetExceeded { .. }));
    if is_over_budget {
        // Which one and by how much is said where the budget is judged.
        why += ": a budget stopped the run";
    } else if let Some(error) = &evidence.report.summary.error {
        why = format!("{why}: {error}");
    }
    let mut classes: Vec<(Class, u64)> = classes.into_iter().collect();
    classes.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let classes: Vec<String> =
        classes.iter().map(|(class, n)| format!("{} {class}", count(*n, "time"))).collect();
    if !classes.is_empty() {
        why = format!("{why} ({})", classes.join(", "));
    }
    Criterion::of(name, false, why).with(value, least)
}

/// 95 % of the answers took less than this.
pub(super) fn p95_latency(evidence: &Evidence, thresholds: &Criteria) -> Criterion {
    let (name, most) = ("p95_latency", thresholds.max_p95_latency);
    let Some(p95) = evidence.report.summary.metrics.p95_latency else {
        return Criterion::not_applicable(name, "no answer came").with(None, most);
    };
    let value = seconds(p95);
    let why = format!("95 % of the answers took {} or less", duration(p95));
    Criterion::of(name, value < most, why).with(value, most)
}

#[cfg(test)]
mod tests;
