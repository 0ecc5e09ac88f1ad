//! Faults between a run and those who answer it, for a share of the calls: in front of a real endpoint a proxy on this
//! machine, which cuts, delays and refuses; in the simulator a scenario that does so itself.

use std::collections::BTreeMap;

use sortie_core::failure::Class;
use sortie_providers::http::Upstream;
use sortie_report::fold::Fold;
use sortie_report::trial::Faulted;
use sortie_report::units::{count, percent};
use sortie_sim::Scenario;
use sortie_sim::scenario::FaultShare;
use sortie_sim::server::TimeScale;
use sortie_sim::server::proxy::{Counts, Faults, Proxy};

use crate::binding::Simulation;
use crate::config::Config;
use crate::error::Error;

/// What is done to calls: how it is written, its share of them, and what it is in words. Half of what is done costs
/// nothing, the other half is made after the provider has been asked.
const DEEDS: [(&str, f64, &str); 6] = [
    ("429", 0.06, "answered 429 before the provider was asked"),
    ("529", 0.04, "answered 529 before the provider was asked"),
    ("reset", 0.04, "reset before the provider was asked"),
    ("delay:3", 0.04, "answered 3 s later"),
    ("cut", 0.04, "cut in the middle of the answer"),
    ("lost", 0.02, "the answer lost on its way"),
];

/// Who stands between the judged run of a trial and those who answer it; nobody outside of a test of faults.
#[derive(Debug, Default)]
pub struct Proxies {
    /// By the base URL that each stands in for.
    by_url: BTreeMap<String, Proxy>,
    /// The simulator with faults of its own.
    simulation: Option<Simulation>,
}

impl Proxies {
    /// None.
    pub fn none() -> Self {
        Proxies::default()
    }

    /// One in front of each endpoint of these agents.
    ///
    /// # Errors
    /// Where an endpoint's URL is none, or no port is free.
    pub async fn before(
        config: &Config,
        agents: impl IntoIterator<Item = usize>,
        seed: u64,
    ) -> Result<Self, Error> {
        let mut proxies = BTreeMap::new();
        for agent in agents {
            let base_url = &config.agents[agent].endpoint.base_url;
            if proxies.contains_key(base_url) {
                continue;
            }
            let (root, _) = split(base_url);
            let shares = DEEDS.iter().filter_map(|(kind, share, _)| share_of(kind, *share)).collect();
            let faults = Faults::new(shares, seed).map_err(boxed)?;
            let upstream = Upstream::new(root).map_err(boxed)?;
            let proxy = Proxy::start(upstream, faults, TimeScale::REAL).await.map_err(boxed)?;
            proxies.insert(base_url.clone(), proxy);
        }
        Ok(Proxies { by_url: proxies, simulation: None })
    }

    /// The simulator, which does the same to a share of the calls.
    ///
    /// # Errors
    /// Where its scenario is none, or has faults for all calls already.
    pub fn within(simulation: &Simulation) -> Result<Self, Error> {
        let mut scenario = Scenario::parse(&simulation.scenario)?;
        scenario.faults.extend(DEEDS.iter().filter_map(|(kind, share, _)| share_of(kind, *share)));
        let simulation = Simulation { scenario: scenario.to_text(), ..simulation.clone() };
        Scenario::parse(&simulation.scenario)?;
        Ok(Proxies { by_url: BTreeMap::new(), simulation: Some(simulation) })
    }

    /// The simulator that answers the judged run, where it is another than the trial's.
    pub(super) fn simulation(&self) -> Option<&Simulation> {
        self.simulation.as_ref()
    }

    /// Puts them in place of the endpoints.
    pub(super) fn stand_in(&self, config: &mut Config) {
        for agent in &mut config.agents {
            if let Some(proxy) = self.by_url.get(&agent.endpoint.base_url) {
                let (_, path) = split(&agent.endpoint.base_url);
                agent.endpoint.base_url = format!("{}{path}", proxy.base_url());
            }
        }
    }

    /// What they did to calls, and what of it the run's books have to know, in sentences.
    pub fn done(&self, judged: Option<&Fold>) -> (Vec<Faulted>, Vec<String>) {
        let mut all = Counts::default();
        for proxy in self.by_url.values() {
            let counts = proxy.counts();
            all.calls += counts.calls;
            all.asked += counts.asked;
            all.cut += counts.cut;
            for (kind, n) in counts.faults {
                *all.faults.entry(kind).or_default() += n;
            }
        }
        if let (Some(_), Some(fold)) = (&self.simulation, judged) {
            return (by_class(fold), vec![promised()]);
        }
        if all.calls == 0 {
            return (Vec::new(), Vec::new());
        }
        let done = |(kind, _, words): &(&str, f64, &str)| {
            // Those that chance left out, too: they were not tried.
            let calls = all.faults.get(*kind).copied().unwrap_or_default();
            let fault = (*words).to_owned();
            Faulted { fault, calls, tasks: 0, recovered: 0, should_recover: Some(true), cost: None }
        };
        let mut notes = Vec::new();
        if let Some(fold) = judged {
            let charge = fold.charge();
            let doubtful = charge.estimated + charge.at_risk;
            notes.push(format!(
                "of {} the provider was asked for {}, and {}: {} are counted for that, as \
                 estimated or at risk",
                count(all.calls, "call"),
                all.asked,
                cut_short(all.cut),
                sortie_report::units::money(doubtful),
            ));
        }
        (DEEDS.iter().map(done).collect(), notes)
    }
}

/// What the simulator does to calls, where nobody counts it.
fn promised() -> String {
    let deeds: Vec<String> =
        DEEDS.iter().map(|(_, share, words)| format!("{}: {words}", percent(100.0 * share))).collect();
    format!(
        "the simulator made faults for a share of the calls ({}); calls that failed for another reason are counted with \
         them, and those that were only late are not",
        deeds.join(", ")
    )
}

/// `1 answer that it had begun was cut`.
fn cut_short(answers: u64) -> String {
    let was = if answers == 1 { "was" } else { "were" };
    format!("{} that it had begun {was} cut", count(answers, "answer"))
}

/// What calls failed by, where nobody else counted it.
fn by_class(fold: &Fold) -> Vec<Faulted> {
    let failed = |(class, calls): (&Class, &u64)| {
        let fault = format!("calls that failed: {}", class.to_string().replace('_', " "));
        Faulted { fault, calls: *calls, tasks: 0, recovered: 0, should_recover: Some(true), cost: None }
    };
    fold.counts().failed_attempts.iter().map(failed).collect()
}

fn boxed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Proxy(Box::new(error))
}

fn share_of(kind: &str, share: f64) -> Option<FaultShare> {
    Some(FaultShare { kind: kind.parse().ok()?, share, from_s: None, until_s: None, provider: None })
}

/// A base URL up to `/v1`, which belongs to the requests that are passed on.
fn split(base_url: &str) -> (&str, &str) {
    match base_url.strip_suffix("/v1") {
        Some(root) => (root, "/v1"),
        None => (base_url, ""),
    }
}
