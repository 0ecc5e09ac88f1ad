//! The endpoints of both providers as their official SDKs call them, without a socket.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by where it panics")]

mod answers;
mod batch_files;
mod batches;
mod errors;
mod functions;
mod kept;
mod lists;
mod quotas;
mod refusals;
mod threads;

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;
use sortie_sim::ledger::Delivery;
use sortie_sim::timeline::{End, ServerRequest, Timeline};
use sortie_sim::{Model, Scenario};

pub(crate) const NOON: Duration = Duration::from_secs(1_795_435_200);

pub(crate) const ANTHROPIC: &[(&str, &str)] =
    &[("x-api-key", "sk-test"), ("anthropic-version", "2023-06-01"), ("host", "127.0.0.1:8080")];
pub(crate) const OPENAI: &[(&str, &str)] = &[("authorization", "Bearer sk-test")];

pub(crate) fn calm() -> Model {
    Model::new(Scenario::named("calm").unwrap(), 7)
}

/// A whole reply: its status, its headers and its body. It is delivered at once.
pub(crate) fn raw(
    model: &mut Model,
    headers: &[(&str, &str)],
    (method, path): (Method, &str),
    body: impl Into<bytes::Bytes>,
    now: Duration,
) -> (u16, HeaderMap, String) {
    let header = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
    };
    let headers: HeaderMap = headers.iter().map(header).collect();
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let request = ServerRequest {
        method,
        path: path.to_owned(),
        query: query.map(str::to_owned),
        headers,
        body: body.into(),
    };
    let timeline = model.handle(&request, now);
    if let (Some(ticket), End::Closed(at)) = (timeline.ticket, timeline.end) {
        model.delivered(ticket, Delivery::Whole, now + at);
    }
    let Timeline { head, chunks, .. } = timeline;
    let bytes: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.bytes.to_vec()).collect();
    let head = head.unwrap();
    (head.status.as_u16(), head.headers, String::from_utf8(bytes).unwrap())
}

/// The same without its headers.
pub(crate) fn reply(
    model: &mut Model,
    headers: &[(&str, &str)],
    asked: (Method, &str),
    body: impl Into<bytes::Bytes>,
    now: Duration,
) -> (u16, String) {
    let (status, _, body) = raw(model, headers, asked, body, now);
    (status, body)
}

/// The JSON that a request with a JSON body gets, which has to be of this status.
pub(crate) fn json_of(
    model: &mut Model,
    headers: &[(&str, &str)],
    (method, path): (Method, &str),
    body: &Value,
    (now, status): (Duration, u16),
) -> Value {
    let sent = if body.is_null() { String::new() } else { body.to_string() };
    let (found, reply) = reply(model, headers, (method, path), sent, now);
    assert_eq!(found, status, "{path} {body}: {reply}");
    serde_json::from_str(&reply).unwrap_or_else(|error| panic!("{path}: {error}: {reply}"))
}
