//! The calls of a run whose money is at risk: what to look for in a provider's console or export.

use std::collections::BTreeMap;

use serde::Serialize;
use sortie_core::money::Usd;
use sortie_core::run::event::{AttemptId, Event, Record};
use sortie_core::time::Time;
use sortie_core::usage::Cost;

use crate::calls::{asked, name};
use crate::fold::RunView;
use crate::table::{Side, table};
use crate::terminal::one_line;
use crate::units::{as_dollars, count, money, rfc3339};

/// A call that may have been billed beyond what is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AtRisk {
    /// For which task.
    pub task_id: String,
    /// The how manyth attempt at it.
    pub attempt: u32,
    /// Who was asked.
    pub agent: String,
    /// Which model.
    pub model: String,
    /// When it was sent, RFC 3339.
    pub started_at: String,
    /// Why nobody knows what it cost: `lost` (in flight when its process died or gave it up),
    /// `in_flight` (the same, and nobody has resumed the run), or the class of its failure.
    pub why: String,
    /// The most that it may have cost beyond what is known.
    #[serde(with = "as_dollars")]
    pub at_risk: Usd,
}

/// All of them, in the order in which they were sent.
pub fn calls(run: &RunView, records: &[Record]) -> Vec<AtRisk> {
    let mut under_way: BTreeMap<AttemptId, (Time, Cost)> = BTreeMap::new();
    let mut all = Vec::new();
    for Record { at, event, .. } in records {
        let (attempt, why, at_risk) = match event {
            Event::AttemptStarted { attempt, reserved, .. } => {
                under_way.insert(*attempt, (*at, *reserved));
                continue;
            }
            Event::AttemptSucceeded { attempt, spent, .. } => (attempt, "succeeded", spent.charge.at_risk),
            Event::AttemptFailed { attempt, failure, spent, .. } => {
                (attempt, failure.class.name(), spent.charge.at_risk)
            }
            Event::AttemptLost { attempt, spent } => (attempt, "lost", spent.charge.at_risk),
            _ => continue,
        };
        let started = under_way.remove(attempt).map_or(*at, |(started, _)| started);
        all.push((started, *attempt, why, at_risk));
    }
    let rest = under_way.into_iter();
    all.extend(rest.map(|(attempt, (started, reserved))| (started, attempt, "in_flight", reserved.usd)));
    all.sort_by_key(|(started, attempt, ..)| (*started, *attempt));
    let row = |(started, attempt, why, at_risk): (Time, AttemptId, &str, Usd)| {
        let agent = asked(&run.plan, attempt);
        AtRisk {
            task_id: name(&run.plan, attempt.task).to_owned(),
            attempt: attempt.number,
            agent: agent.map_or("?", |agent| &agent.name).to_owned(),
            model: agent.map_or("?", |agent| &agent.model).to_owned(),
            started_at: rfc3339(started),
            why: why.to_owned(),
            at_risk,
        }
    };
    all.into_iter().filter(|(.., at_risk)| !at_risk.is_zero()).map(row).collect()
}

/// The same for a terminal.
pub fn text(calls: &[AtRisk]) -> String {
    if calls.is_empty() {
        return "nothing is at risk\n".to_owned();
    }
    let columns = [
        ("TASK", Side::Left),
        ("ATTEMPT", Side::Right),
        ("AGENT", Side::Left),
        ("MODEL", Side::Left),
        ("SENT", Side::Left),
        ("WHY", Side::Left),
        ("AT RISK", Side::Right),
    ];
    let row = |call: &AtRisk| {
        let AtRisk { task_id, attempt, agent, model, started_at, why, at_risk } = call;
        let [task, agent, model] = [task_id, agent, model].map(|text| one_line(text).into_owned());
        [task, attempt.to_string(), agent, model, started_at.clone(), why.clone(), money(*at_risk)]
    };
    let rows: Vec<_> = calls.iter().map(row).collect();
    let total = calls.iter().fold(Usd::ZERO, |sum, call| sum + call.at_risk);
    let of = count(calls.len() as u64, "call");
    format!(
        "{}{} at risk in {of}: the most that they may have cost beyond what is known\n",
        table(columns, &rows),
        money(total)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Story, diamond, killed, resumed, two_agents};

    #[test]
    fn what_may_have_been_billed_is_listed_with_its_reason() {
        let check = |story: Story, expected: &[(&str, u32, &str)]| {
            let calls = calls(&story.run(), &story.records);
            let found: Vec<_> = calls.iter().map(|call| (&*call.task_id, call.attempt, &*call.why)).collect();
            assert_eq!(found, expected);
            text(&calls)
        };
        assert_eq!(check(diamond(), &[]), "nothing is at risk\n");
        let shown = check(resumed(), &[("impl_b", 1, "lost"), ("impl_a", 1, "lost")]);
        assert!(
            shown.ends_with(
                "$0.12 at risk in 2 calls: the most that they may have cost beyond what is known\n"
            )
        );
        check(killed(), &[("impl_b", 1, "in_flight"), ("impl_a", 1, "in_flight")]);
        let shown = check(two_agents(), &[("analyze", 1, "lost"), ("draft", 1, "transient")]);
        assert!(shown.contains("2025-11-14T"), "{shown}");
    }
}
