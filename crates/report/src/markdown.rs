//! `report.md`: a run for the person who decides whether it was good enough (SPEC.md O3).
//!
//! Verdict first, then figures, then what to do about them. All text from outside is escaped;
//! prompts and answers are not in it.

mod analysis;
mod costs;
pub(crate) mod escape;

use std::collections::BTreeMap;
use std::fmt::Write;

use sortie_core::plan::Task;
use sortie_core::price::Pricing;

use crate::amounts::{charged_at, overrun};
use crate::fold::{Report, Status, TaskView};
use crate::format::Format;
use crate::results;
use crate::summary::{Compared, CostSummary, InputTokens, Summary};
use crate::units::{count, duration, moment, money, percent};
use crate::waits;
use escape::escape;

/// Rows of a table of tasks: more than this nobody reads, and viewers refuse larger files. All of
/// them are in `results.jsonl`.
pub(crate) const MOST_ROWS: usize = 200;

pub(crate) struct Markdown;

impl Format for Markdown {
    fn name(&self) -> &'static str {
        "markdown"
    }

    fn file(&self) -> &'static str {
        "report.md"
    }

    fn render(&self, report: &Report) -> Vec<u8> {
        let plan = escape(report.fold.run().plan.name());
        let sections = [
            format!("# Report: {plan}\n\n{}\n", verdict(report)),
            facts(&run_facts(report)),
            format!("## Performance\n\n{}", facts(&performance(&report.summary))),
            format!("## Cost\n\n{}", facts(&cost(report))),
            costs::tables(report),
            unsuccessful(report),
            tasks(report),
            format!("## Analysis\n\n{}", analysis::text(report)),
        ];
        sections.into_iter().filter(|section| !section.is_empty()).collect::<Vec<_>>().join("\n").into_bytes()
    }
}

/// The run in two sentences: what came of it, and why not more.
fn verdict(report: &Report) -> String {
    let summary = &report.summary;
    let (n, total) = (summary.successful_tasks, summary.total_tasks);
    let done = match (summary.success, total) {
        (true, 1) => "The task succeeded".into(),
        (true, _) => format!("All {total} tasks succeeded"),
        (false, _) => format!("{n} of {} succeeded", count(total, "task")),
    };
    let cost = match (summary.cost.unpriced_agents.is_empty(), summary.cost.total()) {
        (true, total) => format!("for {total}"),
        (false, total) => format!("at a cost that is not known ({total})"),
    };
    let figures = format!(" in {} {cost}.", duration(summary.total_duration));
    let why =
        summary.error.as_ref().map_or_else(String::new, |error| format!(" Why not all: {}.", escape(error)));
    let simulated = if summary.simulated {
        "\n\nThis run was made against the built-in simulator: its times and costs are simulated."
    } else {
        ""
    };
    format!("**{done}**{figures}{why}{simulated}")
}

/// A table of names and values.
pub(crate) fn facts(rows: &[(&str, String)]) -> String {
    let mut text = String::from("| | |\n| --- | --- |\n");
    for (name, value) in rows {
        writeln!(text, "| {name} | {value} |").unwrap_or_default();
    }
    text
}

fn run_facts(report: &Report) -> Vec<(&'static str, String)> {
    let (fold, summary) = (report.fold, &report.summary);
    let run = fold.run();
    let agents: Vec<String> =
        fold.agents().map(|agent| format!("{} ({})", escape(&agent.name), escape(&agent.model))).collect();
    let mut rows = vec![
        ("Run", escape(&run.run_id)),
        ("Started", moment(run.created)),
        (if fold.outcome().is_some() { "Ended" } else { "Last event" }, moment(fold.last_time())),
        ("Tasks", summary.total_tasks.to_string()),
        ("Mode", summary.mode.name().into()),
        ("Agents", agents.join(", ")),
    ];
    rows.extend(crate::terminal::cached_line(summary).map(|line| ("Cached", line)));
    rows.extend(summary.stopped_accounts.iter().map(|stop| ("Stopped", escape(&stop.words()))));
    if fold.sessions() > 1 {
        let resumed = count(u64::from(fold.sessions()) - 1, "time");
        rows.push(("Resumed", format!("{resumed}; the time between sessions is not counted")));
    }
    rows
}

