//! What a fault-tolerance trial makes go wrong (SPEC.md S4), and what became of it.

use sortie_core::plan::check::Checked;
use sortie_core::plan::written::TaskFile;
use sortie_core::plan::{Plan, Task};
use sortie_report::fold::{Fold, Status};
use sortie_report::trial::Faulted;

use super::tasks;

/// A fault that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The task that meets it.
    pub task_id: String,
    /// What it is, in words.
    pub fault: &'static str,
    /// Whether the task should succeed in the end; none: it is the provider's to say.
    pub should_recover: Option<bool>,
}

/// The faults that the simulator makes when a prompt asks for them, each class of failures once.
const SIMULATED: [(&str, &str); 13] = [
    ("429", "answered 429 (throttled)"),
    ("cut", "the answer cut in the middle"),
    ("529", "answered 529 (overloaded)"),
    ("reset", "the connection reset before an answer"),
    ("500", "answered 500"),
    ("stall", "the answer stops in the middle"),
    ("503", "answered 503"),
    ("close", "the connection closed without a byte"),
    ("reset-mid", "the connection reset in the middle of the answer"),
    ("midstream", "an error in the middle of the answer"),
    ("malformed", "an answer that is no JSON"),
    ("lost", "the answer lost after it was made"),
    ("truncated", "the answer without its end"),
];

/// A prompt that nobody answers.
const TOO_LONG: &str = "a prompt of over 100,000 characters";
/// One that a provider answers where its model's window has room.
const SENT: &str = "a prompt of over 100,000 characters, sent all the same";

/// Makes tasks meet faults; one of them is too long to be answered at all.
pub(super) fn into_tasks(tasks: &mut Vec<TaskFile>, simulated: bool, send_oversized: bool) -> Vec<Made> {
    let mut made = Vec::new();
    if simulated {
        // Every other task meets one, so that what goes well beside it shows, too, where there is room for it.
        let every = if tasks.len() >= 2 * SIMULATED.len() { 2 } else { 1 };
        let skipped = usize::from(tasks.len() > 1);
        for (task, (fault, words)) in tasks.iter_mut().skip(skipped).step_by(every).zip(SIMULATED) {
            task.prompt = format!("{} [[sim fail={fault}]]", task.prompt);
            made.push(Made { task_id: task.id.clone(), fault: words, should_recover: Some(true) });
        }
    }
    let too_long = tasks::too_long();
    let (fault, should_recover) = if send_oversized { (SENT, None) } else { (TOO_LONG, Some(false)) };
    made.push(Made { task_id: too_long.id.clone(), fault, should_recover });
    tasks.push(too_long);
    made
}

/// Lets a prompt that is too long be sent, so that the provider is the one to refuse it.
pub(super) fn send_too_long(checked: &mut Checked) {
    let allowed = |task: &Task| Task { invalid: None, ..task.clone() };
    let plan = &checked.plan;
    let tasks = plan.tasks().iter().map(allowed).collect();
    checked.plan = Plan::new(plan.name().to_owned(), plan.agents().to_vec(), tasks);
}

/// What became of the faults that were made.
pub(super) fn tally(made: &[Made], fold: &Fold) -> Vec<Faulted> {
    let plan = &fold.run().plan;
    let met = |made: &Made| {
        let (_, view) = plan.ids().zip(fold.tasks()).find(|(id, _)| plan.task(*id).name == made.task_id)?;
        let recovered = view.status == Status::Succeeded;
        // The call that came through met no fault; of a prompt that is one all calls did.
        let passes = recovered && made.should_recover == Some(true);
        let doubtful = view.charge.estimated + view.charge.at_risk;
        Some(Faulted {
            fault: made.fault.to_owned(),
            calls: u64::from(if passes { view.attempts.saturating_sub(1) } else { view.attempts }),
            tasks: 1,
            recovered: u64::from(recovered),
            should_recover: made.should_recover,
            cost: Some(if passes { doubtful } else { doubtful + view.charge.actual }),
        })
    };
    made.iter().filter_map(met).collect()
}
