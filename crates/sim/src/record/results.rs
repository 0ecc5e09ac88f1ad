//! Where a batch's results are. Anthropic's batches say so with their host (`results_url`), and the official
//! SDKs follow that with their key: what passes on or replays such a batch names its own host, as the API does.

use bytes::Bytes;
use http::header::HOST;

use super::{Answered, Ending, Piece, Written};
use crate::timeline::ServerRequest;

/// The batches that are told so, and what is none of them.
const BATCHES: &str = "/v1/messages/batches";
const RESULTS: &str = "/results";

/// The field, as it stands in a batch.
const FIELD: &str = "\"results_url\"";

/// What stands between a scheme and a host.
const AUTHORITY: &str = "://";

/// The host that batches name in the reply to a request.
#[derive(Clone, Debug)]
pub(crate) struct Results {
    host: String,
}

impl Results {
    /// Where a reply to this request may tell of batches, and the client has said what it calls this host.
    pub(crate) fn of(request: &ServerRequest) -> Option<Self> {
        let is_told = request.path.starts_with(BATCHES) && !request.path.ends_with(RESULTS);
        let host = request.headers.get(HOST).filter(|_| is_told)?.to_str().ok()?;
        Some(Results { host: host.to_owned() })
    }

    /// The body of a reply, with this host; as it is where it tells of no results.
    pub(crate) fn here(&self, body: &[u8]) -> Bytes {
        let Ok(mut rest) = str::from_utf8(body) else { return Bytes::copy_from_slice(body) };
        let mut here = String::with_capacity(body.len());
        while let Some((before, after)) = rest.split_once(FIELD) {
            here.push_str(before);
            here.push_str(FIELD);
            if let Some((between, path)) = url(after) {
                for part in [between, "http", AUTHORITY, &self.host] {
                    here.push_str(part);
                }
                rest = path;
            } else {
                rest = after;
            }
        }
        here.push_str(rest);
        here.into()
    }

    /// A recorded reply, with this host. One that broke off is as it was.
    pub(super) fn answered(&self, answered: &Answered) -> Answered {
        let (mut answered, body) = (answered.clone(), answered.body());
        let here = self.here(&body);
        if answered.end == Ending::Closed && here != body {
            answered.chunks = vec![Piece { at_us: answered.end_at_us, bytes: Written::of(&here) }];
        }
        answered
    }
}

/// Of what follows the field, all up to the URL, and the URL's path with all that comes after it.
fn url(after: &str) -> Option<(&str, &str)> {
    let quote = after.find('"')?;
    after[..quote].chars().all(|c| c == ':' || c.is_ascii_whitespace()).then_some(())?;
    let (between, url) = after.split_at(quote + 1);
    let end = url.find('"')?;
    let host = url[..end].find(AUTHORITY)? + AUTHORITY.len();
    let path = host + url[host..end].find('/')?;
    Some((between, &url[path..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_name_this_host_and_nothing_else_is_changed() {
        let results = Results { host: "127.0.0.1:9".to_owned() };
        let check =
            |body: &str, expected: &str| assert_eq!(results.here(body.as_bytes()), expected, "{body}");
        let path = "/v1/messages/batches/b/results";
        check(
            &format!(
                r#"{{"data": [{{"results_url": "https://api.x.com{path}", "a": 1}}, {{"results_url":"http://y{path}"}}]}}"#
            ),
            &format!(
                r#"{{"data": [{{"results_url": "http://127.0.0.1:9{path}", "a": 1}}, {{"results_url":"http://127.0.0.1:9{path}"}}]}}"#
            ),
        );
        for same in [
            r#"{"results_url": null, "b": "https://x/y"}"#,
            r#"{"results_url": "https://x"}"#,
            r#"{"results_url"#,
            r#"{"results_url": "https:"#,
            "",
        ] {
            check(same, same);
        }
        assert_eq!(results.here(b"\xff\x00"), b"\xff\x00".as_slice());
    }
}
