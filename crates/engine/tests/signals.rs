//! Signals of the process: in a test binary of its own, because the handlers stay installed.
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use sortie_core::call::{Call, Returned};
use sortie_core::run::event::Signal;
use sortie_core::time::Time;
use sortie_engine::executor::local::{Caller, Ear, LocalExecutor};
use sortie_engine::executor::signals::Signals;
use sortie_engine::executor::simulated::{Answered, Answerer, Pace, SimulatedExecutor};
use sortie_engine::executor::{Executor, Next};

/// Is never asked.
struct Nobody;

impl Caller for Nobody {
    async fn call(&self, _: Call, _: Ear) -> Returned {
        unreachable!("nothing is called")
    }
}

impl Answerer for Nobody {
    fn answer(&mut self, _: &Call, _: Time) -> Answered {
        unreachable!("nothing is called")
    }
}

fn send(name: &str) {
    let pid = std::process::id().to_string();
    assert!(Command::new("kill").args(["-s", name, &pid]).status().is_ok_and(|status| status.success()));
}

async fn check(mut executor: impl Executor) {
    for (name, signal) in
        [("TERM", Signal::Terminate), ("INT", Signal::Interrupt), ("INT", Signal::Interrupt)]
    {
        send(name);
        assert_eq!(executor.next(None).await, Next::Signal(signal));
    }
}

#[tokio::test]
async fn every_executor_hears_the_signals_of_the_process_in_their_order() {
    // One listener at a time: a signal of the process reaches all of them.
    check(LocalExecutor::new(Nobody, Time::ZERO, Signals::of_the_process().unwrap())).await;
    let signals = Signals::of_the_process().unwrap();
    check(SimulatedExecutor::new(Nobody, Time::ZERO, Pace::Jumping, signals)).await;

    // Virtual time that always has something to do hears them as well.
    let signals = Signals::of_the_process().unwrap();
    let mut busy = SimulatedExecutor::new(Nobody, Time::ZERO, Pace::Jumping, signals);
    send("TERM");
    for _ in 0..5_000_000 {
        let soon = busy.now() + Duration::from_secs(1);
        match busy.next(Some(soon)).await {
            Next::Woke => {}
            next => return assert_eq!(next, Next::Signal(Signal::Terminate)),
        }
    }
    panic!("nothing was heard");
}

/// Says in a child's environment that it is to hear nothing.
const DEAF: &str = "SORTIE_DEAF";

#[test]
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "whoever starts it says what to do, and hears when it listens"
)]
fn a_process_that_hears_nothing() {
    if std::env::var(DEAF).is_err() {
        return; // not the child
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _guard = runtime.enter();
    let _unheard = Signals::of_the_process().unwrap();
    println!("listening");
    loop {
        std::thread::park();
    }
}

#[test]
fn the_third_signal_ends_a_process_that_hears_none() {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "a_process_that_hears_nothing", "--nocapture"]).env(DEAF, "yes");
    let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    assert!(said.lines().any(|line| line.unwrap().contains("listening")));
    // Signals that come before the last one was taken are one: it takes three that were.
    let pid = child.id().to_string();
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        let _ = Command::new("kill").args(["-s", "INT", &pid]).status();
    };
    assert_eq!(ended.code(), Some(130));
}
