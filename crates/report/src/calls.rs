//! `api_calls.log`: a line for each call that came to an end (SPEC.md O2), in logfmt: `key=value`,
//! values quoted where they need to be, a key left out where nothing is known.

use std::fmt::Display;

use sortie_core::agent::Agent;
use sortie_core::failure::Failure;
use sortie_core::plan::{Plan, TaskId};
use sortie_core::price::Pricing;
use sortie_core::run::event::{AttemptId, Event, Record, Spent, Timing};
use sortie_core::usage::Tier;

use crate::fold::RunView;
use crate::terminal::one_line;
use crate::units::{rfc3339, seconds};

/// The line of this record, without its line break; none where no call ended.
///
/// A call that brought an answer has status 200: no dialect takes another for an answer.
pub fn line(run: &RunView, record: &Record) -> Option<String> {
    let (attempt, outcome, status, spent, timing) = match &record.event {
        Event::AttemptSucceeded { attempt, spent, timing, .. } => {
            (attempt, "succeeded", Some(200), spent, Some(timing))
        }
        Event::AttemptFailed { failure, .. } if failure.class.is_unsent() => return None,
        Event::AttemptFailed { attempt, failure, spent, timing, .. } => {
            (attempt, "failed", failure.http_status, spent, Some(timing))
        }
        Event::AttemptLost { attempt, spent } => (attempt, "lost", None, spent, None),
        Event::AttemptRecovered { attempt, spent, .. } => (attempt, "recovered", None, spent, None),
        _ => return None,
    };
    let mut line = Line::default();
    line.pair("time", rfc3339(record.at));
    who(&mut line, run, record, *attempt);
    line.pair("outcome", outcome);
    line.known("status", status);
    figures(&mut line, run, *attempt, spent, timing);
    if let Event::AttemptFailed { failure: Failure { class, message, .. }, .. } = &record.event {
        line.pair("class", class);
        line.pair("error", message);
    }
    Some(line.0)
}

fn who(line: &mut Line, run: &RunView, record: &Record, attempt: AttemptId) {
    line.pair("run", &run.run_id);
    line.pair("task", name(&run.plan, attempt.task));
    line.pair("attempt", attempt.number);
    if let Some(agent) = asked(&run.plan, attempt) {
        line.pair("agent", &agent.name);
        match &record.event {
            Event::AttemptSucceeded { answer, .. } => line.pair("model", &answer.model),
            Event::AttemptRecovered { model, .. } => line.pair("model", model),
            Event::AttemptFailed { failure: Failure { model: Some(model), .. }, .. } => {
                line.pair("model", model);
            }
            _ => line.pair("model", &agent.model),
        }
    }
}

fn figures(line: &mut Line, run: &RunView, attempt: AttemptId, spent: &Spent, timing: Option<&Timing>) {
    line.known("latency_s", timing.map(|timing| seconds(timing.total)));
    line.known("ttft_s", timing.and_then(|timing| timing.first_token).map(seconds));
    line.known("input_tokens", spent.usage.map(|usage| usage.total_input()));
    line.known("cached_input_tokens", spent.usage.map(|usage| usage.cache_read));
    line.known("output_tokens", spent.usage.map(|usage| usage.output));
    let tier = spent.usage.map(|usage| usage.tier).filter(|tier| *tier != Tier::Standard);
    line.known("tier", tier.map(Tier::name));
    if asked(&run.plan, attempt).is_some_and(|agent| agent.pricing == Pricing::Unknown) {
        line.pair("cost_usd", "unknown");
        return;
    }
    line.pair("cost_usd", (spent.charge.actual + spent.charge.estimated).exact(2));
    line.pair("estimated_usd", spent.charge.estimated.exact(2));
    line.pair("at_risk_usd", spent.charge.at_risk.exact(2));
}

/// A task's id; a journal is not believed to name tasks that exist.
pub(crate) fn name(plan: &Plan, id: TaskId) -> &str {
    plan.tasks().get(id.index()).map_or("?", |task| &task.name)
}

/// How many tasks are named before the rest is counted.
const MOST_NAMES: usize = 5;

