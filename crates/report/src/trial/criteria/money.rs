//! Does it cost what it may (SPEC.md K3): the budget, the cost of a task, unexpectedly expensive ones.

use std::collections::BTreeMap;

use sortie_core::money::Usd;
use sortie_core::run::event::Outcome;

use super::{Criteria, Criterion, Evidence, ROUNDING};
use crate::amounts::names;
use crate::summary::whose;
use crate::trial::chance;
use crate::units::{budget_exceeded, count, money};

/// Tasks of a type that make a median to hold one of them against: of fewer, the dearest is half of it itself.
const ENOUGH: usize = 4;

/// K3's criteria, in their order.
pub(super) fn all(evidence: &Evidence, thresholds: &Criteria) -> [Criterion; 3] {
    [budget(evidence), cost_per_task(evidence, thresholds), cost_outlier(evidence, thresholds)]
}

/// Why amounts say nothing, where calls have no price.
fn unpriced(evidence: &Evidence) -> Option<String> {
    let agents = evidence.report.fold.unpriced();
    (!agents.is_empty()).then(|| format!("nobody knows the price of {}", names(agents)))
}

/// Within the budget, what is at risk included, and not stopped by one.
fn budget(evidence: &Evidence) -> Criterion {
    let name = "budget";
    let (cost, at_risk) = evidence.spent;
    let spent = cost + at_risk + evidence.before;
    let figures = |criterion: Criterion| Criterion {
        value: Some(spent.as_f64()),
        threshold: evidence.budget.map(Usd::as_f64),
        ..criterion
    };
    let fold = evidence.report.fold;
    let over = match (evidence.stopped, fold.outcome(), evidence.budget) {
        (Some(stopped), ..) => Some(stopped.to_owned()),
        (None, Some(Outcome::BudgetExceeded { needed, budget, agent }), _) => {
            Some(budget_exceeded(*needed, *budget) + &whose(&fold.run().plan, *agent))
        }
        (None, _, Some(budget)) if spent > budget => Some(budget_exceeded(spent, budget)),
        _ => None,
    };
    if let Some(over) = over {
        return figures(Criterion::of(name, false, over));
    }
    let Some(budget) = evidence.budget else { return Criterion::not_applicable(name, "no budget is set") };
    if let Some(why) = unpriced(evidence) {
        return Criterion { threshold: Some(budget.as_f64()), ..Criterion::not_applicable(name, why) };
    }
    let risk = if at_risk.is_zero() { String::new() } else { format!(", {} of it at risk", money(at_risk)) };
    let before = match evidence.before {
        before if before.is_zero() => String::new(),
        before => format!(", {} of it by the phases before", money(before)),
    };
    figures(Criterion::of(name, true, format!("{} of {}{before}{risk}", money(spent), money(budget))))
}

/// Less than this for a task, in the mean.
fn cost_per_task(evidence: &Evidence, thresholds: &Criteria) -> Criterion {
    let (name, most) = ("cost_per_task", thresholds.max_cost_per_task);
    if let Some(why) = unpriced(evidence) {
        return Criterion::not_applicable(name, why).with(None, most);
    }
    let Some(cost) = evidence.report.summary.cost_per_task else {
        return Criterion::not_applicable(name, "no call came to an end").with(None, most);
    };
    // In whole picodollars, so that the threshold itself is not below it.
    let met = Usd::from_f64(most).is_none_or(|most| cost < most);
    Criterion::of(name, met, format!("{} a task", money(cost))).with(cost.as_f64(), most)
}

/// The tasks of a type that cost anything.
struct Alike<'a> {
    task_type: &'a str,
    costs: Vec<(&'a str, Usd)>,
    median: Usd,
    /// What a task of it may cost at most, times the median.
    most: f64,
}

/// A task beside the others of its type.
struct Beside<'a> {
    task: &'a str,
    cost: Usd,
    alike: &'a Alike<'a>,
}

