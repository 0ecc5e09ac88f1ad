//! What calls cost, grouped: by agent, task type, model, day or run.
//!
//! One fold for every grouping, in a run's report as over all runs of a journal. A call's cost
//! belongs to the day (UTC) of the record that charged it, and to the model that the reply named;
//! where none did, to the agent's. A model's id with its date is the model without it.
//!
//! Three amounts are never mixed: what usage says (`actual`), what was estimated, and what is at
//! risk. Calls in flight are not in it: nobody knows yet what they cost. Of a run that nobody drives they
//! may have been billed: there they are at risk ([`Costs::add_in_flight`]).
//!
//! Adding a grouping: a variant of [`Grouping`], its line in [`Grouping::ALL`], its name and key.

mod show;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sortie_core::agent::Agent;
use sortie_core::money::Usd;
use sortie_core::plan::TaskId;
use sortie_core::price::{self, Pricing};
use sortie_core::run::event::{AttemptId, Event, Record, Spent};
use sortie_core::time::Time;
use sortie_core::usage::Charge;

use crate::amounts::NO_PRICE;
use crate::calls::asked;
use crate::fold::RunView;
use crate::units::{as_dollars, date, money};

pub use show::{Document, Row};

/// By what costs are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// By the agent that the task went to.
    Agent,
    /// By the task's type.
    Type,
    /// By the model that answered.
    Model,
    /// By the day, UTC.
    Day,
    /// By the run.
    Run,
}

impl Grouping {
    /// All groupings.
    pub const ALL: [Grouping; 5] =
        [Grouping::Agent, Grouping::Type, Grouping::Model, Grouping::Day, Grouping::Run];
    /// Those that tell calls of one run apart.
    pub const WITHIN_RUN: [Grouping; 4] = [Grouping::Agent, Grouping::Type, Grouping::Model, Grouping::Day];

    /// The name, as the command line takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Grouping::Agent => "agent",
            Grouping::Type => "type",
            Grouping::Model => "model",
            Grouping::Day => "day",
            Grouping::Run => "run",
        }
    }

    /// The grouping of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Grouping::ALL.into_iter().find(|grouping| grouping.name() == name)
    }

    /// Whether its groups are read in the order of their names, not with the dearest first.
    const fn is_in_order(self) -> bool {
        matches!(self, Grouping::Day | Grouping::Run)
    }

    /// The group that a call belongs to.
    fn key<'a>(self, call: &Settled<'a>) -> Cow<'a, str> {
        match self {
            Grouping::Agent => call.agent.name.as_str().into(),
            Grouping::Type => call.task_type.into(),
            Grouping::Model => call.model.into(),
            Grouping::Day => date(call.at).into(),
            Grouping::Run => call.run_id.into(),
        }
    }
}

/// A call that came to an end, with what was charged for it.
#[derive(Clone, Copy, Debug)]
pub struct Settled<'a> {
    /// When it was charged.
    pub at: Time,
    /// Of which run.
    pub run_id: &'a str,
    /// For which attempt of which task.
    pub attempt: AttemptId,
    /// What kind of work.
    pub task_type: &'a str,
    /// Who did it.
    pub agent: &'a Agent,
    /// The model that the reply named, else the agent's; as the price table calls it, if it does.
    pub model: &'a str,
    /// What it used and cost.
    pub spent: &'a Spent,
    /// What was at risk for it before, where it was lost and found again.
    was_at_risk: Option<Usd>,
    is_lost: bool,
}

impl<'a> Settled<'a> {
    /// The call that this record settles; none where it settles none, or where it is about a task
    /// that the plan does not have.
    pub fn of(run: &'a RunView, record: &'a Record) -> Option<Self> {
        let (mut was_at_risk, mut is_lost) = (None, false);
        let (attempt, spent, named) = match &record.event {
            Event::AttemptSucceeded { attempt, answer, spent, .. } => (attempt, spent, Some(&*answer.model)),
            Event::AttemptFailed { attempt, failure, spent, .. } if !failure.class.is_unsent() => {
                // It is priced by the model that it names, so it is booked on that one too.
                (attempt, spent, failure.model.as_deref())
            }
            Event::AttemptLost { attempt, spent } => {
                is_lost = true;
                (attempt, spent, None)
            }
            Event::AttemptRecovered { attempt, at_risk, spent, model, .. } => {
                was_at_risk = Some(*at_risk);
                (attempt, spent, Some(&**model))
            }
            _ => return None,
        };
        let task = run.plan.tasks().get(attempt.task.index())?;
        let agent = asked(&run.plan, *attempt)?;
        let model = named.filter(|model| !model.is_empty()).unwrap_or(&agent.model);
        Some(Settled {
            at: record.at,
            run_id: &run.run_id,
            attempt: *attempt,
            task_type: &task.task_type,
            agent,
            model: model_of(model),
            spent,
            was_at_risk,
            is_lost,
        })
    }

