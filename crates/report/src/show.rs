//! What `sortie runs` and `sortie show` say: runs in a table, a run's tasks in a table, one task
//! with its attempts.

use std::fmt::Write;

use sortie_core::hash::Hash;
use sortie_core::plan::{Edge, Plan, TaskId};
use sortie_core::price::Pricing;
use sortie_core::run::event::{AttemptId, Event, Outcome, Record, Signal, Spent, Then, Timing};
use sortie_core::time::Time;

use crate::amounts::{charged_at, charged_in_short, for_what};
use crate::calls::asked;
use crate::controls::words;
use crate::fold::{Fold, Report, TaskView};
use crate::results;
use crate::summary::CANCELLED;
use crate::table::{Side, table};
use crate::terminal::{Style, one_line, sanitize, summary};
use crate::units::{count, duration, moment, money};

/// A run in a line.
#[derive(Clone, Debug)]
pub struct RunRow<'a> {
    /// The run's id.
    pub run_id: &'a str,
    /// Its plan's name.
    pub plan_name: &'a str,
    /// When it was created.
    pub created: Time,
    /// Tasks of the plan.
    pub tasks: u64,
    /// Its last record, if it has one.
    pub last: Option<&'a Record>,
    /// Whether a process drives it now.
    pub owned: bool,
}

/// What `sortie runs` says.
pub fn runs(rows: &[RunRow]) -> String {
    if rows.is_empty() {
        return "no runs\n".into();
    }
    let columns = [
        ("RUN", Side::Left),
        ("PLAN", Side::Left),
        ("CREATED", Side::Left),
        ("TASKS", Side::Right),
        ("STATE", Side::Left),
    ];
    let cells = |row: &RunRow| {
        let tasks = row.tasks.to_string();
        [row.run_id.into(), row.plan_name.into(), moment(row.created), tasks, state(row).to_owned()]
    };
    table(columns, &rows.iter().map(cells).collect::<Vec<_>>())
}

/// In a word or two; whether all tasks succeeded is not in a last record, so it is not said.
fn state(row: &RunRow) -> &'static str {
    match row.last.map(|record| &record.event) {
        _ if row.owned => "running",
        Some(Event::RunEnded { outcome }) => match outcome {
            Outcome::Completed => "completed",
            Outcome::BudgetExceeded { .. } => "stopped: budget",
            Outcome::ProviderStopped { .. } => "stopped: provider",
            Outcome::TimedOut { .. } => "stopped: run timeout",
            Outcome::TooManyFailures { .. } => "stopped: failures",
            Outcome::Interrupted { signal: Signal::Cancel } => "cancelled",
            Outcome::Interrupted { .. } => "interrupted",
        },
        Some(_) => "crashed",
        None => "not started",
    }
}

/// What `sortie show RUN` says: its tasks in a table, what the user changed, then the block that ended it.
pub fn run(report: &Report, style: Style) -> String {
    let columns = [
        ("TASK", Side::Left),
        ("TYPE", Side::Left),
        ("STATUS", Side::Left),
        ("ATTEMPTS", Side::Right),
        ("QUEUED", Side::Right),
        ("LATENCY", Side::Right),
        ("COST", Side::Right),
    ];
    let plan = &report.fold.run().plan;
    let cells = |(view, task): (&TaskView, &sortie_core::plan::Task)| {
        [
            task.name.clone(),
            task.task_type.clone(),
            view.status.name().into(),
            view.attempts.to_string(),
            view.queued.map_or_else(dash, duration),
            view.latency().map_or_else(dash, duration),
            if view.ran {
                charged_in_short(&view.agent(plan, task.agent).pricing, &view.charge)
            } else {
                dash()
            },
        ]
    };
    let rows: Vec<_> = report.fold.tasks().iter().zip(plan.tasks()).map(cells).collect();
    format!("{}\n{}{}", table(columns, &rows), changes(report.fold), summary(report, style))
}

/// A line for each control, and an empty one; nothing where there was none.
fn changes(fold: &Fold) -> String {
    let mut lines = String::new();
    let controls = fold.controls().iter().map(|&(at, control)| (at, words(fold.run(), control)));
    let cancelled = fold.cancelled().iter().map(|&at| (at, CANCELLED.to_owned()));
    let mut all: Vec<_> = controls.chain(cancelled).collect();
    all.sort_by_key(|(at, _)| *at);
    for (at, what) in all {
        writeln!(lines, "{}  {}", moment(at), one_line(&what)).unwrap_or_default();
    }
    if lines.is_empty() { lines } else { lines + "\n" }
}

