//! The `sortie` command: reads the command line, does what it asks, ends with its exit code.

mod args;
mod commands;
mod diagnostics;
mod exit;
mod failing;
mod load;
mod progress;
mod terminal;

use std::process::ExitCode;

use clap::Parser;
use exit::Exit;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = args::Cli::parse();
    // What goes wrong beside the run itself (a log that cannot be written) is said on stderr. No
    // lower level: what HTTP libraries trace is nobody's business.
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .init();
    match commands::run(cli.command).await {
        Ok(Exit::Success) if terminal::lost_results() => Exit::Failed.into(),
        Ok(exit) => exit.into(),
        Err(failed) => {
            terminal::error(&failed.render(terminal::colour_on_stderr()));
            failed.exit.into()
        }
    }
}
