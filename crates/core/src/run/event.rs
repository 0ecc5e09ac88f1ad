//! What a run remembers: facts in the past tense. The journal holds nothing else.
//!
//! The JSON form of these types *is* the journal's format (`FORMAT`): a field may be added with a
//! default; anything else is a new format version, and journals of every released version are kept
//! as fixtures. Common pitfall: a fact that `apply` needs and that is not in the event cannot be
//! known after a crash.

mod outcome;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::control::Control;
use super::revise::Revision;
use crate::agent::{AgentId, Retry};
use crate::failure::{Class, Failure};
use crate::hash::Hash;
use crate::money::Usd;
use crate::plan::TaskId;
use crate::prediction::Prediction;
use crate::time::{Time, micros};
use crate::usage::{Charge, Cost, Usage};

pub use outcome::Outcome;

/// The version of the journal's format.
pub const FORMAT: u32 = 1;

/// One try at one task: one HTTP request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// Which task.
    pub task: TaskId,
    /// Counted from 1.
    pub number: u32,
    /// The fallback that is asked in place of the task's own agent; none: that one is. Who it comes to is told
    /// by [`crate::plan::Plan::asked`] alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
}

impl AttemptId {
    /// A try at a task by its own agent.
    pub const fn new(task: TaskId, number: u32) -> Self {
        AttemptId { task, number, agent: None }
    }
}

/// A fact with its time and number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Counted from 1 without gaps, for each run.
    pub seq: u64,
    /// When it happened.
    pub at: Time,
    /// What happened.
    pub event: Event,
}

/// A fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run began.
    RunStarted,
    /// A process took the run up again. What stopped it before (a signal, the budget, a provider,
    /// the run timeout) counts no more.
    RunResumed,
    /// The run was forecast; what it said is what it is graded by.
    ForecastMade {
        /// What it said.
        forecast: Prediction,
    },
    /// The intent to send a request, durable before it is sent.
    AttemptStarted {
        /// Which.
        attempt: AttemptId,
        /// The most it may cost.
        reserved: Cost,
        /// Why it goes to a fallback, where it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<Unserved>,
    },
    /// An answer came, whole.
    AttemptSucceeded {
        /// Which.
        attempt: AttemptId,
        /// The answer.
        answer: Answer,
        /// What it used and cost.
        spent: Spent,
        /// How long its parts took.
        timing: Timing,
    },
    /// It failed, and this is what follows.
    AttemptFailed {
        /// Which.
        attempt: AttemptId,
        /// Why.
        failure: Failure,
        /// What it used and cost all the same.
        spent: Spent,
        /// How long its parts took.
        timing: Timing,
        /// What follows.
        then: Then,
    },
    /// It was in flight when the process died or gave it up: it may have been billed.
    AttemptLost {
        /// Which.
        attempt: AttemptId,
        /// What stays charged.
        spent: Spent,
    },
    /// The provider had kept the answer of a lost attempt: what it cost is known now.
    AttemptRecovered {
        /// Which.
        attempt: AttemptId,
        /// The answer, with which its task has succeeded; none where the task has ended already, or what came is no
        /// answer to it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        answer: Option<Answer>,
        /// What is wrong with what came, where that is to be corrected.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wrong: Option<Box<str>>,
        /// What was at risk for it until now, and is not any more.
        at_risk: Usd,
        /// What it used and cost.
        spent: Spent,
        /// The model that answered, as the reply names it.
        model: Arc<str>,
    },
    /// The same request was answered in an earlier run: the task has succeeded, and cost nothing.
    TaskRecalled {
        /// Which.
        task: TaskId,
        /// The answer.
        answer: Answer,
        /// The run that asked for it.
        run: Arc<str>,
    },
    /// The task that asks the same has succeeded: so has this one, by the same answer.
    TaskShared {
        /// Which.
        task: TaskId,
        /// Whose answer it is.
        with: TaskId,
    },
    /// The task failed before anything was sent.
    TaskFailed {
        /// Which.
        task: TaskId,
        /// Why.
        failure: Failure,
    },
    /// The task will never run.
    TaskSkipped {
        /// Which.
        task: TaskId,
        /// Why.
        because: Skipped,
    },
    /// These tasks, failed ones and those that were skipped for them, or such whose answers are nowhere any more, are
    /// tried again as if they never had been; what was spent on them stays spent, and their attempts are counted on.
    Reopened {
        /// Which, in the order of the plan.
        tasks: Vec<TaskId>,
    },
    /// The user changed the plan, and the run goes on with it. Tasks and agents keep their places, by their names;
    /// new ones come behind.
    PlanChanged {
        /// The hash of the JSON of the [`Revision`], which is kept as outputs are.
        header: Hash,
        /// The tasks that are done again, as if they never had been but for what they cost; in the order of the plan.
        again: Vec<TaskId>,
        /// What the hash names; in memory only.
        #[serde(skip)]
        revision: Option<Arc<Revision>>,
    },
    /// Money passed a mark; said once.
    BudgetWarned {
        /// Which mark.
        mark: BudgetMark,
        /// What was spent, at risk included.
        spent: Usd,
        /// The same in its three amounts; nothing in journals of before they were kept.
        #[serde(default, skip_serializing_if = "Charge::is_zero")]
        charge: Charge,
        /// The budget at that moment, where there was one; none in journals of before it was kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        budget: Option<Usd>,
        /// The agent whose own money and budget (its `max_cost`) these are; none: the run's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<AgentId>,
    },
    /// The next call does not fit the budget: nothing new starts, what is in flight finishes.
    BudgetReached {
        /// Spent, at risk, and what the next call would have to reserve.
        needed: Usd,
        /// The budget.
        budget: Usd,
        /// The agent whose own budget it is (its `max_cost`), which stops only its tasks; none: the
        /// run's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<AgentId>,
        /// The task whose call it would have been.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task: Option<TaskId>,
        /// The `max_tokens` that would have fitted what is left; none: not even one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fitting_max_tokens: Option<u32>,
    },
    /// The budget was changed.
    BudgetSet {
        /// The new one; none: without a limit.
        budget: Option<Usd>,
        /// The agent whose own budget it is; none: the run's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<AgentId>,
    },
    /// Ready tasks were held, since this was last said; what was held when a process died is not said.
    Waited {
        /// By what.
        waits: Vec<Wait>,
    },
    /// The user changed something of the run while it was under way.
    Controlled {
        /// What.
        control: Control,
    },
    /// The user asked the run to stop: nothing new starts, what is in flight finishes.
    CancelRequested {
        /// By which signal.
        signal: Signal,
    },
    /// The run came to an end; a resume may go on from all but `Completed`.
    RunEnded {
        /// How.
        outcome: Outcome,
    },
}

