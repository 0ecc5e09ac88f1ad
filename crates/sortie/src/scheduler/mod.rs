//! The library's face: named agents and a list of tasks in, a result out.
//!
//! `agent` and `task` write what a configuration and a plan file would say, so that one check and
//! one meaning serve both; `result` is what came of it. Nothing here decides anything.

mod agent;
mod result;
mod task;

use std::path::{Path, PathBuf};
use std::time::Duration;

use sortie_core::money::Usd;
use sortie_core::plan::check::check;
use sortie_core::plan::written::{PlanFile, TaskFile};
use sortie_core::run::input::Mode;
use sortie_engine::driver::Foreseen;
use sortie_engine::executor::signals::Signals;
use sortie_engine::executor::simulated::Pace;
use sortie_engine::store::memory::MemoryStore;
use sortie_engine::store::sqlite::{Durability, SqliteStore};
use sortie_engine::store::{Header, Store};
use sortie_providers::keys::Environment;

pub use agent::Agent;
pub use result::RunResult;
pub use task::Task;

use crate::binding::Simulation;
use crate::config::written::{ConfigFile, CostControl, RateLimiting, TimeoutsFile};
use crate::config::{Config, Overrides};
use crate::error::Error;
use crate::launch::Launch;
use crate::session::{Drive, Session, now, today};
use crate::tokens::Questions;

/// Where runs are kept that [`Scheduler::resume`] looks for, unless told: the command's default.
const RESULTS_DIR: &str = "results";

/// Sends tasks to agents, side by side as far as dependencies, limits and budget allow.
///
/// Built like a [`std::process::Command`]: describe it, then [`run`](Scheduler::run) it, as often
/// as you like. Without [`results_dir`](Scheduler::results_dir) nothing is written to disk. What it
/// has no method for has a key of the configuration: [`ConfigFile`] turns into a scheduler by
/// `from`.
///
/// Its futures are `Send`. They need a tokio runtime with time and I/O enabled, except where they
/// [`simulate`](Scheduler::simulate).
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
/// assert_eq!(result.execution_history, ["analyze", "design"]);
/// println!("{}", result.text("design").unwrap_or_default());
/// # Ok(())
/// # }
/// ```
///
/// Without a key a run does not begin, and the error says what to do:
///
/// ```
/// use sortie::{Agent, Environment, Scheduler, Task};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let result = Scheduler::new()
///     .agent("claude", Agent::anthropic("claude-sonnet-5-5"))
///     .environment(Environment::default()) // an empty one
///     .run([Task::new("ml", "Explain machine learning in one sentence.")])
///     .await;
/// let error = result.unwrap_err();
/// assert_eq!(error.to_string(), "agent \"claude\" needs a key, and ANTHROPIC_API_KEY is not set");
/// assert!(error.hint().is_some_and(|hint| hint.starts_with("export ANTHROPIC_API_KEY=")));
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a scheduler does nothing until it runs tasks"]
pub struct Scheduler {
    config: ConfigFile,
    name: Option<String>,
    run_id: Option<String>,
    serial: bool,
    environment: Option<Environment>,
    simulation: Option<String>,
    seed: u64,
    max_failures: Option<u32>,
    cache: bool,
    results_dir: Option<PathBuf>,
}

/// Who does the work.
impl Scheduler {
    /// A scheduler without agents. If none is added there are `claude` and `openai`.
    pub fn new() -> Self {
        Scheduler::default()
    }

    /// Adds a named agent, or replaces the one of this name. The first one does the tasks that
    /// name none, unless [`default_agent`](Scheduler::default_agent) says otherwise.
    pub fn agent(mut self, name: impl Into<String>, agent: Agent) -> Self {
        let (name, agent) = (name.into(), Some(agent.0));
        let agents = self.config.agents.get_or_insert_default();
        match agents.iter_mut().find(|(other, _)| *other == name) {
            Some((_, other)) => *other = agent,
            None => agents.push((name, agent)),
        }
        self
    }

    /// Sends the tasks of this type that name no agent to this one.
    pub fn route(mut self, task_type: impl Into<String>, agent: impl Into<String>) -> Self {
        self.config.routes.get_or_insert_default().push((task_type.into(), agent.into()));
        self
    }

    /// Who does the tasks that have neither an agent nor a route.
    pub fn default_agent(mut self, name: impl Into<String>) -> Self {
        self.config.default_agent = Some(name.into());
        self
    }

    /// Where keys, models and base URLs come from; the process's environment and its env file
    /// unless told.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Answers come from the built-in simulator, on a virtual clock: no key, no cost, no waiting.
    /// `scenario` is the name of one of [`sortie_sim::Scenario::names`]. Times and costs of the
    /// result are those that the simulated run would have had.
    pub fn simulate(mut self, scenario: impl Into<String>) -> Self {
        self.simulation = Some(scenario.into());
        self
    }

