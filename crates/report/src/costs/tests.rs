use std::time::Duration;

use super::*;
use crate::testing::{self, Story, usd};

fn costs(by: Grouping, stories: &[Story], span: Span) -> Costs {
    let mut costs = Costs::new(by);
    for story in stories {
        costs.add_run(&story.run(), &story.records, span);
    }
    costs
}

#[test]
fn every_grouping_adds_up_to_what_the_runs_cost() {
    let stories = testing::all();
    let mut charge = Charge::default();
    for story in &stories {
        charge.add(&story.fold().charge());
    }
    for by in Grouping::ALL {
        let costs = costs(by, &stories, Span::default());
        let sum = |of: fn(&Group) -> Usd| costs.groups().iter().map(|(_, group)| of(group)).sum::<Usd>();
        let found = (sum(|group| group.actual), sum(|group| group.estimated), sum(|group| group.at_risk));
        assert_eq!(found, (charge.actual, charge.estimated, charge.at_risk), "{by:?}");
        assert_eq!(costs.total().total(), charge.total(), "{by:?}");
        let calls: u64 = costs.groups().iter().map(|(_, group)| group.calls).sum();
        assert_eq!(calls, costs.total().calls, "{by:?}");
        // Every task that was called belongs to one agent, type and run; its calls may be of two days.
        let tasks: u64 = costs.groups().iter().map(|(_, group)| group.tasks).sum();
        let ran = |story: &Story| story.fold().tasks().iter().filter(|task| task.ran).count() as u64;
        let expected: u64 = stories.iter().map(ran).sum();
        assert_eq!(costs.total().tasks, expected, "{by:?}");
        if !matches!(by, Grouping::Model | Grouping::Day) {
            assert_eq!(tasks, expected, "{by:?}");
        }
    }
}

#[test]
fn a_call_counts_where_it_was_charged() {
    let stories = [testing::two_agents()];
    let midnight = stories[0].run().created + Duration::from_secs(52_200);
    let check = |span: Span, expected: &[(&str, &str)]| {
        let costs = costs(Grouping::Day, &stories, span);
        let found: Vec<(&str, Usd)> =
            costs.groups().iter().map(|(name, group)| (*name, group.total())).collect();
        let expected: Vec<(&str, Usd)> = expected.iter().map(|(name, amount)| (*name, usd(amount))).collect();
        assert_eq!(found, expected, "{span:?}");
    };
    let (first, second) = (("2025-11-14", "0.072"), ("2025-11-15", "0.0046"));
    check(Span::default(), &[first, second]);
    check(Span { since: Some(midnight), until: None }, &[second]);
    check(Span { since: None, until: Some(midnight) }, &[first]);
    check(Span { since: Some(midnight), until: Some(midnight) }, &[]);
}

#[test]
fn a_reply_that_was_refused_is_booked_on_the_model_that_it_names() {
    let mut story = testing::two_agents();
    for record in &mut story.records {
        if let Event::AttemptFailed { failure, .. } = &mut record.event {
            failure.model = Some("gpt-6-luna".to_owned());
        }
    }
    let costs = costs(Grouping::Model, &[story], Span::default());
    let groups = costs.by_group();
    assert_eq!(groups["gpt-6-luna"].estimated, usd("0.002"), "{:?}", groups.keys());
    assert!(!groups.contains_key("gpt-6.1-sol"), "{:?}", groups.keys());
}

#[test]
fn a_task_whose_calls_go_back_to_a_group_counts_in_it_once() {
    let mut story = Story::new("back", &[("analyze", "analysis", &[])]).at(0.0, Event::RunStarted);
    for number in 1..=3 {
        story = story.at(0.0, testing::started(0, number));
        story = match number {
            2 => {
                let mut failure = testing::throttled();
                failure.model = Some("claude-haiku-4-5".to_owned());
                let again = sortie_core::run::event::Then::RetryAt(story.run().created);
                story.at(0.0, testing::failed(0, 2, failure, again))
            }
            number => story.at(0.0, testing::lost(0, number)),
        };
    }
    let groups = costs(Grouping::Model, &[story], Span::default()).by_group();
    let counts: Vec<(u64, u64)> = groups.values().map(|group| (group.tasks, group.calls)).collect();
    assert_eq!(counts, [(1, 1), (1, 2)], "{:?}", groups.keys());
}

