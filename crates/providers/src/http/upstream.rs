//! Passes requests on as they came, keys and all: for the simulator, which records what a real API
//! answers. It understands nothing of what it passes on.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, StatusCode};
use reqwest::Url;

use super::endpoint::{EndpointError, base_of, behind, is_loopback};
use super::{ClientError, builder};

/// How long an upstream may take to be connected to.
const CONNECT: Duration = Duration::from_secs(10);

/// Headers of one connection, which say nothing to the next (RFC 9110, section 7.6.1), and those
/// that each connection finds for itself.
const OF_THE_CONNECTION: [HeaderName; 11] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::HOST,
    header::EXPECT,
];

/// An API that requests are passed on to.
#[derive(Clone, Debug)]
pub struct Upstream {
    base: Url,
    client: reqwest::Client,
}

/// Why requests cannot be passed on.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// There is no such place.
    #[error("use the upstream")]
    Endpoint(#[from] EndpointError),
    /// The client could not be made.
    #[error("set up the connection to the upstream")]
    Client(#[from] ClientError),
    /// It did not answer, or not to the end.
    #[error("hear the upstream's answer")]
    Silent(#[source] reqwest::Error),
}

/// A reply whose body is still on its way.
#[derive(Debug)]
pub struct Passed {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, those of the connection apart.
    pub headers: HeaderMap,
    response: reqwest::Response,
}

impl Upstream {
    /// The API behind this base URL; what follows it is the request's own path, so it ends before
    /// `/v1` for either provider.
    ///
    /// # Errors
    /// As [`super::Endpoint::new`], and where TLS cannot be set up.
    pub fn new(base_url: &str) -> Result<Upstream, UpstreamError> {
        // An error says that another provider is installed, which is as good.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let base = base_of(base_url)?;
        let mut client = builder(CONNECT);
        if base.host_str().is_some_and(is_loopback) {
            client = client.no_proxy();
        }
        Ok(Upstream { base, client: client.build().map_err(ClientError)? })
    }

    /// The path that a request's own path becomes behind the base URL.
    pub fn path(&self, path: &str) -> String {
        behind(&self.base, path).path().to_owned()
    }

    /// Sends a request as it came, with the headers that it had and no others but `accept: */*` where it
    /// names none, which says the same, and waits for the reply's head.
    ///
    /// # Errors
    /// [`UpstreamError::Silent`] where there is none.
    pub async fn pass(
        &self,
        method: Method,
        path: &str,
        query: Option<&str>,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Passed, UpstreamError> {
        let mut url = behind(&self.base, path);
        url.set_query(query);
        let mut headers = end_to_end(headers);
        headers.remove(header::CONTENT_LENGTH);
        for name in [header::AUTHORIZATION, HeaderName::from_static("x-api-key")] {
            if let Some(value) = headers.get_mut(name) {
                value.set_sensitive(true);
            }
        }
        let sent = self.client.request(method, url).headers(headers).body(body).send().await;
        let response = sent.map_err(|error| UpstreamError::Silent(error.without_url()))?;
        Ok(Passed { status: response.status(), headers: end_to_end(response.headers()), response })
    }
}

impl Passed {
    /// The next bytes of the body, as they come; none at its end.
    ///
    /// # Errors
    /// [`UpstreamError::Silent`] where it breaks off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, UpstreamError> {
        self.response.chunk().await.map_err(|error| UpstreamError::Silent(error.without_url()))
    }
}

/// The same headers without those of one connection, the ones that it names itself among them. The length of the
/// body stays.
pub fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<&str> = named.flat_map(|names| names.split(',')).map(str::trim).collect();
    let mut headers = headers.clone();
    for name in named {
        headers.remove(name);
    }
    for name in OF_THE_CONNECTION {
        headers.remove(name);
    }
    headers
}
