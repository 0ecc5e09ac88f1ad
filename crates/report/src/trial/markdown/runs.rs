//! The list of a trial's runs.

use std::time::Duration;

use super::table;
use crate::markdown::dash;
use crate::markdown::escape::escape;
use crate::table::Side::{Left, Right};
use crate::trial::{Trial, TrialRun};
use crate::units::{count, duration, money};

/// The runs of a trial, in their order. Several plays of the same have one line: who reads wants to know that they
/// were made and where they are, and what came of them together is told with the comparison.
pub(super) fn runs(trial: &Trial) -> String {
    let groups: Vec<&[TrialRun]> = trial.runs.chunk_by(|a, b| a.role == b.role).collect();
    let rows: Vec<_> = groups.iter().filter_map(|plays| row(trial, plays)).collect();
    let columns = [
        ("run", Left),
        ("id", Left),
        ("succeeded", Right),
        ("at a time", Right),
        ("time", Right),
        ("latency p50 / p95", Right),
        ("calls", Right),
        ("cost", Right),
        ("why not all", Left),
    ];
    let mut text = table(columns, &rows);
    if text.is_empty() {
        return text;
    }
    text.push_str("\n`sortie show ID` tells more of a run.");
    if trial.runs.iter().any(|run| run.rehearsal) {
        text.push_str(" What runs on the simulator beside it would have cost is in no sum.");
    }
    if groups.iter().any(|plays| plays.len() > 1) {
        text.push_str(" Of several plays the times are the median's.");
    }
    text + "\n"
}

/// A run, or several plays of the same.
fn row(trial: &Trial, plays: &[TrialRun]) -> Option<[String; 9]> {
    let (first, last) = (plays.first()?, plays.last()?);
    let mut marks = Vec::new();
    if first.run_id == trial.summary.run_id && first.role != "judged" {
        marks.push("judged".to_owned());
    }
    if first.simulated && !trial.summary.simulated {
        marks.push("on the simulator".to_owned());
    }
    if plays.len() > 1 {
        marks.push(count(plays.len() as u64, "play"));
    }
    let marks = if marks.is_empty() { String::new() } else { format!(" ({})", marks.join(", ")) };
    let id = match plays.len() {
        1 => escape(&first.run_id),
        _ => format!("{} to {}", escape(&first.run_id), escape(&last.run_id)),
    };
    let sum = |of: fn(&TrialRun) -> u64| plays.iter().map(of).sum::<u64>();
    let latency = match (median(plays, |run| run.p50_latency), median(plays, |run| run.p95_latency)) {
        (Some(p50), Some(p95)) => format!("{} / {}", duration(p50), duration(p95)),
        _ => dash(),
    };
    let cost = plays.iter().fold(sortie_core::money::Usd::ZERO, |sum, run| sum + run.total_cost);
    let error = plays.iter().find_map(|run| run.error.as_ref());
    Some([
        escape(&first.role) + &marks,
        id,
        format!("{} of {}", sum(|run| run.successful_tasks), sum(|run| run.total_tasks)),
        first.max_concurrent.to_string(),
        median(plays, |run| Some(run.total_duration)).map_or_else(dash, duration),
        latency,
        sum(|run| run.api_calls_count).to_string(),
        money(cost),
        error.map_or_else(String::new, |error| escape(error)),
    ])
}

/// The median of a time that runs have; none where none has it.
fn median(plays: &[TrialRun], of: impl Fn(&TrialRun) -> Option<Duration>) -> Option<Duration> {
    let mut times: Vec<Duration> = plays.iter().filter_map(of).collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}
