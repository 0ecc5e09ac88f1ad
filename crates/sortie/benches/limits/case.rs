//! The cases, and how one is played in virtual time.

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

const KNOWN: Target = Target { refused: 0.0, times_ideal: 1.03, used: 0.0 };
const TOLD: Target = Target { refused: 0.01, times_ideal: f64::INFINITY, used: 0.95 };
const UNTOLD: Target = Target { refused: 0.03, times_ideal: f64::INFINITY, used: 0.90 };
const ANY: Target = Target { refused: 0.05, times_ideal: f64::INFINITY, used: 0.0 };

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

/// 200 ms answers on this machine.
macro_rules! scenario {
    ($($more:literal),*) => {
        concat!(
            "latency: { total: { seconds: { fixed: 0.2 }, first_token: { fixed: 0.05 } } }\nnetwork_ms: { min: 1, max: 3 }\noutput_tokens: { fixed: 20 }\n",
            $($more),*
        )
    };
}

/// Answers that take their time, as SPEC.md M has it.
macro_rules! slow {
    ($more:literal) => {
        concat!(
            "latency: { total: { seconds: { lognormal: { mean: 4, sigma: 0.35, min: 2, max: 10 } }, first_token: { fixed: 0.5 } } }\n",
            $more
        )
    };
}

const PLAIN: Case = Case {
    name: "",
    tasks: 2_400,
    first_prompt: "",
    agents: &[("claude", "claude-sonnet-5-5")],
    sizes: Sizes::Even(4),
    pause_s: None,
    max_tokens: 100,
    limits: "{ max_concurrent: 64 }",
    scenario: scenario!(),
    ideal_s: None,
    load: None,
    target: ANY,
};

/// Requests a minute after the first one, of 600.
const REQUESTS: Option<Load> =
    Some(Load::Requests { per_minute: 600.0, from_s: 60.0, until_s: f64::INFINITY });

