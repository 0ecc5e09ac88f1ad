//! Reservations and charges: the most an attempt may cost, and what it came to.

use super::event::Spent;
use super::input::Billing;
use super::planted;
use super::state::Run;
use super::task::Phase;
use crate::agent::{Agent, AgentId};
use crate::money::Usd;
use crate::plan::{TaskId, correction_bytes};
use crate::price::Pricing;
use crate::usage::{Charge, Cost, Usage};

/// Tokens that a request has beyond the bytes of its texts: roles, separators and the frame of the
/// conversation. Providers add under ten for each message; a system prompt is one more message.
pub(crate) const OVERHEAD_TOKENS: u64 = 32;

/// Whether the money allows an attempt.
#[must_use]
pub(super) enum Affordable {
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
pub(super) enum Purse {
    Run,
    Agent(AgentId),
}

/// An amount that a limit does not allow.
pub(super) struct Excess {
    /// Spent, at risk, and what the attempt would have to reserve.
    pub(super) needed: Usd,
    pub(super) limit: Usd,
}

impl Run {
    /// The most that the next attempt at a task may take where this agent is asked.
    ///
    /// A token of text is at least one UTF-8 byte in every tokenizer that is in use (byte-level
    /// BPE), so bytes bound tokens where nobody counted them for this agent; a result that is inserted is as long as
    /// it came. The output is bounded by `max_tokens`. Where a budget is set, an unknown price bounds nothing and fits
    /// no budget.
    pub(super) fn reservation(&self, id: TaskId, asked: AgentId) -> Cost {
        let correction = self.task(id).wrong.as_ref().map_or(0, |wrong| correction_bytes(wrong));
        let (input_tokens, output_tokens) = self.plan.most_tokens(id, asked, self.inserted(id) + correction);
        let usd = match &self.plan.agent(asked).pricing {
            Pricing::Known(price) => price.most(input_tokens, output_tokens),
            Pricing::Unknown if self.has_budget(asked) => Usd::MAX,
            Pricing::Free | Pricing::Unknown => Usd::ZERO,
        };
        Cost { usd, input_tokens, output_tokens }
    }

    /// Bytes of the results that a task's prompt inserts.
    pub(super) fn inserted(&self, id: TaskId) -> u64 {
        let inserts = self.plan.task(id).prompt.inserts.iter();
        inserts.map(|&(of, times)| self.output_bytes(of) * u64::from(times)).sum()
    }

    fn has_budget(&self, agent: AgentId) -> bool {
        self.state.budget.is_some() || self.state.agents[agent.index()].budget.is_some()
    }

    /// Whether a fallback's call for a task may still fit the budgets, once what is in flight has settled. It never
    /// does where its price is unknown: also a budget that only warns has to know what it warns of.
    pub(super) fn is_within_budgets(&self, agent: AgentId, id: TaskId) -> bool {
        if self.has_budget(agent) && self.plan.agent(agent).pricing == Pricing::Unknown {
            return false;
        }
        let affordable = self.affordable(id, agent, &self.reservation(id, agent));
        matches!(affordable, Affordable::Yes | Affordable::AfterSettle(_))
    }

    /// Whether the money allows an attempt that takes at most `ask`.
    pub(super) fn affordable(&self, id: TaskId, agent: AgentId, ask: &Cost) -> Affordable {
        let state = &self.state;
        if let Some(limit) = self.limit_of_task(id).filter(|_| !planted!(TaskLimitIgnored)) {
            let needed = self.task(id).charged.total() + ask.usd;
            if needed > limit {
                return Affordable::PastTaskLimit(Excess { needed, limit });
            }
        }
        let own = &state.agents[agent.index()];
        let own_limit = own.budget.filter(|_| !planted!(AgentLimitIgnored));
        let run_limit = state.budget.filter(|_| state.budget_stops);
        let purses = [
            (Purse::Agent(agent), own_limit, own.charged.total(), own.reserved),
            (Purse::Run, run_limit, state.charged.total(), state.reserved),
        ];
        let mut after_settle = None;
        for (purse, limit, charged, reserved) in purses {
            let Some(limit) = limit else { continue };
            let needed = charged + ask.usd;
            if needed > limit {
                // What can never be is said before what is waited for.
                return Affordable::Past(purse, Excess { needed, limit });
            }
            if needed + reserved > limit && !ask.usd.is_zero() {
                after_settle = after_settle.or(Some(purse));
            }
        }
        if let Some(purse) = after_settle {
            return Affordable::AfterSettle(purse);
        }
        Affordable::Yes
    }

