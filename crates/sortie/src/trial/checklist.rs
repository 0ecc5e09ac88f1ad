//! What is looked at before a trial begins (SPEC.md L1), each point for real: a call to each agent that is
//! to work, and what its account answered.

use sortie_core::failure::Class;
use sortie_core::limit::Dimension;
use sortie_core::money::Usd;
use sortie_core::plan::check::{Checked, Routing, check};
use sortie_core::plan::written::{PlanFile, TaskFile};
use sortie_core::run::input::Mode;
use sortie_engine::sharing::learned;
use sortie_engine::store::Header;
use sortie_report::fold::Status;
use sortie_report::learned::words;
use sortie_report::trial::{Point, PointState};
use sortie_report::units::{count, duration, money};

use super::conduct::Conducted;
use super::design::{Part, Phase, Role};
use super::shelf;
use crate::config::Config;
use crate::error::Error;
use crate::foresight::Foresight;
use crate::session::now;

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

/// The points, once the agents were asked: `header` is what the judged run would be created with, and `foresight` what is
/// expected of it; so many runs of its tasks are paid for.
pub fn points(
    config: &Config,
    header: &Header,
    phase: Option<Phase>,
    keys: &Conducted,
    (foresight, paid): (&Foresight, u64),
) -> Vec<Point> {
    let mut points = keyed(keys);
    points.push(cap(config, foresight.forecast.cost.expected.times(paid)));
    points.push(rate(header));
    points.push(logging(keys));
    points.extend(quota(config, header));
    points.extend(phase.map(|phase| frame(phase, foresight, paid)));
    points
}

fn point(state: PointState, what: impl Into<String>, found: impl Into<String>) -> Point {
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
        let why = match &view.failure {
            Some(failure) => failure.to_string(),
            None => "it was not asked".to_owned(),
        };
        let refused = view.failure.as_ref().is_some_and(|failure| is_setup(failure.class));
        let mut found = point(PointState::Missing, what, format!("{}: {why}", agent.model));
        found.hint = refused
            .then(|| "`sortie check` tells which variable holds the key, and where it is sent".to_owned());
        found
    };
    plan.tasks().iter().zip(keys.fold.tasks()).map(one).collect()
}

/// A cost cap is set, and the forecast is below it.
fn cap(config: &Config, expected: Usd) -> Point {
    match config.money.budget {
        Some(budget) if config.money.auto_stop => {
            let state = if expected > budget { PointState::Warning } else { PointState::Ok };
            let found = format!("{} for the whole trial; {} expected", money(budget), money(expected));
            let mut point = point(state, "cost cap", found);
            point.hint = (state == PointState::Warning).then(|| "--max-cost raises it".to_owned());
            point
        }
        Some(budget) => {
            let mut point =
                point(PointState::Warning, "cost cap", format!("past {} it only warns", money(budget)));
            point.hint = Some("set cost_control.auto_stop_on_limit, or --max-cost".to_owned());
            point
        }
        None => {
            let mut point = point(PointState::Warning, "cost cap", "none is set");
            point.hint = Some("set cost_control.max_cost_per_session, or --max-cost".to_owned());
            point
        }
    }
}

/// A rate limit is set.
fn rate(header: &Header) -> Point {
    let gates = &header.settings.gates;
    let used = header.plan.used_agents().into_iter().map(|id| header.plan.agent(id).gate);
    let stated: Vec<String> = used
        .filter_map(|gate| {
            let gate = gates.get(gate.index())?;
            Some(format!("{} requests/min at {}", gate.requests_per_minute?, gate.name))
        })
        .collect();
    if stated.is_empty() {
        let mut point =
            point(PointState::Warning, "rate limit", "none is set: the provider's is found by its replies");
        point.hint = Some("set rate_limiting.requests_per_minute to what the account allows".to_owned());
        return point;
    }
    let mut stated = stated;
    stated.dedup();
    point(PointState::Ok, "rate limit", stated.join(", "))
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

/// The account's quota is enough: what replies told of it, against what the trial needs.
fn quota(config: &Config, header: &Header) -> Vec<Point> {
    let specs = &header.settings.gates;
    let mut points = Vec::new();
    let used: std::collections::BTreeSet<usize> =
        header.plan.used_agents().into_iter().map(|id| header.plan.agent(id).gate.index()).collect();
    if !header.settings.simulated {
        let known = learned(&config.results_dir, specs, now());
        for (index, learned) in known.iter().enumerate().filter(|(index, _)| used.contains(index)) {
            let name = &specs[index].name;
            let Some(learned) = learned else {
                let found = format!("{name}: its replies tell no limits");
                points.push(point(PointState::Warning, "API quota", found));
                continue;
            };
            let largest = |dimension| learned.per_minute(dimension);
            let too_large = header.plan.tasks().iter().find(|task| {
                let output =
                    largest(Dimension::OutputTokens).is_some_and(|most| u64::from(task.max_tokens) > most);
                header.plan.agent(task.agent).gate.index() == index && output
            });
            match too_large {
                Some(task) => {
                    let found = format!(
                        "{}; task {} may take {} output tokens",
                        words(name, learned, now()),
                        task.name,
                        task.max_tokens
                    );
                    points.push(point(PointState::Missing, "API quota", found));
                }
                None => points.push(point(PointState::Ok, "API quota", words(name, learned, now()))),
            }
        }
    }
    points
}

/// What is expected of the trial, against what the founding document expects of its phase.
fn frame(phase: Phase, foresight: &Foresight, paid: u64) -> Point {
    let (usd, minutes) = phase.most();
    let (time, cost) = (foresight.forecast.makespan.p50, foresight.forecast.cost.expected.times(paid));
    let within = time.as_secs() <= minutes * 60 && cost.as_f64() <= usd;
    let found = format!(
        "the judged run is expected to take {}, all runs to cost {}; a phase of its kind takes {minutes} min and ${usd:.2} at most",
        duration(time),
        money(cost),
    );
    point(if within { PointState::Ok } else { PointState::Warning }, "time and cost of the phase", found)
}
