//! What is looked at before a trial begins (SPEC.md L1), each point for real: a call to each agent that is
//! to work, and what its account answered.

use sortie_core::failure::Class;
use sortie_core::plan::check::{Checked, Routing, check};
use sortie_core::plan::written::{PlanFile, TaskFile};
use sortie_core::prediction::Stop;
use sortie_core::run::event::Outcome;
use sortie_core::run::input::Mode;
use sortie_engine::store::Header;
use sortie_report::fold::Status;
use sortie_report::trial::{Point, PointState};
use sortie_report::units::{count, duration, money};

use super::conduct::{Conducted, Spent};
use super::design::Phase;
use super::limits::Limits;
use super::needs::{Needs, Purse, Shortfall};
use super::part::{Part, Role};
use super::shelf;
use crate::config::Config;
use crate::error::Error;
use crate::foresight::Foresight;

/// What an agent is asked: as little as an answer can cost.
const QUESTION: &str = "Answer with one word: are you there?";

/// The part that tries the agents that these tasks go to: one call each, of as few tokens as its API allows.
///
/// # Errors
/// None that the tasks themselves do not have.
pub fn keys(checked: &Checked, routing: &Routing) -> Result<Part, Error> {
    let plan = &checked.plan;
    let ask = |name: &str| TaskFile {
        id: name.to_owned(),
        prompt: QUESTION.into(),
        task_type: Some("general".into()),
        agent: Some(name.to_owned()),
        max_tokens: Some(routing.least_max_tokens.get(name).copied().unwrap_or(1)),
        ..TaskFile::default()
    };
    let tasks = plan.used_agents().into_iter().map(|id| ask(&plan.agent(id).name)).collect();
    let file = PlanFile { name: Some("trial: keys".into()), tasks, ..PlanFile::default() };
    let checked = check(file, routing).map_err(Error::Plan)?;
    Ok(Part { role: Role::Key, mode: Mode::Serial, max_concurrent: 1, checked })
}

/// Whether what a call failed by is the user's to set up: no trial can be made before.
pub const fn is_setup(class: Class) -> bool {
    matches!(class, Class::Auth | Class::QuotaGone | Class::Invalid | Class::Redirected)
}

/// What a trial is held against before it begins.
#[derive(Clone, Copy, Debug)]
pub struct Plans<'a> {
    /// What the judged run would be created with.
    pub header: &'a Header,
    /// What is expected of it.
    pub foresight: &'a Foresight,
    /// What all runs need.
    pub needs: &'a Needs,
    /// What of the money cannot suffice for that.
    pub shortfalls: &'a [Shortfall],
    /// What was spent before the trial, by the phases in a row with it.
    pub before: &'a Spent,
    /// Of which phase it is.
    pub phase: Option<Phase>,
}

/// The points, once the agents were asked.
pub fn points(config: &Config, keys: &Conducted, plans: Plans) -> Vec<Point> {
    let limits = Limits::of(config, plans);
    let mut points = keyed(keys);
    points.push(cap(config, plans));
    points.extend(plans.shortfalls.iter().filter_map(of_agent_or_task));
    points.push(limits.stated());
    points.push(logging(keys));
    if !plans.header.settings.simulated {
        points.extend(limits.quotas());
    }
    points.extend(plans.phase.map(|phase| frame(phase, plans.needs)));
    points
}

pub(super) fn point(state: PointState, what: impl Into<String>, found: impl Into<String>) -> Point {
    Point { state, what: what.into(), found: found.into(), hint: None }
}

/// Keys are configured and valid: each agent answered.
fn keyed(keys: &Conducted) -> Vec<Point> {
    let plan = &keys.fold.run().plan;
    let simulated = keys.fold.run().settings.simulated;
    let one = |(task, view): (&sortie_core::plan::Task, &sortie_report::fold::TaskView)| {
        let agent = plan.agent(task.agent);
        let what = format!("key of {}", agent.name);
        if view.status == Status::Succeeded {
            let took = view.latency().map_or_else(String::new, |took| format!(" in {}", duration(took)));
            let (by, cost) =
                (if simulated { ", the simulator in its place" } else { "" }, money(view.cost()));
            return point(PointState::Ok, what, format!("{} answered{took} for {cost}{by}", agent.model));
        }
        let why = match (&view.failure, keys.fold.outcome()) {
            (Some(failure), _) => failure.to_string(),
            (None, Some(Outcome::BudgetExceeded { budget, .. })) => {
                format!("not asked, for the {} that the budget leaves do not allow that call", money(*budget))
            }
            (None, _) => "it was not asked".to_owned(),
        };
        let refused = view.failure.as_ref().is_some_and(|failure| is_setup(failure.class));
        let mut found = point(PointState::Missing, what, format!("{}: {why}", agent.model));
        found.hint = refused
            .then(|| "`sortie check` tells which variable holds the key, and where it is sent".to_owned());
        found
    };
    plan.tasks().iter().zip(keys.fold.tasks()).map(one).collect()
}

