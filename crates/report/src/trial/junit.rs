//! `junit.xml`: a trial for CI systems, in the dialect that they read (`testsuites`, `testsuite`, `testcase` with
//! `failure`, `skipped`, `system-out` and `properties`; the schema of the Jenkins `xUnit` plugin). A test case is a
//! criterion, a point of the checklist, or a kind of fault.

mod xml;

use std::fmt::Write;
use std::time::Duration;

use super::figure::{measured, required, title};
use super::words::{about, came, name, reason};
use super::{Criterion, Faulted, Point, PointState, Trial, Verdict};
use crate::terminal::cost_line;
use crate::units::{money, seconds};
use xml::{attribute, text};

/// What became of a test case.
enum Came {
    /// It passed, and this is worth knowing.
    Passed(String),
    Failed(String),
    Skipped(String),
}

/// A test case.
struct Case {
    name: String,
    came: Came,
}

/// A trial as JUnit XML, in UTF-8.
pub fn junit(trial: &Trial) -> Vec<u8> {
    let suites = suites(trial);
    let all = || suites.iter().flat_map(|(_, cases)| cases);
    let (counts, time) = (counts(all()), whole_time(trial));
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let called = attribute(&format!("sortie trial: {}", name(trial)));
    writeln!(xml, "<testsuites name=\"{called}\" {counts} time=\"{time}\">").unwrap_or_default();
    for (n, (kind, cases)) in suites.iter().enumerate() {
        // The time is the trial's, and CI systems add up the suites.
        let time = if n == 0 { time.as_str() } else { "0" };
        suite(trial, kind, cases, time, n == 0, &mut xml);
    }
    xml.push_str("</testsuites>\n");
    xml.into_bytes()
}

/// The test cases by their kind; a kind without any is left out.
fn suites(trial: &Trial) -> Vec<(&'static str, Vec<Case>)> {
    let points: Vec<Case> = trial.checklist.iter().map(point).collect();
    let faults: Vec<Case> = trial.faults.iter().map(fault).collect();
    let mut criteria: Vec<Case> = trial.criteria.iter().map(criterion).collect();
    let has_failed = |cases: &[Case]| cases.iter().any(|case| matches!(case.came, Came::Failed(_)));
    let is_told = [&criteria, &points, &faults].iter().any(|cases| has_failed(cases));
    if trial.verdict == Verdict::Fail && !is_told {
        // What failed without a criterion has to fail in CI too.
        criteria.push(Case { name: "verdict".to_owned(), came: Came::Failed(reason(trial)) });
    }
    let suites = [("criteria", criteria), ("checklist", points), ("faults", faults)];
    suites.into_iter().filter(|(_, cases)| !cases.is_empty()).collect()
}

/// Seconds that all its runs took; those of the simulator beside it take none of anybody's.
fn whole_time(trial: &Trial) -> String {
    let made = trial.runs.iter().filter(|run| !run.rehearsal);
    let runs = made.fold(Duration::ZERO, |sum, run| sum.saturating_add(run.total_duration));
    seconds(runs.max(trial.summary.total_duration)).to_string()
}

/// `tests="7" failures="1" errors="0" skipped="2"`.
fn counts<'a>(cases: impl Iterator<Item = &'a Case>) -> String {
    let (mut tests, mut failures, mut skipped) = (0, 0, 0);
    for case in cases {
        tests += 1;
        match case.came {
            Came::Failed(_) => failures += 1,
            Came::Skipped(_) => skipped += 1,
            Came::Passed(_) => {}
        }
    }
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\"")
}

