//! `sortie reconcile [RUN] FILE`: what sortie believes it spent, against a provider's export.

use sortie::config::Overrides;
use sortie::engine::store::StoreError;
use sortie::receipts;
use sortie::session::now;

use super::{costs, journal};
use crate::args::{ReconcileArgs, span};
use crate::exit::Exit;
use crate::failing::Failed;
use crate::load;
use crate::terminal::{self, Terminal};

pub(super) async fn run(args: ReconcileArgs) -> Result<Exit, Failed> {
    let terminal = Terminal::new(args.output);
    let setting = load::setting(&args.places, &Overrides::default())?;
    let export = load::export(&args.file)?;
    let results_dir = &setting.config.results_dir;
    let store = journal(results_dir)?.ok_or_else(|| match &args.run {
        Some(run) => Failed::from(StoreError::NoSuchRun(run.clone())),
        None => Failed::new(Exit::Invalid, format!("there are no runs in {}", results_dir.display())),
    })?;
    let span = span(args.since, args.until, now());
    let (comparison, unreadable) = receipts::reconcile(&store, args.run.as_deref(), &export, span).await?;
    costs::warn(&unreadable);
    if comparison.is_partial {
        terminal::error(
            "warning: the export says that there is more of it (`has_more`): fetch the other pages and put them behind it",
        );
    }
    if terminal.json() {
        terminal::document(&comparison.document());
    } else {
        terminal::result(&comparison.text());
    }
    Ok(if comparison.agrees() { Exit::Success } else { Exit::Failed })
}
