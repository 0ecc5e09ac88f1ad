//! Forecasts come true: random plans in the founding document's world, forecast and then run.
//!
//! What a forecast knows differs: the simulator's own laws, as before a simulated run; the calls of runs
//! that went before, as before a run over HTTP; nothing but the documented defaults.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use sortie_core::chance::Chance;
use sortie_core::forecast::{Forecast, History, Laws, Scheduled, forecast};
use sortie_core::hash::Hash;
use sortie_core::money::Usd;
use sortie_core::plan::written::TaskFile;
use sortie_core::run::event::{AttemptId, Event, Record};
use sortie_engine::store::Header;
use sortie_engine::store::memory::MemoryStore;
use sortie_sim::Scenario;

use super::draw::{Draw, header};
use super::world::{Hardship, Lived, live};
use super::{again, seeds};
use crate::foresight::{Foresight, Past};

/// Random plans that are forecast and run.
const PLANS: u64 = 50;

/// Random plans that state all times.
const TIMED: u64 = 50;

/// Of how many of a hundred plans the time has to come out between its 5th and its 95th percentile.
const TIMES_RIGHT: f64 = 80.0;

/// The rate that the world allows, stated.
const RATE: &str = "agents: { claude: {} }
rate_limiting: { requests_per_minute: 50, max_concurrent: 10 }";

/// Nothing stated: calls meet the world's refusals.
const NO_RATE: &str = "agents: { claude: {} }";

/// Up to sixty tasks, each using some of those before it.
fn tasks(seed: u64) -> Vec<TaskFile> {
    let chance = &mut Chance::new(seed, &Hash::of(b"forecast"), "plan");
    (0..chance.range(1, 60))
        .map(|index| {
            let mut prompt = format!("Do a thing about {}", "word ".repeat(chance.range(1, 200) as usize));
            let mut on = Vec::new();
            if index > 0 && chance.percent(60) {
                let count = chance.range(1, 3);
                on = (0..count).map(|_| format!("t{}", chance.below(index))).collect();
                on.sort_unstable();
                on.dedup();
                if chance.percent(50) {
                    let _ = write!(prompt, " {{{{ results.{} }}}}", on[0]);
                }
            }
            TaskFile {
                id: format!("t{index}"),
                prompt,
                task_type: Some(chance.pick(&["general", "analysis", "coding"]).to_owned()),
                depends_on: Some(on.into_iter().map(Into::into).collect()),
                max_tokens: chance.percent(30).then(|| [200, 500, 1000, 4000][chance.below(4) as usize]),
                ..TaskFile::default()
            }
        })
        .collect()
}

/// The founding document's world behind a server that answers three at a time, the slower the more.
const SERVER: &str = "server: { slots: 3, slowdown: [1.0, 1.3, 1.6] }";

fn planned(config: &str, seed: u64) -> Header {
    header(config, tasks(seed), Scenario::text_of("seed").unwrap(), seed)
}

/// The same behind the server.
fn behind_a_server(config: &str, seed: u64) -> Header {
    let scenario = format!("{}\n{SERVER}\n", Scenario::text_of("seed").unwrap());
    header(config, tasks(seed), &scenario, seed)
}

async fn ran(header: Header) -> Result<Lived, String> {
    live(header, Hardship::default(), &mut Chance::new(0, &Hash::of(b"forecast"), "life")).await
}

/// How a forecast came out.
struct Graded {
    cost: (Usd, Usd, Usd),
    time: (Duration, Duration, Duration),
}

impl Graded {
    fn of(forecast: &Forecast, lived: &Lived) -> Self {
        let cost = lived.fold.report(lived.fold.last_time()).summary.total_cost;
        let spread = forecast.makespan;
        Graded {
            cost: (forecast.cost.low, cost, forecast.cost.worst),
            time: (spread.p5, lived.took(), spread.p95),
        }
    }
}

/// Grades a way of forecasting over all plans: all costs within their range, and so many of a hundred
/// times.
async fn check(test: &str, config: &str, times_right: f64, foresee: impl AsyncFn(&Header) -> Forecast) {
    check_of(test, |seed| planned(config, seed), times_right, foresee).await;
}

#[expect(clippy::print_stdout, reason = "shown with --nocapture: the figures")]
async fn check_of(
    test: &str,
    planned: impl Fn(u64) -> Header,
    times_right: f64,
    foresee: impl AsyncFn(&Header) -> Forecast,
) {
    let (mut plans, mut right) = (0, 0);
    for seed in seeds(PLANS) {
        let header = planned(seed);
        let forecast = foresee(&header).await;
        let lived = ran(header).await;
        let lived = lived.unwrap_or_else(|why| panic!("seed {seed}: {why}\n  {}", again(seed, test)));
        let Graded { cost: (low, cost, worst), time: (p5, took, p95) } = Graded::of(&forecast, &lived);
        assert!(
            low <= cost && cost <= worst,
            "seed {seed}: ${cost} not in ${low}–${worst}\n  {}",
            again(seed, test)
        );
        plans += 1;
        if p5 <= took && took <= p95 {
            right += 1;
        } else {
            println!("  plan {seed} of {} tasks: {took:?} not in {p5:?}–{p95:?}", forecast.tasks);
        }
    }
    let share = 100.0 * f64::from(right) / f64::from(plans);
    println!("{test}: {plans} plans, all costs within their range, {right} times within p5–p95");
    assert!(share >= times_right, "{share} % of the times came out within p5–p95");
}

