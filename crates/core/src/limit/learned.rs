//! What was learned of an account's limits, for whoever uses it next.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{Dimension, GateSpec, MINUTE};
use crate::time::Time;

/// What was learned of an account's limits, for the next run that uses it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// When.
    pub at: Time,
    /// The quotas that replies told.
    pub quotas: Vec<LearnedQuota>,
    /// The rate that refusals showed, in requests a second.
    pub rate: Option<f64>,
}

/// What is known of a quota for whoever uses it next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnedQuota {
    /// What is counted.
    pub dimension: Dimension,
    /// The quota of a minute, as told.
    pub limit: u64,
    /// What the bucket was seen to hold, where that is known.
    pub burst: Option<u64>,
    /// The deepest that requests were granted.
    pub granted: u64,
    /// What the bucket lacked to be full.
    pub missing: u64,
}

/// The largest quota of a minute that is believed.
const LARGEST: u64 = 1_000_000_000_000;

/// How many minutes' worth may be owed: an hour's.
const MOST_MISSING: u64 = 60;

/// The rates that a run can have learned, in requests a second. At the slowest it stands still for a
/// quarter of an hour at most.
const RATES: RangeInclusive<f64> = 1e-3..=1e12;

impl LearnedQuota {
    /// Whether a run can have learned it: see [`Learned::is_sane`].
    pub(super) fn is_sane(&self) -> bool {
        let most_missing = self.limit.saturating_mul(MOST_MISSING);
        (1..=LARGEST).contains(&self.limit)
            && self.burst.is_none_or(|burst| (1..=LARGEST).contains(&burst))
            && self.granted <= LARGEST
            && self.missing <= most_missing
    }
}

impl Learned {
    /// Whether a run can have learned this. What is read from a file may be damaged, and what makes no sense
    /// of it would let the next run wait for ever.
    pub fn is_sane(&self) -> bool {
        self.rate.is_none_or(|rate| RATES.contains(&rate)) && self.quotas.iter().all(LearnedQuota::is_sane)
    }

    /// The quota of a minute; where nobody told that of requests, the rate that refusals showed.
    pub fn per_minute(&self, dimension: Dimension) -> Option<u64> {
        let told = self.quotas.iter().find(|quota| quota.dimension == dimension).map(|quota| quota.limit);
        told.or_else(|| {
            let rate = self.rate.filter(|_| dimension == Dimension::Requests)?;
            Some(((rate * MINUTE.as_secs_f64()) as u64).max(1))
        })
    }

    /// What it says of other quotas than that of requests; none where that is nothing.
    pub fn without_requests(mut self) -> Option<Learned> {
        self.quotas.retain(|quota| quota.dimension != Dimension::Requests);
        (!self.quotas.is_empty()).then_some(Learned { rate: None, ..self })
    }
}

impl GateSpec {
    /// The same gate where it is to be expected of its provider that it keeps to what was learned. What is
    /// configured stays the upper bound.
    #[must_use]
    pub fn expecting(&self, learned: &Learned) -> Self {
        let stricter =
            |stated: Option<u64>, dimension| stated.into_iter().chain(learned.per_minute(dimension)).min();
        let narrow = |rate: u64| u32::try_from(rate).unwrap_or(u32::MAX);
        let stated = self.requests_per_minute.map(u64::from);
        let told = learned.quotas.iter().find(|quota| quota.dimension == Dimension::Requests);
        let seen = told.and_then(|quota| quota.burst).map_or(u32::MAX, narrow);
        // Where only a rate is known, what the bucket holds is not.
        let burst = if stated.is_some() {
            self.requests_burst
        } else {
            told.map_or(1, |quota| narrow(quota.capacity()))
        };
        GateSpec {
            requests_per_minute: stricter(stated, Dimension::Requests).map(narrow),
            requests_burst: burst.min(seen).max(1),
            input_tokens_per_minute: stricter(self.input_tokens_per_minute, Dimension::InputTokens),
            output_tokens_per_minute: stricter(self.output_tokens_per_minute, Dimension::OutputTokens),
            tokens_per_minute: stricter(self.tokens_per_minute, Dimension::Tokens),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_run_can_have_learned_is_sane() {
        let quota = LearnedQuota {
            dimension: Dimension::Requests,
            limit: 60,
            burst: Some(1),
            granted: 0,
            missing: 3600,
        };
        let with = |rate, quota: LearnedQuota| Learned { at: Time::ZERO, quotas: vec![quota], rate };
        assert!(with(None, quota.clone()).is_sane());
        assert_eq!(LearnedQuota { granted: u64::MAX, burst: None, ..quota.clone() }.capacity(), 60);
        for (rate, is_sane) in [
            (1.0 / 60.0, true),
            (1e6, true),
            (0.0, false),
            (-5.0, false),
            (1e-300, false),
            (1e300, false),
            (f64::NAN, false),
            (f64::INFINITY, false),
        ] {
            assert_eq!(with(Some(rate), quota.clone()).is_sane(), is_sane, "{rate}");
        }
        for absurd in [
            LearnedQuota { limit: 0, missing: 0, ..quota.clone() },
            LearnedQuota { limit: u64::MAX, ..quota.clone() },
            LearnedQuota { burst: Some(0), ..quota.clone() },
            LearnedQuota { burst: Some(u64::MAX), ..quota.clone() },
            LearnedQuota { granted: u64::MAX, ..quota.clone() },
            LearnedQuota { missing: u64::MAX, ..quota.clone() },
            LearnedQuota { missing: 3601, ..quota.clone() },
        ] {
            assert!(!with(None, absurd.clone()).is_sane(), "{absurd:?}");
        }
    }

    #[test]
    fn what_is_configured_stays_the_upper_bound_of_what_was_learned() {
        let quota = |dimension, limit| LearnedQuota { dimension, limit, burst: None, granted: 0, missing: 9 };
        let quotas = vec![quota(Dimension::Requests, 600), quota(Dimension::Tokens, 90_000)];
        let learned = Learned { at: Time::ZERO, quotas, rate: Some(3.0) };
        let nothing = GateSpec::default().expecting(&learned);
        assert_eq!((nothing.requests_per_minute, nothing.requests_burst), (Some(600), 10));
        assert_eq!((nothing.tokens_per_minute, nothing.input_tokens_per_minute), (Some(90_000), None));
        let stated = GateSpec { requests_per_minute: Some(50), requests_burst: 2, ..GateSpec::default() };
        let stated = stated.expecting(&learned);
        assert_eq!((stated.requests_per_minute, stated.requests_burst), (Some(50), 2));
        let others = learned.clone().without_requests().unwrap();
        let per_minute = |dimension| others.per_minute(dimension);
        assert_eq!((per_minute(Dimension::Requests), per_minute(Dimension::Tokens)), (None, Some(90_000)));
        let learned = Learned { quotas: Vec::new(), ..learned };
        assert_eq!(learned.clone().without_requests(), None);
        let sought = GateSpec::default().expecting(&learned);
        assert_eq!((sought.requests_per_minute, sought.requests_burst), (Some(180), 1));
    }
}
