//! The plan as the user wrote it.
//!
//! One declaration of every key: the parser, the JSON schema (`sortie schema plan`) and the
//! messages about unknown fields all come from these structs. Nothing here is checked beyond its
//! form; [`super::check`] says what it means.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{OnFailure, When};
use crate::document::{Broken, Format, Source, unique};

/// A plan: tasks that depend on each other.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Plan")]
pub struct PlanFile {
    /// What the plan is called in reports; its file's name unless told.
    pub name: Option<String>,
    /// What tasks have where they do not say.
    pub defaults: Option<Defaults>,
    /// So many failed tasks end the run, at least 1: what is in flight finishes, nothing new starts; without it
    /// the others go on, however many fail.
    pub max_failures: Option<u32>,
    /// The tasks, in any order.
    pub tasks: Vec<TaskFile>,
}

/// One prompt to one agent.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Task")]
pub struct TaskFile {
    /// What other tasks and reports call it: 1 to 128 printable characters, unique in the plan.
    pub id: String,
    /// What is sent; `{{ results.ID }}` becomes the result of task ID, `{{ results.ID.FIELD }}` a
    /// field of it where it is JSON.
    pub prompt: String,
    /// What kind of work it is (`general`, `analysis`, `design`, `coding`, `testing`, …): routes
    /// to an agent, groups in reports. `general` unless told.
    pub task_type: Option<String>,
    /// What has to end first: ids of tasks that have to succeed, or `{ task, when }`.
    pub depends_on: Option<Vec<DependencyFile>>,
    /// Who does it; else the agent that the configuration routes the type to, else the default.
    pub agent: Option<String>,
    /// The system prompt, in place of the agent's.
    pub system: Option<String>,
    /// Output tokens that the answer may have, at least 1; else the agent's.
    pub max_tokens: Option<u32>,
    /// Sampling temperature, 0 to 2; sent only where set. Recent models refuse it.
    pub temperature: Option<f64>,
    /// What the answer has to be; without it, any text.
    pub output: Option<OutputFile>,
    /// What its failure means for the rest: `skip` what depends on it (so it is unless told), `stop` the run, or
    /// `continue` with what depends on it all the same, without its result.
    pub on_failure: Option<OnFailure>,
    /// `true` lets it share the answer of another such task that asks the same of the same agent: it waits for that one,
    /// and is asked itself only where that one does not succeed.
    pub dedupe: Option<bool>,
    /// Higher goes first among ready tasks; 0 unless told.
    pub priority: Option<i32>,
    /// Anything; handed through to the results.
    #[serde(default, deserialize_with = "unique::value")]
    pub metadata: Option<serde_json::Value>,
    /// A hint: output tokens that the answer will have.
    pub expected_output_tokens: Option<u32>,
    /// A hint: seconds that the call will take; may be 0.
    pub expected_seconds: Option<f64>,
    /// What all attempts at this task together may cost, in USD.
    pub max_cost: Option<f64>,
    /// Seconds that one attempt may take.
    pub timeout: Option<f64>,
    /// `false` takes the prompt literally, `{{ }}` included.
    pub template: Option<bool>,
}

/// What a task waits for.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "it must be the id of a task, or `{ task, when }`")]
pub enum DependencyFile {
    /// The id of a task that has to succeed.
    Task(String),
    /// A task that may end otherwise too.
    Edge(EdgeFile),
}

/// A task that may end otherwise than by success.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EdgeFile {
    /// Its id.
    pub task: String,
    /// How it may end: `succeeded` (so it is unless told, or unless its `on_failure` is `continue`); `finished`: it may
    /// have failed, and leaves no result then; `any`: it may have been skipped too.
    pub when: Option<When>,
}

impl DependencyFile {
    pub(super) fn task(&self) -> &str {
        match self {
            DependencyFile::Task(task) | DependencyFile::Edge(EdgeFile { task, .. }) => task,
        }
    }

    pub(super) fn when(&self) -> Option<When> {
        match self {
            DependencyFile::Task(_) => None,
            DependencyFile::Edge(edge) => edge.when,
        }
    }
}

impl From<String> for DependencyFile {
    fn from(task: String) -> Self {
        DependencyFile::Task(task)
    }
}

/// What tasks have where they do not say.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// As the task's.
    pub agent: Option<String>,
    /// As the task's.
    pub task_type: Option<String>,
    /// As the task's.
    pub system: Option<String>,
    /// As the task's.
    pub max_tokens: Option<u32>,
    /// As the task's.
    pub temperature: Option<f64>,
    /// As the task's.
    pub output: Option<OutputFile>,
    /// As the task's.
    pub on_failure: Option<OnFailure>,
    /// As the task's.
    pub dedupe: Option<bool>,
    /// As the task's.
    pub priority: Option<i32>,
    /// As the task's.
    pub expected_output_tokens: Option<u32>,
    /// As the task's.
    pub expected_seconds: Option<f64>,
    /// As the task's; each task has its own.
    pub max_cost: Option<f64>,
    /// As the task's.
    pub timeout: Option<f64>,
    /// As the task's.
    pub template: Option<bool>,
}

/// What an answer has to be.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputFile {
    /// A JSON schema: the provider is asked for JSON that fits it, and the answer is held against it. An
    /// answer that does not fit is asked for once more, with what was wrong. Objects that do not say so take
    /// no other fields than they name.
    #[serde(deserialize_with = "unique::value")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub schema: Option<serde_json::Value>,
}

impl PlanFile {
    /// Reads a plan: an object with `tasks` in YAML or JSON, or one task a line in JSONL. A plan
    /// without a name is called as its file is, without directory and extension.
    ///
    /// # Errors
    /// Everything that is wrong with its form, at its place, and the rest for [`Source::check`].
    pub fn read(source: &Source) -> Result<PlanFile, Broken<PlanFile>> {
        let of = |tasks| PlanFile { tasks, ..PlanFile::default() };
        let mut file = match source.format() {
            Format::JsonLines => source.read_lines("tasks").map(of).map_err(|broken| broken.map(of))?,
            Format::Yaml | Format::Json => source.read::<PlanFile>()?,
        };
        file.name.get_or_insert_with(|| {
            let file = source.name().rsplit(['/', '\\']).next().unwrap_or_default();
            let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
            if stem.is_empty() { "plan".into() } else { stem.into() }
        });
        Ok(file)
    }
}
