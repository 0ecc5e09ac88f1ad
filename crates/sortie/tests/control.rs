//! A run and whoever asks it through its socket: who is heard, when, and that nobody disturbs it.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use sortie::binding::Simulation;
use sortie::config::Config;
use sortie::control::{AskError, LONGEST, Request, ask};
use sortie::core::document::Source;
use sortie::core::plan::check::Checked;
use sortie::core::run::control::Control;
use sortie::core::run::event::{Event, Record};
use sortie::core::run::input::Budgets;
use sortie::engine::driver::{Foreseen, Observe};
use sortie::engine::executor::simulated::Pace;
use sortie::engine::store::sqlite::{Durability, SqliteStore};
use sortie::engine::store::{Header, Output, Store};
use sortie::launch::Launch;
use sortie::session::{Drive, Session, today};
use sortie::{Ended, Environment, Signal, Signals, Stop};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

/// Calls that outlast every test: one at a time, until somebody says otherwise.
const PLAN: &str = "
defaults: { max_tokens: 10 }
tasks:
  - { id: a, prompt: 'A. [[sim latency=3600]]', timeout: 7200 }
  - { id: b, prompt: 'B. [[sim latency=3600]]', timeout: 7200 }
  - { id: c, prompt: 'C. [[sim latency=3600]]', timeout: 7200 }
";
const CONFIG: &str = "rate_limiting: { max_concurrent: 1 }";

fn header() -> Header {
    let source = |name: &str, text: &str| Source::new(name, text.as_bytes().to_vec()).unwrap();
    let config = Config::read(&source("sortie.yaml", CONFIG), &|_| None, today()).unwrap();
    let checked = Checked::read(&source("plan.yaml", PLAN), &config.routing()).unwrap();
    let simulation = Some(Simulation::named("calm", 0).unwrap());
    let launch = Launch { run_id: Some("one".to_owned()), simulation, ..Launch::default() };
    launch.header(checked, &config, &Environment::default(), sortie::session::now()).unwrap()
}

/// Hands on what the run remembers.
struct Told(mpsc::UnboundedSender<Event>);

impl Observe for Told {
    fn records(&mut self, records: &[Record], _: &[Output]) {
        for record in records {
            let _ = self.0.send(record.event.clone());
        }
    }
}

/// A run under way in real time.
struct Going {
    results_dir: PathBuf,
    stop: Stop,
    told: mpsc::UnboundedReceiver<Event>,
    driving: JoinHandle<Ended>,
}

impl Going {
    /// A run whose directory `prepare` had before its socket was made.
    async fn start(results_dir: &Path, prepare: impl FnOnce(&Path)) -> Self {
        let store = SqliteStore::open(results_dir, Durability::Unsynced).unwrap();
        let session = Session::create(store, header(), Some(results_dir)).await.unwrap();
        prepare(&results_dir.join("one"));
        let ((stop, mut signals), (send, told)) = (Signals::channel(), mpsc::unbounded_channel());
        let driving = tokio::spawn(async move {
            let (environment, budgets) = (&Environment::default(), Budgets::default());
            let (pace, forecast) = (Pace::RealTime, Foreseen::nothing());
            let drive = Drive { environment, budgets, pace, signals: &mut signals, forecast };
            session.drive(drive, Told(send)).await.unwrap().ended
        });
        let mut going = Going { results_dir: results_dir.to_owned(), stop, told, driving };
        going.until("its first call", |event| matches!(event, Event::AttemptStarted { .. })).await;
        going
    }

    fn directory(&self) -> PathBuf {
        self.results_dir.join("one")
    }

    /// What it remembers until this, which is the last of it.
    async fn until(&mut self, what: &str, is_it: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let Some(event) = self.told.recv().await else { panic!("the run ended before {what}") };
            events.push(event);
            if events.last().is_some_and(&is_it) {
                return events;
            }
        }
    }

    async fn ask(&self, request: Request) -> Result<String, AskError> {
        let directory = self.directory();
        spawn_blocking(move || ask(&directory, &request)).await.unwrap()
    }

    /// Writes these bytes, as somebody who knows no better, and gives what comes back.
    async fn write(&self, bytes: Vec<u8>) -> String {
        let socket = self.directory().join("control.sock");
        let written = spawn_blocking(move || {
            let mut stream = UnixStream::connect(socket).unwrap();
            // The other end may have heard enough.
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut reply = String::new();
            let _ = stream.read_to_string(&mut reply);
            reply
        });
        written.await.unwrap()
    }

    /// Ends it at once.
    async fn end(self) {
        for _ in 0..2 {
            self.stop.send(Signal::Terminate);
        }
        assert_eq!(self.driving.await.unwrap(), Ended::AtOnce(Signal::Terminate));
    }
}

fn started(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::AttemptStarted { .. })).count()
}

