//! Answers that OpenAI keeps: stored completions, responses, and responses in the background.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use sortie_sim::Model;
use sortie_sim::ledger::Delivery;
use sortie_sim::timeline::ServerRequest;

use crate::{NOON, OPENAI, calm, json_of, reply};

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";

/// Whatever is asked for has come by then.
const LATER: Duration = Duration::from_secs(NOON.as_secs() + 60);

fn after(ms: u64) -> Duration {
    NOON + Duration::from_millis(ms)
}

fn chat(prompt: &str, more: &Value) -> Value {
    let mut body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn stored(prompt: &str, run: &str) -> Value {
    chat(prompt, &json!({"store": true, "metadata": {"run": run, "task id": "a/b"}}))
}

fn post(model: &mut Model, path: &str, body: &Value) -> Value {
    json_of(model, OPENAI, (Method::POST, path), body, (NOON, 200))
}

fn get(model: &mut Model, path: &str, now: Duration) -> Value {
    json_of(model, OPENAI, (Method::GET, path), &Value::Null, (now, 200))
}

fn status_of(model: &mut Model, method: Method, path: &str, now: Duration) -> u16 {
    reply(model, OPENAI, (method, path), "", now).0
}

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[test]
fn a_stored_completion_is_found_by_its_id_and_by_its_metadata() {
    let mut model = calm();
    let first = post(&mut model, CHAT, &stored("One", "r1"));
    let second = post(&mut model, CHAT, &stored("Two", "r1"));
    let third = post(&mut model, CHAT, &stored("Three", "r2"));
    let unstored = post(&mut model, CHAT, &chat("Four", &json!({"metadata": {"run": "r1"}})));
    assert_eq!((&first["metadata"]["run"], unstored.get("metadata")), (&json!("r1"), None));

    let path = |of: &Value| format!("{CHAT}/{}", of["id"].as_str().unwrap());
    assert_eq!(get(&mut model, &path(&first), LATER), first);
    assert_eq!(status_of(&mut model, Method::GET, &path(&unstored), LATER), 404);
    assert_eq!(status_of(&mut model, Method::GET, &path(&first), NOON), 404, "it is not there yet");

    let mut list = |query: &str| get(&mut model, &format!("{CHAT}?{query}"), LATER);
    let id = |of: &Value| of["id"].as_str().unwrap().to_owned();
    let (one, two, three) = (id(&first), id(&second), id(&third));
    assert_eq!(ids(&list("metadata%5Brun%5D=r1")), [&one, &two]);
    assert_eq!(ids(&list("metadata[run]=r1&order=desc")), [&two, &one]);
    assert_eq!(ids(&list("metadata[run]=r1&metadata%5Btask+id%5D=a%2Fb&limit=1")), [&one]);
    assert_eq!(ids(&list(&format!("after={one}"))), [&two, &three]);
    assert_eq!(ids(&list("model=gpt-4o-mini")), Vec::<&str>::new());
    assert_eq!(ids(&list("metadata[run]=r3")), Vec::<&str>::new());
    let other_key = [("authorization", "Bearer sk-test-2")];
    let others = json_of(&mut model, &other_key, (Method::GET, CHAT), &Value::Null, (LATER, 200));
    assert_eq!(ids(&others), Vec::<&str>::new());

    let changed = json!({"metadata": {"run": "r9"}});
    let update = json_of(&mut model, OPENAI, (Method::POST, &path(&first)), &changed, (LATER, 200));
    assert_eq!((&update["metadata"], &update["id"]), (&changed["metadata"], &first["id"]));
    let deleted = json_of(&mut model, OPENAI, (Method::DELETE, &path(&first)), &Value::Null, (LATER, 200));
    assert_eq!(deleted, json!({"object": "chat.completion.deleted", "id": one, "deleted": true}));
    assert_eq!(status_of(&mut model, Method::GET, &path(&first), LATER), 404);
}

#[test]
fn what_was_generated_is_stored_though_its_reply_was_lost() {
    let check = |fault: &str, stream: bool, is_stored: bool| {
        let mut model = calm();
        let mut body = stored(&format!("[[sim fail={fault}]]"), "r1");
        body["stream"] = json!(stream);
        let request = ServerRequest {
            method: Method::POST,
            path: CHAT.to_owned(),
            query: None,
            headers: [(http::header::AUTHORIZATION, "Bearer sk-test".parse().unwrap())].into_iter().collect(),
            body: body.to_string().into(),
        };
        let timeline = model.handle(&request, NOON);
        model.delivered(timeline.ticket.unwrap(), Delivery::Broken, after(1));
        let list = get(&mut model, &format!("{CHAT}?metadata[run]=r1"), LATER);
        assert_eq!(ids(&list).len(), usize::from(is_stored), "{fault} {stream}");
    };
    check("ok", false, true);
    check("lost", false, true);
    check("cut", false, true);
    check("close", false, false);
    check("reset", true, false);
    check("cut", true, false);
    // Its client hung up, and it is generated, billed and stored all the same.
    check("ok", true, true);
}

#[test]
fn a_stored_completion_is_billed_whole_though_its_client_hung_up() {
    let check = |more: &Value, is_whole: bool| {
        let mut model = calm();
        let mut body = chat("[[sim output_tokens=100]]", more);
        body["stream"] = json!(true);
        let request = ServerRequest {
            method: Method::POST,
            path: CHAT.to_owned(),
            query: None,
            headers: [(http::header::AUTHORIZATION, "Bearer sk-test".parse().unwrap())].into_iter().collect(),
            body: body.to_string().into(),
        };
        let timeline = model.handle(&request, NOON);
        model.delivered(timeline.ticket.unwrap(), Delivery::Broken, after(1));
        let entry = &model.ledger()[0];
        assert_eq!((entry.output_tokens == 100, entry.delivered_whole), (is_whole, Some(false)), "{more}");
    };
    check(&json!({"store": true}), true);
    check(&json!({"store": false}), false);
    check(&json!({}), false);
}

#[test]
fn a_response_is_kept_unless_it_says_no() {
    let mut model = calm();
    let asked =
        json!({"model": "gpt-4o", "input": "Hello", "metadata": {"run": "r1"}, "instructions": "Be brief."});
    let response = post(&mut model, RESPONSES, &asked);
    assert_eq!(
        (&response["metadata"], &response["instructions"]),
        (&asked["metadata"], &asked["instructions"])
    );
    let path = format!("{RESPONSES}/{}", response["id"].as_str().unwrap());
    assert_eq!(get(&mut model, &path, LATER), response);
    let cancel = format!("{path}/cancel");
    let refused = json_of(&mut model, OPENAI, (Method::POST, &cancel), &Value::Null, (LATER, 400));
    assert_eq!(refused["error"]["message"], "Cannot cancel a synchronous response.");
    let deleted = json_of(&mut model, OPENAI, (Method::DELETE, &path), &Value::Null, (LATER, 200));
    assert_eq!(deleted["deleted"], true);
    let refused = json_of(&mut model, OPENAI, (Method::GET, &path), &Value::Null, (LATER, 404));
    assert!(refused["error"]["message"].as_str().unwrap().contains("not found"), "{refused}");

    let unkept = post(&mut model, RESPONSES, &json!({"model": "gpt-4o", "input": "Hello", "store": false}));
    let path = format!("{RESPONSES}/{}", unkept["id"].as_str().unwrap());
    assert_eq!(status_of(&mut model, Method::GET, &path, LATER), 404);
}

fn post_at(model: &mut Model, path: &str, body: &Value, expected: (Duration, u16)) -> Value {
    json_of(model, OPENAI, (Method::POST, path), body, expected)
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

#[test]
fn a_response_goes_on_from_a_kept_one_and_is_billed_for_all_that_was_said() {
    let mut model = calm();
    let ask = |input: Value, previous: &Value| json!({"model": "gpt-4o", "input": input, "previous_response_id": previous});
    let counted = |model: &mut Model, body: &Value| {
        let response = post_at(model, RESPONSES, body, (LATER, 200));
        let count = post_at(model, &format!("{RESPONSES}/input_tokens"), body, (LATER, 200));
        assert_eq!(response["usage"]["input_tokens"], count["input_tokens"]);
        assert_eq!(response["previous_response_id"], body["previous_response_id"]);
        (response["usage"]["input_tokens"].as_u64().unwrap(), response)
    };
    let mut first = ask(json!("My name is Ada."), &Value::Null);
    // What is instructed holds for one response.
    first["instructions"] = json!("Be as brief as you can, whatever is asked.");
    let first = post(&mut model, RESPONSES, &first);
    let (second_tokens, second) = counted(&mut model, &ask(json!("What is it?"), &first["id"]));
    let mut said = vec![user("My name is Ada."), first["output"][0].clone(), user("What is it?")];
    assert_eq!(second_tokens, counted(&mut model, &ask(json!(said), &Value::Null)).0);
    assert!(second_tokens > counted(&mut model, &ask(json!("What is it?"), &Value::Null)).0);

    let later = Duration::from_secs(LATER.as_secs() + 60);
    let third = ask(json!([user("And again?")]), &second["id"]);
    let third = post_at(&mut model, RESPONSES, &third, (later, 200));
    said.extend([second["output"][0].clone(), user("And again?")]);
    let whole = post_at(&mut model, RESPONSES, &ask(json!(said), &Value::Null), (later, 200));
    assert_eq!(third["usage"]["input_tokens"], whole["usage"]["input_tokens"]);
    assert_eq!(third["output"][0]["content"], whole["output"][0]["content"]);
}

#[test]
fn a_tools_result_goes_on_from_its_call() {
    let mut model = calm();
    let tools =
        json!([{"type": "function", "name": "add", "parameters": {"type": "object", "properties": {}}}]);
    let first = post(&mut model, RESPONSES, &json!({"model": "gpt-4o", "input": "Add.", "tools": tools}));
    let call = &first["output"][0];
    assert_eq!(call["type"], "function_call");
    let result = json!([{"type": "function_call_output", "call_id": call["call_id"], "output": "4"}]);
    let body =
        json!({"model": "gpt-4o", "input": result, "tools": tools, "previous_response_id": first["id"]});
    let second = post_at(&mut model, RESPONSES, &body, (LATER, 200));
    assert_eq!(second["output"][0]["type"], "message");

    // A call is answered wherever it was made, and nothing else is.
    let call = call["call_id"].as_str().unwrap();
    let another = json!([{"type": "function_call_output", "call_id": "call_b", "output": "4"}]);
    for (input, message) in [
        (json!("Never mind."), format!("No tool output found for function call {call}.")),
        (another, "No tool call found for function call output with call_id call_b.".to_owned()),
    ] {
        let body = json!({"model": "gpt-4o", "input": input, "previous_response_id": first["id"]});
        assert_eq!(post_at(&mut model, RESPONSES, &body, (LATER, 400))["error"]["message"], message);
    }
}

#[test]
fn only_a_kept_response_that_is_whole_can_be_continued() {
    let mut model = calm();
    let refused = |model: &mut Model, id: &str, headers: &[(&str, &str)], now: Duration| {
        let body = json!({"model": "gpt-4o", "input": "Go on.", "previous_response_id": id});
        let error = json_of(model, headers, (Method::POST, RESPONSES), &body, (now, 400))["error"].clone();
        let message = format!("Previous response with id '{id}' not found.");
        let expected = json!({"message": message, "type": "invalid_request_error",
            "param": "previous_response_id", "code": "previous_response_not_found"});
        assert_eq!(error, expected);
    };
    refused(&mut model, "resp_unknown", OPENAI, LATER);
    let id = |response: &Value| response["id"].as_str().unwrap().to_owned();
    let kept = id(&post(&mut model, RESPONSES, &json!({"model": "gpt-4o", "input": "Hello"})));
    refused(&mut model, &kept, OPENAI, NOON);
    refused(&mut model, &kept, &[("authorization", "Bearer sk-test-2")], LATER);
    let unkept = json!({"model": "gpt-4o", "input": "Hello", "store": false});
    let unkept = id(&post(&mut model, RESPONSES, &unkept));
    refused(&mut model, &unkept, OPENAI, LATER);
    let (path, running) = background(&mut model, "");
    refused(&mut model, &id(&running), OPENAI, after(3999));
    post_at(&mut model, &format!("{path}/cancel"), &Value::Null, (after(3999), 200));
    refused(&mut model, &id(&running), OPENAI, LATER);
    let failed = id(&background(&mut model, "fail=midstream").1);
    refused(&mut model, &failed, OPENAI, LATER);
    let done = id(&background(&mut model, "text=done").1);
    let body = json!({"model": "gpt-4o", "input": "Go on.", "previous_response_id": done});
    post_at(&mut model, RESPONSES, &body, (LATER, 200));
    let path = format!("{RESPONSES}/{kept}");
    json_of(&mut model, OPENAI, (Method::DELETE, &path), &Value::Null, (LATER, 200));
    refused(&mut model, &kept, OPENAI, LATER);

    // What is wrong with the request itself is named by its own places.
    let body = json!({"model": "gpt-4o", "input": [{"content": "a"}], "previous_response_id": done});
    assert_eq!(post_at(&mut model, RESPONSES, &body, (LATER, 400))["error"]["param"], "input[0]");
}

/// A response in the background that takes four seconds, two of them to its first token.
fn background(model: &mut Model, more: &str) -> (String, Value) {
    let prompt = format!("[[sim latency=4 ttft=2 output_tokens=100 {more}]]");
    let response = post(model, RESPONSES, &json!({"model": "gpt-4o", "input": prompt, "background": true}));
    (format!("{RESPONSES}/{}", response["id"].as_str().unwrap()), response)
}

#[test]
fn a_response_in_the_background_is_polled_until_it_is_there_and_billed_once() {
    let mut model = calm();
    let (path, queued) = background(&mut model, "");
    assert_eq!((&queued["status"], &queued["background"]), (&json!("queued"), &json!(true)));
    let statuses = [0, 999, 1000, 3999, 4000, 9000].map(|ms| {
        let shown = get(&mut model, &path, after(ms));
        let is_there = !shown["output"].as_array().unwrap().is_empty() && shown["usage"].is_object();
        (shown["status"].as_str().unwrap().to_owned(), is_there)
    });
    let expected = ["queued", "queued", "in_progress", "in_progress", "completed", "completed"];
    assert_eq!(statuses.each_ref().map(|(status, _)| status.as_str()), expected);
    assert_eq!(statuses.map(|(_, is_there)| is_there), [false, false, false, false, true, true]);
    assert_eq!((model.ledger().len(), model.ledger()[0].output_tokens), (1, 100));
    assert_eq!(model.stats().in_flight, 0);
    let cancel = format!("{path}/cancel");
    assert_eq!(status_of(&mut model, Method::POST, &cancel, after(9000)), 400);
}

#[test]
fn a_response_in_the_background_that_is_cancelled_is_billed_as_far_as_it_came() {
    let mut model = calm();
    let (path, _) = background(&mut model, "");
    let cancel = format!("{path}/cancel");
    for ms in [3000, 3500] {
        let cancelled = json_of(&mut model, OPENAI, (Method::POST, &cancel), &Value::Null, (after(ms), 200));
        assert_eq!((&cancelled["status"], &cancelled["output"]), (&json!("cancelled"), &json!([])));
    }
    assert_eq!(get(&mut model, &path, LATER)["status"], "cancelled");
    let entry = &model.ledger()[0];
    assert!((40..70).contains(&entry.output_tokens) && entry.delivered_whole == Some(false), "{entry:?}");
}

#[test]
fn a_response_in_the_background_may_fail_and_its_reply_may_be_lost() {
    let mut model = calm();
    let (path, _) = background(&mut model, "fail=midstream");
    let failed = get(&mut model, &path, LATER);
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("failed"), &json!("server_error")));

    let mut model = calm();
    let body = json!({"model": "gpt-4o", "input": "[[sim latency=4 fail=lost]]", "background": true});
    let request = ServerRequest {
        method: Method::POST,
        path: RESPONSES.to_owned(),
        query: None,
        headers: [(http::header::AUTHORIZATION, "Bearer sk-test".parse().unwrap())].into_iter().collect(),
        body: body.to_string().into(),
    };
    assert!(model.handle(&request, NOON).head.is_none());
    get(&mut model, CHAT, LATER);
    assert_eq!(model.ledger().len(), 1, "nobody knows its id, and it is billed");
}

