//! The wire formats, both halves of each: the client's, and the server's for the simulator.
//!
//! # Adding a dialect
//! Write `dialect/NAME.rs` with a type that implements [`Dialect`], put its recorded exchanges
//! into its tests, and add one line to [`ALL`].

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use sortie_core::call::Text;
use sortie_core::failure::Failure;
use sortie_core::run::event::Finish;
use sortie_core::usage::Usage;

/// A request in no provider's words.
#[derive(Clone, Debug, PartialEq)]
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
}

/// How the key is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `x-api-key: KEY`.
    XApiKey,
    /// `authorization: Bearer KEY`.
    Bearer,
}

/// What a dialect needs to know of an account, apart from its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The API version, for dialects that have one: `2023-06-01`.
    pub version: Option<String>,
    /// How the key is sent.
    pub auth: Auth,
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
    /// Whether a first token has come.
    fn has_token(&self) -> bool;
    /// Whether the answer is whole: its terminator has come.
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
    /// UTF-8 bytes of text that came.
    pub text_bytes: u64,
}

/// What a reply came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The answer, or why there is none.
    pub result: Result<Text, Failure>,
    /// The final usage; absent where none came or the answer was cut.
    pub usage: Option<Usage>,
    /// What had arrived.
    pub seen: Seen,
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
    /// `error.message`.
    pub message: String,
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
    /// The text, whole.
    pub text: String,
    /// Why it stops.
    pub finish: Finish,
    /// What is billed.
    pub usage: Usage,
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
    /// How many bytes at the end of `closing` are the terminator alone.
    pub terminator: usize,
}

/// What a quota is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// Requests.
    Requests,
    /// Input tokens.
    InputTokens,
    /// Output tokens.
    OutputTokens,
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

/// A wire format: pure bytes ↔ types.
pub trait Dialect: Send + Sync + std::fmt::Debug {
    /// `anthropic` or `openai`.
    fn name(&self) -> &'static str;

    /// The variant that is spoken unless configured.
    fn default_variant(&self) -> Variant;

    /// A request in bytes.
    fn encode(&self, request: &Request, variant: &Variant) -> Encoded;

    /// A reader for the reply that begins with this status and these headers. `now` is Unix time,
    /// for headers that name a date.
    fn decoder(&self, status: u16, headers: &HeaderMap, now: Duration) -> Box<dyn Decode>;

    // The server's half.

    /// The paths it serves answers on, as the simulator sees them: `/v1/messages`.
    fn path(&self) -> &'static str;

    /// Reads a request, and checks it as the provider would.
    ///
    /// # Errors
    /// The provider's own error for a request that it would refuse.
    fn read(&self, headers: &HeaderMap, body: &[u8]) -> Result<Request, WireError>;

    /// A whole answer as a plain JSON body.
    fn body(&self, answer: &ServerAnswer) -> Bytes;

    /// A streamed answer, its text cut into these pieces. `include_usage` is what the request
    /// asked for; dialects that always send usage ignore it.
    fn frames(&self, answer: &ServerAnswer, pieces: &[&str], body: &[u8]) -> Frames;

    /// The provider's usual error for a status: `[[sim fail=529]]`.
    fn usual_error(&self, status: u16) -> WireError;

    /// An error as a JSON body.
    fn error_body(&self, error: &WireError, request_id: &str) -> Bytes;

    /// An error in mid-stream.
    fn error_frame(&self, error: &WireError, request_id: &str) -> Bytes;

    /// The headers of every reply: request id and quotas. `now` is Unix time.
    fn reply_headers(&self, request_id: &str, quotas: &[Quota], now: Duration) -> HeaderMap;
}