/// How fast a run was and how well it went, by its figures alone.
pub(crate) fn performance(summary: &Summary) -> Vec<(&'static str, String)> {
    let metrics = &summary.metrics;
    let rate = summary.success_rate.map_or_else(dash, percent);
    let mut rows = vec![
        ("Total time", duration(summary.total_duration)),
        ("Successful tasks", format!("{} of {}", summary.successful_tasks, summary.total_tasks)),
        ("Success rate", rate),
        ("Average per task", summary.avg_duration.map_or_else(dash, duration)),
    ];
    for (name, n) in [
        ("Failed tasks", summary.failed_tasks),
        ("Skipped tasks", summary.skipped_tasks),
        ("Tasks that went to a fallback", summary.rerouted_tasks),
        ("Tasks left to a resume", summary.pending_tasks),
    ] {
        if n > 0 {
            rows.push((name, n.to_string()));
        }
    }
    if let (Some(p50), Some(p95), Some(p99)) = (metrics.p50_latency, metrics.p95_latency, metrics.p99_latency)
    {
        let latencies = format!("{} / {} / {}", duration(p50), duration(p95), duration(p99));
        rows.push(("Latency p50 / p95 / p99", latencies));
    }
    if let Some(ttft) = metrics.ttft_p50 {
        rows.push(("Time to first token, p50", duration(ttft)));
    }
    if let Some(throughput) = metrics.throughput {
        rows.push(("Throughput", format!("{throughput:.2} tasks/s")));
    }
    if let Some(Compared { speedup: faster, ceiling, efficiency, binding }) = summary.compared() {
        rows.push(("Speedup", format!("{faster:.2}x")));
        rows.push(("Highest possible speedup", format!("{ceiling:.2}x, bound by {binding}")));
        rows.push(("Reached of it", percent(100.0 * efficiency)));
    }
    if let Some([_, time]) = forecast_cells(summary) {
        rows.push(("Forecast", time));
    }
    rows.push(("API calls", summary.api_calls_count.to_string()));
    if let Some(waits) = waits::in_words(&summary.waits) {
        rows.push(("Ready tasks waited for", escape(&waits)));
    }
    rows
}

/// What was forecast, and whether it came so: of money and of time.
pub(crate) fn forecast_cells(summary: &Summary) -> Option<[String; 2]> {
    Some(summary.forecast.as_ref()?.cells(summary))
}

/// What is known to be spent: the total, the average, and what of it is not as reported.
pub(crate) fn spent(cost: &CostSummary) -> Vec<(&'static str, String)> {
    let average = cost.avg_cost_per_task.filter(|_| cost.unpriced_agents.is_empty());
    let mut rows = vec![("Total cost", cost.total()), ("Average per task", average.map_or_else(dash, money))];
    if !cost.unpriced_agents.is_empty() {
        let agents = escape(&cost.unpriced_agents.join(", "));
        rows.push(("No price", format!("{agents}: their calls are in no amount")));
    }
    if !cost.estimated.is_zero() {
        let why = "of it, for answers that broke off before they said what they used";
        rows.push(("Estimated", format!("{} {why}", money(cost.estimated))));
    }
    rows
}

/// What may have been billed besides.
pub(crate) fn at_risk(cost: &CostSummary) -> Option<(&'static str, String)> {
    let why = "may have been billed besides, for answers that never came whole";
    (!cost.at_risk.is_zero()).then(|| ("At risk", format!("{} {why}", money(cost.at_risk))))
}

fn cost(report: &Report) -> Vec<(&'static str, String)> {
    let (fold, cost) = (report.fold, &report.summary.cost);
    let mut rows = spent(cost);
    if let Some([cost, _]) = forecast_cells(&report.summary) {
        rows.push(("Forecast", cost));
    }
    rows.extend(at_risk(cost));
    if fold.counts().running > 0 {
        let calls = count(fold.counts().running, "call");
        let reserved = format!("{} for {calls} in flight when last heard of", money(fold.reserved()));
        rows.push(("Reserved", reserved));
    }
    rows.push(("Budget", cost.budget.map_or_else(|| "none".into(), money)));
    if let Some(utilization) = cost.utilization {
        let included = if cost.at_risk.is_zero() { "" } else { ", what is at risk included" };
        rows.push(("Used of the budget", format!("{}{included}", percent(utilization))));
    }
    for of in fold.overruns() {
        rows.push(("Overrun", escape(&overrun(&fold.run().plan, of))));
    }
    for (name, own) in &cost.agent_budgets {
        let (budget, used) = (money(own.budget), percent(own.utilization.unwrap_or_default()));
        rows.push(("Budget of an agent", format!("{}: {budget}, {used} used", escape(name))));
    }
    if let Some(dearest) = &cost.most_expensive_task {
        let cost = money(dearest.cost);
        rows.push(("Most expensive task", format!("{} ({cost})", escape(&dearest.task_id))));
    }
    if let Some(input) = input_tokens(report) {
        rows.push(("Input tokens", input));
    }
    rows.push(("Prices", prices(report)));
    rows
}

