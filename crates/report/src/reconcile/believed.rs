//! What the runs say, and the comparison.

use std::collections::{BTreeMap, BTreeSet};

use sortie_core::agent::Agent;
use sortie_core::money::Usd;
use sortie_core::price::Pricing;
use sortie_core::run::event::Record;

use super::{Amounts, Export, Key, Quantity};
use crate::costs::{Settled, Span, in_flight};
use crate::fold::RunView;
use crate::units::date;

/// What sortie believes it spent at a provider, by day and model.
#[derive(Debug)]
pub struct Believed {
    provider: &'static str,
    cells: BTreeMap<Key, Spent>,
}

/// What the calls of a day and a model came to.
#[derive(Clone, Debug, Default)]
struct Spent {
    amounts: Amounts,
    estimated: Usd,
    at_risk: Usd,
}

/// A quantity of a day and a model on both sides. Money is in picodollars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    /// `YYYY-MM-DD`, UTC.
    pub day: String,
    /// The model; none where the export does not tell by model.
    pub model: Option<String>,
    /// What is compared.
    pub what: Quantity,
    /// What sortie believes: as reported, else as estimated; what is at risk is not in it.
    pub sortie: i128,
    /// What the export says.
    pub export: i128,
    /// By how much the two may differ because the export was rounded.
    pub rounding: i128,
    /// What of sortie's money on this day and model was estimated.
    pub estimated: Usd,
    /// What may have been spent besides.
    pub at_risk: Usd,
}

impl Compared {
    /// What the export says more than sortie believes.
    pub fn difference(&self) -> i128 {
        self.export.saturating_sub(self.sortie)
    }

    /// Whether both say the same, within rounding.
    pub fn agrees(&self) -> bool {
        self.difference().saturating_abs() <= self.rounding
    }
}

/// Both sides, row by row.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The export's kind.
    pub format: &'static str,
    /// The first and the last day that were compared; none where there was none.
    pub days: Option<(String, String)>,
    /// Days of the export that were not compared, because the runs made no calls around them.
    pub days_outside: usize,
    /// Whether the export says that it is not the whole.
    pub is_partial: bool,
    /// Every quantity of every day and model of either side.
    pub rows: Vec<Compared>,
}

impl Comparison {
    /// Whether both sides agree in everything that was compared, and anything was.
    pub fn agrees(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(Compared::agrees)
    }
}

impl Believed {
    /// Nothing yet, at this export's provider.
    pub fn new(export: &Export) -> Self {
        Believed { provider: export.provider, cells: BTreeMap::new() }
    }

    /// Takes a run's calls at the provider. Agents that are free are left out, and those that are reached
    /// elsewhere: other servers may speak the provider's dialect, and no provider bills nothing.
    pub fn add_run(&mut self, run: &RunView, records: &[Record], is_elsewhere: impl Fn(&Agent) -> bool) {
        // What a process left in flight when it died may be in the export.
        let in_flight = in_flight(records);
        for call in Settled::all(run, records).chain(Settled::all(run, &in_flight)) {
            let is_free = call.agent.pricing == Pricing::Free;
            if call.agent.provider == self.provider && !is_free && !is_elsewhere(call.agent) {
                let key = (date(call.at), Some(call.model.to_owned()));
                self.cells.entry(key).or_default().add(&call);
            }
        }
    }

    /// The first and the last day with a call.
    pub fn days(&self) -> Option<(&str, &str)> {
        Some((&self.cells.first_key_value()?.0.0, &self.cells.last_key_value()?.0.0))
    }

    /// Holds it against an export, on the days from the first to the last of these, as far as they are
    /// in the span; a day of which a part is in it counts whole.
    pub fn against(&self, export: &Export, days: Option<(&str, &str)>, span: Span) -> Comparison {
        let whole = |time| date(time);
        let since = span.since.map(whole);
        // The span ends before its end.
        let until = span.until.map(|until| whole(until - std::time::Duration::from_micros(1)));
        // The span narrows: it makes nobody say anything of a day that they know nothing of.
        let days = days.map(|(first, last)| {
            (
                since.unwrap_or_default().max(first.to_owned()),
                until.map_or(last.to_owned(), |until| until.min(last.to_owned())),
            )
        });
        let days = days.filter(|(first, last)| first <= last);
        let is_in = |day: &String| days.as_ref().is_some_and(|(first, last)| first <= day && day <= last);
        let believed = self.told_apart_as(export);
        let keys: BTreeSet<&Key> =
            believed.keys().chain(export.cells.keys()).filter(|(day, _)| is_in(day)).collect();
        let rows = keys.into_iter().flat_map(|key| {
            let (ours, theirs) = (believed.get(key), export.cells.get(key));
            export.quantities.iter().map(move |&what| Compared {
                day: key.0.clone(),
                model: key.1.clone(),
                what,
                sortie: ours.and_then(|cell| cell.amounts.get(&what)).copied().unwrap_or_default(),
                export: theirs.and_then(|cell| cell.amounts.get(&what)).copied().unwrap_or_default(),
                rounding: theirs.filter(|_| what == Quantity::Money).map_or(0, |cell| cell.rounding),
                estimated: ours.map_or(Usd::ZERO, |cell| cell.estimated),
                at_risk: ours.map_or(Usd::ZERO, |cell| cell.at_risk),
            })
        });
        let rows = rows.collect();
        Comparison {
            format: export.format,
            days_outside: export.days.iter().filter(|day| !is_in(day)).count(),
            is_partial: export.is_partial,
            days,
            rows,
        }
    }

    /// The same, with what the export does not tell apart added up: models where it names none, and
    /// tokens of caches among the input where it does not count them.
    fn told_apart_as(&self, export: &Export) -> BTreeMap<Key, Spent> {
        let mut cells: BTreeMap<Key, Spent> = BTreeMap::new();
        for ((day, model), spent) in &self.cells {
            let key = (day.clone(), model.clone().filter(|_| export.by_model));
            cells.entry(key).or_default().merge(spent);
        }
        let counts = |quantity: Quantity| export.quantities.contains(&quantity);
        for (part, whole) in [
            (Quantity::CacheWrite1h, Quantity::CacheWrite),
            (Quantity::CacheWrite, Quantity::Input),
            (Quantity::CacheRead, Quantity::Input),
        ] {
            if counts(Quantity::Input) && !counts(part) {
                for cell in cells.values_mut() {
                    let n = cell.amounts.remove(&part).unwrap_or_default();
                    *cell.amounts.entry(whole).or_default() += n;
                }
            }
        }
        cells
    }
}

impl Spent {
    fn add(&mut self, call: &Settled<'_>) {
        let charge = call.spent.charge;
        let usage = call.spent.usage.unwrap_or_default();
        for (quantity, n) in [
            (Quantity::Input, usage.input),
            (Quantity::CacheWrite, usage.cache_write),
            (Quantity::CacheWrite1h, usage.cache_write_1h),
            (Quantity::CacheRead, usage.cache_read),
            (Quantity::Output, usage.output),
            (Quantity::WebSearches, usage.web_searches),
            (Quantity::Money, (charge.actual + charge.estimated).pico()),
        ] {
            *self.amounts.entry(quantity).or_default() += i128::from(n);
        }
        self.estimated += charge.estimated;
        self.at_risk += charge.at_risk;
    }

    fn merge(&mut self, other: &Spent) {
        for (quantity, n) in &other.amounts {
            *self.amounts.entry(*quantity).or_default() += n;
        }
        self.estimated += other.estimated;
        self.at_risk += other.at_risk;
    }
}
