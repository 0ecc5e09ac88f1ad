//! Batches of both providers, from their creation to their results.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use sortie_sim::{Model, Scenario};

use crate::{ANTHROPIC, NOON, OPENAI, calm, json_of, raw, reply};

const BATCHES: &str = "/v1/messages/batches";

pub(crate) fn after(ms: u64) -> Duration {
    NOON + Duration::from_millis(ms)
}

fn params(prompt: &str) -> Value {
    json!({"model": "claude-sonnet-4-6", "max_tokens": 500, "messages": [{"role": "user", "content": prompt}]})
}

/// A batch of 20 requests, of which the first is refused.
fn created(model: &mut Model) -> (String, Value) {
    let request = |n: usize| {
        let prompt = format!("Question {n}");
        let mut params = params(&prompt);
        if n == 0 {
            params["temperature"] = json!(7);
        }
        json!({"custom_id": format!("q-{n}"), "params": params})
    };
    let body = json!({"requests": (0..20).map(request).collect::<Vec<_>>()});
    let batch = json_of(model, ANTHROPIC, (Method::POST, BATCHES), &body, (NOON, 200));
    (format!("{BATCHES}/{}", batch["id"].as_str().unwrap()), batch)
}

fn get(model: &mut Model, path: &str, now: Duration) -> Value {
    json_of(model, ANTHROPIC, (Method::GET, path), &Value::Null, (now, 200))
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_batch_counts_nothing_until_it_ends_and_then_has_all_its_results() {
    let mut model = calm();
    let (path, batch) = created(&mut model);
    assert!(batch["id"].as_str().unwrap().starts_with("msgbatch_"));
    assert_eq!(batch["expires_at"].as_str().unwrap()[..10], *"2026-11-24");
    let half = get(&mut model, &path, after(4_999));
    for batch in [&batch, &half] {
        assert_eq!(batch["processing_status"], "in_progress");
        assert_eq!(
            batch["request_counts"],
            json!({"processing": 20, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0})
        );
        assert_eq!((&batch["results_url"], &batch["ended_at"]), (&Value::Null, &Value::Null));
    }
    let results = format!("{path}/results");
    assert_eq!(reply(&mut model, ANTHROPIC, (Method::GET, &results), "", after(4_999)).0, 400);
    assert_eq!(model.ledger().len(), 0);

    let ended = get(&mut model, &path, after(5_000));
    assert_eq!(ended["processing_status"], "ended");
    assert_eq!(
        ended["request_counts"],
        json!({"processing": 0, "succeeded": 19, "errored": 1, "canceled": 0, "expired": 0})
    );
    assert_eq!(ended["results_url"], format!("http://127.0.0.1:8080{results}"));
    let (status, text) = reply(&mut model, ANTHROPIC, (Method::GET, &results), "", after(5_000));
    let lines = lines(&text);
    assert_eq!((status, lines.len()), (200, 20));
    let ids: Vec<&str> = lines.iter().map(|line| line["custom_id"].as_str().unwrap()).collect();
    assert!(!ids.is_sorted_by_key(|id| id[2..].parse::<u32>().unwrap()), "{ids:?}");
    for line in &lines {
        let (result, errored) = (&line["result"], line["custom_id"] == "q-0");
        assert_eq!(result["type"], if errored { "errored" } else { "succeeded" }, "{line}");
        if errored {
            assert_eq!(result["error"]["error"]["type"], "invalid_request_error", "{line}");
        } else {
            assert_eq!(
                (&result["message"]["usage"]["service_tier"], &result["message"]["type"]),
                (&json!("batch"), &json!("message"))
            );
        }
    }
}

#[test]
fn a_batch_costs_half_of_what_its_requests_cost_alone() {
    let mut model = calm();
    let (path, _) = created(&mut model);
    get(&mut model, &path, after(5_000));
    assert_eq!(model.ledger().len(), 19);
    let batched = model.ledger()[0].clone();
    let mut alone = calm();
    json_of(&mut alone, ANTHROPIC, (Method::POST, "/v1/messages"), &params("Question 1"), (NOON, 200));
    let single = alone.ledger()[0].clone();
    assert_eq!((batched.output_tokens, batched.prompt), (single.output_tokens, single.prompt));
    assert_eq!(batched.cost_picodollars.pico() * 2, single.cost_picodollars.pico());
    assert_eq!(batched.delivered_whole, Some(true));
    get(&mut model, &path, after(60_000));
    assert_eq!(model.ledger().len(), 19, "it is billed once");
}

#[test]
fn a_cancelled_batch_has_what_was_done_before() {
    let mut model = calm();
    let (path, _) = created(&mut model);
    let cancel = format!("{path}/cancel");
    let cancelling =
        json_of(&mut model, ANTHROPIC, (Method::POST, &cancel), &Value::Null, (after(2_500), 200));
    assert_eq!(cancelling["processing_status"], "canceling");
    assert_eq!(reply(&mut model, ANTHROPIC, (Method::DELETE, &path), "", after(2_500)).0, 400);
    let ended = get(&mut model, &path, after(3_000));
    assert_eq!(ended["processing_status"], "ended");
    assert_eq!(
        ended["request_counts"],
        json!({"processing": 0, "succeeded": 9, "errored": 1, "canceled": 10, "expired": 0})
    );
    assert_eq!(model.ledger().len(), 9);
    assert_eq!(reply(&mut model, ANTHROPIC, (Method::POST, &cancel), "", after(3_000)).0, 400);
    let list = get(&mut model, BATCHES, after(3_000));
    assert_eq!(list["first_id"], ended["id"]);
    let deleted = json_of(&mut model, ANTHROPIC, (Method::DELETE, &path), &Value::Null, (after(3_000), 200));
    assert_eq!(deleted, json!({"id": ended["id"], "type": "message_batch_deleted"}));
    assert_eq!(reply(&mut model, ANTHROPIC, (Method::GET, &path), "", after(3_000)).0, 404);
}

#[test]
fn batches_that_cannot_be_are_refused_at_once() {
    let check = |requests: Value, part: &str| {
        let body = json!({"requests": requests});
        let refused =
            json_of(&mut calm(), ANTHROPIC, (Method::POST, BATCHES), &body, (NOON, 400)).to_string();
        assert!(refused.contains(part), "{refused}");
    };
    let one = |id: &str| json!({"custom_id": id, "params": params("Hello")});
    check(json!([]), "requests: List");
    check(Value::Null, "requests: Field required");
    check(json!([one("a"), one("b"), one("a")]), "'a' is not unique");
    check(json!([one(&"a".repeat(65))]), "requests.0.custom_id");
    check(json!([one("a"), one("a b")]), "requests.1.custom_id");
    check(json!([{"custom_id": "a"}]), "requests.0.params");
    let mut posted = one("b");
    posted["method"] = json!("POST");
    check(json!([one("a"), posted]), "requests.1.method: Extra inputs are not permitted");
    let other_key = [("x-api-key", "sk-test-2"), ("anthropic-version", "2023-06-01")];
    let mut model = calm();
    let (path, _) = created(&mut model);
    assert_eq!(reply(&mut model, &other_key, (Method::GET, &path), "", NOON).0, 404);
}

#[test]
fn the_newer_version_binds_each_request_of_a_batch() {
    let mut model = calm();
    let newer = [("x-api-key", "sk-test"), ("anthropic-version", "2026-10-21")];
    let mut warm = params("Hello");
    warm["temperature"] = json!(1.0);
    let body = json!({"requests": [{"custom_id": "a", "params": warm}]});
    let batch = json_of(&mut model, &newer, (Method::POST, BATCHES), &body, (NOON, 200));
    let results = format!("{BATCHES}/{}/results", batch["id"].as_str().unwrap());
    let (_, text) = reply(&mut model, &newer, (Method::GET, &results), "", after(5_000));
    assert!(text.contains("errored") && text.contains("temperature"), "{text}");
}

/// Uploads these lines and makes a batch of them.
pub(crate) fn openai_batch(model: &mut Model, lines: &str) -> Value {
    let form = format!(
        "--xx\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--xx\r\nContent-Disposition: \
         form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n{lines}\r\n--xx--\r\n"
    );
    let headers = [OPENAI, &[("content-type", "multipart/form-data; boundary=xx")]].concat();
    let (_, file) = reply(model, &headers, (Method::POST, "/v1/files"), form, NOON);
    let file: Value = serde_json::from_str(&file).unwrap();
    let body = json!({
        "input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h",
        "metadata": {"job": "nightly"}});
    json_of(model, OPENAI, (Method::POST, "/v1/batches"), &body, (NOON, 200))
}

pub(crate) fn openai_line(id: &str, body: &Value) -> String {
    json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body}).to_string() + "\n"
}

