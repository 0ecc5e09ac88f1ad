//! The server's half: what the API refuses of the tools that a request offers. The provider's own kinds
//! are those of the official SDKs' `types/*tool*_param.py`, of all versions that are tested here.

use serde_json::Value;

use super::super::WireError;
use super::kinds::{Kind, check_fields, kind, unknown};
use super::reading::invalid;
use super::schemas;

/// The longest name of a tool, in characters (Anthropic's reference of `tools`).
const LONGEST_NAME: usize = 128;

/// The longest name of a property of a tool's schema, in characters, as recorded replies say it.
const LONGEST_KEY: usize = 64;

/// Tools of the provider's that are many in one, and named by their kinds; those of an MCP server are
/// named by that.
const TOOLSETS: [&str; 2] = ["browser_toolset_20260801", "computer_toolset_20260801"];
const OF_SERVER: &str = "mcp_toolset";

/// Keywords that a tool's schema may not have at its top.
const COMBINING: [&str; 3] = ["oneOf", "allOf", "anyOf"];

/// What every tool may be told.
const USUAL: &[&str] = &["allowed_callers", "cache_control", "defer_loading", "strict"];

const NAMED: &[&str] = &["name"];
const EXAMPLES: &[&str] = &["input_examples"];
const SCREEN: &[&str] = &["display_height_px", "display_width_px", "name"];
const ON_SCREEN: &[&str] = &["display_number", "input_examples"];
const SET: &[&str] = &["allowed_callers", "cache_control", "configs"];
const SEARCH: &[&str] = &["allowed_domains", "blocked_domains", "max_uses", "user_location"];
const FETCH: &[&str] =
    &["allowed_domains", "blocked_domains", "citations", "max_content_tokens", "max_uses", "url_sources"];

/// What the client runs.
const CUSTOM: Kind =
    kind("custom", &["name", "input_schema"], &["description", "eager_input_streaming", "input_examples"]);

/// All kinds of tools, by their names.
const TOOLS: [Kind; 30] = [
    kind("advisor_20260301", &["model", "name"], &["caching", "max_tokens", "max_uses"]).sharing(USUAL),
    kind("bash_20241022", NAMED, EXAMPLES).sharing(USUAL),
    kind("bash_20250124", NAMED, EXAMPLES).sharing(USUAL),
    kind(TOOLSETS[0], &[], SET),
    kind("code_execution_20250522", NAMED, USUAL),
    kind("code_execution_20250825", NAMED, USUAL),
    kind("code_execution_20260120", NAMED, USUAL),
    kind("code_execution_20260521", NAMED, USUAL),
    kind("computer_20241022", SCREEN, ON_SCREEN).sharing(USUAL),
    kind("computer_20250124", SCREEN, ON_SCREEN).sharing(USUAL),
    kind("computer_20251124", SCREEN, &["display_number", "enable_zoom", "input_examples"]).sharing(USUAL),
    kind(TOOLSETS[1], &[], SET),
    CUSTOM.sharing(USUAL),
    kind(OF_SERVER, &["mcp_server_name"], &["cache_control", "configs", "default_config", "tools"]),
    kind("memory_20250818", NAMED, EXAMPLES).sharing(USUAL),
    kind("text_editor_20241022", NAMED, EXAMPLES).sharing(USUAL),
    kind("text_editor_20250124", NAMED, EXAMPLES).sharing(USUAL),
    kind("text_editor_20250429", NAMED, EXAMPLES).sharing(USUAL),
    kind("text_editor_20250728", NAMED, &["input_examples", "max_characters"]).sharing(USUAL),
    kind("tool_search_tool_bm25", NAMED, USUAL),
    kind("tool_search_tool_bm25_20251119", NAMED, USUAL),
    kind("tool_search_tool_regex", NAMED, USUAL),
    kind("tool_search_tool_regex_20251119", NAMED, USUAL),
    kind("web_fetch_20250910", NAMED, FETCH).sharing(USUAL),
    kind("web_fetch_20260209", NAMED, FETCH).sharing(USUAL),
    kind("web_fetch_20260309", NAMED, FETCH).sharing(CACHED_FETCH),
    kind("web_fetch_20260318", NAMED, FETCH).sharing(LATE_FETCH),
    kind("web_search_20250305", NAMED, SEARCH).sharing(USUAL),
    kind("web_search_20260209", NAMED, SEARCH).sharing(USUAL),
    kind("web_search_20260318", NAMED, SEARCH).sharing(LATE),
];

