//! A run in this process: created or taken over, driven to its end, and what it left.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sortie_core::agent::AgentId;
use sortie_core::plan::TaskId;
use sortie_core::run::Run;
use sortie_core::run::event::{Event, Outcome, Record};
use sortie_core::run::input::{Budgets, Resume, Settings};
use sortie_core::time::Time;
use sortie_engine::driver::{self, Ended, Foreseen, Observe, Opened};
use sortie_engine::executor::local::LocalExecutor;
use sortie_engine::executor::signals::Signals;
use sortie_engine::executor::simulated::{Pace, SimulatedExecutor};
use sortie_engine::sharing::{SharedFile, Sharing};
use sortie_engine::store::{Header, Store, StoreError};
use sortie_providers::http::{Client, Endpoint};
use sortie_providers::keys::Environment;
use sortie_report::fold::{Fold, RunView};
use sortie_report::log::Level;
use sortie_report::results::TaskResult;
use sortie_sim::scenario::UnknownModels;
use sortie_sim::{Model, Scenario};

use crate::accounts::at_present;
use crate::binding::{Binding, endpoint_of};
use crate::caller::{HttpCaller, SimulatedCaller};
use crate::changes::Changes;
use crate::config::LogLevel;
use crate::control;
use crate::error::Error;
use crate::files::{Recorder, export, result_of};
use crate::launch::unpriced;
use crate::recovery::{self, Recovery};

/// A run that this process owns and has not driven yet.
#[derive(Debug)]
pub struct Session<S> {
    store: S,
    opened: Opened,
    binding: Binding,
    directory: Option<PathBuf>,
}

/// How a session is driven.
#[derive(Debug)]
pub struct Drive<'a> {
    /// Where keys come from.
    pub environment: &'a Environment,
    /// Other budgets than the run had, for a resume.
    pub budgets: Budgets,
    /// How fast simulated time goes.
    pub pace: Pace,
    /// How it is asked to stop. What it has not heard by its end stays for who lent them.
    pub signals: &'a mut Signals,
    /// What was forecast of it.
    pub forecast: Foreseen,
}

/// A run that is not driven any more, in this process.
#[derive(Debug)]
pub struct Done<S> {
    /// How it came to its end.
    pub ended: Ended,
    /// All that it remembers, folded.
    pub fold: Fold,
    /// Where its outputs are.
    pub store: S,
    /// Where its files are, if it left any.
    pub directory: Option<PathBuf>,
}

impl<S: Store> Session<S> {
    /// Creates a run. Its files go into a directory of its name in `results_dir`, where there is one.
    ///
    /// # Errors
    /// Where the store refuses: the name is taken or is no name, the disk fails.
    pub async fn create(mut store: S, header: Header, results_dir: Option<&Path>) -> Result<Self, Error> {
        let opened = driver::create(&mut store, header).await?;
        Session::new(store, opened, results_dir)
    }

    /// Takes over a run; without a name the newest one that is not finished.
    ///
    /// # Errors
    /// Where there is none, another process drives it, or its journal is damaged.
    pub async fn resume(
        mut store: S,
        run_id: Option<&str>,
        results_dir: Option<&Path>,
    ) -> Result<Self, Error> {
        let run_id = match run_id {
            Some(run_id) => run_id.to_owned(),
            None => newest_unfinished(&store).await?,
        };
        let opened = driver::resume(&mut store, &run_id).await?;
        Session::new(store, opened, results_dir)
    }

    fn new(store: S, opened: Opened, results_dir: Option<&Path>) -> Result<Self, Error> {
        let header = opened.header();
        let run = header.run_id.clone();
        let binding = Binding::of(header)?;
        let directory = results_dir.map(|dir| dir.join(run));
        Ok(Session { store, opened, binding, directory })
    }

    /// What the run goes on with: as it was created, or as its plan was changed since.
    pub fn header(&self) -> &Header {
        self.opened.header()
    }

    /// How its agents are reached.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// What it remembers so far.
    pub fn records(&self) -> &[Record] {
        self.opened.records()
    }

    /// What binds it now: as it was created, with what the user changed since.
    pub fn in_force(&self) -> Settings {
        let mut settings = Settings::clone(&self.header().settings);
        for record in self.records() {
            if let Event::Controlled { control } = &record.event {
                control.change(&mut settings);
            }
        }
        settings
    }

    /// How many lost answers [`Session::recover`] asks for.
    pub fn askable(&self) -> usize {
        recovery::may_be_kept(self.opened.run(), &self.binding).count()
    }

