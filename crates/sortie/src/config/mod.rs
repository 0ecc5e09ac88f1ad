//! The configuration: agents, limits, money, files.
//!
//! [`written::ConfigFile`] is what the user wrote; [`check`](Config::check) reports everything that
//! is wrong with it at once and gives [`Config`], what it means. Each key does what it says or
//! yields a warning; none is silently ignored. The environment and the day come in as arguments;
//! no file is opened and no key is read here.

mod address;
mod agents;
mod check;
mod fallbacks;
pub(crate) mod gates;
mod provider;
mod what_if;
pub mod written;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sortie_core::agent::Agent;
use sortie_core::document::{Problems, Source};
use sortie_core::limit::GateSpec;
use sortie_core::money::Usd;
use sortie_core::plan::check::Routing;
use sortie_report::trial::Criteria;

use agents::LEAST_IN_RESPONSES;
pub use what_if::WhatIf;
use written::{Api, Auth, ConfigFile, Provider};

/// The environment, by name: the process's own variables, then those of the env file.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What the configuration means.
#[derive(Clone, Debug)]
pub struct Config {
    /// The enabled agents, in the order written; an agent's id in a plan is its place here.
    pub agents: Vec<ConfiguredAgent>,
    /// The names of the agents that are disabled.
    pub disabled: Vec<String>,
    /// Which agent does which type of task.
    pub routes: BTreeMap<String, String>,
    /// Who does what has neither an agent nor a route.
    pub default_agent: String,
    /// The limits of all accounts; [`Agent::gate`] points here.
    pub gates: Vec<GateSpec>,
    /// Calls in flight at most, over all accounts.
    pub max_concurrent: u32,
    /// The same, where it is stated.
    pub stated_max_concurrent: Option<u32>,
    /// What may be spent.
    pub money: Money,
    /// How long a run may take; by its forecast where nothing is set.
    pub run_timeout: Option<Duration>,
    /// How long calls in flight are waited for once a run is asked to stop.
    pub grace: Duration,
    /// What a trial has to reach.
    pub criteria: Criteria,
    /// What `production.log` has.
    pub log_level: LogLevel,
    /// Whether a run leaves files beside its journal.
    pub export_results: bool,
    /// Where runs are kept.
    pub results_dir: PathBuf,
    /// What does not stop us, but should be known.
    pub warnings: Problems,
}

/// An agent, and where it is reached.
#[derive(Clone, Debug)]
pub struct ConfiguredAgent {
    /// What the run knows of it.
    pub agent: Agent,
    /// Where and how it is reached.
    pub endpoint: Endpoint,
}

/// Where an agent is reached and how it is spoken to. Holds no key, so it may be kept with a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Whose API it is.
    pub provider: Provider,
    /// Without a slash at its end.
    pub base_url: String,
    /// Who says so; to be announced unless it is the provider's own.
    pub base_url_from: Origin,
    /// Which of the provider's APIs, where it is stated.
    pub api: Option<Api>,
    /// How the key is sent, where it is stated.
    pub auth: Option<Auth>,
    /// The environment variable that holds the key.
    pub api_key_env: String,
    /// The agent's system prompt.
    pub system: Option<String>,
    /// The agent's sampling temperature.
    pub temperature: Option<f64>,
    /// Whether its prompts are counted before a run, where it is stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count_tokens: Option<bool>,
    /// Whether its answers are kept by the provider, and asked for again where they were lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recover_lost: bool,
}

/// Who said a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The configuration.
    Configuration,
    /// This environment variable.
    Variable(String),
    /// Nobody: it is the provider's own.
    Default,
}

/// What may be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    /// What a run may cost.
    pub budget: Option<Usd>,
    /// What a task may cost where it does not say.
    pub max_cost_per_task: Option<Usd>,
    /// Spending past this is warned of.
    pub alert_threshold: Option<Usd>,
    /// Whether the budget stops the run (else it warns).
    pub auto_stop: bool,
}

