use std::time::Duration;

use super::*;
use crate::trial::testing::{self, HOSTILE, all, hostile, of};

/// The same trial some days later or before.
fn on(day: u8, mut trial: Trial) -> Trial {
    trial.summary.run_id = format!("202511{day:02}-093000-7f3a");
    trial.started_at = format!("2025-11-{day:02}T09:30:00.000000Z");
    trial
}

fn regressed(now: &Trial, then: &Trial) -> Vec<String> {
    before(now, then)
        .figures
        .into_iter()
        .filter(|change| change.regressed)
        .map(|change| change.name)
        .collect()
}

fn slower(mut trial: Trial, factor: f64) -> Trial {
    let times = |latency: Option<Duration>| latency.map(|latency| latency.mul_f64(factor));
    let metrics = &mut trial.summary.metrics;
    (metrics.p50_latency, metrics.p95_latency) = (times(metrics.p50_latency), times(metrics.p95_latency));
    trial
}

fn failed(mut trial: Trial, failed: u64) -> Trial {
    let summary = &mut trial.summary;
    summary.successful_tasks = summary.total_tasks - failed;
    summary.success_rate = Some(100.0 * summary.successful_tasks as f64 / summary.total_tasks as f64);
    trial
}

#[test]
fn only_trials_of_one_kind_are_compared() {
    let then = || on(13, of("speedup", 30, 40.0));
    let now = |change: fn(&mut Trial)| {
        let mut now = on(14, of("speedup", 30, 40.0));
        change(&mut now);
        now
    };
    assert!(is_comparable(&now(|_| {}), &then()));
    assert!(
        is_comparable(&now(|now| now.max_concurrent = 50), &then()),
        "what a setting brought is asked for"
    );
    assert!(is_comparable(&now(|now| now.summary.total_tasks = 37), &then()));
    assert!(!is_comparable(&then(), &then()), "the same trial");
    for change in [
        (|now| now.test_type = "mixed".to_owned()) as fn(&mut Trial),
        |now| now.phase = Some(2),
        |now| now.plan = Some("reports (3f9a1c2b4d5e)".to_owned()),
        |now| now.endpoint = "scenario seed".to_owned(),
        |now| now.agents = vec!["claude (claude-haiku-4-5)".to_owned()],
        |now| now.summary.total_tasks = 38,
        |now| now.summary.simulated = true,
    ] {
        assert!(!is_comparable(&now(change), &then()));
        assert!(!is_comparable(&then(), &now(change)));
    }
}

#[test]
fn nothing_is_worse_than_itself() {
    for (name, trial) in all() {
        assert!(regressed(&trial, &trial).is_empty(), "{name}");
    }
}

#[test]
fn what_chance_explains_depends_on_the_number_of_tasks() {
    let latency = |tasks, factor| {
        let then = of("parallel", tasks, 40.0);
        regressed(&slower(then.clone(), factor), &then)
    };
    let both = ["p50_latency", "p95_latency"];
    assert!(latency(5, 2.4).is_empty());
    assert_eq!(latency(5, 2.6), ["p50_latency"]);
    assert!(latency(30, 1.2).is_empty());
    assert_eq!(latency(30, 1.6), both);
    assert_eq!(latency(500, 1.2), both);
    // However many there are: an endpoint is not the same from one hour to the next.
    assert!(latency(100_000, 1.09).is_empty());
    assert_eq!(latency(100_000, 1.16), both);
}

#[test]
fn fewer_successes_count_where_an_exact_test_says_so() {
    let success = |tasks, lost| {
        let then = of("parallel", tasks, 40.0);
        regressed(&failed(then.clone(), lost), &then)
    };
    assert!(success(5, 3).is_empty(), "p = 1/12");
    assert_eq!(success(5, 5), ["success_rate"]);
    assert!(success(30, 5).is_empty());
    assert_eq!(success(30, 7), ["success_rate"]);
    assert_eq!(success(500, 10), ["success_rate"]);
    // Better is no regression.
    let then = failed(of("parallel", 30, 40.0), 10);
    assert!(regressed(&of("parallel", 30, 40.0), &then).is_empty());
}

