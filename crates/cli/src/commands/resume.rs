//! `sortie resume [RUN]`

use sortie::config::Overrides;
use sortie::core::plan::Plan;
use sortie::core::run::event::Outcome;
use sortie::core::run::input::Budgets;
use sortie::engine::driver::Foreseen;
use sortie::engine::executor::simulated::Pace;
use sortie::engine::store::sqlite::SqliteStore;
use sortie::engine::store::{Salvaged, StoreError};
use sortie::foresight::{Foresight, Past};
use sortie::report::Fold;
use sortie::report::terminal::so_far;
use sortie::report::units::count;
use sortie::session::{Session, view};

use super::execute::{announce, ask, drive, may_ask};
use super::forecast::line as forecast_line;
use super::journal;
use crate::args::{Caps, ResumeArgs};
use crate::exit::Exit;
use crate::failing::Failed;
use crate::load;
use crate::terminal::Terminal;

pub(super) async fn run(args: ResumeArgs) -> Result<Exit, Failed> {
    let terminal = Terminal::new(args.output);
    args.caps.check()?;
    let setting = load::setting(&args.places, &Overrides::default())?;
    let results_dir = &setting.config.results_dir;
    let mut store = match (journal(results_dir)?, &args.run) {
        (Some(store), _) => store,
        (None, Some(run)) => return Err(StoreError::NoSuchRun(run.clone()).into()),
        (None, None) => return Err(sortie::Error::NothingToResume.into()),
    };
    if let Some(run) = args.run.as_ref().filter(|_| args.salvage) {
        salvage(&mut store, run, terminal).await?;
    }
    let session = Session::resume(store, args.run.as_deref(), Some(results_dir)).await?;
    let budgets = budgets(&args.caps, &session.header().plan)?;
    if session.outcome() == Some(&Outcome::Completed) {
        terminal.note(&format!("run {} is finished", session.header().run_id));
    } else {
        let header = session.header();
        let fold = Fold::of(view(header), session.records());
        announce(header, &session.in_force(), session.binding(), (&fold, &budgets), terminal);
        terminal.note(&format!("  {}", so_far(&fold)));
        if !args.yes && may_ask(&header.plan, session.binding()) {
            let journal = journal(results_dir)?;
            let past = Past::of(journal.as_ref(), results_dir, &header.settings);
            let rest = Foresight::of_rest(header, session.records(), &budgets, past).await?;
            terminal.note(&format!("  what is left: {}", forecast_line(header, &rest)));
            ask()?;
        }
    }
    let pace = if args.realtime { Pace::RealTime } else { Pace::Jumping };
    drive(session, &setting.environment, budgets, Foreseen::nothing(), pace, terminal).await
}

/// Cuts off what is damaged of a run, and says what is gone.
async fn salvage(store: &mut SqliteStore, run: &str, terminal: Terminal) -> Result<(), Failed> {
    let Some(Salvaged { kept, dropped, what }) = store.salvage(run).await? else {
        terminal.note(&format!("the journal of run {run} is whole: nothing had to be cut off"));
        return Ok(());
    };
    let (kept, dropped) = (count(kept, "record"), count(dropped, "record"));
    terminal.note(&format!(
        "warning: the journal of run {run} is damaged: {what}\n  \
         {kept} kept, {dropped} behind that dropped: what these paid for is in no sum and may be paid for again"
    ));
    Ok(())
}

/// The budgets that the run goes on with, where the command line names some.
fn budgets(caps: &Caps, plan: &Plan) -> Result<Budgets, Failed> {
    let agents = caps.agents().into_iter().map(|(name, usd)| {
        let id = plan.agent_ids().find(|id| plan.agent(*id).name == name);
        let unknown = || Failed::new(Exit::Invalid, format!("the run has no agent `{name}`"));
        id.map(|id| (id, usd)).ok_or_else(unknown)
    });
    Ok(Budgets { run: caps.run(), agents: agents.collect::<Result<_, _>>()? })
}
