//! The circuit breaker of a gate: whether its provider is ill, and how calls begin again.
//!
//! ```text
//!            10 failures in a row, or 10 s of nothing else,
//!            of three tasks                                     cool-down passed, one call starts
//!   Closed ───────────────────────────────────────────► Open ───────────────────────────────────► Probing
//!     ▲                                                  ▲ ▲                                        │ │
//!     │                                three failures of │ └──────────── it failed: twice as long ──┘ │
//!     │ as many as                     three tasks       │                                            │
//!     └──────────── Recovering ──────────────────────────┘                                            │
//!                       ▲  one more at a time with each answer                                        │
//!                       └───────────────────────────────────────────────── it was answered ───────────┘
//! ```
//!
//! The figures: Hystrix opens at 20 calls in 10 s for 5 s. Ours are half of R7's bound, so that calls
//! that end together do not pass it. Three tasks, because one or two that always fail are more likely
//! to be ill themselves: they have `max_retries`.
//!
//! # Common pitfall
//! What was sent before the breaker opened tells of the time before. If it counted, a call that took
//! a minute to time out would open again what a probe has just closed.

use std::time::Duration;

use super::event::AttemptId;
use super::planted;
use crate::failure::{Class, Failure};
use crate::plan::TaskId;
use crate::time::Time;

/// Failures in a row that open it.
const FAILURES: u32 = 10;
/// How long there may be nothing but failures.
const FAILING: Duration = Duration::from_secs(10);
/// How many different tasks have to be among them.
const TASKS: usize = 3;
/// How long it stays open at first; then twice as long each time.
const COOL_DOWN: Duration = Duration::from_secs(5);
/// The longest of these, which is under a minute with its jitter.
const LONGEST: Duration = Duration::from_secs(54);

/// What a reply says of its provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// It answers, be it with a refusal of this request.
    Well,
    /// It is ill.
    Ill,
    /// Neither: it asked us to slow down, or nothing was sent.
    Nothing,
}

impl Signal {
    pub(super) fn of(failure: &Failure) -> Self {
        match failure.class {
            Class::Overloaded
            | Class::Transient
            | Class::Network
            | Class::Timeout
            | Class::CutOff
            | Class::Malformed => Signal::Ill,
            Class::Throttled | Class::OverBudget | Class::Template => Signal::Nothing,
            Class::QuotaGone
            | Class::Auth
            | Class::Invalid
            | Class::InvalidOutput
            | Class::Refused
            | Class::Redirected => Signal::Well,
        }
    }
}

/// Failed calls in a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Streak {
    pub(super) calls: u32,
    since: Time,
    /// The first of the different tasks among them.
    tasks: [Option<TaskId>; TASKS],
}

impl Streak {
    pub(super) fn add(&mut self, task: TaskId, at: Time) {
        if self.calls == 0 {
            self.since = at;
        }
        self.calls = self.calls.saturating_add(1);
        if !self.tasks.contains(&Some(task))
            && let Some(free) = self.tasks.iter_mut().find(|free| free.is_none())
        {
            *free = Some(task);
        }
    }

    /// Whether so many tasks are among them that it is none's own fault.
    pub(super) fn is_of_several(&self) -> bool {
        self.tasks.iter().all(Option::is_some)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Position {
    /// Calls pass.
    Closed,
    /// None passes before this time; the first one after it is the probe.
    Open { until: Time },
    /// The probe is in flight; nothing else passes.
    Probing { probe: AttemptId },
    /// So many may be in flight, one more with each answer: twice as many each round.
    Recovering { allowed: u32 },
}

/// An attempt that has ended, and what that says.
pub(super) struct Ended {
    pub(super) attempt: AttemptId,
    pub(super) started: Time,
    pub(super) at: Time,
    pub(super) signal: Signal,
}

/// Why a call does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Barred {
    /// A probe may go at this time.
    ProbeAt(Time),
    /// A probe is in flight.
    Probing,
    /// As many are in flight as the recovery allows.
    Recovering,
}

/// The breaker of one gate.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Breaker {
    position: Position,
    failing: Streak,
    /// How often it opened since it was last closed.
    openings: u32,
    /// When it last opened.
    opened: Option<Time>,
}

impl Breaker {
    pub(super) const fn new() -> Self {
        let failing = Streak { calls: 0, since: Time::ZERO, tasks: [None; TASKS] };
        Breaker { position: Position::Closed, failing, openings: 0, opened: None }
    }

