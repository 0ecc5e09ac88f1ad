//! What a run is told, and what it answers with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::control::Control;
use super::event::{Answer, AttemptId, Outcome, Record, Signal, Spent, Timing};
use super::revise::Revision;
use crate::agent::AgentId;
use crate::failure::Failure;
use crate::hash::Hash;
use crate::limit::{GateId, GateSpec, Told};
use crate::money::Usd;
use crate::plan::{Plan, TaskId};
use crate::prediction::Prediction;
use crate::time::{Time, micros};
use crate::usage::{Cost, Usage};

/// What a run is bound by, apart from its plan: fixed when it is created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Settings {
    /// Whether tasks may run side by side.
    pub mode: Mode,
    /// Seeds the jitter of retries.
    pub seed: u64,
    /// What the run may cost; none: without a limit.
    pub budget: Option<Usd>,
    /// What each task may cost, where it has no limit of its own.
    pub max_cost_per_task: Option<Usd>,
    /// Spending past this is warned of, once.
    pub alert_threshold: Option<Usd>,
    /// Whether the budget stops the run (else it warns).
    pub auto_stop: bool,
    /// How long the run may take, from its start or resume.
    #[serde(with = "micros")]
    pub run_timeout: Duration,
    /// Whether that is counted from the last answer, or from the end of a wait that a provider asked for, because
    /// nobody stated it: what limits a run will find nobody knows beforehand, and one that goes on is not ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub timeout_restarts: bool,
    /// How long calls in flight are waited for once the user has asked to stop; then they are given up.
    #[serde(default = "grace", with = "micros")]
    pub grace: Duration,
    /// The limits of all accounts; [`crate::agent::Agent::gate`] points here.
    pub gates: Vec<GateSpec>,
    /// How many attempts the process may have in flight, over all accounts.
    pub max_concurrent: u32,
    /// So many failed tasks end the run; none: however many fail, the others go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_failures: Option<u32>,
    /// Whether answers of earlier runs are taken for the same requests.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cache: bool,
    /// Whether the endpoint is the in-process simulator.
    pub simulated: bool,
    /// The price table that listed prices are of ([`crate::price::Table::name`]); none in runs of
    /// before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_table: Option<String>,
}

/// Unless told: long enough for most answers, and shorter than those who stop a run and wait for it will bear.
const fn grace() -> Duration {
    Duration::from_secs(30)
}

impl Default for Settings {
    /// No limit in money, no account, and as the founding document's defaults have it: ten at a time, ten minutes.
    fn default() -> Self {
        Settings {
            mode: Mode::Parallel,
            seed: 0,
            budget: None,
            max_cost_per_task: None,
            alert_threshold: None,
            auto_stop: true,
            run_timeout: Duration::from_secs(600),
            timeout_restarts: false,
            grace: grace(),
            gates: Vec::new(),
            max_concurrent: 10,
            max_failures: None,
            cache: false,
            simulated: false,
            price_table: None,
        }
    }
}

impl Settings {
    /// Whether any limit in money holds an agent's calls, one that only warns included: then its price
    /// has to be known.
    pub fn limits_cost_of(&self, plan: &Plan, id: AgentId) -> bool {
        self.budget.is_some()
            || self.max_cost_per_task.is_some()
            || plan.agent(id).max_cost.is_some()
            || plan.tasks().iter().any(|task| task.agent == id && task.max_cost.is_some())
    }

    /// What an attempt took from the limits of a gate, of the `asked` that it had reserved.
    pub(crate) fn used(&self, gate: GateId, asked: &Cost, spent: &Spent) -> Cost {
        spent.cost(asked, self.gates[gate.index()].cached_input_is_free)
    }
}

/// Whether tasks may run side by side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// As far as dependencies and limits allow.
    #[default]
    Parallel,
    /// One after the other.
    Serial,
}

impl Mode {
    /// The mode as the command line and the summary name it.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Parallel => "parallel",
            Mode::Serial => "serial",
        }
    }
}

/// What a run is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Begin.
    Started,
    /// Begin; a forecast of the run is known already.
    StartedForeseen(Prediction),
    /// Go on after the process that drove the run ended; attempts in flight then are lost.
    Resumed(Resume),
    /// The head of an attempt's reply came.
    Told(AttemptId, Told),
    /// An attempt came back.
    Replied(Reply),
    /// What is known of the requests of the tasks of an [`Action::Recall`]: of each that was answered before.
    Recalled(Vec<(TaskId, Recalled)>),
    /// A time that was asked for has come.
    Woke,
    /// The user asked to stop.
    Cancelled(Signal),
    /// The user changed something.
    Controlled(Control),
    /// A forecast of the run is known.
    Forecast(Prediction),
}

