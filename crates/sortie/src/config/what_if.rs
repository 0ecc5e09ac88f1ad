//! What a forecast is asked to suppose: other agents or models, another rate.

use std::collections::BTreeMap;

use jiff::civil::Date;
use sortie_core::price::{self, Row};

use super::written::{AgentFile, ConfigFile, Provider};

/// What is supposed in place of what the configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhatIf {
    /// `--agent NAME=OTHER`: for each agent another one of the configuration, a model's id, or a word
    /// of one.
    pub agents: BTreeMap<String, String>,
    /// `--rpm`: requests a minute of every account.
    pub requests_per_minute: Option<u32>,
}

impl WhatIf {
    /// Whether anything is supposed.
    pub fn is_empty(&self) -> bool {
        *self == WhatIf::default()
    }
}

impl ConfigFile {
    /// Puts what is supposed in place of what is written. An agent that gets another model keeps
    /// neither its price nor its limits, which were the other's; one that goes to another provider keeps
    /// nothing that says how the first is reached and spoken to. Whether it is enabled, what its tasks
    /// may cost together and who does them where it cannot belongs to its name: that stays in every case.
    pub(super) fn suppose(&mut self, what_if: &WhatIf, today: Date) {
        if !what_if.agents.is_empty() {
            let mut agents = self.agents.clone().unwrap_or_else(ConfigFile::agents_by_default);
            let written = agents.clone();
            for (name, agent) in &mut agents {
                let Some(other) = what_if.agents.get(name) else { continue };
                let same = |(known, _): &&(String, Option<AgentFile>)| known == other;
                let own = agent.take().unwrap_or_default();
                let AgentFile { enabled, max_cost, fallback_after, .. } = own;
                let fallback = own.fallback.clone();
                let supposed = match written.iter().find(same) {
                    Some((name, other)) => {
                        let other = other.clone().unwrap_or_default();
                        AgentFile { provider: provider_of(name, &other), ..other }
                    }
                    None => with_model(name, own, other, today),
                };
                *agent = Some(AgentFile { enabled, max_cost, fallback, fallback_after, ..supposed });
            }
            self.agents = Some(agents);
        }
        if let Some(rate) = what_if.requests_per_minute {
            let rates = self.rate_limiting.get_or_insert_default();
            (rates.requests_per_minute, rates.requests_burst) = (Some(rate), None);
            let agents = self.agents.iter_mut().flatten().filter_map(|(_, agent)| agent.as_mut());
            for own in agents.filter_map(|agent| agent.rate_limiting.as_mut()) {
                (own.requests_per_minute, own.requests_burst) = (None, None);
            }
        }
    }
}

/// The provider of an agent of this name: as stated, else as the model or the agent is called.
fn provider_of(name: &str, agent: &AgentFile) -> Option<Provider> {
    let told = || Provider::told_by(agent.model.as_deref()?);
    agent.provider.or_else(told).or_else(|| Provider::told_by(name))
}

fn with_model(name: &str, agent: AgentFile, model: &str, today: Date) -> AgentFile {
    let row = price::table().find(model).or_else(|| newest_with(model, today));
    let id = row.map_or(model, |row| &row.model);
    let was = provider_of(name, &agent);
    let of_row = row.and_then(|row| Provider::told_by(&row.provider));
    // Of a model that nobody knows, the agent's own provider may serve it.
    let provider = of_row.or_else(|| Provider::told_by(id)).or(was);
    let agent = AgentFile { model: Some(id.to_owned()), price: None, provider, rate_limiting: None, ..agent };
    if provider == was {
        return agent;
    }
    AgentFile {
        api: None,
        auth: None,
        base_url: None,
        api_key_env: None,
        temperature: None,
        count_tokens: None,
        recover_lost: None,
        ..agent
    }
}

/// The newest model that is served today and has this word in its id: `haiku`.
fn newest_with(word: &str, today: Date) -> Option<&'static Row> {
    let has_word = |row: &&Row| row.model.split('-').any(|part| part == word);
    let is_served = |row: &&Row| {
        let retires = row.retires.as_deref().and_then(|date| date.parse::<Date>().ok());
        retires.is_none_or(|date| today < date)
    };
    let version = |row: &&Row| -> Vec<u32> {
        row.model.split(['-', '.']).filter_map(|part| part.parse().ok()).collect()
    };
    price::table().rows.iter().filter(has_word).filter(is_served).max_by_key(version)
}

