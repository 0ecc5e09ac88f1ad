//! One gate for each account and class of models: what bounds their starts.

use std::time::Duration;

use sortie_core::document::Place;
use sortie_core::limit::{GateId, GateSpec, burst_of};
use sortie_providers::models::class;

use super::Endpoint;
use super::address::authority;
use super::written::RateLimiting;

/// The gates of the agents seen so far.
#[derive(Default)]
pub(super) struct Gates {
    /// With the burst that was stated, if any.
    list: Vec<(GateSpec, Option<u32>)>,
}

impl Gates {
    /// The gate of an agent: a new one, or that of an agent with the same account and class of models, which
    /// then has the stricter of both's numbers.
    pub(super) fn of(
        &mut self,
        endpoint: &Endpoint,
        model: &str,
        own: &RateLimiting,
        for_all: &RateLimiting,
    ) -> GateId {
        let spec = GateSpec {
            name: name(endpoint, model),
            // Known by the key itself once a run is launched.
            account: account(endpoint, &endpoint.api_key_env),
            class: class(model),
            requests_per_minute: own.requests_per_minute.or(for_all.requests_per_minute),
            requests_burst: 1,
            input_tokens_per_minute: own.input_tokens_per_minute.or(for_all.input_tokens_per_minute),
            output_tokens_per_minute: own.output_tokens_per_minute.or(for_all.output_tokens_per_minute),
            tokens_per_minute: None,
            // The top level's is for the process, not for an account.
            max_concurrent: own.max_concurrent,
            // Anthropic's documentation of rate limits.
            cached_input_is_free: endpoint.provider.name() == "anthropic",
            probes: true,
            // Known only once a run is launched.
            lag: Duration::ZERO,
        };
        let burst = own.requests_burst.or(for_all.requests_burst);
        let same = |(other, _): &(GateSpec, _)| other.account == spec.account && other.class == spec.class;
        if let Some(at) = self.list.iter().position(same) {
            let (other, other_burst) = &mut self.list[at];
            if other.name != spec.name {
                other.name = name(endpoint, &spec.class);
            }
            stricter(&mut other.requests_per_minute, spec.requests_per_minute);
            stricter(&mut other.input_tokens_per_minute, spec.input_tokens_per_minute);
            stricter(&mut other.output_tokens_per_minute, spec.output_tokens_per_minute);
            stricter(&mut other.max_concurrent, spec.max_concurrent);
            stricter(other_burst, burst);
            return GateId(at as u16);
        }
        self.list.push((spec, burst));
        GateId((self.list.len() - 1) as u16)
    }

    /// All of them, with a burst each.
    pub(super) fn finish(self) -> Vec<GateSpec> {
        let burst = |(spec, burst): (GateSpec, Option<u32>)| {
            let usual = burst_of(spec.requests_per_minute.unwrap_or(0));
            GateSpec { requests_burst: burst.unwrap_or(usual), ..spec }
        };
        self.list.into_iter().map(burst).collect()
    }
}

/// The lower of two bounds, where there are any.
pub(crate) fn stricter<T: Ord + Copy>(one: &mut Option<T>, other: Option<T>) {
    *one = one.iter().copied().chain(other).min();
}

/// For people: `anthropic/claude-sonnet-5-5`, or a class of models where several share it, with the host
/// where it is not the provider's.
pub(crate) fn name(endpoint: &Endpoint, model: &str) -> String {
    let provider = endpoint.provider.name();
    if endpoint.base_url == endpoint.provider.base_url() {
        format!("{provider}/{model}")
    } else {
        format!("{provider}/{model} at {}", authority(&endpoint.base_url))
    }
}

/// Whose quota and money it is: that of a key, as `key` says it, of an API at a place.
pub(crate) fn account(endpoint: &Endpoint, key: &str) -> String {
    format!("{} at {} with {key}", endpoint.provider.name(), endpoint.base_url)
}

/// Where an agent's own limits stand.
pub(super) fn place(agent: &str) -> Place {
    Place::root().key("agents").key(agent.to_owned()).key("rate_limiting")
}
