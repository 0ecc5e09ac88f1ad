//! What goes wrong, and how often.

use std::collections::BTreeMap;

use sortie_core::failure::Class;

use super::{Failed, Observed, evidence};
use crate::fault::Fault;
use crate::model::PROVIDERS;
use crate::scenario::FaultShare;

/// The decimals of a share.
const PARTS: f64 = 10_000.0;

/// The shares of the tries that fail like this, each provider's by itself where there are several; and what
/// these do not tell. Where a limit `is_told`, what it refuses is none of them.
pub(super) fn find(calls: &[Observed], is_told: bool) -> (Vec<FaultShare>, Vec<String>) {
    let fault = |call: &Observed| fault(call).filter(|kind| !(is_told && is_refusal_for_a_limit(kind)));
    // Those of other providers are like anybody's, so they are only told apart where all are known.
    let named = |call: &Observed| PROVIDERS.iter().copied().find(|known| *known == call.provider);
    let mut tries: BTreeMap<Option<&str>, u32> = BTreeMap::new();
    for call in calls {
        *tries.entry(named(call)).or_default() += 1;
    }
    let is_told_apart = tries.len() > 1 && !tries.contains_key(&None);
    let mut failed: BTreeMap<(Option<&str>, String), (Fault, u32)> = BTreeMap::new();
    for call in calls {
        let Some(fault) = fault(call) else { continue };
        let provider = named(call).filter(|_| is_told_apart);
        failed.entry((provider, fault.to_string())).or_insert((fault, 0)).1 += 1;
    }
    let all = calls.len() as u32;
    let share = |((provider, _), (kind, count)): ((Option<&str>, String), (Fault, u32))| {
        let of = provider.map_or(all, |one| tries.get(&Some(one)).copied().unwrap_or(all));
        // Rounded down, so that all of them are never more than there are.
        let share = (f64::from(count) / f64::from(of.max(1)) * PARTS).floor() / PARTS;
        FaultShare { kind, share, from_s: None, until_s: None, provider: provider.map(str::to_owned) }
    };
    let shares: Vec<FaultShare> = failed.into_iter().map(share).collect();
    let notes = notes(&calls.iter().filter(|call| fault(call).is_some()));
    (shares, notes)
}

const fn is_refusal_for_a_limit(kind: &Fault) -> bool {
    matches!(kind, Fault::Status(429) | Fault::Coded(429, _))
}

fn notes<'a>(calls: &(impl Iterator<Item = &'a Observed> + Clone)) -> Vec<String> {
    let is = |class| move |call: &&Observed| call.failed.is_some_and(|failed: Failed| failed.class == class);
    let told = [
        (
            Class::Throttled,
            "calls were refused for a limit: they are a share of the tries here, for nothing tells the limit itself",
        ),
        (Class::Timeout, "calls were given up by their client: here nothing comes to such a one, ever"),
    ];
    let count = |class| calls.clone().filter(is(class)).count();
    let told = told.map(|(class, what)| (count(class), what));
    told.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
}

/// What the simulator has to do wrong for a call to fail like this one.
fn fault(call: &Observed) -> Option<Fault> {
    let Failed { class, status } = call.failed?;
    if class.is_unsent() || evidence::is_answer(call) {
        return None;
    }
    let begun = call.first_token_s.is_some();
    let told = status.filter(|status| (300..=599).contains(status)).map(Fault::Status);
    Some(match class {
        Class::CutOff => Fault::Cut,
        Class::Malformed => told.unwrap_or(Fault::Malformed),
        Class::Timeout if begun => Fault::Stall,
        Class::Timeout => Fault::StallFirst,
        Class::Network if begun => Fault::ResetMid,
        Class::Network => Fault::Reset,
        Class::QuotaGone => Fault::NoCredit,
        Class::Throttled => told.unwrap_or(Fault::Status(429)),
        // An error event in the middle of an answer has no status of its own.
        Class::Overloaded | Class::Transient if begun => Fault::Midstream(None),
        Class::Overloaded => told.unwrap_or(Fault::Status(529)),
        Class::Transient => told.unwrap_or(Fault::Status(500)),
        Class::Auth => told.unwrap_or(Fault::Status(401)),
        Class::Redirected => told.unwrap_or(Fault::Status(307)),
        Class::Invalid => told.unwrap_or(Fault::Status(400)),
        // Answers, and what never left: told apart above.
        Class::Refused | Class::InvalidOutput | Class::OverBudget | Class::Template => return None,
    })
}
