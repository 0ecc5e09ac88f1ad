//! A dialect made up for tests, so that they see the simulator and not a provider's words.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sortie_providers::dialect::{
    AnswerBound, Auth, Decode, Dialect, Encoded, Frames, Quota, Request, ServerAnswer, Variant, WireError,
};

use crate::fault::Fault;
use crate::model::Model;
use crate::scenario::Scenario;
use crate::timeline::ServerRequest;

/// Speaks plain JSON; a stream is `data:` lines, an opening, the words, and an end with the usage.
#[derive(Debug)]
pub(crate) struct Plain;

pub(crate) const DIALECTS: &[&dyn Dialect] = &[&Plain];

/// Noon of some day, Unix time.
pub(crate) const NOON: Duration = Duration::from_secs(1_800_000_000);

/// What a test asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) model: String,
    pub(crate) prompt: String,
    pub(crate) max_tokens: u32,
    pub(crate) stream: bool,
}

/// A streamed request of a priced model.
pub(crate) fn ask(prompt: &str) -> Ask {
    Ask { model: "claude-sonnet-4-5".to_owned(), prompt: prompt.to_owned(), max_tokens: 1000, stream: true }
}

pub(crate) fn request(ask: &Ask, key: &str) -> ServerRequest {
    let mut headers = HeaderMap::new();
    headers.insert("x-api-key", HeaderValue::from_str(key).unwrap());
    ServerRequest {
        method: Method::POST,
        path: Plain.path().to_owned(),
        query: None,
        headers,
        body: serde_json::to_vec(ask).unwrap().into(),
    }
}

/// The calm scenario with lines more.
pub(crate) fn scenario(more: &str) -> Scenario {
    Scenario::parse(&format!("{}\n{more}\n", include_str!("../scenarios/calm.yaml"))).unwrap()
}

pub(crate) fn model(more: &str) -> Model {
    Model::speaking(DIALECTS, scenario(more), 42)
}

pub(crate) fn fault(text: &str) -> Fault {
    text.parse().unwrap()
}

impl Dialect for Plain {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn default_variant(&self) -> Variant {
        Variant { version: None, auth: Auth::XApiKey, bound: AnswerBound::MaxTokens, pins_tier: false }
    }

    fn base_url(&self) -> &'static str {
        unreachable!("the simulator calls nobody")
    }

    fn models_path(&self) -> &'static str {
        unreachable!("the simulator calls nobody")
    }

    fn headers(&self, _: &Variant) -> HeaderMap {
        unreachable!("the simulator sends no request")
    }

    fn encode(&self, _: &Request, _: &Variant) -> Encoded {
        unreachable!("the simulator encodes no request")
    }

    fn decoder(&self, _: u16, _: &HeaderMap, _: Duration) -> Box<dyn Decode> {
        unreachable!("the simulator decodes no reply")
    }

    fn path(&self) -> &'static str {
        "/v1/plain"
    }

    fn read(&self, _: &HeaderMap, body: &[u8]) -> Result<Request, WireError> {
        let ask: Ask = serde_json::from_slice(body)
            .map_err(|error| WireError { message: error.to_string(), ..self.usual_error(400) })?;
        Ok(Request {
            model: ask.model,
            system: None,
            prompt: ask.prompt,
            max_tokens: ask.max_tokens,
            temperature: None,
            stream: ask.stream,
            ..Request::default()
        })
    }

    fn body(&self, answer: &ServerAnswer, _: &[u8]) -> Bytes {
        let usage = json!([answer.usage.input, answer.usage.output]);
        json!({ "text": answer.text, "finish": answer.finish.name(), "usage": usage }).to_string().into()
    }

    fn frames(&self, answer: &ServerAnswer, pieces: &[&str], _: &[u8]) -> Frames {
        let event = |value: serde_json::Value| format!("data: {value}\n\n");
        let usage = json!([answer.usage.input, answer.usage.output]);
        let end = event(json!({ "finish": answer.finish.name(), "usage": usage }));
        let terminator = "data: [DONE]\n\n";
        Frames {
            opening: event(json!({ "id": answer.id })).into(),
            pieces: pieces.iter().map(|piece| event(json!({ "text": piece })).into()).collect(),
            closing: (end + terminator).into(),
            terminator: terminator.len(),
        }
    }

    fn usual_error(&self, status: u16) -> WireError {
        WireError {
            status,
            kind: format!("kind_{status}"),
            code: None,
            param: None,
            message: "no".to_owned(),
        }
    }

    fn error_body(&self, error: &WireError, _: &str) -> Bytes {
        json!({ "error": { "kind": error.kind, "code": error.code, "message": error.message } })
            .to_string()
            .into()
    }

    fn error_frame(&self, error: &WireError, id: &str, _: usize) -> Bytes {
        let body = self.error_body(error, id);
        format!("data: {}\n\n", String::from_utf8_lossy(&body)).into()
    }

    fn reply_headers(&self, request_id: &str, quotas: &[Quota], _: Duration) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("request-id", HeaderValue::from_str(request_id).unwrap());
        for quota in quotas {
            let name = match quota.dimension {
                sortie_providers::dialect::Dimension::Requests => "left-requests",
                sortie_providers::dialect::Dimension::InputTokens => "left-input",
                sortie_providers::dialect::Dimension::OutputTokens => "left-output",
                sortie_providers::dialect::Dimension::Tokens => "left-tokens",
            };
            headers.insert(name, quota.remaining.into());
        }
        headers
    }
}
