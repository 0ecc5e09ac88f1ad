//! Everything that is wrong with a plan is told at once, and what is right means what it says.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::agent::{Agent, Retry, Timeouts};
use crate::document::Source;
use crate::limit::GateId;
use crate::plan::template::Part;
use crate::price::Pricing;

fn agent(name: &str) -> Agent {
    Agent {
        name: name.into(),
        provider: "anthropic".into(),
        model: "m".into(),
        gate: GateId(0),
        pricing: Pricing::Free,
        max_tokens: 4000,
        max_cost: None,
        system_bytes: 7,
        context: None,
        max_output: None,
        fallbacks: Vec::new(),
        fallback_after: None,
        retry: Retry::default(),
        timeouts: Timeouts::default(),
    }
}

fn routing() -> Routing {
    Routing {
        agents: vec![agent("claude"), agent("openai")],
        disabled: vec!["local".into()],
        routes: BTreeMap::from([("coding".into(), "openai".into()), ("bulk".into(), "local".into())]),
        default_agent: Some("claude".into()),
        least_max_tokens: BTreeMap::from([("openai".into(), 16)]),
    }
}

#[test]
fn a_task_asks_for_no_fewer_tokens_than_its_agent_s_api_takes() {
    refused(
        "- {id: a, prompt: x, agent: openai, max_tokens: 15}\n- {id: b, prompt: x, agent: openai, max_tokens: 16}\n\
         - {id: c, prompt: x, max_tokens: 1}\n- {id: d, prompt: x, agent: openai}\n",
        &["p.yaml:2:49: `max_tokens` of `a` must be at least 16: agent `openai`'s API takes no less"],
    );
    let by_default = "defaults: {max_tokens: 5, agent: openai}\ntasks:\n- {id: a, prompt: x}\n";
    let shown = checked("p.yaml", by_default).unwrap_err().to_string();
    assert!(shown.starts_with("p.yaml:1:24: `max_tokens` of `a` must be at least 16"), "{shown}");
}

fn checked(name: &str, text: &str) -> Result<Checked, Problems> {
    let source = Source::new(name, text.into())?;
    Checked::read(&source, &routing())
}

/// The problems of a plan's tasks, as they are shown.
fn refused(tasks: &str, expect: &[&str]) {
    let shown = checked("p.yaml", &format!("tasks:\n{tasks}")).expect_err(tasks).to_string();
    assert_eq!(shown.lines().collect::<Vec<_>>(), expect, "{tasks}");
}

#[test]
fn all_that_is_wrong_is_told_at_once_with_its_place() {
    let tasks = "- {id: a, prompt: x, depends_on: [b, nope, a]}\n- {id: a, prompt: x}\n\
                 - {id: impl, prompt: '{{ results.imlp }} {{ secrets }}', agent: claud}\n\
                 - {id: long, prompt: 'x {{ results.impl', max_tokens: 0, depends_on: [imp]}\n\
                 - {id: b, prompt: '{{ results.long }}', agent: local, max_cost: 0, temperature: .nan}\n\
                 - {id: c, prompt: x, task_type: bulk, expected_seconds: -1, timeout: 0}\n";
    refused(
        tasks,
        &[
            "p.yaml:2:38: task `a` depends on `nope`, which is no task",
            "p.yaml:2:44: task `a` depends on itself",
            "p.yaml:3:8: two tasks have the id `a` (first: 2:8)",
            "p.yaml:4:23: the prompt of `impl` uses `imlp`, which is no task",
            "  hint: did you mean `impl`?",
            "p.yaml:4:42: `{{ secrets }}` in the prompt of `impl` is no result",
            "  hint: write `{{ results.ID }}`; or `template: false` takes the prompt as it is",
            "p.yaml:4:65: there is no agent `claud`",
            "  hint: did you mean `claude`?",
            "p.yaml:5:25: `{{` is not closed, in line 1 of the prompt of `long`",
            "  hint: `template: false` takes the prompt as it is",
            "p.yaml:5:55: `max_tokens` must be at least 1",
            "p.yaml:5:71: task `long` depends on `imp`, which is no task",
            "  hint: did you mean `impl`?",
            "p.yaml:6:31: the prompt of `b` uses `long`, but does not depend on it",
            "  hint: add `long` to `depends_on`",
            "p.yaml:6:48: agent `local` is disabled in the configuration",
            "p.yaml:6:65: `max_cost` must be more than 0 and at most 18 million USD",
            "p.yaml:6:81: `temperature` must be from 0 to 2",
            "p.yaml:7:8: agent `local` is disabled in the configuration",
            "p.yaml:7:57: `expected_seconds` must be from 0 to 31536000 seconds",
            "p.yaml:7:70: `timeout` must be more than 0 and at most 31536000 seconds",
        ],
    );
}

