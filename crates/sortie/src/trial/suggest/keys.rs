//! What the settings are called that are suggested to be changed, and which of them have to be: each name stands here
//! once.

use sortie_core::agent::Agent;
use sortie_core::limit::Dimension;

use super::super::part::Width;
use super::around::Stated;

const CONCURRENCY: &str = "rate_limiting.max_concurrent";
const BUDGET: &str = "cost_control.max_cost_per_session";
pub(super) const COST_OF_TASK: &str = "cost_control.max_cost_per_task";
pub(super) const COST_OF_OWN_TASK: &str = "max_cost of the tasks";
pub(super) const RUN_TIMEOUT: &str = "timeouts.total_timeout";
pub(super) const REQUEST_TIMEOUT: &str = "timeouts.request_timeout";

/// What has to change for so many calls at a time where a trial's are bounded like this; outside of a trial only the
/// configuration bounds them.
pub(super) fn concurrency(width: Option<Width>, most: u32) -> String {
    let flag = "--max-concurrent";
    let Some(Width { own, configured }) = width else { return CONCURRENCY.to_owned() };
    match configured {
        // Fewer: the lower of both wins, so that one is enough.
        Some(configured) if most < own.min(configured) && configured <= own => CONCURRENCY.to_owned(),
        Some(configured) if most > configured && most > own => format!("{CONCURRENCY} and {flag}"),
        Some(configured) if most > configured => CONCURRENCY.to_owned(),
        _ => flag.to_owned(),
    }
}

/// What a run or a trial may cost: as the command line says where it does.
pub(super) const fn budget(stated: Stated) -> &'static str {
    match stated {
        Stated::CommandLine => "--max-cost",
        Stated::Configuration => BUDGET,
    }
}

pub(super) fn budget_of(agent: &Agent) -> String {
    format!("agents.{}.max_cost", agent.name)
}

/// What an agent's answers may have, where the most that its tasks allow is this.
pub(super) fn max_tokens(agent: &Agent, now: u32) -> String {
    let name = &agent.name;
    if now == agent.max_tokens {
        format!("agents.{name}.max_tokens")
    } else {
        format!("max_tokens of the tasks of {name}")
    }
}

/// A quota of a minute, of all accounts or of an agent's own; none for a quota that cannot be stated.
pub(in crate::trial) fn quota(quota: Dimension, agent: Option<&Agent>) -> Option<String> {
    let name = match quota {
        Dimension::Requests => "requests_per_minute",
        Dimension::InputTokens => "input_tokens_per_minute",
        Dimension::OutputTokens => "output_tokens_per_minute",
        // One quota of both is only ever told by a provider.
        Dimension::Tokens => return None,
    };
    let of_agent = agent.map_or_else(String::new, |agent| format!("agents.{}.", agent.name));
    Some(format!("{of_agent}rate_limiting.{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_that_has_to_change_is_named_and_no_other() {
        let of = |own, configured, most| concurrency(Some(Width { own, configured }), most);
        let both = "rate_limiting.max_concurrent and --max-concurrent";
        for (own, configured, most, named) in [
            (10, None, 40, "--max-concurrent"),
            (10, Some(50), 40, "--max-concurrent"),
            (50, Some(10), 40, "rate_limiting.max_concurrent"),
            (10, Some(10), 40, both),
            (10, Some(8), 40, both),
            (10, Some(8), 10, "rate_limiting.max_concurrent"),
            (8, Some(10), 10, "--max-concurrent"),
            (10, Some(8), 4, "rate_limiting.max_concurrent"),
            (8, Some(10), 4, "--max-concurrent"),
            (8, None, 4, "--max-concurrent"),
        ] {
            assert_eq!(of(own, configured, most), named, "{own} {configured:?} {most}");
        }
        assert_eq!(concurrency(None, 40), "rate_limiting.max_concurrent", "no trial");
    }
}