fn suite(trial: &Trial, kind: &str, cases: &[Case], time: &str, is_first: bool, xml: &mut String) {
    let at = attribute(&trial.started_at);
    let counts = counts(cases.iter());
    let _ = writeln!(xml, "  <testsuite name=\"{kind}\" {counts} time=\"{time}\" timestamp=\"{at}\">");
    if is_first {
        properties(trial, xml);
    }
    let class = attribute(&format!("sortie.trial.{}.{kind}", trial.test_type));
    for case in cases {
        let name = attribute(&case.name);
        let _ = write!(xml, "    <testcase classname=\"{class}\" name=\"{name}\" time=\"0\">");
        match &case.came {
            Came::Passed(said) => {
                let _ = write!(xml, "<system-out>{}</system-out>", text(said));
            }
            Came::Failed(why) => {
                let (line, why) = (attribute(why), text(why));
                let _ = write!(xml, "<failure message=\"{line}\" type=\"{kind}\">{why}</failure>");
            }
            Came::Skipped(why) => {
                let _ = write!(xml, "<skipped message=\"{}\"/>", attribute(why));
            }
        }
        xml.push_str("</testcase>\n");
    }
    if is_first {
        let said = format!("{}: {}\n{}", trial.verdict, reason(trial), cost_line(&trial.summary));
        let _ = writeln!(xml, "    <system-out>{}</system-out>", text(&said));
    }
    xml.push_str("  </testsuite>\n");
}

fn properties(trial: &Trial, xml: &mut String) {
    let summary = &trial.summary;
    let properties = [
        ("run_id", summary.run_id.clone()),
        ("test_type", trial.test_type.clone()),
        ("phase", trial.phase.map_or_else(String::new, |phase| phase.to_string())),
        ("about", about(trial).unwrap_or_default().to_owned()),
        ("endpoint", trial.endpoint.clone()),
        ("agents", trial.agents.join(", ")),
        ("simulated", summary.simulated.to_string()),
        ("max_concurrent", trial.max_concurrent.to_string()),
        ("total_tasks", summary.total_tasks.to_string()),
        ("successful_tasks", summary.successful_tasks.to_string()),
        ("total_cost", summary.total_cost.exact(2)),
        ("trial_cost", trial.trial_cost.exact(2)),
        ("verdict", trial.verdict.to_string()),
    ];
    xml.push_str("    <properties>\n");
    for (name, value) in properties.into_iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(xml, "      <property name=\"{name}\" value=\"{}\"/>", attribute(&value));
    }
    xml.push_str("    </properties>\n");
}

fn criterion(of: &Criterion) -> Case {
    let mut said = of.why.clone();
    if of.value.is_some() {
        said = format!("measured {}, required {}: {said}", measured(of), required(of));
    }
    let came = match of.met {
        Some(true) => Came::Passed(said),
        Some(false) => Came::Failed(said),
        None => Came::Skipped(format!("not applicable: {}", of.why)),
    };
    Case { name: title(&of.name), came }
}

fn point(of: &Point) -> Case {
    let hint = of.hint.as_ref().map_or_else(String::new, |hint| format!(" (hint: {hint})"));
    let came = match of.state {
        PointState::Ok => Came::Passed(of.found.clone()),
        PointState::Warning => Came::Passed(format!("warning: {}{hint}", of.found)),
        PointState::Missing => Came::Failed(format!("{}{hint}", of.found)),
    };
    Case { name: of.what.clone(), came }
}

fn fault(of: &Faulted) -> Case {
    let cost = of.cost.map_or_else(|| "unknown".to_owned(), money);
    let said = format!("{} of {} tasks that met it succeeded in the end, for {cost}", of.recovered, of.tasks);
    let came = match (of.tasks, of.as_it_should()) {
        (0, _) if of.calls > 0 => Came::Passed(format!("{} calls met it, {}", of.calls, came(of))),
        (0, _) => Came::Skipped(came(of).to_owned()),
        (_, true) if of.should_recover.is_none() => Came::Passed(format!("{said}: {}", came(of))),
        (_, true) => Came::Passed(said),
        (_, false) => Came::Failed(format!("{said}: {}", came(of))),
    };
    Case { name: of.fault.clone(), came }
}

#[cfg(test)]
mod tests;
