//! Responses that are kept, and those in the background (`background: true`): asked for once, polled
//! until they are there. As the official SDKs ask for them (`resources/responses`) and OpenAI's guide to
//! the background mode describes.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use sortie_providers::dialect::Dialect;

use super::{Answer, Job, Kept, Said, kept, unknown};
use crate::fault::Fault;
use crate::ledger::{Entry, Generation};
use crate::model::asked::Asked;
use crate::model::reply::Try;
use crate::model::{Asker, Model, Refusal, gzip, json_headers, twist};
use crate::timeline::{End, ServerRequest, Timeline};

/// The dialect of responses.
const DIALECT: &str = "openai-responses";

/// `GET /v1/responses/{id}`.
pub(in crate::model) fn get(
    kept: &mut Kept,
    asker: &Asker<'_>,
    id: &str,
    now: Duration,
) -> Result<Value, Box<Refusal>> {
    let answer = kept.find(asker, DIALECT, id, now).ok_or_else(|| unknown(asker, "Response", id))?;
    if asker.request.query.as_deref().is_some_and(|query| query.contains("stream=true")) {
        // A client that is told so polls.
        let why = if answer.is_streamed {
            "its events are not kept here"
        } else {
            "it was not created with 'stream'"
        };
        let message = format!("This response cannot be streamed: {why}.");
        return Err(Refusal::says(asker.dialect, 400, message).about("stream"));
    }
    Ok(answer.shown(now))
}

/// `POST /v1/responses/{id}/cancel`; of one that is cancelled nothing changes.
pub(in crate::model) fn cancel(
    kept: &mut Kept,
    asker: &Asker<'_>,
    id: &str,
    now: Duration,
) -> Result<Value, Box<Refusal>> {
    let answer = kept.find(asker, DIALECT, id, now).ok_or_else(|| unknown(asker, "Response", id))?;
    let done = answer.done;
    match &mut answer.job {
        // As several servers of this API say it.
        None => Err(Refusal::says(asker.dialect, 400, "Cannot cancel a synchronous response.")),
        Some(job) if job.cancelled.is_none() && done <= now => {
            Err(Refusal::says(asker.dialect, 400, "Cannot cancel a response that is already completed."))
        }
        Some(job) => {
            job.cancelled.get_or_insert(now);
            Ok(answer.shown(now))
        }
    }
}

/// `DELETE /v1/responses/{id}`. What is under way goes on and is billed.
pub(in crate::model) fn delete(
    model: &mut Model,
    asker: &Asker<'_>,
    id: &str,
    now: Duration,
) -> Result<Value, Box<Refusal>> {
    let answer = model.kept.find(asker, DIALECT, id, now).ok_or_else(|| unknown(asker, "Response", id))?;
    if let Some((entry, generation)) = answer.job.as_mut().and_then(|job| job.bill.take()) {
        model.ledger.done(entry, &generation, None);
        model.kept.open -= 1;
    }
    model.kept.remove(|answer| answer.id == id);
    Ok(json!({"id": id, "object": "response", "deleted": true}))
}

/// The request with what was said before it: the items of the response that it continues, those of the
/// one before that included, and what that has answered. Its own instructions stay its own (OpenAI's
/// reference of `previous_response_id`); all that is read is billed as input.
pub(super) fn continued<'a>(
    kept: &Kept,
    dialect: &dyn Dialect,
    request: &'a ServerRequest,
    key: &str,
    now: Duration,
) -> Result<Cow<'a, ServerRequest>, Box<Refusal>> {
    let as_it_is = Ok(Cow::Borrowed(request));
    if dialect.name() != DIALECT {
        return as_it_is;
    }
    let mut body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let Some(id) = body["previous_response_id"].as_str() else { return as_it_is };
    // By itself first: what is wrong with it is named by where it stands in it.
    dialect.read(&request.headers, &request.body).map_err(Refusal::new)?;
    // One in the background that was not to be stored is there only to be polled.
    let is_stored = |answer: &Answer| answer.body["store"] != false;
    let is_meant = |answer: &&Answer| {
        answer.id == id && answer.key == key && answer.dialect == DIALECT && is_stored(answer)
    };
    let previous = kept.answers.iter().find(is_meant).filter(|answer| answer.is_whole(now));
    let previous = previous.ok_or_else(|| {
        let message = format!("Previous response with id '{id}' not found.");
        let refusal = Refusal::says(dialect, 400, message);
        refusal.coded("previous_response_not_found").about("previous_response_id")
    })?;
    let answered = previous.body["output"].as_array().into_iter().flatten();
    let items = previous.said.items.iter().chain(answered).cloned().chain(items(&body["input"]));
    body["input"] = Value::Array(items.collect());
    // All of the conversation is here: nothing that it lacks may be looked for elsewhere.
    body["previous_response_id"] = Value::Null;
    Ok(Cow::Owned(ServerRequest { body: body.to_string().into(), ..request.clone() }))
}

