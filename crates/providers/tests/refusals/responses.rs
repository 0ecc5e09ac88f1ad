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
        json!({"reasoning": {"effort": "low", "summary": null, "mode": "pro"}}),
        json!({"input": [], "previous_response_id": "resp_1"}),
        json!({"input": "", "previous_response_id": "resp_1"}),
        json!({"max_tool_calls": 1, "context_management": [], "moderation": {"model": "m"}}),
        json!({"stream": true, "stream_options": {"include_obfuscation": false}}),
        json!({"prompt_cache_options": {"mode": "explicit", "ttl": "30m"}, "prompt_cache_retention": "24h"}),
        json!({"model": "gpt-5.4", "prompt_cache_retention": "in_memory"}),
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

#[test]
fn ids_say_of_which_kind_an_item_is() {
    let reasoning = json!({"type": "reasoning", "summary": [], "encrypted_content": "e"});
    let message = user(json!("a"));
    let custom = json!({"type": "custom_tool_call", "call_id": "a", "name": "f", "input": "x"});
    let search = json!({"type": "web_search_call", "status": "completed"});
    for (item, begins) in [
        (message, "msg"),
        (reasoning, "rs"),
        (call("a"), "fc"),
        (output("a"), "fc"),
        (custom, "ctc"),
        (search, "ws"),
    ] {
        let of = |id: Value| {
            let mut item = item.clone();
            item["id"] = id;
            // What it goes on from has the other halves of calls.
            json!({"input": [item], "previous_response_id": "resp_1"})
        };
        taken(&OpenAiResponses, &of(json!(format!("{begins}_1"))));
        taken(&OpenAiResponses, &of(Value::Null));
        let message = format!("Invalid 'input[0].id': 'x_1'. Expected an ID that begins with '{begins}'.");
        refuse(&of(json!("x_1")), "input[0].id", INVALID, &message);
        refuse(&of(json!(1)), "input[0].id", "invalid_type", "Invalid type for 'input[0].id'");
    }
    taken(&OpenAiResponses, &input(&json!([{"type": "item_reference", "id": "x_1"}])));
}

#[test]
fn what_was_thought_stands_before_what_was_said() {
    let thought = json!({"type": "reasoning", "id": "rs_1", "summary": []});
    let whole = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "e"});
    let (asked, said) = (user(json!("a")), said("assistant", json!("b")));
    for items in [
        json!([asked, thought, said]),
        json!([asked, thought, thought, call("a"), output("a")]),
        json!([asked, whole, asked]),
        json!([asked, whole]),
    ] {
        taken(&OpenAiResponses, &input(&items));
    }
    let message = "Item 'rs_1' of type 'reasoning' was provided without its required following item.";
    for items in [json!([asked, thought]), json!([asked, thought, thought, asked, said])] {
        refuse(&input(&items), "input", "", message);
    }
}

#[test]
fn tools_and_choices_are_of_the_kinds_that_there_are() {
    let function = json!({"type": "function", "name": "f"});
    let search = json!({"type": "web_search"});
    let chosen = |choice: Value| json!({"tools": [function, search], "tool_choice": choice});
    for choice in [
        json!("auto"),
        json!({"type": "function", "name": "f"}),
        json!({"type": "web_search_preview"}),
        json!({"type": "allowed_tools", "mode": "auto", "tools": [function]}),
    ] {
        taken(&OpenAiResponses, &chosen(choice));
    }
    for (choice, param, code, message) in [
        (
            json!("any"),
            "tool_choice",
            INVALID,
            "Invalid value: 'any'. Supported values are: 'none', 'auto', and",
        ),
        (
            json!(7),
            "tool_choice",
            "invalid_type",
            "Invalid type for 'tool_choice': expected one of an object or 'none',",
        ),
        (
            json!({"type": "tool"}),
            "tool_choice.type",
            INVALID,
            "Invalid value: 'tool'. Supported values are: 'code_",
        ),
        (
            json!({"type": "function"}),
            "tool_choice.name",
            MISSING,
            "Missing required parameter: 'tool_choice.name'.",
        ),
        (
            json!({"type": "function", "name": "h"}),
            "tool_choice",
            "",
            "Tool choice 'h' not found in 'tools' parameter.",
        ),
        (json!({"type": "mcp"}), "tool_choice", "", "Tool choice 'mcp' not found in 'tools' parameter."),
    ] {
        refuse(&chosen(choice), param, code, message);
    }
    let bash = json!({"tools": [{"type": "bash_20250124"}]});
    refuse(
        &bash,
        "tools[0].type",
        INVALID,
        "Invalid value: 'bash_20250124'. Supported values are: 'code_interpreter',",
    );
    let named = json!({"model": 7});
    refuse(
        &named,
        "model",
        "invalid_type",
        "Invalid type for 'model': expected a string, but got an integer instead.",
    );
    let key = "k".repeat(65);
    taken(&OpenAiResponses, &json!({"prompt_cache_key": &key[1..]}));
    refuse(
        &json!({"prompt_cache_key": key}),
        "prompt_cache_key",
        "string_above_max_length",
        "Invalid 'prompt_cache_key'",
    );
}
