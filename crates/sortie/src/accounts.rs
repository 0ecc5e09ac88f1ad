//! Whose quota and money calls take. An account is known by its key, in runs against real endpoints: two
//! variables may hold the same one, and one variable may hold another tomorrow. Of a key only its fingerprint
//! is used; without one (a forecast needs none) the variable's name stands for it.

use sortie_core::limit::{GateId, GateSpec};
use sortie_core::plan::Plan;
use sortie_providers::keys::{Environment, Key};

use crate::config::Endpoint;
use crate::config::gates::{account, name, stricter};

/// The gates by the keys that are there: those that turn out to be of one account and class are one, with the
/// stricter of their numbers, and the plan's agents pass that.
pub(crate) fn by_key(
    plan: &mut Plan,
    gates: Vec<GateSpec>,
    endpoints: &[Endpoint],
    environment: &Environment,
) -> Vec<GateSpec> {
    let gates = at_present(plan, gates, endpoints, environment);
    let mut merged: Vec<GateSpec> = Vec::with_capacity(gates.len());
    let mut places = Vec::with_capacity(gates.len());
    for (id, gate) in (0..).map(GateId).zip(gates) {
        let same = |other: &GateSpec| other.account == gate.account && other.class == gate.class;
        let place = merged.iter().position(same).unwrap_or(merged.len());
        places.push(GateId(place as u16));
        match merged.get_mut(place) {
            Some(other) => {
                if let Some(endpoint) = endpoint_of(plan, id, endpoints).filter(|_| other.name != gate.name) {
                    other.name = name(endpoint, &other.class);
                }
                merge(other, &gate);
            }
            None => merged.push(gate),
        }
    }
    plan.set_gates(|gate| places[gate.index()]);
    merged
}

/// A run's gates, as all who share their accounts know them at present: the run may have been created with
/// another key, or by a program that knew accounts by the variables' names.
pub(crate) fn at_present(
    plan: &Plan,
    gates: Vec<GateSpec>,
    endpoints: &[Endpoint],
    environment: &Environment,
) -> Vec<GateSpec> {
    let known = |(id, gate): (GateId, GateSpec)| {
        let key = endpoint_of(plan, id, endpoints).and_then(|endpoint| {
            let (text, _) = environment.get(&endpoint.api_key_env)?;
            let fingerprint = Key::new(text).ok()?.fingerprint();
            Some(account(endpoint, &format!("key {fingerprint}")))
        });
        GateSpec { account: key.unwrap_or_else(|| gate.account.clone()), ..gate }
    };
    (0..).map(GateId).zip(gates).map(known).collect()
}

/// Where the agents behind a gate are reached: with one key, at one place.
fn endpoint_of<'a>(plan: &Plan, gate: GateId, endpoints: &'a [Endpoint]) -> Option<&'a Endpoint> {
    let agent = plan.agents().iter().position(|agent| agent.gate == gate)?;
    endpoints.get(agent)
}

fn merge(one: &mut GateSpec, other: &GateSpec) {
    // A burst means something only beside a rate.
    one.requests_burst = match (one.requests_per_minute, other.requests_per_minute) {
        (Some(_), Some(_)) => one.requests_burst.min(other.requests_burst),
        (None, Some(_)) => other.requests_burst,
        (_, None) => one.requests_burst,
    };
    stricter(&mut one.requests_per_minute, other.requests_per_minute);
    stricter(&mut one.input_tokens_per_minute, other.input_tokens_per_minute);
    stricter(&mut one.output_tokens_per_minute, other.output_tokens_per_minute);
    stricter(&mut one.tokens_per_minute, other.tokens_per_minute);
    stricter(&mut one.max_concurrent, other.max_concurrent);
}

#[cfg(test)]
mod tests {
    use jiff::civil::Date;
    use sortie_core::document::Source;
    use sortie_core::plan::check::check;
    use sortie_core::plan::written::PlanFile;

