//! What a person at a terminal sees: one line while a run is live, a block when it has ended.
//!
//! Texts only: nothing here asks whether there is a terminal, moves its cursor or prints. All text
//! from outside passes [`sanitize`] or [`one_line`].

mod sanitize;
mod style;

use std::fmt::Write;

use sortie_core::run::control::PAUSED;
use sortie_core::run::input::Waiting;
use sortie_core::time::Time;

pub use sanitize::{cut, one_line, sanitize};
pub use style::{Paint, Style};

use crate::amounts::{NO_PRICE, charged, names, overrun};
use crate::costs::{Group, Grouping};
use crate::fold::{Fold, Report, Status};
use crate::results;
use crate::summary::{Compared, Summary};
use crate::units::{count, duration, money, percent};
use crate::waits;

/// Failed and skipped tasks that the block names; a run can have a million, a terminal has 40 lines.
const MOST_FAILURES: usize = 10;

/// Agents whose costs the block names, the dearest first: a line of them.
const MOST_AGENTS: usize = 5;

/// `Total cost: $0.023 (5 tasks, avg $0.0046/task)`, word for word as the founding document has it
/// (SPEC.md P5). The tasks are those that made a call. Where some have no price, there is no average.
pub fn cost_line(summary: &Summary) -> String {
    let cost = &summary.cost;
    let tasks = count(cost.tasks_count, "task");
    if !cost.unpriced_agents.is_empty() {
        let unpriced = one_line(&cost.unpriced_agents.join(", ")).into_owned();
        return format!("Total cost: {} ({tasks}, no price for {unpriced})", cost.total());
    }
    let avg = cost.avg_cost_per_task.map_or_else(String::new, |avg| format!(", avg {}/task", money(avg)));
    format!("Total cost: {} ({tasks}{avg})", money(cost.total_cost))
}

/// The block that ends a run: how many tasks succeeded, in what time, for what, and what failed.
/// Every line ends with a line break.
pub fn summary(report: &Report, style: Style) -> String {
    let summary = &report.summary;
    let mut lines = vec![headline(report, style)];
    if let Some(error) = &summary.error {
        lines.push(format!("  {}", style.paint(Paint::Bad, &one_line(error))));
    }
    lines.extend(speedup_line(summary).map(|line| format!("  {line}")));
    lines.extend(calls_line(report).map(|line| format!("  {line}")));
    lines.extend(cached_line(summary).map(|line| format!("  {line}")));
    lines.extend(fallbacks_line(summary).map(|line| format!("  {line}")));
    lines.extend(summary.stopped_accounts.iter().map(|stop| format!("  {}", one_line(&stop.words()))));
    lines.extend(waits::in_words(&summary.waits).map(|waits| format!("  Waited for: {}", one_line(&waits))));
    lines.extend(forecast_line(summary).map(|line| format!("  {line}")));
    lines.push(style.paint(Paint::Strong, &cost_line(summary)));
    lines.extend(agents_line(report.fold).map(|line| format!("  {line}")));
    lines.extend(in_flight(report.fold).map(|line| format!("  {line}")));
    lines.extend(budget_line(summary).map(|line| format!("  {line}")));
    lines.extend(overruns(report.fold).map(|line| format!("  {line}")));
    lines.extend(failures(report, style));
    lines.push(String::new());
    lines.join("\n")
}

fn headline(report: &Report, style: Style) -> String {
    let summary = &report.summary;
    let what = one_line(report.fold.run().plan.name());
    let done = format!(
        "{} of {} succeeded in {}",
        summary.successful_tasks,
        count(summary.total_tasks, "task"),
        duration(summary.total_duration)
    );
    let paint = if summary.success { Paint::Good } else { Paint::Bad };
    let simulated = if summary.simulated { " (simulated)" } else { "" };
    format!("{}: {}{simulated}", style.paint(Paint::Strong, &what), style.paint(paint, &done))
}

pub(crate) fn speedup_line(summary: &Summary) -> Option<String> {
    let Compared { speedup, ceiling, efficiency, binding } = summary.compared()?;
    let reached = percent(100.0 * efficiency);
    Some(format!("Speedup: {speedup:.2}x of at most {ceiling:.2}x ({reached}), bound by {binding}"))
}

