//! An upstream's answer as a fault has it.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use sortie_providers::http::UpstreamError;
use tokio::sync::mpsc;

use super::counts::{Asked, Ending};
use super::faults::Break;
use crate::fault::Fault;
use crate::server::clock::Clock;
use crate::server::pass::{Relay, Through};
use crate::server::play::{Abort, abandon, cut_off};

/// Bytes of an answer that are held until more come, where it is to break: no less than what ends a stream (Anthropic's
/// last event has 54, OpenAI's 14), so that no client has all that counts before.
const END: usize = 64;

/// How an answer breaks, and after how many bytes.
pub(super) struct Twist {
    pub(super) at: u64,
    pub(super) how: Break,
    pub(super) fault: Fault,
}

/// A reply on its way to the client.
pub(super) struct Handing {
    pub(super) through: Through,
    pub(super) asked: Asked,
    pub(super) clock: Clock,
    pub(super) abort: mpsc::UnboundedSender<Abort>,
    /// While the break is ahead.
    pub(super) twist: Option<Twist>,
    /// What came and is not handed on yet: of an answer that is to break, its newest bytes.
    pub(super) held: VecDeque<Bytes>,
    /// Bytes that were handed on.
    pub(super) sent: u64,
}

impl Relay for Handing {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if let Some(at) = self.twist.as_ref().map(|twist| twist.at)
            && let Some(handed) = self.before(at).await
        {
            return Some(handed);
        }
        if let Some(twist) = self.twist.take()
            && let Broken::Off(end) = self.break_off(twist).await
        {
            return end;
        }
        let came = match self.held.pop_front() {
            Some(bytes) => Some(Ok(bytes)),
            None => self.through.next().await,
        };
        // A body with a length is dropped with its last byte, not asked for its end.
        if self.held.is_empty() && self.through.is_over() {
            self.asked.ending = if matches!(came, Some(Err(_))) { Ending::Broken } else { Ending::Whole };
        }
        Some(self.hand(came?))
    }
}

/// What comes of a break.
#[must_use]
enum Broken {
    /// The reply ends like this.
    Off(Option<io::Result<Bytes>>),
    /// It goes on.
    On,
}

impl Handing {
    fn hand(&mut self, came: Result<Bytes, UpstreamError>) -> io::Result<Bytes> {
        if let Ok(bytes) = &came {
            self.sent += bytes.len() as u64;
        }
        came.map_err(io::Error::other)
    }

    /// What is handed on before it breaks after so many bytes, or within its end; none once it is to break.
    async fn before(&mut self, at: u64) -> Option<io::Result<Bytes>> {
        while self.sent < at && self.behind() < END {
            match self.through.next().await {
                Some(Ok(bytes)) => self.held.push_back(bytes),
                Some(Err(error)) => {
                    (self.twist, self.asked.ending) = (None, Ending::Broken);
                    return Some(self.hand(Err(error)));
                }
                None => break,
            }
        }
        let is_end = self.behind() < END;
        if is_end {
            let end: Vec<u8> = self.held.drain(..).flatten().collect();
            self.held.push_back(end.into());
        }
        let first = self.held.front_mut()?;
        let left = usize::try_from(at.saturating_sub(self.sent)).unwrap_or(usize::MAX);
        let before = left.min(if is_end { first.len() / 2 } else { first.len() });
        if before == 0 {
            return None;
        }
        let bytes = first.split_to(before);
        if first.is_empty() {
            self.held.pop_front();
        }
        if is_end && let Some(twist) = &mut self.twist {
            twist.at = self.sent + before as u64;
        }
        Some(self.hand(Ok(bytes)))
    }

    /// Bytes that are held behind the next piece.
    fn behind(&self) -> usize {
        self.held.iter().skip(1).map(Bytes::len).sum()
    }

    async fn break_off(&mut self, Twist { how, fault, .. }: Twist) -> Broken {
        if let Break::Pause(time) = how {
            self.asked.book.done(&fault);
            self.clock.until(self.clock.now() + time).await;
            return Broken::On;
        }
        self.asked.cut(&fault);
        Broken::Off(match how {
            Break::Close => Some(Err(cut_off().await)),
            Break::Reset => abandon(Some(Abort::Reset), &self.abort).await,
            Break::Stall => abandon(None, &self.abort).await,
            Break::End | Break::Pause(_) => None,
        })
    }
}
