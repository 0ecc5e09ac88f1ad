//! What ready tasks were held by, and what would have saved that time.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sortie_core::limit::Dimension;

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

/// `requests/min of anthropic/claude-sonnet-5-5 (4 min 3 s), the budget (2 s)`; none where nothing was
/// waited for.
pub(crate) fn in_words(waits: &[WaitedFor]) -> Option<String> {
    let mut longest: Vec<&WaitedFor> = waits.iter().collect();
    longest.sort_by(|a, b| b.seconds.cmp(&a.seconds).then_with(|| a.reason.cmp(&b.reason)));
    let named = longest.iter().take(MOST_REASONS);
    let named: Vec<String> =
        named.map(|wait| format!("{} ({})", wait.reason, duration(wait.seconds))).collect();
    (!named.is_empty()).then(|| named.join(", "))
}

/// Which rate of requests would have saved the time that was waited for one: the account's name, the rate
/// a minute, and the time.
pub(crate) fn better_rate(summary: &Summary) -> Option<(&str, u64, Duration)> {
    let of = format!("{} of ", Dimension::Requests.per_minute());
    let waits = summary.waits.iter().filter_map(|wait| Some((wait.reason.strip_prefix(&of)?, wait.seconds)));
    let (name, saved) =
        waits.max_by_key(|(_, seconds)| *seconds).filter(|(_, seconds)| *seconds >= SHORTEST)?;
    // All calls would have had to start in the time that is left.
    let left = summary.total_duration.checked_sub(saved).filter(|left| *left >= SHORTEST)?;
    let rate = summary.api_calls_count as f64 * 60.0 / left.as_secs_f64();
    Some((name, (rate.ceil() as u64).next_multiple_of(10), saved))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn waited(reason: &str, seconds: u64) -> WaitedFor {
        WaitedFor { reason: reason.to_owned(), seconds: Duration::from_secs(seconds) }
    }

    #[test]
    fn the_longest_waits_are_named_first_and_no_more_than_three() {
        let waits = [waited("the budget", 2), waited("a", 3), waited("b", 65), waited("c", 1)];
        assert_eq!(in_words(&waits).unwrap(), "b (1 min 05 s), a (3.0 s), the budget (2.0 s)");
        assert_eq!(in_words(&[]), None);
    }

    #[test]
    fn a_rate_that_held_tasks_is_told_what_would_have_saved_the_time() {
        let fold = testing::diamond().fold();
        let mut summary = fold.summary(fold.last_time());
        assert_eq!(better_rate(&summary), None);
        // Five calls in 13 s, 10 of which something waited.
        summary.waits = vec![waited("max_concurrent", 12), waited("requests/min of a/m", 10)];
        assert_eq!(better_rate(&summary), Some(("a/m", 100, Duration::from_secs(10))));
        summary.waits = vec![waited("requests/min of a/m", 13)];
        assert_eq!(better_rate(&summary), None, "nobody can start everything in no time");
    }
}
