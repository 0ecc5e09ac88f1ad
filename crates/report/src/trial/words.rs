//! A trial in words: what it tested, its verdict with the reason, and what its speed was judged by. The texts are
//! not escaped: whoever shows them does that.

use super::figure::{change, measured, required, title};
use super::{Criterion, Drift, Faulted, Measured, PointState, Trial, Verdict};
use crate::bound;
use crate::units::{count, duration, money};

/// Criteria that a sentence names.
const MOST_NAMED: usize = 3;

/// What it is called: `speedup`, `phase 2 (medium)`, `speedup, phase 2 (medium)`.
pub(super) fn name(trial: &Trial) -> String {
    let phase = trial.phase.map(|phase| match phase {
        1 => "phase 1 (small)".to_owned(),
        2 => "phase 2 (medium)".to_owned(),
        3 => "phase 3 (large)".to_owned(),
        other => format!("phase {other}"),
    });
    match phase {
        Some(phase) if trial.test_type == "phase" => phase,
        Some(phase) => format!("{}, {phase}", trial.test_type),
        None => trial.test_type.clone(),
    }
}

/// What such a trial does, in a sentence for somebody who has never seen one.
pub(super) fn about(trial: &Trial) -> Option<&'static str> {
    Some(match (trial.test_type.as_str(), trial.phase) {
        ("phase", Some(1)) => {
            "A few tasks: whether the key is right, calls and scheduling work and results can be read, and a first \
             estimate of the cost."
        }
        ("phase", Some(2)) => {
            "Some dozens of tasks: whether they run side by side, wait for those they depend on, are tried again, and \
             survive a kill of the process."
        }
        ("phase", Some(3)) => {
            "Hundreds of tasks: whether rate limits are handled and speed, errors and memory stay as they are over a \
             long run."
        }
        ("single", _) => "One real call: whether the key works and an answer comes back.",
        ("parallel" | "speedup", _) => {
            "The same tasks twice, one at a time and then side by side: how much faster the second way is."
        }
        ("dependency", _) => "Tasks that need each other's results: whether they run in the right order.",
        ("fault-tolerance", _) => {
            "Tasks and calls that are made to fail: whether the others succeed all the same, and calls are tried again."
        }
        ("mixed" | "scenario-3", _) => {
            "Simple, medium and complex tasks together: whether the complex ones start first."
        }
        ("scenario-1", _) => "Independent tasks side by side: how much faster that is than one at a time.",
        ("scenario-2", _) => {
            "Tasks in layers that depend on each other: how much faster they run side by side."
        }
        ("large-scale", _) => {
            "Many tasks: whether speed, errors and memory stay as they are over a long run."
        }
        ("compare", _) => "The same tasks on the simulator and on the real API, side by side.",
        _ => return None,
    })
}

/// `Passed` or `Failed`.
pub(super) const fn verdict(trial: &Trial) -> &'static str {
    match trial.verdict {
        Verdict::Pass => "Passed",
        Verdict::Fail => "Failed",
    }
}

/// How many criteria were met or missed: `all 7 criteria that apply were met`, `1 of 7 criteria was not met`; none where
/// none was missed and the trial failed all the same.
pub(super) fn tally(trial: &Trial) -> Option<String> {
    let judged = |met| trial.criteria.iter().filter(|criterion| criterion.met == met).count();
    let (met, missed, all_apply) = (judged(Some(true)), judged(Some(false)), judged(None) == 0);
    let apply = if all_apply { "" } else { " that apply" };
    Some(match (trial.verdict, met, missed) {
        (Verdict::Pass, 0, _) => "there was nothing that could be judged".to_owned(),
        (Verdict::Pass, 1, _) if all_apply => "the one criterion was met".to_owned(),
        (Verdict::Pass, 1, _) => "the one criterion that applies was met".to_owned(),
        (Verdict::Pass, ..) => format!("all {met} criteria{apply} were met"),
        (Verdict::Fail, _, 0) => return None,
        (Verdict::Fail, 0, 1) => "the one criterion was not met".to_owned(),
        (Verdict::Fail, _, 1) => format!("1 of {} criteria{apply} was not met", met + 1),
        (Verdict::Fail, ..) => format!("{missed} of {} criteria{apply} were not met", met + missed),
    })
}

