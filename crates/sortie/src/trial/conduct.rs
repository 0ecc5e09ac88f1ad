//! One part of a trial: created as an ordinary run of the journal, driven to its end, folded.

use std::collections::BTreeMap;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sortie_core::limit::Dimension;
use sortie_core::money::Usd;
use sortie_core::run::event::Outcome;
use sortie_core::run::input::{Budgets, Mode};
use sortie_core::usage::Charge;
use sortie_engine::driver::{Ended, Foreseen, Observe};
use sortie_engine::executor::signals::Signals;
use sortie_engine::executor::simulated::Pace;
use sortie_engine::sharing::learned;
use sortie_engine::store::Header;
use sortie_engine::store::sqlite::{Durability, SqliteStore};
use sortie_providers::keys::Environment;
use sortie_report::costs::{Costs, Grouping};
use sortie_report::fold::{Fold, TaskView};
use sortie_report::trial::TrialRun;

use super::allowed::as_told;
use super::part::{Part, Role};
use super::proxies::Proxies;
use crate::binding::Simulation;
use crate::config::{Config, Overrides};
use crate::error::Error;
use crate::files::RESULTS;
use crate::launch::Launch;
use crate::session::{Done, Drive, Session, now};

/// Who conducts the parts of a trial.
#[derive(Clone, Copy, Debug)]
pub struct Conductor<'a> {
    /// What the user has configured.
    pub config: &'a Config,
    /// Where keys come from.
    pub environment: &'a Environment,
    /// The simulator that answers in place of the providers.
    pub simulation: Option<&'a Simulation>,
    /// The simulator that the real endpoint is compared with.
    pub rehearsal: &'a Simulation,
    /// The trial's name, with which those of its runs begin.
    pub trial_id: &'a str,
    /// Seed of the jitter of retries.
    pub seed: u64,
    /// What all parts together may cost.
    pub budget: Option<Usd>,
    /// What stands between the run that is judged and its endpoints.
    pub proxies: &'a Proxies,
}

/// A part that has ended.
#[derive(Debug)]
pub struct Conducted {
    /// What it was for.
    pub role: Role,
    /// How it ended.
    pub ended: Ended,
    /// What it remembers, folded.
    pub fold: Fold,
    /// Its files.
    pub directory: Option<PathBuf>,
    /// What each of its tasks came to, where that is kept in a file.
    pub results: Option<PathBuf>,
    /// The text of its last answer, where it has but one task.
    pub said: Option<String>,
}

/// What the parts of a trial so far, and of those in a row before it, may have cost, what is at risk included: what a
/// budget allows is for all of them.
#[derive(Clone, Debug, Default)]
pub struct Spent {
    all: Charge,
    by_agent: BTreeMap<String, Usd>,
}

impl Spent {
    /// What they may have cost together.
    pub fn total(&self) -> Usd {
        self.all.total()
    }

    /// The same, by how well it is known.
    pub const fn charge(&self) -> Charge {
        self.all
    }

    /// What they may have cost by this agent.
    pub fn of_agent(&self, name: &str) -> Usd {
        self.by_agent.get(name).copied().unwrap_or_default()
    }

    /// The same with what these parts may have cost.
    #[must_use]
    pub fn with<'a>(&self, parts: impl IntoIterator<Item = &'a Conducted>) -> Self {
        let mut spent = self.clone();
        for fold in parts.into_iter().map(|part| &part.fold) {
            spent.all.add(&fold.charge());
            let by_agent = fold.costs().iter().filter(|costs| costs.by() == Grouping::Agent);
            for (agent, group) in by_agent.flat_map(Costs::by_group) {
                *spent.by_agent.entry(agent.clone()).or_default() += group.total();
            }
        }
        spent
    }

    /// The header with what is left of its agents' own budgets.
    #[must_use]
    pub fn taken_from(&self, mut header: Header) -> Header {
        Arc::make_mut(&mut header.plan)
            .set_max_costs(|agent| Some(agent.max_cost?.minus(self.of_agent(&agent.name))));
        header
    }
}