#[test]
fn a_cycle_is_shown_as_a_path_and_every_knot_once() {
    let tasks = "- {id: a, prompt: x, depends_on: [b]}\n- {id: b, prompt: x, depends_on: [c]}\n\
                 - {id: c, prompt: x, depends_on: [a]}\n- {id: d, prompt: x, depends_on: [e, a]}\n\
                 - {id: e, prompt: x, depends_on: [f]}\n- {id: f, prompt: x, depends_on: [e]}\n";
    refused(
        tasks,
        &[
            "p.yaml:2:35: these tasks wait for each other: a → b → c → a",
            "p.yaml:6:35: these tasks wait for each other: e → f → e",
        ],
    );
}

#[test]
fn ids_are_printable_unique_and_not_too_long() {
    let long = "x".repeat(129);
    let tasks =
        format!("- {{id: '', prompt: x}}\n- {{id: {long}, prompt: x}}\n- {{id: \"a\\e[0m\", prompt: x}}\n");
    refused(
        &tasks,
        &[
            "p.yaml:2:8: an id has 1 to 128 characters, not 0",
            "p.yaml:3:8: an id has 1 to 128 characters, not 129",
            "p.yaml:4:8: the id \"a\\u{1b}[0m\" has a control character",
        ],
    );
    let fine = checked(
        "p.yaml",
        "tasks:\n- {id: 分析/../ü, prompt: x}\n- {id: 1, prompt: y, depends_on: [分析/../ü]}",
    );
    assert_eq!(fine.unwrap().plan.tasks()[1].name, "1");
}

#[test]
fn a_plan_without_tasks_is_refused() {
    refused("  []", &["p.yaml:2:3: the plan has no tasks"]);
    assert!(checked("p.jsonl", "\n \n").is_err());
}

#[test]
fn a_result_may_come_from_any_task_before_and_from_no_other() {
    let tasks = |used: &str| {
        format!(
            "tasks:\n- {{id: a, prompt: x}}\n- {{id: b, prompt: x, depends_on: [a]}}\n\
             - {{id: c, prompt: '{{{{ results.{used} }}}}', depends_on: [b]}}\n\
             - {{id: d, prompt: x, depends_on: [c]}}"
        )
    };
    for (used, is_fine) in [("a", true), ("b", true), ("c", false), ("d", false)] {
        assert_eq!(checked("p.yaml", &tasks(used)).is_ok(), is_fine, "{used}");
    }
}

#[test]
fn tasks_that_cannot_be_sent_fail_alone() {
    let long = "语".repeat(100_001);
    let tasks = format!(
        "tasks:\n- {{id: empty, prompt: ' '}}\n- {{id: long, prompt: {long}}}\n\
         - {{id: typeless, prompt: x, task_type: ''}}\n- {{id: fine, prompt: {}}}",
        "语".repeat(100_000)
    );
    let plan = checked("p.yaml", &tasks).unwrap().plan;
    let why: Vec<Option<String>> =
        plan.tasks().iter().map(|task| task.invalid.as_ref().map(ToString::to_string)).collect();
    assert_eq!(
        why,
        [
            Some("invalid: task `empty` has an empty prompt".into()),
            Some("invalid: the prompt of task `long` has 100001 characters: at most 100000".into()),
            Some("invalid: task `typeless` has an empty type".into()),
            None,
        ]
    );
}

