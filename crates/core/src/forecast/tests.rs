//! Forecasts small enough to be told in a sentence, and forecasts of worlds that are known.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::chance::Chance;
use crate::failure::{Class, Failure};
use crate::hash::Hash;
use crate::plan::PromptSize;
use crate::price::Price;
use crate::run::event::{Answer, AttemptId, Event, Finish, Record, Spent, Timing};
use crate::run::input::{Action, Billing, Mode, Reply};
use crate::testing::{agent, settings, task};
use crate::time::Time;
use crate::usage::{Charge, Cost};

/// A plan whose tasks take the seconds given, and cost $10 a million output tokens.
fn hinted(tasks: &[(&[u32], u64)]) -> Arc<Plan> {
    let task = |(index, (depends_on, seconds)): (usize, &(&[u32], u64))| Task {
        expected: Some(Duration::from_secs(*seconds)),
        ..task(&format!("t{index}"), depends_on, 1000)
    };
    plan(tasks.iter().enumerate().map(task).collect())
}

fn plan(tasks: Vec<Task>) -> Arc<Plan> {
    let price = Price::flat(Usd::from_pico(2_000_000), Usd::from_pico(10_000_000));
    let agent = crate::agent::Agent { pricing: Pricing::Known(price), ..agent() };
    Arc::new(Plan::new("plan".into(), vec![agent], tasks))
}

fn of(plan: &Arc<Plan>, settings: &Settings) -> Forecast {
    forecast(plan, settings, &Laws::new(plan, |_| None), 1)
}

/// The calls of the play in which each is as expected.
fn as_expected(plan: &Arc<Plan>, laws: &Laws) -> Vec<play::PlayedTask> {
    play(&Run::new(Arc::clone(plan), Arc::new(settings())), &Input::Started, laws, None, 1).tasks
}

/// What is scheduled, as (task, start, end) in whole seconds.
fn seconds(forecast: &Forecast) -> Vec<(u32, u64, u64)> {
    let second = |time: Duration| {
        assert_eq!(time.subsec_micros(), 0, "{time:?}");
        time.as_secs()
    };
    forecast.schedule.iter().map(|task| (task.task.0, second(task.start), second(task.end))).collect()
}

#[test]
fn where_all_durations_are_given_the_schedule_is_that_of_a_run_with_them() {
    // SPEC.md B2's figure: 1 → {2, 3, 4}; 2 → 5, 3 → 6, 4 → 7; {5, 6, 7} → 8.
    let figure = hinted(&[
        (&[], 4),
        (&[0], 4),
        (&[0], 5),
        (&[0], 3),
        (&[1], 4),
        (&[2], 4),
        (&[3], 4),
        (&[4, 5, 6], 4),
    ]);
    let wide = of(&figure, &settings());
    let expected =
        [(0, 0, 4), (3, 4, 7), (1, 4, 8), (2, 4, 9), (6, 7, 11), (4, 8, 12), (5, 9, 13), (7, 13, 17)];
    assert_eq!(seconds(&wide), expected);
    assert_eq!((wide.lower_bound.as_secs(), wide.binding), (17, Some(Binding::LongestPath)));
    assert!((wide.ceiling.unwrap() - 32.0 / 17.0).abs() < 1e-9);

    let narrow = of(&figure, &Settings { max_concurrent: 2, ..settings() });
    // Of those that are ready the one with the longest path behind it.
    let expected =
        [(0, 0, 4), (1, 4, 8), (2, 4, 9), (3, 8, 11), (4, 9, 13), (5, 11, 15), (6, 13, 17), (7, 17, 21)];
    assert_eq!(seconds(&narrow), expected);

    let serial = of(&figure, &Settings { mode: Mode::Serial, ..settings() });
    assert_eq!(serial.schedule.last().unwrap().end.as_secs(), 32);
}

#[test]
fn a_rate_spaces_the_starts() {
    let mut settings = settings();
    settings.gates[0].requests_per_minute = Some(30);
    let forecast = of(&hinted(&[(&[], 1), (&[], 1), (&[], 1)]), &settings);
    assert_eq!(seconds(&forecast), [(0, 0, 1), (1, 2, 3), (2, 4, 5)]);
    assert_eq!(forecast.binding, Some(Binding::Requests));
}

