//! What each fault makes of an answer.
//!
//! # Adding a fault
//! Give [`Fault`] a variant and its word; the compiler then asks here what it looks like when the
//! answer is streamed and when it is not.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;
use sortie_core::money::Usd;
use sortie_providers::dialect::{Besides, Dialect, Frames, ServerAnswer, Tier, WireError};

use super::asked::Asked;
use super::{FAULT_RETRY_AFTER, LEDGER_PROMPT, Refusal, json_headers};
use crate::answer;
use crate::fault::Fault;
use crate::ledger::{Entry, Generation};
use crate::timeline::{Chunk, End, Head, Timeline};

/// Where a redirect points: a name that never resolves (RFC 6761).
const ELSEWHERE: &str = "http://elsewhere.invalid/";

/// What a proxy may put in an answer's place.
const PROXYS_PAGE: &[u8] = b"<html><body><h1>502 Bad Gateway</h1></body></html>\n";

/// An event that breaks off within its JSON.
const BROKEN_EVENT: &[u8] = b"data: {\"choices\": [{\"delta\": \n\n";

/// A try of a request that was admitted.
pub(super) struct Try {
    pub(super) asked: Asked,
    pub(super) fault: Fault,
    /// Which one, from 1.
    pub(super) attempt: u32,
}

impl Try {
    /// The error reply, where this try draws one.
    pub(super) fn refusal(&self, tell_wait: bool) -> Option<Box<Refusal>> {
        let error = match &self.fault {
            Fault::Status(status) => self.asked.dialect.usual_error(*status),
            Fault::Coded(status, code) if code == "quota" => money_gone(self.asked.dialect, *status),
            Fault::Coded(status, code) => {
                WireError { code: Some(code.clone()), ..self.asked.dialect.usual_error(*status) }
            }
            _ => return None,
        };
        let status = error.status;
        let wait = match (&self.asked.steering.retry_after, &self.fault) {
            (Some(wait), _) => Some(wait.as_str()),
            (None, Fault::Status(429)) if tell_wait => Some(FAULT_RETRY_AFTER),
            (None, _) => None,
        };
        let mut refusal = Refusal::new(error);
        if let Some(wait) = wait {
            refusal = refusal.with(RETRY_AFTER, wait);
        }
        if (300..400).contains(&status) {
            refusal = refusal.with(LOCATION, ELSEWHERE);
        }
        Some(refusal)
    }

    /// The answer as the dialect puts it into words.
    pub(super) fn answer(&self, id: String, now: Duration) -> ServerAnswer {
        ServerAnswer {
            id,
            created: now.as_secs(),
            model: self.asked.request.model.clone(),
            text: self.asked.answer.text.clone(),
            tool: self.asked.answer.tool.clone(),
            finish: self.asked.answer.finish.clone(),
            usage: self.asked.usage,
            besides: self.asked.answer.besides.clone(),
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
            Fault::Midstream if !self.asked.request.stream => self.error_as_success(headers, id),
            _ if self.asked.request.stream => self.streamed(answer, headers, body, id),
            _ => self.at_once(answer, headers),
        };
        (timeline, self.generation())
    }

    fn generation(&self) -> Option<Generation> {
        let streamed = self.asked.request.stream && self.fault != Fault::Lost;
        let generates = self.fault.generates() && (streamed || self.fault != Fault::Midstream);
        generates.then(|| Generation {
            usage: self.asked.usage,
            percent: percent(&self.asked.answer.besides),
            pace: streamed.then_some(self.asked.pace),
            pieces: self.sent_pieces(),
            intact: matches!(self.fault, Fault::None | Fault::NoUsage),
        })
    }

    /// Pieces that are sent before the fault: half of them where it breaks into the answer.
    fn sent_pieces(&self) -> usize {
        match self.fault {
            Fault::Cut | Fault::Stall | Fault::Midstream | Fault::Malformed => {
                self.asked.pace.pieces.div_ceil(2)
            }
            _ => self.asked.pace.pieces,
        }
    }

