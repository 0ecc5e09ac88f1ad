//! Threads: conversations that Anthropic holds between their turns.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use sortie_sim::Model;
use sortie_sim::ledger::Delivery;
use sortie_sim::timeline::ServerRequest;

use crate::{ANTHROPIC, NOON, calm, json_of};

const MESSAGES: (Method, &str) = (Method::POST, "/v1/messages");
const MODEL: &str = "claude-sonnet-5-5";

/// So many seconds after noon; whatever was asked for a minute before is there.
fn after(seconds: u64) -> Duration {
    NOON + Duration::from_secs(seconds)
}

fn user(content: impl Into<Value>) -> Value {
    json!({"role": "user", "content": content.into()})
}

fn request(turns: &[Value], thread: &Value) -> Value {
    json!({"model": MODEL, "max_tokens": 500, "messages": turns, "thread": thread})
}

/// The first turn of a thread, with `more` fields.
fn created(more: &Value) -> Value {
    let mut body = request(&[user("Explain tides.")], &json!({"type": "create"}));
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// A later turn, after the answer with this id.
fn continued(id: &str, turns: &[Value]) -> Value {
    request(turns, &json!({"type": "continue", "previous_message_id": id}))
}

fn ask(model: &mut Model, body: &Value, seconds: u64) -> Value {
    json_of(model, ANTHROPIC, MESSAGES, body, (after(seconds), 200))
}

fn id(reply: &Value) -> &str {
    reply["id"].as_str().unwrap()
}

/// That it is refused so, with this code, in words that begin so.
fn refused(model: &mut Model, body: &Value, seconds: u64, (status, code, message): (u16, &str, &str)) {
    let error = json_of(model, ANTHROPIC, MESSAGES, body, (after(seconds), status))["error"].take();
    let kind = if status == 404 { "not_found_error" } else { "invalid_request_error" };
    let found = error["details"]["error_code"].as_str().unwrap_or_default();
    assert_eq!((error["type"].as_str().unwrap(), found), (kind, code), "{error}");
    assert!(error["message"].as_str().unwrap().starts_with(message), "{error}");
}

const LOST: (u16, &str, &str) = (404, "thread_not_found", "No thread state was found for the requested");

#[test]
fn a_turn_is_answered_as_if_all_before_it_were_said_again() {
    let tool = json!({"name": "weather", "input_schema": {"type": "object", "properties": {}}});
    let shared = json!({"system": "Be brief.", "tools": [tool]});
    let mut model = calm();
    let first = ask(&mut model, &created(&shared), 0);
    assert_eq!(first["stop_reason"], "tool_use", "{first}");
    let call = first["content"][0]["id"].as_str().unwrap();
    let given = user(json!([{"type": "tool_result", "tool_use_id": call, "content": "9 degrees"}]));
    let second = ask(&mut model, &continued(id(&first), std::slice::from_ref(&given)), 60);
    let third = ask(&mut model, &continued(id(&second), &[user("And more?")]), 120);

    let mut whole = created(&shared);
    whole.as_object_mut().unwrap().remove("thread");
    let said = |reply: &Value| json!({"role": "assistant", "content": reply["content"]});
    for (turns, expected) in
        [(json!([said(&first), given]), &second), (json!([said(&second), user("And more?")]), &third)]
    {
        whole["messages"].as_array_mut().unwrap().extend(turns.as_array().unwrap().clone());
        let same = ask(&mut calm(), &whole, 0);
        assert_eq!((&same["content"], &same["usage"]), (&expected["content"], &expected["usage"]));
    }
}

#[test]
fn a_thread_is_gone_on_from_once_and_in_time() {
    let mut model = calm();
    let first = ask(&mut model, &created(&json!({})), 0);
    let next = continued(id(&first), &[user("And more?")]);
    let second = ask(&mut model, &next, 60);
    refused(&mut model, &next, 60, (400, "thread_continue_in_flight", "Another request is still continuing"));
    refused(
        &mut model,
        &next,
        120,
        (400, "thread_already_continued", "The response that `previous_message_id`"),
    );
    let third = ask(&mut model, &continued(id(&second), &[user("Why?")]), 300);
    refused(&mut model, &continued(id(&third), &[user("Why?")]), 900, LOST);
    refused(&mut model, &continued("msg_none", &[user("Why?")]), 300, LOST);
    // Another key's is none of one's own, and what is no thread is not held.
    let other = [&[("x-api-key", "sk-test-2")], &ANTHROPIC[1..]].concat();
    json_of(&mut model, &other, MESSAGES, &continued(id(&third), &[user("Why?")]), (after(360), 404));
    let mut alone = created(&json!({}));
    alone.as_object_mut().unwrap().remove("thread");
    let alone = ask(&mut model, &alone, 300);
    refused(&mut model, &continued(id(&alone), &[user("Why?")]), 360, LOST);
}

#[test]
fn a_thread_keeps_what_it_was_created_with() {
    let mut model = calm();
    let effort = json!({"effort": "low"});
    let first = ask(&mut model, &created(&json!({"system": "Be brief.", "output_config": effort})), 0);
    let next = |more: Value| {
        let mut body = continued(id(&first), &[user("And more?")]);
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let differs = (400, "thread_fingerprint_mismatch", "thread: the request differs");
    refused(&mut model, &next(json!({})), 60, differs);
    refused(&mut model, &next(json!({"output_config": {"effort": "high"}})), 60, differs);
    let again = next(json!({"output_config": effort, "system": "Be brief."}));
    refused(&mut model, &again, 60, (400, "", "thread: `system` is what the thread was created with"));
    // What was refused has not gone on.
    ask(&mut model, &next(json!({"output_config": effort})), 60);
}

#[test]
fn a_thread_s_own_marks_are_three_and_those_of_turns_before_do_not_count() {
    let marked = |text: &str| json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}});
    let turn = |count: usize| user(json!(vec![marked("a"); count]));
    let mut model = calm();
    let unsupported = (400, "thread_unsupported_request", "thread: a maximum of 3 blocks with cache_control");
    let create = |count| request(&[turn(count)], &json!({"type": "create"}));
    refused(&mut model, &create(4), 0, unsupported);
    let first = ask(&mut model, &create(3), 0);
    refused(&mut model, &continued(id(&first), &[turn(4)]), 60, unsupported);
    ask(&mut model, &continued(id(&first), &[turn(3)]), 60);
}

