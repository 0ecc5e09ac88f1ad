//! Runs written by hand, for tests: a plan, and its records with their times.

mod recovered;

use std::sync::Arc;
use std::time::Duration;

use sortie_core::agent::{Agent, AgentId, Retry, Timeouts};
use sortie_core::failure::{Class, Failure};
use sortie_core::hash::Hash;
use sortie_core::limit::{GateId, GateSpec};
use sortie_core::money::Usd;
use sortie_core::plan::{Plan, PromptSize, Task, TaskId};
use sortie_core::price::Pricing;
use sortie_core::run::control::Control;
use sortie_core::run::event::{
    Answer, AttemptId, Event, Finish, Outcome, Record, Signal, Skipped, Spent, Then, Timing, Unserved,
};
use sortie_core::run::input::Settings;
use sortie_core::time::Time;
use sortie_core::usage::{Charge, Cost, Usage};

use crate::fold::{Fold, RunView};

pub(crate) use recovered::{recovered, resumed};

/// 2025-11-14 09:30:00 UTC: when all stories begin.
const BEGIN: Time = Time::from_micros(1_763_112_600_000_000);

/// A run, told record by record.
pub(crate) struct Story {
    pub(crate) plan: Plan,
    pub(crate) settings: Settings,
    pub(crate) records: Vec<Record>,
}

impl Story {
    /// A plan of tasks and what they depend on.
    pub(crate) fn new(name: &str, tasks: &[(&str, &str, &[u32])]) -> Self {
        let task = |&(name, task_type, depends_on): &(&str, &str, &[u32])| Task {
            name: name.into(),
            task_type: task_type.into(),
            agent: AgentId(0),
            depends_on: depends_on.iter().map(|&on| TaskId(on).into()).collect(),
            prompt: PromptSize::default(),
            max_tokens: 800,
            priority: 0,
            expected_output_tokens: None,
            expected: None,
            max_cost: None,
            timeout: Duration::from_secs(60),
            same_as: None,
            stops_run: false,
            invalid: None,
        };
        let plan = Plan::new(name.into(), vec![claude()], tasks.iter().map(task).collect());
        Story { plan, settings: settings(), records: Vec::new() }
    }

    /// SPEC.md S3: `analyze` → `design` → {`impl_a`, `impl_b`} → `test`.
    pub(crate) fn pipeline() -> Self {
        Story::new(
            "website",
            &[
                ("analyze", "analysis", &[]),
                ("design", "design", &[0]),
                ("impl_a", "coding", &[1]),
                ("impl_b", "coding", &[1]),
                ("test", "testing", &[2, 3]),
            ],
        )
    }

    pub(crate) fn fold(&self) -> Fold {
        Fold::of(self.run(), &self.records)
    }

    pub(crate) fn run(&self) -> RunView {
        RunView {
            run_id: "20251114-093000-7f3a".to_owned(),
            created: BEGIN,
            plan: Arc::new(self.plan.clone()),
            settings: Arc::new(self.settings.clone()),
        }
    }

    /// Says that something happened so many seconds after the beginning.
    pub(crate) fn at(mut self, seconds: f64, event: Event) -> Self {
        let seq = self.records.len() as u64 + 1;
        self.records.push(Record { seq, at: BEGIN + Duration::from_secs_f64(seconds), event });
        self
    }
}

fn claude() -> Agent {
    Agent {
        name: "claude".into(),
        provider: "anthropic".into(),
        model: "claude-sonnet-4-5".into(),
        gate: GateId(0),
        pricing: Pricing::Free,
        max_tokens: 4000,
        max_cost: None,
        system_bytes: 0,
        context: None,
        max_output: None,
        fallbacks: Vec::new(),
        fallback_after: None,
        retry: Retry::default(),
        timeouts: Timeouts::default(),
    }
}

fn settings() -> Settings {
    Settings {
        budget: Some(usd("10")),
        gates: vec![GateSpec { name: "anthropic/claude-sonnet-4-5".into(), ..GateSpec::default() }],
        price_table: Some("2026-11-25 (0123abcd)".into()),
        ..Settings::default()
    }
}

