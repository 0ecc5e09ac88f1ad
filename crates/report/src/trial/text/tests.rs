use super::*;
use crate::terminal::sanitize;
use crate::trial::testing::{self, HOSTILE, all, hostile};

const SAID: &str = "Machine learning is the study of programs that get better at a task by looking at examples of it \
                    instead of being told every step.";

fn shown(name: &str, trial: &Trial, style: Style) -> String {
    block(trial, (name == "single").then_some(SAID), style)
}

#[test]
fn a_block_of_each_kind_says_what_came_of_it() {
    for (name, trial) in all() {
        insta::assert_snapshot!(name, shown(name, &trial, Style::Plain));
    }
}

#[test]
fn a_trial_that_a_signal_ended_says_what_it_leaves() {
    let check = |before: Charge, charge: Charge, runs: &[&str], expected: &str| {
        let runs: Vec<String> = runs.iter().map(ToString::to_string).collect();
        assert_eq!(interrupted(Signal::Interrupt, &before, &charge, &runs), expected);
    };
    let nothing = Charge::default();
    let charge = Charge {
        actual: crate::testing::usd("0.0138"),
        at_risk: crate::testing::usd("0.002"),
        ..Charge::default()
    };
    let before = Charge { actual: crate::testing::usd("0.01"), ..Charge::default() };
    let expected = "interrupted (SIGINT): the trial has no verdict and leaves no report\n  \
                    so far $0.0138 ($0.002 at risk besides) in 2 runs: one-key, one\n  \
                    `sortie show NAME` tells more of each";
    check(nothing, charge, &["one-key", "one"], expected);
    check(nothing, nothing, &[], "interrupted (SIGINT): the trial has no verdict, and made no run");
    let expected = "interrupted (SIGINT): the trial has no verdict and leaves no report\n  \
                    so far $0.0238 ($0.002 at risk besides), $0.0138 ($0.002 at risk besides) of it in 1 run of this\n    \
                    phase: one-2-key\n  \
                    `sortie show NAME` tells more of each";
    check(before, charge, &["one-2-key"], expected);
    let expected = "interrupted (SIGINT): the trial has no verdict and leaves no report\n  \
                    so far $0.01, all of it in the phases before\n  \
                    `sortie show NAME` tells more of each";
    check(before, nothing, &[], expected);
}

#[test]
fn the_cost_line_is_the_founding_documents() {
    let line = "Total cost: $0.023 (5 tasks, avg $0.0046/task)";
    assert!(block(&testing::phase_1(), None, Style::Plain).lines().any(|shown| shown == line));
}

#[test]
fn of_an_answer_the_first_100_characters_are_shown() {
    let text = block(&testing::single(), Some(&"中".repeat(200)), Style::Plain);
    assert!(text.contains(&format!("  {}…\n", "中".repeat(100))), "{text}");
    let text = block(&testing::single(), Some(HOSTILE), Style::Plain);
    assert_eq!(sanitize(&text), text);
}

#[test]
fn no_line_is_wider_than_a_terminal() {
    for (name, trial) in all() {
        for line in shown(name, &trial, Style::Plain).lines() {
            // An answer has 100 characters behind its indentation, and an ellipsis.
            let width = if name == "single" { WIDTH + 3 } else { WIDTH };
            assert!(line.width() <= width, "{name}: {line}");
        }
    }
}

#[test]
fn colour_adds_nothing_but_escape_sequences() {
    for (name, trial) in all() {
        let mut plain = shown(name, &trial, Style::Ansi);
        assert!(plain.contains("\x1b[1m"));
        for code in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, shown(name, &trial, Style::Plain), "{name}");
    }
}

#[test]
fn hostile_texts_reach_no_terminal() {
    let trial = hostile();
    for text in [block(&trial, Some(HOSTILE), Style::Plain), points(&trial.checklist, Style::Plain)] {
        assert_eq!(sanitize(&text), text);
        assert!(!text.contains("\n# <"), "{text}");
    }
}

#[test]
fn a_point_says_what_was_found_and_what_can_be_done() {
    let point = |state, hint: Option<&str>| Point {
        state,
        what: "budget".to_owned(),
        found: "none is set".to_owned(),
        hint: hint.map(str::to_owned),
    };
    let list = [
        point(PointState::Ok, None),
        point(PointState::Warning, Some("set one\nor none")),
        point(PointState::Missing, None),
    ];
    let expected = "ok       budget: none is set\n\
                    warning  budget: none is set\n         hint: set one\n         hint: or none\n\
                    missing  budget: none is set\n";
    assert_eq!(points(&list, Style::Plain), expected);
    assert!(points(&list, Style::Ansi).starts_with("\x1b[32mok     \x1b[0m  budget"));
}

#[test]
fn words_are_kept_whole_and_lines_short() {
    let long = "x".repeat(WIDTH + 5);
    let lines = wrapped("> ", "  ", &format!("{} {long} end", "word ".repeat(30)));
    assert!(
        lines.len() == 4 && lines[0].starts_with("> word") && lines[1].starts_with("  word"),
        "{lines:#?}"
    );
    assert_eq!(lines[2], format!("  {long}"));
    assert!(wrapped("  ", "  ", "  ").is_empty());
    assert_eq!(wrapped("> ", "  ", ""), ["> "]);
}
