//! The run over time: its calls by quarters, so that what gets worse with time shows, and how much of the rate that
//! was allowed it used while tasks waited for it.
//!
//! A run's [`Fold`](crate::Fold) keeps what became of tasks; this keeps what became of each call, retries included, in
//! a few bytes of each.

mod like;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use sortie_core::failure::Class;
use sortie_core::limit::{GateId, WaitReason};
use sortie_core::plan::TaskId;
use sortie_core::run::control::Control;
use sortie_core::run::event::{AttemptId, Event, Record, Wait};
use sortie_core::time::Time;

use super::{Drift, Quarter};
use crate::fold::RunView;
use crate::fold::clock::Clock;
use crate::summary::percentile;

/// Calls that make quarters worth comparing: five in each.
const ENOUGH: usize = 20;

/// The part of a stretch of time that tasks have to wait for a rate for what started in it to be held against the rate.
const WAITED_ALONG: f64 = 0.9;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With an answer to this task that took so long; none where nobody knows.
    Answered(TaskId, Option<Duration>),
    Throttled,
    Failed,
}

/// What passed a gate since waits were last told.
#[derive(Clone, Copy, Debug, Default)]
struct Passed {
    starts: u64,
    /// When the last of them did, on the run's clock.
    last: Duration,
}

/// What a gate let pass while tasks waited for its rate.
#[derive(Clone, Debug, Default)]
struct Held {
    now: Passed,
    /// Stretches of time in which tasks waited all along: how long, and what started.
    along: Vec<(Duration, u64)>,
    waited: Duration,
    /// The rate that the user set last.
    set: Option<u32>,
}

/// The calls of a run in the order in which they ended, taken record by record.
#[derive(Clone, Debug, Default)]
pub struct DriftFold {
    clock: Clock,
    /// When each call ended, on the run's clock, and how.
    calls: Vec<(Duration, End)>,
    /// When the last call began: from then on there was nothing left to begin.
    last_start: Duration,
    /// Calls that were lost, by their place: their answers may be found.
    lost: BTreeMap<AttemptId, usize>,
    /// What the process held after so many calls, in MiB.
    memory: Vec<(usize, f64)>,
    gates: Vec<Held>,
    /// When waits were last told, on the run's clock.
    told: Duration,
}

