//! The second set of books: what the ledger billed and what the journal reserved, held against every
//! limit after every record that became durable. It asks the run nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use sortie_core::agent::AgentId;
use sortie_core::money::Usd;
use sortie_core::plan::{Plan, TaskId};
use sortie_core::run::event::{AttemptId, BudgetMark, Event, Record, Spent};
use sortie_engine::store::Header;

use super::draw::named;

/// What the simulator's ledger has for each attempt, however far it came.
pub(super) type Bills = Arc<Mutex<BTreeMap<AttemptId, Usd>>>;

/// Whose money it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purse {
    Run,
    Agent(AgentId),
    Task(TaskId),
}

/// What one purse has come to.
#[derive(Clone, Debug, Default)]
struct Account {
    limit: Option<Usd>,
    /// By the ledger, for attempts that have ended.
    billed: Usd,
    /// By the journal, for attempts that have not.
    reserved: Usd,
    /// What was billed past the reservations of attempts that were lost: nobody here can know of it, and
    /// there is none where the provider keeps its word.
    hidden: Usd,
    /// Where the limit was passed, as far as anybody can know: all that were in flight then. What they are
    /// billed is known when they have ended.
    passed_with: Option<Vec<AttemptId>>,
}

#[derive(Debug)]
pub(super) struct Books {
    plan: Arc<Plan>,
    bills: Bills,
    purses: BTreeMap<Purse, Account>,
    in_flight: BTreeMap<AttemptId, Usd>,
    /// Whether the provider keeps to `max_tokens`.
    honoured: bool,
    /// What the last resume asked for.
    pub(super) asked_budget: Option<Usd>,
    pub(super) warned: bool,
    pub(super) most_in_flight: usize,
    /// Attempts that were lost, and attempts whose charge is estimated.
    pub(super) lost: u64,
    pub(super) estimated: u64,
    /// The first thing that went wrong.
    pub(super) violation: Option<String>,
}

impl Books {
    pub(super) fn new(header: &Header, bills: Bills, honoured: bool) -> Self {
        let (plan, settings) = (Arc::clone(&header.plan), &header.settings);
        let account = |limit| Account { limit, ..Account::default() };
        let mut purses = BTreeMap::from([(Purse::Run, account(settings.budget))]);
        purses.extend(plan.agent_ids().map(|id| (Purse::Agent(id), account(plan.agent(id).max_cost))));
        let of_task = |id: TaskId| account(plan.task(id).max_cost.or(settings.max_cost_per_task));
        purses.extend(plan.ids().map(|id| (Purse::Task(id), of_task(id))));
        Books {
            plan,
            bills,
            purses,
            in_flight: BTreeMap::new(),
            honoured,
            asked_budget: None,
            warned: false,
            most_in_flight: 0,
            lost: 0,
            estimated: 0,
            violation: None,
        }
    }

    /// Takes a record in that became durable.
    pub(super) fn take(&mut self, record: &Record) {
        if let Err(violation) = self.entered(&record.event) {
            self.violation.get_or_insert(format!("record {}: {violation}", record.seq));
        }
    }

