//! What a run is judged by, and K1's criteria; the others' tests stand beside them.

use sortie_core::plan::{Edge, When};
use sortie_core::run::event::{Event, Then};
use sortie_core::time::Time;

use super::*;
use crate::fold::Fold;
use crate::testing::{self, Story, failed, skipped, started, succeeded};

/// What is judged, owned.
pub(super) struct Given {
    pub(super) fold: Fold,
    pub(super) thresholds: Criteria,
    pub(super) meant_to_fail: BTreeSet<TaskId>,
    pub(super) measured: Option<Measured>,
    pub(super) recovery: Option<Recovery>,
    pub(super) makes_faults: bool,
    pub(super) faults: Vec<Faulted>,
    pub(super) spent: (Usd, Usd),
    pub(super) before: Usd,
    pub(super) budget: Option<Usd>,
    pub(super) stopped: Option<String>,
    pub(super) fit: Option<Result<String, String>>,
}

impl Given {
    /// A run and nothing else.
    pub(super) fn of(story: &Story) -> Self {
        Given {
            fold: story.fold(),
            thresholds: Criteria::default(),
            meant_to_fail: BTreeSet::new(),
            measured: None,
            recovery: None,
            makes_faults: false,
            faults: Vec::new(),
            spent: (Usd::ZERO, Usd::ZERO),
            before: Usd::ZERO,
            budget: None,
            stopped: None,
            fit: None,
        }
    }

    fn judged(&self) -> Vec<Criterion> {
        let report = self.fold.report(self.fold.last_time());
        let evidence = Evidence {
            report: &report,
            meant_to_fail: &self.meant_to_fail,
            measured: self.measured.as_ref(),
            recovery: self.recovery.as_ref(),
            makes_faults: self.makes_faults,
            faults: &self.faults,
            spent: self.spent,
            before: self.before,
            budget: self.budget,
            stopped: self.stopped.as_deref(),
            fit: self.fit.as_ref().map(|fit| fit.as_deref().map_err(String::as_str)),
        };
        judge(&evidence, &self.thresholds)
    }
}

/// The criterion of this name.
pub(super) fn criterion(given: &Given, name: &str) -> Criterion {
    given.judged().into_iter().find(|criterion| criterion.name == name).unwrap()
}

fn judged(story: &Story, name: &str) -> (Option<bool>, String) {
    let found = criterion(&Given::of(story), name);
    (found.met, found.why)
}

#[test]
fn all_criteria_are_there_in_their_order_whatever_the_run_was() {
    let names = [
        "task_types",
        "dependencies",
        "error_recovery",
        "speedup",
        "efficiency",
        "success_rate",
        "p95_latency",
        "budget",
        "cost_per_task",
        "cost_outlier",
    ];
    for story in testing::all() {
        let judged = Given::of(&story).judged();
        assert_eq!(judged.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), names);
        assert!(judged.iter().all(|one| !one.why.is_empty()));
    }
    assert_eq!(Verdict::over(&Given::of(&testing::diamond()).judged()), Verdict::Pass);
    assert_eq!(Verdict::over(&Given::of(&testing::failure()).judged()), Verdict::Fail);
}

#[test]
fn each_type_that_was_tried_needs_a_success() {
    let types = |story: &Story| judged(story, "task_types");
    assert_eq!(
        types(&testing::diamond()),
        (Some(true), "each of 4 types that were tried has a success".into())
    );
    // `impl_a` of the same type did succeed.
    let (met, why) = types(&testing::failure());
    assert_eq!(
        (met, why.as_str()),
        (Some(true), "each of 3 types that were tried has a success; not tried: testing")
    );
    assert_eq!(types(&Story::pipeline()), (None, "no task was tried".into()));
    let mut story = Story::new("types", &[("a", "analysis", &[]), ("b", "coding", &[])])
        .at(0.0, Event::RunStarted)
        .at(0.0, started(0, 1))
        .at(1.0, succeeded(0, 1, 1.0))
        .at(1.0, started(1, 1));
    let (met, why) = types(&story);
    assert_eq!(
        (met, why.as_str()),
        (Some(false), "no task of these types succeeded: coding; 1 of 2 types work")
    );
    story = story.at(1.3, failed(1, 1, testing::invalid(), Then::Fail));
    assert_eq!(types(&story).0, Some(false));
    let mut meant = Given::of(&story);
    meant.meant_to_fail = BTreeSet::from([TaskId(1)]);
    assert_eq!(criterion(&meant, "task_types").met, Some(true));
}

