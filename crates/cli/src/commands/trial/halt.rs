//! What ends a trial before its verdict, and what is said of one that a signal ended.

use sortie::core::run::event::Signal;
use sortie::core::usage::Charge;
use sortie::engine::executor::signals::Signals;
use sortie::engine::store::read_newest;
use sortie::report::fold::Fold;
use sortie::report::trial::text;
use sortie::session::view;
use sortie::trial::Role;
use tokio::sync::oneshot;

use super::stage::{Made, Stage};
use crate::commands::{execute, journal};
use crate::exit::Exit;
use crate::failing::Failed;
use crate::terminal;

/// Why a trial ends without a verdict.
#[derive(Debug)]
pub(super) enum Halt {
    /// The user wants it to.
    Signal(Signal),
    /// Something could not be done.
    Failed(Failed),
}

impl From<Signal> for Halt {
    fn from(signal: Signal) -> Self {
        Halt::Signal(signal)
    }
}

impl From<Failed> for Halt {
    fn from(failed: Failed) -> Self {
        Halt::Failed(failed)
    }
}

impl From<sortie::Error> for Halt {
    fn from(error: sortie::Error) -> Self {
        Halt::Failed(error.into())
    }
}

/// Asks a person before money is spent, and hears signals meanwhile. Who asks is a thread that nobody waits for: a
/// read from a terminal cannot be broken off.
pub(super) async fn ask(signals: &mut Signals) -> Result<(), Halt> {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || tell.send(execute::ask()));
    let answer = signals.unless(told).await?;
    let nobody = |_| Failed::new(Exit::Failed, "failed to ask before money is spent");
    Ok(answer.map_err(nobody)??)
}

impl Made<'_> {
    /// Ends the trial where a signal has come, also where a part has heard it that ended by itself.
    pub(super) fn heed(&mut self) -> Result<(), Halt> {
        self.signals.first().map_or(Ok(()), |signal| Err(signal.into()))
    }

    /// The run that was to be killed, where a signal ended the trial before that: another process drove it.
    async fn left(&self, stage: &Stage<'_>) -> Option<Fold> {
        let is_made = self.parts.iter().any(|part| part.role == Role::Recovery);
        let store = journal(&stage.setting.config.results_dir).ok().flatten().filter(|_| !is_made)?;
        let (header, records) = read_newest(&store, &self.conductor.run_id(Role::Recovery)).await.ok()?;
        Some(Fold::of(view(&header), &records))
    }
}

impl Stage<'_> {
    /// Says that a signal has ended the trial, and what is left of it: runs, and what they cost.
    pub(super) async fn interrupted(&self, made: &Made<'_>, signal: Signal) {
        let mut charge = Charge::default();
        let mut runs = Vec::new();
        for part in made.parts.iter().filter(|part| !matches!(part.role, Role::Fitted(..))) {
            if !part.role.is_rehearsal() {
                charge.add(&part.fold.charge());
            }
            runs.push(part.fold.run().run_id.clone());
        }
        if let Some(left) = made.left(self).await {
            charge.add(&left.charge());
            // Nobody has told how its calls in flight ended.
            charge.at_risk += left.reserved();
            runs.push(left.run().run_id.clone());
        }
        // Whatever else is wanted: nothing but this says it.
        terminal::error(&text::interrupted(signal, &made.before.charge(), &charge, &runs));
    }
}
