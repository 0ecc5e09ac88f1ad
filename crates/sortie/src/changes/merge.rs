//! One plan of two: everything of the old one at its place, with what the new one says of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sortie_core::agent::{Agent, AgentId};
use sortie_core::limit::{GateId, GateSpec};
use sortie_core::plan::{Plan, Prompt, Prompts, Task, TaskId, moved};
use sortie_engine::store::Header;

use super::differences::{Differences, of_agent, of_task};
use crate::binding::Binding;
use crate::config::Endpoint;

pub(super) struct Merged {
    pub(super) plan: Plan,
    pub(super) prompts: Prompts,
    pub(super) gates: Vec<GateSpec>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) differences: Differences,
}

/// The places of the new plan's agents, and what became of them.
struct Agents {
    all: Vec<Agent>,
    endpoints: Vec<Endpoint>,
    gates: Vec<GateSpec>,
    /// For each agent of the new plan, its place.
    places: Vec<AgentId>,
    changed: BTreeSet<AgentId>,
}

pub(super) fn merge(old: (&Header, &Binding), new: (&Header, &Binding)) -> Merged {
    let mut differences = Differences::default();
    let agents = agents(old, new, &mut differences);
    let (old, new) = (old.0, new.0);
    let mut places: HashMap<&str, TaskId> =
        old.plan.ids().zip(old.plan.tasks()).map(|(id, task)| (task.name.as_str(), id)).collect();
    let mut next = old.plan.len() as u32;
    for task in new.plan.tasks() {
        places.entry(&task.name).or_insert_with(|| {
            next += 1;
            TaskId(next - 1)
        });
    }
    let place = |id: TaskId| places[new.plan.task(id).name.as_str()];
    let mut merged: Vec<Option<(Task, Prompt)>> = vec![None; next as usize];
    for (task, prompt) in new.plan.tasks().iter().zip(new.prompts.iter()) {
        let (id, now) = (places[task.name.as_str()], placed(task, prompt, place, &agents.places));
        let known = old.plan.tasks().get(id.index()).filter(|_| !old.plan.is_removed(id));
        let known = known.zip(old.prompts.get(id.index()));
        merged[id.index()] = Some(match known {
            None => {
                differences.add(id, &now.0.name);
                now
            }
            Some(before) => {
                of_task(&mut differences, id, before, now, &old.plan, (&agents.all, &agents.changed))
            }
        });
    }
    let (mut tasks, mut prompts, mut removed) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (index, task) in merged.into_iter().enumerate() {
        let id = TaskId(index as u32);
        let (task, prompt) = task.unwrap_or_else(|| {
            if !old.plan.is_removed(id) {
                differences.remove(&old.plan.task(id).name);
            }
            removed.insert(id);
            gone(old.plan.task(id), old.prompts.get(index))
        });
        tasks.push(task);
        prompts.push(prompt);
    }
    let Agents { all, endpoints, gates, .. } = agents;
    let plan = Plan::new(new.plan.name().to_owned(), all, tasks).without(removed);
    Merged { plan, prompts, gates, endpoints, differences }
}

/// A task that nobody does any more: it waits for nothing.
fn gone(task: &Task, prompt: Option<&Prompt>) -> (Task, Prompt) {
    let mut task = task.clone();
    task.depends_on.clear();
    task.prompt.inserts.clear();
    task.same_as = None;
    (task, prompt.cloned().unwrap_or_default())
}

/// A task of the new plan with the places that others have from now on.
fn placed(
    task: &Task,
    prompt: &Prompt,
    place: impl Fn(TaskId) -> TaskId,
    agents: &[AgentId],
) -> (Task, Prompt) {
    let (task, prompt) = moved(task, prompt, place);
    (Task { agent: agents[task.agent.index()], ..task }, prompt)
}

fn agents(
    (old, bound): (&Header, &Binding),
    (new, binding): (&Header, &Binding),
    differences: &mut Differences,
) -> Agents {
    let mut gates = old.settings.gates.clone();
    let gate_places: Vec<GateId> = new.settings.gates.iter().map(|gate| gate_of(&mut gates, gate)).collect();
    let (mut all, mut endpoints) = (old.plan.agents().to_vec(), bound.endpoints.clone());
    let mut known: BTreeMap<String, AgentId> =
        old.plan.agent_ids().map(|id| (old.plan.agent(id).name.clone(), id)).collect();
    let is_used = new.plan.used_agents();
    let (mut places, mut taken, mut changed) = (Vec::new(), Vec::new(), BTreeSet::new());
    for id in new.plan.agent_ids() {
        let (agent, endpoint) = (new.plan.agent(id), &binding.endpoints[id.index()]);
        let Some(&place) = known.get(&agent.name) else {
            let place = AgentId(all.len() as u16);
            known.insert(agent.name.clone(), place);
            all.push(agent.clone());
            endpoints.push(endpoint.clone());
            taken.push((place, id));
            places.push(place);
            continue;
        };
        places.push(place);
        let before = (&all[place.index()], &endpoints[place.index()]);
        if is_used.contains(&id) && of_agent(differences, before, (agent, endpoint), old.settings.simulated) {
            all[place.index()] = Agent { max_cost: all[place.index()].max_cost, ..agent.clone() };
            endpoints[place.index()] = endpoint.clone();
            taken.push((place, id));
            changed.insert(place);
        }
    }
    for (place, id) in taken {
        let agent = &mut all[place.index()];
        agent.gate = gate_places[new.plan.agent(id).gate.index()];
        agent.fallbacks = new.plan.agent(id).fallbacks.iter().map(|id| places[id.index()]).collect();
    }
    Agents { all, endpoints, gates, places, changed }
}

/// The place of a gate: the run's own limits hold where it has one of this name.
fn gate_of(gates: &mut Vec<GateSpec>, gate: &GateSpec) -> GateId {
    let place = gates.iter().position(|known| known.name == gate.name).unwrap_or_else(|| {
        gates.push(gate.clone());
        gates.len() - 1
    });
    GateId(place as u16)
}
