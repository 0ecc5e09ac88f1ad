//! What each fault makes of an answer.
//!
//! # Adding a fault
//! Give [`Fault`] a variant and its word; the compiler then asks here what it looks like when the
//! answer is streamed and when it is not.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sortie_core::money::Usd;
use sortie_core::run::event::Finish;
use sortie_providers::dialect::{Besides, ServerAnswer};

use super::asked::Asked;
use super::refusal::{self, Refusal};
use super::{FAULT_WAIT, LEDGER_PROMPT, gzip, json_headers, twist};
use crate::answer;
use crate::bill::Served;
use crate::fault::Fault;
use crate::ledger::{Entry, Generation};
use crate::scenario::Scenario;
use crate::timeline::{Chunk, End, Head, Timeline};

/// 100 MiB of zeros: `head -c 104857600 /dev/zero | gzip -9n`.
const GZIP_BOMB: &[u8] = include_bytes!("../../assets/zeros-100-mib.gz");

/// The model that `wrong-model` names.
const WRONG_MODEL: &str = "another-model";

/// The reason that `unknown-stop` gives.
const UNKNOWN_STOP: &str = "out_of_ink";

/// `retry-after-ms`, which the official SDKs look at before `retry-after`.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// `x-should-retry`, which the official SDKs follow before they look at the status.
const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// What the data of an event begins with.
const DATA: &str = "data: ";

/// A try of a request that was admitted.
pub(super) struct Try {
    pub(super) asked: Asked,
    pub(super) fault: Fault,
    /// Which one, from 1.
    pub(super) attempt: u32,
}

impl Try {
    /// A try that meets this fault; a delay moves all of its answer, and an overlong one is another.
    pub(super) fn new(mut asked: Asked, fault: Fault, attempt: u32) -> Self {
        if fault == Fault::Overlong {
            asked.lengthen();
        }
        if let Fault::Delay(seconds) = fault {
            let delay = Duration::from_secs(u64::from(seconds));
            (asked.pace.first, asked.pace.last) = (asked.pace.first + delay, asked.pace.last + delay);
        }
        Try { asked, fault, attempt }
    }

    /// The error reply, where this try draws one.
    pub(super) fn refusal(&self, scenario: &Scenario, now: Duration) -> Option<Box<Refusal>> {
        let steering = &self.asked.steering;
        let wait = match steering.retry_after {
            Some(_) => None,
            None => scenario.retry_after.header(FAULT_WAIT, now),
        };
        let mut refusal = Refusal::by(&self.fault, self.asked.dialect, wait)?;
        for (name, value) in [
            (RETRY_AFTER_MS, &steering.retry_after_ms),
            (RETRY_AFTER, &steering.retry_after),
            (X_SHOULD_RETRY, &steering.should_retry),
        ] {
            if let Some(value) = value {
                refusal = refusal.with(name, value);
            }
        }
        Some(refusal)
    }

    /// The answer as the dialect puts it into words.
    pub(super) fn answer(&self, id: String, now: Duration) -> ServerAnswer {
        let asked = &self.asked;
        ServerAnswer {
            id,
            created: now.as_secs(),
            model: match self.fault {
                Fault::WrongModel => WRONG_MODEL.to_owned(),
                _ => asked.request.model.clone(),
            },
            text: asked.answer.text.clone(),
            tool: asked.answer.tool.clone(),
            finish: match self.fault {
                Fault::UnknownStop => Finish::Other(UNKNOWN_STOP.to_owned()),
                _ => asked.answer.finish.clone(),
            },
            usage: asked.usage,
            besides: asked.answer.besides.clone(),
        }
    }

