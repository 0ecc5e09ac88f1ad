//! A plan: tasks and what they depend on.
//!
//! [`written`] is the plan as the user wrote it; [`check`] reports everything that is wrong with
//! it at once and gives the plan as meant, split in two: [`Plan`], which the run decides by and
//! which holds lengths and hashes only, and [`Prompts`], the texts, which the driver renders.

mod ancestry;
pub mod check;
mod edge;
pub mod graph;
mod moved;
pub mod output;
pub mod sample;
pub mod template;
pub mod written;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::agent::{Agent, AgentId};
use crate::failure::Failure;
use crate::limit::GateId;
use crate::money::Usd;
use crate::run::OVERHEAD_TOKENS;
use crate::run::event::AttemptId;
use crate::time::micros;

pub use edge::{Edge, End, OnFailure, When};
pub use moved::moved;
pub(crate) use output::correction_bytes;
pub use output::{OutputSchema, corrected};

/// A task's place in [`Plan::tasks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(pub u32);

impl TaskId {
    /// As an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One prompt to one agent, as the run knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The `id` of the plan file.
    pub name: String,
    /// What kind of work (`general`, `analysis`, …): routes to an agent, groups in reports.
    pub task_type: String,
    /// Who does it.
    pub agent: AgentId,
    /// What has to end first, and how, without duplicates, in the order written.
    pub depends_on: Vec<Edge>,
    /// How long the rendered prompt can become.
    pub prompt: PromptSize,
    /// Output tokens that the answer may have, at least 1.
    pub max_tokens: u32,
    /// Higher goes first among ready tasks; 0 unless told.
    pub priority: i32,
    /// The plan's hint.
    pub expected_output_tokens: Option<u32>,
    /// The plan's hint.
    #[serde(with = "micros::option")]
    pub expected: Option<Duration>,
    /// What all attempts at this task together may cost.
    pub max_cost: Option<Usd>,
    /// Total timeout of one attempt.
    #[serde(with = "micros")]
    pub timeout: Duration,
    /// The task that asks the same, where it may share that one's answer; it waits for it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<TaskId>,
    /// Its failure ends the run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stops_run: bool,
    /// Why the task fails before anything is sent (SPEC.md F3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid: Option<Box<Failure>>,
}

/// The length of a prompt before its results are known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptSize {
    /// UTF-8 bytes of the template's own text and of the system prompt.
    pub fixed_bytes: u64,
    /// Tokens that the schema of its answer adds, at most.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub schema_tokens: u64,
    /// Tokens that they have at most, where those were counted ([`Plan::count_tokens`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_tokens: Option<u64>,
    /// Whose results are inserted, and how often. A field of a result is never longer than the
    /// result, so a whole result bounds it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inserts: Vec<(TaskId, u32)>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(tokens: &u64) -> bool {
    *tokens == 0
}

impl PromptSize {
    /// The most tokens that the template's own text, the system prompt and the schema of the answer have:
    /// a token is at least one UTF-8 byte in every tokenizer that is in use (byte-level BPE).
    pub fn fixed_bound(&self) -> u64 {
        let texts = self.fixed_tokens.map_or(self.fixed_bytes, |tokens| tokens.min(self.fixed_bytes));
        texts + self.schema_tokens
    }
}

/// What the user wants done, checked: every id is unique, every dependency exists, there is no
/// cycle, every agent is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Plan {
    name: String,
    agents: Vec<Agent>,
    tasks: Vec<Task>,
    removed: BTreeSet<TaskId>,
    // Derived from the tasks, so not written:
    dependants: Vec<Vec<Edge>>,
    order: Vec<TaskId>,
    ranks: Vec<Duration>,
}

/// The written form of a [`Plan`]: what is not derived.
#[derive(Clone, Serialize, Deserialize)]
struct Parts {
    name: String,
    agents: Vec<Agent>,
    tasks: Vec<Task>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    removed: BTreeSet<TaskId>,
}

/// Why a written plan is none: [`check`] lets none of these pass, so nobody wrote it.
#[derive(Debug, thiserror::Error)]
enum NoPlan {
    #[error("task {0:?} refers to a task that is not there")]
    Task(String),
    #[error("task {0:?} has an agent that is not there")]
    Agent(String),
    #[error("agent {0:?} has a fallback that is not there")]
    Fallback(String),
    #[error("its tasks wait for each other")]
    Cycle,
}

impl TryFrom<Parts> for Plan {
    type Error = NoPlan;

