//! Which task starts next, and why none does; when the run ends.

use super::control::PAUSED;
use super::event::{AttemptId, Event, Outcome};
use super::input::{Action, Waiting};
use super::pass::Held;
use super::planted;
use super::ready::Lane;
use super::state::Run;
use super::step::Deciding;
use crate::agent::AgentId;
use crate::failure::{Class, Failure};
use crate::limit::{self, GateId, Scope, Verdict};
use crate::money::Usd;
use crate::plan::TaskId;
use crate::time::Time;
use crate::usage::Cost;

/// Whether the money allows an attempt.
#[must_use]
enum Affordable {
    Yes,
    /// Not before something in flight has settled for less than it reserved.
    AfterSettle(Purse),
    /// Never within this budget.
    Past(Purse, Excess),
    /// Never within the task's own limit.
    PastTaskLimit(Excess),
}

/// Whose money it is.
#[derive(Clone, Copy)]
enum Purse {
    Run,
    Agent(AgentId),
}

/// An amount that a limit does not allow.
struct Excess {
    /// Spent, at risk, and what the attempt would have to reserve.
    needed: Usd,
    limit: Usd,
}

impl Deciding<'_> {
    /// Starts what may start, in the order of the queue, until the limits say no.
    pub(super) fn schedule(&mut self) {
        if self.run.is_paused() {
            let everybody: Vec<AgentId> = self.run.plan.agent_ids().collect();
            self.wait(PAUSED.to_owned(), None, &everybody);
        }
        let mut held = Held::none(self.run.plan.agents().len());
        while let Some((agent, place)) = self.next(&mut held) {
            let gate = self.run.plan.agent(agent).gate;
            let ask = self.run.reservation(place.task);
            match self.affordable(place.task, agent, &ask) {
                Affordable::Yes => {}
                Affordable::AfterSettle(Purse::Run) => {
                    self.wait("the budget".to_owned(), None, &[agent]);
                    return;
                }
                Affordable::AfterSettle(Purse::Agent(agent)) => {
                    let reason = format!("the budget of {}", self.run.plan.agent(agent).name);
                    self.wait(reason, None, &[agent]);
                    held.agents[agent.index()] = true;
                    continue;
                }
                Affordable::Past(purse, excess) => {
                    self.budget_reached(place.task, purse, &excess);
                    continue; // other agents may go on where it is one agent's
                }
                Affordable::PastTaskLimit(Excess { needed, limit }) => {
                    let name = &self.run.plan.task(place.task).name;
                    let left = limit.minus(self.run.task(place.task).charged.total());
                    let fits = match self.run.fitting_max_tokens(place.task, left) {
                        Some(tokens) => format!("; max_tokens {tokens} would fit"),
                        None => String::new(),
                    };
                    let message =
                        format!("task {name:?} may cost ${needed} and is limited to ${limit}{fits}");
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
                Err(limit::Held { verdict, reason, scope }) => {
                    let until = match verdict {
                        Verdict::WaitUntil(until) => Some(until),
                        Verdict::Go | Verdict::WaitForSettle => None,
                    };
                    let behind: Vec<AgentId> = self.agents_behind(gate).collect();
                    self.wait(reason, until, &behind);
                    if scope == Scope::Process {
                        return;
                    }
                    held.hold(&behind);
                }
            }
        }
    }

    pub(super) fn may_start(&self) -> bool {
        let state = &self.run.state;
        state.cancelled.is_none()
            && state.over_budget.is_none()
            && state.ended.is_none()
            && (state.paused.is_none() || planted!(PauseIgnored))
            && self.run_deadline().is_none_or(|deadline| deadline > self.now)
    }

    /// Whether an agent's account has not been stopped, and its own budget not reached.
    pub(super) fn serves(&self, agent: AgentId) -> bool {
        self.run.state.agents[agent.index()].over.is_none() && self.has_account(agent)
    }

    fn has_account(&self, agent: AgentId) -> bool {
        let gate = self.run.plan.agent(agent).gate;
        let account = &self.run.settings.gates[gate.index()].account;
        !self.run.state.stopped.contains_key(account) && self.run.state.health.stopped(gate).is_none()
            || planted!(StoppedAccountServed)
    }

    /// The agents whose calls pass a gate.
    pub(super) fn agents_behind(&self, gate: GateId) -> impl Iterator<Item = AgentId> + use<> {
        let plan = self.run.plan.clone();
        plan.agent_ids().filter(move |agent| plan.agent(*agent).gate == gate)
    }

    fn affordable(&self, id: TaskId, agent: AgentId, ask: &Cost) -> Affordable {
        let state = &self.run.state;
        if let Some(limit) = self.run.limit_of_task(id).filter(|_| !planted!(TaskLimitIgnored)) {
            let needed = self.run.task(id).charged.total() + ask.usd;
            if needed > limit {
                return Affordable::PastTaskLimit(Excess { needed, limit });
            }
        }
        let own = &state.agents[agent.index()];
        let own_limit = own.budget.filter(|_| !planted!(AgentLimitIgnored));
        let purses = [
            (Purse::Run, state.budget.filter(|_| state.budget_stops), state.charged.total(), state.reserved),
            (Purse::Agent(agent), own_limit, own.charged, own.reserved),
        ];
        for (purse, limit, charged, reserved) in purses {
            let Some(limit) = limit else { continue };
            let needed = charged + ask.usd;
            if needed > limit {
                return Affordable::Past(purse, Excess { needed, limit });
            }
            if needed + reserved > limit {
                return Affordable::AfterSettle(purse);
            }
        }
        Affordable::Yes
    }

    fn budget_reached(&mut self, task: TaskId, purse: Purse, excess: &Excess) {
        let (agent, charged) = match purse {
            Purse::Run => (None, self.run.state.charged.total()),
            Purse::Agent(agent) => (Some(agent), self.run.state.agents[agent.index()].charged),
        };
        let left = excess.limit.minus(charged);
        self.remember(Event::BudgetReached {
            needed: excess.needed,
            budget: excess.limit,
            agent,
            task: Some(task),
            fitting_max_tokens: self.run.fitting_max_tokens(task, left),
        });
    }

    fn start(&mut self, task: TaskId, gate: GateId, reserved: Cost) {
        let attempt = AttemptId { task, number: self.run.task(task).attempts + 1 };
        if !planted!(ReserveForgotten) {
            self.gates.reserve(gate, attempt, &reserved, self.now);
        }
        self.remember(Event::AttemptStarted { attempt, reserved });
        self.step.actions.push(Action::Call(attempt));
    }

    fn wait(&mut self, reason: String, until: Option<Time>, behind: &[AgentId]) {
        self.wait_in(&Lane::ALL, reason, until, behind);
    }

    /// Says that the tasks of these lanes and agents wait.
    pub(super) fn wait_in(
        &mut self,
        lanes: &[Lane],
        reason: String,
        until: Option<Time>,
        behind: &[AgentId],
    ) {
        self.wake(until);
        let Run { plan, state, .. } = &*self.run;
        let in_lane = |agent: AgentId, lane| state.ready.waiting(plan, agent, lane, self.now);
        let of_agent = |agent: &AgentId| lanes.iter().map(|lane| in_lane(*agent, *lane)).sum::<usize>();
        let tasks = behind.iter().map(of_agent).sum();
        self.step.waiting.push(Waiting { reason, until, tasks });
    }

    fn wake(&mut self, at: Option<Time>) {
        self.step.wake_at = self.step.wake_at.into_iter().chain(at).min();
    }

    /// When the run timeout passes; none while the run is paused.
    fn run_deadline(&self) -> Option<Time> {
        let state = &self.run.state;
        state.paused.is_none().then(|| state.session.unwrap_or(self.now) + self.run.settings.run_timeout)
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
        if deadline.is_some_and(|deadline| self.now >= deadline) {
            let timed_out = Outcome::TimedOut { after: self.run.settings.run_timeout };
            let interrupted = state.cancelled.map(|signal| Outcome::Interrupted { signal });
            return self.cut_off(interrupted.unwrap_or(timed_out));
        }
        if state.in_flight.is_empty() {
            if let Some(signal) = state.cancelled {
                return self.end(Outcome::Interrupted { signal });
            }
            if let Some((needed, budget)) = state.over_budget {
                return self.end(Outcome::BudgetExceeded { needed, budget, agent: None });
            }
            if !state.ready.any(&self.run.plan, |agent| self.serves(agent)) {
                return self.end(self.why_nothing_starts());
            }
        }
        if self.may_start() && !planted!(WakeUpLost) {
            let next = state.ready.next_due(self.now, |id| self.serves(self.run.plan.task(id).agent));
            self.wake(next);
        }
        self.wake(deadline);
    }

    /// What is left waits for accounts that will not serve us, or for agents that have no money left.
    fn why_nothing_starts(&self) -> Outcome {
        let state = &self.run.state;
        if let Some(failure) = state.stopped.values().next().or_else(|| state.health.first_stopped()) {
            return Outcome::ProviderStopped { failure: failure.clone() };
        }
        let over = |id: AgentId| Some((id, state.agents[id.index()].over?));
        match self.run.plan.agent_ids().find_map(over) {
            Some((id, (needed, budget))) => Outcome::BudgetExceeded { needed, budget, agent: Some(id) },
            None => Outcome::ProviderStopped { failure: Failure::new(Class::Invalid, "no task can start") },
        }
    }
}
