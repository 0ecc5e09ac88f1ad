//! What each task came to: `results.jsonl`, and `task_results` of `--json`.
//!
//! Answers are pulled one at a time from whoever keeps them, so a million of them are never in
//! memory together; nothing else in this crate sees an answer but [`crate::show::task`].

use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use sortie_core::hash::Hash;
use sortie_core::money::Usd;
use sortie_core::plan::{Plan, TaskId};
use sortie_core::price::Pricing;
use sortie_core::run::event::Skipped;

use crate::fold::{Fold, Report, Status, TaskView};
use crate::summary::Summary;
use crate::units::{as_dollars, rfc3339, seconds};

/// Where answers are kept: the text of a hash, none where it is not there.
pub type Texts<'a> = &'a dyn Fn(&Hash) -> Option<Arc<str>>;

/// What a task came to: a line of `results.jsonl` (DESIGN.md).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskResult {
    /// The task's id.
    pub task_id: String,
    /// What kind of work.
    pub task_type: String,
    /// Who did it: its agent, or the fallback that its last attempt went to.
    pub agent: String,
    /// The model that answered, as the reply named it; else the agent's.
    pub model: String,
    /// Whether it has its answer.
    pub success: bool,
    /// `succeeded`, `failed`, `skipped`, `pending` (in flight included), or `removed` from the plan.
    pub status: String,
    /// The answer.
    pub result: Option<Arc<str>>,
    /// Why there is none; for a pending task, why its last attempt failed, if one did.
    pub error: Option<TaskError>,
    /// Whether its answer is one that was given before, so that no call was made for it.
    #[serde(default)]
    pub cached: bool,
    /// Who asked for it then: `run ID` or, in the same run, `task ID`.
    #[serde(default)]
    pub cached_from: Option<String>,
    /// Attempts started.
    pub attempts: u32,
    /// Seconds from the moment it became ready to the start of its first attempt.
    pub queued_s: Option<f64>,
    /// Seconds of the attempt that succeeded, else of the last that came back.
    pub latency_s: Option<f64>,
    /// Seconds to the first token of that attempt.
    pub ttft_s: Option<f64>,
    /// Input tokens of all attempts, cached or not.
    pub input_tokens: Option<u64>,
    /// Of these, read from a cache.
    pub cached_input_tokens: Option<u64>,
    /// Output tokens of all attempts.
    pub output_tokens: Option<u64>,
    /// What is known to be spent on all attempts; the lines add up to the summary's `total_cost`.
    #[serde(with = "as_dollars")]
    pub cost_usd: Usd,
    /// Of it, what the providers' usage says.
    #[serde(default, with = "as_dollars")]
    pub actual_usd: Usd,
    /// Of it, what is estimated from what arrived.
    #[serde(default, with = "as_dollars")]
    pub estimated_usd: Usd,
    /// What may have been spent besides, for answers that were lost or cut.
    #[serde(default, with = "as_dollars")]
    pub at_risk_usd: Usd,
    /// Whether the agent has a price; where it has none the amounts are 0 and say nothing.
    #[serde(default = "yes")]
    pub price_known: bool,
    /// Why the model stopped: `stop`, `max_tokens` or the provider's word.
    pub finish_reason: Option<String>,
    /// When the first attempt started, RFC 3339 with microseconds.
    pub started_at: Option<String>,
    /// When the task succeeded or failed.
    pub finished_at: Option<String>,
}

/// Of a line of before it was kept.
const fn yes() -> bool {
    true
}

/// Why a task has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskError {
    /// The failure's class, or `skipped`.
    pub class: String,
    /// What the provider or we said: text from outside, as it came.
    pub message: String,
    /// The HTTP status, where there was one.
    pub http_status: Option<u16>,
}

