//! What passes between the engine and whoever performs a call. Values on their way: the run's
//! state holds neither prompts nor outputs.

use std::sync::Arc;
use std::time::Duration;

use crate::agent::AgentId;
use crate::failure::Failure;
use crate::hash::Hash;
use crate::plan::OutputSchema;
use crate::run::event::{Answer, AttemptId, Finish, Timing};
use crate::run::input::Billing;

/// One attempt, ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Which.
    pub attempt: AttemptId,
    /// To whom: an agent of the plan.
    pub agent: AgentId,
    /// The rendered prompt.
    pub prompt: String,
    /// The task's own system prompt; else the agent's.
    pub system: Option<String>,
    /// The task's own temperature; else the agent's.
    pub temperature: Option<f64>,
    /// What the answer has to be, where it has to be anything.
    pub output: Option<OutputSchema>,
    /// Output tokens that the answer may have.
    pub max_tokens: u32,
    /// How long all of it may take.
    pub timeout: Duration,
}

/// How a call came back.
#[derive(Clone, Debug, PartialEq)]
pub struct Returned {
    /// The answer's text, or why there is none.
    pub result: Result<Text, Failure>,
    /// What is known of what was billed.
    pub billing: Billing,
    /// How long its parts took.
    pub timing: Timing,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// What the model said.
    pub text: String,
    /// Why it stopped.
    pub finish: Finish,
    /// The model that answered, as the reply names it.
    pub model: String,
}

impl Text {
    /// The answer that it is to a request, where that has a hash, and its text by the hash that the answer names.
    pub fn into_answer(self, request: Option<Hash>) -> (Answer, (Hash, Arc<str>)) {
        let Text { text, finish, model } = self;
        let output = Hash::of(text.as_bytes());
        let answer = Answer { output, bytes: text.len() as u64, finish, model: model.into(), request };
        (answer, (output, text.into()))
    }
}
