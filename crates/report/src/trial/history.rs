//! A trial against earlier ones of its kind: which figures can be compared, and which are worse by more than chance
//! explains.

mod worse;

use serde::{Deserialize, Serialize};

use super::figure::shown_of;
use super::words::name;
use super::{Before, Change, Trial, Verdict};
use crate::table::{Side, table};
use crate::terminal::{Paint, Style, one_line};
use crate::units::{count, instant, moment};
use worse::Worse;

/// Trials whose numbers of tasks are further apart than this many to one are not compared: the ramp, the longest
/// chain and the rounding by concurrency weigh differently in a larger plan.
const MOST_APART: f64 = 1.25;

/// What is compared, in the order in which it is shown.
const COMPARED: [&str; 9] = [
    "success_rate",
    "p50_latency",
    "p95_latency",
    "speedup",
    "efficiency",
    "throughput",
    "cost_per_task",
    "error_rate",
    "throttled_rate",
];

/// What the columns of a history are.
const LEGEND: &str = "P50, P95: latency of half and of 95 % of the answers · OF MAX: share of the possible speedup\n\
                      ERRORS, 429: of the calls those that failed, and that were throttled";

/// Whether two trials are of the same kind: the same test and phase, with tasks of the same plan, against the same endpoint, with the same agents
/// and models, and with nearly as many tasks. Settings may differ: what a change of them made better or worse is
/// what one wants to see. A trial is not of its own kind.
pub fn is_comparable(now: &Trial, then: &Trial) -> bool {
    let kind =
        |trial: &Trial| (trial.test_type.clone(), trial.phase, trial.plan.clone(), trial.endpoint.clone());
    let agents = |trial: &Trial| {
        let mut agents = trial.agents.clone();
        agents.sort_unstable();
        agents
    };
    let [fewer, more] = [
        now.summary.total_tasks.min(then.summary.total_tasks),
        now.summary.total_tasks.max(then.summary.total_tasks),
    ];
    now.summary.run_id != then.summary.run_id
        && kind(now) == kind(then)
        && now.summary.simulated == then.summary.simulated
        && agents(now) == agents(then)
        && more as f64 <= fewer as f64 * MOST_APART
}

/// The figures of both that can be compared, and which of them are worse now than chance explains. Whether the two
/// can be compared at all, [`is_comparable`] says.
pub fn before(now: &Trial, then: &Trial) -> Before {
    let change = |name: &str| {
        let (then_value, now_value) = (value(then, name)?, value(now, name)?);
        let regressed = Worse::between(now, then).than_chance(name, then_value, now_value);
        Some(Change { name: name.to_owned(), then: then_value, now: now_value, regressed })
    };
    Before {
        run_id: then.summary.run_id.clone(),
        started_at: then.started_at.clone(),
        figures: COMPARED.into_iter().filter_map(change).collect(),
    }
}

/// The figure of this name, in its unit; none where nothing was measured.
fn value(trial: &Trial, name: &str) -> Option<f64> {
    let summary = &trial.summary;
    let metrics = &summary.metrics;
    let of_calls = |n: u64| {
        let calls = summary.api_calls_count;
        (calls > 0).then(|| 100.0 * n.min(calls) as f64 / calls as f64)
    };
    match name {
        "success_rate" => summary.success_rate,
        "p50_latency" => metrics.p50_latency.map(|latency| latency.as_secs_f64()),
        "p95_latency" => metrics.p95_latency.map(|latency| latency.as_secs_f64()),
        "speedup" => side_by_side(trial).then_some(summary.speedup.speedup)?,
        "efficiency" => side_by_side(trial).then_some(summary.speedup.efficiency)?,
        "throughput" => metrics.throughput.filter(|rate| *rate > 0.0),
        "cost_per_task" => summary
            .cost
            .avg_cost_per_task
            .filter(|_| summary.cost.unpriced_agents.is_empty())
            .map(sortie_core::money::Usd::as_f64),
        "error_rate" => of_calls(metrics.error_count),
        "throttled_rate" => of_calls(metrics.rate_limit_hits),
        _ => None,
    }
    .filter(|value| value.is_finite())
}

/// Whether a speedup says anything: of one task there is none.
fn side_by_side(trial: &Trial) -> bool {
    trial.measured.is_some() || trial.summary.compared().is_some()
}

/// A trial in a history, for programs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its id.
    pub run_id: String,
    /// When it began, in RFC 3339.
    pub started_at: String,
    /// What was tested.
    pub test_type: String,
    /// Of which phase.
    pub phase: Option<u8>,
    /// What answered.
    pub endpoint: String,
    /// The agents, with their models.
    pub agents: Vec<String>,
    /// Its tasks.
    pub total_tasks: u64,
    /// Whether it was good enough.
    pub verdict: Verdict,
    /// The trial that its figures are held against; null where none before it is of its kind.
    pub against: Option<String>,
    /// Its figures.
    pub figures: Vec<Past>,
}

/// A figure of a trial in a history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// Which: `p95_latency`.
    pub name: String,
    /// What was measured.
    pub value: f64,
    /// Whether it is worse, by more than chance explains, than in the trial that it is held against.
    pub regressed: bool,
}

