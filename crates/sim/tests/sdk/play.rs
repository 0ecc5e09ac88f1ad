//! One simulator and one script: the cases go in, what the SDK made of them comes out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;
use sortie_sim::ledger::Stats;
use sortie_sim::server::{Exposure, TimeScale};
use sortie_sim::{Model, Scenario, Server};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::oneshot;

use super::install::Installed;
use super::table::Row;

/// What the simulator is like for these tests: quick, and with quotas that are told and do not bind.
const SCENARIO: &str = include_str!("scenario.yaml");

/// How much faster than the wall the simulator's time runs.
const SCALE: f64 = 5.0;

/// A script that takes longer hangs: the slowest case waits some seconds, and all run side by side.
const DEADLINE: Duration = Duration::from_secs(120);

/// What an SDK made of a case, as its script says.
#[derive(Deserialize)]
struct Line {
    case: String,
    outcome: String,
    elapsed_ms: u64,
}

/// What the script and the simulator saw.
pub(crate) struct Played {
    /// By case: the outcome, and how long it took in milliseconds.
    pub(crate) outcomes: HashMap<String, (String, u64)>,
    /// What the simulator counted.
    pub(crate) stats: Stats,
}

/// Lets the script do these cases. Panics with what the script wrote where it ends early.
pub(crate) async fn play(installed: &Installed, script: &str, rows: &[Row]) -> Played {
    let any_port = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let server = Server::bind(any_port, Exposure::Loopback).await.unwrap();
    let url = format!("http://{}", server.address());
    let model = Arc::new(Mutex::new(Model::new(Scenario::parse(SCENARIO).unwrap(), 42)));
    let (stop, stopped) = oneshot::channel::<()>();
    let scale = TimeScale::try_from(SCALE).unwrap();
    let serving = tokio::spawn(server.serve(Arc::clone(&model), scale, async { drop(stopped.await) }));

    let cases: Vec<_> = rows.iter().map(Row::case).collect();
    let script_output = tokio::time::timeout(DEADLINE, output(installed, script, &url, &cases));
    let written = script_output.await.unwrap_or_else(|_| panic!("{script} took longer than {DEADLINE:?}"));
    drop(stop);
    serving.await.unwrap();

    let line = |line: &str| {
        let Line { case, outcome, elapsed_ms } = serde_json::from_str(line).unwrap();
        (case, (outcome, elapsed_ms))
    };
    let stats = model.lock().unwrap().stats();
    Played { outcomes: written.lines().map(line).collect(), stats }
}

/// What the script writes to its standard output. It is killed when this is dropped.
async fn output(installed: &Installed, script: &str, url: &str, cases: &[serde_json::Value]) -> String {
    let mut child = Command::new(&installed.program)
        .arg(installed.scripts.join(script).with_extension(installed.ending))
        .arg(url)
        .arg(&installed.directory)
        // Nothing of the machine's own settings: no keys, no base URLs, no proxies.
        .env_clear()
        .envs(
            ["PATH", "HOME", "SYSTEMROOT"]
                .into_iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        )
        .env("PYTHONPYCACHEPREFIX", installed.directory.join("bytecode"))
        .env("PYTHONWARNINGS", "ignore")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("failed to start {}: {error}", installed.program.display()));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(serde_json::to_string(cases).unwrap().as_bytes()).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
