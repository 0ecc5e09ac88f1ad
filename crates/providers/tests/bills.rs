//! What a reply costs, from the usage as each provider writes it to picodollars that were worked out
//! by hand. A dollar a million tokens is 1,000,000 picodollars a token.
//!
//! Prices: Anthropic's and OpenAI's of 2026-11, as `WIRE.md`'s tables have them; if a row of the price
//! table changes, so does the case that names its rates.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by where it panics")]

use std::time::Duration;

use http::HeaderMap;
use serde_json::{Value, json};
use sortie_core::failure::Class;
use sortie_core::price::{Price, Pricing, table};
use sortie_core::usage::Tier;
use sortie_providers::dialect::{self, AnswerBound, Decoded, Dialect, OpenAiChat, OpenAiResponses, Request};

fn decoded(dialect: &str, body: &str) -> Decoded {
    let dialect = dialect::by_name(dialect).unwrap();
    let mut decoder = dialect.decoder(200, &HeaderMap::new(), Duration::ZERO);
    decoder.push(body.as_bytes());
    decoder.finish(true)
}

/// What is charged for a reply of an agent whose price is this row's.
fn charged(asked: &str, decoded: &Decoded) -> u64 {
    let pricing = Pricing::Known(table().find(asked).unwrap().price.clone());
    let model =
        decoded.result.as_ref().map_or_else(|failure| failure.model.as_deref(), |text| Some(&text.model));
    pricing.of(&decoded.usage.unwrap(), model).pico()
}

fn anthropic(model: &str, usage: &Value) -> String {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": model,
        "content": [{"type": "text", "text": "Yes."}], "stop_reason": "end_turn", "usage": usage})
    .to_string()
}

/// Usage as the object that each case changes: 100 plain, 1,000 read, 200 + 100 written, 50 out.
fn mixed(more: &Value) -> Value {
    let mut usage = json!({"input_tokens": 100, "cache_read_input_tokens": 1000,
        "cache_creation_input_tokens": 300,
        "cache_creation": {"ephemeral_5m_input_tokens": 200, "ephemeral_1h_input_tokens": 100},
        "output_tokens": 50, "output_tokens_details": {"thinking_tokens": 30},
        "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 2},
        "service_tier": "standard", "speed": "standard", "inference_geo": "global"});
    usage.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    usage
}

#[test]
fn anthropic_s_usage_costs_what_its_price_list_says() {
    let check = |model: &str, usage: Value, pico: u64| {
        let reply = decoded("anthropic", &anthropic(model, &usage));
        assert_eq!(charged(model, &reply), pico, "{model} {usage}");
    };
    let sonnet = "claude-sonnet-5-5"; // 2 in, 10 out, 0.10 read, 2.50 and 4 written
    // 100·2.0 + 1000·0.1 + 200·2.5 + 100·4.0 + 50·10 = 200 + 100 + 500 + 400 + 500; thinking is inside.
    check(sonnet, mixed(&json!({})), 1_700_000_000);
    // No split: 300·2.5 = 750 in place of 900.
    check(sonnet, mixed(&json!({"cache_creation": null})), 1_550_000_000);
    check(sonnet, mixed(&json!({"service_tier": "batch"})), 850_000_000);
    check(sonnet, mixed(&json!({"inference_geo": "us"})), 1_870_000_000);
    check(sonnet, mixed(&json!({"inference_geo": "us", "service_tier": "batch"})), 935_000_000);
    check(sonnet, mixed(&json!({"inference_geo": null})), 1_700_000_000);
    check(sonnet, mixed(&json!({"inference_geo": "not_available"})), 1_700_000_000);
    // Paid for in advance: no rates of its own.
    check(sonnet, mixed(&json!({"service_tier": "priority"})), 1_700_000_000);
    // Two searches at a cent; fetches are free, and no factor touches a search.
    let two = json!({"web_search_requests": 2, "web_fetch_requests": 9});
    check(sonnet, mixed(&json!({"server_tool_use": two})), 21_700_000_000);
    check(sonnet, mixed(&json!({"server_tool_use": two, "service_tier": "batch"})), 20_850_000_000);
    check(sonnet, mixed(&json!({"server_tool_use": two, "inference_geo": "us"})), 21_870_000_000);

    let opus = "claude-opus-5-5"; // 4 in, 20 out; fast: 8 in, 40 out
    let thought = json!({"input_tokens": 10, "output_tokens": 500,
        "output_tokens_details": {"thinking_tokens": 480}});
    check(opus, thought, 10_040_000_000); // 10·4 + 500·20
    let fast = json!({"input_tokens": 100, "output_tokens": 10, "service_tier": "standard", "speed": "fast"});
    check(opus, fast, 1_200_000_000); // 100·8 + 10·40
    let fast_us = json!({"input_tokens": 100, "output_tokens": 10, "speed": "fast", "inference_geo": "us",
        "server_tool_use": {"web_search_requests": 3}});
    check(opus, fast_us, 31_320_000_000); // 1.1·(100·8 + 10·40) + 3 cents

    let haiku = "claude-haiku-5-5"; // 0.10 in, 0.50 out, 0.01 read; above 100,000: five times
    let tokens = |input: u64, tier: &str| json!({"input_tokens": input, "cache_read_input_tokens": 60_000, "output_tokens": 10, "service_tier": tier});
    check(haiku, tokens(40_000, "standard"), 4_605_000_000); // 40,000·0.1 + 60,000·0.01 + 10·0.5
    check(haiku, tokens(40_001, "standard"), 23_025_500_000); // 40,001·0.5 + 60,000·0.05 + 10·2.5
    check(haiku, tokens(40_001, "batch"), 11_512_750_000); // half of it

    let long = json!({"input_tokens": 200_001, "output_tokens": 1});
    check("claude-sonnet-4-5", long, 1_200_028_500_000); // 200,001·6 + 22.5
}

