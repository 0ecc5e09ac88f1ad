//! What OpenAI's APIs refuse of the newest models, and of parameters that few requests have: rows that users
//! have recorded of gpt-5.6.

use serde_json::{Value, json};
use sortie_providers::dialect::{OpenAiChat, OpenAiResponses, Shape};

use super::{of, read, refused, taken};

const NEWEST: &str = "gpt-5.6-terra";

#[test]
fn chat_completions_refuse_what_they_were_seen_to() {
    let (missing, unknown) = ("missing_required_parameter", "unknown_parameter");
    for (more, param, code, message) in [
        (
            json!({"n": 64}),
            "n",
            "integer_above_max_value",
            "Invalid 'n': integer above maximum value. Expected a value <= 8",
        ),
        (json!({"audio": {"voice": "alloy"}}), "audio", unknown, "Unknown parameter: 'audio'."),
        (json!({"modalities": ["text"]}), "modalities", unknown, "Unknown parameter: 'modalities'."),
        (
            json!({"web_search_options": {}}),
            "web_search_options",
            unknown,
            "Unknown parameter: 'web_search_options'.",
        ),
        (
            json!({"prediction": {"type": "content", "content": "a"}}),
            "prediction",
            "unsupported_parameter",
            "Unsupported parameter: 'prediction' is not supported with this model.",
        ),
        (
            json!({"functions": "x"}),
            "functions",
            "invalid_type",
            "Invalid type for 'functions': expected an array of function definitions, but got a string instead.",
        ),
        (
            json!({"functions": [{"parameters": {}}]}),
            "functions[0].name",
            missing,
            "Missing required parameter: 'functions[0].name'.",
        ),
        (
            json!({"functions": [{"name": "f", "parameters": {}}], "function_call": {"a": 1}}),
            "function_call.name",
            missing,
            "Missing required parameter: 'function_call.name'.",
        ),
        (
            json!({"functions": [{"name": "f"}], "function_call": {"name": "g"}}),
            "function_call",
            "",
            "Invalid value for 'function_call': no function named 'g' was specified in the 'functions' parameter.",
        ),
        (
            json!({"stream_options": {"bogus": 1}}),
            "stream_options.bogus",
            unknown,
            "Unknown parameter: 'stream_options.bogus'.",
        ),
        (
            json!({"prompt_cache_options": {"bogus": 1}}),
            "prompt_cache_options.bogus",
            unknown,
            "Unknown parameter:",
        ),
        (
            json!({"prompt_cache_retention": "x"}),
            "prompt_cache_retention",
            "",
            "Invalid prompt_cache_retention argument",
        ),
        (
            json!({"prompt_cache_retention": "in_memory"}),
            "prompt_cache_retention",
            "",
            "This model is compatible only with 24h extended prompt caching",
        ),
        (
            json!({"moderation": {}}),
            "moderation.model",
            missing,
            "Missing required parameter: 'moderation.model'.",
        ),
    ] {
        refused(&OpenAiChat, &of(NEWEST, more), (param, code), message);
    }
    let taken_by = |model: &str, more: Value| taken(&OpenAiChat, &of(model, more));
    taken_by(
        NEWEST,
        json!({"n": 8, "prompt_cache_retention": "24h", "prompt_cache_options": {"ttl": "30m"}}),
    );
    taken_by(
        NEWEST,
        json!({"stream": true, "stream_options": {"include_usage": true, "include_obfuscation": true}}),
    );
    taken_by(
        "gpt-4o",
        json!({"n": 64, "prediction": {"type": "content", "content": "a"}, "modalities": ["text"]}),
    );
    taken_by("gpt-4o", json!({"prompt_cache_retention": "in-memory"}));
}

#[test]
fn functions_are_called_as_before_there_were_tools() {
    let functions = json!([{"name": "f"}, {"name": "g"}]);
    let asked = json!({"role": "user", "content": "a"});
    let result = json!({"role": "function", "name": "f", "content": "b"});
    for (choice, turns, expected) in [
        (Value::Null, json!([asked]), "f"),
        (json!("auto"), json!([asked]), "f"),
        (json!("auto"), json!([asked, result]), ""),
        (json!("none"), json!([asked]), ""),
        (json!({"name": "g"}), json!([asked, result]), "g"),
    ] {
        let body = json!({"functions": functions, "function_call": choice, "messages": turns});
        let called = match read(&OpenAiChat, &body).unwrap().shape {
            Shape::Tool { name, .. } => name,
            _ => String::new(),
        };
        assert_eq!(called, expected, "{body}");
    }
}

#[test]
fn responses_refuse_what_they_were_seen_to() {
    let unknown = |field: &str| format!("Unknown parameter: '{field}'.");
    let nothing =
        "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation' must be provided."
            .to_owned();
    let not_text =
        |field: &str| format!("Invalid type for '{field}': expected a string, but got an object instead.");
    for (more, param, code, message) in [
        (json!({"input": ""}), "", "missing_required_parameter", nothing.clone()),
        (json!({"input": []}), "", "missing_required_parameter", nothing),
        (json!({"input": null}), "input", "invalid_type", not_text("input")),
        (json!({"model": null}), "model", "invalid_type", not_text("model")),
        (
            json!({"model": ""}),
            "model",
            "model_not_found",
            "The requested model '' does not exist.".to_owned(),
        ),
        (
            json!({"max_tool_calls": 0}),
            "max_tool_calls",
            "integer_below_min_value",
            "Invalid 'max_tool_calls': integer below minimum value. Expected a value >= 1, but got 0".to_owned(),
        ),
        (
            json!({"reasoning": {"generate_summary": "auto"}}),
            "reasoning.generate_summary",
            "unknown_parameter",
            unknown("reasoning.generate_summary"),
        ),
        (
            json!({"reasoning": {"effort": {}}}),
            "reasoning.effort",
            "invalid_type",
            "Invalid type for 'reasoning.effort': expected one of one of 'none', 'minimal', 'low', 'medium', 'high', \
             'xhigh', or 'max' or integer, but got an object instead."
                .to_owned(),
        ),
        (
            json!({"prompt_cache_retention": "x"}),
            "prompt_cache_retention",
            "invalid_value",
            "Invalid value: 'x'. Supported values are: 'in_memory' and '24h'.".to_owned(),
        ),
        (
            json!({"prompt_cache_retention": {}}),
            "prompt_cache_retention",
            "invalid_type",
            "Invalid type for 'prompt_cache_retention': expected one of 'in_memory' or '24h', but got".to_owned(),
        ),
        (
            json!({"model": "gpt-5.6-terra", "prompt_cache_retention": "in_memory"}),
            "prompt_cache_retention",
            "invalid_parameter",
            "This model is compatible only with 24h extended prompt caching".to_owned(),
        ),
        (
            json!({"prompt_cache_options": {"bogus": 1}}),
            "prompt_cache_options.bogus",
            "unknown_parameter",
            unknown("prompt_cache_options.bogus"),
        ),
        (
            json!({"stream_options": {"include_usage": true}}),
            "stream_options.include_usage",
            "unknown_parameter",
            unknown("stream_options.include_usage"),
        ),
        (
            json!({"context_management": "x"}),
            "context_management",
            "invalid_type",
            "Invalid type for 'context_management': expected an array of objects, but got a string".to_owned(),
        ),
        (
            json!({"moderation": "x"}),
            "moderation",
            "invalid_type",
            "Invalid type for 'moderation': expected an object, but got a string instead.".to_owned(),
        ),
    ] {
        refused(&OpenAiResponses, &more, (param, code), &message);
    }
}