    /// Asks providers for answers that were lost, where the configuration that the run began with says so
    /// ([`Recovery`]): before anything else is asked of this session, for that depends on it. The run takes in what
    /// was found as soon as it is driven.
    ///
    /// # Errors
    /// Where the HTTP client cannot be made.
    pub async fn recover(self, environment: &Environment) -> Result<(Self, Recovery), Error> {
        let (recovery, found, texts) =
            recovery::ask(self.header(), self.opened.run(), &self.binding, environment).await?;
        Ok((Session { opened: self.opened.finding(found, texts), ..self }, recovery))
    }

    /// The same run with another try for its failed tasks, and for those that were skipped for them.
    #[must_use]
    pub fn retrying_failed(self) -> Self {
        Session { opened: self.opened.retrying_failed(), ..self }
    }

    /// The same run with its tasks done again whose answers are not in the store any more, or not as they were written,
    /// and how many these are. Reads all of its answers.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn regaining_answers(self) -> Result<(Self, usize), Error> {
        let run = self.opened.run();
        let mut gone = Vec::new();
        for id in run.plan().ids() {
            let Some(hash) = run.output(id) else { continue };
            match self.store.output(&hash).await {
                Err(StoreError::NoSuchOutput(_) | StoreError::DamagedOutput(_)) => gone.push(id),
                found => drop(found?),
            }
        }
        let many = gone.len();
        Ok((Session { opened: self.opened.without_answers(gone), ..self }, many))
    }

    /// The same run with a plan that was changed ([`Changes::between`] its header and another).
    ///
    /// # Errors
    /// Where the plan does not say how its agents are reached.
    pub fn changed(self, changes: Changes) -> Result<Self, Error> {
        let opened = self.opened.changed(changes.change);
        let binding = Binding::of(opened.header())?;
        Ok(Session { opened, binding, ..self })
    }

    /// The run as it is now.
    pub fn run(&self) -> &Run {
        self.opened.run()
    }

    /// How it goes on.
    pub fn resume_of(&self) -> &Resume {
        self.opened.resume()
    }

    /// How many of its tasks have failed, or were skipped for that, and may be tried again.
    pub fn retryable(&self) -> usize {
        self.opened
            .run()
            .going_on(&Resume { retry_failed: false, ..self.opened.resume().clone() })
            .retryable()
            .len()
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.opened.is_done()
    }

    /// How it ended, if it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.opened.run().outcome()
    }

    /// Where it meets the other runs of its results directory: a simulated one uses nobody's account.
    fn sharing(&self) -> Option<Box<dyn Sharing>> {
        let results_dir = self.directory.as_deref()?.parent()?;
        let is_real = self.binding.simulation.is_none();
        let file = is_real.then(|| SharedFile::open(results_dir, &self.header().run_id))??;
        Some(Box::new(file))
    }

    /// Drives the run until it ends, and writes its files. `observe` sees each record once it is
    /// durable. A run with a directory can be controlled from other processes ([`control`]).
    ///
    /// # Errors
    /// What has to be set up; a journal that fails; files that cannot be written. What was durable
    /// stays so.
    pub async fn drive<O: Observe>(mut self, drive: Drive<'_>, observe: O) -> Result<Done<S>, Error> {
        let level = level(self.binding.log_level);
        let logs = self.directory.as_deref().map(|directory| (directory, level));
        let recorder = Recorder::new(view(self.header()), self.opened.records(), logs)?;
        if self.opened.is_done() {
            // Nothing is left to send, so nothing has to be set up. Whoever ended it may have died before it wrote
            // the files, so they are written again.
            let ended = Ended::Finished(Outcome::Completed);
            let Session { store, directory, .. } = self;
            let done = Done { ended, fold: recorder.fold, store, directory };
            return Box::pin(done.exported(self.binding.export_results)).await;
        }
        let missing = unpriced(&self.header().plan, &self.header().settings, &drive.budgets);
        if !missing.is_empty() {
            return Err(Error::Setup(missing));
        }
        let mut observe = (recorder, observe);
        let floor = self.opened.floor().max(self.header().created);
        let Drive { environment, budgets, pace, signals, forecast } = drive;
        let sharing = self.sharing();
        let run = || view(self.opened.header());
        let (controls, replies) = control::listen(self.directory.as_deref(), run);
        let opened = self.opened.with_budgets(budgets).with_forecast(forecast);
        let header = opened.header();
        let gates = header.settings.gates.clone();
        let gates = at_present(&header.plan, gates, &self.binding.endpoints, environment);
        let opened = opened.with_controls(controls).with_sharing(sharing, gates);
        let plan = Arc::clone(&opened.header().plan);
        let configured = self.binding.endpoints.clone();
        // What drives a run is large, and nobody's future is to hold it.
        let ended = if let Some(simulation) = &self.binding.simulation {
            // A simulated run answers for whatever the agents are configured to ask.
            let scenario =
                Scenario { unknown_models: UnknownModels::Served, ..Scenario::parse(&simulation.scenario)? };
            let model = Model::new(scenario, simulation.seed);
            let caller = SimulatedCaller { model, plan, configured, identity: simulation.identity() };
            let mut executor = SimulatedExecutor::new(caller, floor, pace, signals);
            Box::pin(opened.drive(&mut self.store, &mut executor, &mut observe)).await?
        } else {
            let endpoints = endpoints(opened.header(), &self.binding, environment)?;
            let connect = plan.agents().iter().map(|agent| agent.timeouts.connect).max().unwrap_or_default();
            let kept_as = recovery::prefix(opened.header());
            let caller = HttpCaller { client: Client::new(connect)?, kept_as, plan, configured, endpoints };
            let mut executor = LocalExecutor::new(caller, floor, signals);
            Box::pin(opened.drive(&mut self.store, &mut executor, &mut observe)).await?
        };
        replies.leave().await;
        let (recorder, _) = observe;
        let done = Done { ended, fold: recorder.fold, store: self.store, directory: self.directory };
        Box::pin(done.exported(self.binding.export_results)).await
    }
}