    /// The reply over time, and what is generated for it where anything is.
    pub(super) fn play(
        &self,
        answer: &ServerAnswer,
        headers: HeaderMap,
        body: &[u8],
        id: &str,
    ) -> (Timeline, Option<Generation>) {
        let timeline = match self.fault {
            Fault::Close => Timeline::silent(End::Cut(self.asked.network)),
            Fault::Reset => Timeline::silent(End::Reset(self.asked.network)),
            Fault::StallFirst => Timeline::silent(End::Stall),
            Fault::Lost => Timeline::silent(End::Reset(self.asked.pace.last)),
            Fault::Error200 => self.error_as_success(headers, id),
            Fault::Empty200 => self.success_of(headers, Bytes::new()),
            Fault::GzipBomb => {
                let mut headers = headers;
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                self.success_of(headers, Bytes::from_static(GZIP_BOMB))
            }
            Fault::Midstream(_) if !self.asked.request.stream => self.error_as_success(headers, id),
            _ if self.asked.request.stream => self.streamed(answer, headers, body, id),
            _ => self.at_once(answer, headers, body),
        };
        let timeline = match self.fault {
            Fault::Drip(rate) => twist::dripped(timeline, rate),
            Fault::Pause(seconds) => twist::paused(timeline, seconds),
            Fault::Gzip => gzip::compressed(timeline),
            _ => timeline,
        };
        (timeline, self.generation())
    }

    pub(super) fn generation(&self) -> Option<Generation> {
        let streamed = self.asked.request.stream && self.fault != Fault::Lost;
        let generates = self.fault.generates() && (streamed || !matches!(self.fault, Fault::Midstream(_)));
        generates.then(|| Generation {
            usage: self.asked.usage,
            served: served(&self.asked.answer.besides),
            pace: streamed.then_some(self.asked.pace),
            pieces: self.sent_pieces(),
            intact: self.fault.is_whole(),
        })
    }

    /// Pieces that are sent before the fault: half of them where it breaks into the answer.
    pub(super) fn sent_pieces(&self) -> usize {
        let pieces = self.asked.pace.pieces;
        match self.fault {
            Fault::Midstream(Some(tokens)) => {
                let all = self.asked.answer.output_tokens.max(1);
                (pieces as u64 * u64::from(tokens)).div_ceil(all).min(pieces as u64) as usize
            }
            Fault::Cut | Fault::ResetMid | Fault::Stall | Fault::Midstream(None) | Fault::Malformed => {
                pieces.div_ceil(2)
            }
            Fault::StallHead => 0,
            _ => pieces,
        }
    }

    fn streamed(&self, answer: &ServerAnswer, mut headers: HeaderMap, body: &[u8], id: &str) -> Timeline {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        let pieces = answer::pieces(&answer.text);
        let frames = self.asked.dialect.frames(answer, &pieces, body);
        let frames = twist::frames(&self.fault, self.asked.dialect, frames);
        let (pace, sent) = (self.asked.pace, self.sent_pieces());
        let stop = pace.at(sent);
        if self.fault == Fault::StallHead {
            return self.stalled_at_head(headers);
        }
        let mut chunks = vec![Chunk { at: pace.first, bytes: frames.opening }];
        let broken = broken(frames.pieces.get(sent).unwrap_or(&frames.closing));
        let sent_frames = frames.pieces.into_iter().take(sent).enumerate();
        chunks.extend(sent_frames.map(|(piece, bytes)| Chunk { at: pace.at(piece), bytes }));
        let whole = frames.closing.len();
        let (last, end) = match self.fault {
            Fault::Cut => (Bytes::new(), End::Cut(stop)),
            Fault::ResetMid => (Bytes::new(), End::Reset(stop)),
            Fault::Stall => (Bytes::new(), End::Stall),
            Fault::Midstream(_) => {
                let (dialect, before) = (self.asked.dialect, chunks.iter().map(|chunk| events(&chunk.bytes)));
                let error = dialect.error_frame(&dialect.usual_error(529), id, before.sum());
                (error, End::Closed(stop))
            }
            Fault::Malformed => (broken, End::Closed(stop)),
            Fault::Truncated => {
                (frames.closing.slice(..whole.saturating_sub(frames.terminator)), End::Closed(stop))
            }
            _ => (frames.closing, End::Closed(stop)),
        };
        chunks.push(Chunk { at: stop, bytes: last });
        chunks.retain(|chunk| !chunk.bytes.is_empty());
        Timeline { ticket: None, head: Some(success(pace.first, headers)), chunks, end }
    }

