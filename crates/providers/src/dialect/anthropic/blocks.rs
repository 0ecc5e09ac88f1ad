//! The server's half: what the API refuses of the blocks of a turn. Kinds are those of the official SDKs'
//! `types/*_block_param.py` and of the beta's.

use serde_json::Value;

use super::super::WireError;
use super::kinds::{Kind, check_fields, kind, kind_of};
use super::reading::invalid;

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
