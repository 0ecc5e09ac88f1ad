//! A trial: what a staged test of agents, limits and budget against an API came to, and whether that is
//! good enough for production (SPEC.md P, S, B, L, K).
//!
//! A trial consists of runs, one after the other; one of them is judged, and its summary is the trial's.
//! Everything here is a fold over what the runs remember: results in, bytes out, as in the rest of this crate.
//!
//! | file | for |
//! | --- | --- |
//! | `criteria` | what counts as a success, each met, not met or not applicable, with the reason |
//! | `chance` | what chance explains: of a greatest cost, of a drift, of what is worse than before |
//! | `bottlenecks` | what the tasks waited for, the slowest, the dearest, the longest path |
//! | `drift` | the first quarter of a run's calls against its last, like tasks with like |
//! | `comparison` | the simulator against the real API, side by side |
//! | `failures` | the tasks that did not succeed, and why |
//! | `history` | a trial against an earlier one of its kind |
//! | `figure`, `words` | the names and units of figures; a trial, its verdict and what binds it, in words |
//! | `markdown`, `junit`, `text` | `test_report.md`, `junit.xml`, the terminal |

pub mod bottlenecks;
mod chance;
pub mod comparison;
pub mod criteria;
pub mod drift;
pub mod failures;
mod figure;
pub mod history;
mod junit;
mod markdown;
#[cfg(test)]
mod testing;
pub mod text;
mod words;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sortie_core::ceiling::Bound;
use sortie_core::money::Usd;

use crate::fold::Fold;
use crate::summary::{Speedup, Summary};
use crate::units::{as_dollars, as_seconds};

pub use comparison::Comparison;
pub use criteria::{Criteria, Criterion, Evidence, Verdict, judge};
pub use failures::TrialFailure;
pub use junit::junit;
pub use markdown::markdown;

/// A trial in figures: what `trial.json` holds and `sortie trial --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The run that is judged. Its `success` is the trial's verdict, and its `speedup` the one that was measured, where
    /// the trial measured both halves.
    #[serde(flatten)]
    pub summary: Summary,
    /// What was tested, as `--test-type` names it; `phase` for a phase's own test.
    pub test_type: String,
    /// Of which phase, 1 to 3.
    pub phase: Option<u8>,
    /// The user's own plan that its tasks were taken from, by its name and a hash of its tasks; null where they were
    /// generated.
    #[serde(default)]
    pub plan: Option<String>,
    /// When it began, in RFC 3339.
    pub started_at: String,
    /// What answered: the host of the endpoint, or `scenario seed`.
    pub endpoint: String,
    /// The agents that did its tasks, with their models: `claude (claude-sonnet-4-5)`.
    pub agents: Vec<String>,
    /// Calls in flight at most.
    pub max_concurrent: u32,
    /// What was looked at before it began (SPEC.md L1).
    pub checklist: Vec<Point>,
    /// Its runs, in the order in which they were made.
    pub runs: Vec<TrialRun>,
    /// What all its runs came to.
    #[serde(with = "as_dollars")]
    pub trial_cost: Usd,
    /// What all its runs may have cost besides, for answers that were lost.
    #[serde(with = "as_dollars")]
    pub trial_at_risk: Usd,
    /// The serial half against the parallel one; null where only one was made.
    pub measured: Option<Measured>,
    /// How it recovered from a kill; null where nothing was killed.
    pub recovery: Option<Recovery>,
    /// The faults that were made, a line for each kind.
    pub faults: Vec<Faulted>,
    /// The run over time; null where it was too short.
    pub drift: Option<Drift>,
    /// The simulator beside the real API; null unless both were asked.
    pub comparison: Option<Comparison>,
    /// What had to be reached (SPEC.md K1–K3).
    pub criteria: Vec<Criterion>,
    /// Whether it was.
    pub verdict: Verdict,
    /// The tasks of the judged run that failed or were skipped, in the order of its plan; of many the first.
    #[serde(default)]
    pub failures: Vec<TrialFailure>,
    /// Where its time and money went.
    pub bottlenecks: Bottlenecks,
    /// What would make it better, and what that would bring.
    pub suggestions: Vec<Suggestion>,
    /// The same kind of trial before it; null where there was none.
    pub before: Option<Before>,
    /// What else its reader has to know, in sentences.
    pub notes: Vec<String>,
}

/// One line of a checklist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// How it stands.
    pub state: PointState,
    /// What was looked at.
    pub what: String,
    /// What was found.
    pub found: String,
    /// What can be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How a point of a checklist stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PointState {
    /// As it should.
    Ok,
    /// Worth knowing.
    Warning,
    /// Nothing can begin.
    Missing,
}

