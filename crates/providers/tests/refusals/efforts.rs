//! OpenAI's models: how much they think, and what they are not asked where they do.

use serde_json::{Value, json};
use sortie_providers::dialect::{OpenAiChat, OpenAiResponses};

use crate::{of, refused, taken};

fn chat(more: &Value, param: &str, code: &str, message: &str) {
    refused(&OpenAiChat, more, (param, code), message);
}

fn response(more: &Value, param: &str, code: &str, message: &str) {
    refused(&OpenAiResponses, more, (param, code), message);
}

#[test]
fn chat_samples_a_model_that_thinks_its_own_way() {
    for model in ["o3", "gpt-5", "gpt-5.5", "gpt-5.6-terra", "gpt-6-luna"] {
        chat(
            &of(model, json!({"temperature": 0.5})),
            "temperature",
            "unsupported_value",
            "Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1) value is \
             supported.",
        );
        taken(&OpenAiChat, &of(model, json!({"temperature": 1})));
    }
    for model in ["gpt-5.1", "gpt-5.2-2025-12-11", "gpt-5.4", "gpt-5.4-mini"] {
        let sampled = json!({"temperature": 0, "top_p": 0.5, "presence_penalty": 1, "logprobs": true});
        taken(&OpenAiChat, &of(model, sampled));
        let told = of(model, json!({"temperature": 0, "reasoning_effort": "low"}));
        chat(
            &told,
            "temperature",
            "unsupported_value",
            "Unsupported value: 'temperature' does not support 0",
        );
    }
}

#[test]
fn in_chat_a_model_thinks_as_much_as_it_can() {
    let told = |model: &str, effort: Value| of(model, json!({"reasoning_effort": effort}));
    for (model, effort, efforts) in [
        ("o3", "minimal", "'low', 'medium', and 'high'"),
        ("gpt-5", "none", "'minimal', 'low', 'medium', and 'high'"),
        ("gpt-5-2025-08-07", "xhigh", "'minimal', 'low', 'medium', and 'high'"),
        ("gpt-5.1", "minimal", "'none', 'low', 'medium', and 'high'"),
        ("gpt-5.4", "max", "'none', 'low', 'medium', 'high', and 'xhigh'"),
        ("gpt-5.6-terra", "max", "'none', 'low', 'medium', 'high', and 'xhigh'"),
        ("gpt-5.6-terra", "most", "'none', 'low', 'medium', 'high', and 'xhigh'"),
        ("gpt-6.1-sol", "none", "'low', 'medium', 'high', and 'xhigh'"),
    ] {
        let message = format!(
            "Unsupported value: 'reasoning_effort' does not support '{effort}' with this model. Supported values \
             are: {efforts}."
        );
        chat(&told(model, json!(effort)), "reasoning_effort", "unsupported_value", &message);
        for known in efforts.split('\'').skip(1).step_by(2) {
            taken(&OpenAiChat, &told(model, json!(known)));
        }
    }
    let message = "Unsupported value: 'reasoning_effort' does not support 5 with this model.";
    chat(&told("gpt-5.6-sol", json!(5)), "reasoning_effort", "unsupported_value", message);
    taken(&OpenAiChat, &told("some-model", json!("max")));
    chat(&told("some-model", json!("most")), "reasoning_effort", "invalid_value", "Invalid value: 'most'.");
}

#[test]
fn chat_has_no_functions_for_a_model_that_thinks() {
    let tool = json!({"type": "function", "function": {"name": "f"}});
    let custom = json!({"type": "custom", "custom": {"name": "f"}});
    let asked =
        |model: &str, effort: Option<&str>| of(model, json!({"tools": [tool], "reasoning_effort": effort}));
    for (model, effort) in [
        ("gpt-5.4-mini", Some("low")),
        ("gpt-5.5", Some("high")),
        ("gpt-5.6-terra", None),
        ("gpt-5.6-terra", Some("low")),
        ("gpt-6-luna", None),
        ("gpt-6.1-sol", None),
    ] {
        let message = format!(
            "Function tools with reasoning_effort are not supported for {model} in /v1/chat/completions. To use \
             function tools, use /v1/responses or set reasoning_effort to 'none'."
        );
        chat(&asked(model, effort), "reasoning_effort", "", &message);
        taken(&OpenAiChat, &of(model, json!({"tools": [custom], "reasoning_effort": effort})));
    }
    for (model, effort) in [
        ("gpt-5.2", Some("high")),
        ("gpt-5.4-mini", None),
        ("gpt-5.5", None),
        ("gpt-5.6-terra", Some("none")),
        ("o3", Some("high")),
        ("gpt-60", Some("high")),
    ] {
        taken(&OpenAiChat, &asked(model, effort));
    }
}

#[test]
fn a_response_samples_a_model_that_thinks_its_own_way() {
    for model in ["o3", "gpt-5", "gpt-5.2-chat-latest", "gpt-5.5", "gpt-5.6-terra", "gpt-6.1-sol"] {
        for field in ["temperature", "top_p"] {
            let message = format!("Unsupported parameter: '{field}' is not supported with this model.");
            response(&json!({"model": model, field: 0.5}), field, "", &message);
            taken(&OpenAiResponses, &json!({"model": model, field: 1}));
        }
    }
    for model in ["gpt-4.1", "gpt-5.1", "gpt-5.1-2025-11-13", "gpt-5.2", "gpt-5.3-codex", "gpt-5.4-nano"] {
        taken(&OpenAiResponses, &json!({"model": model, "temperature": 0.5, "top_p": 0.5}));
    }
    let told = |model: &str, effort: &str| json!({"model": model, "temperature": 0, "reasoning": {"effort": effort}});
    taken(&OpenAiResponses, &told("gpt-5.6-sol", "none"));
    response(&told("gpt-5.1", "low"), "temperature", "", "Unsupported parameter: 'temperature'");
}

#[test]
fn in_a_response_a_model_thinks_as_much_as_it_can() {
    for (model, efforts) in [
        ("o3", "'low', 'medium', and 'high'"),
        ("gpt-5-mini", "'minimal', 'low', 'medium', and 'high'"),
        ("gpt-5-pro", "'high'"),
        ("gpt-5.1", "'none', 'low', 'medium', and 'high'"),
        ("gpt-5.2-chat-latest", "'medium'"),
        ("gpt-5.4", "'none', 'low', 'medium', 'high', and 'xhigh'"),
        ("gpt-5.4-pro", "'medium', 'high', and 'xhigh'"),
        ("gpt-5.6-terra", "'none', 'low', 'medium', 'high', 'xhigh', and 'max'"),
        ("gpt-6.1-sol", "'low', 'medium', 'high', 'xhigh', and 'max'"),
    ] {
        for effort in ["none", "minimal", "low", "medium", "high", "xhigh", "max"] {
            let more = json!({"model": model, "reasoning": {"effort": effort}});
            if efforts.contains(&format!("'{effort}'")) {
                taken(&OpenAiResponses, &more);
                continue;
            }
            let message = format!(
                "Unsupported value: '{effort}' is not supported with the '{model}' model. Supported values are: \
                 {efforts}."
            );
            response(&more, "reasoning.effort", "unsupported_value", &message);
        }
    }
    let most = json!({"model": "gpt-5.6-sol", "reasoning": {"effort": "most"}});
    response(
        &most,
        "reasoning.effort",
        "invalid_value",
        "Invalid value: 'most'. Supported values are: 'none', 'minimal',",
    );
    taken(&OpenAiResponses, &json!({"model": "gpt-6.2-sol", "reasoning": {"effort": "minimal"}}));
}
