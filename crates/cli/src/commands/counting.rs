//! The questions to the provider how many tokens prompts have, before a run: announced, asked, told.

use sortie::core::plan::Plan;
use sortie::engine::store::Header;
use sortie::providers::keys::Environment;
use sortie::report::terminal::one_line;
use sortie::report::units::count;
use sortie::tokens::{Answered, Questions};

use crate::failing::Failed;
use crate::terminal::Terminal;

/// Lets the provider count the prompts of the agents that are configured so. Whatever it does not count
/// is bounded by its bytes, and that is said once.
pub(super) async fn ask(
    header: &mut Header,
    environment: &Environment,
    terminal: Terminal,
) -> Result<Option<Answered>, Failed> {
    let questions = Questions::of(header, environment)?;
    for setup in &questions.missing {
        terminal.note(&format!("warning: no tokens are counted: {setup}"));
    }
    if questions.is_empty() {
        return Ok(None);
    }
    let prompts = count(questions.len() as u64, "distinct prompt");
    terminal.note(&format!("counting the tokens of {prompts} at the provider, at no cost"));
    let answered = questions.ask(header).await?;
    if let Some(warning) = warning(&answered, &header.plan) {
        terminal.note(&format!("warning: {warning}"));
    }
    Ok(Some(answered))
}

/// What was not counted, and why.
fn warning(answered: &Answered, plan: &Plan) -> Option<String> {
    let tasks = count(answered.uncounted as u64, "task");
    let why = match &answered.failure {
        _ if answered.uncounted == 0 => return None,
        Some(failure) => one_line(&failure.to_string()).into_owned(),
        None => "there are too many distinct prompts".to_owned(),
    };
    Some(format!("the tokens of {tasks} of {} were not counted, and bytes bound them: {why}", plan.len()))
}
