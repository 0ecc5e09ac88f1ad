//! A plan that is played with its durations stated.

use super::*;
use crate::testing::{agent, settings, task};

#[test]
fn stated_durations_are_played_and_order_no_queue() {
    // One at a time, the longest path that the plan expects goes first, whatever it takes in the end.
    let hinted = |name: &str, on: &[u32], seconds| {
        let expected = Some(Duration::from_secs(seconds));
        Task { expected, ..task(name, on, 1000) }
    };
    let tasks = vec![hinted("a", &[], 1), hinted("b", &[], 9), hinted("c", &[1], 1)];
    let plan = Arc::new(Plan::new("plan".into(), vec![agent()], tasks));
    let laws = Laws::new(&plan, |_| None);
    let two = Settings { max_concurrent: 2, ..settings() };
    let takes = |settings: &Settings, seconds: [u64; 3]| {
        let laws = laws.clone().stating(seconds.map(Duration::from_secs).to_vec());
        makespan(&plan, settings, &laws).as_secs()
    };
    assert_eq!(makespan(&plan, &two, &laws), Duration::from_secs(10));
    assert_eq!(takes(&two, [5, 2, 4]), 6);
    let one = Settings { max_concurrent: 1, ..settings() };
    assert_eq!(takes(&one, [5, 2, 4]), 11);
    let mut paced = two;
    paced.gates[0].requests_per_minute = Some(6);
    assert_eq!(takes(&paced, [5, 2, 4]), 24, "ten seconds between starts");
}

#[test]
fn what_takes_longer_than_its_timeout_ends_no_play_and_is_no_failure_where_all_is_as_expected() {
    let tasks: Vec<Task> = (0..24).map(|n| task(&format!("t{n}"), &[], 1000)).collect();
    let timeout = tasks[0].timeout;
    let plan = Arc::new(Plan::new("plan".into(), vec![agent()], tasks));
    let long = timeout + Duration::from_secs(1);
    let laws = Laws::new(&plan, |_| None).stating(vec![long; 24]);
    let all_at_once = Settings { max_concurrent: 24, ..settings() };
    assert_eq!(makespan(&plan, &all_at_once, &laws), long);
    let forecast = forecast(&plan, &all_at_once, &laws, 7);
    assert!(forecast.makespan.p50 > long, "asked for again, and given up in the end");
}
