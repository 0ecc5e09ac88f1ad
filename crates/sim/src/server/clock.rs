//! The server's clock: the wall's time at the start, and from there on a monotonic clock that may
//! run faster.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How many times faster than the wall the server's time runs: a thousandth to a million.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeScale(f64);

/// The fastest that makes sense: a microsecond of the wall is a second.
const FASTEST: f64 = 1e6;

/// The slowest: the longest answer, a day, still ends within the range of all clocks.
const SLOWEST: f64 = 1e-3;

/// The number is no time scale.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("scale time by {0}: the factor has to be from {SLOWEST} to {FASTEST}")]
pub struct TimeScaleError(f64);

impl TimeScale {
    /// As fast as the wall's.
    pub const REAL: TimeScale = TimeScale(1.0);
}

impl TryFrom<f64> for TimeScale {
    type Error = TimeScaleError;

    fn try_from(factor: f64) -> Result<Self, TimeScaleError> {
        if (SLOWEST..=FASTEST).contains(&factor) {
            Ok(TimeScale(factor))
        } else {
            Err(TimeScaleError(factor))
        }
    }
}

/// A clock that started at the wall's time and runs at its scale.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    scale: f64,
    wall: Duration,
    start: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the server is a face of the model that owns a clock")]
    pub(super) fn start(scale: TimeScale) -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { scale: scale.0, wall, start: Instant::now() }
    }

    /// The server's time: Unix time at its start, scaled since.
    #[expect(clippy::disallowed_methods, reason = "the server is a face of the model that owns a clock")]
    pub(super) fn now(&self) -> Duration {
        self.wall + self.start.elapsed().mul_f64(self.scale)
    }

    /// How much real time this much of the server's is.
    pub(super) fn real(&self, time: Duration) -> Duration {
        time.div_f64(self.scale)
    }

    /// Waits until the server's time is this.
    #[expect(clippy::disallowed_methods, reason = "the server is a face of the model that owns a clock")]
    pub(super) async fn until(&self, time: Duration) {
        let real = self.real(time.saturating_sub(self.wall));
        tokio::time::sleep_until((self.start + real).into()).await;
    }
}

/// Rests for some real time.
#[expect(clippy::disallowed_methods, reason = "the server is a face of the model that owns a clock")]
pub(super) async fn rest(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Whether it ended within some real time.
#[expect(clippy::disallowed_methods, reason = "the server is a face of the model that owns a clock")]
pub(super) async fn ends_within(limit: Duration, what: impl Future<Output = ()>) -> bool {
    tokio::time::timeout(limit, what).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_that_time_cannot_run_at_is_refused() {
        for factor in [0.0, 1e-4, -1.0, f64::NAN, f64::INFINITY, 1e7] {
            assert!(TimeScale::try_from(factor).is_err(), "{factor}");
        }
        assert_eq!(TimeScale::try_from(1.0), Ok(TimeScale::REAL));
    }
}
