//! Answers from recorded exchanges, byte for byte and at their own pace.
//!
//! It knows nothing that was not recorded: a request that never was asked is answered 404. The same
//! request asked again is answered as it was the next time; after its last, as then.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::json;
use sortie_providers::http::end_to_end;

use super::masking::is_masked;
use super::shelf::exchanges;
use super::{Answered, Ending, Exchange, Results, ShelfError, same};
use crate::server::Api;
use crate::timeline::{Chunk, End, Head, ServerRequest, Timeline};

/// Recorded exchanges, by what was asked.
#[derive(Debug, Default)]
pub struct Replay {
    answers: BTreeMap<Vec<u8>, Answers>,
}

/// The answers to one request, in their order.
#[derive(Debug, Default)]
struct Answers {
    all: Vec<Answered>,
    given: usize,
}

impl Replay {
    /// The exchanges of a directory.
    ///
    /// # Errors
    /// Where there is none, and for the first file that is no exchange which can be answered again.
    pub fn open(directory: &Path) -> Result<Self, ShelfError> {
        Ok(exchanges(directory)?.into_iter().collect())
    }

    /// How many exchanges there are.
    pub fn len(&self) -> usize {
        self.answers.values().map(|answers| answers.all.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }
}

impl FromIterator<Exchange> for Replay {
    fn from_iter<I: IntoIterator<Item = Exchange>>(exchanges: I) -> Self {
        let mut replay = Replay::default();
        for exchange in exchanges {
            replay.answers.entry(exchange.request.same()).or_default().all.push(exchange.response);
        }
        replay
    }
}

impl Api for Replay {
    fn handle(&mut self, request: &ServerRequest, _: Duration) -> Timeline {
        let Some(answers) = self.find(request) else { return unknown(request) };
        let nth = answers.given.min(answers.all.len().saturating_sub(1));
        answers.given += 1;
        let Some(answered) = answers.all.get(nth) else { return unknown(request) };
        match Results::of(request) {
            Some(results) => timeline(&results.answered(answered), &request.method),
            None => timeline(answered, &request.method),
        }
    }
}

impl Replay {
    /// The answers to a request: to the same one, else to one that is the same but for what was masked.
    fn find(&mut self, request: &ServerRequest) -> Option<&mut Answers> {
        let ServerRequest { method, path, query, body, .. } = request;
        let asked = same(method.as_str(), path, query.as_deref(), body);
        let known = if self.answers.contains_key(&asked) {
            asked
        } else {
            self.answers.keys().find(|kept| is_masked(kept, &asked))?.clone()
        };
        self.answers.get_mut(&known)
    }
}

fn timeline(answered: &Answered, method: &Method) -> Timeline {
    let at = Duration::from_micros;
    let status = StatusCode::from_u16(answered.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let chunk =
        |chunk: &super::Piece| Some(Chunk { at: at(chunk.at_us), bytes: chunk.bytes.bytes()?.into() });
    let headers = headers(answered, method);
    Timeline {
        ticket: None,
        head: Some(Head { at: at(answered.head_at_us), status, headers }),
        chunks: answered.chunks.iter().filter_map(chunk).collect(),
        end: match answered.end {
            Ending::Closed => End::Closed(at(answered.end_at_us)),
            Ending::Cut => End::Cut(at(answered.end_at_us)),
        },
    }
}

/// The headers that were kept, as they frame this body on this connection. A body that had a length has
/// its own; more is promised only where it broke off, and where nobody asked for a body.
fn headers(answered: &Answered, method: &Method) -> HeaderMap {
    let mut headers = end_to_end(&answered.header_map());
    let Some(told) = headers.remove(CONTENT_LENGTH) else { return headers };
    let length = answered.body().len() as u64;
    let more = told.to_str().ok().and_then(|told| told.parse().ok()).filter(|told| *told > length);
    let promised = match answered.end {
        Ending::Cut => more,
        Ending::Closed => Some(more.filter(|_| *method == Method::HEAD).unwrap_or(length)),
    };
    if let Some(promised) = promised {
        headers.insert(CONTENT_LENGTH, promised.into());
    }
    headers
}

/// The reply to a request that was never recorded, in a form that both official SDKs show.
fn unknown(request: &ServerRequest) -> Timeline {
    let message = format!("no exchange was recorded for {} {} with this body", request.method, request.path);
    let error =
        json!({ "type": "not_found_error", "message": message, "param": null, "code": "not_recorded" });
    let body = json!({ "type": "error", "error": error }).to_string();
    let mut headers = HeaderMap::new();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, body.len().into());
    Timeline::whole(Duration::ZERO, StatusCode::NOT_FOUND, headers, body.into())
}
