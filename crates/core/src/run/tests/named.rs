//! Schedules small enough to be told in a sentence.

use std::sync::Arc;
use std::time::Duration;

use crate::agent::{Agent, AgentId};
use crate::failure::{Class, Failure};
use crate::hash::Hash;
use crate::limit::Gates;
use crate::money::Usd;
use crate::plan::{Plan, Task, TaskId};
use crate::price::Pricing;
use crate::run::Run;
use crate::run::event::{Answer, AttemptId, BudgetMark, Event, Finish, Outcome, Record, Signal, Timing};
use crate::run::input::{Action, Billing, Budgets, Input, Mode, Reply, Resume, Settings, Step};
use crate::testing::{agent, settings, task};
use crate::time::Time;
use crate::usage::Usage;

/// A run whose clock and replies the test owns.
pub(super) struct Table {
    pub(super) run: Run,
    pub(super) gates: Gates,
    pub(super) now: Time,
    pub(super) last: Step,
    pub(super) journal: Vec<Record>,
}

impl Table {
    pub(super) fn new(settings: Settings, tasks: Vec<Task>) -> Self {
        Table::of(vec![agent()], settings, tasks)
    }

    pub(super) fn of(agents: Vec<Agent>, settings: Settings, tasks: Vec<Task>) -> Self {
        let plan = Plan::new("table".into(), agents, tasks);
        let gates = Gates::new(&settings);
        let run = Run::new(Arc::new(plan), Arc::new(settings));
        let mut table = Table {
            run,
            gates,
            now: Time::from_micros(1_000_000),
            last: Step::default(),
            journal: Vec::new(),
        };
        table.tell(Input::Started);
        table
    }

    pub(super) fn tell(&mut self, input: Input) -> &Step {
        self.last = self.run.step(input, self.now, &mut self.gates);
        self.journal.extend_from_slice(&self.last.records);
        &self.last
    }

    pub(super) fn at(&mut self, seconds: f64) -> &mut Self {
        self.now = Time::from_micros(1_000_000) + Duration::from_secs_f64(seconds);
        self
    }

    /// The names of the tasks that the last step started.
    pub(super) fn started(&self) -> Vec<&str> {
        let calls = self.last.actions.iter().filter_map(|action| match action {
            Action::Call(attempt) => Some(self.run.plan().task(attempt.task).name.as_str()),
            _ => None,
        });
        calls.collect()
    }

    pub(super) fn finished(&self) -> Option<&Outcome> {
        self.last.actions.iter().find_map(|action| match action {
            Action::Finish(outcome) => Some(outcome),
            _ => None,
        })
    }

    pub(super) fn reply(&mut self, task: u32, result: Result<u64, Failure>, billing: Billing) -> &Step {
        let attempt = AttemptId::new(TaskId(task), self.run.task(TaskId(task)).attempts);
        let result = result.map(|bytes| Answer {
            output: Hash::of(b"x"),
            bytes,
            finish: Finish::Stop,
            model: "m".into(),
            request: None,
        });
        self.tell(Input::Replied(Reply { attempt, result, billing, timing: Timing::default() }))
    }

    pub(super) fn succeed(&mut self, task: u32, output: u64) -> &Step {
        self.reply(task, Ok(5), Billing::Reported(Usage { output, ..Usage::default() }))
    }

    pub(super) fn fail(&mut self, task: u32, failure: Failure) -> &Step {
        self.reply(task, Err(failure), Billing::Nothing)
    }
}

pub(super) fn dollars(n: u64) -> Usd {
    Usd::from_f64(n as f64).unwrap()
}

/// How a run ends that its budget stopped.
pub(super) fn over(needed: u64, budget: u64) -> Outcome {
    Outcome::BudgetExceeded { needed: dollars(needed), budget: dollars(budget), agent: None }
}

pub(super) fn throttled(seconds: u64) -> Failure {
    Failure { retry_after: Some(Duration::from_secs(seconds)), ..Failure::new(Class::Throttled, "slow down") }
}

#[test]
fn the_longest_remaining_path_starts_first_then_the_longer_answer() {
    let tasks = vec![
        task("simple", &[], 200),
        task("complex", &[], 1000),
        task("medium", &[], 500),
        task("a", &[], 5),
        task("b", &[3], 1000),
    ];
    let table = Table::new(Settings { max_concurrent: 5, ..settings() }, tasks);
    assert_eq!(table.started(), ["a", "complex", "medium", "simple"]);
}