impl TaskResult {
    /// What this task came to; `result` is its answer's text. None where the plan has no such task, any more, and
    /// nothing was spent on it.
    pub fn of(fold: &Fold, id: TaskId, result: Option<Arc<str>>) -> Option<Self> {
        // One that was taken out of the plan is told for its cost alone.
        let view = fold.tasks().get(id.index())?;
        if view.status == Status::Removed && view.charge.is_zero() {
            return None;
        }
        let plan = &fold.run().plan;
        let task = plan.task(id);
        let agent = view.agent(plan, task.agent);
        let answer = view.answer.as_deref();
        Some(TaskResult {
            task_id: task.name.clone(),
            task_type: task.task_type.clone(),
            agent: agent.name.clone(),
            model: answer.map_or(agent.model.as_str(), |answer| &answer.model).to_owned(),
            success: view.status == Status::Succeeded,
            status: written(view.status).into(),
            result,
            error: error(plan, view),
            cached: view.without_call.is_some(),
            cached_from: view.without_call.as_ref().map(|earlier| earlier.name(plan)),
            attempts: view.attempts,
            queued_s: view.queued.map(seconds),
            latency_s: view.latency().map(seconds),
            ttft_s: view.timing.and_then(|timing| timing.first_token).map(seconds),
            input_tokens: view.usage.map(|usage| usage.total_input()),
            cached_input_tokens: view.usage.map(|usage| usage.cache_read),
            output_tokens: view.usage.map(|usage| usage.output),
            cost_usd: view.cost(),
            actual_usd: view.charge.actual,
            estimated_usd: view.charge.estimated,
            at_risk_usd: view.charge.at_risk,
            price_known: agent.pricing != Pricing::Unknown,
            finish_reason: answer.map(|answer| answer.finish.name().to_owned()),
            started_at: view.started_at.map(rfc3339),
            finished_at: view.finished_at.map(rfc3339),
        })
    }
}

/// The lines of `results.jsonl`, each with its line break, in the order of the plan.
pub fn jsonl<'a>(fold: &'a Fold, texts: Texts<'a>) -> impl Iterator<Item = serde_json::Result<Vec<u8>>> + 'a {
    results(fold, texts).map(|result| {
        let mut line = serde_json::to_vec(&result)?;
        line.push(b'\n');
        Ok(line)
    })
}

/// What `--json` prints: the summary's fields, and `task_results` by task id.
#[derive(Serialize)]
pub struct Document<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    task_results: TaskResults<'a>,
}

impl<'a> Document<'a> {
    /// The document of this report; answers are pulled while it is written.
    pub fn new(report: &'a Report<'a>, texts: Texts<'a>) -> Self {
        Document { summary: &report.summary, task_results: TaskResults { fold: report.fold, texts } }
    }
}

/// Results by task id, in the order of the plan.
struct TaskResults<'a> {
    fold: &'a Fold,
    texts: Texts<'a>,
}

impl Serialize for TaskResults<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.fold.tasks().len()))?;
        for result in results(self.fold, self.texts) {
            map.serialize_entry(&result.task_id, &result)?;
        }
        map.end()
    }
}

fn results<'a>(fold: &'a Fold, texts: Texts<'a>) -> impl Iterator<Item = TaskResult> + 'a {
    fold.run().plan.ids().zip(fold.tasks()).filter_map(move |(id, view)| {
        let text = view.answer.as_ref().and_then(|answer| texts(&answer.output));
        TaskResult::of(fold, id, text)
    })
}

/// A result is written when nobody looks at the run any more: what is in flight is not done.
const fn written(status: Status) -> &'static str {
    match status {
        Status::Running => Status::Pending.name(),
        status => status.name(),
    }
}

fn error(plan: &Plan, view: &TaskView) -> Option<TaskError> {
    if let Some(because) = &view.skipped {
        let message = skipped(plan, because);
        return Some(TaskError { class: Status::Skipped.name().into(), message, http_status: None });
    }
    view.failure.as_ref().map(|failure| TaskError {
        class: failure.class.name().into(),
        message: failure.message.clone(),
        http_status: failure.http_status,
    })
}

/// Why a task was skipped, in a sentence's end: `it depends on design, which failed`.
pub(crate) fn skipped(plan: &Plan, because: &Skipped) -> String {
    match because {
        Skipped::Dependency(on) => {
            let name = plan.tasks().get(on.index()).map_or("an unknown task", |task| &task.name);
            format!("it depends on {name}, which failed")
        }
    }
}

#[cfg(test)]
mod tests;
