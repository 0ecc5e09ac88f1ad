//! What ready tasks were held by, and what would have saved that time.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sortie_core::limit::{Dimension, GateId, WaitReason, burst_of};
use sortie_core::run::control::Control;

use crate::bound;
use crate::controls::loosest;
use crate::fold::Fold;
use crate::learned::DIMENSIONS;
use crate::summary::Summary;
use crate::units::{as_seconds, duration};

/// Reasons that a line names, the longest first.
const MOST_REASONS: usize = 3;

/// Waits that are shorter are no matter for advice.
const SHORTEST: Duration = Duration::from_secs(1);

/// How long something held ready tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitedFor {
    /// What: `requests/min of anthropic/claude-sonnet-5-5`.
    pub reason: String,
    /// For how long at least one task was held by it, in seconds.
    #[serde(with = "as_seconds")]
    pub seconds: Duration,
}

impl WaitedFor {
    /// The reason; none where it is no limit's.
    pub fn why(&self) -> Option<WaitReason> {
        WaitReason::parse(&self.reason)
    }

    /// Whether it was for this.
    fn is_for(&self, reason: &WaitReason) -> bool {
        self.why().as_ref() == Some(reason)
    }
}

/// The longest waits, as they follow "waited for": `requests/min of anthropic/claude-sonnet-5-5 (4 min 3 s)`.
pub(crate) fn longest(waits: &[WaitedFor]) -> Vec<String> {
    let mut longest: Vec<&WaitedFor> = waits.iter().collect();
    longest.sort_by(|a, b| b.seconds.cmp(&a.seconds).then_with(|| a.reason.cmp(&b.reason)));
    let named = longest.iter().take(MOST_REASONS);
    let what = |wait: &WaitedFor| wait.why().map_or_else(|| wait.reason.clone(), |why| why.as_object());
    named.map(|wait| format!("{} ({})", what(wait), duration(wait.seconds))).collect()
}

/// The same in a line: `requests/min of anthropic/claude-sonnet-5-5 (4 min 3 s), the budget (2 s)`; none where
/// nothing was waited for.
pub(crate) fn in_words(waits: &[WaitedFor]) -> Option<String> {
    let named = longest(waits);
    (!named.is_empty()).then(|| named.join(", "))
}

/// What a higher limit of an account would have saved, at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Saving<'a> {
    /// Whose limit: `anthropic/claude-sonnet-5-5`.
    pub(crate) gate: &'a str,
    /// What it counts.
    pub(crate) quota: Dimension,
    /// The requests a minute that would do; none: the limit is not stated but the provider's.
    pub(crate) rate: Option<u64>,
    /// How much sooner the run would have ended, at most.
    pub(crate) saved: Duration,
}

/// What the limit that was waited for longest cost; none where its calls could not have taken less without it,
/// and none for a stated limit in tokens.
pub(crate) fn saving<'a>(fold: &'a Fold, summary: &Summary) -> Option<Saving<'a>> {
    let gates = || (0..).map(GateId).zip(&fold.run().settings.gates);
    let waits = DIMENSIONS.into_iter().flat_map(|quota| {
        gates().filter_map(move |(id, spec)| {
            let reason = WaitReason::Quota(quota, spec.name.clone());
            let wait = summary.waits.iter().find(|wait| wait.is_for(&reason))?;
            Some((quota, id, spec, wait.seconds))
        })
    });
    let (quota, id, spec, waited) =
        waits.max_by_key(|(.., waited)| *waited).filter(|(.., waited)| *waited >= SHORTEST)?;
    let stated = match quota {
        Dimension::Requests => stated_rate(fold, id).map(u64::from),
        _ => spec.per_minute(quota),
    };
    // The least time with this rate of requests, or without any.
    let least = |rate: Option<u32>| {
        let mut settings = loosest(fold).into_owned();
        let gate = &mut settings.gates[id.index()];
        gate.requests_per_minute = rate;
        gate.requests_burst = gate.requests_burst.max(rate.map_or(1, burst_of));
        Some(bound::under(fold, &settings)?.makespan)
    };
    let saved = |least: Duration| waited.min(summary.total_duration.saturating_sub(least));
    let (rate, saved) = match (quota, stated) {
        (_, None) => (None, saved(bound::of(fold)?.makespan)),
        (Dimension::Requests, Some(now)) => {
            // All its calls would have had to start in the time that is left.
            let left = summary.total_duration.saturating_sub(saved(least(None)?)).max(SHORTEST);
            let rate = calls_of(fold, id) as f64 * 60.0 / left.as_secs_f64();
            let rate = (rate.ceil() as u64).next_multiple_of(10);
            let least = least(Some(u32::try_from(rate).ok().filter(|_| rate > now)?))?;
            (Some(rate), saved(least))
        }
        (_, Some(_)) => return None,
    };
    (saved >= SHORTEST).then_some(Saving { gate: &spec.name, quota, rate, saved })
}

