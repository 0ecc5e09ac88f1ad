//! The server's half, replies out: a response object, whole or told by events in the documented
//! order. Errors and headers are those of all of OpenAI's APIs. Requests are read in `reading`.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use sortie_core::run::event::Finish;

use super::super::openai::tools::{calls_custom, cut, with_inputs};
use super::super::openai::{self, logprobs::Logprobs, padding::Padding};
use super::super::{Frames, ServerAnswer, WireError};

/// Events before the first token: created, in progress, item added.
const OPENING: usize = 3;
/// Those that a thought before it has: added, and done at once, for nothing of it is shown.
const OF_THOUGHT: usize = 2;

/// What a request includes to be given what was thought, encrypted.
const ENCRYPTED: &str = "reasoning.encrypted_content";

/// What a response repeats of its request, and what that is where it does not say.
fn echoed(asked: &Value) -> Map<String, Value> {
    let unless_said = [
        ("background", json!(false)),
        ("instructions", Value::Null),
        ("max_output_tokens", Value::Null),
        ("max_tool_calls", Value::Null),
        ("metadata", json!({})),
        ("parallel_tool_calls", json!(true)),
        ("previous_response_id", Value::Null),
        ("prompt_cache_key", Value::Null),
        ("reasoning", json!({"effort": null, "summary": null})),
        ("safety_identifier", Value::Null),
        ("store", json!(true)),
        ("temperature", json!(1.0)),
        ("text", json!({"format": {"type": "text"}, "verbosity": "medium"})),
        ("tool_choice", json!("auto")),
        ("tools", json!([])),
        ("top_logprobs", json!(0)),
        ("top_p", json!(1.0)),
        ("truncation", json!("disabled")),
        ("user", Value::Null),
    ];
    let said = |(name, otherwise): (&str, Value)| {
        let value = asked.get(name).filter(|value| !value.is_null()).cloned().unwrap_or(otherwise);
        (name.to_owned(), value)
    };
    unless_said.into_iter().map(said).collect()
}

/// How it ends: its status, and why it is incomplete. A call is complete when its input is, whatever
/// the provider's word for that.
fn ending(answer: &ServerAnswer) -> (&'static str, Option<&str>) {
    match &answer.finish {
        Finish::MaxTokens => ("incomplete", Some("max_output_tokens")),
        Finish::Other(reason) if answer.tool.is_none() => ("incomplete", Some(reason)),
        Finish::Stop | Finish::Other(_) => ("completed", None),
    }
}

/// The inclusive counts, with all the details that the newest SDK requires.
fn usage_of(answer: &ServerAnswer) -> Value {
    let usage = &answer.usage;
    let reasoning = answer.besides.thinking.as_ref().map_or(0, |thinking| thinking.tokens);
    let (input, written) = (usage.total_input(), usage.cache_write + usage.cache_write_1h);
    json!({
        "input_tokens": input,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": written,
            "cache_write_tokens_details": {"ttl_30m_tokens": written, "ttl_12h_tokens": 0},
        },
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": reasoning.min(usage.output)},
        "total_tokens": input + usage.output,
    })
}

fn text_part(text: &str, logprobs: &[Value]) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs})
}

/// What the model thought, as the first item of the output; its words are not told.
fn thought(answer: &ServerAnswer, asked: &Value) -> Option<Value> {
    answer.besides.thinking.as_ref().filter(|thinking| thinking.tokens > 0)?;
    let mut item = json!({"id": format!("rs_{}", answer.id), "type": "reasoning", "summary": []});
    if asked["include"].as_array().is_some_and(|included| included.iter().any(|one| one == ENCRYPTED)) {
        item["encrypted_content"] = json!(format!("gAAAAA{}", answer.id));
    }
    Some(item)
}

