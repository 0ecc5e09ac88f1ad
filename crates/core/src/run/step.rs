//! What to do about an input: decides, and applies each record as it decides it.

use std::collections::VecDeque;
use std::iter;

use super::event::{AttemptId, BudgetMark, Event, Outcome, Record, Skipped, Then};
use super::input::{Action, Billing, Budgets, Change, Input, Reply, Resume, Step};
use super::money::spent;
use super::planted;
use super::state::{InFlight, Run};
use super::task::Phase;
use crate::failure::{Class, Failure};
use crate::limit::{GateId, Gates};
use crate::money::Usd;
use crate::plan::{Edge, End, TaskId};
use crate::prediction::Prediction;
use crate::time::Time;
use crate::usage::Cost;

impl Run {
    /// Takes an input in and decides. The records of the answer are already applied: they have to
    /// be made durable before its actions are done, and where that fails the run must be dropped.
    ///
    /// `now` counts as at least the time of the last record.
    pub fn step(&mut self, input: Input, now: Time, gates: &mut Gates) -> Step {
        let now = now.max(self.state.last_time);
        let mut deciding = Deciding { run: self, gates, now, step: Step::default() };
        if deciding.run.state.ended.is_none() || matches!(input, Input::Resumed(_)) {
            deciding.run.waits.pass(now);
            deciding.take(input);
            deciding.tell_waits(false);
            while !deciding.recall() {
                if deciding.schedule() {
                    deciding.finish();
                    break;
                }
            }
        }
        let step = deciding.step;
        self.waits.held(&step.waiting, now);
        step
    }
}

/// A step on its way: the answer so far, and what it needs to go on.
pub(super) struct Deciding<'a> {
    pub(super) run: &'a mut Run,
    pub(super) gates: &'a mut Gates,
    pub(super) now: Time,
    pub(super) step: Step,
}

