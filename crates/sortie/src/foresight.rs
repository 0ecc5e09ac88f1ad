//! What a forecast is drawn from: the past calls of the same models in the journal, or, for a
//! simulated run, the simulator itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sortie_core::agent::AgentId;
use sortie_core::call::Call;
use sortie_core::chance::Chance;
use sortie_core::failure::Policy;
use sortie_core::forecast::{Calls, Forecast, History, Laws, PastCall, forecast, rest};
use sortie_core::hash::Hash;
use sortie_core::limit::{Dimension, GateId, GateSpec, Learned, burst_of};
use sortie_core::plan::template::{Part, Template};
use sortie_core::plan::{Plan, TaskId};
use sortie_core::run::Run;
use sortie_core::run::event::AttemptId;
use sortie_core::run::input::{Billing, Resume, Settings};
use sortie_core::time::Time;
use sortie_engine::executor::simulated::{Answered, Answerer};
use sortie_engine::sharing::learned;
use sortie_engine::store::{Header, Store, read_newest};
use sortie_sim::{Model, Scenario, directive};

use crate::binding::{Binding, Simulation};
use crate::caller::SimulatedCaller;
use crate::config::Endpoint;
use crate::error::Error;
use crate::session::now;

/// Tasks of past runs that are read, newest first: reading these takes a part of a second.
const MOST_PAST_TASKS: u64 = 20_000;

/// Calls that the simulator is asked for, of each agent.
const PROBES: u32 = 256;
/// The prompt of such a call, so long that what every request adds to its text hardly counts.
const PROBE_WORDS: u64 = 300;

/// What earlier runs know that a forecast is drawn from.
#[derive(Debug)]
pub struct Past<'a, S> {
    /// The runs that went before, if there are any. A journal that cannot be read is one without history.
    pub journal: Option<&'a S>,
    /// What they have learned of each gate's limits, in the order of the settings.
    pub learned: Vec<Option<Learned>>,
    /// What is supposed of every account, whatever was learned of it: requests a minute.
    pub supposed: Option<u32>,
}

impl<'a, S: Store> Past<'a, S> {
    /// What the runs of a results directory know, for a run with these settings.
    pub fn of(journal: Option<&'a S>, results_dir: &Path, settings: &Settings) -> Self {
        Past { journal, learned: learned(results_dir, &settings.gates, now()), supposed: None }
    }

    /// Nothing.
    pub fn nothing() -> Self {
        Past { journal: None, learned: Vec::new(), supposed: None }
    }

    /// The same where accounts are supposed to allow so many requests a minute.
    #[must_use]
    pub fn supposing(self, requests_per_minute: Option<u32>) -> Self {
        Past { supposed: requests_per_minute, ..self }
    }
}

/// A forecast with what it was drawn from.
#[derive(Clone, Debug)]
pub struct Foresight {
    /// How calls were drawn.
    pub laws: Laws,
    /// What was forecast.
    pub forecast: Forecast,
    /// What binds the run, with what is expected of its providers.
    pub settings: Arc<Settings>,
    /// What that was learned from, by gate; a simulated run uses nobody's account.
    pub learned: Vec<(GateId, Learned)>,
    /// What was learned by gate, where more requests are supposed than that allows.
    pub surpassed: Vec<(GateId, Learned)>,
}

impl Foresight {
    /// Forecasts a run before it begins.
    ///
    /// # Errors
    /// Where the run does not say how its agents are reached, or its scenario is none.
    pub async fn of<S: Store>(header: &Header, past: Past<'_, S>) -> Result<Self, Error> {
        let laws = laws(header, past.journal).await?;
        let (settings, learned, surpassed) = expected(header, past.learned, past.supposed);
        let forecast = forecast(&header.plan, &settings, &laws, header.settings.seed);
        Ok(Foresight { laws, forecast, settings, learned, surpassed })
    }

    /// Forecasts what is left of a run that is resumed like this; the header is what it goes on with.
    ///
    /// # Errors
    /// As [`Foresight::of`]; where its records do not follow from each other.
    pub async fn of_rest<S: Store>(
        header: &Header,
        run: &Run,
        resume: &Resume,
        past: Past<'_, S>,
    ) -> Result<Self, Error> {
        let laws = laws(header, past.journal).await?;
        let (settings, learned, surpassed) = expected(header, past.learned, past.supposed);
        let run = run.going_on(resume).under(Arc::clone(&settings));
        let forecast = rest(&run, &resume.budgets, &laws, header.settings.seed);
        Ok(Foresight { laws, forecast, settings, learned, surpassed })
    }
}

