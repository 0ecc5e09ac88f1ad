//! What the servers' halves take for which shape, and what they refuse as the providers would.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by where it panics")]

use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use sortie_providers::dialect::{Anthropic, Dialect, Keep, OpenAiChat, Request, Shape, Tier, WireError};

fn read(dialect: &dyn Dialect, more: Value) -> Result<Request, WireError> {
    let mut headers = HeaderMap::new();
    headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    dialect.read(&headers, body(more).to_string().as_bytes())
}

/// A body that both take, with fields more; an object within one is joined, `null` takes one away.
fn body(more: Value) -> Value {
    let mut body = json!({
        "model": "some-model", "max_tokens": 4000, "messages": [{"role": "user", "content": "Hello"}]});
    let (Value::Object(fields), Value::Object(more)) = (&mut body, more) else { panic!("both are objects") };
    fields.extend(more);
    body
}

fn refused(dialect: &dyn Dialect, more: Value, part: &str) {
    let asked = more.to_string();
    let error = read(dialect, more).expect_err(&asked);
    assert_eq!((error.status, error.kind.as_str()), (400, "invalid_request_error"), "{asked}");
    assert!(error.message.contains(part), "{asked}: {}", error.message);
}

fn shaped(dialect: &dyn Dialect, more: Value, expected: &Shape) {
    let asked = more.to_string();
    assert_eq!(&read(dialect, more).unwrap().shape, expected, "{asked}");
}

fn closed() -> Value {
    json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"],
        "additionalProperties": false})
}

fn open() -> Value {
    json!({"type": "object", "properties": {"a": {"type": "object"}}, "required": ["a"],
        "additionalProperties": false})
}

#[test]
fn anthropic_s_tools_and_formats_are_read() {
    let tool = |name: &str| json!({"name": name, "input_schema": closed()});
    let call = |name: &str| Shape::Tool { name: name.to_owned(), schema: closed() };
    let check = |choice: Value, expected: &Shape| {
        shaped(&Anthropic, json!({"tools": [tool("one"), tool("two")], "tool_choice": choice}), expected);
    };
    check(Value::Null, &call("one"));
    check(json!({"type": "auto"}), &call("one"));
    check(json!({"type": "any"}), &call("one"));
    check(json!({"type": "tool", "name": "two"}), &call("two"));
    check(json!({"type": "none"}), &Shape::Text);
    shaped(
        &Anthropic,
        json!({"tools": [{"type": "web_search_20260209", "name": "web_search"}]}),
        &Shape::Text,
    );
    let format = json!({"output_config": {"format": {"type": "json_schema", "schema": closed()}}});
    shaped(&Anthropic, format, &Shape::Json(closed()));

    let check = |more, part| refused(&Anthropic, more, part);
    check(json!({"tools": [tool("one")], "tool_choice": {"type": "tool", "name": "two"}}), "'two' not found");
    check(json!({"tools": [tool("one")], "tool_choice": {"type": "some"}}), "tool_choice.type");
    check(json!({"tool_choice": {"type": "any"}}), "while providing tools");
    check(json!({"tools": [tool("one"), tool("one")]}), "unique");
    check(json!({"tools": [tool("a b")]}), "tools.0.custom.name");
    check(json!({"tools": [{"name": "one"}]}), "input_schema: Field required");
    check(
        json!({"tools": [{"name": "one", "input_schema": open(), "strict": true}]}),
        "additionalProperties",
    );
    check(json!({"output_config": {"format": {"type": "json_schema"}}}), "schema: Field required");
    check(
        json!({"output_config": {"format": {"type": "json_schema", "schema": open()}}}),
        "additionalProperties",
    );
    check(json!({"output_config": {"effort": "most"}}), "effort");
    check(json!({"service_tier": "flex"}), "service_tier");
}