fn chat(model: &str, tier: &Value, usage: &Value) -> String {
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}],
        "service_tier": tier, "usage": usage})
    .to_string()
}

fn prompt(tokens: u64, cached: u64, written: u64, completion: u64) -> Value {
    json!({"prompt_tokens": tokens, "completion_tokens": completion, "total_tokens": tokens + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": completion}})
}

#[test]
fn chat_completions_cost_what_openai_s_price_list_says() {
    let check = |model: &str, tier: Value, usage: Value, pico: u64| {
        let reply = decoded("openai", &chat(model, &tier, &usage));
        assert_eq!(charged(model, &reply), pico, "{model} {tier} {usage}");
    };
    // 2 in, 10 out, 0.1 cached, 2.5 written: 100·2 + 600·0.1 + 300·2.5 + 50·10 = 200 + 60 + 750 + 500.
    // Cached and written tokens are inside the prompt's, reasoning is inside the completion's.
    let (sol, mixed) = ("gpt-6.1-sol", || prompt(1000, 600, 300, 50));
    check(sol, json!("default"), mixed(), 1_510_000_000);
    check(sol, Value::Null, mixed(), 1_510_000_000);
    check(sol, json!("scale"), mixed(), 1_510_000_000);
    check(sol, json!("priority"), mixed(), 3_020_000_000); // twice
    check(sol, json!("fast"), mixed(), 3_020_000_000); // its other name
    check(sol, json!("flex"), mixed(), 755_000_000); // half
    check(sol, json!("ultrafast"), mixed(), 9_060_000_000); // six times
    // Above 272,000 input tokens the whole request: 4 in, 15 out, 0.2 cached.
    check(sol, json!("default"), prompt(272_000, 0, 0, 10), 544_100_000_000);
    check(sol, json!("default"), prompt(272_001, 1, 0, 10), 1_088_150_200_000);
    check(sol, json!("priority"), prompt(272_001, 0, 0, 10), 2_176_308_000_000); // 8 in, 30 out
    check(sol, json!("flex"), prompt(272_001, 0, 0, 10), 544_077_000_000); // 2 in, 7.5 out
    // 464·2.5 + 1,536·1.25 + 1·10; writes are not billed.
    check("gpt-4o-2024-08-06", json!("default"), prompt(2000, 1536, 0, 1), 3_090_000_000);
    check("gpt-4o", json!("priority"), prompt(2000, 1536, 0, 1), 5_253_000_000); // 4.25, 2.125, 17
    // Priority is not sold: 1,000·0.05 + 100·0.4.
    check("gpt-5-nano", json!("priority"), prompt(1000, 0, 0, 100), 90_000_000);
    // Priority is not sold for long requests: the dearer of 12.5 and 10.
    check("gpt-5.5", json!("priority"), prompt(272_001, 0, 0, 0), 3_400_012_500_000);
    // Flex is not, either: the dearer of 15 and 60.
    check("gpt-5.5-pro", json!("flex"), prompt(272_001, 0, 0, 0), 16_320_060_000_000);
}

#[test]
fn responses_cost_what_openai_s_price_list_says() {
    let check = |tier: &str, output: Value, usage: Value, pico: u64| {
        let body = json!({"id": "resp_1", "object": "response", "status": "completed", "model": "gpt-6.1-sol",
            "output": output, "service_tier": tier, "usage": usage});
        let reply = decoded("openai-responses", &body.to_string());
        assert_eq!(charged("gpt-6.1-sol", &reply), pico, "{body}");
    };
    let says = json!({"type": "message", "role": "assistant",
        "content": [{"type": "output_text", "text": "Yes.", "annotations": []}]});
    let usage = |details: Value| {
        json!({"input_tokens": 1000, "input_tokens_details": details, "output_tokens": 50,
            "output_tokens_details": {"reasoning_tokens": 40}, "total_tokens": 1050})
    };
    let cached = || json!({"cached_tokens": 600, "cache_write_tokens": 300});
    check("default", json!([says]), usage(cached()), 1_510_000_000);
    check("priority", json!([says]), usage(cached()), 3_020_000_000);
    check("flex", json!([says]), usage(cached()), 755_000_000);
    // 600·2 + 300·2.5 + 100·5 + 50·10: what is kept for twelve hours costs twice the input.
    let kept = json!({"cached_tokens": 0, "cache_write_tokens": 400,
        "cache_write_tokens_details": {"ttl_30m_tokens": 300, "ttl_12h_tokens": 100}});
    check("default", json!([says]), usage(kept), 2_950_000_000);
    // Of three calls two searched: two cents.
    let call = |action: &str| json!({"type": "web_search_call", "action": {"type": action}});
    let output = json!([call("search"), call("open_page"), call("search"), says]);
    check("default", output, usage(cached()), 21_510_000_000);
}

#[test]
fn a_stream_says_its_tier_where_it_likes() {
    let event = |event: &str, data: Value| format!("event: {event}\ndata: {data}\n\n");
    // Tier, speed and region come once, at the start; the counts are overwritten at the end.
    let start = json!({"type": "message_start", "message": {"model": "claude-opus-5-5", "content": [],
        "usage": {"input_tokens": 100, "output_tokens": 1, "speed": "fast", "inference_geo": "us",
            "service_tier": "standard"}}});
    let delta = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 10, "service_tier": "standard", "server_tool_use": {"web_search_requests": 3}}});
    let stream = event("message_start", start)
        + &event("message_delta", delta)
        + &event("message_stop", json!({"type": "message_stop"}));
    assert_eq!(charged("claude-opus-5-5", &decoded("anthropic", &stream)), 31_320_000_000);

    let chunk = |more: Value| {
        let mut chunk = json!({"object": "chat.completion.chunk", "model": "gpt-6.1-sol", "choices": []});
        chunk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        format!("data: {chunk}\n\n")
    };
    let words = json!([{"index": 0, "delta": {"content": "Yes."}, "finish_reason": "stop"}]);
    for [at_first, at_last] in [[json!("priority"), Value::Null], [json!("default"), json!("priority")]] {
        let stream = chunk(json!({"choices": words, "service_tier": at_first}))
            + &chunk(json!({"usage": prompt(1000, 600, 300, 50), "service_tier": at_last}))
            + "data: [DONE]\n\n";
        assert_eq!(charged("gpt-6.1-sol", &decoded("openai", &stream)), 3_020_000_000);
    }
}

