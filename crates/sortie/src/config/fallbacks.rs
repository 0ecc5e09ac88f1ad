//! Who does an agent's tasks while it cannot: names as written, agents as meant.

use sortie_core::agent::{AgentId, MAX_FALLBACKS};
use sortie_core::document::{Place, Problem, Problems};

use super::agents::Agents;
use super::check::{known_agent, seconds};
use super::written::{AgentFile, Names};

impl Agents {
    /// Gives the agents their fallbacks, now that all of them are known.
    pub(super) fn fallbacks(&mut self, written: &[(String, Option<AgentFile>)], problems: &mut Problems) {
        for (name, file) in written.iter().filter_map(|(name, file)| Some((name, file.as_ref()?))) {
            let at = |key: &'static str| Place::root().key("agents").key(name.clone()).key(key);
            let fallbacks = self.named(name, file.fallback.as_ref(), &at("fallback"), problems);
            let after = seconds(file.fallback_after, at("fallback_after"), problems);
            if after.is_some() && file.fallback.is_none() {
                let message = format!("agent `{name}` has no `fallback` to go to");
                problems.push(Problem::warning(message).at(at("fallback_after")));
            }
            let own = self.enabled.iter_mut().find(|configured| configured.agent.name == *name);
            if let Some(own) = own {
                (own.agent.fallbacks, own.agent.fallback_after) = (fallbacks, after);
            }
        }
    }

    /// The agents of these names, each once, without those that are wrong.
    fn named(
        &self,
        own: &str,
        names: Option<&Names>,
        place: &Place,
        problems: &mut Problems,
    ) -> Vec<AgentId> {
        let names: Vec<(&String, Place)> = match names {
            None => Vec::new(),
            Some(Names::One(name)) => vec![(name, place.clone())],
            Some(Names::Several(names)) => {
                names.iter().enumerate().map(|(nth, name)| (name, place.clone().index(nth))).collect()
            }
        };
        if names.len() > MAX_FALLBACKS {
            let message = format!("{} fallbacks are too many: at most {MAX_FALLBACKS}", names.len());
            problems.push(Problem::error(message).at(place.clone()));
            return Vec::new();
        }
        let mut agents = Vec::new();
        for (name, place) in names {
            let id = self.enabled.iter().position(|configured| configured.agent.name == *name);
            if name == own {
                problems.push(Problem::error(format!("agent `{own}` is its own fallback")).at(place));
            } else if self.disabled.contains(name) {
                problems.push(Problem::error(format!("the fallback `{name}` is disabled")).at(place));
            } else if let Some(id) = id.map(|id| AgentId(id as u16)) {
                if agents.contains(&id) {
                    let message = format!("agent `{own}` names the fallback `{name}` twice");
                    problems.push(Problem::warning(message).at(place));
                } else {
                    agents.push(id);
                }
            } else {
                known_agent(name, place, self, problems);
            }
        }
        agents
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::tests::{read, refused, warned};

    #[test]
    fn fallbacks_are_agents_in_the_order_written() {
        let text = "agents:\n  claude: {fallback: [gpt, haiku], fallback_after: 30}\n  haiku: {model: claude-haiku-5-5, fallback: gpt}\n  \
                    gpt:\n";
        let agents = read(text).agents;
        let names = |of: usize| -> Vec<&str> {
            agents[of].agent.fallbacks.iter().map(|id| agents[id.index()].agent.name.as_str()).collect()
        };
        assert_eq!((names(0), names(1), names(2)), (vec!["gpt", "haiku"], vec!["gpt"], vec![]));
        let after = |of: usize| agents[of].agent.fallback_after;
        assert_eq!((after(0), after(1)), (Some(Duration::from_secs(30)), None));
        let haiku = &agents[1].agent;
        assert_eq!((haiku.context, haiku.max_output), (Some(1_000_000), Some(128_000)));
        refused(
            "agents:\n  claude: {fallback: [claude, openai, nobody], fallback_after: 0}\n  openai: {enabled: false}\n",
            &[
                "sortie.yaml:2:23: agent `claude` is its own fallback",
                "sortie.yaml:2:31: the fallback `openai` is disabled",
                "sortie.yaml:2:39: there is no agent `nobody`",
                "sortie.yaml:2:64: `agents.claude.fallback_after` must be more than 0 and at most 31536000 seconds",
            ],
        );
        let many = format!("agents: {{claude: {{fallback: [{}]}}}}", ["openai"; 17].join(", "));
        refused(&many, &["sortie.yaml:1:29: 17 fallbacks are too many: at most 16"]);
        refused(
            "agents: {claude: {fallback: 3}}",
            &["sortie.yaml:1:29: it must be a name or a list of names"],
        );
        warned(
            "agents: {claude: {fallback: [gpt, gpt]}, gpt: {fallback_after: 1}}",
            &[
                "sortie.yaml:1:35: warning: agent `claude` names the fallback `gpt` twice",
                "sortie.yaml:1:64: warning: agent `gpt` has no `fallback` to go to",
            ],
        );
    }
}
