//! Answers of attempts that were lost, as their providers kept them.
//!
//! Nothing is known of them here: whoever resumes a run asks for those of [`Run::recoverable`] before, and says what it
//! found ([`super::input::Resume::found`]). What is not found stays at risk, and may be asked for again: an answer
//! may be kept only some time after its call has ended.

use super::event::{Answer, AttemptId, Event, Spent};
use super::input::{Billing, Found};
use super::money::spent;
use super::planted;
use super::state::{InFlight, Run};
use super::step::Deciding;
use super::task::Phase;
use crate::money::Usd;
use crate::plan::TaskId;

/// An attempt that was lost and not found again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lost {
    /// What stays charged for it.
    at_risk: Usd,
    /// Whether what it asked is not asked any more: the plan was changed, or a task that it depends on is tried
    /// again. Only its cost is of interest then.
    is_void: bool,
}

impl Run {
    /// The attempts whose answers nobody has: those that are in flight, where whoever sent them is gone, and those that
    /// were lost before and not found again.
    pub fn recoverable(&self) -> Vec<AttemptId> {
        let in_flight = self.state.in_flight.values().map(|InFlight { attempt, .. }| *attempt);
        self.state.lost.keys().copied().chain(in_flight).collect()
    }

    pub(super) fn note_lost(&mut self, attempt: AttemptId, spent: &Spent) {
        let lost = Lost { at_risk: spent.charge.at_risk, is_void: false };
        self.state.lost.insert(attempt, lost);
    }

    /// What was asked for this task is not asked any more.
    pub(super) fn void_lost(&mut self, id: TaskId) {
        for (_, lost) in self.state.lost.iter_mut().filter(|(attempt, _)| attempt.task == id) {
            lost.is_void = !planted!(StaleAnswerTaken);
        }
    }

    /// What there is to remember of what was found; none where it is of no attempt that was lost.
    pub(super) fn recovery(&self, found: &Found) -> Option<Event> {
        let Found { attempt, ref answer, ref wrong, usage, ref model } = *found;
        let Lost { at_risk, is_void } = *self.state.lost.get(&attempt)?;
        let is_wanted = !is_void && matches!(self.task(attempt.task).phase, Phase::Ready | Phase::Delayed(_));
        let answer = answer.clone().filter(|_| is_wanted);
        let wrong = wrong.clone().filter(|_| is_wanted);
        let agent = self.plan.agent_asked(attempt);
        let spent = spent(agent, at_risk, Billing::Reported(usage), Some(model));
        Some(Event::AttemptRecovered { attempt, answer, wrong, at_risk, spent, model: model.clone() })
    }

    /// The part of [`Run::apply`] that is about an attempt that was found again.
    pub(super) fn recovered(
        &mut self,
        attempt: AttemptId,
        (answer, wrong): (Option<&Answer>, Option<&str>),
        at_risk: Usd,
        spent: &Spent,
    ) -> Result<(), &'static str> {
        let Some(lost) = self.state.lost.remove(&attempt) else { return Err("its attempt was not lost") };
        if lost.at_risk != at_risk {
            return Err("it is not what was at risk for its attempt");
        }
        let gone = if planted!(FoundAtRiskKept) { Usd::ZERO } else { at_risk };
        let agent = self.plan.asked(attempt).index();
        for charged in [
            &mut self.state.charged,
            &mut self.state.tasks[attempt.task.index()].charged,
            &mut self.state.agents[agent].charged,
        ] {
            charged.at_risk -= gone;
            charged.add(&spent.charge);
        }
        match (answer, wrong) {
            (Some(answer), _) => self.answered(attempt.task, answer.output, answer.bytes),
            (None, Some(wrong)) => self.corrects(attempt.task, wrong),
            (None, None) => Ok(()),
        }
    }

    /// A task that waits is told what was wrong with its answer: its prompt gets longer, so its place may be another.
    fn corrects(&mut self, id: TaskId, wrong: &str) -> Result<(), &'static str> {
        let until = match self.task(id).phase {
            Phase::Delayed(until) => Some(until),
            _ => None,
        };
        self.leave_queue(id)?;
        let task = &mut self.state.tasks[id.index()];
        (task.wrong, task.not_before) = (Some(wrong.into()), until);
        self.make_ready(id);
        Ok(())
    }
}

impl Deciding<'_> {
    /// Takes in what was found of attempts that were lost. Whether that was any.
    pub(super) fn recover(&mut self, found: &[Found]) -> bool {
        let mut any = false;
        for found in found {
            if let Some(event) = self.run.recovery(found) {
                self.remember(event);
                any = true;
            }
        }
        any
    }
}
