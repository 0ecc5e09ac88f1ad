//! The client's half: requests out, replies in.

use serde_json::{Value, json};
use sortie_core::run::event::Finish;
use sortie_core::usage::Usage;

use super::super::failing::Said;
use super::super::openai::{self, FORMAT_NAME, disjoint};
use super::super::reply::{Answer, Spoken, token_count};
use super::super::turns::json_headers;
use super::super::{Encoded, Request, Shape, Variant};

pub(super) fn encode(request: &Request, variant: &Variant) -> Encoded {
    let mut body = json!({
        "model": request.model,
        "input": request.prompt,
        "max_output_tokens": request.max_tokens,
        "stream": request.stream,
        // Unless told, OpenAI keeps every response for 30 days; the journal has it already.
        "store": false,
    });
    if let Some(system) = &request.system {
        body["instructions"] = json!(system);
    }
    if let Some(temperature) = request.temperature {
        body["temperature"] = json!(temperature);
    }
    openai::pin_tier(&mut body, variant);
    match &request.shape {
        Shape::Text => (),
        Shape::Json(schema) => {
            let strict = openai::is_strict(schema);
            let format =
                json!({"type": "json_schema", "name": FORMAT_NAME, "schema": schema, "strict": strict});
            body["text"] = json!({"format": format});
        }
        Shape::Tool { name, schema } => {
            let strict = openai::is_strict(schema);
            body["tools"] =
                json!([{"type": "function", "name": name, "parameters": schema, "strict": strict}]);
            body["tool_choice"] = json!({"type": "function", "name": name});
        }
    }
    Encoded { path: "/responses", headers: json_headers(), body: body.to_string().into() }
}

/// What the API's replies mean.
pub(super) struct Responses;

impl Spoken for Responses {
    fn error(payload: &Value) -> Option<Said> {
        match payload["type"].as_str() {
            // The event has the error's fields beside its own.
            Some("error") if !payload["error"].is_object() => Some(Said::within(payload)),
            // A failed response also says what it used: `conclude` takes both.
            _ if payload["object"] == "response" => None,
            _ => Said::of(payload),
        }
    }

    fn event(payload: &Value, answer: &mut Answer) {
        let delta = payload["delta"].as_str().unwrap_or_default();
        match payload["type"].as_str().unwrap_or_default() {
            "response.created" | "response.queued" | "response.in_progress" => {
                name_model(&payload["response"], answer);
            }
            "response.output_text.delta" => answer.add_text(delta),
            "response.function_call_arguments.delta" => answer.add_tool_input(delta),
            "response.refusal.delta" => refuse(delta, answer),
            "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" => {
                answer.add_other(delta);
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                conclude(&payload["response"], answer);
                answer.is_done = true;
            }
            // What repeats the deltas, other tools' progress, and whatever will be added.
            _ => (),
        }
    }

    fn whole(reply: &Value, answer: &mut Answer) {
        if reply["status"] != "failed" && !reply["output"].is_array() {
            answer.malformed("the reply has no output");
        }
        conclude(reply, answer);
    }
}

fn name_model(response: &Value, answer: &mut Answer) {
    if let Some(model) = response["model"].as_str() {
        model.clone_into(&mut answer.model);
    }
}

fn refuse(words: &str, answer: &mut Answer) {
    if !words.is_empty() {
        answer.add_other(words);
        answer.refused.get_or_insert_default().push_str(words);
    }
}

/// The response as it is at its end: the last event of a stream, or all of a plain reply.
fn conclude(response: &Value, answer: &mut Answer) {
    name_model(response, answer);
    let reported = &response["usage"];
    if let (Some(input), Some(output)) =
        (token_count(&reported["input_tokens"]), token_count(&reported["output_tokens"]))
    {
        let counts = disjoint(input, output, &reported["input_tokens_details"]);
        let tier = openai::tier(response).unwrap_or_default();
        answer.usage = Some(Usage { tier, web_searches: searches(&response["output"]), ..counts });
        answer.usage_is_final = true;
    }
    take_output(&response["output"], answer);
    answer.is_whole = true;
    match response["status"].as_str() {
        Some("completed") => answer.finish = Some(Finish::Stop),
        Some("incomplete") => take_reason(&response["incomplete_details"], answer),
        Some("failed") => match &response["error"] {
            Value::Null => answer.says(&Said::within(&json!({"message": "the response failed"}))),
            error => answer.says(&Said::within(error)),
        },
        _ => answer.malformed("the reply does not say how it ended"),
    }
}

/// Web searches that are billed: calls that searched. Opening a page and looking into it are free.
fn searches(output: &Value) -> u64 {
    let searched = |item: &&Value| {
        item["type"] == "web_search_call" && matches!(item["action"]["type"].as_str(), None | Some("search"))
    };
    output.as_array().into_iter().flatten().filter(searched).count() as u64
}

/// The output, but for what already came piece by piece.
fn take_output(output: &Value, answer: &mut Answer) {
    let no_text = answer.text.is_empty();
    let no_refusal = answer.refused.is_none();
    let no_call = answer.tool_input.is_empty();
    for item in output.as_array().into_iter().flatten() {
        match item["type"].as_str() {
            Some("message") => {
                for part in item["content"].as_array().into_iter().flatten() {
                    match part["type"].as_str() {
                        Some("output_text") if no_text => {
                            answer.add_text(part["text"].as_str().unwrap_or_default());
                        }
                        Some("refusal") if no_refusal => {
                            refuse(part["refusal"].as_str().unwrap_or_default(), answer);
                        }
                        _ => (),
                    }
                }
            }
            Some("function_call") if no_call => {
                answer.add_tool_input(item["arguments"].as_str().unwrap_or_default());
            }
            // Reasoning, and what tools of the provider's own did.
            _ => (),
        }
    }
}

/// Why an answer is incomplete.
fn take_reason(details: &Value, answer: &mut Answer) {
    let reason = details["reason"].as_str().unwrap_or("incomplete");
    answer.finish = Some(match reason {
        "max_output_tokens" => Finish::MaxTokens,
        other => Finish::Other(other.to_owned()),
    });
    if reason == "content_filter" {
        answer.refused.get_or_insert_with(|| "the provider's content filter took the answer".to_owned());
    }
}
