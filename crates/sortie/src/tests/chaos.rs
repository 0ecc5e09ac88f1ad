//! Every fault at once, quotas that bind, a budget, and a kill after each hundred tasks: everything that can
//! succeed does, once, and no limit is passed on the way.
//!
//! What can succeed is told by the plan alone, what was delivered and billed by the simulator.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use sortie_core::chance::Chance;
use sortie_core::hash::Hash;
use sortie_core::money::Usd;
use sortie_core::plan::When;
use sortie_core::plan::written::{DependencyFile, EdgeFile, TaskFile};
use sortie_core::run::event::{Event, Outcome, Record, Then};
use sortie_report::fold::Status;

use super::draw::{AGENTS, Draw, Drawn, worst};
use super::world::{Hardship, Lived, live};
use super::{again, number, seeds};

/// Tasks of the run that `cargo test` makes; the whole proof is `SORTIE_RUNS=N`: N runs of [`LONG`] tasks each.
const SHORT: usize = 500;
const LONG: usize = 5_000;

/// So many tasks have ended between a kill and the next.
const KILL_EVERY: u64 = 100;

/// The quota refuses at most this share of all requests.
const REFUSED: f64 = 0.02;

/// How a task has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Succeeded,
    Failed,
    Skipped,
}

/// A task of the trial.
struct Planned {
    on: Vec<(usize, When)>,
    /// Whether every try at it is refused.
    is_refused: bool,
}

/// A random graph: one task in thirty is refused, and of those behind it some run all the same.
fn graph(chance: &mut Chance, tasks: usize) -> Vec<Planned> {
    let planned = |index: usize| {
        let mut on = BTreeMap::new();
        for _ in 0..3 {
            if index > 0 && chance.percent(30) {
                let before = index - 1 - chance.below(index.min(200) as u64) as usize;
                let when = [When::Succeeded, When::Succeeded, When::Finished, When::Any];
                on.insert(before, when[chance.below(4) as usize]);
            }
        }
        Planned { on: on.into_iter().collect(), is_refused: chance.below(30) == 0 }
    };
    (0..tasks).map(planned).collect()
}

/// How each task has to end, whatever happens on the way.
fn ends(graph: &[Planned]) -> Vec<End> {
    let mut ends: Vec<End> = Vec::new();
    for task in graph {
        let is_met = |&(on, when): &(usize, When)| match ends[on] {
            End::Succeeded => true,
            End::Failed => when != When::Succeeded,
            End::Skipped => when == When::Any,
        };
        let end = match task.on.iter().all(is_met) {
            false => End::Skipped,
            true if task.is_refused => End::Failed,
            true => End::Succeeded,
        };
        ends.push(end);
    }
    ends
}

fn written(chance: &mut Chance, index: usize, task: &Planned) -> TaskFile {
    let mut prompt = format!("{}Task {index}.", "words of no weight ".repeat(chance.below(40) as usize));
    for (on, _) in task.on.iter().filter(|(_, when)| *when == When::Succeeded) {
        let _ = write!(prompt, " {{{{ results.t{on} }}}}");
    }
    if task.is_refused {
        // As often as any task may be tried: a refusal that is lost with its process is no refusal yet.
        let _ = write!(prompt, " [[sim fail={}400]]", "400,".repeat(99));
    }
    let edge = |&(on, when): &(usize, When)| {
        DependencyFile::Edge(EdgeFile { task: format!("t{on}"), when: Some(when) })
    };
    TaskFile {
        id: format!("t{index}"),
        prompt,
        depends_on: Some(task.on.iter().map(edge).collect()),
        agent: Some(AGENTS[chance.below(AGENTS.len() as u64) as usize].0.to_owned()),
        max_tokens: Some(chance.range(16, 200) as u32),
        ..TaskFile::default()
    }
}

/// Requests a minute that each model may have: a run takes some five minutes, the outage included.
fn requests_per_minute(tasks: usize) -> u64 {
    tasks as u64 / 15
}

fn scenario(tasks: usize) -> String {
    let rate = requests_per_minute(tasks);
    format!(
        "
name: chaos
latency: {{ total: {{ seconds: {{ uniform: {{ min: 0.2, max: 5 }} }}, first_token: {{ uniform: {{ min: 0.1, max: 1 }} }} }} }}
network_ms: {{ min: 10, max: 300 }}
output_tokens: {{ lognormal: {{ mean: 60, sigma: 0.8, min: 1, max: 400 }} }}
requests_per_minute: {rate}
quotas:
  openai: {{ requests_per_minute: {rate}, tokens_per_minute: {} }}
input_tokens_per_minute: {}
output_tokens_per_minute: {}
faults:
  - {{ kind: 529, share: 0.45, from_s: 60, until_s: 120 }}
  - {{ kind: 503, share: 0.25, from_s: 60, until_s: 120 }}
  - {{ kind: close, share: 0.2, from_s: 60, until_s: 120 }}
  - {{ kind: 429, share: 0.05 }}
  - {{ kind: 500, share: 0.01 }}
  - {{ kind: 529, share: 0.01 }}
  - {{ kind: reset, share: 0.01 }}
  - {{ kind: cut, share: 0.01 }}
  - {{ kind: stall, share: 0.005 }}
",
        rate * 350,
        rate * 350,
        rate * 100
    )
}

