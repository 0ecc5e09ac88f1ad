//! Agents as the run knows them: what bounds their answers, what they cost, how they are retried.
//! Where an agent is reached and how it is spoken to is known to the `providers` crate.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limit::GateId;
use crate::money::Usd;
use crate::price::Pricing;
use crate::time::micros;

/// An agent's place in [`crate::plan::Plan::agents`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AgentId(pub u16);

impl AgentId {
    /// As an index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Fallbacks of one agent, at most: a run keeps for each task which of them may do it, in 16 bits.
pub const MAX_FALLBACKS: usize = u16::BITS as usize;

/// A named configuration: model, limits on its answer, price.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// The name that plans and reports use.
    pub name: String,
    /// The provider's name for its account, for people: `anthropic`.
    pub provider: String,
    /// The model's id as sent.
    pub model: String,
    /// The limits that bind it.
    pub gate: GateId,
    /// What its tokens cost.
    pub pricing: Pricing,
    /// What all its tasks of a run may cost together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<Usd>,
    /// Output tokens a task may use where it does not say, at least 1.
    pub max_tokens: u32,
    /// UTF-8 bytes of its system prompt, where a task has none of its own.
    pub system_bytes: u64,
    /// Tokens that fit its model's context window, prompt and answer together; none: not known, and not
    /// checked. Asked only of agents that take over another's tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<u64>,
    /// Output tokens that its model gives at most; none: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output: Option<u32>,
    /// Who does its tasks while its account is stopped or its provider is failing, the first that can; at most
    /// [`MAX_FALLBACKS`]. Theirs are not followed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<AgentId>,
    /// Throttled for longer than this, from the first refusal to the end of the wait that the last one named, its
    /// tasks go to its fallbacks as well; none: they wait.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "micros::option")]
    pub fallback_after: Option<Duration>,
    /// When and how often failed attempts are tried again.
    pub retry: Retry,
    /// How long each part of an attempt may take.
    pub timeouts: Timeouts,
}

/// The retry policy of an agent (SPEC.md F1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts after the first, for each task; attempts lost in a crash do not count.
    pub max_retries: u32,
    /// Wait before the first retry.
    #[serde(with = "micros")]
    pub initial_delay: Duration,
    /// The longest wait that we choose ourselves; a longer one that a provider names is kept to.
    #[serde(with = "micros")]
    pub max_delay: Duration,
    /// How waits grow.
    pub backoff: Backoff,
    /// Whether a throttled attempt is tried again at all (`retry_on_rate_limit`).
    pub retry_throttled: bool,
}

/// How the wait grows from one retry to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backoff {
    /// Doubles: 1 s, 2 s, 4 s.
    Exponential,
    /// Grows by the first wait: 1 s, 2 s, 3 s.
    Linear,
    /// Stays: 1 s, 1 s, 1 s.
    Constant,
}

impl Default for Retry {
    /// SPEC.md F1: up to 3 retries after 1 s, 2 s and 4 s, at most 30 s.
    fn default() -> Self {
        Retry {
            max_retries: 3,
            initial_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(30),
            backoff: Backoff::Exponential,
            retry_throttled: true,
        }
    }
}

/// How long the parts of one attempt may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// To open a connection.
    #[serde(with = "micros")]
    pub connect: Duration,
    /// From sending the request to the first token of the answer.
    #[serde(with = "micros")]
    pub first_token: Duration,
    /// Between two pieces of the answer.
    #[serde(with = "micros")]
    pub idle: Duration,
    /// The whole attempt; `None`: by the work (see [`Timeouts::request_for`]).
    #[serde(with = "micros::option")]
    pub request: Option<Duration>,
}

/// The shortest default for a whole attempt (SPEC.md F2).
const REQUEST_AT_LEAST: Duration = Duration::from_secs(60);

/// The slowest answer that is still an answer, for the default of the total: a 4,000-token answer
/// at the 60 s of SPEC.md F2 would need 67 tokens/s, faster than large models stream.
const SLOWEST_TOKENS_PER_SECOND: u32 = 20;

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            // As the official SDKs (5 s), with room for one lost SYN and its retry.
            connect: Duration::from_secs(10),
            // Providers queue for tens of seconds on a busy evening; thinking comes before text.
            first_token: Duration::from_secs(120),
            // Both providers send pings or deltas far more often.
            idle: Duration::from_secs(60),
            request: None,
        }
    }
}

impl Timeouts {
    /// The timeout of a whole attempt at a task: as configured, else the longest of 60 s, the time
    /// that `max_tokens` take at 20 tokens/s, and twice what the plan expects.
    pub fn request_for(&self, max_tokens: u32, expected: Option<Duration>) -> Duration {
        self.request.unwrap_or_else(|| {
            REQUEST_AT_LEAST
                .max(Duration::from_secs(u64::from(max_tokens.div_ceil(SLOWEST_TOKENS_PER_SECOND))))
                .max(expected.unwrap_or_default().saturating_mul(2))
        })
    }
}
