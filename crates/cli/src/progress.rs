//! What a person sees while a run is under way: a line for each thing that happens, and, on a
//! terminal, a line that says how far it is and why it waits.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use sortie::core::run::event::{Event, Record};
use sortie::core::run::input::Waiting;
use sortie::core::time::Time;
use sortie::engine::driver::Observe;
use sortie::engine::store::Output;
use sortie::report::fold::{Fold, RunView};
use sortie::report::log::{self, Level};
use sortie::report::terminal;

use crate::terminal::Terminal;

/// How often the live line is drawn at most: faster than this nobody reads.
const FRAMES_PER_SECOND: u8 = 10;

/// Draws a run's progress to stderr.
pub(crate) struct Progress {
    fold: Fold,
    terminal: Terminal,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Progress of a run that has seen `before` already.
    pub(crate) fn new(view: RunView, before: &[Record], terminal: Terminal) -> Self {
        let bar = terminal.is_watched().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_draw_target(indicatif::ProgressDrawTarget::stderr_with_hz(FRAMES_PER_SECOND));
            // A template that does not parse would be a defect; the default one serves as well.
            bar.set_style(
                ProgressStyle::with_template("{spinner} {wide_msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Progress { fold: Fold::of(view, before), terminal, bar }
    }

    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => self.terminal.note(line),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Observe for Progress {
    fn records(&mut self, records: &[Record], _outputs: &[Output]) {
        for record in records {
            self.fold.apply(record);
            if self.terminal.is_quiet() || matches!(record.event, Event::RunEnded { .. }) {
                continue; // the end is told by the summary
            }
            let (level, message) = log::line(&self.fold, record);
            if level > Level::Debug {
                self.say(&format!("{:>9}  {message}", elapsed(&self.fold, record.at)));
            }
        }
    }

    fn waiting(&mut self, waiting: &[Waiting], now: Time) {
        if let Some(bar) = &self.bar {
            bar.set_message(terminal::progress(&self.fold, now, waiting));
        }
    }
}

/// When it happened, counted from the beginning of the run, pauses left out.
fn elapsed(fold: &Fold, at: Time) -> String {
    format!("{:.2} s", fold.elapsed(at).as_secs_f64())
}
