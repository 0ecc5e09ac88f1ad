use super::*;
use crate::trial::testing::{self, all, hostile};
use crate::trial::{TrialFailure, Verdict};

fn rendered(trial: &Trial) -> String {
    String::from_utf8(markdown(trial)).unwrap()
}

#[test]
fn a_report_of_each_kind_reads_well() {
    for (name, trial) in all() {
        insta::assert_snapshot!(name, rendered(&trial));
    }
}

#[test]
fn the_verdict_with_its_reason_comes_first() {
    for (name, trial) in all() {
        let text = rendered(&trial);
        let verdict = text.lines().nth(2).unwrap();
        let expected = if trial.verdict == Verdict::Pass { "**Passed**: " } else { "**Failed**: " };
        assert!(verdict.starts_with(expected) && verdict.ends_with('.'), "{name}: {verdict}");
    }
}

#[test]
fn the_speed_is_said_to_be_judged_by_what_it_was_judged_by() {
    let by_speedup = "The speed is judged by the speedup itself, at least 2.5x: up to 3.22x (bound by";
    assert!(rendered(&testing::speedup()).contains(by_speedup));
    let by_efficiency =
        "that was reached, at least 90 %, and not by a speedup of at least 2.5x: more than 1.98x (bound";
    assert!(rendered(&testing::dag()).contains(by_efficiency));
    assert!(!rendered(&testing::single()).contains("The speed is judged"));
}

#[test]
fn hostile_text_does_nothing() {
    let text = rendered(&hostile());
    for harmful in ["<img", "\u{1b}", "\u{202e}", "\0", "\n# <", "](http"] {
        assert!(!text.replace("\\]", "").contains(harmful), "{harmful:?} in {text}");
    }
    // Every row of a table has as many cells as the row above it.
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    let lines: Vec<&str> = text.lines().collect();
    for pair in lines.windows(2).filter(|pair| pair.iter().all(|line| line.starts_with('|'))) {
        assert_eq!(cells(pair[0]), cells(pair[1]), "{pair:?}");
    }
    // Headings are ours.
    assert!(lines.iter().filter(|line| line.starts_with("## ")).all(|line| !line.contains("img")));
}

#[test]
fn of_very_many_failures_the_first_are_shown_and_their_classes_counted() {
    let mut trial = testing::large_scale();
    trial.summary.failed_tasks = 400;
    trial.failures = (0..300)
        .map(|n| TrialFailure {
            task_id: format!("t{n}"),
            task_type: "general".to_owned(),
            class: if n % 2 == 0 { "invalid" } else { "transient" }.to_owned(),
            message: String::new(),
            on_purpose: false,
        })
        .collect();
    let text = rendered(&trial);
    assert!(text.contains("200 of 400 (100 invalid, 100 transient); all are in the run's `results.jsonl`."));
    assert_eq!(text.lines().filter(|line| line.contains("| general |")).count(), 200, "{text}");
}
