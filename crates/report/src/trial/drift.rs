//! The run over time: its calls by quarters, so that what gets worse with time shows, and how much of the rate that
//! was allowed it used while tasks waited for it.
//!
//! A run's [`Fold`](crate::Fold) keeps what became of tasks; this keeps what became of each call, retries included, in
//! a few bytes of each.

use std::collections::BTreeMap;
use std::time::Duration;

use sortie_core::failure::Class;
use sortie_core::limit::{Dimension, GateId};
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
    /// With an answer that took so long; none where nobody knows.
    Answered(Option<Duration>),
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
            Event::AttemptSucceeded { timing, .. } => self.end(End::Answered(Some(timing.total)), at),
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
                    *end = End::Answered(None);
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
            let is_its = |wait: &&Wait| is_for_rate(&wait.reason, &spec.name);
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
        let quarter = |of: usize| self.quarter(of * n / 4, (of + 1) * n / 4);
        let quarters = (0..4).map(quarter).collect();
        Some(Drift { quarters, utilisation: self.utilisation(run, allowed) })
    }

    /// The calls from one place up to another.
    fn quarter(&self, from: usize, to: usize) -> Quarter {
        let calls = &self.calls[from..to];
        let end_of = |place: usize| place.checked_sub(1).map_or(Duration::ZERO, |last| self.calls[last].0);
        let (begin, until) = (end_of(from), end_of(to));
        let mut latencies: Vec<Duration> = Vec::new();
        let (mut answered, mut throttled) = (0, 0);
        for (_, end) in calls {
            match end {
                End::Answered(latency) => {
                    answered += 1;
                    latencies.extend(*latency);
                }
                End::Throttled => throttled += 1,
                End::Failed => {}
            }
        }
        latencies.sort_unstable();
        let of_hundred = |part: usize| 100.0 * part as f64 / calls.len().max(1) as f64;
        let memory = self.memory.iter().rev().find(|(after, _)| (from + 1..=to).contains(after));
        Quarter {
            until,
            throughput: self.throughput(calls, begin, until),
            p95_latency: percentile(&latencies, 95),
            error_rate: of_hundred(calls.len() - answered),
            throttled_rate: of_hundred(throttled),
            memory_mib: memory.map(|(_, mib)| *mib),
        }
    }

    /// Answers a second, while calls were left to begin: a run ends with its longest calls, and what ever fewer of them
    /// come to is nobody's drift. None where most of the quarter's calls ended after that.
    fn throughput(&self, calls: &[(Duration, End)], begin: Duration, until: Duration) -> Option<f64> {
        let until = until.min(self.last_start);
        let in_time = calls.partition_point(|(at, _)| *at <= until);
        let answered = calls[..in_time].iter().filter(|(_, end)| matches!(end, End::Answered(_))).count();
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

/// Whether a reason to wait is the rate of a gate's requests: as stated or told, as found out, or as a refusal showed.
fn is_for_rate(reason: &str, gate: &str) -> bool {
    let requests = Dimension::Requests.per_minute();
    let named = |what: &str| reason.strip_prefix(what).is_some_and(|rest| rest == gate);
    named(&format!("{requests} of ")) || named("learned pace of ") || named("throttled by ")
}

#[cfg(test)]
mod tests {
    use sortie_core::failure::Failure;
    use sortie_core::run::event::{Outcome, Then};

    use super::*;
    use crate::testing::{self, Story};

    const GATE: &str = "anthropic/claude-sonnet-4-5";

    fn story(tasks: u32) -> Story {
        let names: Vec<String> = (0..tasks).map(|n| format!("t{n}")).collect();
        let tasks: Vec<(&str, &str, &[u32])> =
            names.iter().map(|name| (&**name, "general", [].as_slice())).collect();
        Story::new("long", &tasks).at(0.0, Event::RunStarted)
    }

    fn drift(story: &Story) -> Option<Drift> {
        DriftFold::of(&story.run(), &story.records).drift(&story.run(), |_| None)
    }

    /// Twenty-four calls, each beginning as the one before it ends; each takes so many seconds.
    fn one_by_one(seconds: impl Fn(u32) -> f64) -> Story {
        let (mut story, mut now) = (story(24), 0.0);
        for n in 0..24 {
            story = story.at(now, testing::started(n, 1));
            now += seconds(n);
            story = story.at(now, testing::succeeded(n, 1, seconds(n)));
        }
        story.at(now, testing::ended(Outcome::Completed))
    }

    #[test]
    fn what_gets_slower_shows_by_quarters() {
        let found = drift(&one_by_one(|n| if n < 18 { 1.0 } else { 4.0 })).unwrap();
        let throughput: Vec<f64> = found.quarters.iter().map(|quarter| quarter.throughput.unwrap()).collect();
        assert_eq!(throughput, [1.0, 1.0, 1.0, 0.25]);
        let until: Vec<u64> = found.quarters.iter().map(|quarter| quarter.until.as_secs()).collect();
        assert_eq!(until, [6, 12, 18, 42]);
        let p95: Vec<u64> =
            found.quarters.iter().map(|quarter| quarter.p95_latency.unwrap().as_secs()).collect();
        assert_eq!(p95, [1, 1, 1, 4]);
        assert!(
            found.quarters.iter().all(|quarter| quarter.error_rate == 0.0 && quarter.memory_mib.is_none())
        );
        assert_eq!(found.utilisation, None, "nothing was waited for");
    }

    #[test]
    fn the_tail_of_a_run_is_no_loss_of_throughput() {
        // Ten at a time, a second each; the last ten take ten times as long.
        let mut story = story(40);
        for n in 0..40 {
            let begin = f64::from(n / 10);
            let took = if n < 30 { 1.0 } else { 10.0 };
            story = story.at(begin, testing::started(n, 1));
            if n % 10 == 9 {
                for n in n - 9..=n {
                    story = story.at(begin + took, testing::succeeded(n, 1, took));
                }
            }
        }
        let found = drift(&story).unwrap();
        let throughput: Vec<Option<f64>> = found.quarters.iter().map(|quarter| quarter.throughput).collect();
        assert_eq!(throughput, [Some(10.0), Some(10.0), Some(10.0), None]);
    }

    #[test]
    fn too_few_calls_have_no_quarters() {
        let mut short = one_by_one(|_| 1.0);
        short.records.truncate(1 + 2 * 19);
        assert_eq!(drift(&short), None);
        let mut enough = one_by_one(|_| 1.0);
        enough.records.truncate(1 + 2 * 20);
        assert!(drift(&enough).is_some());
    }

    #[test]
    fn every_call_counts_and_not_every_task() {
        // Each of the last six tasks is throttled, then fails, then succeeds: 18 calls of 36.
        let mut story = one_by_one(|_| 1.0);
        story.records.truncate(1 + 2 * 18);
        for n in 18..24 {
            let now = f64::from(n);
            let again = Then::RetryAt(Time::ZERO);
            let broken = Failure::new(Class::Network, "the connection broke");
            story = story
                .at(now, testing::started(n, 1))
                .at(now + 0.1, testing::failed(n, 1, testing::throttled(), again.clone()))
                .at(now + 0.1, testing::started(n, 2))
                .at(now + 0.2, testing::failed(n, 2, broken, again))
                .at(now + 0.2, testing::started(n, 3))
                .at(now + 1.0, testing::succeeded(n, 3, 0.8));
        }
        let found = drift(&story).unwrap();
        let rates: Vec<(f64, f64)> =
            found.quarters.iter().map(|quarter| (quarter.error_rate, quarter.throttled_rate)).collect();
        let third = 100.0 / 3.0;
        assert_eq!(rates, [(0.0, 0.0), (0.0, 0.0), (2.0 * third, third), (2.0 * third, third)]);
    }

    #[test]
    fn a_lost_call_failed_unless_its_answer_is_found() {
        let rates = |story: &Story| {
            let mut records = one_by_one(|_| 1.0).records;
            records.truncate(1 + 2 * 20);
            // The rest of a run that was killed and resumed.
            records.extend(story.records.iter().cloned());
            let fold = DriftFold::of(&story.run(), &records);
            let ends: Vec<End> = fold.calls[20..].iter().map(|(_, end)| *end).collect();
            ends.iter().filter(|end| **end == End::Failed).count()
        };
        assert_eq!(rates(&testing::resumed()), 2);
        assert_eq!(rates(&testing::recovered()), 1);
    }

    #[test]
    fn memory_is_that_of_the_end_of_each_quarter() {
        let story = one_by_one(|_| 1.0);
        let mut fold = DriftFold::default();
        for record in &story.records {
            fold.apply(&story.run(), record);
            if [1, 6, 13, 24].contains(&fold.calls())
                && matches!(record.event, Event::AttemptSucceeded { .. })
            {
                fold.memory(fold.calls() as f64);
            }
        }
        let found = fold.drift(&story.run(), |_| None).unwrap();
        let memory: Vec<Option<f64>> = found.quarters.iter().map(|quarter| quarter.memory_mib).collect();
        assert_eq!(memory, [Some(6.0), None, Some(13.0), Some(24.0)]);
    }

    /// Twenty-one calls of 2 s, one every so many seconds, with tasks that wait for the rate until the last starts.
    fn paced(every: f64, reason: &str) -> Story {
        let mut story = story(21);
        for n in 0..21 {
            story = story.at(f64::from(n) * every, testing::started(n, 1));
        }
        for n in 0..21 {
            story = story.at(f64::from(n) * every + 2.0, testing::succeeded(n, 1, 2.0));
        }
        story.records[1..].sort_by_key(|record| record.at);
        let time = Duration::from_secs_f64(20.0 * every);
        let wait = Wait { reason: reason.to_owned(), time };
        let end = 20.0 * every + 2.0;
        story.at(end, Event::Waited { waits: vec![wait] }).at(end, testing::ended(Outcome::Completed))
    }

    #[test]
    fn the_utilisation_is_what_started_of_what_the_rate_allowed() {
        let of = |every: f64, reason: &str, stated: Option<u32>, allowed: Option<u64>| {
            let mut story = paced(every, &format!("{reason} {GATE}"));
            (story.settings.gates[0].requests_per_minute, story.settings.gates[0].requests_burst) =
                (stated, 1);
            let fold = DriftFold::of(&story.run(), &story.records);
            let found = fold.drift(&story.run(), |_| allowed).unwrap();
            found.utilisation.map(|part| (part * 1000.0).round() / 1000.0)
        };
        assert_eq!(of(3.0, "requests/min of", Some(20), None), Some(1.0));
        // Forty starts after the first would have been allowed.
        assert_eq!(of(6.0, "requests/min of", Some(20), None), Some(0.512));
        assert_eq!(of(3.0, "learned pace of", None, Some(20)), Some(1.0));
        assert_eq!(of(6.0, "throttled by", None, Some(20)), Some(0.512));
        assert_eq!(of(3.0, "requests/min of", Some(600), Some(20)), Some(1.0), "the stricter one bound it");
        assert_eq!(of(3.0, "throttled by", None, None), None, "nobody knows what was allowed");
        assert_eq!(of(3.0, "max_concurrent of", Some(20), None), None, "no rate bound it");
    }

    #[test]
    fn what_started_while_nothing_waited_says_nothing_of_the_rate() {
        let mut story = paced(3.0, &format!("requests/min of {GATE}"));
        story.settings.gates[0].requests_per_minute = Some(20);
        for record in &mut story.records {
            if let Event::Waited { waits } = &mut record.event {
                waits[0].time = Duration::from_secs(5);
            }
        }
        let fold = DriftFold::of(&story.run(), &story.records);
        assert_eq!(fold.drift(&story.run(), |_| None).unwrap().utilisation, None);
    }
}
