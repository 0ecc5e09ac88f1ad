//! Responses: items, their parts, calls and their outputs, and fields that take few words.

use serde_json::{Value, json};
use sortie_providers::dialect::OpenAiResponses;

use crate::{input, refused, said, taken};

const INVALID: &str = "invalid_value";
const MISSING: &str = "missing_required_parameter";
const UNKNOWN: &str = "unknown_parameter";
const UNSUPPORTED: &str = "unsupported_parameter";

fn user(content: Value) -> Value {
    said("user", content)
}

fn call(id: &str) -> Value {
    json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"})
}

fn output(id: &str) -> Value {
    json!({"type": "function_call_output", "call_id": id, "output": "9 degrees"})
}

fn refuse(more: &Value, param: &str, code: &str, message: &str) {
    refused(&OpenAiResponses, more, (param, code), message);
}

#[test]
fn every_call_has_its_output_and_no_other_call_has() {
    let custom = json!({"type": "custom_tool_call", "call_id": "a", "name": "f", "input": "x"});
    let of_custom = json!({"type": "custom_tool_call_output", "call_id": "a", "output": "y"});
    let reasoning = json!({"type": "reasoning", "id": "rs_1", "summary": []});
    for items in [
        json!([user(json!("Weather?")), reasoning, call("a"), output("a")]),
        json!([call("a"), call("b"), output("b"), user(json!("And?")), output("a")]),
        json!([custom, of_custom]),
        // The call is kept.
        json!([{"type": "item_reference", "id": "fc_1"}, output("a")]),
        json!([{"id": "fc_1"}, output("a")]),
    ] {
        taken(&OpenAiResponses, &input(&items));
    }
    let check = |items: Value, message: &str| refuse(&input(&items), "input", "", message);
    check(json!([output("a")]), "No tool call found for function call output with call_id a.");
    check(json!([output("a"), call("a")]), "No tool call found for function call output with call_id a.");
    check(
        json!([call("a"), output("a"), output("b")]),
        "No tool call found for function call output with call_id b.",
    );
    check(json!([call("a"), user(json!("x"))]), "No tool output found for function call a.");
    check(json!([call("a"), call("b"), output("a")]), "No tool output found for function call b.");
    check(json!([custom]), "No tool output found for custom tool call a.");
    check(json!([of_custom]), "No tool call found for custom tool call output with call_id a.");
    check(json!([call("a"), of_custom]), "No tool output found for function call a.");
}

#[test]
fn items_and_parts_are_of_the_kinds_that_there_are() {
    let check = |item: Value, param: &str, code: &str, message: &str| {
        refuse(&input(&json!([item])), param, code, message);
    };
    check(
        json!({"type": "call"}),
        "input[0]",
        INVALID,
        "Invalid value: 'call'. Supported values are: 'additional_tools',",
    );
    check(json!(7), "input[0]", "invalid_type", "Invalid type for 'input[0]': expected an input item");
    let roles = "Supported values are: 'assistant', 'system', 'developer', and 'user'.";
    check(json!({}), "input[0]", INVALID, &format!("Invalid value: ''. {roles}"));
    check(
        json!({"role": "tool", "content": "a"}),
        "input[0]",
        INVALID,
        &format!("Invalid value: 'tool'. {roles}"),
    );
    check(
        json!({"role": "user", "content": "a", "name": "n"}),
        "input[0].name",
        UNKNOWN,
        "Unknown parameter",
    );
    check(
        json!({"role": "user", "content": "a", "phase": "commentary"}),
        "input[0].phase",
        UNKNOWN,
        "Unknown",
    );
    let phase = json!({"role": "assistant", "content": "a", "phase": "last"});
    check(
        phase,
        "input[0].phase",
        INVALID,
        "Invalid value: 'last'. Supported values are: 'commentary' and 'final",
    );
    check(json!({"role": "user", "content": 3}), "input[0].content", "invalid_type", "Invalid type");
    check(
        json!({"type": "function_call", "call_id": "a", "name": "f"}),
        "input[0].arguments",
        MISSING,
        "Missing",
    );

    let part = |role: &str, part: Value| json!({"role": role, "content": [part]});
    let text = |kind: &str| json!({"type": kind, "text": "a"});
    check(
        part("user", text("text")),
        "input[0].content[0].type",
        INVALID,
        "Invalid value: 'text'. Supported values are: 'input_text', 'input_image', 'input_audio', 'output_text', \
         'refusal', 'input_file', 'computer_screenshot', 'summary_text', and 'encrypted_content'.",
    );
    check(
        part("user", text("output_text")),
        "input[0].content[0]",
        INVALID,
        "Invalid value: 'output_text'. Supported values are: 'input_text', 'input_image', 'input_file', \
         'scoped_content', and 'input_audio'.",
    );
    check(
        part("assistant", text("input_text")),
        "input[0].content[0]",
        INVALID,
        "Invalid value: 'input_text'. Supported values are: 'output_text' and 'refusal'.",
    );
    check(part("user", json!({"type": "input_text"})), "input[0].content[0].text", MISSING, "Missing");
    let mut result = output("a");
    result["output"] = json!([text("output_text")]);
    check(
        result,
        "input[0].output[0]",
        INVALID,
        "Invalid value: 'output_text'. Supported values are: 'input_text',",
    );
}

