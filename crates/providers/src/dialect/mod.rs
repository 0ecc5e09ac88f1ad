//! The wire formats, both halves of each: the client's, and the server's for the simulator.
//!
//! All of it is pure: bytes in, values out, and back. What an error means is one table for all
//! dialects (`failing`); how long to wait is told by headers that all share (`retry_after`).
//!
//! # Adding a dialect
//! Write `dialect/NAME/` with a type that implements [`Dialect`], add one line to [`ALL`], record its
//! exchanges into `tests/fixtures/` (`sortie simulate --record`), and say in a line each what they
//! mean (`tests/wire/exchanges.rs`); that both halves take them is then tested without a word.
//!
//! # Common pitfalls
//! - A reply may be whole without being over: OpenAI sends usage after the last word.
//! - Usage inside a stream is the last word so far, never something to add up.
//! - A field that one provider always sends, another server never does: absence is not malformed
//!   unless the answer cannot be told without it.

mod anthropic;
mod failing;
mod openai;
mod openai_chat;
mod openai_responses;
mod particulars;
mod reply;
mod retry_after;
mod schema;
mod sse;
mod told;
mod turns;

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use sortie_core::call::Text;
use sortie_core::failure::Failure;
use sortie_core::run::event::Finish;
use sortie_core::usage::Usage;

pub use anthropic::Anthropic;
pub(crate) use failing::one_line;
pub use openai::checks::metadata as check_metadata;
pub(crate) use openai::is_own as is_openai;
pub use openai_chat::OpenAiChat;
pub use openai_responses::OpenAiResponses;
pub use particulars::{Besides, Caching, Keep, Part, Particulars, Thinking};
pub use sortie_core::limit::Dimension;
pub use sortie_core::usage::Tier;
pub(crate) use told::told;

/// All dialects.
pub static ALL: &[&dyn Dialect] = &[&Anthropic, &OpenAiChat, &OpenAiResponses];

/// The dialect of this name.
pub fn by_name(name: &str) -> Option<&'static dyn Dialect> {
    ALL.iter().copied().find(|dialect| dialect.name() == name)
}

/// A request in no provider's words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// The model's id.
    pub model: String,
    /// The system prompt.
    pub system: Option<String>,
    /// The user's turn.
    pub prompt: String,
    /// Output tokens that the answer may have.
    pub max_tokens: u32,
    /// Sampling temperature; sent only where it is set.
    pub temperature: Option<f64>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Texts that end the answer before they would appear in it.
    pub stop: Vec<String>,
    /// What the answer has to look like.
    pub shape: Shape,
    /// The name by which the provider is to keep the answer, so that it can be asked for should it be lost
    /// ([`Dialect::encode_kept`]); sent only where it is set, and where the API has such a thing.
    pub kept_as: Option<String>,
}

/// What an answer has to look like.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Shape {
    /// Text, whatever it says.
    #[default]
    Text,
    /// JSON that fits this schema.
    Json(serde_json::Value),
    /// A call of a tool, with input that fits its schema.
    Tool {
        /// The tool's name.
        name: String,
        /// What its input has to fit.
        schema: serde_json::Value,
    },
}

/// How the key is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `x-api-key: KEY`.
    XApiKey,
    /// `authorization: Bearer KEY`.
    Bearer,
}

/// What a request calls the bound on its answer (Chat Completions only).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerBound {
    /// `max_tokens`: the only name that many compatible servers know; OpenAI deprecates it, and its
    /// reasoning models refuse it, so those are never sent it, whoever serves them.
    MaxTokens,
    /// `max_completion_tokens`: what OpenAI's own models take, all of them.
    MaxCompletionTokens,
}

/// What a dialect needs to know of an account, apart from its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The API version, for dialects that have one: `2023-06-01`.
    pub version: Option<String>,
    /// How the key is sent.
    pub auth: Auth,
    /// What the bound on the answer is called; [`Dialect::variant_at`] knows it by the host.
    pub bound: AnswerBound,
    /// Whether requests ask for the standard tier in so many words, because the account's settings
    /// decide where they do not (OpenAI's projects may serve `auto` as `priority`, for twice the
    /// price or more). Only OpenAI's own hosts are sure to know the word.
    pub pins_tier: bool,
}