    /// Seeds the simulator and the jitter of retries; 0 unless told.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

/// What a run may take.
impl Scheduler {
    /// What a run may cost, in USD from 0. It reserves before it spends, so it never costs more; a
    /// run that it stops has tasks pending.
    pub fn max_cost(mut self, usd: f64) -> Self {
        self.money().max_cost_per_session = Some(usd);
        self
    }

    /// What a task may cost that does not say, all its calls together, in USD from 0.
    pub fn max_cost_per_task(mut self, usd: f64) -> Self {
        self.money().max_cost_per_task = Some(usd);
        self
    }

    /// So many failed tasks end the run, at least 1: nothing new starts, and what is left is pending. Unless
    /// told, the others go on, however many fail.
    pub fn max_failures(mut self, tasks: u32) -> Self {
        self.max_failures = Some(tasks);
        self
    }

    /// Takes answers of earlier runs of the same store for the same requests; they cost nothing.
    pub fn cache(mut self) -> Self {
        self.cache = true;
        self
    }

    /// How many calls may be in flight, at least 1; 10 unless told.
    pub fn max_concurrent(mut self, calls: u32) -> Self {
        self.rates().max_concurrent = Some(calls);
        self
    }

    /// Requests that may start in a minute at each account, at least 1, where its agent does not
    /// say.
    pub fn requests_per_minute(mut self, requests: u32) -> Self {
        self.rates().requests_per_minute = Some(requests);
        self
    }

    /// How often a failed call is tried again, where its agent does not say; 3 unless told.
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.rates().max_retries = Some(retries);
        self
    }

    /// How long a call may take, more than zero; by its `max_tokens` unless told, at least 60 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts().request_timeout = Some(timeout.as_secs_f64());
        self
    }

    /// How long a run may take, more than zero; by its tasks unless told, at least 600 s. Tasks
    /// that it cuts off are pending.
    pub fn total_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts().total_timeout = Some(timeout.as_secs_f64());
        self
    }

    /// How long nothing may come in the middle of an answer, more than zero; 60 s unless told.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts().idle = Some(timeout.as_secs_f64());
        self
    }

    /// One task after the other, for comparison.
    pub fn serial(mut self) -> Self {
        self.serial = true;
        self
    }

    fn money(&mut self) -> &mut CostControl {
        self.config.cost_control.get_or_insert_default()
    }

    fn rates(&mut self) -> &mut RateLimiting {
        self.config.rate_limiting.get_or_insert_default()
    }

    fn timeouts(&mut self) -> &mut TimeoutsFile {
        self.config.timeouts.get_or_insert_default()
    }
}

/// What is kept, and under which name.
impl Scheduler {
    /// Keeps runs in this directory: a journal that a resume can go on with, and each run's files.
    pub fn results_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.results_dir = Some(directory.into());
        self
    }

    /// What the plan is called in reports; `plan` unless told.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The id of the next run; made from the time unless told. A results directory takes each id
    /// once.
    pub fn run_id(mut self, id: impl Into<String>) -> Self {
        self.run_id = Some(id.into());
        self
    }
}

/// Running.
impl Scheduler {
    /// Runs these tasks to the end. That some of them failed is a result, not an error.
    ///
    /// # Errors
    /// Where the tasks or the agents are invalid, something has to be set up first (a key, a
    /// price), or the journal fails. [`Error::hint`] says what to do about it.
    ///
    /// # Cancel safety
    /// Dropping the future closes all connections. A run in a results directory can be resumed;
    /// what was in flight counts as lost. [`Scheduler::run_until`] loses nothing.
    pub async fn run<T: Into<Task>>(&self, tasks: impl IntoIterator<Item = T>) -> Result<RunResult, Error> {
        self.run_until(tasks, Signals::none()).await
    }

    /// The same, but it can be asked to stop: at the first signal nothing new starts and what is
    /// in flight is brought home, at the second it ends at once. Tasks that it left are pending,
    /// and a run in a results directory can be resumed.
    ///
    /// ```
    /// use sortie::{Agent, Ended, Outcome, Scheduler, Signal, Signals, Task};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), sortie::Error> {
    /// let (stop, signals) = Signals::channel(); // or `Signals::of_the_process()?`, for Ctrl-C
    /// let tasks = (0..100).map(|n| Task::new(format!("task-{n}"), "Name a colour."));
    /// let scheduler = Scheduler::new()
    ///     .agent("claude", Agent::anthropic("claude-sonnet-5-5"))
    ///     .simulate("calm");
    ///
    /// stop.send(Signal::Terminate); // from wherever it is cloned to
    /// let result = scheduler.run_until(tasks, signals).await?;
    /// assert_eq!(result.ended, Ended::Finished(Outcome::Interrupted { signal: Signal::Terminate }));
    /// assert!(result.pending_tasks > 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Scheduler::run`].
    pub async fn run_until<T: Into<Task>>(
        &self,
        tasks: impl IntoIterator<Item = T>,
        signals: Signals,
    ) -> Result<RunResult, Error> {
        let tasks = tasks.into_iter().map(|task| task.into().0).collect();
        let environment = self.read_environment()?;
        let mut header = self.header(tasks, &environment)?;
        count(&mut header, &environment).await?;
        let dir = self.results_dir.as_deref();
        let Some(results_dir) = dir else {
            let session = Session::create(MemoryStore::new(), header, None).await?;
            return drive(session, &environment, None, signals).await;
        };
        let store = SqliteStore::open(results_dir, Durability::of(self.simulation.is_some()))?;
        drive(Session::create(store, header, dir).await?, &environment, None, signals).await
    }

