use sortie_core::agent::AgentId;

use super::*;
use crate::testing::{self, Story};

fn check(story: &Story, seq: usize, level: Level, expected: &str) {
    let found = line(&Fold::of(story.run(), &story.records[..seq]), &story.records[seq - 1]);
    assert_eq!(found, (level, expected.to_owned()), "record {seq}");
}

#[test]
fn every_retry_is_announced() {
    check(
        &testing::retried(),
        3,
        Level::Warning,
        "task analyze: attempt 1 throttled (HTTP 429), retrying in 1.0 s: number of requests has exceeded \
         your rate limit",
    );
}

#[test]
fn no_retry_is_announced_that_will_not_come() {
    let mut story = testing::retried();
    story.records.truncate(2);
    let at = story.records[1].at;
    let signal = Signal::Interrupt;
    story.records.push(Record { seq: 3, at, event: Event::CancelRequested { signal } });
    let failed = testing::retried().records.remove(2);
    story.records.push(Record { seq: 4, ..failed });
    let fold = Fold::of(story.run(), &story.records);
    let (_, said) = line(&fold, &story.records[3]);
    assert!(said.contains("attempt 1 throttled (HTTP 429), a resume tries it again: "), "{said}");
}

#[test]
fn what_happens_is_said_with_its_figures() {
    let story = testing::retried();
    check(&story, 1, Level::Info, "run 20251114-093000-7f3a started: 1 task");
    check(&story, 2, Level::Debug, "task analyze: attempt 1 started, $0.06 reserved");
    check(&story, 5, Level::Info, "task analyze succeeded in 2.0 s for $0.0046");
    check(&story, 6, Level::Info, "run completed");
    let resumed = testing::resumed();
    check(&resumed, 8, Level::Info, "run 20251114-093000-7f3a resumed");
    check(&resumed, 9, Level::Warning, "task impl_b: attempt 1 was lost, $0.06 at risk");
    check(&testing::failure(), 9, Level::Warning, "task test skipped: it depends on impl_b, which failed");
    let stopped = testing::budget_stop();
    let reached = "Budget exceeded: $0.13 > $0.05: calls in flight finish, nothing new starts";
    check(&stopped, 7, Level::Warning, reached);
    check(&stopped, 9, Level::Error, "Budget exceeded: $0.07 > $0.05");
    let interrupted = testing::interrupted();
    check(
        &interrupted,
        7,
        Level::Warning,
        "SIGINT received: calls in flight have 30.0 s to finish, nothing new starts",
    );
}

#[test]
fn a_task_that_goes_to_a_fallback_is_announced_with_the_reason() {
    check(&testing::rerouted(), 4, Level::Info, "task analyze goes to gpt: claude is stopped");
    let why = |because| {
        let mut story = testing::rerouted();
        if let Event::AttemptStarted { because: of, .. } = &mut story.records[3].event {
            *of = Some(because);
        }
        line(&Fold::of(story.run(), &story.records[..4]), &story.records[3]).1
    };
    assert_eq!(why(Unserved::Failing), "task analyze goes to gpt: claude is failing");
    let until = testing::rerouted().records[5].at;
    let throttled = "task analyze goes to gpt: claude is throttled for 2.0 s more";
    assert_eq!(why(Unserved::ThrottledUntil(until)), throttled);
}

#[test]
fn eighty_percent_are_said_with_the_share_used() {
    let spent = testing::usd("8.05");
    let warned =
        |mark| Event::BudgetWarned { mark, spent, charge: Charge::default(), budget: None, agent: None };
    let story =
        Story::pipeline().at(0.0, warned(BudgetMark::EightyPercent)).at(0.0, warned(BudgetMark::Alert));
    let expected = "spending passed 80 % of the budget: $8.05 spent, 80.5 % of the budget of $10.00";
    check(&story, 1, Level::Warning, expected);
    let expected = "spending passed the alert threshold: $8.05 spent, 80.5 % of the budget of $10.00";
    check(&story, 2, Level::Warning, expected);
    let budget = Some(testing::usd("9"));
    let (mark, charge, agent) = (BudgetMark::EightyPercent, Charge::default(), Some(AgentId(0)));
    let story = Story::pipeline().at(0.0, Event::BudgetWarned { mark, spent, charge, budget, agent });
    let expected = "spending passed 80 % of the budget: $8.05 spent, 89.4 % of the budget of $9.00 (the budget of agent claude)";
    check(&story, 1, Level::Warning, expected);
}

#[test]
fn what_is_at_risk_is_not_called_spent() {
    let risky = |actual: &str, at_risk: &str, mark| {
        let charge =
            Charge { actual: testing::usd(actual), at_risk: testing::usd(at_risk), ..Charge::default() };
        Event::BudgetWarned {
            mark,
            spent: charge.total(),
            charge,
            budget: Some(testing::usd("0.02")),
            agent: None,
        }
    };
    let story = Story::pipeline()
        .at(0.0, risky("0", "0.017", BudgetMark::EightyPercent))
        .at(0.0, risky("0.01", "0.007", BudgetMark::Alert))
        .at(0.0, risky("0.02", "0.01", BudgetMark::Exceeded));
    let expected = "spending passed 80 % of the budget: $0.017 at risk, 85 % of the budget of $0.02";
    check(&story, 1, Level::Warning, expected);
    let expected =
        "spending passed the alert threshold: $0.01 spent and $0.007 at risk, 85 % of the budget of $0.02";
    check(&story, 2, Level::Warning, expected);
    check(&story, 3, Level::Warning, "Budget exceeded: $0.03 > $0.02: $0.02 spent and $0.01 at risk");
}

#[test]
fn estimates_an_agent_s_budget_and_unknown_prices_are_said() {
    check(
        &testing::two_agents(),
        4,
        Level::Error,
        "task draft: attempt 1 met a fault of the provider for $0.002 ($0.002 of it estimated, $0.01 at risk \
         besides), the task has failed: the stream broke off",
    );
    let stopped = "Budget exceeded: $0.07 > $0.05 (the budget of agent claude)";
    check(&testing::agent_budget_stop(), 9, Level::Error, stopped);
    let unpriced = testing::unpriced(testing::retried());
    check(&unpriced, 5, Level::Info, "task analyze succeeded in 2.0 s at an unknown price");
}

#[test]
fn a_message_from_outside_stays_on_its_line() {
    let failure = Failure::new(Class::Transient, "down\n2025-11-14 sortie INFO all is well\x1b[2K");
    let story = Story::pipeline().at(0.0, testing::failed(0, 1, failure, Then::Fail));
    let (level, message) = line(&Fold::of(story.run(), &story.records), &story.records[0]);
    assert_eq!(message.lines().count(), 1);
    let line = written(story.records[0].at, "sortie", level, &message);
    assert_eq!(
        line,
        "2025-11-14T09:30:00.000000Z sortie ERROR task analyze: attempt 1 met a fault of the provider, the task \
         has failed: down\\n2025-11-14 sortie INFO all is well\\u{1b}[2K"
    );
}
