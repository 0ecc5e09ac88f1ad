//! Why ready tasks do not start: one type for each reason and one written form, which records hold as text.
//!
//! # Adding a reason
//! A variant, its text in `Display`, its line in `parse`, and in the test. A text that was ever written to a journal
//! stays what it is.

use std::fmt;

use super::Dimension;

/// What ready tasks wait for, with the name of the gate, agent or account that it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaitReason {
    /// The calls in flight over all accounts.
    Concurrency,
    /// The calls in flight at this gate.
    GateConcurrency(String),
    /// A quota of a minute of this gate.
    Quota(Dimension, String),
    /// The end of a wait that this gate's provider asked for.
    Throttled(String),
    /// A rate of this gate that nobody tells, as it is found out.
    Pace(String),
    /// The part of this gate that other runs leave.
    Share(String),
    /// The first reply of this gate: it may tell limits.
    FirstWords(String),
    /// The settlement of calls that may use up the run's budget.
    Budget,
    /// The same of this agent's own.
    AgentBudget(String),
    /// What this account may be asked again.
    RetryQuota(String),
    /// The time of the next probe of this gate, whose provider is failing.
    NextProbe(String),
    /// The answer to a probe of this gate.
    Probe(String),
    /// Answers of this gate, whose provider was failing.
    Recovery(String),
}

const CONCURRENCY: &str = "max_concurrent";
const BUDGET: &str = "the budget";
const THROTTLED: &str = "throttled by ";
const PACE: &str = "learned pace of ";
const SHARE: &str = "a share of ";
const FIRST_WORDS: &str = "first words of ";
const RETRY_QUOTA: &str = "the retry quota of ";
const NEXT_PROBE: &str = "the next probe: ";
const PROBE: &str = "the answer to a probe: ";
const FAILING: &str = " is failing";
const RECOVERY: (&str, &str) = ("answers of ", ", which was failing");

const QUOTAS: [Dimension; 4] =
    [Dimension::Requests, Dimension::InputTokens, Dimension::OutputTokens, Dimension::Tokens];

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitReason::Concurrency => f.write_str(CONCURRENCY),
            WaitReason::GateConcurrency(gate) => write!(f, "{CONCURRENCY} of {gate}"),
            WaitReason::Quota(quota, gate) => write!(f, "{} of {gate}", quota.per_minute()),
            WaitReason::Throttled(gate) => write!(f, "{THROTTLED}{gate}"),
            WaitReason::Pace(gate) => write!(f, "{PACE}{gate}"),
            WaitReason::Share(gate) => write!(f, "{SHARE}{gate}"),
            WaitReason::FirstWords(gate) => write!(f, "{FIRST_WORDS}{gate}"),
            WaitReason::Budget => f.write_str(BUDGET),
            WaitReason::AgentBudget(agent) => write!(f, "{BUDGET} of {agent}"),
            WaitReason::RetryQuota(account) => write!(f, "{RETRY_QUOTA}{account}"),
            WaitReason::NextProbe(gate) => write!(f, "{NEXT_PROBE}{gate}{FAILING}"),
            WaitReason::Probe(gate) => write!(f, "{PROBE}{gate}{FAILING}"),
            WaitReason::Recovery(gate) => write!(f, "{}{gate}{}", RECOVERY.0, RECOVERY.1),
        }
    }
}

