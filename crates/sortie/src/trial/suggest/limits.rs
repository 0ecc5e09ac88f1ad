//! What a higher limit would bring: calls at a time, requests and tokens a minute; and a lower one, where the provider
//! refuses calls.

use sortie_core::failure::Class;
use sortie_core::limit::{Dimension, GateId, GateSpec, WaitReason, burst_of};
use sortie_core::run::input::Mode;

use super::{Candidate, Case, WORTH_IT, World, keys};

/// What a limit of an account counts, in the order in which they are tried.
const QUOTAS: [Dimension; 4] =
    [Dimension::Requests, Dimension::InputTokens, Dimension::OutputTokens, Dimension::Tokens];

/// The highest limit that is tried, times the present one: whoever needs more asks again.
const FURTHEST: u64 = 64;

pub(super) fn all(case: &Case) -> Vec<Candidate> {
    if case.header.settings.mode == Mode::Serial || case.around.faults {
        return Vec::new();
    }
    let gates = (0..case.header.settings.gates.len()).map(|index| GateId(index as u16));
    let quotas =
        gates.flat_map(|gate| QUOTAS.into_iter().filter_map(move |quota| quota_of(case, gate, quota)));
    wider(case).into_iter().chain(narrower(case)).chain(quotas).collect()
}

/// More calls at a time, where tasks waited for those in flight.
fn wider(case: &Case) -> Option<Candidate> {
    let binds = case.report.summary.speedup.binding.as_deref() == Some("concurrency");
    if !binds && !case.waited(|reason| *reason == WaitReason::Concurrency) {
        return None;
    }
    let now = case.header.settings.max_concurrent;
    let (to, world) =
        case.least_enough(now.into(), case.world.plan.len() as u64, |most| at_a_time(case, most as u32))?;
    let setting = keys::concurrency(case.around.width, to as u32);
    Some(changed(setting, u64::from(now), to, world))
}

/// Fewer calls at a time, where the provider refuses those beyond its limits.
fn narrower(case: &Case) -> Option<Candidate> {
    let counts = case.report.fold.counts();
    if (counts.of(Class::Throttled) as f64) < WORTH_IT * counts.calls as f64 {
        return None;
    }
    let now = case.header.settings.max_concurrent;
    let worlds = (1..).map_while(|halvings| now.checked_shr(halvings).filter(|most| *most > 0));
    let worlds = worlds.map(|most| (most, at_a_time(case, most)));
    let (most, world) = worlds.min_by_key(|(_, world)| world.makespan())?;
    let setting = keys::concurrency(case.around.width, most);
    Some(changed(setting, u64::from(now), u64::from(most), world))
}

fn at_a_time(case: &Case, most: u32) -> World {
    let mut world = case.world.clone();
    world.settings.max_concurrent = most;
    world
}

fn changed(setting: impl Into<String>, from: u64, to: u64, world: World) -> Candidate {
    let (from, to) = (from.to_string(), to.to_string());
    Candidate { setting: setting.into(), from, to, world, mends: &[], besides: None }
}

/// A higher quota of a gate that tasks waited for: of the configuration, as far as the provider is seen to allow it;
/// where its own binds, of the account.
fn quota_of(case: &Case, gate: GateId, quota: Dimension) -> Option<Candidate> {
    let spec = case.header.settings.gates.get(gate.index())?;
    let reason = WaitReason::Quota(quota, spec.name.clone());
    let is_rate = |held: &WaitReason| quota == Dimension::Requests && held.is_rate_of(&spec.name);
    if !case.waited(|held| *held == reason || is_rate(held)) {
        return None;
    }
    let (stated, allowed) = (spec.per_minute(quota), allowed(case, gate, quota));
    match (stated, allowed) {
        (Some(stated), Some(allowed)) if allowed > stated => {
            let (to, world) =
                case.least_enough(stated, allowed, |rate| with(case, gate, quota, rate, false))?;
            Some(changed(key(case, gate, quota)?, stated, to, world))
        }
        (_, Some(allowed)) => {
            let most = allowed.saturating_mul(FURTHEST);
            let (to, world) = case.least_enough(allowed, most, |rate| with(case, gate, quota, rate, true))?;
            let own = stated.filter(|stated| *stated < to).zip(key(case, gate, quota));
            let own = own.map_or_else(String::new, |(stated, key)| {
                format!(", and {key} to be set to {to} then, which is {stated} now")
            });
            let besides = format!("it is no setting: the provider is to be asked for it{own}");
            let setting = format!("what the provider allows, {reason}");
            Some(Candidate { besides: Some(besides), ..changed(setting, allowed, to, world) })
        }
        // Nobody knows whether the provider allows more.
        (_, None) => None,
    }
}

/// What the provider of a gate was seen to allow in a minute.
fn allowed(case: &Case, gate: GateId, quota: Dimension) -> Option<u64> {
    let told = case.learned.iter().find(|(id, _)| *id == gate);
    let told = told.and_then(|(_, learned)| learned.per_minute(quota));
    told.or_else(|| case.world.laws.provider_limits().get(gate.index())?.per_minute(quota))
}

/// The same world with another quota: the configuration's, or also the provider's own.
fn with(case: &Case, gate: GateId, quota: Dimension, rate: u64, also_theirs: bool) -> World {
    let mut world = case.world.clone();
    let raise = |specs: &mut [GateSpec]| {
        if let Some(spec) = specs.get_mut(gate.index()).filter(|spec| spec.per_minute(quota).is_some()) {
            set_quota(spec, quota, rate);
        }
    };
    raise(&mut world.settings.gates);
    if also_theirs {
        world.laws = world.laws.where_provider_allows(raise);
    }
    world
}

fn set_quota(spec: &mut GateSpec, quota: Dimension, rate: u64) {
    match quota {
        Dimension::Requests => {
            let rate = u32::try_from(rate).unwrap_or(u32::MAX);
            spec.requests_per_minute = Some(rate);
            spec.requests_burst = spec.requests_burst.max(burst_of(rate));
        }
        Dimension::InputTokens => spec.input_tokens_per_minute = Some(rate),
        Dimension::OutputTokens => spec.output_tokens_per_minute = Some(rate),
        Dimension::Tokens => spec.tokens_per_minute = Some(rate),
    }
}

/// The configuration's key of a gate's quota: the one for all accounts where they have the same, else its agent's own.
fn key(case: &Case, gate: GateId, quota: Dimension) -> Option<String> {
    let gates = &case.header.settings.gates;
    let own = gates.get(gate.index()).and_then(|spec| spec.per_minute(quota));
    if gates.iter().all(|spec| spec.per_minute(quota) == own) {
        return keys::quota(quota, None);
    }
    let agents = case.header.plan.used_agents().into_iter().map(|id| case.header.plan.agent(id));
    let agent = agents.into_iter().find(|agent| agent.gate == gate)?;
    keys::quota(quota, Some(agent))
}
