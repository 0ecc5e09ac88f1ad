//! The simulator as an HTTP/1.1 server: it reads requests, asks an [`Api`] ([`Model`] or
//! [`crate::record::Replay`]), and plays the timelines that it answers with in real time; or it passes
//! requests on to a real API, and keeps the exchanges or disturbs them ([`proxy`]).
//!
//! It decides nothing. What is sent, when, and how a reply ends is the API's word; here are the
//! sockets, and the only clock of this crate.

mod clock;
mod own;
mod pass;
mod play;
pub mod proxy;
mod record;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sortie_providers::http::Upstream;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

pub use clock::{TimeScale, TimeScaleError};

use crate::ledger::{Delivery, Ticket};
use crate::model::{self, Model};
use crate::record::Shelf;
use crate::scenario::tell_date;
use crate::timeline::{ServerRequest, Timeline};
use clock::Clock;
use play::{Abort, Player};
use record::Recorder;

/// How long replies under way may take to end after the shutdown has begun, in real time: enough for
/// those that are nearly done, no wait for those that stall.
const GRACE: Duration = Duration::from_millis(500);

/// How long accepting rests after it failed (mostly: too many open files), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Who may reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// This machine only: an address that is not loopback is refused.
    Loopback,
    /// Whoever can reach the address. The simulator takes any key and holds what it was sent.
    Network,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Something listens there already.
    #[error("listen on {0}: the port is in use")]
    InUse(SocketAddr),
    /// The address can be reached from other machines, and that was not asked for.
    #[error("listen on {0}: it can be reached from other machines")]
    NotLoopback(SocketAddr),
    /// The system refused.
    #[error("listen on {address}")]
    Io {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// What answers requests: pure, and asked by one request at a time.
pub trait Api: Send + 'static {
    /// The server begins to serve now, Unix time.
    fn begin(&mut self, _now: Duration) {}

    /// The reply to a request that has arrived whole at `now`.
    fn handle(&mut self, request: &ServerRequest, now: Duration) -> Timeline;

    /// The reply with this ticket has ended at `now`.
    fn delivered(&mut self, _ticket: Ticket, _delivery: Delivery, _now: Duration) {}

    /// How long new connections are to be refused from now on, if that was ordered; told once.
    fn take_refusal(&mut self) -> Option<Duration> {
        None
    }
}

impl Api for Model {
    fn begin(&mut self, now: Duration) {
        Model::begin(self, now);
    }

    fn handle(&mut self, request: &ServerRequest, now: Duration) -> Timeline {
        Model::handle(self, request, now)
    }

    fn delivered(&mut self, ticket: Ticket, delivery: Delivery, now: Duration) {
        Model::delivered(self, ticket, delivery, now);
    }

    fn take_refusal(&mut self) -> Option<Duration> {
        Model::take_refusal(self)
    }
}

