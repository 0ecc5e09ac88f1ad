//! Who performs the calls of a run: the providers over HTTP, or the simulator in this process.
//! Both turn a call into a dialect's request and follow the answer with the same `Exchange`.

mod http;
mod output;
mod simulated;

pub(crate) use http::HttpCaller;
pub(crate) use output::{checked, validator};
pub(crate) use simulated::SimulatedCaller;

use sortie_core::agent::Agent;
use sortie_core::call::{Call, Returned};
use sortie_core::hash::Hash;
use sortie_providers::dialect::{Request, Shape};

use crate::config::Endpoint;
use crate::config::written::Api;

/// A reply that names no model (some compatible servers) is its agent's model's.
pub(crate) fn attributed(mut returned: Returned, agent: &Agent) -> Returned {
    if let Ok(text) = &mut returned.result
        && text.model.is_empty()
    {
        text.model.clone_from(&agent.model);
    }
    returned
}

/// The request of a call: what the task does not say, the agent does.
fn request(call: Call, agent: &Agent, endpoint: &Endpoint) -> Request {
    let temperature = temperature(&call, endpoint);
    Request {
        model: agent.model.clone(),
        system: call.system.or_else(|| endpoint.system.clone()),
        prompt: call.prompt,
        max_tokens: call.max_tokens,
        temperature,
        stream: true,
        shape: call.output.map_or(Shape::Text, |output| Shape::Json(output.schema().clone())),
        ..Request::default()
    }
}

/// The hash of all that decides the answer to a call. `at` tells apart places that answer differently though their
/// addresses are the same.
fn request_hash(at: &str, call: &Call, agent: &Agent, endpoint: &Endpoint) -> Option<Hash> {
    let Request { model, system, prompt, max_tokens, temperature, shape, .. } =
        request(call.clone(), agent, endpoint);
    let place = (at, endpoint.provider.name(), &endpoint.base_url, endpoint.api);
    let schema = if let Shape::Json(schema) = &shape { Some(schema) } else { None };
    let asked = serde_json::to_vec(&(place, model, system, prompt, max_tokens, temperature, schema)).ok()?;
    Some(Hash::of(&asked))
}

/// The task's own temperature, else the agent's. A task says it to its own agent: a fallback that takes no such
/// number gets the nearest that it takes, so that nobody fails for having gone there.
fn temperature(call: &Call, endpoint: &Endpoint) -> Option<f64> {
    let stated = call.temperature.or(endpoint.temperature);
    match call.attempt.agent {
        None => stated,
        Some(_) if endpoint.api == Some(Api::V2026) => None,
        Some(_) => stated.map(|stated| stated.min(endpoint.provider.max_temperature())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::civil::Date;
    use sortie_core::agent::AgentId;
    use sortie_core::document::Source;
    use sortie_core::plan::TaskId;
    use sortie_core::run::event::AttemptId;

    use super::*;
    use crate::config::Config;

    #[test]
    fn a_task_s_temperature_is_brought_within_what_a_fallback_takes() {
        let check = |agent: &str, fallback: Option<AgentId>, stated: Option<f64>, expected: Option<f64>| {
            let source = Source::new("sortie.yaml", format!("agents: {{a: {{{agent}}}}}").into()).unwrap();
            let config = Config::read(&source, &|_| None, Date::constant(2026, 11, 23)).unwrap();
            let call = Call {
                attempt: AttemptId { agent: fallback, ..AttemptId::new(TaskId(0), 1) },
                agent: AgentId(0),
                prompt: "Go.".to_owned(),
                system: None,
                temperature: stated,
                output: None,
                max_tokens: 10,
                timeout: Duration::from_secs(1),
            };
            let request = request(call, &config.agents[0].agent, &config.agents[0].endpoint);
            assert_eq!(request.temperature, expected, "{agent}, {fallback:?}, {stated:?}");
        };
        let (claude, instead) = ("provider: anthropic", Some(AgentId(0)));
        check(claude, None, Some(1.5), Some(1.5));
        check(claude, instead, Some(1.5), Some(1.0));
        check(claude, instead, Some(0.5), Some(0.5));
        check("provider: openai", instead, Some(1.5), Some(1.5));
        check("provider: anthropic, temperature: 0.3", instead, None, Some(0.3));
        check("provider: anthropic, api: 2026-10-21", instead, Some(0.5), None);
    }
}
