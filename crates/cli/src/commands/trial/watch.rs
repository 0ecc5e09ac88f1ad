//! What is looked at while a part of a trial runs: its progress, and how it changes with time.

use sortie::core::run::event::Record;
use sortie::core::run::input::Waiting;
use sortie::core::time::Time;
use sortie::engine::driver::Observe;
use sortie::engine::store::Output;
use sortie::report::fold::RunView;
use sortie::report::trial::drift::DriftFold;

use crate::progress::Progress;

/// Records between two looks at this process's memory.
const EVERY: usize = 32;

/// Draws progress, and keeps what it takes to say how a run drifts.
pub(super) struct Watch<'a> {
    progress: Progress,
    run: RunView,
    drift: &'a mut DriftFold,
    since: usize,
}

impl<'a> Watch<'a> {
    pub(super) fn new(progress: Progress, run: RunView, drift: &'a mut DriftFold) -> Self {
        Watch { progress, run, drift, since: EVERY }
    }
}

impl Observe for Watch<'_> {
    fn records(&mut self, records: &[Record], outputs: &[Output]) {
        for record in records {
            self.drift.apply(&self.run, record);
            self.since += 1;
            if self.since >= EVERY {
                self.since = 0;
                if let Some(mib) = memory_mib() {
                    self.drift.memory(mib);
                }
            }
        }
        self.progress.records(records, outputs);
    }

    fn waiting(&mut self, waiting: &[Waiting], now: Time) {
        self.progress.waiting(waiting, now);
    }
}

/// Memory that this process holds, in MiB, where the system says so in a file.
fn memory_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}
