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
    json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false})
}

fn open() -> Value {
    json!({"type": "object", "properties": {"a": {"type": "object"}}, "additionalProperties": false})
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
    check(json!({"tool_choice": {"type": "any"}}), "while providing `tools`");
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
    check(json!({"tools": [tool("one")], "tool_choice": "any"}), "tool_choice");
    check(json!({"tool_choice": "required"}), "only allowed when 'tools'");
    check(json!({"tools": []}), "empty array");
    check(json!({"tools": [tool("a b")]}), "tools[0].function.name");
    check(json!({"tools": [{"name": "one"}]}), "tools[0].type");
    check(format(open()), "In context=('properties', 'a'), 'additionalProperties'");
    check(format(json!({"type": "array"})), "got 'type: \"array\"'");
    check(json!({"response_format": {"type": "json_schema"}}), "json_schema.name");
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
    check(json!({"service_tier": "fastest"}), "service_tier");
    check(
        json!({"messages": [{"role": "robot", "content": "a"}, {"role": "user", "content": "b"}]}),
        "messages[0].role",
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
