//! The server's half, requests in: read and checked as the API does.

use serde_json::Value;

use super::super::openai::checks::{self, unsupported, whole, word, wrong_type};
use super::super::openai::options::{self, Api};
use super::super::openai::{MAX_TOKENS_UNLESS_SAID, efforts, invalid, is_plain, missing, tier};
use super::super::turns::{asked_of, text_of};
use super::super::{Caching, Part, Particulars, Request, WireError};
use super::{items, tools};

/// The least that `max_output_tokens` may be.
const LEAST_OUTPUT: u32 = 16;

/// Parameters of Chat Completions, and what they are here; of others of them the API does not know any more
/// (`max_tokens`).
const MOVED: [(&str, &str); 4] = [
    ("messages", "input"),
    ("max_completion_tokens", "max_output_tokens"),
    ("response_format", "text.format"),
    ("reasoning_effort", "reasoning.effort"),
];

/// Every parameter of the official SDKs' `types/responses/response_create_params.py`, of all versions
/// that are tested here.
const KNOWN: [&str; 34] = [
    "access_programs",
    "background",
    "background_options",
    "context_management",
    "conversation",
    "image",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "moderation",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// Parameters that go on from something that is never kept here.
const CONTINUED: [&str; 2] = ["conversation", "prompt"];

/// What a response may be asked to have in it beside its words (the official SDKs'
/// `types/responses/response_includable.py`).
const INCLUDABLE: [&str; 8] = [
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    LOGPROBS,
];
const LOGPROBS: &str = "message.output_text.logprobs";

/// Every field of the official SDKs' `types/shared_params/reasoning.py` that the API still takes (not
/// `generate_summary`, as users have shown it), and of `types/responses/response_text_config_param.py`.
const OF_REASONING: [&str; 4] = ["context", "effort", "mode", "summary"];
const OF_TEXT: [&str; 2] = ["format", "verbosity"];

pub(super) fn read(body: &[u8]) -> Result<Request, WireError> {
    let body: Value = serde_json::from_slice(body).map_err(|error| {
        invalid(None, format!("We could not parse the JSON body of your request: {error}"))
    })?;
    check_parameters(&body)?;
    let model = body["model"].as_str().unwrap_or_default();
    let effort = &body["reasoning"]["effort"];
    let temperature = checks::shared(&body, (model, effort), |field, _| WireError {
        code: None,
        ..unsupported(field, "")
    })?;
    check_thinking(&body, model)?;
    let is_continued = !body["previous_response_id"].is_null() || !body["conversation"].is_null();
    let (prompt, spoken) = input(body.get("input"), is_continued)?;
    let system: Vec<_> = text_of(&body["instructions"]).into_iter().chain(spoken).collect();
    Ok(Request {
        model: model.to_owned(),
        system: (!system.is_empty()).then(|| system.join("\n")),
        prompt,
        max_tokens: bound(&body)?.unwrap_or(MAX_TOKENS_UNLESS_SAID),
        temperature,
        stream: body["stream"] == true,
        shape: tools::shape(&body)?,
        ..Request::default()
    })
}

/// Refuses a request without its model, which goes before all else, or of one of no name.
fn check_model(body: &Value) -> Result<(), WireError> {
    match body.get("model") {
        None => Err(missing("model")),
        Some(Value::String(name)) if name.is_empty() => {
            let message = "The requested model '' does not exist.";
            Err(invalid(Some("model_not_found"), message).about("model"))
        }
        Some(Value::String(_)) => Ok(()),
        Some(other) => Err(not_text("model", other)),
    }
}

/// A field that has to be text; of `null` the API speaks as of an object.
fn not_text(field: &str, found: &Value) -> WireError {
    let found = if found.is_null() { &Value::Object(serde_json::Map::new()) } else { found };
    wrong_type(field, "a string", found)
}

/// Refuses what this API does not have, and what cannot be kept.
fn check_parameters(body: &Value) -> Result<(), WireError> {
    check_model(body)?;
    if let Some((old, new)) = MOVED.into_iter().find(|(old, _)| !body[old].is_null()) {
        let message = format!(
            "Unsupported parameter: '{old}'. In the Responses API, this parameter has moved to '{new}'. Try again \
             with the new parameter. See the API documentation for more information: \
             https://platform.openai.com/docs/api-reference/responses/create."
        );
        return Err(invalid(Some("unsupported_parameter"), message));
    }
    checks::only_known(body, &KNOWN)?;
    check_words(body)?;
    let tiers = ["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"];
    word("service_tier", &body["service_tier"], &tiers)?;
    checks::text(body, "instructions")?;
    checks::flag(body, "background")?;
    // Whether there is one is up to whoever keeps them.
    checks::text(body, "previous_response_id")?;
    match CONTINUED.into_iter().find(|name| !body[name].is_null()) {
        Some(kept) => {
            let message = format!("Unsupported parameter: '{kept}': none is kept here.");
            Err(invalid(Some("unsupported_parameter"), message).about(kept))
        }
        None => Ok(()),
    }
}

/// Fields that take one of a few words.
fn check_words(body: &Value) -> Result<(), WireError> {
    let (reasoning, text) = (&body["reasoning"], &body["text"]);
    checks::only_known_in("reasoning", reasoning, &OF_REASONING)?;
    efforts::check_response(body["model"].as_str().unwrap_or_default(), &reasoning["effort"])?;
    word("reasoning.summary", &reasoning["summary"], &["concise", "detailed", "auto"])?;
    checks::only_known_in("text", text, &OF_TEXT)?;
    word("text.verbosity", &text["verbosity"], &["low", "medium", "high"])?;
    word("truncation", &body["truncation"], &["auto", "disabled"])?;
    whole(body, "max_tool_calls", 1, u32::MAX)?;
    if !body["context_management"].is_null() && !body["context_management"].is_array() {
        return Err(wrong_type("context_management", "an array of objects", &body["context_management"]));
    }
    options::check(body, Api::Responses)?;
    let included = match &body["include"] {
        Value::Null => return Ok(()),
        included => {
            included.as_array().ok_or_else(|| wrong_type("include", "an array of strings", included))?
        }
    };
    for (i, one) in included.iter().enumerate() {
        checks::known_word(&format!("include[{i}]"), one, &INCLUDABLE)?;
    }
    Ok(())
}

/// Refuses what models that reason do not take, and what only they take (as users of gpt-5.6 and
/// gpt-4.1-nano have shown it).
fn check_thinking(body: &Value, model: &str) -> Result<(), WireError> {
    let reasoning = &body["reasoning"];
    if is_plain(model)
        && let Some(name) = ["effort", "summary"].into_iter().find(|name| !reasoning[name].is_null())
    {
        return Err(unsupported(&format!("reasoning.{name}"), ""));
    }
    let wants_logprobs =
        body["include"].as_array().is_some_and(|list| list.iter().any(|one| one == LOGPROBS));
    let wanted = [("include", wants_logprobs), ("top_logprobs", body["top_logprobs"].as_u64() > Some(0))];
    match wanted.into_iter().find(|(_, is_wanted)| *is_wanted && checks::thinks(model, &reasoning["effort"]))
    {
        None => Ok(()),
        Some((field, _)) => {
            let message = "logprobs are not supported with reasoning models.";
            Err(invalid(Some("unsupported_parameter"), message).about(field))
        }
    }
}

/// What the answer is asked of, and what the system said before it.
fn input(input: Option<&Value>, is_continued: bool) -> Result<(String, Vec<String>), WireError> {
    let is_nothing = |input: &Value| input == "" || input.as_array().is_some_and(Vec::is_empty);
    let items = match input {
        None => return Err(missing("input")),
        Some(input) if is_nothing(input) && !is_continued => {
            let message = "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation' must be provided.";
            return Err(invalid(Some("missing_required_parameter"), message));
        }
        Some(Value::String(prompt)) => return Ok((prompt.clone(), Vec::new())),
        Some(Value::Array(items)) => items,
        Some(Value::Null) => return Err(not_text("input", &Value::Null)),
        Some(other) => return Err(wrong_type("input", "one of a string or array of input items", other)),
    };
    items::check(items, is_continued)?;
    let is_system = |item: &&Value| item["role"] == "system" || item["role"] == "developer";
    let system = items.iter().filter(is_system).filter_map(|item| text_of(&item["content"])).collect();
    Ok((asked_of(items), system))
}

/// The bound on the answer.
fn bound(body: &Value) -> Result<Option<u32>, WireError> {
    whole(body, "max_output_tokens", LEAST_OUTPUT, u32::MAX)
}

/// What the model reads, in order: the schema, the tools, the instructions, the items.
fn parts(body: &Value) -> Vec<Part> {
    let whole = |value: &Value| Part::text(value.to_string());
    let schema = body["text"]["format"].get("schema").into_iter().map(whole);
    let tools = body["tools"].as_array().into_iter().flatten().map(whole);
    let mut parts: Vec<Part> = schema.chain(tools).chain(Part::content(&body["instructions"])).collect();
    match &body["input"] {
        Value::Array(items) => {
            // What was thought before is not read again.
            for item in items.iter().filter(|item| item["type"] != "reasoning") {
                match &item["content"] {
                    // A call, its result, or what else the API has of its own.
                    Value::Null => parts.push(whole(item)),
                    content => parts.extend(Part::content(content)),
                }
            }
        }
        input => parts.extend(Part::content(input)),
    }
    parts
}

pub(super) fn particulars(body: &[u8]) -> Particulars {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let model = body["model"].as_str().unwrap_or_default();
    let (thinking, thinks_untold) = checks::thoughts(model, &body["reasoning"]["effort"]);
    Particulars {
        parts: parts(&body),
        caching: Caching::Automatic,
        thinking,
        thinks_untold,
        bound: bound(&body).unwrap_or_default(),
        choices: 1,
        tier: tier(&body).unwrap_or_default(),
        geo: None,
        is_stored: body["store"] != false,
        in_background: body["background"] == true,
    }
}
