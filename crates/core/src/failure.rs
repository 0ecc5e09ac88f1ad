//! Why an attempt did not succeed, as data.
//!
//! A failure has a class, and each class its policy ([`Class::policy`]); whether a retry is
//! allowed, and when, is the run's decision alone ([`crate::run`]). What a provider puts on the
//! wire for each class is known to its dialect, not here.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::micros;

/// What kind of failure it was. The names are written to the journal, results and reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The provider said slow down (429 of the waiting kind).
    Throttled,
    /// The provider has no capacity (529, or 503 with its code).
    Overloaded,
    /// A fault of the provider that may pass (5xx, 408, 409).
    Transient,
    /// No connection, or it broke before the answer was whole and before anything was generated.
    Network,
    /// One of the four timeouts passed: `message` says which.
    Timeout,
    /// The answer stopped before its terminator.
    CutOff,
    /// An answer that is not the protocol's: bad JSON, 200 with an error object, no content.
    Malformed,
    /// An answer that is not what its task says it has to be (`output`).
    InvalidOutput,
    /// No money or quota at the provider (billing 429s, 402, and the 400s of that meaning).
    QuotaGone,
    /// The key is missing, wrong or not allowed.
    Auth,
    /// The request can never succeed: bad parameter, too long, unknown model; or the task itself
    /// is invalid and nothing was sent.
    Invalid,
    /// The model refused, or a content filter took the answer.
    Refused,
    /// The endpoint sent us elsewhere; redirects are never followed.
    Redirected,
    /// The task would go past its own cost limit; nothing was sent.
    OverBudget,
    /// A result could not be inserted into the prompt that asks for it; nothing was sent.
    Template,
}

/// What the run does about a class of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Policy {
    /// Try again, up to the agent's `max_retries`, with its backoff.
    Retry,
    /// The task has failed; its dependants are skipped.
    Fail,
    /// Nothing sent to this account can succeed: stop it, leave its tasks pending.
    StopAccount,
}

impl Class {
    /// All classes, in the order of their declaration.
    pub const ALL: [Class; 15] = [
        Class::Throttled,
        Class::Overloaded,
        Class::Transient,
        Class::Network,
        Class::Timeout,
        Class::CutOff,
        Class::Malformed,
        Class::InvalidOutput,
        Class::QuotaGone,
        Class::Auth,
        Class::Invalid,
        Class::Refused,
        Class::Redirected,
        Class::OverBudget,
        Class::Template,
    ];

    /// The class's policy.
    pub const fn policy(self) -> Policy {
        match self {
            Class::Throttled
            | Class::Overloaded
            | Class::Transient
            | Class::Network
            | Class::Timeout
            | Class::CutOff
            | Class::Malformed
            | Class::InvalidOutput => Policy::Retry,
            Class::Invalid | Class::Refused | Class::Redirected | Class::OverBudget | Class::Template => {
                Policy::Fail
            }
            Class::QuotaGone | Class::Auth => Policy::StopAccount,
        }
    }

    /// Whether an attempt that fails with it never left: there was no call, so none is counted or
    /// logged as one.
    pub const fn is_unsent(self) -> bool {
        matches!(self, Class::OverBudget | Class::Template)
    }

    /// The name as it is written in results and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Throttled => "throttled",
            Class::Overloaded => "overloaded",
            Class::Transient => "transient",
            Class::Network => "network",
            Class::Timeout => "timeout",
            Class::CutOff => "cut_off",
            Class::Malformed => "malformed",
            Class::InvalidOutput => "invalid_output",
            Class::QuotaGone => "quota_gone",
            Class::Auth => "auth",
            Class::Invalid => "invalid",
            Class::Refused => "refused",
            Class::Redirected => "redirected",
            Class::OverBudget => "over_budget",
            Class::Template => "template",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why one attempt, or a task before any attempt, did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind.
    pub class: Class,
    /// What the provider or we said, in one line; text from outside, shown only sanitised.
    pub message: String,
    /// The HTTP status, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// How long the provider asked us to wait, already bounded by the dialect.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "micros::option")]
    pub retry_after: Option<Duration>,
    /// The provider said that a retry is pointless although the class has one (request larger
    /// than its bucket, `x-should-retry: false`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hopeless: bool,
    /// The provider throttles because the account's use grew too fast, not because a quota is used up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ramps: bool,
    /// The model that refused, as its reply names it: what was used is priced by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How many calls failed like this one after the other, where that stopped what was to follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_a_row: Option<u32>,
}

impl Failure {
    /// A failure of this class that says `message` and nothing else.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Failure {
            class,
            message: message.into(),
            http_status: None,
            retry_after: None,
            hopeless: false,
            ramps: false,
            model: None,
            in_a_row: None,
        }
    }

    /// The same with the HTTP status it came with.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.http_status = Some(status);
        self
    }

    /// The HTTP status where it says something of the failure: one of success came before it.
    pub fn error_status(&self) -> Option<u16> {
        self.http_status.filter(|status| *status >= 300)
    }

    /// What to do about it.
    pub const fn policy(&self) -> Policy {
        match self.class.policy() {
            Policy::Retry if self.hopeless => Policy::Fail,
            policy => policy,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(calls) = self.in_a_row {
            write!(f, "{calls} calls in a row failed alike: ")?;
        }
        match self.error_status() {
            Some(status) => write!(f, "{} (HTTP {status}): {}", self.class, self.message),
            None => write!(f, "{}: {}", self.class, self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_name_is_the_shown_name() {
        for class in Class::ALL {
            assert_eq!(serde_json::to_string(&class).unwrap(), format!("\"{class}\""));
        }
    }

    #[test]
    fn a_hopeless_failure_is_not_retried_and_a_money_stop_still_stops() {
        let mut failure = Failure::new(Class::Throttled, "request too large");
        assert_eq!(failure.policy(), Policy::Retry);
        failure.hopeless = true;
        assert_eq!(failure.policy(), Policy::Fail);
        failure.class = Class::QuotaGone;
        assert_eq!(failure.policy(), Policy::StopAccount);
    }
}