fn concurrency(at_most: u32) -> Request {
    Request::Concurrency { at_most }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_does_what_it_is_asked_once_it_is_in_its_journal() {
    let dir = tempfile::tempdir().unwrap();
    let mut going = Going::start(dir.path(), |_| {}).await;
    let socket = going.directory().join("control.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(going.directory()).unwrap().permissions().mode() & 0o777, 0o700);

    let done = going.ask(concurrency(2)).await.unwrap();
    assert_eq!(done, "calls at a time set to 2 by the user");
    let store = SqliteStore::open(dir.path(), Durability::Unsynced).unwrap();
    let journal = store.read("one").await.unwrap().1;
    let control = Control::Concurrency(2);
    assert!(journal.iter().any(|record| record.event == Event::Controlled { control }), "{journal:?}");
    going.until("its second call", |event| matches!(event, Event::AttemptStarted { .. })).await;

    for (agent, expected) in [("nobody".to_owned(), "no agent"), ("x".repeat(1 << 20), "4096 bytes")] {
        let refused = going.ask(Request::Rpm { per_minute: 9, agent: Some(agent) }).await;
        assert!(matches!(&refused, Err(AskError::Refused(why)) if why.contains(expected)), "{refused:?}");
    }

    going.ask(Request::Pause {}).await.unwrap();
    going.ask(concurrency(3)).await.unwrap();
    going.ask(Request::Cancel {}).await.unwrap();
    let events = going.until("its end", |event| matches!(event, Event::CancelRequested { .. })).await;
    assert_eq!(started(&events), 0, "a paused run started a call: {events:?}");

    let directory = going.directory();
    // It drains already: one signal is the second.
    going.stop.send(Signal::Interrupt);
    assert_eq!(going.driving.await.unwrap(), Ended::AtOnce(Signal::Interrupt));
    assert!(!socket.exists());
    assert!(matches!(ask(&directory, &Request::Pause {}), Err(AskError::NobodyListens)));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_comes_through_the_socket_disturbs_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut going = Going::start(dir.path(), |_| {}).await;
    let request = br#"{"control":"concurrency","at_most":2}"#;
    let padded =
        |length: usize| [vec![b' '; length - request.len() - 1], request.to_vec(), b"\n".to_vec()].concat();
    for (bytes, expected) in [
        (b"pause\n".to_vec(), "error"),
        (vec![0xff; 100], "error"),
        (b"[".repeat(LONGEST), "error"),
        (padded(LONGEST + 1), "error"),
        (b"x".repeat(1 << 20), "error"),
        (Vec::new(), ""),
        (padded(LONGEST), "ok"),
    ] {
        let reply = going.write(bytes.clone()).await;
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(50)]).into_owned();
        assert_eq!(reply.is_empty(), expected.is_empty(), "{shown}: {reply}");
        assert!(reply.contains(expected) && reply.len() < 2 * LONGEST, "{shown}: {reply}");
    }
    let events = going.until("a second call", |event| matches!(event, Event::AttemptStarted { .. })).await;
    assert_eq!(events.len(), 2, "only the last of these was a request: {events:?}");

    // Many who connect and say nothing, or half of it, keep nobody else from being heard.
    let socket = going.directory().join("control.sock");
    let mut silent: Vec<UnixStream> = (0..50).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    silent.iter_mut().step_by(2).for_each(|stream| stream.write_all(b"{\"control\"").unwrap());
    going.ask(concurrency(3)).await.unwrap();
    going.until("a third call", |event| matches!(event, Event::AttemptStarted { .. })).await;
    // Nor do they keep it from its end, which is theirs.
    going.end().await;
    for mut stream in silent {
        assert_eq!(stream.read(&mut [0; 8]).unwrap_or(0), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_of_a_dead_process_is_replaced_and_a_file_of_its_name_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let leave_behind = |directory: &Path| drop(UnixListener::bind(directory.join("control.sock")).unwrap());
    let going = Going::start(dir.path(), leave_behind).await;
    going.ask(concurrency(2)).await.unwrap();
    going.end().await;

    let dir = tempfile::tempdir().unwrap();
    let write = |directory: &Path| fs::write(directory.join("control.sock"), "mine").unwrap();
    let going = Going::start(dir.path(), write).await;
    let asked = going.ask(concurrency(2)).await;
    assert!(matches!(asked, Err(AskError::NobodyListens)), "{asked:?}");
    going.end().await;
    assert_eq!(fs::read_to_string(dir.path().join("one/control.sock")).unwrap(), "mine");
}

/// A directory whose path is longer than an address may be.
fn deep(dir: &TempDir) -> PathBuf {
    let deep = dir.path().join("a-results-directory-that-lies-deep").join("d".repeat(200));
    fs::create_dir_all(&deep).unwrap();
    deep
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_results_directory_may_lie_deep() {
    let dir = tempfile::tempdir().unwrap();
    let results_dir = deep(&dir);
    let mut going = Going::start(&results_dir, |_| {}).await;
    going.ask(concurrency(2)).await.unwrap();
    going.until("a second call", |event| matches!(event, Event::AttemptStarted { .. })).await;
    let socket = going.directory().join("control.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    going.end().await;
    assert!(!socket.exists());
}