/// The items of an input: a text is one of the user's.
fn items(input: &Value) -> Vec<Value> {
    match input {
        Value::Array(items) => items.clone(),
        Value::String(text) if text.is_empty() => Vec::new(),
        text => vec![json!({"role": "user", "content": text})],
    }
}

/// What is kept of the request of a response.
pub(super) fn said(asked: &Asked) -> Said {
    if asked.dialect.name() != DIALECT {
        return Said::default();
    }
    let body: Value = serde_json::from_slice(&asked.told).unwrap_or_default();
    Said { items: items(&body["input"]), bytes: asked.told.len(), ..Said::default() }
}

impl Answer {
    /// Whether the response is there, and was neither cancelled nor failed.
    fn is_whole(&self, now: Duration) -> bool {
        let status = self.shown(now)["status"].clone();
        self.done <= now && (status == "completed" || status == "incomplete")
    }

    /// The response as it is at this time.
    fn shown(&self, now: Duration) -> Value {
        let Some(job) = &self.job else { return self.body.clone() };
        let status = match job.cancelled {
            Some(at) if at < self.done => "cancelled",
            _ if self.done <= now => return self.body.clone(),
            _ if now < job.begins => "queued",
            _ => "in_progress",
        };
        let mut shown = self.body.clone();
        shown["status"] = json!(status);
        shown["output"] = json!([]);
        for unknown_yet in ["usage", "incomplete_details", "error"] {
            shown[unknown_yet] = Value::Null;
        }
        shown
    }
}

impl Model {
    /// Bills what background responses came to by now: those that are done, and those that were
    /// cancelled as far as they were. Every request does this first.
    pub(in crate::model) fn settle_jobs(&mut self, now: Duration) {
        let Model { kept, ledger, .. } = self;
        if kept.open == 0 {
            return;
        }
        for answer in &mut kept.answers {
            let done = answer.done;
            let Some(job) = &mut answer.job else { continue };
            let until = job.cancelled.filter(|at| *at < done);
            if until.is_none() && now < done {
                continue;
            }
            if let Some((entry, generation)) = job.bill.take() {
                let arrived = Duration::from_micros(entry.arrived_us);
                ledger.done(entry, &generation, until.map(|at| at.saturating_sub(arrived)));
                kept.open -= 1;
            }
        }
    }

    /// Takes a response in that nobody waits for; the reply says that it is queued.
    ///
    /// A fault that breaks off an answer leaves no trace here: what was taken in goes on. `midstream`
    /// lets it fail, `lost` loses the reply and not the response.
    pub(in crate::model) fn take_job(
        &mut self,
        this: &Try,
        headers: HeaderMap,
        (key, body): (&str, Bytes),
        (entry, generation): (Entry, Option<Generation>),
        now: Duration,
    ) -> Timeline {
        let network = this.asked.network;
        let mut answer = kept(this, (key, body), now, None);
        if matches!(this.fault, Fault::Midstream(_)) {
            let error = this.asked.dialect.usual_error(500);
            answer.body["status"] = json!("failed");
            answer.body["error"] = json!({"code": "server_error", "message": error.message});
            answer.body["output"] = json!([]);
            answer.body["usage"] = Value::Null;
        }
        // Cancelled, it is billed as far as it was.
        let pace = this.asked.pace;
        let paced = |generation| Generation { pace: Some(pace), pieces: pace.pieces, ..generation };
        let bill = generation.map(|generation| (entry, paced(generation)));
        answer.job = Some(Job { begins: now + this.asked.pace.first / 2, cancelled: None, bill });
        let shown = Bytes::from(answer.shown(now).to_string());
        self.kept.keep(answer);
        if this.fault == Fault::Lost {
            return Timeline::silent(End::Reset(network));
        }
        let shown = twist::body(&this.fault, shown);
        let reply = Timeline::whole(network, StatusCode::OK, json_headers(headers), shown);
        if this.fault == Fault::Gzip { gzip::compressed(reply) } else { reply }
    }
}
