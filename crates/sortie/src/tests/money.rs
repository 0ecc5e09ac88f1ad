//! No limit of money is ever passed: random runs with up to 256 calls in flight, of five agents at both
//! providers, through retries, throttling, cut streams, stalls, lost replies and crashes.

use std::time::Duration;

use sortie_core::chance::Chance;
use sortie_core::hash::Hash;
use sortie_core::money::Usd;
use sortie_core::run::event::{Event, Outcome};
use sortie_sim::Scenario;
use sortie_sim::fault::Fault;
use sortie_sim::scenario::FaultShare;

use super::draw::{Draw, Drawn};
use super::world::{Hardship, Lived, live};
use super::{again, seeds};

/// Random runs that `cargo test` drives; the whole proof is `SORTIE_RUNS=10000`.
const SHORT: u64 = 300;

fn chance(seed: u64) -> Chance {
    Chance::new(seed, &Hash::of(b"money"), "runs")
}

/// A random run under random limits, whose provider keeps its word.
async fn drive(seed: u64) -> Result<Lived, String> {
    let chance = &mut chance(seed);
    let mut drawn = Drawn::new(chance).limited(chance);
    drawn.has_fallbacks = chance.percent(50);
    let header = drawn.header(seed);
    let hardship = Hardship { crashes: 40, raises: 30, ..Hardship::default() };
    let lived = live(header, hardship, chance).await?;
    let overshoot = lived.books.overshoot()?;
    if !overshoot.is_zero() {
        return Err(format!("the budget was passed by ${overshoot}"));
    }
    if lived.billed != lived.books.billed() {
        return Err(format!("the ledger has ${}, the books ${}", lived.billed, lived.books.billed()));
    }
    let summary = lived.fold.report(lived.fold.last_time()).summary;
    if summary.total_cost + summary.cost.at_risk < lived.billed {
        return Err(format!("the summary tells less than the ${} billed: {:?}", lived.billed, summary.cost));
    }
    Ok(lived)
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "shown with --nocapture: how much was tried")]
async fn no_run_ever_passes_a_limit_of_money() {
    let mut sums = Sums::default();
    for seed in seeds(SHORT) {
        match drive(seed).await {
            Ok(lived) => sums.add(&lived),
            Err(violation) => {
                panic!("seed {seed}: {violation}\n  {}", again(seed, "no_run_ever_passes_a_limit_of_money"))
            }
        }
    }
    println!("{sums}");
    // Proof that something was tried.
    assert!(seeds(SHORT).count() < 300 || sums.has_seen_all(), "{sums:?}");
}

/// The same with a provider that answers at more length than it was asked for, now and then.
async fn drive_lied_to(seed: u64) -> Result<(Lived, Usd), String> {
    let chance = &mut chance(seed);
    let mut drawn = Drawn::new(chance);
    let mut scenario = Scenario::parse(&drawn.scenario).unwrap();
    let share = 0.05 + 0.7 * chance.share();
    scenario.faults.truncate(1);
    scenario.faults.push(FaultShare {
        kind: Fault::Overlong,
        share,
        from_s: None,
        until_s: None,
        provider: None,
    });
    drawn.scenario = scenario.to_text();
    let header = drawn.limited(chance).header(seed);
    let hardship = Hardship { crashes: 20, is_lied_to: true, ..Hardship::default() };
    let lived = live(header, hardship, chance).await?;
    let past = lived.books.overshoot()?;
    let summary = lived.fold.report(lived.fold.last_time()).summary;
    if !past.is_zero() && summary.cost.utilization.is_none_or(|percent| percent <= 100.0) {
        return Err(format!("the budget was passed by ${past} and the summary has {:?}", summary.cost));
    }
    if !past.is_zero() && summary.pending_tasks > 0 && lived.outcome == Outcome::Completed {
        return Err(format!("the budget was passed by ${past} and the run went on"));
    }
    Ok((lived, past))
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "shown with --nocapture: how much was tried")]
async fn a_provider_that_ignores_max_tokens_passes_a_budget_by_what_was_in_flight_at_most() {
    let test = "a_provider_that_ignores_max_tokens";
    let (mut runs, mut past, mut most, mut stopped) = (0, 0, 0.0, 0);
    for seed in seeds(SHORT) {
        let (lived, by) = drive_lied_to(seed)
            .await
            .unwrap_or_else(|violation| panic!("seed {seed}: {violation}\n  {}", again(seed, test)));
        runs += 1;
        if let Some(budget) = lived.books.budget().filter(|_| !by.is_zero()) {
            past += 1;
            stopped += u64::from(matches!(lived.outcome, Outcome::BudgetExceeded { .. }));
            most = f64::max(most, 100.0 * by.as_f64() / budget.as_f64());
        }
    }
    println!("{runs} runs, {past} past their budgets, by {most:.1} % at most, {stopped} stopped there");
    assert!(runs < 300 || (past >= 10 && stopped >= 10), "{past} of {runs} past, {stopped} stopped");
}

/// What was tried, all in all.
#[derive(Debug, Default)]
struct Sums {
    runs: u64,
    calls: usize,
    most_in_flight: usize,
    crashes: u64,
    resumes: u64,
    lost: u64,
    estimated: u64,
    completed: u64,
    stopped: u64,
    over_task_limit: u64,
    over_agent_limit: u64,
    billed: Usd,
    took: Duration,
}

impl Sums {
    fn add(&mut self, lived: &Lived) {
        let count = |is: fn(&Event) -> bool| lived.records.iter().filter(|record| is(&record.event)).count();
        self.runs += 1;
        self.calls += lived.calls;
        self.most_in_flight = self.most_in_flight.max(lived.books.most_in_flight);
        self.crashes += lived.crashes;
        self.resumes += lived.resumes;
        self.lost += lived.books.lost;
        self.estimated += lived.books.estimated;
        self.completed += u64::from(lived.outcome == Outcome::Completed);
        self.stopped += u64::from(matches!(lived.outcome, Outcome::BudgetExceeded { .. }));
        self.over_task_limit += count(|event| matches!(event, Event::TaskFailed { .. })) as u64;
        self.over_agent_limit +=
            count(|event| matches!(event, Event::BudgetReached { agent: Some(_), .. })) as u64;
        self.billed += lived.billed;
        self.took += lived.took();
    }

    fn has_seen_all(&self) -> bool {
        self.most_in_flight >= 200
            && [self.crashes, self.lost, self.estimated, self.completed, self.stopped]
                .into_iter()
                .chain([self.over_task_limit, self.over_agent_limit])
                .all(|count| count >= 10)
    }
}

impl std::fmt::Display for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Sums { runs, calls, most_in_flight, crashes, resumes, lost, estimated, .. } = self;
        let Sums { completed, stopped, over_task_limit, over_agent_limit, billed, took, .. } = self;
        write!(
            f,
            "{runs} runs, {calls} calls, at most {most_in_flight} in flight, {crashes} crashes, {resumes} resumes, \
             {lost} lost, {estimated} estimated; {completed} completed, {stopped} stopped by the budget, \
             {over_agent_limit} agents and {over_task_limit} tasks by their own; ${} billed in {} h; overshoot $0",
            billed.exact(2),
            took.as_secs() / 3600
        )
    }
}
