//! Forecasts come true: random plans in the founding document's world, forecast and then run.
//!
//! What a forecast knows differs: the simulator's own laws, as before a simulated run; the calls of runs
//! that went before, as before a run over HTTP; nothing but the documented defaults.

use std::time::Duration;

use sortie_core::chance::Chance;
use sortie_core::forecast::{Forecast, History, Laws, forecast};
use sortie_core::hash::Hash;
use sortie_core::money::Usd;
use sortie_core::plan::written::TaskFile;
use sortie_engine::store::Header;
use sortie_engine::store::memory::MemoryStore;
use sortie_sim::Scenario;

use super::draw::{Draw, header};
use super::world::{Hardship, Lived, live};
use super::{again, seeds};
use crate::foresight::Foresight;

/// Random plans that are forecast and run.
const PLANS: u64 = 50;

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
                    prompt.push_str(&format!(" {{{{ results.{} }}}}", on[0]));
                }
            }
            TaskFile {
                id: format!("t{index}"),
                prompt,
                task_type: Some(chance.pick(&["general", "analysis", "coding"]).to_owned()),
                depends_on: Some(on),
                max_tokens: chance.percent(30).then(|| [200, 500, 1000, 4000][chance.below(4) as usize]),
                ..TaskFile::default()
            }
        })
        .collect()
}

fn planned(config: &str, seed: u64) -> Header {
    header(config, tasks(seed), Scenario::text_of("seed").unwrap(), seed)
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
#[expect(clippy::print_stdout, reason = "shown with --nocapture: the figures")]
async fn check(test: &str, config: &str, times_right: f64, foresee: impl AsyncFn(&Header) -> Forecast) {
    let (mut plans, mut right) = (0, 0);
    for seed in seeds(PLANS) {
        let header = planned(config, seed);
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
    Foresight::of(header, None::<&MemoryStore>).await.unwrap().forecast
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