    use sortie_core::time::Time;
    use sortie_engine::store::Header;

    use super::*;
    use crate::binding::{Binding, Simulation};
    use crate::config::Config;
    use crate::launch::Launch;

    const AGENTS: &str = "agents:
  one: {model: claude-opus-4-8, api_key_env: ONE, rate_limiting: {requests_per_minute: 300, max_concurrent: 9}}
  two: {model: claude-opus-4-7, api_key_env: TWO, rate_limiting: {requests_per_minute: 600, requests_burst: 3}}
  small: {model: claude-haiku-5-5, api_key_env: TWO}";

    fn drafted(keys: &[(&str, &str)], simulation: Option<Simulation>) -> Header {
        let source = Source::new("sortie.yaml", AGENTS.into()).unwrap();
        let config = Config::read(&source, &|_| None, Date::constant(2026, 11, 23)).unwrap();
        let plan = Source::new("plan.yaml", "tasks: [{id: a, prompt: x, agent: one}]".into()).unwrap();
        let checked = check(PlanFile::read(&plan).unwrap(), &config.routing()).unwrap();
        let launch = Launch { simulation, ..Launch::default() };
        let environment = Environment::from_pairs(keys.iter().copied());
        launch.draft(checked, &config, &environment, Time::ZERO).unwrap()
    }

    fn gates_of(header: &Header) -> Vec<u16> {
        header.plan.agents().iter().map(|agent| agent.gate.0).collect()
    }

    #[test]
    fn one_key_in_two_variables_is_one_account_with_the_stricter_numbers() {
        let header = drafted(&[("ONE", "sk-test"), ("TWO", "sk-test\n")], None);
        assert_eq!(gates_of(&header), [0, 0, 1]);
        let [shared, small] = header.settings.gates.as_slice() else { panic!("{:?}", header.settings.gates) };
        // By `printf sk-test | sha256sum`.
        assert_eq!(shared.account, "anthropic at https://api.anthropic.com with key f3abf2a6");
        assert_eq!((&small.account, &*shared.name), (&shared.account, "anthropic/opus 4"));
        assert_eq!((shared.requests_per_minute, shared.requests_burst), (Some(300), 3));
        assert_eq!(shared.max_concurrent, Some(9));
    }

    #[test]
    fn without_a_key_and_in_simulated_runs_an_account_is_a_variable_s() {
        let simulation = Simulation::named("calm", 1).unwrap();
        for header in [
            drafted(&[("ONE", "sk-test"), ("TWO", "sk-other")], None),
            drafted(&[], None),
            drafted(&[("ONE", "no key")], None),
            drafted(&[("ONE", "sk-test"), ("TWO", "sk-test")], Some(simulation)),
        ] {
            assert_eq!(gates_of(&header), [0, 1, 2]);
        }
        let account = |keys: &[_]| drafted(keys, None).settings.gates[0].account.clone();
        assert_eq!(account(&[]), "anthropic at https://api.anthropic.com with ONE");
        assert_ne!(account(&[("ONE", "sk-a")]), account(&[("ONE", "sk-b")]));
    }

    /// What a run was created with stays; what it shares is its present key's.
    #[test]
    fn a_run_that_goes_on_is_known_by_the_key_that_it_goes_on_with() {
        for created in [&[("ONE", "sk-old"), ("TWO", "sk-test")][..], &[]] {
            let header = drafted(created, None);
            let (plan, gates) = (&header.plan, header.settings.gates.clone());
            let endpoints = Binding::of(&header).unwrap().endpoints;
            let now = Environment::from_pairs([("ONE", "sk-test")]);
            let present = at_present(plan, gates.clone(), &endpoints, &now);
            assert_eq!(present[0].account, "anthropic at https://api.anthropic.com with key f3abf2a6");
            // The key is not there any more: as it was.
            assert_eq!(present[1..], gates[1..]);
        }
    }
}