fn dash() -> String {
    "-".into()
}

/// The texts of a task, from whoever keeps them.
#[derive(Clone, Copy, Debug, Default)]
pub struct TaskTexts<'a> {
    /// The hash of its prompt.
    pub prompt: Option<Hash>,
    /// Its answer.
    pub result: Option<&'a str>,
}

/// What `sortie show RUN TASK` says: where it stands, its attempts with their failures, its answer.
/// None where the plan has no such task.
pub fn task(report: &Report, records: &[Record], id: TaskId, texts: TaskTexts) -> Option<String> {
    let view = report.fold.tasks().get(id.index())?;
    let plan = &report.fold.run().plan;
    let (task, own) = (plan.task(id), plan.agent_of(id));
    let agent = view.agent(plan, task.agent);
    let mut lines = vec![format!("task {}: {}", one_line(&task.name), view.status.name())];
    let mut fact = |name: &str, value: &str| lines.push(format!("  {name:<12}{}", one_line(value)));
    fact("type", &task.task_type);
    let instead = if view.fallback.is_some() { format!(", for {}", own.name) } else { String::new() };
    fact("agent", &format!("{} ({}){instead}", agent.name, agent.model));
    if !task.depends_on.is_empty() {
        let named = |on: &Edge| on.named(&plan.task(on.task).name);
        let on: Vec<String> = task.depends_on.iter().map(named).collect();
        fact("depends on", &on.join(", "));
    }
    if let Some(hash) = texts.prompt {
        fact("prompt", &format!("SHA-256 {hash}"));
    }
    if let Some(because) = &view.skipped {
        fact("skipped", &results::skipped(plan, because));
    }
    if let Some(earlier) = &view.without_call {
        fact("answered by", &earlier.name(plan));
    }
    if let Some(answer) = &view.answer {
        fact("model", &answer.model);
        fact("finish", answer.finish.name());
        fact("result", &format!("SHA-256 {}, {}", answer.output, count(answer.bytes, "byte")));
    }
    if let Some(usage) = view.usage {
        fact("tokens", &format!("{} in, {} out", usage.total_input(), usage.output));
    }
    fact("cost", &charged_at(&agent.pricing, &view.charge));
    let mut text = lines.join("\n") + "\n";
    text.push_str(&attempts(records, plan, id));
    if let Some(result) = texts.result {
        write!(text, "\n{}\n", sanitize(result.trim_end_matches('\n'))).unwrap_or_default();
    }
    Some(text)
}

