//! The same tasks on the simulator and on the real API, side by side (SPEC.md M), and the simulator that is
//! fitted to the real one.

use std::path::Path;
use std::time::Duration;

use sortie_core::limit::GateSpec;
use sortie_core::plan::Plan;
use sortie_core::run::event::{AttemptId, Event, Record};
use sortie_core::time::Time;
use sortie_core::usage::Usage;
use sortie_engine::store::Header;
use sortie_report::fold::Fold;
use sortie_report::summary::{Metrics, Summary};
use sortie_report::trial::Comparison;
use sortie_report::trial::comparison::{self, Compared};
use sortie_sim::fit::{Failed, Fitted, Observed, Told, fit_within};

use super::conduct::Conducted;
use super::part::Role;
use super::shelf;
use super::speedup::beside;
use crate::binding::Simulation;
use crate::error::Error;

/// The rows of both sides, where both were made.
pub fn comparison(scenario: &str, parts: &[Conducted]) -> Option<Comparison> {
    let part = |role: Role| Conducted::of_role(parts, role).map(|part| &part.fold);
    let summary = |fold: &Fold| fold.summary(fold.last_time());
    let (simulated, real) = (part(Role::Simulated)?, part(Role::Judged)?);
    // As the criterion has it: halves that did the same work, and no time that something else took.
    let speedup = |serial: Option<&Fold>, parallel: &Fold| {
        let serial = serial.filter(|serial| summary(serial).success && summary(parallel).success)?;
        Some(beside(serial, parallel, Duration::ZERO)?.speedup)
    };
    let speedups = [speedup(part(Role::SimulatedSerial), simulated), speedup(part(Role::Serial), real)];
    let (simulated, real) = (summary(simulated), summary(real));
    let row = |dimension: &str, unit: &str, of: fn(&Summary) -> Option<f64>| Compared {
        dimension: dimension.to_owned(),
        simulated: of(&simulated),
        real: of(&real),
        unit: unit.to_owned(),
    };
    let mut rows = vec![
        row("response time, p50", "s", |summary| Some(summary.metrics.p50_latency?.as_secs_f64())),
        row("response time, p95", "s", |summary| Some(summary.metrics.p95_latency?.as_secs_f64())),
        row("network and first token, p50", "s", |summary| Some(summary.metrics.ttft_p50?.as_secs_f64())),
        row("calls throttled (429)", "calls", |summary| Some(summary.metrics.rate_limit_hits as f64)),
        row("time that tasks waited for limits", "s", |summary| {
            Some(summary.waits.iter().map(|wait| wait.seconds.as_secs_f64()).sum())
        }),
        row("calls that failed", "%", |summary| {
            let calls = summary.api_calls_count as f64;
            (calls > 0.0).then(|| 100.0 * summary.metrics.error_count as f64 / calls)
        }),
        row("tasks that succeeded", "%", |summary| summary.success_rate),
        row("throughput", "tasks/s", |summary| summary.metrics.throughput),
        row("cost per task", "USD", |summary| Some(summary.cost_per_task?.as_f64())),
    ];
    let [simulated, real] = speedups;
    rows.push(Compared { dimension: "speedup".into(), simulated, real, unit: "x".into() });
    Some(Comparison { scenario: scenario.to_owned(), rows, fitted: Vec::new(), scenario_file: None })
}

/// The calls of a run, as the fit takes them: `offset_s` sets its clock among those of other runs.
pub fn observed(header: &Header, records: &[Record], offset_s: f64) -> Vec<Observed> {
    let began = records.first().map_or(Time::ZERO, |record| record.at);
    let mut calls = Calls { plan: &header.plan, began, offset_s, started: Vec::new(), observed: Vec::new() };
    for record in records {
        calls.take(record);
    }
    calls.observed
}

struct Calls<'a> {
    plan: &'a Plan,
    began: Time,
    offset_s: f64,
    started: Vec<(AttemptId, Time)>,
    observed: Vec<Observed>,
}