pub(crate) fn chat(n: usize) -> Value {
    json!({"model": "gpt-4o", "messages": [{"role": "user", "content": format!("Question {n}")}]})
}

#[test]
fn an_openai_batch_goes_from_file_to_file() {
    let mut model = calm();
    let mut input: String = (1..10).map(|n| openai_line(&format!("q{n}"), &chat(n))).collect();
    input += &openai_line("bad", &json!({"model": "gpt-4o"}));
    let batch = openai_batch(&mut model, &input);
    let path = format!("/v1/batches/{}", batch["id"].as_str().unwrap());
    let mut get = |path: &str, ms| reply(&mut model, OPENAI, (Method::GET, path), "", after(ms)).1;
    let mut statuses = Vec::new();
    for ms in [0, 1_000, 4_800, 5_000] {
        let batch: Value = serde_json::from_str(&get(&path, ms)).unwrap();
        statuses.push(batch["status"].as_str().unwrap().to_owned());
    }
    assert_eq!(statuses, ["validating", "in_progress", "finalizing", "completed"]);
    let batch: Value = serde_json::from_str(&get(&path, 5_000)).unwrap();
    assert_eq!(batch["request_counts"], json!({"total": 10, "completed": 9, "failed": 1}));
    assert_eq!((&batch["metadata"]["job"], &batch["errors"]), (&json!("nightly"), &Value::Null));
    let mut content =
        |name: &str| get(&format!("/v1/files/{}/content", batch[name].as_str().unwrap()), 5_000);
    let (answers, errors) = (lines(&content("output_file_id")), lines(&content("error_file_id")));
    assert_eq!((answers.len(), errors.len()), (9, 1));
    let used: u64 =
        answers.iter().map(|a| a["response"]["body"]["usage"]["total_tokens"].as_u64().unwrap()).sum();
    assert_eq!(batch["usage"]["total_tokens"], used);
    assert_eq!((&answers[0]["response"]["status_code"], &answers[0]["error"]), (&json!(200), &Value::Null));
    assert_eq!(
        (&errors[0]["custom_id"], &errors[0]["response"]["status_code"]),
        (&json!("bad"), &json!(400))
    );
    assert_eq!(model.ledger().len(), 9);
}

