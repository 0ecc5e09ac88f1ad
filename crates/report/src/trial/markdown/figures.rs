//! What was measured: performance, cost, recovery, faults, drift, failed tasks.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{parts, table};
use crate::markdown::escape::escape;
use crate::markdown::{MOST_ROWS, at_risk, dash, facts, forecast_cells, spent};
use crate::table::Side::{Left, Right};
use crate::trial::words::{came, drifted, judged_by, serially, whole_cost};
use crate::trial::{Faulted, Quarter, Trial, TrialFailure};
use crate::units::{count, duration, money, percent};

/// How fast it was; nothing where no call was made.
pub(super) fn performance(trial: &Trial) -> String {
    if trial.summary.api_calls_count == 0 {
        return String::new();
    }
    let mut rows = Vec::new();
    if let Some(measured) = &trial.measured {
        rows.push(("One task at a time", serially(measured)));
        if !measured.pause.is_zero() {
            rows.push(("Pause, so that the first half throttles nothing", duration(measured.pause)));
        }
        rows.push(("The same tasks side by side", duration(measured.parallel)));
        let interval = measured.interval.map_or_else(
            || "too few tasks for an interval".to_owned(),
            |(low, high)| format!("95 % confidence: {low:.2}x to {high:.2}x"),
        );
        rows.push(("Measured speedup", format!("{:.2}x ({interval})", measured.speedup)));
    }
    let of_the_run = crate::markdown::performance(&trial.summary).into_iter();
    rows.extend(of_the_run.filter_map(|(name, value)| match name {
        // What they waited for is a bottleneck.
        "Ready tasks waited for" => None,
        "Speedup" if trial.measured.is_some() => None,
        "Speedup" => Some(("Speedup, estimated from its calls", value)),
        name => Some((name, value)),
    }));
    let judged = judged_by(trial).map_or_else(String::new, |judged| escape(&judged) + "\n");
    parts(&[facts(&rows), judged])
}

/// What it cost; nothing where no call was made.
pub(super) fn cost(trial: &Trial) -> String {
    if trial.summary.api_calls_count == 0 {
        return String::new();
    }
    let cost = &trial.summary.cost;
    let mut rows = spent(cost);
    rows.extend(at_risk(cost));
    rows.push(("Budget", cost.budget.map_or_else(|| "none".into(), money)));
    if let Some(utilization) = cost.utilization {
        rows.push(("Used of the budget", percent(utilization)));
    }
    if let Some([cost, _]) = forecast_cells(&trial.summary) {
        rows.push(("Forecast", cost));
    }
    if let Some(dearest) = &cost.most_expensive_task {
        rows.push(("Most expensive task", format!("{} ({})", escape(&dearest.task_id), money(dearest.cost))));
    }
    rows.extend(whole_cost(trial).map(|whole| ("The whole trial", whole)));
    facts(&rows)
}

pub(super) fn recovery(trial: &Trial) -> String {
    let Some(of) = &trial.recovery else { return String::new() };
    if let Some(why) = &of.not_made {
        return facts(&[("Not tried", escape(why))]);
    }
    let total = of.total_tasks;
    facts(&[
        ("Done when it was killed", format!("{} of {}", of.done_before, count(total, "task"))),
        ("Of these called again after the resume", format!("{} (there must be none)", of.done_again)),
        ("Calls in flight, made again", of.repeated_calls.to_string()),
        ("What these may have cost", money(of.at_risk)),
        ("Succeeded in the end", format!("{} of {}", of.successful_tasks, count(total, "task"))),
    ])
}

pub(super) fn faults(trial: &Trial) -> String {
    let row = |of: &Faulted| {
        let recovered =
            if of.tasks == 0 { "–".to_owned() } else { format!("{} of {}", of.recovered, of.tasks) };
        let came = if of.as_it_should() {
            came(of).to_owned()
        } else {
            format!("**not as it should be**: {}", came(of))
        };
        let tasks = if of.tasks == 0 { "–".to_owned() } else { of.tasks.to_string() };
        let cells = [of.calls.to_string(), tasks, recovered];
        let [calls, tasks, recovered] = cells;
        [escape(&of.fault), calls, tasks, recovered, came, of.cost.map_or_else(dash, money)]
    };
    let rows: Vec<_> = trial.faults.iter().map(row).collect();
    let columns = [
        ("fault", Left),
        ("calls that met it", Right),
        ("tasks that met it", Right),
        ("succeeded in the end", Right),
        ("result", Left),
        ("cost", Right),
    ];
    table(columns, &rows)
}

pub(super) fn drift(trial: &Trial) -> String {
    let Some(of) = &trial.drift else { return String::new() };
    let row = |(n, quarter): (usize, &Quarter)| {
        [
            (n + 1).to_string(),
            duration(quarter.until),
            quarter.throughput.map_or_else(dash, |rate| format!("{rate:.2} tasks/s")),
            quarter.p95_latency.map_or_else(dash, duration),
            percent(quarter.error_rate),
            percent(quarter.throttled_rate),
            quarter.memory_mib.map_or_else(dash, |mib| format!("{mib:.0} MiB")),
        ]
    };
    let rows: Vec<_> = of.quarters.iter().enumerate().map(row).collect();
    let columns = [
        ("quarter of the calls", Right),
        ("until", Right),
        ("throughput", Right),
        ("latency p95", Right),
        ("failed calls", Right),
        ("throttled calls", Right),
        ("memory", Right),
    ];
    let changed = drifted(of).map_or_else(String::new, |changed| changed + "\n");
    let used = of.utilisation.map_or_else(String::new, |used| {
        format!("While tasks waited for the rate limit, {} of it were used.\n", percent(100.0 * used))
    });
    parts(&[table(columns, &rows), changed, used])
}

pub(super) fn failures(trial: &Trial) -> String {
    let shown = &trial.failures[..trial.failures.len().min(MOST_ROWS)];
    let summary = &trial.summary;
    let all = summary.failed_tasks + summary.skipped_tasks;
    let mut text = String::new();
    if all > shown.len() as u64 && !shown.is_empty() {
        let mut classes: BTreeMap<&str, usize> = BTreeMap::new();
        for failure in shown {
            *classes.entry(&failure.class).or_default() += 1;
        }
        let classes: Vec<String> =
            classes.iter().map(|(class, n)| format!("{n} {}", escape(class))).collect();
        let (n, classes) = (shown.len(), classes.join(", "));
        writeln!(text, "{n} of {all} ({classes}); all are in the run's `results.jsonl`.\n")
            .unwrap_or_default();
    }
    let row = |of: &TrialFailure| {
        let class = if of.on_purpose { format!("{}, on purpose", of.class) } else { of.class.clone() };
        let cells = [&of.task_id, &of.task_type, &class].map(|cell| escape(cell));
        let [task, task_type, class] = cells;
        [task, task_type, class, escape(&of.message)]
    };
    let rows: Vec<_> = shown.iter().map(row).collect();
    text + &table([("task", Left), ("type", Left), ("failure", Left), ("why", Left)], &rows)
}
