//! The library's face: named agents and a list of tasks in, a result out.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sortie_core::money::Usd;
use sortie_core::plan::check::check;
use sortie_core::plan::written::{PlanFile, TaskFile};
use sortie_core::run::input::Mode;
use sortie_engine::executor::signals::Signals;
use sortie_engine::executor::simulated::Pace;
use sortie_engine::store::Store;
use sortie_engine::store::memory::MemoryStore;
use sortie_engine::store::sqlite::{Durability, SqliteStore};
use sortie_providers::keys::Environment;
use sortie_report::results::TaskResult;
use sortie_report::summary::Summary;

use crate::binding::Simulation;
use crate::config::written::{
    AgentFile, ConfigFile, CostControl, Free, PriceFile, Provider, RateLimiting, Rates,
};
use crate::config::{Config, Overrides};
use crate::error::Error;
use crate::launch::Launch;
use crate::session::{Done, Drive, Session, now, today};

/// A named configuration: provider, model, limits on its answer.
///
/// Where nothing else is said its key comes from `ANTHROPIC_API_KEY` or `OPENAI_API_KEY`.
#[derive(Clone, Debug)]
pub struct Agent(AgentFile);

impl Agent {
    /// An agent that speaks Anthropic Messages.
    pub fn anthropic(model: impl Into<String>) -> Self {
        Agent(AgentFile {
            provider: Some(Provider::Anthropic),
            model: Some(model.into()),
            ..AgentFile::default()
        })
    }

    /// An agent that speaks OpenAI Chat Completions, with OpenAI or a compatible server.
    pub fn openai(model: impl Into<String>) -> Self {
        Agent(AgentFile {
            provider: Some(Provider::OpenAi),
            model: Some(model.into()),
            ..AgentFile::default()
        })
    }

    /// Where it is reached, in the form of the official SDKs: Anthropic's without `/v1`, OpenAI's
    /// with it.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.0.base_url = Some(url.into());
        self
    }

    /// The environment variable that holds its key.
    #[must_use]
    pub fn api_key_env(mut self, name: impl Into<String>) -> Self {
        self.0.api_key_env = Some(name.into());
        self
    }

    /// The system prompt of its tasks.
    #[must_use]
    pub fn system(mut self, prompt: impl Into<String>) -> Self {
        self.0.system = Some(prompt.into());
        self
    }

    /// Sampling temperature, 0 to 2; recent models refuse it.
    #[must_use]
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.0.temperature = Some(temperature);
        self
    }

    /// Output tokens that a task may use where it does not say; 4000 unless told.
    #[must_use]
    pub fn max_tokens(mut self, tokens: u32) -> Self {
        self.0.max_tokens = Some(tokens);
        self
    }

    /// What its tokens cost, in USD per million, in place of the built-in table.
    #[must_use]
    pub fn price(mut self, input: f64, output: f64) -> Self {
        let rates = Rates { input, output, cache_read: None, cache_write: None, cache_write_1h: None };
        self.0.price = Some(PriceFile::Rates(rates));
        self
    }

    /// Its tokens cost nothing: a server of one's own.
    #[must_use]
    pub fn free(mut self) -> Self {
        self.0.price = Some(PriceFile::Word(Free::Free));
        self
    }

    /// Requests that may start in a minute, over all agents of its account and model.
    #[must_use]
    pub fn requests_per_minute(mut self, requests: u32) -> Self {
        self.0.rate_limiting.get_or_insert_default().requests_per_minute = Some(requests);
        self
    }
}

/// One prompt to one agent.
#[derive(Clone, Debug)]
pub struct Task(TaskFile);

impl Task {
    /// A task; `{{ results.ID }}` in its prompt becomes the result of task `ID`.
    pub fn new(id: impl Into<String>, prompt: impl Into<String>) -> Self {
        Task(TaskFile { id: id.into(), prompt: prompt.into(), ..TaskFile::default() })
    }

    /// What kind of work it is: `analysis`, `design`, `coding`, …; `general` unless told.
    #[must_use]
    pub fn task_type(mut self, task_type: impl Into<String>) -> Self {
        self.0.task_type = Some(task_type.into());
        self
    }

