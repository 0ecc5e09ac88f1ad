//! How likely tokens were, as both of OpenAI's APIs tell it: whole and streamed, and where it is refused.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by where it panics")]

use http::HeaderMap;
use serde_json::{Value, json};
use sortie_core::run::event::Finish;
use sortie_core::usage::Usage;
use sortie_providers::dialect::{Besides, Dialect, OpenAiChat, OpenAiResponses, ServerAnswer};

const PIECES: [&str; 3] = ["One answer", " in three", " pieces."];

fn answer(tool: Option<&str>) -> ServerAnswer {
    ServerAnswer {
        id: "0123456789abcdefghijABCD".to_owned(),
        created: 1_795_435_200,
        model: "gpt-4o".to_owned(),
        text: PIECES.concat(),
        tool: tool.map(str::to_owned),
        finish: Finish::Stop,
        usage: Usage { input: 10, output: 7, ..Usage::default() },
        besides: Besides { others: vec!["Another one.".to_owned()], ..Besides::default() },
    }
}

/// The payloads of a stream's events that are JSON.
fn events(dialect: &dyn Dialect, answer: &ServerAnswer, asked: &Value) -> Vec<Value> {
    let frames = dialect.frames(answer, &PIECES, asked.to_string().as_bytes());
    let stream = [&[frames.opening], &frames.pieces[..], &[frames.closing]].concat().concat();
    let lines = str::from_utf8(&stream).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    lines.iter().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
}

fn body(dialect: &dyn Dialect, answer: &ServerAnswer, asked: &Value) -> Value {
    serde_json::from_slice(&dialect.body(answer, asked.to_string().as_bytes())).unwrap()
}

/// What these tokens say together, each with so many that might have stood there.
fn said(tokens: &Value, top: usize) -> String {
    let tokens = tokens.as_array().unwrap();
    assert!(tokens.iter().all(|token| token["top_logprobs"].as_array().unwrap().len() == top), "{tokens:?}");
    assert!(tokens.iter().all(|token| token["logprob"].as_f64().unwrap() <= 0.0), "{tokens:?}");
    tokens.iter().map(|token| token["token"].as_str().unwrap()).collect()
}

#[test]
fn a_completion_has_them_for_each_of_its_choices() {
    let asked = json!({"logprobs": true, "top_logprobs": 2, "n": 2});
    let choices = body(&OpenAiChat, &answer(None), &asked)["choices"].clone();
    for choice in choices.as_array().unwrap() {
        assert_eq!(choice["message"]["content"], said(&choice["logprobs"]["content"], 2));
        assert_eq!(choice["logprobs"]["refusal"], Value::Null);
    }
    let unasked = body(&OpenAiChat, &answer(None), &json!({"n": 2}));
    assert_eq!(unasked["choices"][0]["logprobs"], Value::Null);
    let called = body(&OpenAiChat, &answer(Some("f")), &asked);
    assert_eq!(called["choices"][0]["logprobs"], json!({"content": null, "refusal": null}));
}

#[test]
fn a_streamed_completion_has_them_with_what_each_chunk_says() {
    let asked = json!({"logprobs": true, "stream": true});
    for event in events(&OpenAiChat, &answer(None), &asked) {
        let choice = &event["choices"][0];
        match choice["delta"]["content"].as_str().unwrap_or_default() {
            "" => assert_eq!(choice["logprobs"], Value::Null, "{event}"),
            text => assert_eq!(said(&choice["logprobs"]["content"], 0), text),
        }
    }
    let called = events(&OpenAiChat, &answer(Some("f")), &asked);
    assert!(called.iter().all(|event| event["choices"][0]["logprobs"].is_null()));
}

#[test]
fn a_response_has_them_where_they_are_included_and_its_stream_tells_the_same() {
    let asked = json!({"include": ["message.output_text.logprobs"], "top_logprobs": 3});
    let part = |response: &Value| response["output"][0]["content"][0].clone();
    let whole = part(&body(&OpenAiResponses, &answer(None), &asked));
    assert_eq!(whole["text"], said(&whole["logprobs"], 3));
    let unasked = part(&body(&OpenAiResponses, &answer(None), &json!({"top_logprobs": 3})));
    assert_eq!(unasked["logprobs"], json!([]));

    let events = events(&OpenAiResponses, &answer(None), &asked);
    let of = |name: &str| events.iter().filter(|event| event["type"] == name).collect::<Vec<_>>();
    let mut told = Vec::new();
    for delta in of("response.output_text.delta") {
        assert_eq!(delta["delta"], said(&delta["logprobs"], 3));
        told.extend(delta["logprobs"].as_array().unwrap().clone());
    }
    let told = json!(told);
    assert_eq!(said(&told, 3), PIECES.concat());
    assert_eq!(of("response.output_text.done")[0]["logprobs"], told);
    assert_eq!(of("response.content_part.done")[0]["part"]["logprobs"], told);
    assert_eq!(of("response.output_item.done")[0]["item"]["content"][0]["logprobs"], told);
    assert_eq!(part(&of("response.completed")[0]["response"])["logprobs"], told);
    assert_eq!(of("response.content_part.added")[0]["part"]["logprobs"], json!([]));
}

#[test]
fn models_that_reason_do_not_tell_them() {
    let check = |model: &str, more: &Value, expected: Option<(u16, &str, &str)>| {
        let mut asked =
            json!({"model": model, "messages": [{"role": "user", "content": "a"}], "logprobs": true});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let read = OpenAiChat.read(&HeaderMap::new(), asked.to_string().as_bytes());
        let found = read.err().map(|error| (error.status, error.param.unwrap_or_default(), error.message));
        let found =
            found.as_ref().map(|(status, param, message)| (*status, param.as_str(), message.as_str()));
        assert_eq!(found, expected, "{asked}");
    };
    let never = Some((403, "", "You are not allowed to request logprobs from this model"));
    let unsupported =
        Some((400, "logprobs", "Unsupported parameter: 'logprobs' is not supported with this model."));
    let top =
        Some((400, "top_logprobs", "Invalid value for 'top_logprobs': must be less than or equal to 5."));
    let none = json!({"reasoning_effort": "none"});
    check("gpt-4o", &json!({"top_logprobs": 20}), None);
    check("my-own-model", &json!({"top_logprobs": 20}), None);
    for model in ["o3", "o4-mini", "gpt-5", "gpt-5-mini-2025-08-07"] {
        check(model, &json!({"reasoning_effort": "low"}), never);
        check(model, &json!({"logprobs": false}), None);
    }
    for (model, untold) in [("gpt-5.4-mini", None), ("gpt-5.6-terra", unsupported)] {
        check(model, &json!({}), untold);
        check(model, &json!({"reasoning_effort": "low"}), unsupported);
        check(model, &none, None);
        check(model, &json!({"reasoning_effort": "none", "top_logprobs": 5}), None);
        check(model, &json!({"reasoning_effort": "none", "top_logprobs": 6}), top);
    }
}
