//! One attempt as it goes: what has happened of it, how long the next thing may take, and what it
//! came to. Pure: the caller tells the times, all counted from the moment the attempt was handed
//! over, and owns sockets and clock. The HTTP client drives it in real time, the simulator in its
//! own.
//!
//! ```text
//! new ─► connected ─► sent ─► head ─► bytes … ─► end
//!     connect │    first token  │      idle         (total: all of it)
//! ```
//!
//! # Common pitfalls
//! - An error status costs nothing, even if its body never ends: what is known by the head counts.
//! - An answer may be whole before the body ends; a connection that breaks then has failed nobody.

use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use sortie_core::agent::Timeouts;
use sortie_core::call::Returned;
use sortie_core::failure::{Class, Failure};
use sortie_core::limit::Told;
use sortie_core::run::event::Timing;
use sortie_core::run::input::Billing;
use sortie_core::usage::Usage;

use crate::dialect::{Decode, Decoded, Dialect, Seen, one_line, told};

/// The longest body of a reply, decoded: 64 MiB. The longest answers have half a megabyte; more is a
/// fault or an attack.
const LONGEST_BODY: u64 = 64 << 20;

/// The longest head of a reply, its headers' names and values: 64 KiB. Real ones have two to four; the
/// HTTP client itself takes six times as much, and at most a hundred headers.
const LONGEST_HEAD: usize = 64 << 10;

/// Bytes of text to a token, where usage has to be estimated. Measured with o200k, English prose has
/// 4.8 and Chinese 5.0; newer Claude tokenizers make about 30 % more tokens of the same text (3.7),
/// and code is denser: three errs on the dear side for all of them.
const BYTES_PER_TOKEN: u64 = 3;

/// How an attempt's connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The body ended as its framing said, or [`Exchange::is_done`] said that it may as well have.
    Closed,
    /// It broke, before or after the head came: why.
    Broken(String),
    /// There never was one: why.
    NotConnected(String),
    /// [`Exchange::deadline`] passed.
    Deadline,
}

/// What bounds the attempt now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Connect,
    Send,
    FirstToken,
    Idle,
    Total,
}

/// The head of the reply.
struct Head {
    status: u16,
    /// The host that a redirect points to.
    elsewhere: Option<String>,
    decoder: Box<dyn Decode>,
}

/// One attempt as it goes.
pub struct Exchange {
    dialect: &'static dyn Dialect,
    timeouts: Timeouts,
    total: Duration,
    unix_now: Duration,
    prompt_bytes: u64,
    connected: Option<Duration>,
    sent: Option<Duration>,
    head: Option<Head>,
    first_token: Option<Duration>,
    last_bytes: Duration,
    received: u64,
    /// Why nothing more of the reply is taken.
    refused: Option<&'static str>,
}

impl Exchange {
    /// An attempt that is handed over now. `total` bounds all of it (`timeouts.request` is not asked);
    /// `unix_now` is Unix time, for headers that name dates; `prompt_bytes` are the UTF-8 bytes of
    /// prompt and system prompt, for an estimate where no usage comes.
    pub fn new(
        dialect: &'static dyn Dialect,
        timeouts: Timeouts,
        total: Duration,
        unix_now: Duration,
        prompt_bytes: u64,
    ) -> Self {
        Exchange {
            dialect,
            timeouts,
            total,
            unix_now,
            prompt_bytes,
            connected: None,
            sent: None,
            head: None,
            first_token: None,
            last_bytes: Duration::ZERO,
            received: 0,
            refused: None,
        }
    }

    /// There is a connection. May be left out: what comes after it says so too.
    pub fn connected(&mut self, at: Duration) {
        self.connected.get_or_insert(at);
    }

    /// The request went out whole, as far as anybody can know: from here on it may be billed.
    pub fn sent(&mut self, at: Duration) {
        self.connected(at);
        self.sent.get_or_insert(at);
    }

    /// The reply began, and tells this of the quotas. It may before the request is sent whole: an early
    /// refusal.
    pub fn head(&mut self, at: Duration, status: u16, headers: &HeaderMap) -> Told {
        self.connected(at);
        self.last_bytes = at;
        let length = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
        if headers.iter().map(length).sum::<usize>() > LONGEST_HEAD {
            self.refuse("the headers of the reply are longer than 64 KiB");
        }
        let elsewhere = headers.get(LOCATION).and_then(|to| to.to_str().ok()).and_then(host_of);
        let decoder = self.dialect.decoder(status, headers, self.unix_now.saturating_add(at));
        self.head = Some(Head { status, elsewhere, decoder });
        told(status, headers)
    }

    /// The next bytes of the body came, decompressed, in any slicing.
    pub fn bytes(&mut self, at: Duration, bytes: &[u8]) {
        let Some(head) = &mut self.head else { return };
        self.last_bytes = at;
        self.received += bytes.len() as u64;
        if self.received > LONGEST_BODY {
            self.refuse("the reply is longer than 64 MiB");
        } else {
            head.decoder.push(bytes);
            if self.first_token.is_none() && head.decoder.has_token() {
                self.first_token = Some(at);
            }
        }
    }

    /// Nothing more of the reply is to be taken, because it is no reply of an API: why. Of several
    /// reasons the first counts.
    pub fn refuse(&mut self, why: &'static str) {
        self.refused.get_or_insert(why);
    }

    /// Whether nothing more is worth waiting for.
    pub fn is_done(&self) -> bool {
        self.refused.is_some() || self.head.as_ref().is_some_and(|head| head.decoder.is_done())
    }

