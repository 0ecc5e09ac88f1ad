//! OpenAI's batches: requests in a file, answers in another (official SDKs' `types/batch.py`, OpenAI's
//! guide to batches).

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use sortie_core::usage::Usage;
use sortie_providers::dialect::{Dialect, check_metadata};

use super::{Asker, Batch, Item, Model, Outcome, Refusal, Written, lines};
use crate::answer::BYTES_PER_TOKEN;
use crate::model::is_anthropic;
use crate::model::page::{Limits, Page};
use crate::model::throttle::grouped;
use sortie_providers::models::class;

/// What ids of batches begin with.
const PREFIX: &str = "batch_";

/// What batches are of, as the API lists it (recorded by users), but only what is taken here: what answers
/// prompts.
const ENDPOINTS: &str = "'/v1/chat/completions' and '/v1/responses'";

/// The part of its time that a batch is validated in, and as much at its end is it finalized in: one
/// in so many.
const EDGE: u32 = 10;

/// Batches of a page.
const PAGE: Limits = Limits { usual: 20, most: 100 };

/// What only this provider's batches have.
#[derive(Debug, Default)]
pub(super) struct Job {
    endpoint: String,
    input: String,
    metadata: Value,
    /// What is wrong with the input; such a batch fails before any request is made.
    problems: Vec<Value>,
    /// The ids of the files that it has written.
    output: Option<String>,
    errors: Option<String>,
}

/// `POST /v1/batches`.
pub(in crate::model) fn create(
    model: &mut Model,
    asker: &Asker<'_>,
    now: Duration,
) -> Result<Value, Box<Refusal>> {
    let invalid = |message: String| Refusal::says(asker.dialect, 400, message);
    let body: Value = serde_json::from_slice(&asker.request.body)
        .map_err(|error| invalid(format!("We could not parse the JSON body of your request: {error}")))?;
    let text = |name: &str| {
        let missing = || invalid(format!("Missing required parameter: '{name}'."));
        body[name].as_str().ok_or_else(|| missing().coded("missing_required_parameter").about(name))
    };
    let unknown = |name: &str, message: String| invalid(message).coded("invalid_value").about(name);
    let (input, endpoint) = (text("input_file_id")?, text("endpoint")?);
    let window = text("completion_window")?;
    if window != "24h" {
        let message = format!("Invalid value: '{window}'. Supported values are: '24h'.");
        return Err(unknown("completion_window", message));
    }
    let answering =
        model.dialects.iter().copied().find(|other| other.path() == endpoint && !is_anthropic(*other));
    let answering = answering.ok_or_else(|| {
        let message = format!("Invalid value: '{endpoint}'. Supported values are: {ENDPOINTS}.");
        unknown("endpoint", message)
    })?;
    check_metadata(&body["metadata"]).map_err(Refusal::new)?;
    let file = model.files.find(asker, input)?;
    if file.purpose != "batch" {
        let message = format!("Invalid file purpose '{}' for Batch API. Must be 'batch'.", file.purpose);
        return Err(invalid(message).about("input_file_id"));
    }
    let (written, problems) = match lines::written(&file.content, endpoint) {
        Ok(written) => (written, Vec::new()),
        Err(problems) => (Vec::new(), problems),
    };
    let (written, problems) = match model.over_enqueued(asker, &written, now) {
        Some(problem) => (Vec::new(), vec![problem]),
        None => (written, problems),
    };
    let batch = model.open_batch(PREFIX, answering, asker, written, now);
    if !problems.is_empty() {
        batch.ends = batch.in_progress_at();
    }
    batch.job = Job {
        endpoint: endpoint.to_owned(),
        input: input.to_owned(),
        metadata: body["metadata"].clone(),
        problems,
        output: None,
        errors: None,
    };
    Ok(shown(batch, now))
}

/// `GET /v1/batches`.
pub(in crate::model) fn list(model: &Model, asker: &Asker<'_>, now: Duration) -> Result<Value, Box<Refusal>> {
    let items = model.batches.of(asker.key, PREFIX).map(|batch| shown(batch, now)).collect();
    let page = Page::of(items, &PAGE, asker)?;
    let [first, last] = page.ends();
    let (data, more) = (page.items, page.has_more);
    Ok(json!({"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": more}))
}

/// `GET /v1/batches/{id}`.
pub(in crate::model) fn get(
    model: &mut Model,
    asker: &Asker<'_>,
    id: &str,
    now: Duration,
) -> Result<Value, Box<Refusal>> {
    Ok(shown(model.batches.find(asker, id)?, now))
}

