//! What trials consist of, and their tasks.

use std::collections::BTreeSet;

use jiff::civil::Date;
use sortie_core::plan::Plan;
use sortie_core::plan::check::Checked;

use super::design::{Design, Phase, Request, TestType};
use super::part::Role;
use super::tasks;
use crate::config::Config;

fn design(request: &Request) -> Design {
    let config = Config::default_agents(&|_| None, Date::constant(2026, 11, 23)).unwrap();
    Design::of(request, &config.routing()).unwrap()
}

fn roles(design: &Design) -> Vec<String> {
    design.parts.iter().map(|part| part.role.name()).collect()
}

fn judged(design: &Design) -> &Checked {
    &design.parts.iter().find(|part| part.role == Role::Judged).unwrap().checked
}

/// Tasks, and the longest chain of them.
fn shape(plan: &Plan) -> (usize, usize) {
    let second = std::time::Duration::from_secs(1);
    (plan.len(), plan.longest_chain(|_| second).len())
}

#[test]
fn each_test_has_the_tasks_of_the_founding_document() {
    let of = |test_type: TestType, tasks: Option<usize>| {
        let request = Request { test_type: Some(test_type), tasks, ..Request::default() };
        shape(&judged(&design(&request)).plan)
    };
    assert_eq!(of(TestType::Single, None), (1, 1));
    assert_eq!(of(TestType::Parallel, None), (5, 1));
    assert_eq!(of(TestType::Dependency, None), (5, 4));
    assert_eq!(of(TestType::Scenario1, None), (10, 1));
    assert_eq!(of(TestType::Scenario2, None), (20, 5), "twenty in five layers");
    assert_eq!(of(TestType::Scenario2, Some(8)), (8, 4), "the figure");
    assert_eq!(of(TestType::FaultTolerance, Some(3)), (3, 1));
    assert_eq!(of(TestType::LargeScale, Some(200)), (200, 1));
    for name in TestType::names() {
        let test_type = TestType::named(name).unwrap();
        assert_eq!(test_type.name(), name);
        for tasks in [1, 2, 3, 7, 20] {
            let design =
                design(&Request { test_type: Some(test_type), tasks: Some(tasks), ..Request::default() });
            let (made, notes) = (judged(&design).plan.len(), design.notes.join("; "));
            assert_eq!(notes.contains(&format!("not {tasks}")), made != tasks, "{name} of {tasks}: {notes}");
            let takes_any = !matches!(test_type, TestType::Single | TestType::Dependency);
            let least = if test_type == TestType::FaultTolerance { 2 } else { 1 };
            assert!(!takes_any || made == tasks.max(least), "{name} of {tasks}");
        }
    }
}

#[test]
fn no_two_tasks_ask_the_same() {
    for made in
        [tasks::phase(200), tasks::dependency(60), tasks::mixed(60), tasks::parallel(60), tasks::layers(20)]
    {
        let prompts: BTreeSet<&str> = made.iter().map(|task| task.prompt.as_str()).collect();
        assert_eq!(prompts.len(), made.len());
    }
}

#[test]
fn tasks_without_a_test_tell_the_phase() {
    let of = |tasks: Option<usize>| {
        let design = design(&Request { tasks, ..Request::default() });
        (design.phase.map(Phase::number), design.max_concurrent, judged(&design).plan.len())
    };
    assert_eq!(of(None), (Some(1), 3, 5));
    assert_eq!(of(Some(10)), (Some(1), 3, 10));
    assert_eq!(of(Some(30)), (Some(2), 10, 30));
    assert_eq!(of(Some(200)), (Some(3), 50, 200));
}

#[test]
fn the_second_phase_measures_both_halves_and_kills_a_run() {
    let of = |phase: Phase| roles(&design(&Request { phase: Some(phase), ..Request::default() }));
    assert_eq!(of(Phase::Small), ["judged"]);
    assert_eq!(of(Phase::Medium), ["serial", "judged", "recovery"]);
    assert_eq!(of(Phase::Large), ["judged"]);
}

#[test]
fn a_comparison_that_fits_asks_at_a_width_in_between_and_rehearses_them_all() {
    let test_type = Some(TestType::Compare);
    let request = Request { test_type, max_concurrent: Some(16), fits: true, ..Request::default() };
    let design = design(&request);
    assert_eq!(roles(&design), ["simulated-serial", "simulated", "serial", "judged", "width-4"]);
    let widths: Vec<u32> = design.rehearsals().iter().map(|part| part.max_concurrent).collect();
    assert_eq!(widths, [1, 4, 16]);
}

#[test]
fn a_lower_bound_of_the_configuration_wins_and_is_told() {
    let of = |max_concurrent: Option<u32>, configured: Option<u32>| {
        let design =
            design(&Request { phase: Some(Phase::Large), max_concurrent, configured, ..Request::default() });
        (design.max_concurrent, design.notes.len())
    };
    assert_eq!(of(None, None), (50, 0));
    assert_eq!(of(None, Some(10)), (10, 1));
    assert_eq!(of(None, Some(80)), (50, 0));
    assert_eq!(of(Some(7), Some(10)), (7, 0));
}

#[test]
fn the_prompt_that_is_too_long_is_invalid_unless_it_is_to_be_sent() {
    let of = |send_oversized: bool| {
        let test_type = Some(TestType::FaultTolerance);
        let design = design(&Request { test_type, tasks: Some(3), send_oversized, ..Request::default() });
        let plan = &judged(&design).plan;
        plan.tasks().iter().filter(|task| task.invalid.is_some()).count()
    };
    assert_eq!((of(false), of(true)), (1, 0));
}

#[test]
fn all_kinds_of_answers_state_how_long_they_may_be_and_the_longest_go_first() {
    let test_type = Some(TestType::Mixed);
    let design = design(&Request { test_type, tasks: Some(6), ..Request::default() });
    let tasks = judged(&design).plan.tasks();
    let of: Vec<(u32, i32)> = tasks.iter().map(|task| (task.max_tokens, task.priority)).collect();
    assert_eq!(of[..3], [(200, 0), (500, 1), (1000, 2)]);
    assert_eq!(of[..3], of[3..]);
}

#[test]
fn a_plan_is_told_from_another_by_its_tasks_and_generated_ones_have_none() {
    let of = |test_type: TestType, tasks: usize| {
        design(&Request { test_type: Some(test_type), tasks: Some(tasks), ..Request::default() })
    };
    let trial_of = |plan: &Checked, tasks: usize| {
        let plan = Some(plan.clone());
        design(&Request { phase: Some(Phase::Small), tasks: Some(tasks), plan, ..Request::default() }).plan
    };
    let (one, other) = (of(TestType::Mixed, 12), of(TestType::Mixed, 15));
    assert_eq!(one.plan, None);
    let (one, other) = (judged(&one), judged(&other));
    assert_eq!(trial_of(one, 5), trial_of(one, 6), "whichever of them are taken");
    assert_ne!(trial_of(one, 5), trial_of(other, 5));
    assert!(trial_of(one, 5).unwrap().starts_with("trial: mixed ("));
}
