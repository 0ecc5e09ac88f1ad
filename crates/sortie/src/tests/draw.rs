//! Random configurations, plans and scenarios, from a seed. Everything goes through the text that a
//! user would write, so that what is proved is proved of the product.

use std::fmt::Write;

use jiff::civil::Date;
use sortie_core::chance::Chance;
use sortie_core::document::Source;
use sortie_core::money::Usd;
use sortie_core::plan::check::check;
use sortie_core::plan::written::{PlanFile, TaskFile};
use sortie_core::plan::{Plan, Task, TaskId};
use sortie_core::price::Pricing;
use sortie_core::time::Time;
use sortie_engine::store::Header;
use sortie_providers::keys::Environment;

use crate::binding::Simulation;
use crate::config::Config;
use crate::launch::Launch;

/// The name of every run.
pub(super) const RUN: &str = "proof";

/// Agents of both providers, in all dialects, from a tenth of a dollar to twenty a million tokens.
pub(super) const AGENTS: [(&str, &str); 5] = [
    ("sonnet", "model: claude-sonnet-5-5"),
    ("haiku", "model: claude-haiku-5-5"),
    ("opus", "model: claude-opus-5-5, api: 2026-10-21"),
    ("chat", "model: gpt-6.1-sol, api: chat"),
    ("responses", "model: gpt-5.5, api: responses"),
];

/// What goes wrong where a provider keeps to `max_tokens` and reports what it bills.
const FAULTS: [&str; 22] = [
    "429",
    "529",
    "503",
    "500",
    "close",
    "reset",
    "lost",
    "cut",
    "reset-mid",
    "truncated",
    "stall",
    "stall-first",
    "stall-head",
    "midstream",
    "malformed",
    "error200",
    "empty200",
    "no-usage",
    "no-id",
    "wrong-model",
    "duplicate-delta",
    "unknown-stop",
];

pub(super) trait Draw {
    /// A whole number of this range, ends included.
    fn range(&mut self, from: u64, to: u64) -> u64;
    /// Whether this many of a hundred.
    fn percent(&mut self, of_hundred: u64) -> bool;
    /// A factor from 10 to the one to 10 to the other, evenly by its logarithm.
    fn factor(&mut self, least: f64, most: f64) -> f64;
}

impl Draw for Chance {
    fn range(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    fn percent(&mut self, of_hundred: u64) -> bool {
        self.below(100) < of_hundred
    }

    fn factor(&mut self, least: f64, most: f64) -> f64 {
        10f64.powf(least + (most - least) * self.share())
    }
}

/// What a run is made of, before it is written down.
pub(super) struct Drawn {
    /// How many calls at once.
    pub(super) concurrent: u64,
    /// What `rate_limiting` has besides.
    pub(super) limits: String,
    pub(super) timeouts: &'static str,
    /// The scenario's YAML.
    pub(super) scenario: String,
    pub(super) tasks: Vec<TaskFile>,
    /// Limits of money: the run's, each agent's, and each task's where it has none of its own.
    pub(super) budget: Option<Usd>,
    pub(super) of_agents: [Option<Usd>; AGENTS.len()],
    pub(super) of_tasks: Option<Usd>,
    /// Whether agents have fallbacks.
    pub(super) has_fallbacks: bool,
}

/// The fallbacks of each agent, where they have any.
const FALLBACKS: [&str; AGENTS.len()] = [
    ", fallback: [chat, haiku], fallback_after: 5",
    ", fallback: responses",
    "",
    ", fallback: [opus, sonnet], fallback_after: 1",
    "",
];

impl Drawn {
    /// A random run without limits of money.
    pub(super) fn new(chance: &mut Chance) -> Self {
        // Both are as often small as large.
        let concurrent = (chance.factor(0.0, 8.0 * 2f64.log10())).round() as u64;
        let tasks = (concurrent as f64 * chance.factor(-0.5, 0.5)).ceil() as u64;
        let mut limits = format!("max_retries: {}, initial_delay: 0.5", chance.below(5));
        if chance.percent(25) {
            let _ = write!(limits, ", requests_per_minute: {}", chance.range(20, 2000));
        }
        let timeouts = match chance.below(10) {
            0 => "{ first_token: 20, idle: 10, total_timeout: 20 }",
            _ => "{ first_token: 20, idle: 10, total_timeout: 8640000 }",
        };
        Drawn {
            concurrent,
            limits,
            timeouts,
            scenario: scenario(chance),
            tasks: (0..tasks).map(|index| task(chance, index)).collect(),
            budget: None,
            of_agents: [None; AGENTS.len()],
            of_tasks: None,
            has_fallbacks: false,
        }
    }

    /// The same under limits from tiny to ample.
    pub(super) fn limited(mut self, chance: &mut Chance) -> Self {
        let plan = self.header(0).plan;
        let all: Usd = plan.tasks().iter().map(|task| worst(&plan, task)).sum();
        self.budget = chance.percent(90).then(|| scaled(all, chance.factor(-2.5, 0.7)));
        for (limit, id) in self.of_agents.iter_mut().zip(plan.agent_ids()) {
            let own = plan.tasks().iter().filter(|task| task.agent == id);
            let all: Usd = own.map(|task| worst(&plan, task)).sum();
            *limit = (chance.percent(25) && !all.is_zero()).then(|| scaled(all, chance.factor(-1.5, 0.3)));
        }
        for (written, task) in self.tasks.iter_mut().zip(plan.tasks()) {
            let limit = scaled(worst(&plan, task), chance.factor(-0.2, 0.6));
            written.max_cost = chance.percent(10).then(|| limit.as_f64());
        }
        self.of_tasks = chance.percent(10).then(|| scaled(all, chance.factor(-2.0, 0.0)));
        self
    }