#[test]
fn an_openai_batch_can_be_cancelled_and_tells_what_was_not_made() {
    let mut model = calm();
    let batch = openai_batch(
        &mut model,
        &(0..10).map(|n| openai_line(&format!("q{n}"), &chat(n))).collect::<String>(),
    );
    let path = format!("/v1/batches/{}", batch["id"].as_str().unwrap());
    let cancel = format!("{path}/cancel");
    let cancelling = json_of(&mut model, OPENAI, (Method::POST, &cancel), &Value::Null, (after(2_000), 200));
    assert_eq!(cancelling["status"], "cancelling");
    let ended = json_of(&mut model, OPENAI, (Method::GET, &path), &Value::Null, (after(2_500), 200));
    assert_eq!((&ended["status"], &ended["request_counts"]["completed"]), (&json!("cancelled"), &json!(4)));
    let errors = format!("/v1/files/{}/content", ended["error_file_id"].as_str().unwrap());
    let (_, errors) = reply(&mut model, OPENAI, (Method::GET, &errors), "", after(2_500));
    assert_eq!(lines(&errors).len(), 6);
    assert!(errors.contains("batch_cancelled"));
    assert_eq!(model.ledger().len(), 4);
    assert_eq!(reply(&mut model, OPENAI, (Method::POST, &cancel), "", after(2_500)).0, 409);
}