/// What was learned, by gate.
type ByGate = Vec<(GateId, Learned)>;

/// The settings of a run with what was learned of the gates that it uses; that, and what of it is less than
/// is `supposed`.
fn expected(
    header: &Header,
    learned: Vec<Option<Learned>>,
    supposed: Option<u32>,
) -> (Arc<Settings>, ByGate, ByGate) {
    let mut settings = Settings::clone(&header.settings);
    if settings.simulated {
        return (Arc::new(settings), Vec::new(), Vec::new());
    }
    let used = header.plan.used_agents().into_iter().map(|id| header.plan.agent(id).gate);
    let used: BTreeSet<GateId> = used.collect();
    let known = |(index, learned): (usize, Option<Learned>)| Some((GateId(index as u16), learned?));
    let learned: ByGate =
        learned.into_iter().enumerate().filter_map(known).filter(|(id, _)| used.contains(id)).collect();
    let is_surpassed = |(_, learned): &(GateId, Learned)| {
        let seen = learned.per_minute(Dimension::Requests);
        seen.zip(supposed).is_some_and(|(seen, supposed)| u64::from(supposed) > seen)
    };
    let (surpassed, mut learned): (ByGate, ByGate) = learned.into_iter().partition(is_surpassed);
    let rest = |(id, learned): &(GateId, Learned)| Some((*id, learned.clone().without_requests()?));
    learned.extend(surpassed.iter().filter_map(rest));
    learned.sort_by_key(|(id, _)| *id);
    for (id, learned) in &learned {
        if let Some(gate) = settings.gates.get_mut(id.index()) {
            *gate = gate.expecting(learned);
        }
    }
    (Arc::new(settings), learned, surpassed)
}

async fn laws<S: Store>(header: &Header, journal: Option<&S>) -> Result<Laws, Error> {
    let binding = Binding::of(header)?;
    let plan = &header.plan;
    match (&binding.simulation, journal) {
        (Some(simulation), _) => simulated(header, &binding, simulation),
        (None, Some(journal)) => {
            let history = history(plan, &binding, journal).await;
            Ok(Laws::new(plan, |id| history.of(&kind(plan, &binding, id))))
        }
        (None, None) => Ok(Laws::new(plan, |_| None)),
    }
}

/// What tells the calls of one agent from those of another: whose API, which model, where.
fn kind(plan: &Plan, binding: &Binding, id: AgentId) -> String {
    let agent = plan.agent(id);
    let place = binding.endpoints.get(usize::from(id.0)).map_or("", |endpoint| &endpoint.base_url);
    format!("{} {} at {place}", agent.provider, agent.model)
}

/// The past calls of the agents that this plan uses, from the runs of a journal, newest first.
async fn history<S: Store>(plan: &Plan, binding: &Binding, journal: &S) -> History {
    let kinds: BTreeSet<String> = plan.used_agents().into_iter().map(|id| kind(plan, binding, id)).collect();
    let mut history = History::default();
    let mut tasks = 0;
    for run in journal.list().await.unwrap_or_default() {
        if tasks >= MOST_PAST_TASKS || history.is_full(kinds.iter().map(String::as_str)) {
            break;
        }
        // One that cannot be read, or that another program made, has nothing to say.
        let Ok((header, records)) = read_newest(journal, &run.run_id).await else { continue };
        let Ok(past) = Binding::of(&header) else { continue };
        tasks += run.tasks;
        history.add(&header.plan, &records, |id| {
            let kind = kind(&header.plan, &past, id);
            (past.simulation.is_none() && kinds.contains(&kind)).then_some(kind)
        });
    }
    history
}

/// What the simulator does, found out by asking it, and what it allows.
fn simulated(header: &Header, binding: &Binding, simulation: &Simulation) -> Result<Laws, Error> {
    let scenario = Scenario::parse(&simulation.scenario)?;
    let plan = &header.plan;
    let used = plan.used_agents();
    let probed = |id| if used.contains(&id) { probe(plan, id, binding, &scenario) } else { Calls::default() };
    let calls: Vec<Calls> = plan.agent_ids().map(probed).collect();
    // The simulator knows nothing of what a plan expects, but for what a prompt tells it. A plan that
    // states all durations is taken at its word.
    let states_all = plan.tasks().iter().all(|task| task.expected.is_some());
    let is_told =
        |id: TaskId| header.prompts.get(id.index()).is_some_and(|prompt| is_steered(&prompt.template));
    let laws = Laws::new(plan, |id| calls.get(usize::from(id.0)));
    let laws = laws.without_hints(|id| !states_all && !is_told(id));
    let network = |ms: f64| Duration::from_secs_f64(ms.max(0.0) / 1000.0);
    let refusal = network(scenario.network_ms.min)..=network(scenario.network_ms.max);
    let usual = network(f64::midpoint(scenario.network_ms.min, scenario.network_ms.max));
    let laws = laws.with_provider_limits(allowed(plan, &header.settings.gates, &scenario), refusal);
    Ok(laws.with_server(scenario.server, usual))
}