#[test]
fn anthropic_s_stops_and_thinking_are_checked() {
    let stop = json!({"stop_sequences": ["END", "\n\n."]});
    assert_eq!(read(&Anthropic, stop).unwrap().stop, ["END", "\n\n."]);
    let check = |more, part| refused(&Anthropic, more, part);
    check(json!({"stop_sequences": ["a", "  "]}), "non-whitespace");
    check(json!({"stop_sequences": "END"}), "stop_sequences");

    let enabled = |budget: u32| json!({"type": "enabled", "budget_tokens": budget});
    let budget = |thinking: Value| {
        let bytes = body(json!({"thinking": thinking})).to_string();
        Anthropic.particulars(bytes.as_bytes()).thinking
    };
    assert_eq!(budget(enabled(1024)), Some(1024));
    assert_eq!(budget(json!({"type": "adaptive"})), Some(u32::MAX));
    assert_eq!(budget(json!({"type": "disabled"})), None);
    check(json!({"thinking": enabled(1023)}), "greater than or equal to 1024");
    check(json!({"thinking": enabled(4000)}), "`max_tokens` must be greater");
    check(json!({"thinking": {"type": "enabled"}}), "budget_tokens: Field required");
    check(json!({"thinking": {"type": "deep"}}), "thinking.type");
    check(json!({"thinking": enabled(2000), "temperature": 0.5}), "may only be set to 1");
    let forced = json!({"tools": [{"name": "one", "input_schema": closed()}], "tool_choice": {"type": "any"},
        "thinking": enabled(2000)});
    check(forced, "forces tool use");
}

#[test]
fn anthropic_s_cache_marks_stand_where_they_were_put() {
    let marked =
        |ttl: &str| json!({"type": "text", "text": "T", "cache_control": {"type": "ephemeral", "ttl": ttl}});
    let keeps = |more: Value| {
        let bytes = body(more).to_string();
        let parts = Anthropic.particulars(bytes.as_bytes()).parts;
        parts.into_iter().map(|part| part.keep).collect::<Vec<_>>()
    };
    let (five, hour) = (Some(Keep::FiveMinutes), Some(Keep::Hour));
    assert_eq!(keeps(json!({"system": [marked("1h"), marked("5m")]})), [hour, five, None]);
    assert_eq!(keeps(json!({"cache_control": {"type": "ephemeral"}, "system": "S"})), [None, five]);
    let tool = json!({"name": "one", "input_schema": closed(), "cache_control": {"type": "ephemeral"}});
    assert_eq!(keeps(json!({"tools": [tool]})), [five, None]);
    let check = |more, part| refused(&Anthropic, more, part);
    check(json!({"system": vec![marked("5m"); 5]}), "A maximum of 4 blocks");
    check(json!({"system": [marked("5m"), marked("1h")]}), "must not come after");
    check(json!({"system": [marked("2h")]}), "cache_control.ttl");
}

#[test]
fn openai_s_tools_and_formats_are_read() {
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": closed()}});
    let call = |name: &str| Shape::Tool { name: name.to_owned(), schema: closed() };
    let check = |choice: Value, expected: &Shape| {
        shaped(&OpenAiChat, json!({"tools": [tool("one"), tool("two")], "tool_choice": choice}), expected);
    };
    check(Value::Null, &call("one"));
    check(json!("auto"), &call("one"));
    check(json!("required"), &call("one"));
    check(json!({"type": "function", "function": {"name": "two"}}), &call("two"));
    check(json!("none"), &Shape::Text);
    let format = |schema: Value| json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": true, "schema": schema}}});
    shaped(&OpenAiChat, format(closed()), &Shape::Json(closed()));
    shaped(&OpenAiChat, json!({"response_format": {"type": "text"}}), &Shape::Text);

    let check = |more, part| refused(&OpenAiChat, more, part);
    let unknown = json!({"type": "function", "function": {"name": "two"}});
    check(json!({"tools": [tool("one")], "tool_choice": unknown}), "no function named 'two'");
    check(json!({"tools": [tool("one")], "tool_choice": "any"}), "Invalid value: 'any'");
    check(json!({"tool_choice": "required"}), "only allowed when 'tools'");
    check(json!({"tools": []}), "empty array");
    check(json!({"tools": [tool("a b")]}), "tools[0].function.name");
    check(json!({"tools": [{"name": "one"}]}), "tools[0].type");
    check(format(open()), "In context=('properties', 'a'), 'additionalProperties'");
    check(format(json!({"type": "array"})), "got 'type: \"array\"'");
    check(json!({"response_format": {"type": "json_schema"}}), "'response_format.json_schema'");
    check(
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}}),
        "json_schema.schema",
    );
    check(json!({"response_format": {"type": "json_object"}}), "the word 'json'");
}

