//! Which accounts were stopped, by what, and who did their tasks then.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sortie_core::agent::AgentId;
use sortie_core::failure::Failure;
use sortie_core::limit::GateId;

use crate::fold::{Fold, RunView};
use crate::units::count;

/// An account that was stopped while the run was under way, as the fold keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    /// Whose call it was.
    agent: AgentId,
    failure: Failure,
    /// The tasks of the account that went to each fallback for it.
    went_to: BTreeMap<AgentId, u64>,
    /// Whether it was in this session: a resume tries again.
    holds: bool,
}

/// The stops of a run, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stops(Vec<Stop>);

impl Stops {
    /// A failure of an agent's call stopped its account; the calls that were under way fail alike.
    pub(crate) fn stopped(&mut self, agent: AgentId, failure: &Failure) {
        match self.0.iter_mut().find(|stop| stop.agent == agent) {
            Some(stop) if stop.holds => {}
            Some(stop) => (stop.failure, stop.holds) = (failure.clone(), true),
            None => {
                let (failure, went_to) = (failure.clone(), BTreeMap::new());
                self.0.push(Stop { agent, failure, went_to, holds: true });
            }
        }
    }

    /// A task of an agent went to another one because its account is stopped.
    pub(crate) fn went(&mut self, run: &RunView, own: AgentId, to: AgentId) {
        let alike = |stop: &Stop| {
            let (ours, its) = (gate(run, own)?, gate(run, stop.agent)?);
            // Its own stop explains it best, then its gate's, then its account's.
            [stop.agent == own, its.0 == ours.0, its.1 == ours.1].iter().position(|alike| *alike)
        };
        let stop = self.0.iter_mut().filter_map(|stop| Some((alike(stop)?, stop)));
        if let Some((_, stop)) = stop.min_by_key(|(rank, _)| *rank) {
            *stop.went_to.entry(to).or_default() += 1;
        }
    }

    /// A session began.
    pub(crate) fn resumed(&mut self) {
        self.0.iter_mut().for_each(|stop| stop.holds = false);
    }
}

/// The gate of an agent, and its account.
fn gate(run: &RunView, id: AgentId) -> Option<(GateId, &str)> {
    let gate = run.plan.agents().get(id.index())?.gate;
    Some((gate, &run.settings.gates.get(gate.index())?.account))
}

/// An account that was stopped while the run was under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoppedAccount {
    /// The agent whose call it was.
    pub agent: String,
    /// What the provider said.
    pub failure: String,
    /// By the fallback's name, the tasks that went there for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub went_to: BTreeMap<String, u64>,
}

impl StoppedAccount {
    /// All of a run.
    pub(crate) fn of(fold: &Fold) -> Vec<Self> {
        let name = |id: AgentId| fold.run().plan.agents().get(id.index()).map(|agent| agent.name.clone());
        let row = |stop: &Stop| {
            let went_to = stop.went_to.iter().filter_map(|(id, tasks)| Some((name(*id)?, *tasks))).collect();
            Some(StoppedAccount { agent: name(stop.agent)?, failure: stop.failure.to_string(), went_to })
        };
        fold.stops().0.iter().filter_map(row).collect()
    }

    /// `claude was stopped: no credit left: 24 tasks went to gpt`.
    pub(crate) fn words(&self) -> String {
        let went: Vec<String> = self
            .went_to
            .iter()
            .map(|(to, tasks)| format!("{} went to {to}", count(*tasks, "task")))
            .collect();
        let went = if went.is_empty() { String::new() } else { format!(": {}", went.join(", ")) };
        format!("{} was stopped: {}{went}", self.agent, self.failure)
    }
}

/// The agents that are stopped now and why, where they are several: `claude: no credit left; gpt: …`.
pub(crate) fn all_out(fold: &Fold) -> Option<String> {
    let agents = fold.run().plan.agents();
    let out = fold.stops().0.iter().filter(|stop| stop.holds);
    let out: Vec<String> = out
        .filter_map(|stop| Some(format!("{}: {}", agents.get(stop.agent.index())?.name, stop.failure)))
        .collect();
    (out.len() > 1).then(|| out.join("; "))
}

#[cfg(test)]
mod tests {
    use sortie_core::failure::Class;
    use sortie_core::plan::TaskId;
    use sortie_core::run::event::{AttemptId, Event, Outcome, Then, Unserved};

    use super::*;
    use crate::testing;

    #[test]
    fn a_stopped_account_is_named_with_where_its_tasks_went() {
        let fold = testing::rerouted().fold();
        let stops = StoppedAccount::of(&fold);
        let words: Vec<String> = stops.iter().map(StoppedAccount::words).collect();
        let failure = Failure::new(Class::QuotaGone, "no credit left").with_status(402);
        assert_eq!(words, [format!("claude was stopped: {failure}: 1 task went to gpt")]);
        let summary = fold.summary(fold.last_time());
        assert_eq!(summary.stopped_accounts, stops);
        assert_eq!(StoppedAccount::of(&testing::diamond().fold()), []);
    }

    #[test]
    fn where_all_are_out_all_are_named_until_a_resume() {
        let mut story = testing::rerouted();
        story.records.truncate(4);
        let attempt = AttemptId { agent: Some(AgentId(1)), ..AttemptId::new(TaskId(0), 2) };
        let refused = Failure::new(Class::Auth, "the key is not valid");
        let mut failed = testing::failed(0, 2, refused.clone(), Then::StopAccount);
        if let Event::AttemptFailed { attempt: of, .. } = &mut failed {
            *of = attempt;
        }
        let ended = testing::ended(Outcome::ProviderStopped { failure: refused.clone() });
        let story = story.at(1.0, failed).at(1.0, ended);
        let no_credit = Failure::new(Class::QuotaGone, "no credit left").with_status(402);
        let fold = story.fold();
        let error = fold.summary(fold.last_time()).error.unwrap();
        assert_eq!(error, format!("stopped by the providers: claude: {no_credit}; gpt: {refused}"));
        let fold = story.at(2.0, Event::RunResumed).at(2.0, testing::started(0, 3)).fold();
        assert_eq!((all_out(&fold), StoppedAccount::of(&fold).len()), (None, 2));
    }

    #[test]
    fn one_task_counts_once_for_each_fallback() {
        let mut story = testing::rerouted();
        story.records.truncate(4);
        let mut again = testing::started(0, 3);
        if let Event::AttemptStarted { attempt, because, .. } = &mut again {
            (attempt.agent, *because) = (Some(AgentId(1)), Some(Unserved::Stopped));
        }
        let stops = StoppedAccount::of(&story.at(1.0, again).fold());
        assert_eq!(stops[0].went_to, BTreeMap::from([("gpt".to_owned(), 1)]));
    }
}
