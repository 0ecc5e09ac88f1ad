//! A run in figures: what `summary.json` holds. The names are the file's format (DESIGN.md).
//!
//! Averages and shares are null where there is nothing to share by. Percentiles are by the nearest
//! rank: the smallest value that at least `p` percent of the values do not exceed, so a percentile
//! is always a value that was measured.

mod cost;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sortie_core::agent::AgentId;
use sortie_core::ceiling::Bound;
use sortie_core::failure::Class;
use sortie_core::money::Usd;
use sortie_core::plan::Plan;
use sortie_core::run::TooManyFailures;
use sortie_core::run::event::{Outcome, Signal};
use sortie_core::run::input::{Mode, Settings};
use sortie_core::time::Time;

use crate::bound;
use crate::fold::{Fold, Status, TaskView};
use crate::grade::Grade;
use crate::stopped::{StoppedAccount, all_out};
use crate::units::{as_dollars, as_seconds, budget_exceeded, count, duration};
use crate::waits::WaitedFor;

pub use cost::{AgentBudget, CostSummary, InputTokens, OverrunCall, TaskCost};

/// A run in figures. Durations are written in seconds, money in US dollars.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The run's id.
    pub run_id: String,
    /// Whether all tasks succeeded.
    pub success: bool,
    /// In a line, why not all tasks did; null where they did.
    pub error: Option<String>,
    /// Whether tasks could run side by side.
    pub mode: Mode,
    /// Whether the endpoint was the in-process simulator.
    pub simulated: bool,
    /// Tasks of the plan.
    pub total_tasks: u64,
    /// Tasks that have their answer.
    pub successful_tasks: u64,
    /// Tasks that failed.
    pub failed_tasks: u64,
    /// Tasks that will never run, because one that they depend on failed.
    pub skipped_tasks: u64,
    /// Tasks that are not done; a resume takes them up.
    pub pending_tasks: u64,
    /// Tasks whose answer was given before, in an earlier run or to another task, so that no call was made for them;
    /// left out where there is none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub cached_tasks: u64,
    /// Tasks of which an attempt went to a fallback of their agent; left out where there is none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub rerouted_tasks: u64,
    /// The accounts that were stopped, and where their tasks went; left out where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stopped_accounts: Vec<StoppedAccount>,
    /// Successful of all tasks, 0–100.
    pub success_rate: Option<f64>,
    /// All sessions of the run together; the time between them does not count.
    #[serde(with = "as_seconds")]
    pub total_duration: Duration,
    /// From a task's first call to its end, waits between its calls included: the mean over the
    /// tasks that made a call and ended.
    #[serde(with = "as_seconds::option")]
    pub avg_duration: Option<Duration>,
    /// What is known to be spent: as reported by the providers, else as estimated.
    #[serde(with = "as_dollars")]
    pub total_cost: Usd,
    /// The total shared by the tasks that made a call.
    #[serde(with = "as_dollars::option")]
    pub cost_per_task: Option<Usd>,
    /// The ids of the tasks that succeeded or failed, in the order they did.
    pub execution_history: Vec<String>,
    /// Money (SPEC.md C4).
    pub cost: CostSummary,
    /// The live metrics at this moment (SPEC.md O1).
    pub metrics: Metrics,
    /// What running side by side gained.
    pub speedup: Speedup,
    /// Calls started.
    pub api_calls_count: u64,
    /// What ready tasks were held by.
    #[serde(default)]
    pub waits: Vec<WaitedFor>,
    /// What was forecast before the run, and whether it came so; null where nothing was.
    #[serde(default)]
    pub forecast: Option<Grade>,
}

/// The live metrics (SPEC.md O1). Latencies are those of calls that brought an answer: failures
/// have their own counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Successful tasks a second.
    pub throughput: Option<f64>,
    /// The mean.
    #[serde(with = "as_seconds::option")]
    pub avg_latency: Option<Duration>,
    /// The median.
    #[serde(with = "as_seconds::option")]
    pub p50_latency: Option<Duration>,
    /// What 95 % of the calls did not exceed.
    #[serde(with = "as_seconds::option")]
    pub p95_latency: Option<Duration>,
    /// What 99 % of the calls did not exceed.
    #[serde(with = "as_seconds::option")]
    pub p99_latency: Option<Duration>,
    /// The median time to the first token.
    #[serde(with = "as_seconds::option")]
    pub ttft_p50: Option<Duration>,
    /// Successful of the tasks that have ended in any way, 0–100.
    pub success_rate: Option<f64>,
    /// Calls in flight.
    pub active_tasks: u64,
    /// Tasks that are ready and wait for a limit or a retry.
    pub queue_length: u64,
    /// Calls started.
    pub api_calls_count: u64,
    /// What is known to be spent.
    #[serde(with = "as_dollars")]
    pub total_cost: Usd,
    /// The total shared by the tasks that made a call.
    #[serde(with = "as_dollars::option")]
    pub cost_per_task: Option<Usd>,
    /// Calls that failed or were lost, and tasks that failed without one.
    pub error_count: u64,
    /// Calls that the provider throttled.
    pub rate_limit_hits: u64,
    /// Calls that timed out.
    pub timeout_count: u64,
}