impl Calls<'_> {
    fn take(&mut self, record: &Record) {
        match &record.event {
            Event::AttemptStarted { attempt, .. } => self.started.push((*attempt, record.at)),
            Event::AttemptSucceeded { attempt, spent, timing, .. } => {
                let times = (timing.first_token.map(|first| first.as_secs_f64()), timing.total.as_secs_f64());
                self.ended(*attempt, times, spent.usage.unwrap_or_default(), None);
            }
            Event::AttemptFailed { attempt, failure, spent, timing, .. } if !failure.class.is_unsent() => {
                let times = (timing.first_token.map(|first| first.as_secs_f64()), timing.total.as_secs_f64());
                let failed = Failed { class: failure.class, status: failure.http_status };
                self.ended(*attempt, times, spent.usage.unwrap_or_default(), Some(failed));
            }
            _ => {}
        }
    }

    fn ended(
        &mut self,
        attempt: AttemptId,
        (first_token_s, total_s): (Option<f64>, f64),
        usage: Usage,
        failed: Option<Failed>,
    ) {
        let Some(place) = self.started.iter().position(|(one, _)| *one == attempt) else { return };
        let (_, at) = self.started.swap_remove(place);
        self.observed.push(Observed {
            provider: self.plan.agent(self.plan.asked(attempt)).provider.clone(),
            started_s: self.offset_s + at.since(self.began).as_secs_f64(),
            first_token_s,
            total_s,
            input_tokens: usage.total_input(),
            output_tokens: usage.output,
            failed,
        });
    }
}

/// Seconds between two runs on the clock of the fit: far enough for none to be in the other's way.
const APART_S: f64 = 3600.0;

/// A scenario that does what the endpoint did in these runs, written to a file. `allowed`: what its replies
/// told of requests.
///
/// # Errors
/// Where there are too few calls, or the file cannot be written.
pub fn fitted(
    name: &str,
    runs: &[(Header, Vec<Record>)],
    allowed: &GateSpec,
    file: &Path,
) -> Result<Fitted, Error> {
    let mut offset_s = 0.0;
    let mut calls = Vec::new();
    for (header, records) in runs {
        let of_run = observed(header, records, offset_s);
        let end = of_run.iter().map(|call| call.started_s + call.total_s).fold(offset_s, f64::max);
        offset_s = end + APART_S;
        calls.extend(of_run);
    }
    let told = |per_minute: u32| Told {
        requests_per_minute: u64::from(per_minute),
        // A whole minute's is what is supposed of a bucket that nobody told of.
        requests_burst: Some(u64::from(allowed.requests_burst))
            .filter(|burst| *burst < u64::from(per_minute)),
    };
    let fitted = fit_within(name, &calls, allowed.requests_per_minute.map(told))?;
    shelf::scenario(&fitted.to_yaml(), file)?;
    Ok(fitted)
}

/// The simulator of a fitted scenario.
pub fn simulation(fitted: &Fitted, seed: u64) -> Simulation {
    Simulation { scenario: fitted.scenario.to_text(), seed }
}

/// What the real server and the fitted simulator did at one width; of several plays of the simulator the median, because
/// each is another draw. None where one of them was not asked at that width.
pub fn at_width(max_concurrent: u32, parts: &[Conducted]) -> Option<comparison::Fitted> {
    let metrics = |part: &Conducted| part.fold.summary(part.fold.last_time()).metrics;
    let real = metrics(parts.iter().find(|part| part.role.is_real() && part.width() == max_concurrent)?);
    let is_play = |part: &&Conducted| matches!(part.role, Role::Fitted(width, _) if width == max_concurrent);
    let plays: Vec<Metrics> = parts.iter().filter(is_play).map(metrics).collect();
    let both = |of: fn(&Metrics) -> Option<f64>| {
        let mut values: Vec<f64> = plays.iter().filter_map(of).collect();
        values.sort_by(f64::total_cmp);
        Some((of(&real)?, *values.get(values.len() / 2)?))
    };
    Some(comparison::Fitted {
        max_concurrent,
        p50_latency: both(|metrics| Some(metrics.p50_latency?.as_secs_f64()))?,
        p95_latency: both(|metrics| Some(metrics.p95_latency?.as_secs_f64()))?,
        throughput: both(|metrics| metrics.throughput)?,
    })
}

/// More than this between the real server and the simulator that was fitted to it is worth a word.
const OFF: f64 = 0.1;

/// Where the fitted simulator does not do what the real server did, in a sentence; none where it does.
pub fn off(fitted: &[comparison::Fitted]) -> Option<String> {
    let is_off = |(real, played): (f64, f64)| real > 0.0 && (played / real - 1.0).abs() > OFF;
    let differs = |row: &&comparison::Fitted| {
        [row.p50_latency, row.p95_latency, row.throughput].into_iter().any(is_off)
    };
    let widths: Vec<String> =
        fitted.iter().filter(differs).map(|row| row.max_concurrent.to_string()).collect();
    (!widths.is_empty()).then(|| {
        format!(
            "the fitted simulator is more than 10 % off at {} at a time: more tasks, or a calmer time, tell more",
            widths.join(", ")
        )
    })
}
