//! The books on fallbacks: when an agent's tasks may go elsewhere, where, and whether none is left behind that
//! somebody would have done.

use super::{Violation, World};
use crate::agent::{Agent, AgentId};
use crate::failure::Class;
use crate::plan::TaskId;
use crate::price::Pricing;
use crate::run::event::{AttemptId, Event};
use crate::usage::Cost;

impl World {
    /// A call that started after a refusal and was let in ends the time in which none was.
    pub(super) fn enter_admission(&mut self, event: &Event) {
        let attempt = match event {
            Event::AttemptSucceeded { attempt, .. } | Event::AttemptLost { attempt, .. } => attempt,
            Event::AttemptFailed { attempt, failure, .. } if failure.class != Class::Throttled => attempt,
            _ => return,
        };
        let (gate, started) = (self.gate_of(*attempt), self.started.get(&attempt.task).copied());
        self.refused_since[gate.index()] =
            self.refused_since[gate.index()].filter(|since| started <= Some(*since));
    }

    /// Whether a task goes where it may, and why not to its own agent.
    pub(super) fn check_fallback(&self, attempt: AttemptId, reserved: &Cost) -> Result<(), Violation> {
        let (id, asked, own) = (attempt.task, self.plan.asked(attempt), self.plan.task(attempt.task).agent);
        if asked == own {
            return Ok(());
        }
        let (agent, task) = (self.plan.agent(asked), self.plan.task(id));
        let Some(place) = self.plan.agent(own).fallbacks.iter().position(|fallback| *fallback == asked)
        else {
            return Err(format!("task {id:?} went to {asked:?}, which nobody named"));
        };
        let is_long = self.is_throttled_for_long(own);
        must!(
            self.is_stopped(own) || self.is_ill(own) || is_long,
            "task {id:?} went to a fallback while its own agent serves"
        );
        let before = &self.plan.agent(own).fallbacks[..place];
        let passed = before.iter().find(|other| self.could_do(**other, id) && self.is_well(**other));
        must!(passed.is_none(), "task {id:?} passed {passed:?}");
        must!(reserved.input_tokens >= task.prompt.fixed_bytes, "a count of another tokenizer bounds {id:?}");
        let most = agent.max_output.map_or(task.max_tokens, |most| most.min(task.max_tokens));
        must!(
            reserved.output_tokens == u64::from(most),
            "task {id:?} may answer with {}",
            reserved.output_tokens
        );
        let tokens = reserved.input_tokens + reserved.output_tokens;
        must!(
            agent.context.is_none_or(|most| tokens <= most),
            "task {id:?} does not fit {:?}",
            agent.context
        );
        let is_limited = self.budget.is_some() || self.limits(asked, id);
        must!(agent.pricing != Pricing::Unknown || !is_limited, "nobody knows what task {id:?} may cost");
        Ok(())
    }

    /// No task is left that its agent, or a fallback, would have done.
    pub(super) fn check_nobody_serves(&self) -> Result<(), Violation> {
        let is_open = |id: &TaskId| {
            !self.plan.is_removed(*id)
                && self.is_met(*id)
                && ![&self.succeeded, &self.failed, &self.skipped].iter().any(|ended| ended.contains(id))
        };
        for id in self.plan.ids().filter(is_open) {
            let own = self.plan.task(id).agent;
            if self.plan.agent(own).max_cost.is_some() || self.budget.is_some() {
                continue; // its money may be spent
            }
            must!(self.is_stopped(own), "nobody waited for the agent of task {id:?}");
            let serves = self
                .plan
                .agent(own)
                .fallbacks
                .iter()
                .find(|other| self.could_do(**other, id) && !self.is_stopped(**other));
            must!(serves.is_none(), "task {id:?} was left, and {serves:?} serves");
        }
        Ok(())
    }

    /// Whether nothing is known that could keep an agent from a task for good.
    fn could_do(&self, id: AgentId, task: TaskId) -> bool {
        self.plan.agent(id).context.is_none() && self.budget.is_none() && !self.limits(id, task)
    }

    /// Whether a limit in money holds an agent's calls for a task, beside the run's.
    fn limits(&self, id: AgentId, task: TaskId) -> bool {
        self.plan.agent(id).max_cost.is_some()
            || self.plan.task(task).max_cost.is_some()
            || self.settings.max_cost_per_task.is_some()
    }

    fn is_stopped(&self, id: AgentId) -> bool {
        let gate = self.plan.agent(id).gate;
        self.stopped.contains(&self.account(gate)) || self.all_fail_alike(id)
    }

    fn is_ill(&self, id: AgentId) -> bool {
        self.providers[self.plan.agent(id).gate.index()].is_ill()
    }

    fn is_well(&self, id: AgentId) -> bool {
        let provider = &self.providers[self.plan.agent(id).gate.index()];
        !self.is_stopped(id) && !provider.is_ill() && !provider.is_recovering() && !self.is_closed(id)
    }

    fn is_closed(&self, id: AgentId) -> bool {
        self.closed_until[self.plan.agent(id).gate.index()] > self.now
    }

    fn is_throttled_for_long(&self, id: AgentId) -> bool {
        let Agent { gate, fallback_after, .. } = self.plan.agent(id);
        let (until, since) = (self.closed_until[gate.index()], self.refused_since[gate.index()]);
        let waited = since.filter(|_| self.is_closed(id)).map(|since| until.since(since));
        waited.zip(*fallback_after).is_some_and(|(waited, most)| waited > most)
    }
}