/// One run of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialRun {
    /// What for: `key`, `serial`, `judged`, `recovery`, `simulated-serial`, `simulated`, `width-4` or `fitted-4`: at that
    /// width. Several plays of the same have the same.
    pub role: String,
    /// Its id in the journal: `sortie show` tells more.
    pub run_id: String,
    /// Whether a simulator answered it.
    #[serde(default)]
    pub simulated: bool,
    /// Whether that simulator stood beside whoever was tested: what such a run cost is in no sum.
    #[serde(default)]
    pub rehearsal: bool,
    /// The file with what each of its tasks came to, answers included: a line for each (`results.jsonl`). Null where
    /// the run left none.
    #[serde(default)]
    pub results: Option<String>,
    /// Its tasks.
    pub total_tasks: u64,
    /// Those that succeeded.
    pub successful_tasks: u64,
    /// Calls in flight at most.
    pub max_concurrent: u32,
    /// From its start to its end, in seconds.
    #[serde(with = "as_seconds")]
    pub total_duration: Duration,
    /// The median of its answers, in seconds.
    #[serde(with = "as_seconds::option")]
    pub p50_latency: Option<Duration>,
    /// What 95 % of its answers did not exceed, in seconds.
    #[serde(with = "as_seconds::option")]
    pub p95_latency: Option<Duration>,
    /// What it cost, in USD.
    #[serde(with = "as_dollars")]
    pub total_cost: Usd,
    /// Calls that it made.
    pub api_calls_count: u64,
    /// Why not all of its tasks succeeded.
    pub error: Option<String>,
}

/// Both halves of a speedup, measured with the same tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The serial half, in seconds.
    #[serde(with = "as_seconds")]
    pub serial: Duration,
    /// The parallel half, in seconds.
    #[serde(with = "as_seconds")]
    pub parallel: Duration,
    /// Seconds that were waited in between, so that the one does not throttle the other.
    #[serde(with = "as_seconds")]
    pub pause: Duration,
    /// `serial` / `parallel`; where the serial half was disturbed, the seconds of its answers over those of the
    /// parallel half.
    pub speedup: f64,
    /// Its 95 % confidence interval, by resampling the calls; null where there were too few.
    pub interval: Option<(f64, f64)>,
    /// What made the serial half take longer than its calls; null where nothing did.
    #[serde(default)]
    pub disturbed: Option<Disturbed>,
}

/// What a serial half lost besides its answers: it would count as speed of the parallel one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disturbed {
    /// Calls that failed.
    pub failed_calls: u64,
    /// Its answers one after the other, in seconds.
    #[serde(with = "as_seconds")]
    pub answers: Duration,
}

/// The part of a serial half that may pass between its calls: what a program takes to begin the next one.
const BETWEEN: f64 = 0.05;

impl Disturbed {
    /// What disturbed a serial half that took so long: failed calls, or waits for limits and repetitions. None where
    /// nothing did that counts.
    pub fn of(serial: &Fold, took: Duration) -> Option<Self> {
        let answers = serial.tasks().iter().map(|view| view.latency().unwrap_or(view.call_time)).sum();
        let failed_calls = serial.counts().failed_attempts.values().sum::<u64>() + serial.counts().lost;
        let lost = took.saturating_sub(answers).as_secs_f64();
        (failed_calls > 0 || lost > BETWEEN * took.as_secs_f64())
            .then_some(Disturbed { failed_calls, answers })
    }
}

impl Measured {
    /// What of the serial half is held against the parallel one: all of it, or its answers where it was disturbed.
    pub fn counted(&self) -> Duration {
        self.disturbed.as_ref().map_or(self.serial, |disturbed| disturbed.answers)
    }

    /// The speedup of a trial that made both halves, against what these calls could have reached. `bound` is that of
    /// the parallel half; none where there is nothing to compare. Nothing is faster than `width` calls at a time.
    pub fn speedup(&self, bound: Option<Bound>, width: u32) -> Speedup {
        let least = bound.map(|bound| bound.makespan.as_secs_f64()).filter(|least| *least > 0.0);
        let parallel = self.parallel.as_secs_f64();
        Speedup {
            serial_duration: self.counted(),
            speedup: Some(self.speedup),
            ceiling: least.map(|least| (self.counted().as_secs_f64() / least).min(f64::from(width.max(1)))),
            binding: bound.map(|bound| bound.binding.name().to_owned()),
            // The serial half is in both and goes out.
            efficiency: least.filter(|_| parallel > 0.0).map(|least| least / parallel),
        }
    }
}

/// How a run came back after it was killed in the middle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// Tasks that were done when it was killed.
    pub done_before: u64,
    /// Its tasks.
    pub total_tasks: u64,
    /// Calls that were in flight then, and were made again.
    pub repeated_calls: u64,
    /// Tasks that were done when it was killed and were called again: there must be none.
    pub done_again: u64,
    /// What the calls in flight may have cost: they are made again.
    #[serde(with = "as_dollars")]
    pub at_risk: Usd,
    /// Tasks that had succeeded in the end.
    pub successful_tasks: u64,
    /// The first task that had not succeeded, and why: `impl_9: network: no connection`.
    #[serde(default)]
    pub first_failure: Option<String>,
    /// Why nothing can be said of a recovery: it ended before the kill, or its budget ended it. Null where it was
    /// killed and went on to its end.
    #[serde(default)]
    pub not_made: Option<String>,
}

