//! The simulator records itself over HTTP, and answers again from what was kept.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by where it panics")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};

use sortie_providers::http::Upstream;
use sortie_sim::record::{Exchange, Replay, Shelf};
use sortie_sim::server::{Exposure, TimeScale};
use sortie_sim::{Model, Scenario, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const CANARY: &str = "sk-canary-0123456789abcdef";

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Running {
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap();
    }
}

enum Face {
    Simulator,
    Recorder { upstream: SocketAddr, directory: std::path::PathBuf },
    Replay(std::path::PathBuf),
}

async fn start(face: Face) -> Running {
    let any = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
    let server = Server::bind(any, Exposure::Loopback).await.unwrap();
    let address = server.address();
    let (stop, stopped) = oneshot::channel();
    let shutdown = async { drop(stopped.await) };
    let fast = TimeScale::try_from(1000.0).unwrap();
    let ended = match face {
        Face::Simulator => {
            let model = Model::new(Scenario::named("calm").unwrap(), 7);
            tokio::spawn(server.serve(Arc::new(Mutex::new(model)), fast, shutdown))
        }
        Face::Recorder { upstream, directory } => {
            let upstream = Upstream::new(&format!("http://{upstream}")).unwrap();
            tokio::spawn(server.record(upstream, Shelf::open(&directory).unwrap(), shutdown))
        }
        Face::Replay(directory) => {
            let replay = Replay::open(&directory).unwrap();
            tokio::spawn(server.serve(Arc::new(Mutex::new(replay)), fast, shutdown))
        }
    };
    Running { address, stop, ended }
}

/// Requests of each kind: streamed or not, whole or broken, refused, and in both dialects.
fn requests() -> Vec<String> {
    let post = |path: &str, key: &str, body: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: sim\r\n{key}\r\nanthropic-version: 2023-06-01\r\ncookie: id={CANARY}\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let messages = |prompt: &str, stream: bool| {
        let body = format!(
            r#"{{"model":"claude-sonnet-4-5","max_tokens":50,"stream":{stream},"messages":[{{"role":"user","content":"{prompt}"}}]}}"#
        );
        post("/v1/messages?beta=true", &format!("x-api-key: {CANARY}"), &body)
    };
    let chat = format!(
        r#"{{"model":"gpt-4o","max_tokens":50,"stream":true,"messages":[{{"role":"user","content":"My key is {CANARY}, ünlikely."}}]}}"#
    );
    vec![
        messages("One", true),
        messages("One", false),
        messages("[[sim fail=529]] Two", true),
        messages("[[sim fail=529]] Two", true),
        messages("[[sim fail=cut]] Three", true),
        messages(&format!("Repeat {CANARY}"), false),
        messages("[[sim fail=empty200]] Four", false),
        post("/v1/chat/completions", &format!("authorization: Bearer {CANARY}"), &chat),
        format!(
            "GET /v1/models HTTP/1.1\r\nhost: sim\r\nauthorization: Bearer {CANARY}\r\nconnection: close\r\n\r\n"
        ),
    ]
}

/// Headers that no recording has: those of the connection, and those that say whose key it was.
const NOT_KEPT: [&str; 4] =
    ["date: ", "connection: ", "anthropic-organization-id: ", "anthropic-workspace-id: "];

/// The reply as it came, but for the headers that are not kept.
async fn reply(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let _broken = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head.split("\r\n").collect();
    lines.retain(|line| !NOT_KEPT.iter().any(|name| line.starts_with(name)));
    lines[1..].sort_unstable();
    format!("{}\n\n{}", lines.join("\n"), unchunked(head, body))
}

/// A body without its framing: pieces may be joined on their way through a proxy.
fn unchunked(head: &str, body: &str) -> String {
    if !head.contains("transfer-encoding: chunked") {
        return body.to_owned();
    }
    let (mut whole, mut rest) = (String::new(), body);
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        whole.push_str(after.get(..size).unwrap_or(after));
        rest = after.get(size + 2..).unwrap_or("");
        if size == 0 {
            whole.push_str("<whole>");
        }
    }
    whole
}

fn files(directory: &Path) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn what_was_recorded_is_replayed_byte_for_byte_and_tells_no_key() {
    let directory = tempfile::tempdir().unwrap();
    let simulator = start(Face::Simulator).await;
    let recorder =
        start(Face::Recorder { upstream: simulator.address, directory: directory.path().to_owned() }).await;
    let mut recorded = Vec::new();
    for request in requests() {
        recorded.push(reply(recorder.address, &request).await);
    }
    // The simulator's own pages are passed on and not kept.
    let stats =
        format!("GET /_sim/stats HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", simulator.address);
    assert!(reply(recorder.address, &stats).await.starts_with("HTTP/1.1 "));
    recorder.stop().await;
    simulator.stop().await;

    let kept = files(directory.path());
    assert_eq!(kept.len(), requests().len());
    assert!(kept[0].0.starts_with("0001-POST-v1-messages"), "{}", kept[0].0);
    for (name, text) in &kept {
        let told = CANARY
            .as_bytes()
            .windows(8)
            .map(|part| str::from_utf8(part).unwrap())
            .find(|part| text.contains(part));
        assert_eq!(told, None, "{name}: {text}");
        assert!(!text.contains("organization") && !text.contains("wrkspc"), "{name}: {text}");
    }

    let replay = start(Face::Replay(directory.path().to_owned())).await;
    for (request, recorded) in requests().iter().zip(&recorded) {
        assert!(recorded.contains("HTTP/1.1 200") || recorded.contains("HTTP/1.1 529"), "{recorded}");
        let replayed = reply(replay.address, request).await;
        if request.rsplit("\r\n\r\n").next().is_some_and(|body| body.contains(CANARY)) {
            // What is masked keeps its length.
            assert!(replayed.contains("xxxxxxxx") && replayed.len() == recorded.len(), "{replayed}");
        } else {
            assert_eq!(&replayed, recorded);
        }
    }
    let unknown = reply(replay.address, &requests()[0].replace("One", "Ten")).await;
    assert!(unknown.starts_with("HTTP/1.1 404") && unknown.contains("no exchange was recorded"), "{unknown}");
    replay.stop().await;
}

