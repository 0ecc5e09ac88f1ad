//! Limits belong to an account: what bounds the starts of all runs that use its key.

use serde::{Deserialize, Serialize};

/// A gate's place in [`crate::run::input::Settings::gates`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GateId(pub u16);

/// The limits of one account and model class, as configured. An absent limit does not bind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateSpec {
    /// Whose, for people: `anthropic/claude-sonnet-5-5`.
    pub name: String,
    /// The account behind it; a money stop stops all gates of the same account.
    pub account: String,
    /// Requests a minute, at least 1.
    pub requests_per_minute: Option<u32>,
    /// How many requests may start at once after a pause, at least 1.
    pub requests_burst: u32,
    /// Input tokens a minute.
    pub input_tokens_per_minute: Option<u64>,
    /// Output tokens a minute.
    pub output_tokens_per_minute: Option<u64>,
    /// Attempts in flight.
    pub max_concurrent: Option<u32>,
}
