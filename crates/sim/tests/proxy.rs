//! The proxy between a client and the simulator's own server: what it does to calls, and what it says that it did.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by where it panics")]

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock, Mutex};

use sortie_providers::http::Upstream;
use sortie_sim::ledger::Stats;
use sortie_sim::scenario::FaultShare;
use sortie_sim::server::proxy::{Counts, Faults, Proxy};
use sortie_sim::server::{Exposure, TimeScale};
use sortie_sim::{Model, Scenario, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

const CANARY: &str = "sk-canary-0123456789abcdef";

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn fast() -> TimeScale {
    TimeScale::try_from(1000.0).unwrap()
}

/// The simulator, as the real API.
struct Real {
    address: SocketAddr,
    model: Arc<Mutex<Model>>,
    _stop: oneshot::Sender<()>,
}

async fn real() -> Real {
    let server = Server::bind(ANY, Exposure::Loopback).await.unwrap();
    let (stop, stopped) = oneshot::channel();
    let model = Arc::new(Mutex::new(Model::new(Scenario::named("calm").unwrap(), 7)));
    let address = server.address();
    tokio::spawn(server.serve(Arc::clone(&model), fast(), async { drop(stopped.await) }));
    Real { address, model, _stop: stop }
}

impl Real {
    fn stats(&self) -> Stats {
        self.model.lock().unwrap().stats()
    }
}

async fn proxy(upstream: &str, shares: &[(&str, f64)]) -> Proxy {
    proxy_at(fast(), upstream, shares).await
}

async fn proxy_at(scale: TimeScale, upstream: &str, shares: &[(&str, f64)]) -> Proxy {
    LazyLock::force(&LOG);
    let share = |&(kind, share): &(&str, f64)| FaultShare {
        kind: kind.parse().unwrap(),
        share,
        from_s: None,
        until_s: None,
        provider: None,
    };
    let faults = Faults::new(shares.iter().map(share).collect(), 1).unwrap();
    Proxy::start(Upstream::new(upstream).unwrap(), faults, scale).await.unwrap()
}

async fn before(real: &Real, shares: &[(&str, f64)]) -> Proxy {
    proxy(&format!("http://{}", real.address), shares).await
}

fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: here\r\nx-api-key: {CANARY}\r\nauthorization: Bearer {CANARY}\r\n\
         anthropic-version: 2023-06-01\r\ncontent-type: application/json\r\nconnection: close, x-hop\r\nx-hop: 1\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn get(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: here\r\nauthorization: Bearer {CANARY}\r\nconnection: close\r\n\r\n"
    )
}

fn messages(prompt: &str, stream: bool) -> String {
    let body = format!(
        r#"{{"model":"claude-sonnet-4-5","max_tokens":400,"stream":{stream},"messages":[{{"role":"user","content":"{prompt}"}}]}}"#
    );
    post("/v1/messages", &body)
}

/// All that comes back, and how the connection ended.
async fn reply(address: SocketAddr, request: &str) -> (String, io::Result<usize>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let closed = stream.read_to_end(&mut bytes).await;
    (String::from_utf8(bytes).unwrap(), closed)
}

/// The status and the body, without its framing: pieces may be joined on their way.
fn read(text: &str) -> (&str, String) {
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.lines().next().unwrap();
    if !head.contains("transfer-encoding: chunked") {
        return (status, body.to_owned());
    }
    let (mut whole, mut rest) = (String::new(), body);
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        whole.push_str(after.get(..size).unwrap_or(after));
        rest = after.get(size + 2..).unwrap_or("");
    }
    (status, whole)
}