#[test]
fn the_same_seed_gives_the_same_forecast_and_another_seed_hardly_another() {
    let tasks = (0..40).map(|n| task(&n.to_string(), &[], 1000)).collect();
    let plan = plan(tasks);
    let laws = Laws::new(&plan, |_| None);
    let at = |seed| forecast(&plan, &settings(), &laws, seed);
    assert_eq!(at(1), at(1));
    let (one, other) = (at(1), at(2));
    assert_ne!(one, other);
    let near = |a: Duration, b: Duration| (a.as_secs_f64() / b.as_secs_f64() - 1.0).abs() < 0.05;
    assert!(near(one.makespan.p50, other.makespan.p50), "{:?} {:?}", one.makespan, other.makespan);
    assert!(near(one.makespan.p95, other.makespan.p95), "{:?} {:?}", one.makespan, other.makespan);
}

#[test]
fn costs_are_those_of_the_tokens() {
    let forecast_of = |expected: Option<u32>, max_tokens| {
        let one = Task { expected_output_tokens: expected, ..task("a", &[], max_tokens) };
        of(&plan(vec![one]), &settings())
    };
    let hinted = forecast_of(Some(200), 1000);
    // 42 reserved input tokens at $2 a million, 1,000 output tokens at $10.
    assert_eq!(hinted.cost.worst, Usd::from_pico(42 * 2_000_000 + 1000 * 10_000_000));
    let near = |usd: Usd, tokens: f64| (usd.as_f64() / (tokens * 1e-5) - 1.0).abs() < 0.1;
    assert!(near(hinted.cost.expected, 202.0), "{:?}", hinted.cost);
    assert!(near(forecast_of(None, 4000).cost.expected, 560.0), "500 tokens, and what is not known of them");
    assert!(near(forecast_of(None, 100).cost.expected, 101.0), "max_tokens cuts");
    for forecast in [hinted, forecast_of(None, 4000), forecast_of(None, 1)] {
        let CostRange { low, expected, worst } = forecast.cost;
        assert!(low <= expected && expected <= worst && !low.is_zero(), "{:?}", forecast.cost);
        assert_eq!(forecast.by_task[0].worst, worst);
        let share = forecast.by_agent[&AgentId(0)];
        assert_eq!(share.expected, expected);
        // Tokens and money are of the same plays: the mean of each is rounded.
        let tokens = Usd::from_pico(2_000_000 * share.input_tokens + 10_000_000 * share.output_tokens);
        assert!(near(expected, tokens.as_f64() / 1e-5), "{share:?}");
    }
}

#[test]
fn a_prompt_that_was_counted_is_expected_to_have_what_it_has() {
    let past = |bytes_bound, input_tokens| {
        let mut truth = Truth(Chance::new(1, &Hash::of(b""), "truth"));
        let call = |_| PastCall { bytes_bound, input_tokens, ..truth.call() };
        Calls { answered: (0..20).map(call).collect(), failed: Vec::new() }
    };
    let check = |fixed_tokens, inserts: &[(TaskId, u32)], past: Option<&Calls>, expect: (u64, u64)| {
        let prompt = PromptSize {
            fixed_bytes: 4_000,
            fixed_tokens,
            inserts: inserts.to_vec(),
            ..PromptSize::default()
        };
        let first = Task { expected_output_tokens: Some(100), ..task("first", &[], 1000) };
        let read = Task { prompt, ..task("read", &[0], 1000) };
        let plan = plan(vec![first, read]);
        let read = &as_expected(&plan, &Laws::new(&plan, |_| past))[1];
        assert_eq!((read.input_tokens, read.reserved_input), expect, "{fixed_tokens:?}");
    };
    // A quarter of the bytes and of 32; or what was counted and seven, of it and 32.
    check(None, &[], None, (1_008, 4_032));
    check(Some(900), &[], None, (907, 932));
    // A result of 100 tokens is 400 bytes, which nobody counts.
    check(Some(900), &[(TaskId(0), 1)], None, (1_007, 1_332));
    // What history says of bytes is for what bytes bound.
    let past = past(400, 80);
    check(None, &[], Some(&past), (806, 4_032));
    check(Some(900), &[], Some(&past), (907, 932));
}

