//! The HTTP face, over plain sockets, a thousand times faster than the wall.

use std::net::Ipv4Addr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::ledger::Stats;
use crate::testing::{Ask, ask, model, request};

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

struct Running {
    address: SocketAddr,
    model: Arc<Mutex<Model>>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

async fn start(more: &str) -> Running {
    let server = Server::bind(ANY_PORT, Exposure::Loopback).await.unwrap();
    let (stop, stopped) = oneshot::channel();
    let model = Arc::new(Mutex::new(model(more)));
    let scale = TimeScale::try_from(1000.0).unwrap();
    let address = server.address();
    let ended = tokio::spawn(server.serve(Arc::clone(&model), scale, async { drop(stopped.await) }));
    Running { address, model, stop, ended }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// What comes back until the server closes the connection, and how it closed it.
    async fn raw(&self, ask: &Ask) -> (String, io::Result<usize>) {
        let mut stream = self.connect().await;
        stream.write_all(&wire(ask, "close")).await.unwrap();
        let mut bytes = Vec::new();
        let closed = stream.read_to_end(&mut bytes).await;
        (String::from_utf8(bytes).unwrap(), closed)
    }

    fn stats(&self) -> Stats {
        self.model.lock().unwrap().stats()
    }

    async fn stats_over_http(&self) -> Stats {
        let mut stream = self.connect().await;
        stream
            .write_all(b"GET /_sim/stats HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// Waits until the server has noticed what it has to notice.
    async fn stats_when(&self, noticed: impl Fn(&Stats) -> bool) -> Stats {
        loop {
            let stats = self.stats();
            if noticed(&stats) {
                return stats;
            }
            tokio::task::yield_now().await;
        }
    }
}

fn wire(ask: &Ask, connection: &str) -> Vec<u8> {
    let request = request(ask, "sk-test");
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: sim\r\nx-api-key: sk-test\r\nconnection: {connection}\r\ncontent-length: {}\r\n\r\n",
        request.path,
        request.body.len()
    );
    [head.as_bytes(), &request.body].concat()
}

#[tokio::test]
async fn a_plain_reply_has_its_length_and_is_counted() {
    let server = start("").await;
    let (text, closed) = server.raw(&Ask { stream: false, ..ask("Hello") }).await;
    assert!(closed.is_ok() && text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
    assert!(head.contains("request-id: ") && head.contains("date: "), "{head}");
    let answer: Value = serde_json::from_str(body).unwrap();
    let stats = server.stats_over_http().await;
    assert_eq!((stats.requests, stats.answered_whole, stats.in_flight), (1, 1, 0));
    assert_eq!(serde_json::json!([stats.input_tokens, stats.output_tokens]), answer["usage"]);
}

#[tokio::test]
async fn a_stream_comes_in_chunks_to_its_terminator() {
    let server = start("").await;
    let (text, closed) = server.raw(&ask("Hello")).await;
    assert!(closed.is_ok() && text.contains("transfer-encoding: chunked"), "{text}");
    assert!(text.contains("content-type: text/event-stream") && text.contains("data: [DONE]"), "{text}");
    assert!(text.ends_with("\r\n0\r\n\r\n"), "{text}");
    assert_eq!(server.stats_over_http().await.answered_whole, 1);
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = start("").await;
    let mut stream = server.connect().await;
    for _ in 0..3 {
        stream.write_all(&wire(&ask("[[sim latency=0]]"), "keep-alive")).await.unwrap();
        let mut text = String::new();
        while !text.ends_with("\r\n0\r\n\r\n") {
            let mut bytes = [0; 1024];
            let read = stream.read(&mut bytes).await.unwrap();
            assert_ne!(read, 0, "{text}");
            text.push_str(str::from_utf8(&bytes[..read]).unwrap());
        }
    }
    assert_eq!(server.stats().answered_whole, 3);
}

#[tokio::test]
async fn a_request_over_quota_is_told_how_long_to_wait() {
    let server = start("requests_per_minute: 1\nrequests_burst: 1").await;
    assert!(server.raw(&ask("[[sim latency=0]]")).await.1.is_ok());
    let (text, _) = server.raw(&ask("[[sim latency=0]]")).await;
    assert!(text.starts_with("HTTP/1.1 429 "), "{text}");
    let wait = text.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
    assert!((1..=60).contains(&wait.parse::<u32>().unwrap()), "{wait}");
    assert!(text.contains("left-requests: 0"), "{text}");
    assert_eq!(server.stats().by_status, [(200, 1), (429, 1)].into());
}

#[tokio::test]
async fn faults_of_the_connection_are_what_they_say() {
    let server = start("").await;
    let fault = async |fault: &str| server.raw(&ask(&format!("[[sim fail={fault}]]"))).await;

    let (text, closed) = fault("reset").await;
    assert_eq!((text.as_str(), closed.unwrap_err().kind()), ("", io::ErrorKind::ConnectionReset));

    let (text, closed) = fault("lost").await;
    assert_eq!((text.as_str(), closed.unwrap_err().kind()), ("", io::ErrorKind::ConnectionReset));

    let (text, closed) = fault("close").await;
    assert_eq!((text.as_str(), closed.unwrap()), ("", 0));

    let (text, closed) = fault("cut").await;
    assert!(closed.is_ok() && text.contains("\"text\"") && !text.ends_with("0\r\n\r\n"), "{text}");

    let (text, closed) = fault("truncated").await;
    assert!(closed.is_ok() && !text.contains("[DONE]") && text.ends_with("\r\n0\r\n\r\n"), "{text}");

    let stats = server.stats_when(|stats| stats.in_flight == 0).await;
    assert_eq!((stats.generations, stats.answered_whole, stats.unanswered), (3, 0, 3));
}

#[tokio::test]
async fn a_cut_plain_reply_sends_what_it_has_and_no_more() {
    let server = start("").await;
    let (text, closed) = server.raw(&Ask { stream: false, ..ask("[[sim fail=cut]]") }).await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let promised: usize =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    assert!(closed.is_ok() && !body.is_empty() && body.len() < promised, "{text}");
}

#[tokio::test]
async fn a_client_that_hangs_up_is_noticed_before_and_in_the_answer() {
    for prompt in ["[[sim fail=stall-first]]", "[[sim fail=stall]]", "[[sim ttft=50000]]"] {
        let server = start("").await;
        let mut stream = server.connect().await;
        stream.write_all(&wire(&ask(prompt), "keep-alive")).await.unwrap();
        server.stats_when(|stats| stats.in_flight == 1).await;
        drop(stream);
        let stats = server.stats_when(|stats| stats.in_flight == 0).await;
        assert_eq!((stats.peak_in_flight, stats.answered_whole), (1, 0), "{prompt}");
    }
}

#[tokio::test]
async fn a_shutdown_ends_replies_that_would_not_end() {
    let server = start("").await;
    let mut stalled = server.connect().await;
    stalled.write_all(&wire(&ask("[[sim fail=stall-first]]"), "keep-alive")).await.unwrap();
    server.stats_when(|stats| stats.in_flight == 1).await;
    server.stop.send(()).unwrap();
    server.ended.await.unwrap();
    assert_eq!(stalled.read(&mut [0; 1]).await.unwrap_or(0), 0);
    assert_eq!(server.model.lock().unwrap().stats().in_flight, 0);
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_body_that_is_too_long_is_read_and_refused() {
    let server = start("").await;
    let (text, _) = server.raw(&ask(&"x".repeat(model::most_body("/v1/plain") + 1))).await;
    assert!(text.starts_with("HTTP/1.1 413 "), "{}", text.get(..200).unwrap_or(&text));
}

#[tokio::test]
async fn addresses_that_cannot_be_had_say_why() {
    let server = start("").await;
    let taken = Server::bind(server.address, Exposure::Loopback).await.unwrap_err();
    assert!(matches!(taken, BindError::InUse(address) if address == server.address));
    let open = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
    let refused = Server::bind(open, Exposure::Loopback).await.unwrap_err();
    assert!(matches!(refused, BindError::NotLoopback(address) if address == open));
}

#[tokio::test]
async fn connections_are_refused_for_as_long_as_was_ordered() {
    let server = start("").await;
    let mut open = server.connect().await;
    // Two seconds of real time: long enough to be met, and the clock is a thousand times as fast.
    let order = r#"{"refuse_s": 2000}"#;
    let length = order.len();
    let head = "POST /_sim/control HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json";
    let sent = format!("{head}\r\ncontent-length: {length}\r\n\r\n{order}");
    open.write_all(sent.as_bytes()).await.unwrap();
    let mut byte = [0];
    open.read_exact(&mut byte).await.unwrap();
    // The reply and the end of listening come in either order.
    let refused = loop {
        match TcpStream::connect(server.address).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    open.write_all(&wire(&ask("Hello"), "close")).await.unwrap();
    let mut text = String::new();
    open.read_to_string(&mut text).await.unwrap();
    assert!(text.contains("HTTP/1.1 200 OK"), "a connection that is open goes on: {text}");
    while TcpStream::connect(server.address).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.stats().generations, 1);
}