    fn streamed(&self, answer: &ServerAnswer, mut headers: HeaderMap, body: &[u8], id: &str) -> Timeline {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        let pieces = answer::pieces(&answer.text);
        let mut frames = self.asked.dialect.frames(answer, &pieces, body);
        if self.fault == Fault::NoUsage {
            frames = without_usage(frames);
        }
        let (pace, sent) = (self.asked.pace, self.sent_pieces());
        let stop = pace.at(sent);
        let mut chunks = vec![Chunk { at: pace.first, bytes: frames.opening }];
        let sent_frames = frames.pieces.into_iter().take(sent).enumerate();
        chunks.extend(sent_frames.map(|(piece, bytes)| Chunk { at: pace.at(piece), bytes }));
        let whole = frames.closing.len();
        let (last, end) = match self.fault {
            Fault::Cut => (Bytes::new(), End::Cut(stop)),
            Fault::Stall => (Bytes::new(), End::Stall),
            Fault::Midstream => {
                (self.asked.dialect.error_frame(&self.asked.dialect.usual_error(529), id), End::Closed(stop))
            }
            Fault::Malformed => (Bytes::from_static(BROKEN_EVENT), End::Closed(stop)),
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
    fn at_once(&self, answer: &ServerAnswer, headers: HeaderMap) -> Timeline {
        let at = self.asked.pace.last;
        let mut headers = json_headers(headers);
        let body = match self.fault {
            Fault::NoUsage => stripped(&self.asked.dialect.body(answer)),
            _ => self.asked.dialect.body(answer),
        };
        let half = body.slice(..body.len() / 2);
        let end = match self.fault {
            Fault::Cut => End::Cut(at),
            Fault::Stall => End::Stall,
            Fault::Truncated => return Timeline::whole(at, StatusCode::OK, headers, half),
            Fault::Malformed => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
                return Timeline::whole(at, StatusCode::OK, headers, Bytes::from_static(PROXYS_PAGE));
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
        let body = self.asked.dialect.error_body(&self.asked.dialect.usual_error(500), id);
        Timeline::whole(self.asked.pace.first, StatusCode::OK, json_headers(headers), body)
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

fn success(at: Duration, headers: HeaderMap) -> Head {
    Head { at, status: StatusCode::OK, headers }
}

/// What of the usual price is billed: half of it within batches and in the flex tier, and a tenth
/// more where the model is to run in the United States (public price tables).
fn percent(besides: &Besides) -> u64 {
    let tier = match besides.tier {
        Tier::Standard => 100,
        Tier::Flex | Tier::Batch => 50,
    };
    if besides.geo.as_deref() == Some("us") { tier * 110 / 100 } else { tier }
}

/// The provider's words for "the money is gone", which no wait helps: Anthropic's documentation of
/// errors (`enforced_spend_limit_reached`), OpenAI's documentation of error codes
/// (`insufficient_quota`).
fn money_gone(dialect: &dyn Dialect, status: u16) -> WireError {
    let usual = dialect.usual_error(status);
    if dialect.name() == "anthropic" {
        return WireError { code: Some("enforced_spend_limit_reached".to_owned()), ..usual };
    }
    let word = "insufficient_quota".to_owned();
    WireError { kind: word.clone(), code: Some(word), ..usual }
}

/// A stream that does not say what was used.
fn without_usage(frames: Frames) -> Frames {
    let lines = |bytes: &Bytes| {
        let text = String::from_utf8_lossy(bytes);
        let line = |line: &str| match line.strip_prefix("data: ") {
            Some(json) => {
                let json = stripped(&Bytes::copy_from_slice(json.as_bytes()));
                format!("data: {}", String::from_utf8_lossy(&json))
            }
            None => line.to_owned(),
        };
        Bytes::from(text.split('\n').map(line).collect::<Vec<_>>().join("\n"))
    };
    Frames { opening: lines(&frames.opening), closing: lines(&frames.closing), ..frames }
}

/// JSON without any `usage`; what is no JSON (`[DONE]`) stays as it is.
fn stripped(json: &Bytes) -> Bytes {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.remove("usage");
                fields.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let Ok(mut value) = serde_json::from_slice::<Value>(json) else { return json.clone() };
    if !value.is_object() {
        return json.clone();
    }
    strip(&mut value);
    value.to_string().into()
}
