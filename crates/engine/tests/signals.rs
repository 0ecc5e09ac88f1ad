//! Signals of the process: in a test binary of its own, because the handlers stay installed.
#![cfg(unix)]

use std::process::Command;
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
