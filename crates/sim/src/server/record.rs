//! The server as a proxy that keeps what it passes on.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::StreamBody;
use hyper::body::{Frame, Incoming};
use sortie_providers::http::{Passed, Upstream, UpstreamError};
use tokio::sync::mpsc;

use super::clock::Clock;
use super::own::PAGES;
use super::play::{Abort, Body};
use super::{Face, whole};
use crate::record::{Ending, Exchange, Heard, Results, Shelf};
use crate::timeline::ServerRequest;

/// What every connection has a part of.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    pub(super) upstream: Upstream,
    pub(super) shelf: Arc<Shelf>,
    pub(super) clock: Clock,
}

impl Face for Recorder {
    async fn answer(
        self,
        request: Request<Incoming>,
        _: mpsc::UnboundedSender<Abort>,
    ) -> Result<Response<Body>, hyper::Error> {
        let request = whole(request).await?;
        // Another simulator's own pages are nothing that an API says.
        let is_kept = !request.path.starts_with(PAGES);
        let number = is_kept.then(|| self.shelf.number());
        let arrived = self.clock.now();
        let results = Results::of(&request);
        let ServerRequest { method, path, query, mut headers, body } = request.clone();
        if results.is_some() {
            // What is to be changed has to be read.
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        let passed = self.upstream.pass(method, &path, query.as_deref(), &headers, body).await;
        let passed = match passed {
            Ok(passed) => passed,
            Err(error) => return Ok(bad_gateway(&error)),
        };
        let (status, mut headers) = (passed.status, passed.headers.clone());
        let now = self.clock.now().saturating_sub(arrived);
        let heard = Heard {
            status,
            headers: headers.clone(),
            head_at: now,
            chunks: Vec::new(),
            end: Ending::Closed,
            end_at: now,
        };
        if results.is_some() {
            headers.remove(CONTENT_LENGTH);
        }
        let hearing = Hearing { recorder: self, number, arrived, request, results, heard, is_over: false };
        let frames = stream::unfold((passed, hearing), async |(mut passed, mut hearing)| {
            let frame = hearing.next(&mut passed).await?;
            Some((frame, (passed, hearing)))
        });
        let mut response = Response::new(StreamBody::new(Box::pin(frames) as _));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// A reply on its way through. Whatever ends it drops this, and an exchange that was heard to its
/// end is kept; one whose client hung up before is not.
struct Hearing {
    recorder: Recorder,
    /// Among the exchanges that are kept; absent where it is not.
    number: Option<u64>,
    arrived: std::time::Duration,
    request: ServerRequest,
    /// The host that batches are to name, where it may tell of any.
    results: Option<Results>,
    heard: Heard,
    is_over: bool,
}

impl Hearing {
    /// What is passed on next: what comes as it comes, but of batches all at once.
    async fn next(&mut self, passed: &mut Passed) -> Option<io::Result<Frame<Bytes>>> {
        let Some(results) = self.results.clone() else {
            return Some(self.hear(passed).await?.map(Frame::data));
        };
        let mut whole = Vec::new();
        while let Some(heard) = self.hear(passed).await {
            match heard {
                Ok(bytes) => whole.extend_from_slice(&bytes),
                Err(error) => return Some(Err(error)),
            }
        }
        (!whole.is_empty()).then(|| Ok(Frame::data(results.here(&whole))))
    }

    async fn hear(&mut self, passed: &mut Passed) -> Option<io::Result<Bytes>> {
        if self.is_over {
            return None;
        }
        let next = passed.next().await;
        self.heard.end_at = self.recorder.clock.now().saturating_sub(self.arrived);
        match next {
            Ok(Some(bytes)) => {
                self.heard.chunks.push((self.heard.end_at, bytes.clone()));
                // A body with a length is dropped with its last byte, not asked for its end.
                self.is_over = self.promised().is_some_and(|promised| self.length() >= promised);
                Some(Ok(bytes))
            }
            Ok(None) => {
                self.is_over = true;
                None
            }
            Err(error) => {
                (self.is_over, self.heard.end) = (true, Ending::Cut);
                Some(Err(io::Error::other(error)))
            }
        }
    }

    fn promised(&self) -> Option<u64> {
        self.heard.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
    }

    fn length(&self) -> u64 {
        self.heard.chunks.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        if !self.is_over && self.promised() != Some(0) {
            tracing::warn!(number, "an exchange was not kept: its client hung up");
            return;
        }
        let exchange = Exchange::of(&self.request, &self.heard);
        if let Err(error) = self.recorder.shelf.keep(number, &exchange) {
            tracing::error!(error = &error as &dyn std::error::Error, "failed to keep an exchange");
        }
    }
}

/// The reply where the upstream has none: plain text, so that nobody takes it for the API's. It is
/// not kept.
fn bad_gateway(error: &UpstreamError) -> Response<Body> {
    let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
    let text = Bytes::from(format!("failed to {error}{cause}\n"));
    let mut response = Response::new(StreamBody::new(Box::pin(stream::iter([Ok(Frame::data(text))])) as _));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}
