//! What only the Responses API has: items, events with numbers, and what it refuses.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by where it panics")]

use std::time::Duration;

use http::HeaderMap;
use serde_json::{Value, json};
use sortie_core::run::event::Finish;
use sortie_core::usage::Usage;
use sortie_providers::dialect::{
    Besides, Dialect, OpenAiResponses, Request, ServerAnswer, Shape, Thinking, Tier,
};

fn answer(tool: Option<&str>, text: &str) -> ServerAnswer {
    ServerAnswer {
        id: "0123456789abcdefghijABCD".to_owned(),
        created: 1_795_435_200,
        model: "gpt-6.1-sol".to_owned(),
        text: text.to_owned(),
        tool: tool.map(str::to_owned),
        finish: Finish::Stop,
        usage: Usage {
            input: 50,
            cache_read: 1000,
            cache_write: 150,
            cache_write_1h: 0,
            output: 30,
            ..Usage::default()
        },
        besides: Besides::default(),
    }
}

fn stream(answer: &ServerAnswer, pieces: &[&str]) -> Vec<u8> {
    let frames = OpenAiResponses.frames(answer, pieces, b"{}");
    [&[frames.opening], &frames.pieces[..], &[frames.closing]].concat().concat()
}

/// The events' payloads; each is named inside as it is outside, and numbered from 0.
fn events(stream: &[u8]) -> Vec<Value> {
    let mut events = Vec::new();
    for (number, event) in str::from_utf8(stream).unwrap().split_terminator("\n\n").enumerate() {
        let (name, payload) = event.split_once('\n').unwrap();
        let payload: Value = serde_json::from_str(payload.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: "), payload["type"].as_str());
        assert_eq!(payload["sequence_number"], number);
        events.push(payload);
    }
    events
}

fn request(shape: Shape) -> Request {
    Request {
        model: "gpt-6.1-sol".to_owned(),
        prompt: "Go.".to_owned(),
        max_tokens: 800,
        shape,
        ..Request::default()
    }
}

#[test]
fn events_come_in_the_documented_order() {
    let check = |answer: &ServerAnswer, pieces: &[&str], expected: &[&str]| {
        let events = events(&stream(answer, pieces));
        let names: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(names, expected);
        // What came piece by piece stands whole in all that repeats it.
        let response = &events.last().unwrap()["response"];
        let done = &events[events.len() - 2]["item"];
        assert_eq!(&response["output"], &json!([done]));
        assert_eq!(response["object"], "response");
        assert_eq!(serde_json::from_slice::<Value>(&OpenAiResponses.body(answer, b"")).unwrap(), *response);
    };
    check(
        &answer(None, "Hi there"),
        &["Hi", " there"],
        &[
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ],
    );
    check(
        &answer(Some("weather"), r#"{"a":1}"#),
        &[r#"{"a":"#, "1}"],
        &[
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed",
        ],
    );
    let cut_off = ServerAnswer { finish: Finish::MaxTokens, ..answer(None, "") };
    let last = events(&stream(&cut_off, &[])).pop().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(last["response"]["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!(last["response"]["output"][0]["status"], "incomplete");
}

#[test]
fn what_was_thought_is_an_item_of_its_own_before_the_answer() {
    for (tool, text, said) in
        [(None, "Hi there", "message"), (Some("weather"), r#"{"a":1}"#, "function_call")]
    {
        let thinking = Some(Thinking { text: String::new(), tokens: 20 });
        let answer =
            ServerAnswer { besides: Besides { thinking, ..Besides::default() }, ..answer(tool, text) };
        let stream = stream(&answer, &[text]);
        let events = events(&stream);
        let numbers: Vec<_> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
        let items: Vec<_> = events.iter().filter(|event| event["item"].is_object()).collect();
        let kinds: Vec<_> = items.iter().map(|event| event["item"]["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["reasoning", "reasoning", said, said]);
        let indices: Vec<_> = items.iter().map(|event| event["output_index"].as_u64().unwrap()).collect();
        assert_eq!(indices, [0, 0, 1, 1]);
        let placed = events.iter().filter(|event| event["item_id"].is_string());
        assert!(placed.clone().count() > 1 && placed.into_iter().all(|event| event["output_index"] == 1));
        let response = &events.last().unwrap()["response"];
        assert_eq!(response["output"], json!([items[1]["item"], items[3]["item"]]));
        assert_eq!(serde_json::from_slice::<Value>(&OpenAiResponses.body(&answer, b"")).unwrap(), *response);
        assert!(items[0]["item"]["id"].as_str().unwrap().starts_with("rs_"));

        let mut decoder = OpenAiResponses.decoder(200, &HeaderMap::new(), Duration::ZERO);
        decoder.push(&stream);
        let decoded = decoder.finish(true);
        assert_eq!((decoded.result.unwrap().text, decoded.usage), (text.to_owned(), Some(answer.usage)));
        let asked = json!({"include": ["reasoning.encrypted_content"]}).to_string();
        let body: Value = serde_json::from_slice(&OpenAiResponses.body(&answer, asked.as_bytes())).unwrap();
        assert!(body["output"][0]["encrypted_content"].is_string());
    }
}

#[test]
fn every_count_that_the_sdk_requires_is_there() {
    let body: Value = serde_json::from_slice(&OpenAiResponses.body(&answer(None, "Hi"), b"")).unwrap();
    let expected = json!({
        "input_tokens": 1200,
        "input_tokens_details": {
            "cached_tokens": 1000,
            "cache_write_tokens": 150,
            "cache_write_tokens_details": {"ttl_30m_tokens": 150, "ttl_12h_tokens": 0},
        },
        "output_tokens": 30,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 1230,
    });
    assert_eq!(body["usage"], expected);
}

#[test]
fn a_stream_repeats_what_its_request_said() {
    let asked = json!({"instructions": "Be brief.", "max_output_tokens": 20, "store": false});
    let opening = OpenAiResponses.frames(&answer(None, ""), &[], asked.to_string().as_bytes()).opening;
    let response = events(&opening)[0]["response"].clone();
    for name in ["instructions", "max_output_tokens", "store"] {
        assert_eq!(response[name], asked[name], "{name}");
    }
    assert_eq!((&response["tools"], &response["tool_choice"]), (&json!([]), &json!("auto")));
}

#[test]
fn shapes_are_asked_for_in_the_apis_own_words() {
    let schema = json!({"type": "object", "properties": {}, "additionalProperties": false});
    let tool = Shape::Tool { name: "weather".to_owned(), schema: schema.clone() };
    for shape in [Shape::Text, Shape::Json(schema), tool] {
        let sent = request(shape);
        let encoded = OpenAiResponses.encode(&sent, &OpenAiResponses.default_variant());
        let body: Value = serde_json::from_slice(&encoded.body).unwrap();
        assert_eq!((&body["input"], &body["store"]), (&json!("Go."), &json!(false)));
        assert_eq!(OpenAiResponses.read(&encoded.headers, &encoded.body), Ok(sent));
    }
}

#[test]
fn the_input_of_a_tool_is_the_answer_where_there_is_no_text() {
    let call = answer(Some("weather"), r#"{"city":"Köln"}"#);
    for body in [stream(&call, &[r#"{"city":"#, r#""Köln"}"#]), OpenAiResponses.body(&call, b"").to_vec()] {
        let mut decoder = OpenAiResponses.decoder(200, &HeaderMap::new(), Duration::ZERO);
        decoder.push(&body);
        let decoded = decoder.finish(true);
        assert_eq!(decoded.seen.text_bytes, call.text.len() as u64);
        assert_eq!(decoded.usage, Some(call.usage));
        let text = decoded.result.unwrap();
        assert_eq!((text.text, text.finish), (call.text.clone(), Finish::Stop));
    }
}

#[test]
fn nothing_is_waited_for_after_the_last_event() {
    let answer = answer(None, "Hi");
    let stream = stream(&answer, &["Hi"]);
    let mut decoder = OpenAiResponses.decoder(200, &HeaderMap::new(), Duration::ZERO);
    decoder.push(&stream[..stream.len() - 1]);
    assert!(!decoder.is_done());
    decoder.push(&stream[stream.len() - 1..]);
    assert!(decoder.is_done());
    // Gateways say more.
    decoder.push(b"data: [DONE]\n\n");
    assert_eq!(decoder.finish(false).result.unwrap().text, "Hi");
}

fn read(body: &str) -> Result<Request, sortie_providers::dialect::WireError> {
    OpenAiResponses.read(&HeaderMap::new(), body.as_bytes())
}

#[test]
fn a_prompt_cache_compares_all_that_the_model_reads_in_its_order() {
    let body = json!({
        "instructions": "Be brief.",
        "tools": [{"type": "function", "name": "f"}],
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
            {"type": "function_call_output", "call_id": "c", "output": "1"},
        ],
        "reasoning": {"effort": "high"},
        "service_tier": "flex",
    });
    let said = OpenAiResponses.particulars(body.to_string().as_bytes());
    let texts: Vec<_> = said.parts.iter().map(|part| part.text.as_str()).collect();
    let (tool, result) = (body["tools"][0].to_string(), body["input"][1].to_string());
    assert_eq!(texts, [tool.as_str(), "Be brief.", "a", "b", result.as_str()]);
    assert_eq!((said.tier, said.thinking.is_some()), (Tier::Flex, true));
}

#[test]
fn reasoning_is_counted_inside_the_output_and_the_tier_is_told() {
    let thinking = Some(Thinking { text: String::new(), tokens: 20 });
    let besides = Besides { thinking, tier: Tier::Flex, ..Besides::default() };
    let body = OpenAiResponses.body(&ServerAnswer { besides, ..answer(None, "Hi") }, b"");
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["usage"]["output_tokens_details"]["reasoning_tokens"], 20);
    assert_eq!((&body["usage"]["output_tokens"], &body["service_tier"]), (&json!(30), &json!("flex")));
}

#[test]
fn offered_tools_are_called_until_their_result_is_there() {
    let tools = r#""tools":[{"type":"web_search"},{"type":"function","name":"f","parameters":{}}]"#;
    let user = r#"{"role":"user","content":"a"}"#;
    let call = r#"{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}"#;
    let result = r#"{"type":"function_call_output","call_id":"c","output":"1"}"#;
    let f = || Shape::Tool { name: "f".to_owned(), schema: json!({}) };
    let check = |input: &[&str], choice: &str, expected: Shape| {
        let body = format!(r#"{{"model":"m","input":[{}],{tools},"tool_choice":{choice}}}"#, input.join(","));
        assert_eq!(read(&body).unwrap().shape, expected, "{body}");
    };
    check(&[user], r#""auto""#, f());
    check(&[user], "null", f());
    check(&[user, call, result], r#""auto""#, Shape::Text);
    check(&[user, call, result], r#""required""#, f());
    check(&[user, call, result, user], r#""auto""#, f());
    check(&[user], r#""none""#, Shape::Text);
    check(&[user], r#"{"type":"function","name":"f"}"#, f());
    check(&[user], r#"{"type":"web_search"}"#, Shape::Text);
}

#[test]
fn the_server_refuses_what_openai_would() {
    let check = |fields: &str, code: &str, param: &str, message: &str| {
        let body = format!("{{{fields}}}");
        let error = read(&body).unwrap_err();
        assert!(error.message.contains(message), "{body}: {error:?}");
        let [found_code, found_param] =
            [&error.code, &error.param].map(|said| said.as_deref().unwrap_or_default());
        assert_eq!((error.status, found_code, found_param), (400, code, param), "{body}");
    };
    let with = |fields: &str, code: &str, param: &str, message: &str| {
        check(&format!(r#""model":"m","input":"a",{fields}"#), code, param, message);
    };
    let (missing, unsupported) = ("missing_required_parameter", "unsupported_parameter");
    check("", missing, "model", "'model'");
    check(r#""model":"m""#, missing, "input", "'input'");
    check(r#""model":"m","input":[]"#, missing, "", "must be provided");
    check(
        r#""model":"m","input":5"#,
        "invalid_type",
        "input",
        "a string or array of input items, but got an integer",
    );
    check(r#""model":"m","input":[{"content":"a"}]"#, "invalid_value", "input[0]", "Invalid value: ''.");
    check(r#""model":"m","input":[{"role":"user"}]"#, missing, "input[0].content", "'input[0].content'");
    check(r#""model":"m","input":[{"role":"robot","content":"a"}]"#, "invalid_value", "input[0]", "'robot'");
    check(
        r#""model":"m","input":[{"type":"function_call_output","output":"a"}]"#,
        missing,
        "input[0].call_id",
        "call_id",
    );
    check(r#""model":"m","messages":[]"#, unsupported, "", "has moved to 'input'. Try again with");
    with(r#""max_tokens":50"#, "unknown_parameter", "max_tokens", "Unknown parameter: 'max_tokens'.");
    with(r#""response_format":{}"#, unsupported, "", "has moved to 'text.format'");
    with(r#""stop":"x""#, "unknown_parameter", "stop", "'stop'");
    with(
        r#""max_output_tokens":15"#,
        "integer_below_min_value",
        "max_output_tokens",
        "Expected a value >= 16, but got 15",
    );
    with(r#""max_output_tokens":-1"#, "integer_below_min_value", "max_output_tokens", "but got -1 instead");
    with(r#""temperature":3"#, "decimal_above_max_value", "temperature", "'temperature'");
    with(r#""previous_response_id":{}"#, "invalid_type", "previous_response_id", "a string");
    with(r#""tool_choice":"required""#, "", "tool_choice", "when 'tools' are specified");
    with(
        r#""tools":[{"type":"function","name":"g"}],"tool_choice":{"type":"function","name":"f"}"#,
        "",
        "tool_choice",
        "Tool choice 'f' not found in 'tools' parameter.",
    );
    with(r#""tool_choice":"sometimes""#, "invalid_value", "tool_choice", "Invalid value: 'sometimes'.");
    with(r#""tools":[{"name":"f"}]"#, missing, "tools[0].type", "'tools[0].type'");
    with(r#""tools":[{"type":"function"}]"#, missing, "tools[0].name", "'tools[0].name'");
    with(
        r#""tools":[{"type":"function","name":"f","strict":true,"parameters":{"type":"object"}}]"#,
        "invalid_function_parameters",
        "tools[0].parameters",
        "'additionalProperties' is required",
    );
    with(r#""text":{"format":{"type":"json_schema"}}"#, missing, "text.format.name", "'text.format.name'");
    with(
        r#""text":{"format":{"type":"json_schema","name":"a"}}"#,
        missing,
        "text.format.schema",
        "'text.format.schema'",
    );
    with(r#""text":{"format":{"type":"xml"}}"#, "invalid_value", "text.format.type", "Invalid value: 'xml'.");
    with(r#""text":{"format":{"type":"json_object"}}"#, "", "input", "'input' must contain the word 'json'");
    with(
        r#""text":{"format":{"type":"json_schema","name":"a","strict":true,"schema":{"type":"object"}}}"#,
        "invalid_json_schema",
        "text.format.schema",
        "'additionalProperties' is required",
    );
    with(r#""service_tier":"fastest""#, "invalid_value", "service_tier", "'fastest'");
    with(r#""reasoning":{"effort":"most"}"#, "invalid_value", "reasoning.effort", "'xhigh'");
    with(r#""top_p":1.5"#, "decimal_above_max_value", "top_p", "<= 1");
    with(r#""top_logprobs":21"#, "integer_above_max_value", "top_logprobs", "<= 20");
    with(r#""stream_options":{}"#, "", "stream_options", "'stream' is enabled");
    with(r#""metadata":{"a":1}"#, "invalid_type", "metadata.a", "a string");
    let reasoning = r#""model":"o3","input":"a","temperature":0.5"#;
    check(
        reasoning,
        "",
        "temperature",
        "Unsupported parameter: 'temperature' is not supported with this model.",
    );
    assert!(read(r#"{"model":"m","input":"a","background":true,"text":{"verbosity":"low"}}"#).is_ok());
    assert!(read(r#"{"model":"m","input":"a","background":true,"store":false}"#).is_ok());
}
