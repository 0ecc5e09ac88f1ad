//! How another process of the same user changes a run that is under way: a line of JSON to a Unix
//! socket in the run's directory, and a line back.
//!
//! | request | |
//! | --- | --- |
//! | `{"control":"concurrency","at_most":20}` | calls in flight, 1 to 100,000 |
//! | `{"control":"rpm","per_minute":100}` | requests a minute of each account and model, at least 1 |
//! | `{"control":"rpm","per_minute":100,"agent":"claude"}` | only of the one that this agent uses |
//! | `{"control":"pause"}`, `{"control":"resume"}` | whether anything new starts |
//! | `{"control":"cancel"}` | ends the run as the first SIGINT does |
//!
//! The reply is `{"ok":"…"}`, with what was done in words, once it is durable; or `{"error":"…"}`. One
//! request and one reply, then the connection ends. Who may connect is told by the modes of the
//! socket (0600) and its directory (0700).
//!
//! What it does not do: it decides nothing about a run, and nothing that comes through the socket
//! can hold a run up. A run whose socket cannot be made goes on without one.

#[cfg(unix)]
mod meaning;
#[cfg(unix)]
mod socket;

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sortie_engine::driver::Controls;
use sortie_report::fold::RunView;

/// The longest line, in bytes: names of agents are the only text in one.
pub const LONGEST: usize = 4096;

/// What is asked of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "control", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// So many calls may be in flight.
    Concurrency {
        /// 1 to 100,000.
        at_most: u32,
    },
    /// So many requests a minute.
    Rpm {
        /// At least 1.
        per_minute: u32,
        /// Whose account and model; none: each.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<String>,
    },
    /// Nothing new starts; what is in flight finishes.
    Pause {},
    /// A pause ends.
    Resume {},
    /// What is in flight finishes, then the run ends, and can be resumed.
    Cancel {},
}

/// Why a run did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens there: no process drives the run, or it has no socket.
    #[error("nobody listens for controls of this run")]
    NobodyListens,
    /// It ended before it heard.
    #[error("the run ended before it heard of it")]
    Ended,
    /// It will not, and why.
    #[error("{0}")]
    Refused(String),
    /// It could not be reached, or understood.
    #[error("failed to reach the process that drives the run")]
    Io(#[from] io::Error),
}

impl Request {
    /// Reads a line.
    ///
    /// # Errors
    /// Where it is none of the requests.
    pub fn read(line: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line)
    }
}

/// Asks the process that drives a run, and waits until it is done: gives what was done in words.
/// Blocks its thread, for half a minute at most.
///
/// # Errors
/// Where the run cannot be reached, or will not.
#[cfg(unix)]
pub fn ask(directory: &Path, request: &Request) -> Result<String, AskError> {
    match socket::ask(directory, request)? {
        meaning::Reply::Done(done) => Ok(done),
        meaning::Reply::Refused(why) => Err(AskError::Refused(why)),
    }
}

/// Asks the process that drives a run: there is no way to, outside of Unix.
///
/// # Errors
/// Always.
#[cfg(not(unix))]
pub fn ask(_directory: &Path, _request: &Request) -> Result<String, AskError> {
    Err(AskError::Refused("a run can be controlled on Unix only; Ctrl-C stops it".to_owned()))
}

/// Replies that may be on their way when a run has ended.
#[derive(Debug, Default)]
pub(crate) struct Replies(Option<tokio::task::JoinHandle<()>>);

impl Replies {
    /// Waits until they have left; who only listens is not waited for.
    pub(crate) async fn leave(self) {
        if let Some(served) = self.0 {
            // A task that panicked has said so already.
            let _ = served.await;
        }
    }
}

/// Listens for what is asked of a run, where it has a directory and the system allows it.
#[cfg_attr(not(unix), expect(unused_variables, reason = "there are no such sockets"))]
pub(crate) fn listen(directory: Option<&Path>, run: impl FnOnce() -> RunView) -> (Controls, Replies) {
    #[cfg(unix)]
    if let Some(directory) = directory {
        match socket::listen(directory, run()) {
            Ok((controls, task)) => return (controls, Replies(Some(task))),
            Err(error) => {
                tracing::warn!(%error, "the run cannot be controlled while it is under way");
            }
        }
    }
    (Controls::none(), Replies::default())
}
