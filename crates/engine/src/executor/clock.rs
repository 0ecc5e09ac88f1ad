//! The real clock, anchored to the wall once: the only place that asks what time it is.

use std::time::{SystemTime, UNIX_EPOCH};

use sortie_core::time::Time;
use tokio::time::Instant;

/// A monotonic clock that began at the wall's time or a later one, and never looks at the wall
/// again: a wall clock that is set while a run is under way moves nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    began: Time,
    at: Instant,
}

impl Clock {
    /// Begins at the wall's time, or at `floor` where the wall is before it.
    #[expect(clippy::disallowed_methods, reason = "the executor owns the clock")]
    pub(super) fn of_the_wall(floor: Time) -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock::starting_at(floor.max(Time::ZERO + wall))
    }

    /// Begins at this time.
    #[expect(clippy::disallowed_methods, reason = "the executor owns the clock")]
    pub(super) fn starting_at(began: Time) -> Self {
        Clock { began, at: Instant::now() }
    }

    #[expect(clippy::disallowed_methods, reason = "the executor owns the clock")]
    pub(super) fn now(&self) -> Time {
        self.began + Instant::now().duration_since(self.at)
    }

    /// Waits until this time; for ever where there is none or the clock cannot tell it.
    #[expect(clippy::disallowed_methods, reason = "the executor owns the clock")]
    pub(super) async fn wait_until(&self, time: Option<Time>) {
        match time.and_then(|time| self.at.checked_add(time.since(self.began))) {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_begins_no_earlier_than_its_floor_and_waits_no_shorter_than_asked() {
        let year_2500 = Time::from_micros(16_725_225_600_000_000);
        let clock = Clock::of_the_wall(year_2500);
        assert_eq!(clock.now(), year_2500);
        let later = year_2500 + Duration::from_micros(3_600_000_001);
        clock.wait_until(Some(later)).await;
        assert!(clock.now() >= later, "{} is before {later}", clock.now());

        let wall = Clock::of_the_wall(Time::ZERO).now();
        assert!(wall > Time::from_micros(1_700_000_000_000_000) && wall < year_2500, "{wall}");
    }
}
