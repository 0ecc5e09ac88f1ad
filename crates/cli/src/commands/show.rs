//! `sortie show RUN [TASK]`

use sortie::RunResult;
use sortie::binding::Binding;
use sortie::config::Overrides;
use sortie::core::document::nearest;
use sortie::core::plan::TaskId;
use sortie::core::run::event::Outcome;
use sortie::engine::driver::Ended;
use sortie::engine::store::{StoreError, read_newest};
use sortie::report::at_risk;
use sortie::report::fold::Fold;
use sortie::report::show::{self, TaskTexts};
use sortie::session::{Done, view};

use super::journal;
use crate::args::ShowArgs;
use crate::exit::Exit;
use crate::failing::Failed;
use crate::load;
use crate::terminal::{self, Terminal};

pub(super) async fn run(args: ShowArgs) -> Result<Exit, Failed> {
    let terminal = Terminal::new(args.output);
    let setting = load::setting(&args.places, &Overrides::default())?;
    let no_such_run = || StoreError::NoSuchRun(args.run.clone());
    let store = journal(&setting.config.results_dir)?.ok_or_else(no_such_run)?;
    let (header, records) = read_newest(&store, &args.run).await?;
    if args.at_risk {
        let (view, binding) = (view(&header), Binding::of(&header)?);
        if terminal.json() {
            terminal::document(&at_risk::calls(&view, &records, |agent| binding.keeps_answers(agent)));
        } else {
            terminal::result(&at_risk::text(&view, &records, |agent| binding.keeps_answers(agent)));
        }
        return Ok(Exit::Success);
    }
    let fold = Fold::of(view(&header), &records);
    let done = Done { ended: Ended::Finished(Outcome::Completed), fold, store, directory: None };
    let report = done.fold.report(done.fold.last_time());
    let Some(name) = &args.task else {
        if terminal.json() {
            terminal::document(&RunResult::of(&done).await?);
        } else {
            terminal::result(&show::run(&report, terminal::style()));
        }
        return Ok(Exit::Success);
    };
    let tasks = header.plan.tasks();
    let Some(place) = tasks.iter().position(|task| task.name == *name) else {
        let failed = Failed::new(Exit::Invalid, format!("run {} has no task {name:?}", args.run));
        let near = nearest(name, tasks.iter().map(|task| task.name.as_str()));
        return Err(match near {
            Some(near) => failed.hint(format!("there is a task {near:?}")),
            None => failed,
        });
    };
    let id = TaskId(place as u32);
    let result = done.result(id).await?;
    if terminal.json() {
        terminal::document(&result);
    } else {
        let text = result.as_ref().and_then(|result| result.result.as_deref());
        let shown = show::task(&report, &records, id, TaskTexts { prompt: None, result: text });
        terminal::result(&shown.unwrap_or_default());
    }
    Ok(Exit::Success)
}