#[test]
fn what_a_task_leaves_open_comes_from_the_defaults_then_from_the_agent() {
    let text = "name: n\ndefaults: {max_tokens: 800, temperature: 0.5, timeout: 9}\ntasks:\n\
                - {id: a, prompt: x, system: sys, task_type: coding}\n\
                - {id: b, prompt: 'a {{results.a}}{{ results.a.k }}', depends_on: [a, a], max_tokens: 9, \
                max_cost: 0.1, expected_seconds: 0, agent: claude, template: true}\n";
    let Checked { plan, prompts, warnings, .. } = checked("p.yaml", text).unwrap();
    let [a, b] = plan.tasks() else { panic!("two tasks") };
    assert_eq!((plan.name(), a.max_tokens, b.max_tokens), ("n", 800, 9));
    assert_eq!((plan.agent(a.agent).name.as_str(), plan.agent(b.agent).name.as_str()), ("openai", "claude"));
    assert_eq!((a.timeout, b.expected), (Duration::from_secs(9), Some(Duration::ZERO)));
    assert_eq!(b.depends_on, [TaskId(0).into()]);
    assert_eq!(a.prompt, PromptSize { fixed_bytes: 1 + 3, ..PromptSize::default() });
    assert_eq!(
        b.prompt,
        PromptSize { fixed_bytes: 2 + 7, inserts: vec![(TaskId(0), 2)], ..PromptSize::default() }
    );
    assert_eq!(b.max_cost, Usd::from_f64(0.1));
    assert_eq!((prompts[0].temperature, prompts[0].system.as_deref()), (Some(0.5), Some("sys")));
    assert_eq!(warnings.to_string(), "p.yaml:5:71: warning: task `b` names `a` twice in `depends_on`");
}

#[test]
fn a_dependency_may_end_as_its_edge_says_else_as_its_own_on_failure_does() {
    use crate::plan::When::{Any, Finished, Succeeded};
    let text = "max_failures: 3\ndefaults: {on_failure: stop}\ntasks:\n- {id: a, prompt: x, on_failure: continue}\n\
                - {id: b, prompt: x}\n- {id: c, prompt: '{{ results.a }}{{ results.b }}', \
                depends_on: [a, {task: b, when: any}]}\n\
                - {id: d, prompt: x, depends_on: [{task: a, when: succeeded}, {task: b, when: finished}, {task: c}]}\n";
    let Checked { plan, max_failures, .. } = checked("p.yaml", text).unwrap();
    let edges =
        |task: usize| plan.tasks()[task].depends_on.iter().map(|on| (on.task.0, on.when)).collect::<Vec<_>>();
    assert_eq!(edges(2), [(0, Finished), (1, Any)]);
    assert_eq!(edges(3), [(0, Succeeded), (1, Finished), (2, Succeeded)]);
    assert_eq!(plan.tasks().iter().map(|task| task.stops_run).collect::<Vec<_>>(), [false, true, true, true]);
    assert_eq!(max_failures, Some(3));
}

#[test]
fn a_result_that_need_not_be_there_in_time_is_depended_on_directly() {
    let tasks = |edge: &str, on: &str| {
        format!(
            "- {{id: a, prompt: x}}\n- {{id: b, prompt: x, depends_on: [a]}}\n\
                 - {{id: c, prompt: '{{{{ results.a }}}}', depends_on: [{edge}{on}]}}\n"
        )
    };
    let message = "p.yaml:4:31: the prompt of `c` uses `a`, but does not depend on it";
    let help = "  hint: add `a` to `depends_on`";
    refused(&tasks("{task: b, when: any}", ""), &[message, help]);
    for (edge, on) in [("b", ""), ("{task: b, when: any}", ", {task: a, when: any}")] {
        let text = format!("tasks:\n{}", tasks(edge, on));
        assert!(checked("p.yaml", &text).is_ok(), "{edge}{on}");
    }
}

#[test]
fn without_a_timeout_of_its_own_a_task_has_one_that_fits_its_work() {
    let plan = checked("p.yaml", "tasks:\n- {id: a, prompt: x, max_tokens: 4000}").unwrap().plan;
    assert_eq!(plan.tasks()[0].timeout, Duration::from_secs(200));
}

#[test]
fn a_literal_prompt_is_not_a_template() {
    let text = "tasks:\n- {id: a, prompt: '{{ results.zzz }} {{', template: false}";
    let prompts = checked("p.yaml", text).unwrap().prompts;
    assert_eq!(prompts[0].template.parts, [Part::Text("{{ results.zzz }} {{".into())]);
}

