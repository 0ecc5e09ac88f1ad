//! Both halves of each dialect, one against the other.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by where it panics")]

use std::time::Duration;

use http::HeaderMap;
use serde_json::json;
use sortie_core::failure::Class;
use sortie_core::run::event::Finish;
use sortie_core::usage::Usage;
use sortie_providers::dialect::{
    self, AnswerBound, Anthropic, Besides, Dialect, Dimension, OpenAiChat, Quota, Request, ServerAnswer,
    Shape, Variant,
};

fn request() -> Request {
    Request {
        model: "some-model".to_owned(),
        system: Some("Be brief.\n\"Really\".".to_owned()),
        prompt: "Wörter & 🌍\u{2028}\n".to_owned(),
        max_tokens: 800,
        temperature: Some(0.7),
        stream: true,
        ..Request::default()
    }
}

fn answer(finish: Finish, text: &str) -> ServerAnswer {
    ServerAnswer {
        tool: None,
        id: "0123456789abcdefghijABCD".to_owned(),
        created: 1_795_435_200,
        model: "some-model-2026".to_owned(),
        text: text.to_owned(),
        finish,
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

#[test]
fn what_the_client_sends_the_server_reads() {
    for dialect in dialect::ALL {
        let bounds = [AnswerBound::MaxTokens, AnswerBound::MaxCompletionTokens];
        for variant in bounds.map(|bound| Variant { bound, ..dialect.default_variant() }) {
            let plain = Request { system: None, temperature: None, stream: false, ..request() };
            let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"],
                "additionalProperties": false});
            let tool = Shape::Tool { name: "t".to_owned(), schema: schema.clone() };
            let shaped = [Shape::Json(schema), tool].map(|shape| Request { shape, ..request() });
            for sent in [request(), plain].into_iter().chain(shaped) {
                let encoded = dialect.encode(&sent, &variant);
                assert!(dialect.path().ends_with(encoded.path), "{dialect:?}");
                assert_eq!(encoded.headers["content-type"], "application/json");
                assert_eq!(dialect.read(&encoded.headers, &encoded.body), Ok(sent), "{dialect:?}");
            }
        }
    }
}

#[test]
fn the_newer_anthropic_version_is_sent_no_temperature() {
    let variant = Variant { version: Some("2026-10-21".to_owned()), ..Anthropic.default_variant() };
    let encoded = Anthropic.encode(&request(), &variant);
    assert_eq!(encoded.headers["anthropic-version"], "2026-10-21");
    let expected = Request { temperature: None, ..request() };
    assert_eq!(Anthropic.read(&encoded.headers, &encoded.body), Ok(expected));
}

#[test]
fn the_bound_is_called_as_the_host_knows_it() {
    let check = |host, bound| assert_eq!(OpenAiChat.variant_at(host).bound, bound, "{host}");
    check("api.openai.com", AnswerBound::MaxCompletionTokens);
    check("eu.api.openai.com", AnswerBound::MaxCompletionTokens);
    check("evilapi.openai.com", AnswerBound::MaxTokens);
    check("127.0.0.1", AnswerBound::MaxTokens);
}

#[test]
fn a_model_that_refuses_the_old_name_gets_the_new_one_wherever_it_is_served() {
    for (model, name) in [("gpt-6.1-sol", "max_completion_tokens"), ("llama-3", "max_tokens")] {
        let variant = OpenAiChat.variant_at("127.0.0.1");
        let encoded = OpenAiChat.encode(&Request { model: model.to_owned(), ..request() }, &variant);
        let body = String::from_utf8_lossy(&encoded.body).into_owned();
        assert!(body.contains(&format!("\"{name}\":")), "{body}");
    }
}

#[test]
fn what_the_server_answers_the_client_understands() {
    for dialect in dialect::ALL {
        for finish in [Finish::Stop, Finish::MaxTokens, Finish::Other("novel".to_owned())] {
            for pieces in [vec!["Hello", ", wörld ", "🌍"], vec![]] {
                let answer = answer(finish.clone(), &pieces.concat());
                let asked = dialect.encode(&request(), &dialect.default_variant()).body;
                let frames = dialect.frames(&answer, &pieces, &asked);
                let stream = [&[frames.opening], &frames.pieces[..], &[frames.closing]].concat().concat();
                for body in [&stream[..], &dialect.body(&answer, b"")] {
                    let mut decoder = dialect.decoder(200, &HeaderMap::new(), Duration::ZERO);
                    decoder.push(body);
                    let decoded = decoder.finish(true);
                    let text = decoded.result.unwrap();
                    assert_eq!(
                        (&text.text, &text.finish, &text.model),
                        (&answer.text, &finish, &answer.model)
                    );
                    assert_eq!(decoded.usage, Some(answer.usage), "{dialect:?}");
                }
                // Without its terminator it is cut.
                let mut decoder = dialect.decoder(200, &HeaderMap::new(), Duration::ZERO);
                decoder.push(&stream[..stream.len() - frames.terminator]);
                assert_eq!(decoder.finish(true).result.unwrap_err().class, Class::CutOff, "{dialect:?}");
            }
        }
    }
}

