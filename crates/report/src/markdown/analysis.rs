//! What the figures of a run mean, in sentences. Each is said only where its figures make it true;
//! advice names the setting that it is about.

use std::fmt::Write;
use std::time::Duration;

use sortie_core::ceiling::Binding;
use sortie_core::failure::Class;
use sortie_core::run::event::Outcome;

use super::escape::escape;
use super::with_tasks;
use crate::bound;
use crate::fold::Report;
use crate::units::{count, duration, money, percent};
use crate::waits::{Saving, saving};

/// A run that reaches this share of its ceiling has nothing to gain from other settings.
const GOOD_EFFICIENCY: f64 = 0.9;
/// The founding document's speedup (SPEC.md K2): a ceiling below it is worth a word.
const WISHED_SPEEDUP: f64 = 2.5;
/// Tasks that are named as the slowest.
const SLOWEST: usize = 3;
/// A task that costs so many times the average is worth a word (DESIGN.md `max_cost_outlier`).
const COST_OUTLIER: u64 = 3;

pub(super) fn text(report: &Report) -> String {
    if report.summary.api_calls_count == 0 {
        return "No call was made, so there is nothing to analyse.\n".into();
    }
    let findings =
        [Some(speed(report)), waits(report), Some(calls(report)), slowest(report), dearest(report)];
    let mut text = findings.into_iter().flatten().collect::<Vec<_>>().join("\n\n");
    let advice = advice(report);
    if advice.is_empty() {
        text.push_str("\n\nNothing in these figures calls for a change.\n");
    } else {
        text.push_str("\n\nSuggestions:\n\n");
        for advice in advice {
            writeln!(text, "- {advice}").unwrap_or_default();
        }
    }
    text
}

fn speed(report: &Report) -> String {
    let summary = &report.summary;
    let speedup = &summary.speedup;
    let (serial, total) = (duration(speedup.serial_duration), duration(summary.total_duration));
    let (Some(bound), Some(faster), Some(efficiency)) =
        (report.comparison(), speedup.speedup, speedup.efficiency)
    else {
        return format!("The run took {total}, {serial} of it in calls, one after the other.");
    };
    let compared = if faster >= 1.005 {
        format!("{faster:.2} times faster")
    } else {
        "so running side by side gained nothing".into()
    };
    let (least, binding) = (duration(bound.makespan), bound::words(bound.binding, summary.mode));
    let reached = percent(100.0 * efficiency);
    format!(
        "One after the other the calls would have taken {serial}; the run took {total}, {compared}. These calls \
         could not have taken less than {least}, because of {binding}: the run reached {reached} of the highest \
         possible speed."
    )
}

/// Where the time of tasks went: into the queue, into calls, into waits for a retry.
fn waits(report: &Report) -> Option<String> {
    let tasks = report.fold.tasks();
    let queued: Vec<Duration> = tasks.iter().filter_map(|task| task.queued).collect();
    let longest = queued.iter().max()?;
    let mean = |total: Duration, n: usize| total / u32::try_from(n).unwrap_or(u32::MAX).max(1);
    let total_queued = queued.iter().fold(Duration::ZERO, |sum, &one| sum.saturating_add(one));
    let in_calls = mean(report.summary.speedup.serial_duration, queued.len());
    let mut text = if longest.is_zero() {
        "No task had to wait for its first call once its dependencies were done.".to_owned()
    } else {
        format!(
            "Once its dependencies were done, a task waited {} on average and {} at most for its first call.",
            duration(mean(total_queued, queued.len())),
            duration(*longest)
        )
    };
    write!(text, " The calls of a task took {} on average.", duration(in_calls)).unwrap_or_default();
    let between = tasks
        .iter()
        .filter_map(|task| Some(task.took?.saturating_sub(task.call_time)))
        .fold(Duration::ZERO, Duration::saturating_add);
    if report.fold.counts().retries > 0 && !between.is_zero() {
        write!(text, " Between attempts tasks waited {} in total.", duration(between)).unwrap_or_default();
    }
    Some(text)
}

fn calls(report: &Report) -> String {
    let counts = report.fold.counts();
    let failed: u64 = counts.failed_attempts.values().sum();
    let calls = count(counts.calls, "API call");
    let mut parts = Vec::new();
    if failed > 0 {
        let classes: Vec<String> =
            counts.failed_attempts.iter().map(|(class, n)| format!("{n} {class}")).collect();
        parts.push(format!("{failed} failed ({})", classes.join(", ")));
    }
    if counts.retries > 0 {
        parts.push(format!("{} of these led to a retry", counts.retries));
    }
    if counts.lost > 0 {
        parts.push(format!("{} lost when the process stopped", was(counts.lost)));
    }
    if counts.recovered > 0 {
        parts.push(format!("{} lost and found again at the provider", was(counts.recovered)));
    }
    match (parts.is_empty(), counts.running) {
        (true, 0) => format!("Of {calls} none failed."),
        (true, _) => format!("Of {calls} none has failed so far."),
        (false, _) => format!("Of {calls} {}.", parts.join(", ")),
    }
}

