//! The calls of a run whose money is at risk: what to look for in a provider's console or export.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;
use sortie_core::agent::AgentId;
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
    /// Whether its provider may have kept its answer: a resume of the run asks for it.
    pub may_be_found: bool,
}

/// All of them, in the order in which they were sent. `keeps_answers`: of which agents providers keep the answers.
pub fn calls(run: &RunView, records: &[Record], keeps_answers: impl Fn(AgentId) -> bool) -> Vec<AtRisk> {
    let mut under_way: BTreeMap<AttemptId, (Time, Cost)> = BTreeMap::new();
    let mut all: Vec<(Time, AttemptId, &str, Usd)> = Vec::new();
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
            Event::AttemptRecovered { attempt, .. } => {
                all.retain(|(_, lost, ..)| lost != attempt);
                continue;
            }
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
            may_be_found: matches!(why, "lost" | "in_flight")
                && agent.is_some_and(|_| keeps_answers(run.plan.asked(attempt))),
        }
    };
    all.into_iter().filter(|(.., at_risk)| !at_risk.is_zero()).map(row).collect()
}

/// How many calls were lost and found again at their providers, and what was at risk for them until then.
fn found(records: &[Record]) -> (u64, Usd) {
    let at_risk = records.iter().filter_map(|record| match &record.event {
        Event::AttemptRecovered { at_risk, .. } => Some(*at_risk),
        _ => None,
    });
    at_risk.fold((0, Usd::ZERO), |(calls, sum), at_risk| (calls + 1, sum + at_risk))
}

/// The same for a terminal, with what became of those that were found.
pub fn text(run: &RunView, records: &[Record], keeps_answers: impl Fn(AgentId) -> bool) -> String {
    let calls = calls(run, records, keeps_answers);
    let mut text = all(&calls);
    let to_ask = calls.iter().filter(|call| call.may_be_found).count();
    if to_ask > 0 {
        let of = if to_ask == calls.len() { "them".to_owned() } else { format!("{to_ask} of them") };
        writeln!(text, "`sortie resume {}` asks its provider for {of}", run.run_id).unwrap_or_default();
    }
    let (found, at_risk) = found(records);
    if found > 0 {
        let (of, was) = (count(found, "lost call"), if found == 1 { "was" } else { "were" });
        writeln!(text, "{of} {was} found at their provider: {} is not at risk any more", money(at_risk))
            .unwrap_or_default();
    }
    text
}

fn all(calls: &[AtRisk]) -> String {
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
        let AtRisk { task_id, attempt, agent, model, started_at, why, at_risk, may_be_found: _ } = call;
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
    use crate::testing::{Story, diamond, killed, recovered, resumed, two_agents};

    #[test]
    fn what_may_have_been_billed_is_listed_with_its_reason() {
        let check = |story: Story, expected: &[(&str, u32, &str)]| {
            let calls = calls(&story.run(), &story.records, |_| false);
            let found: Vec<_> = calls.iter().map(|call| (&*call.task_id, call.attempt, &*call.why)).collect();
            assert_eq!(found, expected);
            text(&story.run(), &story.records, |_| false)
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

    #[test]
    fn what_was_found_again_is_not_at_risk_and_what_may_be_is_said() {
        let (lost, found) = (resumed(), recovered());
        let text = |story: &Story| text(&story.run(), &story.records, |_| true);
        assert!(text(&lost).ends_with("` asks its provider for them\n"), "{}", text(&lost));
        let shown = text(&found);
        assert!(shown.contains("$0.06 at risk in 1 call:") && shown.contains("impl_a"), "{shown}");
        let last = "1 lost call was found at their provider: $0.06 is not at risk any more\n";
        assert!(shown.ends_with(last), "{shown}");
        let all = calls(&found.run(), &found.records, |_| true);
        assert!(all.iter().all(|call| call.may_be_found), "{all:?}");
    }
}