    /// What the run is created with, as the command would.
    pub(super) fn header(&self, seed: u64) -> Header {
        let mut text = String::from("agents:\n");
        for (((name, spec), limit), fallback) in AGENTS.iter().zip(self.of_agents).zip(FALLBACKS) {
            let limit = limit.map_or(String::new(), |limit| format!(", max_cost: {}", limit.exact(12)));
            let fallback = if self.has_fallbacks { fallback } else { "" };
            let _ = writeln!(text, "  {name}: {{ {spec}{limit}{fallback} }}");
        }
        let _ = writeln!(text, "rate_limiting: {{ max_concurrent: {}, {} }}", self.concurrent, self.limits);
        let _ = writeln!(text, "timeouts: {}\ncost_control:\n  enabled: true", self.timeouts);
        let limits = [("max_cost_per_session", self.budget), ("max_cost_per_task", self.of_tasks)];
        for (key, limit) in limits.into_iter().filter_map(|(key, limit)| Some((key, limit?))) {
            let _ = writeln!(text, "  {key}: {}", limit.exact(12));
        }
        header(&text, self.tasks.clone(), &self.scenario, seed)
    }
}

/// What a run of these tasks is created with.
pub(super) fn header(config: &str, tasks: Vec<TaskFile>, scenario: &str, seed: u64) -> Header {
    let source = Source::new("sortie.yaml", config.into()).unwrap();
    let config = Config::read(&source, &|_| None, Date::constant(2026, 11, 23)).unwrap();
    let file = PlanFile { name: Some("drawn".into()), tasks, ..PlanFile::default() };
    let checked = check(file, &config.routing()).unwrap();
    let simulation = Some(Simulation { scenario: scenario.to_owned(), seed });
    let launch = Launch { run_id: Some(RUN.into()), seed, simulation, ..Launch::default() };
    launch
        .header(checked, &config, &Environment::default(), Time::from_micros(1_800_000_000_000_000))
        .unwrap()
}

/// The most that one call of a task may cost, results that it inserts apart.
pub(super) fn worst(plan: &Plan, task: &Task) -> Usd {
    let Pricing::Known(price) = &plan.agent(task.agent).pricing else { return Usd::ZERO };
    price.most(task.prompt.fixed_bytes + 64, task.max_tokens.into())
}

pub(super) fn scaled(amount: Usd, factor: f64) -> Usd {
    Usd::from_pico((amount.pico() as f64 * factor) as u64 + 1)
}

fn scenario(chance: &mut Chance) -> String {
    let mut text = "
name: drawn
latency: { total: { seconds: { uniform: { min: 0.2, max: 5 } }, first_token: { uniform: { min: 0.1, max: 1 } } } }
network_ms: { min: 10, max: 300 }
output_tokens: { lognormal: { mean: 60, sigma: 0.8, min: 1, max: 400 } }
"
    .to_owned();
    if chance.percent(20) {
        let _ = writeln!(text, "requests_per_minute: {}", chance.range(60, 3000));
    }
    let kinds = chance.below(7);
    if kinds > 0 {
        text.push_str("faults:\n");
        for _ in 0..kinds {
            let share = chance.share() * 0.14;
            let _ = writeln!(text, "  - {{ kind: \"{}\", share: {share:.4} }}", chance.pick(&FAULTS));
        }
    }
    text
}

/// A task that may use up to two of those before it.
fn task(chance: &mut Chance, index: u64) -> TaskFile {
    let mut on: Vec<String> = Vec::new();
    for _ in 0..2 {
        if index > 0 && chance.percent(20) {
            on.push(name(index - 1 - chance.below(index.min(20))));
        }
    }
    on.dedup();
    // Now and then so long that the provider caches what it begins with.
    let shared = if chance.percent(5) { 900 } else { chance.below(40) };
    let mut prompt = "plain words of no weight ".repeat(shared as usize);
    let _ = write!(prompt, "Task {index}.");
    for on in on.iter().filter(|_| chance.percent(60)) {
        let _ = write!(prompt, " {{{{ results.{on} }}}}");
    }
    let (agent, _) = AGENTS[chance.below(AGENTS.len() as u64) as usize];
    // The Responses API takes no less.
    let least = if agent == "responses" { 16 } else { 1 };
    TaskFile {
        id: name(index),
        prompt,
        depends_on: Some(on.into_iter().map(Into::into).collect()),
        agent: Some(agent.to_owned()),
        max_tokens: Some((chance.factor(0.3, 2.6) as u32).max(least)),
        ..TaskFile::default()
    }
}

fn name(index: u64) -> String {
    format!("t{index}")
}

/// The task at this place, by the name that messages use.
pub(super) fn named(plan: &Plan, id: TaskId) -> &str {
    &plan.task(id).name
}