#[test]
fn calls_in_flight_of_a_run_that_nobody_drives_are_at_risk() {
    let story = testing::killed();
    let mut costs = costs(Grouping::Agent, &[], Span::default());
    costs.add_run(&story.run(), &story.records, Span::default());
    assert_eq!((costs.total().calls, costs.total().at_risk), (2, Usd::ZERO));
    costs.add_in_flight(&story.run(), &story.records, Span::default());
    assert_eq!((costs.total().calls, costs.total().at_risk), (4, usd("0.12")));
    // All that were in flight came to an end.
    let resumed = testing::resumed();
    costs.add_run(&resumed.run(), &resumed.records, Span::default());
    let before = *costs.total();
    costs.add_in_flight(&resumed.run(), &resumed.records, Span::default());
    assert_eq!(*costs.total(), before);
}

#[test]
fn a_call_that_was_found_again_counts_once_and_for_what_it_came_to() {
    let story = testing::recovered();
    let run = story.run();
    for by in Grouping::ALL {
        let whole = costs(by, std::slice::from_ref(&story), Span::default());
        let total = whole.total();
        assert_eq!((total.calls, total.at_risk, total.actual), (6, usd("0.06"), usd("0.023")), "{by:?}");
        // Record by record, as a run's report is folded: what is lost is not known to be found.
        let mut folded = Costs::new(by);
        folded.begin_run(story.plan.len());
        story
            .records
            .iter()
            .filter_map(|record| Settled::of(&run, record))
            .for_each(|call| folded.add(&call));
        assert_eq!((folded.by_group(), folded.total()), (whole.by_group(), whole.total()), "{by:?}");
    }
    let fold = story.fold();
    assert_eq!((fold.counts().lost, fold.counts().recovered, fold.counts().calls), (1, 1, 6));
}

#[test]
fn a_price_that_nobody_knows_is_no_amount() {
    let stories = [testing::unpriced(testing::diamond())];
    let text = costs(Grouping::Agent, &stories, Span::default()).text();
    assert!(!text.contains('$') && text.contains("no price"), "{text}");
    assert!(text.ends_with("5 calls have no price: they are in no amount\n"), "{text}");
    let both = [testing::unpriced(testing::diamond()), testing::diamond()];
    let text = costs(Grouping::Agent, &both, Span::default()).text();
    assert!(text.contains("≥ $0.023"), "{text}");
}

#[test]
fn tables_read_well() {
    let stories = [testing::two_agents(), testing::diamond()];
    for by in Grouping::ALL {
        let name = format!("costs_by_{}", by.name());
        insta::assert_snapshot!(name, costs(by, &stories, Span::default()).text());
    }
    assert_eq!(Costs::new(Grouping::Model).text(), "no calls\n");
}

#[test]
fn hostile_names_stay_in_their_line() {
    let hostile = "a\n\u{1b}[2Jb";
    let story = Story::new("x", &[("t", hostile, &[])])
        .at(0.0, testing::started(0, 1))
        .at(1.0, testing::succeeded(0, 1, 1.0));
    let text = costs(Grouping::Type, &[story], Span::default()).text();
    assert!(text.lines().count() == 3 && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn programs_read_exact_amounts_and_shares() {
    let costs = costs(Grouping::Agent, &[testing::two_agents()], Span::default());
    let document = serde_json::to_value(costs.document(Span::default(), &["bad".to_owned()])).unwrap();
    assert_eq!(document["rows"][1]["name"], "gpt");
    assert_eq!(document["rows"][1]["total"], 0.012);
    assert_eq!(document["total"]["total"], 0.0766);
    let shares: f64 = (0..2).map(|n| document["rows"][n]["share"].as_f64().unwrap()).sum();
    assert!((shares - 100.0).abs() < 1e-9, "{document}");
    assert_eq!(document["unreadable_runs"], serde_json::json!(["bad"]));
}
