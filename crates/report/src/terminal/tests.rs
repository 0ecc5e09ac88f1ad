use std::time::Duration;

use sortie_core::failure::{Class, Failure};
use sortie_core::run::event::{Event, Then};

use super::*;
use crate::testing::{self, Story};

fn block(story: &Story, style: Style) -> String {
    let fold = story.fold();
    summary(&fold.report(fold.last_time()), style)
}

#[test]
fn the_cost_line_is_word_for_word_the_founding_documents() {
    let story = testing::diamond();
    let fold = story.fold();
    let summary = fold.summary(fold.last_time());
    assert_eq!(cost_line(&summary), "Total cost: $0.023 (5 tasks, avg $0.0046/task)");
    let story = Story::pipeline();
    let fold = story.fold();
    assert_eq!(cost_line(&fold.summary(fold.last_time())), "Total cost: $0.00 (0 tasks)");
}

#[test]
fn a_block_says_what_came_of_a_run() {
    insta::assert_snapshot!("diamond", block(&testing::diamond(), Style::Plain));
    insta::assert_snapshot!("retried", block(&testing::retried(), Style::Plain));
    insta::assert_snapshot!("failure", block(&testing::failure(), Style::Plain));
    insta::assert_snapshot!("budget_stop", block(&testing::budget_stop(), Style::Plain));
    insta::assert_snapshot!("resumed", block(&testing::resumed(), Style::Plain));
    insta::assert_snapshot!("two_agents", block(&testing::two_agents(), Style::Plain));
    insta::assert_snapshot!("killed", block(&testing::killed(), Style::Plain));
    insta::assert_snapshot!("never_began", block(&Story::pipeline(), Style::Plain));
}

#[test]
fn colour_adds_nothing_but_escape_sequences() {
    for story in testing::all() {
        let coloured = block(&story, Style::Ansi);
        assert!(coloured.contains("\x1b[1m"));
        let mut plain = coloured;
        for code in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, block(&story, Style::Plain));
    }
}

#[test]
fn hostile_names_and_messages_reach_no_terminal() {
    let hostile = "evil\x1b]0;title\x07\r\n\u{202e}name";
    let story = Story::new(hostile, &[(hostile, hostile, &[])])
        .at(0.0, Event::RunStarted)
        .at(0.0, testing::started(0, 1))
        .at(1.0, testing::failed(0, 1, Failure::new(Class::Transient, hostile), Then::Fail));
    let waiting = [Waiting { reason: hostile.into(), until: None, tasks: 1 }];
    let fold = story.fold();
    for text in [block(&story, Style::Plain), progress(&fold, fold.last_time(), &waiting)] {
        assert_eq!(sanitize(&text), text);
        assert!(text.lines().all(|line| !line.starts_with("name")), "{text}");
    }
}

#[test]
fn only_the_first_failures_are_named() {
    let names: Vec<String> = (0..15).map(|n| format!("t{n}")).collect();
    let tasks: Vec<(&str, &str, &[u32])> =
        names.iter().map(|name| (&**name, "general", [].as_slice())).collect();
    let mut story = Story::new("many", &tasks);
    for task in 0..15 {
        story = story.at(1.0, testing::failed(task, 1, testing::invalid(), Then::Fail));
    }
    let text = block(&story, Style::Plain);
    assert_eq!(text.matches("failed: invalid").count(), 10);
    assert!(text.ends_with("  and 5 more\n"), "{text}");
}

