//! K2's criteria, held against runs told record by record.

use std::collections::BTreeSet;
use std::time::Duration;

use sortie_core::limit::GateSpec;
use sortie_core::plan::TaskId;
use sortie_core::run::event::{Event, Then};

use super::*;
use crate::testing::{self, Story};
use crate::trial::Disturbed;
use crate::trial::criteria::tests::{Given, criterion};

/// So many independent calls of 4 s each, `side_by_side` at a time, with their end `late` seconds after.
fn flat(tasks: u32, side_by_side: u32, late: f64) -> Story {
    let names: Vec<String> = (0..tasks).map(|n| format!("t{n}")).collect();
    let tasks_of: Vec<(&str, &str, &[u32])> =
        names.iter().map(|name| (&**name, "general", [].as_slice())).collect();
    let mut story = Story::new("flat", &tasks_of).at(0.0, Event::RunStarted);
    story.settings.max_concurrent = side_by_side;
    for wave in 0..tasks.div_ceil(side_by_side) {
        let here = wave * side_by_side..tasks.min((wave + 1) * side_by_side);
        let start = f64::from(wave) * 4.0;
        for n in here.clone() {
            story = story.at(start, testing::started(n, 1));
        }
        for n in here {
            story = story.at(start + 4.0, testing::succeeded(n, 1, 4.0));
        }
    }
    let end = f64::from(tasks.div_ceil(side_by_side)) * 4.0 + late;
    story.at(end, testing::ended(Outcome::Completed))
}

fn judged(story: &Story, name: &str) -> (Option<bool>, Option<f64>) {
    let found = criterion(&Given::of(story), name);
    (found.met, found.value)
}

#[test]
fn a_speedup_is_judged_where_the_ceiling_allows_it_and_by_the_efficiency_elsewhere() {
    // Ten calls five at a time: a ceiling of 5.
    assert_eq!(judged(&flat(10, 5, 0.0), "speedup"), (Some(true), Some(5.0)));
    assert_eq!(judged(&flat(10, 5, 8.0), "speedup"), (Some(true), Some(2.5)), "the threshold is enough");
    assert_eq!(judged(&flat(10, 5, 8.1), "speedup").0, Some(false));
    assert_eq!(judged(&flat(10, 5, 8.1), "efficiency").0, None);
    // Five calls two at a time: 20 s of work in 12 s at least, whoever schedules them.
    assert_eq!(judged(&flat(5, 2, 0.0), "speedup"), (None, Some(20.0 / 12.0)));
    assert_eq!(judged(&flat(5, 2, 0.0), "efficiency"), (Some(true), Some(1.0)));
    assert_eq!(judged(&flat(5, 2, 12.0 / 0.9 - 12.0), "efficiency").0, Some(true), "the threshold is enough");
    assert_eq!(judged(&flat(5, 2, 1.5), "efficiency").0, Some(false));
    let why = criterion(&Given::of(&flat(5, 2, 0.0)), "speedup").why;
    assert!(why.contains("1.67x") && why.contains("concurrent calls"), "{why}");
    // A ceiling that is just the threshold allows it.
    assert_eq!(judged(&flat(10, 4, 0.0), "speedup").0, Some(true), "40 s in 12 s");
    let mut thresholds = Given::of(&flat(10, 5, 0.0));
    thresholds.thresholds.min_speedup = Some(5.0);
    assert_eq!(criterion(&thresholds, "speedup").met, Some(true));
}

/// Five calls of one kind, one every 1.2 s, the last of which takes 9 s and the others 3 s, with their end `late`
/// seconds after.
fn no_luck(late: f64) -> Story {
    let tasks: Vec<(&str, &str, &[u32])> =
        ["a", "b", "c", "d", "e"].iter().map(|name| (*name, "general", [].as_slice())).collect();
    let mut story = Story::new("luck", &tasks).at(0.0, Event::RunStarted);
    let gate = &mut story.settings.gates[0];
    (gate.requests_per_minute, gate.requests_burst, gate.lag) = (Some(50), 1, Duration::ZERO);
    for n in 0..5 {
        story = story.at(1.2 * f64::from(n), testing::started(n, 1));
    }
    for n in 0..4 {
        story = story.at(1.2 * f64::from(n) + 3.0, testing::succeeded(n, 1, 3.0));
    }
    story.records[1..].sort_by_key(|record| record.at);
    story = story.at(13.8, testing::succeeded(4, 1, 9.0));
    story.at(13.8 + late, testing::ended(Outcome::Completed))
}

