//! A process that ends without a farewell, for trials that kill their own run.

use sortie::core::run::event::{Event, Record};
use sortie::engine::driver::Observe;
use sortie::engine::store::Output;

/// Ends this process once so many tasks have succeeded, as a crash would: nothing is drained, told or tidied.
#[derive(Debug)]
pub(crate) struct Dying(Option<u64>);

impl Dying {
    /// It never does.
    pub(crate) const fn never() -> Self {
        Dying(None)
    }

    /// After so many.
    pub(crate) const fn after(tasks: Option<u64>) -> Self {
        Dying(tasks)
    }
}

impl Observe for Dying {
    fn records(&mut self, records: &[Record], _outputs: &[Output]) {
        let Dying(Some(left)) = self else { return };
        let succeeded =
            records.iter().filter(|record| matches!(record.event, Event::AttemptSucceeded { .. }));
        *left = left.saturating_sub(succeeded.count() as u64);
        if *left == 0 {
            die();
        }
    }
}

/// As by `kill -9`: an abort would leave an image of this process, with its keys, wherever the user has those kept.
fn die() -> ! {
    #[cfg(unix)]
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // No destructor runs here either.
    std::process::exit(1)
}