impl Event {
    /// The task that it is about, if it is about one.
    pub const fn task(&self) -> Option<TaskId> {
        match self {
            Event::TaskFailed { task, .. }
            | Event::TaskSkipped { task, .. }
            | Event::TaskRecalled { task, .. }
            | Event::TaskShared { task, .. } => Some(*task),
            _ => match self.attempt() {
                Some(attempt) => Some(attempt.task),
                None => None,
            },
        }
    }

    /// The attempt that it is about, if it is about one.
    pub const fn attempt(&self) -> Option<AttemptId> {
        match self {
            Event::AttemptStarted { attempt, .. }
            | Event::AttemptSucceeded { attempt, .. }
            | Event::AttemptFailed { attempt, .. }
            | Event::AttemptLost { attempt, .. }
            | Event::AttemptRecovered { attempt, .. } => Some(*attempt),
            Event::TaskFailed { .. }
            | Event::TaskSkipped { .. }
            | Event::TaskRecalled { .. }
            | Event::TaskShared { .. }
            | Event::RunStarted
            | Event::RunResumed
            | Event::ForecastMade { .. }
            | Event::Reopened { .. }
            | Event::PlanChanged { .. }
            | Event::BudgetWarned { .. }
            | Event::BudgetReached { .. }
            | Event::BudgetSet { .. }
            | Event::Waited { .. }
            | Event::Controlled { .. }
            | Event::CancelRequested { .. }
            | Event::RunEnded { .. } => None,
        }
    }
}

/// Why an agent's tasks go to its fallbacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unserved {
    /// Its account is stopped, or its model.
    Stopped,
    /// Its provider is failing: its breaker is open.
    Failing,
    /// It is throttled for longer than its `fallback_after`, until this time at least.
    ThrottledUntil(Time),
}