#[test]
fn answers_that_max_tokens_ended_are_at_least_as_long_and_not_just_as_long() {
    let call = |output_tokens, is_cut| PastCall {
        output_tokens,
        is_cut,
        took: Duration::from_secs(1),
        ..Truth(Chance::new(1, &Hash::of(b""), "truth")).call()
    };
    let expected = |answered: Vec<PastCall>| {
        let past = Calls { answered, failed: Vec::new() };
        let plan = plan(vec![task("a", &[], 4000)]);
        as_expected(&plan, &Laws::new(&plan, |_| Some(&past)))[0].output_tokens
    };
    let whole = || (0..10).map(|n| call(300 + n % 2 * 200, false));
    assert_eq!(expected(whole().collect()), 400);
    // Cut at 400, an answer would have been like those that are longer.
    assert_eq!(expected(whole().chain((0..10).map(|_| call(400, true))).collect()), 450);
    // Where none is longer, nobody knows; it would have been longer.
    assert_eq!(expected((0..10).map(|_| call(100, true)).collect()), 200);
}

#[test]
fn what_laws_are_drawn_from_is_the_same_in_any_order_of_the_tasks() {
    let typed = |task_type: &str, n| {
        let call = |_| PastCall {
            task_type: task_type.into(),
            ..Truth(Chance::new(1, &Hash::of(b""), "truth")).call()
        };
        (0..n).map(call).collect::<Vec<_>>()
    };
    let past =
        Calls { answered: [typed("a", 10), typed("b", 20), typed("c", 3)].concat(), failed: Vec::new() };
    let basis = |types: &[&str]| {
        let tasks = types.iter().map(|kind| Task { task_type: (*kind).to_owned(), ..task(kind, &[], 10) });
        Laws::new(&plan(tasks.collect()), |_| Some(&past)).basis()[&AgentId(0)]
    };
    assert_eq!((basis(&["a", "b"]), basis(&["b", "a"])), (Basis::History(30), Basis::History(30)));
    assert_eq!(
        (basis(&["a"]), basis(&["c", "a"]), basis(&["a", "c"])),
        (Basis::History(10), Basis::History(33), Basis::History(33))
    );
}

/// Calls of prompts that were counted tell those that are not, and the other way round.
#[test]
fn history_is_told_by_bytes_whether_prompts_were_counted_or_not() {
    let check = |fixed_tokens, reserved| {
        let prompt = PromptSize { fixed_bytes: 400, fixed_tokens, ..PromptSize::default() };
        let plan = plan(vec![Task { prompt, ..task("a", &[], 1000) }]);
        let attempt = AttemptId::new(TaskId(0), 1);
        let answer = Answer {
            output: Hash::of(b""),
            bytes: 4,
            finish: Finish::Stop,
            model: Arc::from("model"),
            request: None,
        };
        let usage = Usage { input: 100, output: 1, ..Usage::default() };
        let spent = Spent { usage: Some(usage), charge: Charge::default() };
        let timing = Timing { first_token: None, total: Duration::from_secs(1) };
        let reserved = Cost { usd: Usd::ZERO, input_tokens: reserved, output_tokens: 1000 };
        let events = [
            Event::AttemptStarted { attempt, reserved, because: None },
            Event::AttemptSucceeded { attempt, answer, spent, timing },
        ];
        let records: Vec<Record> =
            events.into_iter().map(|event| Record { seq: 0, at: Time::ZERO, event }).collect();
        let mut history = History::default();
        history.add(&plan, &records, |_| Some("kind".to_owned()));
        let call = &history.of("kind").unwrap().answered[0];
        assert_eq!((call.bytes_bound, call.input_tokens), (432, 100), "{fixed_tokens:?}");
    };
    check(None, 432);
    check(Some(90), 122);
    // A count above the bytes bounds nothing.
    check(Some(500), 432);
}