impl Deciding<'_> {
    /// Remembers a fact: applied at once, and handed out to be made durable.
    pub(super) fn remember(&mut self, event: Event) {
        let record = Record { seq: self.run.state.last_seq + 1, at: self.now, event };
        let applied = self.run.apply(&record);
        debug_assert_eq!(applied, Ok(()), "a step decided something that cannot follow");
        self.step.records.push(record);
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Started => self.begin(None),
            Input::StartedForeseen(forecast) => self.begin(Some(forecast)),
            Input::Resumed(resume) => self.resume(resume),
            Input::Told(attempt, told) => {
                let gate = self.run.plan.agent_asked(attempt).gate;
                self.gates.hear(gate, attempt, &told, self.now);
            }
            Input::Replied(reply) => self.replied(reply),
            Input::Recalled(known) => self.recalled(known),
            Input::Woke => {}
            Input::Controlled(control) => self.control(control),
            Input::Forecast(forecast) => self.remember(Event::ForecastMade { forecast }),
            Input::Cancelled(signal) => {
                if planted!(CancelOutsideApply) {
                    self.run.state.cancelled = Some((signal, self.now));
                } else if self.run.state.cancelled.is_none() {
                    self.remember(Event::CancelRequested { signal });
                }
            }
        }
    }

    fn begin(&mut self, forecast: Option<Prediction>) {
        self.remember(Event::RunStarted);
        if let Some(forecast) = forecast {
            self.remember(Event::ForecastMade { forecast });
        }
        self.fail_invalid_tasks();
    }

    /// Tasks that can never be sent fail before anything is (SPEC.md F3); the rest goes on.
    fn fail_invalid_tasks(&mut self) {
        let plan = self.run.plan.clone();
        for id in plan.ids() {
            if let Some(failure) = &plan.task(id).invalid
                && !self.run.task(id).has_ended()
            {
                self.fail_task(id, Failure::clone(failure));
            }
        }
    }

    /// What was in flight when the last process died is lost: it may have been billed.
    fn resume(&mut self, Resume { budgets, retry_failed, gone, change, found }: Resume) {
        self.remember(Event::RunResumed);
        // The same amount says something new where it only warned so far: from here on it stops.
        let is_known = self.run.state.budget_stops && budgets.run == self.run.state.budget;
        if budgets.run.is_some() && !is_known {
            self.remember(Event::BudgetSet { budget: budgets.run, agent: None });
        }
        self.set_agent_budgets(&budgets);
        let lost = self.lose_all_in_flight();
        // Before another plan makes their answers worth nothing.
        let is_found = self.recover(&found);
        if !lost.is_empty() || is_found {
            self.warn_of_budget();
        }
        if let Some(Change { header, again, revision }) = change {
            self.remember(Event::PlanChanged { header, again, revision: Some(revision) });
            self.set_agent_budgets(&budgets); // of agents that are new
        }
        self.reopen_gone(gone);
        if retry_failed {
            self.reopen_failed();
        }
        self.fail_invalid_tasks();
        self.skip_behind_failures();
    }

    fn set_agent_budgets(&mut self, budgets: &Budgets) {
        for (&agent, &budget) in &budgets.agents {
            let known = self.run.state.agents.get(agent.index());
            if known.is_some_and(|known| known.budget != Some(budget)) {
                self.remember(Event::BudgetSet { budget: Some(budget), agent: Some(agent) });
            }
        }
    }

    /// A journal may end between a failure and the skips that follow from it, or among these.
    fn skip_behind_failures(&mut self) {
        let behind = self.run.plan.ids().filter_map(|id| match self.run.task(id).phase {
            Phase::Failed => Some((id, id)),
            Phase::Skipped => Some((id, self.cause_of(id)?)),
            _ => None,
        });
        let behind = behind.collect();
        self.skip_behind(behind);
    }

    /// The failed task that a skipped one depends on, directly or not.
    fn cause_of(&self, mut skipped: TaskId) -> Option<TaskId> {
        loop {
            let on = &self.run.plan.task(skipped).depends_on;
            let that = |end: End| {
                let is = |on: &&Edge| self.run.task(on.task).phase.end() == Some(end);
                on.iter().filter(is).find(|on| !on.when.is_met_by(end)).map(|on| on.task)
            };
            match that(End::Failed) {
                Some(failed) => return Some(failed),
                None => skipped = that(End::Skipped)?,
            }
        }
    }

    /// What was reserved for them counts from here on: it may be what passes a mark.
    fn lose_all_in_flight(&mut self) -> Vec<AttemptId> {
        let in_flight: Vec<_> = self.run.state.in_flight.values().copied().collect();
        let mut lost = Vec::new();
        for InFlight { attempt, reserved } in in_flight {
            let agent = self.run.plan.agent_asked(attempt);
            let spent = spent(agent, reserved.usd, Billing::Unknown, None);
            let used = self.run.settings.used(agent.gate, &reserved, &spent);
            self.gates.settle(agent.gate, attempt, &used, false, self.now);
            self.remember(Event::AttemptLost { attempt, spent });
            lost.push(attempt);
        }
        lost
    }

    fn replied(&mut self, reply: Reply) {
        let Reply { attempt, result, billing, timing } = reply;
        let in_flight = self.run.state.in_flight.get(&attempt.task).filter(|one| one.attempt == attempt);
        let Some(&InFlight { reserved, .. }) = in_flight else {
            return; // given up before it came back
        };
        let agent = self.run.plan.agent_asked(attempt);
        let gate = agent.gate;
        let model = match &result {
            Ok(answer) => Some(&*answer.model),
            Err(failure) => failure.model.as_deref(),
        };
        let own = || self.run.plan.agent_of(attempt.task);
        let payer = if planted!(FallbackAtOwnPrice) { own() } else { agent };
        let spent = spent(payer, reserved.usd, billing, model);
        let used = self.run.settings.used(gate, &reserved, &spent);
        match result {
            Ok(answer) => {
                self.settle(gate, attempt, &used, false);
                self.remember(Event::AttemptSucceeded { attempt, answer, spent, timing });
            }
            Err(failure) => {
                let started = self.now - timing.total;
                let is_echo = (failure.class == Class::Throttled && self.gates.is_echo(gate, attempt))
                    || self.run.is_of_outage(attempt, &failure, started, self.now);
                let then = self.run.follow_up(attempt, &failure, self.now, is_echo);
                if let Some(until) = then.gate_opens(&failure, &agent.retry, self.now) {
                    self.gates.throttled(gate, attempt, failure.ramps, until, self.now);
                }
                self.settle(gate, attempt, &used, failure.class == Class::Throttled);
                self.remember(Event::AttemptFailed { attempt, failure, spent, timing, then: then.clone() });
                if then == Then::Fail {
                    self.skip_dependants(attempt.task);
                }
            }
        }
        self.warn_of_budget();
    }

    fn settle(&mut self, gate: GateId, attempt: AttemptId, used: &Cost, throttled: bool) {
        if !planted!(SettleForgotten) {
            self.gates.settle(gate, attempt, used, throttled, self.now);
        }
    }

    /// A task fails before anything was sent for it.
    pub(super) fn fail_task(&mut self, task: TaskId, failure: Failure) {
        self.remember(Event::TaskFailed { task, failure });
        self.skip_dependants(task);
    }

    /// What depends on a failed task, directly or not, and does not run without it, never will.
    fn skip_dependants(&mut self, failed: TaskId) {
        self.skip_behind(VecDeque::from([(failed, failed)]));
        if planted!(SkipsTooMuch)
            && let Some(task) = self.run.plan.ids().find(|&id| self.run.task(id).phase == Phase::Blocked)
        {
            self.remember(Event::TaskSkipped { task, because: Skipped::Dependency(failed) });
        }
    }

    /// Skips what needs more of these tasks than they came to, each because of the other, which failed.
    fn skip_behind(&mut self, mut queue: VecDeque<(TaskId, TaskId)>) {
        let plan = self.run.plan.clone();
        while let Some((id, failed)) = queue.pop_front() {
            let Some(end) = self.run.task(id).phase.end() else { continue };
            for &Edge { task, when } in plan.dependants(id) {
                if !when.is_met_by(end) && self.run.task(task).phase == Phase::Blocked {
                    self.remember(Event::TaskSkipped { task, because: Skipped::Dependency(failed) });
                    if !planted!(SkipsStopShort) {
                        queue.push_back((task, failed));
                    }
                }
            }
        }
    }

    /// Marks that spending has passed, of the run and of agents that have a budget of their own, each said once.
    fn warn_of_budget(&mut self) {
        let state = &self.run.state;
        let alert = self.run.settings.alert_threshold;
        let agents = self.run.plan.agent_ids().zip(&state.agents);
        let agents = agents.filter(|(_, money)| money.budget.is_some());
        let purses: Vec<_> = iter::once((None, state.charged, state.budget, alert))
            .chain(agents.map(|(id, money)| (Some(id), money.charged, money.budget, None)))
            .collect();
        for (agent, charge, budget, alert) in purses {
            let spent = charge.total();
            let past = |mark: Option<Usd>| mark.is_some_and(|mark| spent > mark);
            let eighty_percent = budget.map(|budget| budget.shared_by(5).times(4));
            for (mark, is_past) in [
                (BudgetMark::Alert, past(alert)),
                (BudgetMark::EightyPercent, past(eighty_percent)),
                (BudgetMark::Exceeded, past(budget)),
            ] {
                if is_past && !self.run.state.marks.contains(&(agent, mark)) {
                    self.remember(Event::BudgetWarned { mark, spent, charge, budget, agent });
                }
            }
        }
    }

    /// Gives up everything in flight and ends.
    pub(super) fn cut_off(&mut self, outcome: Outcome) {
        let lost = self.lose_all_in_flight();
        if !lost.is_empty() {
            self.warn_of_budget();
        }
        self.step.actions.extend(lost.into_iter().map(Action::Abandon));
        self.end(outcome);
    }

    fn tell_waits(&mut self, ends: bool) {
        let waits = self.run.waits.take(ends, self.now);
        if !waits.is_empty() {
            self.remember(Event::Waited { waits });
        }
    }

    pub(super) fn end(&mut self, outcome: Outcome) {
        self.tell_waits(true);
        self.remember(Event::RunEnded { outcome: outcome.clone() });
        self.step.actions.push(Action::Finish(outcome));
        self.step.wake_at = None;
        self.step.waiting.clear();
    }
}