#[test]
fn the_model_that_the_reply_names_is_charged() {
    let usage = json!({"input_tokens": 1000, "output_tokens": 10});
    let check = |asked: &str, answered: &str, pico: u64| {
        let reply = decoded("anthropic", &anthropic(answered, &usage));
        assert_eq!(charged(asked, &reply), pico, "{asked} by {answered}");
    };
    check("claude-sonnet-5-5", "claude-sonnet-5-5-20261001", 2_100_000_000); // 1,000·2 + 10·10
    check("claude-sonnet-5-5", "claude-opus-5-5", 4_200_000_000); // 1,000·4 + 10·20
    check("claude-opus-5-5", "claude-haiku-4-5-20251001", 1_050_000_000); // 1,000·1 + 10·5
    check("claude-sonnet-5-5", "some-router/some-model", 2_100_000_000);
    // A refusal is billed as what refused, too.
    let mut refusal: Value = serde_json::from_str(&anthropic("claude-opus-5-5", &usage)).unwrap();
    refusal["stop_reason"] = json!("refusal");
    let refused = decoded("anthropic", &refusal.to_string());
    assert_eq!(refused.result.as_ref().unwrap_err().class, Class::Refused);
    assert_eq!(charged("claude-sonnet-5-5", &refused), 4_200_000_000);
    // A price that a configuration states is the price.
    let stated = Pricing::Known(Price::flat("0.000001".parse().unwrap(), "0.000001".parse().unwrap()));
    assert_eq!(stated.of(&refused.usage.unwrap(), Some("claude-opus-5-5")).pico(), 1_010_000_000);
}

#[test]
fn only_openai_s_own_hosts_are_asked_for_the_standard_tier() {
    let request =
        Request { model: "gpt-6.1-sol".into(), prompt: "Hi".into(), max_tokens: 20, ..Request::default() };
    for dialect in [&OpenAiChat as &dyn Dialect, &OpenAiResponses] {
        let check = |host: &str, expected: Value| {
            let encoded = dialect.encode(&request, &dialect.variant_at(host));
            let body: Value = serde_json::from_slice(&encoded.body).unwrap();
            assert_eq!(body["service_tier"], expected, "{dialect:?} at {host}");
            assert_eq!(
                dialect.read(&encoded.headers, &encoded.body).as_ref(),
                Ok(&request),
                "{dialect:?} at {host}"
            );
        };
        check("api.openai.com", json!("default"));
        check("eu.api.openai.com", json!("default"));
        check("openai.example.com", Value::Null);
        check("127.0.0.1", Value::Null);
    }
    assert_eq!(OpenAiResponses.variant_at("127.0.0.1").bound, AnswerBound::MaxCompletionTokens);
    assert_eq!(
        decoded("openai", &chat("m", &json!("flex"), &prompt(9, 0, 0, 1))).usage.unwrap().tier,
        Tier::Flex
    );
}
