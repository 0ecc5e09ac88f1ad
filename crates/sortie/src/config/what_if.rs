//! What a forecast is asked to suppose: other agents or models, another rate.

use std::collections::BTreeMap;

use jiff::civil::Date;
use sortie_core::price::{self, Row};

use super::written::{AgentFile, ConfigFile};

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
    /// neither its price nor its limits, which were the other's.
    pub(super) fn suppose(&mut self, what_if: &WhatIf, today: Date) {
        if !what_if.agents.is_empty() {
            let mut agents = self.agents.clone().unwrap_or_else(ConfigFile::agents_by_default);
            let written = agents.clone();
            for (name, agent) in &mut agents {
                let Some(other) = what_if.agents.get(name) else { continue };
                let same = |(known, _): &&(String, Option<AgentFile>)| known == other;
                *agent = Some(match written.iter().find(same) {
                    Some((_, other)) => other.clone().unwrap_or_default(),
                    None => with_model(agent.take().unwrap_or_default(), other, today),
                });
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

fn with_model(agent: AgentFile, model: &str, today: Date) -> AgentFile {
    let row = price::table().find(model).or_else(|| newest_with(model, today));
    let id = row.map_or(model, |row| &row.model);
    AgentFile { model: Some(id.to_owned()), price: None, provider: None, rate_limiting: None, ..agent }
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
