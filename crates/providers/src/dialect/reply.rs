//! Reads one reply as its bytes arrive: what all dialects have in common.
//!
//! A reply is told by its first byte, not by its content type, which proxies and small servers get
//! wrong: a JSON document begins with `{`, a page with `<`, and no line of an event stream with
//! either. A dialect says what its events and its documents mean ([`Spoken`]).

use std::marker::PhantomData;
use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;
use sortie_core::call::Text;
use sortie_core::failure::{Class, Failure};
use sortie_core::run::event::Finish;
use sortie_core::usage::{Tier, Usage};

use super::failing::{self, Said, one_line};
use super::sse::{LONGEST, Sse};
use super::{Decode, Decoded, Seen};

/// How much of an error's body is kept: enough for every error object there is.
const LONGEST_ERROR: usize = 64 << 10;

/// What a dialect's replies mean.
pub(super) trait Spoken: Send + 'static {
    /// Takes the payload of an event.
    fn event(payload: &Value, answer: &mut Answer);
    /// Takes a whole reply that was not streamed.
    fn whole(reply: &Value, answer: &mut Answer);
    /// The error that a payload or a whole reply is, where it is one.
    fn error(payload: &Value) -> Option<Said> {
        Said::of(payload)
    }
}

/// What has come of an answer.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts that come one by one, in any order")]
pub(super) struct Answer {
    /// The text.
    pub(super) text: String,
    /// What a tool is called with: it stands for the text of an answer that has none.
    pub(super) tool_input: String,
    /// Bytes that were generated and are no text: thinking, refusals.
    pub(super) other_bytes: u64,
    /// The model, as the reply names it.
    pub(super) model: String,
    /// Why it stopped.
    pub(super) finish: Option<Finish>,
    /// The model refused, or a filter did: the reason.
    pub(super) refused: Option<String>,
    /// Usage as last reported.
    pub(super) usage: Option<Usage>,
    /// How it was served, where that stands beside the usage and not in it.
    pub(super) tier: Tier,
    /// Whether that usage is complete: input is known and output is final.
    pub(super) usage_is_final: bool,
    /// Whether the terminator came: the answer is whole.
    pub(super) is_whole: bool,
    /// Whether nothing more is worth reading.
    pub(super) is_done: bool,
    /// What went wrong inside the reply.
    failure: Option<Failure>,
    /// Whether it was the provider that said so.
    says_error: bool,
}

impl Answer {
    /// Takes a piece of text.
    pub(super) fn add_text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Takes a piece of what a tool is called with.
    pub(super) fn add_tool_input(&mut self, json: &str) {
        self.tool_input.push_str(json);
    }

    /// Takes something generated that is no text.
    pub(super) fn add_other(&mut self, text: &str) {
        self.other_bytes += text.len() as u64;
    }

    /// The reply is not the protocol's; reading ends.
    pub(super) fn malformed(&mut self, message: impl Into<String>) {
        self.fail(Failure::new(Class::Malformed, message));
    }

    /// The provider says that it failed, in a reply of status 200; reading ends.
    pub(super) fn says(&mut self, said: &Said) {
        self.says_error = true;
        self.fail(said.failure(200));
    }

    fn fail(&mut self, failure: Failure) {
        self.is_done = true;
        self.failure.get_or_insert(failure);
    }

    fn seen(&self) -> Seen {
        let text_bytes = self.text.len() as u64 + self.tool_input.len() as u64 + self.other_bytes;
        Seen { usage: self.usage, text_bytes }
    }

    fn conclude(self, status: u16) -> Decoded {
        let (seen, says_error) = (self.seen(), self.says_error);
        let usage = self.usage.filter(|_| self.is_whole && self.usage_is_final);
        let failed = |class, message: String| Err(Failure::new(class, message).with_status(status));
        let result = if let Some(failure) = self.failure {
            Err(failure.with_status(status))
        } else if !self.is_whole {
            failed(Class::CutOff, "the answer ended before its terminator".to_owned())
        } else if let Some(why) = self.refused {
            let model = Some(one_line(&self.model)).filter(|model| !model.is_empty());
            Err(Failure { model, ..Failure::new(Class::Refused, one_line(&why)).with_status(status) })
        } else {
            let finish = self.finish.unwrap_or_else(|| Finish::Other("unstated".to_owned()));
            let text = if self.text.is_empty() { self.tool_input } else { self.text };
            Ok(Text { text, finish, model: one_line(&self.model) })
        };
        Decoded { result, usage, seen, says_error }
    }
}

/// What a whole reply that stands in another document came to.
pub(super) fn whole<S: Spoken>(reply: &Value) -> Decoded {
    let mut answer = Answer::default();
    Reader::<S>::take(&mut answer, reply, S::whole);
    answer.conclude(200)
}