/// The last item of the output: a call of a tool, or a message with these parts.
fn item((answer, is_custom): (&ServerAnswer, bool), status: &str, arguments: &str, parts: &[Value]) -> Value {
    let id = item_id(answer, is_custom);
    match &answer.tool {
        Some(name) if is_custom => json!({
            "id": id, "type": "custom_tool_call", "status": status, "name": name, "input": arguments,
            "call_id": format!("call_{}", answer.id),
        }),
        Some(name) => json!({
            "id": id, "type": "function_call", "status": status, "name": name, "arguments": arguments,
            "call_id": format!("call_{}", answer.id),
        }),
        None => json!({
            "id": id, "type": "message", "status": status, "role": "assistant", "content": parts,
        }),
    }
}

fn item_id(answer: &ServerAnswer, is_custom: bool) -> String {
    let kind = match answer.tool {
        Some(_) if is_custom => "ctc",
        Some(_) => "fc",
        None => "msg",
    };
    format!("{kind}_{}", answer.id)
}

/// The item as it is at the end.
fn whole_item((answer, is_custom): (&ServerAnswer, bool), logprobs: &[Value]) -> Value {
    item((answer, is_custom), ending(answer).0, &answer.text, &[text_part(&answer.text, logprobs)])
}

/// The response at its start.
fn begun(answer: &ServerAnswer, asked: &Value) -> Value {
    let mut response = Value::Object(echoed(asked));
    response["id"] = json!(format!("resp_{}", answer.id));
    response["object"] = json!("response");
    response["created_at"] = json!(answer.created);
    response["model"] = json!(answer.model);
    response["status"] = json!("in_progress");
    response["output"] = json!([]);
    response["service_tier"] = json!(openai::tier_name(answer.besides.tier));
    for nothing in ["error", "incomplete_details", "usage"] {
        response[nothing] = Value::Null;
    }
    response
}

/// The response at its end.
fn ended(answer: &ServerAnswer, asked: &Value, logprobs: &[Value]) -> Value {
    let (status, reason) = ending(answer);
    let mut response = begun(answer, asked);
    response["status"] = json!(status);
    response["incomplete_details"] = reason.map_or(Value::Null, |reason| json!({"reason": reason}));
    let said = std::iter::once(whole_item((answer, calls_custom(answer, asked)), logprobs));
    response["output"] = thought(answer, asked).into_iter().chain(said).collect();
    response["usage"] = usage_of(answer);
    response
}

pub(super) fn body(answer: &ServerAnswer, asked: &[u8]) -> Bytes {
    let asked: Value = serde_json::from_slice(asked).unwrap_or_default();
    let answer = &if calls_custom(answer, &asked) { with_inputs(answer) } else { answer.clone() };
    let logprobs = Logprobs::of_response(&asked, &answer.id);
    let logprobs = logprobs.map_or_else(Vec::new, |told| told.tokens(&answer.text));
    ended(answer, &asked, &logprobs).to_string().into()
}

/// An event; its name stands both before and inside the payload.
fn event(number: usize, name: &str, mut payload: Value) -> String {
    payload["type"] = json!(name);
    payload["sequence_number"] = json!(number);
    format!("event: {name}\ndata: {payload}\n\n")
}

/// An error in mid-stream, after this many events.
pub(super) fn error_event(error: &WireError, events: usize) -> String {
    let code = error.code.as_ref().unwrap_or(&error.kind);
    event(events, "error", json!({"code": code, "message": error.message, "param": error.param}))
}

/// Writes the events of one stream.
struct Events<'a> {
    answer: &'a ServerAnswer,
    asked: Value,
    /// Whether a custom tool is called.
    is_custom: bool,
    /// The id of the last item.
    item: String,
    /// What was thought before it.
    thought: Option<Value>,
    padding: Padding,
}

