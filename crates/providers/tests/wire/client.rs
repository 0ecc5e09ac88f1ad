//! The client against sockets that behave as servers do, and as they should not.

#![expect(clippy::disallowed_methods, reason = "sockets are waited for in real time")]

use std::future::Future;
use std::io::Write;
use std::time::Duration;

use sortie_core::agent::Timeouts;
use sortie_core::call::Returned;
use sortie_core::failure::Class;
use sortie_core::run::input::Billing;
use sortie_providers::dialect::{Anthropic, Dialect, OpenAiChat, Request};
use sortie_providers::http::{Client, Endpoint, Probe};
use sortie_providers::keys::Key;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::fixtures::load;

/// A whole answer: `Hello, wörld 🌍`.
fn stream() -> Vec<u8> {
    load("anthropic-text").body
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// Long enough that nothing passes by accident.
const PATIENT: Timeouts = Timeouts {
    connect: Duration::from_secs(30),
    first_token: Duration::from_secs(30),
    idle: Duration::from_secs(30),
    request: None,
};

const SHORT: Duration = Duration::from_millis(50);

fn endpoint(dialect: &'static dyn Dialect, address: &str) -> Endpoint {
    let key = Key::new("sk-test-0123456789").unwrap();
    Endpoint::new(dialect, &format!("http://{address}"), dialect.default_variant(), Some(key)).unwrap()
}

fn request(prompt: &str) -> Request {
    Request {
        model: "claude-sonnet-5-5".to_owned(),
        system: None,
        prompt: prompt.to_owned(),
        max_tokens: 100,
        temperature: None,
        stream: true,
        ..Request::default()
    }
}

/// Reads one request: its head and its body, whole.
async fn read_request(socket: &mut TcpStream) -> String {
    let mut read = Vec::new();
    loop {
        let n = socket.read_buf(&mut read).await.unwrap();
        assert_ne!(n, 0, "the client hung up inside its request");
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(0, |(_, length)| length.parse().unwrap());
        if body.len() == length {
            return text.into_owned();
        }
    }
}

/// Calls a server that takes one connection and does this with it.
async fn call<S, F>(prompt: &str, timeouts: Timeouts, total: Duration, server: S) -> Returned
where
    S: FnOnce(TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = tokio::spawn(async move { server(listener.accept().await.unwrap().0).await });
    let client = Client::new(timeouts.connect).unwrap();
    let returned =
        client.call(&endpoint(&Anthropic, &address), &request(prompt), timeouts, total, drop).await;
    serving.abort();
    if let Err(error) = serving.await {
        assert!(error.is_cancelled(), "the server panicked: {error}");
    }
    returned
}

const TOTAL: Duration = Duration::from_secs(60);

/// A server that reads the request, says this, and hangs up (`reset`: as a crashed one does).
async fn answered_with(reply: Vec<u8>, reset: bool) -> Returned {
    call("hello", PATIENT, TOTAL, move |mut socket| async move {
        read_request(&mut socket).await;
        socket.write_all(&reply).await.unwrap();
        if reset {
            // The client has to have read it: a reset takes what is under way along.
            let mut nothing = [0];
            let waiting = tokio::time::timeout(SHORT, socket.read(&mut nothing)).await;
            assert!(waiting.is_err(), "the client hung up first");
            socket.set_zero_linger().unwrap();
        }
    })
    .await
}

fn with_head(body: &[u8]) -> Vec<u8> {
    [HEAD.as_bytes(), body].concat()
}

fn gzipped(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn class(returned: &Returned) -> Class {
    returned.result.as_ref().expect_err("the call succeeded").class
}

#[tokio::test]
async fn a_whole_stream_is_an_answer() {
    let returned = answered_with(with_head(&stream()), false).await;
    assert_eq!(returned.result.as_ref().unwrap().text, "Hello, wörld 🌍");
    assert!(matches!(returned.billing, Billing::Reported(usage) if usage.output == 12), "{returned:?}");
    assert!(returned.timing.first_token.unwrap() <= returned.timing.total);
}

#[tokio::test]
async fn a_compressed_answer_is_read() {
    let body = gzipped(&stream());
    let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", body.len());
    let returned = answered_with([head.as_bytes(), &body].concat(), false).await;
    assert_eq!(returned.result.unwrap().text, "Hello, wörld 🌍");
}

#[tokio::test]
async fn a_stream_that_closes_or_breaks_before_its_terminator_is_cut_and_estimated() {
    let cut = stream().len() - 30;
    for reset in [false, true] {
        let returned = answered_with(with_head(&stream()[..cut]), reset).await;
        assert_eq!(class(&returned), Class::CutOff, "{returned:?}");
        assert!(matches!(returned.billing, Billing::Estimated(usage) if usage.input == 25), "{returned:?}");
    }
    // Chunked framing that stops without its last chunk.
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("{head}{cut:x}\r\n{}\r\n", str::from_utf8(&stream()[..cut]).unwrap());
    let returned = answered_with(chunk.into_bytes(), false).await;
    assert_eq!(class(&returned), Class::CutOff, "{returned:?}");
}

#[tokio::test]
async fn an_answer_that_is_whole_when_the_connection_breaks_is_whole() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("{head}{:x}\r\n{}\r\n", stream().len(), str::from_utf8(&stream()).unwrap());
    let returned = answered_with(chunk.into_bytes(), false).await;
    assert!(returned.result.is_ok(), "{returned:?}");
}

#[tokio::test]
async fn a_request_that_is_sent_and_not_answered_is_at_risk() {
    let closed = answered_with(Vec::new(), false).await;
    assert_eq!((class(&closed), closed.billing), (Class::Network, Billing::Unknown), "{closed:?}");

    let timeouts = Timeouts { first_token: SHORT, ..PATIENT };
    let stalled = call("hello", timeouts, TOTAL, |mut socket| async move {
        read_request(&mut socket).await;
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!((class(&stalled), stalled.billing), (Class::Timeout, Billing::Unknown), "{stalled:?}");
    assert!(stalled.timing.total >= SHORT);
    assert_eq!(stalled.result.unwrap_err().message, "no first token within 0.05 s");
}

#[tokio::test]
async fn a_request_that_was_not_sent_whole_costs_nothing() {
    // More than the buffers of both sides take while the server does not read.
    let long = "x".repeat(24 << 20);
    let timeouts = Timeouts { first_token: SHORT, ..PATIENT };
    let stuck = call(&long, timeouts, TOTAL, |socket| async move {
        std::future::pending::<()>().await;
        drop(socket);
    })
    .await;
    assert_eq!((class(&stuck), stuck.billing), (Class::Timeout, Billing::Nothing), "{stuck:?}");

    let broken = call(&long, PATIENT, TOTAL, |mut socket| async move {
        let mut some = [0; 1000];
        assert_ne!(socket.read(&mut some).await.unwrap(), 0);
        socket.set_zero_linger().unwrap();
    })
    .await;
    assert_eq!((class(&broken), broken.billing), (Class::Network, Billing::Nothing), "{broken:?}");
}

#[tokio::test]
async fn no_connection_costs_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let client = Client::new(PATIENT.connect).unwrap();
    let endpoint = endpoint(&Anthropic, &address);
    let returned = client.call(&endpoint, &request("hello"), PATIENT, TOTAL, drop).await;
    assert_eq!((class(&returned), returned.billing), (Class::Network, Billing::Nothing), "{returned:?}");
    let message = returned.result.unwrap_err().message;
    assert!(message.starts_with("no connection: ") && !message.contains(&address), "{message}");
    assert!(matches!(client.probe(&endpoint, TOTAL).await, Probe::Unreachable(_)));
}

#[tokio::test]
async fn a_stream_that_falls_silent_and_one_that_only_drips_are_given_up() {
    let timeouts = Timeouts { idle: SHORT, ..PATIENT };
    let silent = call("hello", timeouts, TOTAL, |mut socket| async move {
        read_request(&mut socket).await;
        socket.write_all(&with_head(&stream()[..stream().len() - 100])).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(class(&silent), Class::Timeout);
    assert!(silent.result.unwrap_err().message.starts_with("nothing more of the answer"));

    let begun = str::from_utf8(&stream()).unwrap().find("event: content_block_stop").unwrap();
    let dripping = call("hello", PATIENT, 4 * SHORT, move |mut socket| async move {
        read_request(&mut socket).await;
        socket.write_all(&with_head(&stream()[..begun])).await.unwrap();
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        while socket.write_all(b": drip\n\n").await.is_ok() {
            tick.tick().await;
        }
    })
    .await;
    assert_eq!(class(&dripping), Class::Timeout);
    assert!(dripping.timing.total >= 4 * SHORT);
    assert_eq!(dripping.result.unwrap_err().message, "no whole answer within 0.2 s");
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_is_given_up() {
    // It is there once it is encrypted, and this server says nothing to that.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("https://{}", listener.local_addr().unwrap());
    let endpoint = Endpoint::new(&Anthropic, &base_url, Anthropic.default_variant(), None).unwrap();
    let timeouts = Timeouts { connect: SHORT, ..PATIENT };
    let client = Client::new(PATIENT.connect).unwrap();
    let returned = client.call(&endpoint, &request("hello"), timeouts, TOTAL, drop).await;
    assert_eq!((class(&returned), returned.billing), (Class::Timeout, Billing::Nothing), "{returned:?}");
    assert_eq!(returned.result.unwrap_err().message, "no connection within 0.05 s");
}

#[tokio::test]
async fn a_head_that_only_drips_is_given_up() {
    for (timeouts, total, message) in [
        (Timeouts { first_token: SHORT, ..PATIENT }, TOTAL, "no first token within 0.05 s"),
        (PATIENT, SHORT, "no whole answer within 0.05 s"),
    ] {
        let returned = call("hello", timeouts, total, |mut socket| async move {
            read_request(&mut socket).await;
            socket.write_all(b"HTTP/1.1 200 OK\r\nx-drip: ").await.unwrap();
            let mut tick = tokio::time::interval(Duration::from_millis(5));
            while socket.write_all(b"x").await.is_ok() {
                tick.tick().await;
            }
        })
        .await;
        assert_eq!((class(&returned), returned.billing), (Class::Timeout, Billing::Unknown), "{returned:?}");
        assert_eq!(returned.result.unwrap_err().message, message);
    }
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    // The first is more than we take, the others are more than the HTTP client does.
    for (headers, length, class_of_it) in
        [(90, 800, Class::Malformed), (90, 8_000, Class::Network), (120, 1, Class::Network)]
    {
        let header = |nth: usize| format!("x-{nth}: {}\r\n", "v".repeat(length));
        let headers: String = (0..headers).map(header).collect();
        let head = format!("HTTP/1.1 200 OK\r\n{headers}connection: close\r\n\r\n");
        let returned = call("hello", PATIENT, TOTAL, move |mut socket| async move {
            read_request(&mut socket).await;
            // The client may hang up before it has all of it.
            let _sent = socket.write_all(&[head.as_bytes(), &stream()].concat()).await;
            let _closed = socket.read(&mut [0]).await;
        })
        .await;
        assert_eq!(class(&returned), class_of_it, "{length}: {returned:?}");
    }
}

/// Who has connected by now. A client that followed a redirect has, before it gave up its answer.
fn connected(listener: TcpListener) -> Option<std::net::SocketAddr> {
    // As tokio left it, it does not wait.
    match listener.into_std().unwrap().accept() {
        Ok((_, from)) => Some(from),
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
            None
        }
    }
}

#[tokio::test]
async fn no_redirect_is_followed() {
    // To another port, to another host, and to another host in whatever scheme was spoken.
    for to in ["http://127.0.0.1", "http://localhost", "//127.0.0.1"] {
        for status in [301, 302, 303, 307, 308] {
            let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = elsewhere.local_addr().unwrap().port();
            let reply = format!(
                "HTTP/1.1 {status} Moved\r\nlocation: {to}:{port}/v1/messages?x=1\r\ncontent-length: 0\r\n\r\n"
            );
            let returned = answered_with(reply.into_bytes(), false).await;
            let context = format!("{status} to {to}");
            assert_eq!(
                (class(&returned), returned.billing),
                (Class::Redirected, Billing::Nothing),
                "{context}"
            );
            let message = returned.result.unwrap_err().message;
            assert!(!message.contains("x=1"), "{context}: {message}");
            if let Some(host) = to.strip_prefix("http://") {
                assert!(message.contains(&format!("{host};")), "{context}: {message}");
            }
            assert_eq!(connected(elsewhere), None, "{context}: it was followed");
        }
    }
}

#[tokio::test]
async fn the_request_is_framed_and_authorized_as_its_dialect_wants_it() {
    for (dialect, path, key) in [
        (&Anthropic as &'static dyn Dialect, "POST /v1/messages HTTP/1.1", "x-api-key: sk-test-0123456789"),
        (&OpenAiChat, "POST /chat/completions HTTP/1.1", "authorization: Bearer sk-test-0123456789"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serving =
            tokio::spawn(async move { read_request(&mut listener.accept().await.unwrap().0).await });
        let client = Client::new(PATIENT.connect).unwrap();
        let sent = request(&"long ".repeat(20_000));
        let returned = client.call(&endpoint(dialect, &address), &sent, PATIENT, TOTAL, drop).await;
        assert_eq!(class(&returned), Class::Network);
        let read = serving.await.unwrap();
        let (head, body) = read.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(path), "{head}");
        assert!(head.contains(key) && !head.contains("transfer-encoding"), "{head}");
        assert!(head.contains("user-agent: sortie/") && head.contains("accept-encoding: gzip"), "{head}");
        let headers = dialect.headers(&dialect.default_variant());
        assert_eq!(dialect.read(&headers, body.as_bytes()).unwrap(), sent);
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_closes_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let client = Client::new(PATIENT.connect).unwrap();
    let calling = tokio::spawn(async move {
        client.call(&endpoint(&Anthropic, &address), &request("hello"), PATIENT, TOTAL, drop).await
    });
    let (mut socket, _) = listener.accept().await.unwrap();
    read_request(&mut socket).await;
    calling.abort();
    let mut rest = [0];
    assert_eq!(socket.read(&mut rest).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_probe_tells_a_key_that_is_refused_from_an_endpoint_without_a_list() {
    for (status, body, expected) in [
        (200, r#"{"data":[]}"#, "Ready"),
        (401, r#"{"error":{"type":"authentication_error","message":"invalid x-api-key"}}"#, "Refused"),
        (404, "", "Answers"),
        (503, "<html>", "Failing"),
        (302, "", "Failing"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serving = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let read = read_request(&mut socket).await;
            let reply = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            socket.write_all(reply.as_bytes()).await.unwrap();
            read
        });
        let client = Client::new(PATIENT.connect).unwrap();
        let probe = client.probe(&endpoint(&Anthropic, &address), TOTAL).await;
        assert!(format!("{probe:?}").starts_with(expected), "{status}: {probe:?}");
        let head = serving.await.unwrap();
        assert!(head.starts_with("GET /v1/models HTTP/1.1"), "{head}");
        assert!(
            head.contains("anthropic-version: 2023-06-01") && head.contains("x-api-key: sk-test"),
            "{head}"
        );
    }
}