/// What running side by side gained, against what it could have (DESIGN.md decision 10).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speedup {
    /// All calls one after the other, without any wait between them.
    #[serde(with = "as_seconds")]
    pub serial_duration: Duration,
    /// `serial_duration` / `total_duration`.
    pub speedup: Option<f64>,
    /// `serial_duration` over the shortest time that these calls could have taken.
    pub ceiling: Option<f64>,
    /// Why they could not have taken less, by the name of the core's binding: `longest_path`.
    pub binding: Option<String>,
    /// `speedup` / `ceiling`, 0–1.
    pub efficiency: Option<f64>,
}

/// A speedup that says something, with what it can be held against.
pub(crate) struct Compared {
    pub(crate) speedup: f64,
    pub(crate) ceiling: f64,
    /// 0–1.
    pub(crate) efficiency: f64,
    /// What bounds it, in words.
    pub(crate) binding: &'static str,
}

impl Summary {
    /// The speedup, where it makes sense to compare the run with its calls one after the other: several tasks,
    /// allowed to run side by side.
    pub(crate) fn compared(&self) -> Option<Compared> {
        if self.cost.tasks_count < 2 || self.mode != Mode::Parallel {
            return None;
        }
        let &Speedup { speedup, ceiling, efficiency, .. } = &self.speedup;
        Some(Compared {
            speedup: speedup?,
            ceiling: ceiling?,
            efficiency: efficiency?,
            binding: bound::of_summary(self)?,
        })
    }

    /// A run's figures as of `now`.
    pub(crate) fn at(fold: &Fold, now: Time, bound: Option<Bound>) -> Self {
        let (run, counts) = (fold.run(), fold.counts());
        let total_duration = fold.elapsed(now);
        let total_tasks = run.plan.to_do() as u64;
        let total_cost = fold.charge().actual + fold.charge().estimated;
        let cost = CostSummary::of(fold, total_cost);
        let unpriced = fold.unpriced();
        Summary {
            run_id: run.run_id.clone(),
            success: counts.succeeded == total_tasks,
            error: error(fold),
            mode: run.settings.mode,
            simulated: run.settings.simulated,
            total_tasks,
            successful_tasks: counts.succeeded,
            failed_tasks: counts.failed,
            skipped_tasks: counts.skipped,
            pending_tasks: counts.pending + counts.running,
            cached_tasks: counts.without_call,
            rerouted_tasks: counts.rerouted,
            stopped_accounts: StoppedAccount::of(fold),
            success_rate: ratio(100.0 * counts.succeeded as f64, total_tasks as f64),
            total_duration,
            avg_duration: mean(fold.tasks().iter().filter_map(|task| task.took)),
            total_cost,
            cost_per_task: cost.avg_cost_per_task,
            execution_history: fold.finished().iter().map(|&id| run.plan.task(id).name.clone()).collect(),
            metrics: Metrics::of(fold, total_duration, &cost),
            speedup: Speedup::of(fold, total_duration, bound),
            cost,
            api_calls_count: counts.calls,
            waits: fold.waits(),
            forecast: fold.forecast().map(|forecast| {
                let comparable = fold.outcome() == Some(&Outcome::Completed) && fold.sessions() == 1;
                let comparable = comparable && counts.failed == 0;
                let priced = unpriced.is_empty();
                Grade::of(forecast, [comparable && priced, comparable], total_cost, total_duration)
            }),
        }
    }
}

impl Metrics {
    fn of(fold: &Fold, total_duration: Duration, cost: &CostSummary) -> Self {
        let counts = fold.counts();
        let answered = || fold.tasks().iter().filter(|task| task.status == Status::Succeeded);
        let latencies = sorted(answered().filter_map(TaskView::latency));
        let first_tokens = sorted(answered().filter_map(|task| task.timing?.first_token));
        let ended = counts.succeeded + counts.failed + counts.skipped;
        Metrics {
            throughput: ratio(counts.succeeded as f64, total_duration.as_secs_f64()),
            avg_latency: mean(latencies.iter().copied()),
            p50_latency: percentile(&latencies, 50),
            p95_latency: percentile(&latencies, 95),
            p99_latency: percentile(&latencies, 99),
            ttft_p50: percentile(&first_tokens, 50),
            success_rate: ratio(100.0 * counts.succeeded as f64, ended as f64),
            active_tasks: counts.running,
            queue_length: counts.queued,
            api_calls_count: counts.calls,
            total_cost: cost.total_cost,
            cost_per_task: cost.avg_cost_per_task,
            error_count: counts.failed_attempts.values().sum::<u64>() + counts.lost + counts.unsent,
            rate_limit_hits: counts.of(Class::Throttled),
            timeout_count: counts.of(Class::Timeout),
        }
    }
}

