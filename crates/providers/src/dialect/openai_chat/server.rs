//! The server's half, replies out; errors and headers are those of all of OpenAI's APIs. Requests are read in `reading`.

use bytes::Bytes;
use serde_json::{Value, json};
use sortie_core::run::event::Finish;

use super::super::openai::tools::{calls_custom, cut, with_inputs};
use super::super::openai::{self, logprobs::Logprobs, padding::Padding};
use super::super::{Frames, ServerAnswer};
use super::tools;

/// The backend that all answers claim to come from; clients compare it to tell changes of it.
const FINGERPRINT: &str = "fp_sim";

/// Why it stops; a stop sequence is no reason of its own here.
fn finish_reason(answer: &ServerAnswer, is_as_before: bool) -> &str {
    match &answer.finish {
        Finish::Stop if answer.tool.is_some() && is_as_before => "function_call",
        Finish::Stop if answer.tool.is_some() => "tool_calls",
        Finish::Stop => "stop",
        Finish::MaxTokens => "length",
        Finish::Other(word) => word,
    }
}

/// The inclusive counts, cached tokens inside the prompt's and reasoning inside the completion's,
/// with every field that the official SDKs know (their `types/completion_usage.py`).
fn usage_of(answer: &ServerAnswer) -> Value {
    let usage = &answer.usage;
    let prompt = usage.total_input();
    let reasoning = answer.besides.thinking.as_ref().map_or(0, |thinking| thinking.tokens);
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": usage.output,
        "total_tokens": prompt + usage.output,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
            "audio_tokens": 0,
            "image_tokens": 0,
            "text_tokens": prompt,
        },
        "completion_tokens_details": {
            "reasoning_tokens": reasoning.min(usage.output),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
            "text_tokens": usage.output.saturating_sub(reasoning),
        },
    })
}

/// What a reply and each of its chunks have in common.
fn envelope(answer: &ServerAnswer, object: &str, choices: &[Value]) -> Value {
    json!({
        "id": format!("chatcmpl-{}", answer.id),
        "object": object,
        "created": answer.created,
        "model": answer.model,
        "choices": choices,
        "service_tier": openai::tier_name(answer.besides.tier),
        "system_fingerprint": FINGERPRINT,
    })
}

/// The texts of all choices, the first one first.
fn texts(answer: &ServerAnswer) -> impl Iterator<Item = &str> {
    std::iter::once(answer.text.as_str()).chain(answer.besides.others.iter().map(String::as_str))
}

/// A call of the tool by the choice of this index.
fn call_id(answer: &ServerAnswer, choice: usize) -> String {
    match choice {
        0 => format!("call_{}", answer.id),
        n => format!("call_{}{n}", answer.id),
    }
}

/// How likely the tokens of a choice's text were, if that is asked; a call's input has none.
fn logprobs_of(logprobs: Option<&Logprobs>, answer: &ServerAnswer, text: &str) -> Value {
    let content = answer.tool.is_none().then_some(text);
    match logprobs {
        None => Value::Null,
        Some(told) => json!({"content": content.map(|text| told.tokens(text)), "refusal": null}),
    }
}

