//! The loop that keeps a run going: hear, decide, remember, act.
//!
//! [`create`] or [`resume`] a run in a store, then [`Opened::drive`] it with an executor:
//!
//! 1. **hear** everything that has come: answers, wake-ups, signals, what the user asks for;
//! 2. **decide**: hand each to [`Run::step`], which answers with records and actions;
//! 3. **remember**: make all records of the round durable in one append, with the outputs that
//!    they name; then show them to whoever looks on;
//! 4. **act**: render prompts and start calls, give calls up, end; then wait for what comes next.
//!
//! All events pass this one loop and get one order. Nothing is done or shown before it is durable,
//! and where the store fails nothing more is done at all. The loop decides nothing itself.
//!
//! # Common pitfalls
//! - An answer's text must go into the same append as the record that names its hash: a resume
//!   could not render what depends on it.
//! - A step's records are applied already. After a failed append the run is ahead of its journal
//!   and of no use: drop it, open it again.

mod controls;
mod foreseen;
mod meeting;
mod observe;
mod outputs;
mod requests;
mod round;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use sortie_core::limit::{GateSpec, Gates};
use sortie_core::plan::{Plan, TaskId};
use sortie_core::run::Run;
use sortie_core::run::event::{Outcome, Record, Signal};
use sortie_core::run::input::{Budgets, Change, Found, Input, Resume};
use sortie_core::time::Time;

use crate::executor::Executor;
use crate::sharing::Sharing;
use crate::store::{Header, Output, Store, StoreError};
use round::Driver;

pub use controls::{Controller, Controls, Request, Unheard};
pub use foreseen::Foreseen;
pub use observe::Observe;

/// How driving a run came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Ended {
    /// The run has ended, and its journal says so.
    Finished(Outcome),
    /// A second signal ended it at once. What was in flight is given up; its journal is that of a
    /// run whose process died, and can be resumed.
    AtOnce(Signal),
}

/// Why driving a run had to stop. Its journal can be opened again and the run resumed.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The store failed: what is not durable must not be acted on.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing is in flight, no time is waited for, and the run has not ended: a defect of this
    /// program, said instead of waiting for ever.
    #[error("the run can neither go on nor end: a defect of this program")]
    Stalled,
}

/// A run that this process owns and may drive.
#[derive(Debug)]
pub struct Opened {
    /// The plan that the run began with, by which its journal is read.
    first: Arc<Plan>,
    /// What it goes on with.
    header: Header,
    records: Vec<Record>,
    run: Run,
    resume: Resume,
    /// The texts of what was found of lost attempts.
    found: Vec<Output>,
    foreseen: Foreseen,
    sharing: Option<Box<dyn Sharing>>,
    /// Its gates, as those who share them know them; none: as it was created with.
    shared: Option<Vec<GateSpec>>,
    controls: Controls,
}

/// Creates a run in this store and owns it.
///
/// # Errors
/// As [`Store::create`].
pub async fn create<S: Store>(store: &mut S, header: Header) -> Result<Opened, StoreError> {
    store.create(&header).await?;
    let run = Run::new(header.plan.clone(), header.settings.clone());
    Ok(Opened {
        first: Arc::clone(&header.plan),
        header,
        records: Vec::new(),
        run,
        resume: Resume::default(),
        found: Vec::new(),
        foreseen: Foreseen::nothing(),
        sharing: None,
        shared: None,
        controls: Controls::none(),
    })
}

/// Takes over a run of this store that another process has left.
///
/// # Errors
/// As [`Store::open`]; `Damaged` where a record cannot follow from those before it.
pub async fn resume<S: Store>(store: &mut S, run_id: &str) -> Result<Opened, StoreError> {
    let (header, records) = store.open(run_id).await?;
    let damaged = |what: String| StoreError::Damaged { run: run_id.to_owned(), what };
    let run = Run::replay(header.plan.clone(), header.settings.clone(), &records)
        .map_err(|illegal| damaged(illegal.to_string()))?;
    Ok(Opened {
        first: Arc::clone(&header.plan),
        header: header.after(&records),
        records,
        run,
        resume: Resume::default(),
        found: Vec::new(),
        foreseen: Foreseen::nothing(),
        sharing: None,
        shared: None,
        controls: Controls::none(),
    })
}

