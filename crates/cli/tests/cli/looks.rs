//! Looking at runs afterwards, and how it looks on a terminal.

use crate::support::{Sandbox, WEBSITE, on_a_terminal};

fn ran_once() -> Sandbox {
    let sandbox = Sandbox::new().file("website.yaml", WEBSITE);
    sandbox.sortie("run website.yaml --simulate --run-id one").exits(0);
    sandbox
}

#[test]
fn looking_at_runs_where_there_are_none_makes_nothing() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.sortie("runs").exits(0).stdout, "no runs\n");
    assert_eq!(sandbox.sortie("runs --json").exits(0).stdout, "[]\n");
    sandbox.sortie("show one").exits(2).says("hint: `sortie runs` lists");
    assert!(!sandbox.path("results").exists());
}

#[test]
fn runs_their_tasks_and_one_task_can_be_shown() {
    let sandbox = ran_once();
    let listed = sandbox.sortie("runs").exits(0).stdout;
    let rows: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["RUN", "PLAN", "CREATED", "TASKS", "STATE"]);
    assert_eq!((rows[1][0], rows[1][1], rows[1].last()), ("one", "website", Some(&"completed")), "{listed}");

    let shown = sandbox.sortie("show one").exits(0).stdout;
    for task in ["analyze", "design", "impl_a", "impl_b", "test"] {
        assert!(shown.lines().any(|line| line.starts_with(task) && line.contains("succeeded")), "{shown}");
    }
    assert!(shown.contains("Total cost: $"), "{shown}");

    let result = sandbox.sortie("show one design --json").exits(0).json()["result"].take();
    let text = sandbox.sortie("show one design").exits(0).stdout;
    assert!(text.starts_with("task design: succeeded\n"), "{text}");
    assert!(text.trim_end().ends_with(result.as_str().unwrap()), "{text}");
}

#[test]
fn a_task_that_is_mistyped_is_guessed() {
    let sandbox = ran_once();
    sandbox.sortie("show one desing").exits(2).says("hint: there is a task \"design\"");
}

#[test]
fn the_schemas_are_json_and_every_shell_has_its_completions() {
    let sandbox = Sandbox::new();
    for of in ["plan", "config"] {
        let schema = sandbox.sortie(&format!("schema {of}")).exits(0).json();
        assert!(schema["properties"].is_object(), "{schema}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sandbox.sortie(&format!("completions {shell}")).exits(0).stdout;
        assert!(script.contains("sortie") && script.contains("simulate"), "{shell}: {script}");
    }
}

/// Whether a text changes colours: `ESC [ … m`.
fn is_coloured(text: &str) -> bool {
    text.split("\u{1b}[")
        .skip(1)
        .any(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m'))
}

#[test]
fn colours_are_for_terminals_whose_owner_wants_them() {
    let sandbox = Sandbox::new().with("TERM", "xterm").file("website.yaml", WEBSITE);
    let run = "run website.yaml --simulate";
    assert!(is_coloured(&on_a_terminal(&sandbox, run)), "a terminal has colours");
    let sandbox = sandbox.with("NO_COLOR", "1");
    let shown = on_a_terminal(&sandbox, run);
    assert!(!is_coloured(&shown), "{shown:?}");
    assert!(shown.contains("Total cost: $"), "{shown:?}");
    let sandbox = sandbox.with("NO_COLOR", "").with("TERM", "dumb");
    let shown = on_a_terminal(&sandbox, run);
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn what_a_model_says_cannot_steer_the_terminal() {
    // YAML takes these escaped only, which is how a model's answer would come: as bytes.
    let titled = r#"tasks: [{ id: a, prompt: "[[sim text=\"x\e]0;title\ay\e[2J\"]]" }]"#;
    let reversed = r#"tasks: [{ id: a, prompt: "[[sim text=\"\x9b31mred \u202e sdrawkcab\r$ \"]]" }]"#;
    for plan in [titled, reversed] {
        let sandbox = Sandbox::new().file("plan.yaml", plan);
        let ran = sandbox.sortie("run plan.yaml --simulate --run-id one").exits(0);
        let shown = sandbox.sortie("show one a").exits(0);
        for said in [&ran.stdout, &ran.stderr, &shown.stdout] {
            let control = said.chars().find(|&c| (c.is_control() && c != '\n') || c == '\u{202e}');
            assert_eq!(control, None, "{said:?}");
        }
    }
}