pub(crate) fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

const fn attempt(task: u32, number: u32) -> AttemptId {
    AttemptId::new(TaskId(task), number)
}

fn timing(latency: f64) -> Timing {
    Timing { first_token: Some(Duration::from_millis(400)), total: Duration::from_secs_f64(latency) }
}

pub(crate) fn started(task: u32, number: u32) -> Event {
    let reserved = Cost { usd: usd("0.06"), input_tokens: 100, output_tokens: 800 };
    Event::AttemptStarted { attempt: attempt(task, number), reserved, because: None }
}

/// An answer `answer TASK` of 100 tokens to 200, for $0.0046.
pub(crate) fn succeeded(task: u32, number: u32, latency: f64) -> Event {
    let text = format!("answer {task}");
    Event::AttemptSucceeded {
        attempt: attempt(task, number),
        answer: Answer {
            output: Hash::of(text.as_bytes()),
            bytes: text.len() as u64,
            finish: Finish::Stop,
            model: "claude-sonnet-4-5-20250929".into(),
            request: None,
        },
        spent: Spent {
            usage: Some(Usage { input: 80, cache_read: 20, output: 200, ..Usage::default() }),
            charge: Charge { actual: usd("0.0046"), ..Charge::default() },
        },
        timing: timing(latency),
    }
}

/// A failed attempt that cost nothing.
pub(crate) fn failed(task: u32, number: u32, failure: Failure, then: Then) -> Event {
    let timing = Timing { first_token: None, total: Duration::from_millis(300) };
    Event::AttemptFailed { attempt: attempt(task, number), failure, spent: Spent::default(), timing, then }
}

pub(crate) fn lost(task: u32, number: u32) -> Event {
    let charge = Charge { at_risk: usd("0.06"), ..Charge::default() };
    Event::AttemptLost { attempt: attempt(task, number), spent: Spent { usage: None, charge } }
}

pub(crate) fn skipped(task: u32, because: u32) -> Event {
    Event::TaskSkipped { task: TaskId(task), because: Skipped::Dependency(TaskId(because)) }
}

pub(crate) fn ended(outcome: Outcome) -> Event {
    Event::RunEnded { outcome }
}

pub(crate) fn throttled() -> Failure {
    Failure::new(Class::Throttled, "number of requests has exceeded your rate limit").with_status(429)
}

pub(crate) fn invalid() -> Failure {
    Failure::new(Class::Invalid, "prompt is too long: 205000 tokens > 200000 maximum").with_status(400)
}

/// The pipeline, all well: 13 s, with `impl_a` and `impl_b` side by side.
pub(crate) fn diamond() -> Story {
    pipeline_until_impls()
        .at(7.0, started(2, 1))
        .at(10.0, succeeded(3, 1, 4.0))
        .at(10.5, succeeded(2, 1, 3.5))
        .at(10.5, started(4, 1))
        .at(13.0, succeeded(4, 1, 2.5))
        .at(13.0, ended(Outcome::Completed))
}

/// `analyze` and `design` are done, `impl_b` runs since 6 s.
fn pipeline_until_impls() -> Story {
    Story::pipeline()
        .at(0.0, Event::RunStarted)
        .at(0.0, started(0, 1))
        .at(2.0, succeeded(0, 1, 2.0))
        .at(2.0, started(1, 1))
        .at(6.0, succeeded(1, 1, 4.0))
        .at(6.0, started(3, 1))
}

/// The same, with `analyze` throttled once.
pub(crate) fn retried() -> Story {
    Story::new("retry", &[("analyze", "analysis", &[])])
        .at(0.0, Event::RunStarted)
        .at(0.0, started(0, 1))
        .at(0.3, failed(0, 1, throttled(), Then::RetryAt(BEGIN + Duration::from_millis(1300))))
        .at(1.3, started(0, 2))
        .at(3.3, succeeded(0, 2, 2.0))
        .at(3.3, ended(Outcome::Completed))
}

