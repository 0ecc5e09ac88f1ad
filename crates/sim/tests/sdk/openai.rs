//! What OpenAI's SDKs have to make of the simulator's replies: measured against the SDKs named
//! here, or read in their sources (their `_base_client.py` and `client.mjs` for retries and waits).

mod faults;

use serde_json::json;

use super::table::{Column, Row, row};

pub(crate) const PYTHON_1: Column = 0;
pub(crate) const PYTHON_2: Column = 1;
pub(crate) const PYTHON_3: Column = 2;
pub(crate) const JAVASCRIPT: Column = 3;

/// What the simulator does not do yet.
pub(crate) const PENDING: &[&str] = &[];

/// Asked where the shape of the answer matters and not its words.
const QUESTION: &str = "What is the weather?";

/// An answer in several pieces.
const LONG: &str = "[[sim output_tokens=60]]";

const HELLO: &str = "Hello [stop]";
const TOOL: &str = "get_weather(weather) [tool_calls]";
const WEATHER: &str = "weather [stop]";

pub(crate) fn rows() -> Vec<Row> {
    [answers(), responses(), endpoints(), kept(), parameters(), faults::rows()]
        .into_iter()
        .flatten()
        .collect()
}

fn answers() -> Vec<Row> {
    vec![
        row("a completion", "create", HELLO).requests(1),
        row("a streamed completion", "stream", HELLO).requests(1),
        row("the chunks of a stream", "events", "role text+ stop").prompt(LONG),
        row("the chunks of a stream with usage", "events_usage", "role text+ stop usage").prompt(LONG),
        row("an answer at its limit", "create", "Hello to [length]")
            .prompt("[[sim text=\"Hello to all of them\"]]")
            .extra(json!({ "max_completion_tokens": 2 })),
        row("a stop sequence", "create", HELLO)
            .prompt("[[sim text=\"Hello. And more.\"]]")
            .extra(json!({ "model": "gpt-4o", "stop": ["."] })),
        row("a stop sequence at a reasoning model", "create", "BadRequestError 400 unsupported_parameter")
            .extra(json!({ "stop": ["."] }))
            .requests(1),
        row("two choices", "create", "Hello [stop] Hello [stop]").extra(json!({ "n": 2 })),
        row("a tool call", "tool", TOOL).prompt(QUESTION),
        row("a streamed tool call", "stream_tool", TOOL).prompt(QUESTION),
        row("a structured answer", "parse", WEATHER).prompt(QUESTION),
        row("a streamed structured answer", "stream_parse", WEATHER).prompt(QUESTION),
        row("every field of usage", "usage", "all"),
        row("a prompt that is cached", "cached", "fresh, then read"),
        row("how likely tokens were", "logprobs", "True [2]; True [2]")
            .prompt(LONG)
            .extra(json!({ "model": "gpt-4o", "logprobs": true, "top_logprobs": 2 })),
        row("what a model that thinks does not tell", "create", "BadRequestError 400 unsupported_parameter")
            .extra(json!({ "model": "gpt-5.5", "logprobs": true }))
            .requests(1),
        row("the old bound at a reasoning model", "create", "BadRequestError 400 unsupported_parameter")
            .extra(json!({ "max_tokens": 200 }))
            .requests(1),
    ]
}

