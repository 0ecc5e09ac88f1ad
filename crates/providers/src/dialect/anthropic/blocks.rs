//! The server's half: what the API refuses of the blocks of a turn. Kinds and fields are those of the
//! official SDKs' `types/*_block_param.py` and of the beta's, of all versions that are tested here; what
//! a beta's header brings is taken without it too. The forms of messages are those of recorded replies.

use serde_json::Value;

use super::super::WireError;
use super::reading::invalid;

/// A kind of block, or of what one is made from: its `type`, the fields that it has to have, and those
/// that it may have beside it.
struct Kind {
    name: &'static str,
    required: &'static [&'static str],
    others: &'static [&'static str],
}

const fn kind(
    name: &'static str,
    required: &'static [&'static str],
    others: &'static [&'static str],
) -> Kind {
    Kind { name, required, others }
}

const CACHED: &[&str] = &["cache_control"];

/// What a turn may be made of.
const BLOCKS: [Kind; 24] = [
    kind("advisor_tool_result", &["tool_use_id"], &["cache_control", "content"]),
    kind("bash_code_execution_tool_result", &["tool_use_id"], &["cache_control", "content"]),
    kind("code_execution_tool_result", &["tool_use_id"], &["cache_control", "content"]),
    kind("compaction", &[], &["cache_control", "content", "encrypted_content", "signature", "tool_changes"]),
    kind("container_upload", &["file_id"], CACHED),
    kind("document", &["source"], &["cache_control", "citations", "context", "title"]),
    kind("fallback", &[], &["from", "to", "trigger"]),
    kind("image", &["source"], &["cache_control", "transformations"]),
    kind("mcp_tool_listing", &["mcp_server_name"], &["tools"]),
    kind("mcp_tool_result", &["tool_use_id"], &["cache_control", "content", "is_error"]),
    kind("mcp_tool_use", &["id", "name", "server_name"], &["cache_control", "input"]),
    kind("redacted_thinking", &["data"], &[]),
    kind("search_result", &["content", "source", "title"], &["cache_control", "citations"]),
    kind("server_tool_use", &["id", "name"], &["cache_control", "caller", "input"]),
    kind("text", &["text"], &["cache_control", "citations"]),
    kind("text_editor_code_execution_tool_result", &["tool_use_id"], &["cache_control", "content"]),
    kind("thinking", &["thinking", "signature"], &[]),
    kind("tool_addition", &["tool"], CACHED),
    kind("tool_removal", &["tool"], CACHED),
    kind("tool_result", &["tool_use_id"], &["cache_control", "content", "is_error", "toolset_name"]),
    kind("tool_search_tool_result", &["tool_use_id"], &["cache_control", "content"]),
    kind("tool_use", &["id", "name", "input"], &["cache_control", "caller", "toolset_name"]),
    kind("web_fetch_tool_result", &["tool_use_id"], &["cache_control", "caller", "content"]),
    kind("web_search_tool_result", &["tool_use_id"], &["cache_control", "caller", "content"]),
];

/// What a tool's result may be made of beside the same kinds of blocks.
const OF_RESULTS: [Kind; 2] = [
    kind("browser_state", &["tabs"], &["cache_control", "state_changes"]),
    kind("tool_reference", &["tool_name"], CACHED),
];
const RESULT_KINDS: [&str; 6] =
    ["browser_state", "document", "image", "search_result", "text", "tool_reference"];

/// Where images and documents are from.
const SOURCES: [Kind; 5] = [
    kind("base64", &["data", "media_type"], &[]),
    kind("content", &["content"], &[]),
    kind("file", &["file_id"], &[]),
    kind("text", &["data", "media_type"], &[]),
    kind("url", &["url"], &[]),
];

/// What an image may be.
const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Refuses what a content cannot be made of; it stands at `field`.
pub(super) fn check(field: &str, content: &Value) -> Result<(), WireError> {
    check_all(field, content, &|name| BLOCKS.iter().find(|kind| kind.name == name))
}

/// The same of the system's prompt, which is made of texts alone.
pub(super) fn check_system(system: &Value) -> Result<(), WireError> {
    let text = |name: &str| BLOCKS.iter().find(|kind| kind.name == name && name == "text");
    for (i, block) in system.as_array().into_iter().flatten().enumerate() {
        let field = format!("system.{i}");
        check_fields(&field, block, kind_of(&field, block, &text)?)?;
    }
    Ok(())
}

