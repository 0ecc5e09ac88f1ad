//! Does it work at all (SPEC.md K1): every type of task, dependencies, recovery from errors.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use sortie_core::agent::AgentId;
use sortie_core::failure::Policy;
use sortie_core::plan::{Edge, End};
use sortie_core::time::Time;

use super::{Criteria, Criterion, Evidence, named, reaches};
use crate::fold::{Status, TaskView};
use crate::trial::{Faulted, Recovery};
use crate::units::count;

/// K1's criteria, in their order.
pub(super) fn all(evidence: &Evidence, thresholds: &Criteria) -> [Criterion; 3] {
    [task_types(evidence), dependencies(evidence), error_recovery(evidence, thresholds.min_success_rate)]
}

/// Each type of task that was tried has a success.
fn task_types(evidence: &Evidence) -> Criterion {
    let name = "task_types";
    // Of each type: whether one was tried, and whether one succeeded.
    let mut types: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
    for (_, task, view) in evidence.counting() {
        let (tried, works) = types.entry(&task.task_type).or_default();
        *tried |= view.attempts > 0 || matches!(view.status, Status::Succeeded | Status::Failed);
        *works |= view.status == Status::Succeeded;
    }
    let of = |tried, works| types.iter().filter(move |(_, of)| **of == (tried, works)).map(|(name, _)| *name);
    let (works, fails, untried) = (of(true, true).count(), of(true, false), of(false, false));
    let untried = match named(untried) {
        none if none.is_empty() => none,
        names => format!("; not tried: {names}"),
    };
    let tried = works + fails.clone().count();
    if tried == 0 {
        return Criterion::not_applicable(name, "no task was tried");
    }
    if works < tried {
        let fails = named(fails);
        let why =
            format!("no task of these types succeeded: {fails}; {works} of {tried} types work{untried}");
        return Criterion::of(name, false, why);
    }
    let why = match tried {
        1 => format!("the one type that was tried has a success{untried}"),
        _ => format!("each of {tried} types that were tried has a success{untried}"),
    };
    Criterion::of(name, true, why)
}

/// No task was called before all that it depends on had ended as it has to, by the times of the records. Runs in which
/// tasks were opened again are not judged: theirs are the times of the last go.
fn dependencies(evidence: &Evidence) -> Criterion {
    let name = "dependencies";
    let fold = evidence.report.fold;
    let plan = &fold.run().plan;
    if plan.tasks().iter().all(|task| task.depends_on.is_empty()) {
        return Criterion::not_applicable(name, "no task depends on another");
    }
    let (mut kept, mut early) = (0, Vec::new());
    for (task, view) in plan.tasks().iter().zip(fold.tasks()) {
        let Some(started) = view.started_at else { continue };
        let is_early =
            |on: &&Edge| fold.tasks().get(on.task.index()).is_none_or(|view| !had_ended(view, **on, started));
        match task.depends_on.iter().find(is_early) {
            None => kept += task.depends_on.len(),
            Some(on) => early.push(format!("{} before {}", task.name, plan.task(on.task).name)),
        }
    }
    if !early.is_empty() {
        let early = named(early.iter().map(String::as_str));
        return Criterion::of(name, false, format!("called too early: {early}"));
    }
    if kept == 0 {
        return Criterion::not_applicable(name, "no task that depends on another was called");
    }
    let kept = match kept {
        1 => "the one dependency was".to_owned(),
        _ => format!("all {kept} dependencies of tasks that were called were"),
    };
    Criterion::of(name, true, format!("{kept} kept: no call began before what it depends on had ended"))
}

/// Tasks' first starts, with their names.
type Starts<'a> = Vec<(Time, &'a str)>;

/// Of tasks that depend on nothing and go to one agent, those of a higher priority were called first; none where all
/// are equal.
pub(super) fn priorities(evidence: &Evidence) -> Option<Criterion> {
    let name = "priorities";
    let mut starts: BTreeMap<(AgentId, Reverse<i32>), Starts<'_>> = BTreeMap::new();
    for (_, task, view) in evidence.counting().filter(|(_, task, _)| task.depends_on.is_empty()) {
        let started = view.started_at.map(|at| (at, task.name.as_str()));
        starts.entry((task.agent, Reverse(task.priority))).or_default().extend(started);
    }
    let levels: Vec<_> = starts.iter().filter(|(_, starts)| !starts.is_empty()).collect();
    let of_one_agent = || levels.windows(2).filter(|pair| pair[0].0.0 == pair[1].0.0);
    of_one_agent().next()?;
    let late = of_one_agent().find_map(|pair| {
        let (last, first) = (pair[0].1.iter().max()?, pair[1].1.iter().min()?);
        (last.0 > first.0).then(|| format!("{} was called before {}", first.1, last.1))
    });
    Some(match late {
        Some(late) => Criterion::of(name, false, late),
        None => Criterion::of(name, true, "what is to go first was called first"),
    })
}

