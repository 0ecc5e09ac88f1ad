//! `sortie simulate`

use std::path::Path;
use std::sync::{Arc, Mutex};

use sortie::Error;
use sortie::core::run::event::Signal;
use sortie::engine::executor::signals::Signals;
use sortie::sim::server::{BindError, Exposure, TimeScale};
use sortie::sim::{Model, Scenario, Server};

use crate::args::{Output, SimulateArgs};
use crate::exit::Exit;
use crate::failing::{Failed, chain};
use crate::terminal::Terminal;

pub(super) async fn run(args: SimulateArgs) -> Result<Exit, Failed> {
    let terminal = Terminal::new(Output { json: false, quiet: false });
    let scenario = scenario(&args.scenario)?;
    let scale = TimeScale::try_from(args.time_scale)
        .map_err(|error| Failed::new(Exit::Invalid, format!("failed to {error}")))?;
    let server = Server::bind(args.listen, Exposure::Loopback).await.map_err(refused)?;
    let mut signals = Signals::of_the_process()
        .map_err(|error| Failed::new(Exit::Setup, format!("failed to listen for signals: {error}")))?;
    terminal.result(&format!("listening on http://{}\n", server.address()));
    let model = Arc::new(Mutex::new(Model::new(scenario, args.seed)));
    let mut signal = Signal::Interrupt;
    let shutdown = async { signal = signals.next().await };
    server.serve(model, scale, shutdown).await;
    Ok(match signal {
        Signal::Interrupt => Exit::Interrupted,
        Signal::Terminate => Exit::Terminated,
    })
}

fn scenario(name: &str) -> Result<Scenario, Failed> {
    let path = Path::new(name);
    if !path.exists() || Scenario::names().any(|known| known == name) {
        return Ok(Scenario::named(name).map_err(Error::from)?);
    }
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|source| Error::File { doing: "read", path: path.to_owned(), source })?;
    Ok(Scenario::parse(&text).map_err(Error::from)?)
}

fn refused(error: BindError) -> Failed {
    let failed = Failed::new(Exit::Setup, format!("failed to {}", chain(&error)));
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