#[test]
fn usage_is_streamed_by_openai_only_where_it_is_asked_for() {
    let closing = |body: &[u8]| OpenAiChat.frames(&answer(Finish::Stop, ""), &[], body).closing;
    let with = closing(br#"{"stream_options":{"include_usage":true}}"#);
    let without = closing(br"{}");
    assert!(str::from_utf8(&with).unwrap().contains("prompt_tokens"));
    assert!(!str::from_utf8(&without).unwrap().contains("usage"));
}

#[test]
fn events_come_in_the_documented_order() {
    let frames = Anthropic.frames(&answer(Finish::Stop, "a"), &["a"], b"");
    let stream = [frames.opening, frames.pieces[0].clone(), frames.closing].concat();
    let names: Vec<_> =
        str::from_utf8(&stream).unwrap().lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    let expected = [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(names, expected);
}

#[test]
fn every_usual_error_is_understood_as_its_status_says() {
    let classes = [
        (400, Class::Invalid),
        (401, Class::Auth),
        (402, Class::QuotaGone),
        (403, Class::Auth),
        (404, Class::Invalid),
        (408, Class::Transient),
        (409, Class::Transient),
        (413, Class::Invalid),
        (422, Class::Invalid),
        (429, Class::Throttled),
        (500, Class::Transient),
        (502, Class::Transient),
        (504, Class::Transient),
        (529, Class::Overloaded),
    ];
    for dialect in dialect::ALL {
        for (status, class) in classes {
            let error = dialect.usual_error(status);
            let mut decoder = dialect.decoder(status, &HeaderMap::new(), Duration::ZERO);
            decoder.push(&dialect.error_body(&error, "req_1"));
            let failure = decoder.finish(true).result.unwrap_err();
            assert_eq!((failure.class, &failure.message), (class, &error.message), "{dialect:?} {status}");
            assert_eq!(failure.http_status, Some(status));
        }
        let error = dialect.usual_error(500);
        let mut decoder = dialect.decoder(200, &HeaderMap::new(), Duration::ZERO);
        decoder.push(&dialect.error_frame(&error, "req_1", 8));
        assert!(decoder.is_done(), "{dialect:?}");
        let decoded = decoder.finish(false);
        assert!(decoded.says_error && decoded.result.unwrap_err().class == Class::Transient, "{dialect:?}");
    }
}

#[test]
fn the_server_refuses_what_the_provider_would() {
    let old: &[(&str, &str)] = &[("anthropic-version", "2023-06-01")];
    let new: &[(&str, &str)] = &[("anthropic-version", "2026-10-21")];
    let good = r#""model":"claude-sonnet-5-5","max_tokens":5,"messages":[{"role":"user","content":"a"}]"#;
    let anthropic = |headers: &[(&str, &str)], body: &str, message: &str| {
        check(&Anthropic, headers, body, "", message);
    };
    anthropic(&[], &format!("{{{good}}}"), "anthropic-version: header is required");
    anthropic(
        &[("anthropic-version", "2024-01-01")],
        &format!("{{{good}}}"),
        "anthropic-version: not a valid version",
    );
    anthropic(old, "{", "The request body is not valid JSON");
    anthropic(old, "[]", "model: Field required");
    anthropic(old, r#"{"model":"m","messages":[]}"#, "max_tokens: Field required");
    anthropic(old, r#"{"model":"m","max_tokens":1.5,"messages":[]}"#, "max_tokens: Input should be");
    anthropic(old, r#"{"model":"m","max_tokens":5}"#, "messages: Field required");
    anthropic(old, r#"{"model":"m","max_tokens":5,"messages":[]}"#, "messages: at least one");
    anthropic(
        old,
        &good.replace("user", "robot").replacen('"', "{\"", 1).replace("}]", "}]}"),
        "messages: Unexpected role \"robot\".",
    );
    anthropic(old, &format!("{{{good},\"temperature\":1.5}}"), "temperature: range: 0..1");
    anthropic(
        old,
        &format!("{{{good},\"temperature\":\"1\"}}"),
        "temperature: Input should be a valid number",
    );
    for (field, wrong, why) in [
        ("stop_sequences", "3", ": Input should be a valid array"),
        ("stop_sequences", "[3]", ".0: Input should be a valid string"),
        ("thinking", "3", ": Input should be an object"),
        ("tool_choice", "3", ": Input should be an object"),
        ("cache_control", "3", ": Input should be an object"),
        ("metadata", "3", ": Input does not match the expected shape."),
        ("output_config", "3", ": Input does not match the expected shape."),
        ("tools", "3", ": Input should be a valid array"),
        ("context_management", "[]", ": Input should be an object"),
        ("mcp_servers", "{}", ": Input should be a valid array"),
        ("container", "3", ".ContainerParams: Input does not match the expected shape."),
        (
            "container",
            "\"c\"",
            ": Container identifier can only be provided when using the code execution tool",
        ),
    ] {
        anthropic(old, &format!("{{{good},\"{field}\":{wrong}}}"), &format!("{field}{why}"));
    }
    for extra in ["temperature", "top_p", "top_k"] {
        let body = format!("{{{good},\"{extra}\":1}}");
        anthropic(new, &body, &format!("{extra}: Extra inputs are not permitted"));
    }

    let openai = |body: &str, code: &str, message: &str| check(&OpenAiChat, &[], body, code, message);
    openai("nonsense", "", "We could not parse the JSON body");
    openai("{}", "", "you must provide a model parameter");
    openai(r#"{"model":"m"}"#, "missing_required_parameter", "Missing required parameter");
    openai(r#"{"model":"m","messages":[]}"#, "empty_array", "Invalid 'messages'");
    let good = r#""messages":[{"role":"user","content":"a"}]"#;
    for model in ["o4-mini", "gpt-6.1-sol"] {
        let body = format!("{{\"model\":\"{model}\",\"max_tokens\":5,{good}}}");
        openai(&body, "unsupported_parameter", "Unsupported parameter: 'max_tokens'");
    }
    openai(
        &format!("{{\"model\":\"m\",\"max_tokens\":-5,{good}}}"),
        "integer_below_min_value",
        "Invalid 'max_tokens': integer below minimum value.",
    );
    openai(
        &format!("{{\"model\":\"m\",\"temperature\":3,{good}}}"),
        "decimal_above_max_value",
        "Invalid 'temperature'",
    );
}

fn check(dialect: &dyn Dialect, headers: &[(&str, &str)], body: &str, code: &str, message: &str) {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
        .collect();
    let error = dialect.read(&headers, body.as_bytes()).unwrap_err();
    assert!(error.message.starts_with(message), "{body}: {error:?}");
    assert_eq!((error.status, error.code.as_deref().unwrap_or_default()), (400, code), "{body}");
}

#[test]
fn turns_may_be_lists_of_blocks_and_the_last_of_the_user_counts() {
    let image = r#"{"type":"image","source":{"type":"url","url":"https://example.org/a.png"}}"#;
    let image_url = r#"{"type":"image_url","image_url":{"url":"https://example.org/a.png"}}"#;
    let input_image = r#"{"type":"input_image","image_url":"https://example.org/a.png"}"#;
    for dialect in dialect::ALL {
        let (bound, list, text, image) = match dialect.name() {
            "openai-responses" => ("max_output_tokens", "input", "input_text", input_image),
            "openai" => ("max_tokens", "messages", "text", image_url),
            _ => ("max_tokens", "messages", "text", image),
        };
        let said = ["a", "b"].map(|said| format!(r#"{{"type":"{text}","text":"{said}"}}"#));
        let turns = [
            r#"{"role":"user","content":"first"},{"role":"assistant","content":"yes"}"#.to_owned(),
            format!(r#"{{"role":"user","content":[{},{image},{}]}}"#, said[0], said[1]),
            r#"{"role":"assistant","content":"pre"}"#.to_owned(),
        ];
        let body = format!("{{\"model\":\"m\",\"{bound}\":50,\"{list}\":[{}]}}", turns.join(","));
        let headers = dialect.headers(&dialect.default_variant());
        let read = dialect.read(&headers, body.as_bytes()).unwrap();
        assert_eq!((read.prompt.as_str(), read.stream), ("a\nb", false), "{dialect:?}");
    }
}

#[test]
fn quotas_are_told_in_each_providers_form_and_a_client_waits_for_the_emptiest() {
    let now = Duration::from_millis(1_795_435_200_250);
    let quota = |dimension, limit, remaining, ms| Quota {
        dimension,
        limit,
        remaining,
        full_in: Duration::from_millis(ms),
    };
    let quotas = [
        quota(Dimension::Requests, 50, 49, 1_200),
        quota(Dimension::InputTokens, 80_000, 400, 59_700),
        quota(Dimension::OutputTokens, 16_000, 15_600, 1_500),
    ];
    let headers = Anthropic.reply_headers("req_1", &quotas, now);
    for (name, value) in [
        ("request-id", "req_1"),
        ("anthropic-ratelimit-requests-remaining", "49"),
        ("anthropic-ratelimit-requests-reset", "2026-11-23T12:00:02Z"),
        ("anthropic-ratelimit-input-tokens-remaining", "0"),
        ("anthropic-ratelimit-output-tokens-remaining", "16000"),
        ("anthropic-ratelimit-tokens-limit", "96000"),
        ("anthropic-ratelimit-tokens-reset", "2026-11-23T12:01:00Z"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    let openai = OpenAiChat.reply_headers("req_1", &quotas, now);
    for (name, value) in [
        ("x-request-id", "req_1"),
        ("x-ratelimit-limit-requests", "50"),
        ("x-ratelimit-reset-requests", "1.2s"),
        ("x-ratelimit-remaining-tokens", "16000"),
        ("x-ratelimit-reset-tokens", "59.7s"),
    ] {
        assert_eq!(openai[name], value, "{name}");
    }
    let decoder = Anthropic.decoder(429, &headers, now);
    let wait = decoder.finish(true).result.unwrap_err().retry_after;
    assert_eq!(wait, Some(Duration::from_millis(59_750)));
}
