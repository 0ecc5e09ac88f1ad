//! The server as a proxy that keeps what it passes on.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH};
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use sortie_providers::http::Upstream;
use tokio::sync::mpsc;

use super::clock::Clock;
use super::own::PAGES;
use super::pass::{Relay, Through, bad_gateway, relayed};
use super::play::{Abort, Body};
use super::{Face, whole};
use crate::model::most_body;
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
        let request = whole(request, most_body).await?;
        // Another simulator's own pages are nothing that an API says.
        let is_kept = !request.path.starts_with(PAGES);
        let number = is_kept.then(|| self.shelf.number());
        let arrived = self.clock.now();
        let results = Results::of(&request);
        let ServerRequest { method, path, query, mut headers, body } = request.clone();
        // What is kept, and what may be changed, has to be read.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let passed = self.upstream.pass(method, &path, query.as_deref(), &headers, body).await;
        let passed = match passed {
            Ok(passed) => passed,
            // It is not kept.
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
        let through = Through::new(passed);
        let hearing = Hearing { recorder: self, number, arrived, request, results, heard, through };
        Ok(relayed(status, headers, hearing))
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
    through: Through,
}

impl Relay for Hearing {
    /// What comes as it comes, but of batches all at once.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let Some(results) = self.results.clone() else { return self.hear().await };
        let mut whole = Vec::new();
        while let Some(heard) = self.hear().await {
            match heard {
                Ok(bytes) => whole.extend_from_slice(&bytes),
                Err(error) => return Some(Err(error)),
            }
        }
        (!whole.is_empty()).then(|| Ok(results.here(&whole)))
    }
}

impl Hearing {
    async fn hear(&mut self) -> Option<io::Result<Bytes>> {
        if self.through.is_over() {
            return None;
        }
        let next = self.through.next().await;
        self.heard.end_at = self.recorder.clock.now().saturating_sub(self.arrived);
        match next? {
            Ok(bytes) => {
                self.heard.chunks.push((self.heard.end_at, bytes.clone()));
                Some(Ok(bytes))
            }
            Err(error) => {
                self.heard.end = Ending::Cut;
                Some(Err(io::Error::other(error)))
            }
        }
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        if !self.through.is_over() {
            tracing::warn!(number, "an exchange was not kept: its client hung up");
            return;
        }
        let exchange = Exchange::of(&self.request, &self.heard);
        if let Err(error) = self.recorder.shelf.keep(number, &exchange) {
            tracing::error!(error = &error as &dyn std::error::Error, "failed to keep an exchange");
        }
    }
}
