//! Where an account is reached, and with which key. A key is bound to its endpoint here and goes
//! nowhere else.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::Url;

use crate::dialect::{Auth, Dialect, Variant};
use crate::keys::Key;

/// An account at an API.
#[derive(Clone, Debug)]
pub struct Endpoint {
    dialect: &'static dyn Dialect,
    base: Url,
    variant: Variant,
    key: Option<Key>,
}

/// Why a base URL is refused. Repeats nothing of it but its scheme: it may hold what was meant to be
/// a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is no URL with a host.
    #[error("the base URL is not of the form https://host/path")]
    NotUrl,
    /// The scheme is neither of the two.
    #[error("the base URL has the scheme {0:?}; https is needed")]
    Scheme(String),
    /// Keys and prompts would travel in the clear.
    #[error(
        "the base URL is not encrypted; https is needed, except for this machine (localhost, 127.0.0.1, [::1])"
    )]
    NotEncrypted,
    /// It has a user, a password, a query or a fragment.
    #[error("the base URL has a user, a password, a query or a fragment; keys belong into variables")]
    Extra,
}

impl Endpoint {
    /// An account that is reached at this base URL, in the form of the official SDKs: Anthropic's
    /// without `/v1`, OpenAI's with it. A slash at its end makes no difference.
    ///
    /// # Errors
    /// Where the URL is none, is not `https` (except on loopback hosts), or has more than a path.
    pub fn new(
        dialect: &'static dyn Dialect,
        base_url: &str,
        variant: Variant,
        key: Option<Key>,
    ) -> Result<Endpoint, EndpointError> {
        Ok(Endpoint { dialect, base: base_of(base_url)?, variant, key })
    }

    /// The dialect that is spoken.
    pub fn dialect(&self) -> &'static dyn Dialect {
        self.dialect
    }

    /// How it is spoken.
    pub fn variant(&self) -> &Variant {
        &self.variant
    }

    /// The key, if one is sent.
    pub fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    /// Scheme, host and port, for people: `https://api.anthropic.com`.
    pub fn origin(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    /// Whether it is on this machine: never asked through a proxy.
    pub(super) fn is_loopback(&self) -> bool {
        self.base.host_str().is_some_and(is_loopback)
    }

    /// The URL of a path behind the base URL.
    pub(super) fn url(&self, path: &str) -> Url {
        behind(&self.base, path)
    }

    /// Puts the key where the variant says; marked, so that no debug output shows it.
    pub(super) fn authorize(&self, headers: &mut HeaderMap) {
        let Some(key) = &self.key else { return };
        let (name, text) = match self.variant.auth {
            Auth::XApiKey => (HeaderName::from_static("x-api-key"), key.expose().to_owned()),
            Auth::Bearer => (AUTHORIZATION, format!("Bearer {}", key.expose())),
        };
        // A `Key` is visible ASCII: the conversion cannot fail.
        if let Ok(mut value) = HeaderValue::try_from(text) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }

    /// Takes the key out of what a server said, whatever it looks like: some repeat it.
    pub(super) fn mask(&self, said: &mut String) {
        if let Some(key) = &self.key
            && key.expose().len() >= SHORTEST_SECRET
            && said.contains(key.expose())
        {
            *said = said.replace(key.expose(), "…");
        }
    }
}

/// The shortest text that may be a secret. What stands in for a key at a server of one's own (`none`)
/// is shorter, and a word of messages.
const SHORTEST_SECRET: usize = 8;

/// Whether a base URL is of this machine.
pub fn is_this_machine(base_url: &str) -> bool {
    Url::parse(base_url).is_ok_and(|url| url.host_str().is_some_and(is_loopback))
}

