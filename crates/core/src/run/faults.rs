//! Deliberate faults: each must be caught by the random plans, or these prove nothing.

use std::cell::Cell;

/// A fault that a test build can plant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A reservation does not count against the budget.
    ReservationForgotten,
    /// A lost attempt costs nothing.
    LostIsFree,
    /// What is in flight is not given back to the limits' in-flight count.
    SettleForgotten,
    /// A cancellation is noted beside `apply`.
    CancelOutsideApply,
    /// A task starts when its first dependency is done.
    DependencyIgnored,
    /// Tasks start before it is known whether they were answered before.
    RecallUnawaited,
    /// One answer to what may be known ends the wait for all.
    RecallsUncounted,
    /// Tasks that had an attempt are not looked up.
    RetriesUnrecalled,
    /// Whoever stops a run waits for as long as its calls take.
    GraceForgotten,
    /// Whoever runs after a failure all the same is not told of it.
    FailureUntold,
    /// However many tasks fail, the run goes on.
    FailuresUncounted,
    /// A failure skips direct dependants only.
    SkipsStopShort,
    /// A failure skips tasks that do not depend on it.
    SkipsTooMuch,
    /// The limits are not asked.
    LimitsIgnored,
    /// A start is not noted with the limits.
    ReserveForgotten,
    /// A retry starts without its wait.
    RetryTooEarly,
    /// Nobody asks to be woken for a retry.
    WakeUpLost,
    /// Retries have no end.
    RetriesUnbounded,
    /// Answers that are not what they have to be are asked for again and again.
    CorrectionsUnbounded,
    /// No throttled attempt counts as a retry.
    ThrottlingUncounted,
    /// The task's own cost limit is not looked at.
    TaskLimitIgnored,
    /// The agent's own budget is not looked at.
    AgentLimitIgnored,
    /// A stopped account still gets requests.
    StoppedAccountServed,
    /// The breaker never opens.
    BreakerStuck,
    /// A probe goes out at once.
    ProbeTooEarly,
    /// More than one probe goes out.
    ProbesUnbounded,
    /// A probe that fails counts as a retry.
    ProbesCounted,
    /// All that waited starts when a probe is answered.
    HerdAfterProbe,
    /// The retry quota is not looked at.
    QuotaIgnored,
    /// Successes give nothing back to the retry quota.
    QuotaLeaks,
    /// Calls that fail alike go on.
    AlikeIgnored,
    /// Calls that were sent before a breaker opened move it.
    OldCallsCounted,
    /// Calls that failed alike count across a success.
    SuccessForgotten,
    /// A paused run starts tasks.
    PauseIgnored,
    /// A resume goes back to the limits as configured.
    ControlsForgotten,
    /// A fallback's call is charged by the price of the task's own agent.
    FallbackAtOwnPrice,
    /// A task goes to a fallback while its own agent serves.
    FallbackTooEarly,
    /// A fallback whose account is stopped is asked.
    FallbackStopped,
    /// What a fallback's model takes is not looked at.
    FallbackTooLong,
    /// Nobody is asked but the task's own agent.
    FallbackForgotten,
    /// A task that is tried again has no more retries than before.
    FailuresKept,
    /// A task that could start because another failed may start although that is tried again.
    ReadyAnyway,
    /// What a change of the plan leaves as it is, is done again.
    KeptDoneAgain,
    /// What a change of the plan makes worth nothing stays as it is.
    ChangeIgnored,
    /// A task that the plan does not have any more is done.
    RemovedDone,
    /// Failed tasks are tried again, and those that were skipped for them are not.
    SkippedForgotten,
    /// What was at risk for an attempt stays so when it is found.
    FoundAtRiskKept,
    /// The answer to what is not asked any more is taken.
    StaleAnswerTaken,
}

impl Fault {
    pub(crate) const ALL: [Fault; 48] = [
        Fault::ReservationForgotten,
        Fault::LostIsFree,
        Fault::SettleForgotten,
        Fault::CancelOutsideApply,
        Fault::DependencyIgnored,
        Fault::RecallUnawaited,
        Fault::RecallsUncounted,
        Fault::RetriesUnrecalled,
        Fault::GraceForgotten,
        Fault::FailureUntold,
        Fault::FailuresUncounted,
        Fault::SkipsStopShort,
        Fault::SkipsTooMuch,
        Fault::LimitsIgnored,
        Fault::ReserveForgotten,
        Fault::RetryTooEarly,
        Fault::WakeUpLost,
        Fault::RetriesUnbounded,
        Fault::CorrectionsUnbounded,
        Fault::ThrottlingUncounted,
        Fault::TaskLimitIgnored,
        Fault::AgentLimitIgnored,
        Fault::StoppedAccountServed,
        Fault::BreakerStuck,
        Fault::ProbeTooEarly,
        Fault::ProbesUnbounded,
        Fault::ProbesCounted,
        Fault::HerdAfterProbe,
        Fault::QuotaIgnored,
        Fault::QuotaLeaks,
        Fault::AlikeIgnored,
        Fault::OldCallsCounted,
        Fault::SuccessForgotten,
        Fault::PauseIgnored,
        Fault::ControlsForgotten,
        Fault::FallbackAtOwnPrice,
        Fault::FallbackTooEarly,
        Fault::FallbackStopped,
        Fault::FallbackTooLong,
        Fault::FallbackForgotten,
        Fault::FailuresKept,
        Fault::ReadyAnyway,
        Fault::KeptDoneAgain,
        Fault::ChangeIgnored,
        Fault::RemovedDone,
        Fault::SkippedForgotten,
        Fault::FoundAtRiskKept,
        Fault::StaleAnswerTaken,
    ];
}

thread_local! {
    static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
}

pub(crate) fn is(fault: Fault) -> bool {
    PLANTED.get() == Some(fault)
}

pub(crate) fn plant(fault: Option<Fault>) {
    PLANTED.set(fault);
}
