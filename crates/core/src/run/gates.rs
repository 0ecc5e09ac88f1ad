//! Gates as a run needs them: fresh ones by its settings, and those of a run that goes on.

use std::collections::HashMap;

use super::event::{Event, Record};
use super::input::Settings;
use super::planted;
use crate::limit::Gates;
use crate::plan::Plan;

impl Gates {
    /// Full buckets, nothing in flight.
    pub fn new(settings: &Settings) -> Self {
        Gates::of(&settings.gates, settings.max_concurrent)
    }

    /// Brings fresh gates to where they were after these records of a run.
    pub fn rebuild(&mut self, plan: &Plan, records: &[Record]) {
        let mut asked = HashMap::new();
        for Record { at, event, .. } in records {
            match event {
                Event::AttemptStarted { attempt, reserved } => {
                    self.reserve(plan.agent_of(attempt.task).gate, reserved, *at);
                    asked.insert(*attempt, *reserved);
                }
                Event::AttemptSucceeded { attempt, spent, .. }
                | Event::AttemptFailed { attempt, spent, .. }
                | Event::AttemptLost { attempt, spent } => {
                    let gate = plan.agent_of(attempt.task).gate;
                    if let Some(ask) = asked.remove(attempt) {
                        self.settle(gate, &ask, &spent.cost(&ask), *at);
                    }
                    if let Event::AttemptFailed { failure, then, .. } = event
                        && let Some(until) = then.gate_opens(failure, *at)
                    {
                        self.throttled(gate, until, *at);
                    }
                }
                Event::Controlled { control } if !planted!(ControlsForgotten) => self.control(*control, *at),
                _ => {}
            }
        }
    }
}