fn was(n: u64) -> String {
    format!("{n} {}", if n == 1 { "was" } else { "were" })
}

fn slowest(report: &Report) -> Option<String> {
    let mut ran: Vec<_> = with_tasks(report).filter(|(view, _)| !view.call_time.is_zero()).collect();
    if ran.len() <= SLOWEST {
        return None;
    }
    ran.sort_by_key(|(view, _)| std::cmp::Reverse(view.call_time));
    ran.truncate(SLOWEST);
    let together = ran.iter().fold(Duration::ZERO, |sum, (view, _)| sum.saturating_add(view.call_time));
    let share = 100.0 * together.as_secs_f64() / report.summary.speedup.serial_duration.as_secs_f64();
    let names: Vec<String> = ran
        .iter()
        .map(|(view, task)| format!("{} ({})", escape(&task.name), duration(view.call_time)))
        .collect();
    let share = percent(share);
    Some(format!("The slowest tasks were {}: together {share} of all time in calls.", names.join(", ")))
}

fn dearest(report: &Report) -> Option<String> {
    let cost = &report.summary.cost;
    let (task, average) = (cost.most_expensive_task.as_ref()?, cost.avg_cost_per_task?);
    let times = task.cost.as_f64() / average.as_f64();
    (task.cost > average.times(COST_OUTLIER)).then(|| {
        let (name, cost) = (escape(&task.task_id), money(task.cost));
        format!("Task {name} cost {cost}, {times:.1} times the average of a task.")
    })
}

fn advice(report: &Report) -> Vec<String> {
    let (summary, counts) = (&report.summary, report.fold.counts());
    let mut advice: Vec<String> = faster(report).into_iter().collect();
    let throttled = counts.of(Class::Throttled);
    if throttled > 0 {
        advice.push(format!(
            "The provider throttled {}: set `requests_per_minute` and the token limits to what the account is allowed.",
            count(throttled, "call")
        ));
    }
    let timeouts = counts.of(Class::Timeout);
    if timeouts > 0 {
        advice
            .push(format!("{} timed out: raise `timeouts` or lower `max_tokens`.", count(timeouts, "call")));
    }
    let cut = counts.cut_by_max_tokens;
    if cut > 0 {
        advice.push(format!(
            "`max_tokens` ended {} before the model was done: raise it, or ask for less.",
            count(cut, "answer")
        ));
    }
    if !summary.cost.at_risk.is_zero() {
        advice.push(format!(
            "Up to {} may have been billed for answers that never came whole: the provider's usage page tells.",
            money(summary.cost.at_risk)
        ));
    }
    if summary.pending_tasks > 0 {
        let run = escape(&report.fold.run().run_id);
        let how = match report.fold.outcome() {
            Some(Outcome::BudgetExceeded { .. }) => ", once the budget is larger",
            Some(Outcome::ProviderStopped { failure }) if failure.in_a_row.is_some() => {
                ", once what all those calls failed by is mended"
            }
            Some(Outcome::ProviderStopped { .. }) => ", once the account is in order",
            _ => "",
        };
        let left = count(summary.pending_tasks, "task");
        advice.push(format!("`sortie resume` takes up the {left} that run {run} left{how}."));
    }
    advice
}

/// What would make such a run faster; of a run that left tasks out nobody can tell.
fn faster(report: &Report) -> Option<String> {
    let summary = &report.summary;
    if !summary.success || summary.total_tasks < 2 {
        return None;
    }
    let Some(bound) = report.comparison() else {
        return Some("`--mode parallel` runs independent tasks side by side.".into());
    };
    if let Some(saving) = saving(report.fold, summary) {
        return Some(raise(&saving));
    }
    if summary.speedup.efficiency? < GOOD_EFFICIENCY {
        let longer = duration(summary.total_duration.saturating_sub(bound.makespan));
        return Some(format!(
            "The run took {longer} longer than its calls had to: look at the waits, retries and lost calls above."
        ));
    }
    let setting = match bound.binding {
        Binding::LongestPath if summary.speedup.ceiling? < WISHED_SPEEDUP => {
            return Some(
                "Higher limits cannot make this plan faster: only a shorter chain of dependent tasks, or faster \
                 answers in it, can."
                    .into(),
            );
        }
        Binding::LongestPath => return None,
        Binding::Concurrency => "max_concurrent",
        Binding::Requests => "requests_per_minute",
        Binding::InputTokens => "input_tokens_per_minute",
        Binding::OutputTokens => "output_tokens_per_minute",
    };
    Some(format!("A higher `{setting}` would make such a run faster, as far as the account allows it."))
}

/// Which limit to raise: a setting, or what the provider allows the account.
fn raise(Saving { gate, quota, rate, saved }: &Saving) -> String {
    let (gate, saved) = (escape(gate), duration(*saved));
    match rate {
        Some(rate) => format!(
            "A limit of {rate} requests a minute for {gate} would have saved up to {saved}, as far as the account \
             allows it."
        ),
        None => format!(
            "The provider's quota of {} for {gate} binds: a higher tier of the account would have saved up to {saved}.",
            quota.per_minute()
        ),
    }
}
