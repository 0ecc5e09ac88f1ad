//! Attempts that were lost and found again.

use sortie_core::money::Usd;
use sortie_core::plan::TaskId;
use sortie_core::run::event::{Answer, Finish, Spent};
use sortie_core::time::Time;

use super::{Fold, Status};

impl Fold {
    /// What was at risk for an attempt is what it came to; how long it took nobody knows.
    pub(super) fn recovered(
        &mut self,
        task: TaskId,
        answer: Option<&Answer>,
        at_risk: Usd,
        spent: &Spent,
        at: Time,
    ) {
        let Some(view) = self.tasks.get_mut(task.index()) else { return };
        for charge in [&mut view.charge, &mut self.charge] {
            charge.at_risk = charge.at_risk.minus(at_risk);
            charge.add(&spent.charge);
        }
        if let Some(usage) = spent.usage {
            view.add_usage(usage);
        }
        // A damaged journal may find what it did not lose.
        self.counts.lost = self.counts.lost.saturating_sub(1);
        self.counts.recovered += 1;
        let Some(answer) = answer else { return };
        if view.status != Status::Pending {
            return;
        }
        view.answer = Some(Box::new(answer.clone()));
        view.answer_input = spent.usage.map(|usage| usage.total_input());
        view.failure = None;
        self.counts.cut_by_max_tokens += u64::from(answer.finish == Finish::MaxTokens);
        self.finish(task, Status::Succeeded, at);
    }
}
