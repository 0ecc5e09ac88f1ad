//! Whom a budget makes wait, and what it stops.

use super::named::{Table, dollars, over};
use crate::agent::{Agent, AgentId};
use crate::limit::{GateId, GateSpec};
use crate::plan::Task;
use crate::price::Pricing;
use crate::run::event::Event;
use crate::run::input::Settings;
use crate::testing::{agent, settings, task};

/// A task of the second agent.
fn of_other(name: &str, max_tokens: u32) -> Task {
    Task { agent: AgentId(1), ..task(name, &[], max_tokens) }
}

/// The usual agent, and another behind a gate of its own.
fn two(other: Agent) -> Vec<Agent> {
    vec![agent(), Agent { name: "other".into(), gate: GateId(1), ..other }]
}

/// Both gates open, with a budget.
fn budget(n: u64) -> Settings {
    let gate = GateSpec { requests_burst: 1, ..GateSpec::default() };
    Settings { budget: Some(dollars(n)), gates: vec![gate; 2], ..settings() }
}

/// The same, but that the first agent may start one call a minute.
fn one_a_minute(n: u64) -> Settings {
    let mut settings = budget(n);
    settings.gates[0].requests_per_minute = Some(1);
    settings
}

#[test]
fn what_costs_nothing_waits_for_no_budget() {
    let free = two(Agent { pricing: Pricing::Free, ..agent() });
    let tasks = vec![task("a", &[], 10), task("b", &[], 9), of_other("c", 8)];
    let table = Table::of(free, budget(15), tasks);
    assert_eq!(table.started(), ["a", "c"]);
    let waiting: Vec<_> =
        table.last.waiting.iter().map(|waiting| (&*waiting.reason, waiting.tasks)).collect();
    assert_eq!(waiting, [("the budget", 1)]);
}

#[test]
fn a_task_that_waits_for_its_rate_holds_nobody_s_money() {
    let tasks = vec![task("a", &[], 10), task("b", &[], 9), of_other("c", 8)];
    // The second would not fit beside the first, and may not start for a minute: the third goes.
    let table = Table::of(two(agent()), one_a_minute(18), tasks);
    assert_eq!(table.started(), ["a", "c"]);
}

#[test]
fn a_task_that_its_agent_s_budget_never_allows_makes_nobody_wait() {
    let other = Agent { max_cost: Some(dollars(5)), ..agent() };
    let tasks = vec![task("a", &[], 10), of_other("b", 9), task("c", &[], 5)];
    let table = Table::of(two(other), budget(15), tasks);
    assert_eq!(table.started(), ["a", "c"]);
}

#[test]
fn a_budget_stops_the_run_for_nobody_who_could_not_start() {
    let tasks = vec![task("a", &[], 10), task("b", &[], 10), of_other("c", 4), of_other("d", 4)];
    let mut table = Table::of(two(agent()), one_a_minute(15), tasks);
    assert_eq!(table.started(), ["a", "c"]);
    // The second never fits any more, but its gate is closed for a minute.
    table.at(1.0).succeed(0, 6);
    assert_eq!(table.started(), ["d"]);
    table.at(2.0).succeed(2, 1);
    assert_eq!(table.finished(), None);
    table.at(3.0).succeed(3, 1);
    assert_eq!(table.finished(), Some(&over(18, 15)), "nothing else is to be waited for");
}

#[test]
fn the_max_tokens_that_would_fit_do_fit_when_all_has_settled() {
    let tasks = vec![task("a", &[], 10), task("b", &[], 9), task("c", &[], 8)];
    let mut table = Table::new(Settings { max_concurrent: 2, ..budget(20) }, tasks);
    assert_eq!(table.started(), ["a", "b"]);
    table.succeed(0, 10);
    // Ten are spent, nine may be: one is left.
    table.succeed(1, 9);
    let fits = table.journal.iter().find_map(|record| match record.event {
        Event::BudgetReached { fitting_max_tokens, .. } => Some(fitting_max_tokens),
        _ => None,
    });
    assert_eq!(fits, Some(Some(1)));
    assert_eq!(table.finished(), Some(&over(27, 20)));
}
