//! Error replies: the error, what headers say beside it, and in whose words its body is.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION, SERVER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use sortie_providers::dialect::{Dialect, Quota, WireError};

use super::{FAULT_WAIT, Model, json_headers};
use crate::errors;
use crate::fault::Fault;
use crate::scenario::RetryAfter;
use crate::timeline::Timeline;

/// The proxy before both providers' APIs.
const PROXY: &str = "cloudflare";

/// Where a redirect points: a name that never resolves (RFC 6761).
const ELSEWHERE: &str = "http://elsewhere.invalid/";

/// The word of a fault that has a proxy's page in place of the error's JSON.
const HTML: &str = "html";

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

impl Refusal {
    /// The error reply that a fault is; none where it is something else. `wait` is the header of a 429 that a wait
    /// helps.
    pub(super) fn by(
        fault: &Fault,
        dialect: &dyn Dialect,
        wait: Option<(HeaderName, String)>,
    ) -> Option<Box<Self>> {
        let (error, word) = match fault {
            Fault::Status(status) => (dialect.usual_error(*status), None),
            Fault::Coded(status, word) if word == HTML || (300..400).contains(status) => {
                (dialect.usual_error(*status), Some(word.as_str()))
            }
            Fault::Coded(status, word) => (errors::said(dialect, *status, word), Some(word.as_str())),
            Fault::NoCredit => (errors::no_credit(dialect), Some("credit")),
            _ => return None,
        };
        let status = error.status;
        let mut refusal = Refusal::new(error);
        if status == 429 && errors::says_wait(word) {
            refusal = refusal.with_header(wait);
        }
        Some(match word {
            _ if (300..400).contains(&status) => {
                refusal.with(LOCATION, word.unwrap_or(ELSEWHERE)).without_body()
            }
            Some(HTML) => refusal.with_page(),
            _ => refusal,
        })
    }

    /// The reply, with these headers beside its own.
    fn reply(&self, dialect: &dyn Dialect, id: &str, mut headers: HeaderMap) -> Timeline {
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        let status = StatusCode::from_u16(self.error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = match self.body {
            RefusalBody::Error => dialect.error_body(&self.error, id),
            RefusalBody::Page => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
                headers.insert(SERVER, HeaderValue::from_static(PROXY));
                page(status)
            }
            RefusalBody::None => Bytes::new(),
        };
        Timeline::whole(self.at, status, headers, body)
    }
}

/// The error reply that a fault is, where no model answers; none where the fault is something else.
pub(crate) fn error_reply(fault: &Fault, dialect: &dyn Dialect, id: &str, now: Duration) -> Option<Timeline> {
    let refusal = Refusal::by(fault, dialect, RetryAfter::default().header(FAULT_WAIT, now))?;
    Some(refusal.reply(dialect, id, json_headers(dialect.reply_headers(id, &[], now))))
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
        refusal.reply(dialect, id, headers)
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