#[test]
fn of_eight_first_calls_with_room_for_one_exactly_one_is_sent() {
    let tasks = (0..8).map(|i| task(&format!("t{i}"), &[], 10)).collect();
    let mut table = Table::new(Settings { budget: Some(dollars(15)), ..settings() }, tasks);
    assert_eq!(table.started(), ["t0"]);
    assert_eq!(table.last.waiting[0].reason, "the budget");
    // It settled for less than it had reserved: the next one fits.
    table.succeed(0, 2);
    assert_eq!(table.started(), ["t1"]);
    // 2 + 9 spent, 10 to be reserved: never within 15.
    table.succeed(1, 9);
    assert_eq!(table.finished(), Some(&over(21, 15)));
}

#[test]
fn a_budget_stop_drains_what_is_in_flight_and_starts_nothing_new() {
    let tasks = (0..3).map(|i| task(&format!("t{i}"), &[], 10)).collect();
    let mut table = Table::new(Settings { budget: Some(dollars(20)), ..settings() }, tasks);
    assert_eq!(table.started(), ["t0", "t1"]);
    // More than reserved: the provider did not keep to max_tokens.
    table.succeed(0, 15);
    assert_eq!((table.started().len(), table.finished()), (0, None));
    table.succeed(1, 1);
    // What is spent by now, and what the next would reserve.
    assert_eq!(table.finished(), Some(&over(26, 20)));
    // More money, and the run goes on where it was.
    table.tell(Input::Resumed(Budgets::from(Some(dollars(26))).into()));
    assert_eq!(table.started(), ["t2"]);
}