fn check_all(
    field: &str,
    content: &Value,
    find: &dyn Fn(&str) -> Option<&'static Kind>,
) -> Result<(), WireError> {
    for (i, block) in content.as_array().into_iter().flatten().enumerate() {
        let field = format!("{field}.{i}");
        let kind = kind_of(&field, block, find)?;
        let field = format!("{field}.{}", kind.name);
        check_fields(&field, block, kind)?;
        match kind.name {
            "image" | "document" => check_source(&field, kind.name, &block["source"])?,
            "tool_result" => check_all(&format!("{field}.content"), &block["content"], &of_result)?,
            _ => (),
        }
    }
    Ok(())
}

/// A kind that a tool's result may be made of.
fn of_result(name: &str) -> Option<&'static Kind> {
    let all = || BLOCKS.iter().chain(&OF_RESULTS);
    all().find(|kind| kind.name == name && RESULT_KINDS.contains(&name))
}

fn kind_of(
    field: &str,
    block: &Value,
    find: &dyn Fn(&str) -> Option<&'static Kind>,
) -> Result<&'static Kind, WireError> {
    if !block.is_object() {
        return Err(invalid(format!("{field}: Input should be an object")));
    }
    let name = match &block["type"] {
        Value::Null => return Err(invalid(format!("{field}.type: Field required"))),
        name => name.as_str().map_or_else(|| name.to_string(), str::to_owned),
    };
    find(&name).ok_or_else(|| {
        // The API lists what it has by its own version and betas; what is here is all of them.
        invalid(format!(
            "{field}: Input tag '{name}' found using 'type' does not match any of the expected tags"
        ))
    })
}

fn check_fields(field: &str, block: &Value, kind: &Kind) -> Result<(), WireError> {
    if let Some(name) = kind.required.iter().find(|name| block[**name].is_null()) {
        return Err(invalid(format!("{field}.{name}: Field required")));
    }
    let is_known =
        |name: &str| name == "type" || kind.required.contains(&name) || kind.others.contains(&name);
    match block.as_object().into_iter().flatten().find(|(name, _)| !is_known(name)) {
        None => Ok(()),
        Some((extra, _)) => Err(invalid(format!("{field}.{extra}: Extra inputs are not permitted"))),
    }
}

fn check_source(field: &str, of: &str, source: &Value) -> Result<(), WireError> {
    let field = format!("{field}.source");
    let kind = kind_of(&field, source, &|name| SOURCES.iter().find(|kind| kind.name == name))?;
    let field = format!("{field}.{}", kind.name);
    check_fields(&field, source, kind)?;
    if kind.name != "base64" {
        return Ok(());
    }
    let (media, data) = (source["media_type"].as_str(), source["data"].as_str().unwrap_or_default());
    if of == "image" && media.is_none_or(|media| !IMAGES.contains(&media)) {
        let [first, second, third, last] = IMAGES;
        return Err(invalid(format!(
            "{field}.media_type: Input should be '{first}', '{second}', '{third}' or '{last}'"
        )));
    }
    if of == "document" && media != Some("application/pdf") {
        return Err(invalid(format!("{field}.media_type: Input should be 'application/pdf'")));
    }
    if data.is_empty() {
        let what = if of == "image" { "image" } else { "PDF" };
        return Err(invalid(format!("{field}: {what} cannot be empty")));
    }
    if !is_base64(data) {
        return Err(invalid(format!("{field}: invalid base64 data")));
    }
    Ok(())
}

/// Whether it is Base64 with its padding (RFC 4648); lines may be broken, as MIME breaks them.
fn is_base64(text: &str) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let bytes: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    let digits = bytes.iter().position(|byte| !is_digit(byte)).unwrap_or(bytes.len());
    let padding = &bytes[digits..];
    bytes.len().is_multiple_of(4) && padding.len() <= 2 && padding.iter().all(|byte| *byte == b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_of_whole_groups_with_padding_at_the_end() {
        for right in ["", "QUJD", "QUI=", "QQ==", "+/+/", "QUJD\r\nQUJD\n"] {
            assert!(is_base64(right), "{right}");
        }
        for wrong in ["QUJ", "Q===", "QQ=A", "=QQQ", "QU D", "QU-_", "data:image/png;base64,QUJD", "ÄÖ=="] {
            assert!(!is_base64(wrong), "{wrong}");
        }
    }
}