#[test]
fn who_cannot_know_which_task_takes_longest_may_begin_it_last() {
    // 21 s of calls in 9 s at least, where the longest goes first; it went last.
    let found = criterion(&Given::of(&no_luck(0.0)), "efficiency");
    assert_eq!(found.met, Some(true), "{found:?}");
    assert!(found.threshold.unwrap() < found.value.unwrap(), "{found:?}");
    assert!(found.why.contains("with bad luck in their order"), "{}", found.why);
    // Beyond the last place there is no worse luck.
    assert_eq!(judged(&no_luck(1.0), "efficiency").0, Some(false));
    let mut stated = Given::of(&no_luck(0.0));
    stated.thresholds.min_efficiency = Some(0.9);
    let found = criterion(&stated, "efficiency");
    assert_eq!((found.met, found.threshold), (Some(false), Some(0.9)), "what is stated is the threshold");
}

#[test]
fn only_tasks_of_one_kind_could_as_well_have_taken_each_others_time() {
    // The longest of five goes first, and the run takes as long as if it had gone last.
    let judged_with = |first: &str| {
        let kind = |n: u32| if n == 0 { first } else { "general" };
        let names = ["a", "b", "c", "d", "e"];
        let tasks: Vec<(&str, &str, &[u32])> =
            (0..).zip(names).map(|(n, name)| (name, kind(n), [].as_slice())).collect();
        let mut story = Story::new("luck", &tasks).at(0.0, Event::RunStarted);
        let gate = &mut story.settings.gates[0];
        (gate.requests_per_minute, gate.requests_burst, gate.lag) = (Some(50), 1, Duration::ZERO);
        for n in 0..5 {
            story = story.at(1.2 * f64::from(n), testing::started(n, 1));
        }
        for n in 1..5 {
            story = story.at(1.2 * f64::from(n) + 3.0, testing::succeeded(n, 1, 3.0));
        }
        story.records[1..].sort_by_key(|record| record.at);
        story = story.at(9.0, testing::succeeded(0, 1, 9.0)).at(13.5, testing::ended(Outcome::Completed));
        judged(&story, "efficiency").0
    };
    assert_eq!(judged_with("general"), Some(true), "nobody can tell it from bad luck");
    assert_eq!(judged_with("design"), Some(false), "the plan says that it is of another kind");
}

#[test]
fn a_speedup_that_only_luck_reaches_is_judged_by_the_efficiency() {
    let given = || {
        let mut given = Given::of(&no_luck(0.0));
        let measured = Duration::from_secs_f64;
        given.measured = Some(Measured {
            serial: measured(24.0),
            parallel: measured(13.8),
            pause: measured(0.0),
            speedup: 24.0 / 13.8,
            interval: None,
            disturbed: None,
        });
        given
    };
    let found = criterion(&given(), "speedup");
    assert_eq!((found.met, found.threshold), (None, Some(2.5)), "{found:?}");
    assert!(found.why.contains("with bad luck in the order of so few tasks"), "{}", found.why);
    assert_eq!(criterion(&given(), "efficiency").met, Some(true));
    let mut late = given();
    late.measured.as_mut().unwrap().parallel = Duration::from_secs(15);
    late.measured.as_mut().unwrap().speedup = 24.0 / 15.0;
    assert_eq!(criterion(&late, "efficiency").met, Some(false));
    let mut stated = given();
    stated.thresholds.min_speedup = Some(2.5);
    assert_eq!(criterion(&stated, "speedup").met, Some(false), "what is stated is the threshold");
}

