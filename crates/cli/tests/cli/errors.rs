//! What a user is told who asks for help or makes a mistake, word for word.
//!
//! The texts are in `snapshots/`. After a change that is meant: `INSTA_UPDATE=always cargo test -p
//! sortie-cli --test cli errors`, and read what `git diff` shows.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use crate::support::{Ran, Sandbox};

/// Holds all that a user sees to what is written down.
#[track_caller]
fn check(name: &str, ran: &Ran) {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, ran.transcript());
    });
}

#[test]
fn help_is_what_it_was() {
    let sandbox = Sandbox::new();
    check("help", &sandbox.sortie("--help").exits(0));
    for command in
        ["run", "resume", "check", "runs", "show", "simulate", "trial", "prices", "schema", "completions"]
    {
        check(&format!("help_{command}"), &sandbox.sortie(&format!("{command} --help")).exits(0));
    }
}

#[test]
fn a_command_line_that_is_wrong_is_explained() {
    let sandbox = Sandbox::new().file("plan.yaml", "tasks: [{ id: a, prompt: A. }]");
    for (name, arguments) in [
        ("usage_no_command", ""),
        ("usage_unknown_command", "rnu plan.yaml"),
        ("usage_unknown_option", "run plan.yaml --max-costs 1"),
        ("usage_no_plan", "run"),
        ("usage_no_money", "run plan.yaml --max-cost much"),
        ("usage_budget_of_nothing", "run plan.yaml --max-cost 0"),
        ("usage_run_id", "run plan.yaml --simulate --run-id ../up"),
        ("usage_scenario", "run plan.yaml --simulate=clam"),
        ("usage_time_scale", "simulate --listen 127.0.0.1:0 --time-scale 0"),
        ("usage_record_what", "simulate --record kept"),
        ("usage_record_in_the_clear", "simulate --record kept --upstream http://api.example"),
        ("usage_replay_nothing", "simulate --replay none"),
        ("usage_no_such_run", "show one"),
        ("usage_nothing_to_resume", "resume"),
        ("usage_no_price", "prices gpt-6"),
        ("usage_no_price_like_it", "prices my-own-model"),
    ] {
        check(name, &sandbox.sortie(arguments).exits(2));
    }
}

/// Plans that are refused: all of them exit with 2 and make nothing.
const PLANS: [(&str, &str); 13] = [
    ("unknown_field", "tasks:\n  - id: a\n    promt: Hello.\n    prompt: Hello.\n"),
    (
        "duplicate_id",
        "tasks:\n  - { id: a, prompt: One. }\n  - { id: b, prompt: Two. }\n  - { id: a, prompt: Three. }\n",
    ),
    (
        "unknown_dependency",
        "tasks:\n  - { id: analyze, prompt: One. }\n  - { id: b, prompt: Two., depends_on: [analyse] }\n",
    ),
    (
        "cycle",
        "tasks:\n  - { id: a, prompt: A., depends_on: [c] }\n  - { id: b, prompt: B., depends_on: [a] }\n  - { id: c, prompt: C., depends_on: [b] }\n",
    ),
    ("on_itself", "tasks:\n  - { id: a, prompt: A., depends_on: [a] }\n"),
    (
        "alias_bomb",
        "a: &a [x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b]\ntasks: *c\n",
    ),
    ("empty", "\n"),
    ("no_tasks", "name: nothing\ntasks: []\n"),
    (
        "reference_without_dependency",
        "tasks:\n  - { id: a, prompt: A. }\n  - id: b\n    prompt: |\n      Go on from here:\n      {{ results.a }}\n",
    ),
    ("broken_reference", "tasks:\n  - { id: a, prompt: 'Use {{ results.a' }\n"),
    ("unknown_agent", "tasks:\n  - { id: a, prompt: A., agent: cluade }\n"),
    ("wrong_types", "tasks:\n  - { id: [a], prompt: 7, max_tokens: -1, depends_on: b, temperature: hot }\n"),
    (
        "several",
        "name: x\ntasks:\n  - { id: a, prompt: '{{ results.z }}', depends_on: [y] }\n  - { id: a, prompt: B., max_tokens: 0 }\n  - { id: c, prompt: C., agent: nobody }\n",
    ),
];

