//! The only client sockets. Drives an [`Exchange`] in real time: one call is one HTTP request.
//!
//! Nothing below the run retries, so reqwest is told not to; redirects are not followed, because a
//! redirected request takes `x-api-key` and the prompt along. Dropping a call's future closes its
//! connection.

mod count;
mod endpoint;
mod kept;
mod unpack;
mod upstream;

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::stream;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HeaderValue};
use sortie_core::agent::Timeouts;
use sortie_core::call::Returned;
use sortie_core::failure::{Class, Failure};
use sortie_core::limit::Told;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use crate::dialect::{Request, one_line};
use crate::exchange::{End, Exchange};

use unpack::{Body, Packed};

pub use endpoint::{Endpoint, EndpointError, is_this_machine};
pub use upstream::{Passed, Upstream, UpstreamError, end_to_end};

/// How much of a request's body is handed to the connection at a time. The next slice is taken when
/// the one before has been written, so a request is known not to have been sent whole while a slice
/// is left.
const SLICE: usize = 16 << 10;

/// How long a whole answer waits for the end of its framing, so that its connection can be used
/// again: some servers send it after the last event. It is not part of the answer's time.
const FRAMING_END: Duration = Duration::from_millis(50);

/// How long a connection waits for its next call: less than the 60 s after which common load
/// balancers close theirs, for a request that crosses such a closing is lost.
const IDLE: Duration = Duration::from_secs(30);

/// The client could not be made: no certificates of the system, in general.
#[derive(Debug, thiserror::Error)]
#[error("failed to set up the HTTP client")]
pub struct ClientError(#[source] reqwest::Error);

/// What `sortie check` sees of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It answers, and takes the key; or it lists its models to anybody, as llama.cpp does.
    Ready,
    /// It answers and has no list of models: nothing is known of the key.
    Answers(Failure),
    /// It does not take the key, or has no money for it.
    Refused(Failure),
    /// It answers, and cannot serve now.
    Failing(Failure),
    /// It does not answer.
    Unreachable(Failure),
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Waiting,
    Connected,
    Sent,
}

/// A pool of connections, shared by all endpoints.
#[derive(Clone, Debug)]
pub struct Client {
    /// For other machines, through the proxy that the environment names, if it does.
    remote: reqwest::Client,
    /// For this machine, past any proxy: it would see prompts and keys that are not encrypted. Each
    /// call has a connection of its own, which costs nothing here: llama.cpp was seen to announce
    /// keep-alive and then to close on the next request, which is one that may have been billed.
    local: reqwest::Client,
}

impl Client {
    /// A client that gives up on a connection after `connect`. It installs ring as the process's
    /// TLS provider, unless there is one.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn new(connect: Duration) -> Result<Client, ClientError> {
        // An error says that another provider is installed, which is as good.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        Ok(Client {
            remote: own(connect).build().map_err(ClientError)?,
            local: own(connect).no_proxy().pool_max_idle_per_host(0).build().map_err(ClientError)?,
        })
    }

    /// Sends one request and reads its answer. Never panics, never retries; `total` bounds it all. What
    /// the head of the reply tells of quotas is handed to `tell` as soon as it comes.
    pub async fn call(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        timeouts: Timeouts,
        total: Duration,
        tell: impl FnOnce(Told) + Send,
    ) -> Returned {
        let start = now();
        let system_bytes = request.system.as_ref().map_or(0, String::len);
        let prompt_bytes = (request.prompt.len() + system_bytes) as u64;
        let mut exchange = Exchange::new(endpoint.dialect(), timeouts, total, unix_now(), prompt_bytes);

        let encoded = endpoint.dialect().encode(request, endpoint.variant());
        let mut headers = encoded.headers;
        endpoint.authorize(&mut headers);
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(encoded.body.len()));
        let (progress, watched) = watch::channel(Progress::Waiting);
        let sending = self
            .at(endpoint)
            .post(endpoint.url(encoded.path))
            .headers(headers)
            .body(noted(encoded.body, progress))
            .send();
        let (at, end) = drive(&mut exchange, sending, watched, start, tell).await;
        let mut returned = exchange.end(at, end);
        if let Err(failure) = &mut returned.result {
            endpoint.mask(&mut failure.message);
        }
        returned
    }

    /// Asks for the list of models: whether the endpoint answers and takes the key, at no cost.
    #[expect(clippy::disallowed_methods, reason = "the client's one clock: sockets are in real time")]
    pub async fn probe(&self, endpoint: &Endpoint, within: Duration) -> Probe {
        let mut headers = endpoint.dialect().headers(endpoint.variant());
        endpoint.authorize(&mut headers);
        let sending = self.at(endpoint).get(endpoint.url(endpoint.dialect().models_path())).headers(headers);
        let asked = async {
            let reply = sending.send().await.map_err(why)?;
            // A list of models is no answer: of a success, the status is all that counts.
            let status = reply.status();
            let refused = if status.is_success() { None } else { refusal(endpoint, reply).await };
            Ok::<_, String>(refused.map(|failure| (status.as_u16(), failure)))
        };
        match timeout(within, asked).await {
            Err(_) => {
                let message = format!("no answer within {} s", within.as_secs_f64());
                Probe::Unreachable(Failure::new(Class::Timeout, message))
            }
            Ok(Err(why)) => Probe::Unreachable(Failure::new(Class::Network, why)),
            Ok(Ok(None)) => Probe::Ready,
            Ok(Ok(Some((status, failure)))) => probed(status, failure),
        }
    }

    fn at(&self, endpoint: &Endpoint) -> &reqwest::Client {
        if endpoint.is_loopback() { &self.local } else { &self.remote }
    }
}