fn calls_line(report: &Report) -> Option<String> {
    let (counts, metrics) = (report.fold.counts(), &report.summary.metrics);
    let mut parts = vec![count(counts.calls, "call")];
    for (n, what) in [
        (counts.retries, "retried"),
        (metrics.rate_limit_hits, "throttled"),
        (counts.lost, "lost"),
        (counts.recovered, "lost and found again"),
    ] {
        if n > 0 {
            parts.push(format!("{n} {what}"));
        }
    }
    if let (Some(p50), Some(p95)) = (metrics.p50_latency, metrics.p95_latency) {
        parts.push(format!("latency p50 {}, p95 {}", duration(p50), duration(p95)));
    }
    (counts.calls > 0).then(|| parts.join(", "))
}

/// How many tasks needed no call.
pub(crate) fn cached_line(summary: &Summary) -> Option<String> {
    let cached = summary.cached_tasks;
    (cached > 0)
        .then(|| format!("{} answered without a call: the same was asked before", count(cached, "task")))
}

/// How many tasks others did than their own agents.
fn fallbacks_line(summary: &Summary) -> Option<String> {
    let rerouted = summary.rerouted_tasks;
    (rerouted > 0).then(|| format!("{} went to a fallback", count(rerouted, "task")))
}

/// What each agent cost, where there is more than one.
fn agents_line(fold: &Fold) -> Option<String> {
    let costs = fold.costs().iter().find(|costs| costs.by() == Grouping::Agent)?;
    let groups = costs.groups();
    let mut parts: Vec<String> = groups.iter().take(MOST_AGENTS).map(agent_cost).collect();
    let more = groups.len().saturating_sub(MOST_AGENTS);
    if more > 0 {
        parts.push(format!("{more} more"));
    }
    (groups.len() > 1).then(|| format!("By agent: {}", parts.join(", ")))
}

/// `claude $0.02`, and in brackets what of it is estimated and what is at risk besides.
fn agent_cost((name, group): &(&str, &Group)) -> String {
    let cost = if group.unpriced_calls > 0 { NO_PRICE.to_owned() } else { charged(&group.charge()) };
    format!("{} {cost}", one_line(name))
}

/// What a run has come to before it goes on, for whoever is asked whether it shall.
pub fn so_far(fold: &Fold) -> String {
    let charge = fold.charge();
    let mut text = format!("so far {}", charged(&charge));
    let unpriced = fold.unpriced();
    if !unpriced.is_empty() {
        write!(text, ", no price for {}", one_line(&names(unpriced))).unwrap_or_default();
    }
    if fold.counts().running > 0 {
        let (calls, more) = (count(fold.counts().running, "call"), money(fold.reserved()));
        write!(text, "; {calls} in flight when last heard of: {more} more at risk").unwrap_or_default();
    }
    text
}

/// The calls whose end nobody has told, and their money: of a run that still runs, or whose process
/// died.
fn in_flight(fold: &Fold) -> Option<String> {
    let running = fold.counts().running;
    let (calls, reserved) = (count(running, "call"), money(fold.reserved()));
    (running > 0).then(|| format!("in flight when last heard of: {calls}, {reserved} reserved"))
}