/// An answer to the same request that an earlier run was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recalled {
    /// The answer.
    pub answer: Answer,
    /// The run that asked for it.
    pub run: Arc<str>,
}

/// What a provider had kept of an attempt that was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub attempt: AttemptId,
    /// The answer; none where what came is no answer to its task (a refusal, or not what it has to be).
    pub answer: Option<Answer>,
    /// What is wrong with what came, where it is not what it has to be: its task's next attempt says so.
    pub wrong: Option<Box<str>>,
    /// What was billed, as it reports.
    pub usage: Usage,
    /// The model that answered, as the reply names it.
    pub model: Arc<str>,
}

/// How a run goes on: what the user wants to be otherwise than before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resume {
    /// Other budgets, where the user set some.
    pub budgets: Budgets,
    /// Whether failed tasks, and those that were skipped for them, get another try. Also a run that has
    /// completed then goes on.
    pub retry_failed: bool,
    /// Tasks that have succeeded and whose answers are nowhere any more: they are done again. Also a run that has
    /// completed then goes on.
    pub gone: Vec<TaskId>,
    /// Another plan, where the user changed it. Also a run that has completed then goes on.
    pub change: Option<Change>,
    /// What providers had kept of attempts that were lost ([`super::Run::recoverable`]). Also a run that has completed
    /// then goes on, to put its money right.
    pub found: Vec<Found>,
}

/// A plan that was changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The hash of the revision's JSON.
    pub header: Hash,
    /// The tasks that are done again, in the order of the plan: those that were changed, and all behind them.
    pub again: Vec<TaskId>,
    /// What the run goes on with.
    pub revision: Arc<Revision>,
}

impl From<Budgets> for Resume {
    /// With these budgets, and else as before.
    fn from(budgets: Budgets) -> Self {
        Resume { budgets, ..Resume::default() }
    }
}

/// Budgets that a run gets when it goes on; what is absent stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budgets {
    /// The run's.
    pub run: Option<Usd>,
    /// Those of agents, in place of their `max_cost`.
    pub agents: BTreeMap<AgentId, Usd>,
}

impl Budgets {
    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Budgets::default()
    }
}

impl From<Option<Usd>> for Budgets {
    /// The run's alone.
    fn from(run: Option<Usd>) -> Self {
        Budgets { run, agents: BTreeMap::new() }
    }
}

/// How an attempt came back.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// Which.
    pub attempt: AttemptId,
    /// The answer, or why there is none.
    pub result: Result<Answer, Failure>,
    /// What is known of what was billed.
    pub billing: Billing,
    /// How long its parts took.
    pub timing: Timing,
}

/// What is known of what was billed for an attempt (DESIGN.md decisions 3 and 16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Billing {
    /// Nothing can have been: not sent whole, or refused with an error.
    Nothing,
    /// By usage that the provider reported for a whole answer.
    Reported(Usage),
    /// No final usage came; this is estimated from what arrived. What was reserved beyond it stays
    /// at risk: an estimate never gives money back.
    Estimated(Usage),
    /// Sent whole and not answered: all that was reserved is at risk.
    Unknown,
}

/// What a run answers with.
#[derive(Debug, Default, PartialEq)]
#[must_use]
pub struct Step {
    /// To be made durable first.
    pub records: Vec<Record>,
    /// To be done after that, in this order.
    pub actions: Vec<Action>,
    /// When to say [`Input::Woke`], if nothing else is said before.
    pub wake_at: Option<Time>,
    /// Why ready tasks do not start, for people.
    pub waiting: Vec<Waiting>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Look whether the requests of these tasks were answered before, and say so by [`Input::Recalled`]: nothing
    /// starts until then.
    Recall(Vec<TaskId>),
    /// Send this attempt's request.
    Call(AttemptId),
    /// Give this attempt up; its answer is no longer wanted.
    Abandon(AttemptId),
    /// The run has ended.
    Finish(Outcome),
}

/// Why the ready tasks of one gate do not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// What for, in the words of the limit: `requests/min of anthropic/claude-sonnet-5-5`.
    pub reason: String,
    /// Until when, where that is known; else until something settles.
    pub until: Option<Time>,
    /// How many tasks are ready behind it.
    pub tasks: usize,
}
