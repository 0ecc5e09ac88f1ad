//! Replies that come through from an upstream: what a proxy that keeps them and one that disturbs them have in
//! common.

use std::io;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::StreamBody;
use hyper::body::Frame;
use sortie_providers::http::{Passed, UpstreamError};

use super::play::Body;

/// An upstream's reply on its way through, piece by piece as it comes.
pub(super) struct Through {
    passed: Passed,
    promised: Option<u64>,
    came: u64,
    is_over: bool,
}

impl Through {
    pub(super) fn new(passed: Passed) -> Self {
        let promised = promised(&passed.headers);
        Through { passed, promised, came: 0, is_over: promised == Some(0) }
    }

    /// The next bytes; none at the end.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, UpstreamError>> {
        if self.is_over {
            return None;
        }
        match self.passed.next().await {
            Ok(Some(bytes)) => {
                self.came += bytes.len() as u64;
                // A body with a length is dropped with its last byte, not asked for its end.
                self.is_over = self.promised.is_some_and(|promised| self.came >= promised);
                Some(Ok(bytes))
            }
            Ok(None) => {
                self.is_over = true;
                None
            }
            Err(error) => {
                self.is_over = true;
                Some(Err(error))
            }
        }
    }

    /// Whether nothing more comes, be it that it broke off.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }
}

/// The length that a body is said to have.
pub(super) fn promised(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What is handed to a client of an upstream's reply.
pub(super) trait Relay: Send + 'static {
    /// The next bytes; none at the end, and an error where it is cut off.
    fn next(&mut self) -> impl Future<Output = Option<io::Result<Bytes>>> + Send;
}

/// A reply whose body is handed on as it comes.
pub(super) fn relayed(status: StatusCode, headers: HeaderMap, relay: impl Relay) -> Response<Body> {
    let frames = stream::unfold(relay, |mut relay| async move {
        let bytes = relay.next().await?;
        Some((bytes.map(Frame::data), relay))
    });
    let mut response = Response::new(StreamBody::new(Box::pin(frames) as _));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// A reply that is there whole.
pub(super) fn at_once(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let mut response = Response::new(StreamBody::new(Box::pin(stream::iter([Ok(Frame::data(body))])) as _));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The reply where the upstream has none: plain text, so that nobody takes it for the API's.
pub(super) fn bad_gateway(error: &UpstreamError) -> Response<Body> {
    let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/plain"))]);
    at_once(StatusCode::BAD_GATEWAY, headers, format!("failed to {error}{cause}\n").into())
}
