//! Keys reach the provider's header and nothing else (RELIABILITY S1): not a log, a report, the
//! journal or the terminal, in no form.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::support::{Sandbox, Simulator, Trap, WEBSITE};

/// Shaped like a key and found nowhere else.
const CANARY: &str = "sk-canary-5f0c1e9ab7d24638";

/// The same in a shape that nobody can tell from a word.
const PLAIN_CANARY: &str = "canary_5f0c1e9ab7d24638";

/// What both have in common: a key that is masked by halves is not masked.
const SECRET_PART: &str = "5f0c1e9ab7d24638";

/// The forms in which a key may hide.
fn forms(key: &str) -> Vec<(&'static str, String)> {
    let hex = key.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    // Base64 of a text depends on where it stands in groups of three: what is the same for each of
    // the three offsets is looked for.
    let base64 = |skip: usize| base64(&key.as_bytes()[skip..skip + (key.len() - skip) / 3 * 3]);
    vec![
        ("raw", key.to_owned()),
        ("hex", hex.clone()),
        ("upper-case hex", hex.to_uppercase()),
        ("base64", base64(0)),
        ("base64", base64(1)),
        ("base64", base64(2)),
        ("reversed", key.chars().rev().collect()),
        ("its secret part", SECRET_PART.to_owned()),
    ]
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks_exact(3).map(|group| u32::from_be_bytes([0, group[0], group[1], group[2]]));
    groups
        .flat_map(|bits| [18, 12, 6, 0].map(|shift| char::from(DIGITS[(bits >> shift) as usize & 63])))
        .collect()
}

/// Looks for the key in all that is there: results, journal, logs, and what the program said.
#[track_caller]
fn is_nowhere(sandbox: &Sandbox, except: Option<&str>) {
    let mut files = sandbox.files();
    files.retain(|file| except.is_none_or(|name| !file.ends_with(name)));
    for name in ["sortie.db", "production.log", ".stderr-0"] {
        assert!(files.iter().any(|file| file.ends_with(name)), "{name} is looked into: {files:?}");
    }
    for file in files {
        let bytes = fs::read(&file).unwrap();
        for (form, text) in [CANARY, PLAIN_CANARY].into_iter().flat_map(forms) {
            let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!found, "the key is in {} ({form})", file.display());
        }
    }
}

/// A run in which tasks succeed, fail, are retried and lose their connection.
const EVENTFUL: &str = "
tasks:
  - { id: good, prompt: Hello. }
  - { id: bad, prompt: '[[sim fail=400]] Hello.', agent: openai }
  - { id: lost, prompt: '[[sim fail=lost,529]] Hello.' }
  - { id: late, prompt: '[[sim fail=malformed]] Hello.', agent: openai }
";

const CONFIG: &str = "
monitoring: { log_level: DEBUG }
rate_limiting: { initial_delay: 0.01 }
";

#[test]
fn a_key_from_the_environment_is_nowhere_afterwards() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator)
        .with("ANTHROPIC_API_KEY", CANARY)
        .with("OPENAI_API_KEY", CANARY)
        .with("RUST_LOG", "trace")
        .file("sortie.yaml", CONFIG)
        .file("plan.yaml", EVENTFUL);
    sandbox.sortie("run plan.yaml --run-id one").exits(1);
    sandbox.sortie("show one --json").exits(0);
    sandbox.sortie("check plan.yaml");
    assert!(simulator.stats().requests >= 5);
    is_nowhere(&sandbox, None);
}

#[test]
fn a_key_from_an_env_file_is_in_that_file_alone() {
    let simulator = Simulator::start();
    let sandbox = Sandbox::reaching(&simulator)
        .with("ANTHROPIC_API_KEY", "")
        .file(".env.production", format!("ANTHROPIC_API_KEY={CANARY}\n"))
        .file("website.yaml", WEBSITE);
    let path = sandbox.path(".env.production");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    sandbox.sortie("run website.yaml --run-id one").exits(0);
    is_nowhere(&sandbox, Some(".env.production"));
    // Others may read it now: refused, and not shown either.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    sandbox.sortie("run website.yaml --run-id two").exits(4).says("chmod 600");
    is_nowhere(&sandbox, Some(".env.production"));
}

#[test]
fn a_server_that_says_the_key_back_does_not_get_it_written_down() {
    // Providers do: "Incorrect API key provided: sk-…".
    let server = Trap::start(|request| {
        let key = request.lines().find_map(|line| line.strip_prefix("x-api-key: ")).unwrap_or("no key");
        let message = format!("invalid x-api-key: {}", key.trim());
        let body = serde_json::json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}});
        let body = body.to_string();
        let length = body.len();
        format!(
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
    });
    for key in [CANARY, PLAIN_CANARY] {
        let sandbox = Sandbox::new()
            .with("ANTHROPIC_BASE_URL", server.url())
            .with("ANTHROPIC_API_KEY", key)
            .file("plan.yaml", "tasks: [{ id: a, prompt: A. }]");
        sandbox.sortie("run plan.yaml --run-id one").exits(1).says("invalid x-api-key: ");
        assert!(server.requests().last().is_some_and(|request| request.contains(key)), "it is sent the key");
        is_nowhere(&sandbox, None);
    }
}

#[test]
fn a_run_that_kills_itself_leaves_no_image_of_its_memory() {
    let plan = "defaults: { max_tokens: 100 }\ntasks: [{ id: a, prompt: A. }, { id: b, prompt: B., depends_on: [a] }]";
    let sandbox = Sandbox::new().file("plan.yaml", plan);
    sandbox.sortie("run plan.yaml --simulate --max-cost 0.0013 --run-id one").exits(3);
    // An abort's image has the keys; the kernel makes none of a process that is killed.
    let ran = sandbox.sortie("resume one --max-cost 1 --die-after 1");
    assert_eq!(ran.died_of(), Some(Signal::KILL.as_raw()), "{}", ran.transcript());
}