impl Beside<'_> {
    /// Its cost, times the median of its type.
    fn ratio(&self) -> f64 {
        self.cost.as_f64() / self.alike.median.as_f64()
    }

    /// Its cost, times what it may be.
    fn of_most(&self) -> f64 {
        self.ratio() / self.alike.most
    }

    fn sentence(&self) -> String {
        format!(
            "{} ({}) cost {}, {:.2} times the {} that is the median of its type",
            self.task,
            self.alike.task_type,
            money(self.cost),
            self.ratio(),
            money(self.alike.median)
        )
    }
}

/// The types of task with enough tasks to hold one of them against, each with what one may cost: as `stated`; else
/// what is unexpected of any, or what chance explains of the greatest of all tasks that are held against others.
fn alike<'a>(evidence: &'a Evidence, stated: Option<f64>) -> Vec<Alike<'a>> {
    let mut types: BTreeMap<&str, Vec<(&str, Usd)>> = BTreeMap::new();
    for (_, task, view) in evidence.counting() {
        // What a lost call may have cost is no cost of its task.
        if !view.cost().is_zero() {
            types.entry(&task.task_type).or_default().push((&task.name, view.cost()));
        }
    }
    types.retain(|_, costs| costs.len() >= ENOUGH);
    let all: usize = types.values().map(Vec::len).sum();
    let one = |(task_type, costs): (&'a str, Vec<(&'a str, Usd)>)| {
        let median = median(costs.iter().map(|(_, cost)| *cost).collect());
        let explained = || {
            let spread = chance::spread(costs.iter().map(|(_, cost)| cost.as_f64()).collect());
            chance::greatest(spread, all).max(Criteria::COST_OUTLIER)
        };
        let most = stated.unwrap_or_else(explained);
        Alike { task_type, costs, median, most }
    };
    types.into_iter().map(one).collect()
}

/// No task costs more than so many times the median of its type. The threshold is that of the type of the task that
/// came nearest to its own, or went furthest beyond it.
fn cost_outlier(evidence: &Evidence, thresholds: &Criteria) -> Criterion {
    let (name, stated) = ("cost_outlier", thresholds.max_cost_outlier);
    let usual = stated.unwrap_or(Criteria::COST_OUTLIER);
    if let Some(why) = unpriced(evidence) {
        return Criterion::not_applicable(name, why).with(None, usual);
    }
    let types = alike(evidence, stated);
    let beside: Vec<Beside> = types
        .iter()
        .flat_map(|alike| alike.costs.iter().map(move |(task, cost)| Beside { task, cost: *cost, alike }))
        .collect();
    let Some(greatest) = beside.iter().max_by(|a, b| a.of_most().total_cmp(&b.of_most())) else {
        let why = format!("no type of task has {ENOUGH} tasks that cost anything");
        return Criterion::not_applicable(name, why).with(None, usual);
    };
    let outliers = beside.iter().filter(|of| of.of_most() > 1.0 + ROUNDING).count() as u64;
    let why = match outliers {
        0 => format!("the greatest difference: {}", greatest.sentence()),
        1 => greatest.sentence(),
        n => format!("{} cost too much; most of all {}", count(n, "task"), greatest.sentence()),
    };
    let most = greatest.alike.most;
    let explained = || {
        let all = count(beside.len() as u64, "task");
        format!("; among {all} that differ as those of its type do, chance explains up to {most:.2} times")
    };
    let explained = if most > usual { explained() } else { String::new() };
    Criterion::of(name, outliers == 0, why + &explained).with(greatest.ratio(), most)
}

/// The middle one, or the mean of both in the middle.
fn median(mut costs: Vec<Usd>) -> Usd {
    costs.sort_unstable();
    let at = |index: usize| costs.get(index).copied().unwrap_or_default();
    let n = costs.len();
    if n % 2 == 1 { at(n / 2) } else { (at((n / 2).saturating_sub(1)) + at(n / 2)).shared_by(2) }
}

#[cfg(test)]
mod tests {
    use sortie_core::run::event::Event;

    use super::super::tests::{Given, criterion};
    use super::*;
    use crate::testing::{self, Random, Story, usd};
    use crate::trial::testing::lognormal;