#[test]
fn a_plan_that_is_wrong_is_shown_where_it_is_wrong() {
    for (name, plan) in PLANS {
        let sandbox = Sandbox::new().file("plan.yaml", plan);
        let ran = sandbox.sortie("run plan.yaml --simulate").exits(2);
        assert_eq!(ran.stdout, "");
        let has_a_place = !["empty", "no_tasks"].contains(&name);
        assert!(
            !has_a_place || (ran.stderr.contains(" --> plan.yaml:") && ran.stderr.contains('^')),
            "{name}"
        );
        assert!(!sandbox.path("results").exists(), "{name}: something was made");
        check(&format!("plan_{name}"), &ran);
    }
}

#[test]
fn garbage_is_refused_in_few_words() {
    // Every line of a megabyte is wrong: it is said once, not ten thousand times.
    let garbage: String = (0..1_048_576_u32)
        .map(|n| char::from(33 + (n.wrapping_mul(2_654_435_761) >> 25) as u8 % 94))
        .collect();
    let folded: String = garbage
        .as_bytes()
        .chunks(97)
        .flat_map(|line| [line, b"\n"])
        .flatten()
        .map(|&byte| char::from(byte))
        .collect();
    for (name, bytes) in [
        ("garbage_in_a_line", garbage.into_bytes()),
        ("garbage_in_lines", folded.into_bytes()),
        ("garbage_binary", (0..1_048_576_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()),
        ("garbage_utf8", b"tasks:\n  - { id: a, prompt: caf\xe9 }\n".to_vec()),
        ("garbage_nested", "[".repeat(100_000).into_bytes()),
    ] {
        let sandbox = Sandbox::new().file("plan.yaml", &bytes);
        let ran = sandbox.sortie("run plan.yaml --simulate").exits(2);
        assert!(ran.stderr.len() < 4096, "{name}: {} bytes of messages", ran.stderr.len());
        check(name, &ran);
    }
}

#[test]
fn a_configuration_that_is_wrong_is_shown_where_it_is_wrong() {
    for (name, config) in [
        ("config_unknown_key", "rate_limiting:\n  request_per_minute: 50\n"),
        (
            "config_wrong_types",
            "cost_control: { max_cost_per_session: ten }\nrate_limiting: { max_concurrent: 1.5 }\n",
        ),
        (
            "config_wrong_words",
            "monitoring: { log_level: LOUD }\nrate_limiting: { backoff_strategy: fibonacci }\n",
        ),
        ("config_unknown_agent", "agents: { claude: { provider: anthropic } }\ndefault_agent: cluade\n"),
        ("config_key_in_it", "agents: { claude: { provider: anthropic, api_key: sk-test } }\n"),
    ] {
        let sandbox =
            Sandbox::new().file("sortie.yaml", config).file("plan.yaml", "tasks: [{ id: a, prompt: A. }]");
        let ran = sandbox.sortie("run plan.yaml --simulate").exits(2);
        assert!(ran.stderr.contains(" --> sortie.yaml:") && ran.stderr.contains('^'), "{}", ran.transcript());
        check(name, &ran);
    }
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let sandbox =
        || Sandbox::new().file("plan.yaml", "tasks: [{ id: a, prompt: A. }]").file("taken", "a file");
    check("file_no_plan", &sandbox().sortie("run plna.yaml --simulate").exits(2));
    check("file_plan_is_a_directory", &sandbox().sortie("run . --simulate").exits(2));
    check("file_no_config", &sandbox().sortie("run plan.yaml --simulate --config no.yaml").exits(2));
    check("file_no_env_file", &sandbox().sortie("run plan.yaml --simulate --env-file no.env").exits(2));
    check("file_no_results", &sandbox().sortie("run plan.yaml --simulate --results-dir taken/here").exits(4));
    let exposed = sandbox().file(".env", "ANTHROPIC_API_KEY=sk-test\n");
    fs::set_permissions(exposed.path(".env"), fs::Permissions::from_mode(0o644)).unwrap();
    check("file_env_open_to_others", &exposed.sortie("run plan.yaml").exits(4));
    let malformed = sandbox().file("keys.env", "ANTHROPIC_API_KEY=sk-test\nthis is no variable\n");
    fs::set_permissions(malformed.path("keys.env"), fs::Permissions::from_mode(0o600)).unwrap();
    check("file_env_malformed", &malformed.sortie("run plan.yaml --env-file keys.env").exits(2));
}

#[test]
fn an_address_that_cannot_be_served_is_named() {
    check("simulate_open_to_others", &Sandbox::new().sortie("simulate --listen 0.0.0.0:0").exits(2));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = Sandbox::new().sortie(&format!("simulate --listen {address}")).exits(4);
    let shown = ran.transcript().replace(&address, "127.0.0.1:PORT");
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("simulate_port_in_use", shown);
    });
}
