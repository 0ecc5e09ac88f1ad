//! Sends a team of LLM agents out on a plan and brings every result home: within a dollar budget,
//! under the providers' rate limits, through crashes, without paying twice.
//!
//! [`Scheduler`] takes named [`Agent`]s and a list of [`Task`]s and gives a [`RunResult`]:
//!
//! ```
//! use sortie::{Agent, Scheduler, Task};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), sortie::Error> {
//! let result = Scheduler::new()
//!     .agent("claude", Agent::anthropic("claude-sonnet-5-5"))
//!     .simulate("calm")
//!     .run([Task::new("ml", "Explain machine learning in one sentence.")])
//!     .await?;
//! println!("{} for ${}", result.text("ml").unwrap_or("no answer"), result.total_cost);
//! # Ok(())
//! # }
//! ```
//!
//! The parts that it binds can be used by themselves: [`core`] decides, [`providers`] speak the
//! APIs, [`engine`] keeps runs going, [`report`] folds what happened, [`sim`] simulates the APIs.
//! Programs that need more than the scheduler — progress, signals, configurations in files — use
//! [`config`], [`launch`] and [`session`], as the `sortie` command does; [`control`] changes runs that
//! other processes drive.
//!
//! What it does not do: it adds no behaviour of its own to what it binds.

#![warn(missing_debug_implementations)]

mod accounts;
pub mod binding;
mod caller;
pub mod changes;
pub mod config;
pub mod control;
mod error;
mod files;
pub mod foresight;
pub mod launch;
pub mod receipts;
pub mod recovery;
mod scheduler;
pub mod session;
#[cfg(test)]
mod tests;
pub mod tokens;
pub mod trial;

pub use error::{Error, Setup, chain};
pub use scheduler::{Agent, RunResult, Scheduler, Task};
pub use sortie_core as core;
pub use sortie_core::money::Usd;
pub use sortie_core::plan::{OnFailure, When};
pub use sortie_core::run::event::{Outcome, Signal};
pub use sortie_engine as engine;
pub use sortie_engine::driver::Ended;
pub use sortie_engine::executor::signals::{Signals, Stop};
pub use sortie_providers as providers;
pub use sortie_providers::keys::Environment;
pub use sortie_report as report;
pub use sortie_report::results::{TaskError, TaskResult};
pub use sortie_report::summary::Summary;
pub use sortie_sim as sim;

/// The examples of the README, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