#[test]
fn dependencies_are_held_against_the_times_of_the_records() {
    let kept = |story: &Story| judged(story, "dependencies");
    let (met, why) = kept(&testing::diamond());
    assert_eq!(met, Some(true));
    assert!(why.starts_with("all 5 dependencies of tasks that were called were kept"), "{why}");
    assert_eq!(kept(&testing::retried()), (None, "no task depends on another".into()));
    assert_eq!(kept(&Story::pipeline()), (None, "no task that depends on another was called".into()));
    assert_eq!(kept(&testing::resumed()).0, Some(true));
    // `test` is called while `impl_a` is under way.
    let mut story = testing::diamond();
    let test = story.records.iter().position(|record| record.event == started(4, 1)).unwrap();
    story.records[test].at = story.records[test].at - std::time::Duration::from_micros(1);
    assert_eq!(kept(&story), (Some(false), "called too early: test before impl_a".into()));
}

#[test]
fn an_edge_says_how_what_is_before_it_may_end() {
    let kept = |when, end: Event| {
        let mut story =
            Story::new("edge", &[("a", "general", &[]), ("b", "general", &[]), ("c", "general", &[])]);
        let mut tasks = story.plan.tasks().to_vec();
        tasks[1].depends_on = vec![Edge { task: TaskId(0), when }];
        story.plan = sortie_core::plan::Plan::new("edge".into(), story.plan.agents().to_vec(), tasks);
        story = story.at(0.0, Event::RunStarted).at(0.0, started(0, 1)).at(1.0, end);
        judged(&story.at(1.0, started(1, 1)), "dependencies").0
    };
    let fails = || failed(0, 1, testing::invalid(), Then::Fail);
    assert_eq!(kept(When::Succeeded, succeeded(0, 1, 1.0)), Some(true));
    assert_eq!(kept(When::Succeeded, fails()), Some(false));
    assert_eq!(kept(When::Finished, fails()), Some(true));
    assert_eq!(kept(When::Finished, skipped(0, 2)), Some(false));
    assert_eq!(kept(When::Any, skipped(0, 2)), Some(true));
    assert_eq!(kept(When::Any, testing::lost(0, 1)), Some(false), "it had not ended");
}

#[test]
fn what_met_an_error_has_to_come_through() {
    let recovered = |story: &Story| judged(story, "error_recovery");
    assert_eq!(recovered(&testing::diamond()).0, None);
    assert_eq!(
        recovered(&testing::retried()),
        (Some(true), "1 task that met an error succeeded in the end".into())
    );
    assert_eq!(recovered(&testing::resumed()).0, Some(true));
    assert_eq!(recovered(&testing::failure()).0, None, "what can never succeed is no recovery");
    let mut story = testing::retried();
    story.records.truncate(4);
    story = story.at(2.0, failed(0, 2, testing::throttled(), Then::Fail));
    let (met, why) = recovered(&story);
    let none = "0 of 1 task that met an error succeeded in the end; not so: analyze";
    assert_eq!((met, why.as_str()), (Some(false), none));
    let mut lenient = Given::of(&story);
    lenient.thresholds.min_success_rate = 0.0;
    assert_eq!(criterion(&lenient, "error_recovery").met, Some(true), "as many as the trial lets fail");
    // Without a single retry, too.
    let once = Story::new("once", &[("a", "general", &[])])
        .at(0.0, Event::RunStarted)
        .at(0.0, started(0, 1))
        .at(0.3, failed(0, 1, testing::throttled(), Then::Fail));
    assert_eq!(recovered(&once).0, Some(false));
    let mut meant = Given::of(&once);
    meant.meant_to_fail = BTreeSet::from([TaskId(0)]);
    assert_eq!(criterion(&meant, "error_recovery").met, None);
}