/// A history for programs: kinds in the order of their newest trials, and in each the newest first.
pub fn document(trials: &[Trial]) -> Vec<Entry> {
    kinds(trials).iter().flat_map(|kind| entries(kind)).collect()
}

/// A history for a terminal: a table for each kind of trial, the newest first. Every line ends with a line break.
pub fn history(trials: &[Trial], style: Style) -> String {
    if trials.is_empty() {
        return "no trials yet\n".to_owned();
    }
    let tables: Vec<String> = kinds(trials).iter().map(|kind| of_kind(kind, style)).collect();
    format!("{}\n{}\n", tables.join("\n"), style.paint(Paint::Dim, LEGEND))
}

/// Trials by their kind, each with the newest first.
fn kinds(trials: &[Trial]) -> Vec<Vec<&Trial>> {
    let mut newest: Vec<&Trial> = trials.iter().collect();
    newest.sort_by(|a, b| {
        b.started_at.cmp(&a.started_at).then_with(|| b.summary.run_id.cmp(&a.summary.run_id))
    });
    let mut kinds: Vec<Vec<&Trial>> = Vec::new();
    for trial in newest {
        match kinds.iter_mut().find(|kind| kind.first().is_some_and(|first| is_comparable(first, trial))) {
            Some(kind) => kind.push(trial),
            None => kinds.push(vec![trial]),
        }
    }
    kinds
}

/// Each against the next older that it can be compared with.
fn entries(kind: &[&Trial]) -> Vec<Entry> {
    let entry = |(n, trial): (usize, &&Trial)| {
        let older = kind[n + 1..].iter().find(|older| is_comparable(trial, older));
        let changes = older.map(|older| before(trial, older));
        let regressed = |name: &str| {
            let mut figures = changes.iter().flat_map(|before| &before.figures);
            figures.any(|change| change.name == name && change.regressed)
        };
        let past = |name: &str| {
            let value = value(trial, name)?;
            Some(Past { name: name.to_owned(), value, regressed: regressed(name) })
        };
        Entry {
            run_id: trial.summary.run_id.clone(),
            started_at: trial.started_at.clone(),
            test_type: trial.test_type.clone(),
            phase: trial.phase,
            endpoint: trial.endpoint.clone(),
            agents: trial.agents.clone(),
            total_tasks: trial.summary.total_tasks,
            verdict: trial.verdict,
            against: older.map(|older| older.summary.run_id.clone()),
            figures: COMPARED.into_iter().filter_map(past).collect(),
        }
    };
    kind.iter().enumerate().map(entry).collect()
}

fn of_kind(kind: &[&Trial], style: Style) -> String {
    let Some(newest) = kind.first() else { return String::new() };
    let called = format!(
        "{} ({}{}) against {}, {}",
        name(newest),
        count(newest.summary.total_tasks, "task"),
        newest.plan.as_ref().map_or_else(String::new, |plan| format!(" of {plan}")),
        newest.endpoint,
        newest.agents.join(", ")
    );
    let right = Side::Right;
    let columns = [
        ("STARTED", Side::Left),
        ("RESULT", Side::Left),
        ("SUCCESS", right),
        ("P50", right),
        ("P95", right),
        ("SPEEDUP", right),
        ("OF MAX", right),
        ("TASKS/S", right),
        ("USD/TASK", right),
        ("ERRORS", right),
        ("429", right),
    ];
    let entries = entries(kind);
    let rows: Vec<[String; 11]> = entries.iter().map(cells).collect();
    let mut text = style.paint(Paint::Strong, &one_line(&called)) + "\n";
    let table = table(columns, &rows);
    let mut lines = table.lines();
    text.extend(lines.next().map(|headings| format!("{headings}\n")));
    for (line, entry) in lines.zip(&entries) {
        let worse = entry.figures.iter().any(|figure| figure.regressed);
        text += &if worse { style.paint(Paint::Warn, line) } else { line.to_owned() };
        text.push('\n');
    }
    if entries.iter().flat_map(|entry| &entry.figures).any(|figure| figure.regressed) {
        text.push_str("!  worse than in the trial before it by more than chance explains\n");
    }
    text
}

fn cells(entry: &Entry) -> [String; 11] {
    let started = instant(&entry.started_at).map_or_else(|| entry.started_at.clone(), moment);
    // To the minute: seconds tell nobody anything here.
    let started: String = started.chars().take("2025-11-14 09:30".len()).collect();
    let verdict = match entry.verdict {
        Verdict::Pass => "passed",
        Verdict::Fail => "failed",
    };
    let figure = |n: usize| {
        let Some(figure) = entry.figures.iter().find(|figure| figure.name == COMPARED[n]) else {
            return "–".to_owned();
        };
        let shown = shown_of(&figure.name, figure.value).replace(" tasks/s", "");
        if figure.regressed { format!("!{shown}") } else { shown }
    };
    let mut cells = [started, verdict.to_owned()].into_iter().chain((0..COMPARED.len()).map(figure));
    std::array::from_fn(|_| cells.next().unwrap_or_default())
}

#[cfg(test)]
mod tests;