impl Events<'_> {
    /// Which item of the output the last one is.
    fn index(&self) -> usize {
        usize::from(self.thought.is_some())
    }

    /// Events before the first token.
    fn first(&self) -> usize {
        OPENING + OF_THOUGHT * self.index() + usize::from(self.answer.tool.is_none())
    }

    /// Where in the output something stands: in the only part, if it has parts, of the last item.
    fn place(&self, mut payload: Value) -> Value {
        payload["item_id"] = json!(self.item);
        payload["output_index"] = json!(self.index());
        if self.answer.tool.is_none() {
            payload["content_index"] = json!(0);
        }
        payload
    }

    /// What comes before the first token.
    fn opening(&self) -> String {
        let start = begun(self.answer, &self.asked);
        let added = item((self.answer, self.is_custom), "in_progress", "", &[]);
        let thought = self.thought.iter().map(|item| json!({"output_index": 0, "item": item}));
        let mut events = vec![
            ("response.created", json!({"response": start})),
            ("response.in_progress", json!({"response": start})),
        ];
        for payload in thought {
            events.push(("response.output_item.added", payload.clone()));
            events.push(("response.output_item.done", payload));
        }
        events.push(("response.output_item.added", json!({"output_index": self.index(), "item": added})));
        if self.answer.tool.is_none() {
            let part = self.place(json!({"part": text_part("", &[])}));
            events.push(("response.content_part.added", part));
        }
        let numbered = events.into_iter().enumerate();
        numbered.map(|(number, (name, payload))| event(number, name, payload)).collect()
    }

    fn delta(&self, number: usize, text: &str, logprobs: &[Value]) -> String {
        let (name, said) = match self.answer.tool {
            Some(_) if self.is_custom => ("response.custom_tool_call_input.delta", json!({"delta": text})),
            Some(_) => ("response.function_call_arguments.delta", json!({"delta": text})),
            None => ("response.output_text.delta", json!({"delta": text, "logprobs": logprobs})),
        };
        let mut payload = self.place(said);
        self.padding.pad(&mut payload, text);
        event(number, name, payload)
    }

    /// What follows the last token, and that of it which makes the answer whole.
    fn closing(&self, mut number: usize, logprobs: &[Value]) -> (String, String) {
        let answer = self.answer;
        let mut next = |name: &str, payload: Value| {
            number += 1;
            event(number - 1, name, payload)
        };
        let mut closing = if self.is_custom {
            next("response.custom_tool_call_input.done", self.place(json!({"input": answer.text})))
        } else if answer.tool.is_some() {
            let payload = json!({"name": answer.tool, "arguments": answer.text});
            next("response.function_call_arguments.done", self.place(payload))
        } else {
            let text = self.place(json!({"text": answer.text, "logprobs": logprobs}));
            let part = self.place(json!({"part": text_part(&answer.text, logprobs)}));
            next("response.output_text.done", text) + &next("response.content_part.done", part)
        };
        let done =
            json!({"output_index": self.index(), "item": whole_item((answer, self.is_custom), logprobs)});
        closing += &next("response.output_item.done", done);
        let last = format!("response.{}", ending(answer).0);
        let terminator = next(&last, json!({"response": ended(answer, &self.asked, logprobs)}));
        (closing, terminator)
    }
}

pub(super) fn frames(answer: &ServerAnswer, pieces: &[&str], body: &[u8]) -> Frames {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let is_custom = calls_custom(answer, &asked);
    let answer = &if is_custom { with_inputs(answer) } else { answer.clone() };
    let own = cut(&answer.text, pieces.len());
    let pieces = if is_custom { own.as_slice() } else { pieces };
    let told = Logprobs::of_response(&asked, &answer.id).filter(|_| answer.tool.is_none());
    let logprobs: Vec<Vec<Value>> =
        pieces.iter().map(|text| told.as_ref().map_or_else(Vec::new, |told| told.tokens(text))).collect();
    let padding = Padding::of(&asked, &answer.id);
    let thought = thought(answer, &asked);
    let events = Events { answer, asked, is_custom, item: item_id(answer, is_custom), thought, padding };
    let first = events.first();
    let deltas = (first..).zip(pieces).zip(&logprobs);
    // What is told at the end is what the pieces told.
    let (closing, terminator) = events.closing(first + pieces.len(), &logprobs.concat());
    Frames {
        opening: events.opening().into(),
        pieces: deltas.map(|((number, text), told)| events.delta(number, text, told).into()).collect(),
        terminator: terminator.len(),
        closing: (closing + &terminator).into(),
    }
}
