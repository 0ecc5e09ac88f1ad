//! What the servers' halves refuse of a request's types, turns and tools, and what they take that is
//! close to it. A request that is taken has an empty word in its row.

mod anthropic;
mod anthropic_models;
mod anthropic_thinking;
mod anthropic_tools;
mod chat;
mod efforts;
mod media;
mod newest;
mod responses;
mod tools;

use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use sortie_providers::dialect::{Anthropic, Dialect, OpenAiChat, OpenAiResponses, Request, WireError};

/// A request of the least fields, with `more` fields or others.
fn read(dialect: &dyn Dialect, more: &Value) -> Result<Request, WireError> {
    let mut headers = HeaderMap::new();
    headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    let mut body = match dialect.name() {
        "openai-responses" => json!({"model": "some-model", "input": "Hello"}),
        _ => {
            json!({"model": "some-model", "max_tokens": 4000, "messages": [{"role": "user", "content": "Hello"}]})
        }
    };
    let (Value::Object(fields), Value::Object(more)) = (&mut body, more.clone()) else {
        panic!("both are objects")
    };
    fields.extend(more);
    dialect.read(&headers, body.to_string().as_bytes())
}

/// That the refusal has `part` in its message, and names `param`, which Anthropic's never do.
fn check(dialect: &dyn Dialect, more: &Value, param: Option<&str>, part: &str) {
    match (read(dialect, more), part) {
        (Ok(_), "") => {}
        (Err(error), "") => panic!("{more}: {error:?}"),
        (Ok(_), part) => panic!("{more} is taken, not refused for {part}"),
        (Err(error), part) => {
            assert_eq!((error.status, error.kind.as_str()), (400, "invalid_request_error"), "{more}");
            assert!(error.message.contains(part), "{more}: {}", error.message);
            assert_eq!(error.param.as_deref(), param, "{more}");
        }
    }
}

/// That it is refused so: by the parameter, with the code, in words that begin so.
fn refused(dialect: &dyn Dialect, more: &Value, (param, code): (&str, &str), message: &str) {
    match read(dialect, more) {
        Ok(_) => panic!("{more} is taken, not refused: {message}"),
        Err(error) => {
            assert!(error.message.starts_with(message), "{more}: {}", error.message);
            let [found_param, found_code] =
                [&error.param, &error.code].map(|said| said.as_deref().unwrap_or(""));
            assert_eq!((error.status, error.kind.as_str()), (400, "invalid_request_error"), "{more}");
            assert_eq!((found_param, found_code), (param, code), "{more}");
        }
    }
}

fn taken(dialect: &dyn Dialect, more: &Value) {
    check(dialect, more, None, "");
}

/// What somebody says.
fn said(role: &str, content: Value) -> Value {
    let mut turn = json!({"role": role});
    turn["content"] = content;
    turn
}

/// A request of this model for Chat Completions, bounded as all of them are.
fn of(model: &str, more: Value) -> Value {
    let mut body = more;
    for (field, value) in
        [("model", json!(model)), ("max_tokens", Value::Null), ("max_completion_tokens", json!(50))]
    {
        body[field] = value;
    }
    body
}

fn turns(turns: &Value) -> Value {
    json!({"messages": turns})
}

fn input(items: &Value) -> Value {
    json!({"input": items})
}

#[test]
fn openai_answers_whoever_speaks() {
    let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});
    let result = json!({"type": "function_call_output", "call_id": "c", "output": "21 degrees"});
    for (dialect, more, prompt, system) in [
        (&OpenAiChat as &dyn Dialect, turns(&json!([{"role": "system", "content": "a"}])), "a", Some("a")),
        (&OpenAiChat, turns(&json!([{"role": "developer", "content": "a"}])), "a", Some("a")),
        (&OpenAiChat, turns(&json!([{"role": "assistant", "content": "a"}])), "a", None),
        (&OpenAiResponses, input(&json!([{"role": "developer", "content": "a"}])), "a", Some("a")),
        (&OpenAiResponses, input(&json!([call, result])), "21 degrees", None),
        (
            &OpenAiResponses,
            input(&json!([{"role": "user", "content": "b"}, {"role": "assistant", "content": "a"}])),
            "b",
            None,
        ),
    ] {
        let request = read(dialect, &more).unwrap_or_else(|error| panic!("{more}: {error:?}"));
        assert_eq!((request.prompt.as_str(), request.system.as_deref()), (prompt, system), "{more}");
    }
}

#[test]
fn a_field_of_another_type_is_refused_by_its_name() {
    let both = [&OpenAiChat as &dyn Dialect, &OpenAiResponses];
    for (field, wrong, right) in [
        ("stream", json!("true"), json!(false)),
        ("store", json!("x"), json!(true)),
        ("parallel_tool_calls", json!(1), json!(true)),
        ("user", json!(3), json!("u")),
    ] {
        for dialect in both {
            check(dialect, &json!({field: wrong}), Some(field), &format!("Invalid type for '{field}'"));
            check(dialect, &json!({field: right}), None, "");
            check(dialect, &json!({field: null}), None, "");
        }
    }
    let chat = |more: Value, param: &str| check(&OpenAiChat, &more, Some(param), param);
    chat(json!({"logprobs": 1}), "logprobs");
    chat(json!({"logprobs": "yes", "top_logprobs": 2}), "logprobs");
    chat(json!({"seed": "a"}), "seed");
    chat(json!({"seed": 1.5}), "seed");
    chat(turns(&json!([{"role": "user", "content": 3}])), "messages[0].content");
    check(&OpenAiChat, &json!({"seed": -4, "logprobs": true, "top_logprobs": 2}), None, "");
    let responses = |more: Value, param: &str| check(&OpenAiResponses, &more, Some(param), param);
    responses(json!({"instructions": 3}), "instructions");
    responses(json!({"background": "x"}), "background");
    let anthropic = |more: Value, part: &str| check(&Anthropic, &more, None, part);
    anthropic(json!({"stream": "true"}), "stream: Input should be a valid boolean");
    anthropic(json!({"system": 3}), "system: Input should be a valid array");
    anthropic(json!({"system": "", "stream": null}), "");
}
