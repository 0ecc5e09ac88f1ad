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

#[tokio::main]
async fn main() -> ExitCode {
    let cli = args::Cli::parse();
    match commands::run(cli.command).await {
        Ok(exit) => exit.into(),
        Err(failed) => {
            terminal::error(&failed.render(terminal::colour_on_stderr()));
            failed.exit.into()
        }
    }
}
