//! Who does a task.

use std::collections::BTreeMap;

use super::{Checker, at};
use crate::agent::{Agent, AgentId};
use crate::document::{Place, Problem, nearest};

/// Which agents there are, and which task goes to which: what the configuration says to a plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routing {
    /// The enabled agents; [`AgentId`] is a place in here.
    pub agents: Vec<Agent>,
    /// The names of agents that the configuration has and disables.
    pub disabled: Vec<String>,
    /// Which agent does which type of task, by name.
    pub routes: BTreeMap<String, String>,
    /// Who does what has neither an agent nor a route.
    pub default_agent: Option<String>,
    /// The fewest output tokens that an agent's API lets a request ask for, by the agent's name; agents whose
    /// API takes one are left out.
    pub least_max_tokens: BTreeMap<String, u32>,
}

impl Checker<'_> {
    /// The plan's default agent has to exist, used or not.
    pub(super) fn default_agent(&mut self) {
        if let Some(name) = &self.defaults.agent {
            self.known_agent(name, Place::root().key("defaults").key("agent"));
        }
    }

    /// Who does a task: whom it names, else whom its type is routed to, else the default.
    pub(super) fn agent(&mut self, index: usize, task_type: &str) -> AgentId {
        let routing = self.routing;
        let (name, place) = if let Some(name) = &self.tasks[index].agent {
            (name, at(index).key("agent"))
        } else if let Some(name) = &self.defaults.agent {
            // Where the plan's default is wrong it has been said, once.
            return self.agents.get(name.as_str()).copied().unwrap_or(AgentId(0));
        } else if let Some(name) = routing.routes.get(task_type).or(routing.default_agent.as_ref()) {
            (name, at(index).key("id"))
        } else {
            let message = format!("task `{}` has no agent", self.tasks[index].id);
            let help = if self.routing.agents.is_empty() {
                "the configuration enables none"
            } else {
                "set `agent` here or in `defaults`, or `default_agent` in the configuration"
            };
            self.problems.push(Problem::error(message).at(at(index).key("id")).help(help));
            return AgentId(0);
        };
        self.known_agent(name, place)
    }

    /// Refuses fewer output tokens than the API of a task's agent takes.
    pub(super) fn least_tokens(&mut self, index: usize, agent: &str) {
        let Some(least) = self.routing.least_max_tokens.get(agent) else { return };
        let (task, defaults) = (&self.tasks[index], Place::root().key("defaults"));
        let stated = task.max_tokens.map(|n| (n, at(index)));
        // What is no number of tokens at all has been said.
        let stated = stated.or(self.defaults.max_tokens.map(|n| (n, defaults))).filter(|(n, _)| *n > 0);
        if let Some((_, place)) = stated.filter(|(n, _)| n < least) {
            let message = format!(
                "`max_tokens` of `{}` must be at least {least}: agent `{agent}`'s API takes no less",
                task.id
            );
            self.problems.push(Problem::error(message).at(place.key("max_tokens")));
        }
    }

    fn known_agent(&mut self, name: &str, place: Place) -> AgentId {
        if let Some(&agent) = self.agents.get(name) {
            return agent;
        }
        let is_disabled = self.routing.disabled.iter().any(|disabled| disabled == name);
        let (message, help) = if is_disabled {
            (format!("agent `{name}` is disabled in the configuration"), None)
        } else {
            let known = || self.routing.agents.iter().map(|agent| agent.name.as_str());
            let help = match nearest(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the configuration has: {}", known().collect::<Vec<_>>().join(", ")),
            };
            (format!("there is no agent `{name}`"), Some(help))
        };
        self.problems.push(Problem::error(message).at(place).maybe_help(help));
        AgentId(0)
    }
}