impl Opened {
    /// What the run goes on with: as it was created, or as its plan was changed since.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What it remembers so far, for whoever folds records; nothing for a new run.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The same run with other budgets from now on, where the user set some.
    #[must_use]
    pub fn with_budgets(self, budgets: Budgets) -> Self {
        Opened { resume: Resume { budgets, ..self.resume }, ..self }
    }

    /// The same run with another try for its failed tasks, and for those that were skipped for them.
    #[must_use]
    pub fn retrying_failed(self) -> Self {
        Opened { resume: Resume { retry_failed: true, ..self.resume }, ..self }
    }

    /// The same run with these tasks done again, whose answers are nowhere any more.
    #[must_use]
    pub fn without_answers(self, gone: Vec<TaskId>) -> Self {
        Opened { resume: Resume { gone, ..self.resume }, ..self }
    }

    /// The same run with another plan.
    #[must_use]
    pub fn changed(self, change: Change) -> Self {
        let header = self.header.revised(&change.revision);
        Opened { header, resume: Resume { change: Some(change), ..self.resume }, ..self }
    }

    /// The same run with what providers had kept of attempts that were lost, and the texts of these answers.
    #[must_use]
    pub fn finding(self, found: Vec<Found>, texts: Vec<Output>) -> Self {
        Opened { resume: Resume { found, ..self.resume }, found: texts, ..self }
    }

    /// How it goes on.
    pub fn resume(&self) -> &Resume {
        &self.resume
    }

    /// Whether nothing is left to do: it has completed, and nothing is asked for beyond that or was found.
    pub fn is_done(&self) -> bool {
        let Resume { retry_failed, gone, change, found, .. } = &self.resume;
        let again = *retry_failed && !self.run.retryable().is_empty();
        let goes_on = again || !gone.is_empty() || change.is_some() || !found.is_empty();
        self.run.outcome() == Some(&Outcome::Completed) && !goes_on
    }

    /// The same run with a forecast that it takes down as soon as it is known; nothing waits for it.
    #[must_use]
    pub fn with_forecast(self, foreseen: Foreseen) -> Self {
        Opened { foreseen, ..self }
    }

    /// The same run among others that use its accounts; without it, it believes to be alone. `gates`: its
    /// gates in their order, with the accounts of the keys that it goes on with.
    #[must_use]
    pub fn with_sharing(self, sharing: Option<Box<dyn Sharing>>, gates: Vec<GateSpec>) -> Self {
        Opened { sharing, shared: Some(gates), ..self }
    }

    /// The same run under the control of whoever holds the other end.
    #[must_use]
    pub fn with_controls(self, controls: Controls) -> Self {
        Opened { controls, ..self }
    }

    /// Its state.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// The time that the executor's clock must not be before: that of the last record.
    pub fn floor(&self) -> Time {
        self.run.last_time()
    }

    /// Drives the run to its end and releases it. A run that is done is not touched.
    /// What this future leaves in flight when it is dropped, the executor still has.
    ///
    /// # Errors
    /// Where the store fails. Nothing is started after that, and what was in flight is given up.
    pub async fn drive<S: Store, E: Executor, O: Observe>(
        self,
        store: &mut S,
        executor: &mut E,
        observe: &mut O,
    ) -> Result<Ended, DriveError> {
        let run_id = self.header.run_id.clone();
        let ended = if self.is_done() {
            Ok(Ended::Finished(Outcome::Completed))
        } else {
            self.start(store, executor, observe).await
        };
        executor.abandon_all();
        store.release(&run_id).await;
        ended
    }

    async fn start<S: Store, E: Executor, O: Observe>(
        self,
        store: &mut S,
        executor: &mut E,
        observe: &mut O,
    ) -> Result<Ended, DriveError> {
        let Opened { first: begun, header, records, run, resume, found, foreseen, sharing, shared, controls } =
            self;
        // A process may have died between the creation and the first record: that is a start still.
        let is_start = records.is_empty() && resume == Resume::default();
        let first = if is_start { Input::Started } else { Input::Resumed(resume) };
        let mut gates = Gates::new(&header.settings);
        gates.rebuild(&begun, &header.settings, &records);
        drop(records);
        let driver = Driver::new(&header, run, gates, store, executor, observe);
        driver
            .among(sharing, shared.as_ref().unwrap_or(&header.settings.gates))
            .drive_to_end((first, found), foreseen, controls)
            .await
    }
}
