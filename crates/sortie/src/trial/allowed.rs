//! What providers are known to allow once a run has ended: what bounds a speedup besides what is stated.

use std::path::Path;
use std::sync::Arc;

use sortie_core::limit::{Dimension, GateSpec, Learned};
use sortie_engine::sharing::learned;
use sortie_engine::store::Header;

use crate::error::Error;
use crate::foresight::{Foresight, simulator_allows};
use crate::session::now;

/// For each gate of a run the requests that its provider allows: the simulator's own, or what its replies have told by
/// now.
pub fn gates(foresight: &Foresight, results_dir: &Path) -> Vec<GateSpec> {
    let theirs = foresight.laws.provider_limits();
    if !theirs.is_empty() || foresight.settings.simulated {
        return theirs.to_vec();
    }
    let known = learned(results_dir, &foresight.settings.gates, now());
    known.iter().map(|known| known.as_ref().map_or_else(GateSpec::default, told)).collect()
}

/// The header of a simulated part as a real one's runs begin: the replies to the calls that tried the keys have told what
/// the account allows, and the next run on it keeps to that. What is stated stays the upper bound.
///
/// # Errors
/// Where the header does not say who answers, or its scenario is none.
pub(crate) fn as_told(mut header: Header) -> Result<Header, Error> {
    let Some(theirs) = simulator_allows(&header)? else { return Ok(header) };
    let settings = Arc::make_mut(&mut header.settings);
    for (gate, theirs) in settings.gates.iter_mut().zip(theirs) {
        if gate.requests_per_minute.is_none() && theirs.requests_per_minute.is_some() {
            gate.requests_per_minute = theirs.requests_per_minute;
            gate.requests_burst = theirs.requests_burst;
        }
    }
    Ok(header)
}

/// The requests that were learned. Where nobody knows what the bucket holds, it may be a whole minute's: what is made of
/// it has to stay a bound.
fn told(learned: &Learned) -> GateSpec {
    let narrow = |rate: u64| u32::try_from(rate).unwrap_or(u32::MAX);
    let rate = learned.per_minute(Dimension::Requests);
    let burst = learned.quotas.iter().find(|quota| quota.dimension == Dimension::Requests);
    let burst = burst.and_then(|quota| quota.burst).or(rate).unwrap_or(1);
    GateSpec {
        requests_per_minute: rate.map(narrow),
        requests_burst: narrow(burst).max(1),
        ..GateSpec::default()
    }
}

#[cfg(test)]
mod tests {
    use sortie_core::limit::LearnedQuota;
    use sortie_core::time::Time;

    use super::*;

    #[test]
    fn what_nobody_knows_of_a_bucket_is_a_whole_minute() {
        let of = |burst: Option<u64>, rate: Option<f64>| {
            let quota = |burst| LearnedQuota {
                dimension: Dimension::Requests,
                limit: 50,
                burst,
                granted: 0,
                missing: 0,
            };
            let quotas = if rate.is_some() { Vec::new() } else { vec![quota(burst)] };
            let told = told(&Learned { at: Time::default(), quotas, rate });
            (told.requests_per_minute, told.requests_burst)
        };
        assert_eq!(of(Some(3), None), (Some(50), 3));
        assert_eq!(of(None, None), (Some(50), 50));
        assert_eq!(of(None, Some(0.1)), (Some(6), 6));
    }
}
