//! The server's half: objects of options and other parameters that both of OpenAI's APIs know, with what each
//! of them refuses in them. Fields are those of the official SDKs' types; what is refused, and in which words,
//! users of gpt-5.6 have shown.

use serde_json::Value;

use super::super::WireError;
use super::checks::{only_known_in, wrong_type};
use super::{invalid, missing};

/// Which API it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Api {
    /// Chat Completions.
    Chat,
    /// Responses.
    Responses,
}

/// The fields of `prompt_cache_options`, and of `stream_options`; the last of these only Chat Completions has.
const OF_CACHE: [&str; 2] = ["mode", "ttl"];
const OF_STREAM: [&str; 2] = ["include_obfuscation", "include_usage"];

/// How long a cache may keep a prompt; once the first was written `in-memory` (the official SDKs 1.x and 2.x).
const RETENTIONS: [&str; 3] = ["in_memory", "in-memory", LONG];
const LONG: &str = "24h";

/// Generations whose prompts are kept long or not at all (the official SDKs' `prompt_cache_retention`).
const ONLY_LONG: [&str; 3] = ["gpt-5.5", "gpt-5.6", "gpt-6"];

/// Refuses what neither API, or this one, has in them.
pub(in super::super) fn check(body: &Value, api: Api) -> Result<(), WireError> {
    only_known_in("prompt_cache_options", &body["prompt_cache_options"], &OF_CACHE)?;
    let of_stream = if api == Api::Chat { &OF_STREAM[..] } else { &OF_STREAM[..1] };
    only_known_in("stream_options", &body["stream_options"], of_stream)?;
    match &body["moderation"] {
        Value::Object(fields) if !fields.contains_key("model") => return Err(missing("moderation.model")),
        Value::Null | Value::Object(_) => {}
        other => return Err(wrong_type("moderation", "an object", other)),
    }
    check_retention(body, api)
}

/// How long a cache is to keep the prompt.
fn check_retention(body: &Value, api: Api) -> Result<(), WireError> {
    const FIELD: &str = "prompt_cache_retention";
    let said = match &body[FIELD] {
        Value::Null => return Ok(()),
        Value::String(said) => said,
        other => return Err(wrong_type(FIELD, "one of 'in_memory' or '24h'", other)),
    };
    let model = body["model"].as_str().unwrap_or_default();
    let is_only_long = ONLY_LONG.iter().any(|generation| super::is_of(model, generation));
    let (chat, responses) = match said.as_str() {
        other if !RETENTIONS.contains(&other) => (
            invalid(None, "Invalid prompt_cache_retention argument"),
            invalid(
                Some("invalid_value"),
                format!("Invalid value: '{other}'. Supported values are: 'in_memory' and '24h'."),
            ),
        ),
        short if is_only_long && short != LONG => {
            let message = "This model is compatible only with 24h extended prompt caching";
            (invalid(None, message), invalid(Some("invalid_parameter"), message))
        }
        _ => return Ok(()),
    };
    Err(if api == Api::Chat { chat } else { responses }.about(FIELD))
}
