//! The limits of a trial's accounts before it begins: what is stated of them, and what their replies told, against what
//! the trial asks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sortie_core::forecast::AgentShare;
use sortie_core::limit::{Dimension, GateId, GateSpec, Learned};
use sortie_engine::sharing::learned;
use sortie_report::learned::words;
use sortie_report::trial::{Point, PointState};
use sortie_report::units::{count, duration, grouped};

use super::checklist::{Plans, point};
use super::suggest::keys;
use crate::chain;
use crate::config::Config;
use crate::launch::too_large;
use crate::session::now;

const QUOTAS: [Dimension; 4] =
    [Dimension::Requests, Dimension::InputTokens, Dimension::OutputTokens, Dimension::Tokens];

const MINUTE: Duration = Duration::from_secs(60);

/// What bounds the accounts that a trial uses.
pub(super) struct Limits<'a> {
    plans: Plans<'a>,
    /// What their replies told, in the order of the settings; nothing of a simulator.
    learned: Vec<Option<Learned>>,
}

impl<'a> Limits<'a> {
    pub(super) fn of(config: &Config, plans: Plans<'a>) -> Self {
        let settings = &plans.header.settings;
        let learned = if settings.simulated {
            Vec::new()
        } else {
            learned(&config.results_dir, &settings.gates, now())
        };
        Limits { plans, learned }
    }

    /// The gates of the agents that have tasks, with what is stated of them.
    fn used(&self) -> impl Iterator<Item = (GateId, &'a GateSpec)> {
        let header = self.plans.header;
        let used = header.plan.used_agents().into_iter().map(|id| header.plan.agent(id).gate);
        let used: BTreeSet<GateId> = used.collect();
        used.into_iter().filter_map(|id| Some((id, header.settings.gates.get(id.index())?)))
    }

    /// What a gate's provider is known to allow in a minute.
    fn allowed(&self, gate: GateId, quota: Dimension) -> Option<u64> {
        if self.plans.header.settings.simulated {
            return self.plans.foresight.laws.provider_limits().get(gate.index())?.per_minute(quota);
        }
        self.learned.get(gate.index())?.as_ref()?.per_minute(quota)
    }

    /// A rate limit is set, and none is above what its provider allows.
    pub(super) fn stated(&self) -> Point {
        let what = "rate limit";
        let mut stated: Vec<String> = self
            .used()
            .filter_map(|(_, spec)| {
                Some(format!("{} requests/min at {}", spec.requests_per_minute?, spec.name))
            })
            .collect();
        stated.dedup();
        let above = self.used().flat_map(|(id, spec)| {
            QUOTAS.into_iter().filter_map(move |quota| {
                let (stated, allowed) = (spec.per_minute(quota)?, self.allowed(id, quota)?);
                (stated > allowed).then_some((spec, quota, stated, allowed))
            })
        });
        let above: Vec<_> = above.collect();
        if let Some((_, quota, _, allowed)) = above.first() {
            let each = above.iter().map(|(spec, quota, stated, allowed)| {
                let (stated, allowed) = (grouped(*stated), grouped(*allowed));
                format!("{stated} {} at {}, which allows {allowed}", quota.per_minute(), spec.name)
            });
            let mut point = point(PointState::Warning, what, each.collect::<Vec<_>>().join("; "));
            point.hint = keys::quota(*quota, None).map(|key| format!("set {key} to {allowed}"));
            return point;
        }
        if stated.is_empty() {
            let found = "none is set: the provider's is found by its replies";
            let mut point = point(PointState::Warning, what, found);
            point.hint = Some("set rate_limiting.requests_per_minute to what the account allows".to_owned());
            return point;
        }
        point(PointState::Ok, what, stated.join(", "))
    }

    /// The quotas that replies told are enough: each request fits into them, and all of the trial's calls in the time
    /// that its phase has. None of a simulator, whose forecast knows its limits.
    pub(super) fn quotas(&self) -> Vec<Point> {
        let Plans { header, foresight, .. } = self.plans;
        let mut points: Vec<Point> = too_large(&header.plan, &foresight.settings)
            .iter()
            .map(|setup| {
                let mut point = point(PointState::Missing, "API quota", chain(setup));
                point.hint = Some(setup.hint());
                point
            })
            .collect();
        points.extend(self.used().map(|(id, spec)| self.quota(id, spec)));
        points
    }

    fn quota(&self, id: GateId, spec: &GateSpec) -> Point {
        let what = "API quota";
        let Some(told) = self.learned.get(id.index()).and_then(Option::as_ref) else {
            let found = format!("{}: its replies tell no limits", spec.name);
            return point(PointState::Warning, what, found);
        };
        let told = words(&spec.name, told, now());
        let asked = self.asked(id);
        let takes = QUOTAS.into_iter().filter_map(|quota| {
            let allowed = self.allowed(id, quota).filter(|allowed| *allowed > 0)?;
            let needed = asked.get(&quota).copied().unwrap_or_default();
            Some((MINUTE.mul_f64(needed as f64 / allowed as f64), quota))
        });
        let calls = asked.get(&Dimension::Requests).copied().unwrap_or_default();
        let Some((takes, quota)) = takes.max_by_key(|(takes, _)| *takes) else {
            return point(PointState::Ok, what, told);
        };
        let found = format!(
            "{told}; the trial's {} take {} of its {}",
            count(calls, "call"),
            duration(takes),
            quota.per_minute()
        );
        let most = self.plans.phase.map(|phase| phase.most().1);
        match most
            .filter(|minutes| takes > MINUTE.saturating_mul(u32::try_from(*minutes).unwrap_or(u32::MAX)))
        {
            Some(minutes) => point(
                PointState::Warning,
                what,
                format!("{found}, where its phase takes {minutes} min at most"),
            ),
            None => point(PointState::Ok, what, found),
        }
    }

    /// What all runs together are expected to ask of a gate.
    fn asked(&self, gate: GateId) -> BTreeMap<Dimension, u64> {
        let Plans { header, needs, .. } = self.plans;
        let mut asked = BTreeMap::new();
        let ours = needs.by_agent.iter().filter(|(id, _)| header.plan.agent(**id).gate == gate);
        for (_, AgentShare { tasks, input_tokens, output_tokens, .. }) in ours {
            let of = [
                (Dimension::Requests, *tasks as u64),
                (Dimension::InputTokens, *input_tokens),
                (Dimension::OutputTokens, *output_tokens),
                (Dimension::Tokens, input_tokens + output_tokens),
            ];
            for (quota, of_one) in of {
                *asked.entry(quota).or_default() += of_one.saturating_mul(needs.runs);
            }
        }
        asked
    }
}