/// `POST /v1/batches/{id}/cancel`.
pub(in crate::model) fn cancel(
    model: &mut Model,
    asker: &Asker<'_>,
    id: &str,
    now: Duration,
) -> Result<Value, Box<Refusal>> {
    let batch = model.batches.find(asker, id)?;
    if batch.has_ended(now) {
        let status = batch.status(now);
        return Err(Refusal::says(
            asker.dialect,
            409,
            format!("Cannot cancel a batch with status '{status}'."),
        ));
    }
    batch.cancelled.get_or_insert(now);
    Ok(shown(batch, now))
}

impl Model {
    /// What is wrong with a batch whose input is more than its account may have in batches under way: a
    /// quota of each class of models, as users of OpenAI's batches have shown it. It fails as a whole.
    fn over_enqueued(&self, asker: &Asker<'_>, written: &[Written], now: Duration) -> Option<Value> {
        let most = self.scenario.batches.enqueued_tokens?;
        let mut enqueued: BTreeMap<String, u64> = BTreeMap::new();
        let under_way = self.batches.of(asker.key, PREFIX).filter(|batch| !batch.has_ended(now));
        for item in under_way.flat_map(|batch| &batch.items) {
            if let Outcome::Answered { usage, entry, .. } = &item.outcome {
                *enqueued.entry(class(&entry.model)).or_default() += usage.total_input();
            }
        }
        for written in written {
            let body: Value = serde_json::from_slice(&written.body).unwrap_or_default();
            let model = class(body["model"].as_str().unwrap_or_default());
            // An estimate, as that of a provider which has not read the prompts yet.
            let tokens = enqueued.entry(model).or_default();
            *tokens += written.body.len() as u64 / BYTES_PER_TOKEN;
        }
        let (model, _) = enqueued.into_iter().find(|(_, tokens)| *tokens > most)?;
        let message = format!(
            "Enqueued token limit reached for {model} in organization org-simulated. Limit: {} enqueued \
             tokens. Please try again once some in_progress batches have been completed.",
            grouped(most)
        );
        Some(json!({"code": "token_limit_exceeded", "message": message, "param": null, "line": null}))
    }

    /// Writes the files of a batch that has ended: what was answered, and what was not.
    pub(super) fn write_files(&mut self, at: usize, now: Duration) {
        let Some(batch) = self.batches.batches.get(at).filter(|batch| !batch.job.endpoint.is_empty()) else {
            return;
        };
        let Some(dialect) =
            self.dialects.iter().copied().find(|dialect| dialect.path() == batch.job.endpoint)
        else {
            return;
        };
        let (mut answers, mut errors) = (String::new(), String::new());
        for (item, is_done) in batch.results() {
            let (file, line) = match &item.outcome {
                Outcome::Answered { .. } if is_done => (&mut answers, output_line(dialect, item)),
                Outcome::Refused(_) if is_done => (&mut errors, output_line(dialect, item)),
                _ => (&mut errors, unmade_line(item, batch.has_expired())),
            };
            *file += &line.to_string();
            file.push('\n');
        }
        let (key, id) = (batch.key.clone(), batch.id.clone());
        let mut file = |which: &str, text: String| {
            let name = format!("{id}_{which}.jsonl");
            (!text.is_empty()).then(|| self.keep_file(&key, &name, "batch_output", Bytes::from(text), now))
        };
        let (output, errors) = (file("output", answers), file("error", errors));
        if let Some(batch) = self.batches.batches.get_mut(at) {
            (batch.job.output, batch.job.errors) = (output, errors);
        }
    }
}

/// The line of a request that was made, whatever came of it.
fn output_line(dialect: &dyn Dialect, item: &Item) -> Value {
    let request_id = format!("req_{:016x}", item.place);
    let (status, body) = match &item.outcome {
        Outcome::Never => return unmade_line(item, true),
        Outcome::Answered { body, .. } => (200, body.clone()),
        Outcome::Refused(error) => {
            let body = dialect.error_body(error, &request_id);
            (error.status, serde_json::from_slice(&body).unwrap_or_default())
        }
    };
    let response = json!({"status_code": status, "request_id": request_id, "body": body});
    json!({"id": line_id(item), "custom_id": item.custom_id, "response": response, "error": null})
}

