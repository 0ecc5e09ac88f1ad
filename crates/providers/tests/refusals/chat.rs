//! Chat Completions: calls and their answers, tools, schemas, and what depends on the model.

use serde_json::{Value, json};
use sortie_providers::dialect::OpenAiChat;

use crate::{of, refused, taken, turns};

const HIGH: &str = "decimal_above_max_value";
const MISSING: &str = "missing_required_parameter";
const UNSUPPORTED: &str = "unsupported_parameter";

fn user() -> Value {
    json!({"role": "user", "content": "Weather?"})
}

/// An assistant's turn that calls these.
fn calls(ids: &[&str]) -> Value {
    let call =
        |id: &&str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
    json!({"role": "assistant", "content": null, "tool_calls": ids.iter().map(call).collect::<Vec<_>>()})
}

fn result(id: &str) -> Value {
    json!({"role": "tool", "tool_call_id": id, "content": "9 degrees"})
}

fn refuse(more: &Value, param: &str, code: &str, message: &str) {
    refused(&OpenAiChat, more, (param, code), message);
}

#[test]
fn every_call_is_answered_and_nothing_else() {
    for said in [
        json!([user(), calls(&["a"]), result("a")]),
        json!([user(), calls(&["a", "b"]), result("b"), result("a"), user()]),
        json!([user(), calls(&["a"]), result("a"), calls(&["a"]), result("a")]),
    ] {
        taken(&OpenAiChat, &turns(&said));
    }
    let check = |said: Value, param: &str, message: &str| refuse(&turns(&said), param, "", message);
    let orphan = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with \
                  'tool_calls'.";
    check(json!([result("a")]), "messages.[0].role", orphan);
    check(json!([user(), result("a")]), "messages.[1].role", orphan);
    check(json!([user(), calls(&["a"]), result("a"), user(), result("a")]), "messages.[4].role", orphan);
    let unknown = "Invalid parameter: 'tool_call_id' of 'b' not found in 'tool_calls' of previous message.";
    check(json!([user(), calls(&["a"]), result("b")]), "messages.[2].tool_call_id", unknown);
    let open = "An assistant message with 'tool_calls' must be followed by tool messages responding to each \
                'tool_call_id'. The following tool_call_ids did not have response messages: ";
    check(json!([user(), calls(&["a"])]), "messages", &format!("{open}a"));
    check(json!([user(), calls(&["a"]), result("a"), calls(&["a"])]), "messages", &format!("{open}a"));
    check(json!([user(), calls(&["a"]), user()]), "messages.[2].role", &format!("{open}a"));
    check(
        json!([user(), calls(&["a", "b", "c"]), result("b"), calls(&["d"])]),
        "messages.[3].role",
        &format!("{open}a, c"),
    );
}

#[test]
fn calls_and_parts_are_of_the_kinds_that_there_are() {
    let check = |turn: Value, param: &str, code: &str, message: &str| {
        refuse(&turns(&json!([user(), turn])), param, code, message);
    };
    let mut made = calls(&["a"]);
    made["tool_calls"] = json!([]);
    check(
        made.clone(),
        "messages[1].tool_calls",
        "empty_array",
        "Invalid 'messages[1].tool_calls': empty array.",
    );
    made["tool_calls"] = json!([{"type": "function"}]);
    check(made.clone(), "messages[1].tool_calls[0].id", MISSING, "Missing");
    made["tool_calls"] = json!([{"id": "a", "type": "function", "function": {"name": "f", "arguments": {}}}]);
    let arguments = "messages[1].tool_calls[0].function.arguments";
    check(made, arguments, "invalid_type", &format!("Invalid type for '{arguments}'"));
    let part = |part: Value| json!({"role": "user", "content": [part]});
    check(
        part(json!({"type": "image"})),
        "messages[1].content[0].type",
        "invalid_value",
        "Invalid value: 'image'. Supported values are: 'text', 'image_url', 'input_audio', 'refusal', 'audio', and \
         'file'.",
    );
    check(part(json!({"text": "a"})), "messages[1].content[0].type", MISSING, "Missing");
    check(part(json!({"type": "text"})), "messages[1].content[0].text", MISSING, "Missing");
}

