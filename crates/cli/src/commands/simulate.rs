//! `sortie simulate`

use std::sync::{Arc, Mutex};

use sortie::core::run::event::Signal;
use sortie::engine::executor::signals::Signals;
use sortie::providers::http::Upstream;
use sortie::sim::record::{Replay, Shelf};
use sortie::sim::server::{BindError, Exposure, TimeScale};
use sortie::sim::{Model, Scenario, Server};
use sortie::{Error, chain};

use super::scenario_text;
use crate::args::SimulateArgs;
use crate::exit::Exit;
use crate::failing::Failed;
use crate::terminal;

/// What answers the requests.
enum Answering {
    Model(Box<Model>),
    Replay(Replay),
    Recorder(Upstream, Shelf),
}

pub(super) async fn run(args: SimulateArgs) -> Result<Exit, Failed> {
    let answering = answering(&args)?;
    let scale = TimeScale::try_from(args.time_scale)
        .map_err(|error| Failed::new(Exit::Invalid, format!("failed to {error}")))?;
    let server = Server::bind(args.listen, Exposure::Loopback).await.map_err(|error| refused(&error))?;
    let mut signals = Signals::of_the_process()
        .map_err(|error| Failed::new(Exit::Setup, format!("failed to listen for signals: {error}")))?;
    terminal::result(&format!("listening on http://{}\n", server.address()));
    let mut signal = Signal::Interrupt;
    let shutdown = async { signal = signals.next().await };
    match answering {
        Answering::Model(model) => server.serve(Arc::new(Mutex::new(*model)), scale, shutdown).await,
        Answering::Replay(replay) => server.serve(Arc::new(Mutex::new(replay)), scale, shutdown).await,
        Answering::Recorder(upstream, shelf) => server.record(upstream, shelf, shutdown).await,
    }
    Ok(Exit::by(signal))
}

fn answering(args: &SimulateArgs) -> Result<Answering, Failed> {
    if let (Some(directory), Some(upstream)) = (&args.record, &args.upstream) {
        let upstream = Upstream::new(upstream).map_err(|error| failed(&error))?;
        return Ok(Answering::Recorder(upstream, Shelf::open(directory).map_err(|error| failed(&error))?));
    }
    if let Some(directory) = &args.replay {
        return Ok(Answering::Replay(Replay::open(directory).map_err(|error| failed(&error))?));
    }
    let scenario = Scenario::parse(&scenario_text(&args.scenario)?).map_err(Error::from)?;
    Ok(Answering::Model(Box::new(Model::new(scenario, args.seed))))
}

/// The command line names something that is not there, or cannot be used.
fn failed(error: &dyn std::error::Error) -> Failed {
    Failed::new(Exit::Invalid, format!("failed to {}", chain(error)))
}

fn refused(error: &BindError) -> Failed {
    // An address that is never taken is a wrong command line; one that is taken now is not.
    let exit = if matches!(error, BindError::NotLoopback(_)) { Exit::Invalid } else { Exit::Setup };
    let failed = Failed::new(exit, format!("failed to {}", chain(error)));
    match error {
        BindError::InUse(_) => {
            failed.hint("choose another port, or 0 for any free one: --listen 127.0.0.1:0")
        }
        BindError::NotLoopback(_) => {
            failed.hint("the simulator takes any key: it listens on 127.0.0.1 and [::1] only")
        }
        BindError::Io { .. } => failed,
    }
}