#[test]
fn openai_s_other_fields_are_checked() {
    assert_eq!(read(&OpenAiChat, json!({"stop": "END"})).unwrap().stop, ["END"]);
    assert_eq!(read(&OpenAiChat, json!({"stop": ["a", "b", "c", "d"]})).unwrap().stop.len(), 4);
    let check = |more, part| refused(&OpenAiChat, more, part);
    check(json!({"stop": ["a", "b", "c", "d", "e"]}), "maximum length 4");
    check(json!({"stop": 3}), "Invalid type for 'stop'");
    check(json!({"n": 0}), "below minimum");
    check(json!({"n": 129}), "above maximum");
    check(json!({"service_tier": "fastest"}), "'fastest'");
    check(
        json!({"messages": [{"role": "robot", "content": "a"}, {"role": "user", "content": "b"}]}),
        "'robot'",
    );
    check(
        json!({"messages": [{"role": "user", "content": "a"}, {"role": "tool", "content": "b"}]}),
        "tool_call_id",
    );
    let said = |more: Value| OpenAiChat.particulars(body(more).to_string().as_bytes());
    assert_eq!(said(json!({"service_tier": "flex"})).tier, Tier::Flex);
    assert_eq!((said(json!({"n": 3})).choices, said(json!({})).choices), (3, 1));
    assert_eq!(said(json!({"reasoning_effort": "none"})).thinking, None);
}

