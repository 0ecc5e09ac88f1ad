//! What bounds the starts: serial mode, calls at a time, requests per minute.

use std::fmt::Write;

use crate::support::{Sandbox, Simulator, until};

/// Tasks that depend on nothing, with this in front of each prompt.
fn independent(tasks: u32, steering: &str) -> String {
    (0..tasks).fold(String::from("tasks:\n"), |mut plan, n| {
        let _ = writeln!(plan, "  - {{ id: t{n}, prompt: '{steering} Task {n}.' }}");
        plan
    })
}

#[test]
fn no_more_calls_are_in_flight_than_may_be() {
    let plan = independent(8, "[[sim latency=0.2]]");
    for (options, peak) in [("--max-concurrent 2", 2), ("--mode serial", 1), ("--max-concurrent 8", 8)] {
        let simulator = Simulator::start();
        let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", &plan);
        let ran = sandbox.sortie(&format!("run plan.yaml --quiet {options}")).exits(0);
        let stats = simulator.stats();
        assert_eq!(stats.generations, 8);
        assert!(stats.peak_in_flight <= peak, "{} at once:\n{}", stats.peak_in_flight, ran.transcript());
    }
}

#[test]
fn side_by_side_is_as_much_faster_as_the_tasks_allow() {
    let sandbox = Sandbox::new().file("plan.yaml", independent(5, "[[sim latency=2]]"));
    let took = |mode: &str| {
        let document =
            sandbox.sortie(&format!("run plan.yaml --simulate --json --mode {mode}")).exits(0).json();
        assert_eq!(document["mode"], mode);
        document["total_duration"].as_f64().unwrap()
    };
    // Virtual time: five calls of two seconds, one after the other or at once.
    assert_eq!((took("serial"), took("parallel")), (10.0, 2.0));
}

#[test]
fn requests_per_minute_are_kept_so_that_the_provider_never_throttles() {
    let throttled = |config: &str| {
        let plan = independent(10, "[[sim latency=0.5]]");
        let sandbox = Sandbox::new().file("plan.yaml", plan).file("sortie.yaml", config);
        let document = sandbox.sortie("run plan.yaml --simulate=seed --json").json();
        (
            document["metrics"]["rate_limit_hits"].as_u64().unwrap(),
            document["total_duration"].as_f64().unwrap(),
        )
    };
    let (hits, took) = throttled("rate_limiting: { requests_per_minute: 50 }");
    assert_eq!(hits, 0);
    // Nine more starts, one each 1.2 s, and the last call.
    assert!((11.3..12.0).contains(&took), "{took} s");
    let (hits, _) = throttled("rate_limiting: { max_concurrent: 10 }");
    assert!(hits > 0, "a provider with 50 requests a minute does throttle ten at once");
}

#[test]
fn a_request_larger_than_a_minute_s_quota_is_refused_before_anything_is_sent() {
    let config = "rate_limiting: { output_tokens_per_minute: 1000 }";
    let plan = "tasks:\n  - { id: short, prompt: One., max_tokens: 1000 }\n  - { id: long, prompt: Two., max_tokens: 1001 }\n";
    let sandbox = Sandbox::new().file("plan.yaml", plan).file("sortie.yaml", config);
    for command in ["check plan.yaml --offline", "run plan.yaml --simulate"] {
        let ran = sandbox.sortie(command).exits(4);
        let all = ran.transcript();
        assert!(
            all.contains("1 task takes more than the 1000 output tokens/min of agent \"claude\""),
            "{all}"
        );
        assert!(all.contains("\"long\" takes 1001") && all.contains("set max_tokens to 1000"), "{all}");
    }
    let plan = plan.replace("1001", "999");
    let sandbox = Sandbox::new().file("plan.yaml", plan).file("sortie.yaml", config);
    sandbox.sortie("run plan.yaml --simulate --quiet").exits(0);
}