fn with_batches(more: &str) -> Model {
    let text = format!("{}\nbatches: {{ {more} }}\n", Scenario::text_of("calm").unwrap());
    Model::new(Scenario::parse(&text).unwrap(), 7)
}

#[test]
fn what_is_not_worked_through_when_a_batch_expires_is_neither_answered_nor_billed() {
    let mut model = with_batches("seconds: 10, expire_after_s: 5");
    let (path, batch) = created(&mut model);
    assert_eq!(batch["expires_at"], "2026-11-23T12:00:05Z");
    assert_eq!(get(&mut model, &path, after(4_999))["processing_status"], "in_progress");
    let ended = get(&mut model, &path, after(5_000));
    assert_eq!((&ended["processing_status"], &ended["ended_at"]), (&json!("ended"), &batch["expires_at"]));
    assert_eq!(
        ended["request_counts"],
        json!({"processing": 0, "succeeded": 9, "errored": 1, "canceled": 0, "expired": 10})
    );
    let (_, text) = reply(&mut model, ANTHROPIC, (Method::GET, &format!("{path}/results")), "", after(5_000));
    let expired = lines(&text).into_iter().filter(|line| line["result"] == json!({"type": "expired"}));
    assert_eq!((expired.count(), model.ledger().len()), (10, 9));
    get(&mut model, &path, after(60_000));
    assert_eq!(model.ledger().len(), 9, "nothing goes on after it");

    let mut model = with_batches("seconds: 10, expire_after_s: 5");
    let input: String = (0..10).map(|n| openai_line(&format!("q{n}"), &chat(n))).collect();
    let batch = openai_batch(&mut model, &input);
    let path = format!("/v1/batches/{}", batch["id"].as_str().unwrap());
    let ended = json_of(&mut model, OPENAI, (Method::GET, &path), &Value::Null, (after(5_000), 200));
    assert_eq!((&ended["status"], &ended["expired_at"]), (&json!("expired"), &ended["expires_at"]));
    assert_eq!((&ended["completed_at"], &ended["cancelled_at"]), (&Value::Null, &Value::Null));
    assert_eq!(ended["request_counts"], json!({"total": 10, "completed": 5, "failed": 0}));
    let errors = format!("/v1/files/{}/content", ended["error_file_id"].as_str().unwrap());
    let (_, errors) = reply(&mut model, OPENAI, (Method::GET, &errors), "", after(5_000));
    assert!(lines(&errors).iter().all(|line| line["error"]["code"] == "batch_expired"), "{errors}");
    assert_eq!((lines(&errors).len(), model.ledger().len()), (5, 5));
}

#[test]
fn a_batch_that_is_cancelled_before_it_expires_is_cancelled() {
    let mut model = with_batches("seconds: 10, expire_after_s: 5");
    let (path, _) = created(&mut model);
    json_of(
        &mut model,
        ANTHROPIC,
        (Method::POST, &format!("{path}/cancel")),
        &Value::Null,
        (after(2_500), 200),
    );
    let counts = get(&mut model, &path, after(9_000))["request_counts"].clone();
    assert_eq!((&counts["canceled"], &counts["expired"]), (&json!(15), &json!(0)));
}