impl Money {
    /// What a run may cost before that stops it; none where nothing does.
    pub fn stopping(&self) -> Option<Usd> {
        self.budget.filter(|_| self.auto_stop)
    }
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Only what failed.
    Error,
    /// And what may go wrong.
    Warn,
    /// And what happened.
    #[default]
    Info,
    /// And why.
    Debug,
    /// Everything.
    Trace,
}

/// What the command line states; it goes before the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--max-cost`: sets a budget even where `cost_control` is off.
    pub max_cost: Option<Usd>,
    /// `--max-cost AGENT=USD`, by the agent's name.
    pub agent_max_cost: BTreeMap<String, Usd>,
    /// `--max-concurrent`
    pub max_concurrent: Option<u32>,
    /// `--results-dir`
    pub results_dir: Option<PathBuf>,
}

impl Config {
    /// Reads and checks a configuration. `today` is for models that are retired soon.
    ///
    /// # Errors
    /// Everything that is wrong with it, at its place. The warnings of a configuration that is
    /// fine have their places too.
    pub fn read(source: &Source, env: Environment<'_>, today: Date) -> Result<Config, Problems> {
        Config::read_supposing(source, env, today, &WhatIf::default())
    }

    /// The same with what a forecast supposes in place of what is written.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn read_supposing(
        source: &Source,
        env: Environment<'_>,
        today: Date,
        what_if: &WhatIf,
    ) -> Result<Config, Problems> {
        // Every key is optional, so nothing at all is a configuration too.
        let file = source.read::<Option<ConfigFile>>();
        let mut config = source.check(file, |file| {
            let mut file = file.unwrap_or_default();
            file.suppose(what_if, today);
            Config::check(&file, env, today)
        })?;
        config.warnings = source.locate(std::mem::take(&mut config.warnings));
        Ok(config)
    }

    /// What there is without a configuration: the agents `claude` and `openai`, no budget, no
    /// rates, results in `./results`.
    ///
    /// # Errors
    /// What is wrong with the environment: a base URL that is none.
    pub fn default_agents(env: Environment<'_>, today: Date) -> Result<Config, Problems> {
        Config::default_agents_supposing(env, today, &WhatIf::default())
    }

    /// The same with what a forecast supposes.
    ///
    /// # Errors
    /// As [`Config::default_agents`].
    pub fn default_agents_supposing(
        env: Environment<'_>,
        today: Date,
        what_if: &WhatIf,
    ) -> Result<Config, Problems> {
        let mut file = ConfigFile::default();
        file.suppose(what_if, today);
        Config::check(&file, env, today)
    }

    /// What a plan has to know.
    pub fn routing(&self) -> Routing {
        let least = |configured: &ConfiguredAgent| {
            let is_bound = configured.endpoint.api == Some(Api::Responses);
            is_bound.then(|| (configured.agent.name.clone(), LEAST_IN_RESPONSES))
        };
        Routing {
            least_max_tokens: self.agents.iter().filter_map(least).collect(),
            agents: self.agents.iter().map(|configured| configured.agent.clone()).collect(),
            disabled: self.disabled.clone(),
            routes: self.routes.clone(),
            default_agent: Some(self.default_agent.clone()),
        }
    }

    /// Puts what the command line states in place of what the configuration does.
    #[must_use]
    pub fn overridden(mut self, by: Overrides) -> Config {
        if by.max_cost.is_some() {
            // Whoever says "never more" does not mean "warn".
            self.money.budget = by.max_cost;
            self.money.auto_stop = true;
        }
        for configured in &mut self.agents {
            let agent = &mut configured.agent;
            agent.max_cost = by.agent_max_cost.get(&agent.name).copied().or(agent.max_cost);
        }
        self.max_concurrent = by.max_concurrent.unwrap_or(self.max_concurrent);
        self.results_dir = by.results_dir.unwrap_or(self.results_dir);
        self
    }
}