/// The names of tasks, of many the first ones: `a, b and 7 more`.
pub fn some(plan: &Plan, tasks: &[TaskId]) -> String {
    let names: Vec<&str> = tasks.iter().take(MOST_NAMES).map(|id| name(plan, *id)).collect();
    match tasks.len().saturating_sub(MOST_NAMES) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// Who was asked in an attempt; a journal is not believed to name tasks and agents that exist.
pub(crate) fn asked(plan: &Plan, attempt: AttemptId) -> Option<&Agent> {
    plan.tasks().get(attempt.task.index())?;
    plan.agents().get(plan.asked(attempt).index())
}

/// A line under construction.
#[derive(Default)]
struct Line(String);

impl Line {
    fn pair(&mut self, key: &str, value: impl Display) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(key);
        self.0.push('=');
        self.0.push_str(&quoted(&value.to_string()));
    }

    fn known(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.pair(key, value);
        }
    }
}

/// A value as it may stand in a line: quotes and backslashes escaped, then made safe to show. In
/// this order a line break from outside is `\n`, and two characters that look like one are `\\n`.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_.:/+@".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return one_line(value).into_owned();
    }
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", one_line(&escaped))
}

#[cfg(test)]
mod tests {
    use sortie_core::failure::Class;
    use sortie_core::run::event::Then;

    use super::*;
    use crate::testing::{self, Story};

    fn check(story: &Story, seq: usize, expected: Option<&str>) {
        assert_eq!(line(&story.run(), &story.records[seq - 1]).as_deref(), expected, "record {seq}");
    }

    #[test]
    fn a_line_has_all_that_is_known_of_a_call() {
        let story = testing::retried();
        check(&story, 1, None);
        check(&story, 2, None);
        check(
            &story,
            3,
            Some(
                "time=2025-11-14T09:30:00.300000Z run=20251114-093000-7f3a task=analyze attempt=1 agent=claude \
                 model=claude-sonnet-4-5 outcome=failed status=429 latency_s=0.3 cost_usd=0.00 estimated_usd=0.00 at_risk_usd=0.00 \
                 class=throttled error=\"number of requests has exceeded your rate limit\"",
            ),
        );
        check(
            &story,
            5,
            Some(
                "time=2025-11-14T09:30:03.300000Z run=20251114-093000-7f3a task=analyze attempt=2 agent=claude \
                 model=claude-sonnet-4-5-20250929 outcome=succeeded status=200 latency_s=2 ttft_s=0.4 \
                 input_tokens=100 cached_input_tokens=20 output_tokens=200 cost_usd=0.0046 estimated_usd=0.00 at_risk_usd=0.00",
            ),
        );
        check(
            &testing::resumed(),
            9,
            Some(
                "time=2025-11-14T10:30:00.000000Z run=20251114-093000-7f3a task=impl_b attempt=1 agent=claude \
                 model=claude-sonnet-4-5 outcome=lost cost_usd=0.00 estimated_usd=0.00 at_risk_usd=0.06",
            ),
        );
    }

    #[test]
    fn an_attempt_that_never_left_has_no_line() {
        let story = testing::unwritten();
        check(&story, 8, None);
        let lines = story.records.iter().filter_map(|record| line(&story.run(), record));
        assert_eq!(lines.count() as u64, story.fold().counts().calls);
    }

    #[test]
    fn values_are_quoted_where_they_need_to_be_and_never_leave_their_line() {
        for (value, expected) in [
            ("plain-1.5", "plain-1.5"),
            ("", r#""""#),
            ("two words", r#""two words""#),
            (r#"say "hi" \ bye"#, r#""say \"hi\" \\ bye""#),
            ("a\nb", r#""a\nb""#),
            (r"a\nb", r#""a\\nb""#),
            ("k=v", r#""k=v""#),
            ("任务", "任务"),
            ("\x1b[31m", r#""\u{1b}[31m""#),
        ] {
            assert_eq!(quoted(value), expected, "{value:?}");
        }
    }

    #[test]
    fn a_forged_line_stays_an_error_text() {
        let failure = Failure::new(Class::Transient, "x\ntime=0 task=other outcome=succeeded");
        let story = Story::pipeline().at(0.0, testing::failed(0, 1, failure, Then::Fail));
        let line = line(&story.run(), &story.records[0]).unwrap();
        assert!(line.ends_with(r#"error="x\ntime=0 task=other outcome=succeeded""#), "{line}");
        assert_eq!(line.lines().count(), 1);
    }
}
