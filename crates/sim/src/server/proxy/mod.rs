//! A proxy on this machine that makes faults between a client and a real API, and counts them.
//!
//! What it passes on it passes on as it came: the client's headers, its key among them, those of the connection
//! apart; streams piece by piece. It understands of a call only whose it is, to refuse it in the provider's words. It
//! logs and keeps neither keys nor what is said.

mod counts;
mod faults;
mod twist;

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use sortie_core::hash::Hash;
use sortie_providers::dialect::{self, Dialect};
use sortie_providers::http::{Passed, Upstream, UpstreamError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::clock::Clock;
use super::pass::{Relay, Through, at_once, bad_gateway, promised, relayed};
use super::play::{Abort, Body, abandon};
use super::{BindError, Exposure, Face, Server, TimeScale, whole};
use crate::fault::Fault;
use crate::model;
use crate::scenario::tell_date;
use crate::timeline::{ServerRequest, Timeline};

pub use counts::Counts;
pub use faults::{Faults, FaultsError};

use counts::{Asked, Book, Ending};
use faults::{Break, Deed, Place};
use twist::{Handing, Twist};

/// The longest body that is passed on, in bytes: that of the longest file that either provider takes. Of a longer
/// one so much is that the upstream refuses it.
const MOST_BODY: usize = 512 << 20;

/// What versions of an API begin with; a base URL in the form of OpenAI's SDK has it, and some servers have another.
const VERSION: &str = "/v1";

/// A proxy before one base URL, as long as this is there.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    book: Book,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and passes requests on to the upstream: a request for a path is one for
    /// the same path behind its base URL. Faults keep their times by `scale`. Needs a tokio runtime.
    ///
    /// # Errors
    /// Where the system gives no port.
    pub async fn start(upstream: Upstream, faults: Faults, scale: TimeScale) -> Result<Proxy, BindError> {
        let any = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        let server = Server::bind(any, Exposure::Loopback).await?;
        let (address, book) = (server.address(), Book::default());
        let clock = Clock::start(scale);
        let between =
            Between { upstream, faults: Arc::new(faults), book: book.clone(), clock, start: clock.now() };
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(async move {
            let (_never, refusals) = mpsc::unbounded_channel();
            server.accept(between, refusals, async { drop(stopped.await) }).await;
        });
        Ok(Proxy { address, book, stop, ended })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What stands in for the upstream's base URL: `http://127.0.0.1:40123`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was counted until now.
    pub fn counts(&self) -> Counts {
        self.book.counts()
    }

    /// Stops listening, lets replies under way end within half a second, and gives what was counted.
    pub async fn stop(self) -> Counts {
        // An error says that it has ended already.
        let _ = self.stop.send(());
        if let Err(error) = self.ended.await {
            tracing::error!(error = &error as &dyn std::error::Error, "the proxy ended early");
        }
        self.book.counts()
    }
}

/// What every connection has a part of.
#[derive(Clone, Debug)]
struct Between {
    upstream: Upstream,
    faults: Arc<Faults>,
    book: Book,
    clock: Clock,
    start: Duration,
}

impl Face for Between {
    async fn answer(
        self,
        request: Request<Incoming>,
        abort: mpsc::UnboundedSender<Abort>,
    ) -> Result<Response<Body>, hyper::Error> {
        let request = whole(request, |_| MOST_BODY).await?;
        self.book.came();
        let path = self.upstream.path(&request.path);
        Ok(match called(dialect::ALL, &request.method, &path) {
            Some(dialect) => self.call(dialect, request, abort).await,
            None => self.pass(request).await,
        })
    }
}

/// The dialect of a call: that of its path behind the base URL. A server that has no `/v1` has what follows it.
fn called(
    dialects: &'static [&'static dyn Dialect],
    method: &Method,
    path: &str,
) -> Option<&'static dyn Dialect> {
    let ends = |dialect: &&&dyn Dialect| {
        let own = dialect.path();
        path.ends_with(own.strip_prefix(VERSION).unwrap_or(own))
    };
    dialects.iter().find(ends).copied().filter(|_| method == Method::POST)
}

impl Between {
    /// What is no call goes through as it is.
    async fn pass(&self, request: ServerRequest) -> Response<Body> {
        match self.ask(request).await {
            Ok(passed) => relayed(passed.status, passed.headers.clone(), Plain(Through::new(passed))),
            Err(error) => bad_gateway(&error),
        }
    }

