//! The parts of a trial: made, killed in the middle, waited for.

use std::time::Duration;

use sortie::core::run::event::Outcome;
use sortie::engine::driver::{Ended, Foreseen};
use sortie::engine::store::Header;
use sortie::report::fold::Fold;
use sortie::report::trial::drift::DriftFold;
use sortie::report::units::duration;
use sortie::session::{Session, view};
use sortie::trial::conduct::pause;
use sortie::trial::{Conducted, Part, Role};

use super::halt::Halt;
use super::recovery;
use super::stage::{Made, Stage, in_words};
use super::watch::Watch;
use crate::progress::Progress;

impl Stage<'_> {
    /// Makes one part.
    pub(super) async fn part(&self, made: &mut Made<'_>, part: &Part) -> Result<(), Halt> {
        let spent = made.spent();
        let mut header = made.conductor.header(part, &spent)?;
        if let (Some((counted, _)), Role::Judged) = (&made.foresight, part.role) {
            // Its tokens have been counted.
            header = spent.taken_from(Header { settings: header.settings, ..counted.clone() });
        }
        made.heed()?;
        self.terminal.note(&format!("── {} ──", in_words(part)));
        let forecast = match (&made.foresight, part.role) {
            (Some((_, foresight)), Role::Judged) => Foreseen::known(foresight.forecast.prediction()),
            _ => Foreseen::nothing(),
        };
        let run = view(&header);
        let progress = Progress::new(run.clone(), &[], self.terminal);
        let mut other = DriftFold::default();
        let drift = if part.role == Role::Judged { &mut made.drift } else { &mut other };
        let watch = Watch::new(progress, run, drift);
        let conducted = made.conductor.conduct(part.role, header, forecast, made.signals, watch).await?;
        made.take(conducted)
    }

    /// Makes a part that is killed in the middle, and goes on with it.
    pub(super) async fn killed(&self, made: &mut Made<'_>, part: &Part) -> Result<(), Halt> {
        let header = made.conductor.header(part, &made.spent())?;
        made.heed()?;
        let (simulated, tasks) = (header.settings.simulated, header.plan.to_do() as u64);
        self.terminal
            .note(&format!("── {}: killed once half of them are done, then resumed ──", in_words(part)));
        let run_id = made.conductor.create(header).await?;
        let half = tasks.div_ceil(2);
        recovery::killed(&run_id, &self.args.places, half, made.signals).await?;
        made.heed()?;
        let mut before = None;
        let terminal = self.terminal;
        let watch = |session: &Session<_>| {
            let run = view(session.header());
            before = Some(Fold::of(run.clone(), session.records()));
            Progress::new(run, session.records(), terminal)
        };
        let conducted = made.conductor.go_on(part.role, simulated, made.signals, watch).await?;
        made.recovery = before.map(|before| recovery::recovery(&before, &conducted.fold, half));
        made.take(conducted)
    }

    /// Waits until the serial half throttles the parallel one no more.
    #[expect(clippy::disallowed_methods, reason = "between two runs no executor's clock goes")]
    pub(super) async fn pause(&self, made: &mut Made<'_>) -> Result<(), Halt> {
        let Some(serial) = Conducted::of_role(&made.parts, Role::Serial) else { return Ok(()) };
        let needed = pause(&serial.fold, &self.setting.config.results_dir);
        let pause = self.args.pause.map_or(needed, Duration::from_secs_f64);
        if serial.fold.run().settings.simulated || pause.is_zero() {
            return Ok(());
        }
        made.heed()?;
        self.terminal.note(&format!(
            "waiting {} so that the serial half does not throttle the parallel one",
            duration(pause)
        ));
        made.pause = pause;
        Ok(made.signals.unless(tokio::time::sleep(pause)).await?)
    }
}

impl Made<'_> {
    /// Takes a part that has ended; where a signal ended it, the trial has too. Where it had nothing left to start,
    /// whatever comes after it heeds that signal ([`Made::heed`]).
    pub(super) fn take(&mut self, conducted: Conducted) -> Result<(), Halt> {
        let signal = match &conducted.ended {
            Ended::AtOnce(signal) | Ended::Finished(Outcome::Interrupted { signal }) => Some(*signal),
            Ended::Finished(_) => None,
        };
        self.parts.push(conducted);
        signal.map_or(Ok(()), |signal| Err(signal.into()))
    }
}
