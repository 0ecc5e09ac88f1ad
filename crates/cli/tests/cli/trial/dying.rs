//! Endpoints that die in the middle of a trial, and slow ones that do not, on the virtual clock.

use serde_json::Value;

use super::{RESULTS, held, number, production, scenario, unmet};

/// Forty tasks at an endpoint that answers like this no more once it has answered some.
fn dying(kind: &str, configured: &str) -> (Value, String) {
    let faults = format!("{{ kind: {kind}, share: 1, from_s: 10 }}");
    let configuration = format!("{configured}monitoring: {{ results_dir: {RESULTS} }}\n");
    let sandbox = production().file("sortie.yaml", configuration).file("own.yaml", scenario(4, &faults));
    let arguments = "trial --simulate=own.yaml --json --test-type mixed --tasks 40 --run-id one";
    let document = held(&sandbox, RESULTS, &sandbox.sortie(arguments));
    assert!(unmet(&document).contains(&"success_rate"), "{document}");
    assert!(number(&document, "/successful_tasks") > 0.0, "{document}");
    let error = document["error"].as_str().unwrap().to_owned();
    assert!(sandbox.read(&format!("{RESULTS}/one/test_report.md")).contains(&error), "{error}");
    (document, error)
}

/// Two minutes, and what a call may take: the last that began before that has failed by then.
#[test]
fn an_endpoint_that_dies_in_the_middle_fails_the_trial_within_minutes() {
    for kind in ["close", "reset", "stall-first", "stall", "500", "529"] {
        let (document, error) = dying(kind, "");
        assert!(error.starts_with("no answer came for 3 min"), "{kind}: {error}");
        let took = number(&document, "/total_duration");
        assert!((180.0..200.0).contains(&took), "{kind}: {took} s");
        let notes = document["notes"].to_string();
        assert!(notes.contains("the judged run ended before its time, and with it the trial"), "{notes}");
    }
}

#[test]
fn a_run_timeout_that_is_stated_is_kept_to() {
    let (document, error) = dying("close", "timeouts: { total_timeout: 400 }\n");
    assert!(error.starts_with("the run timeout of 6 min 40 s passed"), "{error}");
    assert!((399.0..401.0).contains(&number(&document, "/total_duration")), "{document}");
}

/// One at a time, each after more than the two minutes: as long as a call may take is waited besides.
#[test]
fn slow_answers_are_waited_for() {
    let configuration = format!(
        "timeouts: {{ request_timeout: 200, idle: 200 }}\nmonitoring: {{ results_dir: {RESULTS} }}\n"
    );
    let sandbox = production().file("sortie.yaml", configuration).file("own.yaml", scenario(195, ""));
    let content = "--max-p95-latency 1000 --max-concurrent 1 --min-efficiency 0.01";
    let ran = sandbox.sortie(&format!("trial --simulate=own.yaml --json --phase 1 {content}")).exits(0);
    let document = held(&sandbox, RESULTS, &ran);
    assert_eq!(document["successful_tasks"], 5, "{document}");
    assert!((974.0..977.0).contains(&number(&document, "/total_duration")), "{document}");
}
