//! `sortie simulate` as a process of its own, and a server that is none.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde::de::DeserializeOwned;
use sortie::sim::ledger::{Entry, Stats};
use tempfile::TempDir;

use super::sandbox::SORTIE;

/// Answers of 20 tokens in 30 ms: fast enough for real time, slow enough to be caught in flight.
const QUICK: &str = "\
name: quick
latency: { total: { seconds: { fixed: 0.03 }, first_token: { fixed: 0.01 } } }
output_tokens: { fixed: 20 }
unknown_models: served
";

/// Answers of 20 tokens in a second: a signal that is sent while one is in flight comes before it has ended.
const SLOW: &str = "\
name: slow
latency: { total: { seconds: { fixed: 1 }, first_token: { fixed: 0.5 } } }
output_tokens: { fixed: 20 }
";

/// The simulator, serving on a free port until dropped.
pub(crate) struct Simulator {
    child: Child,
    url: String,
    /// Open, so that it can go on writing.
    _stdout: BufReader<ChildStdout>,
    _files: TempDir,
}

impl Simulator {
    /// One that answers within milliseconds.
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// The same with these lines in its scenario.
    pub(crate) fn with(lines: &str) -> Self {
        Self::behaving(&format!("{QUICK}{lines}"))
    }

    /// One that takes a second for each answer.
    pub(crate) fn slow() -> Self {
        Self::behaving(SLOW)
    }

    fn behaving(text: &str) -> Self {
        let dir = TempDir::with_prefix("sortie-sim-").expect("the temporary directory takes another one");
        let scenario = dir.path().join("own.yaml");
        std::fs::write(&scenario, text).expect("a temporary directory takes files");
        let scenario = scenario.to_str().expect("temporary paths are UTF-8");
        Self::answering(&["--scenario", scenario], dir)
    }

    /// One that behaves as a built-in scenario says, so many times faster than real time.
    pub(crate) fn hurried(scenario: &str, times: u32) -> Self {
        Self::answering(&["--scenario", scenario, "--time-scale", &times.to_string()], nothing())
    }

    /// One that passes requests on to another, and keeps the exchanges.
    pub(crate) fn recording(directory: &Path, upstream: &Simulator) -> Self {
        let directory = directory.to_str().expect("temporary paths are UTF-8");
        Self::answering(&["--record", directory, "--upstream", upstream.url()], nothing())
    }

    /// One that answers from recorded exchanges.
    pub(crate) fn replaying(directory: &Path) -> Self {
        let directory = directory.to_str().expect("temporary paths are UTF-8");
        Self::answering(&["--replay", directory], nothing())
    }

    fn answering(arguments: &[&str], dir: TempDir) -> Self {
        let mut child = Command::new(SORTIE)
            .args(["simulate", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the simulator starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it was asked for"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("the simulator says where it is");
        let url = line.trim_end().strip_prefix("listening on ");
        let url = url.unwrap_or_else(|| panic!("the simulator says {line:?}")).to_owned();
        Simulator { child, url, _stdout: stdout, _files: dir }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What it has counted.
    pub(crate) fn stats(&self) -> Stats {
        self.get("/_sim/stats")
    }

    /// What it has answered and billed, in order.
    pub(crate) fn ledger(&self) -> Vec<Entry> {
        self.get("/_sim/ledger")
    }

    /// The chat completions that it keeps for a key.
    pub(crate) fn completions(&self, key: &str) -> Vec<serde_json::Value> {
        let list: serde_json::Value =
            self.get_with("/v1/chat/completions?limit=100", &format!("authorization: Bearer {key}\r\n"));
        list["data"].as_array().cloned().unwrap_or_default()
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        self.get_with(path, "")
    }

    fn get_with<T: DeserializeOwned>(&self, path: &str, headers: &str) -> T {
        let address = self.url.trim_start_matches("http://");
        let mut socket = TcpStream::connect(address).expect("the simulator listens");
        // HTTP/1.0: the body ends with the connection, in one piece.
        write!(socket, "GET {path} HTTP/1.0\r\nhost: {address}\r\n{headers}\r\n")
            .expect("the simulator reads");
        let mut reply = String::new();
        socket.read_to_string(&mut reply).expect("the simulator answers");
        let (_, body) = reply.split_once("\r\n\r\n").unwrap_or_else(|| panic!("not HTTP: {reply}"));
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
    }
}

/// The directory of a simulator that needs no files.
fn nothing() -> TempDir {
    TempDir::new().expect("the temporary directory takes another one")
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that gives every request the same reply and keeps what it was sent. It ends with the
/// test's process.
pub(crate) struct Trap {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Trap {
    /// `reply` makes a whole HTTP reply of a whole request.
    pub(crate) fn start(reply: impl Fn(&str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        thread::spawn(move || {
            for mut socket in listener.incoming().flatten() {
                let request = request(&mut socket);
                let answer = reply(&request);
                kept.lock().expect("nothing panics while it is held").push(request);
                // A client that has gone away is the test's to notice.
                let _ = socket.write_all(answer.as_bytes());
            }
        });
        Trap { url, requests }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The requests so far, headers and bodies.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("nothing panics while it is held").clone()
    }
}

/// One request, read as far as its length says.
fn request(socket: &mut TcpStream) -> String {
    let mut reader = BufReader::new(socket);
    let mut head = String::new();
    while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    let _ = reader.read_exact(&mut body);
    head + &String::from_utf8_lossy(&body)
}
