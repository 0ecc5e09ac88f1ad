//! Anthropic's Messages API, from its reference and the types of its official SDKs.
//!
//! Two versions of it are live: `2023-06-01`, and `2026-10-21`, which removed the sampling
//! parameters. The older one is spoken unless configured: compatible servers (llama.cpp) know only
//! it, it takes a temperature, and nothing that sortie sends gains by the newer one.

mod blocks;
mod calls;
mod checks;
mod client;
mod kinds;
mod models;
mod reading;
mod schemas;
mod server;
mod thinking;
mod tool_kinds;
mod tools;
mod turns;

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::reply::Reader;
use super::{
    AnswerBound, Auth, Decode, Dialect, Encoded, Frames, Particulars, Quota, Request, ServerAnswer, Variant,
    WireError,
};

/// The version that all servers know.
const V2023: &str = "2023-06-01";

/// The version without `temperature`, `top_p` and `top_k`: sending one is a 400.
const V2026: &str = "2026-10-21";

/// The header that names the version.
const VERSION: &str = "anthropic-version";

/// Anthropic's Messages API.
#[derive(Clone, Copy, Debug)]
pub struct Anthropic;

impl Dialect for Anthropic {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn default_variant(&self) -> Variant {
        // Its priority tier is paid for in advance: there is nothing to be pinned.
        let (version, bound) = (Some(V2023.to_owned()), AnswerBound::MaxTokens);
        Variant { version, auth: Auth::XApiKey, bound, pins_tier: false }
    }

    fn base_url(&self) -> &'static str {
        "https://api.anthropic.com"
    }

    fn models_path(&self) -> &'static str {
        "/v1/models"
    }

    fn headers(&self, variant: &Variant) -> HeaderMap {
        client::headers(variant)
    }

    fn encode(&self, request: &Request, variant: &Variant) -> Encoded {
        client::encode(request, variant)
    }

    fn encode_count(&self, request: &Request, variant: &Variant) -> Option<Encoded> {
        Some(client::encode_count(request, variant))
    }

    fn read_count(&self, body: &[u8]) -> Option<u64> {
        client::read_count(body)
    }

    fn decoder(&self, status: u16, headers: &HeaderMap, now: Duration) -> Box<dyn Decode> {
        Box::new(Reader::<client::Messages>::new(status, headers, now))
    }

    fn path(&self) -> &'static str {
        "/v1/messages"
    }

    fn check_headers(&self, headers: &HeaderMap) -> Result<(), WireError> {
        checks::is_2026(headers).map(drop)
    }

    fn read(&self, headers: &HeaderMap, body: &[u8]) -> Result<Request, WireError> {
        reading::read(headers, body)
    }

    fn particulars(&self, body: &[u8]) -> Particulars {
        reading::particulars(body)
    }

    fn body(&self, answer: &ServerAnswer, asked: &[u8]) -> Bytes {
        server::body(answer, reading::shows_thoughts(answer, asked))
    }

    fn frames(&self, answer: &ServerAnswer, pieces: &[&str], body: &[u8]) -> Frames {
        server::frames(answer, pieces, reading::shows_thoughts(answer, body))
    }

    fn usual_error(&self, status: u16) -> WireError {
        server::usual_error(status)
    }

    fn error_body(&self, error: &WireError, request_id: &str) -> Bytes {
        server::error_body(error, request_id).to_string().into()
    }

    fn error_frame(&self, error: &WireError, request_id: &str, _events: usize) -> Bytes {
        server::event("error", &server::error_body(error, request_id)).into()
    }

    fn reply_headers(&self, request_id: &str, quotas: &[Quota], now: Duration) -> HeaderMap {
        server::reply_headers(request_id, quotas, now)
    }
}