#[test]
fn what_a_response_gave_may_be_said_again() {
    let message = json!({
        "id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "phase": "final_answer",
        "content": [{"type": "output_text", "text": "a", "annotations": [], "logprobs": []}]});
    let refusal = json!({"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]});
    let seen = user(json!([
        {"type": "input_text", "text": "a"},
        {"type": "input_image", "image_url": "https://example.org/a.png"},
        {"type": "input_file", "file_id": "file_1"}]));
    let system =
        json!({"type": "message", "role": "system", "content": [{"type": "input_text", "text": "a"}]});
    let search = json!({"type": "web_search_call", "id": "ws_1", "status": "completed"});
    let mut result = output("a");
    result["output"] = json!([{"type": "input_text", "text": "9 degrees"}]);
    let update = json!({"type": "configuration_update", "reasoning": {"effort": "low"}});
    let items = [message, refusal, seen, system, search, call("a"), result, update];
    taken(&OpenAiResponses, &input(&json!(items)));
}

#[test]
fn fields_take_the_words_that_there_are() {
    let all = json!([
        "file_search_call.results",
        "web_search_call.results",
        "web_search_call.action.sources",
        "message.input_image.image_url",
        "computer_call_output.output.image_url",
        "code_interpreter_call.outputs",
        "reasoning.encrypted_content",
        "message.output_text.logprobs"
    ]);
    for right in [
        json!({"include": all, "truncation": "auto"}),
        json!({"text": {"verbosity": "high"}, "reasoning": {"effort": "low", "summary": "detailed"}}),
        json!({"reasoning": {"effort": "low", "summary": null, "generate_summary": "auto", "mode": "pro"}}),
        json!({"include": [], "text": {}, "reasoning": null}),
    ] {
        taken(&OpenAiResponses, &right);
    }
    refuse(
        &json!({"include": ["usage"]}),
        "include[0]",
        INVALID,
        "Invalid value: 'usage'. Supported values are: 'file_search_call.results', 'web_search_call.results', \
         'web_search_call.action.sources', 'message.input_image.image_url', \
         'computer_call_output.output.image_url', 'code_interpreter_call.outputs', 'reasoning.encrypted_content', \
         and 'message.output_text.logprobs'.",
    );
    refuse(&json!({"include": "usage"}), "include", "invalid_type", "Invalid type for 'include'");
    let verbosity = "Invalid value: 'long'. Supported values are: 'low', 'medium', and 'high'.";
    refuse(&json!({"text": {"verbosity": "long"}}), "text.verbosity", INVALID, verbosity);
    let summary = "Invalid value: 'long'. Supported values are: 'concise', 'detailed', and 'auto'.";
    refuse(&json!({"reasoning": {"summary": "long"}}), "reasoning.summary", INVALID, summary);
    let truncation = "Invalid value: 'long'. Supported values are: 'auto' and 'disabled'.";
    refuse(&json!({"truncation": "long"}), "truncation", INVALID, truncation);
    refuse(&json!({"text": {"tone": 1}}), "text.tone", UNKNOWN, "Unknown parameter: 'text.tone'.");
    refuse(&json!({"reasoning": {"budget": 1}}), "reasoning.budget", UNKNOWN, "Unknown parameter");
    refuse(&json!({"reasoning": "low"}), "reasoning", "invalid_type", "Invalid type for 'reasoning'");
}

#[test]
fn models_that_reason_and_others_are_asked_different_things() {
    for (name, value) in [("effort", "low"), ("summary", "auto")] {
        let field = format!("reasoning.{name}");
        let more = json!({"model": "gpt-4.1-nano", "reasoning": {name: value}});
        let message = format!("Unsupported parameter: '{field}' is not supported with this model.");
        refuse(&more, &field, UNSUPPORTED, &message);
        taken(&OpenAiResponses, &json!({"model": "gpt-5.4", "reasoning": {name: value}}));
    }
    let logprobs = json!(["message.output_text.logprobs"]);
    for (field, value) in [("include", logprobs), ("top_logprobs", json!(2))] {
        let message = "logprobs are not supported with reasoning models.";
        refuse(&json!({"model": "gpt-5.6-terra", field: value}), field, UNSUPPORTED, message);
        taken(&OpenAiResponses, &json!({"model": "gpt-4o", field: value}));
    }
}

#[test]
fn a_model_that_thinks_is_sampled_its_own_way() {
    for model in ["o3", "gpt-5", "gpt-5.2-chat-latest", "gpt-5.5", "gpt-5.6-terra", "gpt-6.1-sol"] {
        for field in ["temperature", "top_p"] {
            let message = format!("Unsupported parameter: '{field}' is not supported with this model.");
            refuse(&json!({"model": model, field: 0.5}), field, "", &message);
            taken(&OpenAiResponses, &json!({"model": model, field: 1}));
        }
    }
    for model in ["gpt-4.1", "gpt-5.1", "gpt-5.1-2025-11-13", "gpt-5.2", "gpt-5.3-codex", "gpt-5.4-nano"] {
        taken(&OpenAiResponses, &json!({"model": model, "temperature": 0.5, "top_p": 0.5}));
    }
    let told = |model: &str, effort: &str| json!({"model": model, "temperature": 0, "reasoning": {"effort": effort}});
    taken(&OpenAiResponses, &told("gpt-5.6-sol", "none"));
    refuse(&told("gpt-5.1", "low"), "temperature", "", "Unsupported parameter: 'temperature'");
}

#[test]
fn a_model_thinks_as_much_as_it_can() {
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
            refuse(&more, "reasoning.effort", "unsupported_value", &message);
        }
    }
    let most = json!({"model": "gpt-5.6-sol", "reasoning": {"effort": "most"}});
    refuse(
        &most,
        "reasoning.effort",
        INVALID,
        "Invalid value: 'most'. Supported values are: 'none', 'minimal',",
    );
    taken(&OpenAiResponses, &json!({"model": "gpt-6.2-sol", "reasoning": {"effort": "minimal"}}));
}