    fn try_from(Parts { name, agents, tasks, removed }: Parts) -> Result<Self, NoPlan> {
        for task in &tasks {
            let inserted = task.prompt.inserts.iter().map(|&(id, _)| id);
            let mut others = task.depends_on.iter().map(|on| on.task).chain(inserted).chain(task.same_as);
            if others.any(|id| id.index() >= tasks.len()) {
                return Err(NoPlan::Task(task.name.clone()));
            }
            if usize::from(task.agent.0) >= agents.len() {
                return Err(NoPlan::Agent(task.name.clone()));
            }
        }
        let is_there = |id: &AgentId| id.index() < agents.len();
        if let Some(agent) = agents.iter().find(|agent| !agent.fallbacks.iter().all(is_there)) {
            return Err(NoPlan::Fallback(agent.name.clone()));
        }
        let plan = Plan::new(name, agents, tasks).without(removed);
        if plan.order.len() == plan.tasks.len() { Ok(plan) } else { Err(NoPlan::Cycle) }
    }
}

impl From<Plan> for Parts {
    fn from(plan: Plan) -> Self {
        Parts { name: plan.name, agents: plan.agents, tasks: plan.tasks, removed: plan.removed }
    }
}

impl Plan {
    /// Assembles a plan from checked parts.
    ///
    /// # Panics
    /// Where a dependency or an agent does not exist; [`check`] has made sure.
    pub fn new(name: String, agents: Vec<Agent>, tasks: Vec<Task>) -> Self {
        let dependants = graph::dependants(&tasks);
        let order = graph::task_order(&tasks);
        let ranks = graph::remaining_path(&order, &dependants, |id| graph::expected(&tasks[id.index()]));
        Plan { name, agents, tasks, removed: BTreeSet::new(), dependants, order, ranks }
    }

    /// The plan without these tasks, on which no other depends any more. They keep their places, because records
    /// name tasks by them, and are not done.
    #[must_use]
    pub fn without(self, removed: BTreeSet<TaskId>) -> Self {
        Plan { removed, ..self }
    }

    /// Whether a task was taken out of the plan since the run began.
    pub fn is_removed(&self, id: TaskId) -> bool {
        self.removed.contains(&id)
    }

    /// How many tasks there are to be done: those that were taken out are none.
    pub fn to_do(&self) -> usize {
        self.tasks.len() - self.removed.len()
    }

    /// Takes in how many tokens the fixed text of each task has at most; none where nobody counted it,
    /// and then what was known before stays.
    pub fn count_tokens(&mut self, counts: impl IntoIterator<Item = Option<u64>>) {
        for (task, count) in self.tasks.iter_mut().zip(counts) {
            task.prompt.fixed_tokens = count.or(task.prompt.fixed_tokens);
        }
    }

    /// The plan's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All agents that the configuration enables, used or not.
    pub fn agents(&self) -> &[Agent] {
        &self.agents
    }

    /// The ids of all agents, in the order of [`Plan::agents`].
    pub fn agent_ids(&self) -> impl Iterator<Item = AgentId> + use<> {
        (0..self.agents.len() as u16).map(AgentId)
    }

    /// The agents that tasks go to, in the order of [`Plan::agents`].
    pub fn used_agents(&self) -> BTreeSet<AgentId> {
        self.ids().filter(|id| !self.is_removed(*id)).map(|id| self.task(id).agent).collect()
    }

    /// The agents that no task goes to, but some may in place of its own.
    pub fn only_fallbacks(&self) -> BTreeSet<AgentId> {
        let used = self.used_agents();
        let named = used.iter().flat_map(|id| &self.agent(*id).fallbacks);
        named.filter(|id| !used.contains(id)).copied().collect()
    }

    /// All tasks, in the order written.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// How many tasks there are.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// The ids of all tasks, in the order written.
    pub fn ids(&self) -> impl Iterator<Item = TaskId> + use<> {
        (0..self.tasks.len() as u32).map(TaskId)
    }

    /// The ids of all tasks, each after those that it depends on.
    pub fn in_order(&self) -> impl Iterator<Item = TaskId> {
        self.order.iter().copied()
    }

    /// The task at this place.
    pub fn task(&self, id: TaskId) -> &Task {
        &self.tasks[id.index()]
    }

    /// Who is asked in an attempt: the task's own agent, or the fallback in its place.
    pub fn asked(&self, attempt: AttemptId) -> AgentId {
        attempt.agent.unwrap_or(self.task(attempt.task).agent)
    }

    /// The agent that is asked in an attempt.
    pub fn agent_asked(&self, attempt: AttemptId) -> &Agent {
        self.agent(self.asked(attempt))
    }