#[tokio::test]
async fn the_fixtures_of_the_dialects_are_served_as_recordings() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../providers/tests/fixtures");
    let replay = start(Face::Replay(fixtures.clone())).await;
    let texts = files(&fixtures).into_iter().filter(|(name, _)| name != "README.md");
    for (name, text) in texts {
        let Exchange { request, response, .. } = Exchange::read(text.as_bytes()).unwrap();
        let body = String::from_utf8(request.body.bytes().unwrap()).unwrap();
        let head = format!("{} {} HTTP/1.1\r\nhost: sim\r\nconnection: close", request.method, request.path);
        let asked = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let answered = reply(replay.address, &asked).await;
        let (head, body) = answered.split_once("\n\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {} ", response.status)), "{name}: {head}");
        let body = body.strip_suffix("<whole>").unwrap_or(body);
        assert_eq!(body, String::from_utf8(response.body()).unwrap(), "{name}");
    }
    replay.stop().await;
}

/// An upstream that answers once, with this body; gives what it was asked.
async fn answering(body: &'static str) -> (SocketAddr, JoinHandle<String>) {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(stream.read_u8().await.unwrap());
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
        let reply = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(reply.as_bytes()).await.unwrap();
        String::from_utf8(asked).unwrap()
    });
    (address, asked)
}

#[tokio::test]
async fn the_results_of_a_batch_are_where_it_was_asked_for_and_not_at_the_upstream() {
    let directory = tempfile::tempdir().unwrap();
    let (upstream, asked) = answering(
        r#"{"id": "msgbatch_1", "results_url": "https://api.anthropic.com/v1/messages/batches/msgbatch_1/results"}"#,
    )
    .await;
    let recorder = start(Face::Recorder { upstream, directory: directory.path().to_owned() }).await;
    let request = "GET /v1/messages/batches/msgbatch_1 HTTP/1.1\r\nhost: sim:1\r\naccept-encoding: gzip\r\n\
                   anthropic-version: 2023-06-01\r\nconnection: close\r\n\r\n";
    let here =
        r#"{"id": "msgbatch_1", "results_url": "http://sim:1/v1/messages/batches/msgbatch_1/results"}"#;
    let recorded = reply(recorder.address, request).await;
    assert!(recorded.contains(here), "{recorded}");
    assert!(!asked.await.unwrap().to_lowercase().contains("gzip"));
    recorder.stop().await;
    let kept = files(directory.path());
    assert!(kept[0].1.contains("https://api.anthropic.com/"), "{kept:?}");

    let replay = start(Face::Replay(directory.path().to_owned())).await;
    let replayed = reply(replay.address, request).await;
    assert!(replayed.ends_with(&format!("\n\n{here}")), "{replayed}");
    assert!(replayed.contains(&format!("content-length: {}\n", here.len())), "{replayed}");
    replay.stop().await;
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_is_a_bad_gateway_and_nothing_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let nobody = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let upstream = nobody.local_addr().unwrap();
    drop(nobody);
    let recorder = start(Face::Recorder { upstream, directory: directory.path().to_owned() }).await;
    let answered = reply(recorder.address, &requests()[0]).await;
    assert!(
        answered.starts_with("HTTP/1.1 502") && answered.contains("failed to hear the upstream"),
        "{answered}"
    );
    recorder.stop().await;
    assert!(files(directory.path()).is_empty());
}

#[test]
fn a_shelf_is_private_goes_on_counting_and_refuses_what_it_does_not_know() {
    let directory = tempfile::tempdir().unwrap();
    let shelf = directory.path().join("kept");
    Shelf::open(&shelf).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(shelf.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }
    let refused = |part: &str| {
        let error = Replay::open(&shelf).unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let text = format!("{error}: {}", source.unwrap_or_default());
        assert!(text.contains(part), "{text}");
    };
    refused("find an exchange in");
    std::fs::write(shelf.join("notes.txt"), "{}").unwrap();
    refused("kept: it has no file");
    let odd = shelf.join("0001-odd.json");
    std::fs::write(&odd, "{}").unwrap();
    refused("0001-odd.json: missing field `format`");
    // As long as it says, and holds nothing.
    std::fs::File::create(&odd).unwrap().set_len((256 << 20) + 1).unwrap();
    refused("0001-odd.json: it has more than 268435456 bytes");
    std::fs::remove_file(&odd).unwrap();
    std::fs::create_dir(&odd).unwrap();
    refused("0001-odd.json: it is no regular file");
    assert!(Replay::open(&directory.path().join("none")).is_err());
}

#[cfg(unix)]
#[test]
fn a_pipe_or_a_device_among_the_exchanges_is_refused_and_never_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0001-odd.json");
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    let refused = || Replay::open(directory.path()).unwrap_err().to_string();
    assert!(refused().contains("0001-odd.json: it is no regular file"), "{}", refused());
    std::fs::remove_file(&path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    assert!(refused().contains("0001-odd.json: it is no regular file"), "{}", refused());
}