    fn entered(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::AttemptStarted { attempt, reserved, .. } => {
                self.in_flight.insert(*attempt, reserved.usd);
                self.most_in_flight = self.most_in_flight.max(self.in_flight.len());
                for purse in self.purses_of(*attempt) {
                    self.account(purse).reserved += reserved.usd;
                    // Whatever the provider does: what is known to be billed never lets a call start
                    // that may go past a limit.
                    self.within(purse, *attempt)?;
                }
                Ok(())
            }
            Event::AttemptSucceeded { attempt, spent, .. } | Event::AttemptFailed { attempt, spent, .. } => {
                self.ended(*attempt, spent)
            }
            Event::AttemptLost { attempt, spent } => {
                self.lost += 1;
                let reserved = self.in_flight.get(attempt).copied().unwrap_or_default();
                if spent.charge.at_risk != reserved {
                    return Err(format!("{attempt:?} was lost and counts {spent:?} of ${reserved}"));
                }
                self.ended(*attempt, spent)
            }
            Event::BudgetSet { budget, agent: None } if *budget == self.asked_budget => {
                let account = self.account(Purse::Run);
                account.limit = *budget;
                // Unless it was passed so far that this one is passed too.
                let (counted, hidden) = (account.billed + account.reserved, account.hidden);
                if budget.is_none_or(|budget| counted <= budget + hidden) {
                    account.passed_with = None;
                }
                Ok(())
            }
            Event::BudgetSet { .. } => Err("a budget was set that nobody asked for".to_owned()),
            Event::BudgetWarned { mark: BudgetMark::Exceeded, agent: None, .. } => {
                self.warned = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn ended(&mut self, attempt: AttemptId, spent: &Spent) -> Result<(), String> {
        let name = named(&self.plan, attempt.task).to_owned();
        let reserved = self.in_flight.remove(&attempt).ok_or("it was not in flight")?;
        let bill = self.bill(attempt);
        let (charge, counted) = (spent.charge, spent.charge.total());
        self.estimated += u64::from(!charge.estimated.is_zero());
        let is_exact = charge.estimated.is_zero() && charge.at_risk.is_zero();
        if is_exact && charge.actual != bill {
            return Err(format!("{name}: ${bill} was billed and {charge:?} is called exact"));
        }
        if !charge.actual.is_zero() && !is_exact {
            return Err(format!("{name}: {charge:?} mixes what is reported with what is not"));
        }
        let hidden = if self.honoured || bill < reserved || is_exact { Usd::ZERO } else { bill - counted };
        if counted + hidden < bill {
            return Err(format!("{name}: ${bill} was billed and only ${counted} counts: {charge:?}"));
        }
        if self.honoured && bill > reserved {
            return Err(format!("{name}: ${bill} was billed and only ${reserved} reserved"));
        }
        let with: Vec<AttemptId> = self.in_flight.keys().copied().chain([attempt]).collect();
        for purse in self.purses_of(attempt) {
            let account = self.account(purse);
            account.reserved -= reserved;
            account.billed += bill;
            account.hidden += hidden;
            let counted = account.billed + account.reserved;
            let is_past = account.limit.is_some_and(|limit| counted > limit + account.hidden);
            if !is_past {
                // What was reserved for the others came back.
                account.passed_with = None;
            } else if account.passed_with.is_none() {
                account.passed_with = Some(with.clone());
            }
            if self.honoured {
                self.within(purse, attempt)?;
            }
        }
        Ok(())
    }

    fn within(&self, purse: Purse, attempt: AttemptId) -> Result<(), String> {
        let Account { limit, billed, reserved, hidden, .. } = self.purses[&purse];
        match limit {
            Some(limit) if billed + reserved > limit + hidden => Err(format!(
                "{purse:?} has ${billed} billed and ${reserved} reserved with {attempt:?}, of ${limit}"
            )),
            _ => Ok(()),
        }
    }

    /// Holds the end against the limits: by how much the budget was passed, as far as anybody can know,
    /// which is nothing where the provider keeps its word, and where it does not no more than was in flight
    /// when it was passed, or lost without a word before.
    pub(super) fn overshoot(&self) -> Result<Usd, String> {
        for (purse, account) in &self.purses {
            let past = account.limit.map_or(Usd::ZERO, |limit| account.billed.minus(limit));
            let with: Usd = account.passed_with.iter().flatten().map(|attempt| self.bill(*attempt)).sum();
            if past > with + account.hidden {
                return Err(format!("{purse:?} is past by ${past}, more than was in flight: {account:?}"));
            }
        }
        let Account { limit, billed, hidden, .. } = self.purses[&Purse::Run];
        let known = limit.map_or(Usd::ZERO, |limit| billed.minus(limit + hidden));
        if !known.is_zero() && !self.warned {
            return Err(format!("the budget was passed by ${known} and nobody was told"));
        }
        Ok(known)
    }

    /// What the ledger billed for all attempts that have ended.
    pub(super) fn billed(&self) -> Usd {
        self.purses[&Purse::Run].billed
    }

    /// How many attempts are in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub(super) fn budget(&self) -> Option<Usd> {
        self.purses[&Purse::Run].limit
    }

    fn bill(&self, attempt: AttemptId) -> Usd {
        self.bills.lock().unwrap().get(&attempt).copied().unwrap_or_default()
    }

    fn account(&mut self, purse: Purse) -> &mut Account {
        self.purses.entry(purse).or_default()
    }

    fn purses_of(&self, attempt: AttemptId) -> [Purse; 3] {
        let task = attempt.task;
        [Purse::Run, Purse::Agent(self.plan.asked(attempt)), Purse::Task(task)]
    }
}