    /// When to give the attempt up, if nothing happens before.
    pub fn deadline(&self) -> Duration {
        self.bound().0
    }

    fn bound(&self) -> (Duration, Bound) {
        let (since, within, bound) = match (self.first_token, self.sent, self.connected) {
            (Some(_), _, _) => (self.last_bytes, self.timeouts.idle, Bound::Idle),
            (None, Some(sent), _) => (sent, self.timeouts.first_token, Bound::FirstToken),
            // Long prompts over slow lines: there is no timeout of its own for that.
            (None, None, Some(connected)) => (connected, self.timeouts.first_token, Bound::Send),
            (None, None, None) => (Duration::ZERO, self.timeouts.connect, Bound::Connect),
        };
        let part = since.saturating_add(within);
        if self.total <= part { (self.total, Bound::Total) } else { (part, bound) }
    }

    /// What it came to.
    #[expect(clippy::needless_pass_by_value, reason = "an attempt ends once, and its end is used up")]
    pub fn end(mut self, at: Duration, end: End) -> Returned {
        let timing = Timing { first_token: self.first_token, total: at };
        let (result, billing) = match self.head.take() {
            None => {
                let (failure, billing) = self.unanswered(&end);
                (Err(failure), billing)
            }
            Some(head) => match head.status {
                200..300 => self.answered(head, &end),
                status @ 300..400 => (Err(redirected(status, head.elsewhere.as_deref())), Billing::Nothing),
                // By the status, however its body ended.
                _ => (head.decoder.finish(end == End::Closed).result, Billing::Nothing),
            },
        };
        Returned { result, billing, timing }
    }

    /// No head came: nothing can have been billed unless the request was sent whole.
    fn unanswered(&self, end: &End) -> (Failure, Billing) {
        let failure = match end {
            End::NotConnected(why) => {
                return (Failure::new(Class::Network, format!("no connection: {why}")), Billing::Nothing);
            }
            End::Deadline => self.timed_out(),
            End::Broken(why) => Failure::new(Class::Network, format!("the connection broke: {why}")),
            End::Closed => Failure::new(Class::Network, "the connection closed without an answer"),
        };
        (failure, if self.sent.is_some() { Billing::Unknown } else { Billing::Nothing })
    }

    /// A head of success came: whatever failed then, something may have been generated.
    fn answered(&self, head: Head, end: &End) -> (Result<sortie_core::call::Text, Failure>, Billing) {
        let has_token = head.decoder.has_token();
        let is_clean = *end == End::Closed && self.refused.is_none();
        let Decoded { mut result, usage, seen, says_error } = head.decoder.finish(is_clean);
        // Where the answer only is not whole, the connection knows better why.
        if let Err(failure) = &mut result
            && failure.class == Class::CutOff
            && let Some(known) = self.why_cut(end, has_token)
        {
            *failure = known.with_status(head.status);
        }
        let generated_nothing = seen == Seen::default();
        let billing = match usage {
            Some(usage) => Billing::Reported(usage),
            // An error in place of an answer, as with an error status.
            None if says_error && generated_nothing => Billing::Nothing,
            None => Billing::Estimated(self.estimate(seen)),
        };
        (result, billing)
    }

    fn why_cut(&self, end: &End, has_token: bool) -> Option<Failure> {
        if let Some(why) = self.refused {
            return Some(Failure::new(Class::Malformed, why));
        }
        match end {
            End::Closed => None,
            End::Deadline => Some(self.timed_out()),
            End::Broken(why) | End::NotConnected(why) => {
                let class = if has_token { Class::CutOff } else { Class::Network };
                Some(Failure::new(class, format!("the connection broke inside the answer: {why}")))
            }
        }
    }

    fn timed_out(&self) -> Failure {
        let Timeouts { connect, first_token, idle, .. } = self.timeouts;
        let (what, within) = match self.bound().1 {
            Bound::Connect => ("no connection", connect),
            Bound::Send => ("request not sent", first_token),
            Bound::FirstToken => ("no first token", first_token),
            Bound::Idle => ("nothing more of the answer", idle),
            Bound::Total => ("no whole answer", self.total),
        };
        Failure::new(Class::Timeout, format!("{what} within {} s", within.as_secs_f64()))
    }

    /// What was used, as far as it shows: input as reported, else by the prompt's length; output as
    /// last reported or by what came, whichever is more. Not an upper bound: the core keeps the rest
    /// of the reservation at risk.
    fn estimate(&self, seen: Seen) -> Usage {
        let mut usage = seen.usage.unwrap_or_default();
        if usage.total_input() == 0 {
            usage.input = self.prompt_bytes.div_ceil(BYTES_PER_TOKEN);
        }
        usage.output = usage.output.max(seen.text_bytes.div_ceil(BYTES_PER_TOKEN));
        usage
    }
}

fn redirected(status: u16, elsewhere: Option<&str>) -> Failure {
    let message = match elsewhere {
        Some(host) => format!("the endpoint sends us to {host}; redirects are not followed"),
        None => "the endpoint sends us elsewhere; redirects are not followed".to_owned(),
    };
    Failure::new(Class::Redirected, message).with_status(status)
}

/// The host of a redirect's target; nothing of its path or query, which may carry secrets.
fn host_of(location: &str) -> Option<String> {
    location.parse::<http::Uri>().ok()?.host().map(one_line)
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
