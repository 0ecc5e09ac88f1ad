//! What the API takes or refuses by the request as a whole: its headers, its length, its model, the
//! model's room. What is refused by a field is tested with the dialects.

use std::io::Write;

use http::Method;
use serde_json::{Value, json};
use sortie_sim::{Model, Scenario, model};

use crate::{ANTHROPIC, NOON, OPENAI, calm, json_of, raw, reply};

const MESSAGES: (Method, &str) = (Method::POST, "/v1/messages");
const COUNT: (Method, &str) = (Method::POST, "/v1/messages/count_tokens");
const CHAT: (Method, &str) = (Method::POST, "/v1/chat/completions");
const RESPONSES: (Method, &str) = (Method::POST, "/v1/responses");

fn turns() -> Value {
    json!([{"role": "user", "content": "Hello"}])
}

fn message(model: &str) -> Value {
    json!({"model": model, "max_tokens": 100, "messages": turns()})
}

fn simulated(more: &str) -> Model {
    let text = format!("{}\n{more}\n", Scenario::text_of("calm").unwrap());
    Model::new(Scenario::parse(&text).unwrap(), 7)
}

#[test]
fn a_version_has_to_be_there_and_to_be_one_at_every_endpoint_of_anthropic() {
    let batches = "/v1/messages/batches";
    let one = json!({"requests": [{"custom_id": "a", "params": message("claude-opus-5")}]});
    let mut counted = message("claude-opus-5");
    counted.as_object_mut().unwrap().remove("max_tokens");
    for (asked, body) in [
        (MESSAGES, message("claude-opus-5")),
        (COUNT, counted),
        ((Method::POST, batches), one),
        ((Method::GET, batches), Value::Null),
        ((Method::GET, "/v1/messages/batches/msgbatch_1/results"), Value::Null),
    ] {
        let sent = if body.is_null() { String::new() } else { body.to_string() };
        let check = |more: &str, version: Option<&str>, is_refused: bool| {
            let mut headers = vec![("x-api-key", "sk-test")];
            headers.extend(version.map(|version| ("anthropic-version", version)));
            let (status, text) = reply(&mut simulated(more), &headers, asked.clone(), sent.clone(), NOON);
            let refused = status == 400 && text.contains("anthropic-version");
            assert_eq!(refused, is_refused, "{asked:?} {more} {version:?}: {status} {text}");
        };
        check("", None, true);
        check("", Some("2024-01-01"), true);
        check("", Some("2023-06-01"), false);
        check("", Some("2026-10-21"), false);
        check("missing_version: taken", None, false);
        check("missing_version: taken", Some("2024-01-01"), true);
    }
}

#[test]
fn a_content_type_is_asked_for_where_the_scenario_does() {
    let json_only = [ANTHROPIC, &[("content-type", "application/json; charset=utf-8")]].concat();
    let text_only = [ANTHROPIC, &[("content-type", "text/plain")]].concat();
    let check = |more: &str, headers: &[(&str, &str)], expected: u16| {
        let body = message("claude-opus-5").to_string();
        assert_eq!(
            reply(&mut simulated(more), headers, MESSAGES, body, NOON).0,
            expected,
            "{more} {headers:?}"
        );
    };
    check("", ANTHROPIC, 200);
    check("missing_content_type: refused", ANTHROPIC, 400);
    check("missing_content_type: refused", &text_only, 400);
    check("missing_content_type: refused", &json_only, 200);
}