#[test]
fn tools_are_not_too_many_and_have_names_of_their_own() {
    let tool = |name: &str| json!({"type": "function", "function": {"name": name}});
    let tools =
        |count: usize| json!({"tools": (0..count).map(|n| tool(&format!("f{n}"))).collect::<Vec<_>>()});
    taken(&OpenAiChat, &tools(128));
    refuse(
        &tools(129),
        "tools",
        "array_above_max_length",
        "Invalid 'tools': array too long. Expected an array with maximum length 128, but got an array with length \
         129 instead.",
    );
    let custom = json!({"type": "custom", "custom": {"name": "f"}});
    for twice in [json!([tool("f"), tool("g"), tool("f")]), json!([tool("f"), custom])] {
        refuse(&json!({"tools": twice}), "tools", "", "Tool names must be unique.");
    }
}

#[test]
fn a_bias_is_a_number_for_a_token() {
    let bias = |bias: Value| json!({"logit_bias": bias});
    for right in [json!({}), json!({"50256": -100, "7": 100, "8": 0.5}), Value::Null] {
        taken(&OpenAiChat, &bias(right));
    }
    refuse(
        &bias(json!({"50256": 101})),
        "logit_bias.50256",
        HIGH,
        "Invalid 'logit_bias.50256': decimal above",
    );
    let low = "decimal_below_min_value";
    refuse(&bias(json!({"7": -100.5})), "logit_bias.7", low, "Invalid 'logit_bias.7': decimal below");
    refuse(&bias(json!({"7": "1"})), "logit_bias.7", "invalid_type", "Invalid type for 'logit_bias.7'");
    refuse(&bias(json!({"the": 1})), "logit_bias", "", "Invalid key in 'logit_bias': the.");
    refuse(&bias(json!([1])), "logit_bias", "invalid_type", "Invalid type for 'logit_bias'");
}

#[test]
fn models_that_reason_and_others_are_asked_different_things() {
    for model in ["gpt-4o", "gpt-4.1-mini", "gpt-3.5-turbo"] {
        let message = "Unrecognized request argument supplied: reasoning_effort";
        refuse(&of(model, json!({"reasoning_effort": "low"})), "", "", message);
        taken(
            &OpenAiChat,
            &of(model, json!({"stop": ["a"], "top_p": 0.5, "logprobs": true, "logit_bias": {"1": 2}})),
        );
    }
    for model in ["o3", "gpt-5", "gpt-6.1-sol", "gpt-oss-20b", "llama-3"] {
        taken(&OpenAiChat, &of(model, json!({"reasoning_effort": "low", "top_p": 1, "logprobs": false})));
    }
    for model in ["o3", "o4-mini", "gpt-5-mini", "gpt-5.4-nano", "gpt-5.6-terra"] {
        let message = "Unsupported parameter: 'stop' is not supported with this model.";
        refuse(&of(model, json!({"stop": "a"})), "stop", UNSUPPORTED, message);
    }
    taken(&OpenAiChat, &of("o1", json!({"stop": "a"})));
    for (field, value) in [
        ("top_p", json!(0.5)),
        ("presence_penalty", json!(0.5)),
        ("frequency_penalty", json!(0)),
        ("logprobs", json!(true)),
        ("logit_bias", json!({"1": 2})),
    ] {
        let message = format!("Unsupported parameter: '{field}' is not supported with this model.");
        refuse(&of("gpt-5.6-terra", json!({field: value})), field, UNSUPPORTED, &message);
        taken(&OpenAiChat, &of("gpt-5.6-terra", json!({field: value, "reasoning_effort": "none"})));
    }
}

