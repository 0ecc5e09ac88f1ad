//! The same over HTTP, in real time: the simulator on a port of this machine, the client as it is.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};

use sortie::engine::executor::signals::Signals;
use sortie::engine::store::Store;
use sortie::engine::store::memory::MemoryStore;
use sortie::engine::store::sqlite::{Durability, SqliteStore};
use sortie::session::Session;
use sortie::sim::server::{Exposure, Server, TimeScale};
use sortie::sim::{Model, Scenario};

use super::Failed;
use super::case::{Case, Target, drive, environment};
use super::cases::CASES;
use super::figures::Figures;

/// The cases that are played over HTTP, by how their names begin; with fewer tasks.
const PLAYED: [(&str, usize, Option<f64>); 6] = [
    ("known limit, bucket 10 of 600/min, 16", 310, Some(30.2)),
    ("known limit, bucket 10 of 600/min, 64", 310, Some(30.2)),
    ("known limit, bucket 600 of 600/min, 16", 900, Some(30.2)),
    ("known limit, bucket 600 of 600/min, 64", 900, Some(30.2)),
    ("told by headers, bucket 10 of", 900, None),
    ("no headers, bucket 10 of", 900, None),
];

/// Plays them one after the other.
pub(crate) fn all() -> Result<Vec<(Case, Figures)>, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut all = Vec::new();
    for (name, tasks, ideal_s) in PLAYED {
        let case = CASES.iter().find(|case| case.name.starts_with(name)).ok_or("no such case")?;
        let case = Case { tasks, ideal_s, ..case.clone() };
        let figures = runtime.block_on(alone(&case))?;
        all.push((case, figures));
    }
    all.extend(runtime.block_on(two(
        "told by headers, bucket 10 of",
        ["one of two who share a key, told", "the other"],
        450,
    ))?);
    let shipped = ["one of two who share a key, 50/min bucket 1", "the other of these"];
    all.extend(runtime.block_on(two("known limit, bucket 1 of 50/min", shipped, 75))?);
    all.extend(runtime.block_on(returns())?);
    Ok(all)
}

/// A simulator of a scenario that serves until the runtime ends.
async fn simulator(scenario: &str) -> Result<String, Failed> {
    let server = Server::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Exposure::Loopback).await?;
    let url = format!("http://{}", server.address());
    let model = Model::new(Scenario::parse(scenario)?, 1);
    let model = Arc::new(Mutex::new(model));
    tokio::spawn(server.serve(model, TimeScale::REAL, pending()));
    Ok(url)
}

async fn alone(case: &Case) -> Result<Figures, Failed> {
    let url = simulator(&case.scenario()).await?;
    played(case, &url, MemoryStore::new(), None).await
}

/// Two runs of a case that share a key and a results directory, each with so many tasks.
async fn two(case: &str, names: [&'static str; 2], tasks: usize) -> Result<Vec<(Case, Figures)>, Failed> {
    let case = CASES.iter().find(|known| known.name.starts_with(case)).ok_or("no such case")?;
    // What refuses one of a hundred is no failure of those who share; alone it would be one.
    let target = Target { refused: 0.01, times_ideal: f64::INFINITY, ..case.target };
    let [one, other] = names.map(|name| Case { name, tasks, ideal_s: None, target, ..case.clone() });
    let (mut first, mut second) = Box::pin(together(&one, &other)).await?;
    let fair = first.makespan_s / second.makespan_s;
    println!("two who share a key took {:.3} times as long as each other", fair.max(1.0 / fair));
    // Each has half of the quota.
    for figures in [&mut first, &mut second] {
        figures.used = figures.used.map(|used| used * 2.0);
    }
    Ok(vec![(one, first), (other, second)])
}

/// Two runs that share a key, of which one pauses for so long that the other takes all.
async fn returns() -> Result<Vec<(Case, Figures)>, Failed> {
    let case = CASES.iter().find(|case| case.name.starts_with("told by headers, bucket 10 of"));
    let case = Case { load: None, ..case.ok_or("no such case")?.clone() };
    let stays = Case { name: "one who shares a key and stays, told", tasks: 450, ..case };
    let pauses = Case {
        name: "the other, who returns after a pause of 8 s",
        agents: &[("claude", "claude-sonnet-5-5"), ("slow", "claude-haiku-5-5")],
        pause_s: Some(8),
        tasks: 120,
        ..stays
    };
    let (first, second) = Box::pin(together(&stays, &pauses)).await?;
    Ok(vec![(stays, first), (pauses, second)])
}

/// What becomes of two cases whose runs share a key and a results directory.
async fn together(one: &Case, other: &Case) -> Result<(Figures, Figures), Failed> {
    let url = simulator(&one.scenario()).await?;
    let dir = tempfile::tempdir()?;
    let open = || SqliteStore::open(dir.path(), Durability::Unsynced);
    let (first, second) = tokio::join!(
        played(one, &url, open()?, Some(dir.path())),
        played(other, &url, open()?, Some(dir.path())),
    );
    Ok((first?, second?))
}

async fn played<S: Store>(
    case: &Case,
    url: &str,
    store: S,
    results_dir: Option<&Path>,
) -> Result<Figures, Failed> {
    let header = case.header(None, Some(url))?;
    let run_id = header.run_id.clone();
    let session = Session::create(store, header, results_dir).await?;
    let environment = environment();
    let done = session.drive(drive(&environment, &mut Signals::none()), ()).await?;
    let (_, records) = done.store.read(&run_id).await?;
    Ok(Figures::of(&records, case.load))
}