/// What later versions may be told beside what every tool may.
const LATE: &[&str] = &["allowed_callers", "cache_control", "defer_loading", "response_inclusion", "strict"];
const CACHED_FETCH: &[&str] = &["allowed_callers", "cache_control", "defer_loading", "strict", "use_cache"];
const LATE_FETCH: &[&str] =
    &["allowed_callers", "cache_control", "defer_loading", "response_inclusion", "strict", "use_cache"];

/// Refuses what a tool cannot say; it is the one at `place`. Gives the kind that it is of.
pub(super) fn check(place: usize, tool: &Value) -> Result<&'static str, WireError> {
    let field = format!("tools.{place}");
    if !tool.is_object() {
        return Err(invalid(format!("{field}: Input should be an object")));
    }
    let name = match &tool["type"] {
        Value::Null => "custom".to_owned(),
        name => name.as_str().map_or_else(|| name.to_string(), str::to_owned),
    };
    let Some(kind) = TOOLS.iter().find(|kind| kind.name == name) else {
        let tags: Vec<_> = TOOLS.iter().map(|kind| format!("'{}'", kind.name)).collect();
        return Err(invalid(format!("{}: {}", unknown(&field, &name), tags.join(", "))));
    };
    let field = format!("{field}.{name}");
    let is_set = TOOLSETS.contains(&kind.name);
    if is_set && tool.get("name").is_some() {
        return Err(invalid(format!(
            "{field}: name is not accepted on a toolset entry: the member names are fixed by the dated type, and \
             the served tool keeps the family's bare name"
        )));
    }
    check_fields(&field, tool, kind)?;
    if !is_set && kind.name != OF_SERVER {
        check_name(&field, kind.name, tool["name"].as_str().unwrap_or_default())?;
    }
    if kind.name == CUSTOM.name {
        check_schema(&field, tool)?;
    }
    Ok(kind.name)
}

/// What a tool may be called: the provider's own have names that are fixed.
fn check_name(field: &str, kind: &str, name: &str) -> Result<(), WireError> {
    let why = if kind != CUSTOM.name {
        match own_name(kind) {
            own if own == name => return Ok(()),
            own => format!("Input should be '{own}'"),
        }
    } else if name.is_empty() {
        "String should have at least 1 character".to_owned()
    } else if is_word(name, "_-", LONGEST_NAME) {
        return Ok(());
    } else {
        format!("String should match pattern '^[a-zA-Z0-9_-]{{1,{LONGEST_NAME}}}$'")
    };
    Err(invalid(format!("{field}.name: {why}")))
}

/// The name of the provider's own tools of a kind.
fn own_name(kind: &str) -> &str {
    match kind {
        "text_editor_20241022" | "text_editor_20250124" => "str_replace_editor",
        "text_editor_20250429" | "text_editor_20250728" => "str_replace_based_edit_tool",
        kind => match kind.rsplit_once('_') {
            Some((name, date)) if date.bytes().all(|digit| digit.is_ascii_digit()) => name,
            _ => kind,
        },
    }
}

/// Whether it is letters, digits and these characters, at most so many.
fn is_word(text: &str, more: &str, most: usize) -> bool {
    text.len() <= most && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

/// The schema of what the client's tool is called with.
fn check_schema(field: &str, tool: &Value) -> Result<(), WireError> {
    let (schema, place) = (&tool["input_schema"], format!("{field}.input_schema"));
    let why = match &schema["type"] {
        Value::Null => Some(".type: Field required".to_owned()),
        kind if kind != "object" => Some(".type: Input should be 'object'".to_owned()),
        _ if COMBINING.iter().any(|keyword| schema.get(keyword).is_some()) => {
            let all = "input_schema does not support oneOf, allOf, or anyOf at the top level";
            Some(format!(": {all}"))
        }
        _ => {
            let mut names = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name);
            let is_named = |name: &String| !name.is_empty() && is_word(name, "_.-", LONGEST_KEY);
            let rule = format!("Property keys should match pattern '^[a-zA-Z0-9_.-]{{1,{LONGEST_KEY}}}$'");
            (!names.all(is_named)).then(|| format!(".properties: {rule}"))
        }
    };
    if let Some(why) = why {
        return Err(invalid(format!("{place}{why}")));
    }
    if tool["strict"] == true {
        schemas::check(field, schema)?;
    }
    Ok(())
}
