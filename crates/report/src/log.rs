//! What `production.log` and the console say of each event (SPEC.md O2); writing them is the
//! caller's. Every line is one line, whatever a server put into its messages.

use std::fmt;

use sortie_core::failure::{Class, Failure};
use sortie_core::money::Usd;
use sortie_core::prediction::Prediction;
use sortie_core::price::Pricing;
use sortie_core::run::event::{
    AttemptId, BudgetMark, Event, Finish, Outcome, Record, Signal, Spent, Then, Unserved,
};
use sortie_core::time::Time;
use sortie_core::usage::Charge;

use crate::amounts::{for_what, names, unpriced};
use crate::calls::{asked, name, some};
use crate::controls;
use crate::fold::{Fold, RunView};
use crate::forecast::budget_stop;
use crate::results;
use crate::summary::{CANCELLED, interrupted, timed_out, too_many_failures, whose};
use crate::terminal::one_line;
use crate::units::{budget_exceeded, count, duration, money, percent, rfc3339};

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever looks for a fault.
    Debug,
    /// What happens.
    Info,
    /// It goes on, but not as planned.
    Warning,
    /// A task or the run did not succeed.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warning => "WARNING",
            Level::Error => "ERROR",
        })
    }
}

/// What the log says of this record, the last one that was folded.
pub fn line(fold: &Fold, record: &Record) -> (Level, String) {
    let (level, message) = match (&record.event, fold.is_draining()) {
        (Event::AttemptFailed { .. }, true) => of_attempt(fold.run(), record, true),
        _ => message(fold.run(), record),
    };
    (level, one_line(&message).into_owned())
}

/// A line of `production.log`, without its line break: time, name, level, message.
pub fn written(at: Time, name: &str, level: Level, message: &str) -> String {
    format!("{} {} {level} {}", rfc3339(at), one_line(name), one_line(message))
}

fn message(run: &RunView, record: &Record) -> (Level, String) {
    let task = |id| name(&run.plan, id);
    match &record.event {
        Event::RunStarted => {
            (Level::Info, format!("run {} started: {}", run.run_id, count(run.plan.len() as u64, "task")))
        }
        Event::RunResumed => (Level::Info, format!("run {} resumed", run.run_id)),
        Event::ForecastMade { forecast: Prediction { cost, makespan, stop } } => {
            let tasks = run.plan.tasks().iter().map(|task| task.agent);
            let cost = match &unpriced(&run.plan, tasks)[..] {
                [] => format!("{} ({} to {})", money(cost.expected), money(cost.low), money(cost.worst)),
                agents => format!("cost unknown (no price for {})", names(agents.iter().copied())),
            };
            let time = format!("{} (p95 {})", duration(makespan.p50), duration(makespan.p95));
            let stop = stop.map_or_else(String::new, |stop| {
                format!("; {}", budget_stop(&run.plan, run.plan.len(), &stop))
            });
            (Level::Info, format!("forecast: {cost}, {time}{stop}"))
        }
        Event::Reopened { tasks } => {
            let tried = if tasks.len() == 1 { "task is" } else { "tasks are" };
            (Level::Info, format!("{} {tried} tried again: {}", tasks.len(), some(&run.plan, tasks)))
        }
        Event::PlanChanged { again, .. } if again.is_empty() => {
            (Level::Info, "the plan was changed: nothing is done again".to_owned())
        }
        Event::PlanChanged { again, .. } => {
            let done = if again.len() == 1 { "task is" } else { "tasks are" };
            (
                Level::Info,
                format!(
                    "the plan was changed: {} {done} done (again): {}",
                    again.len(),
                    some(&run.plan, again)
                ),
            )
        }
        Event::Waited { waits } => {
            let held: Vec<String> =
                waits.iter().map(|wait| format!("{} ({})", wait.reason, duration(wait.time))).collect();
            (Level::Info, format!("ready tasks waited: {}", held.join(", ")))
        }
        Event::Controlled { control } => (Level::Info, controls::words(run, *control)),
        Event::AttemptStarted { .. }
        | Event::AttemptSucceeded { .. }
        | Event::AttemptFailed { .. }
        | Event::AttemptLost { .. }
        | Event::AttemptRecovered { .. } => of_attempt(run, record, false),
        Event::TaskRecalled { task: id, run: earlier, .. } => {
            (Level::Info, format!("task {} answered without a call: run {earlier} asked the same", task(*id)))
        }
        Event::TaskShared { task: id, with } => (
            Level::Info,
            format!("task {} answered without a call: task {} asked the same", task(*id), task(*with)),
        ),
        Event::TaskFailed { task: id, failure } => {
            (Level::Error, format!("task {} failed: {failure}", task(*id)))
        }
        Event::TaskSkipped { task: id, because } => {
            (Level::Warning, format!("task {} skipped: {}", task(*id), results::skipped(&run.plan, because)))
        }
        Event::BudgetWarned { .. } | Event::BudgetReached { .. } | Event::BudgetSet { .. } => {
            of_budget(run, &record.event)
        }
        Event::CancelRequested { signal } => {
            let what = match signal {
                Signal::Interrupt => "SIGINT received",
                Signal::Terminate => "SIGTERM received",
                Signal::Cancel => CANCELLED,
            };
            let grace = duration(run.settings.grace);
            (Level::Warning, format!("{what}: calls in flight have {grace} to finish, nothing new starts"))
        }
        Event::RunEnded { outcome } => end(run, outcome),
    }
}

