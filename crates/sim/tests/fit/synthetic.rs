//! Scenarios that are simulated, fitted, and simulated again as they were fitted.

use sortie_sim::fit::{Observed, fit};
use sortie_sim::scenario::UnknownModels;
use sortie_sim::{Model, Scenario};

use super::{Figures, WIDTHS, rehearsal, table};

/// Calls at each width. A 95th percentile of so many is known within 3 % where times are as spread as these.
const CALLS: usize = 1200;

/// The most that a figure may be off.
const TOLERANCE: f64 = 0.1;

/// Every answer may have as much as it likes.
const MAX_TOKENS: u32 = 4000;

/// A scenario without quotas, with more lines.
fn scenario(name: &str, more: &str) -> Scenario {
    let text = format!("{}\n{more}\nunknown_models: served\n", Scenario::text_of(name).unwrap());
    Scenario { unknown_models: UnknownModels::Served, ..Scenario::parse(&text).unwrap().without_quotas() }
}

/// The calls at each width, one after the other on one clock.
fn tested(scenario: &Scenario, seed: u64) -> [Vec<Observed>; 3] {
    let mut begin = 0.0;
    WIDTHS.map(|width| {
        let mut model = Model::new(scenario.clone(), seed);
        let prompts = (0..CALLS).map(|n| format!("Question {n} of {width} at a time"));
        let requests: Vec<_> = prompts.map(|prompt| rehearsal::request(&prompt, MAX_TOKENS)).collect();
        let mut calls = rehearsal::calls(&mut model, &requests, width);
        for call in &mut calls {
            call.started_s += begin;
        }
        begin = calls.iter().map(|call| call.started_s + call.total_s).fold(begin, f64::max) + 1.0;
        calls
    })
}

/// Fits a scenario; gives the fitted one.
#[expect(clippy::print_stdout, reason = "shown with --nocapture: the figures")]
fn check(name: &str, more: &str) -> Scenario {
    let original = scenario(name, more);
    let first = tested(&original, 1);
    let fitted = fit("fitted", &first.concat()).unwrap();
    let yaml = fitted.to_yaml();
    assert_eq!(Scenario::parse(&yaml).unwrap(), fitted.scenario, "{yaml}");
    let again = tested(&fitted.scenario, 2);
    let [real, simulated] = [first, again].map(|all| all.map(|calls| Figures::of(&[calls])));
    let (table, worst) = table(&real, &simulated);
    println!("{name} {more}: {:?}\n{table}", fitted.scenario.server);
    assert!(worst <= TOLERANCE, "{name} {more}\n{table}{yaml}");
    fitted.scenario
}

fn slots(scenario: &Scenario) -> Option<u32> {
    scenario.server.as_ref().and_then(|server| server.slots)
}

#[test]
fn a_server_without_bounds_is_found_to_have_none() {
    for name in ["calm", "seed", "tier1"] {
        assert_eq!(check(name, "").server, None, "{name}");
    }
}

#[test]
fn slots_are_found() {
    for (name, count) in [("calm", 1), ("seed", 2), ("tier1", 4)] {
        assert_eq!(slots(&check(name, &format!("server: {{ slots: {count} }}"))), Some(count), "{name}");
    }
}

#[test]
fn a_slowdown_is_found_with_slots_or_without() {
    let slow = "slowdown: [1.0, 1.3, 1.6, 1.9]";
    for name in ["calm", "seed", "tier1"] {
        let fitted = check(name, &format!("server: {{ slots: 4, {slow} }}"));
        assert_eq!(slots(&fitted), Some(4), "{name}");
        let found = fitted.server.unwrap().slowdown;
        assert!((found[3] - 1.9).abs() < 0.15, "{name}: {found:?}");
    }
    assert_eq!(slots(&check("tier1", "server: { slots: 2, slowdown: [1.0, 1.4] }")), Some(2));
    assert_eq!(slots(&check("calm", &format!("server: {{ {slow} }}"))), None);
}

#[test]
fn faults_are_found_in_their_shares() {
    let faults = "faults: [{ kind: 529, share: 0.05 }, { kind: 429, share: 0.04 }, { kind: cut, share: 0.03 }, \
                  { kind: reset, share: 0.02 }]";
    for server in ["", "\nserver: { slots: 4, slowdown: [1.0, 1.3, 1.6, 1.9] }"] {
        let fitted = check("calm", &format!("{faults}{server}"));
        for (kind, share) in [("529", 0.05), ("429", 0.04), ("cut", 0.03), ("reset", 0.02)] {
            let found = fitted.faults.iter().find(|fault| fault.kind.to_string() == kind).unwrap();
            assert!((found.share - share).abs() < 0.012, "{kind}: {}", found.share);
        }
        assert_eq!(fitted.faults.len(), 4);
        assert!(
            (30.0..50.0).contains(&fitted.network_ms.min),
            "refusals show the network: {:?}",
            fitted.network_ms
        );
    }
}