async fn by_the_simulator(header: &Header) -> Forecast {
    Foresight::of(header, Past::<MemoryStore>::nothing()).await.unwrap().forecast
}

/// When each task of a run started and ended, from the run's start on, in the order of a forecast's
/// schedule.
fn schedule(lived: &Lived) -> Vec<Scheduled> {
    let began = lived.records[0].at;
    let mut starts = BTreeMap::new();
    let mut schedule = Vec::new();
    for Record { at, event, .. } in &lived.records {
        match event {
            Event::AttemptStarted { attempt, .. } => {
                starts.insert(attempt.task, at.since(began));
            }
            Event::AttemptSucceeded { attempt: AttemptId { task, .. }, .. } => {
                schedule.push(Scheduled { task: *task, start: starts[task], end: at.since(began) });
            }
            _ => {}
        }
    }
    schedule.sort_by_key(|task| (task.start, task.end, task.task));
    schedule
}

/// A plan that states how long each of its tasks takes, to the millisecond, and tells the simulator.
fn timed(seed: u64) -> Header {
    let chance = &mut Chance::new(seed, &Hash::of(b"forecast"), "times");
    let mut tasks = tasks(seed);
    for task in &mut tasks {
        let seconds = chance.below(9_000) as f64 / 1000.0;
        task.expected_seconds = Some(seconds);
        task.priority = chance.percent(20).then_some(1);
        let _ = write!(task.prompt, " [[sim latency={seconds}]]");
    }
    let mut config =
        format!("agents: {{ claude: {{}} }}\nrate_limiting: {{ max_concurrent: {}", chance.range(1, 12));
    if chance.percent(50) {
        let burst = chance.range(1, 3);
        let _ = write!(config, ", requests_per_minute: {}, requests_burst: {burst}", chance.range(10, 300));
    }
    header(&(config + " }"), tasks, Scenario::text_of("calm").unwrap(), seed)
}

#[tokio::test]
async fn a_schedule_of_stated_times_is_the_run_s_to_the_microsecond() {
    for seed in seeds(TIMED) {
        let header = timed(seed);
        let foreseen = by_the_simulator(&header).await.schedule;
        let lived = ran(header).await.unwrap();
        assert_eq!(
            foreseen,
            schedule(&lived),
            "seed {seed}\n  {}",
            again(seed, "a_schedule_of_stated_times")
        );
    }
}

#[tokio::test]
async fn forecasts_of_simulated_runs_at_a_stated_rate_come_true() {
    check("at_a_stated_rate", RATE, TIMES_RIGHT, by_the_simulator).await;
}

#[tokio::test]
async fn forecasts_of_simulated_runs_that_meet_the_provider_s_refusals_come_true() {
    check("that_meet_the_provider_s_refusals", NO_RATE, TIMES_RIGHT, by_the_simulator).await;
}

#[tokio::test]
async fn forecasts_of_simulated_runs_behind_a_server_with_slots_come_true() {
    let planned = |seed| behind_a_server(RATE, seed);
    check_of("behind_a_server_with_slots", planned, TIMES_RIGHT, by_the_simulator).await;
}

#[tokio::test]
async fn forecasts_from_the_calls_of_past_runs_come_true() {
    // Other plans than are forecast.
    let mut history = History::default();
    for seed in 1_000..1_010 {
        let header = planned(RATE, seed);
        let plan = header.plan.clone();
        let lived = ran(header).await.unwrap();
        history.add(&plan, &lived.records, |id| Some(plan.agent(id).model.clone()));
    }
    let by_history = async |header: &Header| {
        let laws = Laws::new(&header.plan, |id| history.of(&header.plan.agent(id).model));
        forecast(&header.plan, &header.settings, &laws, header.settings.seed)
    };
    check("from_the_calls_of_past_runs", RATE, TIMES_RIGHT, by_history).await;
}

#[tokio::test]
async fn costs_by_the_documented_defaults_alone_come_out_within_their_range() {
    let cold = async |header: &Header| {
        let laws = Laws::new(&header.plan, |_| None);
        forecast(&header.plan, &header.settings, &laws, header.settings.seed)
    };
    check("by_the_documented_defaults_alone", RATE, 0.0, cold).await;
}

/// A scenario that fails from a second on fails so for the run, and not in what is asked of it before.
#[tokio::test]
async fn what_a_scenario_has_later_is_no_law_of_its_calls() {
    let calm = include_str!("../../../sim/scenarios/calm.yaml");
    let of = |faults: &str| header(NO_RATE, tasks(1), &format!("{calm}\nfaults: [{faults}]\n"), 1);
    let (well, ill) = (of(""), of("{ kind: 529, share: 1, from_s: 10 }"));
    assert_eq!(by_the_simulator(&ill).await.makespan, by_the_simulator(&well).await.makespan);
}
