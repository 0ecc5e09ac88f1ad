//! Error replies: the error, what headers say beside it, and in whose words its body is.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, SERVER};
use http::{HeaderName, HeaderValue, StatusCode};
use sortie_providers::dialect::{Dialect, Quota, WireError};

use super::{Model, json_headers};
use crate::timeline::Timeline;

/// The proxy before both providers' APIs.
const PROXY: &str = "cloudflare";

/// Why a request gets an error reply.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) error: WireError,
    headers: Vec<(HeaderName, HeaderValue)>,
    quotas: Vec<Quota>,
    at: Duration,
    body: RefusalBody,
}

/// What an error reply has for a body.
#[derive(Debug)]
enum RefusalBody {
    /// The error, in the dialect's words.
    Error,
    /// A page of HTML, as a proxy before the API sends it.
    Page,
    /// Nothing: whoever redirects is a proxy, which does not speak the dialect.
    None,
}

impl Refusal {
    pub(super) fn new(error: WireError) -> Box<Self> {
        Box::new(Refusal {
            error,
            headers: Vec::new(),
            quotas: Vec::new(),
            at: Duration::ZERO,
            body: RefusalBody::Error,
        })
    }

    /// The dialect's usual error for the status, with this message.
    pub(super) fn says(dialect: &dyn Dialect, status: u16, message: impl Into<String>) -> Box<Self> {
        Refusal::new(WireError { message: message.into(), ..dialect.usual_error(status) })
    }

    /// The same about this parameter, where the provider names it.
    pub(super) fn about(mut self: Box<Self>, param: impl Into<String>) -> Box<Self> {
        self.error = self.error.about(param);
        self
    }

    /// The same with this code.
    pub(super) fn coded(mut self: Box<Self>, code: &str) -> Box<Self> {
        self.error.code = Some(code.to_owned());
        self
    }

    /// The same without a code: the usual one is about something else.
    pub(super) fn uncoded(mut self: Box<Self>) -> Box<Self> {
        self.error.code = None;
        self
    }

    /// The same of a request that had come as far as the quotas.
    pub(super) fn after(mut self: Box<Self>, network: Duration, quotas: Vec<Quota>) -> Box<Self> {
        (self.at, self.quotas) = (network, quotas);
        self
    }

    pub(super) fn with(mut self: Box<Self>, name: HeaderName, value: &str) -> Box<Self> {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }

    pub(super) fn with_header(self: Box<Self>, header: Option<(HeaderName, String)>) -> Box<Self> {
        match header {
            Some((name, value)) => self.with(name, &value),
            None => self,
        }
    }

    pub(super) fn with_page(mut self: Box<Self>) -> Box<Self> {
        self.body = RefusalBody::Page;
        self
    }

    pub(super) fn without_body(mut self: Box<Self>) -> Box<Self> {
        self.body = RefusalBody::None;
        self
    }
}

impl Model {
    /// The reply of a refusal.
    pub(super) fn refused(
        &self,
        dialect: &dyn Dialect,
        refusal: &Refusal,
        id: &str,
        now: Duration,
    ) -> Timeline {
        let mut headers = json_headers(self.headers(dialect, id, &refusal.quotas, now));
        if let Some(retry) = self.scenario.should_retry {
            let said = if retry { "true" } else { "false" };
            headers.insert("x-should-retry", HeaderValue::from_static(said));
        }
        for (name, value) in &refusal.headers {
            headers.insert(name, value.clone());
        }
        let status = StatusCode::from_u16(refusal.error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = match refusal.body {
            RefusalBody::Error => dialect.error_body(&refusal.error, id),
            RefusalBody::Page => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
                headers.insert(SERVER, HeaderValue::from_static(PROXY));
                page(status)
            }
            RefusalBody::None => Bytes::new(),
        };
        Timeline::whole(refusal.at, status, headers, body)
    }
}

/// A proxy's page, in the form of those that it sends itself.
pub(super) fn page(status: StatusCode) -> Bytes {
    let title = match status {
        // nginx's own name for it, which the proxy kept.
        StatusCode::PAYLOAD_TOO_LARGE => "413 Request Entity Too Large".to_owned(),
        _ => status.to_string(),
    };
    let heading = format!("<center><h1>{title}</h1></center>");
    format!(
        "<html>\n<head><title>{title}</title></head>\n<body>\n{heading}\n<hr><center>{PROXY}</center>\n\
         </body>\n</html>\n"
    )
    .into()
}
