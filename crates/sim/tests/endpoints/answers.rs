//! Answers in the shapes that are asked for, and their usage.

use http::Method;
use serde_json::{Value, json};
use sortie_sim::Model;

use crate::{ANTHROPIC, NOON, OPENAI, calm, json_of, raw, reply};

const MESSAGES: (Method, &str) = (Method::POST, "/v1/messages");
const CHAT: (Method, &str) = (Method::POST, "/v1/chat/completions");

/// A body with fields more.
fn with(mut body: Value, more: Value) -> Value {
    let (Value::Object(fields), Value::Object(more)) = (&mut body, more) else { panic!("both are objects") };
    fields.extend(more);
    body
}

fn message(more: Value) -> Value {
    let turns = json!([{"role": "user", "content": "Explain tides."}]);
    with(json!({"model": "claude-sonnet-4-6", "max_tokens": 4000, "messages": turns}), more)
}

fn chat(more: Value) -> Value {
    let turns = json!([{"role": "user", "content": "Explain tides."}]);
    with(json!({"model": "gpt-4o", "messages": turns}), more)
}

fn messages(model: &mut Model, more: Value) -> Value {
    json_of(model, ANTHROPIC, MESSAGES, &message(more), (NOON, 200))
}

fn chats(model: &mut Model, more: Value) -> Value {
    json_of(model, OPENAI, CHAT, &chat(more), (NOON, 200))
}

/// The payloads of a stream.
fn events(model: &mut Model, headers: &[(&str, &str)], asked: (Method, &str), body: Value) -> Vec<Value> {
    let body = with(body, json!({"stream": true}));
    let (status, stream) = reply(model, headers, asked, body.to_string(), NOON);
    assert_eq!(status, 200, "{stream}");
    stream.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {"city": {"type": "string"}, "degrees": {"type": "integer", "minimum": -40, "maximum": 50}},
        "required": ["city", "degrees"],
        "additionalProperties": false,
    })
}

/// The same where values cannot be bounded.
fn unbounded() -> Value {
    let mut schema = schema();
    schema["properties"]["degrees"] = json!({"type": "integer"});
    schema
}

fn assert_fits(value: &Value) {
    assert_of(&schema(), value);
}

fn assert_of(schema: &Value, value: &Value) {
    let validator = jsonschema::validator_for(schema).unwrap();
    assert!(validator.is_valid(value), "{value}");
}

#[test]
fn a_tool_is_called_with_what_its_schema_takes() {
    let anthropic = json!({"tools": [{"name": "weather", "input_schema": schema()}]});
    let whole = messages(&mut calm(), anthropic.clone());
    assert_eq!(
        (&whole["stop_reason"], &whole["content"][0]["type"]),
        (&json!("tool_use"), &json!("tool_use"))
    );
    assert_eq!(whole["content"][0]["name"], "weather");
    assert_fits(&whole["content"][0]["input"]);

    let stream = events(&mut calm(), ANTHROPIC, MESSAGES, message(anthropic));
    let input: String = stream.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
    assert_eq!(serde_json::from_str::<Value>(&input).unwrap(), whole["content"][0]["input"]);
    let start = stream.iter().find(|event| event["type"] == "content_block_start").unwrap();
    assert_eq!(
        (&start["content_block"]["name"], &start["content_block"]["input"]),
        (&json!("weather"), &json!({}))
    );

    let openai =
        json!({"tools": [{"type": "function", "function": {"name": "weather", "parameters": schema()}}]});
    let whole = chats(&mut calm(), openai.clone());
    let call = &whole["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(
        (&whole["choices"][0]["finish_reason"], &call["function"]["name"]),
        (&json!("tool_calls"), &json!("weather"))
    );
    assert_eq!(whole["choices"][0]["message"]["content"], Value::Null);
    let arguments = call["function"]["arguments"].as_str().unwrap();
    assert_fits(&serde_json::from_str(arguments).unwrap());

    let stream = events(&mut calm(), OPENAI, CHAT, chat(openai));
    let of = |event: &Value| event["choices"][0]["delta"]["tool_calls"][0].clone();
    let streamed: String = stream
        .iter()
        .filter_map(|event| of(event)["function"]["arguments"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(streamed, arguments);
    assert_eq!(of(&stream[0])["id"], call["id"]);
}

#[test]
fn whoever_has_been_given_a_tool_s_result_answers_in_text() {
    let tools = json!([{"name": "weather", "input_schema": schema()}]);
    let turns = json!([
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "9 degrees"}]}]);
    let check = |choice: Value, expected: &str| {
        let more = json!({"tools": tools, "messages": turns, "tool_choice": choice});
        assert_eq!(messages(&mut calm(), more)["content"][0]["type"], expected, "{choice}");
    };
    check(json!({"type": "auto"}), "text");
    check(json!({"type": "any"}), "tool_use");
    check(json!({"type": "tool", "name": "weather"}), "tool_use");

    let tools = json!([{"type": "function", "function": {"name": "weather"}}]);
    let turns = json!([
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "9 degrees"}]);
    let check = |choice: &str, expected: &str| {
        let more = json!({"tools": tools, "messages": turns, "tool_choice": choice});
        assert_eq!(chats(&mut calm(), more)["choices"][0]["finish_reason"], expected, "{choice}");
    };
    check("auto", "stop");
    check("none", "stop");
    check("required", "tool_calls");
}

