//! The tasks of a run that did not succeed, and why (SPEC.md O3).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sortie_core::plan::TaskId;

use crate::fold::{Report, Status};
use crate::results;

/// More than these nobody reads: the run's `results.jsonl` has them all.
const MOST: usize = 200;

/// A task that failed or was skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialFailure {
    /// Its id.
    pub task_id: String,
    /// Its type.
    pub task_type: String,
    /// The class of its last failure: `throttled`, `invalid`; `skipped` where it never ran.
    pub class: String,
    /// What the provider or we said, in a line.
    pub message: String,
    /// Whether it was made to fail: that it does is what was tested.
    #[serde(default)]
    pub on_purpose: bool,
}

/// The tasks of a run that failed or were skipped, in the order of its plan, at most 200 of them: those that were
/// not made to fail come first where there are more.
pub fn failures(report: &Report, meant_to_fail: &BTreeSet<TaskId>) -> Vec<TrialFailure> {
    let plan = &report.fold.run().plan;
    let tasks = plan.ids().zip(plan.tasks()).zip(report.fold.tasks());
    let mut all: Vec<TrialFailure> = tasks
        .filter_map(|((id, task), view)| {
            let (class, message) = match (view.status, &view.skipped, &view.failure) {
                (Status::Skipped, Some(because), _) => ("skipped", results::skipped(plan, because)),
                (Status::Skipped, None, _) => ("skipped", String::new()),
                (Status::Failed, _, Some(failure)) => (failure.class.name(), failure.message.clone()),
                (Status::Failed, _, None) => ("failed", String::new()),
                _ => return None,
            };
            Some(TrialFailure {
                task_id: task.name.clone(),
                task_type: task.task_type.clone(),
                class: class.to_owned(),
                message,
                on_purpose: meant_to_fail.contains(&id),
            })
        })
        .collect();
    if all.len() > MOST {
        // Stable, so that equals stay in the order of the plan.
        all.sort_by_key(|failure| failure.on_purpose);
        all.truncate(MOST);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn failed_and_skipped_tasks_say_why_and_whether_they_were_meant_to() {
        let fold = testing::failure().fold();
        let report = fold.report(fold.last_time());
        let all = failures(&report, &BTreeSet::from([TaskId(3)]));
        let said: Vec<(&str, &str, bool)> =
            all.iter().map(|f| (&*f.task_id, &*f.class, f.on_purpose)).collect();
        assert_eq!(said, [("impl_b", "invalid", true), ("test", "skipped", false)]);
        assert_eq!(all[0].message, "prompt is too long: 205000 tokens > 200000 maximum");
        assert_eq!(all[1].message, "it depends on impl_b, which failed");
    }

    #[test]
    fn of_very_many_those_that_were_not_meant_to_fail_are_kept() {
        let names: Vec<String> = (0..300).map(|n| format!("t{n}")).collect();
        let tasks: Vec<(&str, &str, &[u32])> =
            names.iter().map(|name| (&**name, "general", [].as_slice())).collect();
        let mut story = testing::Story::new("many", &tasks);
        for task in 0..300 {
            let failed = testing::failed(task, 1, testing::invalid(), sortie_core::run::event::Then::Fail);
            story = story.at(1.0, failed);
        }
        let fold = story.fold();
        let meant = (0..250).map(TaskId).collect();
        let all = failures(&fold.report(fold.last_time()), &meant);
        assert_eq!((all.len(), all.iter().filter(|failure| !failure.on_purpose).count()), (MOST, 50));
    }
}
