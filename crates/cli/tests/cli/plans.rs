//! The forms a plan may have, and configurations that have to load as they stand.

use crate::support::{Sandbox, WEBSITE};

/// Two tasks, the second of which needs the first, in every form that a plan may have.
const FORMS: [(&str, &str); 4] = [
    (
        "plan.yaml",
        "name: pair\ntasks:\n  - { id: one, prompt: First. }\n  - { id: two, prompt: 'After {{ results.one }}', depends_on: [one] }\n",
    ),
    (
        "plan.json",
        r#"{"name": "pair", "tasks": [{"id": "one", "prompt": "First."},
           {"id": "two", "prompt": "After {{ results.one }}", "depends_on": ["one"]}]}"#,
    ),
    (
        "plan.jsonl",
        r#"{"id": "one", "prompt": "First."}

{"id": "two", "prompt": "After {{ results.one }}", "depends_on": ["one"], "metadata": {"k": [1, null]}}"#,
    ),
    // Without an extension the text tells.
    (
        "plan",
        "{\"id\": \"one\", \"prompt\": \"First.\"}\n{\"id\": \"two\", \"prompt\": \"Second.\", \"depends_on\": [\"one\"]}",
    ),
];

#[test]
fn a_plan_is_yaml_json_or_jsonl_in_a_file_or_on_standard_input() {
    let check = |sandbox: Sandbox, arguments: &str, stdin: &str| {
        let document = sandbox.sortie_reading(arguments, stdin).exits(0).json();
        assert_eq!(document["execution_history"], serde_json::json!(["one", "two"]), "{arguments}");
    };
    for (name, text) in FORMS {
        let file = Sandbox::new().file(name, text);
        check(file, &format!("run {name} --simulate --json"), "");
        check(Sandbox::new(), "run - --simulate --json", text);
    }
}

#[test]
fn the_founding_documents_configuration_loads_as_it_stands() {
    let config = include_str!("../../../../examples/config.production.yaml");
    let sandbox = Sandbox::new().file("config.production.yaml", config).file("website.yaml", WEBSITE);
    let ran = sandbox.sortie("run website.yaml --simulate --run-id one --json").exits(0);
    let summary = ran.json();
    assert_eq!(summary["cost"]["budget"], 10.0);
    assert_eq!(summary["task_results"]["test"]["model"], "claude-sonnet-4-5-20250929");
    assert!(sandbox.path("results/production/one/summary.json").exists());
    ran.says("50 requests/min, budget $10.00");
}

#[test]
fn what_the_command_line_states_goes_before_the_configuration() {
    let config = "cost_control: { max_cost_per_session: 10.0 }\nmonitoring: { results_dir: there }\n";
    let sandbox = Sandbox::new().file("sortie.yaml", config).file("website.yaml", WEBSITE);
    let document = sandbox
        .sortie("run website.yaml --simulate --max-cost 2.5 --results-dir here --run-id one --json")
        .exits(0)
        .json();
    assert_eq!(document["cost"]["budget"], 2.5);
    assert!(sandbox.path("here/one").exists() && !sandbox.path("there").exists());
}

#[test]
fn the_environment_goes_before_the_env_file() {
    use std::os::unix::fs::PermissionsExt;
    let variables = "ANTHROPIC_API_KEY=sk-test\nANTHROPIC_MODEL=claude-haiku-4-5\nOPENAI_MODEL=gpt-5.6-sol\n";
    let plan = "tasks: [{ id: a, prompt: A. }, { id: b, prompt: B., agent: openai }]";
    let sandbox = Sandbox::new().with("OPENAI_MODEL", "gpt-5.6-luna");
    let sandbox = sandbox.file(".env.production", variables).file("plan.yaml", plan);
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(sandbox.path(".env.production"), private).unwrap();
    let tasks = sandbox.sortie("run plan.yaml --simulate --json").exits(0).json()["task_results"].take();
    let model = |task: &str| tasks[task]["model"].as_str().unwrap().to_owned();
    assert!(model("a").starts_with("claude-haiku-4-5"), "{}", model("a"));
    assert_eq!(model("b"), "gpt-5.6-luna");
}
