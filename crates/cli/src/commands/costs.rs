//! `sortie costs`: what the runs of a results directory cost.

use sortie::config::Overrides;
use sortie::receipts::{self, LeftOut, Runs, Unreadable};
use sortie::report::costs::{Costs, Grouping};
use sortie::report::terminal::one_line;
use sortie::report::units::moment;
use sortie::session::now;
use sortie::{Error, chain};

use super::journal;
use crate::args::{CostsArgs, span};
use crate::exit::Exit;
use crate::failing::Failed;
use crate::load;
use crate::terminal::{self, Terminal};

pub(super) async fn run(args: CostsArgs) -> Result<Exit, Failed> {
    let terminal = Terminal::new(args.output);
    let setting = load::setting(&args.places, &Overrides::default())?;
    let span = span(Some(args.since), args.until, now());
    if let (Some(since), Some(until)) = (span.since, span.until)
        && since >= until
    {
        let message = format!("no time is since {} and until {}", moment(since), moment(until));
        return Err(Failed::new(Exit::Invalid, message).hint("--until has to be after --since"));
    }
    // Nothing has run yet where nobody named a directory; one that was named is there, or misspelt.
    if let Some(named) = args.places.results_dir.as_ref().filter(|named| !named.exists()) {
        let message = format!("there is no results directory {}", named.display());
        return Err(Failed::new(Exit::Invalid, message));
    }
    let by = Grouping::by_name(&args.by).unwrap_or(Grouping::Model);
    let runs = if args.simulated { Runs::All } else { Runs::Billed };
    let (costs, left_out) = match journal(&setting.config.results_dir)? {
        Some(store) => receipts::costs(&store, by, runs, span).await.map_err(Error::from)?,
        None => (Costs::new(by), LeftOut::default()),
    };
    warn(&left_out.unreadable);
    if terminal.json() {
        let unreadable: Vec<String> = left_out.unreadable.into_iter().map(|run| run.run_id).collect();
        terminal::document(&costs.document(span, &unreadable));
    } else {
        let since = span.since.map_or_else(String::new, |since| format!(" since {}", moment(since)));
        let until = span.until.map_or_else(String::new, |until| format!(" until {}", moment(until)));
        terminal.note(&format!("calls charged{since}{until}"));
        if costs.total().calls == 0 && left_out.simulated > 0 {
            terminal.note("hint: runs against the built-in simulator are left out; --simulated counts them");
        }
        terminal::result(&costs.text());
    }
    Ok(Exit::Success)
}

/// Names the runs that are left out, whatever the options say: a sum without them is not the sum.
pub(super) fn warn(unreadable: &[Unreadable]) {
    for Unreadable { run_id, error } in unreadable {
        let why = chain(error);
        terminal::error(&one_line(&format!("warning: run {run_id} is left out: {why}")));
    }
}
