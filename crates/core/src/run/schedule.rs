//! Which task starts next, and why none does; when the run ends.

use super::event::{AttemptId, Event, Outcome};
use super::input::{Action, Mode, Waiting};
use super::planted;
use super::ready::Place;
use super::step::Deciding;
use crate::failure::{Class, Failure};
use crate::limit::{GateId, Held, Scope, Verdict};
use crate::money::Usd;
use crate::plan::TaskId;
use crate::time::Time;
use crate::usage::Cost;

/// Whether the money allows an attempt.
#[must_use]
enum Affordable {
    Yes,
    /// Not before something in flight has settled for less than it reserved.
    AfterSettle,
    /// Never within the budget.
    PastBudget {
        needed: Usd,
        budget: Usd,
    },
    /// Never within the task's own limit.
    PastTaskLimit {
        needed: Usd,
        limit: Usd,
    },
}

impl Deciding<'_> {
    /// Starts what may start, in the order of the queue, until the limits say no.
    pub(super) fn schedule(&mut self) {
        let mut shut = vec![false; self.run.settings.gates.len()];
        while let Some((gate, place)) = self.next(&shut) {
            let ask = self.run.reservation(place.task);
            match self.affordable(place.task, &ask) {
                Affordable::Yes => {}
                Affordable::AfterSettle => {
                    self.wait("the budget".to_owned(), None, gate);
                    return;
                }
                Affordable::PastBudget { needed, budget } => {
                    self.remember(Event::BudgetReached { needed, budget });
                    return;
                }
                Affordable::PastTaskLimit { needed, limit } => {
                    let name = &self.run.plan.task(place.task).name;
                    let message = format!("task {name:?} may cost ${needed} and is limited to ${limit}");
                    self.fail_task(place.task, Failure::new(Class::OverBudget, message));
                    continue;
                }
            }
            if planted!(LimitsIgnored) {
                self.start(place.task, gate, ask);
                continue;
            }
            match self.gates.check(gate, &ask, self.now) {
                Ok(()) => self.start(place.task, gate, ask),
                Err(Held { verdict, reason, scope }) => {
                    let until = match verdict {
                        Verdict::WaitUntil(until) => Some(until),
                        Verdict::Go | Verdict::WaitForSettle => None,
                    };
                    self.wait(reason, until, gate);
                    if scope == Scope::Process {
                        return;
                    }
                    shut[gate.index()] = true;
                }
            }
        }
    }

    /// The first task in the order of the queue whose gate has not said no in this step.
    fn next(&self, shut: &[bool]) -> Option<(GateId, Place)> {
        let run = &*self.run;
        if !self.may_start() || (run.settings.mode == Mode::Serial && !run.state.in_flight.is_empty()) {
            return None;
        }
        (0..shut.len() as u16)
            .map(GateId)
            .filter(|gate| !shut[gate.index()] && self.serves(*gate))
            .filter_map(|gate| Some((gate, run.state.ready.first(&run.plan, gate, self.now)?)))
            .min_by_key(|(_, place)| *place)
    }

    fn may_start(&self) -> bool {
        let state = &self.run.state;
        state.cancelled.is_none()
            && state.over_budget.is_none()
            && state.ended.is_none()
            && self.run_deadline() > self.now
    }

    /// Whether a gate's account has not been stopped.
    fn serves(&self, gate: GateId) -> bool {
        let account = &self.run.settings.gates[gate.index()].account;
        !self.run.state.stopped.contains_key(account) || planted!(StoppedAccountServed)
    }

    fn affordable(&self, id: TaskId, ask: &Cost) -> Affordable {
        let state = &self.run.state;
        let task_limit = self.run.plan.task(id).max_cost.or(self.run.settings.max_cost_per_task);
        if let Some(limit) = task_limit.filter(|_| !planted!(TaskLimitIgnored)) {
            let needed = self.run.task(id).charged.total() + ask.usd;
            if needed > limit {
                return Affordable::PastTaskLimit { needed, limit };
            }
        }
        match state.budget {
            Some(budget) if state.budget_stops => {
                let settled = state.charged.total() + ask.usd;
                if settled > budget {
                    Affordable::PastBudget { needed: settled, budget }
                } else if settled + state.reserved > budget {
                    Affordable::AfterSettle
                } else {
                    Affordable::Yes
                }
            }
            _ => Affordable::Yes,
        }
    }

    fn start(&mut self, task: TaskId, gate: GateId, reserved: Cost) {
        let attempt = AttemptId { task, number: self.run.task(task).attempts + 1 };
        if !planted!(ReserveForgotten) {
            self.gates.reserve(gate, &reserved, self.now);
        }
        self.remember(Event::AttemptStarted { attempt, reserved });
        self.step.actions.push(Action::Call(attempt));
    }

    fn wait(&mut self, reason: String, until: Option<Time>, gate: GateId) {
        self.wake(until);
        let tasks = self.run.state.ready.len(gate);
        self.step.waiting.push(Waiting { reason, until, tasks });
    }

    fn wake(&mut self, at: Option<Time>) {
        self.step.wake_at = self.step.wake_at.into_iter().chain(at).min();
    }

    fn run_deadline(&self) -> Time {
        self.run.state.session.unwrap_or(self.now) + self.run.settings.run_timeout
    }

    /// Ends the run where nothing is left to do, else says when to look again.
    pub(super) fn finish(&mut self) {
        let state = &self.run.state;
        if state.ended.is_some() {
            return;
        }
        if state.open == 0 {
            return self.end(Outcome::Completed);
        }
        let deadline = self.run_deadline();
        if self.now >= deadline {
            let timed_out = Outcome::TimedOut { after: self.run.settings.run_timeout };
            let interrupted = state.cancelled.map(|signal| Outcome::Interrupted { signal });
            return self.cut_off(interrupted.unwrap_or(timed_out));
        }
        if state.in_flight.is_empty() {
            if let Some(signal) = state.cancelled {
                return self.end(Outcome::Interrupted { signal });
            }
            if let Some((needed, budget)) = state.over_budget {
                return self.end(Outcome::BudgetExceeded { needed, budget });
            }
            if !self.anything_may_start() {
                // What is left waits for accounts that will not serve us.
                let failure = state.stopped.values().next().cloned();
                let failure = failure.unwrap_or_else(|| Failure::new(Class::Invalid, "no task can start"));
                return self.end(Outcome::ProviderStopped { failure });
            }
        }
        if self.may_start() && !planted!(WakeUpLost) {
            let next = state.ready.next_due(self.now, |id| self.serves(self.run.plan.agent_of(id).gate));
            self.wake(next);
        }
        self.wake(Some(deadline));
    }

    fn anything_may_start(&self) -> bool {
        let ready = &self.run.state.ready;
        ready.any(|gate| self.serves(gate), |id| self.serves(self.run.plan.agent_of(id).gate))
    }
}
