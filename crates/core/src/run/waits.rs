//! How long ready tasks were held, by reason: what a report gives advice by.
//!
//! Counted beside the state, because between two records it is nobody's fact yet; from time to time, and
//! at the end, it becomes one (`Event::Waited`). What was not yet told dies with the process.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::event::Wait;
use super::input::Waiting;
use crate::time::Time;

/// When waits become a record while a run goes on: the first ones soon, for whoever looks at a run that seems to
/// stand still, then once a minute.
const TOLD_AFTER: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(15), Duration::from_secs(60)];

/// Shorter waits than this, all in all, are not worth a line.
const SHORTEST: Duration = Duration::from_millis(100);

/// What was waited for since it was last told.
#[derive(Clone, Debug, Default)]
pub(super) struct Waits {
    /// Why tasks have been held since a time.
    held: Option<(Time, BTreeSet<String>)>,
    total: BTreeMap<String, Duration>,
    /// When it was last told, or counting began.
    told: Option<Time>,
    /// How often there was something to tell.
    times: usize,
}

impl Waits {
    /// It is this late now.
    pub(super) fn pass(&mut self, now: Time) {
        self.told.get_or_insert(now);
        if let Some((since, reasons)) = &mut self.held {
            for reason in reasons.iter() {
                match self.total.get_mut(reason) {
                    Some(total) => *total += now.since(*since),
                    None => {
                        self.total.insert(reason.clone(), now.since(*since));
                    }
                }
            }
            *since = now;
        }
    }

    /// From now on tasks are held for this.
    pub(super) fn held(&mut self, waiting: &[Waiting], now: Time) {
        self.held =
            (!waiting.is_empty()).then(|| (now, waiting.iter().map(|one| one.reason.clone()).collect()));
    }

    /// What is to be told now, once; `ends`: because the run does.
    pub(super) fn take(&mut self, ends: bool, now: Time) -> Vec<Wait> {
        let after = TOLD_AFTER[self.times.min(TOLD_AFTER.len() - 1)];
        if !ends && self.told.is_some_and(|told| now.since(told) < after) {
            return Vec::new();
        }
        self.told = Some(now);
        let long = std::mem::take(&mut self.total).into_iter().filter(|(_, time)| *time >= SHORTEST);
        let waits: Vec<Wait> = long.map(|(reason, time)| Wait { reason, time }).collect();
        self.times += usize::from(!waits.is_empty());
        waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_told_soon_then_less_often() {
        let mut waits = Waits::default();
        let one = Waiting { reason: "a quota".to_owned(), until: None, tasks: 1 };
        let second = |n| Time::ZERO + Duration::from_secs(n);
        waits.pass(second(0));
        let mut told = Vec::new();
        for now in 1..=200 {
            // Nothing is held before the twelfth second.
            waits.pass(second(now));
            told.extend(waits.take(false, second(now)).into_iter().map(|wait| (now, wait.time.as_secs())));
            waits.held(if now < 12 { &[] } else { std::slice::from_ref(&one) }, second(now));
        }
        assert_eq!(told, [(15, 3), (30, 15), (90, 60), (150, 60)]);
    }
}
