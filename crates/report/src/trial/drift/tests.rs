//! Runs over time, told record by record.

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
    let p95: Vec<u64> = found.quarters.iter().map(|quarter| quarter.p95_latency.unwrap().as_secs()).collect();
    assert_eq!(p95, [1, 1, 1, 4]);
    let latency = found.latency.unwrap();
    assert!(latency.is_real() && latency.factor > 2.0, "{latency:?}");
    assert!(found.quarters.iter().all(|quarter| quarter.error_rate == 0.0 && quarter.memory_mib.is_none()));
    assert_eq!(found.utilisation, None, "nothing was waited for");
}

#[test]
fn answers_belong_to_the_quarter_in_which_their_calls_began() {
    // All begin at once and take ever longer: nothing got slower.
    let mut all = story(40);
    for n in 0..40 {
        all = all.at(0.0, testing::started(n, 1));
    }
    for n in 0..40 {
        // The place in the order of ending is another one than in the plan.
        let task = n * 17 % 40;
        all = all.at(f64::from(n + 1), testing::succeeded(task, 1, f64::from(n + 1)));
    }
    let found = drift(&all).unwrap();
    let p95: Vec<u64> = found.quarters.iter().map(|quarter| quarter.p95_latency.unwrap().as_secs()).collect();
    assert!(p95.iter().all(|p95| *p95 > 30), "{p95:?}");
    assert!(!found.latency.unwrap().is_real(), "{:?}", found.latency);
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
        if [1, 6, 13, 24].contains(&fold.calls()) && matches!(record.event, Event::AttemptSucceeded { .. }) {
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
        (story.settings.gates[0].requests_per_minute, story.settings.gates[0].requests_burst) = (stated, 1);
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