/// How long something held ready tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// What, in the words of the limit: `requests/min of anthropic/claude-sonnet-5-5`.
    pub reason: String,
    /// For how long at least one task was held by it.
    #[serde(with = "micros")]
    pub time: Duration,
}

/// What an answer was. Its text is kept by content hash, outside of the core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// SHA-256 of the text.
    pub output: Hash,
    /// UTF-8 bytes of the text.
    pub bytes: u64,
    /// Why the model stopped.
    pub finish: Finish,
    /// The model that answered, as the reply names it; shared, because every fold keeps it.
    pub model: Arc<str>,
    /// The hash of the request that it answers, by which later runs find it; none in journals of before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Hash>,
}

/// Why the model stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// It was done.
    Stop,
    /// `max_tokens` ended it: a success with a warning.
    MaxTokens,
    /// Another reason, in the provider's word.
    Other(String),
}

impl Finish {
    /// The reason as results name it: `stop`, `max_tokens`, or the provider's word.
    pub fn name(&self) -> &str {
        match self {
            Finish::Stop => "stop",
            Finish::MaxTokens => "max_tokens",
            Finish::Other(word) => word,
        }
    }
}

/// What an attempt used and what it came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Tokens, reported or estimated; none where nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Money.
    #[serde(default)]
    pub charge: Charge,
}

impl Spent {
    /// What it took from the limits, of the `asked` that it had reserved. Where nothing is known
    /// and money is at risk, everything counts as used. `cached_input_is_free`: input read from a cache
    /// takes nothing.
    pub fn cost(&self, asked: &Cost, cached_input_is_free: bool) -> Cost {
        let (input_tokens, output_tokens) = match self.usage {
            Some(usage) if cached_input_is_free => (usage.total_input() - usage.cache_read, usage.output),
            Some(usage) => (usage.total_input(), usage.output),
            None if self.charge.at_risk.is_zero() => (0, 0),
            None => (asked.input_tokens, asked.output_tokens),
        };
        Cost { usd: self.charge.total(), input_tokens, output_tokens }
    }
}

/// How long the parts of an attempt took, from the moment it was handed to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Until the first token of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "micros::option")]
    pub first_token: Option<Duration>,
    /// Until the end.
    #[serde(with = "micros")]
    pub total: Duration,
}

/// What follows a failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// The task is tried again, not before this time; where it was throttled and may go to fallbacks for that, sooner
    /// by one of them.
    RetryAt(Time),
    /// The same, and it does not count against `max_retries`, because it tells nothing of its task:
    /// it was under way already when its account was throttled, or its provider is ill (a probe's
    /// failure, the one that opens a breaker, one of a call that was under way then).
    AgainAt(Time),
    /// The task has failed.
    Fail,
    /// Its account is stopped, or its model where too many calls failed like it (its class is then none
    /// that stops accounts); the task stays pending.
    StopAccount,
}

impl Then {
    /// When the gate opens again that this failure closes for everybody; none where it does not. Where its task is
    /// tried no more and the provider named no wait, the others wait as before a first retry.
    pub(crate) fn gate_opens(&self, failure: &Failure, retry: &Retry, at: Time) -> Option<Time> {
        if failure.class != Class::Throttled || failure.hopeless {
            return None;
        }
        match self {
            Then::RetryAt(until) | Then::AgainAt(until) => Some(*until),
            Then::Fail | Then::StopAccount => Some(at + failure.retry_after.unwrap_or(retry.initial_delay)),
        }
    }
}

/// Why a task will never run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skipped {
    /// It depends, directly or not, on this task, which failed, and does not run without it.
    Dependency(TaskId),
}

/// A mark that spending passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetMark {
    /// `alert_threshold`.
    Alert,
    /// 80 % of the budget (SPEC.md C3).
    EightyPercent,
    /// The budget itself: `auto_stop_on_limit` is off, or a reply was dearer than what was reserved
    /// for it (in a tier or by a model that was not asked for).
    Exceeded,
}

/// What ends a run before its time: a signal, or a user who asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// SIGINT, Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// None of the process: the user asked for it through its controls.
    Cancel,
}
