//! OpenAI's Responses API, from its reference and the types of its official SDKs (Python 3.54).
//!
//! A response here is one answer to one request. Keeping responses, going on from them
//! (`previous_response_id`) and answering in the background is up to whoever serves them. Reasoning
//! items have no summaries.

mod client;
mod items;
mod reading;
mod server;
mod tools;

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::reply::Reader;
use super::turns::json_headers;
use super::{
    AnswerBound, Auth, Decode, Dialect, Encoded, Frames, Particulars, Quota, Request, ServerAnswer, Variant,
    WireError, openai,
};

/// OpenAI's Responses API.
#[derive(Clone, Copy, Debug)]
pub struct OpenAiResponses;

impl Dialect for OpenAiResponses {
    fn name(&self) -> &'static str {
        "openai-responses"
    }

    fn default_variant(&self) -> Variant {
        // The bound has one name here.
        let bound = AnswerBound::MaxCompletionTokens;
        Variant { version: None, auth: Auth::Bearer, bound, pins_tier: true }
    }

    fn variant_at(&self, host: &str) -> Variant {
        Variant { pins_tier: openai::is_own(host), ..self.default_variant() }
    }

    fn base_url(&self) -> &'static str {
        openai::BASE_URL
    }

    fn models_path(&self) -> &'static str {
        "/models"
    }

    fn headers(&self, _variant: &Variant) -> HeaderMap {
        json_headers()
    }

    fn encode(&self, request: &Request, variant: &Variant) -> Encoded {
        client::encode(request, variant)
    }

    fn decoder(&self, status: u16, headers: &HeaderMap, now: Duration) -> Box<dyn Decode> {
        Box::new(Reader::<client::Responses>::new(status, headers, now))
    }

    fn path(&self) -> &'static str {
        "/v1/responses"
    }

    fn read(&self, _headers: &HeaderMap, body: &[u8]) -> Result<Request, WireError> {
        reading::read(body)
    }

    fn particulars(&self, body: &[u8]) -> Particulars {
        reading::particulars(body)
    }

    fn body(&self, answer: &ServerAnswer, asked: &[u8]) -> Bytes {
        server::body(answer, asked)
    }

    fn frames(&self, answer: &ServerAnswer, pieces: &[&str], body: &[u8]) -> Frames {
        server::frames(answer, pieces, body)
    }

    fn usual_error(&self, status: u16) -> WireError {
        openai::usual_error(status)
    }

    fn error_body(&self, error: &WireError, _request_id: &str) -> Bytes {
        openai::error_body(error).to_string().into()
    }

    fn error_frame(&self, error: &WireError, _request_id: &str, events: usize) -> Bytes {
        server::error_event(error, events).into()
    }

    fn reply_headers(&self, request_id: &str, quotas: &[Quota], _now: Duration) -> HeaderMap {
        openai::reply_headers(request_id, quotas)
    }
}
