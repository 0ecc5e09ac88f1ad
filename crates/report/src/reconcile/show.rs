//! A comparison for programs and for a terminal.

use serde::Serialize;
use sortie_core::money::Usd;

use super::{Compared, Comparison, Quantity};
use crate::table::{Side, table};
use crate::units::{as_dollars, count, grouped, money};

/// What `sortie reconcile --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Document<'a> {
    /// The export's kind.
    pub format: &'a str,
    /// Whether both sides agree within rounding; false too where there was nothing to compare.
    pub agrees: bool,
    /// The first day compared; null where there was none.
    pub first_day: Option<&'a str>,
    /// The last day compared.
    pub last_day: Option<&'a str>,
    /// Days of the export that were not compared.
    pub days_outside: usize,
    /// Whether the export says that it is not the whole.
    pub is_partial: bool,
    /// Every quantity of every day and model.
    pub rows: Vec<Row<'a>>,
}

/// A quantity on both sides.
#[derive(Clone, Debug, Serialize)]
pub struct Row<'a> {
    day: &'a str,
    model: Option<&'a str>,
    what: &'static str,
    sortie: Amount,
    export: Amount,
    difference: Amount,
    rounding: Amount,
    agrees: bool,
    #[serde(with = "as_dollars")]
    estimated: Usd,
    #[serde(with = "as_dollars")]
    at_risk: Usd,
}

/// Tokens as a whole number, money in US dollars.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
enum Amount {
    Count(i64),
    Dollars(f64),
}

impl Amount {
    fn of(what: Quantity, n: i128) -> Self {
        match what {
            Quantity::Money => Amount::Dollars(n as f64 / 1e12),
            _ => Amount::Count(i64::try_from(n).unwrap_or(if n < 0 { i64::MIN } else { i64::MAX })),
        }
    }
}

impl Comparison {
    /// The comparison for programs.
    pub fn document(&self) -> Document<'_> {
        let rows = self.rows.iter().map(|compared| {
            let amount = |n| Amount::of(compared.what, n);
            Row {
                day: &compared.day,
                model: compared.model.as_deref(),
                what: compared.what.name(),
                sortie: amount(compared.sortie),
                export: amount(compared.export),
                difference: amount(compared.difference()),
                rounding: amount(compared.rounding),
                agrees: compared.agrees(),
                estimated: compared.estimated,
                at_risk: compared.at_risk,
            }
        });
        Document {
            format: self.format,
            agrees: self.agrees(),
            first_day: self.days.as_ref().map(|(first, _)| first.as_str()),
            last_day: self.days.as_ref().map(|(_, last)| last.as_str()),
            days_outside: self.days_outside,
            is_partial: self.is_partial,
            rows: rows.collect(),
        }
    }

    /// The differences in a table, or that there are none. Every line ends with a line break.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let differing: Vec<[String; 7]> = self.rows.iter().filter(|row| !row.agrees()).map(cells).collect();
        if !differing.is_empty() {
            let columns = [
                ("day", Side::Left),
                ("model", Side::Left),
                ("what", Side::Left),
                ("sortie", Side::Right),
                ("export", Side::Right),
                ("difference", Side::Right),
                ("", Side::Left),
            ];
            text += &table(columns, &differing);
            text.push('\n');
        }
        text + &self.verdict(differing.len())
    }

    fn verdict(&self, differing: usize) -> String {
        let days = match self.days.as_ref().filter(|_| !self.rows.is_empty()) {
            Some((first, last)) if first == last => format!("on {first}"),
            Some((first, last)) => format!("from {first} to {last}"),
            None => return format!("{}: nothing to compare\n", self.format),
        };
        let (format, figures) = (self.format, count(self.rows.len() as u64, "figure"));
        let mut text = match differing {
            0 => format!("{format}, {days}: all agree ({figures})\n"),
            1 => format!("{format}, {days}: 1 of {figures} differs\n"),
            n => format!("{format}, {days}: {n} of {figures} differ\n"),
        };
        if differing > 0 && self.days.as_ref().is_some_and(|(first, last)| first != last) {
            text += "A call that crossed midnight (UTC) may be on the day before or after.\n";
        }
        if self.days_outside > 0 {
            let days = count(self.days_outside as u64, "day");
            text += &days;
            text += " of the export not compared: outside of what was asked for\n";
        }
        text
    }
}

fn cells(row: &Compared) -> [String; 7] {
    let [sortie, export] = told_apart(row.what, row.sortie, row.export);
    [
        row.day.clone(),
        row.model.clone().unwrap_or_else(|| "(not told)".to_owned()),
        row.what.name().replace('_', " ").replace("usd", "USD"),
        sortie,
        export,
        amount(row.what, row.difference()),
        perhaps(row),
    ]
}

/// Two amounts that differ, with as many decimals as it takes to see that they do.
fn told_apart(what: Quantity, one: i128, other: i128) -> [String; 2] {
    let shown = [one, other].map(|n| amount(what, n));
    if shown[0] != shown[1] || one == other {
        return shown;
    }
    let exact = |n: i128, decimals: usize| {
        let sign = if n < 0 { "-" } else { "" };
        let size = Usd::from_pico(u64::try_from(n.unsigned_abs()).unwrap_or(u64::MAX));
        format!("{sign}${size:.decimals$}")
    };
    let both = |decimals| [one, other].map(|n| exact(n, decimals));
    let already = shown[0].rsplit_once('.').map_or(2, |(_, decimals)| decimals.len());
    (already..12).map(both).find(|[one, other]| one != other).unwrap_or_else(|| both(12))
}

fn amount(what: Quantity, n: i128) -> String {
    let sign = if n < 0 { "-" } else { "" };
    let size = u64::try_from(n.unsigned_abs()).unwrap_or(u64::MAX);
    match what {
        Quantity::Money => format!("{sign}{}", money(Usd::from_pico(size))),
        _ => format!("{sign}{}", grouped(size)),
    }
}

/// What may explain the difference. What is at risk is beyond what sortie counts, so that it explains
/// nothing where the export has less.
fn perhaps(row: &Compared) -> String {
    match (row.estimated.is_zero(), row.at_risk.is_zero() || row.difference() < 0) {
        (true, true) => String::new(),
        (true, false) => format!("{} at risk may be in it", money(row.at_risk)),
        (false, true) => format!("{} of sortie's is estimated", money(row.estimated)),
        (false, false) => format!("{} estimated, {} at risk", money(row.estimated), money(row.at_risk)),
    }
}