#[test]
fn it_says_where_the_budget_stops_the_run() {
    let tasks = (0..20).map(|n| task(&n.to_string(), &[], 1000)).collect();
    let plan = plan(tasks);
    let budget = Usd::from_f64(0.05);
    let stopped = of(&plan, &Settings { budget, ..settings() });
    let stop = stopped.budget_stop.unwrap();
    assert!(stop.share() > 0.9 && (4..=14).contains(&stop.after_tasks), "{stop:?}");
    assert!(stopped.cost.worst <= budget.unwrap(), "{:?}", stopped.cost);
    assert_eq!(of(&plan, &Settings { budget: Usd::from_f64(1.0), ..settings() }).budget_stop, None);
    let warned = of(&plan, &Settings { budget, auto_stop: false, ..settings() });
    assert_eq!((warned.budget_stop, warned.cost.worst > budget.unwrap()), (None, true));
}

#[test]
fn it_says_whose_budget_stops_the_run_and_no_more_is_at_stake_than_the_caps_allow() {
    let usd = |dollars| Usd::from_f64(dollars).unwrap();
    let cheap = plan((0..20).map(|n| task(&n.to_string(), &[], 1000)).collect());
    let capped = |max_cost| {
        let agent = Agent { max_cost, ..cheap.agents()[0].clone() };
        Arc::new(Plan::new("plan".into(), vec![agent], cheap.tasks().to_vec()))
    };
    let agent_s = of(&capped(Some(usd(0.05))), &Settings { budget: Some(usd(1.0)), ..settings() });
    let stop = agent_s.budget_stop.unwrap();
    assert_eq!((stop.agent, stop.budget), (Some(AgentId(0)), usd(0.05)));
    assert_eq!((agent_s.cost.worst, agent_s.by_agent[&AgentId(0)].worst), (usd(0.05), usd(0.05)));
    let run_s = of(&capped(Some(usd(1.0))), &Settings { budget: Some(usd(0.04)), ..settings() });
    let stop = run_s.budget_stop.unwrap();
    assert_eq!((stop.agent, stop.budget, run_s.cost.worst), (None, usd(0.04), usd(0.04)));
    // A task that may cost more than it is allowed to is never sent.
    let tasks = of(&cheap, &Settings { max_cost_per_task: Some(usd(0.001)), ..settings() });
    assert_eq!((tasks.by_task[0].worst, tasks.cost.worst), (Usd::ZERO, Usd::ZERO));
    assert_eq!(tasks.by_agent[&AgentId(0)].tasks, 20);
}

#[test]
fn an_unknown_price_is_told_and_no_budget_is_played_with_it() {
    let known = plan(vec![task("a", &[], 1000)]);
    let agent = Agent { pricing: Pricing::Unknown, max_cost: None, ..known.agents()[0].clone() };
    let unknown = Arc::new(Plan::new("plan".into(), vec![agent], known.tasks().to_vec()));
    let limited = of(&unknown, &Settings { budget: Usd::from_f64(1.0), ..settings() });
    assert_eq!((limited.unpriced, limited.budget_stop), (BTreeMap::from([(AgentId(0), true)]), None));
    assert_eq!(limited.schedule.len(), 1);
    assert_eq!(of(&unknown, &settings()).unpriced, BTreeMap::from([(AgentId(0), false)]));
    assert_eq!(of(&known, &settings()).unpriced, BTreeMap::new());
}

/// Two agents, the second without a price; the first has a budget that holds about four of its tasks.
fn half_priced() -> Arc<Plan> {
    let known = plan((0..20).map(|n| task(&n.to_string(), &[], 1000)).collect());
    let capped = Agent { max_cost: Usd::from_f64(0.05), ..known.agents()[0].clone() };
    let own = Agent { name: "own".into(), pricing: Pricing::Unknown, max_cost: None, ..capped.clone() };
    let other = Task { agent: AgentId(1), ..task("other", &[], 1000) };
    let tasks = known.tasks().iter().cloned().chain([other]).collect();
    Arc::new(Plan::new("plan".into(), vec![capped, own], tasks))
}