#[test]
fn what_a_run_learned_of_limits_is_shown_and_expected_by_the_next() {
    let simulator = Simulator::with("requests_per_minute: 600\nrequests_burst: 10\n");
    let sandbox = Sandbox::reaching(&simulator)
        .file("plan.yaml", independent(3, ""))
        .file("large.yaml", independent(310, ""));
    let wide = || sandbox.sortie("forecast large.yaml --json --max-concurrent 310").exits(0).json();
    let last_start = || {
        let document = wide();
        let starts =
            document["schedule"].as_array().unwrap().iter().map(|slot| slot["start_s"].as_f64().unwrap());
        starts.fold(0.0, f64::max)
    };
    assert!(last_start() < 0.1);
    sandbox.sortie("run plan.yaml --quiet").exits(0);
    let learned = sandbox.sortie("check plan.yaml").exits(0).transcript();
    assert!(learned.contains("allows 600 requests/min (learned "), "{learned}");
    let forecast = sandbox.sortie("forecast large.yaml").exits(0).transcript();
    assert!(forecast.contains("allows 600 requests/min (learned "), "{forecast}");
    // Three hundred starts after the burst, ten a second; without the limit all would start at once.
    let last = last_start();
    assert!((29.0..31.0).contains(&last), "{last} s");
    let document = wide();
    assert_eq!(document["learned_limits"][0]["requests_per_minute"], 600);
    assert!(document["notes"].is_null());
    // What is supposed goes before what was learned: beyond it with a note, below it in silence.
    for (rpm, expected, notes) in [(1200, 14.5, 1), (300, 61.0, 0)] {
        let arguments = format!("forecast large.yaml --json --max-concurrent 310 --rpm {rpm}");
        let document = sandbox.sortie(&arguments).exits(0).json();
        let starts = document["schedule"].as_array().unwrap().iter().map(|slot| slot["start_s"].as_f64());
        let last = starts.map(Option::unwrap).fold(0.0, f64::max);
        assert!((expected - 1.0..expected + 1.0).contains(&last), "--rpm {rpm}: {last} s");
        let said = document["notes"].as_array().map_or(0, Vec::len);
        assert_eq!(said, notes, "--rpm {rpm}: {}", document["notes"]);
    }
    let supposed = sandbox.sortie("forecast large.yaml --rpm 1200").exits(0);
    drop(supposed.says("was seen to allow 600 requests/min (learned ").says("supposes that it allows 1,200"));
}

#[test]
fn an_account_is_its_key_s_whatever_the_variable_is_called() {
    let simulator = Simulator::with("requests_per_minute: 600\nrequests_burst: 10\n");
    let agents = |variable: &str| format!("agents: {{ claude: {{ api_key_env: {variable} }} }}\n");
    let mut sandbox = Sandbox::reaching(&simulator)
        .file("plan.yaml", independent(3, ""))
        .file("long.yaml", independent(10_000, ""));
    for (variable, key) in [("MINE", "sk-test-m"), ("SAME", "sk-test-m"), ("OTHER", "sk-test-n")] {
        sandbox = sandbox.with(variable, key).file(&format!("{variable}.yaml"), agents(variable));
    }
    let knows = |sandbox: &Sandbox, variable: &str| {
        let check = format!("check plan.yaml --offline --config {variable}.yaml");
        sandbox.sortie(&check).exits(0).transcript().contains("allows 600 requests/min (learned ")
    };
    sandbox.sortie("run plan.yaml --quiet --config MINE.yaml").exits(0);
    assert_eq!(["MINE", "SAME", "OTHER"].map(|of| knows(&sandbox, of)), [true, true, false]);
    // A run that goes on with another key learns of that key's account.
    let run = sandbox.start("run long.yaml --run-id long --quiet --config MINE.yaml");
    until("the run calls", || (simulator.stats().generations > 10).then_some(()));
    run.kill();
    assert!(!knows(&sandbox, "OTHER"));
    let sandbox = sandbox.with("MINE", "sk-test-n");
    let resumed = sandbox.start("resume long --quiet");
    until("the account is known", || knows(&sandbox, "OTHER").then_some(()));
    resumed.kill();
}

#[test]
fn processes_that_use_one_account_know_of_each_other() {
    let simulator = Simulator::with("requests_per_minute: 600\nrequests_burst: 10\n");
    let sandbox = Sandbox::reaching(&simulator)
        .file("long.yaml", independent(10_000, ""))
        .file("short.yaml", independent(5, ""));
    let mut long = sandbox.start("run long.yaml --run-id long --quiet");
    until("the long run calls", || (simulator.stats().generations > 0).then_some(()));
    let short = sandbox.sortie("run short.yaml --json --quiet").exits(0).json();
    assert!(long.is_running());
    long.kill();
    let waits = short["waits"].as_array().unwrap();
    let shares = waits.iter().filter(|wait| wait["reason"].as_str().unwrap().starts_with("a share of"));
    assert_eq!(shares.count(), 1, "{waits:?}");
}
