//! Processes that die, and others that go on.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::{Violation, World};
use crate::limit::Gates;
use crate::run::Run;
use crate::run::event::Outcome;
use crate::run::input::{Billing, Input, Resume};

impl World {
    pub(super) fn crash(&mut self) -> Result<Option<Outcome>, Violation> {
        self.crashes += 1;
        self.resume()
    }

    /// A new process: nothing is known but the journal. What was in flight may have been billed.
    pub(super) fn resume(&mut self) -> Result<Option<Outcome>, Violation> {
        for mut reply in std::mem::take(&mut self.replies).into_values() {
            if !self.keep(&reply) {
                reply.billing = Billing::Unknown;
            }
            self.bill(&reply);
        }
        self.now =
            self.now + self.rng.pick(&[Duration::ZERO, Duration::from_millis(700), Duration::from_secs(90)]);
        let replayed = Run::replay(self.first.clone(), self.settings.clone(), &self.journal);
        (self.asked, self.looked_up) = (VecDeque::new(), BTreeSet::new());
        self.run = replayed.map_err(|error| error.to_string())?;
        self.shadow = self.run.clone();
        self.gates = Gates::new(&self.settings);
        self.gates.rebuild(&self.first, &self.settings, &self.journal);
        let retry_failed = self.rng.percent(30);
        let change = if self.rng.percent(20) { Some(self.change()) } else { None };
        let found = self.find();
        let goes_on = retry_failed || change.is_some() || !found.is_empty();
        if self.run.outcome() == Some(&Outcome::Completed) && !goes_on {
            return Ok(Some(Outcome::Completed));
        }
        let over = matches!(self.run.outcome(), Some(Outcome::BudgetExceeded { .. }));
        if self.journal.is_empty() {
            return self.tell(Input::Started);
        }
        // What was refused for its price needs more money, or it is refused again.
        let more = self.budget.filter(|_| over && self.rng.percent(70)).map(|budget| {
            // Where the budget only warned, more than it may have been spent.
            budget.times(2).max(self.billed)
        });
        self.tell(Input::Resumed(Resume {
            budgets: more.into(),
            retry_failed,
            change,
            found,
            ..Resume::default()
        }))
    }
}
