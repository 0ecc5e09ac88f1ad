//! From a checked plan and a configuration to a run that can be created: everything that has to
//! be set up is checked here, all of it at once, before anything is written or sent.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sortie_core::agent::{Agent, AgentId};
use sortie_core::ceiling::{Work, lower_bound};
use sortie_core::document::{Problem, Problems};
use sortie_core::hash::Hash;
use sortie_core::limit::{GateSpec, Oversized, oversized};
use sortie_core::plan::check::Checked;
use sortie_core::plan::{Plan, graph};
use sortie_core::price::{Pricing, table};
use sortie_core::run::input::{Budgets, Mode, Settings};
use sortie_core::time::Time;
use sortie_core::unpriced::refused;
use sortie_engine::store::Header;
use sortie_providers::http::Endpoint;
use sortie_providers::keys::Environment;
use sortie_sim::Scenario;
use sortie_sim::scenario::Quotas;

use crate::accounts::by_key;
use crate::binding::{Binding, Simulation, endpoint_of};
use crate::caller::validator;
use crate::config::{Config, ConfiguredAgent};
use crate::error::{Error, Setup};
use crate::tokens::count_here;

/// The shortest default for a whole run: ten minutes (SPEC.md F2) in which everything fails are outlasted
/// (RELIABILITY.md R3). The next probe comes within a minute of their end; it, and the one before it that may
/// still be waited for, may take as long as a call may.
const RUN_AT_LEAST: Duration = Duration::from_secs(600);
const NEXT_PROBE: Duration = Duration::from_secs(60);
const PROBES: u32 = 2;
/// How many times the least time that the plan can take a run may take, where nothing is set: room
/// for slower answers, retries and throttling.
const RUN_FACTOR: u32 = 3;

/// How much later than we a provider may begin to count: a connection is opened within this time, mostly.
const LAG: Duration = Duration::from_millis(50);

/// What a new run is to be, apart from its plan and its configuration.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    /// Its name; made from the time where there is none.
    pub run_id: Option<String>,
    /// Side by side or one after the other.
    pub mode: Mode,
    /// Seed of the jitter of retries.
    pub seed: u64,
    /// So many failed tasks end the run; none: as many as the plan says.
    pub max_failures: Option<u32>,
    /// Whether answers of earlier runs are taken for the same requests.
    pub cache: bool,
    /// The simulator that answers instead of the providers.
    pub simulation: Option<Simulation>,
    /// How long nothing that is tried may be answered, where somebody waits for the run and the configuration states
    /// no timeout of its own; none: as long as an outage that a run outlasts.
    pub patience: Option<Duration>,
}

impl Launch {
    /// What the run is created with. `now` is its time of birth. Fallbacks that cannot serve
    /// ([`unfit_fallbacks`]) are left out.
    ///
    /// # Errors
    /// Everything that has to be set up first: keys, endpoints, prices.
    pub fn header(
        self,
        mut checked: Checked,
        config: &Config,
        environment: &Environment,
        now: Time,
    ) -> Result<Header, Error> {
        let simulated = self.simulation.is_some();
        let unfit = unfit_fallbacks(&checked.plan, config, environment, simulated);
        checked.plan.without_fallbacks(&unfit.into_iter().map(|(id, _)| id).collect());
        let header = self.draft(checked, config, environment, now)?;
        let missing = setup(&header.plan, &header.settings, config, environment);
        if missing.is_empty() { Ok(header) } else { Err(Error::Setup(missing)) }
    }

