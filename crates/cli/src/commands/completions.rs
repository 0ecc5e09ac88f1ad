//! `sortie completions SHELL`

use clap::CommandFactory;

use crate::args::{Cli, CompletionsArgs, Output};
use crate::exit::Exit;
use crate::failing::Failed;
use crate::terminal::Terminal;

pub(super) fn run(args: &CompletionsArgs) -> Result<Exit, Failed> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sortie", &mut script);
    Terminal::new(Output { json: false, quiet: false }).result(&String::from_utf8_lossy(&script));
    Ok(Exit::Success)
}