/// A line for each attempt that came to an end, and for what ended the task without one.
fn attempts(records: &[Record], plan: &Plan, id: TaskId) -> String {
    let by = |attempt: &AttemptId| {
        let fallback = attempt.agent.and_then(|_| asked(plan, *attempt));
        fallback.map_or_else(String::new, |agent| format!(" by {}", agent.name))
    };
    let took = |attempt: &AttemptId, timing: &Timing, spent: &Spent| {
        let pricing = asked(plan, *attempt).map_or(&Pricing::Free, |agent| &agent.pricing);
        format!("{} after {} {}", by(attempt), duration(timing.total), for_what(pricing, &spent.charge))
    };
    let mut text = String::new();
    for record in records {
        let (number, what) = match &record.event {
            Event::AttemptSucceeded { attempt, spent, timing, .. } if attempt.task == id => {
                (Some(attempt.number), format!("succeeded{}", took(attempt, timing, spent)))
            }
            Event::AttemptFailed { attempt, failure, .. }
                if attempt.task == id && failure.class.is_unsent() =>
            {
                (Some(attempt.number), format!("failed unsent: {failure}"))
            }
            Event::AttemptFailed { attempt, failure, spent, timing, then } if attempt.task == id => {
                let then = match then {
                    Then::RetryAt(at) | Then::AgainAt(at) => {
                        format!(", retried {} later", duration(at.since(record.at)))
                    }
                    Then::Fail => String::new(),
                    Then::StopAccount => ", nothing more is sent there".into(),
                };
                (Some(attempt.number), format!("failed{}{then}: {failure}", took(attempt, timing, spent)))
            }
            Event::AttemptLost { attempt, spent } if attempt.task == id => (
                Some(attempt.number),
                format!("lost{}, {} at risk", by(attempt), money(spent.charge.at_risk)),
            ),
            Event::AttemptRecovered { attempt, answer, spent, .. } if attempt.task == id => {
                let pricing = asked(plan, *attempt).map_or(&Pricing::Free, |agent| &agent.pricing);
                let cost = for_what(pricing, &spent.charge);
                let answer = if answer.is_some() { "succeeded" } else { "no answer to it" };
                (Some(attempt.number), format!("found at its provider{} {cost}: {answer}", by(attempt)))
            }
            Event::TaskFailed { task, failure } if *task == id => (None, format!("failed unsent: {failure}")),
            Event::PlanChanged { again, .. } if again.contains(&id) => {
                (None, "done anew: the plan was changed".to_owned())
            }
            Event::Reopened { tasks } if tasks.contains(&id) => (None, "tried again".to_owned()),
            _ => continue,
        };
        let attempt = number.map_or_else(String::new, |number| format!("attempt {number} "));
        writeln!(text, "  {}  {attempt}{}", moment(record.at), one_line(&what)).unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Story};

    fn shown_task(story: &Story, task: u32, result: Option<&str>) -> String {
        let fold = story.fold();
        let report = fold.report(fold.last_time());
        let texts = TaskTexts { prompt: Some(Hash::of(b"prompt")), result };
        super::task(&report, &story.records, TaskId(task), texts).unwrap()
    }

    #[test]
    fn a_run_is_shown_with_its_tasks() {
        for (name, story) in [
            ("run_failure", testing::failure()),
            ("run_resumed", testing::resumed()),
            ("run_recovered", testing::recovered()),
            ("run_reopened", testing::reopened()),
            ("run_killed", testing::killed()),
            ("run_budget", testing::budget_stop()),
            ("run_two_agents", testing::two_agents()),
            ("run_unpriced", testing::unpriced(testing::failure())),
            ("run_controlled", testing::controlled()),
            ("run_rerouted", testing::rerouted()),
        ] {
            let fold = story.fold();
            insta::assert_snapshot!(name, run(&fold.report(fold.last_time()), Style::Plain));
        }
    }

    #[test]
    fn a_task_is_shown_with_its_attempts_and_its_answer() {
        insta::assert_snapshot!("task_rerouted", shown_task(&testing::rerouted(), 0, Some("Done.")));
        insta::assert_snapshot!(
            "task_retried",
            shown_task(&testing::retried(), 0, Some("Two\x1b[2J\nlines.\n"))
        );
        insta::assert_snapshot!("task_failed", shown_task(&testing::failure(), 3, None));
        insta::assert_snapshot!("task_unwritten", shown_task(&testing::unwritten(), 3, None));
        insta::assert_snapshot!("task_skipped", shown_task(&testing::failure(), 4, None));
        insta::assert_snapshot!("task_reopened", shown_task(&testing::reopened(), 3, Some("Done.")));
        insta::assert_snapshot!("task_recovered", shown_task(&testing::recovered(), 3, Some("answer 3")));
        insta::assert_snapshot!("task_lost", shown_task(&testing::resumed(), 3, Some("answer 3")));
    }

    #[test]
    fn a_task_that_the_plan_does_not_have_is_not_shown() {
        let story = testing::diamond();
        let fold = story.fold();
        assert_eq!(super::task(&fold.report(fold.last_time()), &[], TaskId(5), TaskTexts::default()), None);
    }

    #[test]
    fn runs_are_listed_with_their_state() {
        let stories = testing::all();
        let mut rows: Vec<RunRow> = stories
            .iter()
            .map(|story| RunRow {
                run_id: "20251114-093000-7f3a",
                plan_name: story.plan.name(),
                created: story.run().created,
                tasks: story.plan.len() as u64,
                last: story.records.last(),
                owned: false,
            })
            .collect();
        rows[1].owned = true;
        rows[2].plan_name = "网站设计";
        rows[2].last = stories[2].records.get(3);
        insta::assert_snapshot!("runs", runs(&rows));
        assert_eq!(runs(&[]), "no runs\n");
    }
}
