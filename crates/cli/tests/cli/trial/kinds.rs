//! Each test and phase, with the founding document's configuration on its API, on the virtual clock.

use serde_json::{Value, json};

use super::{CONFIGURATION, RESULTS, criterion, held, idle, number, production, say, seeded, unmet};
use crate::support::{Ran, Sandbox};

/// What nothing of the test can say anything about is not judged: all other criteria are met.
#[test]
fn every_test_passes_on_the_documents_api_and_judges_what_it_can() {
    let kinds: [(&str, u64, &[&str]); 11] = [
        ("single", 1, &["dependencies", "error_recovery", "speedup", "efficiency", "cost_outlier"]),
        ("parallel", 5, &["dependencies", "error_recovery", "speedup"]),
        ("speedup", 20, &["dependencies", "error_recovery", "efficiency"]),
        ("dependency", 5, &["error_recovery", "speedup", "cost_outlier"]),
        ("fault-tolerance", 20, &["dependencies", "speedup", "efficiency"]),
        ("mixed", 12, &["dependencies", "error_recovery", "efficiency"]),
        ("scenario-1", 10, &["dependencies", "error_recovery", "efficiency"]),
        ("scenario-2", 20, &["error_recovery", "efficiency"]),
        ("scenario-3", 12, &["dependencies", "error_recovery", "efficiency"]),
        ("large-scale", 200, &["dependencies", "error_recovery", "efficiency"]),
        ("compare", 16, &["dependencies", "error_recovery", "efficiency"]),
    ];
    for (test_type, tasks, says_nothing) in kinds {
        let document = seeded(&format!("--test-type {test_type}"));
        assert_eq!(unmet(&document), Vec::<&str>::new(), "{document}");
        assert_eq!(idle(&document), says_nothing, "{test_type}");
        assert_eq!((&document["test_type"], &document["phase"]), (&json!(test_type), &Value::Null));
        assert_eq!(document["total_tasks"], tasks);
        assert_eq!(document["endpoint"], "scenario seed");
        assert!(number(&document, "/forecast/cost_expected") > 0.0, "{test_type}");
    }
}

#[test]
fn every_phase_passes_on_the_documents_api_within_what_it_says_of_it() {
    // Tasks, calls at a time, USD and minutes at most (SPEC.md P1 and P2).
    for (phase, tasks, width, cost, minutes) in [(1, 5, 3, 0.05, 5.0), (2, 20, 10, 0.50, 15.0)] {
        let document = seeded(&format!("--phase {phase}"));
        assert_eq!(unmet(&document), Vec::<&str>::new(), "{document}");
        assert_eq!((&document["test_type"], &document["phase"]), (&json!("phase"), &json!(phase)));
        assert_eq!((&document["total_tasks"], &document["max_concurrent"]), (&json!(tasks), &json!(width)));
        assert!(number(&document, "/trial_cost") < cost, "{document}");
        let took: f64 =
            document["runs"].as_array().unwrap().iter().map(|run| number(run, "/total_duration")).sum();
        assert!(took < 60.0 * minutes, "{took} s");
        assert_eq!(criterion(&document, "dependencies")["met"], true);
        assert_eq!(criterion(&document, "task_types")["met"], true);
    }
}

/// SPEC.md P3 and its largest number of tasks: simulated times are reported, whatever it takes here.
#[test]
#[expect(clippy::disallowed_methods, reason = "how long it took is printed, and nothing depends on it")]
fn the_third_phase_with_five_hundred_tasks_comes_to_its_end() {
    let start = std::time::Instant::now();
    let document = seeded("--phase 3 --tasks 500");
    say(&format!("500 tasks of phase 3 took {:.1} s", start.elapsed().as_secs_f64()));
    assert_eq!(unmet(&document), Vec::<&str>::new());
    assert_eq!((&document["phase"], &document["successful_tasks"]), (&json!(3), &json!(500)));
    // 500 starts at 50 a minute.
    assert!(number(&document, "/total_duration") > 590.0, "{document}");
    assert_eq!(document["drift"]["quarters"].as_array().unwrap().len(), 4);
    assert!(number(&document, "/drift/utilisation") > 0.95, "{}", document["drift"]);
    // A lower bound of the configuration wins, and that is said.
    assert_eq!(document["max_concurrent"], 10);
    let note = "at most 10 calls at a time, as the configuration has it, where the trial would make 50";
    assert_eq!(document["notes"], json!([note]));
}

