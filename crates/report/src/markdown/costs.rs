//! What the run cost, in a table for each grouping.

use std::fmt::Write;

use super::escape::escape;
use crate::costs::{Costs, Grouping};
use crate::fold::Report;
use crate::units::money;

/// Rows of a table; more than this nobody reads. All of them are in `summary.json`.
const MOST_ROWS: usize = 50;

/// Nothing where no call was made.
pub(super) fn tables(report: &Report) -> String {
    let all = report.fold.costs();
    let tables: Vec<String> = all.iter().filter(|costs| costs.total().calls > 0).map(grouped).collect();
    tables.join("\n")
}

fn heading(by: Grouping) -> &'static str {
    match by {
        Grouping::Agent => "agent",
        Grouping::Type => "task type",
        Grouping::Model => "model",
        Grouping::Day => "day (UTC)",
        Grouping::Run => "run",
    }
}

/// One grouping. Columns of what was estimated and what is at risk only where something was.
fn grouped(costs: &Costs) -> String {
    let (by, total) = (heading(costs.by()), costs.total());
    let parts = [("of it estimated", total.estimated), ("at risk besides", total.at_risk)];
    let shown = parts.map(|(_, amount)| !amount.is_zero());
    let mut text = format!("### Cost by {by}\n\n");
    let mut columns = vec![by, "tasks", "calls", "tokens in", "of them cached", "tokens out", "cost"];
    columns.extend(parts.iter().zip(shown).filter(|(_, shown)| *shown).map(|((name, _), _)| *name));
    let sides: Vec<&str> = std::iter::once("---").chain(columns.iter().skip(1).map(|_| "---:")).collect();
    writeln!(text, "| {} |\n| {} |", columns.join(" | "), sides.join(" | ")).unwrap_or_default();
    let groups = costs.groups();
    for (name, group) in groups.iter().take(MOST_ROWS) {
        let mut cells = vec![escape(name)];
        let tokens = [group.input_tokens, group.cached_input_tokens, group.output_tokens];
        cells.extend([group.tasks, group.calls].iter().chain(&tokens).map(u64::to_string));
        cells.push(group.amount(group.cost));
        let amounts = [group.estimated, group.at_risk];
        cells.extend(amounts.iter().zip(shown).filter(|(_, shown)| *shown).map(|(amount, _)| money(*amount)));
        writeln!(text, "| {} |", cells.join(" | ")).unwrap_or_default();
    }
    if groups.len() > MOST_ROWS {
        let (shown, all) = (MOST_ROWS, groups.len());
        writeln!(text, "\n{shown} of {all}; all are in `summary.json`.").unwrap_or_default();
    }
    text
}
