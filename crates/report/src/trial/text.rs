//! What a terminal shows of a trial: the block that ends it, and a checklist.
//!
//! Texts only, at most 100 places wide where words allow it. All text from outside passes
//! [`one_line`]. Every line ends with a line break.

use std::time::Duration;

use sortie_core::run::event::Signal;
use sortie_core::usage::Charge;
use unicode_width::UnicodeWidthStr;

use super::comparison::{Compared, Comparison};
use super::figure::{change, in_unit, measured, required, shown_of, title};
use super::words::{
    began, came, drifted, ended_by, name, sentence, serially, tally, unready, verdict, whole_cost,
};
use super::{Change, Criterion, Measured, Point, PointState, Recovery, Suggestion, Trial, Verdict};
use crate::amounts::charged;
use crate::summary;
use crate::table::{Side, table};
use crate::terminal::{Paint, Style, cost_line, cut, forecast_line, one_line, speedup_line};
use crate::units::{count, duration, money, percent};

/// Places of a line.
const WIDTH: usize = 100;
/// Characters of an answer that are shown (SPEC.md S1).
const MOST_SAID: usize = 100;
/// Places that a criterion's name takes.
const TITLE: usize = 34;
/// Places that what was measured takes, to its right.
const MEASURED: usize = 9;
/// Tests whose time says nothing of speed: of one task, and of faults that take theirs.
const UNTIMED: [&str; 2] = ["single", "fault-tolerance"];
/// Failed tasks that are named.
const MOST_FAILURES: usize = 5;
/// Suggestions that are shown; the report has them all.
const MOST_SUGGESTIONS: usize = 5;

