//! What is taken out of an exchange before it is kept. A masked text keeps its length, so that a
//! body still fits its framing.
//!
//! A secret is found by any eight bytes of it, because an answer that repeats one is streamed in
//! pieces; what a model says of it in smaller ones stays.

use std::collections::HashSet;

use http::HeaderMap;

/// The byte that a secret's are replaced by.
const MASK: u8 = b'x';

/// Bytes of a secret that give it away. Shorter values are no secrets, and would be found everywhere.
const TELLING: usize = 8;

/// Characters of an id after its prefix, at least: fewer are a word.
const SHORTEST_ID: usize = 8;

/// How keys and the ids of organisations, workspaces and projects begin, as both providers write
/// them. What follows is masked.
const PREFIXES: [&str; 5] = ["sk-", "org-", "wrkspc_", "proj_", "proj-"];

/// Query parameters that hold keys.
const KEY_PARAMETERS: [&str; 5] = ["key", "api_key", "api-key", "token", "access_token"];

/// Parts of the names of headers whose values are secrets.
const SECRET_HEADERS: [&str; 8] =
    ["authorization", "api-key", "cookie", "organization", "workspace", "project", "token", "secret"];

/// What stands between the words of a header's value.
const BETWEEN_WORDS: &[u8] = b" ;,=";

/// What one exchange may not tell: all parts of its secrets.
pub(super) struct Secrets(HashSet<[u8; TELLING]>);

impl Secrets {
    /// The values of the headers that hold secrets, and the words of them: what follows `Bearer`.
    pub(super) fn of(request: &HeaderMap, response: &HeaderMap) -> Self {
        let is_secret =
            |name: &str| SECRET_HEADERS.iter().any(|part| name.contains(part)) && !name.contains("ratelimit");
        let headers = request.iter().chain(response).filter(|(name, _)| is_secret(name.as_str()));
        let words = headers.flat_map(|(_, value)| value.as_bytes().split(|b| BETWEEN_WORDS.contains(b)));
        Secrets(words.flat_map(<[u8]>::array_windows).copied().collect())
    }

    /// Masks all secrets in place.
    pub(super) fn mask(&self, bytes: &mut [u8]) {
        let tells = |at: &usize| bytes.get(*at..at + TELLING).is_some_and(|part| self.0.contains(part));
        let found: Vec<usize> = (0..bytes.len()).filter(tells).collect();
        for at in found {
            bytes[at..at + TELLING].fill(MASK);
        }
        for prefix in PREFIXES {
            mask_ids(bytes, prefix.as_bytes());
        }
    }

    pub(super) fn masked(&self, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        self.mask(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(super) fn masked_query(&self, query: &str) -> String {
        let parameter = |parameter: &str| match parameter.split_once('=') {
            Some((name, value)) if KEY_PARAMETERS.contains(&name) => {
                format!("{name}={}", "x".repeat(value.len()))
            }
            _ => self.masked(parameter),
        };
        query.split('&').map(parameter).collect::<Vec<_>>().join("&")
    }
}

/// A query without the parameters that hold keys, which are known by their names, whatever their length.
pub(super) fn without_keys(query: &str) -> String {
    let is_key =
        |parameter: &&str| parameter.split_once('=').is_some_and(|(name, _)| KEY_PARAMETERS.contains(&name));
    query.split('&').filter(|parameter| !is_key(parameter)).collect::<Vec<_>>().join("&")
}

/// Whether this is what was kept of what is asked, but for what was masked in it: a mask stands for
/// any secret of its length. Whose secrets were masked is not known any more when it is asked again.
pub(super) fn is_masked(kept: &[u8], asked: &[u8]) -> bool {
    let in_secret = |byte: &u8| byte.is_ascii_graphic() && !BETWEEN_WORDS.contains(byte) && *byte != b'"';
    let mut rest = asked;
    kept.len() == asked.len()
        && kept.chunk_by(|a, b| (*a == MASK) == (*b == MASK)).all(|part| {
            let (here, after) = rest.split_at(part.len());
            rest = after;
            let is_mask = part.first() == Some(&MASK) && part.len() >= TELLING;
            part == here || (is_mask && here.iter().all(in_secret))
        })
}

/// Masks what follows a prefix that begins a word.
fn mask_ids(bytes: &mut [u8], prefix: &[u8]) {
    let in_id = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    let mut from = 0;
    while let Some(found) = bytes.get(from..).and_then(|rest| position(rest, prefix)) {
        let (begin, after) = (from + found, from + found + prefix.len());
        let length = bytes[after..].iter().take_while(|byte| in_id(byte)).count();
        let is_word =
            begin.checked_sub(1).and_then(|before| bytes.get(before)).is_none_or(|byte| !in_id(byte));
        if is_word && length >= SHORTEST_ID {
            bytes[after..after + length].fill(MASK);
        }
        from = after;
    }
}

fn position(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        all.iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn secrets_are_masked_wherever_they_stand_and_words_are_not() {
        let request = headers(&[("authorization", "Bearer canary-1"), ("cookie", "session=biscuits; a=b")]);
        let response = headers(&[
            ("anthropic-organization-id", "1b2c-3d4e"),
            ("x-ratelimit-remaining-tokens", "159976"),
        ]);
        let secrets = Secrets::of(&request, &response);
        let check = |text: &str, expected: &str| assert_eq!(secrets.masked(text), expected);
        check("a canary-1canary-1, canary-2", "a xxxxxxxxxxxxxxxx, canary-2");
        check("biscuits-at-length", "xxxxxxxx-at-length");
        check("biscuits of 1b2c-3d4e: 159976", "xxxxxxxx of xxxxxxxxx: 159976");
        check("Bearer authorization", "Bearer authorization");
        check("\"sk-ant-api03-abcdefgh\"", "\"sk-xxxxxxxxxxxxxxxxxx\"");
        check("task-forces sk-short org-12345678.", "task-forces sk-short org-xxxxxxxx.");
        check("ürks wrkspc_01ABCDEFG proj_abcdefgh", "ürks wrkspc_xxxxxxxxx proj_xxxxxxxx");
        check("sk-", "sk-");
        assert_eq!(secrets.masked_query("limit=20&key=abc&q=canary-1"), "limit=20&key=xxx&q=xxxxxxxx");
    }

    #[test]
    fn a_mask_stands_for_any_secret_of_its_length_and_for_nothing_else() {
        let check = |kept: &str, asked: &str, expected: bool| {
            assert_eq!(is_masked(kept.as_bytes(), asked.as_bytes()), expected, "{kept} {asked}");
        };
        check("a sk-xxxxxxxx b", "a sk-canary-1 b", true);
        check("a sk-xxxxxxxx b", "a sk-canary-12 b", false);
        check("a sk-xxxxxxxx b", "a sk-canary-1 c", false);
        check("a xxxxxxxxxxx b", "a sk-canary-1 b", true);
        check("a xxxxxxxxxxx b", "a words, more b", false);
        check("a xxxxxxxxxxx b", "a \"key\":\"one b", false);
        check("xxxxxxx", "1234567", false);
        check("xxxxxxx", "xxxxxxx", true);
        assert_eq!(without_keys("limit=20&key=abc&q=key"), "limit=20&q=key");
    }
}
