//! `test_report.md`: a trial for the person who decides whether to go to production, and who has not seen the
//! program (SPEC.md O3, L3).
//!
//! Verdict first, then what it rests on, then what to do. A section without content is left out. All text from
//! outside is escaped; prompts and answers are not in it.

mod compared;
mod figures;
mod runs;

use std::fmt::Write;

use super::figure::{measured, required, title};
use super::words::{about, began, ended_by, name, reason, sentence, unready, verdict};
use super::{Criterion, PointState, Suggestion, TaskFigure, Trial, TrialRun};
use crate::markdown::escape::escape;
use crate::markdown::{dash, facts};
use crate::table::Side::{self, Left, Right};
use crate::units::{count, duration, instant, moment, money};

/// The report of a trial, in Markdown.
pub fn markdown(trial: &Trial) -> Vec<u8> {
    let sections = [
        format!("# Trial report: {}\n\n{}", escape(&name(trial)), opening(trial)),
        section("Criteria", &criteria(trial)),
        section("What was tested", &parts(&[facts(&of_the_trial(trial)), runs::runs(trial)])),
        section("Checked before it began", &checklist(trial)),
        section("Performance", &figures::performance(trial)),
        section("Cost", &figures::cost(trial)),
        section("Recovery from a kill", &figures::recovery(trial)),
        section("Faults that were made on purpose", &figures::faults(trial)),
        section("Over time", &figures::drift(trial)),
        section("Simulator and real API", &compared::comparison(trial)),
        section("Failed and skipped tasks", &figures::failures(trial)),
        section("Bottlenecks", &bottlenecks(trial)),
        section("Suggestions", &suggestions(trial)),
        section("Against the trial before", &compared::before(trial)),
        section("Notes", &list(trial.notes.iter().map(|note| sentence(&escape(note))))),
    ];
    let sections = sections.into_iter().filter(|section| !section.is_empty());
    sections.collect::<Vec<_>>().join("\n").into_bytes()
}

/// A section with its heading; nothing where there is nothing in it.
fn section(heading: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("## {heading}\n\n{text}") }
}

/// A table with headings; nothing without rows. Cells have to be escaped already.
fn table<const N: usize>(columns: [(&str, Side); N], rows: &[[String; N]]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let sides = columns.map(|(_, side)| if side == Side::Left { "---" } else { "---:" });
    let mut text = format!("| {} |\n| {} |\n", columns.map(|(name, _)| name).join(" | "), sides.join(" | "));
    for row in rows {
        writeln!(text, "| {} |", row.join(" | ")).unwrap_or_default();
    }
    text
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.fold(String::new(), |text, item| text + "- " + &item + "\n")
}

/// Parts with an empty line between them; those without content are left out.
fn parts(parts: &[String]) -> String {
    let parts: Vec<&str> = parts.iter().filter(|part| !part.is_empty()).map(String::as_str).collect();
    parts.join("\n")
}

/// The verdict with its reason, why tasks failed, and whether anything was real.
fn opening(trial: &Trial) -> String {
    let mut text = format!("**{}**: {}\n", verdict(trial), sentence(&escape(&reason(trial))));
    if let Some(unready) = unready(trial) {
        writeln!(text, "\n{}", sentence(&escape(&unready))).unwrap_or_default();
    }
    if let Some(error) = ended_by(trial) {
        writeln!(text, "\nThe run that is judged: {}", sentence(&escape(error))).unwrap_or_default();
    }
    if trial.summary.simulated {
        text.push_str(
            "\nIt was made against the built-in simulator: its times and costs are simulated, and nothing was spent.\n",
        );
    }
    text
}

