//! What a run does about 429s, apart from what its gates do.

use std::time::Duration;

use super::named::{Table, throttled};
use crate::agent::{Agent, Retry};
use crate::failure::{Class, Failure};
use crate::limit::{GateId, GateSpec, Gates};
use crate::plan::TaskId;
use crate::run::Phase;
use crate::run::input::{Input, Settings};
use crate::testing::{agent, settings, task};
use crate::usage::Cost;

/// An account of which nobody says how much it allows.
fn unknown() -> Settings {
    let gate = GateSpec { probes: true, ..settings().gates[0].clone() };
    Settings { gates: vec![gate], ..settings() }
}

#[test]
fn who_retries_no_refusal_waits_all_the_same() {
    let retry = Retry { retry_throttled: false, ..agent().retry };
    let tasks = (0..40).map(|n| task(&format!("t{n}"), &[], 1)).collect();
    let mut table = Table::of(vec![Agent { retry, ..agent() }], unknown(), tasks);
    let started = table.started().len() as u32;
    table.at(0.1).fail(0, Failure::new(Class::Throttled, "slow down"));
    assert_eq!((table.run.task(TaskId(0)).phase.clone(), table.started().len()), (Phase::Failed, 0));
    for other in 1..started {
        table.succeed(other, 1);
        assert_eq!(table.started().len(), 0);
    }
    assert_eq!(table.last.wake_at.unwrap().since(table.now), Duration::from_secs(1));
    // And the pace has heard of it.
    assert!(table.gates.learned(GateId(0), table.now).unwrap().rate.is_some());
}

#[test]
fn what_a_pace_found_out_is_not_found_again_in_records() {
    let tasks = (0..40).map(|n| task(&format!("t{n}"), &[], 1)).collect();
    let mut table = Table::new(unknown(), tasks);
    table.at(0.1).fail(0, throttled(1));
    assert!(!table.gates.is_seeking(GateId(0)));
    let mut gates = Gates::new(table.run.settings());
    gates.rebuild(table.run.plan(), table.run.settings(), &table.journal);
    // Replies told more than records tell, and others have learned since.
    assert!(gates.is_seeking(GateId(0)) && gates.learned(GateId(0), table.now).is_none());
    let held = gates.check(GateId(0), &Cost::default(), table.now).unwrap_err();
    assert!(held.reason.starts_with("throttled"), "{held:?}");
}

#[test]
fn who_waits_as_a_provider_wants_is_not_ended_for_that() {
    for (class, patient, ends_at) in
        [(Class::Throttled, true, 599.0), (Class::Throttled, false, 0.0), (Class::Overloaded, true, 0.0)]
    {
        let settings = Settings { timeout_restarts: patient, ..settings() };
        let mut table = Table::new(settings, vec![task("a", &[], 10)]);
        let wait = Duration::from_secs(599);
        table.fail(0, Failure { retry_after: Some(wait), ..Failure::new(class, "later") });
        table.at(600.0).tell(Input::Woke);
        let ended = table.finished().is_some();
        assert_eq!(ended, ends_at == 0.0, "{class:?}, {patient}");
        if !ended {
            let left = table.last.wake_at.unwrap().since(table.now).as_secs_f64();
            assert!((ends_at..ends_at + 1.0).contains(&left), "{left}");
        }
    }
}
