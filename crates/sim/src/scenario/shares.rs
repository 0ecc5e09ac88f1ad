//! How often something goes wrong, and whose tries it meets.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sortie_core::chance::Chance;

use crate::fault::Fault;
use crate::model::PROVIDERS;

/// How often a fault is drawn, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultShare {
    /// Which, as [`Fault`] is written.
    pub kind: Fault,
    /// The share of tries that draw it, 0 to 1; all that are drawn at a time at most 1 together.
    pub share: f64,
    /// Seconds since the scenario began, from which on it is drawn; always unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_s: Option<f64>,
    /// Until when, likewise; this second not included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_s: Option<f64>,
    /// Whose tries, `anthropic`'s or `openai`'s; both unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

impl FaultShare {
    /// What makes no sense: a time that never is.
    fn problem(&self) -> Option<String> {
        let is_ever = self.from_s.unwrap_or(0.0) < self.until_s.unwrap_or(f64::INFINITY);
        (!is_ever).then(|| {
            format!("the until_s of the fault `{}` has to be after its from_s, and after 0", self.kind)
        })
    }

    fn is_drawn_at(&self, provider: &str, elapsed_s: f64) -> bool {
        if self.provider.as_ref().is_some_and(|only| only != provider) {
            return false;
        }
        self.from_s.is_none_or(|from| from <= elapsed_s) && self.until_s.is_none_or(|until| elapsed_s < until)
    }
}

/// The fault that a try at a provider draws this long after the beginning.
pub(crate) fn draw(faults: &[FaultShare], provider: &str, chance: &mut Chance, elapsed: Duration) -> Fault {
    let mut share = chance.share();
    let elapsed = elapsed.as_secs_f64();
    for fault in faults.iter().filter(|fault| fault.is_drawn_at(provider, elapsed)) {
        if share < fault.share {
            return fault.kind.clone();
        }
        share -= fault.share;
    }
    Fault::None
}

/// All that makes no sense in these.
pub(crate) fn problems(faults: &[FaultShare]) -> impl Iterator<Item = String> {
    problem(faults).into_iter().chain(faults.iter().filter_map(FaultShare::problem))
}

/// What is wrong with shares: each within its bounds, and at no time more than all tries together.
fn problem(faults: &[FaultShare]) -> Option<String> {
    let bounded = faults.iter().all(|fault| fault.share >= 0.0);
    // The sum is the largest where some window begins.
    let begins = || faults.iter().filter_map(|fault| fault.from_s).chain([0.0]);
    let at = |provider, begin: f64| -> f64 {
        faults.iter().filter(|fault| fault.is_drawn_at(provider, begin)).map(|fault| fault.share).sum()
    };
    let fits =
        PROVIDERS.iter().all(|provider| begins().map(|begin| at(provider, begin)).all(|sum| sum <= 1.0));
    let named = faults.iter().filter_map(|fault| fault.provider.as_deref());
    if let Some(unknown) = named.into_iter().find(|name| !PROVIDERS.contains(name)) {
        return Some(format!("a fault's provider is {}, not {unknown:?}", PROVIDERS.join(" or ")));
    }
    (!(bounded && fits))
        .then(|| "the shares of faults have to be at least 0 and at most 1 together".to_owned())
}
