//! What calls came to, in words: what is known, what of it is estimated and what is at risk besides are
//! never one figure, and where nobody knows a price, no figure stands for it.

use std::collections::BTreeSet;

use sortie_core::agent::{Agent, AgentId};
use sortie_core::money::Usd;
use sortie_core::plan::Plan;
use sortie_core::price::Pricing;
use sortie_core::usage::{Charge, Tier};

use crate::fold::Overrun;
use crate::units::{grouped, money};

/// What stands where an amount would, of calls whose price nobody knows.
pub(crate) const NO_PRICE: &str = "no price";

/// `$0.02`, and in brackets what of it is estimated and what is at risk besides.
pub(crate) fn charged(charge: &Charge) -> String {
    let known = money(charge.actual + charge.estimated);
    let parts = [(charge.estimated, "of it estimated"), (charge.at_risk, "at risk besides")];
    let parts = parts.iter().filter(|(amount, _)| !amount.is_zero());
    let parts: Vec<String> = parts.map(|(amount, what)| format!("{} {what}", money(*amount))).collect();
    if parts.is_empty() { known } else { format!("{known} ({})", parts.join(", ")) }
}

/// The same of calls at this price.
pub(crate) fn charged_at(pricing: &Pricing, charge: &Charge) -> String {
    if *pricing == Pricing::Unknown { NO_PRICE.to_owned() } else { charged(charge) }
}

/// The same in a cell of a terminal's table: `$0.02 (~$0.002) + $0.01 at risk`; `~` is an estimate.
pub(crate) fn charged_in_short(pricing: &Pricing, charge: &Charge) -> String {
    if *pricing == Pricing::Unknown {
        return NO_PRICE.to_owned();
    }
    let known = money(charge.actual + charge.estimated);
    let known = match (charge.actual.is_zero(), charge.estimated.is_zero()) {
        (_, true) => known,
        (true, false) => format!("~{known}"),
        (false, false) => format!("{known} (~{})", money(charge.estimated)),
    };
    if charge.at_risk.is_zero() { known } else { format!("{known} + {} at risk", money(charge.at_risk)) }
}

/// `for $0.02`, in a sentence about calls at this price.
pub(crate) fn for_what(pricing: &Pricing, charge: &Charge) -> String {
    match pricing {
        Pricing::Unknown => "at an unknown price".to_owned(),
        Pricing::Known(_) | Pricing::Free => format!("for {}", charged(charge)),
    }
}

/// What something would cost at this price.
pub(crate) fn cost_at(pricing: &Pricing, cost: Usd) -> String {
    match pricing {
        Pricing::Known(_) => money(cost),
        Pricing::Free => "free".to_owned(),
        Pricing::Unknown => NO_PRICE.to_owned(),
    }
}

/// `task a: $0.01 beyond the $0.06 that were reserved, by claude-x in the tier priority`; a standard tier is
/// not named where an answer beyond `max_tokens` is what was dearer.
pub(crate) fn overrun(plan: &Plan, of: &Overrun) -> String {
    let task = plan.tasks().get(of.task.index());
    let name = task.map_or("?", |task| &task.name);
    let max_tokens = task.map(|task| task.max_tokens).filter(|&most| of.output_tokens > u64::from(most));
    let tokens = max_tokens.map(|most| {
        format!(
            " with {} output tokens where max_tokens is {}",
            grouped(of.output_tokens),
            grouped(most.into())
        )
    });
    let tier =
        (tokens.is_none() || of.tier != Tier::Standard).then(|| format!(" in the tier {}", of.tier.name()));
    let (over, reserved) = (money(of.over), money(of.reserved));
    let by = of.model.as_ref().map_or_else(String::new, |model| format!(" by {model}"));
    let (tier, tokens) = (tier.unwrap_or_default(), tokens.unwrap_or_default());
    format!("task {name}: {over} beyond the {reserved} that were reserved,{by}{tier}{tokens}")
}

/// Of the agents of these tasks those that have no price, in the order of the configuration.
pub(crate) fn unpriced(plan: &Plan, agents: impl Iterator<Item = AgentId>) -> Vec<&Agent> {
    let used: BTreeSet<AgentId> = agents.collect();
    let all = plan.agent_ids().zip(plan.agents());
    all.filter(|(id, agent)| used.contains(id) && agent.pricing == Pricing::Unknown)
        .map(|(_, agent)| agent)
        .collect()
}

/// Names of agents, for a sentence.
pub(crate) fn names<'a>(agents: impl IntoIterator<Item = &'a Agent>) -> String {
    let names: Vec<&str> = agents.into_iter().map(|agent| agent.name.as_str()).collect();
    names.join(", ")
}