    /// Tasks of one type that cost this.
    fn costing(costs: &[&str]) -> Story {
        let names: Vec<String> = (0..costs.len()).map(|n| format!("t{n}")).collect();
        let tasks: Vec<(&str, &str, &[u32])> =
            names.iter().map(|name| (&**name, "coding", [].as_slice())).collect();
        let mut story = Story::new("costs", &tasks).at(0.0, Event::RunStarted);
        for (n, cost) in (0..).zip(costs) {
            let mut succeeded = testing::succeeded(n, 1, 1.0);
            if let Event::AttemptSucceeded { spent, .. } = &mut succeeded {
                spent.charge.actual = usd(cost);
            }
            story = story.at(0.0, testing::started(n, 1)).at(1.0, succeeded);
        }
        story.at(1.0, testing::ended(Outcome::Completed))
    }

    #[test]
    fn a_budget_holds_what_is_at_risk_too() {
        let mut given = Given::of(&testing::diamond());
        assert_eq!(criterion(&given, "budget").why, "no budget is set");
        given.budget = Some(usd("10"));
        for (at_risk, met) in [("9.977", true), ("9.978", false)] {
            given.spent = (usd("0.023"), usd(at_risk));
            assert_eq!(criterion(&given, "budget").met, Some(met), "{at_risk}");
        }
        let why = criterion(&given, "budget").why;
        assert_eq!(why, "Budget exceeded: $10.001 > $10.000");
    }

    #[test]
    fn what_the_phases_before_have_spent_counts_against_the_budget_of_all() {
        let mut given = Given::of(&testing::diamond());
        (given.budget, given.spent) = (Some(usd("0.50")), (usd("0.20"), Usd::ZERO));
        given.before = usd("0.246");
        let found = criterion(&given, "budget");
        assert_eq!((found.met, found.value), (Some(true), Some(0.446)));
        assert_eq!(found.why, "$0.446 of $0.50, $0.246 of it by the phases before");
        given.before = usd("0.301");
        assert_eq!(criterion(&given, "budget").why, "Budget exceeded: $0.501 > $0.500");
    }

    #[test]
    fn a_run_that_a_budget_stopped_was_not_within_it() {
        let mut given = Given::of(&testing::budget_stop());
        (given.spent, given.budget) = ((usd("0.0138"), Usd::ZERO), Some(usd("0.05")));
        let found = criterion(&given, "budget");
        assert_eq!((found.met, found.why.as_str()), (Some(false), "Budget exceeded: $0.07 > $0.05"));
        let mut given = Given::of(&testing::agent_budget_stop());
        given.budget = Some(usd("10"));
        let why = criterion(&given, "budget").why;
        assert_eq!(why, "Budget exceeded: $0.07 > $0.05 (the budget of agent claude)");
    }

    #[test]
    fn a_part_that_a_budget_stopped_misses_it_whatever_was_spent() {
        let mut given = Given::of(&testing::diamond());
        (given.spent, given.budget) = ((usd("0.13"), Usd::ZERO), Some(usd("0.14")));
        assert_eq!(criterion(&given, "budget").met, Some(true));
        given.stopped = Some("the recovery part was stopped".to_owned());
        let found = criterion(&given, "budget");
        assert_eq!((found.met, found.why.as_str()), (Some(false), "the recovery part was stopped"));
    }

    #[test]
    fn a_task_costs_less_than_its_threshold() {
        for (cost, met) in [("0.099999999999", true), ("0.10", false), ("0.11", false)] {
            let found = criterion(&Given::of(&costing(&[cost])), "cost_per_task");
            assert_eq!(found.met, Some(met), "{cost}");
        }
        assert_eq!(criterion(&Given::of(&Story::pipeline()), "cost_per_task").met, None);
    }