/// What an error reply says.
async fn refusal(endpoint: &Endpoint, mut reply: reqwest::Response) -> Option<Failure> {
    let mut decoder = endpoint.dialect().decoder(reply.status().as_u16(), reply.headers(), unix_now());
    while !decoder.is_done() {
        match reply.chunk().await {
            Ok(Some(bytes)) => decoder.push(&bytes),
            Ok(None) | Err(_) => break,
        }
    }
    let mut failure = decoder.finish(true).result.err()?;
    endpoint.mask(&mut failure.message);
    Some(failure)
}

/// What both clients have in common.
fn own(connect: Duration) -> reqwest::ClientBuilder {
    builder(connect).user_agent(concat!("sortie/", env!("CARGO_PKG_VERSION")))
}

/// A client that says nothing of itself.
fn builder(connect: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .connect_timeout(connect)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .pool_idle_timeout(IDLE)
        // As the official SDKs: a connection that a router forgot is noticed in idle waits.
        .tcp_keepalive(Duration::from_secs(60))
}

/// What an error status on the list of models says of the endpoint.
fn probed(status: u16, failure: Failure) -> Probe {
    match failure.class {
        Class::Auth | Class::QuotaGone => Probe::Refused(failure),
        _ if matches!(status, 404 | 405 | 501) => Probe::Answers(failure),
        _ => Probe::Failing(failure),
    }
}

/// Follows one request from its sending to its end: when and how.
#[expect(clippy::disallowed_methods, reason = "the client's one clock: sockets are in real time")]
async fn drive(
    exchange: &mut Exchange,
    sending: impl Future<Output = reqwest::Result<reqwest::Response>>,
    mut watched: watch::Receiver<Progress>,
    start: Instant,
    tell: impl FnOnce(Told),
) -> (Duration, End) {
    let mut sending = pin!(sending);
    let sent = loop {
        tokio::select! {
            biased;
            sent = &mut sending => break Some(sent),
            Ok(()) = watched.changed() => note(exchange, *watched.borrow_and_update(), start),
            () = sleep_until(start + exchange.deadline()) => break None,
        }
    };
    // What was noted at the same moment.
    note(exchange, *watched.borrow_and_update(), start);
    let mut reply = match sent {
        Some(Ok(reply)) => reply,
        Some(Err(error)) if error.is_connect() => return (start.elapsed(), End::NotConnected(why(error))),
        Some(Err(error)) => return (start.elapsed(), End::Broken(why(error))),
        None => return (start.elapsed(), End::Deadline),
    };
    tell(exchange.head(start.elapsed(), reply.status().as_u16(), reply.headers()));
    let mut body = Body::of(reply.headers());
    while !exchange.is_done() {
        tokio::select! {
            biased;
            piece = reply.chunk() => match piece {
                Ok(Some(bytes)) => match unpack(&mut body, &bytes, exchange, start) {
                    Ok(()) => (),
                    Err(why) => return (start.elapsed(), End::Broken(why)),
                },
                Ok(None) => return (start.elapsed(), body.finish().map_or_else(End::Broken, |()| End::Closed)),
                Err(error) => return (start.elapsed(), End::Broken(why(error))),
            },
            () = sleep_until(start + exchange.deadline()) => return (start.elapsed(), End::Deadline),
        }
    }
    let done_at = start.elapsed();
    // The end of the framing comes with the last bytes or right after them; once it is read, the
    // connection serves the next call.
    let _kept = timeout(FRAMING_END, reply.chunk()).await;
    (done_at, End::Closed)
}

/// Hands the bytes over as they unpack, in steps between which the exchange may have had enough.
#[expect(clippy::disallowed_methods, reason = "the client's one clock: sockets are in real time")]
fn unpack(body: &mut Body, bytes: &[u8], exchange: &mut Exchange, start: Instant) -> Result<(), String> {
    for packed in bytes.chunks(SLICE) {
        match body.push(packed) {
            Ok(unpacked) => exchange.bytes(start.elapsed(), &unpacked),
            Err(Packed::Bomb) => {
                exchange.refuse("the compressed reply unpacks to more than 100 times its size");
            }
            Err(Packed::Damaged(why)) => return Err(why),
        }
        if exchange.is_done() {
            break;
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the client's one clock: sockets are in real time")]
fn note(exchange: &mut Exchange, progress: Progress, start: Instant) {
    match progress {
        Progress::Waiting => (),
        Progress::Connected => exchange.connected(start.elapsed()),
        Progress::Sent => exchange.sent(start.elapsed()),
    }
}

/// A body that notes how far it was taken.
///
/// It is asked for only once there is a connection. Its last slice taken means that the request *may*
/// go out whole: that slice is in hyper's buffer then, and what reaches the provider nobody can know.
/// So `Sent` is never noted too late; a request that is lost with its last slice counts as sent.
fn noted(mut rest: Bytes, progress: watch::Sender<Progress>) -> reqwest::Body {
    reqwest::Body::wrap_stream(stream::poll_fn(move |_| {
        let slice = rest.split_to(rest.len().min(SLICE));
        progress.send_replace(if rest.is_empty() { Progress::Sent } else { Progress::Connected });
        Poll::Ready((!slice.is_empty()).then_some(Ok::<_, Infallible>(slice)))
    }))
}

/// The innermost reason of an error; the outer ones say only that a request failed, and name its URL.
fn why(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut inner: &dyn Error = &error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    one_line(&inner.to_string())
}

#[expect(clippy::disallowed_methods, reason = "the client's one clock: sockets are in real time")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "a wait may be named as a date: it is read against the wall")]
fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
