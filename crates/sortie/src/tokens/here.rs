//! Counts the prompts of agents whose models have a tokenizer in this program.

use std::collections::HashMap;
use std::num::NonZero;
use std::thread;

use sortie_core::agent::Agent;
use sortie_core::plan::{Plan, Prompt, Task};
use sortie_engine::store::Header;
use sortie_providers::tokens::{self, Counter};

use super::pieces;
use crate::binding::{Binding, host_of};
use crate::config::Endpoint;
use crate::config::written::Provider;

/// Bytes of text that are counted before a run, all prompts together: half a second of the most common
/// texts on one core. A plan with more starts at once, with bytes for its bound.
const MOST_BYTES: u64 = 32 << 20;
/// Bytes that a thread is worth.
const BYTES_PER_THREAD: u64 = 1 << 20;

/// Counts the fixed text of each task whose agent's tokenizer is known.
pub(crate) fn count_here(plan: &mut Plan, prompts: &[Prompt], endpoints: &[Endpoint]) {
    let counters = counters(plan, endpoints);
    let bytes = bytes(plan, &counters);
    if bytes == 0 || bytes > MOST_BYTES {
        return;
    }
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = (bytes.div_ceil(BYTES_PER_THREAD) as usize).min(cores);
    let mut counts = vec![None; plan.len()];
    let size = plan.len().div_ceil(threads);
    let shares = plan.tasks().chunks(size).zip(prompts.chunks(size)).zip(counts.chunks_mut(size));
    thread::scope(|scope| {
        for ((tasks, prompts), counts) in shares {
            let mut share = Share { counters: &counters, endpoints, systems: HashMap::new() };
            let count = move || {
                for ((task, prompt), count) in tasks.iter().zip(prompts).zip(counts) {
                    *count = share.count(task, prompt);
                }
            };
            // What one thread can do is done without another.
            if threads == 1 { count() } else { drop(scope.spawn(count)) }
        }
    });
    plan.count_tokens(counts);
}

/// Whether prompts of this run could be counted here, but are too long altogether.
pub fn is_too_long(header: &Header, binding: &Binding) -> bool {
    let counters = counters(&header.plan, &binding.endpoints);
    bytes(&header.plan, &counters) > MOST_BYTES
}

/// What counts the prompts of each agent.
type Counters = Vec<Option<&'static dyn Counter>>;

fn counters(plan: &Plan, endpoints: &[Endpoint]) -> Counters {
    plan.agents().iter().zip(endpoints).map(|(agent, endpoint)| counter_of(agent, endpoint)).collect()
}

/// As configured; unless told, where OpenAI itself is asked.
fn counter_of(agent: &Agent, endpoint: &Endpoint) -> Option<&'static dyn Counter> {
    match (endpoint.provider, endpoint.count_tokens) {
        (Provider::OpenAi, None) => tokens::of_model_at(host_of(endpoint), &agent.model),
        (Provider::OpenAi, Some(true)) => tokens::of_model(&agent.model),
        (Provider::OpenAi, Some(false)) | (Provider::Anthropic, _) => None,
    }
}

/// Bytes of all texts that are counted.
fn bytes(plan: &Plan, counters: &Counters) -> u64 {
    let is_counted = |task: &&Task| counters.get(task.agent.index()).is_some_and(Option::is_some);
    plan.tasks().iter().filter(is_counted).map(|task| task.prompt.fixed_bytes).sum()
}

/// What one thread counts.
struct Share<'a> {
    counters: &'a Counters,
    endpoints: &'a [Endpoint],
    /// Tokens of system prompts, which many tasks share, by the counter.
    systems: HashMap<(&'static str, &'a str), u64>,
}

impl<'a> Share<'a> {
    fn count(&mut self, task: &Task, prompt: &'a Prompt) -> Option<u64> {
        let counter = (*self.counters.get(task.agent.index())?)?;
        let (pieces, rest) = pieces(prompt);
        let system = prompt.system.as_deref().or(self.endpoints[task.agent.index()].system.as_deref());
        let system = system.map_or(0, |system| {
            let known = self.systems.entry((counter.name(), system));
            *known.or_insert_with(|| counter.count(system))
        });
        Some(pieces.into_iter().map(|piece| counter.count(piece)).sum::<u64>() + rest + system)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use sortie_core::document::Source;
    use sortie_core::plan::check::Checked;

    use super::*;
    use crate::config::Config;
    use crate::session::today;

    /// The counts of a plan of these prompts, by an agent with this system prompt.
    fn counts(prompts: impl Iterator<Item = String>) -> Vec<Option<u64>> {
        let config = "agents: { gpt: { provider: openai, model: gpt-4o, system: Be brief. } }";
        let config = Source::new("sortie.yaml", config.into()).unwrap();
        let config = Config::read(&config, &|_| None, today()).unwrap();
        let mut plan = String::new();
        for (n, prompt) in prompts.enumerate() {
            writeln!(plan, "{}", serde_json::json!({"id": n.to_string(), "prompt": prompt})).unwrap();
        }
        let plan = Source::new("plan.jsonl", plan.into()).unwrap();
        let Checked { mut plan, prompts, .. } = Checked::read(&plan, &config.routing()).unwrap();
        let endpoints: Vec<_> = config.agents.into_iter().map(|agent| agent.endpoint).collect();
        count_here(&mut plan, &prompts, &endpoints);
        plan.tasks().iter().map(|task| task.prompt.fixed_tokens).collect()
    }

    /// A prompt of words of so many tokens, and three of the system prompt's.
    fn words(n: usize) -> String {
        "a".to_owned() + &" word".repeat(n - 1)
    }

    #[test]
    fn each_task_has_its_own_count_however_many_threads_there_are() {
        for tasks in [1, 2, 3, 50] {
            // More bytes than one thread is worth, where there are fifty.
            let lengths = || (0..tasks).map(|n| n * 400 + 1);
            let expect: Vec<_> = lengths().map(|n| Some(n as u64 + 3)).collect();
            assert_eq!(counts(lengths().map(words)), expect);
        }
    }

    #[test]
    fn a_plan_that_is_too_long_altogether_is_not_counted() {
        let long = "x".repeat(100_000);
        let most = MOST_BYTES as usize / (long.len() + "Be brief.".len());
        assert_eq!(counts((0..=most).map(|_| long.clone())), vec![None; most + 1]);
    }
}
