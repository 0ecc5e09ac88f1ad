//! A task of the library's face.

use std::time::Duration;

use sortie_core::plan::written::{DependencyFile, EdgeFile, TaskFile};
use sortie_core::plan::{OnFailure, When};

/// One prompt to one agent.
///
/// Its id is what other tasks and the result call it: 1 to 128 printable characters, unique in a
/// run. A prompt of more than 100,000 characters, an empty one or an empty type fails the task
/// before anything is sent, and the others go on; all else that is wrong refuses the whole run,
/// everything at once, as [`Error::Plan`](crate::Error::Plan).
///
/// ```
/// use std::time::Duration;
/// use sortie::Task;
///
/// let review = Task::new("review", "Review this code:\n{{ results['impl-a'] }}")
///     .task_type("testing")
///     .depends_on(["impl-a"])
///     .max_tokens(600)
///     .timeout(Duration::from_secs(90))
///     .max_cost(0.05);
/// # let _ = review;
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a task does nothing until a scheduler runs it"]
pub struct Task(pub(super) TaskFile);

impl Task {
    /// A task; `{{ results.ID }}` in its prompt becomes the result of task `ID`, which it must
    /// depend on, directly or not.
    pub fn new(id: impl Into<String>, prompt: impl Into<String>) -> Self {
        Task(TaskFile { id: id.into(), prompt: prompt.into(), ..TaskFile::default() })
    }

    /// What kind of work it is: `analysis`, `design`, `coding`, `testing`, …; `general` unless
    /// told. Routes to an agent, groups in reports.
    pub fn task_type(mut self, task_type: impl Into<String>) -> Self {
        self.0.task_type = Some(task_type.into());
        self
    }

    /// What has to succeed first, besides what was named before. Where one of these fails, this
    /// task is skipped.
    pub fn depends_on<I: Into<String>>(mut self, ids: impl IntoIterator<Item = I>) -> Self {
        let ids = ids.into_iter().map(|id| id.into().into());
        self.0.depends_on.get_or_insert_default().extend(ids);
        self
    }

    /// The same for a task that may end otherwise too; where it leaves no result, nothing is inserted for it.
    pub fn depends_on_when(mut self, id: impl Into<String>, when: When) -> Self {
        let edge = EdgeFile { task: id.into(), when: Some(when) };
        self.0.depends_on.get_or_insert_default().push(DependencyFile::Edge(edge));
        self
    }

    /// What its failure means for the rest; unless told, what depends on it is skipped.
    pub fn on_failure(mut self, then: OnFailure) -> Self {
        self.0.on_failure = Some(then);
        self
    }

    /// Who does it; else the agent that its type is routed to, else the default agent.
    pub fn agent(mut self, name: impl Into<String>) -> Self {
        self.0.agent = Some(name.into());
        self
    }

    /// The system prompt, in place of the agent's.
    pub fn system(mut self, prompt: impl Into<String>) -> Self {
        self.0.system = Some(prompt.into());
        self
    }

    /// Output tokens that the answer may have, at least 1; the agent's unless told.
    pub fn max_tokens(mut self, tokens: u32) -> Self {
        self.0.max_tokens = Some(tokens);
        self
    }

    /// Sampling temperature, 0 to 2, in place of the agent's. Recent models refuse it.
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.0.temperature = Some(temperature);
        self
    }

    /// Higher goes first among ready tasks; 0 unless told.
    pub fn priority(mut self, priority: i32) -> Self {
        self.0.priority = Some(priority);
        self
    }

    /// How long one call may take, more than zero; by `max_tokens` unless told, at least 60 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.0.timeout = Some(timeout.as_secs_f64());
        self
    }

    /// What all its calls together may cost, in USD from 0. A call that could cost more is not
    /// sent, and the task fails.
    pub fn max_cost(mut self, usd: f64) -> Self {
        self.0.max_cost = Some(usd);
        self
    }

    /// A hint: how many output tokens its answer will have. Orders the queue.
    pub fn expected_output_tokens(mut self, tokens: u32) -> Self {
        self.0.expected_output_tokens = Some(tokens);
        self
    }

    /// A hint: how long its call will take; a plan file's `expected_seconds`. Orders the queue.
    pub fn expected_duration(mut self, duration: Duration) -> Self {
        self.0.expected_seconds = Some(duration.as_secs_f64());
        self
    }

    /// Anything of the caller's own, kept with the run.
    pub fn metadata(mut self, metadata: impl Into<serde_json::Value>) -> Self {
        self.0.metadata = Some(metadata.into());
        self
    }

    /// Takes the prompt as it is: `{{ }}` means nothing in it.
    pub fn literal(mut self) -> Self {
        self.0.template = Some(false);
        self
    }
}

impl From<TaskFile> for Task {
    fn from(written: TaskFile) -> Self {
        Task(written)
    }
}
