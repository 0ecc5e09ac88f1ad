//! A case, and how it is played in virtual time.

use sortie::binding::Simulation;
use sortie::config::Config;
use sortie::core::chance::Chance;
use sortie::core::document::Source;
use sortie::core::hash::Hash;
use sortie::core::plan::check::check;
use sortie::core::plan::written::PlanFile;
use sortie::core::run::input::Budgets;
use sortie::engine::driver::Foreseen;
use sortie::engine::executor::signals::Signals;
use sortie::engine::executor::simulated::Pace;
use sortie::engine::store::memory::MemoryStore;
use sortie::engine::store::{Header, Store};
use sortie::launch::Launch;
use sortie::providers::keys::Environment;
use sortie::session::{Drive, Session};

use super::Failed;
use super::figures::{Figures, Load};

/// What a line has to reach.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// The share of requests that are answered 429, at most.
    pub(crate) refused: f64,
    /// The time as a multiple of the ideal, at most.
    pub(crate) times_ideal: f64,
    /// The share of the quota that is used, at least.
    pub(crate) used: f64,
}

/// A line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) tasks: usize,
    /// What of each task's prompt steers the simulator; `{n}` is its number.
    pub(crate) first_prompt: &'static str,
    /// Who is asked, one task after the other: names and models.
    pub(crate) agents: &'static [(&'static str, &'static str)],
    pub(crate) sizes: Sizes,
    /// Halfway the last agent is asked for something that takes so many seconds, and the rest waits for it.
    pub(crate) pause_s: Option<u32>,
    pub(crate) max_tokens: u32,
    /// The configuration's `rate_limiting`.
    pub(crate) limits: &'static str,
    /// The simulator's scenario, apart from its name.
    pub(crate) scenario: &'static str,
    /// What the least time is, where the limit is known.
    pub(crate) ideal_s: Option<f64>,
    /// Of which quota the use is told, in what a minute allows, and over which seconds.
    pub(crate) load: Option<Load>,
    pub(crate) target: Target,
}

/// How many words prompts have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sizes {
    /// Evenly from so many to nearly twice as many, in steps of a tenth.
    Even(usize),
    /// Lognormal around a mean, from a tenth of it to ten times as many.
    Lognormal { mean: f64, sigma: f64 },
}

impl Sizes {
    fn words(self, n: usize) -> usize {
        match self {
            Sizes::Even(least) => least + least * (n % 10) / 10,
            Sizes::Lognormal { mean, sigma } => {
                let z = Chance::new(1, &Hash::of(&n.to_le_bytes()), "words").normal();
                let words = mean * (sigma * z - sigma * sigma / 2.0).exp();
                words.clamp(mean / 10.0, mean * 10.0) as usize
            }
        }
    }
}

impl Case {
    /// What the case's run is created with, answered by the simulator in this process or at a base URL.
    pub(crate) fn header(
        &self,
        simulation: Option<Simulation>,
        base_url: Option<&str>,
    ) -> Result<Header, Failed> {
        let at = base_url.map_or(String::new(), |url| format!(", base_url: \"{url}\""));
        let agent = |(name, model): &(&str, &str)| format!("  {name}: {{ model: {model}{at} }}\n");
        let agents: String = self.agents.iter().map(agent).collect();
        let text = format!(
            "agents:\n{agents}rate_limiting: {}\ntimeouts: {{ total_timeout: 36000 }}\n",
            self.limits
        );
        let config = Source::new("sortie.yaml", text.into()).map_err(|problems| problems.to_string())?;
        let config = Config::read(&config, &|_| None, sortie::session::today()).map_err(|p| p.to_string())?;
        let plan = Source::new("plan.jsonl", self.plan().into()).map_err(|problems| problems.to_string())?;
        let file = PlanFile::read(&plan).map_err(|problems| problems.to_string())?;
        let checked = check(file, &config.routing()).map_err(|problems| problems.to_string())?;
        let launch = Launch { seed: 1, simulation, ..Launch::default() };
        Ok(launch.header(checked, &config, &environment(), sortie::session::now())?)
    }

    pub(crate) fn scenario(&self) -> String {
        format!("name: bench\n{}", self.scenario)
    }

    fn plan(&self) -> String {
        let asked = self.agents.len() - usize::from(self.pause_s.is_some());
        let half = self.tasks / 2;
        let line = |n: usize| {
            let steer = if n == 0 { self.first_prompt } else { "" };
            let prompt = format!("{steer} number {n} {}", "word ".repeat(self.sizes.words(n)));
            let agent = self.agents[n % asked].0;
            let behind = if self.pause_s.is_some() && n >= half { ",\"depends_on\":[\"pause\"]" } else { "" };
            format!(
                "{{\"id\":\"t{n}\",\"agent\":\"{agent}\",\"prompt\":\"{prompt}\",\"max_tokens\":{}{behind}}}\n",
                self.max_tokens
            )
        };
        let pause = |seconds| {
            let before: Vec<String> = (0..half).map(|n| format!("\"t{n}\"")).collect();
            let (agent, before) = (self.agents[asked].0, before.join(","));
            format!(
                "{{\"id\":\"pause\",\"agent\":\"{agent}\",\"prompt\":\"[[sim latency={seconds}]] wait\",\"depends_on\":[{before}]}}\n"
            )
        };
        (0..self.tasks).map(line).chain(self.pause_s.map(pause)).collect()
    }

    pub(crate) fn play(&self) -> Result<Figures, Failed> {
        let simulation = Simulation { scenario: self.scenario(), seed: 1 };
        let header = self.header(Some(simulation), None)?;
        let run_id = header.run_id.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let session = Session::create(MemoryStore::new(), header, None).await?;
            let environment = environment();
            let done = session.drive(drive(&environment, &mut Signals::none()), ()).await?;
            let (_, records) = done.store.read(&run_id).await?;
            Ok(Figures::of(&records, self.load))
        })
    }
}

/// A key that only the simulator takes.
pub(crate) fn environment() -> Environment {
    Environment::from_pairs([("ANTHROPIC_API_KEY", "sk-sim"), ("OPENAI_API_KEY", "sk-sim")])
}

pub(crate) fn drive<'a>(environment: &'a Environment, signals: &'a mut Signals) -> Drive<'a> {
    Drive {
        environment,
        budgets: Budgets::default(),
        pace: Pace::Jumping,
        signals,
        forecast: Foreseen::nothing(),
    }
}