#[cfg(test)]
mod tests {
    use sortie_core::document::Source;

    use super::*;
    use crate::config::Config;

    #[test]
    fn an_agent_can_be_another_one_a_model_or_a_word_of_one() {
        let check = |other: &str, model: &str| {
            let text = "agents: {claude: {model: claude-opus-4-8, price: free}, local: {provider: openai, model: qwen3}}";
            let source = Source::new("sortie.yaml", text.into()).unwrap();
            let agents = BTreeMap::from([("claude".to_owned(), other.to_owned())]);
            let what_if = WhatIf { agents, requests_per_minute: None };
            let config =
                Config::read_supposing(&source, &|_| None, Date::constant(2026, 11, 23), &what_if).unwrap();
            let agent = &config.agents[0].agent;
            assert_eq!((agent.name.as_str(), agent.model.as_str()), ("claude", model), "{other}");
            assert_ne!(agent.pricing, price::Pricing::Free, "{other}");
        };
        check("haiku", "claude-haiku-5-5");
        check("claude-sonnet-4-6", "claude-sonnet-4-6");
        check("gpt-6.1-sol", "gpt-6.1-sol");
        check("local", "qwen3");
    }

    fn supposing(text: &str, agent: &str, other: &str) -> crate::config::ConfiguredAgent {
        let source = Source::new("sortie.yaml", text.into()).unwrap();
        let agents = BTreeMap::from([(agent.to_owned(), other.to_owned())]);
        let what_if = WhatIf { agents, requests_per_minute: None };
        let config = Config::read_supposing(&source, &|_| None, Date::constant(2026, 11, 23), &what_if);
        let config = config.unwrap_or_else(|problems| panic!("{agent}={other}: {problems:?}"));
        config.agents.into_iter().find(|found| found.agent.name == agent).unwrap()
    }

    #[test]
    fn an_agent_that_goes_to_another_provider_leaves_the_ways_of_the_first() {
        let text = "agents:
  gpt: {model: gpt-6.1-sol, api: responses, auth: bearer, base_url: 'https://eu.api.openai.com/v1',
    api_key_env: MINE, temperature: 1.5, count_tokens: true, max_cost: 2, max_tokens: 100}
  claude: {max_cost: 3}
  spare: {model: claude-opus-4-8, enabled: false, max_cost: 5}";
        let gone = supposing(text, "gpt", "haiku");
        let endpoint = &gone.endpoint;
        assert_eq!(endpoint.provider, Provider::Anthropic);
        assert_eq!((endpoint.base_url.as_str(), endpoint.api), (Provider::Anthropic.base_url(), None));
        assert_eq!((endpoint.auth, endpoint.temperature, endpoint.count_tokens), (None, None, None));
        assert_eq!((endpoint.api_key_env.as_str(), gone.agent.max_tokens), ("ANTHROPIC_API_KEY", 100));
        // Another model of the same provider is reached as before.
        let stayed = supposing(text, "gpt", "luna").endpoint;
        assert_eq!((stayed.api_key_env.as_str(), stayed.temperature), ("MINE", Some(1.5)));
        // What its tasks may cost together is the name's, whoever it is.
        for other in ["haiku", "gpt", "spare", "nosuchmodel"] {
            let agent = supposing(text, "claude", other).agent;
            assert_eq!(agent.max_cost, sortie_core::money::Usd::from_f64(3.0), "{other}");
        }
        assert_eq!(supposing(text, "claude", "spare").agent.model, "claude-opus-4-8");
        let by_name = supposing("agents: {claude: {}, openai: {}}", "claude", "openai");
        assert_eq!(by_name.endpoint.provider, Provider::OpenAi);
    }

    #[test]
    fn a_rate_is_every_account_s() {
        let text = "rate_limiting: {requests_per_minute: 50, requests_burst: 9}
agents: {claude: {rate_limiting: {requests_per_minute: 7}}, openai: {}}";
        let source = Source::new("sortie.yaml", text.into()).unwrap();
        let what_if = WhatIf { requests_per_minute: Some(600), ..WhatIf::default() };
        let config =
            Config::read_supposing(&source, &|_| None, Date::constant(2026, 11, 23), &what_if).unwrap();
        let rates: Vec<_> =
            config.gates.iter().map(|gate| (gate.requests_per_minute, gate.requests_burst)).collect();
        assert_eq!(rates, [(Some(600), 10), (Some(600), 10)]);
    }
}