    /// The calls that these records settle. One that was lost and found again is settled where it was found.
    pub fn all(run: &'a RunView, records: &'a [Record]) -> impl Iterator<Item = Self> {
        let found = records.iter().filter_map(|record| match &record.event {
            Event::AttemptRecovered { attempt, .. } => Some(*attempt),
            _ => None,
        });
        let found: BTreeSet<AttemptId> = found.collect();
        let calls = records.iter().filter_map(|record| Settled::of(run, record));
        calls.filter(move |call| !(call.is_lost && found.contains(&call.attempt)))
    }
}

/// The calls that these records began and did not end, each as the record that would take it for lost at
/// the moment it began: all that was reserved is at risk.
pub(crate) fn in_flight(records: &[Record]) -> Vec<Record> {
    let mut open: BTreeMap<AttemptId, Record> = BTreeMap::new();
    for record in records {
        match &record.event {
            Event::AttemptStarted { attempt, reserved, .. } => {
                let charge = Charge { at_risk: reserved.usd, ..Charge::default() };
                let event = Event::AttemptLost { attempt: *attempt, spent: Spent { usage: None, charge } };
                open.insert(*attempt, Record { event, ..record.clone() });
            }
            Event::AttemptSucceeded { attempt, .. }
            | Event::AttemptFailed { attempt, .. }
            | Event::AttemptLost { attempt, .. } => drop(open.remove(attempt)),
            _ => {}
        }
    }
    open.into_values().collect()
}

/// A model as the price table calls it, whatever date its id has; as it is where it does not know it.
pub(crate) fn model_of(id: &str) -> &str {
    price::table().find(id).map_or(id, |row| &row.model)
}

/// What the calls of a group came to. Money is written in US dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What is known to be spent: `actual` and `estimated`.
    #[serde(with = "as_dollars")]
    pub cost: Usd,
    /// As the providers' usage says.
    #[serde(with = "as_dollars")]
    pub actual: Usd,
    /// Estimated from what arrived, where no usage came.
    #[serde(with = "as_dollars")]
    pub estimated: Usd,
    /// What may have been spent besides, for answers that were lost or cut.
    #[serde(with = "as_dollars")]
    pub at_risk: Usd,
    /// Tasks that these calls were for. One whose calls are in two groups counts in both.
    pub tasks: u64,
    /// Calls that came to an end.
    pub calls: u64,
    /// Of these, calls whose price nobody knows: they are in none of the amounts.
    #[serde(default)]
    pub unpriced_calls: u64,
    /// Input tokens, cached or not.
    pub input_tokens: u64,
    /// Of these, read from a cache.
    pub cached_input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
}

impl Group {
    /// Adds a call; counts from outside must not overflow.
    fn add(&mut self, call: &Settled<'_>, is_new_task: bool) {
        let spent = call.spent;
        let Charge { actual, estimated, at_risk } = spent.charge;
        self.cost += actual + estimated;
        self.actual += actual;
        self.estimated += estimated;
        self.at_risk += at_risk;
        self.tasks += u64::from(is_new_task);
        self.calls += 1;
        self.unpriced_calls += u64::from(call.agent.pricing == Pricing::Unknown);
        if let Some(usage) = spent.usage {
            self.input_tokens = self.input_tokens.saturating_add(usage.total_input());
            self.cached_input_tokens = self.cached_input_tokens.saturating_add(usage.cache_read);
            self.output_tokens = self.output_tokens.saturating_add(usage.output);
        }
    }

    /// Takes back a call that was lost, and is found again: it is added as what it came to.
    fn take_back(&mut self, call: &Settled<'_>, at_risk: Usd) {
        self.at_risk = self.at_risk.minus(at_risk);
        self.calls = self.calls.saturating_sub(1);
        let unpriced = u64::from(call.agent.pricing == Pricing::Unknown);
        self.unpriced_calls = self.unpriced_calls.saturating_sub(unpriced);
    }

    /// All three amounts: what the budget counts.
    pub fn total(&self) -> Usd {
        self.cost + self.at_risk
    }

    /// The three amounts.
    pub fn charge(&self) -> Charge {
        Charge { actual: self.actual, estimated: self.estimated, at_risk: self.at_risk }
    }

    /// One of its amounts for people: at least so much, or nothing known at all, where calls have no price.
    pub(crate) fn amount(&self, amount: Usd) -> String {
        match self.unpriced_calls {
            0 => money(amount),
            calls if calls == self.calls => NO_PRICE.to_owned(),
            _ => format!("≥ {}", money(amount)),
        }
    }
}

/// A stretch of time: from one moment on, up to another; open where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first moment in it.
    pub since: Option<Time>,
    /// The first moment after it.
    pub until: Option<Time>,
}