fn of_the_trial(trial: &Trial) -> Vec<(&'static str, String)> {
    let summary = &trial.summary;
    let tested = about(trial).map_or_else(|| escape(&name(trial)), str::to_owned);
    let started = instant(&trial.started_at).map_or_else(|| escape(&trial.started_at), moment);
    let agents: Vec<String> = trial.agents.iter().map(|agent| escape(agent)).collect();
    let is_among = |run: &TrialRun| run.run_id == summary.run_id;
    let is_made = began(trial) && (trial.runs.is_empty() || trial.runs.iter().any(is_among));
    let rows = [
        ("Tested", tested),
        ("Against", escape(&trial.endpoint)),
        ("Agents", agents.join(", ")),
        ("Started", started),
        ("Tasks", summary.total_tasks.to_string()),
        ("At a time", format!("{} at most", count(u64::from(trial.max_concurrent), "call"))),
        ("Run that is judged", if is_made { escape(&summary.run_id) } else { String::new() }),
    ];
    rows.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

fn criteria(trial: &Trial) -> String {
    let row = |criterion: &Criterion| {
        let met = match criterion.met {
            Some(true) => "met",
            Some(false) => "**not met**",
            None => "not applicable",
        };
        let cells = [title(&criterion.name), measured(criterion), required(criterion)];
        let [title, measured, required] = cells.map(|cell| escape(&cell));
        [title, measured, required, met.to_owned(), escape(&criterion.why)]
    };
    let rows: Vec<_> = trial.criteria.iter().map(row).collect();
    let columns =
        [("criterion", Left), ("measured", Right), ("required", Left), ("result", Left), ("why", Left)];
    table(columns, &rows)
}

fn checklist(trial: &Trial) -> String {
    let row = |point: &super::Point| {
        let state = match point.state {
            PointState::Ok => "ok",
            PointState::Warning => "warning",
            PointState::Missing => "**missing**",
        };
        let hint = point.hint.as_ref().map_or_else(String::new, |hint| format!(" (hint: {})", escape(hint)));
        [state.to_owned(), escape(&point.what), escape(&point.found) + &hint]
    };
    let rows: Vec<_> = trial.checklist.iter().map(row).collect();
    table([("state", Left), ("what", Left), ("found", Left)], &rows)
}

fn bottlenecks(trial: &Trial) -> String {
    let of = &trial.bottlenecks;
    let figure = |task: &TaskFigure, shown: String| format!("{} ({shown})", escape(&task.task_id));
    let by_time = |tasks: &[TaskFigure]| -> Vec<String> {
        tasks.iter().map(|task| figure(task, duration(task.seconds))).collect()
    };
    let by_cost: Vec<String> = of.dearest.iter().map(|task| figure(task, money(task.cost))).collect();
    let waited: Vec<String> = of.waited_for.iter().map(|what| escape(what)).collect();
    let rows = [
        ("Ready tasks waited for", waited.join(", ")),
        ("Slowest tasks", by_time(&of.slowest).join(", ")),
        ("Dearest tasks", by_cost.join(", ")),
        ("Longest chain of tasks", by_time(&of.longest_path).join(" → ")),
    ];
    let rows: Vec<_> = rows.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    if rows.is_empty() { String::new() } else { facts(&rows) }
}

fn suggestions(trial: &Trial) -> String {
    let row = |of: &Suggestion| {
        let cells = [&of.setting, &of.from, &of.to].map(|cell| escape(cell));
        let [setting, from, to] = cells;
        let saves = [
            of.saves.map(|time| format!("{} sooner", duration(time))),
            of.saves_cost.map(|cost| format!("{} cheaper", money(cost))),
        ];
        let saves: Vec<String> = saves.into_iter().flatten().collect();
        let saves = if saves.is_empty() { dash() } else { saves.join(", ") };
        [setting, from, to, saves, escape(&of.brings)]
    };
    let rows: Vec<_> = trial.suggestions.iter().map(row).collect();
    let columns = [
        ("setting", Left),
        ("now", Left),
        ("better", Left),
        ("such a run would be", Left),
        ("what it brings", Left),
    ];
    let text = table(columns, &rows);
    if text.is_empty() {
        return text;
    }
    text + "\nWhat a setting would bring is worked out by the forecast from this trial's own calls.\n"
}

#[cfg(test)]
mod tests;
