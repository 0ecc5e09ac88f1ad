//! A budget that is large enough costs no time, and one that is barely large enough still completes.
//!
//! What a run without a budget costs is the least that any budget has to be. Beyond that, a budget that
//! has room for every call in flight at its worst must not be felt at all; one with room for one of them
//! makes calls wait for each other, and never stops the run.

use sortie_core::chance::Chance;
use sortie_core::hash::Hash;
use sortie_core::money::Usd;
use sortie_core::run::event::{Event, Outcome, Then};

use super::draw::Drawn;
use super::world::{Hardship, Lived, live};
use super::{again, seeds};

/// Random plans that `cargo test` tries, each without a budget and with each of these.
const SHORT: u64 = 16;

/// How much longer a run may take with a budget that it has no need to feel.
const UNFELT: f64 = 1.05;

/// Worst cases that a budget has room for beyond what the run costs; the last stands for as many as there
/// are calls in flight.
const ROOMS: [u64; 5] = [1, 2, 4, 16, u64::MAX];

/// A random run in which what a call costs does not depend on when it is made: nothing throttles it (how
/// often such a call is tried again depends on what is under way beside it), and no cache has what another
/// call left there.
fn drawn(seed: u64) -> Drawn {
    let mut drawn = Drawn::new(&mut Chance::new(seed, &Hash::of(b"waiting"), "runs"));
    let lines = drawn.scenario.lines().filter(|line| !line.starts_with("requests_per_minute"));
    drawn.scenario = lines.collect::<Vec<_>>().join("\n").replace("429", "529");
    drawn.timeouts = "{ first_token: 20, idle: 10, total_timeout: 8640000 }";
    for task in drawn.tasks.iter_mut().filter(|task| task.prompt.len() > 500) {
        task.agent = Some("sonnet".to_owned());
    }
    if seed % 2 == 1 {
        // All alike, so that a full set of them reserves about what the budget has room for.
        for task in &mut drawn.tasks {
            (task.agent, task.max_tokens) = (Some("sonnet".to_owned()), Some(2_000));
        }
    }
    drawn
}

async fn run(seed: u64, budget: Option<Usd>) -> Result<Lived, String> {
    let mut drawn = drawn(seed);
    drawn.budget = budget;
    let chance = &mut Chance::new(seed, &Hash::of(b"waiting"), "life");
    let lived = live(drawn.header(seed), Hardship::default(), chance).await?;
    match lived.outcome {
        Outcome::Completed => Ok(lived),
        _ => Err(format!("with a budget of {budget:?} it ended {:?}", lived.outcome)),
    }
}

/// The dearest reservation of a run.
fn dearest(lived: &Lived) -> Usd {
    let reserved = lived.records.iter().filter_map(|record| match &record.event {
        Event::AttemptStarted { reserved, .. } => Some(reserved.usd),
        _ => None,
    });
    reserved.max().unwrap_or_default()
}

/// Whether a provider was taken to be ill: how often a call is tried again then depends on what is under
/// way beside it, and with that what the run costs.
fn met_an_outage(lived: &Lived) -> bool {
    let mut records = lived.records.iter();
    records.any(|record| matches!(&record.event, Event::AttemptFailed { then: Then::AgainAt(_), .. }))
}

/// How much longer a run takes with room for so many worst cases than without a budget, for each room; none
/// where the runs cannot be compared.
async fn ratios(seed: u64) -> Result<Option<Vec<f64>>, String> {
    let free = run(seed, None).await?;
    if met_an_outage(&free) {
        return Ok(None);
    }
    let spent = free.fold.report(free.fold.last_time()).summary.cost;
    let cost = spent.total_cost + spent.at_risk;
    let concurrent = drawn(seed).concurrent;
    let mut ratios = Vec::new();
    for room in ROOMS {
        let budget = cost + dearest(&free).times(room.min(concurrent));
        let bound = run(seed, Some(budget)).await?;
        if met_an_outage(&bound) {
            return Ok(None);
        }
        if free.billed != bound.billed {
            return Err(format!("room for {room}: ${} billed, ${} without", bound.billed, free.billed));
        }
        ratios.push(bound.took().as_secs_f64() / free.took().as_secs_f64().max(1e-6));
    }
    Ok(Some(ratios))
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "shown with --nocapture: the table")]
async fn a_budget_is_not_felt_where_it_need_not_be_and_stops_nothing_that_it_can_pay() {
    let test = "a_budget_is_not_felt";
    let mut all = vec![Vec::new(); ROOMS.len()];
    for seed in seeds(SHORT) {
        let ratios = ratios(seed).await;
        let ratios = ratios.unwrap_or_else(|why| panic!("seed {seed}: {why}\n  {}", again(seed, test)));
        let Some(ratios) = ratios else { continue };
        let unfelt = ratios.last().copied().unwrap_or_default();
        assert!(unfelt <= UNFELT, "seed {seed}: {unfelt} times as long\n  {}", again(seed, test));
        all.iter_mut().zip(ratios).for_each(|(all, ratio)| all.push(ratio));
    }
    assert!(all[0].len() as u64 >= seeds(SHORT).count() as u64 / 2, "too few plans met no outage");
    println!("budget: true cost and room for     plans  completed  times as long: median   95 %    most");
    for (room, mut ratios) in ROOMS.into_iter().zip(all) {
        ratios.sort_by(f64::total_cmp);
        let (count, at) = (ratios.len(), |share: f64| ratios[((ratios.len() - 1) as f64 * share) as usize]);
        let room = if room == u64::MAX { "all in flight".to_owned() } else { format!("{room} in flight") };
        println!("{room:>30} {count:>9} {count:>10} {:>22.3} {:>7.3} {:>7.3}", at(0.5), at(0.95), at(1.0));
    }
}