#[test]
fn an_unknown_price_hides_no_budget_but_those_that_its_calls_count_against() {
    let plan = half_priced();
    for budget in [None, Usd::from_f64(0.01)] {
        let forecast = of(&plan, &Settings { budget, ..settings() });
        assert_eq!(forecast.unpriced, BTreeMap::from([(AgentId(1), budget.is_some())]));
        assert_eq!(forecast.budget_stop.unwrap().agent, Some(AgentId(0)));
        assert_eq!(Some(forecast.by_agent[&AgentId(0)].worst), Usd::from_f64(0.05));
    }
    // A resume too is refused only for a limit that holds the agent.
    let run = Run::new(Arc::clone(&plan), Arc::new(settings()));
    let laws = Laws::new(&plan, |_| None);
    let of_rest = |run_s: Option<f64>, agents: &[u16]| {
        let agents = agents.iter().map(|&id| (AgentId(id), Usd::from_pico(1))).collect();
        rest(&run, &Budgets { run: run_s.and_then(Usd::from_f64), agents }, &laws, 1)
    };
    let refused = |forecast: &Forecast| forecast.unpriced[&AgentId(1)];
    let raised = of_rest(None, &[0]);
    assert_eq!((refused(&raised), raised.budget_stop.unwrap().after_tasks), (false, 1));
    assert!(refused(&of_rest(None, &[1])) && refused(&of_rest(Some(1.0), &[])));
    assert!(!refused(&of_rest(None, &[])));
}

#[test]
fn where_a_budget_stops_plays_answers_and_time_have_each_their_own_median() {
    let second = Duration::from_secs;
    let plays = vec![(1, second(90)), (2, second(10)), (3, second(20))];
    let stop = budget_stop(&Stops::from([((None, Usd::ZERO), plays)]), 4).unwrap();
    assert_eq!((stop.after_tasks, stop.after), (2, second(20)));
}

#[test]
fn what_is_left_of_a_run_is_forecast_under_the_budgets_that_it_goes_on_with() {
    let plan = plan((0..20).map(|n| task(&n.to_string(), &[], 1000)).collect());
    let bound = Settings { budget: Usd::from_f64(0.05), ..settings() };
    let whole = of(&plan, &bound);
    let mut run = Run::new(Arc::clone(&plan), Arc::new(bound.clone()));
    let mut gates = Gates::new(&bound);
    let at = |seconds: u64| Time::from_micros(seconds * 1_000_000);
    let first = run.step(Input::Started, at(1), &mut gates);
    let calls = first.actions.iter().filter_map(|action| match action {
        Action::Call(attempt) => Some(*attempt),
        _ => None,
    });
    let calls: Vec<AttemptId> = calls.collect();
    for attempt in &calls {
        let answer = Answer {
            output: Hash::of(b""),
            bytes: 4,
            finish: Finish::Stop,
            model: "m".into(),
            request: None,
        };
        let billing = Billing::Reported(Usage { output: 1000, ..Usage::default() });
        let timing = Timing::default();
        let reply = Reply { attempt: *attempt, result: Ok(answer), billing, timing };
        drop(run.step(Input::Replied(reply), at(2), &mut gates));
    }
    assert!(run.outcome().is_some(), "the budget has stopped it");
    let laws = Laws::new(&plan, |_| None);
    let same = rest(&run, &Budgets::default(), &laws, 1);
    // What is left of the budget after four answers for a cent each.
    assert_eq!((same.tasks, same.cost.worst, calls.len()), (16, Usd::from_f64(0.01).unwrap(), 4));
    assert_eq!(same.budget_stop.unwrap().after_tasks, 0);
    let more = Budgets::from(Usd::from_f64(10.0));
    let more = rest(&run, &more, &laws, 1);
    assert_eq!((more.budget_stop, more.schedule.len()), (None, 16));
    assert_eq!(more.schedule[0].start, Duration::ZERO);
    assert!(more.cost.expected < of(&plan, &settings()).cost.expected && more.cost.expected > whole.cost.low);
}