    /// The same for a run that is only forecast: nothing has to be set up. Keys that are there tell which
    /// accounts are one.
    ///
    /// # Errors
    /// Schemas of answers that are none.
    pub fn draft(
        self,
        checked: Checked,
        config: &Config,
        environment: &Environment,
        now: Time,
    ) -> Result<Header, Error> {
        schemas(&checked)?;
        let mut plan = checked.plan;
        let endpoints: Vec<_> = config.agents.iter().map(|agent| agent.endpoint.clone()).collect();
        count_here(&mut plan, &checked.prompts, &endpoints);
        let gates = gates(config, self.simulation.as_ref());
        let gates = match self.simulation {
            Some(_) => gates,
            None => by_key(&mut plan, gates, &endpoints, environment),
        };
        let settings = Settings {
            mode: self.mode,
            seed: self.seed,
            budget: config.money.budget,
            max_cost_per_task: config.money.max_cost_per_task,
            alert_threshold: config.money.alert_threshold,
            auto_stop: config.money.auto_stop,
            run_timeout: Duration::ZERO,
            timeout_restarts: config.run_timeout.is_none(),
            grace: config.grace,
            gates,
            max_concurrent: config.max_concurrent,
            max_failures: self.max_failures.or(checked.max_failures),
            cache: self.cache,
            simulated: self.simulation.is_some(),
            price_table: Some(table().name()),
        };
        let unstated = || default_timeout(&plan, &settings, self.patience);
        let run_timeout = config.run_timeout.unwrap_or_else(unstated);
        let settings = Settings { run_timeout, ..settings };
        let binding = Binding {
            endpoints,
            simulation: self.simulation,
            export_results: config.export_results,
            log_level: config.log_level,
            plan_file: None,
        };
        let run_id = self.run_id.unwrap_or_else(|| name_of(now));
        let binding = serde_json::to_value(binding);
        let binding = binding.map_err(|source| Error::Binding { run: run_id.clone(), source })?;
        Ok(Header {
            run_id,
            created: now,
            plan: Arc::new(plan),
            prompts: Arc::new(checked.prompts),
            settings: Arc::new(settings),
            binding,
        })
    }
}

/// Refuses schemas of answers that are none.
fn schemas(checked: &Checked) -> Result<(), Error> {
    let mut problems = Problems::default();
    // Tasks share the default's.
    let mut seen = HashSet::new();
    for (task, prompt) in checked.plan.tasks().iter().zip(&checked.prompts) {
        let Some(output) = &prompt.output else { continue };
        if seen.insert(std::ptr::from_ref(output.schema()))
            && let Err(error) = validator(output)
        {
            let message = format!("`output.schema` of `{}` is no JSON schema: {error}", task.name);
            problems.push(Problem::error(message));
        }
    }
    if problems.has_errors() { Err(Error::Plan(problems)) } else { Ok(()) }
}

/// Everything that has to be set up before this plan can run; keys and endpoints only where they
/// are used.
fn setup(plan: &Plan, settings: &Settings, config: &Config, environment: &Environment) -> Vec<Setup> {
    let mut missing = Vec::new();
    missing.extend(unpriced(plan, settings, &Budgets::default()));
    for id in plan.used_agents() {
        if !settings.simulated {
            let endpoint = &config.agents[usize::from(id.0)].endpoint;
            missing.extend(endpoint_of(plan.agent(id), endpoint, environment).err());
        }
    }
    missing.extend(too_large(plan, settings));
    missing
}

/// Requests that the configured quotas never let pass.
pub fn too_large(plan: &Plan, settings: &Settings) -> Vec<Setup> {
    let named = |Oversized { agent, dimension, limit, task, takes, tasks }| {
        let (agent, task) = (plan.agent(agent).name.clone(), plan.task(task).name.clone());
        Setup::TooLarge { agent, dimension, limit, tasks, task, takes }
    };
    oversized(plan, &settings.gates).into_iter().map(named).collect()
}

/// The fallbacks that never serve although agents that the plan uses name them, and what would have to be set
/// up first: nobody is made to set it up for a case that may not come.
pub fn unfit_fallbacks(
    plan: &Plan,
    config: &Config,
    environment: &Environment,
    simulated: bool,
) -> Vec<(AgentId, Setup)> {
    let limits = config.money.budget.or(config.money.max_cost_per_task);
    let why = |id: AgentId| {
        let configured = &config.agents[id.index()];
        let is_limited = limits.or(configured.agent.max_cost).is_some();
        let is_unpriced = is_limited && configured.agent.pricing == Pricing::Unknown;
        let unpriced = is_unpriced.then(|| no_price(&configured.agent, false));
        let unreached = || (!simulated).then(|| endpoint(configured, environment).err()).flatten();
        Some((id, unpriced.or_else(unreached)?))
    };
    plan.only_fallbacks().into_iter().filter_map(why).collect()
}