#[test]
fn the_same_plan_is_read_from_yaml_json_and_jsonl() {
    let yaml = checked(
        "p.yaml",
        "tasks:\n- {id: a, prompt: x, metadata: {k: [1]}}\n- {id: b, prompt: y, depends_on: [a]}",
    );
    let a = r#"{"id": "a", "prompt": "x", "metadata": {"k": [1]}}"#;
    let b = r#"{"id": "b", "prompt": "y", "depends_on": ["a"]}"#;
    let json = checked("p.json", &format!("{{\"tasks\": [{a}, {b}]}}"));
    let jsonl = checked("dir/p.jsonl", &format!("{a}\n{b}\n"));
    let [yaml, json, jsonl] = [yaml, json, jsonl].map(|checked| checked.unwrap());
    assert_eq!((&yaml.plan, &yaml.prompts), (&json.plan, &json.prompts));
    assert_eq!((&yaml.plan, &yaml.prompts), (&jsonl.plan, &jsonl.prompts));
    assert_eq!(yaml.plan.name(), "p");
}

#[test]
fn a_task_that_no_agent_can_do_says_what_to_set() {
    let nobody = Routing { default_agent: None, ..routing() };
    let source = Source::new("p.yaml", "tasks:\n- {id: a, prompt: x}".into()).unwrap();
    let problems = check(PlanFile::read(&source).unwrap(), &nobody).unwrap_err();
    assert_eq!(
        source.locate(problems).to_string().lines().next().unwrap(),
        "p.yaml:2:8: task `a` has no agent"
    );
}

#[test]
fn the_design_s_plan_is_fine() {
    let text = include_str!("../../../tests/fixtures/website.yaml");
    let plan = checked("website.yaml", text).unwrap().plan;
    assert_eq!((plan.name(), plan.len(), plan.task(TaskId(1)).max_tokens), ("website", 2, 800));
}

/// The problems of a whole document, as they are shown.
fn refused_as(name: &str, text: &str, expect: &[&str]) {
    let shown = checked(name, text).expect_err(text).to_string();
    let lines: Vec<&str> = shown.lines().filter(|line| !line.starts_with("  hint:")).collect();
    assert_eq!(lines, expect, "{text}");
}

#[test]
fn a_wrong_form_hides_nothing_that_is_wrong_with_the_meaning() {
    refused_as(
        "p.yaml",
        "tasks:\n- {id: a, promt: 3, depends_on: [b]}\n- {id: b, prompt: x, depends_on: [a]}\n",
        &[
            "p.yaml:2:3: `tasks[0]` has no `prompt`",
            "p.yaml:2:11: unknown field `promt`",
            "p.yaml:2:34: these tasks wait for each other: a → b → a",
        ],
    );
    refused_as(
        "p.json",
        "{\"tasks\": [{\"id\": \"a\", \"prompt\": \"x\", \"depends_on\": [\"zz\"], \"foo\": 1},\n\
         {\"id\": \"a\", \"prompt\": \"y\"}]}",
        &[
            "p.json:1:54: task `a` depends on `zz`, which is no task",
            "p.json:1:61: unknown field `foo`",
            "p.json:2:8: two tasks have the id `a` (first: 1:19)",
        ],
    );
    refused_as(
        "p.jsonl",
        "{\"id\": \"a\", \"prompt\": \"x\", \"temperature\": \"hot\", \"timeout\": 0}\n{\"id\" 1}\n\
         {\"id\": \"c\", \"prompt\": \"x\", \"depends_on\": [\"c\"]}\n",
        &[
            "p.jsonl:1:43: `temperature` must be a number, not `\"hot\"`",
            "p.jsonl:1:61: `timeout` must be more than 0 and at most 31536000 seconds",
            "p.jsonl:2:7: expected `:`",
            "p.jsonl:3:43: task `c` depends on itself",
        ],
    );
    refused_as(
        "p.yaml",
        "tasks:\n- id: a\n  prompt: |\n    {{ results.b\n  priority: 99999999999\n  temperature: 99\n  timeout: 0\n  \
         max_tokens: 0\n  max_cost: -1\n",
        &[
            "p.yaml:4:5: `{{` is not closed, in line 1 of the prompt of `a`",
            "p.yaml:5:13: `priority` must be a whole number from -2147483648 to 2147483647, not `99999999999`",
            "p.yaml:6:16: `temperature` must be from 0 to 2",
            "p.yaml:7:12: `timeout` must be more than 0 and at most 31536000 seconds",
            "p.yaml:8:15: `max_tokens` must be at least 1",
            "p.yaml:9:13: `max_cost` must be more than 0 and at most 18 million USD",
        ],
    );
    refused_as(
        "p.yaml",
        "tasks: {a: x}\ndefaults: {temperature: 9}\n",
        &["p.yaml:1:8: `tasks` must be a list, not a map", "p.yaml:2:25: `temperature` must be from 0 to 2"],
    );
}