const OPENAI: &[(&str, &str)] = &[("gpt", "gpt-6.1-sol")];

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "known limit, bucket 10 of 600/min, 16 wide",
        limits: "{ requests_per_minute: 600, requests_burst: 10, max_concurrent: 16 }",
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 10\n"),
        tasks: 1_200,
        ideal_s: Some(119.2),
        target: KNOWN,
        ..PLAIN
    },
    Case {
        name: "known limit, bucket 10 of 600/min, 64 wide",
        limits: "{ requests_per_minute: 600, requests_burst: 10, max_concurrent: 64 }",
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 10\n"),
        tasks: 1_200,
        ideal_s: Some(119.2),
        target: KNOWN,
        ..PLAIN
    },
    Case {
        name: "known limit, bucket 600 of 600/min, 16 wide",
        limits: "{ requests_per_minute: 600, requests_burst: 600, max_concurrent: 16 }",
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 600\n"),
        tasks: 1_200,
        ideal_s: Some(60.2),
        target: KNOWN,
        ..PLAIN
    },
    Case {
        name: "known limit, bucket 600 of 600/min, 64 wide",
        limits: "{ requests_per_minute: 600, requests_burst: 600, max_concurrent: 64 }",
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 600\n"),
        tasks: 1_200,
        ideal_s: Some(60.2),
        target: KNOWN,
        ..PLAIN
    },
    Case {
        name: "told by headers, bucket 10 of 600/min, 64 wide",
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 10\n"),
        load: REQUESTS,
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "told by headers, bucket 600 of 600/min, 64 wide",
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 600\n"),
        load: REQUESTS,
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "told by headers, bucket 10, answers of 4 s, far away",
        scenario: slow!(
            "network_ms: { min: 100, max: 500 }\noutput_tokens: { fixed: 20 }\nrequests_per_minute: 600\nrequests_burst: 10\n"
        ),
        load: REQUESTS,
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "no headers, bucket 10 of 600/min, 64 wide",
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 10\nlimit_headers: absent\n"),
        load: REQUESTS,
        target: UNTOLD,
        ..PLAIN
    },
    Case {
        name: "no headers, bucket 600 of 600/min, 64 wide",
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 600\nlimit_headers: absent\n"),
        load: REQUESTS,
        target: UNTOLD,
        ..PLAIN
    },
    Case {
        name: "no headers, bucket 1 of 50/min, 64 wide",
        scenario: scenario!("requests_per_minute: 50\nrequests_burst: 1\nlimit_headers: absent\n"),
        tasks: 1_000,
        load: Some(Load::Requests { per_minute: 50.0, from_s: 60.0, until_s: f64::INFINITY }),
        target: UNTOLD,
        ..PLAIN
    },
    Case {
        name: "no headers, no retry-after, bucket 10, 64 wide",
        scenario: scenario!(
            "requests_per_minute: 600\nrequests_burst: 10\nlimit_headers: absent\nretry_after: absent\n"
        ),
        load: REQUESTS,
        target: UNTOLD,
        ..PLAIN
    },
    Case {
        name: "headers of zero, bucket 10 of 600/min, 64 wide",
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 10\nlimit_headers: zero\n"),
        load: REQUESTS,
        target: UNTOLD,
        ..PLAIN
    },
    Case {
        name: "headers rounded to thousands, bucket 10, 64 wide",
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 10\nlimit_headers: rounded\n"),
        load: REQUESTS,
        target: UNTOLD,
        ..PLAIN
    },
    Case {
        name: "told, halved at 120 s: from 10 s after",
        scenario: scenario!(
            "requests_per_minute: 600\nrequests_burst: 10\nquota_changes: [{ from_s: 120, times: 0.5 }]\n"
        ),
        load: Some(Load::Requests { per_minute: 300.0, from_s: 130.0, until_s: 230.0 }),
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "no headers, halved at 120 s: from 10 s after",
        scenario: scenario!(
            "requests_per_minute: 600\nrequests_burst: 10\nlimit_headers: absent\nquota_changes: [{ from_s: 120, times: 0.5 }]\n"
        ),
        load: Some(Load::Requests { per_minute: 300.0, from_s: 130.0, until_s: 230.0 }),
        target: UNTOLD,
        ..PLAIN
    },
    Case {
        name: "told, doubled at 120 s: from 60 s after",
        tasks: 4_000,
        scenario: scenario!(
            "requests_per_minute: 600\nrequests_burst: 10\nquota_changes: [{ from_s: 120, times: 2 }]\n"
        ),
        load: Some(Load::Requests { per_minute: 1200.0, from_s: 180.0, until_s: 240.0 }),
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "no headers, doubled at 120 s: from 60 s after",
        tasks: 4_000,
        scenario: scenario!(
            "requests_per_minute: 600\nrequests_burst: 10\nlimit_headers: absent\nquota_changes: [{ from_s: 120, times: 2 }]\n"
        ),
        load: Some(Load::Requests { per_minute: 1200.0, from_s: 180.0, until_s: 240.0 }),
        target: UNTOLD,
        ..PLAIN
    },
    Case {
        name: "bound by input tokens",
        sizes: Sizes::Even(400),
        tasks: 600,
        scenario: scenario!("requests_per_minute: 1000\ninput_tokens_per_minute: 60000\n"),
        load: Some(Load::InputTokens { per_minute: 60_000.0 }),
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "bound by input tokens, lognormal sizes",
        sizes: Sizes::Lognormal { mean: 600.0, sigma: 0.8 },
        tasks: 600,
        scenario: scenario!("requests_per_minute: 1000\ninput_tokens_per_minute: 60000\n"),
        load: Some(Load::InputTokens { per_minute: 60_000.0 }),
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "told by headers, two models of one class",
        agents: &[("one", "claude-opus-4-8"), ("other", "claude-opus-4-7")],
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 10\n"),
        load: REQUESTS,
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "OpenAI: told by headers, bucket 10 of 600/min, 64 wide",
        agents: OPENAI,
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 10\n"),
        load: REQUESTS,
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "OpenAI: bound by tokens of both kinds, lognormal sizes",
        agents: OPENAI,
        sizes: Sizes::Lognormal { mean: 300.0, sigma: 0.8 },
        max_tokens: 200,
        tasks: 800,
        scenario: scenario!("requests_per_minute: 1000\ntokens_per_minute: 60000\n"),
        load: Some(Load::Tokens { per_minute: 60_000.0, max_tokens: 200.0 }),
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "bound by output tokens, counted as produced",
        max_tokens: 1500,
        tasks: 400,
        scenario: slow!(
            "network_ms: { min: 20, max: 120 }\noutput_tokens: { lognormal: { mean: 400, sigma: 0.5, min: 16, max: 1500 } }\nrequests_per_minute: 1000\noutput_tokens_per_minute: 40000\n"
        ),
        load: Some(Load::OutputTokens { per_minute: 40_000.0 }),
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "bound by output tokens, charged from max_tokens",
        max_tokens: 1500,
        tasks: 400,
        scenario: slow!(
            "network_ms: { min: 20, max: 120 }\noutput_tokens: { lognormal: { mean: 400, sigma: 0.5, min: 16, max: 1500 } }\nrequests_per_minute: 1000\noutput_tokens_per_minute: 40000\notpm: max_tokens_up_front\n"
        ),
        load: Some(Load::OutputTokens { per_minute: 40_000.0 }),
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "bound by output tokens, sizes and input mixed",
        max_tokens: 1500,
        sizes: Sizes::Lognormal { mean: 300.0, sigma: 0.8 },
        tasks: 400,
        scenario: slow!(
            "network_ms: { min: 20, max: 120 }\noutput_tokens: { lognormal: { mean: 400, sigma: 0.8, min: 16, max: 1500 } }\nrequests_per_minute: 1000\ninput_tokens_per_minute: 60000\noutput_tokens_per_minute: 40000\n"
        ),
        load: Some(Load::OutputTokens { per_minute: 40_000.0 }),
        target: TOLD,
        ..PLAIN
    },
    Case {
        name: "the first answer is 429 with retry-after: 89",
        tasks: 1_200,
        first_prompt: "[[sim fail=429 retry_after=89]]",
        scenario: scenario!("requests_per_minute: 600\nrequests_burst: 600\n"),
        // The bucket is full when the gate opens.
        ideal_s: Some(89.0 + 60.2),
        target: Target { times_ideal: 1.03, ..ANY },
        ..PLAIN
    },
];

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
            let done = session.drive(drive(&environment), ()).await?;
            let (_, records) = done.store.read(&run_id).await?;
            Ok(Figures::of(&records, self.load))
        })
    }
}

/// A key that only the simulator takes.
pub(crate) fn environment() -> Environment {
    Environment::from_pairs([("ANTHROPIC_API_KEY", "sk-sim"), ("OPENAI_API_KEY", "sk-sim")])
}

pub(crate) fn drive(environment: &Environment) -> Drive<'_> {
    Drive {
        environment,
        budgets: Budgets::default(),
        pace: Pace::Jumping,
        signals: Signals::none(),
        forecast: Foreseen::nothing(),
    }
}