/// Why the verdict is what it is, as it follows a colon: the tally, and what was missed.
pub(super) fn reason(trial: &Trial) -> String {
    let Some(tally) = tally(trial) else { return unbegun(trial) };
    if trial.verdict == Verdict::Pass {
        return tally;
    }
    let missed = || trial.criteria.iter().filter(|criterion| criterion.met == Some(false));
    let mut named: Vec<String> = missed().take(MOST_NAMED).map(in_short).collect();
    let more = missed().count().saturating_sub(MOST_NAMED);
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    format!("{tally}: {}", named.join("; "))
}

/// What was missing before it began, where that is not the verdict's reason already.
pub(super) fn unready(trial: &Trial) -> Option<String> {
    tally(trial).filter(|_| trial.verdict == Verdict::Fail)?;
    let point = trial.checklist.iter().find(|point| point.state == PointState::Missing)?;
    let is_said = |criterion: &Criterion| criterion.met == Some(false) && criterion.why == point.found;
    if trial.criteria.iter().any(is_said) {
        return None;
    }
    Some(format!("Before it began, {}: {}", point.what, point.found))
}

/// Why the run that is judged ended before its time, where no criterion that was missed says just that.
pub(super) fn ended_by(trial: &Trial) -> Option<&str> {
    let error = trial.summary.error.as_deref().filter(|_| began(trial))?;
    let is_said =
        trial.criteria.iter().any(|criterion| criterion.met == Some(false) && criterion.why == error);
    (!is_said).then_some(error)
}

/// Whether any of its runs was made.
pub(super) fn began(trial: &Trial) -> bool {
    !trial.runs.is_empty() || trial.summary.api_calls_count > 0
}

/// Why a trial failed of which no criterion was missed: it could not begin.
fn unbegun(trial: &Trial) -> String {
    let missing = trial.checklist.iter().find(|point| point.state == PointState::Missing);
    match (missing, &trial.summary.error) {
        (Some(point), _) => format!("it could not begin, {}: {}", point.what, point.found),
        (None, Some(error)) => error.clone(),
        (None, None) => "it came to no result".to_owned(),
    }
}

/// `success rate 60 % (required: at least 95 %)`.
fn in_short(criterion: &Criterion) -> String {
    let title = title(&criterion.name);
    match criterion.value {
        Some(_) => format!("{title} {} (required: {})", measured(criterion), required(criterion)),
        None if criterion.why.is_empty() => title,
        None => format!("{title} ({})", criterion.why.trim_end_matches('.')),
    }
}

/// Which of speedup and efficiency the speed was judged by, and why (DESIGN.md decision 10); none where it was judged
/// by neither.
pub(super) fn judged_by(trial: &Trial) -> Option<String> {
    let of = |name: &str| trial.criteria.iter().find(|criterion| criterion.name == name);
    let judged = |name: &str| of(name).filter(|criterion| criterion.met.is_some());
    let binding =
        bound::of_summary(&trial.summary).map_or_else(String::new, |by| format!(" (bound by {by})"));
    let ceiling = trial.summary.speedup.ceiling.map(|ceiling| format!("{ceiling:.2}x{binding}"));
    Some(match (judged("speedup"), judged("efficiency"), ceiling) {
        (Some(speedup), None, Some(ceiling)) => format!(
            "The speed is judged by the speedup itself, {}: up to {ceiling} is possible here.",
            required(speedup)
        ),
        (None, Some(efficiency), Some(ceiling)) => {
            let instead = of("speedup").filter(|speedup| speedup.threshold.is_some()).map(required);
            let instead =
                instead.map_or_else(String::new, |required| format!(", and not by a speedup of {required}"));
            format!(
                "The speed is judged by the share of the possible speedup that was reached, {}{instead}: more \
                 than {ceiling} is not possible here.",
                required(efficiency)
            )
        }
        (Some(judged), None, None) | (None, Some(judged), None) => {
            format!("The speed is judged by the {}: {}", title(&judged.name), sentence(&judged.why))
        }
        (Some(_), Some(_), _) | (None, None, _) => return None,
    })
}

