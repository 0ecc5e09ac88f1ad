//! A task where others have other places.

use super::template::Part;
use super::{Edge, Prompt, Task, TaskId};

/// A task and its text with the places that other tasks have from now on.
pub fn moved(task: &Task, prompt: &Prompt, place: impl Fn(TaskId) -> TaskId) -> (Task, Prompt) {
    let (mut task, mut prompt) = (task.clone(), prompt.clone());
    task.depends_on = task.depends_on.iter().map(|on| Edge { task: place(on.task), when: on.when }).collect();
    task.same_as = task.same_as.map(&place);
    task.prompt.inserts = task.prompt.inserts.iter().map(|&(of, times)| (place(of), times)).collect();
    for part in &mut prompt.template.parts {
        if let Part::Insert { task, .. } = part {
            *task = place(*task);
        }
    }
    (task, prompt)
}
