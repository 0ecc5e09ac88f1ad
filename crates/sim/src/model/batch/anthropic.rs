//! Anthropic's Message Batches (official SDKs' `types/messages/*`, Anthropic's documentation of batch
//! processing).

use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use serde_json::{Value, json};
use sortie_providers::dialect::Dialect;

use super::{Asker, Batch, Model, Outcome, Refusal, Written, repeated};
use crate::model::page::{Limits, Page};
use crate::model::rfc3339;
use crate::timeline::ServerRequest;

/// What ids of batches begin with.
const PREFIX: &str = "msgbatch_";

/// Requests of a batch, at most (Anthropic's documentation of rate limits).
const MOST_REQUESTS: usize = 100_000;

/// The longest name of a request, in characters. That it is so, and of which characters, is common
/// knowledge and not in the documentation.
const LONGEST_ID: usize = 64;

/// Batches of a page.
const PAGE: Limits = Limits { usual: 20, most: 1_000 };

/// `POST /v1/messages/batches`.
pub(in crate::model) fn create(
    model: &mut Model,
    asker: &Asker<'_>,
    now: Duration,
) -> Result<Value, Box<Refusal>> {
    let written = written(asker.dialect, &asker.request.body)?;
    check_queue(model, asker, written.len(), now)?;
    let batch = model.open_batch(PREFIX, asker.dialect, asker, written, now);
    Ok(shown(batch, asker.request, now))
}

/// An account may have so many requests in batches under way (Anthropic's documentation of rate limits;
/// the words are ours).
fn check_queue(model: &Model, asker: &Asker<'_>, more: usize, now: Duration) -> Result<(), Box<Refusal>> {
    let Some(most) = model.scenario.batches.queued_requests else { return Ok(()) };
    let queued = model.batches.queued(asker.key, PREFIX, now);
    if (queued + more) as u64 <= most {
        return Ok(());
    }
    let message = format!(
        "This request would exceed your organization's limit of {most} batch requests in the processing queue"
    );
    let ends = model.batches.of(asker.key, PREFIX).map(Batch::ended_at).filter(|at| *at > now).min();
    let refusal = Refusal::says(asker.dialect, 429, message);
    Err(match ends {
        Some(at) => refusal
            .with_header(model.scenario.retry_after.header(at.saturating_sub(now), model.told_time(now))),
        None => refusal,
    })
}

fn written(dialect: &dyn Dialect, body: &[u8]) -> Result<Vec<Written>, Box<Refusal>> {
    let invalid = |message: String| Refusal::says(dialect, 400, message);
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| invalid(format!("The request body is not valid JSON: {error}")))?;
    check_known("", &body, &["requests"]).map_err(invalid)?;
    let requests =
        body["requests"].as_array().ok_or_else(|| invalid("requests: Field required".to_owned()))?;
    if requests.is_empty() || requests.len() > MOST_REQUESTS {
        let count = requests.len();
        return Err(invalid(format!(
            "requests: List should have from 1 to {MOST_REQUESTS} items, not {count}"
        )));
    }
    let mut written = Vec::with_capacity(requests.len());
    for (i, request) in requests.iter().enumerate() {
        let field = |name: &str| format!("requests.{i}.{name}");
        check_known(&field(""), request, &["custom_id", "params"]).map_err(invalid)?;
        let id = request["custom_id"]
            .as_str()
            .ok_or_else(|| invalid(format!("{}: Field required", field("custom_id"))))?;
        let is_named = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if id.is_empty() || id.len() > LONGEST_ID || !id.chars().all(is_named) {
            let pattern = format!("^[a-zA-Z0-9_-]{{1,{LONGEST_ID}}}$");
            return Err(invalid(format!("{}: String should match pattern '{pattern}'", field("custom_id"))));
        }
        if !request["params"].is_object() {
            return Err(invalid(format!("{}: Field required", field("params"))));
        }
        let body = Bytes::from(request["params"].to_string());
        written.push(Written { custom_id: id.to_owned(), body });
    }
    match repeated(written.iter().map(|written| written.custom_id.as_str())) {
        None => Ok(written),
        Some(id) => Err(invalid(format!("requests: the custom_id '{id}' is not unique"))),
    }
}

/// Says what is in an object, whose path goes before its fields, that may not be there.
fn check_known(path: &str, object: &Value, known: &[&str]) -> Result<(), String> {
    match object.as_object().into_iter().flatten().find(|(name, _)| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some((extra, _)) => Err(format!("{path}{extra}: Extra inputs are not permitted")),
    }
}

/// `GET /v1/messages/batches`.
pub(in crate::model) fn list(model: &Model, asker: &Asker<'_>, now: Duration) -> Result<Value, Box<Refusal>> {
    let items = model.batches.of(asker.key, PREFIX).map(|batch| shown(batch, asker.request, now)).collect();
    let page = Page::of(items, &PAGE, asker)?;
    let [first, last] = page.ends();
    Ok(json!({"data": page.items, "has_more": page.has_more, "first_id": first, "last_id": last}))
}