#[test]
fn text_has_the_format_that_is_asked_for() {
    let format = json!({"output_config": {"format": {"type": "json_schema", "schema": unbounded()}}});
    let whole = messages(&mut calm(), format);
    let text = whole["content"][0]["text"].as_str().unwrap();
    assert_of(&unbounded(), &serde_json::from_str(text).unwrap());
    assert_eq!(whole["stop_reason"], "end_turn");

    let format =
        json!({"type": "json_schema", "json_schema": {"name": "w", "strict": true, "schema": schema()}});
    let whole = chats(&mut calm(), json!({"response_format": format}));
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
    assert_fits(&serde_json::from_str(text).unwrap());
}

#[test]
fn an_answer_ends_before_a_stop_sequence() {
    let whole = messages(&mut calm(), json!({"stop_sequences": [" never ", " the "]}));
    let text = whole["content"][0]["text"].as_str().unwrap();
    assert_eq!((&whole["stop_reason"], &whole["stop_sequence"]), (&json!("stop_sequence"), &json!(" the ")));
    assert!(!text.is_empty() && !text.contains(" the "), "{text}");
    assert_eq!(whole["usage"]["output_tokens"], text.len().div_ceil(4));

    let stream = events(&mut calm(), ANTHROPIC, MESSAGES, message(json!({"stop_sequences": [" the "]})));
    assert_eq!(stream[0]["message"]["stop_sequence"], Value::Null);
    let delta = stream.iter().find(|event| event["type"] == "message_delta").unwrap();
    assert_eq!(delta["delta"]["stop_sequence"], " the ");

    let whole = chats(&mut calm(), json!({"stop": " the "}));
    let text = whole["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(!text.contains(" the ") && whole["choices"][0]["finish_reason"] == "stop", "{text}");
}

#[test]
fn what_is_thought_comes_first_and_is_billed_as_output() {
    let thinking = json!({"thinking": {"type": "enabled", "budget_tokens": 1024}});
    let steered = json!([{"role": "user", "content": "[[sim text=four]]"}]);
    let short = messages(&mut calm(), with(thinking.clone(), json!({"messages": steered})))["usage"].clone();
    let thought = short["output_tokens_details"]["thinking_tokens"].as_u64().unwrap();
    assert_eq!(short["output_tokens"], thought + 1);

    let whole = messages(&mut calm(), thinking.clone());
    let [thought, text] = whole["content"].as_array().unwrap().as_slice() else { panic!("{whole}") };
    assert_eq!((&thought["type"], &text["type"]), (&json!("thinking"), &json!("text")));
    let tokens = whole["usage"]["output_tokens_details"]["thinking_tokens"].as_u64().unwrap();
    let output = whole["usage"]["output_tokens"].as_u64().unwrap();
    assert!((50..200).contains(&tokens) && output > tokens, "{whole}");

    let stream = events(&mut calm(), ANTHROPIC, MESSAGES, message(thinking));
    let deltas: Vec<&str> = stream.iter().filter_map(|event| event["delta"]["type"].as_str()).collect();
    assert_eq!(deltas[..3], ["thinking_delta", "signature_delta", "text_delta"]);
    let indices: Vec<_> = stream.iter().filter(|event| event["type"] == "content_block_start").collect();
    assert_eq!((&indices[0]["index"], &indices[1]["index"]), (&json!(0), &json!(1)));

    let whole = chats(&mut calm(), json!({"model": "gpt-6.1-sol", "reasoning_effort": "high"}));
    assert!(whole["usage"]["completion_tokens_details"]["reasoning_tokens"].as_u64().unwrap() >= 50);
}

#[test]
fn what_is_thought_untold_is_a_part_of_the_answer_s_length() {
    let of = |more: Value| {
        chats(&mut calm(), with(json!({"model": "gpt-5.5", "max_completion_tokens": 4000}), more))
    };
    let counts = |whole: &Value| {
        let usage = &whole["usage"];
        let thought = usage["completion_tokens_details"]["reasoning_tokens"].as_u64().unwrap();
        (usage["completion_tokens"].as_u64().unwrap(), thought)
    };
    let text = |whole: &Value| whole["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    let (untold, none) = (of(json!({})), of(json!({"reasoning_effort": "none"})));
    let ((tokens, thought), (all, nothing)) = (counts(&untold), counts(&none));
    assert_eq!((tokens, nothing), (all, 0));
    assert!(thought > 0 && thought <= tokens / 2, "{thought} of {tokens}");
    assert!(text(&none).len() > text(&untold).len());
    // The bound holds both; steered words are as long as they are.
    let bound = of(json!({"max_completion_tokens": 20}));
    assert_eq!((counts(&bound), &bound["choices"][0]["finish_reason"]), ((20, 10), &json!("length")));
    let steered = |prompt: &str| of(json!({"messages": [{"role": "user", "content": prompt}]}));
    assert_eq!(counts(&steered("[[sim text=four]]")), (1, 0));
    assert_eq!(counts(&steered("[[sim text=four output_tokens=9]]")), (9, 4));
    let mut model = calm();
    let usage = chats(&mut model, json!({"model": "gpt-5.5"}))["usage"].clone();
    assert_eq!(usage["completion_tokens"], model.ledger()[0].output_tokens);

    let asked = json!({"model": "gpt-5.5", "input": "Explain tides."});
    let response = json_of(&mut calm(), OPENAI, (Method::POST, "/v1/responses"), &asked, (NOON, 200));
    let kinds: Vec<_> = response["output"].as_array().unwrap().iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds, [&json!("reasoning"), &json!("message")]);
    assert!(response["usage"]["output_tokens_details"]["reasoning_tokens"].as_u64() > Some(0));
}

#[test]
fn several_choices_are_several_answers() {
    let whole = chats(&mut calm(), json!({"n": 3}));
    let choices = whole["choices"].as_array().unwrap();
    let texts: Vec<&str> = choices.iter().map(|c| c["message"]["content"].as_str().unwrap()).collect();
    assert_eq!(choices.iter().map(|c| c["index"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(texts[0] != texts[1] && texts[1] != texts[2]);
    let one = chats(&mut calm(), json!({}))["usage"]["completion_tokens"].as_u64().unwrap();
    assert!(whole["usage"]["completion_tokens"].as_u64().unwrap() > one);

    let stream = events(&mut calm(), OPENAI, CHAT, chat(json!({"n": 3})));
    for (index, text) in texts.iter().enumerate() {
        let choices =
            stream.iter().map(|event| &event["choices"][0]).filter(|choice| choice["index"] == index);
        let (mut streamed, mut finishes) = (String::new(), 0);
        for choice in choices {
            streamed += choice["delta"]["content"].as_str().unwrap_or_default();
            finishes += usize::from(!choice["finish_reason"].is_null());
        }
        assert_eq!((streamed.as_str(), finishes), (*text, 1));
    }
}

#[test]
fn a_long_prompt_is_cheaper_the_second_time() {
    let mut model = calm();
    let system = json!([{"type": "text", "text": "Rule. ".repeat(1000), "cache_control": {"type": "ephemeral", "ttl": "1h"}}]);
    let written = messages(&mut model, json!({"system": system}))["usage"].clone();
    let read = messages(&mut model, json!({"system": system}))["usage"].clone();
    assert_eq!(written["cache_creation"]["ephemeral_1h_input_tokens"], 1500);
    assert_eq!(
        (&written["cache_creation_input_tokens"], &written["cache_read_input_tokens"]),
        (&json!(1500), &json!(0))
    );
    assert_eq!(
        (&read["cache_creation_input_tokens"], &read["cache_read_input_tokens"]),
        (&json!(0), &json!(1500))
    );
    assert_eq!(read["input_tokens"], written["input_tokens"]);
    // Sonnet 4.6: $6 a million tokens written for an hour, $0.30 read.
    let [first, second] = [0, 1].map(|at| model.ledger()[at].cost_picodollars.pico());
    assert_eq!(first - second, 1500 * (6_000_000 - 300_000));

    let turns = json!([{"role": "user", "content": "Rule. ".repeat(1000)}]);
    let usages = [0, 1].map(|_| chats(&mut model, json!({"messages": turns}))["usage"].clone());
    assert_eq!(usages[1]["prompt_tokens_details"]["cached_tokens"], 1408);
    assert_eq!(usages[0]["prompt_tokens"], usages[1]["prompt_tokens"]);
}

#[test]
fn tiers_and_places_have_their_price_and_are_named() {
    let mut model = calm();
    let mut cost = |more: Value, path: (Method, &str), named: &str, expected: Value| {
        let anthropic = path == MESSAGES;
        let reply = if anthropic { messages(&mut model, more) } else { chats(&mut model, more) };
        let found = if anthropic { &reply["usage"][named] } else { &reply[named] };
        assert_eq!(*found, expected, "{reply}");
        model.ledger().last().unwrap().cost_picodollars.pico()
    };
    // A model that is sold by this tier, too.
    let sol = |tier: &str| json!({"model": "gpt-6.1-sol", "service_tier": tier});
    let usual = cost(sol("auto"), CHAT, "service_tier", json!("default"));
    assert_eq!(cost(sol("flex"), CHAT, "service_tier", json!("flex")), usual / 2);
    for tier in ["priority", "fast"] {
        assert_eq!(cost(sol(tier), CHAT, "service_tier", json!("priority")), usual * 2);
    }
    let unsold = json!({"model": "gpt-4-turbo", "service_tier": "priority"});
    let default = json!({"model": "gpt-4-turbo"});
    let usual = cost(default, CHAT, "service_tier", json!("default"));
    assert_eq!(cost(unsold, CHAT, "service_tier", json!("default")), usual);
    let opus = |speed: &str| json!({"model": "claude-opus-5", "speed": speed});
    let usual = cost(opus("standard"), MESSAGES, "speed", json!("standard"));
    assert_eq!(cost(opus("fast"), MESSAGES, "speed", json!("fast")), usual * 2);
    let usual = cost(json!({}), MESSAGES, "inference_geo", json!(null));
    assert_eq!(cost(json!({"inference_geo": "us"}), MESSAGES, "inference_geo", json!("us")), usual * 11 / 10);
    cost(json!({"service_tier": "auto"}), MESSAGES, "service_tier", json!("standard"));
}

#[test]
fn a_response_is_served_in_the_tier_it_asks_for_and_a_speed_that_is_not_sold_is_refused() {
    let mut model = calm();
    let body = json!({"model": "gpt-6.1-sol", "input": "Explain tides.", "service_tier": "fast"});
    let reply = json_of(&mut model, OPENAI, (Method::POST, "/v1/responses"), &body, (NOON, 200));
    assert_eq!(reply["service_tier"], "priority");
    let refused = json_of(&mut model, ANTHROPIC, MESSAGES, &message(json!({"speed": "fast"})), (NOON, 400));
    assert_eq!(refused["error"]["message"], "speed: `fast` is not supported by claude-sonnet-4-6");
}

#[test]
fn streams_are_padded_unless_told_not_to() {
    let mut model = calm();
    let body = json!({"model": "gpt-4o", "input": "Explain tides."});
    for (path, body, delta) in [
        (CHAT, chat(json!({})), "chat.completion.chunk"),
        ((Method::POST, "/v1/responses"), body, "response.output_text.delta"),
    ] {
        for (more, expected) in [
            (json!({}), true),
            (json!({"stream_options": {"include_obfuscation": true}}), true),
            (json!({"stream_options": {"include_obfuscation": false}}), false),
        ] {
            let events = events(&mut model, OPENAI, path.clone(), with(body.clone(), more.clone()));
            let deltas = events.iter().filter(|event| event["object"] == delta || event["type"] == delta);
            let padded: Vec<bool> = deltas.map(|event| event["obfuscation"].is_string()).collect();
            assert!(padded.len() > 5 && padded.iter().all(|padded| *padded == expected), "{delta} {more}");
        }
    }
}

#[test]
fn an_error_in_a_response_s_stream_is_counted_after_the_events_before_it() {
    let body = json!({"model": "gpt-4o", "input": "[[sim fail=midstream output_tokens=40]]"});
    let events = events(&mut calm(), OPENAI, (Method::POST, "/v1/responses"), body);
    assert_eq!(events.last().unwrap()["type"], "error");
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{event}");
    }
}

#[test]
fn a_count_is_what_the_same_body_is_billed() {
    let mut model = calm();
    for more in [
        json!({}),
        json!({"system": "Be brief.", "thinking": {"type": "enabled", "budget_tokens": 2000}}),
        json!({"tools": [{"name": "weather", "input_schema": schema()}]}),
        json!({"messages": [{"role": "user", "content": [
            {"type": "text", "text": "a"}, {"type": "image", "source": {"type": "file", "file_id": "file_1"}}]}]}),
    ] {
        let billed = messages(&mut model, more.clone())["usage"]["input_tokens"].clone();
        let mut counted = message(more);
        counted.as_object_mut().unwrap().remove("max_tokens");
        let path = (Method::POST, "/v1/messages/count_tokens");
        let count = json_of(&mut model, ANTHROPIC, path, &counted, (NOON, 200));
        assert_eq!(count, json!({"input_tokens": billed}));
    }
    let path = (Method::POST, "/v1/messages/count_tokens");
    let refused = json_of(&mut model, ANTHROPIC, path, &message(json!({})), (NOON, 400));
    assert!(refused["error"]["message"].as_str().unwrap().contains("max_tokens"), "{refused}");
}

#[test]
fn what_a_model_has_no_room_for_is_refused() {
    let check = |anthropic: bool, more: Value, part: &str| {
        let (headers, path, body) =
            if anthropic { (ANTHROPIC, MESSAGES, message(more)) } else { (OPENAI, CHAT, chat(more)) };
        let refused = json_of(&mut calm(), headers, path, &body, (NOON, 400)).to_string();
        assert!(refused.contains(part), "{refused}");
    };
    let long = json!([{"role": "user", "content": "a".repeat(4_100_000)}]);
    check(true, json!({"max_tokens": 128_001}), "maximum allowed number of output tokens");
    check(true, json!({"messages": long}), "prompt is too long: 1025008 tokens > 1000000 maximum");
    check(false, json!({"messages": long}), "context_length_exceeded");
}

#[test]
fn an_anthropic_reply_names_its_organization_and_its_workspace() {
    for body in [message(json!({})).to_string(), "{}".to_owned()] {
        let (_, headers, _) = raw(&mut calm(), ANTHROPIC, MESSAGES, body, NOON);
        for name in ["anthropic-organization-id", "anthropic-workspace-id"] {
            assert!(headers.contains_key(name), "{name}: {headers:?}");
        }
    }
}