/// The line of SPEC.md P5: `Total cost: $0.023 (5 tasks, avg $0.0046/task)`.
fn is_cost_line(line: &str, tasks: u32) -> bool {
    let is_amount = |amount: &str| {
        let (whole, part) = amount.split_once('.').unwrap_or((amount, "0"));
        [whole, part]
            .iter()
            .all(|digits| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()))
    };
    let found = || {
        let (total, rest) = line.strip_prefix("Total cost: $")?.split_once(" (")?;
        let average = rest.strip_prefix(&format!("{tasks} tasks, avg $"))?.strip_suffix("/task)")?;
        Some(is_amount(total) && is_amount(average))
    };
    found() == Some(true)
}

/// SPEC.md P4 and P5. A task that is refused before it is sent costs nothing and is in no average.
#[test]
fn the_documents_command_lines_work_as_they_are_written() {
    let lines = [
        ("--tasks 5", "Trial phase 1 (small) against ", 5),
        ("--tasks 30 --test-type speedup", "Trial speedup against ", 30),
        ("--tasks 20 --test-type fault-tolerance", "Trial fault-tolerance against ", 19),
        ("--tasks 200 --test-type large-scale --max-cost 5.0", "Trial large-scale against ", 200),
    ];
    for (line, beginning, tasks) in lines {
        let ran = production().sortie(&format!("trial {line} --simulate=seed")).exits(0);
        assert!(ran.stdout.starts_with(beginning), "{}", ran.transcript());
        let costs: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with("Total cost")).collect();
        assert!(matches!(costs[..], [cost] if is_cost_line(cost, tasks)), "{}", ran.transcript());
        for spent in ["── 1 call to try the keys ──", "ok       cost cap", "report in "] {
            assert!(ran.stderr.contains(spent), "`{spent}` is not said: {}", ran.transcript());
        }
    }
    let capped = seeded("--tasks 200 --test-type large-scale --max-cost 5.0");
    assert_eq!(criterion(&capped, "budget")["threshold"], 5.0);
}

#[test]
fn a_line_of_costs_is_told_from_others() {
    assert!(is_cost_line("Total cost: $0.023 (5 tasks, avg $0.0046/task)", 5));
    for other in [
        "Total cost: $0.023 (5 tasks, avg $0.0046/task).",
        "Total cost: 0.023 (5 tasks, avg $0.0046/task)",
        "Total cost: $ (5 tasks, avg $0.0046/task)",
        "Total cost: $0.023 (6 tasks, avg $0.0046/task)",
    ] {
        assert!(!is_cost_line(other, 5), "{other}");
    }
}

/// The result of a run's task.
fn result(sandbox: &Sandbox, run_id: &str, task: &str) -> String {
    let lines = sandbox.read(&format!("{RESULTS}/{run_id}/results.jsonl"));
    let results = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let found = results.into_iter().find(|result| result["task_id"] == task).unwrap();
    found["result"].as_str().unwrap().to_owned()
}

/// SPEC.md S1.
#[test]
fn one_call_shows_the_first_hundred_characters_of_its_answer_and_its_time() {
    let sandbox = production();
    let ran = sandbox.sortie("trial --simulate=seed --test-type single --run-id one").exits(0);
    let whole = result(&sandbox, "one", "single");
    let beginning: String = whole.chars().take(100).collect();
    assert!(beginning.len() < whole.len() && !beginning.contains('\n'), "{whole}");
    assert!(ran.stdout.contains(&format!("  {beginning}…\n")), "{whole}\n{}", ran.transcript());
    assert!(ran.stdout.contains("  The call succeeded in 8.0 s\n"), "{}", ran.transcript());
    assert!(sandbox.read(&format!("{RESULTS}/one/api_calls.log")).lines().count() == 1);
}

