//! The server's half: what the API refuses of a request, and in which words. The rules are those of
//! Anthropic's reference of the Messages API and of its versions; the forms of messages are those that
//! recorded replies show, where there are any.

use http::HeaderMap;
use serde_json::Value;

use super::super::turns::whole_number;
use super::super::{Keep, WireError};
use super::kinds::{Kind, check_fields, kind, kind_of};
use super::models::{EFFORTS, Model};
use super::reading::{invalid, keep, parts, read_in_order};
use super::turns::{check_texts, word};
use super::{V2023, V2026, VERSION, blocks, thinking};

/// Places in a request that the cache can be told to keep it up to, at most (Anthropic's
/// documentation of prompt caching).
const MOST_BREAKPOINTS: usize = 4;

/// The same where the conversation is a thread: the last place is marked by the server.
const MOST_OF_THREADS: usize = 3;

/// What may be done with a thread.
const THREADS: [Kind; 2] = [kind("continue", &["previous_message_id"], &[]), kind("create", &[], &[])];

/// What may be said of the output (the official SDKs' `types/beta/beta_output_config_param.py`).
const OUTPUT: Kind = kind("output_config", &[], &["effort", "format", "task_budget"]);

/// The sampling parameters, which the version of 2026-10-21 does not have.
const SAMPLING: [&str; 3] = ["temperature", "top_k", "top_p"];

/// The beta of thinking between calls of tools, without its date.
const INTERLEAVED: &str = "interleaved-thinking-";

/// The betas that let the API change the conversation, without their dates: without one of them it does not know
/// the parameter (which the official SDKs have for the beta only).
const CONTEXT: [&str; 2] = ["compact-", "context-management-"];

/// Where a model may be told to run (Anthropic's documentation of data residency).
const PLACES: [&str; 2] = ["global", "us"];

/// Every parameter of the official SDKs' `types/message_create_params.py` and of the beta's, of all
/// versions that are tested here. What a beta's header brings is taken without it too, but for
/// `context_management`.
const KNOWN: [&str; 31] = [
    "billing_policy",
    "cache_control",
    "compaction",
    "container",
    "context_management",
    "diagnostics",
    "fallback_credit_token",
    "fallbacks",
    "inference_geo",
    "max_tokens",
    "mcp_servers",
    "messages",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "thread",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
    "user_profile_id",
    "workspace_id",
    // Where `?beta=true` cannot be set, some clients name it here.
    "betas",
];

/// What headers say of how a body is to be taken.
pub(super) struct Headers {
    /// Whether the version is that of 2026-10-21.
    pub(super) is_2026: bool,
    /// Whether a model may think between calls of tools, with a budget for the turn as a whole.
    pub(super) is_interleaved: bool,
    /// Whether the context may be managed.
    manages_context: bool,
}