#[test]
fn what_wastes_a_seventh_of_the_time_of_many_tasks_has_no_such_excuse() {
    // Twenty waves of two, with so many seconds lost at the end.
    assert_eq!(judged(&flat(40, 2, 80.0 * 0.10), "efficiency").0, Some(true));
    assert_eq!(judged(&flat(40, 2, 80.0 * 0.15), "efficiency").0, Some(false));
    assert_eq!(judged(&flat(200, 2, 400.0 * 0.15), "efficiency").0, Some(false));
}

#[test]
fn what_has_no_speedup_says_why() {
    let why = |story: &Story| {
        let found = [criterion(&Given::of(story), "speedup"), criterion(&Given::of(story), "efficiency")];
        assert_eq!(found.each_ref().map(|one| one.met), [None, None]);
        assert_eq!(found[0].why, found[1].why);
        found[0].why.clone()
    };
    assert_eq!(why(&flat(1, 5, 0.0)), "a single task has nothing to run beside");
    assert_eq!(why(&Story::pipeline()), "no call was made");
    let mut serial = flat(5, 1, 0.0);
    serial.settings.mode = Mode::Serial;
    assert!(why(&serial).contains("serial mode"));
}

#[test]
fn a_measured_speedup_goes_before_the_estimated_one() {
    let mut given = Given::of(&flat(10, 5, 0.0));
    let seconds = Duration::from_secs;
    given.measured = Some(Measured {
        serial: seconds(19),
        parallel: seconds(8),
        pause: seconds(60),
        speedup: 19.0 / 8.0,
        interval: Some((2.0, 2.75)),
        disturbed: None,
    });
    // At least 8 s, so at most 19 / 8 times faster.
    assert_eq!(criterion(&given, "speedup").met, None);
    let efficiency = criterion(&given, "efficiency");
    assert_eq!((efficiency.met, efficiency.value), (Some(true), Some(1.0)));
    assert!(efficiency.why.contains("19.0 s serially") && efficiency.why.contains("2.00x to 2.75x"));
    let (measured, halves) = (given.measured.as_mut().unwrap(), (seconds(30), seconds(10)));
    ((measured.serial, measured.parallel), measured.speedup) = (halves, 3.0);
    let speedup = criterion(&given, "speedup");
    assert_eq!((speedup.met, speedup.value), (Some(true), Some(3.0)));
}

#[test]
fn what_disturbed_the_serial_half_is_no_speed_and_no_ceiling_is_above_the_width() {
    let mut given = Given::of(&flat(10, 5, 0.0));
    let seconds = Duration::from_secs;
    let disturbed = |answers| Some(Disturbed { failed_calls: 3, answers: seconds(answers) });
    // 40 s of answers in three minutes of outage, 8 s side by side.
    given.measured = Some(Measured {
        serial: seconds(180),
        parallel: seconds(8),
        pause: seconds(0),
        speedup: 5.0,
        interval: None,
        disturbed: disturbed(40),
    });
    let speedup = criterion(&given, "speedup");
    assert_eq!((speedup.met, speedup.value), (Some(true), Some(5.0)));
    assert!(speedup.why.starts_with("5.00x of at most 5.00x"), "{}", speedup.why);
    assert!(speedup.why.contains("3 of its calls failed"), "{}", speedup.why);
    // Slower answers serially than side by side.
    given.measured.as_mut().unwrap().disturbed = disturbed(60);
    let why = criterion(&given, "speedup").why;
    assert!(why.contains("of at most 5.00x"), "{why}");
}

#[test]
fn a_serial_half_is_disturbed_by_failed_calls_and_by_waits() {
    let of = |story: &Story| {
        let fold = story.fold();
        Disturbed::of(&fold, fold.elapsed(fold.last_time()))
    };
    let answers = Duration::from_secs(20);
    assert_eq!(of(&flat(5, 1, 0.5)), None);
    assert_eq!(of(&flat(5, 1, 30.0)), Some(Disturbed { failed_calls: 0, answers }));
    assert_eq!(of(&testing::retried()).unwrap().failed_calls, 1);
}

