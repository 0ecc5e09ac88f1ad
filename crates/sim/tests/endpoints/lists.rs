//! Models and files.

use http::Method;
use serde_json::{Value, json};

use crate::{ANTHROPIC, NOON, OPENAI, calm, json_of, reply};

#[test]
fn models_are_told_in_each_provider_s_shape() {
    let mut model = calm();
    let mut get = |headers, path, status| {
        json_of(&mut model, headers, (Method::GET, path), &Value::Null, (NOON, status))
    };
    let old = get(ANTHROPIC, "/v1/models/claude-sonnet-4-5-20250929", 200);
    assert_eq!(
        (&old["id"], &old["lifecycle"], &old["retires_at"], &old["type"], &old["max_tokens"]),
        (
            &json!("claude-sonnet-4-5"),
            &json!("deprecated"),
            &json!("2026-11-30T00:00:00Z"),
            &json!("model"),
            &json!(64000)
        ),
    );
    assert_eq!(get(ANTHROPIC, "/v1/models/claude-sonnet-5-5", 200)["lifecycle"], "active");
    assert_eq!(get(ANTHROPIC, "/v1/models/claude-opus-4-0", 200)["lifecycle"], "retired");
    let new = get(OPENAI, "/v1/models/gpt-4o", 200);
    assert_eq!(
        (&new["id"], &new["object"], &new["owned_by"]),
        (&json!("gpt-4o"), &json!("model"), &json!("openai"))
    );
    assert_eq!(get(ANTHROPIC, "/v1/models/gpt-4o", 404)["error"]["type"], "not_found_error");
    assert_eq!(get(OPENAI, "/v1/models/claude-sonnet-5", 404)["error"]["code"], "model_not_found");
    assert_eq!(get(OPENAI, "/v1/models", 200)["object"], "list");
}

#[test]
fn a_list_is_read_page_by_page_in_both_directions() {
    let mut model = calm();
    let mut page = |query: &str, status| {
        let path = format!("/v1/models?{query}");
        json_of(&mut model, ANTHROPIC, (Method::GET, &path), &Value::Null, (NOON, status))
    };
    let all = page("limit=1000", 200);
    let (first, mut seen) = (page("limit=7", 200), Vec::new());
    let mut next = first.clone();
    loop {
        seen.extend(next["data"].as_array().unwrap().clone());
        if next["has_more"] == false {
            break;
        }
        next = page(&format!("limit=7&after_id={}", next["last_id"].as_str().unwrap()), 200);
    }
    assert_eq!(json!(seen), all["data"]);
    let before = page(&format!("limit=3&before_id={}", seen[7]["id"].as_str().unwrap()), 200);
    assert_eq!((&before["data"][0], &before["has_more"]), (&seen[4], &json!(true)));
    page("limit=0", 400);
}

#[test]
fn a_file_is_kept_for_its_key_until_it_is_deleted() {
    let mut model = calm();
    let form = "--xx\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nPURPOSE\r\n--xx\r\nContent-Disposition: \
                form-data; name=\"file\"; filename=\"in.jsonl\"\r\n\r\n{}\n\r\n--xx--\r\n";
    let kind = ("content-type", "multipart/form-data; boundary=xx");
    let mut upload = |purpose: &str, status: u16| -> Value {
        let headers = [OPENAI, &[kind]].concat();
        let body = form.replace("PURPOSE", purpose);
        let (found, reply) = reply(&mut model, &headers, (Method::POST, "/v1/files"), body, NOON);
        assert_eq!(found, status, "{reply}");
        serde_json::from_str(&reply).unwrap()
    };
    upload("fun", 400);
    let file = upload("batch", 200);
    assert_eq!(
        (&file["object"], &file["bytes"], &file["filename"], &file["purpose"]),
        (&json!("file"), &json!(3), &json!("in.jsonl"), &json!("batch"))
    );
    let path = format!("/v1/files/{}", file["id"].as_str().unwrap());
    let content = format!("{path}/content");
    let mut get = |headers, method, path: &str| reply(&mut model, headers, (method, path), "", NOON);
    assert_eq!(get(OPENAI, Method::GET, &content), (200, "{}\n".to_owned()));
    assert_eq!(get(&[("authorization", "Bearer sk-test-2")], Method::GET, &path).0, 404);
    assert!(get(OPENAI, Method::GET, "/v1/files").1.contains("in.jsonl"));
    assert_eq!(get(OPENAI, Method::DELETE, &path).0, 200);
    assert_eq!(get(OPENAI, Method::GET, &path).0, 404);
}

#[test]
fn a_file_is_no_more_after_the_time_that_it_was_given() {
    let headers = [OPENAI, &[("content-type", "multipart/form-data; boundary=xx")]].concat();
    let mut model = calm();
    let mut upload = |seconds: &str, status| {
        let part = |name: &str, value: &str| {
            format!("--xx\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let form = [
            part("purpose", "user_data"),
            part("expires_after[anchor]", "created_at"),
            part("expires_after[seconds]", seconds),
            part("file\"; filename=\"a.txt", "text"),
            "--xx--\r\n".to_owned(),
        ];
        let (found, file) = reply(&mut model, &headers, (Method::POST, "/v1/files"), form.concat(), NOON);
        assert_eq!(found, status, "{file}");
        serde_json::from_str::<Value>(&file).unwrap()
    };
    for wrong in ["3599", "2592001", "soon", ""] {
        assert_eq!(upload(wrong, 400)["error"]["param"], "expires_after.seconds", "{wrong}");
    }
    let file = upload("3600", 200);
    assert_eq!(file["expires_at"].as_u64(), file["created_at"].as_u64().map(|at| at + 3600));
    let path = format!("/v1/files/{}", file["id"].as_str().unwrap());
    for (after, status) in [(3599, 200), (3600, 404)] {
        let now = NOON + std::time::Duration::from_secs(after);
        json_of(&mut model, OPENAI, (Method::GET, &path), &Value::Null, (now, status));
    }
}
