//! `sortie completions SHELL`

use clap::CommandFactory;

use crate::args::{Cli, CompletionsArgs};
use crate::exit::Exit;
use crate::terminal;

pub(super) fn run(args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sortie", &mut script);
    terminal::result(&String::from_utf8_lossy(&script));
    Exit::Success
}