/// How long the serial half took, and what of it counts: `3 min 04 s (disturbed: 9 of its calls failed; 34.0 s of
/// answers count)`.
pub(super) fn serially(of: &Measured) -> String {
    let took = duration(of.serial);
    let Some(disturbed) = &of.disturbed else { return took };
    let why = match disturbed.failed_calls {
        0 => "it waited between its calls".to_owned(),
        failed => format!("{failed} of its calls failed"),
    };
    format!("{took} (disturbed: {why}; {} of answers count)", duration(disturbed.answers))
}

/// What changed from the first quarter of a run to its last; none where nothing can be compared. Latencies are compared
/// between tasks of the same kind: the last quarter has other tasks than the first.
pub(super) fn drifted(drift: &Drift) -> Option<String> {
    let [first, .., last] = drift.quarters.as_slice() else { return None };
    let changes: Vec<String> = [
        ("throughput", first.throughput.zip(last.throughput)),
        ("memory", first.memory_mib.zip(last.memory_mib)),
    ]
    .into_iter()
    .filter_map(|(name, pair)| Some(format!("{name} {}", change(pair.filter(|(first, _)| *first > 0.0)?))))
    .collect();
    let all =
        (!changes.is_empty()).then(|| format!("From the first quarter to the last: {}.", changes.join(", ")));
    let alike = drift.latency.map(|latency| {
        // To the side to which it changed.
        let most = if latency.factor < 1.0 { 1.0 / latency.explained } else { latency.explained };
        let most = change((1.0, most));
        let judged = match (latency.is_real(), latency.is_within_chance()) {
            (true, _) => format!("and chance explains no more than {most}"),
            (false, true) => format!("and chance explains up to {most}"),
            (false, false) => "too little to speak of".to_owned(),
        };
        format!("Latency of tasks of the same kind: {}, {judged}.", change((1.0, latency.factor)))
    });
    let parts: Vec<String> = all.into_iter().chain(alike).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// How a fault came out, against how it should.
pub(super) const fn came(of: &Faulted) -> &'static str {
    match (of.tasks, of.should_recover, of.as_it_should()) {
        (0, ..) if of.calls > 0 => "counted by calls, whichever task's",
        (0, ..) => "nothing met it",
        (_, Some(true), true) => "as it should be",
        (_, Some(true), false) => "all should",
        (_, Some(false), true) => "as it should be: it can never be sent",
        (_, Some(false), false) => "none should",
        (_, None, _) if of.recovered > 0 => "the provider answered it",
        (_, None, _) => "the provider refused it",
    }
}

/// The text with a full stop.
pub(super) fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.is_empty() || text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

/// What all runs of a trial came to, where there was more than the one that is judged.
pub(super) fn whole_cost(trial: &Trial) -> Option<String> {
    let beside = trial.runs.iter().filter(|run| run.rehearsal).count() as u64;
    let (runs, at_risk) = (trial.runs.len() as u64 - beside, trial.trial_at_risk);
    if runs < 2 && at_risk.is_zero() {
        return None;
    }
    let at_risk =
        if at_risk.is_zero() { String::new() } else { format!(", and {} at risk besides", money(at_risk)) };
    let beside = if beside == 0 {
        String::new()
    } else {
        format!("; {} of the simulator beside it cost nothing", count(beside, "run"))
    };
    Some(format!("{} in {}{at_risk}{beside}", money(trial.trial_cost), count(runs, "run")))
}
