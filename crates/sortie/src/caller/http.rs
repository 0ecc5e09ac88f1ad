//! Calls over HTTP.

use std::sync::Arc;

use sortie_core::call::{Call, Returned};
use sortie_core::failure::{Class, Failure};
use sortie_core::hash::Hash;
use sortie_core::plan::Plan;
use sortie_core::run::event::Timing;
use sortie_core::run::input::Billing;
use sortie_engine::executor::local::{Caller, Ear};
use sortie_providers::dialect::Request;
use sortie_providers::http::{Client, Endpoint};

use super::output::checked;
use super::{attributed, request, request_hash};
use crate::{config, recovery};

/// Sends each call to its agent's endpoint.
pub(crate) struct HttpCaller {
    pub(crate) client: Client,
    /// What begins the names by which answers are kept.
    pub(crate) kept_as: String,
    pub(crate) plan: Arc<Plan>,
    pub(crate) configured: Vec<config::Endpoint>,
    /// None for agents that no task uses, and for fallbacks without a key.
    pub(crate) endpoints: Vec<Option<Endpoint>>,
}

impl Caller for HttpCaller {
    async fn call(&self, call: Call, ear: Ear) -> Returned {
        let place = usize::from(call.agent.0);
        let agent = self.plan.agent(call.agent);
        let total = call.timeout;
        let Some(endpoint) = &self.endpoints[place] else {
            // A fallback whose key is missing when the run is taken up: nothing more is sent there.
            let message = format!(
                "no key for agent {:?}: {} is not set",
                agent.name, self.configured[place].api_key_env
            );
            let result = Err(Failure::new(Class::Auth, message));
            return Returned { result, billing: Billing::Nothing, timing: Timing::default() };
        };
        let output = call.output.clone();
        let configured = &self.configured[place];
        let kept_as = configured.recover_lost.then(|| recovery::name(&self.kept_as, call.attempt));
        let request = Request { kept_as, ..request(call, agent, configured) };
        let tell = |told| ear.told(told);
        let returned = self.client.call(endpoint, &request, agent.timeouts, total, tell).await;
        checked(attributed(returned, agent), output.as_ref())
    }

    fn request_of(&self, call: &Call) -> Option<Hash> {
        let configured = &self.configured[usize::from(call.agent.0)];
        request_hash("", call, self.plan.agent(call.agent), configured)
    }
}
