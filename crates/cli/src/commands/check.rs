//! `sortie check [PLAN]`

use crate::args::CheckArgs;
use crate::exit::Exit;
use crate::failing::Failed;

pub(super) async fn run(_args: CheckArgs) -> Result<Exit, Failed> {
    Ok(Exit::Success)
}
