//! Why a run could not begin or go on, and what the user can do about it.

use std::io;
use std::path::PathBuf;

use sortie_core::document::Problems;
use sortie_core::limit::Dimension;
use sortie_engine::driver::DriveError;
use sortie_engine::store::StoreError;
use sortie_providers::http::{ClientError, EndpointError};
use sortie_providers::keys::{EnvironmentError, KeyError};
use sortie_report::units::count;
use sortie_sim::fit::FitError;
use sortie_sim::scenario::ScenarioError;

/// Why a run could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The plan is invalid: everything that is wrong with it.
    #[error("the plan is invalid\n{0}")]
    Plan(Problems),
    /// The configuration is invalid: everything that is wrong with it.
    #[error("the configuration is invalid\n{0}")]
    Config(Problems),
    /// The env file cannot be used.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// Something has to be set up before a run can start: everything that is missing.
    #[error("{}", list(.0))]
    Setup(Vec<Setup>),
    /// The scenario of a simulation is invalid.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The journal failed, or does not allow it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run could not go on; its journal can be opened again.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// There is no run to go on with.
    #[error("nothing to resume: every run here has finished, or another process drives it")]
    NothingToResume,
    /// The HTTP client could not be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The run is of a newer program, or was not made by this one.
    #[error("run {run:?} does not say how its agents are reached")]
    Binding {
        /// Which run.
        run: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A run that cost nothing is to be held against a bill.
    #[error("run {0:?} was simulated in this process: no provider billed it")]
    NotBilled(String),
    /// Calls make no scenario.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// A trial is to fit the simulator to an endpoint, and makes too few calls for that.
    #[error(
        "failed to fit a scenario: {} at most {max_concurrent} at a time would make {}, and it takes {fewest} answered \
         ones at least",
        count(*tasks as u64, "task"),
        count(*calls as u64, "call")
    )]
    FitOfFew {
        /// The trial's tasks.
        tasks: usize,
        /// The calls that it makes of them, in all runs of the endpoint.
        calls: usize,
        /// Calls in flight at most.
        max_concurrent: u32,
        /// The fewest that will do.
        fewest: usize,
    },
    /// Nobody can stand between a run and its endpoint.
    #[error("failed to stand between the run and its endpoint")]
    Proxy(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A file that the user named could not be read.
    #[error("failed to read {}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A file of the run could not be written.
    #[error("failed to {doing} {}", .path.display())]
    File {
        /// What we were doing: `create`, `open`, `write`.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

fn list(setups: &[Setup]) -> String {
    setups.iter().map(|setup| chain(setup)).collect::<Vec<_>>().join("\n")
}

/// An error and its sources, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

/// What a user has to set up before a run can start.
#[derive(Debug, thiserror::Error)]
pub enum Setup {
    /// The environment variable with an agent's key is not set.
    #[error("agent {agent:?} needs a key, and {variable} is not set")]
    NoKey {
        /// Which agent.
        agent: String,
        /// Which variable.
        variable: String,
    },
    /// The variable holds no key.
    #[error("{variable} does not hold a key")]
    BadKey {
        /// Which variable.
        variable: String,
        /// Why.
        source: KeyError,
    },
    /// An agent's base URL is refused.
    #[error("agent {agent:?} cannot be reached")]
    BadEndpoint {
        /// Which agent.
        agent: String,
        /// Why.
        source: EndpointError,
    },
    /// A budget or a task's limit is set, and nobody knows what a model costs.
    #[error("a limit in dollars is set and the price of model {model:?} (agent {agent:?}) is not known")]
    NoPrice {
        /// Which agent.
        agent: String,
        /// Its model.
        model: String,
        /// Whether the limit came with a resume; a run keeps the prices that it began with.
        resumed: bool,
    },
    /// Requests that the configured quota of a minute never holds.
    #[error(
        "{} more than the {limit} {} of agent {agent:?} in one request: {task:?} takes {takes}",
        if *tasks == 1 { "1 task takes".to_owned() } else { format!("{tasks} tasks take") },
        dimension.per_minute()
    )]
    TooLarge {
        /// Which agent.
        agent: String,
        /// What the quota counts.
        dimension: Dimension,
        /// The quota.
        limit: u64,
        /// How many tasks.
        tasks: usize,
        /// The largest of them.
        task: String,
        /// What that one takes.
        takes: u64,
    },
}

impl Setup {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Setup::NoKey { variable, .. } => {
                format!(
                    "export {variable}=…, or put it into .env.production (mode 0600); to try without a key: --simulate"
                )
            }
            Setup::BadKey { variable, .. } => {
                format!("set {variable} to the key alone, without quotes or spaces")
            }
            Setup::BadEndpoint { agent, .. } => format!("set agents.{agent}.base_url in the configuration"),
            Setup::NoPrice { agent, resumed: true, .. } => format!(
                "a run keeps the prices that it began with: resume it without a budget, or set agents.{agent}.price \
                 and run the plan anew"
            ),
            Setup::TooLarge { dimension: Dimension::OutputTokens, limit, .. } => {
                format!(
                    "set max_tokens to {limit} or less, or rate_limiting.output_tokens_per_minute to more"
                )
            }
            Setup::TooLarge { .. } => {
                "make the prompt shorter, or set rate_limiting.input_tokens_per_minute to more".to_owned()
            }
            Setup::NoPrice { agent, .. } => format!(
                "set agents.{agent}.price to {{ input: USD, output: USD }} per million tokens, or to free, or drop the limit"
            ),
        }
    }
}

impl Error {
    /// What the user can do about it, where something can be done.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Setup(setups) => {
                let mut hints: Vec<String> = setups.iter().map(Setup::hint).collect();
                hints.dedup();
                Some(hints.join("\n"))
            }
            Error::FitOfFew { fewest, .. } => {
                Some(format!("{fewest} tasks are enough: --tasks {fewest}, or a larger plan"))
            }
            Error::Environment(EnvironmentError::Exposed { path, .. }) => {
                Some(format!("chmod 600 {}", path.display()))
            }
            Error::Store(StoreError::NoSuchRun(_)) => {
                Some("`sortie runs` lists the runs there are".to_owned())
            }
            Error::Store(StoreError::Exists(run)) => Some(format!("`sortie resume {run}` goes on with it")),
            Error::Store(StoreError::Owned { .. }) => {
                Some("wait until it has ended, or stop it with SIGINT and resume the run here".to_owned())
            }
            Error::Store(StoreError::Damaged { run, .. }) => {
                Some(format!("`sortie resume {run} --salvage` goes on from before the damage"))
            }
            Error::Store(StoreError::NoSuchOutput(_) | StoreError::DamagedOutput(_))
            | Error::Drive(DriveError::Store(StoreError::NoSuchOutput(_) | StoreError::DamagedOutput(_))) => {
                Some("`sortie resume RUN --salvage` has the tasks of damaged answers done again".to_owned())
            }
            Error::Drive(DriveError::Store(_)) => {
                Some("what was finished is kept: `sortie resume` goes on once the cause is mended".to_owned())
            }
            _ => None,
        }
    }
}
