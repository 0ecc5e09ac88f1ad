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

    /// Brings fresh gates to where they were after these records of a run that began with this plan; the settings
    /// are those that it goes on with.
    pub fn rebuild(&mut self, plan: &Plan, settings: &Settings, records: &[Record]) {
        let mut plan = plan;
        let mut asked = HashMap::new();
        for Record { at, event, .. } in records {
            let (attempt, spent, failed) = match event {
                Event::AttemptStarted { attempt, reserved, .. } => {
                    self.reserve(plan.agent_asked(*attempt).gate, *attempt, reserved, *at);
                    asked.insert(*attempt, *reserved);
                    continue;
                }
                Event::AttemptSucceeded { attempt, spent, .. } | Event::AttemptLost { attempt, spent } => {
                    (attempt, spent, None)
                }
                Event::AttemptFailed { attempt, spent, failure, then, .. } => {
                    (attempt, spent, Some((failure, then)))
                }
                Event::Controlled { control } if !planted!(ControlsForgotten) => {
                    self.control(*control, *at);
                    continue;
                }
                Event::PlanChanged { revision: Some(revision), .. } => {
                    plan = &revision.plan;
                    continue;
                }
                _ => continue,
            };
            let Some(ask) = asked.remove(attempt) else { continue };
            let gate = plan.agent_asked(*attempt).gate;
            let opens = failed.and_then(|(failure, then)| Some((failure, then.gate_opens(failure, *at)?)));
            if let Some((failure, until)) = opens {
                self.throttled(gate, *attempt, failure.ramps, until, *at);
            }
            self.settle(gate, *attempt, &settings.used(gate, &ask, spent), opens.is_some(), *at);
        }
    }
}
