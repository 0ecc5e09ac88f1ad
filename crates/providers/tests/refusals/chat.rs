//! Chat Completions: calls and their answers, tools, schemas, and what depends on the model.

use serde_json::{Value, json};
use sortie_providers::dialect::OpenAiChat;

use crate::{refused, taken, turns};

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

/// A request of this model, bounded as all of them are.
fn of(model: &str, more: Value) -> Value {
    let mut body = more;
    for (field, value) in
        [("model", json!(model)), ("max_tokens", Value::Null), ("max_completion_tokens", json!(50))]
    {
        body[field] = value;
    }
    body
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
fn a_model_that_thinks_is_sampled_its_own_way() {
    for model in ["o3", "gpt-5", "gpt-5.5", "gpt-5.6-terra", "gpt-6-luna"] {
        refuse(
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
        refuse(
            &told,
            "temperature",
            "unsupported_value",
            "Unsupported value: 'temperature' does not support 0",
        );
    }
}

#[test]
fn a_model_thinks_as_much_as_it_can() {
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
        refuse(&told(model, json!(effort)), "reasoning_effort", "unsupported_value", &message);
        for known in efforts.split('\'').skip(1).step_by(2) {
            taken(&OpenAiChat, &told(model, json!(known)));
        }
    }
    let message = "Unsupported value: 'reasoning_effort' does not support 5 with this model.";
    refuse(&told("gpt-5.6-sol", json!(5)), "reasoning_effort", "unsupported_value", message);
    taken(&OpenAiChat, &told("some-model", json!("max")));
    refuse(&told("some-model", json!("most")), "reasoning_effort", "invalid_value", "Invalid value: 'most'.");
}

#[test]
fn functions_are_not_for_a_model_that_thinks() {
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
        refuse(&asked(model, effort), "reasoning_effort", "", &message);
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
