//! Lists as the providers page them: `limit` and an id to go on from.

use serde_json::Value;

use super::{Asker, Refusal};

/// Items of a page unless said, and at most.
pub(super) struct Limits {
    pub(super) usual: usize,
    pub(super) most: usize,
}

/// Some of a list.
pub(super) struct Page {
    pub(super) items: Vec<Value>,
    pub(super) has_more: bool,
}

impl Page {
    /// The page of these items, each with its `id`, that a request's query asks for: `after_id` and
    /// `before_id` (Anthropic) or `after` (OpenAI).
    pub(super) fn of(
        mut items: Vec<Value>,
        limits: &Limits,
        asker: &Asker<'_>,
    ) -> Result<Self, Box<Refusal>> {
        let query = parameters(asker.request.query.as_deref().unwrap_or_default());
        let asked = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        let limit = match asked("limit") {
            None => limits.usual,
            Some(text) => {
                text.parse().ok().filter(|limit| (1..=limits.most).contains(limit)).ok_or_else(|| {
                    let message = format!("limit: Input should be a whole number from 1 to {}", limits.most);
                    Refusal::says(asker.dialect, 400, message).about("limit")
                })?
            }
        };
        let place = |id: &str| items.iter().position(|item| item["id"] == id);
        if let Some(before) = asked("before_id") {
            let end = place(before).unwrap_or(0);
            let start = end.saturating_sub(limit);
            return Ok(Page { items: items.drain(start..end).collect(), has_more: start > 0 });
        }
        if let Some(after) = asked("after_id").or_else(|| asked("after")) {
            items.drain(..place(after).map_or(items.len(), |at| at + 1));
        }
        let has_more = items.len() > limit;
        items.truncate(limit);
        Ok(Page { items, has_more })
    }

    /// The first and the last item's id.
    pub(super) fn ends(&self) -> [Value; 2] {
        [self.items.first(), self.items.last()]
            .map(|item| item.map_or(Value::Null, |item| item["id"].clone()))
    }
}

/// The parameters of a query, decoded.
pub(super) fn parameters(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

/// A text of a query as it was before it was escaped (the URL standard's form encoding).
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = match (byte, escaped) {
            (b'%', Some(escaped)) => {
                bytes.push(escaped);
                &after[2..]
            }
            (b'+', _) => {
                bytes.push(b' ');
                after
            }
            _ => {
                bytes.push(byte);
                after
            }
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_it_was_meant() {
        let check = |query: &str, expected: &[(&str, &str)]| {
            let expected: Vec<_> = expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            assert_eq!(parameters(query), expected, "{query}");
        };
        check("", &[]);
        check("limit=3&flag", &[("limit", "3")]);
        check("metadata%5Brun%20id%5D=a%2Bb+c%C3%BC", &[("metadata[run id]", "a+b cü")]);
        check("a=%&b=%4&c=%zz", &[("a", "%"), ("b", "%4"), ("c", "%zz")]);
    }
}
