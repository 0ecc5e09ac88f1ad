//! A run that is killed in the middle (SPEC.md P2, F4): another process of this program drives it, and ends
//! without a farewell once so many of its tasks are done.

use std::process::{Command, Stdio};

use sortie::core::plan::TaskId;
use sortie::report::fold::{Fold, Status};
use sortie::report::trial::Recovery;

use crate::args::Places;
use crate::exit::Exit;
use crate::failing::Failed;

/// Drives a run in another process until so many of its tasks are done, and kills it there.
pub(super) async fn killed(run_id: &str, places: &Places, after: u64) -> Result<(), Failed> {
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
    let ended = tokio::task::spawn_blocking(move || command.status()).await;
    match ended {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(failed(format!("failed to start this program again: {error}"))),
        Err(_) => Err(failed("failed to wait for the process that was to be killed".to_owned())),
    }
}

/// How a run came back: what it had remembered when it was killed, against its end.
pub(super) fn recovery(before: &Fold, after: &Fold) -> Recovery {
    let done = |fold: &Fold, id: &TaskId| {
        let view = &fold.tasks()[id.index()];
        (view.status == Status::Succeeded).then_some(view.attempts)
    };
    let plan = &after.run().plan;
    let again = plan.ids().filter(|id| done(before, id).is_some_and(|was| done(after, id) != Some(was)));
    Recovery {
        done_before: before.counts().succeeded,
        total_tasks: plan.to_do() as u64,
        repeated_calls: after.counts().lost,
        done_again: again.count() as u64,
        at_risk: after.charge().at_risk,
        successful_tasks: after.counts().succeeded,
    }
}