/// What the answers' input was of what was reserved for it, for each agent that has any.
fn input_tokens(report: &Report) -> Option<String> {
    let agents = &report.summary.cost.input;
    let figures = |(name, tokens): (&String, &InputTokens)| {
        let share = percent(100.0 * tokens.ratio.unwrap_or_default());
        let figures = format!("{} of {} reserved ({share})", tokens.actual, tokens.reserved);
        if agents.len() == 1 { figures } else { format!("{}: {figures}", escape(name)) }
    };
    let all: Vec<String> = agents.iter().map(figures).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// Where the prices are from: the table, and agents whose price the configuration stated.
fn prices(report: &Report) -> String {
    let table = report.summary.cost.price_table.as_deref();
    let table =
        table.map_or_else(|| "table not recorded".into(), |table| format!("table of {}", escape(table)));
    let stated: Vec<String> = report
        .fold
        .agents()
        .filter_map(|agent| match &agent.pricing {
            Pricing::Known(price) if price.row.is_some() => None,
            Pricing::Known(_) => Some(format!("{} as configured", escape(&agent.name))),
            Pricing::Free => Some(format!("{} free", escape(&agent.name))),
            Pricing::Unknown => Some(format!("{} unknown, counted as nothing", escape(&agent.name))),
        })
        .collect();
    // Of a run of before the table was kept, nobody knows either which prices were its own.
    if report.summary.cost.price_table.is_none() || stated.is_empty() {
        return table;
    }
    format!("{table}; {}", stated.join(", "))
}

/// Tasks with what the plan says of them, in its order.
fn with_tasks<'a>(report: &'a Report) -> impl Iterator<Item = (&'a TaskView, &'a Task)> + Clone {
    report.fold.tasks().iter().zip(report.fold.run().plan.tasks())
}

/// Failed and skipped tasks with their errors; nothing where there are none.
fn unsuccessful(report: &Report) -> String {
    let plan = &report.fold.run().plan;
    let all = with_tasks(report).filter(|(view, _)| matches!(view.status, Status::Failed | Status::Skipped));
    let total = all.clone().count();
    if total == 0 {
        return String::new();
    }
    let mut text = String::from("## Failed and skipped tasks\n\n");
    if total > MOST_ROWS {
        let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
        for (view, _) in all.clone() {
            let class = view.failure.as_ref().map_or(view.status.name(), |failure| failure.class.name());
            *classes.entry(class).or_default() += 1;
        }
        let classes: Vec<String> = classes.iter().map(|(class, n)| format!("{n} {class}")).collect();
        let all = classes.join(", ");
        writeln!(text, "The first {MOST_ROWS} of {total} ({all}); all are in `results.jsonl`.\n")
            .unwrap_or_default();
    }
    text.push_str("| task | status | attempts | why |\n| --- | --- | ---: | --- |\n");
    for (view, task) in all.take(MOST_ROWS) {
        let why = match (&view.skipped, &view.failure) {
            (Some(because), _) => results::skipped(plan, because),
            (None, Some(failure)) => failure.to_string(),
            (None, None) => dash(),
        };
        let (name, status, why) = (escape(&task.name), view.status.name(), escape(&why));
        writeln!(text, "| {name} | {status} | {} | {why} |", view.attempts).unwrap_or_default();
    }
    text
}

/// All tasks, or of many the slowest.
fn tasks(report: &Report) -> String {
    let mut shown: Vec<_> = with_tasks(report).collect();
    let mut text = String::from("## Tasks\n\n");
    if shown.len() > MOST_ROWS {
        let total = shown.len();
        // Stable, so that equals stay in the order of the plan.
        shown.sort_by_key(|(view, _)| std::cmp::Reverse(view.call_time));
        shown.truncate(MOST_ROWS);
        writeln!(text, "The {MOST_ROWS} slowest of {total}; all are in `results.jsonl`.\n")
            .unwrap_or_default();
    }
    text.push_str(
        "| task | type | agent | status | attempts | queued | latency | tokens in | tokens out | cost |\n\
         | --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for (view, task) in shown {
        let agent = view.agent(&report.fold.run().plan, task.agent);
        let cells = [
            escape(&task.name),
            escape(&task.task_type),
            escape(&agent.name),
            view.status.name().into(),
            view.attempts.to_string(),
            view.queued.map_or_else(dash, duration),
            view.latency().map_or_else(dash, duration),
            view.usage.map_or_else(dash, |usage| usage.total_input().to_string()),
            view.usage.map_or_else(dash, |usage| usage.output.to_string()),
            if view.ran { charged_at(&agent.pricing, &view.charge) } else { dash() },
        ];
        writeln!(text, "| {} |", cells.join(" | ")).unwrap_or_default();
    }
    text
}

pub(crate) fn dash() -> String {
    "–".into()
}

#[cfg(test)]
mod tests;
