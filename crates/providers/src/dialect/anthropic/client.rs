//! The client's half: requests out, replies in.

use http::HeaderMap;
use serde_json::{Value, json};
use sortie_core::run::event::Finish;
use sortie_core::usage::{Region, Tier, Usage};

use super::super::reply::{Answer, Spoken, token_count};
use super::super::turns::{header_value, json_headers};
use super::super::{Encoded, Request, Shape, Variant};
use super::{V2023, V2026, VERSION, schemas};

pub(super) fn headers(variant: &Variant) -> HeaderMap {
    let mut headers = json_headers();
    headers.insert(VERSION, header_value(variant.version.as_deref().unwrap_or(V2023)));
    headers
}

pub(super) fn encode(request: &Request, variant: &Variant) -> Encoded {
    let mut body = json!({
        "model": request.model,
        "max_tokens": request.max_tokens,
        "messages": [{"role": "user", "content": request.prompt}],
        "stream": request.stream,
    });
    if let Some(system) = &request.system {
        body["system"] = json!(system);
    }
    // The configuration's check refuses the combination; a request with it could only fail.
    if let Some(temperature) = request.temperature
        && variant.version.as_deref() != Some(V2026)
    {
        body["temperature"] = json!(temperature);
    }
    match &request.shape {
        Shape::Text => (),
        Shape::Json(schema) => {
            body["output_config"] =
                json!({"format": {"type": "json_schema", "schema": schemas::loosened(schema)}});
        }
        Shape::Tool { name, schema } => {
            body["tools"] = json!([{"name": name, "input_schema": schema}]);
            body["tool_choice"] = json!({"type": "tool", "name": name});
        }
    }
    Encoded { path: "/v1/messages", headers: headers(variant), body: body.to_string().into() }
}

/// The same request as `POST /v1/messages/count_tokens` takes it: without what only an answer needs
/// (official SDKs' `types/message_count_tokens_params.py`).
pub(super) fn encode_count(request: &Request, variant: &Variant) -> Encoded {
    let mut body = json!({
        "model": request.model,
        "messages": [{"role": "user", "content": request.prompt}],
    });
    if let Some(system) = &request.system {
        body["system"] = json!(system);
    }
    Encoded { path: "/v1/messages/count_tokens", headers: headers(variant), body: body.to_string().into() }
}

/// `{"input_tokens": 14}`.
pub(super) fn read_count(body: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Value>(body).ok()?["input_tokens"].as_u64()
}

/// What the API's replies mean.
pub(super) struct Messages;

impl Spoken for Messages {
    fn event(payload: &Value, answer: &mut Answer) {
        match payload["type"].as_str().unwrap_or_default() {
            // llama.cpp leaves it out where the first token is a part of a character.
            "message_start" => {
                let message = &payload["message"];
                name_model(message, answer);
                take_usage(&message["usage"], answer);
            }
            "content_block_start" => take_block(&payload["content_block"], answer),
            "content_block_delta" => take_delta(&payload["delta"], answer),
            "message_delta" => {
                take_stop(&payload["delta"], answer);
                take_usage(&payload["usage"], answer);
                // The first count, in `message_start`, is a token or so; this one is billed.
                answer.usage_is_final = payload["usage"]["output_tokens"].is_u64() && knows_input(answer);
            }
            "message_stop" => {
                answer.is_whole = true;
                answer.is_done = true;
            }
            // Pings, ends of blocks, and whatever will be added.
            _ => (),
        }
    }

    fn whole(reply: &Value, answer: &mut Answer) {
        name_model(reply, answer);
        take_usage(&reply["usage"], answer);
        answer.usage_is_final = reply["usage"]["output_tokens"].is_u64() && knows_input(answer);
        take_stop(reply, answer);
        answer.is_whole = true;
        match reply["content"].as_array() {
            Some(blocks) => blocks.iter().for_each(|block| take_block(block, answer)),
            None => answer.malformed("the reply has no content"),
        }
        if answer.finish.is_none() {
            answer.malformed("the reply does not say why it stopped");
        }
    }
}