#[test]
fn the_live_line_says_how_far_it_is_what_is_held_and_why_it_waits() {
    let mut story = testing::resumed();
    let check = |story: &Story, waiting: &[Waiting], expected: &str| {
        let fold = story.fold();
        assert_eq!(progress(&fold, fold.last_time() + Duration::from_millis(500), waiting), expected);
    };
    check(&story, &[], "5/5 done · $0.023 spent + $0.12 at risk of $10.00 · 14.0 s");
    story.records.truncate(7);
    let waiting = Waiting {
        reason: "requests/min of anthropic/claude-sonnet-4-5".into(),
        until: Some(story.fold().last_time() + Duration::from_millis(1700)),
        tasks: 2,
    };
    check(
        &story,
        &[waiting],
        "2/5 done · requests/min of anthropic/claude-sonnet-4-5: next start in 1.2 s (2 tasks waiting) · 2 running · \
         $0.0092 spent + $0.12 reserved of $10.00 · 7.5 s",
    );
    let mut story = testing::interrupted();
    story.records.truncate(7);
    check(
        &story,
        &[],
        "2/5 done · stopping: calls in flight finish · 1 running · 1 queued · $0.0092 spent + $0.06 reserved of \
         $10.00 · 7.0 s",
    );
    check(
        &testing::two_agents(),
        &[],
        "2/2 done · 1 failed · $0.0066 spent ($0.002 estimated) + $0.07 at risk of $10.00 · 11.0 s",
    );
    let mut story = testing::controlled();
    story.records.truncate(7);
    let waiting = Waiting { reason: PAUSED.into(), until: None, tasks: 1 };
    check(
        &story,
        &[waiting],
        "2/5 done · 1 task paused by the user · 1 running · 1 queued · $0.0092 spent + $0.06 reserved of $10.00 · \
         7.0 s",
    );
}

#[test]
fn a_call_that_cost_more_than_was_reserved_is_explained() {
    let mut story = testing::retried();
    for record in &mut story.records {
        if let Event::AttemptSucceeded { spent, .. } = &mut record.event {
            spent.charge.actual = testing::usd("0.08");
            spent.usage.as_mut().unwrap().tier = sortie_core::usage::Tier::Priority;
        }
    }
    let text = block(&story, Style::Plain);
    let why = "overrun: task analyze: $0.02 beyond the $0.06 that were reserved, by claude-sonnet-4-5-20250929 in \
               the tier priority";
    assert!(text.contains(why), "{text}");
    let mut long = testing::retried();
    for record in &mut long.records {
        if let Event::AttemptSucceeded { spent, .. } = &mut record.event {
            let usage = spent.usage.as_mut().unwrap();
            spent.charge.actual = testing::usd("0.08");
            usage.output = 123_456;
        }
    }
    let long = block(&long, Style::Plain);
    let why = "by claude-sonnet-4-5-20250929 with 123,456 output tokens where max_tokens is ";
    assert!(long.contains(why) && !long.contains("tier standard"), "{long}");
    let line = crate::calls::line(&story.run(), &story.records[4]).unwrap();
    assert!(line.contains(" tier=priority cost_usd=0.08 "), "{line}");
    let fold = story.fold();
    let summary = fold.summary(fold.last_time());
    assert_eq!(summary.cost.overruns[0].over, testing::usd("0.02"));
}

#[test]
fn what_a_run_came_to_is_said_before_it_goes_on() {
    let check = |story: &Story, expected: &str| assert_eq!(so_far(&story.fold()), expected);
    check(&testing::interrupted(), "so far $0.0138");
    check(&testing::two_agents(), "so far $0.0066 ($0.002 of it estimated, $0.07 at risk besides)");
    check(&testing::killed(), "so far $0.0092; 2 calls in flight when last heard of: $0.12 more at risk");
}

#[test]
fn an_agent_s_budget_and_an_unknown_price_are_said() {
    let text = block(&testing::agent_budget_stop(), Style::Plain);
    assert!(text.contains("Budget exceeded: $0.07 > $0.05 (the budget of agent claude)"), "{text}");
    assert!(text.contains("27.6 % of the budget of $0.05 of agent claude"), "{text}");
    let unpriced = testing::unpriced(testing::diamond());
    let text = block(&unpriced, Style::Plain);
    assert!(text.contains("Total cost: unknown (5 tasks, no price for claude)"), "{text}");
    let fold = unpriced.fold();
    assert!(progress(&fold, fold.last_time(), &[]).contains("no price"));
}
