//! Tasks that ask the same and may share an answer (`dedupe`).

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::super::{Edge, Prompts, Task, TaskId, When};
use super::Checker;
use crate::hash::Hash;

impl Checker<'_> {
    /// Lets tasks that ask the same share the answer of the first of them, by an order in which each comes after
    /// what it depends on, so that nobody waits for himself. What they insert is the same, where its tasks are.
    pub(super) fn shares(&self, tasks: &mut [Task], prompts: &Prompts, order: &[usize]) {
        let mut first: HashMap<Hash, TaskId> = HashMap::new();
        for &index in order {
            if !self.tasks[index].dedupe.or(self.defaults.dedupe).unwrap_or(false) {
                continue;
            }
            let task = &mut tasks[index];
            let asked = (task.agent, task.max_tokens, &prompts[index]);
            let Ok(asked) = serde_json::to_vec(&asked) else { continue };
            match first.entry(Hash::of(&asked)) {
                Entry::Vacant(place) => {
                    place.insert(TaskId(index as u32));
                }
                Entry::Occupied(place) => {
                    let same = *place.get();
                    task.same_as = Some(same);
                    if task.depends_on.iter().all(|on| on.task != same) {
                        task.depends_on.push(Edge { task: same, when: When::Any });
                    }
                }
            }
        }
    }
}
