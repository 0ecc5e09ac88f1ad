//! Answers that need no call.

use super::{Violation, World};
use crate::hash::Hash;
use crate::plan::TaskId;
use crate::run::event::{Answer, Finish, Outcome};
use crate::run::input::{Input, Recalled};

impl World {
    /// Some of what the run asks for was answered in an earlier run.
    pub(super) fn look_up(&mut self) -> Result<Option<Outcome>, Violation> {
        let Some(tasks) = self.asked.pop_front() else { return Ok(None) };
        let mut known = Vec::new();
        for task in tasks {
            must!(self.is_met(task), "task {task:?} is looked up before it can be asked");
            if self.rng.percent(30) {
                let answer = Answer {
                    output: Hash::of(&task.0.to_le_bytes()),
                    bytes: self.rng.range(0, 5_000),
                    finish: Finish::Stop,
                    model: "m".into(),
                    request: None,
                };
                known.push((task, Recalled { answer, run: "earlier".into() }));
            }
        }
        self.tell(Input::Recalled(known))
    }

    /// A task has succeeded without a call.
    pub(super) fn enter_answered(&mut self, id: TaskId) -> Result<(), Violation> {
        must!(self.in_flight.keys().all(|other| other.task != id), "task {id:?} is answered and asked");
        must!(
            !self.failed.contains(&id) && !self.skipped.contains(&id),
            "task {id:?} is answered after its end"
        );
        must!(self.succeeded.insert(id), "task {id:?} is answered twice");
        Ok(())
    }
}