impl WaitReason {
    /// The reason that this text is; none where it is another one's, such as a pause's.
    pub fn parse(text: &str) -> Option<Self> {
        let behind = |prefix: &str| text.strip_prefix(prefix).map(ToOwned::to_owned);
        let between = |prefix: &str, suffix: &str| {
            text.strip_prefix(prefix)?.strip_suffix(suffix).map(ToOwned::to_owned)
        };
        let of = |what: &str| text.strip_prefix(what)?.strip_prefix(" of ").map(ToOwned::to_owned);
        let quota = || QUOTAS.into_iter().find_map(|quota| Some((quota, of(quota.per_minute())?)));
        match text {
            CONCURRENCY => return Some(WaitReason::Concurrency),
            BUDGET => return Some(WaitReason::Budget),
            _ => {}
        }
        of(CONCURRENCY)
            .map(WaitReason::GateConcurrency)
            .or_else(|| of(BUDGET).map(WaitReason::AgentBudget))
            .or_else(|| quota().map(|(quota, gate)| WaitReason::Quota(quota, gate)))
            .or_else(|| behind(THROTTLED).map(WaitReason::Throttled))
            .or_else(|| behind(PACE).map(WaitReason::Pace))
            .or_else(|| behind(SHARE).map(WaitReason::Share))
            .or_else(|| behind(FIRST_WORDS).map(WaitReason::FirstWords))
            .or_else(|| behind(RETRY_QUOTA).map(WaitReason::RetryQuota))
            .or_else(|| between(NEXT_PROBE, FAILING).map(WaitReason::NextProbe))
            .or_else(|| between(PROBE, FAILING).map(WaitReason::Probe))
            .or_else(|| between(RECOVERY.0, RECOVERY.1).map(WaitReason::Recovery))
    }

    /// Whether it is this gate's rate of requests: as stated or told, as found out, or as a refusal showed.
    pub fn is_rate_of(&self, gate: &str) -> bool {
        match self {
            WaitReason::Quota(Dimension::Requests, of) | WaitReason::Throttled(of) | WaitReason::Pace(of) => {
                of == gate
            }
            _ => false,
        }
    }

    /// The same as it follows "waited for".
    pub fn as_object(&self) -> String {
        match self {
            WaitReason::Throttled(gate) => format!("{gate}, which throttled them"),
            WaitReason::Pace(gate) => format!("the pace that {gate} was found to take"),
            other => other.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_read_as_it_is_written_and_as_journals_have_it() {
        let gate = || "openai/one of many, a budget".to_owned();
        let all = [
            (WaitReason::Concurrency, "max_concurrent"),
            (WaitReason::GateConcurrency(gate()), "max_concurrent of GATE"),
            (WaitReason::Quota(Dimension::Requests, gate()), "requests/min of GATE"),
            (WaitReason::Quota(Dimension::InputTokens, gate()), "input tokens/min of GATE"),
            (WaitReason::Quota(Dimension::OutputTokens, gate()), "output tokens/min of GATE"),
            (WaitReason::Quota(Dimension::Tokens, gate()), "tokens/min of GATE"),
            (WaitReason::Throttled(gate()), "throttled by GATE"),
            (WaitReason::Pace(gate()), "learned pace of GATE"),
            (WaitReason::Share(gate()), "a share of GATE"),
            (WaitReason::FirstWords(gate()), "first words of GATE"),
            (WaitReason::Budget, "the budget"),
            (WaitReason::AgentBudget(gate()), "the budget of GATE"),
            (WaitReason::RetryQuota(gate()), "the retry quota of GATE"),
            (WaitReason::NextProbe(gate()), "the next probe: GATE is failing"),
            (WaitReason::Probe(gate()), "the answer to a probe: GATE is failing"),
            (WaitReason::Recovery(gate()), "answers of GATE, which was failing"),
        ];
        for (reason, text) in all {
            let text = text.replace("GATE", &gate());
            assert_eq!(reason.to_string(), text);
            assert_eq!(WaitReason::parse(&text), Some(reason));
        }
        assert_eq!(WaitReason::parse(crate::run::control::PAUSED), None);
    }

    #[test]
    fn what_is_waited_for_is_named_as_a_thing() {
        let of = |text: &str| WaitReason::parse(text).unwrap().as_object();
        assert_eq!(of("throttled by a/b"), "a/b, which throttled them");
        assert_eq!(of("learned pace of a/b"), "the pace that a/b was found to take");
        assert_eq!(of("requests/min of a/b"), "requests/min of a/b");
    }
}
