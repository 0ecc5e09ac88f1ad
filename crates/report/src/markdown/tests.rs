use std::time::Duration;

use sortie_core::failure::{Class, Failure};
use sortie_core::run::event::{Event, Then};

use super::*;
use crate::testing::{self, Story};

fn rendered(story: &Story) -> String {
    let fold = story.fold();
    String::from_utf8(Markdown.render(&fold.report(fold.last_time()))).unwrap()
}

#[test]
fn a_report_reads_well_whatever_came_of_the_run() {
    for (name, story) in [
        ("diamond", testing::diamond()),
        ("retried", testing::retried()),
        ("failure", testing::failure()),
        ("budget_stop", testing::budget_stop()),
        ("resumed", testing::resumed()),
        ("killed", testing::killed()),
        ("two_agents", testing::two_agents()),
        ("rerouted", testing::rerouted()),
        ("never_began", Story::pipeline()),
    ] {
        insta::assert_snapshot!(name, rendered(&story));
    }
}

#[test]
fn a_simulated_run_says_so() {
    let mut story = testing::diamond();
    story.settings.simulated = true;
    assert!(rendered(&story).contains("against the built-in simulator"));
}

#[test]
fn a_run_of_before_the_price_table_was_kept_says_that_nobody_knows_it() {
    let mut story = testing::diamond();
    story.settings.price_table = None;
    assert!(rendered(&story).contains("| Prices | table not recorded |"));
}

#[test]
fn what_binds_is_what_the_advice_is_about() {
    let check = |set: fn(&mut Story), advice: &str| {
        let tasks: Vec<String> = (0..4).map(|n| format!("t{n}")).collect();
        let tasks: Vec<(&str, &str, &[u32])> =
            tasks.iter().map(|t| (&**t, "general", [].as_slice())).collect();
        // Four calls of 5 s, two at a time.
        let mut story = Story::new("flat", &tasks).at(0.0, Event::RunStarted);
        for (task, start) in [(0, 0.0), (1, 0.0), (2, 5.0), (3, 5.0)] {
            story = story.at(start, testing::started(task, 1));
        }
        for (task, end) in [(0, 5.0), (1, 5.0), (2, 10.0), (3, 10.0)] {
            story = story.at(end, testing::succeeded(task, 1, 5.0));
        }
        set(&mut story);
        let text = rendered(&story);
        assert!(text.contains(advice), "{advice}\n{text}");
    };
    check(
        |story| story.settings.max_concurrent = 2,
        "A higher `max_concurrent` would make such a run faster",
    );
    check(
        |story| {
            story.settings.gates[0].requests_per_minute = Some(36);
            story.settings.gates[0].requests_burst = 1;
        },
        "A higher `requests_per_minute` would",
    );
    check(
        |story| story.settings.gates[0].output_tokens_per_minute = Some(690),
        "A higher `output_tokens_per_minute`",
    );
    check(|_| {}, "The run took 5.0 s longer than its calls had to");
}

#[test]
fn hostile_text_does_nothing() {
    let hostile = "a|b\n# <img src=x onerror=alert(1)> ![p](http://evil/) `x`";
    let story = Story::new(hostile, &[(hostile, hostile, &[])])
        .at(0.0, Event::RunStarted)
        .at(0.0, testing::started(0, 1))
        .at(1.0, testing::failed(0, 1, Failure::new(Class::Transient, hostile), Then::Fail));
    let text = rendered(&story);
    assert!(
        !text.contains("<img") && !text.replace("\\]", "").contains("](") && !text.contains("\n# <"),
        "{text}"
    );
    let cells = |line: &str| line.replace("\\|", "").matches('|').count();
    let table = text.lines().skip_while(|line| !line.starts_with("| task | type"));
    assert!(table.take(3).all(|line| cells(line) == 11), "{text}");
}

#[test]
fn of_very_many_tasks_the_slowest_and_the_first_failures_are_shown() {
    let names: Vec<String> = (0..1000).map(|n| format!("t{n}")).collect();
    let tasks: Vec<(&str, &str, &[u32])> =
        names.iter().map(|name| (&**name, "general", [].as_slice())).collect();
    let mut story = Story::new("many", &tasks).at(0.0, Event::RunStarted);
    for task in 0..1000 {
        let event = match task {
            0..500 => testing::failed(task, 1, testing::invalid(), Then::Fail),
            _ => testing::succeeded(task, 1, f64::from(task)),
        };
        story = story.at(1.0, event);
    }
    let text = rendered(&story);
    assert!(text.contains("The first 200 of 500 (500 invalid)") && text.contains("The 200 slowest of 1000"));
    let rows =
        |with: &str| text.lines().filter(|line| line.starts_with("| t") && line.contains(with)).count();
    assert_eq!((rows("| failed | 0 | invalid"), rows("| general |")), (200, 200));
    assert!(text.contains("| t999 |") && !text.contains("| t799 |"), "{}", text.len());
    assert!(text.len() < 50_000, "{}", text.len());
}

#[test]
fn a_cost_outlier_is_named() {
    let mut story = testing::diamond();
    for record in &mut story.records {
        if let Event::AttemptSucceeded { attempt, spent, timing, .. } = &mut record.event
            && attempt.task.0 == 2
        {
            spent.charge.actual = testing::usd("0.5");
            timing.total = Duration::from_secs(4);
        }
    }
    assert!(rendered(&story).contains("Task impl_a cost $0.50, 4.8 times the average of a task."));
}