/// `GET /v1/messages/batches/{id}`.
pub(in crate::model) fn get(
    model: &mut Model,
    asker: &Asker<'_>,
    id: &str,
    now: Duration,
) -> Result<Value, Box<Refusal>> {
    Ok(shown(model.batches.find(asker, id)?, asker.request, now))
}

/// `POST /v1/messages/batches/{id}/cancel`; of a batch that is being cancelled nothing changes.
pub(in crate::model) fn cancel(
    model: &mut Model,
    asker: &Asker<'_>,
    id: &str,
    now: Duration,
) -> Result<Value, Box<Refusal>> {
    let batch = model.batches.find(asker, id)?;
    if batch.has_ended(now) {
        let message = format!("Batch {id} cannot be canceled because it has already ended.");
        return Err(Refusal::says(asker.dialect, 400, message));
    }
    batch.cancelled.get_or_insert(now);
    Ok(shown(batch, asker.request, now))
}

/// `DELETE /v1/messages/batches/{id}`; only what has ended can go.
pub(in crate::model) fn delete(
    model: &mut Model,
    asker: &Asker<'_>,
    id: &str,
    now: Duration,
) -> Result<Value, Box<Refusal>> {
    if !model.batches.find(asker, id)?.has_ended(now) {
        let message = format!("Batch {id} cannot be deleted while it is in progress; cancel it first.");
        return Err(Refusal::says(asker.dialect, 400, message));
    }
    model.batches.batches.retain(|batch| batch.id != id);
    Ok(json!({"id": id, "type": "message_batch_deleted"}))
}

/// `GET /v1/messages/batches/{id}/results`: a line of JSON for each request.
pub(in crate::model) fn results(
    model: &mut Model,
    asker: &Asker<'_>,
    id: &str,
    now: Duration,
) -> Result<Bytes, Box<Refusal>> {
    let batch = model.batches.find(asker, id)?;
    if !batch.has_ended(now) {
        let message = format!("Batch {id} has no available results: it is still processing.");
        return Err(Refusal::says(asker.dialect, 400, message));
    }
    let mut lines = String::new();
    for (item, is_done) in batch.results() {
        let result = match &item.outcome {
            _ if !is_done && batch.has_expired() => json!({"type": "expired"}),
            _ if !is_done => json!({"type": "canceled"}),
            Outcome::Never => json!({"type": "canceled"}),
            Outcome::Answered { body, .. } => json!({"type": "succeeded", "message": body}),
            Outcome::Refused(error) => {
                let body = asker.dialect.error_body(error, asker.id);
                let error: Value = serde_json::from_slice(&body).unwrap_or_default();
                json!({"type": "errored", "error": error})
            }
        };
        lines += &json!({"custom_id": item.custom_id, "result": result}).to_string();
        lines.push('\n');
    }
    Ok(lines.into())
}

/// The batch as it is told. Until it has ended, all counts but one are zero, however far it is.
fn shown(batch: &Batch, request: &ServerRequest, now: Duration) -> Value {
    let has_ended = batch.has_ended(now);
    let mut counts = [0_u64; 5];
    for (item, is_done) in batch.worked() {
        counts[match (has_ended, is_done, &item.outcome) {
            (false, ..) => 0,
            (true, true, Outcome::Answered { .. }) => 1,
            (true, true, Outcome::Refused(_)) => 2,
            (true, false, _) if batch.has_expired() => 4,
            (true, false, _) | (true, true, Outcome::Never) => 3,
        }] += 1;
    }
    let [processing, succeeded, errored, canceled, expired] = counts;
    let status = match (has_ended, batch.cancelled) {
        (true, _) => "ended",
        (false, Some(_)) => "canceling",
        (false, None) => "in_progress",
    };
    json!({
        "id": batch.id,
        "type": "message_batch",
        "processing_status": status,
        "request_counts": {
            "processing": processing,
            "succeeded": succeeded,
            "errored": errored,
            "canceled": canceled,
            "expired": expired,
        },
        "created_at": rfc3339(batch.created),
        "expires_at": rfc3339(batch.expires),
        "ended_at": has_ended.then(|| rfc3339(batch.ended_at())),
        "cancel_initiated_at": batch.cancelled.map(rfc3339),
        "archived_at": null,
        "results_url": has_ended.then(|| results_url(batch, request)),
    })
}

/// Where the results are, on the host that was asked: official SDKs follow it with their key.
fn results_url(batch: &Batch, request: &ServerRequest) -> String {
    let host = request.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    format!("http://{host}/v1/messages/batches/{}/results", batch.id)
}