/// What was done wrong to calls on purpose, and what became of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faulted {
    /// What: `answered 429`, `cut in the middle`, `prompt of 120,000 characters`.
    pub fault: String,
    /// Calls that met it; 0 where a task was refused before a call.
    pub calls: u64,
    /// Tasks that met it.
    pub tasks: u64,
    /// Those of them that succeeded in the end.
    pub recovered: u64,
    /// Whether its tasks should succeed in the end: what can never be sent should not. Null where that is the
    /// provider's to say.
    pub should_recover: Option<bool>,
    /// What the calls that met it cost or may have cost; null where that is only known of all faults together.
    #[serde(with = "as_dollars::option")]
    pub cost: Option<Usd>,
}

impl Faulted {
    /// Whether it came as it should: all tasks that met the fault succeeded in the end, or none did where none can.
    pub const fn as_it_should(&self) -> bool {
        match self.should_recover {
            Some(true) => self.recovered >= self.tasks,
            Some(false) => self.recovered == 0,
            None => true,
        }
    }
}

/// A run's beginning and its end, so that what gets worse with time shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// The four quarters of its calls, in the order in which they ended.
    pub quarters: Vec<Quarter>,
    /// How the latency of tasks of the same kind changed, from the first quarter to the last; null where no kind had
    /// enough of them.
    #[serde(default)]
    pub latency: Option<Trend>,
    /// What of the rate that was allowed was used while tasks waited for it, 0–1; null where no rate bound it.
    pub utilisation: Option<f64>,
}

/// How a figure changed over a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// At the end, times what it was at the beginning.
    pub factor: f64,
    /// What chance explains, 1 or more: as many times more, or less.
    pub explained: f64,
}

impl Trend {
    /// What is worth a word, however sure it is: the same endpoint differs by so much from one hour to the next.
    const FLOOR: f64 = 1.10;

    /// Whether it is more than chance explains, and enough to speak of.
    pub fn is_real(&self) -> bool {
        !self.is_within_chance() && self.size() > Trend::FLOOR
    }

    /// Whether chance explains it.
    pub fn is_within_chance(&self) -> bool {
        self.size() <= self.explained
    }

    /// How many times more or less, 1 or more.
    fn size(&self) -> f64 {
        self.factor.max(1.0 / self.factor)
    }
}

/// A quarter of a run's calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quarter {
    /// Seconds from the run's start to the end of its last call.
    #[serde(with = "as_seconds")]
    pub until: Duration,
    /// Successful tasks a second.
    pub throughput: Option<f64>,
    /// What 95 % of the answers did not exceed that this quarter of the answered calls came to, in the order in which
    /// these began, in seconds.
    #[serde(with = "as_seconds::option")]
    pub p95_latency: Option<Duration>,
    /// Percent of its calls that failed, throttled ones included.
    pub error_rate: f64,
    /// Percent of its calls that were throttled.
    pub throttled_rate: f64,
    /// Memory of this process at its end, in MiB; null where the system does not say.
    pub memory_mib: Option<f64>,
}

/// Where the time and the money of a run went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bottlenecks {
    /// What ready tasks waited for, the longest first, in sentences' parts: `requests/min of … (4 min 03 s)`.
    pub waited_for: Vec<String>,
    /// The tasks with the longest calls.
    pub slowest: Vec<TaskFigure>,
    /// The tasks that cost most.
    pub dearest: Vec<TaskFigure>,
    /// The chain of dependent tasks that took longest, in order.
    pub longest_path: Vec<TaskFigure>,
}

/// A task with what it took and cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskFigure {
    /// Its id.
    pub task_id: String,
    /// Its type.
    pub task_type: String,
    /// In calls, in seconds.
    #[serde(with = "as_seconds")]
    pub seconds: Duration,
    /// In USD.
    #[serde(with = "as_dollars")]
    pub cost: Usd,
}

/// A setting that would have made the run better, by the forecast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suggestion {
    /// What has to be changed: keys of the configuration and options of the command line, all of them
    /// (`rate_limiting.max_concurrent and --max-concurrent`); or what a provider allows, which is no setting.
    pub setting: String,
    /// What it is now.
    pub from: String,
    /// What it should be.
    pub to: String,
    /// What that would bring, in a sentence with its figures.
    pub brings: String,
    /// How much sooner such a run would end, in seconds.
    #[serde(with = "as_seconds::option")]
    pub saves: Option<Duration>,
    /// How much less it would cost, in USD.
    #[serde(with = "as_dollars::option")]
    pub saves_cost: Option<Usd>,
}

/// An earlier trial of the same kind, and what is worse now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Before {
    /// Its id.
    pub run_id: String,
    /// When it began, in RFC 3339.
    pub started_at: String,
    /// The figures that can be compared.
    pub figures: Vec<Change>,
}

/// A figure then and now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Which: `p95_latency`.
    pub name: String,
    /// Then.
    pub then: f64,
    /// Now.
    pub now: f64,
    /// Whether it is worse by more than chance explains.
    pub regressed: bool,
}

#[cfg(test)]
mod tests;
