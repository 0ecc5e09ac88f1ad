//! Answers from recorded exchanges, byte for byte and at their own pace.
//!
//! It knows nothing that was not recorded: a request that never was asked is answered 404. The same
//! request asked again is answered as it was the next time; after its last, as then.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use super::masking::Secrets;
use super::shelf::exchanges;
use super::{Answered, Asked, Ending, Exchange, ShelfError};
use crate::server::Api;
use crate::timeline::{Chunk, End, Head, ServerRequest, Timeline};

/// Recorded exchanges, by what was asked.
#[derive(Debug, Default)]
pub struct Replay {
    answers: HashMap<String, Answers>,
}

/// The answers to one request, in their order.
#[derive(Debug, Default)]
struct Answers {
    all: Vec<Answered>,
    given: usize,
}

impl Replay {
    /// The exchanges of a directory.
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
        let asked = Asked::of(request, &Secrets::of(&request.headers, &HeaderMap::new()));
        let Some(answers) = self.answers.get_mut(&asked.same()) else { return unknown(request) };
        let nth = answers.given.min(answers.all.len().saturating_sub(1));
        answers.given += 1;
        answers.all.get(nth).map_or_else(|| unknown(request), timeline)
    }
}

fn timeline(answered: &Answered) -> Timeline {
    let at = Duration::from_micros;
    let status = StatusCode::from_u16(answered.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let chunk =
        |chunk: &super::Piece| Some(Chunk { at: at(chunk.at_us), bytes: chunk.bytes.bytes()?.into() });
    Timeline {
        ticket: None,
        head: Some(Head { at: at(answered.head_at_us), status, headers: answered.header_map() }),
        chunks: answered.chunks.iter().filter_map(chunk).collect(),
        end: match answered.end {
            Ending::Closed => End::Closed(at(answered.end_at_us)),
            Ending::Cut => End::Cut(at(answered.end_at_us)),
        },
    }
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
