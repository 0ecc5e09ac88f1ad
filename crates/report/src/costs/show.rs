//! Grouped costs for programs and for a terminal.

use serde::Serialize;
use sortie_core::money::Usd;

use super::{Costs, Group, Span};
use crate::table::{Side, table};
use crate::units::{as_dollars, grouped, money, percent, rfc3339};

/// What `sortie costs --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Document<'a> {
    /// The first moment that counts, RFC 3339; null: from the beginning.
    pub since: Option<String>,
    /// The first moment that counts no more; null: none.
    pub until: Option<String>,
    /// By what the rows are grouped.
    pub by: &'static str,
    /// Runs that could not be read; their costs are not in it.
    pub unreadable_runs: &'a [String],
    /// The groups: days and runs in order, of all else the dearest first.
    pub rows: Vec<Row<'a>>,
    /// All calls together; a task counts once.
    pub total: Row<'a>,
}

/// A group with its name.
#[derive(Clone, Debug, Serialize)]
pub struct Row<'a> {
    /// Its name.
    pub name: &'a str,
    /// What its calls came to.
    #[serde(flatten)]
    pub group: Group,
    /// `cost` and `at_risk` together.
    #[serde(with = "as_dollars")]
    pub total: Usd,
    /// Its share of the total of all, 0–100; null where that is nothing.
    pub share: Option<f64>,
}

impl Costs {
    fn row<'a>(&self, name: &'a str, group: &Group) -> Row<'a> {
        let (total, all) = (group.total(), self.total().total());
        let share = (!all.is_zero()).then(|| 100.0 * total.as_f64() / all.as_f64());
        Row { name, group: *group, total, share }
    }

    /// The costs for programs.
    pub fn document<'a>(&'a self, span: Span, unreadable_runs: &'a [String]) -> Document<'a> {
        Document {
            since: span.since.map(rfc3339),
            until: span.until.map(rfc3339),
            by: self.by().name(),
            unreadable_runs,
            rows: self.groups().into_iter().map(|(name, group)| self.row(name, group)).collect(),
            total: self.row("total", self.total()),
        }
    }

    /// The costs in a table, with a line of totals. Every line ends with a line break.
    pub fn text(&self) -> String {
        if self.total().calls == 0 {
            return "no calls\n".to_owned();
        }
        let all = self.groups();
        let rows = all.iter().copied().chain([("total", self.total())]);
        let rows: Vec<[String; 11]> = rows.map(|(name, group)| cells(&self.row(name, group))).collect();
        let columns = [
            (&*self.by().name().to_uppercase(), Side::Left),
            ("TASKS", Side::Right),
            ("CALLS", Side::Right),
            ("INPUT", Side::Right),
            ("CACHED", Side::Right),
            ("OUTPUT", Side::Right),
            ("ACTUAL", Side::Right),
            ("ESTIMATED", Side::Right),
            ("AT RISK", Side::Right),
            ("TOTAL", Side::Right),
            ("SHARE", Side::Right),
        ];
        let unpriced = self.total().unpriced_calls;
        let note = match unpriced {
            0 => String::new(),
            1 => "1 call has no price: it is in no amount\n".to_owned(),
            calls => format!("{calls} calls have no price: they are in no amount\n"),
        };
        table(columns, &rows) + &note
    }
}

fn cells(row: &Row<'_>) -> [String; 11] {
    let group = &row.group;
    [
        row.name.to_owned(),
        grouped(group.tasks),
        grouped(group.calls),
        grouped(group.input_tokens),
        grouped(group.cached_input_tokens),
        grouped(group.output_tokens),
        group.amount(group.actual),
        if_any(group.estimated),
        if_any(group.at_risk),
        group.amount(row.total),
        row.share.map_or_else(|| "–".to_owned(), percent),
    ]
}

/// An amount that is mostly nothing, and then says less than a dash.
pub(crate) fn if_any(amount: Usd) -> String {
    if amount.is_zero() { "–".to_owned() } else { money(amount) }
}