/// A cost cap is set, and what the trial needs is below it.
fn cap(config: &Config, plans: Plans) -> Point {
    let what = "cost cap";
    let with = |state, found: String, hint: &str| {
        let mut point = point(state, what, found);
        point.hint = Some(hint.to_owned());
        point
    };
    let Some(budget) = config.money.budget else {
        let hint = "set cost_control.max_cost_per_session, or --max-cost";
        return with(PointState::Warning, "none is set".to_owned(), hint);
    };
    if !config.money.auto_stop {
        let hint = "set cost_control.auto_stop_on_limit, or --max-cost";
        return with(PointState::Warning, format!("past {} it only warns", money(budget)), hint);
    }
    if let Some(short) = plans.shortfalls.iter().find(|short| short.purse == Purse::Trial) {
        let hint = "--max-cost raises it, --tasks makes the trial smaller";
        return with(PointState::Missing, short.to_string(), hint);
    }
    let expected = plans.needs.cost.expected;
    let found = match plans.before.total() {
        before if before.is_zero() => {
            format!("{} for the whole trial; {} expected", money(budget), money(expected))
        }
        before => format!(
            "{} for all phases, {} of it spent before; {} expected",
            money(budget),
            money(before),
            money(expected)
        ),
    };
    match plans.foresight.forecast.budget_stop {
        Some(Stop { agent: None, stopped, plays, .. }) => {
            let found = format!("{found}; in {stopped} of {plays} plays of the forecast it stops the trial");
            with(PointState::Warning, found, "--max-cost raises it")
        }
        _ => point(PointState::Ok, what, found),
    }
}

/// Money of an agent or of a task that cannot suffice.
fn of_agent_or_task(short: &Shortfall) -> Option<Point> {
    let (what, hint) = match &short.purse {
        Purse::Trial => return None,
        Purse::Agent(_, name) => (
            format!("cost cap of {name}"),
            format!("raise agents.{name}.max_cost; --tasks makes the trial smaller"),
        ),
        Purse::Tasks(..) => (
            "cost cap of a task".to_owned(),
            "raise cost_control.max_cost_per_task, or the task's max_cost, or lower max_tokens".to_owned(),
        ),
    };
    let mut point = point(PointState::Missing, what, short.to_string());
    point.hint = Some(hint);
    Some(point)
}

/// Logs can be written: those of the calls that were just made are there.
fn logging(keys: &Conducted) -> Point {
    let Some(directory) = &keys.directory else {
        return point(PointState::Warning, "logging", "nothing is written: there is no results directory");
    };
    let lines = |name: &str| shelf::lines(directory, name);
    match (lines("production.log"), lines("api_calls.log")) {
        (Ok(log), Ok(calls)) if calls > 0 => point(
            PointState::Ok,
            "logging",
            format!("{} of production.log and {} written", count(log, "line"), count(calls, "API call")),
        ),
        (Err(error), _) | (_, Err(error)) => {
            point(PointState::Missing, "logging", format!("{}: {error}", directory.display()))
        }
        (Ok(_), Ok(_)) => point(PointState::Warning, "logging", "no API call was written to api_calls.log"),
    }
}

/// What is expected of the trial, against what the founding document expects of its phase.
fn frame(phase: Phase, needs: &Needs) -> Point {
    let (usd, minutes) = phase.most();
    let (time, cost) = (needs.time, needs.cost.expected);
    let within = time.as_secs() <= minutes * 60 && cost.as_f64() <= usd;
    let takes = match needs.runs {
        1 => format!("the judged run is expected to take {}", duration(time)),
        runs => format!(
            "{runs} runs, the judged one of {} among them, are expected to take {} one after the other",
            duration(needs.judged),
            duration(time)
        ),
    };
    let found = format!(
        "{takes}, and to cost {}; a phase of its kind takes {minutes} min and ${usd:.2} at most",
        money(cost)
    );
    point(if within { PointState::Ok } else { PointState::Warning }, "time and cost of the phase", found)
}
