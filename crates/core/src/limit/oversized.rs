//! Requests that are larger than a bucket: no provider with such a quota ever takes them in.

use std::collections::BTreeMap;

use super::{Dimension, GateSpec};
use crate::agent::AgentId;
use crate::plan::{Plan, Task, TaskId};

/// Tasks of an agent whose requests are larger than a quota of a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oversized {
    /// Whose tasks.
    pub agent: AgentId,
    /// What the quota counts: input tokens or output tokens.
    pub dimension: Dimension,
    /// The quota of a minute.
    pub limit: u64,
    /// The largest of them.
    pub task: TaskId,
    /// What that one takes.
    pub takes: u64,
    /// How many there are.
    pub tasks: usize,
}

/// What of a plan never passes these gates, by what is certain before anything is sent: the tokens of a
/// prompt's own text where they were counted, and what an answer may have (`max_tokens`), which providers
/// take from their quota when a request starts. A bound by bytes proves nothing: what has only that passes a
/// full bucket.
pub fn oversized(plan: &Plan, gates: &[GateSpec]) -> Vec<Oversized> {
    let mut found: BTreeMap<(AgentId, Dimension), Oversized> = BTreeMap::new();
    for (id, task) in plan.ids().zip(plan.tasks()) {
        let Some(gate) = gates.get(plan.agent_of(id).gate.index()) else { continue };
        for (dimension, limit, takes) in asked(task, gate) {
            if takes <= limit {
                continue;
            }
            let first = Oversized { agent: task.agent, dimension, limit, task: id, takes, tasks: 0 };
            let all = found.entry((task.agent, dimension)).or_insert(first);
            all.tasks += 1;
            if takes > all.takes {
                (all.task, all.takes) = (id, takes);
            }
        }
    }
    found.into_values().collect()
}

/// What a task's request certainly takes of each quota of tokens that its gate has.
fn asked(task: &Task, gate: &GateSpec) -> impl Iterator<Item = (Dimension, u64, u64)> + use<> {
    let input = gate.input_tokens_per_minute.zip(task.prompt.fixed_tokens);
    let output = gate.output_tokens_per_minute.map(|limit| (limit, u64::from(task.max_tokens)));
    let input = input.map(|(limit, takes)| (Dimension::InputTokens, limit, takes));
    let output = output.map(|(limit, takes)| (Dimension::OutputTokens, limit, takes));
    input.into_iter().chain(output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{agent, task};

    #[test]
    fn the_largest_request_is_named_and_a_bound_by_bytes_is_none() {
        let mut tasks =
            vec![task("a", &[], 100), task("b", &[], 101), task("c", &[], 300), task("d", &[], 1)];
        tasks[0].prompt.fixed_tokens = Some(50);
        tasks[1].prompt.fixed_bytes = 1_000_000;
        tasks[3].prompt.fixed_tokens = Some(51);
        let plan = Plan::new("p".into(), vec![agent()], tasks);
        let gate = GateSpec {
            input_tokens_per_minute: Some(50),
            output_tokens_per_minute: Some(100),
            ..GateSpec::default()
        };
        let agent = AgentId(0);
        let input = Oversized {
            agent,
            dimension: Dimension::InputTokens,
            limit: 50,
            task: TaskId(3),
            takes: 51,
            tasks: 1,
        };
        let output = Oversized {
            dimension: Dimension::OutputTokens,
            limit: 100,
            task: TaskId(2),
            takes: 300,
            tasks: 2,
            ..input
        };
        assert_eq!(oversized(&plan, &[gate]), [input, output]);
        assert_eq!(oversized(&plan, &[GateSpec::default()]), []);
    }
}
