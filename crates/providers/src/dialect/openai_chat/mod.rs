//! OpenAI's Chat Completions API, from its reference and the types of its official SDKs, with what
//! compatible servers (vLLM, OpenRouter, llama.cpp, Groq …) do differently.

mod client;
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

    fn body(&self, answer: &ServerAnswer) -> Bytes {
        server::body(answer)
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

    fn error_frame(&self, error: &WireError, _request_id: &str) -> Bytes {
        server::event(&openai::error_body(error)).into()
    }

    fn reply_headers(&self, request_id: &str, quotas: &[Quota], _now: Duration) -> HeaderMap {
        openai::reply_headers(request_id, quotas)
    }
}

/// Whether it is of the o-series or of gpt-5 and later: these refuse `max_tokens`, wherever they are
/// served.
fn is_reasoning(model: &str) -> bool {
    let leading = |text: &str| {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text[..digits].parse::<u32>().ok()
    };
    model.strip_prefix('o').and_then(leading).is_some()
        || model.strip_prefix("gpt-").and_then(leading).is_some_and(|generation| generation >= 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasoning_models_are_told_by_their_names() {
        let models = ["o1", "o4-mini", "gpt-5", "gpt-5.6-sol", "gpt-6.1-sol", "gpt-10"];
        assert!(models.into_iter().all(is_reasoning));
        let others = ["gpt-4o", "gpt-4.1-mini", "gpt-3.5-turbo", "olmo", "omni", "gpt-oss-20b", ""];
        assert!(!others.into_iter().any(is_reasoning));
    }
}