    /// A reply that is not streamed: it comes when its last token is there.
    fn at_once(&self, answer: &ServerAnswer, headers: HeaderMap, asked: &[u8]) -> Timeline {
        let at = self.asked.pace.last;
        let mut headers = json_headers(headers);
        let body = twist::body(&self.fault, self.asked.dialect.body(answer, asked));
        let half = body.slice(..body.len() / 2);
        let end = match self.fault {
            Fault::Cut => End::Cut(at),
            Fault::ResetMid => End::Reset(at),
            Fault::Stall => End::Stall,
            Fault::StallHead => return self.stalled_at_head(headers),
            Fault::Truncated => return Timeline::whole(at, StatusCode::OK, headers, half),
            Fault::Malformed => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
                return Timeline::whole(at, StatusCode::OK, headers, refusal::page(StatusCode::BAD_GATEWAY));
            }
            _ => return Timeline::whole(at, StatusCode::OK, headers, body),
        };
        headers.insert(CONTENT_LENGTH, body.len().into());
        Timeline {
            ticket: None,
            head: Some(success(at, headers)),
            chunks: vec![Chunk { at, bytes: half }],
            end,
        }
    }

    fn error_as_success(&self, headers: HeaderMap, id: &str) -> Timeline {
        self.success_of(headers, self.asked.dialect.error_body(&self.asked.dialect.usual_error(500), id))
    }

    /// A reply of status 200 that is no answer.
    fn success_of(&self, headers: HeaderMap, body: Bytes) -> Timeline {
        Timeline::whole(self.asked.pace.first, StatusCode::OK, json_headers(headers), body)
    }

    fn stalled_at_head(&self, headers: HeaderMap) -> Timeline {
        let head = Some(success(self.asked.pace.first, headers));
        Timeline { ticket: None, head, chunks: Vec::new(), end: End::Stall }
    }

    /// The ledger's entry, as long as nothing is billed.
    pub(super) fn entry(&self, key: String, status: Option<u16>, now: Duration) -> Entry {
        Entry {
            arrived_us: u64::try_from(now.as_micros()).unwrap_or(u64::MAX),
            key,
            model: self.asked.request.model.clone(),
            content: self.asked.content,
            prompt: self.asked.request.prompt.chars().take(LEDGER_PROMPT).collect(),
            attempt: self.attempt,
            fault: self.fault.clone(),
            status,
            input_tokens: 0,
            output_tokens: 0,
            cost_picodollars: Usd::ZERO,
            delivered_whole: None,
        }
    }
}

/// The first of these events, broken off within its JSON: an event that has its name and its end, and whose
/// data nobody can read.
fn broken(events: &[u8]) -> Bytes {
    let text = String::from_utf8_lossy(events);
    let event = text.split("\n\n").next().unwrap_or_default();
    let data = event.find(DATA).map_or(0, |at| at + DATA.len());
    let half = event.floor_char_boundary(data + (event.len() - data) / 2);
    format!("{}\n\n", &event[..half]).into()
}

/// How many events of a stream these bytes are: each ends with an empty line.
fn events(bytes: &[u8]) -> usize {
    bytes.windows(2).filter(|end| *end == b"\n\n").count()
}

fn success(at: Duration, headers: HeaderMap) -> Head {
    Head { at, status: StatusCode::OK, headers }
}

fn served(besides: &Besides) -> Served {
    Served { tier: besides.tier, in_us: besides.geo.as_deref() == Some("us") }
}
