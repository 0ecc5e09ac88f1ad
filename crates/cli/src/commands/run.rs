//! `sortie run PLAN`

use std::path::Path;

use sortie::binding::Binding;
use sortie::chain;
use sortie::config::Overrides;
use sortie::core::run::input::{Budgets, Mode};
use sortie::engine::driver::Foreseen;
use sortie::engine::executor::simulated::Pace;
use sortie::engine::store::Header;
use sortie::engine::store::sqlite::{Durability, SqliteStore};
use sortie::foresight::{Foresight, Past};
use sortie::launch::{Launch, unfit_fallbacks};
use sortie::report::Fold;
use sortie::report::terminal::one_line;
use sortie::session::{Session, now, view};

use super::dying::Dying;
use super::execute::{announce, ask, drive, may_ask};
use super::forecast::line as forecast_line;
use super::{counting, journal, plan_now, simulation};
use crate::args::RunArgs;
use crate::exit::Exit;
use crate::failing::Failed;
use crate::load;
use crate::terminal::Terminal;

pub(super) async fn run(args: RunArgs) -> Result<Exit, Failed> {
    let terminal = Terminal::new(args.output);
    let RunArgs { plan, run_id, instead, realtime, yes, max_failures, cache, bounds, places, .. } = args;
    bounds.caps.check()?;
    let overrides = Overrides {
        max_cost: bounds.caps.run(),
        agent_max_cost: bounds.caps.agents(),
        max_concurrent: bounds.max_concurrent,
        ..Overrides::default()
    };
    let setting = load::setting(&places, &overrides)?;
    terminal.warn(&setting.config.warnings);
    load::known_agents(overrides.agent_max_cost.keys(), &setting.config)?;
    let checked = load::plan(&plan, &setting.config)?;
    terminal.warn(&checked.warnings);
    let (simulation, seed) = (simulation(&instead)?, instead.seed);
    let mode = bounds.mode.map_or(Mode::Parallel, Mode::from);
    let unfit = unfit_fallbacks(&checked.plan, &setting.config, &setting.environment, simulation.is_some());
    for (id, why) in unfit {
        let name = one_line(&checked.plan.agent(id).name).into_owned();
        terminal.note(&format!("warning: {name} will be nobody's fallback: {}", one_line(&chain(&why))));
    }
    let launch = Launch { run_id, mode, seed, max_failures, cache, simulation, patience: None };
    let mut header = launch.header(checked, &setting.config, &setting.environment, now())?;
    if let Some(path) = plan_now::absolute(&plan) {
        Binding::note_plan_file(&mut header, path)?;
    }
    let binding = Binding::of(&header).map_err(Failed::from)?;
    counting::ask(&mut header, &setting.environment, terminal).await?;
    let asks = !yes && may_ask(&header.plan, &binding);
    let results_dir = &setting.config.results_dir;
    let foresight = if asks || header.settings.simulated {
        // Known before it begins, so that a simulated run has the same journal every time.
        let journal = journal(results_dir)?;
        Some(Foresight::of(&header, Past::of(journal.as_ref(), results_dir, &header.settings)).await?)
    } else {
        None
    };
    if asks {
        // Before anything is written: a "no" leaves nothing behind.
        let fold = Fold::new(view(&header));
        announce(&header, &header.settings, &binding, (&fold, &Budgets::default()), terminal);
        terminal.note(&format!(
            "  {}",
            foresight.as_ref().map_or_else(String::new, |f| forecast_line(&header, f))
        ));
        ask()?;
    }
    let forecast = match foresight {
        Some(foresight) => Foreseen::known(foresight.forecast.prediction()),
        None => beside(&header, results_dir),
    };
    let store = SqliteStore::open(results_dir, Durability::of(header.settings.simulated))?;
    let session = Session::create(store, header, Some(results_dir)).await?;
    if !asks {
        let fold = Fold::new(view(session.header()));
        let money = (&fold, &Budgets::default());
        announce(session.header(), &session.in_force(), session.binding(), money, terminal);
    }
    let pace = if realtime { Pace::RealTime } else { Pace::Jumping };
    drive(session, &setting.environment, Budgets::default(), forecast, pace, (terminal, Dying::never())).await
}

/// A forecast that is made while the run begins: nothing waits for it.
fn beside(header: &Header, results_dir: &Path) -> Foreseen {
    let (header, results_dir) = (header.clone(), results_dir.to_owned());
    let working = tokio::task::spawn_blocking(move || {
        let journal = journal(&results_dir).ok()?;
        let past = Past::of(journal.as_ref(), &results_dir, &header.settings);
        let foresight = tokio::runtime::Handle::current().block_on(Foresight::of(&header, past));
        Some(foresight.ok()?.forecast.prediction())
    });
    Foreseen::coming(async move { working.await.ok().flatten() })
}