impl Headers {
    /// Reads them; betas may also be named in the body.
    ///
    /// # Errors
    /// The version is none.
    pub(super) fn read(headers: &HeaderMap, body: &Value) -> Result<Self, WireError> {
        let named = headers.get_all("anthropic-beta").iter().filter_map(|value| value.to_str().ok());
        let listed = body["betas"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let betas: Vec<&str> =
            named.flat_map(|value| value.split(',')).chain(listed).map(str::trim).collect();
        let has = |family: &str| betas.iter().any(|beta| beta.starts_with(family));
        Ok(Headers {
            is_2026: is_2026(headers)?,
            is_interleaved: has(INTERLEAVED),
            manages_context: CONTEXT.into_iter().any(has),
        })
    }
}

/// The version that a request is of: whether it is that of 2026-10-21.
///
/// # Errors
/// There is none, or it is no version.
pub(super) fn is_2026(headers: &HeaderMap) -> Result<bool, WireError> {
    let version = headers.get(VERSION).ok_or_else(|| invalid("anthropic-version: header is required"))?;
    match version.to_str() {
        Ok(V2023) => Ok(false),
        Ok(V2026) => Ok(true),
        _ => Err(invalid("anthropic-version: not a valid version")),
    }
}

/// Refuses what no request may say; gives the temperature.
pub(super) fn check(
    body: &Value,
    model: Model<'_>,
    max_tokens: u32,
    said: &Headers,
) -> Result<Option<f64>, WireError> {
    let is_known = |name: &str, value: &Value| {
        let is_of_beta = name == "context_management" && !value.is_null();
        KNOWN.contains(&name) && (said.manages_context || !is_of_beta)
    };
    let unknown = body.as_object().into_iter().flatten().find(|(name, value)| !is_known(name, value));
    if let Some((extra, _)) = unknown {
        return Err(invalid(format!("{extra}: Extra inputs are not permitted")));
    }
    blocks::check_system(&body["system"])?;
    check_texts("system", &body["system"], false)?;
    let temperature = sampling(body, model, said.is_2026)?;
    thinking::check(body, model, max_tokens, said.is_interleaved)?;
    check_cache(body)?;
    check_words(body, model)?;
    check_metadata(&body["metadata"])?;
    let is_own = |tool: &Value| matches!(tool["type"].as_str(), None | Some("custom"));
    if body["container"].is_string() && body["tools"].as_array().into_iter().flatten().all(is_own) {
        // Other tools of the provider's may run code as well.
        return Err(invalid(
            "container: Container identifier can only be provided when using the code execution tool",
        ));
    }
    Ok(temperature)
}

fn sampling(body: &Value, model: Model<'_>, is_2026: bool) -> Result<Option<f64>, WireError> {
    let said = |field: &&str| body.get(*field).is_some();
    if is_2026 && let Some(extra) = SAMPLING.into_iter().find(said) {
        return Err(invalid(format!("{extra}: Extra inputs are not permitted")));
    }
    let share = |field: &str| match &body[field] {
        Value::Null => Ok(None),
        value => match value.as_f64().filter(|t| (0.0..=1.0).contains(t)) {
            Some(share) => Ok(Some(share)),
            None if value.is_number() => Err(invalid(format!("{field}: range: 0..1"))),
            None => Err(invalid(format!("{field}: Input should be a valid number"))),
        },
    };
    let (temperature, top_p) = (share("temperature")?, share("top_p")?);
    let top_k = whole_number(body, "top_k").map_err(|_| invalid("top_k: Input should be a valid integer"))?;
    let is_usual = |value: Option<f64>| value.is_none_or(|value| (value - 1.0).abs() < f64::EPSILON);
    if !model.takes_both_of_sampling() && temperature.is_some() && top_p.is_some() {
        return Err(invalid(
            "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        ));
    }
    if !model.takes_sampling() {
        let others = [
            ("temperature", !is_usual(temperature)),
            ("top_p", !is_usual(top_p)),
            ("top_k", top_k.is_some()),
        ];
        if let Some((field, _)) = others.into_iter().find(|(_, is_other)| *is_other) {
            return Err(invalid(format!("`{field}` is deprecated for this model.")));
        }
    }
    Ok(temperature)
}

/// What is said of parameters that are no objects, and have to be.
const NO_OBJECT: &str = "Input should be an object";
const SHAPELESS: &str = "Input does not match the expected shape.";

/// Parameters that are objects.
const OBJECTS: [(&str, &str); 9] = [
    ("tool_choice", NO_OBJECT),
    ("thinking", NO_OBJECT),
    ("output_config", SHAPELESS),
    ("cache_control", NO_OBJECT),
    ("metadata", SHAPELESS),
    ("context_management", NO_OBJECT),
    ("compaction", NO_OBJECT),
    ("diagnostics", NO_OBJECT),
    ("billing_policy", NO_OBJECT),
];

/// Parameters that are objects or lists, whatever is in them.
pub(super) fn check_forms(body: &Value) -> Result<(), WireError> {
    let is_wrong =
        |field: &str, is_right: fn(&Value) -> bool| !body[field].is_null() && !is_right(&body[field]);
    if is_wrong("system", |system| system.is_string() || system.is_array()) {
        return Err(invalid("system: Input should be a valid array"));
    }
    if let Some((field, why)) = OBJECTS.iter().find(|(field, _)| is_wrong(field, Value::is_object)) {
        return Err(invalid(format!("{field}: {why}")));
    }
    if let Some(field) = ["mcp_servers", "betas"].iter().find(|field| is_wrong(field, Value::is_array)) {
        return Err(invalid(format!("{field}: Input should be a valid array")));
    }
    if is_wrong("container", |container| container.is_string() || container.is_object()) {
        return Err(invalid(format!("container.ContainerParams: {SHAPELESS}")));
    }
    let thread = &body["thread"];
    if thread.is_null() {
        return Ok(());
    }
    let kind = kind_of("thread", thread, &|name| THREADS.iter().find(|kind| kind.name == name))?;
    check_fields(&format!("thread.{}", kind.name), thread, kind)
}

/// The texts that end an answer.
pub(super) fn stop_sequences(body: &Value) -> Result<Vec<String>, WireError> {
    let list = match &body["stop_sequences"] {
        Value::Null => return Ok(Vec::new()),
        Value::Array(list) => list,
        _ => return Err(invalid("stop_sequences: Input should be a valid array")),
    };
    let sequence = |(i, text): (usize, &Value)| match text.as_str() {
        None => Err(invalid(format!("stop_sequences.{i}: Input should be a valid string"))),
        Some(text) if text.trim().is_empty() => {
            Err(invalid("stop_sequences: each stop sequence must contain non-whitespace"))
        }
        Some(text) => Ok(text.to_owned()),
    };
    list.iter().enumerate().map(sequence).collect()
}

/// Fields that take one of a few words, and not of all models.
fn check_words(body: &Value, model: Model<'_>) -> Result<(), WireError> {
    word("service_tier", &body["service_tier"], &["auto", "standard_only"])?;
    word("speed", &body["speed"], &["standard", "fast"])?;
    if body["output_config"].is_object() {
        check_fields("output_config", &body["output_config"], &OUTPUT)?;
    }
    let effort = &body["output_config"]["effort"];
    word("output_config.effort", effort, &EFFORTS)?;
    check_effort(effort.as_str(), model)?;
    if thinking::forces_tools(body) && !model.takes_forced_tools() {
        return Err(invalid("tool_choice: type \"tool\" and \"any\" are not supported for this model."));
    }
    match &body["inference_geo"] {
        Value::Null => Ok(()),
        // That these are refused is documented; the words are ours.
        Value::String(_) if !model.takes_place() => {
            Err(invalid("inference_geo: not supported for this model"))
        }
        Value::String(place) if PLACES.contains(&place.as_str()) => Ok(()),
        Value::String(_) => {
            Err(invalid(format!("inference_geo: must be one of ['{}']", PLACES.join("', '"))))
        }
        _ => Err(invalid("inference_geo: Input should be a valid string")),
    }
}

/// How much effort is asked for, of those that the model makes.
fn check_effort(effort: Option<&str>, model: Model<'_>) -> Result<(), WireError> {
    let Some(effort) = effort else { return Ok(()) };
    match model.efforts() {
        [] => Err(invalid("This model does not support the effort parameter.")),
        efforts if efforts.contains(&effort) => Ok(()),
        efforts => {
            let mut efforts = efforts.to_vec();
            efforts.sort_unstable();
            let efforts = efforts.join(", ");
            Err(invalid(format!(
                "This model does not support effort level '{effort}'. Supported levels: {efforts}."
            )))
        }
    }
}

/// Who asks, in no other than an opaque word of the client's.
fn check_metadata(metadata: &Value) -> Result<(), WireError> {
    let mut fields = metadata.as_object().into_iter().flatten();
    match fields.find(|(name, value)| *name != "user_id" || !(value.is_string() || value.is_null())) {
        None => Ok(()),
        Some((name, _)) if name == "user_id" => {
            Err(invalid("metadata.user_id: Input should be a valid string"))
        }
        Some((extra, _)) => Err(invalid(format!("metadata.{extra}: Extra inputs are not permitted"))),
    }
}

fn check_cache(body: &Value) -> Result<(), WireError> {
    keep(&body["cache_control"])?;
    for block in read_in_order(body) {
        keep(&block["cache_control"])?;
    }
    let kept: Vec<_> = parts(body).into_iter().filter_map(|part| part.keep).collect();
    if kept.len() > MOST_OF_THREADS && body["thread"].is_object() {
        let found = kept.len();
        let message = format!(
            "thread: a maximum of {MOST_OF_THREADS} blocks with cache_control may be provided when `thread` is set -- \
             the fourth marker slot is reserved for the marker the server places on the conversation's last \
             cache-eligible block. Found {found}."
        );
        return Err(WireError { code: Some("thread_unsupported_request".to_owned()), ..invalid(message) });
    }
    if kept.len() > MOST_BREAKPOINTS {
        let found = kept.len();
        return Err(invalid(format!(
            "A maximum of {MOST_BREAKPOINTS} blocks with cache_control may be provided. Found {found}."
        )));
    }
    if kept.windows(2).any(|two| two == [Keep::FiveMinutes, Keep::Hour]) {
        return Err(invalid(
            "cache_control.ttl: a ttl='1h' block must not come after a ttl='5m' block. Note that blocks \
             are processed in the following order: `tools`, `system`, `messages`.",
        ));
    }
    Ok(())
}
