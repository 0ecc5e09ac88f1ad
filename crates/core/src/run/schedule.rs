//! Which task starts next, and why none does; when the run ends.

use super::control::PAUSED;
use super::event::{AttemptId, Event, Outcome};
use super::input::{Action, Waiting};
use super::money::{Affordable, Excess, Purse};
use super::pass::{Head, Held};
use super::planted;
use super::ready::{Lane, Place};
use super::route::{Asked, Queue};
use super::state::Run;
use super::step::Deciding;
use crate::agent::AgentId;
use crate::failure::{Class, Failure};
use crate::limit::{self, GateId, Scope, Verdict, WaitReason};
use crate::plan::TaskId;
use crate::price::Pricing;
use crate::time::Time;
use crate::usage::Cost;

impl Deciding<'_> {
    /// Starts what may start, in the order of the queue, until the limits say no; or until a task becomes ready that
    /// may need no call (false), because others that ran before it failed.
    pub(super) fn schedule(&mut self) -> bool {
        if self.run.is_paused() {
            self.wait_in(&Lane::ALL, PAUSED.to_owned(), None, |_| true);
        }
        let mut held = Held::none(self.run.plan.agents().len());
        while let Some(head) = self.next(&mut held) {
            if !self.try_start(head, &mut held) {
                break;
            }
            if self.run.may_recall() {
                return false;
            }
        }
        self.stop_if_all_are_past(&held);
        if self.may_start() {
            self.wake_for_others();
        }
        true
    }

    /// Starts a task if money and rates allow; whether others may start all the same.
    ///
    /// Money is asked before rates, but where the task's gate is closed it keeps nobody: what waits for
    /// its rate anyway takes nothing of the budget yet, and nobody behind it has to wait for that.
    fn try_start(&mut self, head: Head, held: &mut Held) -> bool {
        let Head { place, asked, .. } = head;
        let ask = self.run.reservation(place.task, asked.agent);
        let gate = self.run.gate_of(asked.agent);
        let affordable = self.run.affordable(place.task, asked.agent, &ask);
        let checked = if planted!(LimitsIgnored) { Ok(()) } else { self.gates.check(gate, &ask, self.now) };
        match (affordable, checked) {
            // It was asked whether it may be within them.
            (Affordable::Past(..) | Affordable::PastTaskLimit(_), _) if asked.because.is_some() => {
                held.hold(&[asked.agent]);
            }
            (Affordable::PastTaskLimit(excess), _) => self.past_task_limit(place.task, &excess),
            // Other agents may go on.
            (Affordable::Past(purse @ Purse::Agent(_), excess), _) => {
                self.budget_reached(place.task, purse, &excess);
            }
            (Affordable::Past(Purse::Run, excess), Err(closed)) => {
                held.past.get_or_insert((place.task, excess));
                return self.hold_at(gate, closed, held);
            }
            (Affordable::Yes | Affordable::AfterSettle(_), Err(closed)) => {
                held.waits = true;
                return self.hold_at(gate, closed, held);
            }
            (Affordable::AfterSettle(purse), Ok(())) => {
                held.waits = true;
                self.wait_for_settle(asked.agent, purse, held);
            }
            (Affordable::Past(Purse::Run, excess), Ok(())) => {
                self.budget_reached(place.task, Purse::Run, &excess);
            }
            (Affordable::Yes, Ok(())) => self.start(&head, gate, ask),
        }
        true
    }

    /// A gate is closed: whoever passes it waits; whether other gates may be open.
    fn hold_at(&mut self, gate: GateId, closed: limit::Held, held: &mut Held) -> bool {
        let limit::Held { verdict, reason, scope } = closed;
        self.gates.held(gate);
        let until = match verdict {
            Verdict::WaitUntil(until) => Some(until),
            Verdict::Go | Verdict::WaitForSettle => None,
        };
        let behind: Vec<AgentId> = self.agents_behind(gate).collect();
        self.wait(reason, until, &behind, held);
        held.hold(&behind);
        scope != Scope::Process
    }

    /// A purse has to be settled first: whoever pays from it waits. From the run's all do that cost
    /// anything, so that what a budget buys does not depend on who is cheap.
    fn wait_for_settle(&mut self, asked: AgentId, purse: Purse, held: &mut Held) {
        let plan = self.run.plan.clone();
        match purse {
            Purse::Agent(agent) => {
                let reason = WaitReason::AgentBudget(plan.agent(agent).name.clone());
                self.wait(reason.to_string(), None, &[agent], held);
                held.hold(&[agent]);
            }
            Purse::Run => {
                self.wait(WaitReason::Budget.to_string(), None, &[asked], held);
                let costs = |id: &AgentId| matches!(plan.agent(*id).pricing, Pricing::Known(_));
                let costly: Vec<AgentId> = plan.agent_ids().filter(costs).chain([asked]).collect();
                held.hold(&costly);
            }
        }
    }

    /// Ends what the budget does not allow any more, once nothing else is to be waited for: the gates of
    /// what is left are closed, and would open for nothing.
    fn stop_if_all_are_past(&mut self, held: &Held) {
        if let Some((task, excess)) = &held.past
            && !held.waits
            && self.run.state.in_flight.is_empty()
            && self.run.state.ready.next_due(self.now, |_, _| true).is_none()
            && self.may_start()
        {
            self.budget_reached(*task, Purse::Run, excess);
        }
    }

    fn past_task_limit(&mut self, id: TaskId, Excess { needed, limit }: &Excess) {
        let name = &self.run.plan.task(id).name;
        let left = limit.minus(self.run.task(id).charged.total());
        let fits = match self.run.fitting_max_tokens(id, left) {
            Some(tokens) => format!("; max_tokens {tokens} would fit"),
            None => String::new(),
        };
        let message = format!("task {name:?} may cost ${needed} and is limited to ${limit}{fits}");
        self.fail_task(id, Failure::new(Class::OverBudget, message));
    }

    pub(super) fn may_start(&self) -> bool {
        let state = &self.run.state;
        state.cancelled.is_none()
            && state.over_budget.is_none()
            && state.failures.end.is_none()
            && state.ended.is_none()
            && (state.paused.is_none() || planted!(PauseIgnored))
            && self.run_deadline().is_none_or(|deadline| deadline > self.now)
    }

    /// The agents whose calls pass a gate.
    pub(super) fn agents_behind(&self, gate: GateId) -> impl Iterator<Item = AgentId> + use<> {
        let plan = self.run.plan.clone();
        plan.agent_ids().filter(move |agent| plan.agent(*agent).gate == gate)
    }

    fn budget_reached(&mut self, task: TaskId, purse: Purse, excess: &Excess) {
        let state = &self.run.state;
        let (agent, taken) = match purse {
            Purse::Run => (None, state.charged.total() + state.reserved),
            Purse::Agent(agent) => {
                let own = &state.agents[agent.index()];
                (Some(agent), own.charged.total() + own.reserved)
            }
        };
        // What is in flight may cost all that is reserved for it.
        let left = excess.limit.minus(taken);
        self.remember(Event::BudgetReached {
            needed: excess.needed,
            budget: excess.limit,
            agent,
            task: Some(task),
            fitting_max_tokens: self.run.fitting_max_tokens(task, left),
        });
    }

    fn start(&mut self, head: &Head, gate: GateId, reserved: Cost) {
        let Head { place: Place { task, .. }, asked: Asked { agent, because }, .. } = *head;
        let number = self.run.task(task).attempts + 1;
        let attempt = AttemptId { task, number, agent: because.map(|_| agent) };
        if !planted!(ReserveForgotten) {
            self.gates.reserve(gate, attempt, &reserved, self.now);
        }
        self.remember(Event::AttemptStarted { attempt, reserved, because });
        self.step.actions.push(Action::Call(attempt));
    }

    fn wait(&mut self, reason: String, until: Option<Time>, behind: &[AgentId], held: &Held) {
        self.wait_of(&Lane::ALL, reason, until, behind, held);
    }

    /// Says that the tasks of these lanes wait, where one of these agents is asked.
    pub(super) fn wait_of(
        &mut self,
        lanes: &[Lane],
        reason: String,
        until: Option<Time>,
        behind: &[AgentId],
        held: &Held,
    ) {
        let behind: Vec<Queue> = self.queues_of(behind, held);
        self.wait_in(lanes, reason, until, |queue| behind.contains(&queue));
    }

    fn wait_in(
        &mut self,
        lanes: &[Lane],
        reason: String,
        until: Option<Time>,
        counts: impl Fn(Queue) -> bool,
    ) {
        self.wake(until);
        let Run { plan, state, .. } = &*self.run;
        let here = state.ready.lanes().filter(|(queue, lane)| counts(*queue) && lanes.contains(lane));
        let tasks = here.map(|(queue, lane)| state.ready.waiting(plan, queue, lane, self.now)).sum();
        self.step.waiting.push(Waiting { reason, until, tasks });
    }

    pub(super) fn wake(&mut self, at: Option<Time>) {
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
        let (deadline, patience) = (self.run_deadline(), self.run.patience_ends());
        if deadline.into_iter().chain(patience).any(|end| self.now >= end) {
            let timed_out = Outcome::TimedOut { after: self.run.settings.run_timeout };
            let interrupted = state.cancelled.map(|(signal, _)| Outcome::Interrupted { signal });
            return self.cut_off(interrupted.unwrap_or(timed_out));
        }
        if state.in_flight.is_empty() {
            if let Some((signal, _)) = state.cancelled {
                return self.end(Outcome::Interrupted { signal });
            }
            if let Some((ask, budget)) = state.over_budget {
                let needed = state.charged.total() + ask;
                return self.end(Outcome::BudgetExceeded { needed, budget, agent: None });
            }
            if let Some(because) = state.failures.end {
                return self.end(Outcome::TooManyFailures { because });
            }
            if !state.ready.any(&self.run.plan, self.now, |queue, task| self.serves(queue, task)) {
                return self.end(self.why_nothing_starts());
            }
        }
        if self.may_start() && !planted!(WakeUpLost) {
            let next = state.ready.next_due(self.now, |queue, task| self.serves(queue, task));
            self.wake(next);
        }
        self.wake(deadline);
        self.wake(patience);
    }

    /// What is left waits for accounts that will not serve us, or for agents that have no money left.
    fn why_nothing_starts(&self) -> Outcome {
        let state = &self.run.state;
        let waiting = state.ready.agents();
        if let Some(failure) = waiting.into_iter().find_map(|agent| self.run.stop_of(agent)) {
            return Outcome::ProviderStopped { failure: failure.clone() };
        }
        let over = |id: AgentId| Some((id, &state.agents[id.index()], state.agents[id.index()].over?));
        match self.run.plan.agent_ids().find_map(over) {
            Some((id, own, (ask, budget))) => {
                let needed = own.charged.total() + ask;
                Outcome::BudgetExceeded { needed, budget, agent: Some(id) }
            }
            None => Outcome::ProviderStopped { failure: Failure::new(Class::Invalid, "no task can start") },
        }
    }
}