fn responses() -> Vec<Row> {
    vec![
        row("a response", "responses_create", "Hello [completed]").requests(1),
        row("a streamed response", "responses_stream", "Hello [completed]").requests(1),
        row(
            "the events of a response",
            "responses_events",
            "response.created response.in_progress response.output_item.added response.content_part.added \
             response.output_text.delta+ response.output_text.done response.content_part.done \
             response.output_item.done response.completed",
        )
        .prompt(LONG),
        row(
            "the events of a response that was thought about",
            "responses_events",
            "response.created response.in_progress response.output_item.added response.output_item.done \
             response.output_item.added response.content_part.added response.output_text.delta+ \
             response.output_text.done response.content_part.done response.output_item.done response.completed",
        )
        .prompt(LONG)
        .extra(json!({ "model": "gpt-5.5" })),
        row("a response that was thought about", "responses_create", "reasoning Hello [completed]")
            .prompt("[[sim text=Hello output_tokens=60]]")
            .extra(json!({ "model": "gpt-5.5" })),
        row(
            "a response at its limit",
            "responses_create",
            "Twenty letters a line, twenty letters a line, twenty letters a l [incomplete]",
        )
        .prompt("[[sim text=\"Twenty letters a line, twenty letters a line, twenty letters a line\"]]")
        .extra(json!({ "max_output_tokens": 16 })),
        row("a tool call in a response", "responses_tool", "get_weather(weather) [completed]")
            .prompt(QUESTION),
        row("a structured response", "responses_parse", "weather [completed]").prompt(QUESTION),
        row("every field of a response's usage", "responses_usage", "all"),
        row("how likely a response's tokens were", "responses_logprobs", "True [2]; True [2]")
            .prompt(LONG)
            .extra(json!({
                "model": "gpt-4o", "include": ["message.output_text.logprobs"], "top_logprobs": 2,
            })),
        // The SDK hands the error on as an event like others.
        row(
            "an error in the middle of a response",
            "responses_events",
            "response.created response.in_progress response.output_item.added response.content_part.added \
             response.output_text.delta+ error",
        )
        .prompt("[[sim fail=midstream]]")
        .requests(1),
        row(
            "a response without its end",
            "responses_stream",
            "RuntimeError: Didn't receive a `response.completed` event.",
        )
        .but(&[JAVASCRIPT], "Hello [in_progress] without usage")
        .prompt("[[sim text=Hello fail=truncated]]")
        .requests(1),
        row("an output without its call", "responses_create", "BadRequestError 400 invalid_request_error")
            .extra(json!({ "input": [{ "type": "function_call_output", "call_id": "c", "output": "9 degrees" }] }))
            .requests(1),
        row("a response after an error", "responses_create", "Hello [completed]")
            .prompt("[[sim text=Hello fail=503,ok]]")
            .requests(2)
            .least_ms(375),
    ]
}

fn endpoints() -> Vec<Row> {
    vec![
        row("headers", "headers", "6 of quotas, request id req_"),
        row("all models and one", "models", "model True"),
        row("a model that there is not", "model_unknown", "NotFoundError 404 model_not_found"),
        row("a batch", "batch", "completed 1+1 of 2; one: 200; two: 400; listed True"),
        row("a batch that is cancelled", "batch_cancel", "cancelling; cancelled"),
        row("a batch that expires", "batch_expired", "expired at its time, 1 answered; two: batch_expired"),
        row("an unknown model", "create", "NotFoundError 404 model_not_found")
            .extra(json!({ "model": "no-such-model" }))
            .requests(1),
    ]
}

/// Answers that are kept: found again, polled for, taken back.
fn kept() -> Vec<Row> {
    vec![
        row("a stored completion", "completions_stored", "True True [] {'run': 'changed'} True"),
        row("a kept response", "responses_kept", "True; BadRequestError; NotFoundError"),
        row(
            "a response that goes on from another",
            "responses_continued",
            "True True; previous_response_id previous_response_not_found",
        )
        .prompt(LONG),
        row(
            "a response in the background",
            "responses_background",
            "queued in_progress completed: Hello [completed]",
        )
        .prompt("[[sim text=Hello latency=12 ttft=9]]"),
        row("a response that is cancelled", "responses_cancelled", "queued; cancelled; cancelled")
            .prompt("[[sim text=Hello latency=600 ttft=500]]"),
        row("counting a response's input", "input_tokens", "as billed").not_for(&[PYTHON_1]),
    ]
}

/// The parameter that an error is about.
fn parameters() -> Vec<Row> {
    let param = |name, outcome, extra| row(name, "param", outcome).extra(extra).requests(1);
    vec![
        param(
            "param of a bound",
            "BadRequestError max_tokens unsupported_parameter",
            json!({ "max_tokens": 5 }),
        ),
        param(
            "param of a format",
            "BadRequestError response_format.type invalid_value",
            json!({ "response_format": { "type": "xml" } }),
        ),
        param(
            "param of a turn",
            "BadRequestError messages[0].role invalid_value",
            json!({ "messages": [{ "role": "robot", "content": "Hello" }] }),
        ),
        param(
            "param of a result without its call",
            "BadRequestError messages.[0].role None",
            json!({ "messages": [{ "role": "tool", "tool_call_id": "c", "content": "9 degrees" }] }),
        )
        .but(&[JAVASCRIPT], "BadRequestError messages.[0].role null"),
        param(
            "param of a strict schema",
            "BadRequestError response_format invalid_json_schema",
            json!({ "response_format": { "type": "json_schema", "json_schema": { "name": "n", "strict": true,
                "schema": { "type": "object", "properties": { "city": {} }, "additionalProperties": false } } } }),
        ),
        param(
            "param of the temperature",
            "BadRequestError temperature decimal_above_max_value",
            json!({ "temperature": 3 }),
        ),
    ]
}