#[test]
fn a_response_in_the_background_that_is_not_stored_is_polled_and_nothing_goes_on_from_it() {
    let mut model = calm();
    let body = json!({"model": "gpt-4o", "input": "a", "background": true, "store": false});
    for stream in [false, true] {
        let mut body = body.clone();
        body["stream"] = json!(stream);
        let (status, reply) = reply(&mut model, OPENAI, (Method::POST, RESPONSES), body.to_string(), NOON);
        assert_eq!(status, 200, "{reply}");
        let id = &reply[reply.find("resp_").unwrap()..][..29];
        let path = format!("{RESPONSES}/{id}");
        assert_eq!(get(&mut model, &path, LATER)["status"], "completed");
        let again = json_of(
            &mut model,
            OPENAI,
            (Method::GET, &format!("{path}?stream=true")),
            &Value::Null,
            (LATER, 400),
        );
        let says_so = again["error"]["message"].as_str().unwrap().contains("was not created with 'stream'");
        assert_eq!(says_so, !stream, "{again}");
        let next = json!({"model": "gpt-4o", "input": "b", "previous_response_id": id});
        post_at(&mut model, RESPONSES, &next, (LATER, 400));
    }
}

#[test]
fn a_response_goes_on_from_another_without_a_word() {
    let mut model = calm();
    let first = post(&mut model, RESPONSES, &json!({"model": "gpt-4o", "input": "Hello"}));
    for input in [json!([]), json!("")] {
        let body = json!({"model": "gpt-4o", "input": input, "previous_response_id": first["id"]});
        let next = post_at(&mut model, RESPONSES, &body, (LATER, 200));
        assert!(next["usage"]["input_tokens"].as_u64() > first["usage"]["input_tokens"].as_u64(), "{next}");
    }
}

#[test]
fn input_tokens_of_a_response_are_counted_as_they_are_billed() {
    let mut model = calm();
    let asked = json!({"model": "gpt-4o", "input": "What is it?", "instructions": "Be brief."});
    let billed = post(&mut model, RESPONSES, &asked)["usage"]["input_tokens"].clone();
    let counted = post(&mut model, &format!("{RESPONSES}/input_tokens"), &asked);
    assert_eq!(counted, json!({"object": "response.input_tokens", "input_tokens": billed}));
    let refused = json_of(
        &mut model,
        OPENAI,
        (Method::POST, "/v1/responses/input_tokens"),
        &json!({"model": "gpt-4o"}),
        (NOON, 400),
    );
    assert_eq!(refused["error"]["param"], "input");
}
