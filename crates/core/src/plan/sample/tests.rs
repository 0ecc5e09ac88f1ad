//! Samples of random plans are what they are said to be.

use std::collections::{BTreeMap, HashMap};

use super::*;
use crate::agent::Agent;
use crate::plan::When;
use crate::plan::check::{Routing, check};
use crate::plan::written::{DependencyFile, EdgeFile, PlanFile, TaskFile};
use crate::testing::agent;

const CASES: u64 = 600;

fn routing() -> Routing {
    let agents = ["claude", "openai", "local"];
    Routing {
        agents: agents.map(|name| Agent { name: name.into(), ..agent() }).to_vec(),
        disabled: Vec::new(),
        routes: BTreeMap::new(),
        default_agent: Some("claude".into()),
        least_max_tokens: BTreeMap::new(),
    }
}

fn task(id: impl Into<String>, task_type: &str, depends_on: &[&str]) -> TaskFile {
    let depends_on = depends_on.iter().map(|on| DependencyFile::Task((*on).to_owned())).collect();
    let id = id.into();
    TaskFile {
        prompt: format!("do {id}"),
        id,
        task_type: Some(task_type.into()),
        depends_on: Some(depends_on),
        ..TaskFile::default()
    }
}

fn plan(tasks: Vec<TaskFile>) -> Checked {
    check(PlanFile { tasks, ..PlanFile::default() }, &routing()).unwrap()
}

/// Up to 60 tasks in any order of writing; some insert what they depend on, some ask the same.
fn random(seed: u64) -> Checked {
    let chance = &mut Chance::new(seed, &Hash::of(b"plan"), "test");
    let len = 1 + chance.below(60) as usize;
    let (types, reach) = (1 + chance.below(6), 1 + chance.below(12));
    let mut tasks: Vec<TaskFile> = Vec::new();
    for index in 0..len {
        let on: Vec<usize> = match chance.below(3) {
            0 => Vec::new(),
            _ => (0..chance.below(4))
                .filter_map(|_| index.checked_sub(1 + chance.below(reach) as usize))
                .collect(),
        };
        let on: BTreeSet<String> = on.into_iter().map(|on| format!("t{on}")).collect();
        let mut one = task(format!("t{index}"), &format!("type {}", chance.below(types)), &[]);
        one.agent = Some(routing().agents[chance.below(3) as usize].name.clone());
        one.dedupe = Some(chance.below(4) == 0);
        one.prompt = if one.dedupe == Some(true) { "the same".into() } else { format!("do {index}") };
        for id in on.iter().filter(|_| chance.below(2) == 0) {
            one.prompt = format!("{} with {{{{ results.{id} }}}}", one.prompt);
        }
        let when = |on| match chance.below(4) {
            0 => DependencyFile::Edge(EdgeFile { task: on, when: Some(When::Finished) }),
            _ => DependencyFile::Task(on),
        };
        one.depends_on = Some(on.into_iter().map(when).collect());
        tasks.push(one);
    }
    for end in (1..len).rev() {
        tasks.swap(end, chance.below(end as u64 + 1) as usize);
    }
    plan(tasks)
}

/// Each random plan with a number of tasks and a seed for its sample.
fn cases(check: impl Fn(&Checked, usize, u64)) {
    for case in 0..CASES {
        let whole = random(case);
        let count =
            Chance::new(case, &Hash::of(b"count"), "test").below(whole.plan.len() as u64 + 3) as usize;
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&whole, count, case)));
        assert!(checked.is_ok(), "case {case}: {count} of {} tasks", whole.plan.len());
    }
}

/// What a task waits for, by name.
fn waits_for(plan: &Plan, id: TaskId) -> Vec<String> {
    let task = plan.task(id);
    let same = task.same_as.map(|same| format!("same as {}", plan.task(same).name));
    task.depends_on.iter().map(|on| on.named(&plan.task(on.task).name)).chain(same).collect()
}

#[test]
fn a_task_is_taken_with_all_that_it_depends_on_and_stays_what_it_is() {
    cases(|whole, count, seed| {
        let Sample { checked, places, .. } = sample(whole, count, seed);
        assert_eq!(checked.prompts.len(), places.len());
        for (id, &place) in checked.plan.ids().zip(&places) {
            let (now, before) = (checked.plan.task(id), whole.plan.task(place));
            assert_eq!(waits_for(&checked.plan, id), waits_for(&whole.plan, place));
            assert_eq!((&now.name, now.agent, now.timeout), (&before.name, before.agent, before.timeout));
        }
    });
}