/// The scenario that was asked for is there: the next command needs its file.
pub(super) fn fit(evidence: &Evidence) -> Option<Criterion> {
    let name = "fit";
    Some(match evidence.fit? {
        Ok(file) => Criterion::of(name, true, format!("the fitted scenario is in {file}")),
        Err(why) => Criterion::of(name, false, why),
    })
}

/// Whether a task had ended like this when another one that depends on it was first called.
fn had_ended(view: &TaskView, on: Edge, started: Time) -> bool {
    let (end, at) = match view.status {
        Status::Succeeded => (End::Succeeded, view.finished_at),
        Status::Failed => (End::Failed, view.finished_at),
        Status::Skipped | Status::Removed => (End::Skipped, view.skipped_at),
        Status::Pending | Status::Running => return false,
    };
    on.when.is_met_by(end) && at.is_none_or(|at| at <= started)
}

/// Tasks that met an error which may pass that tell whether retries help: of fewer, chance does.
const ENOUGH: usize = 5;

/// Whatever met an error that may pass came through, but for so many that `least` percent of all tasks are left; of the
/// faults that were made on purpose, all.
fn error_recovery(evidence: &Evidence, least: f64) -> Criterion {
    let name = "error_recovery";
    let mut said = Said::default();
    said.of_tasks(evidence, least);
    said.of_faults(evidence.faults);
    let not_made = evidence.recovery.and_then(|kill| kill.not_made.as_deref());
    if let Some(kill) = evidence.recovery.filter(|kill| kill.not_made.is_none()) {
        said.of_kill(kill, least);
    }
    let Said { mut good, bad } = said;
    if !good.is_empty() {
        good.extend(not_made.map(ToOwned::to_owned));
    }
    match (bad.is_empty(), good.is_empty()) {
        (true, true) => Criterion::not_applicable(
            name,
            not_made.unwrap_or("nothing failed that had to be recovered from"),
        ),
        (true, false) => Criterion::of(name, true, good.join("; ")),
        (false, _) => Criterion::of(name, false, bad.join("; ")),
    }
}

/// What speaks for a recovery from errors, and what against it, in clauses.
#[derive(Default)]
struct Said {
    good: Vec<String>,
    bad: Vec<String>,
}

impl Said {
    fn say(&mut self, is_good: bool, clause: String) {
        if is_good { self.good.push(clause) } else { self.bad.push(clause) }
    }

    /// Tasks that met an error, by whoever's doing. Those that did not come through may be as many of all tasks as the
    /// trial lets fail; and where enough met one, half of them come through if anything helps.
    fn of_tasks(&mut self, evidence: &Evidence, least: f64) {
        let met_one = |view: &TaskView| {
            let is_retryable = view.failure.as_ref().is_some_and(|failure| failure.policy() == Policy::Retry);
            view.attempts > 1 || is_retryable
        };
        let all = evidence.counting().count();
        let hit: Vec<(&str, bool)> = evidence
            .counting()
            .filter(|(.., view)| met_one(view))
            .map(|(_, task, view)| (task.name.as_str(), view.status == Status::Succeeded))
            .collect();
        let lost: Vec<&str> = hit.iter().filter(|(_, through)| !through).map(|(name, _)| *name).collect();
        let through = hit.len() - lost.len();
        if lost.is_empty() {
            if through > 0 {
                let tasks = count(through as u64, "task");
                self.good.push(format!("{tasks} that met an error succeeded in the end"));
            }
            return;
        }
        let kept = 100.0 * (all - lost.len()) as f64 / all as f64;
        let helps = hit.len() < ENOUGH || 2 * through >= hit.len();
        let clause = format!(
            "{through} of {} that met an error succeeded in the end; not so: {}",
            count(hit.len() as u64, "task"),
            named(lost),
        );
        self.say(reaches(kept, least) && helps, clause);
    }

    fn of_faults(&mut self, faults: &[Faulted]) {
        let recoverable = faults.iter().filter(|fault| fault.should_recover == Some(true) && fault.tasks > 0);
        for fault in recoverable {
            let of = count(fault.tasks, "task");
            let clause = format!("{}: {} of {of} recovered", fault.fault, fault.recovered);
            self.say(fault.recovered == fault.tasks, clause);
        }
        let unsendable = faults.iter().filter(|fault| fault.should_recover == Some(false));
        for fault in unsendable.filter(|fault| fault.recovered > 0) {
            self.say(false, format!("{}: it succeeded, and never should", fault.fault));
        }
    }

    fn of_kill(&mut self, kill: &Recovery, least: f64) {
        let (done, total) = (kill.successful_tasks, kill.total_tasks);
        let share = 100.0 * done as f64 / total.max(1) as f64;
        let again = match kill.done_again {
            0 => "nothing that was done was done again".to_owned(),
            again => format!("{} done again although done before", count(again, "task")),
        };
        let of = count(total, "task");
        let why = kill.first_failure.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
        let clause = format!("killed in the middle and resumed: {done} of {of} succeeded{why}, {again}");
        self.say(reaches(share, least) && kill.done_again == 0, clause);
    }
}