fn of_attempt(run: &RunView, record: &Record, is_draining: bool) -> (Level, String) {
    let Some(attempt) = record.event.attempt() else { return (Level::Debug, String::new()) };
    let (task, agent) = (name(&run.plan, attempt.task), asked(&run.plan, attempt));
    let pricing = agent.map_or(&Pricing::Free, |agent| &agent.pricing);
    let cost = |spent: &Spent| for_what(pricing, &spent.charge);
    match &record.event {
        Event::AttemptSucceeded { answer, spent, timing, .. } => {
            let (level, limit) = match answer.finish {
                Finish::MaxTokens => (Level::Warning, ", but max_tokens ended its answer"),
                _ => (Level::Info, ""),
            };
            let (took, cost) = (duration(timing.total), cost(spent));
            (level, format!("task {task} succeeded in {took} {cost}{limit}"))
        }
        Event::AttemptFailed { attempt, failure, then, spent, .. } => {
            let (level, then) = follows(then, record.at, is_draining);
            let (what, status, said) = (verb(failure.class), status(failure), said(failure));
            let cost = if spent.charge.is_zero() { String::new() } else { format!(" {}", cost(spent)) };
            (level, format!("task {task}: attempt {} {what}{status}{cost}, {then}{said}", attempt.number))
        }
        Event::AttemptLost { attempt, spent } => {
            let at_risk = money(spent.charge.at_risk);
            (Level::Warning, format!("task {task}: attempt {} was lost, {at_risk} at risk", attempt.number))
        }
        Event::AttemptRecovered { attempt, answer, spent, .. } => {
            let (number, cost) = (attempt.number, cost(spent));
            let answer = if answer.is_some() { "the task has succeeded" } else { "only its cost is of use" };
            (
                Level::Info,
                format!("task {task}: lost attempt {number} was found at its provider {cost}: {answer}"),
            )
        }
        Event::AttemptStarted { attempt, because: Some(because), .. } => {
            (Level::Info, rerouted(run, *attempt, *because, record.at))
        }
        Event::AttemptStarted { attempt, reserved, because: None } => {
            let reserved = money(reserved.usd);
            (Level::Debug, format!("task {task}: attempt {} started, {reserved} reserved", attempt.number))
        }
        _ => (Level::Debug, String::new()),
    }
}

/// `task a goes to openai: claude is stopped`.
fn rerouted(run: &RunView, attempt: AttemptId, because: Unserved, now: Time) -> String {
    let agent = |attempt| asked(&run.plan, attempt).map_or("?", |agent| agent.name.as_str());
    let (task, to) = (name(&run.plan, attempt.task), agent(attempt));
    let own = agent(AttemptId { agent: None, ..attempt });
    let why = match because {
        Unserved::Stopped => "stopped".to_owned(),
        Unserved::Failing => "failing".to_owned(),
        Unserved::ThrottledUntil(until) => {
            format!("throttled for {:.1} s more", until.since(now).as_secs_f64())
        }
    };
    format!("task {task} goes to {to}: {own} is {why}")
}

