//! `sortie resume [RUN]`

use std::collections::BTreeMap;

use sortie::config::{Config, Overrides};
use sortie::core::money::Usd;
use sortie::core::plan::Plan;
use sortie::core::run::input::{Budgets, Resume};
use sortie::engine::driver::Foreseen;
use sortie::engine::executor::simulated::Pace;
use sortie::engine::store::sqlite::SqliteStore;
use sortie::engine::store::{Salvaged, Store, StoreError};
use sortie::foresight::{Foresight, Past};
use sortie::recovery::Recovery;
use sortie::report::Fold;
use sortie::report::terminal::{one_line, so_far};
use sortie::report::units::count;
use sortie::session::{Session, view};

use super::dying::Dying;
use super::execute::{announce, ask, drive, may_ask};
use super::forecast::line as forecast_line;
use super::{journal, plan_now};
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
    if let Some(run) = args.run.as_ref().filter(|_| args.again.salvage) {
        salvage(&mut store, run, terminal).await?;
    }
    let mut session = Session::resume(store, args.run.as_deref(), Some(results_dir)).await?;
    if args.again.salvage {
        session = regain(session, terminal).await?;
    }
    match session.askable() {
        0 => {}
        lost => terminal.note(&format!("asking for {}", count(lost as u64, "lost answer"))),
    }
    let (mut session, recovery) = session.recover(&setting.environment).await?;
    recovered(&recovery, terminal);
    if !session.is_done() || args.again.plan.is_asked_for() {
        session = plan_now::take(session, &args.again.plan, &setting, terminal)?;
    }
    let budgets = budgets(&args.caps, &session.header().plan)?;
    // To know takes a look at every task.
    let again = args.again.retry_failed.then(|| session.retryable());
    if again.is_some() {
        session = session.retrying_failed();
    }
    if session.is_done() {
        let nothing = if again.is_some() { ", and there is nothing to retry" } else { "" };
        terminal.note(&format!("run {} is finished{nothing}", session.header().run_id));
    } else {
        let header = session.header();
        let fold = Fold::of(view(header), session.records());
        announce(header, &session.in_force(), session.binding(), (&fold, &budgets), terminal);
        terminal.note(&format!("  {}", so_far(&fold)));
        if let Some(again) = again {
            terminal.note(&format!("  {}", retried(again)));
        }
        if let Some(kept) = kept(&setting.config, &fold, &budgets) {
            terminal.note(&format!("  {kept}"));
        }
        if !args.yes && may_ask(&header.plan, session.binding()) {
            let journal = journal(results_dir)?;
            let past = Past::of(journal.as_ref(), results_dir, &header.settings);
            let resume = Resume { budgets: budgets.clone(), ..session.resume_of().clone() };
            let rest = Foresight::of_rest(header, session.run(), &resume, past).await?;
            terminal.note(&format!("  what is left: {}", forecast_line(header, &rest)));
            ask()?;
        }
    }
    let pace = if args.realtime { Pace::RealTime } else { Pace::Jumping };
    let dying = Dying::after(args.die_after);
    drive(session, &setting.environment, budgets, Foreseen::nothing(), pace, (terminal, dying)).await
}

/// What the configuration that was found says of money and the run does not heed, in a line.
fn kept(config: &Config, fold: &Fold, budgets: &Budgets) -> Option<String> {
    let (money, run) = (&config.money, fold.run());
    // A limit that only the command line stated is no change of the configuration's.
    let differs = |found: Option<Usd>, kept: Option<Usd>| found.is_some() && found != kept;
    let budget = budgets.run.or(fold.budget());
    let mut keys = Vec::new();
    if differs(money.budget, budget) {
        keys.push("max_cost_per_session".to_owned());
    }
    if differs(money.max_cost_per_task, run.settings.max_cost_per_task) {
        keys.push("max_cost_per_task".to_owned());
    }
    if differs(money.alert_threshold, run.settings.alert_threshold) {
        keys.push("alert_threshold".to_owned());
    }
    let in_force: BTreeMap<&str, Usd> =
        fold.agent_budgets().map(|(agent, budget)| (agent.name.as_str(), budget)).collect();
    for id in run.plan.used_agents() {
        let name = run.plan.agent(id).name.as_str();
        let found = config.agents.iter().find(|found| found.agent.name == name);
        let kept = budgets.agents.get(&id).or(in_force.get(name)).copied();
        if differs(found.and_then(|found| found.agent.max_cost), kept) {
            keys.push(format!("agents.{name}.max_cost"));
        }
    }
    let keys = (!keys.is_empty()).then(|| one_line(&keys.join(", ")).into_owned())?;
    Some(format!(
        "the run keeps the settings that it began with, not the configuration's {keys}; --max-cost changes a budget"
    ))
}

/// What became of the answers that were lost, where their provider was to keep them.
fn recovered(recovery: &Recovery, terminal: Terminal) {
    let Recovery { lost, found, .. } = *recovery;
    if lost == 0 {
        return;
    }
    let of = count(lost as u64, "lost answer");
    terminal.note(&format!("{found} of {of} found at the provider, which had kept them"));
    if found < lost {
        let why = recovery.why_not().map_or_else(
            || "they are not there, or not yet: another resume asks again".to_owned(),
            |why| one_line(&why).into_owned(),
        );
        terminal.note(&format!("  what the others may have cost stays at risk: {why}"));
    }
}

/// How many tasks get another try.
fn retried(again: usize) -> String {
    match again {
        0 => "there is nothing to retry: no task has failed that another try may help".to_owned(),
        1 => "1 failed or skipped task is tried again".to_owned(),
        many => format!("{many} failed or skipped tasks are tried again"),
    }
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

/// Has tasks done again whose answers are damaged or gone, and says so.
async fn regain<S: Store>(session: Session<S>, terminal: Terminal) -> Result<Session<S>, Failed> {
    let (session, gone) = session.regaining_answers().await?;
    if gone > 0 {
        terminal.note(&format!(
            "warning: {} of the run are gone or not as they were written: their tasks are done again, and paid for again",
            count(gone as u64, "answer")
        ));
    }
    Ok(session)
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
