//! What the simulator keeps of a run, what it makes of that, and scenarios that need other files.

use crate::support::{Sandbox, Simulator};

const PLAN: &str = "
tasks:
  - { id: a, prompt: Name a river. }
  - { id: b, prompt: Name another. }
  - { id: c, prompt: \"Compare {{ results.a }} and {{ results.b }}.\", depends_on: [a, b] }
";

#[test]
fn a_run_that_was_recorded_is_run_again_without_the_api() {
    let kept = tempfile::tempdir().unwrap();
    let outputs = |simulator: &Simulator| {
        let run =
            Sandbox::reaching(simulator).file("plan.yaml", PLAN).sortie("run plan.yaml --json").exits(0);
        let document = run.json();
        ["a", "b", "c"].map(|task| document["task_results"][task]["result"].clone())
    };
    let recorded = {
        let api = Simulator::start();
        let outputs = outputs(&Simulator::recording(kept.path(), &api));
        assert_eq!(api.stats().generations, 3);
        outputs
    };
    assert!(recorded.iter().all(serde_json::Value::is_string), "{recorded:?}");
    let files =
        std::fs::read_dir(kept.path()).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()));
    let files: Vec<String> = files.map(Result::unwrap).collect();
    assert_eq!(files.len(), 3);
    assert!(files.iter().all(|file| !file.contains("sk-test")), "{files:?}");
    assert_eq!(outputs(&Simulator::replaying(kept.path())), recorded);
}

#[test]
fn a_scenario_draws_from_samples_beside_its_file() {
    let scenario = "
name: measured
latency: { total: { seconds: { samples: times.txt }, first_token: { fixed: 0.5 } } }
output_tokens: { fixed: 20 }
";
    let sandbox = || {
        let sandbox = Sandbox::new().file("plan.yaml", "tasks: [{ id: a, prompt: A. }]");
        std::fs::create_dir(sandbox.path("measured")).unwrap();
        sandbox.file("measured/slow.yaml", scenario)
    };
    let run = "run plan.yaml --json --simulate=measured/slow.yaml";
    let took = sandbox().file("measured/times.txt", "# seconds\n7\n").sortie(run).exits(0);
    assert_eq!(took.json()["task_results"]["a"]["latency_s"], 7.0);
    sandbox().sortie(run).exits(2).says("read the samples of times.txt");
}
