//! What a run needs beside its plan to go on in another process: where each agent is reached, and
//! who answers in simulated runs. Kept with the run, without any key.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sortie_core::agent::{Agent, AgentId};
use sortie_core::hash::Hash;
use sortie_core::plan::Plan;
use sortie_core::price::Pricing;
use sortie_engine::store::Header;
use sortie_providers::dialect::{self, Auth, Dialect, Variant};
use sortie_providers::http::{Endpoint, is_this_machine};
use sortie_providers::keys::{Environment, Key};
use sortie_sim::Scenario;
use sortie_sim::scenario::ScenarioError;

use crate::config::written::{self, Api, Provider};
use crate::config::{self, LogLevel};
use crate::error::{Error, Setup};

/// How the agents of a run are reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    /// For each agent of the plan, in its order.
    pub endpoints: Vec<config::Endpoint>,
    /// Who answers instead, in a simulated run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulation: Option<Simulation>,
    /// Whether the run leaves files beside its journal.
    pub export_results: bool,
    /// What its `production.log` has.
    pub log_level: LogLevel,
    /// Where its plan was read, an absolute path; none where it came from no file, or before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_file: Option<PathBuf>,
}

impl Binding {
    /// What a run was created with.
    ///
    /// # Errors
    /// Where its header has no binding that this program knows.
    pub fn of(header: &Header) -> Result<Self, Error> {
        serde_json::from_value(header.binding.clone())
            .map_err(|source| Error::Binding { run: header.run_id.clone(), source })
    }

    /// Notes in a header where its plan was read.
    ///
    /// # Errors
    /// As [`Binding::of`].
    pub fn note_plan_file(header: &mut Header, path: PathBuf) -> Result<(), Error> {
        let binding = Binding { plan_file: Some(path), ..Binding::of(header)? };
        let binding = serde_json::to_value(binding);
        header.binding = binding.map_err(|source| Error::Binding { run: header.run_id.clone(), source })?;
        Ok(())
    }

    /// Whether an agent's answers are kept by its provider, to be asked for where they are lost.
    pub fn keeps_answers(&self, agent: AgentId) -> bool {
        let is_told = self.endpoints.get(agent.index()).is_some_and(|endpoint| endpoint.recover_lost);
        is_told && self.simulation.is_none()
    }

    /// Whether running this plan may cost money: some task goes to another machine, or may in place of its own
    /// agent, and not to an agent that is declared free.
    pub fn may_cost(&self, plan: &Plan) -> bool {
        let costs = |id: AgentId| {
            let is_free = plan.agent(id).pricing == Pricing::Free;
            !is_free && !is_this_machine(&self.endpoints[usize::from(id.0)].base_url)
        };
        let asked = plan.used_agents().into_iter().chain(plan.only_fallbacks());
        self.simulation.is_none() && asked.into_iter().any(costs)
    }
}

/// The simulator of a simulated run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Simulation {
    /// Its scenario, as YAML: what a name stood for when the run was created.
    pub scenario: String,
    /// Its seed.
    pub seed: u64,
}

impl Simulation {
    /// What tells its answers from those of another one.
    pub(crate) fn identity(&self) -> String {
        format!("simulator {} with seed {}", Hash::of(self.scenario.as_bytes()), self.seed)
    }

    /// One of the scenarios that come with the program.
    ///
    /// # Errors
    /// Where there is none of this name.
    pub fn named(name: &str, seed: u64) -> Result<Self, ScenarioError> {
        let scenario = Scenario::text_of(name)?.to_owned();
        Ok(Simulation { scenario, seed })
    }
}

/// The dialect that an endpoint speaks.
pub(crate) fn dialect_of(endpoint: &config::Endpoint) -> &'static dyn Dialect {
    match (endpoint.provider, endpoint.api) {
        (Provider::Anthropic, _) => &dialect::Anthropic,
        (Provider::OpenAi, Some(Api::Responses)) => &dialect::OpenAiResponses,
        // What compatible servers speak, unless told otherwise.
        (Provider::OpenAi, _) => &dialect::OpenAiChat,
    }
}

/// The host that an agent is reached at.
pub(crate) fn host_of(endpoint: &config::Endpoint) -> &str {
    let host = endpoint.base_url.split("://").nth(1).unwrap_or_default();
    host.split(['/', ':']).next().unwrap_or_default()
}

/// How it is spoken there: as configured, else as its host is known to take it.
pub(crate) fn variant_of(endpoint: &config::Endpoint) -> Variant {
    let mut variant = dialect_of(endpoint).variant_at(host_of(endpoint));
    if let Some(version) = endpoint.api.and_then(Api::version) {
        variant.version = Some(version.to_owned());
    }
    match endpoint.auth {
        Some(written::Auth::XApiKey) => variant.auth = Auth::XApiKey,
        Some(written::Auth::Bearer) => variant.auth = Auth::Bearer,
        None => {}
    }
    variant
}

/// An agent's endpoint, with its key.
///
/// # Errors
/// What the user has to set up: a key that is missing or is none, a base URL that is refused.
pub(crate) fn endpoint_of(
    agent: &Agent,
    endpoint: &config::Endpoint,
    environment: &Environment,
) -> Result<Endpoint, Setup> {
    let name = &endpoint.api_key_env;
    let missing = || Setup::NoKey { agent: agent.name.clone(), variable: name.clone() };
    let (text, _) = environment.get(name).ok_or_else(missing)?;
    let key = Key::new(text).map_err(|source| Setup::BadKey { variable: name.clone(), source })?;
    let refused = |source| Setup::BadEndpoint { agent: agent.name.clone(), source };
    Endpoint::new(dialect_of(endpoint), &endpoint.base_url, variant_of(endpoint), Some(key)).map_err(refused)
}

#[cfg(test)]
mod tests {
    use jiff::civil::Date;
    use sortie_core::document::Source;

    use super::*;
    use crate::config::Config;

    #[test]
    fn an_agent_speaks_the_api_that_is_stated_for_it() {
        let check = |agent: &str, dialect: &str, version: Option<&str>| {
            let source = Source::new("sortie.yaml", format!("agents: {{a: {{{agent}}}}}").into()).unwrap();
            let config = Config::read(&source, &|_| None, Date::constant(2026, 11, 23)).unwrap();
            let endpoint = &config.agents[0].endpoint;
            assert_eq!(dialect_of(endpoint).name(), dialect, "{agent}");
            assert_eq!(variant_of(endpoint).version.as_deref(), version, "{agent}");
        };
        check("provider: openai", "openai", None);
        check("provider: openai, api: chat", "openai", None);
        check("provider: openai, api: responses", "openai-responses", None);
        check("provider: anthropic, api: 2023-06-01", "anthropic", Some("2023-06-01"));
        check("provider: anthropic, api: 2026-10-21", "anthropic", Some("2026-10-21"));
    }
}