#[test]
fn calls_that_fail_and_are_throttled_are_held_against_all_calls() {
    let calls = |errors, throttled| {
        let then = of("parallel", 100, 40.0);
        let mut now = then.clone();
        (now.summary.metrics.error_count, now.summary.metrics.rate_limit_hits) = (errors, throttled);
        regressed(&now, &then)
    };
    assert!(calls(4, 4).is_empty());
    assert_eq!(calls(8, 0), ["error_rate"]);
    assert_eq!(calls(0, 8), ["throttled_rate"]);
    // Tasks that failed without a call are errors too.
    assert_eq!(calls(1000, 0), ["error_rate"]);
}

#[test]
fn a_measured_speedup_is_held_against_its_intervals() {
    let speedup = |low, high, now: f64| {
        let mut then = testing::speedup();
        then.measured.as_mut().unwrap().interval = Some((low, high));
        then.summary.speedup.speedup = Some(3.0);
        let mut later = then.clone();
        later.summary.speedup.speedup = Some(now);
        regressed(&later, &then)
    };
    assert_eq!(speedup(2.9, 3.1, 2.6), ["speedup"]);
    assert!(speedup(2.9, 3.1, 2.75).is_empty(), "less than a tenth");
    assert!(speedup(2.0, 4.0, 2.6).is_empty());
}

#[test]
fn money_and_speed_are_worse_by_a_factor() {
    let worse = |change: fn(&mut Trial)| {
        let then = of("parallel", 200, 40.0);
        let mut now = then.clone();
        change(&mut now);
        regressed(&now, &then)
    };
    assert_eq!(
        worse(|now| now.summary.cost.avg_cost_per_task = Some("0.006".parse().unwrap())),
        ["cost_per_task"]
    );
    assert_eq!(worse(|now| now.summary.metrics.throughput = Some(3.0)), ["throughput"]);
    assert_eq!(worse(|now| now.summary.speedup.efficiency = Some(0.5)), ["efficiency"]);
    assert!(worse(|now| now.summary.metrics.throughput = Some(30.0)).is_empty());
}

#[test]
fn what_was_not_measured_is_not_compared() {
    let figures = |trial: &Trial| -> Vec<String> {
        before(trial, trial).figures.into_iter().map(|change| change.name).collect()
    };
    assert_eq!(figures(&testing::down()), ["success_rate", "error_rate", "throttled_rate"]);
    assert!(!figures(&testing::single()).contains(&"speedup".to_owned()), "one task has none");
    assert_eq!(figures(&testing::speedup()).len(), COMPARED.len());
}

fn trials() -> Vec<Trial> {
    vec![
        on(11, of("speedup", 30, 41.0)),
        on(14, slower(testing::speedup(), 1.7)),
        on(12, testing::down()),
        on(13, testing::speedup()),
        on(15, testing::speedup()),
    ]
}

#[test]
fn a_history_has_the_newest_first_and_marks_what_is_worse() {
    insta::assert_snapshot!("history", history(&trials(), Style::Plain));
    assert_eq!(history(&[], Style::Plain), "no trials yet\n");
    let coloured = history(&trials(), Style::Ansi);
    let worse = coloured.lines().find(|line| line.contains("2025-11-14")).unwrap();
    assert!(worse.starts_with("\x1b[33m2025-11-14"), "{coloured}");
}

#[test]
fn a_history_for_programs_says_against_which_trial() {
    let document = document(&trials());
    let order: Vec<(&str, Option<&str>)> = document
        .iter()
        .map(|entry| (&entry.run_id[6..8], entry.against.as_deref().map(|id| &id[6..8])))
        .collect();
    assert_eq!(
        order,
        [("15", Some("14")), ("14", Some("13")), ("13", Some("11")), ("11", None), ("12", None)]
    );
    let worse: Vec<&str> =
        document[1].figures.iter().filter(|past| past.regressed).map(|past| past.name.as_str()).collect();
    assert_eq!(worse, ["p50_latency", "p95_latency"]);
    let json = serde_json::to_string(&document).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Entry>>(&json).unwrap(), document);
}

#[test]
fn hostile_texts_reach_no_terminal() {
    let text = history(&[hostile()], Style::Plain);
    assert_eq!(crate::terminal::sanitize(&text), text);
    assert!(!text.contains(HOSTILE) && text.lines().count() == 6, "{text}");
}