/// What the body turned out to be.
enum Body {
    /// Nothing but white space came so far.
    Unknown,
    /// Events.
    Stream(Sse),
    /// A JSON document.
    Document(Vec<u8>),
    /// A page of something in between.
    Page,
    /// Whatever comes with an error status; its beginning is kept.
    Error(Vec<u8>),
}

/// The reader of a reply in the dialect `S`.
pub(super) struct Reader<S> {
    status: u16,
    headers: HeaderMap,
    now: Duration,
    body: Body,
    answer: Answer,
    dialect: PhantomData<S>,
}

impl<S: Spoken> Reader<S> {
    /// A reader for the reply that begins with this status and these headers; `now` is Unix time.
    pub(super) fn new(status: u16, headers: &HeaderMap, now: Duration) -> Self {
        let is_success = (200..300).contains(&status);
        let body = if is_success { Body::Unknown } else { Body::Error(Vec::new()) };
        Reader {
            status,
            headers: headers.clone(),
            now,
            body,
            answer: Answer::default(),
            dialect: PhantomData,
        }
    }

    /// Takes a JSON value: an error wherever it stands, else what `meaning` makes of it.
    fn take(answer: &mut Answer, value: &Value, meaning: fn(&Value, &mut Answer)) {
        match S::error(value) {
            Some(said) => answer.says(&said),
            None => meaning(value, answer),
        }
    }

    fn take_event(answer: &mut Answer, payload: &str) {
        if answer.is_done {
            return;
        }
        // OpenAI's last word, which gateways put after other dialects' streams as well.
        if payload.trim() == "[DONE]" {
            answer.is_done = true;
            return;
        }
        match serde_json::from_str(payload) {
            Ok(value) => Self::take(answer, &value, S::event),
            Err(_) => answer.malformed("an event of the stream is not JSON"),
        }
    }
}

impl<S: Spoken> Decode for Reader<S> {
    fn push(&mut self, bytes: &[u8]) {
        if let Body::Unknown = self.body {
            self.body = match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
                None => return,
                Some(b'{') => Body::Document(Vec::new()),
                Some(b'<') => Body::Page,
                Some(_) => Body::Stream(Sse::default()),
            };
        }
        match &mut self.body {
            Body::Unknown | Body::Page => (),
            Body::Stream(sse) => {
                let answer = &mut self.answer;
                if sse.push(bytes, |payload| Self::take_event(answer, payload)).is_err() {
                    self.answer.malformed("an event of the stream is longer than 8 MiB");
                }
            }
            Body::Document(body) if body.len() + bytes.len() > LONGEST => {
                *body = Vec::new();
                self.answer.malformed("the reply is one JSON document longer than 8 MiB");
            }
            Body::Document(body) => body.extend_from_slice(bytes),
            Body::Error(body) => {
                let room = LONGEST_ERROR - body.len();
                body.extend_from_slice(&bytes[..bytes.len().min(room)]);
                self.answer.is_done = body.len() == LONGEST_ERROR;
            }
        }
    }

    fn has_token(&self) -> bool {
        matches!(self.body, Body::Document(_)) || self.answer.seen().text_bytes > 0
    }

    fn is_done(&self) -> bool {
        self.answer.is_done
    }

    fn seen(&self) -> Seen {
        self.answer.seen()
    }

    fn finish(self: Box<Self>, clean: bool) -> Decoded {
        let Reader { status, headers, now, body, mut answer, .. } = *self;
        match body {
            Body::Error(body) => {
                let failure = failing::failure(status, &headers, &body, now);
                return Decoded {
                    result: Err(failure),
                    usage: None,
                    seen: Seen::default(),
                    says_error: true,
                };
            }
            Body::Unknown if clean => answer.malformed("the reply is empty"),
            Body::Page => answer.malformed("the reply is an HTML page, not an answer"),
            Body::Document(body) => match serde_json::from_slice(&body) {
                Ok(value) => Self::take(&mut answer, &value, S::whole),
                // A document that breaks off: cut.
                Err(error) if error.is_eof() => (),
                Err(_) => answer.malformed("the reply is not JSON"),
            },
            Body::Unknown | Body::Stream(_) => (),
        }
        answer.conclude(status)
    }
}

/// The most tokens that one count of a reply may have: a thousand times the largest context window.
/// More is a fault or an attack, and counts as not reported.
const MOST_TOKENS: u64 = 1_000_000_000;

/// A count of tokens, where it is one.
pub(super) fn token_count(value: &Value) -> Option<u64> {
    value.as_u64().filter(|count| *count <= MOST_TOKENS)
}