#[test]
fn it_has_as_many_tasks_as_were_asked_for_in_the_order_of_the_plan() {
    cases(|whole, count, seed| {
        let sample = sample(whole, count, seed);
        assert_eq!(sample.checked.plan.len(), count.clamp(1, whole.plan.len()));
        assert!(sample.places.is_sorted_by(|one, next| one < next), "{:?}", sample.places);
        let larger = Remark::Larger { taken: 1, asked: 0 };
        assert_eq!(sample.remarks.contains(&larger), count == 0);
    });
}

#[test]
fn a_seed_takes_the_same_and_another_something_else() {
    let differ = std::cell::Cell::new(0);
    cases(|whole, count, seed| {
        let taken = |seed| sample(whole, count, seed).places;
        assert_eq!(taken(seed), taken(seed));
        differ.set(differ.get() + u32::from(taken(seed) != taken(seed + 1)));
    });
    assert!(u64::from(differ.get()) > CASES / 2, "{}", differ.get());
}

#[test]
fn its_prompts_are_those_of_the_plan() {
    cases(|whole, count, seed| {
        let Sample { checked, places, .. } = sample(whole, count, seed);
        let results: HashMap<&str, String> =
            whole.plan.tasks().iter().map(|task| (task.name.as_str(), format!("<{}>", task.name))).collect();
        let rendered = |of: &Checked, id: TaskId| {
            let result = |id: TaskId| Some(results[of.plan.task(id).name.as_str()].as_str());
            of.prompts[id.index()].template.render(result).unwrap()
        };
        for (id, &place) in checked.plan.ids().zip(&places) {
            assert_eq!(rendered(&checked, id), rendered(whole, place));
            let lengths = |of: &Checked, id: TaskId| {
                let inserts = &of.plan.task(id).prompt.inserts;
                let names = inserts.iter().map(|(of_id, times)| (of.plan.task(*of_id).name.clone(), *times));
                names.collect::<Vec<_>>()
            };
            assert_eq!(lengths(&checked, id), lengths(whole, place));
        }
    });
}

/// Tasks of the smallest part that has a task, by another way.
fn needs(plan: &Plan, id: TaskId, all: &mut BTreeSet<TaskId>) -> usize {
    if all.insert(id) {
        plan.task(id).depends_on.iter().for_each(|on| {
            needs(plan, on.task, all);
        });
    }
    all.len()
}

#[test]
fn every_type_and_agent_that_there_is_room_for_is_in_it() {
    cases(|whole, count, seed| {
        let plan = &whole.plan;
        let Sample { checked, remarks, .. } = sample(whole, count, seed);
        let mut smallest: BTreeMap<Of<'_>, usize> = BTreeMap::new();
        for id in plan.ids() {
            let needed = needs(plan, id, &mut BTreeSet::new());
            for of in Of::both(plan, id) {
                smallest.entry(of).and_modify(|least| *least = needed.min(*least)).or_insert(needed);
            }
        }
        let has: BTreeSet<Label> = checked
            .plan
            .ids()
            .flat_map(|id| Of::both(&checked.plan, id).map(|of| of.label(&checked.plan)))
            .collect();
        let most = count.max(1);
        let fits = smallest.values().sum::<usize>() <= most;
        for (of, needs) in smallest {
            let what = of.label(plan);
            let told = remarks
                .iter()
                .find(|remark| matches!(remark, Remark::Missing { what: one, .. } if *one == what));
            assert_eq!(has.contains(&what), told.is_none(), "{what}");
            assert!(!fits || told.is_none(), "{what}");
            let needs = (needs <= most).then_some(needs);
            assert!(told.is_none_or(|told| *told == Remark::Missing { what, needs }), "{told:?} {needs:?}");
        }
    });
}

/// How many tasks of each type a sample of a plan has.
fn types(whole: &Checked, count: usize, seed: u64) -> BTreeMap<String, usize> {
    let mut types = BTreeMap::new();
    for task in sample(whole, count, seed).checked.plan.tasks() {
        *types.entry(task.task_type.clone()).or_default() += 1;
    }
    types
}

