//! What a real API answered, kept as files, and answered again from them.
//!
//! One exchange is one JSON file, `NNNN-METHOD-path.json` in the order of the requests' arrival:
//! see [`Exchange`]. What was said is kept, prompts and answers; who said it is not: of headers only
//! those that a reader needs (`KEPT`), and keys and ids of organisations, workspaces and projects
//! are masked wherever they appear.

mod masking;
mod replay;
mod results;
mod shelf;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use crate::timeline::ServerRequest;
use masking::Secrets;

pub use replay::Replay;
pub(crate) use results::Results;
pub use shelf::{Shelf, ShelfError};

/// The version of the files' form.
const FORMAT: u32 = 1;

/// The headers that are kept; a `*` stands for any ending.
const KEPT: [&str; 16] = [
    "accept",
    "allow",
    "anthropic-beta",
    "anthropic-ratelimit-*",
    "anthropic-version",
    "content-encoding",
    "content-length",
    "content-type",
    "location",
    "openai-processing-ms",
    "request-id",
    "retry-after",
    "retry-after-ms",
    "x-ratelimit-*",
    "x-request-id",
    "x-should-retry",
];

/// One request and its reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// The version of this form: 1.
    pub format: u32,
    /// What was asked.
    pub request: Asked,
    /// What came back.
    pub response: Answered,
}

/// A request as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// `POST`.
    pub method: String,
    /// `/v1/messages`.
    pub path: String,
    /// What follows the question mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Those headers that are kept.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Written,
}

/// A reply as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// The HTTP status.
    pub status: u16,
    /// Those headers that are kept.
    pub headers: BTreeMap<String, String>,
    /// When the headers came: microseconds after the request had arrived.
    pub head_at_us: u64,
    /// The body, in the pieces that it came in.
    pub chunks: Vec<Piece>,
    /// How it ended.
    pub end: Ending,
    /// When, likewise.
    pub end_at_us: u64,
}

/// A piece of a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Piece {
    /// When it came, in microseconds after the request had arrived.
    pub at_us: u64,
    /// What.
    pub bytes: Written,
}

/// How a recorded body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// As its framing said.
    Closed,
    /// It broke off.
    Cut,
}

/// Bytes as a file holds them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Written {
    /// UTF-8, as it is.
    Text(String),
    /// Anything else, two digits a byte.
    Hex(String),
}

impl Written {
    /// Bytes as a file holds them.
    pub fn of(bytes: &[u8]) -> Self {
        if let Ok(text) = str::from_utf8(bytes) {
            return Written::Text(text.to_owned());
        }
        let mut digits = String::with_capacity(2 * bytes.len());
        for byte in bytes {
            let _infallible = write!(digits, "{byte:02x}");
        }
        Written::Hex(digits)
    }

    /// The bytes; none where they are no pairs of hexadecimal digits, as [`Exchange::read`] refuses.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Written::Text(text) => Some(text.clone().into_bytes()),
            Written::Hex(digits) => {
                let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
                let byte = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
                rest.is_empty().then(|| pairs.iter().map(byte).collect())?
            }
        }
    }
}

/// Why a text is no exchange of this form.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// It is no JSON, or other JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// It is of a form that this version does not know.
    #[error("its format is {0}, and {FORMAT} is known")]
    Format(u32),
    /// Bytes are no hexadecimal digits.
    #[error("its `hex` is no pairs of digits")]
    Hex,
    /// No reply ends with this status.
    #[error("its status is {0}, and a reply has one from 200 to 599")]
    Status(u16),
    /// No header has this name.
    #[error("its header `{0}` is no name of a header")]
    HeaderName(String),
    /// A header cannot have this value.
    #[error("the value of its header `{0}` holds what no header can")]
    HeaderValue(String),
}

/// A reply as it was heard.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) head_at: Duration,
    pub(crate) chunks: Vec<(Duration, Bytes)>,
    pub(crate) end: Ending,
    pub(crate) end_at: Duration,
}