fn of_budget(run: &RunView, event: &Event) -> (Level, String) {
    match event {
        Event::BudgetWarned { mark, spent, charge, budget, agent } => {
            let budget = budget.or(run.settings.budget.filter(|_| agent.is_none()));
            (Level::Warning, warned(*mark, *spent, charge, budget) + &whose(&run.plan, *agent))
        }
        Event::BudgetReached { needed, budget, agent, task, fitting_max_tokens } => {
            let why = budget_exceeded(*needed, *budget);
            let what = match agent.and_then(|agent| run.plan.agents().get(agent.index())) {
                Some(agent) => format!("nothing new of agent {} starts", agent.name),
                None => "nothing new starts".to_owned(),
            };
            let fits = task.zip(*fitting_max_tokens).map_or_else(String::new, |(task, tokens)| {
                format!("; task {} would fit with max_tokens {tokens}", name(&run.plan, task))
            });
            (Level::Warning, format!("{why}: calls in flight finish, {what}{fits}"))
        }
        Event::BudgetSet { budget, agent } => {
            let whose = match agent.and_then(|agent| run.plan.agents().get(agent.index())) {
                Some(agent) => format!("budget of agent {}", agent.name),
                None => "budget".to_owned(),
            };
            let line = budget
                .map_or_else(|| format!("{whose} lifted"), |to| format!("{whose} set to {}", money(to)));
            (Level::Info, line)
        }
        _ => (Level::Debug, String::new()),
    }
}

/// That spending passed a mark. What is at risk may never be spent: it is not called so.
fn warned(mark: BudgetMark, spent: Usd, charge: &Charge, budget: Option<Usd>) -> String {
    let known = charge.actual + charge.estimated;
    let parts = match (charge.is_zero(), known.is_zero(), charge.at_risk.is_zero()) {
        (true, _, _) | (_, _, true) => format!("{} spent", money(spent)),
        (false, true, false) => format!("{} at risk", money(charge.at_risk)),
        (false, false, false) => format!("{} spent and {} at risk", money(known), money(charge.at_risk)),
    };
    let mark = match (mark, budget) {
        (BudgetMark::Exceeded, Some(budget)) => {
            return format!("{}: {parts}", budget_exceeded(spent, budget));
        }
        (BudgetMark::Alert, _) => "the alert threshold",
        (BudgetMark::EightyPercent, _) => "80 % of the budget",
        (BudgetMark::Exceeded, None) => "the budget",
    };
    let share = budget.filter(|budget| !budget.is_zero()).map_or_else(String::new, |budget| {
        let used = percent(100.0 * spent.as_f64() / budget.as_f64());
        format!(", {used} of the budget of {}", money(budget))
    });
    format!("spending passed {mark}: {parts}{share}")
}

fn end(run: &RunView, outcome: &Outcome) -> (Level, String) {
    let plan = &run.plan;
    match outcome {
        Outcome::Completed => (Level::Info, "run completed".into()),
        Outcome::BudgetExceeded { needed, budget, agent } => {
            (Level::Error, budget_exceeded(*needed, *budget) + &whose(plan, *agent))
        }
        Outcome::ProviderStopped { failure } => (Level::Error, format!("stopped by the provider: {failure}")),
        Outcome::TimedOut { after } => (Level::Error, timed_out(&run.settings, *after)),
        Outcome::TooManyFailures { because } => (Level::Error, too_many_failures(plan, *because)),
        Outcome::Interrupted { signal } => (Level::Warning, format!("run {}", interrupted(*signal))),
    }
}

fn follows(then: &Then, now: Time, is_draining: bool) -> (Level, String) {
    match then {
        // Nothing starts any more.
        Then::RetryAt(_) | Then::AgainAt(_) if is_draining => {
            (Level::Warning, "a resume tries it again".into())
        }
        // A time in tenths, whatever its size: retries are announced for people who watch.
        Then::RetryAt(at) | Then::AgainAt(at) => {
            (Level::Warning, format!("retrying in {:.1} s", at.since(now).as_secs_f64()))
        }
        Then::Fail => (Level::Error, "the task has failed".into()),
        Then::StopAccount => (Level::Error, "nothing more is sent there".into()),
    }
}

fn status(failure: &Failure) -> String {
    failure.error_status().map_or_else(String::new, |status| format!(" (HTTP {status})"))
}

fn said(failure: &Failure) -> String {
    if failure.message.is_empty() { String::new() } else { format!(": {}", failure.message) }
}

/// What happened to an attempt of this class, after "attempt 1".
const fn verb(class: Class) -> &'static str {
    match class {
        Class::Throttled => "throttled",
        Class::Overloaded => "met an overloaded provider",
        Class::Transient => "met a fault of the provider",
        Class::Network => "lost its connection",
        Class::Timeout => "timed out",
        Class::CutOff => "was cut off",
        Class::Malformed => "got a malformed answer",
        Class::InvalidOutput => "got an answer that does not fit its schema",
        Class::QuotaGone => "found no quota left",
        Class::Auth => "was not authorized",
        Class::Invalid => "was invalid",
        Class::Refused => "was refused",
        Class::Redirected => "was redirected",
        Class::OverBudget => "would pass the task's cost limit",
        Class::Template => "could not be written",
    }
}

#[cfg(test)]
mod tests;
