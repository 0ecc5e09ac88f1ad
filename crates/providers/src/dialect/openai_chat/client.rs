//! The client's half: requests out, replies in.

use serde_json::{Value, json};
use sortie_core::run::event::Finish;

use super::super::openai::{self, FORMAT_NAME, disjoint, is_reasoning};
use super::super::reply::{Answer, Spoken, token_count};
use super::super::turns::{json_headers, text_of};
use super::super::{AnswerBound, Encoded, Request, Shape, Variant};
use super::kept;

pub(super) fn encode(request: &Request, variant: &Variant) -> Encoded {
    let mut turns = Vec::new();
    if let Some(system) = &request.system {
        turns.push(json!({"role": "system", "content": system}));
    }
    turns.push(json!({"role": "user", "content": request.prompt}));
    let mut body = json!({"model": request.model, "messages": turns, "stream": request.stream});
    let bound = match variant.bound {
        AnswerBound::MaxTokens if !is_reasoning(&request.model) => "max_tokens",
        AnswerBound::MaxTokens | AnswerBound::MaxCompletionTokens => "max_completion_tokens",
    };
    body[bound] = json!(request.max_tokens);
    if request.stream {
        // Without it a stream says nothing of what it used.
        body["stream_options"] = json!({"include_usage": true});
    }
    if let Some(temperature) = request.temperature {
        body["temperature"] = json!(temperature);
    }
    openai::pin_tier(&mut body, variant);
    if let Some(name) = &request.kept_as {
        kept::keep(&mut body, name);
    }
    match &request.shape {
        Shape::Text => (),
        Shape::Json(schema) => {
            let named = json!({"name": FORMAT_NAME, "schema": schema, "strict": openai::is_strict(schema)});
            body["response_format"] = json!({"type": "json_schema", "json_schema": named});
        }
        Shape::Tool { name, schema } => {
            let function = json!({"name": name, "parameters": schema, "strict": openai::is_strict(schema)});
            body["tools"] = json!([{"type": "function", "function": function}]);
            body["tool_choice"] = json!({"type": "function", "function": {"name": name}});
        }
    }
    Encoded { path: "/chat/completions", headers: json_headers(), body: body.to_string().into() }
}

/// What the API's replies mean.
pub(super) struct ChatCompletions;

impl Spoken for ChatCompletions {
    /// A chunk. The last one with a choice makes the answer whole; usage and `[DONE]` come after it.
    fn event(payload: &Value, answer: &mut Answer) {
        take_frame(payload, answer);
        // We ask for one choice; the usage chunk has none.
        let choice = &payload["choices"][0];
        take_words(&choice["delta"], answer);
        take_finish(choice, answer);
        answer.is_whole = answer.finish.is_some();
    }

    fn whole(reply: &Value, answer: &mut Answer) {
        take_frame(reply, answer);
        let choice = &reply["choices"][0];
        let message = &choice["message"];
        take_words(message, answer);
        take_finish(choice, answer);
        answer.is_whole = true;
        // A null content is an empty answer: all its tokens went into reasoning, or it is a refusal.
        if message.get("content").is_none() && answer.refused.is_none() {
            answer.malformed("the reply has no content");
        }
        if answer.finish.is_none() {
            answer.malformed("the reply does not say why it stopped");
        }
    }
}

/// What a chunk and a whole reply both have around the choice.
fn take_frame(reply: &Value, answer: &mut Answer) {
    if let Some(model) = reply["model"].as_str() {
        model.clone_into(&mut answer.model);
    }
    answer.tier = openai::tier(reply).unwrap_or(answer.tier);
    let reported = &reply["usage"];
    if let (Some(prompt), Some(completion)) =
        (token_count(&reported["prompt_tokens"]), token_count(&reported["completion_tokens"]))
    {
        answer.usage = Some(disjoint(prompt, completion, &reported["prompt_tokens_details"]));
        answer.usage_is_final = true;
    }
    if let Some(usage) = &mut answer.usage {
        usage.tier = answer.tier;
    }
}

/// The words of a delta or a message.
fn take_words(from: &Value, answer: &mut Answer) {
    if let Some(text) = text_of(&from["content"]) {
        answer.add_text(&text);
    }
    // Reasoning, as DeepSeek, vLLM and llama.cpp call it, and as OpenRouter does.
    for field in ["reasoning_content", "reasoning"] {
        answer.add_other(from[field].as_str().unwrap_or_default());
    }
    if let Some(refusal) = from["refusal"].as_str().filter(|refusal| !refusal.is_empty()) {
        answer.add_other(refusal);
        answer.refused.get_or_insert_default().push_str(refusal);
    }
}

fn take_finish(choice: &Value, answer: &mut Answer) {
    let Some(reason) = choice["finish_reason"].as_str() else { return };
    answer.finish = Some(match reason {
        "stop" => Finish::Stop,
        "length" => Finish::MaxTokens,
        other => Finish::Other(other.to_owned()),
    });
    if reason == "content_filter" {
        answer.refused.get_or_insert_with(|| "the provider's content filter took the answer".to_owned());
    }
}