    #[test]
    fn an_outlier_is_past_so_many_times_the_median_of_enough_tasks() {
        let judged = |costs: &[&str]| {
            let mut given = Given::of(&costing(costs));
            given.thresholds.max_cost_outlier = Some(3.0);
            let found = criterion(&given, "cost_outlier");
            assert_eq!(found.threshold, Some(3.0), "what is stated is the threshold");
            (found.met, found.value.map(|value| (value * 1000.0).round() / 1000.0), found.why)
        };
        let brief = |costs: &[&str]| (judged(costs).0, judged(costs).1);
        assert_eq!(brief(&["0.01", "0.01", "0.03"]), (None, None), "too few");
        assert_eq!(brief(&["0.01", "0.01", "0.01", "0.03"]), (Some(true), Some(3.0)));
        assert_eq!(brief(&["0.01", "0.01", "0.01", "0.0301"]), (Some(false), Some(3.01)));
        assert_eq!(brief(&["0.01", "0.02", "0.02", "0.03"]), (Some(true), Some(1.5)));
        let why = judged(&["0.01", "0.01", "0.01", "0.01", "0.01", "0.05", "0.04"]).2;
        assert_eq!(
            why,
            "2 tasks cost too much; most of all t5 (coding) cost $0.05, 5.00 times the $0.01 that is the median of \
             its type"
        );
    }

    /// So many costs around 1 cent whose logarithms have this standard deviation.
    fn drawn(tasks: usize, spread: f64, random: &mut Random) -> Vec<f64> {
        (0..tasks).map(|_| 0.01 * lognormal(spread, random)).collect()
    }

    fn of_costs(costs: &[f64]) -> Criterion {
        let costs: Vec<String> = costs.iter().map(|cost| format!("{cost:.9}")).collect();
        let costs: Vec<&str> = costs.iter().map(String::as_str).collect();
        criterion(&Given::of(&costing(&costs)), "cost_outlier")
    }

    #[test]
    fn where_no_threshold_is_stated_the_greatest_of_many_costs_is_no_outlier_by_chance() {
        let mut random = Random::seeded(3);
        for (tasks, spread) in [(4, 0.5), (20, 0.5), (60, 0.3), (60, 0.6), (200, 0.5)] {
            let trials = (0..50).map(|_| of_costs(&drawn(tasks, spread, &mut random)));
            let missed = trials.filter(|found| found.met == Some(false)).count();
            assert!(missed <= 3, "{tasks} tasks, spread {spread}: {missed} of 50 trials are missed");
        }
    }

    #[test]
    fn where_no_threshold_is_stated_an_outlier_is_found_among_few_and_among_many() {
        let mut random = Random::seeded(4);
        for (tasks, spread) in [(5, 0.3), (20, 0.5), (60, 0.5), (200, 0.5)] {
            let trials = (0..50).map(|_| {
                let mut costs = drawn(tasks, spread, &mut random);
                costs[tasks / 2] = 0.1;
                of_costs(&costs)
            });
            let found = trials.filter(|found| found.met == Some(false)).count();
            assert!(found >= 48, "{tasks} tasks, spread {spread}: it is found in {found} of 50 trials");
        }
    }

    #[test]
    fn a_threshold_that_chance_raises_says_so() {
        let alike = of_costs(&[0.01; 60]);
        assert_eq!((alike.met, alike.threshold), (Some(true), Some(3.0)), "what does not vary has no chance");
        let mut costs: Vec<f64> = (0..60).map(|n| 0.005 * 4_f64.powf(f64::from(n) / 59.0)).collect();
        costs[59] = 0.035;
        let found = of_costs(&costs);
        let (value, most) = (found.value.unwrap(), found.threshold.unwrap());
        assert!(found.met == Some(true) && 3.0 < value && value < most, "{found:?}");
        let explained = format!(
            "among 60 tasks that differ as those of its type do, chance explains up to {most:.2} times"
        );
        assert!(
            found.why.ends_with(&explained) && found.why.contains(&format!("{value:.2} times the")),
            "{}",
            found.why
        );
        costs[59] = 0.2;
        let found = of_costs(&costs);
        assert!(found.met == Some(false) && found.why.ends_with(&explained), "{found:?}");
    }

    #[test]
    fn what_has_no_price_has_no_verdict_on_money() {
        let story = testing::unpriced(costing(&["0.01"; 5]));
        let mut given = Given::of(&story);
        given.budget = Some(usd("1"));
        for name in ["budget", "cost_per_task", "cost_outlier"] {
            let found = criterion(&given, name);
            assert_eq!((found.met, found.why.as_str()), (None, "nobody knows the price of claude"), "{name}");
        }
    }
}