/// SPEC.md S3.
#[test]
fn dependent_tasks_are_done_in_their_order() {
    let document = seeded("--test-type dependency");
    let history: Vec<&str> =
        document["execution_history"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    assert_eq!((history.len(), &history[..2], history[4]), (5, &["analyze", "design"][..], "test"));
    let path = document["bottlenecks"]["longest_path"].as_array().unwrap();
    let path: Vec<&Value> = path.iter().map(|task| &task["task_id"]).collect();
    assert!(path.len() == 4 && path[0] == "analyze" && path[3] == "test", "{path:?}");
}

/// SPEC.md S4.
#[test]
fn of_three_tasks_the_too_long_one_fails_and_the_others_succeed() {
    let document = seeded("--tasks 3 --test-type fault-tolerance");
    assert_eq!((&document["successful_tasks"], &document["total_tasks"]), (&json!(2), &json!(3)));
    assert!((number(&document, "/success_rate") - 200.0 / 3.0).abs() < 1e-9);
    let failed: Vec<&Value> =
        document["failures"].as_array().unwrap().iter().map(|task| &task["task_id"]).collect();
    assert_eq!(failed, ["too_long"]);
    let refused =
        document["faults"].as_array().unwrap().iter().find(|fault| fault["should_recover"] == false);
    // Before a call was made for it.
    assert_eq!(refused.map(|fault| [&fault["calls"], &fault["recovered"]]), Some([&json!(0), &json!(0)]));
    // That it fails is what was tested.
    assert_eq!(criterion(&document, "success_rate")["value"], 100.0);
    let ran = production().sortie("trial --simulate=seed --tasks 3 --test-type fault-tolerance").exits(0);
    ran.says("2 of 3 tasks succeeded (66.7 %)").says("a prompt of over 100,000 characters");
}

#[test]
fn the_simulator_makes_each_class_of_faults_once_and_all_are_recovered_from() {
    let document = seeded("--tasks 20 --test-type fault-tolerance");
    let faults = document["faults"].as_array().unwrap();
    assert_eq!(faults.len(), 14);
    for fault in faults.iter().filter(|fault| fault["should_recover"] == true) {
        assert_eq!([&fault["tasks"], &fault["recovered"]], [&json!(1), &json!(1)], "{fault}");
        assert!(number(fault, "/calls") >= 1.0, "{fault}");
    }
    assert_eq!(criterion(&document, "error_recovery")["met"], true);
}

/// With `--send-oversized` the provider is the one to say what it thinks of it.
#[test]
fn a_prompt_that_is_too_long_is_sent_where_that_is_asked_for() {
    let sandbox = production();
    let arguments =
        "trial --simulate=seed --tasks 3 --test-type fault-tolerance --send-oversized --run-id one";
    let ran = sandbox.sortie(arguments).says("a prompt of over 100,000 characters, sent all the same");
    let calls = sandbox.read(&format!("{RESULTS}/one/api_calls.log"));
    assert!(calls.contains("too_long"), "{calls}\n{}", ran.transcript());
}

#[test]
fn a_test_that_needs_more_or_fewer_tasks_than_it_is_told_to_have_says_so() {
    for (arguments, tasks, note) in [
        ("single --tasks 7", 1, "1 task, not 7: what single is about takes so many"),
        ("dependency --tasks 3", 5, "5 tasks, not 3: what dependency is about takes so many"),
        ("fault-tolerance --tasks 1", 2, "2 tasks, not 1: what fault-tolerance is about takes so many"),
    ] {
        let document = seeded(&format!("--test-type {arguments}"));
        assert_eq!((&document["total_tasks"], &document["notes"]), (&json!(tasks), &json!([note])));
        assert_eq!(criterion(&document, "success_rate")["met"], true, "{document}");
    }
}

/// Nobody is paid for the simulator's side, and no budget is used up by it.
#[test]
fn the_simulators_side_of_a_comparison_costs_nothing() {
    let document = seeded("--test-type compare --max-cost 0.2");
    let runs = document["runs"].as_array().unwrap();
    let paid = runs.iter().filter(|run| !run["role"].as_str().unwrap().starts_with("simulated"));
    let paid: f64 = paid.map(|run| number(run, "/total_cost")).sum();
    assert!((number(&document, "/trial_cost") - paid).abs() < 1e-9, "{document}");
    assert_eq!(criterion(&document, "budget")["met"], true, "{document}");
}

/// The rows of a comparison: what was seen on either side.
fn rows(document: &Value) -> Vec<(&str, &Value, &Value)> {
    let rows = document["comparison"]["rows"].as_array().unwrap();
    rows.iter().map(|row| (row["dimension"].as_str().unwrap(), &row["simulated"], &row["real"])).collect()
}

/// Each side begins with what its own provider has told, so a scenario does not differ from itself.
#[test]
fn both_sides_of_a_comparison_meet_the_limits_of_their_own_provider() {
    // Its configuration states no rate, which would be both sides'.
    let of = |against: &str| {
        let sandbox = Sandbox::new();
        let ran = sandbox.sortie(&format!(
            "trial --simulate=seed --json --test-type compare --max-concurrent 10 --against {against}"
        ));
        held(&sandbox, "results", &ran)
    };
    let document = of("seed");
    for (dimension, simulated, real) in rows(&document) {
        assert_eq!(simulated, real, "{dimension}: {document}");
    }
    let document = of("calm");
    let waits: Vec<_> =
        rows(&document).into_iter().filter(|row| row.0 == "time that tasks waited for limits").collect();
    let [(_, calm, seed)] = waits[..] else { panic!("{document}") };
    assert!(calm.as_f64() < Some(5.0) && seed.as_f64() > Some(10.0), "{document}");
    let speedup = rows(&document).last().map(|row| row.2.clone()).unwrap();
    assert_eq!(speedup, document["measured"]["speedup"], "the one that is judged");
}

#[test]
fn one_at_a_time_is_one_width_to_fit() {
    let sandbox = production();
    let ran = sandbox.sortie(
        "trial --simulate=seed --json --test-type compare --tasks 8 --max-concurrent 1 --fit own.yaml",
    );
    let document = held(&sandbox, RESULTS, &ran);
    let widths: Vec<_> = document["comparison"]["fitted"].as_array().unwrap().iter().collect();
    assert_eq!(widths.iter().map(|row| &row["max_concurrent"]).collect::<Vec<_>>(), [&json!(1)]);
    assert!(sandbox.read("own.yaml").contains("requests_per_minute: 50\nrequests_burst: 1\n"));
}

/// SPEC.md S2: both times and the speedup, of the same tasks.
#[test]
fn both_halves_are_shown_with_the_speedup_and_its_interval() {
    let ran = production().sortie("trial --simulate=seed --tasks 30 --test-type speedup").exits(0);
    let ran = ran.says("30 tasks one after the other, then 30 tasks at most 10 at a time");
    let line = ran.stdout.lines().find(|line| line.starts_with("  Serial ")).unwrap();
    assert!(line.contains("parallel") && line.contains("x faster (95 % confidence: "), "{line}");
    let document = seeded("--tasks 30 --test-type speedup");
    let [serial, parallel, speedup] =
        ["serial", "parallel", "speedup"].map(|of| number(&document, &format!("/measured/{of}")));
    assert!((serial / parallel - speedup).abs() < 1e-6);
    let interval = [0, 1].map(|end| number(&document, &format!("/measured/interval/{end}")));
    assert!(interval[0] < speedup && speedup < interval[1], "{speedup} in {interval:?}");
}

#[test]
fn the_configurations_thresholds_hold_unless_the_command_line_has_others() {
    let strict = CONFIGURATION.to_owned() + "criteria: { max_p95_latency: 3, max_cost_per_task: 0.2 }\n";
    let thresholds = |arguments: &str| {
        let sandbox = Sandbox::new().file("config.production.yaml", &strict);
        let ran: Ran =
            sandbox.sortie(&format!("trial --simulate=seed --test-type single --json {arguments}"));
        let document = held(&sandbox, RESULTS, &ran);
        ["p95_latency", "cost_per_task", "success_rate"].map(|name| {
            (number(criterion(&document, name), "/threshold"), criterion(&document, name)["met"] == true)
        })
    };
    assert_eq!(thresholds(""), [(3.0, false), (0.2, true), (95.0, true)]);
    assert_eq!(thresholds("--max-p95-latency 12"), [(12.0, true), (0.2, true), (95.0, true)]);
}
