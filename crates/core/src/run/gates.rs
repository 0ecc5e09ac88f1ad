//! Gates as a run needs them: fresh ones by its settings, and those of a run that goes on.

use std::collections::HashMap;

use super::event::{Event, Record, Then};
use super::input::Settings;
use super::planted;
use crate::failure::{Class, Failure};
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
            let retry = &plan.agent_asked(*attempt).retry;
            let opens = |(failure, then): (&Failure, &Then)| {
                Some((failure.ramps, then.gate_opens(failure, retry, *at)?))
            };
            if let Some((ramps, until)) = failed.and_then(opens) {
                self.throttled(gate, *attempt, ramps, until, *at);
            }
            let is_throttled = failed.is_some_and(|(failure, _)| failure.class == Class::Throttled);
            self.settle(gate, *attempt, &settings.used(gate, &ask, spent), is_throttled, *at);
        }
        self.rebuilt();
    }
}
