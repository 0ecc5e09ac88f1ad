//! Answers that need no call: of earlier runs (`--cache`), and of tasks that ask the same (`dedupe`).

use crate::support::{Sandbox, Simulator};

const PLAN: &str = "
tasks:
  - { id: a, prompt: A. }
  - { id: b, prompt: 'B after {{ results.a }}', depends_on: [a], max_tokens: 700 }
  - { id: c, prompt: 'C after {{ results.b }}', depends_on: [b] }
";

#[test]
fn an_earlier_run_s_answers_are_taken_for_the_same_requests_and_cost_nothing() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", PLAN);
    let first = sandbox.sortie("run plan.yaml --run-id first --json").exits(0).json();
    assert_eq!(simulator.stats().requests, 3);
    let ran = sandbox.sortie("run plan.yaml --run-id second --cache --max-cost 0.000001 --json").exits(0);
    let second = ran.says("task c answered without a call: run first asked the same").json();
    assert_eq!(simulator.stats().requests, 3, "nothing was asked again");
    assert_eq!((&second["total_cost"], &second["cached_tasks"]), (&0.0.into(), &3.into()));
    assert_eq!((&second["api_calls_count"], &second["success"]), (&0.into(), &true.into()));
    for task in ["a", "b", "c"] {
        let (before, now) = (&first["task_results"][task], &second["task_results"][task]);
        assert_eq!(before["result"], now["result"], "{task}");
        assert_eq!((&before["cached"], &now["cached"]), (&false.into(), &true.into()), "{task}");
        assert_eq!((&now["cached_from"], &now["cost_usd"]), (&"run first".into(), &0.0.into()), "{task}");
    }
    // Without being told so a run asks anew; another prompt, parameter or agent is another request.
    sandbox.sortie("run plan.yaml").exits(0);
    assert_eq!(simulator.stats().requests, 6);
    let sandbox = sandbox.file("plan.yaml", PLAN.replace("700", "701"));
    let third = sandbox.sortie("run plan.yaml --cache --json").exits(0).json();
    let cached = ["a", "b", "c"].map(|task| third["task_results"][task]["cached"] == true);
    assert_eq!(
        cached,
        [true, false, third["task_results"]["b"]["result"] == first["task_results"]["b"]["result"]]
    );
}

#[test]
fn a_simulated_run_s_answers_are_no_provider_s() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", PLAN);
    sandbox.sortie("run plan.yaml --simulate --seed 1").exits(0);
    let again = |options: &str| {
        sandbox.sortie(&format!("run plan.yaml --json --cache {options}")).exits(0).json()["cached_tasks"]
            .clone()
    };
    assert_eq!(again("--simulate --seed 1"), 3);
    assert_eq!(again("--simulate --seed 2"), serde_json::Value::Null);
    assert_eq!(again(""), serde_json::Value::Null);
    assert_eq!(simulator.stats().requests, 3);
}

#[test]
fn tasks_that_ask_the_same_share_a_call_where_they_may() {
    let simulator = Simulator::start();
    let plan = "
defaults: { dedupe: true }
tasks:
  - { id: a, prompt: Same. }
  - { id: b, prompt: Same. }
  - { id: c, prompt: Same., dedupe: false }
  - { id: d, prompt: 'After {{ results.b }}', depends_on: [b] }
  - { id: e, prompt: 'After {{ results.a }}', depends_on: [a] }
  - { id: f, prompt: 'After {{ results.a }}', depends_on: [a, c] }
  - { id: g, prompt: 'Other [[sim fail=400]]' }
  - { id: h, prompt: 'Other [[sim fail=400]]' }
";
    let sandbox = Sandbox::reaching(&simulator).file("plan.yaml", plan);
    let document = sandbox.sortie("run plan.yaml --run-id one --json").exits(1).json();
    let of = |task: &str| document["task_results"][task]["cached_from"].as_str().unwrap_or("").to_owned();
    // What inserts the result of another task is another request, though that is the same text.
    assert_eq!(["a", "b", "c", "d", "e", "f"].map(of), ["", "task a", "", "", "", "task e"]);
    let failed = ["g", "h"].map(|task| document["task_results"][task]["attempts"].clone());
    assert_eq!(failed, [1, 1], "who shares a call that fails is asked itself");
    assert_eq!(simulator.stats().requests, 6);
    sandbox.sortie("show one b").exits(0).says("answered by task a");
}