    /// The most output tokens with which the next attempt at a task by its own agent would cost no more than
    /// this; none where not even one would.
    pub(super) fn fitting_max_tokens(&self, id: TaskId, left: Usd) -> Option<u32> {
        let Pricing::Known(price) = &self.plan.agent_of(id).pricing else { return None };
        let input_tokens = self.reservation(id, self.plan.task(id).agent).input_tokens;
        let fits = |output_tokens: u32| price.most(input_tokens, u64::from(output_tokens)) <= left;
        // What a request may cost grows with its output: the last that fits is found by halving.
        let (mut fitting, mut too_many) = (0, self.plan.task(id).max_tokens);
        while fitting + 1 < too_many {
            let middle = fitting + (too_many - fitting) / 2;
            if fits(middle) {
                fitting = middle;
            } else {
                too_many = middle;
            }
        }
        (fitting > 0).then_some(fitting)
    }

    /// What may still be spent before the budget stops the run; none: nothing stops it.
    pub(crate) fn left(&self) -> Option<Usd> {
        let budget = self.state.budget.filter(|_| self.state.budget_stops);
        budget.map(|budget| budget.minus(self.state.charged.total()))
    }

    /// The same of an agent's own budget.
    pub(crate) fn left_of(&self, agent: AgentId) -> Option<Usd> {
        let money = self.state.agents.get(agent.index())?;
        money.budget.map(|budget| budget.minus(money.charged.total()))
    }

    /// What a task may cost; none: nothing limits it alone.
    pub(super) fn limit_of_task(&self, id: TaskId) -> Option<Usd> {
        self.plan.task(id).max_cost.or(self.settings.max_cost_per_task)
    }

    /// What a task may still cost; none: nothing limits it alone.
    pub(crate) fn left_of_task(&self, id: TaskId) -> Option<Usd> {
        self.limit_of_task(id).map(|limit| limit.minus(self.task(id).charged.total()))
    }

    fn output_bytes(&self, id: TaskId) -> u64 {
        match &self.task(id).phase {
            Phase::Succeeded { bytes, .. } => *bytes,
            _ => 0,
        }
    }
}

/// What an attempt that had `reserved` came to; its reply names `model`, where one came.
///
/// Reported usage is charged for what it is, also where it is more than was reserved: a reply in a
/// tier that nobody asked for, or by a dearer model. The budget then says that it is exceeded. An
/// estimate stays within the reservation.
pub(super) fn spent(agent: &Agent, reserved: Usd, billing: Billing, model: Option<&str>) -> Spent {
    let charge = |usage: Option<Usage>, charge| Spent { usage, charge };
    match billing {
        Billing::Nothing => Spent::default(),
        Billing::Reported(usage) => {
            charge(Some(usage), Charge { actual: agent.pricing.of(&usage, model), ..Charge::default() })
        }
        Billing::Estimated(usage) => {
            let estimated = agent.pricing.of(&usage, model).min(reserved);
            charge(Some(usage), Charge { estimated, at_risk: reserved - estimated, ..Charge::default() })
        }
        Billing::Unknown if planted!(LostIsFree) => Spent::default(),
        Billing::Unknown => charge(None, Charge { at_risk: reserved, ..Charge::default() }),
    }
}
