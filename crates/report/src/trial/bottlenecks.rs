//! Where a run's time and money went: what its tasks waited for, its slowest and dearest tasks, its longest path.

use std::cmp::Reverse;

use sortie_core::plan::TaskId;

use super::{Bottlenecks, TaskFigure};
use crate::fold::{Report, TaskView};
use crate::waits;

/// Tasks that a list names, as many as reasons are.
const MOST: usize = 3;

/// The bottlenecks of a run.
pub fn of(report: &Report) -> Bottlenecks {
    let fold = report.fold;
    let plan = &fold.run().plan;
    let figure = |id: TaskId, view: &TaskView| {
        let task = plan.task(id);
        let (task_id, task_type) = (task.name.clone(), task.task_type.clone());
        TaskFigure { task_id, task_type, seconds: view.call_time, cost: view.cost() }
    };
    let called: Vec<(TaskId, &TaskView)> =
        plan.ids().zip(fold.tasks()).filter(|(_, view)| !view.call_time.is_zero()).collect();
    let mut slowest = called.clone();
    // Stable: of equals the first of the plan.
    slowest.sort_by_key(|(_, view)| Reverse(view.call_time));
    let mut dearest: Vec<_> =
        plan.ids().zip(fold.tasks()).filter(|(_, view)| !view.cost().is_zero()).collect();
    dearest.sort_by_key(|(_, view)| Reverse(view.cost()));
    let first = |tasks: &[(TaskId, &TaskView)]| {
        tasks.iter().take(MOST).map(|(id, view)| figure(*id, view)).collect::<Vec<_>>()
    };
    let time = |id: TaskId| fold.tasks().get(id.index()).map(|view| view.call_time).unwrap_or_default();
    let chain = plan.longest_chain(time).into_iter().filter(|id| !time(*id).is_zero());
    let chain: Vec<TaskFigure> =
        chain.filter_map(|id| Some(figure(id, fold.tasks().get(id.index())?))).collect();
    Bottlenecks {
        waited_for: waits::longest(&report.summary.waits),
        slowest: first(&slowest),
        dearest: first(&dearest),
        // A task by itself is no path.
        longest_path: if chain.len() > 1 { chain } else { Vec::new() },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sortie_core::run::event::{Event, Wait};

    use super::*;
    use crate::testing::{self, Story};

    fn names(tasks: &[TaskFigure]) -> Vec<&str> {
        tasks.iter().map(|task| task.task_id.as_str()).collect()
    }

    fn found(story: &Story) -> Bottlenecks {
        let fold = story.fold();
        of(&fold.report(fold.last_time()))
    }

    #[test]
    fn the_slowest_the_dearest_and_the_longest_path_are_named_in_their_order() {
        let found = found(&testing::diamond());
        assert_eq!(names(&found.slowest), ["design", "impl_b", "impl_a"]);
        assert_eq!(names(&found.dearest), ["analyze", "design", "impl_a"], "of equals the first");
        assert_eq!(names(&found.longest_path), ["analyze", "design", "impl_b", "test"]);
        assert_eq!(found.longest_path[2].seconds, Duration::from_secs(4));
        assert!(found.waited_for.is_empty());
    }

    #[test]
    fn what_was_waited_for_is_named_with_how_long() {
        let wait = |reason: &str, seconds| Wait { reason: reason.into(), time: Duration::from_secs(seconds) };
        let waits = vec![
            wait("max_concurrent", 3),
            wait("requests/min of a", 243),
            wait("b", 1),
            wait("throttled by c", 2),
        ];
        let found = found(&testing::retried().at(4.0, Event::Waited { waits }));
        assert_eq!(
            found.waited_for,
            ["requests/min of a (4 min 03 s)", "max_concurrent (3.0 s)", "c, which throttled them (2.0 s)"]
        );
        assert!(found.longest_path.is_empty(), "one task is no path");
    }

    #[test]
    fn a_run_that_called_nobody_has_none() {
        assert_eq!(found(&Story::pipeline()), Bottlenecks::default());
    }
}