/// The highest rate of requests that was ever stated for a gate.
fn stated_rate(fold: &Fold, id: GateId) -> Option<u32> {
    let set = fold.controls().iter().filter_map(|(_, control)| match control {
        Control::RequestsPerMinute { gate, per_minute } if gate.is_none_or(|gate| gate == id) => {
            Some(*per_minute)
        }
        _ => None,
    });
    set.chain(fold.run().settings.gates[id.index()].requests_per_minute).max()
}

/// The calls of the tasks that went through a gate, last.
fn calls_of(fold: &Fold, id: GateId) -> u64 {
    let plan = &fold.run().plan;
    let here = fold.tasks().iter().zip(plan.tasks());
    let here = here.filter(|(view, task)| view.agent(plan, task.agent).gate == id);
    here.map(|(view, _)| u64::from(view.attempts)).sum()
}

#[cfg(test)]
mod tests {
    use sortie_core::run::event::Event;

    use super::*;
    use crate::testing::{self, Story};

    fn waited(reason: &str, seconds: u64) -> WaitedFor {
        WaitedFor { reason: reason.to_owned(), seconds: Duration::from_secs(seconds) }
    }

    #[test]
    fn the_longest_waits_are_named_first_and_no_more_than_three() {
        let waits = [waited("the budget", 2), waited("a", 3), waited("b", 65), waited("c", 1)];
        assert_eq!(in_words(&waits).unwrap(), "b (1 min 05 s), a (3.0 s), the budget (2.0 s)");
        assert_eq!(in_words(&[]), None);
    }

    /// Ten calls of 2 s, one every 6 s: the last one ends after 56 s.
    fn ten() -> Story {
        let names: Vec<String> = (0..10).map(|n| format!("t{n}")).collect();
        let tasks: Vec<(&str, &str, &[u32])> =
            names.iter().map(|name| (&**name, "general", [].as_slice())).collect();
        let mut story = Story::new("flat", &tasks).at(0.0, Event::RunStarted);
        for n in 0..10 {
            let start = f64::from(n) * 6.0;
            story = story.at(start, testing::started(n, 1)).at(start + 2.0, testing::succeeded(n, 1, 2.0));
        }
        story.settings.gates[0].requests_per_minute = Some(10);
        story.settings.gates[0].requests_burst = 1;
        story
    }

    const GATE: &str = "anthropic/claude-sonnet-4-5";

    /// What is told where this was waited for: the rate, and seconds.
    fn told(story: &Story, quota: &str, waited_for: u64) -> Option<(Option<u64>, u64)> {
        let fold = story.fold();
        let mut summary = fold.summary(fold.last_time());
        assert_eq!(saving(&fold, &summary), None, "nothing was waited for");
        summary.waits = vec![waited("max_concurrent", 99), waited(&format!("{quota} of {GATE}"), waited_for)];
        saving(&fold, &summary).map(|saving| (saving.rate, saving.saved.as_secs()))
    }

    #[test]
    fn a_stated_rate_that_bound_all_along_has_its_figure() {
        // One call takes 2 s; ten need 300 a minute to start in that time, and the last of them starts after 1 s,
        // because five may start at once.
        assert_eq!(told(&ten(), "requests/min", 54), Some((Some(300), 53)));
        assert_eq!(told(&ten(), "requests/min", 20), Some((Some(20), 20)), "no more than was waited");
        assert_eq!(told(&ten(), "requests/min", 0), None);
    }

    #[test]
    fn a_rate_that_another_limit_would_replace_saves_nothing() {
        let mut story = ten();
        story.settings.max_concurrent = 1;
        // One after the other they take 20 s.
        assert_eq!(told(&story, "requests/min", 54), Some((Some(30), 36)));
        story.settings.gates[0].output_tokens_per_minute = Some(1);
        assert_eq!(told(&story, "requests/min", 54), None);
    }

    #[test]
    fn no_rate_is_told_that_is_not_above_the_one_there_is() {
        let mut story = ten();
        story.settings.gates[0].requests_per_minute = Some(300);
        assert_eq!(told(&story, "requests/min", 54), None);
        let control = Control::RequestsPerMinute { gate: None, per_minute: 400 };
        let mut story = ten();
        story = story.at(56.0, Event::Controlled { control });
        assert_eq!(told(&story, "requests/min", 54), None, "set while it ran");
    }

    #[test]
    fn a_quota_that_nobody_stated_is_the_providers() {
        let mut story = ten();
        story.settings.gates[0].requests_per_minute = None;
        assert_eq!(told(&story, "requests/min", 30), Some((None, 30)));
        assert_eq!(told(&story, "tokens/min", 60), Some((None, 54)));
    }

    #[test]
    fn only_calls_of_the_account_count() {
        let fold = testing::two_agents().fold();
        let of = |id| calls_of(&fold, GateId(id));
        let all: u64 = fold.tasks().iter().map(|view| u64::from(view.attempts)).sum();
        let gates = fold.run().settings.gates.len() as u16;
        assert_eq!((0..gates).map(of).sum::<u64>(), all);
        assert!(gates == 1 || of(0) < all);
    }
}
