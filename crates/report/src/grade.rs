//! How right a run's forecast was.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sortie_core::money::Usd;
use sortie_core::prediction::Prediction;

use crate::summary::Summary;
use crate::units::{as_dollars, as_seconds, duration, money, percent};

/// What was forecast of a run, and whether it came so. Of a run that has not ended well, or that was
/// interrupted on the way, nothing is said: the forecast was of another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grade {
    /// What the run was to cost at least.
    #[serde(with = "as_dollars")]
    pub cost_low: Usd,
    /// What it was expected to cost.
    #[serde(with = "as_dollars")]
    pub cost_expected: Usd,
    /// What it was to cost at most.
    #[serde(with = "as_dollars")]
    pub cost_worst: Usd,
    /// One run in twenty was to be faster.
    #[serde(with = "as_seconds")]
    pub duration_p5: Duration,
    /// Half of the runs were to be faster.
    #[serde(with = "as_seconds")]
    pub duration_p50: Duration,
    /// One run in twenty was to be slower.
    #[serde(with = "as_seconds")]
    pub duration_p95: Duration,
    /// Whether the cost lies between the least and the most.
    pub cost_within: Option<bool>,
    /// Whether the time lies between `duration_p5` and `duration_p95`.
    pub duration_within: Option<bool>,
}

impl Grade {
    /// The grade of this prediction where a run came to this; `comparable` says of its cost and of its time
    /// whether they can be held against it.
    pub(crate) fn of(
        Prediction { cost, makespan, .. }: Prediction,
        [cost_comparable, time_comparable]: [bool; 2],
        total_cost: Usd,
        total_duration: Duration,
    ) -> Self {
        Grade {
            cost_low: cost.low,
            cost_expected: cost.expected,
            cost_worst: cost.worst,
            duration_p5: makespan.p5,
            duration_p50: makespan.p50,
            duration_p95: makespan.p95,
            cost_within: cost_comparable.then(|| (cost.low..=cost.worst).contains(&total_cost)),
            duration_within: time_comparable.then(|| (makespan.p5..=makespan.p95).contains(&total_duration)),
        }
    }

    /// What was forecast, against what came, in two cells: of money and of time.
    pub(crate) fn cells(&self, summary: &Summary) -> [String; 2] {
        let [low, worst, expected] = [self.cost_low, self.cost_worst, self.cost_expected].map(money);
        let unpriced = &summary.cost.unpriced_agents;
        let cost = if unpriced.is_empty() {
            format!("{low} to {worst}, expected {expected}")
        } else {
            "unknown".to_owned()
        };
        let time = format!(
            "{} to {}, half of the runs within {}",
            duration(self.duration_p5),
            duration(self.duration_p95),
            duration(self.duration_p50)
        );
        let off = |actual: f64, expected: f64| {
            let off = 100.0 * (actual / expected - 1.0);
            format!("{} {} than expected", percent(off.abs()), if off < 0.0 { "less" } else { "more" })
        };
        let verdict = |within: Option<bool>, off: String| match within {
            None => String::new(),
            Some(true) => format!("; it came so ({off})"),
            Some(false) => format!("; **it did not come so** ({off})"),
        };
        let cost_off = off(summary.total_cost.as_f64(), self.cost_expected.as_f64().max(1e-12));
        let time_off = off(summary.total_duration.as_secs_f64(), self.duration_p50.as_secs_f64().max(1e-6));
        [cost + &verdict(self.cost_within, cost_off), time + &verdict(self.duration_within, time_off)]
    }
}