    async fn ask(&self, request: ServerRequest) -> Result<Passed, UpstreamError> {
        let ServerRequest { method, path, query, headers, body } = request;
        self.upstream.pass(method, &path, query.as_deref(), &headers, body).await
    }

    async fn call(
        &self,
        dialect: &dyn Dialect,
        request: ServerRequest,
        abort: mpsc::UnboundedSender<Abort>,
    ) -> Response<Body> {
        let content = Hash::of(&[request.path.as_bytes(), b"\n", &request.body[..]].concat());
        let nth = self.book.called(content);
        let now = self.clock.now();
        let elapsed = now.saturating_sub(self.start);
        let (fault, deed) = self.faults.draw(model::provider(dialect), &content, nth, elapsed);
        let id = format!("req_{:.24}", content.to_string());
        if let Some(error) = model::error_reply(&fault, dialect, &id, now) {
            self.book.done(&fault);
            return told(error, now);
        }
        if let Deed::Abandon(how) = deed {
            self.book.done(&fault);
            return abandon(how, &abort).await;
        }
        let asked = self.book.ask();
        let point = self.faults.point(&content, nth);
        self.hand_on(request, asked, (fault, deed, point), abort).await
    }

    /// Asks the upstream, and hands its answer on as the fault has it. What is no success is handed on as it is: there
    /// is nothing to lose in it.
    async fn hand_on(
        &self,
        request: ServerRequest,
        mut asked: Asked,
        (fault, deed, point): (Fault, Deed, u64),
        abort: mpsc::UnboundedSender<Abort>,
    ) -> Response<Body> {
        let passed = match self.ask(request).await {
            Ok(passed) => passed,
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "the upstream did not reply");
                asked.ending = Ending::Broken;
                // An error in words would say that nothing was generated, which nobody knows.
                return abandon(Some(Abort::Close), &abort).await;
            }
        };
        let (status, mut headers) = (passed.status, passed.headers.clone());
        asked.heard(status.as_u16());
        let mut through = Through::new(passed);
        let mut twist = None;
        match deed {
            Deed::Delay(time) => {
                asked.book.done(&fault);
                self.clock.until(self.clock.now() + time).await;
            }
            Deed::Lose if status.is_success() => {
                while through.next().await.is_some_and(|piece| piece.is_ok()) {}
                asked.cut(&fault);
                return abandon(Some(Abort::Reset), &abort).await;
            }
            Deed::Break(how, place) if status.is_success() => {
                let middle = promised(&headers).map_or(point, |length| length / 2);
                if how == Break::End {
                    headers.remove(CONTENT_LENGTH);
                }
                let at = if place == Place::Head { 0 } else { middle };
                twist = Some(Twist { at, how, fault });
            }
            _ => {}
        }
        let handing =
            Handing { through, asked, clock: self.clock, abort, twist, held: VecDeque::new(), sent: 0 };
        relayed(status, headers, handing)
    }
}

/// An error that nobody was asked for.
fn told(error: Timeline, now: Duration) -> Response<Body> {
    let body: Vec<u8> = error.chunks.iter().flat_map(|chunk| chunk.bytes.iter().copied()).collect();
    let (status, mut headers) = error.head.map_or_else(Default::default, |head| (head.status, head.headers));
    tell_date(&mut headers, now);
    at_once(status, headers, body.into())
}

/// A reply that nothing is done to.
struct Plain(Through);

impl Relay for Plain {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        Some(self.0.next().await?.map_err(io::Error::other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_by_the_end_of_its_path() {
        let check = |method: Method, path: &str, expect: Option<&str>| {
            let found = called(dialect::ALL, &method, path).map(Dialect::name);
            assert_eq!(found, expect, "{method} {path}");
        };
        check(Method::POST, "/v1/messages", Some("anthropic"));
        check(Method::POST, "/v1/chat/completions", Some("openai"));
        check(Method::POST, "/openai/deployments/gpt/chat/completions", Some("openai"));
        check(Method::POST, "/api/v1/responses", Some("openai-responses"));
        check(Method::GET, "/v1/chat/completions", None);
        check(Method::POST, "/v1/messages/count_tokens", None);
        check(Method::POST, "/v1/messages/batches", None);
        check(Method::POST, "/v1/responses/input_tokens", None);
        check(Method::POST, "/v1/responses/r/cancel", None);
    }
}
