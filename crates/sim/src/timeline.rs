//! What a reply looks like over time: bytes and when they come, counted from the request's arrival.
//!
//! A timeline is data. The HTTP server plays it in real time, a virtual clock reads it off.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use crate::ledger::Ticket;

/// A request as any face of the simulator has received it, whole.
#[derive(Clone, Debug)]
pub struct ServerRequest {
    /// The method.
    pub method: Method,
    /// The path, without the query: `/v1/messages`.
    pub path: String,
    /// What follows the question mark.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// A reply over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    /// What to hand to [`crate::Model::delivered`] when the reply has ended, however it did.
    pub ticket: Option<Ticket>,
    /// Status and headers; without them nothing is ever sent.
    pub head: Option<Head>,
    /// The body, in the order of its times.
    pub chunks: Vec<Chunk>,
    /// How it ends.
    pub end: End,
}

/// Status and headers of a reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// When they are sent.
    pub at: Duration,
    /// The status.
    pub status: StatusCode,
    /// The headers. With `content-length` the body is framed by it, else in chunks.
    pub headers: HeaderMap,
}

/// Some of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// When it is sent.
    pub at: Duration,
    /// What.
    pub bytes: Bytes,
}

/// How a reply ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As its framing says; the connection may be used again.
    Closed(Duration),
    /// The connection closes before the body's framing is finished.
    Cut(Duration),
    /// The connection is reset.
    Reset(Duration),
    /// It does not: nothing more comes until the client hangs up.
    Stall,
}

impl Timeline {
    /// A whole reply with this body, all of it at one time.
    pub(crate) fn whole(at: Duration, status: StatusCode, mut headers: HeaderMap, body: Bytes) -> Self {
        headers.insert(http::header::CONTENT_LENGTH, body.len().into());
        let head = Some(Head { at, status, headers });
        Timeline { ticket: None, head, chunks: vec![Chunk { at, bytes: body }], end: End::Closed(at) }
    }

    /// No reply at all.
    pub(crate) fn silent(end: End) -> Self {
        Timeline { ticket: None, head: None, chunks: Vec::new(), end }
    }
}

/// When the parts of an answer are ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// The first token.
    pub(crate) first: Duration,
    /// The last; not before the first.
    pub(crate) last: Duration,
    /// Pieces in between.
    pub(crate) pieces: usize,
}

impl Pace {
    /// When a piece is sent, counted from 0: the first at the first token, the others evenly, so
    /// that the answer's closing follows the last piece after one more step.
    pub(crate) fn at(&self, piece: usize) -> Duration {
        let steps = self.pieces.max(1) as u128;
        let micros = self.last.saturating_sub(self.first).as_micros() * (piece as u128).min(steps) / steps;
        self.first + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// How many pieces have been sent after this long.
    pub(crate) fn sent_by(&self, elapsed: Duration) -> usize {
        (0..self.pieces).take_while(|&piece| self.at(piece) <= elapsed).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_evenly_from_the_first_token_on() {
        let second = Duration::from_secs(1);
        let pace = Pace { first: second, last: 3 * second, pieces: 4 };
        assert_eq!([0, 1, 3, 4].map(|n| pace.at(n).as_millis()), [1000, 1500, 2500, 3000]);
        let by = [0, 999, 1000, 1499, 2500, 9000].map(Duration::from_millis);
        assert_eq!(by.map(|elapsed| pace.sent_by(elapsed)), [0, 0, 1, 1, 4, 4]);
        assert_eq!(Pace { pieces: 0, ..pace }.at(0), second);
    }
}
