//! One simulator and one script: the cases go in, what the SDK made of them comes out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use sortie_sim::ledger::Stats;
use sortie_sim::server::{Exposure, TimeScale};
use sortie_sim::{Model, Scenario, Server};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use super::install::Installed;
use super::table::Row;

/// What the simulator is like for these tests: quick, and with quotas that are told and do not bind.
const SCENARIO: &str = include_str!("scenario.yaml");

/// How much faster than the wall the simulator's time runs.
const SCALE: f64 = 5.0;

/// A script that takes longer hangs: the slowest case waits some seconds, and all run side by side.
const DEADLINE: Duration = Duration::from_secs(60);

/// What an SDK made of a case, as its script says.
#[derive(Deserialize)]
struct Line {
    case: String,
    outcome: String,
    elapsed_ms: u64,
}

/// By case: the outcome, and how long it took in milliseconds.
pub(crate) type Outcomes = HashMap<String, (String, u64)>;

/// What the script and the simulator saw.
pub(crate) struct Played {
    pub(crate) outcomes: Outcomes,
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

    let cases: Vec<_> = rows.iter().map(|row| row.case(&url)).collect();
    let outcomes = outcomes(installed, script, &url, &cases).await;
    drop(stop);
    serving.await.unwrap();
    let stats = model.lock().unwrap().stats();
    Played { outcomes, stats }
}

/// What the script says until it ends, or until its deadline: then it is killed, and the cases that
/// it says nothing of are those that hang.
#[expect(clippy::disallowed_methods, reason = "other processes are waited for in real time")]
async fn outcomes(installed: &Installed, script: &str, url: &str, cases: &[Value]) -> Outcomes {
    let mut child = started(installed, script, url);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(serde_json::to_string(cases).unwrap().as_bytes()).await.unwrap();
    drop(stdin);
    let mut stderr = child.stderr.take().unwrap();
    let complaints = tokio::spawn(async move {
        let mut text = String::new();
        stderr.read_to_string(&mut text).await.map(|_| text)
    });
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut outcomes = Outcomes::new();
    let all = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            let Line { case, outcome, elapsed_ms } = serde_json::from_str(&line).unwrap();
            outcomes.insert(case, (outcome, elapsed_ms));
        }
        child.wait().await.unwrap()
    };
    if let Ok(status) = tokio::time::timeout(DEADLINE, all).await {
        assert!(status.success(), "{script} ended with {status}: {}", complaints.await.unwrap().unwrap());
    }
    outcomes
}

/// The script as a process, which is killed when it is dropped.
#[expect(clippy::disallowed_methods, reason = "a process needs to find its programs")]
fn started(installed: &Installed, script: &str, url: &str) -> Child {
    let inherited = ["PATH", "HOME"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    Command::new(&installed.program)
        .arg(installed.scripts.join(script).with_extension(installed.ending))
        .arg(url)
        .arg(&installed.directory)
        // Nothing of the machine's own settings: no keys, no base URLs, no proxies.
        .env_clear()
        .envs(inherited)
        .env("PYTHONPYCACHEPREFIX", installed.directory.join("bytecode"))
        .env("PYTHONWARNINGS", "ignore")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("failed to start {}: {error}", installed.program.display()))
}
