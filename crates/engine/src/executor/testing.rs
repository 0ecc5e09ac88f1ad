//! What the tests of all executors need.

use std::time::Duration;

use sortie_core::agent::AgentId;
use sortie_core::call::{Call, Returned, Text};
use sortie_core::plan::TaskId;
use sortie_core::run::event::{AttemptId, Finish, Timing};
use sortie_core::run::input::Billing;
use sortie_core::usage::Usage;

/// The first attempt at a task.
pub(crate) fn attempt(task: u32) -> AttemptId {
    AttemptId::new(TaskId(task), 1)
}

/// A call of a first attempt.
pub(crate) fn call(task: u32, prompt: &str) -> Call {
    Call {
        attempt: attempt(task),
        agent: AgentId(0),
        prompt: prompt.to_owned(),
        system: None,
        temperature: None,
        output: None,
        max_tokens: 10,
        timeout: Duration::from_secs(60),
    }
}

/// A whole answer of two tokens to one, within a second.
pub(crate) fn answer(text: &str) -> Returned {
    Returned {
        result: Ok(Text { text: text.to_owned(), finish: Finish::Stop, model: "m".to_owned() }),
        billing: Billing::Reported(Usage { input: 1, output: 2, ..Usage::default() }),
        timing: Timing { first_token: None, total: Duration::from_secs(1) },
    }
}
