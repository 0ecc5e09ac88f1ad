//! What `run` and `resume` have in common: to say what will happen, to drive, to tell the end.

use sortie::RunResult;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, IsTerminal, Write};

use sortie::binding::Binding;
use sortie::config::Origin;
use sortie::core::limit::GateId;
use sortie::core::money::Usd;
use sortie::core::plan::{Plan, TaskId};
use sortie::core::run::event::Outcome;
use sortie::core::run::input::{Budgets, Settings};
use sortie::engine::driver::{Ended, Foreseen};
use sortie::engine::executor::signals::Signals;
use sortie::engine::executor::simulated::Pace;
use sortie::engine::store::{Header, Store};
use sortie::providers::keys::Environment;
use sortie::report::fold::Fold;
use sortie::report::terminal::{one_line, sanitize};
use sortie::report::{terminal as texts, units};
use sortie::session::{Done, Drive, Session, view};
use sortie::tokens::is_too_long;

use super::dying::Dying;
use crate::exit::Exit;
use crate::failing::Failed;
use crate::progress::Progress;
use crate::terminal::{self, Terminal};

/// Says what will run, by whom, where, and within which bounds: those that are in force, and the money that
/// it has by now (`fold`), or gets for going on.
pub(super) fn announce(
    header: &Header,
    settings: &Settings,
    binding: &Binding,
    (fold, budgets): (&Fold, &Budgets),
    terminal: Terminal,
) {
    let plan = &header.plan;
    let mode = if settings.simulated { "simulated" } else { settings.mode.name() };
    let tasks = units::count(plan.to_do() as u64, "task");
    terminal.note(&format!("run {}: {} ({tasks}, {mode})", header.run_id, one_line(plan.name())));
    let used = plan.used_agents().into_iter().map(|id| (id, ""));
    for (id, only) in used.chain(plan.only_fallbacks().into_iter().map(|id| (id, ", only as a fallback"))) {
        let (agent, endpoint) = (plan.agent(id), &binding.endpoints[usize::from(id.0)]);
        let from = match (&endpoint.base_url_from, settings.simulated) {
            (_, true) => "the simulator".to_owned(),
            (Origin::Variable(name), _) => format!("{} (from {name})", endpoint.base_url),
            (Origin::Configuration, _) => format!("{} (from the configuration)", endpoint.base_url),
            (Origin::Default, _) => endpoint.base_url.clone(),
        };
        let place = format!("  agent {}: {} at {from}{only}", one_line(&agent.name), one_line(&agent.model));
        terminal.note(&place);
    }
    let mut bounds = vec![format!("{} at a time", settings.max_concurrent)];
    let gates: BTreeSet<GateId> = plan.used_agents().into_iter().map(|id| plan.agent(id).gate).collect();
    bounds.extend(gates.iter().filter_map(|gate| {
        let gate = settings.gates.get(gate.index())?;
        Some(format!("{} of them at {}", gate.max_concurrent?, one_line(&gate.name)))
    }));
    let rates = settings.gates.iter().filter_map(|gate| gate.requests_per_minute).min();
    bounds.extend(rates.map(|rate| format!("{rate} requests/min")));
    bounds.extend(money_bounds(fold, budgets));
    terminal.note(&format!("  {}", bounds.join(", ")));
    if is_too_long(header, binding) {
        terminal.note("  its prompts are too long altogether to be counted: bytes bound their tokens");
    }
}

/// The budgets, of the run and of the agents that it uses.
fn money_bounds(fold: &Fold, budgets: &Budgets) -> Vec<String> {
    let plan = &fold.run().plan;
    let warns = if fold.budget_stops() || budgets.run.is_some() { "" } else { " (it only warns)" };
    let run = budgets.run.or(fold.budget());
    let mut bounds =
        vec![run.map_or("no budget".to_owned(), |budget| format!("budget {}{warns}", units::money(budget)))];
    let known: BTreeMap<&str, Usd> =
        fold.agent_budgets().map(|(agent, budget)| (agent.name.as_str(), budget)).collect();
    for id in plan.used_agents().into_iter().chain(plan.only_fallbacks()) {
        let name = plan.agent(id).name.as_str();
        if let Some(budget) = budgets.agents.get(&id).or(known.get(name)) {
            bounds.push(format!("budget {} of agent {}", units::money(*budget), one_line(name)));
        }
    }
    bounds
}