impl Span {
    /// Whether a moment is in it.
    pub fn contains(&self, at: Time) -> bool {
        self.since.is_none_or(|since| since <= at) && self.until.is_none_or(|until| at < until)
    }

    /// Whether anything between these two moments may be in it.
    pub fn touches(&self, first: Time, last: Time) -> bool {
        self.since.is_none_or(|since| since <= last) && self.until.is_none_or(|until| first < until)
    }
}

/// Calls, folded into groups.
#[derive(Clone, Debug)]
pub struct Costs {
    by: Grouping,
    groups: BTreeMap<String, (u32, Group)>,
    total: Group,
    /// For each task of the run, the number of the group that its last call was counted in.
    counted: Vec<u32>,
    /// Tasks whose calls are in several groups, with each of these: few, because only replies of
    /// other models than asked, and midnight, move a task on.
    moved: BTreeSet<(TaskId, u32)>,
    /// Calls of the run that were lost, with the group that each is in: one may be found again.
    lost: BTreeMap<AttemptId, String>,
}

/// What [`Costs::counted`] says of a task that was not counted yet.
const NOWHERE: u32 = u32::MAX;

impl Costs {
    /// No calls yet.
    pub fn new(by: Grouping) -> Self {
        Costs {
            by,
            groups: BTreeMap::new(),
            total: Group::default(),
            counted: Vec::new(),
            moved: BTreeSet::new(),
            lost: BTreeMap::new(),
        }
    }

    /// The calls that follow are of another run, with so many tasks.
    pub(crate) fn begin_run(&mut self, tasks: usize) {
        self.counted.clear();
        self.counted.resize(tasks, NOWHERE);
        self.moved.clear();
        self.lost.clear();
    }

    /// The run that was begun has so many tasks by now.
    pub(crate) fn grow(&mut self, tasks: usize) {
        self.counted.resize(tasks.max(self.counted.len()), NOWHERE);
    }

    /// Takes a call of the run that was begun.
    pub(crate) fn add(&mut self, call: &Settled<'_>) {
        if let (Some(at_risk), Some(key)) = (call.was_at_risk, self.lost.remove(&call.attempt)) {
            let group = self.groups.get_mut(&key).map(|(_, group)| group);
            group.into_iter().chain([&mut self.total]).for_each(|group| group.take_back(call, at_risk));
        }
        let key = self.by.key(call);
        if call.is_lost {
            self.lost.insert(call.attempt, key.clone().into_owned());
        }
        if !self.groups.contains_key(&*key) {
            let number = u32::try_from(self.groups.len()).unwrap_or(NOWHERE - 1);
            self.groups.insert(key.clone().into_owned(), (number, Group::default()));
        }
        let Some((number, group)) = self.groups.get_mut(&*key) else { return };
        let Some(counted) = self.counted.get_mut(call.attempt.task.index()) else { return };
        let was = std::mem::replace(counted, *number);
        let is_new = was == NOWHERE
            || was != *number && {
                self.moved.insert((call.attempt.task, was));
                self.moved.insert((call.attempt.task, *number))
            };
        group.add(call, is_new);
        self.total.add(call, was == NOWHERE);
    }

    /// Takes all calls of a run that were charged in this stretch of time.
    pub fn add_run(&mut self, run: &RunView, records: &[Record], span: Span) {
        self.begin_run(run.plan.tasks().len());
        for call in Settled::all(run, records).filter(|call| span.contains(call.at)) {
            self.add(&call);
        }
    }

    /// Takes the calls that the run which was added last began and did not end, in this stretch of time: to
    /// be asked for where nobody drives it any more.
    pub fn add_in_flight(&mut self, run: &RunView, records: &[Record], span: Span) {
        for record in in_flight(records).iter().filter(|record| span.contains(record.at)) {
            if let Some(call) = Settled::of(run, record) {
                self.add(&call);
            }
        }
    }

    /// By what they are grouped.
    pub fn by(&self) -> Grouping {
        self.by
    }

    /// All calls together; a task counts once.
    pub fn total(&self) -> &Group {
        &self.total
    }

    /// The groups in the order in which people read them: days and runs as they come, of all else
    /// the dearest first.
    pub fn groups(&self) -> Vec<(&str, &Group)> {
        let mut groups: Vec<_> = self.with_calls().map(|(name, group)| (name.as_str(), group)).collect();
        if !self.by.is_in_order() {
            // Stable, so that equals stay in the order of their names.
            groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.total()));
        }
        groups
    }

    /// The groups by name.
    pub fn by_group(&self) -> BTreeMap<String, Group> {
        self.with_calls().map(|(name, group)| (name.clone(), *group)).collect()
    }

    /// The groups that have any: the only call of one may have been found in another.
    fn with_calls(&self) -> impl Iterator<Item = (&String, &Group)> {
        let groups = self.groups.iter().map(|(name, (_, group))| (name, group));
        groups.filter(|(_, group)| group.calls > 0)
    }
}