/// A world with laws of its own: seconds by tokens, both lognormal.
struct Truth(Chance);

impl Truth {
    fn call(&mut self) -> PastCall {
        let tokens = (300.0 * (0.4 * self.0.normal()).exp()).round();
        let seconds = (1.0 + tokens / 80.0) * (0.3 * self.0.normal()).exp();
        PastCall {
            task_type: "general".into(),
            bytes_bound: 400,
            input_tokens: 120,
            cache_read: 0,
            output_tokens: tokens as u64,
            is_cut: false,
            output_bytes: 4 * tokens as u64,
            took: Duration::from_secs_f64(seconds),
        }
    }
}

#[test]
fn true_times_lie_in_the_band_and_true_costs_between_low_and_worst() {
    let mut truth = Truth(Chance::new(11, &Hash::of(b""), "truth"));
    let mut within = 0;
    for round in 0..100_u64 {
        let past = Calls { answered: (0..60).map(|_| truth.call()).collect(), failed: Vec::new() };
        // A random plan of up to 24 tasks, each behind up to two before it.
        let mut chance = Chance::new(round, &Hash::of(b""), "plan");
        let count = 4 + chance.below(20) as u32;
        let tasks = (0..count).map(|n| {
            let mut on: Vec<u32> = (0..chance.below(3)).map(|_| chance.below(u64::from(n)) as u32).collect();
            on.sort_unstable();
            on.dedup();
            on.retain(|&on| on < n);
            task(&n.to_string(), &on, 2000)
        });
        let plan = plan(tasks.collect());
        let settings = Settings { max_concurrent: 3, ..settings() };
        let forecast = forecast(&plan, &settings, &Laws::new(&plan, |_| Some(&past)), round);
        // The world's own run: the same machine, with durations and lengths that the world draws.
        let calls: Vec<PastCall> = (0..count).map(|_| truth.call()).collect();
        let tasks = plan.tasks().iter().zip(&calls).map(|(task, call)| Task {
            expected: Some(call.took),
            expected_output_tokens: Some(call.output_tokens as u32),
            ..task.clone()
        });
        let played = of(&self::plan(tasks.collect()), &settings);
        let took = played.schedule.iter().map(|task| task.end).max().unwrap();
        within += u32::from((forecast.makespan.p5..=forecast.makespan.p95).contains(&took));
        let cost: Usd =
            calls.iter().map(|call| Usd::from_pico(120 * 2_000_000 + call.output_tokens * 10_000_000)).sum();
        assert!(
            forecast.cost.low <= cost && cost <= forecast.cost.worst,
            "round {round}: {cost} {:?}",
            forecast.cost
        );
    }
    assert!((84..=97).contains(&within), "{within} of 100 within p5 and p95");
}

#[test]
fn tasks_that_are_bound_to_fail_are_told_with_those_behind_them() {
    let invalid = Some(Box::new(Failure::new(Class::Invalid, "empty")));
    let mean = Usd::from_f64(1e-6);
    let plan = plan(vec![
        Task { max_cost: mean, ..task("a", &[], 1000) },
        task("b", &[0, 3], 1000),
        task("c", &[1], 1000),
        Task { invalid, ..task("d", &[], 1000) },
        task("e", &[], 1000),
    ]);
    let forecast = of(&plan, &settings());
    // 42 reserved input tokens at $2 a million, 1,000 output tokens at $10.
    let needs = Usd::from_pico(42 * 2_000_000 + 1000 * 10_000_000);
    let of_limit = Doom::Limit { needs, limit: mean.unwrap() };
    let (of_limit, behind) = ((TaskId(0), of_limit), |id, of| (TaskId(id), Doom::Behind(TaskId(of))));
    assert_eq!(forecast.doomed, [of_limit, behind(1, 0), behind(2, 1), (TaskId(3), Doom::Invalid)]);
    assert_eq!(forecast.schedule.len(), 1, "no other is played");
}
