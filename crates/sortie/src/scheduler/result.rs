//! What a run of the library's face came to.

use std::collections::BTreeMap;
use std::ops::Deref;

use serde::Serialize;
use sortie_engine::driver::Ended;
use sortie_engine::store::Store;
use sortie_report::results::TaskResult;
use sortie_report::summary::Summary;

use crate::error::Error;
use crate::session::Done;

/// What a run came to: all fields of its [`Summary`], to which it derefs, and each task's result.
///
/// | field | type | meaning |
/// | --- | --- | --- |
/// | `success` | `bool` | whether all tasks succeeded |
/// | `error` | `Option<String>` | in a line, why not all did |
/// | `task_results` | map of [`TaskResult`] | by task id: `success`, `result`, `error`, … |
/// | `total_duration` | [`Duration`](std::time::Duration) | of the run, all its sessions together |
/// | `execution_history` | `Vec<String>` | task ids in the order they succeeded or failed |
/// | `total_tasks`, `successful_tasks` | `u64` | `failed_tasks`, `skipped_tasks` and `pending_tasks` are the rest |
/// | `success_rate` | `Option<f64>` | percent, 0 to 100, of all tasks |
/// | `avg_duration` | `Option<Duration>` | mean of a task, from its first call to its end |
/// | `total_cost` | [`Usd`](sortie_core::money::Usd) | what is known to be spent |
/// | `cost_per_task` | `Option<Usd>` | that, shared by the tasks that made a call |
///
/// Averages are `None` where there is nothing to share by. Serialised it is the document that
/// `sortie run --json` prints: durations in seconds, money in US dollars.
///
/// ```
/// # use sortie::{Agent, Scheduler, Task};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sortie::Error> {
/// # let scheduler = Scheduler::new().agent("claude", Agent::anthropic("claude-sonnet-5-5")).simulate("calm");
/// let result = scheduler.run([Task::new("a", "Name a colour."), Task::new("b", "")]).await?;
/// assert!(!result.success);
/// assert_eq!((result.successful_tasks, result.total_tasks, result.success_rate), (1, 2, Some(50.0)));
/// for (id, task) in &result.task_results {
///     match &task.error {
///         None => println!("{id} after {:?} s: {:?}", task.latency_s, task.result),
///         Some(error) => println!("{id} failed as {}: {}", error.class, error.message),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Serialize)]
pub struct RunResult {
    #[serde(flatten)]
    summary: Summary,
    /// By task id; every task of the run is here, whatever became of it.
    pub task_results: BTreeMap<String, TaskResult>,
    /// How the run came to its end: as it should, or stopped by the budget, a provider, its
    /// timeout or a signal.
    #[serde(skip)]
    pub ended: Ended,
}

impl RunResult {
    /// Reads all results of a run that was driven.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn of<S: Store>(done: &Done<S>) -> Result<Self, Error> {
        let mut task_results = BTreeMap::new();
        for id in done.fold.run().plan.ids() {
            if let Some(result) = done.result(id).await? {
                task_results.insert(result.task_id.clone(), result);
            }
        }
        let summary = done.fold.summary(done.fold.last_time());
        Ok(RunResult { summary, task_results, ended: done.ended.clone() })
    }

    /// The text of a task that succeeded.
    pub fn text(&self, task_id: &str) -> Option<&str> {
        self.task_results.get(task_id)?.result.as_deref()
    }

    /// The run in figures.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }
}

impl Deref for RunResult {
    type Target = Summary;
    fn deref(&self) -> &Summary {
        &self.summary
    }
}
