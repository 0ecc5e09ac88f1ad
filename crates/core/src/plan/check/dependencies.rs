//! What tasks wait for, and whether the results that they use are there by then.

use super::super::ancestry::{Answer, comes_before};
use super::super::written::TaskFile;
use super::super::{Edge, OnFailure, Task, TaskId, When, graph};
use super::{Checker, all_tasks, at};
use crate::document::Problem;

impl Checker<'_> {
    /// Every task's dependencies, without those that are wrong.
    pub(super) fn dependencies(&mut self) -> Vec<Vec<Edge>> {
        // The last task that named this one: finds duplicates without a set for each task.
        let mut named_by = vec![usize::MAX; self.tasks.len()];
        let mut all = Vec::with_capacity(self.tasks.len());
        for (index, task) in self.tasks.iter().enumerate() {
            let written = task.depends_on.as_deref().unwrap_or_default();
            let mut depends_on = Vec::with_capacity(written.len());
            for (nth, one) in written.iter().enumerate() {
                let id = one.task();
                let place = || at(index).key("depends_on").index(nth);
                match self.ids.get(id).copied() {
                    Some(on) if on == index || id == task.id => {
                        let message = format!("task `{}` depends on itself", task.id);
                        self.problems.push(Problem::error(message).at(place()));
                    }
                    Some(on) if named_by[on] == index => {
                        let message = format!("task `{}` names `{id}` twice in `depends_on`", task.id);
                        self.problems.push(Problem::warning(message).at(place()));
                    }
                    Some(on) => {
                        named_by[on] = index;
                        let when = one.when().unwrap_or_else(|| self.usually(&self.tasks[on]));
                        depends_on.push(Edge { task: TaskId(on as u32), when });
                    }
                    None => {
                        let message = format!("task `{}` depends on `{id}`, which is no task", task.id);
                        let near = self.near_task(id);
                        let problem = Problem::error(message).at(place()).maybe_help(near);
                        self.problems.push(problem.absent(all_tasks(), "id"));
                    }
                }
            }
            all.push(depends_on);
        }
        all
    }

    /// A topological order; none where there are cycles, which are then reported.
    pub(super) fn order(&mut self, depends_on: &[Vec<Edge>]) -> Option<Vec<usize>> {
        let on = |task: usize| depends_on[task].iter().map(|on| on.task.index());
        let (order, left) = graph::order(depends_on.len(), on);
        if left.is_empty() {
            return Some(order);
        }
        for cycle in graph::cycles(depends_on.len(), &left, on) {
            let names: Vec<&str> = match cycle.as_slice() {
                // A path of thousands helps nobody.
                [start @ .., _, _] if start.len() > 20 => {
                    let ends = [cycle[cycle.len() - 2], cycle[0]];
                    let name = |&task: &usize| self.tasks[task].id.as_str();
                    start[..18].iter().map(name).chain(["…"]).chain(ends.iter().map(name)).collect()
                }
                all => all.iter().map(|&task| self.tasks[task].id.as_str()).collect(),
            };
            let message = format!("these tasks wait for each other: {}", names.join(" → "));
            let (task, on) = (&self.tasks[cycle[0]], &self.tasks[cycle[1]].id);
            let nth = task.depends_on.iter().flatten().position(|one| one.task() == on).unwrap_or(0);
            self.problems.push(Problem::error(message).at(at(cycle[0]).key("depends_on").index(nth)));
        }
        None
    }

    /// Every result that a prompt uses must be there when the task starts, or never come. A task that is only
    /// behind another may start before it, where what is between them was skipped: so that every task on the
    /// way has to succeed.
    pub(super) fn inserts(&mut self, tasks: &[Task], order: &[usize]) {
        let mut questions = Vec::new();
        // The last task that was seen to depend on this one directly.
        let mut direct_of = vec![usize::MAX; tasks.len()];
        for (index, task) in tasks.iter().enumerate().filter(|(_, task)| !task.prompt.inserts.is_empty()) {
            task.depends_on.iter().for_each(|on| direct_of[on.task.index()] = index);
            let inserted = task.prompt.inserts.iter().map(|(other, _)| other.index());
            questions.extend(inserted.filter(|&on| direct_of[on] != index).map(|on| (index, on)));
        }
        if questions.is_empty() {
            return;
        }
        let succeeds = |on: &&Edge| on.when == When::Succeeded;
        let on = |task: &Task| task.depends_on.iter().filter(succeeds).map(|on| on.task.index()).collect();
        let strictly: Vec<Vec<usize>> = tasks.iter().map(on).collect();
        let answers = comes_before(&strictly, order, &questions);
        for (&(index, other), answer) in questions.iter().zip(&answers) {
            let (task, other) = (&self.tasks[index].id, &self.tasks[other].id);
            let message = match answer {
                Answer::Before => continue,
                Answer::NotBefore if task == other => format!("the prompt of `{task}` uses its own result"),
                Answer::NotBefore => {
                    format!("the prompt of `{task}` uses `{other}`, but does not depend on it")
                }
                Answer::TooFar => {
                    format!("the prompt of `{task}` uses `{other}`, which is too far away to check")
                }
            };
            let problem = Problem::error(message).at(at(index).key("prompt")).quote(other);
            let help = (task != other).then(|| format!("add `{other}` to `depends_on`"));
            self.problems.push(problem.maybe_help(help).absent(all_tasks(), "depends_on"));
        }
    }

    pub(super) fn on_failure(&self, task: &TaskFile) -> OnFailure {
        task.on_failure.or(self.defaults.on_failure).unwrap_or_default()
    }

    /// How a dependency may end, where what depends on it does not say.
    fn usually(&self, on: &TaskFile) -> When {
        match self.on_failure(on) {
            OnFailure::Skip | OnFailure::Stop => When::Succeeded,
            OnFailure::Continue => When::Finished,
        }
    }
}