/// Whether a prompt tells the simulator what to do.
fn is_steered(template: &Template) -> bool {
    template.parts.iter().any(|part| matches!(part, Part::Text(text) if text.contains(directive::OPENING)))
}

/// Calls of an agent to the simulator, each far from every quota and from all others.
fn probe(plan: &Arc<Plan>, id: AgentId, binding: &Binding, scenario: &Scenario) -> Calls {
    let free = Scenario { server: None, ..scenario.without_quotas() };
    let configured: Vec<Endpoint> = binding.endpoints.clone();
    // Another seed than the run's: its own answers must not be known before.
    let model = Model::new(free, PROBE_SEED);
    let mut caller = SimulatedCaller { model, plan: Arc::clone(plan), configured, identity: String::new() };
    let tasks = || plan.tasks().iter().filter(|task| task.agent == id);
    let max_tokens = tasks().map(|task| task.max_tokens).max().unwrap_or(1);
    let timeout = tasks().map(|task| task.timeout).max().unwrap_or_default();
    let mut calls = Calls::default();
    for number in 1..=PROBES {
        let prompt = words(number);
        let prompt_bytes = prompt.len() as u64;
        let attempt = AttemptId::new(TaskId(0), number);
        let call = Call {
            attempt,
            agent: id,
            prompt,
            system: None,
            temperature: None,
            output: None,
            max_tokens,
            timeout,
        };
        // All at the beginning: what a scenario has later is the run's to meet.
        let Answered { returned, took, .. } = caller.answer(&call, Time::from_micros(1_000_000));
        match (returned.result, returned.billing) {
            (Ok(text), Billing::Reported(usage)) => calls.answered.push(PastCall {
                task_type: Arc::from(""),
                bytes_bound: prompt_bytes,
                input_tokens: usage.total_input(),
                cache_read: 0,
                output_tokens: usage.output,
                // Where it is cut, the tasks' answers are too: it was asked for as much as any of them may.
                is_cut: false,
                output_bytes: text.text.len() as u64,
                took,
            }),
            (Err(failure), _) if failure.policy() == Policy::Retry => calls.failed.push(took),
            _ => {}
        }
    }
    calls
}

/// The seed of the simulator that is asked.
const PROBE_SEED: u64 = 0x000f_04e5_1947;

/// Words that no other probe has.
fn words(number: u32) -> String {
    let mut chance = Chance::new(u64::from(number), &Hash::of(b""), "probe");
    (0..PROBE_WORDS).map(|_| chance.pick(&["plain ", "question ", "about ", "the ", "weather "])).collect()
}

/// What the simulator of a run allows each of its gates; none where it is no simulated one.
pub(crate) fn simulator_allows(header: &Header) -> Result<Option<Vec<GateSpec>>, Error> {
    let Some(simulation) = Binding::of(header)?.simulation else { return Ok(None) };
    let scenario = Scenario::parse(&simulation.scenario)?;
    Ok(Some(allowed(&header.plan, &header.settings.gates, &scenario)))
}

/// What a scenario allows each gate.
fn allowed(plan: &Plan, gates: &[GateSpec], scenario: &Scenario) -> Vec<GateSpec> {
    let narrow = |quota: Option<u64>| quota.map(|quota| u32::try_from(quota).unwrap_or(u32::MAX));
    let spec = |(index, gate): (usize, &GateSpec)| {
        let agent = plan.agents().iter().find(|agent| agent.gate.index() == index);
        let quotas =
            agent.map(|agent| scenario.quotas_for(&agent.provider, &agent.model)).unwrap_or_default();
        let per_minute = narrow(quotas.requests_per_minute);
        let burst = narrow(quotas.requests_burst).or(per_minute.map(burst_of)).unwrap_or(1);
        GateSpec {
            name: gate.name.clone(),
            account: gate.account.clone(),
            requests_per_minute: per_minute,
            requests_burst: burst.max(1),
            input_tokens_per_minute: quotas.input_tokens_per_minute,
            output_tokens_per_minute: quotas.output_tokens_per_minute,
            ..GateSpec::default()
        }
    };
    gates.iter().enumerate().map(spec).collect()
}
