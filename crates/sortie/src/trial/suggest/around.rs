//! The trial that a run is part of.

use sortie_core::agent::AgentId;
use sortie_core::money::Usd;
use sortie_core::run::event::Outcome;

use super::super::conduct::{Conducted, Spent};
use super::super::design::Design;
use super::super::needs::{Purse, Shortfall};
use super::super::part::{Part, Role, Width};

/// What surrounds the run that is judged in its trial.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// Whether calls were made to fail on purpose: what they met is no limit of anybody's.
    pub faults: bool,
    /// Whether the run that was to be judged was not made: what is known is another one's.
    pub is_unmade: bool,
    /// Whether its tasks are the trial's own: no setting changes them.
    pub is_generated: bool,
    /// The budget of the whole trial, where it stopped any of its runs.
    pub stopped_by: Option<Usd>,
    /// The agent whose budget cannot suffice, and what it allows.
    pub short: Option<(AgentId, Usd)>,
    /// Each agent's own budget as it is configured.
    pub agent_budgets: Vec<Option<Usd>>,
    /// Where the trial's budget is stated.
    pub stated: Stated,
    /// The trial's other runs of the same tasks.
    pub other_runs: u64,
    /// What was spent before them: on trying the keys, and by the trials in a row before this one.
    pub before: Spent,
    /// What bounds its calls at a time; none outside of a trial.
    pub width: Option<Width>,
}

/// Where a setting is stated, and so has to be changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stated {
    /// In the configuration.
    #[default]
    Configuration,
    /// On the command line, which wins.
    CommandLine,
}

impl Around {
    /// Of a trial that came this far, after others in a row with it have spent so much. `budget` is that of all of
    /// them, and `is_flag` whether the command line states it; `shortfalls` is what could not suffice from the beginning.
    pub fn of(
        design: &Design,
        parts: &[Conducted],
        before: &Spent,
        (budget, is_flag): (Option<Usd>, bool),
        shortfalls: &[Shortfall],
    ) -> Self {
        let is_other = |part: &&Part| part.role != Role::Judged && !part.role.is_rehearsal();
        let by_budget = |part: &Conducted| {
            matches!(part.fold.outcome(), Some(Outcome::BudgetExceeded { agent: None, .. }))
        };
        let configured = design.judged().map(|part| part.checked.plan.agents()).unwrap_or_default();
        let is_whole = |short: &Shortfall| short.purse == Purse::Trial;
        Around {
            faults: false,
            is_generated: design.plan.is_none(),
            is_unmade: Conducted::of_role(parts, Role::Judged).is_none(),
            stopped_by: budget.filter(|_| parts.iter().any(by_budget) || shortfalls.iter().any(is_whole)),
            short: shortfalls.iter().find_map(|short| match &short.purse {
                Purse::Agent(id, _) => Some((*id, short.allowed)),
                _ => None,
            }),
            agent_budgets: configured.iter().map(|agent| agent.max_cost).collect(),
            stated: if is_flag { Stated::CommandLine } else { Stated::Configuration },
            other_runs: design.parts.iter().filter(is_other).count() as u64,
            before: before.with(Conducted::of_role(parts, Role::Key)),
            width: Some(design.width),
        }
    }
}