fn name_model(message: &Value, answer: &mut Answer) {
    if let Some(model) = message["model"].as_str() {
        model.clone_into(&mut answer.model);
    }
}

/// A block with all that it begins with; thinking is billed and is not text.
fn take_block(block: &Value, answer: &mut Answer) {
    match block["type"].as_str() {
        Some("text") => answer.add_text(block["text"].as_str().unwrap_or_default()),
        Some("thinking") => answer.add_other(block["thinking"].as_str().unwrap_or_default()),
        Some("redacted_thinking") => answer.add_other(block["data"].as_str().unwrap_or_default()),
        _ => (),
    }
}

fn take_delta(delta: &Value, answer: &mut Answer) {
    match delta["type"].as_str() {
        Some("text_delta") => answer.add_text(delta["text"].as_str().unwrap_or_default()),
        Some("thinking_delta") => answer.add_other(delta["thinking"].as_str().unwrap_or_default()),
        Some("input_json_delta") => answer.add_other(delta["partial_json"].as_str().unwrap_or_default()),
        // Signatures and citations are not generated.
        _ => (),
    }
}

/// Why it stopped, from a message or a `message_delta`.
///
/// An answer that the context window cut is as usable as one that `max_tokens` cut, and succeeds as
/// that does; it keeps the provider's word, because a larger `max_tokens` would not help it.
fn take_stop(from: &Value, answer: &mut Answer) {
    let Some(reason) = from["stop_reason"].as_str() else { return };
    answer.finish = Some(match reason {
        "end_turn" | "stop_sequence" => Finish::Stop,
        "max_tokens" => Finish::MaxTokens,
        other => Finish::Other(other.to_owned()),
    });
    if reason == "refusal" {
        let explanation = from["stop_details"]["explanation"].as_str();
        answer.refused = Some(explanation.unwrap_or("the model refused").to_owned());
    }
}

/// Overwrites what is reported: counts inside a stream are cumulative. The three kinds of input are
/// disjoint. Cache writes without their split are of the five-minute kind: the hour-long one is only
/// written where a request asks for it, which we never do.
fn take_usage(reported: &Value, answer: &mut Answer) {
    if !reported.is_object() {
        return;
    }
    let count = |field: &str| token_count(&reported[field]);
    let usage = answer.usage.get_or_insert(Usage::default());
    usage.input = count("input_tokens").unwrap_or(usage.input);
    usage.cache_read = count("cache_read_input_tokens").unwrap_or(usage.cache_read);
    usage.output = count("output_tokens").unwrap_or(usage.output);
    if let Some(written) = count("cache_creation_input_tokens") {
        let split = &reported["cache_creation"];
        let hour = token_count(&split["ephemeral_1h_input_tokens"]);
        let kept = usage.cache_write_1h.min(written);
        usage.cache_write_1h = hour.unwrap_or(kept).min(written);
        usage.cache_write = written - usage.cache_write_1h;
    }
    let searches = &reported["server_tool_use"]["web_search_requests"];
    usage.web_searches = token_count(searches).unwrap_or(usage.web_searches);
    take_manner(reported, usage);
}

/// How and where it was served, as far as this object says; of speed and tier, the speed decides.
fn take_manner(reported: &Value, usage: &mut Usage) {
    let is_fast = reported["speed"].as_str().map_or(usage.tier == Tier::Fast, |speed| speed == "fast");
    usage.tier = match reported["service_tier"].as_str() {
        _ if is_fast => Tier::Fast,
        Some("batch") => Tier::Batch,
        Some("priority") => Tier::Priority,
        Some(_) => Tier::Standard,
        None => usage.tier,
    };
    if let Some(geo) = reported["inference_geo"].as_str() {
        usage.region = match geo {
            "" | "global" | "not_available" => Region::Any,
            _ => Region::Named,
        };
    }
}

/// Whether the input is known: every request has some, so that all zeros mean that nobody said.
fn knows_input(answer: &Answer) -> bool {
    answer.usage.is_some_and(|usage| usage.total_input() > 0)
}