impl<S: Store> Done<S> {
    /// The same with its files written, where it has a directory and they are wanted.
    async fn exported(self, is_wanted: bool) -> Result<Self, Error> {
        if let Some(directory) = self.directory.as_ref().filter(|_| is_wanted) {
            export(directory, &self.fold, &self.store).await?;
        }
        Ok(self)
    }

    /// A task's result, with its text.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn result(&self, id: TaskId) -> Result<Option<TaskResult>, Error> {
        result_of(&self.fold, id, &self.store).await
    }
}

/// What a report has to know of a run.
pub fn view(header: &Header) -> RunView {
    RunView {
        run_id: header.run_id.clone(),
        created: header.created,
        plan: Arc::clone(&header.plan),
        settings: Arc::clone(&header.settings),
    }
}

/// Endpoints for the agents that tasks go to, and for their fallbacks that have a key.
fn endpoints(
    header: &Header,
    binding: &Binding,
    environment: &Environment,
) -> Result<Vec<Option<Endpoint>>, Error> {
    let plan = &header.plan;
    let mut missing = Vec::new();
    let mut endpoints = vec![None; plan.agents().len()];
    let of = |id: AgentId| endpoint_of(plan.agent(id), &binding.endpoints[id.index()], environment);
    for id in plan.used_agents() {
        match of(id) {
            Ok(endpoint) => endpoints[id.index()] = Some(endpoint),
            Err(setup) => missing.push(setup),
        }
    }
    for id in plan.only_fallbacks() {
        endpoints[id.index()] = of(id).ok();
    }
    if missing.is_empty() { Ok(endpoints) } else { Err(Error::Setup(missing)) }
}

async fn newest_unfinished<S: Store>(store: &S) -> Result<String, Error> {
    let runs = store.list().await?;
    let unfinished = |last: &Option<Record>| {
        !matches!(last, Some(Record { event: Event::RunEnded { outcome: Outcome::Completed }, .. }))
    };
    let newest = runs.into_iter().find(|run| !run.owned && unfinished(&run.last));
    newest.map(|run| run.run_id).ok_or(Error::NothingToResume)
}

/// The level of `production.log`: the report's levels end where tracing's have more.
fn level(level: LogLevel) -> Level {
    match level {
        LogLevel::Error => Level::Error,
        LogLevel::Warn => Level::Warning,
        LogLevel::Info => Level::Info,
        LogLevel::Debug | LogLevel::Trace => Level::Debug,
    }
}

/// The time now, by the wall: when a run is born, and what day it is.
pub fn now() -> Time {
    sortie_engine::executor::wall()
}

/// The day of [`now`], in UTC: for models that are retired soon.
pub fn today() -> jiff::civil::Date {
    let seconds = i64::try_from(now().micros() / 1_000_000).unwrap_or_default();
    let now = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    jiff::tz::Offset::UTC.to_datetime(now).date()
}
