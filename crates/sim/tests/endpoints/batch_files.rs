//! The files that OpenAI's batches are made of: what is refused of them, and when.

use http::Method;
use serde_json::{Value, json};

use crate::batches::{after, chat, openai_batch, openai_line};
use crate::{NOON, OPENAI, calm, json_of, reply};

#[test]
fn an_openai_batch_of_a_file_that_is_wrong_fails_as_a_whole() {
    let check = |input: &str, code: &str, param: Option<&str>, line: Option<u64>| {
        let mut model = calm();
        let batch = openai_batch(&mut model, input);
        let path = format!("/v1/batches/{}", batch["id"].as_str().unwrap());
        let failed = json_of(&mut model, OPENAI, (Method::GET, &path), &Value::Null, (after(500), 200));
        assert_eq!(failed["status"], "failed", "{failed}");
        let told = &failed["errors"]["data"][0];
        assert_eq!(
            (&told["code"], &told["param"], &told["line"]),
            (&json!(code), &json!(param), &json!(line)),
            "{failed}"
        );
        assert_eq!((model.ledger().len(), &failed["request_counts"]["total"]), (0, &json!(0)));
    };
    let line = openai_line("a", &chat(1));
    check("", "empty_file", None, None);
    check(&format!("{line}{{"), "invalid_json_line", None, Some(2));
    check(&format!("{line}{line}"), "duplicate_custom_id", None, None);
    check(&line.replace("/v1/chat/completions", "/v1/responses"), "invalid_url", Some("url"), Some(1));
    check(&line.replace("POST", "GET"), "invalid_method", Some("method"), Some(1));
    for field in ["custom_id", "method", "url", "body"] {
        let without = line.replace(&format!("\"{field}\""), "\"more\"");
        check(&without, "missing_required_parameter", Some(field), Some(1));
    }
    let mut streamed = chat(2);
    streamed["stream"] = json!(true);
    let streamed = format!("{line}{}", openai_line("b", &streamed));
    check(&streamed, "streaming_unsupported", Some("body.stream"), Some(2));
    let mut other = chat(2);
    other["model"] = json!("gpt-4o-mini");
    check(&format!("{line}{}", openai_line("b", &other)), "model_mismatch", Some("body.model"), Some(2));
}

#[test]
fn an_openai_batch_is_of_a_file_for_batches_and_of_an_endpoint() {
    let mut model = calm();
    let mut upload = |purpose: &str, content: &str| {
        let form = format!(
            "--xx\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n{purpose}\r\n--xx\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n{content}\r\n--xx--\r\n"
        );
        let headers = [OPENAI, &[("content-type", "multipart/form-data; boundary=xx")]].concat();
        let (status, file) = reply(&mut model, &headers, (Method::POST, "/v1/files"), form, NOON);
        (status, serde_json::from_str::<Value>(&file).unwrap())
    };
    let (status, refused) = upload("batch", "notes\n{}");
    let message = "Invalid file format for Batch API. Must be .jsonl";
    assert_eq!((status, &refused["error"]["message"]), (400, &json!(message)));
    let line = openai_line("a", &chat(1));
    let [notes, fit] = [("user_data", "notes"), ("batch", &line)].map(|(purpose, content)| {
        let (status, file) = upload(purpose, content);
        assert_eq!(status, 200, "{file}");
        file["id"].clone()
    });
    let mut create = |file: &Value, endpoint: &str, status: u16| {
        let body = json!({"input_file_id": file, "endpoint": endpoint, "completion_window": "24h"});
        json_of(&mut model, OPENAI, (Method::POST, "/v1/batches"), &body, (NOON, status))["error"].clone()
    };
    assert_eq!(create(&notes, "/v1/chat/completions", 400)["param"], "input_file_id");
    let unknown = create(&fit, "/v1/messages", 400);
    assert_eq!((&unknown["param"], &unknown["code"]), (&json!("endpoint"), &json!("invalid_value")));
    assert!(
        unknown["message"]
            .as_str()
            .unwrap()
            .starts_with("Invalid value: '/v1/messages'. Supported values are: '/v1")
    );
    create(&fit, "/v1/chat/completions", 200);
}