/// A base URL, where it is one and keeps what is sent there to itself.
pub(super) fn base_of(base_url: &str) -> Result<Url, EndpointError> {
    let base = Url::parse(base_url.trim()).map_err(|_| EndpointError::NotUrl)?;
    let host = base.host_str().filter(|host| !host.is_empty()).ok_or(EndpointError::NotUrl)?;
    match base.scheme() {
        "https" => (),
        "http" if is_loopback(host) => (),
        "http" => return Err(EndpointError::NotEncrypted),
        other => return Err(EndpointError::Scheme(other.to_owned())),
    }
    let has_extra = !base.username().is_empty()
        || base.password().is_some()
        || base.query().is_some()
        || base.fragment().is_some();
    if has_extra { Err(EndpointError::Extra) } else { Ok(base) }
}

/// The URL of a path behind a base URL.
pub(super) fn behind(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

/// Whether a host is this machine, whatever the resolver says.
pub(super) fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Anthropic, OpenAiChat};

    fn endpoint(base_url: &str) -> Result<Endpoint, EndpointError> {
        let key = Key::new("sk-test-0123456789").unwrap();
        Endpoint::new(&Anthropic, base_url, Anthropic.default_variant(), Some(key))
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for url in
            ["https://api.anthropic.com", "http://localhost:8080", "http://127.0.0.9", "http://[::1]:1/v1"]
        {
            assert!(endpoint(url).is_ok(), "{url}");
        }
        for (url, error) in [
            ("http://api.anthropic.com", EndpointError::NotEncrypted),
            ("http://localhost.evil.com", EndpointError::NotEncrypted),
            ("http://127.0.0.1.evil.com", EndpointError::NotEncrypted),
            ("http://10.0.0.1", EndpointError::NotEncrypted),
            ("ftp://127.0.0.1", EndpointError::Scheme("ftp".to_owned())),
            ("api.anthropic.com", EndpointError::NotUrl),
            ("localhost:8080", EndpointError::NotUrl),
            ("https://user@api.anthropic.com", EndpointError::Extra),
            ("https://api.anthropic.com?key=sk-test", EndpointError::Extra),
            ("https://api.anthropic.com/#x", EndpointError::Extra),
        ] {
            assert_eq!(endpoint(url).unwrap_err(), error, "{url}");
        }
    }

    #[test]
    fn paths_follow_the_base_url_with_or_without_its_slash() {
        let check =
            |base, path, expected: &str| assert_eq!(endpoint(base).unwrap().url(path).as_str(), expected);
        check("https://api.anthropic.com", "/v1/messages", "https://api.anthropic.com/v1/messages");
        check("https://api.anthropic.com/", "/v1/messages", "https://api.anthropic.com/v1/messages");
        check("https://host/v1/", "/chat/completions", "https://host/v1/chat/completions");
    }

    #[test]
    fn a_key_is_masked_where_it_may_be_a_secret() {
        let check = |key: &str, said: &str, expected: &str| {
            let key = Key::new(key).unwrap();
            let variant = Anthropic.default_variant();
            let endpoint = Endpoint::new(&Anthropic, "http://127.0.0.1", variant, Some(key)).unwrap();
            let mut shown = said.to_owned();
            endpoint.mask(&mut shown);
            assert_eq!(shown, expected);
        };
        check("house_0123456789", "bad key 'house_0123456789'.", "bad key '…'.");
        check("house_0123456789", "bad key house_01…", "bad key house_01…");
        check("none", "there is none", "there is none");
    }

    #[test]
    fn no_debug_output_shows_the_key() {
        let anthropic = endpoint("https://api.anthropic.com").unwrap();
        let key = anthropic.key().cloned();
        let openai =
            Endpoint::new(&OpenAiChat, OpenAiChat.base_url(), OpenAiChat.default_variant(), key).unwrap();
        for (endpoint, name) in [(anthropic, "x-api-key"), (openai, "authorization")] {
            let mut headers = HeaderMap::new();
            endpoint.authorize(&mut headers);
            assert!(headers[name].to_str().unwrap().ends_with("sk-test-0123456789"));
            let shown = format!("{endpoint:?} {headers:?}");
            assert!(!shown.contains("sk-test") && shown.contains("REDACTED"), "{shown}");
        }
    }
}
