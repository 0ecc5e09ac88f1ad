//! Threads: conversations that Anthropic holds between their turns, so that each request says only what is
//! new (`thread`, of the beta `message-threads-2026-08-12`). As Anthropic's guide to message threads and
//! the official SDKs' `lib/threads` have them; all that a model reads is billed as if it were said again.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Value, json};
use sortie_providers::dialect::{Dialect, WireError};

use super::{Answer, Kept, Said};
use crate::model::Refusal;
use crate::model::asked::Asked;
use crate::timeline::ServerRequest;

/// How long a thread is held from its last answer on.
const HELD: Duration = Duration::from_secs(5 * 60);

/// What a thread keeps from its first turn on, and no later one says again.
const GIVEN_ONCE: [&str; 2] = ["system", "tools"];

/// What every turn of a thread has to say alike.
const ALIKE: &str = "output_config";

/// The request with what its thread has said before.
pub(super) fn continued<'a>(
    kept: &Kept,
    dialect: &dyn Dialect,
    request: &'a ServerRequest,
    key: &str,
    now: Duration,
) -> Result<Cow<'a, ServerRequest>, Box<Refusal>> {
    let mut body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let (kind, id) = (&body["thread"]["type"], &body["thread"]["previous_message_id"]);
    let (Some("continue"), Some(id), Some(new)) = (kind.as_str(), id.as_str(), body["messages"].as_array())
    else {
        return Ok(Cow::Borrowed(request));
    };
    let previous = found(kept, dialect, (id, key), now)?;
    check_alike(dialect, &body, &previous.said)?;
    let answer = json!({"role": "assistant", "content": previous.body["content"]});
    let before = previous.said.items.iter().cloned().map(unmarked);
    body["messages"] = before.chain([answer]).chain(new.iter().cloned()).collect();
    for field in GIVEN_ONCE {
        if !previous.said.shared[field].is_null() {
            body[field] = previous.said.shared[field].clone();
        }
    }
    Ok(Cow::Owned(ServerRequest { body: body.to_string().into(), ..request.clone() }))
}

/// The answer that is to be gone on from: the last one of a thread that is still held.
fn found<'a>(
    kept: &'a Kept,
    dialect: &dyn Dialect,
    (id, key): (&str, &str),
    now: Duration,
) -> Result<&'a Answer, Box<Refusal>> {
    let of_thread = |answer: &&Answer| answer.key == key && answer.dialect == dialect.name();
    let refuse = |status: u16, code: &str, message: &str| {
        Refusal::new(WireError { message: message.to_owned(), ..dialect.usual_error(status) }).coded(code)
    };
    let is_held = |answer: &&Answer| answer.done <= now && now <= answer.done + HELD;
    let previous = kept.answers.iter().filter(of_thread).find(|answer| answer.id == id).filter(is_held);
    let next = kept.answers.iter().filter(of_thread).find(|next| next.said.continues.as_deref() == Some(id));
    match (previous, next) {
        (None, _) => Err(refuse(
            404,
            "thread_not_found",
            "No thread state was found for the requested `previous_message_id`. Replay the full conversation \
             with thread: {\"type\": \"create\"} to start a new Thread.",
        )),
        (Some(previous), None) => Ok(previous),
        (Some(_), Some(next)) if now < next.done => Err(refuse(
            400,
            "thread_continue_in_flight",
            "Another request is still continuing from the same `previous_message_id`. Wait for it to complete \
             and continue from its response `id`.",
        )),
        _ => Err(refuse(
            400,
            "thread_already_continued",
            "The response that `previous_message_id` names has already been continued. Continue from the \
             Thread's most recent response `id`.",
        )),
    }
}

/// Refuses what a thread has from its first turn, and what differs from that. That both are refused is
/// told by the SDKs' source; the words are ours.
fn check_alike(dialect: &dyn Dialect, body: &Value, said: &Said) -> Result<(), Box<Refusal>> {
    if let Some(field) = GIVEN_ONCE.into_iter().find(|field| !body[*field].is_null()) {
        let message =
            format!("thread: `{field}` is what the thread was created with and cannot be given again");
        return Err(Refusal::says(dialect, 400, message));
    }
    if body[ALIKE] != said.shared[ALIKE] {
        let message = format!("thread: the request differs from its thread; differing field(s): {ALIKE}");
        return Err(Refusal::says(dialect, 400, message).coded("thread_fingerprint_mismatch"));
    }
    Ok(())
}

/// A turn without the marks of what a cache was to keep when it was new.
fn unmarked(mut turn: Value) -> Value {
    fn unmark(content: &mut Value) {
        for block in content.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            block.remove("cache_control");
            block.get_mut("content").into_iter().for_each(unmark);
        }
    }
    unmark(&mut turn["content"]);
    turn
}

/// What is kept of a request that goes on in a thread.
pub(super) fn said(asked: &Asked) -> Said {
    let mut body: Value = serde_json::from_slice(&asked.told).unwrap_or_default();
    let continues = body["thread"]["previous_message_id"].as_str().map(str::to_owned);
    let items = match body["messages"].take() {
        Value::Array(turns) => turns,
        _ => Vec::new(),
    };
    let mut shared = json!({});
    for field in GIVEN_ONCE.into_iter().chain([ALIKE]) {
        shared[field] = body[field].take();
    }
    Said { items, shared, continues, bytes: asked.told.len() }
}
