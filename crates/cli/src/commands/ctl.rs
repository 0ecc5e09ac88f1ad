//! `sortie ctl RUN CONTROL`

use std::path::Path;

use serde::Serialize;
use sortie::chain;
use sortie::config::Overrides;
use sortie::control::{AskError, ask};
use sortie::engine::store::{Store, StoreError, check_run_id};

use super::journal;
use crate::args::CtlArgs;
use crate::exit::Exit;
use crate::failing::Failed;
use crate::load;
use crate::terminal::{self, Terminal};

/// What `sortie ctl --json` prints.
#[derive(Serialize)]
struct Done<'a> {
    run_id: &'a str,
    done: String,
}

pub(super) async fn run(args: CtlArgs) -> Result<Exit, Failed> {
    let terminal = Terminal::new(args.output);
    let setting = load::setting(&args.places, &Overrides::default())?;
    let (run, results_dir) = (args.run.as_str(), &setting.config.results_dir);
    check_run_id(run).map_err(StoreError::from)?;
    match ask(&results_dir.join(run), &args.control.into()) {
        Ok(done) if terminal.json() => terminal::document(&Done { run_id: run, done }),
        Ok(done) => terminal::result(&format!("{done}\n")),
        Err(AskError::NobodyListens) => return Err(nobody_listens(results_dir, run).await?),
        Err(error @ AskError::Refused(_)) => return Err(Failed::new(Exit::Invalid, chain(&error))),
        Err(error @ (AskError::Ended | AskError::Io(_))) => {
            return Err(Failed::new(Exit::Setup, format!("run {run}: {}", chain(&error))));
        }
    }
    Ok(Exit::Success)
}

/// Why a run has nobody who could do it.
async fn nobody_listens(results_dir: &Path, run: &str) -> Result<Failed, Failed> {
    let runs = match journal(results_dir)? {
        Some(store) => store.list().await?,
        None => Vec::new(),
    };
    Ok(match runs.iter().find(|listed| listed.run_id == run) {
        None => StoreError::NoSuchRun(run.to_owned()).into(),
        Some(listed) if listed.owned => {
            Failed::new(Exit::Setup, format!("run {run} is under way, but listens for no controls"))
                .hint("a run that just begins listens in a moment; else it said why when it began")
        }
        Some(_) => Failed::new(Exit::Setup, format!("run {run} is not under way"))
            .hint(format!("`sortie resume {run}` goes on with it, unless it is finished")),
    })
}