/// A server that has its address and does not answer yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Takes an address; port 0 is any free one.
    pub async fn bind(address: SocketAddr, exposure: Exposure) -> Result<Self, BindError> {
        if exposure == Exposure::Loopback && !address.ip().is_loopback() {
            return Err(BindError::NotLoopback(address));
        }
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse(address),
            _ => BindError::Io { address, source },
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Server { listener, address })
    }

    /// The address, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` is done, then ends the replies under way within half a second. The
    /// API may be looked at from outside meanwhile.
    pub async fn serve<A: Api>(
        self,
        api: Arc<Mutex<A>>,
        scale: TimeScale,
        shutdown: impl Future<Output = ()>,
    ) {
        let (refuse, refusals) = mpsc::unbounded_channel();
        let stage = Stage { api, clock: Clock::start(scale), refuse, address: self.address };
        stage.api().begin(stage.clock.now());
        self.accept(stage, refusals, shutdown).await;
    }

    /// Passes all requests on to an upstream until `shutdown` is done, and keeps the exchanges.
    pub async fn record(self, upstream: Upstream, shelf: Shelf, shutdown: impl Future<Output = ()>) {
        let recorder = Recorder { upstream, shelf: Arc::new(shelf), clock: Clock::start(TimeScale::REAL) };
        let (_never, refusals) = mpsc::unbounded_channel();
        self.accept(recorder, refusals, shutdown).await;
    }

    /// `refusals` say for how long, in real time, nobody is to listen.
    async fn accept(
        self,
        face: impl Face,
        mut refusals: mpsc::UnboundedReceiver<Duration>,
        shutdown: impl Future<Output = ()>,
    ) {
        let Server { mut listener, address } = self;
        let (stop, stopping) = watch::channel(());
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(time) = refusals.recv() => {
                    drop(listener);
                    tokio::select! {
                        () = &mut shutdown => break,
                        again = listening_after(time, address) => listener = again,
                    }
                }
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => { connections.spawn(converse(face.clone(), stream, stopping.clone())); }
                    Err(error) => {
                        tracing::warn!(%error, "failed to accept a connection");
                        clock::rest(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(stop);
        let ended = async { while connections.join_next().await.is_some() {} };
        if !clock::ends_within(GRACE, ended).await {
            connections.shutdown().await;
        }
    }
}

/// Listens at this address again, after some real time. Somebody else may have taken it meanwhile, and
/// may give it back.
async fn listening_after(time: Duration, address: SocketAddr) -> TcpListener {
    clock::rest(time).await;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => {
                tracing::warn!(%error, "failed to listen again");
                clock::rest(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// How requests are answered on all connections.
trait Face: Clone + Send + 'static {
    /// The reply to one request. `abort` ends its connection against the protocol.
    fn answer(
        self,
        request: Request<Incoming>,
        abort: mpsc::UnboundedSender<Abort>,
    ) -> impl Future<Output = Result<Response<play::Body>, hyper::Error>> + Send;
}

/// Where an API's timelines are played.
#[derive(Debug)]
struct Stage<A> {
    api: Arc<Mutex<A>>,
    clock: Clock,
    /// For how long nobody is to listen, in real time.
    refuse: mpsc::UnboundedSender<Duration>,
    /// Where it listens.
    address: SocketAddr,
}

impl<A> Clone for Stage<A> {
    fn clone(&self) -> Self {
        let (api, refuse) = (Arc::clone(&self.api), self.refuse.clone());
        Stage { api, clock: self.clock, refuse, address: self.address }
    }
}

impl<A: Api> Stage<A> {
    /// The API. A panic while it was held is a bug that was reported already; its counts are still
    /// worth showing.
    fn api(&self) -> MutexGuard<'_, A> {
        self.api.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: Api> Face for Stage<A> {
    /// It is never there where the timeline has no reply.
    async fn answer(
        self,
        request: Request<Incoming>,
        abort: mpsc::UnboundedSender<Abort>,
    ) -> Result<Response<play::Body>, hyper::Error> {
        let request = whole(request, model::most_body).await?;
        let arrived = self.clock.now();
        let refused = own::refused(&request, self.address);
        let timeline = refused.unwrap_or_else(|| self.api().handle(&request, arrived));
        if let Some(time) = self.api().take_refusal() {
            // Nobody hears of it once the server stops.
            let _ = self.refuse.send(self.clock.real(time));
        }
        let player = Player::new(self.clone(), arrived, timeline);
        let mut response = player.play(abort).await;
        // The model names one where its clock is meant to be wrong.
        if !response.headers().contains_key(http::header::DATE) {
            tell_date(response.headers_mut(), self.clock.now());
        }
        Ok(response)
    }
}

/// One connection, until either side ends it.
async fn converse(face: impl Face, stream: TcpStream, mut stopping: watch::Receiver<()>) {
    // Without it, small events would wait for acknowledgements and lose their times.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "failed to send small pieces at once");
    }
    let (abort, mut aborted) = mpsc::unbounded_channel();
    let service = service_fn(move |request| Box::pin(face.clone().answer(request, abort.clone())));
    let mut connection =
        http1::Builder::new().auto_date_header(false).serve_connection(TokioIo::new(stream), service);
    let mut ending = false;
    let how = loop {
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                return;
            }
            Some(how) = aborted.recv() => break how,
            // An error says that the server stops: its sender is gone.
            Err(_) = stopping.changed(), if !ending => {
                std::pin::Pin::new(&mut connection).graceful_shutdown();
                ending = true;
            }
        }
    };
    let stream = connection.into_parts().io.into_inner();
    match how {
        Abort::Close => {}
        Abort::Reset => {
            if let Err(error) = stream.set_zero_linger() {
                tracing::debug!(%error, "failed to reset a connection");
            }
        }
    }
}

/// Reads a request to its end. Of a body that is longer than it may be at its path, only as much is kept as tells the
/// model or the upstream so; the rest is read all the same, because a client that is still sending would miss the
/// reply.
async fn whole(
    request: Request<Incoming>,
    most: impl FnOnce(&str) -> usize,
) -> Result<ServerRequest, hyper::Error> {
    let (head, mut incoming) = request.into_parts();
    let most = most(head.uri.path());
    let mut body = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        if let Ok(bytes) = frame?.into_data() {
            let kept = bytes.len().min((most + 1).saturating_sub(body.len()));
            body.extend_from_slice(&bytes[..kept]);
        }
    }
    Ok(ServerRequest {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers: head.headers,
        body: body.freeze(),
    })
}

#[cfg(test)]
mod tests;
