//! One task as its events tell it.

use std::sync::Arc;
use std::time::Duration;

use sortie_core::agent::{Agent, AgentId};
use sortie_core::failure::Failure;
use sortie_core::money::Usd;
use sortie_core::plan::{End, Plan, TaskId};
use sortie_core::run::event::{Answer, Skipped, Timing};
use sortie_core::time::Time;
use sortie_core::usage::{Charge, Tier, Usage};

/// Where a task stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Not started, or to be tried again.
    #[default]
    Pending,
    /// An attempt is in flight, as far as the journal knows.
    Running,
    /// It has its answer.
    Succeeded,
    /// It will not be tried again.
    Failed,
    /// It will never run, because of a task that it depends on.
    Skipped,
    /// The plan does not have it any more.
    Removed,
}

impl Status {
    /// How it ended, if it has.
    pub(super) const fn end(self) -> Option<End> {
        match self {
            Status::Pending | Status::Running => None,
            Status::Succeeded => Some(End::Succeeded),
            Status::Failed => Some(End::Failed),
            Status::Skipped | Status::Removed => Some(End::Skipped),
        }
    }

    /// The word for people.
    pub const fn name(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Running => "running",
            Status::Succeeded => "succeeded",
            Status::Failed => "failed",
            Status::Skipped => "skipped",
            Status::Removed => "removed",
        }
    }
}

/// Who asked for an answer before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// An earlier run.
    Run(Arc<str>),
    /// A task of the same run.
    Task(TaskId),
}

impl Earlier {
    /// For people: `run nightly-3`, `task a`.
    pub fn name(&self, plan: &Plan) -> String {
        match self {
            Earlier::Run(run) => format!("run {run}"),
            Earlier::Task(id) => format!("task {}", plan.task(*id).name),
        }
    }
}

/// A call that cost more than was reserved for it: the reply came in a dearer tier or by a dearer model than
/// was asked for, or had more tokens than `max_tokens`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overrun {
    /// For which task.
    pub task: TaskId,
    /// What was reserved.
    pub reserved: Usd,
    /// What it cost beyond that.
    pub over: Usd,
    /// The model that the reply named; none where it named none.
    pub model: Option<String>,
    /// The tier that it was served in.
    pub tier: Tier,
    /// How many output tokens it had.
    pub output_tokens: u64,
}

/// A task as its events tell it.
#[derive(Clone, Debug, Default)]
pub struct TaskView {
    /// Where it stands.
    pub status: Status,
    /// Attempts started.
    pub attempts: u32,
    /// The fallback that its last attempt went to; none: its own agent.
    pub fallback: Option<AgentId>,
    /// Whether any attempt went to a fallback.
    pub rerouted: bool,
    /// From the moment it became ready to the start of its first attempt; where it was tried again, from then on, as
    /// the times of its start and its end.
    pub queued: Option<Duration>,
    /// When its first attempt started.
    pub started_at: Option<Time>,
    /// When it succeeded or failed.
    pub finished_at: Option<Time>,
    /// From the start of its first attempt to its end, waits between attempts included; none where
    /// no call was made.
    pub took: Option<Duration>,
    /// Of the attempt that succeeded, else of the last one that came back.
    pub timing: Option<Timing>,
    /// Time in calls, over all attempts that came back.
    pub call_time: Duration,
    /// Tokens of all attempts; none where nothing is known.
    pub usage: Option<Usage>,
    /// Input tokens that were reserved for its last attempt.
    pub reserved_input: u64,
    /// Input tokens of the attempt that brought its answer, as reported.
    pub answer_input: Option<u64>,
    /// Money of all attempts.
    pub charge: Charge,
    /// The answer.
    pub answer: Option<Box<Answer>>,
    /// Whose answer it is, where no call was made for it.
    pub without_call: Option<Earlier>,
    /// Why it failed, or why its last attempt did.
    pub failure: Option<Box<Failure>>,
    /// Why it was skipped.
    pub skipped: Option<Skipped>,
    /// When it was.
    pub skipped_at: Option<Time>,
    /// Whether a call came to an end, so that its cost counts in averages.
    pub ran: bool,
    /// When it became ready, on the run's clock.
    pub(super) ready: Duration,
    /// When its first attempt started, on the run's clock.
    pub(super) first_start: Duration,
    /// What its attempt in flight may cost at most.
    pub(super) reserved: Usd,
}

impl TaskView {
    /// Adds tokens of an attempt; a damaged journal must not overflow.
    pub(super) fn add_usage(&mut self, usage: Usage) {
        let sum = self.usage.get_or_insert_default();
        for (sum, n) in [
            (&mut sum.input, usage.input),
            (&mut sum.cache_read, usage.cache_read),
            (&mut sum.cache_write, usage.cache_write),
            (&mut sum.cache_write_1h, usage.cache_write_1h),
            (&mut sum.output, usage.output),
        ] {
            *sum = sum.saturating_add(n);
        }
    }

    /// Whom its last attempt went to; before the first its `own` agent.
    pub fn agent<'a>(&self, plan: &'a Plan, own: AgentId) -> &'a Agent {
        let fallback = self.fallback.and_then(|agent| plan.agents().get(agent.index()));
        fallback.unwrap_or_else(|| plan.agent(own))
    }

    /// Money that is known to be spent: as reported, else as estimated. What is at risk is apart.
    pub fn cost(&self) -> Usd {
        self.charge.actual + self.charge.estimated
    }

    /// How long the attempt that counts took: the one that succeeded, else the last.
    pub fn latency(&self) -> Option<Duration> {
        self.timing.map(|timing| timing.total)
    }
}
