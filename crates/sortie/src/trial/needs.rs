//! What a trial needs, whatever it may spend: the forecast of its runs as if they had no budget, and what of the money
//! that is allowed cannot suffice for that.
//!
//! A forecast under a budget says what the budget lets happen: one that is too small comes to itself at most. So
//! nothing that a budget is held against comes from there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sortie_core::agent::AgentId;
use sortie_core::forecast::{AgentShare, Forecast, Laws, as_expected, forecast, makespan};
use sortie_core::money::Usd;
use sortie_core::plan::{Plan, TaskId};
use sortie_core::prediction::CostRange;
use sortie_core::run::input::Settings;
use sortie_engine::store::Header;
use sortie_report::units::{count, money};

use super::conduct::Spent;
use super::design::Design;
use super::part::{Part, Role};
use crate::foresight::Foresight;

/// What all runs of a trial need that somebody is paid for; the calls that try the keys are not among them.
#[derive(Clone, Debug)]
pub struct Needs {
    /// What they cost.
    pub cost: CostRange,
    /// How long the run takes that is judged: the median.
    pub judged: Duration,
    /// How long all of them take, one after the other, without the pauses in between.
    pub time: Duration,
    /// How many there are.
    pub runs: u64,
    of_tasks: Option<Shortfall>,
    /// What the tasks of each agent use and cost in one of them.
    pub by_agent: BTreeMap<AgentId, AgentShare>,
}

/// Money that cannot suffice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// Whose.
    pub purse: Purse,
    /// What is allowed.
    pub allowed: Usd,
    /// What of it was spent before.
    pub spent: Usd,
    /// What is needed beside that.
    pub needed: Usd,
}

/// What holds money that cannot suffice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purse {
    /// The budget of the trial, and of those in a row before it.
    Trial,
    /// An agent's own, for all runs of the trial.
    Agent(AgentId, String),
    /// The limit of each task: so many of so many could never be asked.
    Tasks(u64, u64),
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (allowed, needed) = (money(self.allowed), money(self.needed));
        let spent = match self.spent {
            spent if spent.is_zero() => String::new(),
            spent => format!(", with {} of it spent", money(spent)),
        };
        let in_all = format!("{needed} by the forecast of all runs of the trial");
        match &self.purse {
            Purse::Trial => write!(f, "{allowed} is too little{spent}: it needs {in_all}"),
            Purse::Agent(_, name) => {
                write!(f, "{allowed} is too little for agent {name}{spent}: it needs {in_all}")
            }
            Purse::Tasks(unfit, all) => {
                let of = count(*all, "task");
                write!(
                    f,
                    "{allowed} is too little for a task: {unfit} of {of} would not be asked, for a call may cost {needed}"
                )
            }
        }
    }
}

impl Needs {
    /// What the runs of a trial need; `header` is what the judged one would be created with, and `foresight` what is
    /// expected of it.
    pub fn of(design: &Design, header: &Header, foresight: &Foresight) -> Self {
        let plan = Arc::new(without_limits(&header.plan));
        let free = Settings { budget: None, max_cost_per_task: None, ..Settings::clone(&foresight.settings) };
        let (laws, known) = (&foresight.laws, &foresight.forecast);
        let unasked = unasked(&header.plan, &foresight.settings, laws);
        // Where nothing stops it, it is as if there were no budget.
        let is_free = known.budget_stop.is_none() && unasked.is_empty();
        let judged = if is_free { known.clone() } else { forecast(&plan, &free, laws, header.settings.seed) };
        let takes = |part: &&Part| match part.role {
            Role::Judged | Role::Recovery => judged.makespan.p50,
            _ => {
                let settings =
                    Settings { mode: part.mode, max_concurrent: part.max_concurrent, ..free.clone() };
                makespan(&plan, &settings, laws)
            }
        };
        let paid = || design.parts.iter().filter(|part| !part.role.is_rehearsal());
        let runs = paid().count() as u64;
        let times = |usd: Usd| usd.times(runs);
        let CostRange { low, expected, worst } = judged.cost;
        Needs {
            cost: CostRange { low: times(low), expected: times(expected), worst: times(worst) },
            judged: judged.makespan.p50,
            time: paid().map(|part| takes(&part)).sum(),
            runs,
            of_tasks: of_tasks(header, &unasked, &judged),
            by_agent: judged.by_agent,
        }
    }

    /// What of the money cannot suffice, after so much of it was spent. `budget` is that of the trial and of those in a
    /// row before it, where it stops them; `header` is what the judged run would be created with.
    pub fn shortfalls(&self, header: &Header, budget: Option<Usd>, spent: &Spent) -> Vec<Shortfall> {
        let of_trial = budget.map(|allowed| Shortfall {
            purse: Purse::Trial,
            allowed,
            spent: spent.total(),
            needed: self.cost.expected,
        });
        let of_agents = self.by_agent.iter().filter_map(|(id, share)| {
            let needed = share.expected.times(self.runs);
            let agent = header.plan.agent(*id);
            let purse = Purse::Agent(*id, agent.name.clone());
            Some(Shortfall { purse, allowed: agent.max_cost?, spent: Usd::ZERO, needed })
        });
        let is_short = |one: &Shortfall| one.needed > one.allowed.minus(one.spent);
        of_trial.into_iter().chain(of_agents).filter(is_short).chain(self.of_tasks.clone()).collect()
    }
}

/// Tasks whose limit is too little for them, and the dearest of them.
fn of_tasks(header: &Header, unasked: &[TaskId], free: &Forecast) -> Option<Shortfall> {
    let may_cost = |id: &TaskId| free.by_task.get(id.index()).map(|cost| cost.worst).unwrap_or_default();
    let dearest = unasked.iter().max_by_key(|id| may_cost(id))?;
    let allowed = header.plan.task(*dearest).max_cost.or(header.settings.max_cost_per_task)?;
    let purse = Purse::Tasks(unasked.len() as u64, header.plan.to_do() as u64);
    Some(Shortfall { purse, allowed, spent: Usd::ZERO, needed: may_cost(dearest) })
}

/// The tasks that would not be asked because a limit of a task is too little for a call, theirs or that of a task before
/// them, where every call is as expected. Results that prompts insert count: a plan alone does not tell them.
pub(super) fn unasked(plan: &Plan, settings: &Settings, laws: &Laws) -> Vec<TaskId> {
    let is_limited =
        settings.max_cost_per_task.is_some() || plan.tasks().iter().any(|task| task.max_cost.is_some());
    if !is_limited {
        return Vec::new();
    }
    let asked = |plan: Plan, settings: &Settings| -> BTreeSet<TaskId> {
        as_expected(&Arc::new(plan), settings, laws).iter().map(|call| call.task).collect()
    };
    let without_budget = Settings { budget: None, ..settings.clone() };
    let limited = asked(without_budgets(plan), &without_budget);
    let free = Settings { max_cost_per_task: None, ..without_budget };
    asked(without_limits(plan), &free).difference(&limited).copied().collect()
}

/// The same plan where no agent has a budget.
fn without_budgets(plan: &Plan) -> Plan {
    let mut free = plan.clone();
    free.set_max_costs(|_| None);
    free
}

/// The same plan where no task and no agent has a limit in money.
fn without_limits(plan: &Plan) -> Plan {
    let mut tasks = plan.tasks().to_vec();
    for task in &mut tasks {
        task.max_cost = None;
    }
    let removed = plan.ids().filter(|id| plan.is_removed(*id)).collect();
    let mut free = Plan::new(plan.name().to_owned(), plan.agents().to_vec(), tasks).without(removed);
    free.set_max_costs(|_| None);
    free
}
