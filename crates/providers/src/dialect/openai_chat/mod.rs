//! OpenAI's Chat Completions API, from its reference and the types of its official SDKs, with what
//! compatible servers (vLLM, OpenRouter, llama.cpp, Groq …) do differently.

mod checks;
mod client;
mod kept;
mod reading;
mod server;
mod tools;
mod turns;

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::reply::Reader;
use super::turns::json_headers;
use super::{
    AnswerBound, Auth, Decode, Decoded, Dialect, Encoded, Frames, Particulars, Quota, Request, ServerAnswer,
    Variant, WireError, openai,
};

/// OpenAI's Chat Completions API.
#[derive(Clone, Copy, Debug)]
pub struct OpenAiChat;

impl Dialect for OpenAiChat {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn default_variant(&self) -> Variant {
        let bound = AnswerBound::MaxCompletionTokens;
        Variant { version: None, auth: Auth::Bearer, bound, pins_tier: true }
    }

    fn variant_at(&self, host: &str) -> Variant {
        let own = self.default_variant();
        if openai::is_own(host) {
            return own;
        }
        Variant { bound: AnswerBound::MaxTokens, pins_tier: false, ..own }
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

    fn encode_kept(&self, name: &str) -> Option<(&'static str, Vec<(String, String)>)> {
        Some(kept::encode(name))
    }

    fn read_kept(&self, body: &[u8], name: &str) -> Option<Vec<Decoded>> {
        kept::read(body, name)
    }

    fn decoder(&self, status: u16, headers: &HeaderMap, now: Duration) -> Box<dyn Decode> {
        Box::new(Reader::<client::ChatCompletions>::new(status, headers, now))
    }

    fn path(&self) -> &'static str {
        "/v1/chat/completions"
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

    fn error_frame(&self, error: &WireError, _request_id: &str, _events: usize) -> Bytes {
        server::event(&openai::error_body(error)).into()
    }

    fn reply_headers(&self, request_id: &str, quotas: &[Quota], _now: Duration) -> HeaderMap {
        openai::reply_headers(request_id, quotas)
    }
}