    /// What has to succeed first.
    #[must_use]
    pub fn depends_on<I: Into<String>>(mut self, ids: impl IntoIterator<Item = I>) -> Self {
        self.0.depends_on.get_or_insert_default().extend(ids.into_iter().map(Into::into));
        self
    }

    /// Who does it; the first agent unless told.
    #[must_use]
    pub fn agent(mut self, name: impl Into<String>) -> Self {
        self.0.agent = Some(name.into());
        self
    }

    /// Output tokens that the answer may have, at least 1.
    #[must_use]
    pub fn max_tokens(mut self, tokens: u32) -> Self {
        self.0.max_tokens = Some(tokens);
        self
    }

    /// Higher goes first among ready tasks; 0 unless told.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.0.priority = Some(priority);
        self
    }

    /// A hint: how many seconds its call will take. Orders the queue.
    #[must_use]
    pub fn expected_seconds(mut self, seconds: f64) -> Self {
        self.0.expected_seconds = Some(seconds);
        self
    }
}

impl From<TaskFile> for Task {
    fn from(written: TaskFile) -> Self {
        Task(written)
    }
}

/// Sends tasks to agents, side by side as far as dependencies, limits and budget allow.
///
/// Built like a [`std::process::Command`]: describe it, then [`run`](Scheduler::run) it, as often
/// as you like. Without [`results_dir`](Scheduler::results_dir) nothing is written to disk.
///
/// # Examples
///
/// ```
/// use sortie::{Agent, Scheduler, Task};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), sortie::Error> {
/// let result = Scheduler::new()
///     .agent("claude", Agent::anthropic("claude-sonnet-5-5").max_tokens(300))
///     .max_cost(0.50)
///     .simulate("calm") // leave this out to spend money
///     .run([
///         Task::new("analyze", "Analyse the requirements of a photo site."),
///         Task::new("design", "Design it: {{ results.analyze }}").depends_on(["analyze"]),
///     ])
///     .await?;
/// assert!(result.success);
/// println!("{}", result.text("design").unwrap_or_default());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Scheduler {
    config: ConfigFile,
    mode: Option<Mode>,
    environment: Option<Environment>,
    simulation: Option<String>,
    seed: u64,
    results_dir: Option<PathBuf>,
}

impl Scheduler {
    /// A scheduler without agents. If none is added there are `claude` and `openai`.
    pub fn new() -> Self {
        Scheduler::default()
    }

    /// Adds a named agent. The first one does the tasks that name none.
    #[must_use]
    pub fn agent(mut self, name: impl Into<String>, agent: Agent) -> Self {
        self.config.agents.get_or_insert_default().push((name.into(), Some(agent.0)));
        self
    }

    /// What a run may cost, in USD. It reserves before it spends, so it never costs more.
    #[must_use]
    pub fn max_cost(mut self, usd: f64) -> Self {
        let money = self.config.cost_control.get_or_insert_with(CostControl::default);
        money.max_cost_per_session = Some(usd);
        self
    }

    /// How many calls may be in flight; 10 unless told.
    #[must_use]
    pub fn max_concurrent(mut self, calls: u32) -> Self {
        self.config.rate_limiting.get_or_insert_with(RateLimiting::default).max_concurrent = Some(calls);
        self
    }

    /// One task after the other, for comparison.
    #[must_use]
    pub fn serial(mut self) -> Self {
        self.mode = Some(Mode::Serial);
        self
    }

    /// Where keys, models and base URLs come from; the process's environment and its env file
    /// unless told.
    #[must_use]
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Answers come from the built-in simulator, on a virtual clock: no key, no cost, no waiting.
    /// `scenario` is the name of one of [`sortie_sim::Scenario::names`].
    #[must_use]
    pub fn simulate(mut self, scenario: impl Into<String>) -> Self {
        self.simulation = Some(scenario.into());
        self
    }

