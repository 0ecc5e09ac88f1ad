//! The question how many input tokens a request has: nothing is generated, and nothing is billed.

use std::time::Duration;

use sortie_core::failure::{Class, Failure};
use tokio::time::timeout;

use super::{Client, refusal, why};
use crate::dialect::Request;
use crate::http::Endpoint;

/// Bytes of an answer that are read: it is one number.
const MOST_BYTES: usize = 64 << 10;

impl Client {
    /// Asks how many input tokens a request has, once. The provider calls its answer an estimate.
    ///
    /// # Errors
    /// Where the API has no such question, refuses it, or has not answered within this time.
    #[expect(clippy::disallowed_methods, reason = "the client's one clock: sockets are in real time")]
    pub async fn count_tokens(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        within: Duration,
    ) -> Result<u64, Failure> {
        let dialect = endpoint.dialect();
        let Some(encoded) = dialect.encode_count(request, endpoint.variant()) else {
            return Err(Failure::new(Class::Invalid, format!("{} counts no tokens", dialect.name())));
        };
        let mut headers = encoded.headers;
        endpoint.authorize(&mut headers);
        let sending = self.at(endpoint).post(endpoint.url(encoded.path)).headers(headers).body(encoded.body);
        let malformed = || Failure::new(Class::Malformed, "the answer tells no number of tokens");
        let asked = async {
            let mut reply = sending.send().await.map_err(|error| Failure::new(Class::Network, why(error)))?;
            if !reply.status().is_success() {
                return Err(refusal(endpoint, reply).await.unwrap_or_else(malformed));
            }
            let mut body = Vec::new();
            while let Some(bytes) =
                reply.chunk().await.map_err(|error| Failure::new(Class::Network, why(error)))?
            {
                body.extend_from_slice(&bytes);
                if body.len() > MOST_BYTES {
                    return Err(malformed());
                }
            }
            dialect.read_count(&body).ok_or_else(malformed)
        };
        let late = |_| Failure::new(Class::Timeout, format!("no answer within {} s", within.as_secs_f64()));
        timeout(within, asked).await.map_err(late)?
    }
}
