//! The server's half: what OpenAI's APIs refuse of images and other media in a turn, in the words that
//! recorded replies and users have shown. What an address leads to is not looked at.

use serde_json::Value;

use super::super::WireError;
use super::checks::wrong_type;
use super::{invalid, missing};

/// An image that Chat Completions is shown.
pub(in super::super) fn check_chat_image(field: &str, image: &Value) -> Result<(), WireError> {
    let field = format!("{field}.image_url");
    if image.is_null() {
        return Err(missing(&field));
    }
    let fields = image.as_object().ok_or_else(|| wrong_type(&field, "an object", image))?;
    let field = format!("{field}.url");
    match fields.get("url") {
        None | Some(Value::Null) => Err(missing(&field)),
        Some(Value::String(url)) => check_url(&field, url, "Invalid image URL:"),
        Some(other) => Err(wrong_type(&field, "a string", other)),
    }
}

/// An image that the Responses API is shown: by its address, or as a file.
pub(in super::super) fn check_response_image(field: &str, part: &Value) -> Result<(), WireError> {
    let url = &part["image_url"];
    let field_of_url = format!("{field}.image_url");
    match url {
        Value::String(url) => check_url(&field_of_url, url, "Invalid"),
        Value::Null if part["file_id"].is_null() => {
            let message = format!(
                "Missing mutually exclusive parameters: '{field}'. Ensure you are providing exactly one of: \
                 'file_id' or 'image_url'."
            );
            Err(invalid(Some("missing_mutually_exclusive_parameters"), message).about(field))
        }
        Value::Null => Ok(()),
        other => Err(wrong_type(&field_of_url, "an image URL", other)),
    }
}

/// An address of an image, or the image itself (RFC 2397).
fn check_url(field: &str, url: &str, opening: &str) -> Result<(), WireError> {
    let refused = |message: String| Err(invalid(Some("invalid_value"), message).about(field));
    let Some(data) = url.strip_prefix("data:") else {
        let is_address = ["https://", "http://"].iter().any(|scheme| {
            let head = url.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme));
            head && url.len() > scheme.len()
        });
        let message =
            format!("Invalid '{field}'. Expected a valid URL, but got a value with an invalid format.");
        return if is_address { Ok(()) } else { refused(message) };
    };
    let (head, content) = data.split_once(',').unwrap_or((data, ""));
    let kind = head.split(';').next().unwrap_or_default();
    let found = if !kind.starts_with("image/") {
        format!("unsupported MIME type '{kind}'")
    } else if !head.ends_with(";base64") || !is_base64(content) {
        "an invalid base64-encoded value".to_owned()
    } else {
        return Ok(());
    };
    refused(format!(
        "{opening} '{field}'. Expected a base64-encoded data URL with an image MIME type (e.g. \
         'data:image/png;base64,aW1nIGJ5dGVzIGhlcmU='), but got {found}."
    ))
}

/// Whether this is something in base64 (RFC 4648, section 4), with or without its padding.
fn is_base64(text: &str) -> bool {
    let unpadded = text.trim_end_matches('=');
    let padding = text.len() - unpadded.len();
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    let fits = padding == 0 || (padding <= 2 && text.len().is_multiple_of(4));
    !unpadded.is_empty() && fits && unpadded.len() % 4 != 1 && unpadded.bytes().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_told_from_other_text() {
        for right in ["aGk=", "aGk", "aGkh", "+/8=", "AA=="] {
            assert!(is_base64(right), "{right}");
        }
        for wrong in ["", "=", "a", "aGk==", "aG k", "{'a'}", "a-_b", "AAAAA"] {
            assert!(!is_base64(wrong), "{wrong}");
        }
    }
}