    /// Seeds the simulator and the jitter of retries.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Keeps runs in this directory: a journal that a resume can go on with, and each run's files.
    #[must_use]
    pub fn results_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.results_dir = Some(directory.into());
        self
    }

    /// Runs these tasks to the end. That some of them failed is a result, not an error.
    ///
    /// # Errors
    /// Where the tasks or the agents are invalid, something has to be set up first (a key, a
    /// price), or the journal fails.
    ///
    /// # Cancel safety
    /// Dropping the future closes all connections. A run in a results directory can be resumed.
    pub async fn run<T: Into<Task>>(&self, tasks: impl IntoIterator<Item = T>) -> Result<RunResult, Error> {
        let tasks = tasks.into_iter().map(|task| task.into().0).collect();
        let environment = self.read_environment()?;
        let header = self.header(tasks, &environment)?;
        let dir = self.results_dir.as_deref();
        match dir {
            None => drive(Session::create(MemoryStore::new(), header, None).await?, &environment).await,
            Some(results_dir) => {
                let durability = match self.simulation {
                    Some(_) => Durability::Unsynced,
                    None => Durability::Synced,
                };
                let store = SqliteStore::open(results_dir, durability)?;
                drive(Session::create(store, header, dir).await?, &environment).await
            }
        }
    }

    /// Goes on with a run of the results directory, or with the newest unfinished one. Finished
    /// calls are not repeated; plan, agents and limits are those that the run was created with.
    ///
    /// # Errors
    /// As [`Scheduler::run`]; where there is no such run, or another process drives it.
    pub async fn resume(&self, run_id: Option<&str>) -> Result<RunResult, Error> {
        let environment = self.read_environment()?;
        let results_dir = self.results_dir.as_deref().unwrap_or(Path::new("results"));
        let store = SqliteStore::open(results_dir, Durability::Synced)?;
        drive(Session::resume(store, run_id, Some(results_dir)).await?, &environment).await
    }

    fn read_environment(&self) -> Result<Environment, Error> {
        match &self.environment {
            Some(environment) => Ok(environment.clone()),
            None => Ok(Environment::read(None, Path::new("."))?),
        }
    }

    fn header(
        &self,
        tasks: Vec<TaskFile>,
        environment: &Environment,
    ) -> Result<sortie_engine::store::Header, Error> {
        let get = |name: &str| environment.get(name).map(|(value, _)| value.to_owned());
        let config = Config::check(&self.config, &get, today()).map_err(Error::Config)?;
        let config =
            config.overridden(Overrides { results_dir: self.results_dir.clone(), ..Overrides::default() });
        let plan = PlanFile { name: None, defaults: None, tasks };
        let checked = check(plan, &config.routing()).map_err(Error::Plan)?;
        let simulation = match &self.simulation {
            None => None,
            Some(name) => Some(Simulation::named(name, self.seed)?),
        };
        let launch =
            Launch { run_id: None, mode: self.mode.unwrap_or(Mode::Parallel), seed: self.seed, simulation };
        launch.header(checked, &config, environment, now())
    }
}

async fn drive<S: Store>(session: Session<S>, environment: &Environment) -> Result<RunResult, Error> {
    let drive = Drive { environment, budget: None::<Usd>, pace: Pace::Jumping, signals: Signals::none() };
    RunResult::of(&session.drive(drive, ()).await?).await
}

/// What a run came to: the summary's fields (it derefs to [`Summary`]), and each task's result.
#[derive(Clone, Debug, Serialize)]
pub struct RunResult {
    #[serde(flatten)]
    summary: Summary,
    /// By task id.
    pub task_results: BTreeMap<String, TaskResult>,
}

impl RunResult {
    /// Reads all results of a run that was driven.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn of<S: Store>(done: &Done<S>) -> Result<Self, Error> {
        let mut task_results = BTreeMap::new();
        for id in done.fold.run().plan.ids() {
            if let Some(result) = done.result(id).await? {
                task_results.insert(result.task_id.clone(), result);
            }
        }
        Ok(RunResult { summary: done.fold.summary(done.fold.last_time()), task_results })
    }

    /// The text of a task that succeeded.
    pub fn text(&self, task_id: &str) -> Option<&str> {
        self.task_results.get(task_id)?.result.as_deref()
    }
}

impl Deref for RunResult {
    type Target = Summary;
    fn deref(&self) -> &Summary {
        &self.summary
    }
}
