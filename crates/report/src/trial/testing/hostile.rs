//! A trial whose texts mean harm.

use super::{compare, fault_tolerance, large_scale, plain, recovery, speedup};
use crate::trial::Trial;

/// What somebody would write who wants a report, a terminal or a parser to do something.
pub(crate) const HOSTILE: &str = "a|b\r\n# <img src=x onerror=alert(1)> ]]> ![p](http://evil/) `x` \"q\" 'r' & \x1b]0;t\x07\u{202e}\0\u{fffe}";

/// All texts of which are hostile.
pub(crate) fn hostile() -> Trial {
    let mut trial = fault_tolerance();
    let text = || HOSTILE.to_owned();
    for of in [compare(), large_scale(), recovery(), speedup()] {
        trial.comparison = trial.comparison.or(of.comparison);
        trial.drift = trial.drift.or(of.drift);
        trial.recovery = trial.recovery.or(of.recovery);
        trial.before = trial.before.or(of.before);
        trial.suggestions.extend(of.suggestions);
        trial.bottlenecks =
            if of.bottlenecks.slowest.is_empty() { trial.bottlenecks } else { of.bottlenecks };
    }
    (trial.test_type, trial.started_at, trial.endpoint) = (text(), text(), text());
    (trial.agents, trial.notes) = (vec![text()], vec![text()]);
    (trial.summary.run_id, trial.summary.error) = (text(), Some(text()));
    trial.summary.cost.unpriced_agents = vec![text()];
    trial.summary.cost.most_expensive_task.as_mut().unwrap().task_id = text();
    for point in &mut trial.checklist {
        (point.what, point.found, point.hint) = (text(), text(), Some(text()));
    }
    for run in &mut trial.runs {
        (run.role, run.run_id, run.error) = (text(), text(), Some(text()));
    }
    for fault in &mut trial.faults {
        fault.fault = text();
    }
    for criterion in &mut trial.criteria {
        criterion.why = text();
    }
    trial.criteria.push(plain(HOSTILE, Some(false), HOSTILE));
    for failure in &mut trial.failures {
        (failure.task_id, failure.task_type) = (text(), text());
        (failure.class, failure.message) = (text(), text());
    }
    let of = &mut trial.bottlenecks;
    of.waited_for = vec![text()];
    for task in of.slowest.iter_mut().chain(&mut of.dearest).chain(&mut of.longest_path) {
        task.task_id = text();
    }
    for of in &mut trial.suggestions {
        (of.setting, of.from, of.to, of.brings) = (text(), text(), text(), text());
    }
    let before = trial.before.as_mut().unwrap();
    (before.run_id, before.started_at) = (text(), text());
    before.figures[0].name = text();
    before.figures[0].regressed = true;
    let of = trial.comparison.as_mut().unwrap();
    (of.scenario, of.scenario_file) = (text(), Some(text()));
    for row in &mut of.rows {
        (row.dimension, row.unit) = (text(), text());
    }
    trial
}