/// Whether an answer is all there: its last event, or its JSON.
fn is_whole(text: &str) -> bool {
    if !text.starts_with("HTTP/1.1 200") || !text.contains("\r\n\r\n") {
        return false;
    }
    let (_, body) = read(text);
    body.contains(r#"{"type":"message_stop"}"#) || serde_json::from_str::<serde_json::Value>(&body).is_ok()
}

async fn counts_when(proxy: &Proxy, noticed: impl Fn(&Counts) -> bool) -> Counts {
    loop {
        let counts = proxy.counts();
        if noticed(&counts) {
            return counts;
        }
        tokio::task::yield_now().await;
    }
}

/// What was counted of one call that met this fault.
fn one(fault: &str, asked: u64) -> Counts {
    Counts {
        requests: 1,
        calls: 1,
        faults: BTreeMap::from([(fault.to_owned(), 1)]),
        asked,
        by_status: if asked == 1 { BTreeMap::from([(200, 1)]) } else { BTreeMap::new() },
        ..Counts::default()
    }
}

#[tokio::test]
async fn what_is_refused_is_refused_in_the_provider_s_words_and_never_asked() {
    for (fault, told) in [
        ("429", "rate_limit_error"),
        ("429:quota", "enforced_spend_limit_reached"),
        ("500", "api_error"),
        ("529", "overloaded_error"),
        ("no-credit", "credit balance"),
        ("502:html", "<html>"),
    ] {
        let real = real().await;
        let proxy = before(&real, &[(fault, 1.0)]).await;
        let (text, closed) = reply(proxy.address(), &messages("Hello", true)).await;
        let (status, body) = read(&text);
        assert!(closed.is_ok() && body.contains(told), "{fault}: {text}");
        assert!(fault == "no-credit" || status.contains(&fault[..3]), "{fault}: {text}");
        assert_eq!(text.contains("retry-after: 1\r\n"), fault == "429", "{fault}: {text}");
        assert_eq!(proxy.stop().await, one(fault, 0));
        assert_eq!(real.stats().requests, 0);
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_before_is_never_asked() {
    for (fault, kind) in [("close", None), ("reset", Some(io::ErrorKind::ConnectionReset))] {
        let real = real().await;
        let proxy = before(&real, &[(fault, 1.0)]).await;
        let (text, closed) = reply(proxy.address(), &messages("Hello", true)).await;
        assert_eq!((text.as_str(), closed.err().map(|error| error.kind())), ("", kind), "{fault}");
        assert_eq!(proxy.stop().await, one(fault, 0));
        assert_eq!(real.stats().requests, 0);
    }
}

#[tokio::test]
async fn an_answer_that_breaks_was_asked_for_and_is_never_whole() {
    for fault in ["cut", "reset-mid", "truncated", "lost"] {
        for stream in [true, false] {
            let real = real().await;
            let proxy = before(&real, &[(fault, 1.0)]).await;
            let (text, closed) = reply(proxy.address(), &messages("Hello", stream)).await;
            let what = format!("{fault} {stream}: {text:?} {closed:?}");
            match fault {
                "lost" => assert!(text.is_empty() && closed.is_err(), "{what}"),
                "reset-mid" => assert!(closed.is_err(), "{what}"),
                _ => assert!(text.starts_with("HTTP/1.1 200") && !read(&text).1.is_empty(), "{what}"),
            }
            assert!(!is_whole(&text), "{what}");
            assert_eq!(text.ends_with("0\r\n\r\n"), fault == "truncated", "{what}");
            assert_eq!(proxy.stop().await, Counts { cut: 1, ..one(fault, 1) }, "{what}");
            assert_eq!(real.stats().generations, 1);
            // What is lost was there.
            assert!(fault != "lost" || real.stats().answered_whole == 1, "{what}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_late_or_stands_still_comes_whole() {
    for fault in ["ok", "delay:30", "pause:30"] {
        for stream in [true, false] {
            let (real, alike) = (real().await, real().await);
            let proxy = before(&real, &[(fault, 1.0)]).await;
            let (direct, _) = reply(alike.address, &messages("Hello", stream)).await;
            let (text, closed) = reply(proxy.address(), &messages("Hello", stream)).await;
            assert!(closed.is_ok(), "{fault} {stream}");
            assert_eq!(read(&text), read(&direct), "{fault} {stream}");
            let mut expected = Counts { whole: 1, ..one(fault, 1) };
            expected.faults.retain(|fault, _| fault != "ok");
            assert_eq!(proxy.stop().await, expected, "{fault} {stream}");
        }
    }
}

#[tokio::test]
async fn a_delay_and_a_pause_last_as_long_as_they_are_said_to() {
    for fault in ["delay:30", "pause:30"] {
        let real = real().await;
        // Half a minute is eight hours.
        let slow = TimeScale::try_from(0.001).unwrap();
        let proxy = proxy_at(slow, &format!("http://{}", real.address), &[(fault, 1.0)]).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        stream.write_all(messages("Hello", false).as_bytes()).await.unwrap();
        counts_when(&proxy, |counts| !counts.faults.is_empty()).await;
        while real.stats().answered_whole == 0 {
            tokio::task::yield_now().await;
        }
        drop(stream);
        counts_when(&proxy, |counts| counts.under_way() == 0).await;
        assert_eq!(proxy.stop().await, Counts { hung_up: 1, ..one(fault, 1) }, "{fault}");
    }
}

#[tokio::test]
async fn a_stall_lasts_until_the_client_hangs_up() {
    for (fault, asked) in [("stall-first", 0), ("stall-head", 1), ("stall", 1)] {
        let real = real().await;
        let proxy = before(&real, &[(fault, 1.0)]).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        stream.write_all(messages("Hello", true).as_bytes()).await.unwrap();
        let counts = counts_when(&proxy, |counts| !counts.faults.is_empty()).await;
        assert_eq!((counts.clone(), counts.under_way()), (one(fault, asked), asked), "{fault}");
        drop(stream);
        counts_when(&proxy, |counts| counts.under_way() == 0).await;
        assert_eq!(proxy.stop().await, Counts { cut: asked, ..one(fault, asked) }, "{fault}");
        assert_eq!(real.stats().generations, asked);
    }
}

#[tokio::test]
async fn a_stream_is_handed_on_as_it_comes_and_a_client_that_hangs_up_is_counted() {
    let real = real().await;
    let proxy = before(&real, &[]).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream.write_all(messages("[[sim fail=stall]] Hello", true).as_bytes()).await.unwrap();
    let mut text = String::new();
    // The upstream never ends this one.
    while !text.contains("content_block_delta") {
        let mut bytes = [0; 1024];
        let read = stream.read(&mut bytes).await.unwrap();
        text.push_str(str::from_utf8(&bytes[..read]).unwrap());
    }
    drop(stream);
    let counts = counts_when(&proxy, |counts| counts.under_way() == 0 && counts.asked == 1).await;
    assert_eq!((counts.hung_up, counts.whole, counts.cut), (1, 0, 0));
    while real.stats().in_flight > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_counts_are_those_of_the_upstream_s_ledger() {
    let real = real().await;
    let kinds = ["429", "529", "close", "cut", "lost", "truncated", "delay:2", "pause:2"];
    let proxy = before(&real, &kinds.map(|kind| (kind, 0.08))).await;
    let mut calls = JoinSet::new();
    for number in 0..300 {
        let address = proxy.address();
        let request = messages(&format!("Number {}", number % 150), number % 3 > 0);
        calls.spawn(async move {
            let (text, closed) = reply(address, &request).await;
            let is_whole = closed.is_ok() && is_whole(&text);
            (text.get(9..12).unwrap_or("").to_owned(), is_whole)
        });
    }
    let replies = calls.join_all().await;
    let counts = proxy.stop().await;
    let stats = real.stats();
    assert_eq!((counts.requests, counts.calls, counts.under_way(), counts.broken), (300, 300, 0, 0));
    assert_eq!((stats.generations, stats.requests), (counts.asked, counts.asked));
    assert_eq!(replies.iter().filter(|(_, is_whole)| *is_whole).count() as u64, counts.whole);
    let faults = |kinds: &[&str]| kinds.iter().map(|kind| counts.faults[*kind]).sum::<u64>();
    assert_eq!(counts.unasked(), faults(&["429", "529", "close"]));
    assert_eq!(counts.cut, faults(&["cut", "lost", "truncated"]));
    assert_eq!(replies.iter().filter(|(status, _)| status == "429").count() as u64, faults(&["429"]));
    // Five standard deviations of a share of 0.08 among 300 are 23.
    assert!(counts.faults.values().all(|many| (2..=47).contains(many)), "{:?}", counts.faults);
    assert_eq!(counts.by_status, BTreeMap::from([(200, counts.asked)]));
}

#[tokio::test]
async fn what_asks_for_no_answer_passes_whatever_is_drawn() {
    let real = real().await;
    let proxy = before(&real, &[("529", 1.0)]).await;
    let models = reply(proxy.address(), &get("/v1/models")).await.0;
    assert!(models.starts_with("HTTP/1.1 200"), "{models}");
    assert_eq!(read(&models), read(&reply(real.address, &get("/v1/models")).await.0));
    let body = r#"{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"Hello"}]}"#;
    let count = reply(proxy.address(), &post("/v1/messages/count_tokens", body)).await.0;
    assert!(count.starts_with("HTTP/1.1 200") && count.contains("input_tokens"), "{count}");
    assert!(reply(proxy.address(), &get("/v1/nothing")).await.0.starts_with("HTTP/1.1 404"));
    let gone = Counts { requests: 3, ..Counts::default() };
    assert_eq!(proxy.stop().await, gone);
}

#[tokio::test]
async fn a_base_url_with_a_path_is_the_sdk_s() {
    let real = real().await;
    let body = r#"{"model":"gpt-4o","max_tokens":50,"messages":[{"role":"user","content":"Hello"}]}"#;
    let under = format!("http://{}/v1/", real.address);
    let proxied = proxy(&under, &[]).await;
    let whole = reply(proxied.address(), &post("/chat/completions", body)).await.0;
    assert!(whole.starts_with("HTTP/1.1 200") && whole.contains("chat.completion"), "{whole}");
    assert!(reply(proxied.address(), &get("/models")).await.0.starts_with("HTTP/1.1 200"));
    let refusing = proxy(&under, &[("429", 1.0)]).await;
    let refused = reply(refusing.address(), &post("/chat/completions", body)).await.0;
    assert!(refused.starts_with("HTTP/1.1 429") && refused.contains("rate_limit_exceeded"), "{refused}");
    assert_eq!(refusing.counts(), one("429", 0));
}

#[tokio::test]
async fn an_error_of_the_upstream_comes_through_whole() {
    for fault in ["cut", "lost", "stall", "truncated"] {
        let real = real().await;
        let proxy = before(&real, &[(fault, 1.0)]).await;
        let (text, _) = reply(proxy.address(), &messages("[[sim fail=503]] Hello", true)).await;
        assert!(text.starts_with("HTTP/1.1 503") && text.contains("\"error\""), "{fault}: {text}");
        let counts = proxy.stop().await;
        assert_eq!((counts.faults.len(), counts.whole, counts.by_status), (0, 1, BTreeMap::from([(503, 1)])));
    }
}

/// All that is logged, with all fields: by every test, because what one thread asks for is not always what another is
/// asked for.
static LOG: LazyLock<Log> = LazyLock::new(|| {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.clone()).unwrap();
    log
});

#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<String>>);

impl tracing::field::Visit for Log {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        write!(self.0.lock().unwrap(), "{field}={value:?} ").unwrap();
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        span.record(&mut self.clone());
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, values: &tracing::span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// One request as a server that hangs up reads it.
async fn heard(listener: &TcpListener) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut text = String::new();
    while !text.ends_with('}') {
        let mut bytes = [0; 1024];
        let read = stream.read(&mut bytes).await.unwrap();
        text.push_str(str::from_utf8(&bytes[..read]).unwrap());
    }
    text
}

#[tokio::test]
async fn keys_pass_with_the_client_s_own_headers_alone_and_are_in_no_log() {
    LazyLock::force(&LOG);
    let listener = TcpListener::bind(ANY).await.unwrap();
    let proxy = proxy(&format!("http://{}", listener.local_addr().unwrap()), &[]).await;
    let request = messages("Hello", true);
    let (text, (answer, closed)) = tokio::join!(heard(&listener), reply(proxy.address(), &request));
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, request.split_once("\r\n\r\n").unwrap().1);
    let mut headers: Vec<&str> = head.lines().skip(1).filter(|line| !line.starts_with("host: ")).collect();
    headers.sort_unstable();
    let (bearer, key) = (format!("authorization: Bearer {CANARY}"), format!("x-api-key: {CANARY}"));
    let length = format!("content-length: {}", body.len());
    let (version, kind) = ("anthropic-version: 2023-06-01", "content-type: application/json");
    assert_eq!(headers, ["accept: */*", version, &bearer, &length, kind, &key]);
    // It did not answer, and what it may have generated nobody knows.
    assert!(answer.is_empty() && closed.is_ok(), "{answer:?} {closed:?}");
    drop(listener);
    assert!(reply(proxy.address(), &get("/v1/models")).await.0.starts_with("HTTP/1.1 502"));
    let shown = format!("{proxy:?}");
    let counts = proxy.stop().await;
    assert_eq!((counts.asked, counts.broken, counts.under_way()), (1, 1, 0));
    let log = LOG.0.lock().unwrap();
    assert!(log.contains("the upstream did not reply"), "{log}");
    assert!(
        !log.contains("canary") && !shown.contains("canary") && !format!("{counts:?}").contains("canary")
    );
}