/// A request in bytes, without its key: whoever owns the socket adds that.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// What follows the base URL: `/v1/messages`.
    pub path: &'static str,
    /// Headers, without the key.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Reads one reply as its bytes arrive. Pure: knows no clock and no socket.
pub trait Decode: Send {
    /// Takes the next bytes of the body, in any slicing.
    fn push(&mut self, bytes: &[u8]);
    /// Whether a first token has come: of text or of thinking; of a plain JSON reply, its first byte.
    fn has_token(&self) -> bool;
    /// Whether nothing more is worth reading: the stream's last word has come, or an error. A plain
    /// JSON reply is over only when its body is.
    fn is_done(&self) -> bool;
    /// What is known so far of usage: the last that was reported, and the text that came.
    fn seen(&self) -> Seen;
    /// The body ended (`clean`: as its framing said); what it came to.
    fn finish(self: Box<Self>, clean: bool) -> Decoded;
}

/// What has arrived of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Usage as last reported.
    pub usage: Option<Usage>,
    /// UTF-8 bytes that were generated and came: text, and thinking where it is shown.
    pub text_bytes: u64,
}

/// What a reply came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The answer, or why there is none.
    pub result: Result<Text, Failure>,
    /// The final usage, of a refused answer too; absent where it did not come or the answer was cut.
    pub usage: Option<Usage>,
    /// What had arrived.
    pub seen: Seen,
    /// Whether it failed because the provider said so, with an error object or an error status.
    pub says_error: bool,
}

/// An error in no provider's words, for the server's half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireError {
    /// HTTP status.
    pub status: u16,
    /// `error.type`.
    pub kind: String,
    /// `error.code` (OpenAI) or `error.details.error_code` (Anthropic).
    pub code: Option<String>,
    /// `error.param`: the parameter that it is about, by its path (`messages[0].role`). Only OpenAI
    /// tells it.
    pub param: Option<String>,
    /// `error.message`.
    pub message: String,
}

impl WireError {
    /// The same error about this parameter.
    #[must_use]
    pub fn about(self, param: impl Into<String>) -> Self {
        WireError { param: Some(param.into()), ..self }
    }
}

/// An answer in no provider's words, for the server's half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAnswer {
    /// What makes ids unique: 24 letters or digits; the dialect puts its prefix before it.
    pub id: String,
    /// Unix seconds.
    pub created: u64,
    /// The model as the reply names it.
    pub model: String,
    /// The text, whole; of a tool call its input, as JSON.
    pub text: String,
    /// The tool that it calls, if it does.
    pub tool: Option<String>,
    /// Why it stops.
    pub finish: Finish,
    /// What is billed.
    pub usage: Usage,
    /// What few answers have.
    pub besides: Besides,
}

/// A streamed answer in bytes; each piece is whole events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// Before the first token.
    pub opening: Bytes,
    /// One for each piece of text.
    pub pieces: Vec<Bytes>,
    /// After the last token, terminator included.
    pub closing: Bytes,
    /// How many bytes at the end of `closing` make the answer whole: without them it is cut.
    pub terminator: usize,
}

/// A quota as the rate-limit headers tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What is counted.
    pub dimension: Dimension,
    /// The bucket's size as told: the quota of a minute.
    pub limit: u64,
    /// What is left of it.
    pub remaining: u64,
    /// Until it is full again.
    pub full_in: Duration,
}

impl Quota {
    /// Input and output tokens as one quota: sums, and the later of the two times.
    fn all_tokens(quotas: &[Quota]) -> Option<Quota> {
        quotas.iter().filter(|quota| quota.dimension != Dimension::Requests).copied().reduce(|a, b| Quota {
            dimension: a.dimension,
            limit: a.limit.saturating_add(b.limit),
            remaining: a.remaining.saturating_add(b.remaining),
            full_in: a.full_in.max(b.full_in),
        })
    }
}

