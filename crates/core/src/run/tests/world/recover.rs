//! Lost answers that their providers have kept.

use super::{Violation, World};
use crate::hash::Hash;
use crate::money::Usd;
use crate::plan::TaskId;
use crate::run::event::{Answer, AttemptId, Finish, Spent};
use crate::run::input::{Billing, Found, Reply};
use crate::usage::Usage;

/// An answer that nobody got.
pub(super) struct Kept {
    usage: Usage,
    /// Whether its task asks something else by now.
    is_stale: bool,
}

impl World {
    /// Some answers that nobody waits for any more are kept. Whether this one is.
    pub(super) fn keep(&mut self, reply: &Reply) -> bool {
        let Billing::Reported(usage) = reply.billing else { return false };
        let is_kept = reply.result.is_ok() && self.rng.percent(50);
        if is_kept {
            self.kept.insert(reply.attempt, Kept { usage, is_stale: false });
        }
        is_kept
    }

    /// What whoever resumes the run finds of what was lost: not all, some of it only later.
    pub(super) fn find(&mut self) -> Vec<Found> {
        let mut found = Vec::new();
        for attempt in self.run.recoverable() {
            let Some(Kept { usage, .. }) = self.kept.get(&attempt) else { continue };
            let answer = Answer {
                output: Hash::of(&attempt.task.0.to_le_bytes()),
                bytes: self.rng.range(0, 5_000),
                finish: Finish::Stop,
                model: "m".into(),
                request: None,
            };
            if self.rng.percent(60) {
                let answer = Some(answer).filter(|_| self.rng.percent(85));
                found.push(Found { attempt, answer, wrong: None, usage: *usage, model: "m".into() });
            }
        }
        found
    }

    /// What was at risk is what it cost.
    pub(super) fn enter_recovered(
        &mut self,
        attempt: AttemptId,
        is_answered: bool,
        at_risk: Usd,
        spent: &Spent,
    ) -> Result<(), Violation> {
        let Some(kept) = self.kept.remove(&attempt) else {
            return Err(format!("{attempt:?} was found nowhere"));
        };
        must!(
            spent.usage == Some(kept.usage) && spent.charge.at_risk.is_zero(),
            "{attempt:?} came to {spent:?}"
        );
        must!(!(is_answered && kept.is_stale), "the answer of {attempt:?} is to what is not asked any more");
        let charged = self.charged.entry(attempt.task).or_default();
        must!(*charged >= at_risk, "more was at risk for {attempt:?} than was charged");
        *charged = charged.minus(at_risk) + spent.charge.total();
        let all: Usd = self.charged.values().copied().sum();
        must!(self.shadow.charged().total() == all, "{all} was charged after {attempt:?} was found");
        self.recovered += 1;
        if is_answered { self.enter_answered(attempt.task) } else { Ok(()) }
    }

    /// A task does not ask any more what it asked.
    pub(super) fn outdate(&mut self, id: TaskId) {
        for (_, kept) in self.kept.iter_mut().filter(|(attempt, _)| attempt.task == id) {
            kept.is_stale = true;
        }
    }
}