fn budget_line(summary: &Summary) -> Option<String> {
    let cost = &summary.cost;
    let mut parts = Vec::new();
    for (amount, what) in [(cost.estimated, "of it estimated"), (cost.at_risk, "at risk besides")] {
        if !amount.is_zero() {
            parts.push(format!("{what}: {}", money(amount)));
        }
    }
    if let (Some(budget), Some(utilization)) = (cost.budget, cost.utilization) {
        parts.push(format!("{} of the budget of {}", percent(utilization), money(budget)));
    }
    for (name, own) in &cost.agent_budgets {
        let (used, budget) = (percent(own.utilization.unwrap_or_default()), money(own.budget));
        parts.push(format!("{used} of the budget of {budget} of agent {}", one_line(name)));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Overruns that the block explains.
const MOST_SHOWN_OVERRUNS: usize = 3;

/// The calls that cost more than was reserved for them.
fn overruns(fold: &Fold) -> impl Iterator<Item = String> {
    let shown = fold.overruns().iter().take(MOST_SHOWN_OVERRUNS);
    shown.map(|of| format!("overrun: {}", one_line(&overrun(&fold.run().plan, of))))
}

/// What was forecast, where it can be held against what came.
pub(crate) fn forecast_line(summary: &Summary) -> Option<String> {
    let grade = summary.forecast.as_ref()?;
    let (cost_within, duration_within) = (grade.cost_within?, grade.duration_within?);
    let verdict = match (cost_within, duration_within) {
        (true, true) => "as it came",
        (true, false) => "right in cost, wrong in time",
        (false, true) => "right in time, wrong in cost",
        (false, false) => "wrong in both",
    };
    let [expected, low, worst] = [grade.cost_expected, grade.cost_low, grade.cost_worst].map(money);
    let [p5, p95] = [grade.duration_p5, grade.duration_p95].map(duration);
    Some(format!("Forecast: {expected} ({low} to {worst}), {p5} to {p95}: {verdict}"))
}

fn failures(report: &Report, style: Style) -> Vec<String> {
    let plan = &report.fold.run().plan;
    let all = || {
        let tasks = report.fold.tasks().iter().zip(plan.tasks());
        tasks.filter(|(view, _)| matches!(view.status, Status::Failed | Status::Skipped))
    };
    let mut lines: Vec<String> = all()
        .take(MOST_FAILURES)
        .map(|(view, task)| {
            let why = match (&view.skipped, &view.failure) {
                (Some(because), _) => format!("skipped: {}", results::skipped(plan, because)),
                (None, Some(failure)) => format!("failed: {failure}"),
                (None, None) => "failed".into(),
            };
            let paint = if view.status == Status::Failed { Paint::Bad } else { Paint::Dim };
            format!("  {} {}", style.paint(paint, &one_line(&task.name)), one_line(&why))
        })
        .collect();
    let more = all().count().saturating_sub(MOST_FAILURES);
    if more > 0 {
        lines.push(format!("  and {more} more"));
    }
    lines
}

/// The line of a live run: how far it is, why ready tasks wait, what is spent and reserved. What explains a
/// run that seems to stand still comes first: a narrow terminal cuts the end.
pub fn progress(fold: &Fold, now: Time, waiting: &[Waiting]) -> String {
    let counts = fold.counts();
    let total = fold.tasks().len();
    let done = counts.succeeded + counts.failed + counts.skipped;
    let mut parts = vec![format!("{done}/{total} done")];
    if fold.is_draining() {
        parts.push("stopping: calls in flight finish".into());
    }
    parts.extend(waiting.iter().map(|why| wait(why, now)));
    for (n, what) in [
        (counts.running, "running"),
        (counts.queued, "queued"),
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
    ] {
        if n > 0 {
            parts.push(format!("{n} {what}"));
        }
    }
    parts.push(held(fold));
    parts.push(duration(fold.elapsed(now)));
    parts.join(" · ")
}

/// `$0.02 spent ($0.002 estimated) + $0.06 reserved of $10.00`.
fn held(fold: &Fold) -> String {
    let charge = fold.charge();
    let mut cost = format!("{} spent", money(charge.actual + charge.estimated));
    if !fold.unpriced().is_empty() {
        cost = format!("{NO_PRICE}, {cost}");
    }
    if !charge.estimated.is_zero() {
        write!(cost, " ({} estimated)", money(charge.estimated)).unwrap_or_default();
    }
    for (amount, what) in [(charge.at_risk, "at risk"), (fold.reserved(), "reserved")] {
        if !amount.is_zero() {
            write!(cost, " + {} {what}", money(amount)).unwrap_or_default();
        }
    }
    if let Some(budget) = fold.budget() {
        write!(cost, " of {}", money(budget)).unwrap_or_default();
    }
    cost
}

fn wait(why: &Waiting, now: Time) -> String {
    let reason = one_line(&why.reason);
    let tasks = count(why.tasks as u64, "task");
    if why.reason == PAUSED {
        return format!("{tasks} {PAUSED}");
    }
    match why.until {
        Some(until) => {
            let seconds = until.since(now).as_secs_f64();
            format!("{reason}: next start in {seconds:.1} s ({tasks} waiting)")
        }
        None => format!("{tasks} waiting for {reason}"),
    }
}

#[cfg(test)]
mod tests;