/// A run of so many tasks, lived through to its end, and how its tasks have to end.
async fn drive(seed: u64, tasks: usize) -> Result<(Lived, Vec<End>), String> {
    let chance = &mut Chance::new(seed, &Hash::of(b"chaos"), "runs");
    let graph = graph(chance, tasks);
    let mut drawn = Drawn::new(chance);
    drawn.tasks = graph.iter().enumerate().map(|(index, task)| written(chance, index, task)).collect();
    drawn.concurrent = 32;
    let rate = requests_per_minute(tasks);
    drawn.limits = format!("max_retries: 8, initial_delay: 0.5, requests_per_minute: {rate}");
    drawn.timeouts = "{ first_token: 20, idle: 10, total_timeout: 8640000 }";
    drawn.scenario = scenario(tasks);
    // The worst case of each task once; it has to pay for what is lost with a process, too.
    let plan = drawn.header(seed).plan;
    let all: Usd = plan.tasks().iter().map(|task| worst(&plan, task)).sum();
    drawn.budget = Some(all);
    let hardship = Hardship { kill_every: Some(KILL_EVERY), ..Hardship::default() };
    let lived = live(drawn.header(seed), hardship, chance).await?;
    Ok((lived, ends(&graph)))
}

/// Holds what a run came to against what it had to come to.
fn check(lived: &Lived, ends: &[End]) -> Result<(), String> {
    if lived.outcome != Outcome::Completed {
        return Err(format!("it ended {:?}", lived.outcome));
    }
    for (index, end) in ends.iter().enumerate() {
        let status = lived.fold.tasks()[index].status;
        let is_so = match end {
            End::Succeeded => status == Status::Succeeded,
            End::Failed => status == Status::Failed,
            End::Skipped => status == Status::Skipped,
        };
        if !is_so {
            return Err(format!("task t{index} has to be {end:?} and is {status:?}"));
        }
    }
    check_answers(lived)?;
    check_quotas(lived, requests_per_minute(ends.len()))?;
    // Every record was held against the budget when it was written, too.
    let summary = lived.fold.report(lived.fold.last_time()).summary;
    let (told, budget) =
        (summary.total_cost + summary.cost.at_risk, lived.books.budget().unwrap_or_default());
    if lived.billed > told || told > budget || lived.billed != lived.books.billed() {
        return Err(format!("${} billed, ${told} told, of ${budget}: {:?}", lived.billed, summary.cost));
    }
    Ok(())
}

/// Each result is one that the simulator delivered whole, and each that it delivered and that is no result was
/// on its way when a process died.
fn check_answers(lived: &Lived) -> Result<(), String> {
    let (mut answered, mut lost, mut done) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    let mut lost_by_kill: Vec<usize> = Vec::new();
    for record in &lived.records {
        match &record.event {
            Event::RunResumed => lost_by_kill.push(0),
            Event::AttemptSucceeded { attempt, answer, .. } => {
                answered.insert(*attempt, answer.output);
                if !done.insert(attempt.task) {
                    return Err(format!("{:?} was answered twice", attempt.task));
                }
            }
            Event::AttemptLost { attempt, .. } => {
                lost.insert(*attempt);
                *lost_by_kill.last_mut().ok_or("an attempt was lost without a kill")? += 1;
            }
            _ => {}
        }
    }
    for (attempt, served) in &lived.served {
        let entry = served.entry.map(|entry| &lived.model.ledger()[entry]);
        let is_whole = entry.is_some_and(|entry| entry.delivered_whole == Some(true));
        let result = answered.remove(attempt);
        match (&served.result, result) {
            (Ok(text), Some(output)) if is_whole && output == *text => {}
            (_, Some(output)) => return Err(format!("{attempt:?} has {output:?}, delivered was {entry:?}")),
            (_, None) if is_whole && !lost.contains(attempt) => {
                return Err(format!("{attempt:?} was delivered and forgotten: {entry:?}"));
            }
            (_, None) => {}
        }
    }
    if !answered.is_empty() {
        return Err(format!("nobody delivered the answers of {answered:?}"));
    }
    // A task is asked again only for what was in flight when a process died.
    lost_by_kill.resize(lived.deaths.len(), 0); // what had ended with a kill is not resumed
    if lost_by_kill != lived.deaths {
        return Err(format!(
            "{lost_by_kill:?} attempts were lost, {:?} were in flight at kills",
            lived.deaths
        ));
    }
    Ok(())
}