#[test]
fn what_the_provider_allows_bounds_what_nobody_states() {
    let mut story = flat(20, 10, 0.0);
    story.settings.gates[0].requests_per_minute = None;
    let fold = story.fold();
    let binding = |rate: Option<u32>| {
        let allowed = GateSpec { requests_per_minute: rate, requests_burst: 1, ..GateSpec::default() };
        let report = fold.report_within(fold.last_time(), &[allowed]);
        (report.bound.unwrap().makespan.as_secs(), report.summary.speedup.binding.unwrap())
    };
    assert_eq!(binding(None), (8, "concurrency".to_owned()));
    assert_eq!(binding(Some(2)), (19 * 30 + 4, "requests_per_minute".to_owned()));
    story.settings.gates[0].requests_per_minute = Some(60);
    story.settings.gates[0].requests_burst = 1;
    let fold = story.fold();
    let looser = GateSpec { requests_per_minute: Some(600), ..GateSpec::default() };
    let report = fold.report_within(fold.last_time(), &[looser]);
    assert_eq!(report.bound, fold.report(fold.last_time()).bound, "what is stated is stricter");
}

/// So many tasks that succeed, fail, or are left.
fn ended_like(good: u32, bad: u32, left: u32, outcome: Outcome) -> Story {
    let names: Vec<String> = (0..good + bad + left).map(|n| format!("t{n}")).collect();
    let tasks: Vec<(&str, &str, &[u32])> =
        names.iter().map(|name| (&**name, "general", [].as_slice())).collect();
    let mut story = Story::new("rates", &tasks).at(0.0, Event::RunStarted);
    for n in 0..good {
        story = story.at(0.0, testing::started(n, 1)).at(1.0, testing::succeeded(n, 1, 1.0));
    }
    for n in good..good + bad {
        let failed = testing::failed(n, 1, testing::invalid(), Then::Fail);
        story = story.at(1.0, testing::started(n, 1)).at(1.3, failed);
    }
    story.at(2.0, testing::ended(outcome))
}

#[test]
fn the_success_rate_counts_what_is_left_and_not_what_is_meant_to_fail() {
    let met = |story: &Story| criterion(&Given::of(story), "success_rate").met;
    assert_eq!(met(&ended_like(19, 1, 0, Outcome::Completed)), Some(true), "95 % are enough");
    assert_eq!(met(&ended_like(18, 1, 0, Outcome::Completed)), Some(false));
    assert_eq!(met(&ended_like(18, 0, 2, Outcome::Completed)), Some(false), "what is left counts");
    let mut meant = Given::of(&ended_like(2, 1, 0, Outcome::Completed));
    assert_eq!(criterion(&meant, "success_rate").met, Some(false));
    meant.meant_to_fail = BTreeSet::from([TaskId(2)]);
    let found = criterion(&meant, "success_rate");
    assert_eq!((found.met, found.value), (Some(true), Some(100.0)));
    meant.meant_to_fail = (0..3).map(TaskId).collect();
    assert_eq!(criterion(&meant, "success_rate").met, None);
}

#[test]
fn a_run_that_something_ended_fails_and_names_what() {
    let after = Duration::from_secs(600);
    let story = ended_like(98, 1, 1, Outcome::TimedOut { after });
    let found = criterion(&Given::of(&story), "success_rate");
    assert_eq!((found.met, found.value), (Some(false), Some(98.0)));
    assert!(found.why.contains("the run timeout of 10 min 00 s passed"), "{}", found.why);
    assert!(found.why.ends_with("(1 time invalid)"), "{}", found.why);
    let stopped = Outcome::ProviderStopped { failure: testing::throttled() };
    let found = criterion(&Given::of(&ended_like(0, 0, 3, stopped)), "success_rate");
    assert!(found.why.contains("stopped by the provider"), "{}", found.why);
}

#[test]
fn the_p95_is_strictly_below_its_threshold() {
    let mut given = Given::of(&flat(4, 4, 0.0));
    for (most, met) in [(4.001, true), (4.0, false), (3.0, false)] {
        given.thresholds.max_p95_latency = most;
        assert_eq!(criterion(&given, "p95_latency").met, Some(met), "{most}");
    }
    assert_eq!(judged(&Story::pipeline(), "p95_latency"), (None, None));
}
