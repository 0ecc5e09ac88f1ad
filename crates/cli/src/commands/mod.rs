//! The commands, one file each.

mod check;
mod completions;
mod costs;
mod counting;
mod ctl;
mod dying;
mod execute;
mod forecast;
mod plan_now;
mod prices;
mod reconcile;
mod resume;
mod run;
mod runs;
mod schema;
mod show;
mod simulate;
mod trial;

use std::path::Path;

use sortie::Error;
use sortie::binding::Simulation;
use sortie::engine::store::sqlite::{Durability, SqliteStore};
use sortie::sim::Scenario;

use crate::args::{Command, Instead};
use crate::exit::Exit;
use crate::failing::Failed;

/// Does what the command line asks for.
pub(crate) async fn run(command: Command) -> Result<Exit, Failed> {
    match command {
        // The futures of whole runs are large: they are not moved about.
        Command::Run(args) => Box::pin(run::run(args)).await,
        Command::Forecast(args) => forecast::run(args).await,
        Command::Resume(args) => Box::pin(resume::run(args)).await,
        Command::Trial(args) => Box::pin(trial::run(args)).await,
        Command::Check(args) => check::run(args).await,
        Command::Runs(args) => runs::run(args).await,
        Command::Show(args) => show::run(args).await,
        Command::Ctl(args) => ctl::run(args).await,
        Command::Simulate(args) => simulate::run(args).await,
        Command::Prices(args) => prices::run(&args),
        Command::Costs(args) => costs::run(args).await,
        Command::Reconcile(args) => reconcile::run(args).await,
        Command::Schema(args) => Ok(schema::run(&args)),
        Command::Completions(args) => Ok(completions::run(&args)),
    }
}

/// A scenario by its name, or from a file; checked now, not when the run begins.
fn simulation(instead: &Instead) -> Result<Option<Simulation>, Failed> {
    let Some(scenario) = &instead.simulate else { return Ok(None) };
    let scenario = scenario_text(scenario)?;
    Scenario::parse(&scenario).map_err(Error::from)?;
    Ok(Some(Simulation { scenario, seed: instead.seed }))
}

/// The text of a scenario: the name of a built-in one, or a file, with the samples of the files that
/// it names beside itself; so a run can be resumed without them.
fn scenario_text(name: &str) -> Result<String, Failed> {
    let path = Path::new(name);
    if !path.exists() || Scenario::names().any(|known| known == name) {
        return Ok(Scenario::text_of(name).map_err(Error::from)?.to_owned());
    }
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let beside = path.parent().unwrap_or(Path::new(""));
    let scenario = Scenario::parse_with(&text, |samples| std::fs::read_to_string(beside.join(samples)));
    Ok(scenario.map_err(Error::from)?.to_text())
}

/// The journal of a results directory, if there is one; looking at runs creates none.
fn journal(results_dir: &Path) -> Result<Option<SqliteStore>, Failed> {
    if !results_dir.join("sortie.db").exists() {
        return Ok(None);
    }
    Ok(Some(SqliteStore::open(results_dir, Durability::Synced)?))
}
