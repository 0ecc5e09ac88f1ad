//! The question for an answer that the provider has kept: nothing is generated, and nothing is billed.

use std::time::Duration;

use sortie_core::failure::{Class, Failure};
use tokio::time::timeout;

use super::{Client, refusal, why};
use crate::dialect::Decoded;
use crate::http::Endpoint;

/// Bytes of an answer that are read: two of the longest completions, with what surrounds them.
const MOST_BYTES: usize = 16 << 20;

impl Client {
    /// Asks for the answer that was kept by this name, once; none where there is none (yet).
    ///
    /// # Errors
    /// Where the API has no such question, refuses it, has several answers of the name, or has not answered within
    /// this time.
    #[expect(clippy::disallowed_methods, reason = "the client's one clock: sockets are in real time")]
    pub async fn kept(
        &self,
        endpoint: &Endpoint,
        name: &str,
        within: Duration,
    ) -> Result<Option<Decoded>, Failure> {
        let dialect = endpoint.dialect();
        let Some((path, query)) = dialect.encode_kept(name) else {
            return Err(Failure::new(Class::Invalid, format!("{} keeps no answers", dialect.name())));
        };
        let mut url = endpoint.url(path);
        url.query_pairs_mut().extend_pairs(query);
        let mut headers = dialect.headers(endpoint.variant());
        endpoint.authorize(&mut headers);
        let sending = self.at(endpoint).get(url).headers(headers);
        let malformed = || Failure::new(Class::Malformed, "the reply is no list of answers that were kept");
        let network = |error| Failure::new(Class::Network, why(error));
        let asked = async {
            let mut reply = sending.send().await.map_err(network)?;
            if !reply.status().is_success() {
                return Err(refusal(endpoint, reply).await.unwrap_or_else(malformed));
            }
            let mut body = Vec::new();
            while let Some(bytes) = reply.chunk().await.map_err(network)? {
                body.extend_from_slice(&bytes);
                if body.len() > MOST_BYTES {
                    return Err(malformed());
                }
            }
            let mut found = dialect.read_kept(&body, name).ok_or_else(malformed)?;
            match found.len() {
                0 | 1 => Ok(found.pop()),
                _ => Err(Failure::new(Class::Malformed, "several answers were kept of one request")),
            }
        };
        let late = |_| Failure::new(Class::Timeout, format!("no answer within {} s", within.as_secs_f64()));
        timeout(within, asked).await.map_err(late)?
    }
}