#[test]
fn a_model_that_the_provider_does_not_have_is_not_found() {
    let served = "unknown_models: served";
    let check = |more: &str, asked: (Method, &str), model: &str, expected: u16| {
        let (headers, body) = match asked.1 {
            "/v1/messages" => (ANTHROPIC, message(model)),
            "/v1/messages/count_tokens" => (ANTHROPIC, json!({"model": model, "messages": turns()})),
            "/v1/chat/completions" => (OPENAI, json!({"model": model, "messages": turns()})),
            _ => (OPENAI, json!({"model": model, "input": "Hello"})),
        };
        let reply = json_of(&mut simulated(more), headers, asked.clone(), &body, (NOON, expected));
        let (kind, code) = if headers == ANTHROPIC {
            ("not_found_error", None)
        } else {
            ("invalid_request_error", Some("model_not_found"))
        };
        if expected == 404 {
            assert_eq!((&reply["error"]["type"], reply["error"]["code"].as_str()), (&json!(kind), code));
            assert!(reply["error"]["message"].as_str().unwrap().contains(model), "{reply}");
        }
    };
    let count_input = (Method::POST, "/v1/responses/input_tokens");
    for asked in [MESSAGES, COUNT, CHAT, RESPONSES, count_input] {
        check("", asked.clone(), "no-such-model", 404);
        check(served, asked, "no-such-model", 200);
    }
    check("", MESSAGES, "gpt-4o", 404);
    check("", CHAT, "claude-opus-5", 404);
    check("", MESSAGES, "claude-sonnet-4-5-20250929", 200);
    check("", CHAT, "gpt-4o-2024-08-06", 200);
    // What was retired long ago, and has no price any more.
    check("", MESSAGES, "claude-3-opus-20240229", 200);
    check("", CHAT, "gpt-4-32k", 200);
    // What the SDKs name without a price; of `gpt-5.1-mini` they say that it is no model.
    for named in ["gpt-6.2-sol", "gpt-5.2-chat-latest", "gpt-4o-audio-preview-2024-12-17", "o3-deep-research"]
    {
        check("", CHAT, named, 200);
        check("", MESSAGES, named, 404);
    }
    check("", CHAT, "gpt-5.1-mini", 404);
    check("", CHAT, "claude-3-opus-20240229", 404);
    check("retired_models: [gpt-4-32k]", CHAT, "gpt-4-32k", 404);
    check("retired_models: [gpt-4o]", CHAT, "gpt-4o-2024-08-06", 404);
    check("retired_models: [gpt-4o]\nunknown_models: served", CHAT, "gpt-4o", 404);
    check("retired_models: [gpt-4o]", CHAT, "gpt-4o-mini", 200);
}

#[test]
fn a_body_that_is_too_long_is_refused_by_the_api_or_by_the_proxy_before_it() {
    for (path, most) in [
        ("/v1/messages", 32),
        ("/v1/messages/count_tokens", 32),
        ("/v1/messages/batches", 256),
        ("/v1/files", 512),
    ] {
        assert_eq!(model::most_body(path), most << 20, "{path}");
    }
    let long = || vec![b' '; model::most_body("/v1/messages") + 1];
    let (status, headers, body) = raw(&mut calm(), ANTHROPIC, MESSAGES, long(), NOON);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["error"]["type"]), (413, &json!("request_too_large")));
    assert_eq!(headers["content-type"], "application/json");
    let (status, headers, body) = raw(&mut simulated("too_long: html"), ANTHROPIC, MESSAGES, long(), NOON);
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (413, "text/html"));
    assert!(body.contains("413 Request Entity Too Large"), "{body}");
}