#[test]
fn types_have_their_shares_of_the_plan() {
    let check = |tasks: Vec<TaskFile>, count: usize, expect: &[(&str, usize)]| {
        let expect = expect.iter().map(|(name, many)| ((*name).to_owned(), *many)).collect();
        let whole = plan(tasks);
        for seed in 0..50 {
            assert_eq!(types(&whole, count, seed), expect, "{count} with seed {seed}");
        }
    };
    let many = |kind: &str, len: usize| -> Vec<TaskFile> {
        (0..len).map(|index| task(format!("{kind}{index}"), kind, &[])).collect()
    };
    check([many("a", 50), many("b", 30), many("c", 20)].concat(), 20, &[("a", 10), ("b", 6), ("c", 4)]);
    check([many("a", 97), many("b", 2), many("c", 1)].concat(), 10, &[("a", 8), ("b", 1), ("c", 1)]);
    // Forty chains of three: what is at their ends brings the others along.
    let chains = (0..40).flat_map(|index| {
        let (a, b) = (format!("a{index}"), format!("b{index}"));
        [task(&*a, "a", &[]), task(&*b, "b", &[&a]), task(format!("c{index}"), "c", &[&b])]
    });
    check(chains.collect(), 10, &[("a", 4), ("b", 3), ("c", 3)]);
    // One that needs all of another type, and does not fit; then it does.
    let all = many("part", 9);
    let ids: Vec<&str> = all.iter().map(|task| task.id.as_str()).collect();
    let gathered = [all.clone(), vec![task("sum", "sum", &ids)], many("other", 10)].concat();
    check(gathered.clone(), 8, &[("part", 4), ("other", 4)]);
    check(gathered, 12, &[("part", 9), ("other", 2), ("sum", 1)]);
    // Of those that would be taken, one that brings along less of what there is enough of.
    let with = |index: usize, parts: usize| {
        let parts: Vec<TaskFile> =
            (0..parts).map(|part| task(format!("a{index}-{part}"), "a", &[])).collect();
        let ids: Vec<&str> = parts.iter().map(|task| task.id.as_str()).collect();
        let sum = task(format!("c{index}"), "c", &ids);
        parts.iter().cloned().chain([sum]).collect::<Vec<_>>()
    };
    let uneven = (0..12).flat_map(|index| with(index, if index < 2 { 9 } else { 1 }));
    check(uneven.chain(many("x", 100)).collect(), 28, &[("a", 6), ("c", 2), ("x", 20)]);
    // Two types rather than one that takes up all the room.
    let mut crowded = [with(0, 2), many("q", 1), many("r", 1)].concat();
    check(crowded.clone(), 3, &[("a", 1), ("q", 1), ("r", 1)]);
    crowded.truncate(3);
    check(crowded, 2, &[("a", 2)]);
}

#[test]
fn what_it_lacks_is_told_in_words() {
    let parts: Vec<TaskFile> = (0..9).map(|index| task(format!("p{index}"), "part", &[])).collect();
    let ids: Vec<&str> = parts.iter().map(|task| task.id.as_str()).collect();
    let whole =
        plan([parts.clone(), vec![task("sum", "sum", &ids)], vec![task("x", "pair", &["p0"])]].concat());
    let told = |count| sample(&whole, count, 1).remarks.iter().map(ToString::to_string).collect::<Vec<_>>();
    let sum = "no task of type `sum` is in the sample: each depends on more than it may have";
    assert_eq!(told(2), [sum]);
    let pair = "no task of type `pair` is in the sample: each depends on more than it may have";
    assert_eq!(told(0), ["the sample has 1 task where 0 were asked for", pair, sum]);
    assert!(told(11).is_empty());
    let apart = plan(vec![task("a", "a", &[]), task("b", "b", &[])]);
    let [missing] = &sample(&apart, 1, 1).remarks[..] else { panic!() };
    assert!(missing.to_string().ends_with("there is no room for the 1 that it takes"), "{missing}");
}

#[test]
fn what_was_taken_out_of_a_plan_is_not_in_its_sample() {
    let tasks = (0..20).map(|index| task(format!("t{index}"), "a", &[])).collect();
    let mut whole = plan(tasks);
    whole.plan = whole.plan.without((0..10).map(TaskId).collect());
    for seed in 0..20 {
        let places = sample(&whole, 5, seed).places;
        assert!(places.len() == 5 && places.iter().all(|id| id.0 >= 10), "{places:?}");
    }
    assert_eq!(sample(&whole, 10, 1).checked.plan, whole.plan);
}

#[test]
fn a_large_tangled_plan_is_sampled_at_once() {
    // A chain of 100,000, each of which also waits for what was ten before.
    let tasks = (0..100_000_usize).map(|index| {
        let on: Vec<String> =
            [1, 10].iter().filter_map(|back| Some(format!("t{}", index.checked_sub(*back)?))).collect();
        let on: Vec<&str> = on.iter().map(String::as_str).collect();
        task(format!("t{index}"), if index < 300 { "early" } else { "late" }, &on)
    });
    let sample = sample(&plan(tasks.collect()), 500, 1);
    assert_eq!((sample.places.len(), sample.remarks.len()), (500, 0));
}
