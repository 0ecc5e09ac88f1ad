//! The figures that criteria and comparisons are about: their names in documents, in words, and their units.
//! A name that is not in the list is shown as it is written, so that an older report of a newer trial is not empty.

use std::time::Duration;

use sortie_core::money::Usd;

use super::Criterion;
use crate::units::{duration, grouped, money, percent};

/// In what a figure is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Of a hundred.
    Percent,
    /// Of one, shown as of a hundred.
    Share,
    Seconds,
    /// How many times something.
    Times,
    /// Tasks a second.
    Rate,
    Dollars,
    /// A count, or what has no unit.
    Number,
}

/// How a figure is held against a threshold, and thus which way it is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    AtLeast,
    AtMost,
    /// Not so much itself.
    Under,
}

impl Bound {
    const fn words(self) -> &'static str {
        match self {
            Bound::AtLeast => "at least",
            Bound::AtMost => "at most",
            Bound::Under => "under",
        }
    }
}

/// A figure that documents name.
#[derive(Debug)]
pub(super) struct Figure {
    pub(super) name: &'static str,
    /// In words, for somebody who has not seen the program.
    pub(super) title: &'static str,
    pub(super) unit: Unit,
    pub(super) bound: Bound,
}

const fn figure(name: &'static str, title: &'static str, unit: Unit, bound: Bound) -> Figure {
    Figure { name, title, unit, bound }
}

/// All of them: criteria first, in the order of SPEC.md K.
const FIGURES: [Figure; 16] = [
    figure("task_types", "every type of task works", Unit::Number, Bound::AtLeast),
    figure("dependencies", "tasks start after those they need", Unit::Number, Bound::AtLeast),
    figure("error_recovery", "errors are recovered from", Unit::Number, Bound::AtLeast),
    figure("priorities", "what is to go first goes first", Unit::Number, Bound::AtLeast),
    figure("fit", "the endpoint's scenario is written", Unit::Number, Bound::AtLeast),
    figure("speedup", "speedup over one task at a time", Unit::Times, Bound::AtLeast),
    figure("efficiency", "share of the possible speedup", Unit::Share, Bound::AtLeast),
    figure("success_rate", "tasks that succeed", Unit::Percent, Bound::AtLeast),
    figure("p95_latency", "latency of 95 % of the answers", Unit::Seconds, Bound::Under),
    figure("budget", "cost of the trial, risk included", Unit::Dollars, Bound::AtMost),
    figure("cost_per_task", "cost per task", Unit::Dollars, Bound::Under),
    figure("cost_outlier", "dearest task to its type's median", Unit::Times, Bound::AtMost),
    // Those of comparisons besides.
    figure("p50_latency", "latency of half of the answers", Unit::Seconds, Bound::AtMost),
    figure("throughput", "throughput", Unit::Rate, Bound::AtLeast),
    figure("error_rate", "calls that failed", Unit::Percent, Bound::AtMost),
    figure("throttled_rate", "calls that were throttled", Unit::Percent, Bound::AtMost),
];

/// What is known of the figure of this name.
pub(super) fn named(name: &str) -> Option<&'static Figure> {
    FIGURES.iter().find(|figure| figure.name == name)
}

/// The figure of this name in words. It may be text from outside.
pub(super) fn title(name: &str) -> String {
    named(name).map_or_else(|| name.replace('_', " "), |figure| figure.title.to_owned())
}

fn unit(name: &str) -> Unit {
    named(name).map_or(Unit::Number, |figure| figure.unit)
}

/// A value of the figure of this name.
pub(super) fn shown_of(name: &str, value: f64) -> String {
    shown(value, unit(name))
}

/// A value in its unit.
pub(super) fn shown(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Percent => percent(value),
        Unit::Share => percent(100.0 * value),
        Unit::Seconds => seconds(value).map_or_else(|| plain(value), duration),
        Unit::Times => format!("{value:.2}x"),
        Unit::Rate => format!("{value:.2} tasks/s"),
        Unit::Dollars => Usd::from_f64(value).map_or_else(|| plain(value), money),
        Unit::Number => plain(value),
    }
}

/// A value in a unit that a comparison names: `s`, `USD`, `x`, `%`; another is put behind it, as text from outside.
pub(super) fn in_unit(value: f64, unit: &str) -> String {
    match unit {
        "s" => shown(value, Unit::Seconds),
        "USD" => shown(value, Unit::Dollars),
        "x" => shown(value, Unit::Times),
        "%" => shown(value, Unit::Percent),
        "tasks/s" => shown(value, Unit::Rate),
        "calls" => {
            let calls = if shown(value, Unit::Number) == "1" { "call" } else { "calls" };
            format!("{} {calls}", shown(value, Unit::Number))
        }
        other => format!("{} {}", shown(value, Unit::Number), other),
    }
}

/// Seconds as a duration; none of what is negative or no number.
fn seconds(value: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(value).ok()
}

/// Whole numbers whole, others with two decimals.
fn plain(value: f64) -> String {
    if value.fract() == 0.0 && (0.0..1e15).contains(&value) {
        return grouped(value as u64);
    }
    format!("{value:.2}")
}

/// From one value to another: `+12 %`, `−3.4 %`, `unchanged`; a dash where there is no such share.
pub(super) fn change((then, now): (f64, f64)) -> String {
    let change = 100.0 * (now / then - 1.0);
    match percent(change.abs()) {
        _ if now - then == 0.0 => "unchanged".to_owned(),
        _ if !change.is_finite() => "–".to_owned(),
        none if none == "0 %" || none.starts_with('<') => "unchanged".to_owned(),
        some => format!("{}{some}", sign(change)),
    }
}