#[test]
fn batches_have_quotas_of_their_own() {
    let mut model = with_batches("queued_requests: 30");
    let (path, _) = created(&mut model);
    let one = |n: usize| json!({"custom_id": format!("q-{n}"), "params": params("Hello")});
    let more = |count: usize| json!({"requests": (0..count).map(one).collect::<Vec<_>>()}).to_string();
    let (status, headers, body) = raw(&mut model, ANTHROPIC, (Method::POST, BATCHES), more(11), after(1_000));
    assert_eq!((status, headers["retry-after"].to_str().unwrap()), (429, "4"), "{body}");
    assert!(body.contains("rate_limit_error") && body.contains("30 batch requests"), "{body}");
    assert_eq!(reply(&mut model, ANTHROPIC, (Method::POST, BATCHES), more(10), after(1_000)).0, 200);
    assert_eq!(reply(&mut model, ANTHROPIC, (Method::POST, BATCHES), more(1), after(1_000)).0, 429);
    assert_eq!(reply(&mut model, ANTHROPIC, (Method::POST, BATCHES), more(11), after(5_000)).0, 200);
    assert_eq!(get(&mut model, &path, after(5_000))["processing_status"], "ended");

    let mut model = with_batches("requests_per_minute: 60");
    let mut list = |ms| raw(&mut model, ANTHROPIC, (Method::GET, BATCHES), "", after(ms));
    assert_eq!(list(0).0, 200);
    let (status, headers, _) = list(0);
    assert_eq!((status, headers["retry-after"].to_str().unwrap()), (429, "1"));
    assert_eq!(list(1_000).0, 200);
    let (messages, body) = ((Method::POST, "/v1/messages"), params("Hello"));
    json_of(&mut model, ANTHROPIC, messages, &body, (after(1_000), 200));
}

#[test]
fn a_batch_of_more_tokens_than_may_be_enqueued_fails() {
    let mut model = with_batches("enqueued_tokens: 60");
    let (one, two) = (openai_line("a", &chat(1)), openai_line("b", &chat(2)));
    let status = |model: &mut Model, batch: &Value, ms| {
        let path = format!("/v1/batches/{}", batch["id"].as_str().unwrap());
        json_of(model, OPENAI, (Method::GET, &path), &Value::Null, (after(ms), 200))
    };
    let first = openai_batch(&mut model, &one);
    let second = openai_batch(&mut model, &format!("{one}{two}{}", openai_line("c", &chat(3))));
    let failed = status(&mut model, &second, 1_000);
    assert_eq!((&failed["status"], &failed["request_counts"]["total"]), (&json!("failed"), &json!(0)));
    let error = &failed["errors"]["data"][0];
    assert_eq!(error["code"], "token_limit_exceeded");
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("Enqueued token limit reached for gpt-4o in organization"), "{message}");
    assert_eq!(status(&mut model, &first, 5_000)["status"], "completed");
}

#[test]
fn what_messages_would_refuse_comes_back_with_its_whole_envelope() {
    let mut model = calm();
    let refused = |more: Value| {
        let mut params = params("Hello");
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        params
    };
    let requests = [
        ("unknown", refused(json!({"model": "no-such-model"})), "not_found_error"),
        ("bound", refused(json!({"max_tokens": 200_000})), "invalid_request_error"),
        (
            "prefill",
            refused(
                json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "{"}]}),
            ),
            "invalid_request_error",
        ),
        ("streamed", refused(json!({"stream": true})), "invalid_request_error"),
        (
            "orphan",
            refused(json!({"messages": [
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "b"}]}]})),
            "invalid_request_error",
        ),
        (
            "wordless",
            refused(json!({"messages": [{"role": "user", "content": ""}]})),
            "invalid_request_error",
        ),
        ("failing", params("[[sim fail=500]]"), "api_error"),
    ];
    let list: Vec<Value> =
        requests.iter().map(|(id, params, _)| json!({"custom_id": id, "params": params})).collect();
    let batch =
        json_of(&mut model, ANTHROPIC, (Method::POST, BATCHES), &json!({"requests": list}), (NOON, 200));
    let results = format!("{BATCHES}/{}/results", batch["id"].as_str().unwrap());
    let (_, text) = reply(&mut model, ANTHROPIC, (Method::GET, &results), "", after(5_000));
    for line in lines(&text) {
        let (_, _, kind) = requests.iter().find(|(id, ..)| line["custom_id"] == *id).unwrap();
        let error = &line["result"]["error"];
        assert_eq!((&line["result"]["type"], &error["type"]), (&json!("errored"), &json!("error")), "{line}");
        assert_eq!(error["error"]["type"], *kind, "{line}");
        assert!(error["request_id"].as_str().unwrap().starts_with("req_"), "{line}");
    }
    assert_eq!(model.ledger().len(), 0);
}