#[test]
fn what_could_not_be_read_is_not_taken_for_absent() {
    let alone = |wrong: &str, rest: &str, expect: &[&str]| {
        refused_as("p.yaml", &format!("tasks:\n- {wrong}\n{rest}"), expect);
    };
    let on_a = "- {id: b, prompt: '{{ results.a }}', depends_on: [a]}\n";
    alone(
        "{id: a, prompt: [x], max_tokens: x}",
        on_a,
        &[
            "p.yaml:2:19: `prompt` must be text, not a list",
            "p.yaml:2:36: `max_tokens` must be a whole number from 0 to 4294967295, not `x`",
        ],
    );
    alone("{id: [a], prompt: x}", on_a, &["p.yaml:2:8: `id` must be text, not a list"]);
    alone("a", on_a, &["p.yaml:2:3: `tasks[0]` must be a map, not `a`"]);
    alone(
        "{name: a, prompt: x}",
        on_a,
        &["p.yaml:2:3: `tasks[0]` has no `id`", "p.yaml:2:4: unknown field `name`"],
    );
    // Nothing is written there that could have been its id.
    alone(
        "{prompt: x}",
        "- {id: b, prompt: y, depends_on: [a]}",
        &["p.yaml:2:3: `tasks[0]` has no `id`", "p.yaml:3:35: task `b` depends on `a`, which is no task"],
    );
    let uses_b = "prompt: '{{ results.b }}'";
    let b = "- {id: b, prompt: x}";
    alone(
        &format!("{{id: a, {uses_b}, depends_on: b}}"),
        b,
        &["p.yaml:2:50: `depends_on` must be a list, not `b`"],
    );
    alone(
        &format!("{{id: a, {uses_b}, depends_on: [[b]]}}"),
        b,
        &["p.yaml:2:51: `depends_on[0]` must be text or a map, not a list"],
    );
    alone(&format!("{{id: a, {uses_b}, depend_on: [b]}}"), b, &["p.yaml:2:38: unknown field `depend_on`"]);
    alone(
        "{id: a, prompt: '{{ x }}', template: no}",
        "- {id: b, prompt: '{{ y }}'}",
        &[
            "p.yaml:2:40: `template` must be `true` or `false`, not `no`",
            "p.yaml:3:20: `{{ y }}` in the prompt of `b` is no result",
        ],
    );
}

#[test]
fn a_written_plan_that_nobody_checked_is_refused() {
    let text = "tasks:\n- {id: a, prompt: A.}\n- {id: b, prompt: '{{ results.a }}', depends_on: [a]}";
    let written = serde_json::to_value(checked("p.yaml", text).unwrap().plan).unwrap();
    let check = |place: &str, value: serde_json::Value, expected: Option<&str>| {
        let mut written = written.clone();
        *written.pointer_mut(place).unwrap() = value;
        let refused = serde_json::from_value::<Plan>(written).err().map(|error| error.to_string());
        assert_eq!(refused.as_deref(), expected, "{place}");
    };
    let nobody = Some("task \"b\" refers to a task that is not there");
    check("/tasks/1/depends_on", serde_json::json!([0]), None);
    check("/tasks/1/depends_on", serde_json::json!([2]), nobody);
    check("/tasks/1/prompt/inserts", serde_json::json!([[256, 1]]), nobody);
    check("/tasks/1/agent", 2.into(), Some("task \"b\" has an agent that is not there"));
    check("/tasks/1/depends_on", serde_json::json!([1]), Some("its tasks wait for each other"));
    check("/tasks/0/depends_on", serde_json::json!([1]), Some("its tasks wait for each other"));
}