/// The block that ends a trial. `said`: the answer of a single call.
pub fn block(trial: &Trial, said: Option<&str>, style: Style) -> String {
    let mut lines = headline(trial, style);
    if began(trial) {
        lines.extend(what_was_measured(trial, said));
    } else {
        let missing = trial.checklist.iter().filter(|point| point.state == PointState::Missing);
        lines.extend(missing.flat_map(|point| of_point(point, style)).map(|line| format!("  {line}")));
    }
    lines.extend(trial.criteria.iter().flat_map(|criterion| of_criterion(criterion, style)));
    lines.extend(failures(trial, style));
    lines.push(style.paint(Paint::Strong, &cost_line(&trial.summary)));
    lines.extend(whole_cost(trial).map(|whole| format!("  the whole trial: {whole}")));
    lines.extend(forecast_line(&trial.summary).map(|line| format!("  {line}")));
    lines.extend(bottleneck(trial));
    lines.extend(worse(trial, style));
    lines.extend(suggestions(trial));
    for note in &trial.notes {
        lines.extend(wrapped("Note: ", "  ", &sentence(&one_line(note))));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// `Trial speedup against api.anthropic.com: passed, all 7 criteria were met`, and below it why the run stopped.
fn headline(trial: &Trial, style: Style) -> Vec<String> {
    let paint = if trial.verdict == Verdict::Pass { Paint::Good } else { Paint::Bad };
    let (called, against, came) = (name(trial), one_line(&trial.endpoint), verdict(trial).to_lowercase());
    let called = one_line(&called);
    let simulated = if trial.summary.simulated { " (simulated)" } else { "" };
    let of_what = |called: &str| format!("Trial {called} against {against}{simulated}:");
    let with_tally = tally(trial).map_or_else(|| came.clone(), |tally| format!("{came}, {tally}"));
    let fits = of_what(&called).width() + 1 + with_tally.width() <= WIDTH;
    let of_what = of_what(&style.paint(Paint::Strong, &called));
    let mut lines = if fits {
        vec![format!("{of_what} {}", style.paint(paint, &with_tally))]
    } else {
        vec![of_what, format!("  {}", style.paint(paint, &with_tally))]
    };
    lines.extend(unready(trial).iter().flat_map(|unready| wrapped("  ", "  ", &one_line(unready))));
    // How many tasks failed is said below, and which.
    let stopped = trial.summary.pending_tasks > 0 || trial.failures.is_empty();
    if let Some(error) = ended_by(trial).filter(|_| stopped) {
        lines.extend(wrapped("  ", "  ", &one_line(error)));
    }
    lines
}

/// What this kind of trial is made for: of one call its answer, of two halves both times, else the successes; and
/// what else was tried and measured.
fn what_was_measured(trial: &Trial, said: Option<&str>) -> Vec<String> {
    let summary = &trial.summary;
    let took = duration(summary.total_duration);
    let mut lines = Vec::new();
    match (trial.test_type.as_str(), &trial.measured) {
        ("single", _) => {
            let came = if summary.successful_tasks > 0 { "The call succeeded" } else { "The call failed" };
            lines.push(format!("  {came} in {took}"));
            lines.extend(said.map(|said| format!("  {}", cut(&one_line(said.trim()), MOST_SAID))));
        }
        (_, Some(measured)) => lines.extend(wrapped("  ", "    ", &halves(measured))),
        (_, None) => {
            let rate = summary.success_rate.map_or_else(String::new, |rate| format!(" ({})", percent(rate)));
            let of = count(summary.total_tasks, "task");
            let meant = trial.failures.iter().filter(|failure| failure.on_purpose).count();
            let meant = if meant == 0 { String::new() } else { format!(", and {meant} failed on purpose") };
            lines.push(format!("  {} of {of} succeeded{rate} in {took}{meant}", summary.successful_tasks));
        }
    }
    lines.extend(
        speedup_line(summary)
            .filter(|_| !UNTIMED.contains(&&*trial.test_type) && trial.faults.is_empty())
            .map(|line| format!("  {line}")),
    );
    lines.extend(trial.recovery.as_ref().map(recovered));
    for of in &trial.faults {
        let but = if of.as_it_should() { "" } else { "but " };
        let text = format!(
            "{}: {} of {} succeeded in the end, {but}{}",
            one_line(&of.fault),
            of.recovered,
            count(of.tasks, "task"),
            came(of)
        );
        let text = match (of.tasks, of.calls) {
            (0, 0) => format!("{}: {}", one_line(&of.fault), came(of)),
            (0, calls) => format!("{}: {}", one_line(&of.fault), count(calls, "call")),
            _ => text,
        };
        lines.extend(wrapped("  ", "    ", &text));
    }
    let drifted = trial.drift.as_ref().and_then(drifted);
    lines.extend(drifted.iter().flat_map(|drifted| wrapped("  ", "    ", drifted)));
    let tested = if summary.simulated { "TESTED" } else { "REAL" };
    lines.extend(trial.comparison.iter().flat_map(|of| side_by_side(of, tested)));
    lines
}

fn halves(of: &Measured) -> String {
    let (serial, parallel) = (serially(of), duration(of.parallel));
    let interval = of
        .interval
        .map_or_else(String::new, |(low, high)| format!(" (95 % confidence: {low:.2}x to {high:.2}x)"));
    format!("Serial {serial}, parallel {parallel}: {:.2}x faster{interval}", of.speedup)
}

fn recovered(of: &Recovery) -> String {
    if let Some(why) = &of.not_made {
        return format!("  No recovery was tried: {}", one_line(why));
    }
    let (calls, at_risk) = (count(of.repeated_calls, "call"), money(of.at_risk));
    format!(
        "  Killed with {} of {} done, and resumed: {calls} repeated (at most {at_risk}), {} done twice",
        of.done_before,
        count(of.total_tasks, "task"),
        of.done_again
    )
}

/// The simulator beside the real API.
fn side_by_side(of: &Comparison, tested: &str) -> Vec<String> {
    let row = |of: &Compared| {
        let shown =
            |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| in_unit(value, &of.unit));
        [of.dimension.clone(), shown(of.simulated), shown(of.real)]
    };
    let rows: Vec<_> = of.rows.iter().map(row).collect();
    let columns = [("", Side::Left), ("SIMULATED", Side::Right), (tested, Side::Right)];
    let mut lines: Vec<String> = table(columns, &rows).lines().map(|line| format!("  {line}")).collect();
    lines.extend(of.fitted.iter().map(|fitted| {
        let [p50, p95, rate] = [fitted.p50_latency, fitted.p95_latency, fitted.throughput].map(change);
        let wide = fitted.max_concurrent;
        format!("  The fitted simulator {wide} at a time: p50 {p50}, p95 {p95}, throughput {rate}")
    }));
    lines
}

/// `✓ success rate    100 %  at least 95 %`, and why where it was not met or does not apply.
fn of_criterion(of: &Criterion, style: Style) -> Vec<String> {
    let (mark, paint) = match of.met {
        Some(true) => ("✓", Paint::Good),
        Some(false) => ("✗", Paint::Bad),
        None => ("–", Paint::Dim),
    };
    let name = padded(&one_line(&title(&of.name)), TITLE);
    let measured = measured(of);
    let space = " ".repeat(MEASURED.saturating_sub(measured.width()));
    let required = of.threshold.map_or_else(String::new, |_| format!("  {}", required(of)));
    let why = one_line(&of.why);
    let lines = match of.met {
        Some(true) => vec![format!("  {mark} {name} {space}{measured}{required}")],
        Some(false) => wrapped(&format!("  {mark} {name} {space}{measured}{required}: "), "      ", &why),
        None => wrapped(&format!("  {mark} {name} n/a: "), "      ", &why),
    };
    // Painted last: colour has no width.
    let painted = style.paint(paint, mark);
    lines
        .into_iter()
        .enumerate()
        .map(|(n, line)| if n == 0 { line.replacen(mark, &painted, 1) } else { line })
        .collect()
}

/// The text, and spaces up to this width.
fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// The tasks that failed and were not meant to.
fn failures(trial: &Trial, style: Style) -> Vec<String> {
    let all = || trial.failures.iter().filter(|failure| !failure.on_purpose && failure.class != "skipped");
    let mut lines: Vec<String> = Vec::new();
    for failure in all().take(MOST_FAILURES) {
        let name = style.paint(Paint::Bad, &one_line(&failure.task_id));
        let why = format!("failed: {}: {}", failure.class, failure.message);
        lines.push(format!("  {name} {}", cut(&one_line(&why), WIDTH)));
    }
    let more = all().count().saturating_sub(MOST_FAILURES);
    if more > 0 {
        lines.push(format!("  and {more} more failed"));
    }
    lines
}

/// What held the tasks longest; where nothing did, which task was slowest.
fn bottleneck(trial: &Trial) -> Vec<String> {
    let of = &trial.bottlenecks;
    let what = match (of.waited_for.first(), of.slowest.first()) {
        (Some(waited), _) => format!("ready tasks waited for {waited}"),
        (None, Some(task)) if task.seconds > Duration::ZERO && trial.summary.total_tasks > 1 => {
            format!("the slowest task was {} ({})", task.task_id, duration(task.seconds))
        }
        (None, _) => return Vec::new(),
    };
    wrapped("Bottleneck: ", "  ", &one_line(&what))
}

/// What is worse than in the trial before.
fn worse(trial: &Trial, style: Style) -> Vec<String> {
    let Some(before) = &trial.before else { return Vec::new() };
    let shown = |of: &Change| {
        let [then, now] = [of.then, of.now].map(|value| shown_of(&of.name, value));
        format!("{} {then} → {now}", title(&of.name))
    };
    let worse: Vec<String> = before.figures.iter().filter(|change| change.regressed).map(shown).collect();
    if worse.is_empty() {
        return vec![format!("No worse than the trial before it ({})", one_line(&before.run_id))];
    }
    let text = format!("Worse than the trial before it ({}): {}", before.run_id, worse.join(", "));
    let lines = wrapped("", "  ", &one_line(&text));
    lines.into_iter().map(|line| style.paint(Paint::Warn, &line)).collect()
}

fn suggestions(trial: &Trial) -> Vec<String> {
    let line = |Suggestion { setting, from, to, brings, .. }: &Suggestion| {
        let text = format!("{setting}: {from} → {to}: {}", sentence(brings));
        wrapped("  ", "    ", &one_line(&text))
    };
    let shown: Vec<String> = trial.suggestions.iter().take(MOST_SUGGESTIONS).flat_map(line).collect();
    if shown.is_empty() {
        return shown;
    }
    std::iter::once("Suggestions, by the forecast:".to_owned()).chain(shown).collect()
}

/// Words in lines of at most [`WIDTH`] places; the first line begins with `first`, the others with `rest`. A word
/// that is longer than a line has its own. Of an empty text only `first` is left, and nothing where that is blank.
fn wrapped(first: &str, rest: &str, text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in text.split_whitespace() {
        if !is_empty && line.width() + 1 + word.width() > WIDTH {
            lines.push(std::mem::replace(&mut line, rest.to_owned()));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    if !is_empty || (lines.is_empty() && !line.trim().is_empty()) {
        lines.push(line);
    }
    lines
}

/// What is left of a trial that a signal ended: no verdict, but runs, what they came to, and what the phases in a row
/// `before` it did.
pub fn interrupted(signal: Signal, before: &Charge, charge: &Charge, runs: &[String]) -> String {
    let ended = summary::interrupted(signal);
    let mut all = *before;
    all.add(charge);
    let (all, made) = (charged(&all), count(runs.len() as u64, "run"));
    let so_far = match (before.is_zero(), runs.is_empty()) {
        (true, true) => return format!("{ended}: the trial has no verdict, and made no run"),
        (true, false) => format!("so far {all} in {made}: {}", runs.join(", ")),
        (false, true) => format!("so far {all}, all of it in the phases before"),
        (false, false) => {
            format!("so far {all}, {} of it in {made} of this phase: {}", charged(charge), runs.join(", "))
        }
    };
    let mut lines = vec![format!("{ended}: the trial has no verdict and leaves no report")];
    lines.extend(wrapped("  ", "    ", &one_line(&so_far)));
    lines.push("  `sortie show NAME` tells more of each".to_owned());
    lines.join("\n")
}

/// A checklist: a line for each point, and what can be done about it below.
pub fn points(points: &[Point], style: Style) -> String {
    points.iter().flat_map(|point| of_point(point, style)).map(|line| line + "\n").collect()
}

fn of_point(point: &Point, style: Style) -> Vec<String> {
    let (paint, mark) = match point.state {
        PointState::Ok => (Paint::Good, "ok     "),
        PointState::Warning => (Paint::Warn, "warning"),
        PointState::Missing => (Paint::Bad, "missing"),
    };
    let mark = style.paint(paint, mark);
    let mut lines = vec![format!("{mark}  {}: {}", one_line(&point.what), one_line(&point.found))];
    let hints = point.hint.iter().flat_map(|hint| hint.lines());
    lines.extend(hints.map(|hint| format!("         hint: {}", one_line(hint))));
    lines
}

#[cfg(test)]
mod tests;
