//! Answers that a provider keeps, and the question for them.

use std::time::Duration;

use serde_json::{Value, json};
use sortie_core::failure::{Class, Failure};
use sortie_providers::dialect::{self, Decoded, Dialect, OpenAiChat, Request};
use sortie_providers::http::{Client, Endpoint};
use sortie_providers::keys::Key;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const NAME: &str = "nightly/1764178200000000/3/1";

fn kept(name: &str, text: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-2024-08-06",
        "metadata": {"sortie_attempt": name}, "service_tier": "default",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    })
}

fn list(items: &[Value]) -> String {
    json!({"object": "list", "data": items, "has_more": false}).to_string()
}

#[test]
fn a_request_asks_for_its_answer_to_be_kept_where_that_is_set_and_possible() {
    let check = |dialect: &dyn Dialect, kept_as: Option<&str>, is_kept: bool| {
        let request = Request {
            model: "gpt-4o".to_owned(),
            prompt: "Hi".to_owned(),
            max_tokens: 16,
            kept_as: kept_as.map(str::to_owned),
            ..Request::default()
        };
        let encoded = dialect.encode(&request, &dialect.default_variant());
        let body: Value = serde_json::from_slice(&encoded.body).unwrap();
        let expected = if is_kept { json!({"sortie_attempt": kept_as}) } else { Value::Null };
        assert_eq!((&body["metadata"], body["store"] == true), (&expected, is_kept), "{}", dialect.name());
    };
    check(&OpenAiChat, Some(NAME), true);
    check(&OpenAiChat, None, false);
    check(&dialect::OpenAiResponses, Some(NAME), false);
    check(&dialect::Anthropic, Some(NAME), false);
}

#[test]
fn both_halves_mean_the_same_by_an_answer_that_is_kept() {
    let request = Request {
        model: "gpt-4o".to_owned(),
        prompt: "Hi".to_owned(),
        max_tokens: 16,
        kept_as: Some(NAME.to_owned()),
        ..Request::default()
    };
    let encoded = OpenAiChat.encode(&request, &OpenAiChat.default_variant());
    assert_eq!(OpenAiChat.read(&encoded.headers, &encoded.body).unwrap(), request);
}

/// Asks a server that replies this: what came of it, and what it was asked.
async fn ask(status: &str, body: String) -> (Result<Option<Decoded>, Failure>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let reply =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let serving = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            assert_ne!(
                socket.read_buf(&mut asked).await.unwrap(),
                0,
                "the client hung up inside its request"
            );
        }
        socket.write_all(reply.as_bytes()).await.unwrap();
        String::from_utf8(asked).unwrap()
    });
    let key = Key::new("sk-test-0123456789").unwrap();
    let endpoint = Endpoint::new(&OpenAiChat, &base, OpenAiChat.default_variant(), Some(key)).unwrap();
    let client = Client::new(Duration::from_secs(30)).unwrap();
    let found = client.kept(&endpoint, NAME, Duration::from_secs(30)).await;
    (found, serving.await.unwrap())
}

#[tokio::test]
async fn an_answer_is_found_by_its_name_whatever_else_is_listed() {
    let (found, asked) = ask("200 OK", list(&[kept("another", "No"), kept(NAME, "Yes")])).await;
    let found = found.unwrap().unwrap();
    let text = found.result.unwrap();
    assert_eq!((text.text.as_str(), text.model.as_str()), ("Yes", "gpt-4o-2024-08-06"));
    assert_eq!(found.usage.map(|usage| (usage.input, usage.output)), Some((10, 2)));
    let line =
        "GET /v1/chat/completions?metadata%5Bsortie_attempt%5D=nightly%2F1764178200000000%2F3%2F1&limit=2 ";
    assert!(asked.starts_with(line) && asked.contains("Bearer sk-test-0123456789"), "{asked}");
}

#[tokio::test]
async fn an_answer_that_is_not_there_is_none_and_a_question_that_fails_says_why() {
    assert_eq!(ask("200 OK", list(&[])).await.0, Ok(None));
    assert_eq!(ask("200 OK", list(&[kept("another", "No")])).await.0, Ok(None));
    let class = |asked: (Result<Option<Decoded>, Failure>, String)| asked.0.unwrap_err().class;
    assert_eq!(class(ask("200 OK", list(&[kept(NAME, "One"), kept(NAME, "Two")])).await), Class::Malformed);
    assert_eq!(class(ask("200 OK", "{}".to_owned()).await), Class::Malformed);
    assert_eq!(class(ask("401 Unauthorized", "{}".to_owned()).await), Class::Auth);
}