    /// Goes on with a run of the results directory (`results` unless told), or with the newest
    /// unfinished one. Finished calls are not repeated; plan, agents and limits are those that the
    /// run was created with, except that [`max_cost`](Scheduler::max_cost), where it is set, is
    /// the run's budget from now on.
    ///
    /// # Errors
    /// As [`Scheduler::run`]; where there is no such run, or another process drives it.
    pub async fn resume(&self, run_id: Option<&str>) -> Result<RunResult, Error> {
        self.resume_until(run_id, Signals::none()).await
    }

    /// The same, but it can be asked to stop, as [`Scheduler::run_until`] can.
    ///
    /// # Errors
    /// As [`Scheduler::resume`].
    pub async fn resume_until(&self, run_id: Option<&str>, signals: Signals) -> Result<RunResult, Error> {
        let environment = self.read_environment()?;
        let budget = self.check(&environment)?.money.budget;
        let results_dir = self.results_dir.as_deref().unwrap_or(Path::new(RESULTS_DIR));
        let store = SqliteStore::open(results_dir, Durability::Synced)?;
        let session = Session::resume(store, run_id, Some(results_dir)).await?;
        let (session, recovery) = session.recover(&environment).await?;
        if let Some(why) = recovery.why_not() {
            tracing::warn!(why, "lost answers could not be asked for; what they may have cost stays at risk");
        }
        drive(session, &environment, budget, signals).await
    }

    fn read_environment(&self) -> Result<Environment, Error> {
        match &self.environment {
            Some(environment) => Ok(environment.clone()),
            None => Ok(Environment::read(None, Path::new("."))?),
        }
    }

    fn check(&self, environment: &Environment) -> Result<Config, Error> {
        let get = |name: &str| environment.get(name).map(|(value, _)| value.to_owned());
        Config::check(&self.config, &get, today()).map_err(Error::Config)
    }

    fn header(&self, tasks: Vec<TaskFile>, environment: &Environment) -> Result<Header, Error> {
        let overrides = Overrides { results_dir: self.results_dir.clone(), ..Overrides::default() };
        let config = self.check(environment)?.overridden(overrides);
        let (name, max_failures) = (self.name.clone(), self.max_failures);
        let plan = PlanFile { name, defaults: None, max_failures, tasks };
        let checked = check(plan, &config.routing()).map_err(Error::Plan)?;
        let mode = if self.serial { Mode::Serial } else { Mode::Parallel };
        let simulation =
            self.simulation.as_ref().map(|name| Simulation::named(name, self.seed)).transpose()?;
        let launch = Launch {
            run_id: self.run_id.clone(),
            mode,
            seed: self.seed,
            cache: self.cache,
            simulation,
            ..Launch::default()
        };
        launch.header(checked, &config, environment, now())
    }
}

/// The scheduler that this configuration describes; it keeps its runs where that names a directory.
impl From<ConfigFile> for Scheduler {
    fn from(config: ConfigFile) -> Self {
        let results_dir = config.monitoring.as_ref().and_then(|monitoring| monitoring.results_dir.as_ref());
        Scheduler { results_dir: results_dir.map(PathBuf::from), config, ..Scheduler::default() }
    }
}

/// Lets the provider count the prompts of the agents that are to be counted so.
async fn count(header: &mut Header, environment: &Environment) -> Result<(), Error> {
    let questions = Questions::of(header, environment)?;
    if questions.is_empty() {
        return Ok(());
    }
    let answered = questions.ask(header).await?;
    if answered.uncounted > 0 {
        let failure = answered.failure.map(|failure| failure.to_string());
        tracing::warn!(
            tasks = answered.uncounted,
            failure,
            "prompts were not counted; bytes bound their tokens"
        );
    }
    Ok(())
}

async fn drive<S: Store>(
    session: Session<S>,
    environment: &Environment,
    budget: Option<Usd>,
    mut signals: Signals,
) -> Result<RunResult, Error> {
    let (budgets, forecast) = (budget.into(), Foreseen::nothing());
    let drive = Drive { environment, budgets, pace: Pace::Jumping, signals: &mut signals, forecast };
    // Boxed: a run's state is large, and the futures of callers would hold it all.
    let done = Box::pin(session.drive(drive, ())).await?;
    RunResult::of(&done).await
}