#[test]
fn tools_and_schemas_are_refused_by_where_they_stand() {
    let open = json!({"type": "object", "properties": {"a": {}}, "additionalProperties": false});
    let format = json!({"type": "json_schema", "name": "n", "strict": true, "schema": open});
    let missing = "In context=(), 'required' is required to be supplied and to be an array including every key in \
                   properties. Missing 'a'.";
    refuse(
        &json!({"text": {"format": format}}),
        "text.format.schema",
        "invalid_json_schema",
        &format!("Invalid schema for response_format 'n': {missing}"),
    );
    let function =
        |strict: bool| json!({"type": "function", "name": "f", "parameters": open, "strict": strict});
    refuse(
        &json!({"tools": [function(true)]}),
        "tools[0].parameters",
        "invalid_function_parameters",
        &format!("Invalid schema for function 'f': {missing}"),
    );
    taken(&OpenAiResponses, &json!({"tools": [function(false)]}));
    refuse(
        &json!({"tools": [function(false), {"type": "function", "name": "g", "parameters": {"type": "object"}}]}),
        "tools[1].parameters",
        "invalid_function_parameters",
        "Invalid schema for function 'g': In context=(), object schema missing properties.",
    );
    refuse(&json!({"tools": [function(false), function(false)]}), "tools", "", "Tool names must be unique.");
    refuse(&json!({"tools": "f"}), "tools", "invalid_type", "Invalid type for 'tools'");
}
