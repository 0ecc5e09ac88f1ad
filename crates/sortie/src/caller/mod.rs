//! Who performs the calls of a run: the providers over HTTP, or the simulator in this process.
//! Both turn a call into a dialect's request and follow the answer with the same `Exchange`.

mod http;
mod simulated;

pub(crate) use http::HttpCaller;
pub(crate) use simulated::SimulatedCaller;

use sortie_core::agent::Agent;
use sortie_core::call::{Call, Returned};
use sortie_providers::dialect::Request;

use crate::config::Endpoint;

/// A reply that names no model (some compatible servers) is its agent's model's.
fn attributed(mut returned: Returned, agent: &Agent) -> Returned {
    if let Ok(text) = &mut returned.result
        && text.model.is_empty()
    {
        text.model.clone_from(&agent.model);
    }
    returned
}

/// The request of a call: what the task does not say, the agent does.
fn request(call: Call, agent: &Agent, endpoint: &Endpoint) -> Request {
    Request {
        model: agent.model.clone(),
        system: call.system.or_else(|| endpoint.system.clone()),
        prompt: call.prompt,
        max_tokens: call.max_tokens,
        temperature: call.temperature.or(endpoint.temperature),
        stream: true,
        ..Request::default()
    }
}