impl Exchange {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// Where it is not of this form.
    pub fn read(text: &[u8]) -> Result<Self, FormError> {
        let exchange: Exchange = serde_json::from_slice(text)?;
        if exchange.format != FORMAT {
            return Err(FormError::Format(exchange.format));
        }
        let mut bodies = exchange.response.chunks.iter().map(|chunk| &chunk.bytes);
        if exchange.request.body.bytes().is_none() || bodies.any(|body| body.bytes().is_none()) {
            return Err(FormError::Hex);
        }
        if !(200..=599).contains(&exchange.response.status) {
            return Err(FormError::Status(exchange.response.status));
        }
        for (name, value) in exchange.request.headers.iter().chain(&exchange.response.headers) {
            HeaderName::try_from(name).map_err(|_| FormError::HeaderName(name.clone()))?;
            HeaderValue::try_from(value).map_err(|_| FormError::HeaderValue(name.clone()))?;
        }
        Ok(exchange)
    }

    /// An exchange as it may be kept.
    pub(crate) fn of(request: &ServerRequest, heard: &Heard) -> Self {
        let secrets = Secrets::of(&request.headers, &heard.headers);
        // Masked as a whole, so that a key is found which two pieces share.
        let mut whole: Vec<u8> = heard.chunks.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
        secrets.mask(&mut whole);
        let mut rest = whole.as_slice();
        let chunks = heard.chunks.iter().map(|(at, bytes)| {
            let (piece, after) = rest.split_at(bytes.len().min(rest.len()));
            rest = after;
            Piece { at_us: micros(*at), bytes: Written::of(piece) }
        });
        let chunks = chunks.collect();
        Exchange {
            format: FORMAT,
            request: Asked::of(request, &secrets),
            response: Answered {
                status: heard.status.as_u16(),
                headers: kept(&heard.headers, &secrets),
                head_at_us: micros(heard.head_at),
                chunks,
                end: heard.end,
                end_at_us: micros(heard.end_at),
            },
        }
    }
}

impl Answered {
    /// The headers that were kept.
    pub fn header_map(&self) -> HeaderMap {
        header_map(&self.headers)
    }

    /// The whole body.
    pub fn body(&self) -> Vec<u8> {
        self.chunks.iter().filter_map(|chunk| chunk.bytes.bytes()).flatten().collect()
    }
}

impl Asked {
    /// The headers that were kept.
    pub fn header_map(&self) -> HeaderMap {
        header_map(&self.headers)
    }

    fn of(request: &ServerRequest, secrets: &Secrets) -> Self {
        Asked {
            method: request.method.to_string(),
            path: secrets.masked(&request.path),
            query: request.query.as_deref().map(|query| secrets.masked_query(query)),
            headers: kept(&request.headers, secrets),
            body: {
                let mut body = request.body.to_vec();
                secrets.mask(&mut body);
                Written::of(&body)
            },
        }
    }

    /// As [`same`], of what was kept.
    fn same(&self) -> Vec<u8> {
        let body = self.body.bytes().unwrap_or_default();
        same(&self.method, &self.path, self.query.as_deref(), &body)
    }
}

/// What makes two requests the same: method, path, query without its keys, and the body with its
/// JSON's keys in one order.
fn same(method: &str, path: &str, query: Option<&str>, body: &[u8]) -> Vec<u8> {
    let query = masking::without_keys(query.unwrap_or_default());
    let head = format!("{method} {path}?{query}\n").into_bytes();
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(json) => [head, json.to_string().into_bytes()].concat(),
        Err(_) => [head.as_slice(), body].concat(),
    }
}

/// Headers as HTTP has them, those that it could not have left out.
fn header_map(headers: &BTreeMap<String, String>) -> HeaderMap {
    let header = |(name, value): (&String, &String)| {
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
    };
    headers.iter().filter_map(header).collect()
}

/// The headers that are kept; a repeated one once.
fn kept(headers: &HeaderMap, secrets: &Secrets) -> BTreeMap<String, String> {
    let is_kept = |name: &str| {
        KEPT.iter().any(|kept| match kept.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == *kept,
        })
    };
    let headers = headers.iter().filter(|(name, _)| is_kept(name.as_str()));
    let text = headers.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?)));
    text.map(|(name, value)| (name, secrets.masked(value))).collect()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
