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

#[test]
fn an_answer_is_what_its_task_says_it_has_to_be_or_is_asked_for_once_more() {
    let plan = r#"
defaults:
  output: { schema: { type: object, required: [colours], properties: { colours: { type: array, items: { type: string } } } } }
tasks:
  - { id: fits, prompt: List colours. }
  - { id: uses, prompt: "Use {{ results.fits.colours }}", depends_on: [fits] }
  - { id: other, prompt: "[[sim text=blue]] List colours." }
  - { id: behind, prompt: After., depends_on: [other] }
"#;
    let config = "agents: { claude: {}, openai: { enabled: true } }";
    for agent in ["claude", "openai"] {
        let plan = plan.replace("defaults:", &format!("defaults:\n  agent: {agent}"));
        let sandbox = Sandbox::new().file("plan.yaml", plan).file("sortie.yaml", config);
        let document = sandbox.sortie("run plan.yaml --simulate --run-id one --json").exits(1).json();
        let results = &document["task_results"];
        let fits: serde_json::Value =
            serde_json::from_str(results["fits"]["result"].as_str().unwrap()).unwrap();
        assert!(fits["colours"].is_array(), "{fits}");
        assert_eq!(results["uses"]["success"], true);
        // Paid for twice, and told what was wrong the second time.
        assert_eq!(
            (&results["other"]["attempts"], &results["other"]["error"]["class"]),
            (&2.into(), &"invalid_output".into())
        );
        assert_eq!(results["behind"]["status"], "skipped");
        let log = sandbox.read("results/one/production.log");
        assert!(log.contains("attempt 1 got an answer that does not fit its schema"), "{log}");
        assert!(log.contains("it is no JSON: expected value at line 1 column 1"), "{log}");
    }
}

#[test]
fn a_schema_that_is_none_is_refused_with_the_plan() {
    let check = |schema: &str, says: &str| {
        let plan = format!("tasks:\n  - {{ id: one, prompt: A., output: {{ schema: {schema} }} }}");
        let sandbox = Sandbox::new().file("plan.yaml", plan);
        for command in ["run plan.yaml --simulate", "check plan.yaml --offline", "forecast plan.yaml"] {
            sandbox.sortie(command).exits(2).says(says);
        }
    };
    check("[]", "`schema` must be a JSON schema: an object");
    check("{ type: 12 }", "`output.schema` of `one` is no JSON schema: 12 is not valid");
    check("{ $ref: 'http://127.0.0.1:9/schema.json' }", "is no JSON schema: ");
}