#[test]
fn what_a_thread_may_be_is_a_beginning_or_an_answer_to_go_on_from() {
    let mut model = calm();
    for (thread, message) in [
        (json!("create"), "thread: Input should be an object"),
        (json!({}), "thread.type: Field required"),
        (json!({"type": "fork"}), "thread: Input tag 'fork' found using 'type' does not match"),
        (json!({"type": "create", "id": "a"}), "thread.create.id: Extra inputs are not permitted"),
        (json!({"type": "continue"}), "thread.continue.previous_message_id: Field required"),
        (
            json!({"type": "continue", "previous_message_id": 1}),
            "thread.continue.previous_message_id: Input should be a valid string",
        ),
    ] {
        refused(&mut model, &request(&[user("Hello")], &thread), 0, (400, "", message));
    }
    ask(&mut model, &request(&[user("Hello")], &Value::Null), 0);
}

#[test]
fn a_stream_that_nobody_read_to_its_end_is_not_held() {
    let mut model = calm();
    let mut body = created(&json!({}));
    body["stream"] = json!(true);
    let headers = ANTHROPIC.iter().map(|(name, value)| {
        (name.parse::<http::HeaderName>().unwrap(), value.parse::<http::HeaderValue>().unwrap())
    });
    let request = ServerRequest {
        method: Method::POST,
        path: MESSAGES.1.to_owned(),
        query: None,
        headers: headers.collect(),
        body: body.to_string().into(),
    };
    let timeline = model.handle(&request, NOON);
    model.delivered(timeline.ticket.unwrap(), Delivery::Broken, NOON + Duration::from_millis(1));
    let whole = ask(&mut calm(), &created(&json!({})), 0);
    refused(&mut model, &continued(id(&whole), &[user("And more?")]), 60, LOST);
    let again = ask(&mut model, &created(&json!({})), 60);
    ask(&mut model, &continued(id(&again), &[user("And more?")]), 120);
}