fn packed(body: &[u8], deflated: bool) -> Vec<u8> {
    use flate2::{Compression, write};
    let level = Compression::default();
    if deflated {
        let mut encoder = write::ZlibEncoder::new(Vec::new(), level);
        encoder.write_all(body).unwrap();
        return encoder.finish().unwrap();
    }
    let mut encoder = write::GzEncoder::new(Vec::new(), level);
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_packed_body_is_unpacked_or_refused_as_the_provider_does() {
    let check = |asked: (Method, &str), encoding: &str, body: Vec<u8>, expected: (u16, &str)| {
        let headers = if asked.1 == MESSAGES.1 { ANTHROPIC } else { OPENAI };
        let headers = [headers, &[("content-encoding", encoding)]].concat();
        let (status, _, reply) = raw(&mut calm(), &headers, asked, body, NOON);
        let reply: Value = serde_json::from_str(&reply).unwrap();
        let error = &reply["error"];
        let code = error["details"]["error_code"].as_str().or(error["code"].as_str()).unwrap_or_default();
        assert_eq!((status, code), expected, "{encoding}: {reply}");
    };
    let (anthropic, openai) = (message("claude-opus-5"), json!({"model": "gpt-4o", "messages": turns()}));
    for (asked, body) in [(MESSAGES, anthropic), (CHAT, openai)] {
        let is_anthropic = asked.1 == MESSAGES.1;
        let (plain, gzip) = (body.to_string().into_bytes(), packed(body.to_string().as_bytes(), false));
        let unsupported = if is_anthropic { (400, "request_body_encoding_unsupported") } else { (415, "") };
        let invalid = (400, if is_anthropic { "request_body_encoding_invalid" } else { "" });
        check(asked.clone(), "identity", plain.clone(), (200, ""));
        check(asked.clone(), "gzip", gzip.clone(), (200, ""));
        check(asked.clone(), "GZIP", gzip.clone(), (200, ""));
        let deflated = packed(&plain, true);
        check(asked.clone(), "deflate", deflated, if is_anthropic { unsupported } else { (200, "") });
        for other in ["zstd", "br", "gzip, gzip"] {
            check(asked.clone(), other, gzip.clone(), unsupported);
        }
        check(asked.clone(), "gzip", plain, invalid);
        check(asked.clone(), "gzip", gzip[..gzip.len() - 1].to_vec(), invalid);
        let bomb = include_bytes!("../../assets/zeros-100-mib.gz").to_vec();
        let too_long = if is_anthropic { "request_body_too_large_after_decoding" } else { "" };
        check(asked, "gzip", bomb, (413, too_long));
    }
}

#[test]
fn an_answer_that_no_model_gives_is_refused_with_its_parameter() {
    let check = |asked: (Method, &str), body: Value, param: &str, part: &str| {
        let error = json_of(&mut calm(), OPENAI, asked, &body, (NOON, 400))["error"].clone();
        assert_eq!(error["param"], param, "{error}");
        assert!(error["message"].as_str().unwrap().contains(part), "{error}");
    };
    // Eight letters are a token of `o200k_base`.
    let long = "a".repeat(8 * 128_001);
    let asked = |bound: u32| json!({"model": "gpt-4o", "max_tokens": bound, "messages": turns()});
    check(
        CHAT,
        asked(16_385),
        "max_tokens",
        "max_tokens is too large: 16385. This model supports at most 16384",
    );
    let long_turns = json!([{"role": "user", "content": long}]);
    check(
        CHAT,
        json!({"model": "gpt-4o", "messages": long_turns}),
        "messages",
        "maximum context length is 128000 tokens",
    );
    check(
        RESPONSES,
        json!({"model": "gpt-4o", "input": long}),
        "input",
        "maximum context length is 128000 tokens",
    );
    let asked = json!({"model": "gpt-4o", "max_output_tokens": 20_000, "input": "Hello"});
    check(RESPONSES, asked, "max_output_tokens", "at most 16384");
    // A bound that is named counts whatever it is, and one that is not is none: gpt-4 has 4,096.
    let named = json!({"model": "gpt-4", "max_tokens": 16_384, "messages": turns()});
    check(CHAT, named, "max_tokens", "max_tokens is too large: 16384. This model supports at most 4096");
    json_of(&mut calm(), OPENAI, CHAT, &json!({"model": "gpt-4", "messages": turns()}), (NOON, 200));
}

#[test]
fn sampling_parameters_are_refused_by_the_newer_version_wherever_they_are_sent() {
    let newer = [("x-api-key", "sk-test"), ("anthropic-version", "2026-10-21")];
    for field in ["temperature", "top_p", "top_k"] {
        let mut body = message("claude-sonnet-4-6");
        body[field] = json!(1);
        let refused = json_of(&mut calm(), &newer, MESSAGES, &body, (NOON, 400)).to_string();
        assert!(refused.contains(&format!("{field}: Extra inputs are not permitted")), "{refused}");
        body.as_object_mut().unwrap().remove("max_tokens");
        let refused = json_of(&mut calm(), &newer, COUNT, &body, (NOON, 400)).to_string();
        assert!(refused.contains(&format!("{field}: Extra inputs are not permitted")), "{refused}");
        json_of(&mut calm(), ANTHROPIC, COUNT, &body, (NOON, 200));
    }
}

#[test]
fn token_headers_that_count_by_use_come_where_the_scenario_has_them() {
    let told = |more: &str| {
        let mut model = simulated(&format!("tokens_per_minute: 30000\n{more}"));
        let body = json!({"model": "gpt-4o", "messages": turns()}).to_string();
        let (_, headers, _) = raw(&mut model, OPENAI, CHAT, body, NOON);
        ["limit", "remaining", "reset"].map(|what| {
            let of = |name: &str| headers.get(format!("x-ratelimit-{what}-{name}")).cloned();
            (of("tokens").is_some(), of("tokens") == of("tokens_usage_based"))
        })
    };
    assert_eq!(told(""), [(true, false); 3]);
    assert_eq!(told("usage_based_headers: true"), [(true, true); 3]);
}