impl Conductor<'_> {
    /// What a part's run is created with, after so much has been spent.
    ///
    /// # Errors
    /// What has to be set up first.
    pub fn header(&self, part: &Part, spent: &Spent) -> Result<Header, Error> {
        let left = self.budget.map(|budget| budget.minus(spent.total()));
        let overrides = Overrides { max_concurrent: Some(part.max_concurrent), ..Overrides::default() };
        let mut config = self.config.clone().overridden(overrides);
        config.money.budget = left;
        if part.role == Role::Judged {
            self.proxies.stand_in(&mut config);
        }
        let simulation = match part.role {
            Role::Simulated | Role::SimulatedSerial | Role::Fitted(..) => Some(self.rehearsal),
            Role::Judged => self.proxies.simulation().or(self.simulation),
            _ => self.simulation,
        };
        let simulation = simulation.cloned();
        let launch = Launch {
            run_id: Some(self.run_id(part.role)),
            mode: part.mode,
            seed: self.seed,
            simulation,
            patience: Some(PATIENCE),
            ..Launch::default()
        };
        let header = launch.header(part.checked.clone(), &config, self.environment, now())?;
        // What a first call tells is told by those that try the keys.
        let header = if part.role == Role::Key { header } else { as_told(header)? };
        Ok(spent.taken_from(header))
    }

    /// The name of a part's run: the trial's own for the one that is judged.
    pub fn run_id(&self, role: Role) -> String {
        match role {
            Role::Judged => self.trial_id.to_owned(),
            role => format!("{}-{}", self.trial_id, role.suffix()),
        }
    }

    /// Creates a part's run, for another process to drive; gives its id.
    ///
    /// # Errors
    /// As [`Session::create`].
    pub async fn create(&self, header: Header) -> Result<String, Error> {
        let (results_dir, run_id) = (&self.config.results_dir, header.run_id.clone());
        let store = SqliteStore::open(results_dir, Durability::of(header.settings.simulated))?;
        // What is dropped here is owned by nobody any more.
        drop(Session::create(store, header, Some(results_dir)).await?);
        Ok(run_id)
    }

    /// Conducts a part.
    ///
    /// # Errors
    /// As [`Session::create`] and [`Session::drive`].
    pub async fn conduct<O: Observe>(
        &self,
        role: Role,
        header: Header,
        forecast: Foreseen,
        signals: &mut Signals,
        observe: O,
    ) -> Result<Conducted, Error> {
        let results_dir = &self.config.results_dir;
        let store = SqliteStore::open(results_dir, Durability::of(header.settings.simulated))?;
        let session = Session::create(store, header, Some(results_dir)).await?;
        self.drive(role, session, forecast, signals, observe).await
    }

    /// Goes on with a part whose process was killed.
    ///
    /// # Errors
    /// As [`Session::resume`] and [`Session::drive`].
    pub async fn go_on<O: Observe>(
        &self,
        role: Role,
        simulated: bool,
        signals: &mut Signals,
        observe: impl FnOnce(&Session<SqliteStore>) -> O,
    ) -> Result<Conducted, Error> {
        let results_dir = &self.config.results_dir;
        let store = SqliteStore::open(results_dir, Durability::of(simulated))?;
        let session = Session::resume(store, Some(&self.run_id(role)), Some(results_dir)).await?;
        let observe = observe(&session);
        self.drive(role, session, Foreseen::nothing(), signals, observe).await
    }

    async fn drive<O: Observe>(
        &self,
        role: Role,
        session: Session<SqliteStore>,
        forecast: Foreseen,
        signals: &mut Signals,
        observe: O,
    ) -> Result<Conducted, Error> {
        let drive = Drive {
            environment: self.environment,
            budgets: Budgets::default(),
            pace: Pace::Jumping,
            signals,
            forecast,
        };
        let done = Box::pin(session.drive(drive, observe)).await?;
        Conducted::of(role, done, self.config.export_results).await
    }
}

/// How long nothing that is tried may be answered before a part ends, where nobody states a run timeout: somebody sits
/// before a trial, and waits for a verdict. A run outlasts more.
const PATIENCE: Duration = Duration::from_secs(120);

/// A minute, over which quotas are counted.
const MINUTE: Duration = Duration::from_secs(60);