/// `impl_b` fails for good, so `test` is skipped.
pub(crate) fn failure() -> Story {
    pipeline_until_impls()
        .at(6.0, started(2, 1))
        .at(6.3, failed(3, 1, invalid(), Then::Fail))
        .at(6.3, skipped(4, 3))
        .at(9.0, succeeded(2, 1, 3.0))
        .at(9.0, ended(Outcome::Completed))
}

/// The same, and a minute later its failed tasks are tried again and succeed.
pub(crate) fn reopened() -> Story {
    failure()
        .at(69.0, Event::RunResumed)
        .at(69.0, Event::Reopened { tasks: vec![TaskId(3), TaskId(4)] })
        .at(69.0, started(3, 2))
        .at(72.0, succeeded(3, 2, 3.0))
        .at(72.0, started(4, 1))
        .at(74.0, succeeded(4, 1, 2.0))
        .at(74.0, ended(Outcome::Completed))
}

/// The prompt of `impl_b` asks for a field that its result does not have; `impl_a` is answered.
pub(crate) fn unwritten() -> Story {
    let failure = Failure::new(Class::Template, "no `results.design.nope`: the result is not JSON");
    let unsent = Event::AttemptFailed {
        attempt: attempt(3, 1),
        failure,
        spent: Spent::default(),
        timing: Timing::default(),
        then: Then::Fail,
    };
    pipeline_until_impls()
        .at(6.0, started(2, 1))
        .at(6.0, unsent)
        .at(6.0, skipped(4, 3))
        .at(9.0, succeeded(2, 1, 3.0))
        .at(9.0, ended(Outcome::Completed))
}

/// The budget is too small for the rest.
pub(crate) fn budget_stop() -> Story {
    let mut story = pipeline_until_impls()
        .at(
            6.0,
            Event::BudgetReached {
                needed: usd("0.1292"),
                budget: usd("0.05"),
                agent: None,
                task: Some(TaskId(2)),
                fitting_max_tokens: None,
            },
        )
        .at(10.0, succeeded(3, 1, 4.0))
        .at(10.0, ended(Outcome::BudgetExceeded { needed: usd("0.0738"), budget: usd("0.05"), agent: None }));
    story.settings.budget = Some(usd("0.05"));
    story
}

/// The same, of the agent's own budget.
pub(crate) fn agent_budget_stop() -> Story {
    let mut story = budget_stop();
    let agent = Agent { max_cost: Some(usd("0.05")), ..claude() };
    story.plan = Plan::new(story.plan.name().into(), vec![agent], story.plan.tasks().to_vec());
    story.settings.budget = Some(usd("10"));
    for record in &mut story.records {
        match &mut record.event {
            Event::BudgetReached { agent, .. }
            | Event::RunEnded { outcome: Outcome::BudgetExceeded { agent, .. } } => {
                *agent = Some(AgentId(0));
            }
            _ => {}
        }
    }
    story
}

/// A story whose agents have no price, so that their calls are charged nothing.
pub(crate) fn unpriced(mut story: Story) -> Story {
    let agent = |agent: &Agent| Agent { pricing: Pricing::Unknown, ..agent.clone() };
    let agents = story.plan.agents().iter().map(agent).collect();
    story.plan = Plan::new(story.plan.name().into(), agents, story.plan.tasks().to_vec());
    for record in &mut story.records {
        match &mut record.event {
            Event::AttemptSucceeded { spent, .. }
            | Event::AttemptFailed { spent, .. }
            | Event::AttemptLost { spent, .. } => spent.charge = Charge::default(),
            _ => {}
        }
    }
    story
}

/// The same before anyone goes on: the journal ends with two calls in flight.
pub(crate) fn killed() -> Story {
    let mut story = resumed();
    story.records.truncate(7);
    story
}