#[test]
fn without_auto_stop_the_budget_only_warns_once_for_each_mark() {
    let tasks = (0..3).map(|i| task(&format!("t{i}"), &[], 10)).collect();
    let bounds = Settings {
        budget: Some(dollars(10)),
        alert_threshold: Some(dollars(5)),
        auto_stop: false,
        mode: Mode::Serial,
        ..settings()
    };
    let mut table = Table::new(bounds, tasks);
    let mut marks = Vec::new();
    for id in 0..3 {
        let step = table.succeed(id, 6);
        marks.push(
            step.records
                .iter()
                .filter_map(|record| match record.event {
                    Event::BudgetWarned { mark, .. } => Some(mark),
                    _ => None,
                })
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(
        marks,
        [vec![BudgetMark::Alert], vec![BudgetMark::EightyPercent, BudgetMark::Exceeded], vec![]]
    );
    assert_eq!(table.finished(), Some(&Outcome::Completed));
}

#[test]
fn an_agent_s_own_budget_is_warned_of_once_for_it() {
    let agent = Agent { max_cost: Some(dollars(15)), ..agent() };
    let tasks = (0..4).map(|i| task(&format!("t{i}"), &[], 5)).collect();
    let bounds = Settings { budget: Some(dollars(100)), mode: Mode::Serial, ..settings() };
    let mut table = Table::of(vec![agent], bounds, tasks);
    for id in 0..3 {
        table.succeed(id, 5);
    }
    let warned: Vec<_> = table
        .journal
        .iter()
        .filter_map(|record| match record.event {
            Event::BudgetWarned { mark, spent, budget, agent, .. } => Some((mark, spent, budget, agent)),
            _ => None,
        })
        .collect();
    let own = Some(AgentId(0));
    assert_eq!(warned, [(BudgetMark::EightyPercent, dollars(15), Some(dollars(15)), own)]);
    table.tell(Input::Resumed(Budgets { run: None, agents: [(AgentId(0), dollars(20))].into() }.into()));
    table.succeed(3, 5);
    let again = |record: &&Record| matches!(record.event, Event::BudgetWarned { .. });
    assert_eq!(table.journal.iter().filter(again).count(), 2, "of the new budget, too");
}

#[test]
fn a_resume_with_the_budget_that_only_warned_makes_it_stop() {
    let tasks = (0..3).map(|i| task(&format!("t{i}"), &[], 10)).collect();
    let warns = Settings { budget: Some(dollars(15)), auto_stop: false, mode: Mode::Serial, ..settings() };
    let mut table = Table::new(warns, tasks);
    table.tell(Input::Cancelled(Signal::Interrupt));
    table.succeed(0, 6);
    table.tell(Input::Resumed(Budgets::from(Some(dollars(15))).into()));
    assert_eq!(table.finished(), Some(&over(16, 15)));
}

#[test]
fn a_lost_answer_keeps_its_whole_reservation_charged() {
    let mut table =
        Table::new(Settings { budget: Some(dollars(25)), ..settings() }, vec![task("t", &[], 10)]);
    table.reply(0, Err(Failure::new(Class::Network, "reset")), Billing::Unknown);
    assert_eq!(table.run.charged().at_risk, dollars(10));
    table.at(5.0).tell(Input::Woke);
    table.succeed(0, 4);
    let charged = table.run.charged();
    assert_eq!((charged.actual, charged.at_risk), (dollars(4), dollars(10)));
}

#[test]
fn a_throttled_answer_closes_the_gate_for_everybody() {
    let tasks = (0..3).map(|i| task(&format!("t{i}"), &[], 10)).collect();
    let mut table = Table::new(Settings { max_concurrent: 2, ..settings() }, tasks);
    assert_eq!(table.started(), ["t0", "t1"]);
    table.fail(0, throttled(7));
    assert_eq!(table.started(), [""; 0]);
    let opens = table.last.wake_at.unwrap().since(table.now);
    assert!((7.0..=7.7).contains(&opens.as_secs_f64()), "{opens:?}");
    // A success does not open it.
    assert_eq!(table.at(3.0).succeed(1, 1).actions, []);
    // They come back one after the other: what was refused tells how fast they may.
    table.at(7.8).tell(Input::Woke);
    assert_eq!(table.started(), ["t0"]);
    let next = table.last.wake_at.unwrap();
    table.now = next;
    table.tell(Input::Woke);
    assert_eq!(table.started(), ["t2"]);
}

#[test]
fn retries_wait_one_two_and_four_seconds_and_then_the_task_has_failed() {
    let mut table =
        Table::new(settings(), vec![task("t", &[], 10), task("after", &[0], 10), task("other", &[], 10)]);
    for expected in [1.0, 2.0, 4.0] {
        table.fail(0, Failure::new(Class::Transient, "500"));
        let wake = table.last.wake_at.unwrap();
        let wait = wake.since(table.now).as_secs_f64();
        assert!((expected..=expected * 1.1).contains(&wait), "{wait} instead of {expected}");
        table.now = wake;
        table.tell(Input::Woke);
        assert_eq!(table.started(), ["t"]);
    }
    table.fail(0, Failure::new(Class::Transient, "500"));
    table.succeed(2, 1);
    assert_eq!(table.finished(), Some(&Outcome::Completed));
    let phases: Vec<_> = (0..3).map(|id| table.run.task(TaskId(id)).phase.clone()).collect();
    assert!(matches!(
        phases[..],
        [crate::run::Phase::Failed, crate::run::Phase::Skipped, crate::run::Phase::Succeeded { .. }]
    ));
}

#[test]
fn a_money_stop_sends_nothing_more_and_leaves_the_tasks_pending() {
    let mut table = Table::new(
        Settings { max_concurrent: 2, ..settings() },
        (0..9).map(|i| task(&format!("t{i}"), &[], 10)).collect(),
    );
    let gone = Failure::new(Class::QuotaGone, "no credit");
    table.fail(0, gone.clone());
    assert_eq!(table.started(), [""; 0]);
    table.succeed(1, 1);
    assert_eq!(table.finished(), Some(&Outcome::ProviderStopped { failure: gone }));
    assert_eq!(table.run.task(TaskId(0)).phase, crate::run::Phase::Ready);
    // Somebody paid the bill.
    table.tell(Input::Resumed(Resume::default()));
    assert_eq!(table.started().len(), 2);
}

#[test]
fn the_first_signal_drains_and_a_resume_goes_on() {
    let mut table = Table::new(
        Settings { max_concurrent: 1, ..settings() },
        vec![task("a", &[], 10), task("b", &[0], 10)],
    );
    table.tell(Input::Cancelled(Signal::Interrupt));
    assert_eq!(table.finished(), None);
    table.succeed(0, 1);
    assert_eq!(table.finished(), Some(&Outcome::Interrupted { signal: Signal::Interrupt }));
    table.tell(Input::Resumed(Resume::default()));
    assert_eq!(table.started(), ["b"]);
}

#[test]
fn what_is_in_flight_is_waited_for_until_the_grace_time_is_over() {
    let grace = Duration::from_secs(20);
    let two = vec![task("a", &[], 10), task("b", &[], 10)];
    let mut table = Table::new(Settings { grace, ..settings() }, two);
    table.at(5.0).tell(Input::Cancelled(Signal::Terminate));
    assert_eq!(table.last.wake_at.unwrap().since(table.now), grace);
    table.at(24.0).succeed(0, 1);
    assert_eq!(table.last.wake_at.unwrap().since(table.now), Duration::from_secs(1));
    table.at(25.0).tell(Input::Woke);
    let lost = AttemptId::new(TaskId(1), 1);
    let outcome = Outcome::Interrupted { signal: Signal::Terminate };
    assert_eq!(table.last.actions, [Action::Abandon(lost), Action::Finish(outcome)]);
    assert_eq!(table.run.charged().at_risk, dollars(10));
    table.tell(Input::Resumed(Resume::default()));
    assert_eq!(table.started(), ["b"]);
}

#[test]
fn the_run_timeout_gives_up_what_is_in_flight_as_lost() {
    let mut table = Table::new(settings(), vec![task("a", &[], 10)]);
    assert_eq!(table.last.wake_at.unwrap().since(table.now), Duration::from_secs(600));
    table.at(600.0).tell(Input::Woke);
    let attempt = AttemptId::new(TaskId(0), 1);
    let after = Duration::from_secs(600);
    assert_eq!(table.last.actions, [Action::Abandon(attempt), Action::Finish(Outcome::TimedOut { after })]);
    assert_eq!(table.run.charged().at_risk, dollars(10));
}

#[test]
fn a_run_timeout_that_nobody_stated_ends_no_run_that_has_answers() {
    let patient = Settings { max_concurrent: 1, timeout_restarts: true, ..settings() };
    let mut table = Table::new(patient, (0..3).map(|n| task(&format!("t{n}"), &[], 10)).collect());
    table.at(500.0).succeed(0, 1);
    table.at(1000.0).succeed(1, 1);
    assert_eq!(table.last.wake_at.unwrap().since(table.now), Duration::from_secs(600));
    table.at(1599.0).tell(Input::Woke);
    assert_eq!(table.finished(), None);
    table.at(1600.0).tell(Input::Woke);
    let after = Duration::from_secs(600);
    assert_eq!(table.finished(), Some(&Outcome::TimedOut { after }));
}

#[test]
fn an_invalid_task_fails_alone_before_anything_is_sent() {
    let invalid =
        Task { invalid: Some(Box::new(Failure::new(Class::Invalid, "empty prompt"))), ..task("bad", &[], 1) };
    let table = Table::new(settings(), vec![invalid, task("after", &[0], 1), task("good", &[], 1)]);
    assert_eq!(table.started(), ["good"]);
    assert_eq!(table.run.task(TaskId(0)).phase, crate::run::Phase::Failed);
    assert_eq!(table.run.task(TaskId(1)).phase, crate::run::Phase::Skipped);
}

#[test]
fn a_reply_dearer_than_its_reservation_is_charged_for_what_it_is() {
    let tasks = vec![task("a", &[], 10), task("b", &[0], 10)];
    let mut table = Table::new(Settings { budget: Some(dollars(15)), ..settings() }, tasks);
    assert_eq!(table.run.reserved(), dollars(10));
    table.succeed(0, 20);
    assert_eq!((table.run.charged().actual, table.run.charged().at_risk), (dollars(20), Usd::ZERO));
    let said = table.last.records.iter().find_map(|record| match &record.event {
        Event::BudgetWarned { mark: BudgetMark::Exceeded, spent, .. } => Some(*spent),
        _ => None,
    });
    assert_eq!(said, Some(dollars(20)), "the overrun is said: {:?}", table.last.records);
    assert!(table.started().is_empty(), "nothing new is bought");
    assert_eq!(table.finished(), Some(&over(30, 15)));
}

#[test]
fn an_unknown_price_fits_no_budget() {
    let mut table =
        Table::new(Settings { budget: Some(dollars(1000)), ..settings() }, vec![task("t", &[], 1)]);
    assert_eq!(table.started(), ["t"]);
    table.succeed(0, 1);
    let mut plan = (**table.run.plan()).clone();
    plan = Plan::new(
        "p".into(),
        vec![Agent { pricing: Pricing::Unknown, ..plan.agents()[0].clone() }],
        plan.tasks().to_vec(),
    );
    let mut run = Run::new(Arc::new(plan), table.run.settings().clone());
    let step = run.step(Input::Started, table.now, &mut table.gates);
    assert!(matches!(step.actions[..], [Action::Finish(Outcome::BudgetExceeded { .. })]));
}

#[test]
fn failed_tasks_that_are_tried_again_begin_anew_and_count_their_attempts_on() {
    let tasks = vec![task("a", &[], 10), task("b", &[0], 10), task("c", &[], 10)];
    let mut table = Table::new(settings(), tasks);
    table.succeed(2, 1);
    table.fail(0, Failure::new(Class::Invalid, "no"));
    assert_eq!(table.finished(), Some(&Outcome::Completed));
    table.tell(Input::Resumed(Resume { retry_failed: true, ..Resume::default() }));
    assert_eq!(table.started(), ["a"]);
    assert_eq!((table.run.task(TaskId(0)).attempts, table.run.task(TaskId(0)).failures), (2, 0));
    table.succeed(0, 1);
    assert_eq!(table.started(), ["b"]);
    table.succeed(1, 1);
    assert_eq!(table.finished(), Some(&Outcome::Completed));
}