/// How long after a run its accounts' quotas are as if it had not been, as far as they are stated or were learned
/// from its replies.
pub fn pause(serial: &Fold, results_dir: &Path) -> Duration {
    let (run, end) = (serial.run(), serial.last_time());
    let known = learned(results_dir, &run.settings.gates, now());
    let in_last_minute = |view: &&TaskView| view.started_at.is_some_and(|at| end.since(at) < MINUTE);
    let recent: Vec<&TaskView> = serial.tasks().iter().filter(in_last_minute).collect();
    let usages = || recent.iter().filter_map(|view| view.usage);
    let input: u64 = usages().map(|usage| usage.total_input()).sum();
    let output: u64 = usages().map(|usage| usage.output).sum();
    let gates = run.settings.gates.iter().zip(known.iter().map(Option::as_ref).chain(iter::repeat(None)));
    let waits = gates.flat_map(|(spec, learned)| {
        let learned = |dimension| learned.and_then(|learned| learned.per_minute(dimension));
        let stated = spec.requests_per_minute.map(u64::from);
        [
            (recent.len() as u64, stated.or(learned(Dimension::Requests))),
            (input, spec.input_tokens_per_minute.or(learned(Dimension::InputTokens))),
            (output, spec.output_tokens_per_minute.or(learned(Dimension::OutputTokens))),
        ]
    });
    let refill = |(used, rate): (u64, Option<u64>)| {
        let share = used as f64 / rate.filter(|rate| *rate > 0)? as f64;
        Some(MINUTE.mul_f64(share.min(1.0)))
    };
    waits.filter_map(refill).max().unwrap_or_default()
}

impl Conducted {
    /// The part of this role, where it was made.
    pub fn of_role(parts: &[Conducted], role: Role) -> Option<&Conducted> {
        parts.iter().find(|part| part.role == role)
    }

    async fn of(role: Role, done: Done<SqliteStore>, are_kept: bool) -> Result<Self, Error> {
        let mut said = None;
        if done.fold.run().plan.len() == 1
            && let Some(&only) = done.fold.finished().last()
        {
            said = done.result(only).await?.and_then(|result| Some(result.result?.to_string()));
        }
        let Done { ended, fold, directory, .. } = done;
        let results = directory.as_ref().filter(|_| are_kept).map(|directory| directory.join(RESULTS));
        Ok(Conducted { role, ended, fold, directory, results, said })
    }

    /// That it ended before its tasks had, and the trial with it, in words; none where each of them came to an end.
    pub fn stopped(&self) -> Option<String> {
        let because = match &self.ended {
            Ended::Finished(Outcome::Completed) => return None,
            // What that came to is said where the budget is judged.
            Ended::Finished(Outcome::BudgetExceeded { .. }) => "a budget stopped it".to_owned(),
            _ => self.fold.summary(self.fold.last_time()).error?,
        };
        let name = self.role.name();
        Some(format!("the {name} run ended before its time, and with it the trial: {because}"))
    }

    /// Calls that it might make at a time.
    pub fn width(&self) -> u32 {
        let settings = &self.fold.run().settings;
        match settings.mode {
            Mode::Serial => 1,
            Mode::Parallel => settings.max_concurrent,
        }
    }

    /// Whether a budget stopped it: its run's, or that of an agent.
    pub fn is_stopped_by_budget(&self) -> bool {
        matches!(self.fold.outcome(), Some(Outcome::BudgetExceeded { .. }))
    }

    /// Its line in the trial's list of runs.
    pub fn line(&self) -> TrialRun {
        let summary = self.fold.summary(self.fold.last_time());
        // Its sums are those of what was left for it; the trial's are told where the budget is judged.
        let over_budget = self.is_stopped_by_budget().then(|| "a budget stopped it".to_owned());
        TrialRun {
            role: self.role.name(),
            run_id: summary.run_id,
            simulated: summary.simulated,
            rehearsal: self.role.is_rehearsal(),
            results: self.results.as_ref().map(|file| file.display().to_string()),
            total_tasks: summary.total_tasks,
            successful_tasks: summary.successful_tasks,
            max_concurrent: self.width(),
            total_duration: summary.total_duration,
            p50_latency: summary.metrics.p50_latency,
            p95_latency: summary.metrics.p95_latency,
            total_cost: summary.total_cost,
            api_calls_count: summary.api_calls_count,
            error: over_budget.or(summary.error),
        }
    }
}