#[test]
fn openai_s_refusals_name_their_parameter_and_their_code() {
    let check = |more: Value, param: &str, code: &str| {
        let error = read(&OpenAiChat, more).unwrap_err();
        let found = [&error.param, &error.code].map(|said| said.as_deref().unwrap_or_default());
        assert_eq!((error.status, found), (400, [param, code]), "{}", error.message);
    };
    let (missing, unsupported) = ("missing_required_parameter", "unsupported_parameter");
    let (low, high) = ("integer_below_min_value", "integer_above_max_value");
    let (below, above) = ("decimal_below_min_value", "decimal_above_max_value");
    check(json!({"model": null}), "", "");
    check(json!({"messages": null}), "messages", missing);
    check(json!({"messages": []}), "messages", "empty_array");
    check(json!({"messages": [{"content": "a"}]}), "messages[0].role", missing);
    check(json!({"messages": [{"role": "robot", "content": "a"}]}), "messages[0].role", "invalid_value");
    check(json!({"messages": [{"role": "tool", "content": "a"}]}), "messages[0].tool_call_id", missing);
    check(json!({"max_tokens": 0}), "max_tokens", low);
    check(json!({"max_tokens": "ten"}), "max_tokens", "invalid_type");
    check(json!({"model": "gpt-5"}), "max_tokens", unsupported);
    check(json!({"max_completion_tokens": 5}), "max_tokens", "invalid_parameter_combination");
    check(json!({"temperature": 2.1}), "temperature", above);
    check(json!({"temperature": -0.1}), "temperature", below);
    check(json!({"top_p": 1.1}), "top_p", above);
    check(json!({"presence_penalty": -2.5}), "presence_penalty", below);
    check(json!({"frequency_penalty": 2.5}), "frequency_penalty", above);
    check(json!({"n": 0}), "n", low);
    check(json!({"n": 129}), "n", high);
    check(json!({"logprobs": true, "top_logprobs": 21}), "top_logprobs", high);
    check(json!({"top_logprobs": 2}), "top_logprobs", "");
    check(json!({"stop": ["a", "b", "c", "d", "e"]}), "stop", "array_above_max_length");
    check(json!({"stream_options": {"include_usage": true}}), "stream_options", "");
    check(json!({"service_tier": "fastest"}), "service_tier", "invalid_value");
    check(json!({"reasoning_effort": "most"}), "reasoning_effort", "invalid_value");
    check(json!({"verbosity": "long"}), "verbosity", "invalid_value");
    check(json!({"temprature": 1}), "temprature", "unknown_parameter");
    let reasoning = |more: Value| {
        let mut body = json!({"model": "o4-mini", "max_tokens": null});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    check(reasoning(json!({"stop": "a"})), "stop", unsupported);
    check(reasoning(json!({"temperature": 0})), "temperature", "unsupported_value");
    assert!(read(&OpenAiChat, reasoning(json!({"temperature": 1}))).is_ok());
    let untold = json!({"model": "gpt-5.4", "temperature": 0, "reasoning_effort": "none"});
    assert!(read(&OpenAiChat, reasoning(untold)).is_ok());

    let pairs = |count: usize| (0..count).map(|n| (format!("k{n}"), json!("v"))).collect::<Value>();
    check(json!({"metadata": pairs(17)}), "metadata", "object_above_max_properties");
    check(json!({"metadata": "a"}), "metadata", "invalid_type");
    check(json!({"metadata": {"a": 1}}), "metadata.a", "invalid_type");
    check(json!({"metadata": {"a": "v".repeat(513)}}), "metadata.a", "string_above_max_length");
    let key = "k".repeat(65);
    check(json!({"metadata": {&key: "v"}}), &format!("metadata.{key}"), "property_name_above_max_length");
    let full = json!({"k".repeat(64): "v".repeat(512)});
    assert!(read(&OpenAiChat, json!({"metadata": full, "store": true})).is_ok());
    assert!(read(&OpenAiChat, json!({"metadata": pairs(16)})).is_ok());

    let format = |format: Value| json!({"response_format": format});
    let schema = |schema: Value| format(json!({"type": "json_schema", "json_schema": schema}));
    check(format(json!({"type": "xml"})), "response_format.type", "invalid_value");
    check(format(json!({"type": "json_object"})), "messages", "");
    check(schema(json!({})), "response_format.json_schema.name", missing);
    check(schema(json!({"name": "a b"})), "response_format.json_schema.name", "invalid_value");
    check(
        schema(json!({"name": "n".repeat(65)})),
        "response_format.json_schema.name",
        "string_above_max_length",
    );
    check(schema(json!({"name": "n"})), "response_format.json_schema.schema", missing);
    let strict = json!({"name": "n", "strict": true, "schema": open()});
    check(schema(strict), "response_format", "invalid_json_schema");
    check(json!({"tool_choice": "required"}), "tool_choice", "");
    check(json!({"tools": []}), "tools", "empty_array");
    check(json!({"tools": [{"type": "robot"}]}), "tools[0].type", "invalid_value");
}

#[test]
fn anthropic_s_rules_for_models_and_versions_are_kept() {
    let check = |version: &'static str, more: Value, part: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("anthropic-version", HeaderValue::from_static(version));
        let asked = body(more).to_string();
        let said = Anthropic.read(&headers, asked.as_bytes()).map_err(|error| error.message);
        match part {
            "" => assert!(said.is_ok(), "{asked}: {said:?}"),
            part => assert!(said.as_ref().is_err_and(|message| message.contains(part)), "{asked}: {said:?}"),
        }
    };
    let (old, new) = ("2023-06-01", "2026-10-21");
    for field in ["temperature", "top_p", "top_k"] {
        check(new, json!({field: 1}), &format!("{field}: Extra inputs are not permitted"));
        check(old, json!({field: 1}), "");
    }
    let deprecated = |field: &str, value: Value, model: &str, part: &str| {
        check(old, json!({"model": model, field: value}), part);
    };
    deprecated("temperature", json!(0.5), "claude-opus-4-7", "`temperature` is deprecated for this model.");
    deprecated("top_p", json!(0.5), "claude-sonnet-5", "`top_p` is deprecated");
    deprecated("top_k", json!(5), "claude-haiku-5-5", "`top_k` is deprecated");
    deprecated("temperature", json!(1), "claude-opus-4-7", "");
    deprecated("temperature", json!(0.5), "claude-sonnet-4-6", "");

    let last = |content: Value| json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": content}]});
    let of = |model: &str| {
        let mut more = last(json!("{"));
        more["model"] = json!(model);
        more
    };
    check(old, of("claude-haiku-4-5"), "");
    check(new, of("claude-sonnet-4-6"), "This model does not support assistant message prefill.");
    check(new, of("claude-opus-5"), "must end with a user message");
    let document = last(json!([
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a"}}]));
    check(new, document.clone(), "messages.1.content");
    check(old, document, "");
    let cited = json!([{"type": "text", "text": "a", "citations": [{}]}]);
    check(new, json!({"messages": [{"role": "user", "content": cited}]}), "messages.0.content");
    check(old, json!({"messages": [{"role": "user", "content": cited}]}), "");
    check("2024-01-01", json!({}), "anthropic-version");

    check(new, json!({"maxtokens": 5}), "maxtokens: Extra inputs are not permitted");
    check(new, json!({"metadata": {"user_id": "u"}}), "");
    check(new, json!({"metadata": {"user_id": 5}}), "metadata.user_id");
    check(new, json!({"metadata": {"job": "a"}}), "metadata.job: Extra inputs");
    check(new, json!({"speed": "slow"}), "speed");
    check(old, json!({"top_p": 1.5}), "top_p");
    let turn = json!({"role": "user", "content": "a"});
    check(new, json!({"messages": vec![turn.clone(); 100_000]}), "");
    check(new, json!({"messages": vec![turn; 100_001]}), "at most 100000 items");
}
