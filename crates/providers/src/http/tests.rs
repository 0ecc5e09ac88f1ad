//! The pool, which only remote endpoints have: asked here of a local one.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::dialect::{Dialect, OpenAiChat};

const PATIENT: Duration = Duration::from_secs(30);

fn stream() -> String {
    let text = include_bytes!("../../tests/fixtures/openai-text.json");
    let recorded = sortie_sim::record::Exchange::read(text).unwrap();
    String::from_utf8(recorded.response.body()).unwrap()
}

#[tokio::test]
async fn one_connection_serves_one_call_after_the_other() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        for _ in 0..3 {
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                assert_ne!(socket.read_buf(&mut request).await.unwrap(), 0, "another connection is used");
            }
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            let reply = format!("{head}{:x}\r\n{}\r\n", stream().len(), stream());
            socket.write_all(reply.as_bytes()).await.unwrap();
            yield_often(1000).await; // The client has the whole answer before its framing ends.
            socket.write_all(b"0\r\n\r\n").await.unwrap();
        }
    });
    let mut client = Client::new(PATIENT).unwrap();
    client.local = builder(PATIENT).no_proxy().build().unwrap();
    let base_url = format!("http://{address}");
    let endpoint = Endpoint::new(&OpenAiChat, &base_url, OpenAiChat.default_variant(), None).unwrap();
    let request = Request {
        model: "m".to_owned(),
        system: None,
        prompt: "hello".to_owned(),
        max_tokens: 9,
        temperature: None,
        stream: true,
        ..Request::default()
    };
    let timeouts = Timeouts { first_token: PATIENT, ..Timeouts::default() };
    for call in 1..=3 {
        let returned = client.call(&endpoint, &request, timeouts, PATIENT, drop).await;
        assert!(returned.result.is_ok(), "call {call}: {returned:?}");
        yield_often(100).await; // The connection's own task puts it back when it is polled next.
    }
    serving.await.unwrap();
}

async fn yield_often(times: u32) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}