/// A wire format: pure bytes ↔ types.
pub trait Dialect: Send + Sync + std::fmt::Debug {
    /// `anthropic`, `openai` (Chat Completions) or `openai-responses`.
    fn name(&self) -> &'static str;

    /// The variant that the provider's own API is spoken to with, unless configured.
    fn default_variant(&self) -> Variant;

    /// The variant for whoever answers at this host, unless configured: the default one, but for
    /// what is known to differ on servers that only speak the same dialect.
    fn variant_at(&self, _host: &str) -> Variant {
        self.default_variant()
    }

    /// The provider's own base URL, in the form of its official SDK: what [`Encoded::path`] follows.
    fn base_url(&self) -> &'static str;

    /// The path of the list of models on the client's side: a request that costs nothing.
    fn models_path(&self) -> &'static str;

    /// The headers that every request has, without the key.
    fn headers(&self, variant: &Variant) -> HeaderMap;

    /// A request in bytes.
    fn encode(&self, request: &Request, variant: &Variant) -> Encoded;

    /// The question how many input tokens a request has, in bytes; none where the API has no such
    /// question that costs nothing.
    fn encode_count(&self, _request: &Request, _variant: &Variant) -> Option<Encoded> {
        None
    }

    /// The input tokens that the answer to [`Dialect::encode_count`] tells.
    fn read_count(&self, _body: &[u8]) -> Option<u64> {
        None
    }

    /// The question for the answers that were kept by this name ([`Request::kept_as`]): a path, and the pairs of
    /// its query; none where the API cannot be asked so.
    fn encode_kept(&self, _name: &str) -> Option<(&'static str, Vec<(String, String)>)> {
        None
    }

    /// The answers of this name in the reply to [`Dialect::encode_kept`]; none where it is no such reply.
    fn read_kept(&self, _body: &[u8], _name: &str) -> Option<Vec<Decoded>> {
        None
    }

    /// A reader for the reply that begins with this status and these headers. `now` is Unix time,
    /// for headers that name a date.
    fn decoder(&self, status: u16, headers: &HeaderMap, now: Duration) -> Box<dyn Decode>;

    // The server's half.

    /// The paths it serves answers on, as the simulator sees them: `/v1/messages`.
    fn path(&self) -> &'static str;

    /// Checks the headers that every request of the API has to have, its key apart.
    ///
    /// # Errors
    /// The provider's own error for a request without them.
    fn check_headers(&self, _headers: &HeaderMap) -> Result<(), WireError> {
        Ok(())
    }

    /// Reads a request, and checks it as the provider would.
    ///
    /// # Errors
    /// The provider's own error for a request that it would refuse.
    fn read(&self, headers: &HeaderMap, body: &[u8]) -> Result<Request, WireError>;

    /// What a request that [`Dialect::read`] took says beyond it.
    fn particulars(&self, _body: &[u8]) -> Particulars {
        Particulars::default()
    }

    /// A whole answer as a plain JSON body. `asked` is the request's: some answers repeat it
    /// (`metadata`).
    fn body(&self, answer: &ServerAnswer, asked: &[u8]) -> Bytes;

    /// A streamed answer, its text cut into these pieces. `body` is the request's: some of it
    /// asks for more than a [`Request`] knows (`stream_options.include_usage`).
    fn frames(&self, answer: &ServerAnswer, pieces: &[&str], body: &[u8]) -> Frames;

    /// The provider's usual error for a status: `[[sim fail=529]]`.
    fn usual_error(&self, status: u16) -> WireError;

    /// An error as a JSON body.
    fn error_body(&self, error: &WireError, request_id: &str) -> Bytes;

    /// An error in mid-stream, after this many events.
    fn error_frame(&self, error: &WireError, request_id: &str, events: usize) -> Bytes;

    /// The headers of every reply: request id and quotas. `now` is Unix time.
    fn reply_headers(&self, request_id: &str, quotas: &[Quota], now: Duration) -> HeaderMap;
}