#[test]
fn strict_schemas_say_all_that_they_have() {
    let format = |schema: &Value| {
        json!({"response_format": {"type": "json_schema", "json_schema": {
            "name": "n", "strict": true, "schema": schema}}})
    };
    let function = |schema: &Value| json!({"tools": [{"type": "function", "function": {"name": "f", "strict": true, "parameters": schema}}]});
    let inner =
        json!({"type": "object", "properties": {"b": {"type": "null"}}, "additionalProperties": false});
    let outer = json!({"type": "object", "properties": {"a": inner}, "required": ["a"],
        "additionalProperties": false});
    let check = |schema: Value, why: &str| {
        refuse(
            &format(&schema),
            "response_format",
            "invalid_json_schema",
            &format!("Invalid schema for response_format 'n': {why}"),
        );
        refuse(
            &function(&schema),
            "tools[0].function.parameters",
            "invalid_function_parameters",
            &format!("Invalid schema for function 'f': {why}"),
        );
    };
    check(
        outer.clone(),
        "In context=('properties', 'a'), 'required' is required to be supplied and to be an array including every \
         key in properties. Missing 'b'.",
    );
    check(
        json!({"type": "object"}),
        "In context=(), 'additionalProperties' is required to be supplied and to be",
    );
    check(json!({}), "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'.");
    check(
        json!({"type": "string"}),
        "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"string\"'.",
    );
    let mut whole = outer;
    whole["properties"]["a"]["required"] = json!(["b"]);
    let mut either = whole.clone();
    either["properties"]["a"]["properties"]["b"] = json!({"oneOf": [{"type": "null"}]});
    check(either, "In context=('properties', 'a', 'properties', 'b'), 'oneOf' is not permitted.");
    for strict in [format(&whole), function(&whole)] {
        taken(&OpenAiChat, &strict);
    }
    let mut loose = format(&json!({"type": "object"}));
    loose["response_format"]["json_schema"]["strict"] = json!(false);
    taken(&OpenAiChat, &loose);
}

#[test]
fn functions_that_are_not_strict_take_objects_all_the_same() {
    let function = |parameters: &Value| json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": parameters}}]});
    let of = |a: Value| json!({"type": "object", "properties": {"a": a}});
    for parameters in
        [Value::Null, json!({}), of(json!({})), of(json!({"type": "array", "items": {}, "default": []}))]
    {
        taken(&OpenAiChat, &function(&parameters));
    }
    for (parameters, why) in [
        (of(json!({"type": "array"})), "In context=('properties', 'a'), array schema missing items."),
        (json!({"type": "object"}), "In context=(), object schema missing properties."),
        (
            json!({"type": "string"}),
            "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"string\"'.",
        ),
        (
            json!({"type": "object", "properties": {}, "anyOf": [{"required": ["a"]}]}),
            "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level.",
        ),
    ] {
        refuse(
            &function(&parameters),
            "tools[0].function.parameters",
            "invalid_function_parameters",
            &format!("Invalid schema for function 'f': {why}"),
        );
    }
}

#[test]
fn a_turn_says_something_of_the_right_type() {
    for said in [json!(""), json!([]), json!([{"type": "text", "text": ""}])] {
        taken(&OpenAiChat, &turns(&json!([{"role": "user", "content": said}])));
    }
    for instead in [json!({"refusal": "No."}), json!({"audio": {"id": "a"}})] {
        let mut turn = instead;
        turn["role"] = json!("assistant");
        taken(&OpenAiChat, &turns(&json!([user(), turn])));
        turn["role"] = json!("user");
        let silent = "Invalid value for 'content': expected a string, got null.";
        refuse(&turns(&json!([user(), turn])), "messages.[1].content", "", silent);
    }
    let check = |turn: Value, param: &str, code: &str, message: &str| {
        refuse(&turns(&json!([turn])), param, code, message);
    };
    let content = "messages[0].content";
    check(
        json!("Hello"),
        "messages[0]",
        "invalid_type",
        "Invalid type for 'messages[0]': expected an object, but got a",
    );
    check(
        json!({"role": "user", "content": 7}),
        content,
        "invalid_type",
        "Invalid type for 'messages[0].content': expected one of a string or array of objects, but got an integer \
         instead.",
    );
    check(
        json!({"role": "user", "content": ["a"]}),
        "messages[0].content[0]",
        "invalid_type",
        "Invalid type",
    );
    check(
        json!({"role": "developer"}),
        content,
        MISSING,
        "Missing required parameter: 'messages[0].content'.",
    );
    check(json!({"role": "developer", "content": null}), content, "invalid_type", "Invalid type for");
    for kind in ["file", "input_audio"] {
        let part = json!({"role": "user", "content": [{"type": kind}]});
        check(part, &format!("messages[0].content[0].{kind}"), MISSING, "Missing required parameter");
    }
    refuse(
        &turns(&json!("Hello")),
        "messages",
        "invalid_type",
        "Invalid type for 'messages': expected an array of",
    );
}