    /// Whether a call may start now, beside so many of the same gate.
    pub(super) fn check(&self, in_flight: u32, now: Time) -> Result<(), Barred> {
        match self.position {
            Position::Open { until } if until > now => Err(Barred::ProbeAt(until)),
            Position::Probing { .. } if !planted!(ProbesUnbounded) => Err(Barred::Probing),
            Position::Recovering { allowed } if in_flight >= allowed && !planted!(HerdAfterProbe) => {
                Err(Barred::Recovering)
            }
            _ => Ok(()),
        }
    }

    /// Whether the next call is a probe.
    pub(super) fn wants_probe(&self) -> bool {
        matches!(self.position, Position::Open { .. })
    }

    /// Whether nothing but failures came lately, of so few tasks that it may be their own fault.
    pub(super) fn doubts(&self) -> bool {
        self.failing.calls > 1 && !self.failing.is_of_several()
    }

    pub(super) fn is_probe(&self, attempt: AttemptId) -> bool {
        self.position == Position::Probing { probe: attempt }
    }

    /// Whether a failure that it has taken in says something of the outage rather than of its task:
    /// it opened the breaker, or came after that of a call that was sent before.
    pub(super) fn excuses(&self, started: Time) -> bool {
        matches!(self.position, Position::Open { .. } | Position::Probing { .. }) || self.is_old(started)
    }

    fn is_old(&self, started: Time) -> bool {
        self.opened.is_some_and(|opened| started <= opened) && !planted!(OldCallsCounted)
    }

    pub(super) fn started(&mut self, attempt: AttemptId, at: Time) {
        if matches!(self.position, Position::Open { until } if until <= at) {
            self.position = Position::Probing { probe: attempt };
        }
    }

    /// An attempt has ended. `most` is how many calls may be in flight when all is well; `jitter` is
    /// the share by which an opening is longer.
    pub(super) fn ended(&mut self, ended: &Ended, most: u32, jitter: impl FnOnce() -> f64) {
        let &Ended { attempt, started, at, signal } = ended;
        let is_probe = self.is_probe(attempt);
        match (self.position, signal) {
            (Position::Probing { .. }, Signal::Well) if is_probe => {
                self.position = Position::Recovering { allowed: 2 };
                self.failing = Streak::default();
            }
            (Position::Probing { .. }, Signal::Ill) if is_probe => self.open(at, jitter),
            // It told nothing: the next one may go at once.
            (Position::Probing { .. }, Signal::Nothing) if is_probe => {
                self.position = Position::Open { until: at }
            }
            (Position::Open { .. } | Position::Probing { .. }, _) | (_, Signal::Nothing) => {}
            _ if self.is_old(started) => {}
            (Position::Closed, Signal::Well) => self.failing = Streak::default(),
            (Position::Recovering { allowed }, Signal::Well) => {
                self.failing = Streak::default();
                self.position = Position::Recovering { allowed: allowed + 1 };
                if allowed + 1 >= most {
                    (self.position, self.openings) = (Position::Closed, 0);
                }
            }
            (Position::Closed | Position::Recovering { .. }, Signal::Ill) => {
                self.failed(attempt.task, at, jitter);
            }
        }
    }

    /// The run is taken up again: a probe may go at once.
    pub(super) fn resumed(&mut self, at: Time) {
        if let Position::Open { until } = &mut self.position {
            *until = at;
        }
    }

    fn failed(&mut self, task: TaskId, at: Time, jitter: impl FnOnce() -> f64) {
        self.failing.add(task, at);
        let is_enough = self.position != Position::Closed
            || self.failing.calls >= FAILURES
            || at.since(self.failing.since) >= FAILING;
        if is_enough && self.failing.is_of_several() && !planted!(BreakerStuck) {
            self.open(at, jitter);
        }
    }

    fn open(&mut self, at: Time, jitter: impl FnOnce() -> f64) {
        let wait = COOL_DOWN.saturating_mul(2u32.saturating_pow(self.openings)).min(LONGEST);
        let wait = if planted!(ProbeTooEarly) { Duration::ZERO } else { wait };
        self.openings = self.openings.saturating_add(1);
        self.opened = Some(at);
        self.position = Position::Open { until: at + wait.mul_f64(1.0 + jitter()) };
    }
}
