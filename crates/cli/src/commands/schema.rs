//! `sortie schema plan|config`

use sortie::config::written::ConfigFile;
use sortie::core::document::schema_of;
use sortie::core::plan::written::PlanFile;

use crate::args::{Output, SchemaArgs, SchemaOf};
use crate::exit::Exit;
use crate::failing::Failed;
use crate::terminal::Terminal;

pub(super) fn run(args: &SchemaArgs) -> Result<Exit, Failed> {
    let schema = match args.of {
        SchemaOf::Plan => schema_of::<PlanFile>(),
        SchemaOf::Config => schema_of::<ConfigFile>(),
    };
    Terminal::new(Output { json: true, quiet: false }).document(&schema);
    Ok(Exit::Success)
}