/// In no minute were more requests accepted of a model than its quota and its bucket have, and few were asked for
/// in vain.
fn check_quotas(lived: &Lived, per_minute: u64) -> Result<(), String> {
    let mut arrivals: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for entry in lived.model.ledger() {
        arrivals.entry(&entry.model).or_default().push(Duration::from_micros(entry.arrived_us));
    }
    let most = (per_minute + per_minute.div_ceil(60)) as usize;
    for (model, times) in arrivals {
        let mut minutes = times.windows(most + 1);
        if minutes.any(|minute| minute[most] < minute[0] + Duration::from_secs(60)) {
            return Err(format!("more than {most} requests of {model} were accepted within a minute"));
        }
    }
    let share = over_quota(lived) as f64 / lived.calls as f64;
    if share > REFUSED {
        Err(format!("{:.1} % of all requests were over quota", 100.0 * share))
    } else {
        Ok(())
    }
}

/// Requests that the quota refused: those that a fault refuses say nothing of one.
fn over_quota(lived: &Lived) -> usize {
    let failures = lived.served.values().filter_map(|served| served.result.as_ref().err());
    failures.filter(|failure| failure.http_status == Some(429) && is_of_quota(&failure.message)).count()
}

/// Whether a refusal names the quota that is used up, as the usual one of a fault does not.
fn is_of_quota(message: &str) -> bool {
    message.contains("per minute") || message.contains("Requested ")
}

/// Answers that were delivered whole to processes that were dead by then: what is paid for again.
fn delivered_in_vain(lived: &Lived) -> usize {
    let lost = |record: &Record| match &record.event {
        Event::AttemptLost { attempt, .. } => Some(lived.served.get(attempt)?.entry?),
        _ => None,
    };
    let entries = lived.records.iter().filter_map(lost).map(|entry| &lived.model.ledger()[entry]);
    entries.filter(|entry| entry.delivered_whole == Some(true)).count()
}

/// One line of what was lived through.
fn told(lived: &Lived, ends: &[End]) -> String {
    let count = |end| ends.iter().filter(|one| **one == end).count();
    let failed = |is: fn(&Then) -> bool| {
        let is = |event: &Event| matches!(event, Event::AttemptFailed { then, .. } if is(then));
        lived.records.iter().filter(|record| is(&record.event)).count()
    };
    let stats = lived.model.stats();
    let percent = |part: u64| 100.0 * part as f64 / stats.requests as f64;
    let cost = lived.fold.report(lived.fold.last_time()).summary.cost;
    format!(
        "{} tasks: {} succeeded, {} refused, {} behind them skipped; {} calls, {} retries, {} that did not count; \
         {} kills with {} in flight, {} of them answered in vain; 429: {:.2} %, {:.2} % by quota; ${} billed, ${} told, ${} at \
         risk, of ${}; {} s",
        ends.len(),
        count(End::Succeeded),
        count(End::Failed),
        count(End::Skipped),
        lived.calls,
        failed(|then| matches!(then, Then::RetryAt(_))),
        failed(|then| matches!(then, Then::AgainAt(_))),
        lived.deaths.len(),
        lived.deaths.iter().sum::<usize>(),
        delivered_in_vain(lived),
        percent(stats.throttled),
        percent(over_quota(lived) as u64),
        lived.billed.exact(2),
        cost.total_cost.exact(2),
        cost.at_risk.exact(2),
        lived.books.budget().unwrap_or_default().exact(2),
        lived.took().as_secs()
    )
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "shown with --nocapture: how much was lived through")]
async fn all_that_can_succeed_does_through_every_fault_at_once_and_a_kill_each_hundred_tasks() {
    let tasks = if number("SORTIE_RUNS").is_some() { LONG } else { SHORT };
    for seed in seeds(1) {
        let lived = drive(seed, tasks).await;
        let lived = lived.and_then(|(lived, ends)| check(&lived, &ends).map(|()| (lived, ends)));
        let runs = if tasks == LONG { "with SORTIE_RUNS=1, " } else { "" };
        let (lived, ends) =
            lived.unwrap_or_else(|why| panic!("seed {seed}: {why}\n  {runs}{}", again(seed, "tests::chaos")));
        println!("seed {seed}, {}", told(&lived, &ends));
        // Proof that something was lived through.
        assert!(lived.deaths.len() as u64 >= tasks as u64 / KILL_EVERY - 1);
        assert!(ends.contains(&End::Skipped) && lived.took() > Duration::from_secs(120));
        assert!(delivered_in_vain(&lived) > 0);
    }
}