pub(super) fn body(answer: &ServerAnswer, asked: &[u8]) -> Bytes {
    let asked: Value = serde_json::from_slice(asked).unwrap_or_default();
    let is_custom = calls_custom(answer, &asked);
    let answer = &if is_custom { with_inputs(answer) } else { answer.clone() };
    let logprobs = Logprobs::of_chat(&asked, &answer.id);
    let is_as_before = tools::is_as_before(&asked);
    let choice = |(index, text): (usize, &str)| {
        let mut message = json!({"role": "assistant", "content": text, "refusal": null, "annotations": []});
        if let Some(name) = &answer.tool {
            let function = json!({"name": name, "arguments": text});
            message["content"] = Value::Null;
            if is_as_before {
                message["function_call"] = function;
            } else if is_custom {
                let custom = json!({"name": name, "input": text});
                message["tool_calls"] =
                    json!([{"id": call_id(answer, index), "type": "custom", "custom": custom}]);
            } else {
                message["tool_calls"] =
                    json!([{"id": call_id(answer, index), "type": "function", "function": function}]);
            }
        }
        let finish = finish_reason(answer, is_as_before);
        let logprobs = logprobs_of(logprobs.as_ref(), answer, text);
        json!({"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish})
    };
    let choices: Vec<Value> = texts(answer).enumerate().map(choice).collect();
    let mut body = envelope(answer, "chat.completion", &choices);
    body["usage"] = usage_of(answer);
    if asked["store"] == true {
        body["metadata"] = match &asked["metadata"] {
            Value::Null => json!({}),
            metadata => metadata.clone(),
        };
    }
    body.to_string().into()
}

/// An event; this API's have no names.
pub(super) fn event(payload: &Value) -> String {
    format!("data: {payload}\n\n")
}

/// Writes the chunks of one stream.
struct Chunks<'a> {
    answer: &'a ServerAnswer,
    with_usage: bool,
    /// Whether a call is told as before there were tools.
    is_as_before: bool,
    /// Whether a custom tool is called.
    is_custom: bool,
    padding: Padding,
    logprobs: Option<Logprobs>,
}

impl Chunks<'_> {
    fn chunk(&self, choices: &[Value], usage: Value) -> Value {
        let mut chunk = envelope(self.answer, "chat.completion.chunk", choices);
        if self.with_usage {
            // Null on all but the last.
            chunk["usage"] = usage;
        }
        chunk
    }

    /// A chunk of one choice, which says `text`.
    fn choice(&self, index: usize, delta: &Value, text: &str, finish: Option<&str>) -> String {
        let told = self.logprobs.as_ref().filter(|_| !text.is_empty() && self.answer.tool.is_none());
        let logprobs = logprobs_of(told, self.answer, text);
        let choice = json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish});
        let mut chunk = self.chunk(&[choice], Value::Null);
        self.padding.pad(&mut chunk, text);
        event(&chunk)
    }

    /// The first chunk of a choice: its role, and the tool's name where it calls one.
    fn opening(&self, index: usize) -> String {
        let mut delta = json!({"role": "assistant", "content": "", "refusal": null});
        if let Some(name) = &self.answer.tool {
            let function = json!({"name": name, "arguments": ""});
            let id = call_id(self.answer, index);
            delta["content"] = Value::Null;
            if self.is_as_before {
                delta["function_call"] = function;
            } else if self.is_custom {
                let custom = json!({"name": name, "input": ""});
                delta["tool_calls"] = json!([{"index": 0, "id": id, "type": "custom", "custom": custom}]);
            } else {
                delta["tool_calls"] =
                    json!([{"index": 0, "id": id, "type": "function", "function": function}]);
            }
        }
        self.choice(index, &delta, "", None)
    }

    fn piece(&self, index: usize, text: &str) -> String {
        let delta = match self.answer.tool {
            Some(_) if self.is_as_before => json!({"function_call": {"arguments": text}}),
            Some(_) if self.is_custom => json!({"tool_calls": [{"index": 0, "custom": {"input": text}}]}),
            Some(_) => json!({"tool_calls": [{"index": 0, "function": {"arguments": text}}]}),
            None => json!({"content": text}),
        };
        self.choice(index, &delta, text, None)
    }
}

pub(super) fn frames(answer: &ServerAnswer, pieces: &[&str], body: &[u8]) -> Frames {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let is_custom = calls_custom(answer, &asked);
    let answer = &if is_custom { with_inputs(answer) } else { answer.clone() };
    let own = cut(&answer.text, pieces.len());
    let pieces = if is_custom { own.as_slice() } else { pieces };
    let with_usage = asked["stream_options"]["include_usage"] == true;
    let (padding, logprobs) = (Padding::of(&asked, &answer.id), Logprobs::of_chat(&asked, &answer.id));
    let is_as_before = tools::is_as_before(&asked);
    let chunks = Chunks { answer, with_usage, is_as_before, is_custom, padding, logprobs };
    let choices = 0..1 + answer.besides.others.len();
    let others: Vec<Vec<&str>> = answer.besides.others.iter().map(|text| cut(text, pieces.len())).collect();
    // Choices are generated side by side.
    let piece = |(at, text): (usize, &&str)| {
        let mut bytes = chunks.piece(0, text);
        for (other, texts) in others.iter().enumerate().filter(|(_, texts)| !texts[at].is_empty()) {
            bytes += &chunks.piece(other + 1, texts[at]);
        }
        Bytes::from(bytes)
    };
    let finish = Some(finish_reason(answer, is_as_before));
    let mut closing: String =
        choices.clone().map(|index| chunks.choice(index, &json!({}), "", finish)).collect();
    if with_usage {
        closing += &event(&chunks.chunk(&[], usage_of(answer)));
    }
    closing += "data: [DONE]\n\n";
    Frames {
        opening: choices.map(|index| chunks.opening(index)).collect::<String>().into(),
        pieces: pieces.iter().enumerate().map(piece).collect(),
        // The finish reason makes it whole, and nothing of the closing comes before that.
        terminator: closing.len(),
        closing: closing.into(),
    }
}
