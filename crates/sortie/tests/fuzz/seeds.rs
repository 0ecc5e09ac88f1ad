//! Whole inputs: the fixtures and examples of the workspace, and a run's journal.

use std::path::{Path, PathBuf};

use sortie::engine::store::Store;
use sortie::engine::store::sqlite::{Durability, SqliteStore};
use sortie::sim::record::Exchange;
use sortie::{Scheduler, Task};

/// The files of a directory of the workspace.
fn files(directory: &str) -> Vec<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let entries = std::fs::read_dir(workspace.join(directory)).unwrap();
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

fn texts(directories: &[&str]) -> Vec<Vec<u8>> {
    let files = directories.iter().flat_map(|directory| files(directory));
    files.map(|file| std::fs::read(file).unwrap()).collect()
}

fn exchanges() -> Vec<Exchange> {
    let read = |text: &Vec<u8>| Exchange::read(text).ok();
    recordings().iter().filter_map(read).collect()
}

pub(crate) fn recordings() -> Vec<Vec<u8>> {
    texts(&["crates/providers/tests/fixtures"])
}

pub(crate) fn replies() -> Vec<Vec<u8>> {
    exchanges().iter().map(|exchange| exchange.response.body()).collect()
}

pub(crate) fn requests() -> Vec<Vec<u8>> {
    let tools = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}}]},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBO"}}]}]}],"tools":[{"name":"f","input_schema":{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false},"strict":true}],"tool_choice":{"type":"tool","name":"f"},"thinking":{"type":"enabled","budget_tokens":1024},"stop_sequences":["x"],"output_config":{"format":{"type":"json_schema","schema":{"type":"object","additionalProperties":false}}}}"#;
    let chat = r#"{"model":"m","n":2,"stop":["a"],"service_tier":"flex","messages":[{"role":"system","content":"s"},{"role":"user","content":"json"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"1"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}],"tool_choice":"required","response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}}}"#;
    let responses = r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"a"}]},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"1"}],"include":["reasoning.encrypted_content"],"text":{"format":{"type":"json_schema","name":"n","strict":true,"schema":{"type":"object","properties":{"a":{"anyOf":[{"type":"null"},{"type":"object","additionalProperties":false}]}},"required":["a"],"additionalProperties":false}}}}"#;
    let asked = exchanges().into_iter().filter_map(|exchange| exchange.request.body.bytes());
    asked.chain([tools, chat, responses].map(Into::into)).collect()
}

pub(crate) fn headers() -> Vec<Vec<u8>> {
    [
        "1\n2.5\nMon, 23 Nov 2026 12:00:00 GMT\n1m12.5s\n2026-11-23T12:00:59Z\n40\n0",
        "250\nMon, 23 Nov 2026 12:00:30 GMT\nSunday, 06-Nov-94 08:49:37 GMT\n6m0s\n2026-11-23T13:00:01.5+01:00\n1\n1",
        "NaN\n-1\nSun Nov  6 08:49:37 1994\n12ms\n1000000µs\n1e9\n1e999",
    ]
    .map(Into::into)
    .to_vec()
}

pub(crate) fn plans() -> Vec<Vec<u8>> {
    let mut plans = texts(&["examples", "crates/core/tests/fixtures"]);
    plans.push(b"{\"id\":\"a\",\"prompt\":\"A.\"}\n{\"id\":\"b\",\"prompt\":\"{{ results.a.x }}\",\"depends_on\":[\"a\"]}\n".into());
    plans.push(br#"{"name":"p","tasks":[{"id":"a","prompt":"A.","max_cost":0.5,"timeout":"3s"}]}"#.into());
    plans
}

pub(crate) fn configurations() -> Vec<Vec<u8>> {
    texts(&["examples", "examples/local-llama", "crates/sortie/tests/fixtures"])
}

pub(crate) fn scenarios() -> Vec<Vec<u8>> {
    texts(&["crates/sim/scenarios"])
}

pub(crate) fn prompts() -> Vec<Vec<u8>> {
    [
        "Go [[sim latency=1.5 output_tokens=300 fail=529,529]] on",
        "[[sim text=\"four \\\" five\" fail=cut]] {{ results.a }} and {{ results.b.c.d }}",
        "{{ }} {{ results.a | upper }} }} {{",
    ]
    .map(Into::into)
    .to_vec()
}

/// A directory with the journal of a small run, its id, and its records.
pub(crate) fn journal() -> (tempfile::TempDir, String, Vec<Vec<u8>>) {
    let directory = tempfile::tempdir().unwrap();
    let scheduler = Scheduler::new().simulate("flaky-network").results_dir(directory.path());
    let tasks = ["a", "b", "c"].map(|id| Task::new(id, "Say it.").max_tokens(20));
    let last = Task::new("d", "{{ results.a }}").depends_on(["a"]).max_tokens(20);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let run_id = runtime.block_on(scheduler.run(tasks.into_iter().chain([last]))).unwrap().run_id.clone();
    let store = SqliteStore::open(directory.path(), Durability::Unsynced).unwrap();
    let (header, records) = runtime.block_on(store.read(&run_id)).unwrap();
    let mut texts: Vec<Vec<u8>> = records.iter().map(|record| serde_json::to_vec(record).unwrap()).collect();
    texts.push(serde_json::to_vec(&header).unwrap());
    (directory, run_id, texts)
}

pub(crate) fn records() -> Vec<Vec<u8>> {
    journal().2
}

pub(crate) fn journals() -> Vec<Vec<u8>> {
    let (directory, ..) = journal();
    vec![std::fs::read(directory.path().join("sortie.db")).unwrap()]
}

pub(crate) fn controls() -> Vec<Vec<u8>> {
    [
        r#"{"control":"concurrency","at_most":20}"#,
        r#"{"control":"rpm","per_minute":100,"agent":"claude"}"#,
        r#"{"control":"rpm","per_minute":100}"#,
        r#"{"control":"pause"}"#,
        "{\"control\":\"cancel\"}\n",
    ]
    .map(Into::into)
    .to_vec()
}
