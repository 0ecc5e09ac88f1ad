//! The server's half of what both APIs share: bodies and their turns.

use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use serde_json::Value;

/// The headers of every JSON request, as the official SDKs send them (for streams too).
pub(super) fn json_headers() -> HeaderMap {
    let json = HeaderValue::from_static("application/json");
    HeaderMap::from_iter([(CONTENT_TYPE, json.clone()), (ACCEPT, json)])
}

/// The text of a content: a string, or the text blocks of a list, a line each.
pub(super) fn text_of(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(blocks) => {
            let texts: Vec<_> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
            Some(texts.join("\n"))
        }
        _ => None,
    }
}

/// The last turn of this role that has text.
pub(super) fn last_of(turns: &[Value], role: &str) -> Option<String> {
    turns.iter().rev().find(|turn| turn["role"] == role).and_then(|turn| text_of(&turn["content"]))
}

/// What an answer is asked of: the last turn of the user that has text, else what was said last.
pub(super) fn asked_of(turns: &[Value]) -> String {
    let said = |turn: &Value| text_of(&turn["content"]).or_else(|| text_of(&turn["output"]));
    last_of(turns, "user").or_else(|| turns.iter().rev().find_map(said)).unwrap_or_default()
}

/// A field that is true or false, false if the field is not there.
///
/// # Errors
/// Nothing but that it is neither.
pub(super) fn flag(body: &Value, field: &str) -> Result<bool, NotFlag> {
    match &body[field] {
        Value::Null => Ok(false),
        value => value.as_bool().ok_or(NotFlag),
    }
}

/// A field was expected to be true or false and is neither.
#[derive(Debug)]
pub(super) struct NotFlag;

/// A field that is a whole number, if the field is there.
///
/// # Errors
/// Nothing but that it is no whole number of 32 bits.
pub(super) fn whole_number(body: &Value, field: &str) -> Result<Option<u32>, NotWhole> {
    match &body[field] {
        Value::Null => Ok(None),
        value => value.as_u64().and_then(|n| u32::try_from(n).ok()).map(Some).ok_or(NotWhole),
    }
}

/// A number was expected to be whole and is not.
#[derive(Debug)]
pub(super) struct NotWhole;

/// A header value of digits, dates and ids.
pub(super) fn header_value(text: &str) -> HeaderValue {
    // An id from outside may hold anything; what no header can hold is not sent.
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