/// Two agents, and midnight (UTC) after 52,200 s: a call of `claude` is lost on the first day, its
/// repetition is answered on the second by another model than asked; a call of `gpt` breaks off and
/// is estimated.
pub(crate) fn two_agents() -> Story {
    let mut story = Story::new("night", &[("analyze", "analysis", &[]), ("draft", "writing", &[])]);
    let mut tasks = story.plan.tasks().to_vec();
    tasks[1].agent = AgentId(1);
    let gpt =
        Agent { name: "gpt".into(), provider: "openai".into(), model: "gpt-6.1-sol".into(), ..claude() };
    story.plan = Plan::new("night".into(), vec![claude(), gpt], tasks);
    let other = |mut event: Event| {
        if let Event::AttemptSucceeded { answer, .. } = &mut event {
            answer.model = "claude-haiku-4-5-20251001".into();
        }
        event
    };
    let broken = |mut event: Event| {
        if let Event::AttemptFailed { spent, .. } = &mut event {
            let charge = Charge { estimated: usd("0.002"), at_risk: usd("0.01"), ..Charge::default() };
            *spent = Spent { usage: Some(Usage { input: 50, output: 7, ..Usage::default() }), charge };
        }
        event
    };
    let failure = Failure::new(Class::Transient, "the stream broke off");
    story
        .at(52_190.0, Event::RunStarted)
        .at(52_190.0, started(0, 1))
        .at(52_190.0, started(1, 1))
        .at(52_195.0, broken(failed(1, 1, failure, Then::Fail)))
        .at(52_199.0, lost(0, 1))
        .at(52_199.0, started(0, 2))
        .at(52_201.0, other(succeeded(0, 2, 2.0)))
        .at(52_201.0, ended(Outcome::Completed))
}

/// `claude` has no credit left, so `analyze` is done by `gpt` in its place.
pub(crate) fn rerouted() -> Story {
    let two = two_agents();
    let tasks = vec![two.plan.tasks()[0].clone()];
    let instead = |mut event: Event| {
        match &mut event {
            Event::AttemptStarted { attempt, because, .. } => {
                (attempt.agent, *because) = (Some(AgentId(1)), Some(Unserved::Stopped));
            }
            Event::AttemptSucceeded { attempt, answer, .. } => {
                (attempt.agent, answer.model) = (Some(AgentId(1)), "gpt-6.1-sol".into());
            }
            _ => {}
        }
        event
    };
    let mut story = Story::new("rerouted", &[("analyze", "analysis", &[])]);
    story.plan = Plan::new("rerouted".into(), two.plan.agents().to_vec(), tasks);
    let no_credit = Failure::new(Class::QuotaGone, "no credit left").with_status(402);
    story
        .at(0.0, Event::RunStarted)
        .at(0.0, started(0, 1))
        .at(0.3, failed(0, 1, no_credit, Then::StopAccount))
        .at(0.3, instead(started(0, 2)))
        .at(2.3, instead(succeeded(0, 2, 2.0)))
        .at(2.3, ended(Outcome::Completed))
}

/// Ctrl-C while `impl_b` runs; it finishes, the rest is left.
pub(crate) fn interrupted() -> Story {
    pipeline_until_impls()
        .at(6.5, Event::CancelRequested { signal: Signal::Interrupt })
        .at(10.0, succeeded(3, 1, 4.0))
        .at(10.0, ended(Outcome::Interrupted { signal: Signal::Interrupt }))
}

/// The user waits, lets more happen at once, goes on, and stops.
pub(crate) fn controlled() -> Story {
    let rate = Control::RequestsPerMinute { gate: Some(GateId(0)), per_minute: 100 };
    pipeline_until_impls()
        .at(6.5, Event::Controlled { control: Control::Pause })
        .at(7.0, Event::Controlled { control: Control::Concurrency(20) })
        .at(7.0, Event::Controlled { control: rate })
        .at(8.0, Event::Controlled { control: Control::Resume })
        .at(9.0, Event::CancelRequested { signal: Signal::Cancel })
        .at(10.0, succeeded(3, 1, 4.0))
        .at(10.0, ended(Outcome::Interrupted { signal: Signal::Cancel }))
}

/// `SplitMix64` (Steele, Lea, Flood 2014): seeded, so that a failure can be seen again.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// All stories.
pub(crate) fn all() -> [Story; 8] {
    let pipeline = Story::pipeline();
    [diamond(), retried(), failure(), budget_stop(), resumed(), interrupted(), pipeline, two_agents()]
}
