//! `sortie runs`

use serde::Serialize;
use sortie::config::Overrides;
use sortie::core::run::event::{Event, Outcome};
use sortie::engine::store::{Listed, Store};
use sortie::report::show::{self, RunRow};
use sortie::report::units::rfc3339;

use super::journal;
use crate::args::RunsArgs;
use crate::exit::Exit;
use crate::failing::Failed;
use crate::load;
use crate::terminal::{self, Terminal};

/// A run in `sortie runs --json`.
#[derive(Serialize)]
struct Row<'a> {
    run_id: &'a str,
    plan: &'a str,
    created: String,
    tasks: u64,
    running: bool,
    finished: bool,
}

pub(super) async fn run(args: RunsArgs) -> Result<Exit, Failed> {
    let terminal = Terminal::new(args.output);
    let setting = load::setting(&args.places, &Overrides::default())?;
    let runs = match journal(&setting.config.results_dir)? {
        Some(store) => store.list().await?,
        None => Vec::new(),
    };
    if terminal.json() {
        terminal::document(&runs.iter().map(row).collect::<Vec<_>>());
    } else {
        let rows: Vec<RunRow> = runs.iter().map(listed).collect();
        terminal::result(&show::runs(&rows));
    }
    Ok(Exit::Success)
}

fn row(run: &Listed) -> Row<'_> {
    let ended = run.last.as_ref().map(|record| &record.event);
    Row {
        run_id: &run.run_id,
        plan: &run.plan_name,
        created: rfc3339(run.created),
        tasks: run.tasks,
        running: run.owned,
        finished: matches!(ended, Some(Event::RunEnded { outcome: Outcome::Completed })),
    }
}

fn listed(run: &Listed) -> RunRow<'_> {
    RunRow {
        run_id: &run.run_id,
        plan_name: &run.plan_name,
        created: run.created,
        tasks: run.tasks,
        last: run.last.as_ref(),
        owned: run.owned,
    }
}
