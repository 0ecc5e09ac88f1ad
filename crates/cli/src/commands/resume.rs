//! `sortie resume [RUN]`

use sortie::config::Overrides;
use sortie::core::run::event::Outcome;
use sortie::core::run::input::Budgets;
use sortie::engine::driver::Foreseen;
use sortie::engine::executor::simulated::Pace;
use sortie::engine::store::StoreError;
use sortie::session::Session;

use super::execute::{announce, ask, drive, may_ask};
use super::journal;
use crate::args::ResumeArgs;
use crate::exit::Exit;
use crate::failing::Failed;
use crate::load;
use crate::terminal::Terminal;

pub(super) async fn run(args: ResumeArgs) -> Result<Exit, Failed> {
    let terminal = Terminal::new(args.output);
    let setting = load::setting(&args.places, &Overrides::default())?;
    let results_dir = &setting.config.results_dir;
    let store = match (journal(results_dir)?, &args.run) {
        (Some(store), _) => store,
        (None, Some(run)) => return Err(StoreError::NoSuchRun(run.clone()).into()),
        (None, None) => return Err(sortie::Error::NothingToResume.into()),
    };
    let session = Session::resume(store, args.run.as_deref(), Some(results_dir)).await?;
    if session.outcome() == Some(&Outcome::Completed) {
        terminal.note(&format!("run {} is finished", session.header().run_id));
    } else {
        announce(session.header(), &session.in_force(), session.binding(), terminal);
        if !args.yes && may_ask(&session.header().plan, session.binding()) {
            ask()?;
        }
    }
    let plan = &session.header().plan;
    let agents = args.caps.agents().into_iter().map(|(name, usd)| {
        let id = plan.agent_ids().find(|id| plan.agent(*id).name == name);
        let unknown = || Failed::new(Exit::Invalid, format!("the run has no agent `{name}`"));
        id.map(|id| (id, usd)).ok_or_else(unknown)
    });
    let budgets = Budgets { run: args.caps.run(), agents: agents.collect::<Result<_, _>>()? };
    let pace = if args.realtime { Pace::RealTime } else { Pace::Jumping };
    drive(session, &setting.environment, budgets, Foreseen::nothing(), pace, terminal).await
}