impl Speedup {
    fn of(fold: &Fold, total_duration: Duration, bound: Option<Bound>) -> Self {
        let serial_duration = sum(fold.tasks().iter().map(|task| task.call_time));
        let serial = serial_duration.as_secs_f64();
        let speedup = bound.and_then(|_| ratio(serial, total_duration.as_secs_f64()));
        let ceiling = bound.and_then(|bound| ratio(serial, bound.makespan.as_secs_f64()));
        Speedup {
            serial_duration,
            speedup,
            ceiling,
            binding: bound.map(|bound| bound.binding.name().to_owned()),
            efficiency: speedup.zip(ceiling).and_then(|(speedup, ceiling)| ratio(speedup, ceiling)),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it a reference")]
const fn is_none(count: &u64) -> bool {
    *count == 0
}

/// Why not all tasks succeeded, in a line. What stopped the whole run says more than the count of
/// the tasks that failed.
fn error(fold: &Fold) -> Option<String> {
    let counts = fold.counts();
    let total = fold.run().plan.to_do() as u64;
    if counts.succeeded == total {
        return None;
    }
    let left = counts.pending + counts.running;
    Some(match fold.outcome() {
        Some(Outcome::BudgetExceeded { needed, budget, agent }) => {
            // Journals of before the outcome named it have it in the event that led to it.
            let agent = agent.or_else(|| fold.over_budget()?.0);
            budget_exceeded(*needed, *budget) + &whose(&fold.run().plan, agent)
        }
        Some(Outcome::ProviderStopped { failure }) => match all_out(fold) {
            Some(all) => format!("stopped by the providers: {all}"),
            None => format!("stopped by the provider: {failure}"),
        },
        Some(Outcome::TooManyFailures { because }) => {
            format!("{}; {} pending", too_many_failures(&fold.run().plan, *because), count(left, "task"))
        }
        Some(Outcome::TimedOut { after }) => {
            format!("{}; {} pending", timed_out(&fold.run().settings, *after), count(left, "task"))
        }
        Some(Outcome::Interrupted { signal }) => {
            format!("{}; {} pending", interrupted(*signal), count(left, "task"))
        }
        None => format!("not ended; {left} of {} pending", count(total, "task")),
        Some(Outcome::Completed) => {
            let failed = format!("{} of {} failed", counts.failed, count(total, "task"));
            if counts.skipped == 0 { failed } else { format!("{failed}, {} skipped", counts.skipped) }
        }
    })
}

/// Which timeout passed.
pub(crate) fn timed_out(settings: &Settings, after: Duration) -> String {
    if settings.timeout_restarts {
        format!("no answer came for {}", duration(after))
    } else {
        format!("the run timeout of {} passed", duration(after))
    }
}

/// Why failed tasks ended a run.
pub(crate) fn too_many_failures(plan: &Plan, because: TooManyFailures) -> String {
    match because {
        TooManyFailures::Task(id) => format!("stopped because task {} failed", plan.task(id).name),
        TooManyFailures::Limit(most) => format!("stopped after {}", count(u64::from(most), "failed task")),
    }
}

/// Whose budget it is, where it is not the run's, to be put behind a sentence about it.
pub(crate) fn whose(plan: &Plan, agent: Option<AgentId>) -> String {
    let agent = agent.and_then(|id| plan.agents().get(id.index()));
    agent.map_or_else(String::new, |agent| format!(" (the budget of agent {})", agent.name))
}

/// What ended a run before its time: `interrupted (SIGINT)`.
pub(crate) const fn interrupted(signal: Signal) -> &'static str {
    match signal {
        Signal::Interrupt => "interrupted (SIGINT)",
        Signal::Terminate => "interrupted (SIGTERM)",
        Signal::Cancel => CANCELLED,
    }
}

/// That the user ended the run by a control.
pub(crate) const CANCELLED: &str = "cancelled by the user (ctl cancel)";

/// Percent, from whole picodollars: $0.023 of $10 are 0.23 and not 0.22999….
fn share(part: Usd, whole: Usd) -> Option<f64> {
    ratio(100.0 * part.pico() as f64, whole.pico() as f64)
}

/// `part` / `whole`; none where there is no whole.
fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

fn sorted(durations: impl Iterator<Item = Duration>) -> Vec<Duration> {
    let mut durations: Vec<Duration> = durations.collect();
    durations.sort_unstable();
    durations
}

/// By the nearest rank, ⌈p/100 · n⌉ counted from 1; none of an empty list.
pub(crate) fn percentile(sorted: &[Duration], p: usize) -> Option<Duration> {
    sorted.get((p * sorted.len()).div_ceil(100).checked_sub(1)?).copied()
}

/// Sums of a damaged journal saturate.
fn sum(durations: impl Iterator<Item = Duration>) -> Duration {
    durations.fold(Duration::ZERO, Duration::saturating_add)
}

fn mean(durations: impl Iterator<Item = Duration> + Clone) -> Option<Duration> {
    let n = durations.clone().count();
    sum(durations).checked_div(u32::try_from(n).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