#[test]
fn a_developer_s_turn_has_nothing_that_it_cannot_have() {
    let marked = json!([{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]);
    let turn = |role: &str, content: &Value| turns(&json!([{"role": role, "content": content, "name": "n"}]));
    for role in ["system", "user"] {
        taken(&OpenAiChat, &turn(role, &marked));
    }
    taken(&OpenAiChat, &turn("developer", &json!("a")));
    let message = "Unknown parameter: 'messages[0].content[0].cache_control'.";
    let unknown = "unknown_parameter";
    refuse(&turn("developer", &marked), "messages[0].content[0].cache_control", unknown, message);
    let more = turns(&json!([{"role": "developer", "content": "a", "tool_calls": null}]));
    refuse(&more, "messages[0].tool_calls", unknown, "Unknown parameter: 'messages[0].tool_calls'.");
}

#[test]
fn tools_and_choices_are_of_the_kinds_that_there_are() {
    let function = json!({"type": "function", "function": {"name": "f"}});
    let custom = json!({"type": "custom", "custom": {"name": "g"}});
    let chosen = |choice: Value| json!({"tools": [function, custom], "tool_choice": choice});
    for choice in [
        json!("none"),
        json!("required"),
        json!({"type": "function", "function": {"name": "f"}}),
        json!({"type": "custom", "custom": {"name": "g"}}),
        json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}),
    ] {
        taken(&OpenAiChat, &chosen(choice));
    }
    for (choice, param, code, message) in [
        (
            json!("any"),
            "tool_choice",
            "invalid_value",
            "Invalid value: 'any'. Supported values are: 'none', 'auto', and",
        ),
        (
            json!(7),
            "tool_choice",
            "invalid_type",
            "Invalid type for 'tool_choice': expected one of one of 'none',",
        ),
        (
            json!({"type": "any"}),
            "tool_choice.function",
            MISSING,
            "Missing required parameter: 'tool_choice.function'.",
        ),
        (
            json!({"type": "function", "function": {}}),
            "tool_choice.function.name",
            MISSING,
            "Missing required",
        ),
        (
            json!({"type": "function", "function": {"name": "h"}}),
            "function_call",
            "",
            "Invalid value for 'function_call': no function named 'h' was specified in the 'functions' parameter.",
        ),
    ] {
        refuse(&chosen(choice), param, code, message);
    }
    let named = |name: &str| json!({"type": "function", "function": {"name": name}});
    let (name, long) = ("tools[0].function.name", "a".repeat(65));
    taken(&OpenAiChat, &json!({"tools": [named(&long[1..])]}));
    for (tool, param, code, message) in [
        (
            json!({"type": "web_search"}),
            "tools[0].type",
            "invalid_value",
            "Invalid value: 'web_search'. Supported values are: 'function' and 'custom'.",
        ),
        (json!({"function": {"name": "f"}}), "tools[0].type", MISSING, "Missing"),
        (json!({"type": "function", "name": "f"}), "tools[0].function", MISSING, "Missing"),
        (
            json!("f"),
            "tools[0]",
            "invalid_type",
            "Invalid type for 'tools[0]': expected an object, but got a string",
        ),
        (
            named(""),
            name,
            "empty_string",
            "Invalid 'tools[0].function.name': empty string. Expected a string with",
        ),
        (
            named("a.b"),
            name,
            "invalid_value",
            "Invalid 'tools[0].function.name': string does not match pattern.",
        ),
        (named(&long), name, "string_above_max_length", "Invalid 'tools[0].function.name': string too long."),
    ] {
        refuse(&json!({"tools": [tool]}), param, code, message);
    }
}

#[test]
fn a_format_is_one_of_three() {
    let format = |format: Value| json!({"response_format": format});
    for right in [Value::Null, json!({"type": "text"})] {
        taken(&OpenAiChat, &format(right));
    }
    for (wrong, param, code, message) in [
        (
            json!("json"),
            "response_format",
            "invalid_type",
            "Invalid type for 'response_format': expected an object, but",
        ),
        (json!({}), "response_format.type", MISSING, "Missing required parameter: 'response_format.type'."),
        (
            json!({"type": "xml"}),
            "response_format.type",
            "invalid_value",
            "Invalid value: 'xml'. Supported values are: 'json_object', 'json_schema', and 'text'.",
        ),
        (
            json!({"type": "json_schema"}),
            "response_format.json_schema",
            MISSING,
            "Missing required parameter",
        ),
        (
            json!({"type": "json_schema", "json_schema": {}}),
            "response_format.json_schema.name",
            MISSING,
            "Missing required parameter",
        ),
    ] {
        refuse(&format(wrong), param, code, message);
    }
}