/// Agents whose price nobody knows though a limit in money holds them, one that the resume with these
/// budgets sets included.
pub fn unpriced(plan: &Plan, settings: &Settings, budgets: &Budgets) -> Vec<Setup> {
    let setup = |id| no_price(plan.agent(id), !budgets.is_empty());
    refused(plan, settings, budgets).into_iter().map(setup).collect()
}

fn no_price(agent: &Agent, resumed: bool) -> Setup {
    Setup::NoPrice { agent: agent.name.clone(), model: agent.model.clone(), resumed }
}

/// The gates of a run. Real requests take their time on the way; and where a simulator has no quotas, there
/// is nothing to find out.
fn gates(config: &Config, simulation: Option<&Simulation>) -> Vec<GateSpec> {
    let Some(simulation) = simulation else {
        return config.gates.iter().map(|gate| GateSpec { lag: LAG, ..gate.clone() }).collect();
    };
    let scenario = Scenario::parse(&simulation.scenario).ok();
    let has_quotas = |agent: &Agent| {
        let quotas = scenario.as_ref().map(|scenario| scenario.quotas_for(&agent.provider, &agent.model));
        quotas.is_none_or(|quotas| quotas != Quotas::default())
    };
    let agents = || config.agents.iter().map(|configured| &configured.agent);
    let gate = |(index, gate): (usize, &GateSpec)| {
        let here = agents().filter(|agent| agent.gate.index() == index);
        let probes = gate.probes && here.into_iter().any(has_quotas);
        GateSpec { probes, lag: Duration::ZERO, ..gate.clone() }
    };
    config.gates.iter().enumerate().map(gate).collect()
}

/// Three times the least time that the plan can take, at least what an outage may take; counted from the last
/// answer, because the limits that a run will find are not in that.
///
/// With `patience` less: a task's share of that time, which is how far limits keep two starts apart, the patience, and
/// what the longest call may take. So whatever began while that lasted has been answered, or has failed, before the
/// run ends: slow answers are not cut.
fn default_timeout(plan: &Plan, settings: &Settings, patience: Option<Duration>) -> Duration {
    let work = |id| {
        let task = plan.task(id);
        let output_tokens = u64::from(graph::expected_output_tokens(task));
        Some(Work { duration: graph::expected(task), output_tokens, ..Work::default() })
    };
    let least = lower_bound(plan, settings, work).map_or(Duration::ZERO, |bound| bound.makespan);
    let longest_call = plan.tasks().iter().map(|task| task.timeout).max().unwrap_or_default();
    let least = least.saturating_mul(RUN_FACTOR);
    if let Some(patience) = patience {
        let tasks = u32::try_from(plan.to_do()).unwrap_or(u32::MAX).max(1);
        return least / tasks + patience + longest_call;
    }
    let outage = RUN_AT_LEAST + NEXT_PROBE + longest_call.saturating_mul(PROBES);
    outage.max(least)
}

/// A name that sorts by time: `20261123-182233-4f2a09`. The last part tells apart what was born in
/// the same second.
pub fn name_of(now: Time) -> String {
    let seconds = i64::try_from(now.micros() / 1_000_000).unwrap_or_default();
    let date =
        jiff::Timestamp::from_second(seconds).unwrap_or_default().strftime("%Y%m%d-%H%M%S").to_string();
    let mut seed = now.micros().to_le_bytes().to_vec();
    seed.extend(std::process::id().to_le_bytes());
    format!("{date}-{}", &Hash::of(&seed).to_string()[..6])
}

/// Where a configured agent is reached, with its key from the environment.
///
/// # Errors
/// What the user has to set up first.
pub fn endpoint(agent: &ConfiguredAgent, environment: &Environment) -> Result<Endpoint, Setup> {
    endpoint_of(&agent.agent, &agent.endpoint, environment)
}
