//! Plays one timeline onto a connection, and tells the model how it ended.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http::Response;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::sync::mpsc;

use super::{Api, Stage};
use crate::ledger::{Delivery, Ticket};
use crate::timeline::{Chunk, End, Timeline};

/// How a connection is ended against the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Abort {
    Close,
    Reset,
}

/// A reply's body as it comes; an error in it cuts the connection off.
pub(super) type Body = StreamBody<std::pin::Pin<Box<dyn Stream<Item = io::Result<Frame<Bytes>>> + Send>>>;

/// Ends a connection like this, or lets it stall, and never comes back: the connection drops what waits for it.
pub(super) async fn abandon<T>(how: Option<Abort>, abort: &mpsc::UnboundedSender<Abort>) -> T {
    if let Some(how) = how {
        // The connection outlives its replies; should it not, there is nothing to abort.
        let _ = abort.send(how);
    }
    std::future::pending().await
}

/// The error of a body that cuts its connection off, once what was sent before has left the buffer: it does when the
/// body has nothing for a moment.
pub(super) async fn cut_off() -> io::Error {
    tokio::task::yield_now().await;
    io::ErrorKind::ConnectionAborted.into()
}

/// A timeline on its way. Whatever ends the reply drops this, and the model is told: the last byte
/// handed over, a client that hung up (hyper drops the reply of a connection that is gone), or the
/// server's end.
pub(super) struct Player<A: Api> {
    stage: Stage<A>,
    arrived: Duration,
    ticket: Option<Ticket>,
    delivery: Delivery,
    timeline: Timeline,
}

impl<A: Api> Player<A> {
    pub(super) fn new(stage: Stage<A>, arrived: Duration, timeline: Timeline) -> Self {
        Player { stage, arrived, ticket: timeline.ticket, delivery: Delivery::Broken, timeline }
    }

    async fn until(&self, offset: Duration) {
        self.stage.clock.until(self.arrived + offset).await;
    }

    /// Waits for the head. Without one, this ends the connection as the timeline says, and never
    /// comes back: the connection drops it.
    pub(super) async fn play(mut self, abort: mpsc::UnboundedSender<Abort>) -> Response<Body> {
        let Some(head) = self.timeline.head.take() else {
            let how = match self.timeline.end {
                End::Closed(at) | End::Cut(at) => Some((at, Abort::Close)),
                End::Reset(at) => Some((at, Abort::Reset)),
                End::Stall => None,
            };
            if let Some((at, _)) = how {
                self.until(at).await;
            }
            return abandon(how.map(|(_, how)| how), &abort).await;
        };
        self.until(head.at).await;
        let mut response = Response::new(self.into_body(abort));
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        response
    }

    fn into_body(mut self, abort: mpsc::UnboundedSender<Abort>) -> Body {
        let chunks = std::mem::take(&mut self.timeline.chunks).into_iter();
        let frames = stream::unfold(Some((self, chunks, abort)), async |state| {
            let (mut player, mut chunks, abort) = state?;
            let Some(Chunk { at, bytes }) = chunks.next() else {
                return player.end(&abort).await.map(|error| (Err(error), None));
            };
            player.until(at).await;
            // A body with a length is dropped with its last byte, not asked for its end.
            if chunks.len() == 0 && matches!(player.timeline.end, End::Closed(_)) {
                player.delivery = Delivery::Whole;
            }
            Some((Ok(Frame::data(bytes)), Some((player, chunks, abort))))
        });
        StreamBody::new(Box::pin(frames))
    }

    /// The end of the body: nothing, or the error that cuts it off.
    async fn end(&mut self, abort: &mpsc::UnboundedSender<Abort>) -> Option<io::Error> {
        match self.timeline.end {
            End::Closed(at) => {
                self.until(at).await;
                self.delivery = Delivery::Whole;
                None
            }
            End::Cut(at) => {
                self.until(at).await;
                Some(cut_off().await)
            }
            End::Reset(at) => {
                self.until(at).await;
                abandon(Some(Abort::Reset), abort).await
            }
            End::Stall => abandon(None, abort).await,
        }
    }
}

impl<A: Api> Drop for Player<A> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let now = self.stage.clock.now();
            self.stage.api().delivered(ticket, self.delivery, now);
        }
    }
}