    /// Output tokens that an answer to a task may have: as many as the task may, of a fallback at most those that
    /// its model gives.
    pub fn max_tokens_of(&self, id: TaskId, asked: AgentId) -> u32 {
        let task = self.task(id);
        let most = self.agent(asked).max_output.filter(|_| asked != task.agent);
        most.map_or(task.max_tokens, |most| task.max_tokens.min(most))
    }

    /// The most tokens that the fixed text of a task and a system prompt have where this agent is asked. What was
    /// counted is of its own agent's tokenizer; and whether the system prompt is the task's is not known here, so
    /// the longer of the two agents' stands for it.
    pub fn fixed_bound(&self, id: TaskId, asked: AgentId) -> u64 {
        let task = self.task(id);
        if asked == task.agent {
            return task.prompt.fixed_bound();
        }
        let longer = self.agent(asked).system_bytes.saturating_sub(self.agent(task.agent).system_bytes);
        task.prompt.fixed_bytes + longer + task.prompt.schema_tokens
    }

    /// The tokens that a call for a task takes at most where this agent is asked, with so many inserted, or
    /// the bytes that bound them: of its input, and of its answer.
    pub(crate) fn most_tokens(&self, id: TaskId, asked: AgentId, inserted: u64) -> (u64, u64) {
        let input = self.fixed_bound(id, asked).saturating_add(inserted).saturating_add(OVERHEAD_TOKENS);
        (input, u64::from(self.max_tokens_of(id, asked)))
    }

    /// Whether a call for a task, with so many bytes of inserted results, fits the context window of an agent's
    /// model, as far as that is known.
    pub fn fits(&self, id: TaskId, asked: AgentId, inserted: u64) -> bool {
        let (input, output) = self.most_tokens(id, asked, inserted);
        self.agent(asked).context.is_none_or(|most| input + output <= most)
    }

    /// Takes these agents out of all fallbacks.
    pub fn without_fallbacks(&mut self, unfit: &BTreeSet<AgentId>) {
        for agent in &mut self.agents {
            agent.fallbacks.retain(|fallback| !unfit.contains(fallback));
        }
    }

    /// Gives each agent another budget of its own, or none, by the one that it has.
    pub fn set_max_costs(&mut self, max_cost: impl Fn(&Agent) -> Option<Usd>) {
        for agent in &mut self.agents {
            agent.max_cost = max_cost(agent);
        }
    }

    /// Puts another gate in place of each agent's.
    pub fn set_gates(&mut self, gate: impl Fn(GateId) -> GateId) {
        for agent in &mut self.agents {
            agent.gate = gate(agent.gate);
        }
    }

    /// The agent of a task.
    pub fn agent_of(&self, id: TaskId) -> &Agent {
        self.agent(self.task(id).agent)
    }

    /// The agent at this place.
    pub fn agent(&self, id: AgentId) -> &Agent {
        &self.agents[id.index()]
    }

    /// The tasks that depend on this one directly, and how it may end for each.
    pub fn dependants(&self, id: TaskId) -> &[Edge] {
        &self.dependants[id.index()]
    }

    /// For every task the longest path of these durations that ends where it starts, and the longest one that starts
    /// with it.
    pub fn paths(&self, duration: impl Fn(TaskId) -> Duration) -> Vec<(Duration, Duration)> {
        let before = graph::path_before(&self.order, self.tasks(), &duration);
        let after = graph::remaining_path(&self.order, &self.dependants, duration);
        before.into_iter().zip(after).collect()
    }

    /// The tasks of the longest path through the plan where each task takes this long, in their order; of equals the
    /// first of the plan. None of an empty plan.
    pub fn longest_chain(&self, duration: impl Fn(TaskId) -> Duration) -> Vec<TaskId> {
        graph::longest_chain(&self.order, &self.dependants, duration)
    }

    /// The longest expected path from the start of this task to an end of the plan, itself
    /// included: what orders the ready queue.
    pub fn rank(&self, id: TaskId) -> Duration {
        self.ranks[id.index()]
    }
}

/// The texts of a plan's tasks, in the order of [`Plan::tasks`].
pub type Prompts = Vec<Prompt>;

/// The text of one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Prompt {
    /// The prompt; results are inserted where it names them.
    pub template: template::Template,
    /// The task's own system prompt; else its agent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The task's own sampling temperature; else its agent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// What its answer has to be, where it has to be anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputSchema>,
    /// Whatever the plan attached, handed through to the results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Value>,
}
