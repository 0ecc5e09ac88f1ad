//! `sortie schema plan|config`

use sortie::config::written::ConfigFile;
use sortie::core::document::schema_of;
use sortie::core::plan::written::PlanFile;

use crate::args::{SchemaArgs, SchemaOf};
use crate::exit::Exit;
use crate::terminal;

pub(super) fn run(args: &SchemaArgs) -> Exit {
    let schema = match args.of {
        SchemaOf::Plan => schema_of::<PlanFile>(),
        SchemaOf::Config => schema_of::<ConfigFile>(),
    };
    terminal::document(&schema);
    Exit::Success
}