/// The line of a request that was not made. That of one that expired is as OpenAI's guide shows it.
fn unmade_line(item: &Item, has_expired: bool) -> Value {
    let error = if has_expired {
        let message = "This request could not be executed before the completion window expired.";
        json!({"code": "batch_expired", "message": message})
    } else {
        let message = "This request was not made: its batch was cancelled.";
        json!({"code": "batch_cancelled", "message": message})
    };
    json!({"id": line_id(item), "custom_id": item.custom_id, "response": null, "error": error})
}

fn line_id(item: &Item) -> String {
    format!("batch_req_{:016x}", item.place)
}

impl Batch {
    fn edge(&self) -> Duration {
        self.ends.saturating_sub(self.created) / EDGE
    }

    fn in_progress_at(&self) -> Duration {
        self.created + self.edge()
    }

    fn finalizing_at(&self) -> Duration {
        self.ends.saturating_sub(self.edge())
    }

    fn status(&self, now: Duration) -> &'static str {
        match (self.has_ended(now), self.cancelled) {
            (true, _) if self.has_expired() && self.job.problems.is_empty() => "expired",
            (true, Some(_)) => "cancelled",
            (false, Some(_)) => "cancelling",
            (true, None) if self.job.problems.is_empty() => "completed",
            (true, None) => "failed",
            (false, None) if now < self.in_progress_at() || !self.job.problems.is_empty() => "validating",
            (false, None) if now < self.finalizing_at() || self.has_stuck() => "in_progress",
            (false, None) => "finalizing",
        }
    }
}

/// Tokens of reasoning, in the usage of either API.
fn reasoning(usage: &Value) -> u64 {
    let details = ["completion_tokens_details", "output_tokens_details"].map(|name| &usage[name]);
    details.iter().filter_map(|details| details["reasoning_tokens"].as_u64()).sum()
}

/// What a batch has come to by now: how many of its requests, and what they used.
fn counted(batch: &Batch, now: Duration) -> (Value, Value) {
    let until = if now < batch.finalizing_at() { now } else { batch.ends };
    let (mut completed, mut refused, mut used, mut cached, mut thought) = (0, 0, Usage::default(), 0, 0);
    for (item, _) in batch.worked_by(until).filter(|(_, is_done)| *is_done) {
        match &item.outcome {
            Outcome::Answered { usage, body, .. } => {
                completed += 1;
                thought += reasoning(&body["usage"]);
                used.input += usage.total_input();
                used.output += usage.output;
                cached += usage.cache_read;
            }
            Outcome::Refused(_) => refused += 1,
            Outcome::Never => {}
        }
    }
    let counts = json!({"total": batch.items.len(), "completed": completed, "failed": refused});
    let usage = json!({
        "input_tokens": used.input,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": used.output,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": used.input + used.output,
    });
    (counts, usage)
}

/// The batch as it is told.
fn shown(batch: &Batch, now: Duration) -> Value {
    let status = batch.status(now);
    let failed = status == "failed";
    let (counts, usage) = counted(batch, now);
    let model = batch.items.iter().find_map(|item| match &item.outcome {
        Outcome::Answered { entry, .. } => Some(&entry.model),
        Outcome::Refused(_) | Outcome::Never => None,
    });
    let reached = |at: Duration| {
        (at <= now && at <= batch.expires && !failed && batch.job.problems.is_empty()).then_some(at.as_secs())
    };
    let before_cancel = |at: Duration| batch.cancelled.is_none_or(|cancelled| at < cancelled);
    let ended_as = |word: &str| (status == word).then(|| batch.ended_at().as_secs());
    let errors = json!({"object": "list", "data": batch.job.problems});
    json!({
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.job.endpoint,
        "model": model,
        "errors": failed.then_some(errors),
        "input_file_id": batch.job.input,
        "completion_window": "24h",
        "status": status,
        "output_file_id": batch.job.output,
        "error_file_id": batch.job.errors,
        "created_at": batch.created.as_secs(),
        "in_progress_at": Some(batch.in_progress_at()).filter(|at| before_cancel(*at)).and_then(reached),
        "expires_at": batch.expires.as_secs(),
        "finalizing_at": Some(batch.finalizing_at()).filter(|at| before_cancel(*at)).and_then(reached),
        "completed_at": ended_as("completed"),
        "failed_at": ended_as("failed"),
        "expired_at": ended_as("expired"),
        "cancelling_at": batch.cancelled.map(|at| at.as_secs()),
        "cancelled_at": ended_as("cancelled"),
        "request_counts": counts,
        "usage": usage,
        "metadata": batch.job.metadata,
    })
}