#[test]
fn as_many_errors_may_stay_as_the_trial_lets_tasks_fail_unless_nothing_helps() {
    // Of so many tasks, those that met an error, and those of them that it was the end of.
    let met = |all: u32, hit: u32, lost: u32| {
        let names: Vec<String> = (0..all).map(|n| format!("t{n}")).collect();
        let tasks: Vec<(&str, &str, &[u32])> =
            names.iter().map(|name| (&**name, "general", [].as_slice())).collect();
        let mut story = Story::new("errors", &tasks).at(0.0, Event::RunStarted);
        for n in 0..all {
            let then = if n < lost { Then::Fail } else { Then::RetryAt(Time::ZERO) };
            if n < hit {
                story = story.at(0.0, started(n, 1)).at(0.1, failed(n, 1, testing::throttled(), then));
            }
            if n >= lost {
                let number = if n < hit { 2 } else { 1 };
                story = story.at(0.1, started(n, number)).at(0.2, testing::succeeded(n, number, 0.1));
            }
        }
        criterion(&Given::of(&story), "error_recovery").met
    };
    assert_eq!(met(40, 1, 1), Some(true), "97.5 % are left");
    assert_eq!(met(40, 12, 3), Some(false), "92.5 % are");
    assert_eq!(met(200, 5, 5), Some(false), "no retry helped");
    assert_eq!(met(200, 6, 3), Some(true));
}

#[test]
fn faults_and_kills_have_to_be_recovered_from() {
    let mut given = Given::of(&testing::diamond());
    let fault = |recovered, should_recover| Faulted {
        fault: "answered 429".into(),
        calls: 3,
        tasks: 2,
        recovered,
        should_recover,
        cost: None,
    };
    for (recovered, should_recover, met) in [
        (2, Some(true), Some(true)),
        (1, Some(true), Some(false)),
        (0, Some(false), None),
        (1, Some(false), Some(false)),
        (1, None, None),
        (0, None, None),
    ] {
        given.faults = vec![fault(recovered, should_recover)];
        assert_eq!(criterion(&given, "error_recovery").met, met, "{recovered} {should_recover:?}");
    }
    given.faults.clear();
    let kill = |done_again, successful_tasks| Recovery {
        done_before: 2,
        total_tasks: 5,
        repeated_calls: 1,
        done_again,
        at_risk: Usd::ZERO,
        successful_tasks,
        first_failure: (successful_tasks < 5).then(|| "t1: network: no connection".to_owned()),
        not_made: None,
    };
    let why = "the part that was to be killed was stopped by the budget before the kill";
    given.recovery = Some(Recovery { not_made: Some(why.to_owned()), ..kill(0, 0) });
    let found = criterion(&given, "error_recovery");
    assert_eq!((found.met, found.why.as_str()), (None, why), "nothing can be said of what was not made");
    for (done_again, successful, met) in [(0, 5, true), (1, 5, false), (0, 4, false)] {
        given.recovery = Some(kill(done_again, successful));
        let found = criterion(&given, "error_recovery");
        assert_eq!(found.met, Some(met), "{}", found.why);
    }
    given.faults = vec![fault(2, Some(true))];
    let why = criterion(&given, "error_recovery").why;
    assert!(why.contains("4 of 5 tasks succeeded (t1: network: no connection)"), "{why}");
    given.thresholds.min_success_rate = 80.0;
    assert_eq!(criterion(&given, "error_recovery").met, Some(true), "so many may fail");
    assert!(!why.contains("429"), "what is well is not named beside what is not: {why}");
}

#[test]
fn a_fit_is_judged_where_it_was_asked_for() {
    let mut given = Given::of(&testing::diamond());
    assert!(given.judged().iter().all(|criterion| criterion.name != "fit"));
    given.fit = Some(Err("too few".to_owned()));
    let found = criterion(&given, "fit");
    assert_eq!((found.met, found.why.as_str()), (Some(false), "too few"));
    given.fit = Some(Ok("mine.yaml".to_owned()));
    let found = criterion(&given, "fit");
    assert_eq!((found.met, found.why.as_str()), (Some(true), "the fitted scenario is in mine.yaml"));
}
