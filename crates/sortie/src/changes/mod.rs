//! What changed of a plan and its agents since a run began, and what the run goes on with then.
//!
//! Compared is what an answer depends on: a task's prompt, system prompt, agent, temperature, `max_tokens`, schema and
//! what it waits for, and of an agent whose model it is, where, and how it is asked. A task of which any of that is
//! otherwise is done again, with all behind it. What else is changed of a task takes effect without that. Limits,
//! prices, retries and budgets are the run's settings, which it keeps.

mod differences;
mod merge;

use std::collections::BTreeSet;
use std::sync::Arc;

use sortie_core::hash::Hash;
use sortie_core::plan::{Plan, TaskId};
use sortie_core::run::input::Change;
use sortie_core::run::revise::Revision;
use sortie_engine::store::Header;

use crate::binding::Binding;
use crate::error::Error;
use differences::{Differences, is_for_sharing};
use merge::Merged;

/// What changed.
#[derive(Clone, Debug)]
pub struct Changes {
    /// For people, line by line: each task and agent with what is otherwise. Text of plans, not sanitised.
    pub lines: Vec<String>,
    /// Tasks that are done again, or were never done: how many the run had before.
    pub again: usize,
    /// Tasks that are new.
    pub added: usize,
    /// Tasks that are gone.
    pub removed: usize,
    /// Tasks that stay as they are.
    pub kept: usize,
    pub(crate) change: Change,
}

impl Changes {
    /// Holds what a run was started with, or changed to since, against what it would be started with now. None where
    /// nothing is otherwise.
    ///
    /// # Errors
    /// Where one of them does not say how its agents are reached.
    pub fn between(old: &Header, new: &Header) -> Result<Option<Self>, Error> {
        let (bound, binding) = (Binding::of(old)?, Binding::of(new)?);
        let Merged { plan, prompts, gates, endpoints, differences } =
            merge::merge((old, &bound), (new, &binding));
        let Differences { lines, changed, added, removed } = differences;
        if lines.is_empty() {
            return Ok(None);
        }
        let again = behind(&plan, &changed);
        let known = again.iter().filter(|id| !added.contains(id)).count();
        let kept = plan.to_do() - again.len();
        let settings = sortie_core::run::input::Settings { gates, ..old.settings.as_ref().clone() };
        let plan_file = binding.plan_file.or(bound.plan_file);
        let binding = serde_json::to_value(Binding { endpoints, plan_file, ..bound })
            .map_err(|source| Error::Binding { run: old.run_id.clone(), source })?;
        let (plan, prompts, settings) = (Arc::new(plan), Arc::new(prompts), Arc::new(settings));
        let revision = Revision { plan, prompts, settings, binding };
        let json = serde_json::to_string(&revision)
            .map_err(|source| Error::Binding { run: old.run_id.clone(), source })?;
        let change = Change { header: Hash::of(json.as_bytes()), again, revision: Arc::new(revision) };
        Ok(Some(Changes { lines, again: known, added: added.len(), removed, kept, change }))
    }
}

/// These tasks and all that depend on them, directly or not, in the order of the plan.
fn behind(plan: &Plan, changed: &BTreeSet<TaskId>) -> Vec<TaskId> {
    let mut again = BTreeSet::new();
    for id in plan.in_order().filter(|id| !plan.is_removed(*id)) {
        // Who only asks the same as another has an answer of its own.
        let task = plan.task(id);
        let on = task.depends_on.iter().filter(|on| !is_for_sharing(task, **on));
        let is_behind = on.into_iter().any(|on| again.contains(&on.task));
        if is_behind || changed.contains(&id) {
            again.insert(id);
        }
    }
    again.into_iter().collect()
}