#[test]
fn a_request_that_nobody_comes_to_keeps_its_batch_until_that_expires() {
    let mut model = with_batches("expire_after_s: 20");
    let requests = json!([
        {"custom_id": "a", "params": params("Hello")},
        {"custom_id": "b", "params": params("[[sim fail=stall-first]]")},
    ]);
    let batch =
        json_of(&mut model, ANTHROPIC, (Method::POST, BATCHES), &json!({"requests": requests}), (NOON, 200));
    let path = format!("{BATCHES}/{}", batch["id"].as_str().unwrap());
    assert_eq!(get(&mut model, &path, after(19_999))["processing_status"], "in_progress");
    let counts = get(&mut model, &path, after(20_000))["request_counts"].clone();
    assert_eq!((&counts["succeeded"], &counts["expired"]), (&json!(1), &json!(1)));
    assert_eq!(model.ledger().len(), 1);

    let stuck =
        json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "[[sim fail=stall-first]]"}]});
    let batch = openai_batch(&mut model, &(openai_line("a", &chat(1)) + &openai_line("b", &stuck)));
    let path = format!("/v1/batches/{}", batch["id"].as_str().unwrap());
    let statuses = [19_999, 20_000].map(|ms| {
        json_of(&mut model, OPENAI, (Method::GET, &path), &Value::Null, (after(ms), 200))["status"].clone()
    });
    assert_eq!(statuses, ["in_progress", "expired"]);
}

#[test]
fn answers_of_a_batch_may_be_long_where_the_beta_for_that_is_named() {
    let outcome = |beta: &str, tokens: u64| {
        let mut model = calm();
        let mut params = params("Question");
        params["model"] = json!("claude-opus-4-7");
        params["max_tokens"] = json!(tokens);
        let body = json!({"requests": [{"custom_id": "q", "params": params}]});
        let headers = [ANTHROPIC, &[("anthropic-beta", beta)]].concat();
        let batch = json_of(&mut model, &headers, (Method::POST, BATCHES), &body, (NOON, 200));
        let path = format!("{BATCHES}/{}/results", batch["id"].as_str().unwrap());
        let (_, results) = reply(&mut model, ANTHROPIC, (Method::GET, &path), "", after(60_000));
        lines(&results)[0]["result"]["type"].as_str().unwrap().to_owned()
    };
    let long = "message-batches-2024-09-24, output-300k-2026-03-24";
    let found = [("files-api-2025-04-14", 300_000), (long, 300_000), (long, 300_001)]
        .map(|(beta, n)| outcome(beta, n));
    assert_eq!(found, ["errored", "succeeded", "errored"]);
    // What is answered at once has no more room than before.
    let mut asked = params("Question");
    (asked["model"], asked["max_tokens"]) = (json!("claude-opus-4-7"), json!(300_000));
    let headers = [ANTHROPIC, &[("anthropic-beta", long)]].concat();
    json_of(&mut calm(), &headers, (Method::POST, "/v1/messages"), &asked, (NOON, 400));
}