impl DriftFold {
    /// A run with all these records applied.
    pub fn of<'r>(run: &RunView, records: impl IntoIterator<Item = &'r Record>) -> Self {
        let mut fold = DriftFold::default();
        records.into_iter().for_each(|record| fold.apply(run, record));
        fold
    }

    /// Takes the next record.
    pub fn apply(&mut self, run: &RunView, record: &Record) {
        let at = record.at;
        match &record.event {
            Event::RunStarted | Event::RunResumed => {
                self.clock.start(at);
                self.begin_stretch(at);
            }
            Event::AttemptStarted { attempt, .. } => {
                self.clock.touch(at);
                self.last_start = self.last_start.max(self.clock.at(at));
                // A damaged journal may name what its plan does not have.
                let Some(task) = run.plan.tasks().get(attempt.task.index()) else { return };
                let asked = attempt.agent.unwrap_or(task.agent);
                let Some(agent) = run.plan.agents().get(asked.index()) else { return };
                let now = self.clock.at(at);
                let held = self.gate(agent.gate);
                held.now = Passed { starts: held.now.starts + 1, last: now };
            }
            Event::AttemptSucceeded { attempt, timing, .. } => {
                self.end(End::Answered(attempt.task, Some(timing.total)), at);
            }
            Event::AttemptFailed { failure, .. } if failure.class.is_unsent() => self.clock.touch(at),
            Event::AttemptFailed { failure, .. } => {
                let end = if failure.class == Class::Throttled { End::Throttled } else { End::Failed };
                self.end(end, at);
            }
            Event::AttemptLost { attempt, .. } => {
                self.lost.insert(*attempt, self.calls.len());
                self.end(End::Failed, at);
            }
            Event::AttemptRecovered { attempt, answer, .. } => {
                self.clock.touch(at);
                let place = self.lost.remove(attempt).filter(|_| answer.is_some());
                if let Some((_, end)) = place.and_then(|place| self.calls.get_mut(place)) {
                    *end = End::Answered(attempt.task, None);
                }
            }
            Event::Waited { waits } => {
                self.clock.touch(at);
                self.waited(run, waits, at);
            }
            Event::Controlled { control: Control::RequestsPerMinute { gate, per_minute } } => {
                self.clock.touch(at);
                let all = (0..run.settings.gates.len()).map(|index| GateId(index as u16));
                for id in all.filter(|id| gate.is_none_or(|gate| gate == *id)) {
                    self.gate(id).set = Some(*per_minute);
                }
                // What passed before passed under the old rate.
                self.begin_stretch(at);
            }
            Event::RunEnded { .. } => {
                self.clock.touch(at);
                self.clock.stop();
            }
            _ => self.clock.touch(at),
        }
    }

    /// What the process holds now, in MiB.
    pub fn memory(&mut self, mib: f64) {
        self.memory.push((self.calls.len(), mib));
    }

    /// Calls that have ended.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    fn gate(&mut self, id: GateId) -> &mut Held {
        if self.gates.len() <= id.index() {
            self.gates.resize_with(id.index() + 1, Held::default);
        }
        &mut self.gates[id.index()]
    }

    fn end(&mut self, end: End, at: Time) {
        self.clock.touch(at);
        self.calls.push((self.clock.at(at), end));
    }

    fn begin_stretch(&mut self, at: Time) {
        self.told = self.clock.at(at);
        self.gates.iter_mut().for_each(|held| held.now = Passed::default());
    }

    /// Takes in what tasks waited for since this was last told, and what passed meanwhile.
    fn waited(&mut self, run: &RunView, waits: &[Wait], at: Time) {
        let (begun, now) = (self.told, self.clock.at(at));
        for (index, spec) in run.settings.gates.iter().enumerate() {
            let is_its = |wait: &&Wait| {
                WaitReason::parse(&wait.reason).is_some_and(|reason| reason.is_rate_of(&spec.name))
            };
            let waited: Duration = waits.iter().filter(is_its).map(|wait| wait.time).sum();
            let held = self.gate(GateId(index as u16));
            held.waited = held.waited.saturating_add(waited);
            // At its end a run waits for answers, not for its rate.
            let until = if waited.is_zero() { now } else { held.now.last.max(begun + waited).min(now) };
            let stretch = until.saturating_sub(begun);
            if !waited.is_zero() && waited.as_secs_f64() >= WAITED_ALONG * stretch.as_secs_f64() {
                held.along.push((waited, held.now.starts));
            }
        }
        self.begin_stretch(at);
    }

    /// The run over time; none where it made too few calls. `allowed` is what is known of each gate's requests a
    /// minute besides what the run's settings state: what its provider told, or its simulator has.
    pub fn drift(&self, run: &RunView, allowed: impl Fn(GateId) -> Option<u64>) -> Option<Drift> {
        let n = self.calls.len();
        if n < ENOUGH {
            return None;
        }
        let answers = self.answers();
        let quarter = |of: usize| {
            let part = |n: usize| of * n / 4..(of + 1) * n / 4;
            Quarter { p95_latency: p95(&answers[part(answers.len())]), ..self.quarter(part(n)) }
        };
        Some(Drift {
            quarters: (0..4).map(quarter).collect(),
            latency: like::trend(&run.plan, &answers),
            utilisation: self.utilisation(run, allowed),
        })
    }

    /// The answers of which is known how long they took, in the order in which their calls began: of those that end
    /// first most are short, whenever they began.
    fn answers(&self) -> Vec<(TaskId, Duration)> {
        let of_answer = |(at, end): &(Duration, End)| match end {
            End::Answered(task, Some(latency)) => Some((at.saturating_sub(*latency), *task, *latency)),
            End::Answered(_, None) | End::Throttled | End::Failed => None,
        };
        let mut answers: Vec<_> = self.calls.iter().filter_map(of_answer).collect();
        // Of those that began together the shorter ones ended first, which says nothing of time.
        answers.sort_by_key(|(begin, task, _)| (*begin, *task));
        answers.into_iter().map(|(_, task, latency)| (task, latency)).collect()
    }

    /// These calls, all but their latency.
    fn quarter(&self, these: Range<usize>) -> Quarter {
        let (from, to) = (these.start, these.end);
        let calls = &self.calls[these];
        let end_of = |place: usize| place.checked_sub(1).map_or(Duration::ZERO, |last| self.calls[last].0);
        let (begin, until) = (end_of(from), end_of(to));
        let ended = |is_it: fn(&End) -> bool| calls.iter().filter(|(_, end)| is_it(end)).count();
        let answered = ended(|end| matches!(end, End::Answered(..)));
        let of_hundred = |part: usize| 100.0 * part as f64 / calls.len().max(1) as f64;
        let memory = self.memory.iter().rev().find(|(after, _)| (from + 1..=to).contains(after));
        Quarter {
            until,
            throughput: self.throughput(calls, begin, until),
            p95_latency: None,
            error_rate: of_hundred(calls.len() - answered),
            throttled_rate: of_hundred(ended(|end| *end == End::Throttled)),
            memory_mib: memory.map(|(_, mib)| *mib),
        }
    }

    /// Answers a second, while calls were left to begin: a run ends with its longest calls, and what ever fewer of them
    /// come to is nobody's drift. None where most of the quarter's calls ended after that.
    fn throughput(&self, calls: &[(Duration, End)], begin: Duration, until: Duration) -> Option<f64> {
        let until = until.min(self.last_start);
        let in_time = calls.partition_point(|(at, _)| *at <= until);
        let answered = calls[..in_time].iter().filter(|(_, end)| matches!(end, End::Answered(..))).count();
        let took = until.saturating_sub(begin).as_secs_f64();
        (took > 0.0 && 2 * in_time > calls.len()).then(|| answered as f64 / took)
    }

    /// Of the gate that was waited for longest: what started while tasks waited for it, of what could have.
    fn utilisation(&self, run: &RunView, allowed: impl Fn(GateId) -> Option<u64>) -> Option<f64> {
        let gates = (0..).map(GateId).zip(&self.gates).filter(|(_, held)| !held.along.is_empty());
        let (id, held) = gates.max_by_key(|(_, held)| held.waited)?;
        let spec = run.settings.gates.get(id.index())?;
        let stated = held.set.or(spec.requests_per_minute).map(u64::from);
        let rate = stated.into_iter().chain(allowed(id)).min().filter(|rate| *rate > 0)?;
        let (waited, starts) =
            held.along.iter().fold((0.0, 0), |(waited, all), (one, n)| (waited + one.as_secs_f64(), all + n));
        // The first of them start at once, because the bucket was full.
        let could = rate as f64 * waited / 60.0 + f64::from(spec.requests_burst.max(1));
        (waited > 0.0).then(|| (starts as f64 / could).min(1.0))
    }
}

fn p95(answers: &[(TaskId, Duration)]) -> Option<Duration> {
    let mut latencies: Vec<Duration> = answers.iter().map(|(_, latency)| *latency).collect();
    latencies.sort_unstable();
    percentile(&latencies, 95)
}

#[cfg(test)]
mod tests;