/// Whether a person is there to be asked, and there is something to ask: scripts, simulations and
/// servers on this machine are not asked.
pub(super) fn may_ask(plan: &Plan, binding: &Binding) -> bool {
    binding.may_cost(plan) && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks a person before money is spent.
pub(super) fn ask() -> Result<(), Failed> {
    // Not locked while somebody thinks about it: others may have something to say.
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "Start and spend money? [y/N] ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    let _ = std::io::stdin().lock().read_line(&mut answer);
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => {
            Err(Failed::new(Exit::Setup, "not started: nobody agreed to spend money")
                .hint("--yes does not ask"))
        }
    }
}

/// The signals of this process, from now on.
pub(super) fn listen() -> Result<Signals, Failed> {
    Signals::of_the_process()
        .map_err(|error| Failed::new(Exit::Setup, format!("failed to listen for signals: {error}")))
}

/// Drives a run, shows its progress, and tells its end.
pub(super) async fn drive<S: Store>(
    session: Session<S>,
    environment: &Environment,
    budgets: Budgets,
    forecast: Foreseen,
    pace: Pace,
    (terminal, dying): (Terminal, Dying),
) -> Result<Exit, Failed> {
    let mut signals = listen()?;
    let progress = Progress::new(view(session.header()), session.records(), terminal);
    let drive = Drive { environment, budgets, pace, signals: &mut signals, forecast };
    // Boxed: a run's state is large, and the futures of callers would hold it all.
    let done = Box::pin(session.drive(drive, (dying, progress))).await?;
    tell(&done, terminal).await?;
    Ok(match &done.ended {
        Ended::Finished(outcome) => Exit::of(outcome, done.fold.summary(done.fold.last_time()).success),
        Ended::AtOnce(signal) => Exit::by(*signal),
    })
}

/// The end of a run: the result of its last task and the summary, or one document.
async fn tell<S: Store>(done: &Done<S>, terminal: Terminal) -> Result<(), Failed> {
    if terminal.json() {
        terminal::document(&RunResult::of(done).await?);
    } else {
        if let Some(&last) = done.fold.finished().last() {
            tell_result(done, last).await?;
        }
        let report = done.fold.report(done.fold.last_time());
        terminal::result(&texts::summary(&report, terminal::style()));
    }
    let run_id = &done.fold.run().run_id;
    if let Some(directory) = &done.directory {
        terminal.note(&format!("results in {}", directory.display()));
    }
    let counts = done.fold.counts();
    if counts.pending + counts.running > 0 {
        // With the same budget a resume would stop where this stopped.
        let over = matches!(done.ended, Ended::Finished(Outcome::BudgetExceeded { .. }));
        let more = match (over, over_agent(&done.fold)) {
            (true, Some(agent)) => format!(" --max-cost {agent}=USD"),
            (true, None) => " --max-cost USD".to_owned(),
            (false, _) => String::new(),
        };
        terminal.note(&format!("`sortie resume {run_id}{more}` goes on with it"));
        if over && let Some((_, Some((task, tokens)))) = done.fold.over_budget() {
            let name = one_line(&done.fold.run().plan.task(task).name);
            terminal.note(&format!("with max_tokens {tokens} task {name} would fit what is left"));
        }
    }
    Ok(())
}

/// The agent whose own budget stopped the run, if it was not the run's.
fn over_agent(fold: &Fold) -> Option<&str> {
    let (agent, _) = fold.over_budget()?;
    Some(&fold.run().plan.agents().get(agent?.index())?.name)
}

async fn tell_result<S: Store>(done: &Done<S>, task: TaskId) -> Result<(), Failed> {
    if let Some(result) = done.result(task).await?
        && let Some(text) = &result.result
    {
        terminal::result(&format!("── {} ──\n{}\n\n", one_line(&result.task_id), sanitize(text.trim_end())));
    }
    Ok(())
}
