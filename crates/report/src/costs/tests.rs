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
