//! A run that is killed in the middle (SPEC.md P2, F4): another process of this program drives it, and ends
//! without a farewell once so many of its tasks are done.

use std::process::{Command, Stdio};
use std::time::Duration;

use sortie::core::plan::TaskId;
use sortie::core::run::event::Outcome;
use sortie::engine::executor::signals::Signals;
use sortie::report::fold::{Fold, Status};
use sortie::report::trial::Recovery;

use super::halt::Halt;
use crate::args::Places;
use crate::exit::Exit;
use crate::failing::Failed;

/// How long the other process is left to itself between two looks at it.
const LOOK: Duration = Duration::from_millis(20);

/// Drives a run in another process until so many of its tasks are done, and kills it there. Where a signal comes
/// before that, the other process is ended at once, since nobody else would: not all signals reach both.
#[expect(clippy::disallowed_methods, reason = "another process is waited for, in real time")]
pub(super) async fn killed(
    run_id: &str,
    places: &Places,
    after: u64,
    signals: &mut Signals,
) -> Result<(), Halt> {
    let failed = |what: String| Failed::new(Exit::Failed, what);
    let program = std::env::current_exe()
        .map_err(|error| failed(format!("failed to find this program to start it again: {error}")))?;
    let mut command = Command::new(program);
    command.args(["resume", run_id, "--yes", "--quiet", "--as-started", "--die-after", &after.to_string()]);
    for (option, value) in [
        ("--config", &places.config),
        ("--env-file", &places.env_file),
        ("--results-dir", &places.results_dir),
    ] {
        if let Some(value) = value {
            command.arg(option).arg(value);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child =
        command.spawn().map_err(|error| failed(format!("failed to start this program again: {error}")))?;
    let lost = |error| failed(format!("failed to wait for the process that was to be killed: {error}"));
    while child.try_wait().map_err(lost)?.is_none() {
        if let Err(signal) = signals.unless(tokio::time::sleep(LOOK)).await {
            child.kill().map_err(lost)?;
            child.wait().map_err(lost)?;
            return Err(signal.into());
        }
    }
    Ok(())
}

/// How a run came back: what it had remembered when it was killed, which it was to be after so many tasks, against its
/// end.
pub(super) fn recovery(before: &Fold, after: &Fold, half: u64) -> Recovery {
    let done = |fold: &Fold, id: &TaskId| {
        let view = &fold.tasks()[id.index()];
        (view.status == Status::Succeeded).then_some(view.attempts)
    };
    let plan = &after.run().plan;
    let again = plan.ids().filter(|id| done(before, id).is_some_and(|was| done(after, id) != Some(was)));
    let over_budget = matches!(after.outcome(), Some(Outcome::BudgetExceeded { .. }));
    let not_made = match (before.counts().succeeded < half, over_budget) {
        (true, true) => Some("the budget stopped the run before it was killed"),
        (true, false) => Some("the run ended before it was to be killed"),
        (false, true) => Some("the budget stopped the run after it was killed"),
        (false, false) => None,
    };
    Recovery {
        not_made: not_made.map(ToOwned::to_owned),
        done_before: before.counts().succeeded,
        total_tasks: plan.to_do() as u64,
        repeated_calls: after.counts().lost,
        done_again: again.count() as u64,
        at_risk: after.charge().at_risk,
        successful_tasks: after.counts().succeeded,
        first_failure: plan.ids().zip(after.tasks()).find_map(|(id, view)| {
            let failure = view.failure.as_ref().filter(|_| view.status == Status::Failed)?;
            Some(format!("{}: {failure}", plan.task(id).name))
        }),
    }
}