/// The change of the figure of this name: in points of a hundred where it is counted in these, else in percent.
pub(super) fn change_of(name: &str, (then, now): (f64, f64)) -> String {
    match unit(name) {
        Unit::Percent if now - then == 0.0 => "unchanged".to_owned(),
        Unit::Percent => format!("{}{:.1} points", sign(now - then), (now - then).abs()),
        _ => change((then, now)),
    }
}

const fn sign(change: f64) -> &'static str {
    if change < 0.0 { "−" } else { "+" }
}

/// What was measured of a criterion: a figure, or yes or no where it is none.
pub(super) fn measured(criterion: &Criterion) -> String {
    let Some(value) = criterion.value else {
        return match criterion.met {
            Some(true) => "yes".to_owned(),
            Some(false) => "no".to_owned(),
            None => "–".to_owned(),
        };
    };
    let unit = unit(&criterion.name);
    let rounded = shown(value, unit);
    // Of what was missed by little, as many digits as there are: 15.02 s is not 15.0 s.
    let hidden = criterion.met == Some(false)
        && criterion.threshold.is_some_and(|threshold| shown(threshold, unit) == rounded);
    match unit {
        _ if !hidden => rounded,
        Unit::Percent => format!("{value} %"),
        Unit::Share => format!("{} %", 100.0 * value),
        Unit::Seconds => format!("{value} s"),
        Unit::Times => format!("{value}x"),
        Unit::Rate => format!("{value} tasks/s"),
        Unit::Dollars => format!("${value}"),
        Unit::Number => value.to_string(),
    }
}

/// What a criterion required: `at least 95 %`, `under 15 s`; `yes` where it is no figure.
pub(super) fn required(criterion: &Criterion) -> String {
    let Some(threshold) = criterion.threshold else {
        let is_figure = unit(&criterion.name) != Unit::Number;
        return if is_figure { "–" } else { "yes" }.to_owned();
    };
    let bound = short(&shown(threshold, unit(&criterion.name)));
    match named(&criterion.name) {
        Some(figure) => format!("{} {bound}", figure.bound.words()),
        None => bound,
    }
}

/// A threshold as one would write it: `15 s` and `2.5x` instead of `15.0 s` and `2.50x`.
fn short(text: &str) -> String {
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ',' | '$')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    if !number.contains('.') || number.starts_with('$') {
        return text.to_owned();
    }
    format!("{}{unit}", number.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn criterion(name: &str, value: Option<f64>, threshold: Option<f64>, met: Option<bool>) -> Criterion {
        Criterion { name: name.to_owned(), value, threshold, met, why: String::new() }
    }

    #[test]
    fn what_has_no_threshold_requires_nothing_and_a_change_of_nearly_nothing_is_none() {
        assert_eq!(required(&criterion("budget", None, None, None)), "–");
        assert_eq!(required(&criterion("task_types", None, None, Some(true))), "yes");
        assert_eq!(change((1.0, 0.9998)), "unchanged");
        assert_eq!(change((1.0, 0.99)), "−1 %");
    }

    #[test]
    fn what_was_measured_and_required_is_shown_in_its_unit() {
        for (name, value, threshold, shown) in [
            ("success_rate", 66.666, 95.0, "66.7 %, at least 95 %"),
            ("p95_latency", 7.24, 15.0, "7.2 s, under 15 s"),
            ("p95_latency", 150.0, 90.0, "2 min 30 s, under 1 min 30 s"),
            ("speedup", 2.983, 2.5, "2.98x, at least 2.5x"),
            ("efficiency", 0.914, 0.9, "91.4 %, at least 90 %"),
            ("cost_per_task", 0.0046, 0.1, "$0.0046, under $0.10"),
            ("cost_outlier", 1.5, 3.0, "1.50x, at most 3x"),
            ("what_comes_later", 1234.0, 1000.0, "1,234, 1,000"),
        ] {
            let of = criterion(name, Some(value), Some(threshold), Some(true));
            assert_eq!(format!("{}, {}", measured(&of), required(&of)), shown, "{name}");
        }
    }

    #[test]
    fn one_call_is_a_call() {
        assert_eq!([0.0, 1.0, 2.0].map(|n| in_unit(n, "calls")), ["0 calls", "1 call", "2 calls"]);
    }

    #[test]
    fn what_is_no_figure_is_yes_or_no() {
        for (met, shown) in [(Some(true), "yes"), (Some(false), "no"), (None, "–")] {
            assert_eq!(measured(&criterion("dependencies", None, None, met)), shown);
        }
        assert_eq!(required(&criterion("dependencies", None, None, None)), "yes");
    }

    #[test]
    fn what_was_missed_by_little_does_not_look_as_if_it_were_met() {
        for (name, value, threshold, shown) in [
            ("p95_latency", 15.02, 15.0, "15.02 s"),
            ("success_rate", 94.99, 95.0, "94.99 %"),
            ("speedup", 2.4999, 2.5, "2.4999x"),
        ] {
            assert_eq!(measured(&criterion(name, Some(value), Some(threshold), Some(false))), shown);
        }
    }

    #[test]
    fn a_figure_that_is_no_number_does_not_end_the_report() {
        for value in [f64::NAN, f64::INFINITY, -1.0] {
            for figure in &FIGURES {
                assert!(!shown_of(figure.name, value).is_empty());
            }
        }
    }

    #[test]
    fn every_name_is_there_once() {
        for figure in &FIGURES {
            assert_eq!(
                FIGURES.iter().filter(|other| other.name == figure.name).count(),
                1,
                "{}",
                figure.name
            );
        }
    }
}
