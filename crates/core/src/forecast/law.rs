//! How a call is drawn: its length, its time, its input, and whether it fails.
//!
//! A law is fitted to past calls of the same kind of agent, of the task's own type where there are
//! enough of them. A call takes `base + per_token × output tokens` (least squares over the past
//! calls), times a ratio that is drawn from those that past calls had to that line; an answer has the
//! mean length times such a ratio. So whatever shape the times have, the forecast's have it too.
//!
//! Without history the line is what orders the queue ([`graph::expected`]: 0.8 s and 60 tokens/s),
//! the length is 500 tokens (SPEC.md C1), ratios are lognormal, and a token is four bytes of input
//! (SPEC.md C1). What is not known of the world is drawn too, once for each play ([`Weather`]):
//! without history that is much, with a thousand calls little.
//!
//! What a plan says of a task goes before what either knows.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::history::{Calls, PastCall};
use super::ratio::{Ratios, line, mean};

use crate::agent::AgentId;
use crate::chance::{Chance, probit};
use crate::limit::GateSpec;
use crate::plan::{Plan, Task, TaskId, graph};
use crate::run::OVERHEAD_TOKENS;
use crate::serving::Serving;
use crate::usage::Usage;

/// Past calls that make a law: fewer say little more than the defaults.
const ENOUGH: usize = 8;

/// How answers differ in length where nothing is known: the standard deviation of the logarithm.
const LENGTH_SIGMA: f64 = 0.5;
/// How calls of one length differ in time, likewise: SPEC.md M1's 2 to 10 s are ±2 of these around
/// 4.5 s.
const TIME_SIGMA: f64 = 0.35;
/// How far the default length and the default pace may be off as a whole: models differ by two in
/// both directions.
const UNKNOWN: f64 = 0.4;
/// How far what a plan says of its tasks may be off as a whole.
const HINTED: f64 = 0.1;
/// How much one day differs from the next, whatever was measured before.
const DAY: f64 = 0.05;

/// Input tokens to one that bytes bound, where nothing is known: SPEC.md C1's four characters a token,
/// of one byte each.
const INPUT_RATIO: f64 = 0.25;
/// Input tokens of a request beyond those of its texts, where these were counted: three for the answer
/// that is to follow, and four for each message (OpenAI's cookbook, "How to count tokens with
/// tiktoken"), of which there is one.
const FRAME_TOKENS: f64 = 7.0;
/// UTF-8 bytes to an output token where nothing is known. English prose has 4.8 with o200k.
const BYTES_PER_TOKEN: f64 = 4.0;
/// How many times shorter than the shortest past answer one may be, and an input than the leanest.
const SHORTER_STILL: f64 = 2.0;

/// How many times longer an answer would have been that `max_tokens` ended, where none was longer.
const LONGER_STILL: f64 = 2.0;

/// What a law was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The documented defaults.
    Defaults,
    /// So many past calls.
    History(usize),
}

/// How the calls of a plan are drawn.
#[derive(Clone, Debug)]
pub struct Laws {
    distinct: Vec<Law>,
    /// The law of each task.
    of: Vec<u32>,
    basis: BTreeMap<AgentId, Basis>,
    provider: Option<Provider>,
    /// How many calls are answered at a time, where that is known, and how long they are on their way.
    serving: Option<(Serving, Duration)>,
    /// The tasks whose hints tell nothing of who answers; empty where all do.
    without_hints: Vec<bool>,
    /// How long each task's call takes, where that is stated.
    stated: Vec<Duration>,
}

/// What the plan says of a task's answer, where that tells something.
#[derive(Clone, Copy, Default)]
pub(super) struct Hints {
    tokens: Option<f64>,
    seconds: Option<f64>,
}

impl Hints {
    /// What is written.
    fn of(task: &Task) -> Self {
        Hints {
            tokens: task.expected_output_tokens.map(f64::from),
            seconds: task.expected.map(|expected| expected.as_secs_f64()),
        }
    }
}

/// What is known of the limits that the provider itself keeps to.
#[derive(Clone, Debug)]
pub(super) struct Provider {
    /// One for each gate of the settings.
    pub(super) limits: Vec<GateSpec>,
    /// How long it takes to hear that a call is refused, at least and at most.
    pub(super) refusal: RangeInclusive<Duration>,
}

impl Laws {
    /// Laws for the tasks of a plan, from the past calls of their agents.
    pub fn new<'c>(plan: &Plan, calls: impl Fn(AgentId) -> Option<&'c Calls>) -> Self {
        let (of, basis) = (Vec::with_capacity(plan.len()), BTreeMap::new());
        let (distinct, without_hints, stated) = (Vec::new(), Vec::new(), Vec::new());
        let mut laws = Laws { distinct, of, basis, provider: None, serving: None, without_hints, stated };
        let mut known: BTreeMap<(AgentId, &str), u32> = BTreeMap::new();
        for task in plan.tasks() {
            let law = *known.entry((task.agent, &task.task_type)).or_insert_with(|| {
                let past = calls(task.agent);
                let (law, basis) = past
                    .map_or((Law::unknown(), Basis::Defaults), |past| Law::learned(past, &task.task_type));
                laws.drawn_from(task.agent, basis, past.map_or(0, |past| past.answered.len()));
                laws.distinct.push(law);
                laws.distinct.len() as u32 - 1
            });
            laws.of.push(law);
        }
        laws
    }

    /// Adds what another law of an agent was made from; two laws may share calls, of which there are so many.
    fn drawn_from(&mut self, agent: AgentId, basis: Basis, all: usize) {
        let known = self.basis.entry(agent).or_insert(Basis::History(0));
        *known = match (*known, basis) {
            (Basis::History(known), Basis::History(more)) => Basis::History((known + more).min(all)),
            (_, basis) => basis,
        };
    }

    /// The same, where the provider is known to have these limits, one for each gate of the settings: a
    /// call past them is refused after any time of `refusal`, the same for all calls of a task, and told
    /// how many whole seconds to wait.
    #[must_use]
    pub fn with_provider_limits(self, limits: Vec<GateSpec>, refusal: RangeInclusive<Duration>) -> Self {
        Laws { provider: Some(Provider { limits, refusal }), ..self }
    }

    /// What the provider itself is known to allow, one for each gate of the settings; empty where nobody knows.
    pub fn provider_limits(&self) -> &[GateSpec] {
        self.provider.as_ref().map_or(&[], |provider| &provider.limits)
    }

    /// The same, where the provider allows something else; nothing where nobody knows what it does.
    #[must_use]
    pub fn where_provider_allows(mut self, change: impl FnOnce(&mut [GateSpec])) -> Self {
        if let Some(provider) = &mut self.provider {
            change(&mut provider.limits);
        }
        self
    }

    /// The same, where all calls go to one server that answers so many at a time: what calls take is
    /// what they take alone, of which the network has so much.
    #[must_use]
    pub fn with_server(self, serving: Option<Serving>, network: Duration) -> Self {
        Laws { serving: serving.map(|serving| (serving, network)), ..self }
    }

    /// The same, where the plan's hints tell nothing of the answers to these tasks: whoever answers
    /// does not do what they expect of a model. They still order the queue.
    #[must_use]
    pub fn without_hints(self, of: impl Fn(TaskId) -> bool) -> Self {
        let without_hints = (0..self.of.len() as u32).map(|id| of(TaskId(id))).collect();
        Laws { without_hints, ..self }
    }

    /// The same, where each task's call takes so long, in the order of the plan. That is not known beforehand: it
    /// orders no queue.
    #[must_use]
    pub fn stating(self, durations: Vec<Duration>) -> Self {
        Laws { stated: durations, ..self }
    }

    /// What the plan's hints tell of a task's calls, and what is stated of them.
    pub(super) fn hints(&self, id: TaskId, task: &Task) -> Hints {
        let hints = match self.without_hints.get(id.index()) {
            Some(true) => Hints::default(),
            _ => Hints::of(task),
        };
        let stated = self.stated.get(id.index()).map(Duration::as_secs_f64);
        Hints { seconds: stated.or(hints.seconds), ..hints }
    }

    /// What is known of the provider's own limits.
    pub(super) fn provider(&self) -> Option<&Provider> {
        self.provider.as_ref()
    }

    /// How many calls are answered at a time, where that is known, and how long they are on their way.
    pub(super) fn serving(&self) -> Option<&(Serving, Duration)> {
        self.serving.as_ref()
    }

    /// What the laws of each agent were made from.
    pub fn basis(&self) -> &BTreeMap<AgentId, Basis> {
        &self.basis
    }

    /// The law of a task's calls.
    pub(super) fn of(&self, id: TaskId) -> &Law {
        &self.distinct[self.of[id.index()] as usize]
    }
}

/// What a play does not know of the world, as standard normal quantiles: how fast and how long-winded
/// all its calls are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    pace: f64,
    length: f64,
}

impl Weather {
    /// The weather of the n-th of so many plays: even over the distribution, so that few plays show
    /// all of it; the two are paired by the golden ratio, which no small number of plays follows.
    pub(super) fn of_play(n: usize, plays: usize) -> Self {
        const GOLDEN: f64 = 0.618_033_988_749_894_9;
        let half = 0.5 / plays as f64;
        let paired = (0.5 + n as f64 * GOLDEN).fract().clamp(half, 1.0 - half);
        Weather { pace: probit(n as f64 / plays as f64 + half), length: probit(paired) }
    }
}

/// A call as it was drawn.
pub(super) struct Drawn {
    pub(super) usage: Usage,
    pub(super) output_bytes: u64,
    pub(super) took: Duration,
}

/// How the calls of one kind are drawn.
#[derive(Clone, Debug)]
pub(super) struct Law {
    /// Output tokens of an answer; none: by what the plan expects.
    mean_tokens: Option<f64>,
    length: Ratios,
    /// Seconds of a call of no tokens, and of each token; none: by what the plan expects.
    line: Option<(f64, f64)>,
    time: Ratios,
    /// Input tokens to one that bytes bound.
    input_ratio: f64,
    /// The share of input tokens that a cache gives.
    cached: f64,
    bytes_per_token: f64,
    /// How far length and pace may be off as a whole, as standard deviations of logarithms.
    length_doubt: f64,
    pace_doubt: f64,
    /// How long the failed ones of `calls` calls took.
    failed: Arc<[Duration]>,
    calls: usize,
}

impl Law {
    fn unknown() -> Self {
        Law {
            mean_tokens: None,
            length: Ratios::lognormal(LENGTH_SIGMA),
            line: None,
            time: Ratios::lognormal(TIME_SIGMA),
            input_ratio: INPUT_RATIO,
            cached: 0.0,
            bytes_per_token: BYTES_PER_TOKEN,
            length_doubt: UNKNOWN,
            pace_doubt: UNKNOWN,
            failed: Arc::from([]),
            calls: 0,
        }
    }

    /// A law from past calls, of this type of task where there are enough.
    fn learned(past: &Calls, task_type: &str) -> (Self, Basis) {
        let of_type: Vec<&PastCall> =
            past.answered.iter().filter(|call| *call.task_type == *task_type).collect();
        let calls = if of_type.len() >= ENOUGH { of_type } else { past.answered.iter().collect() };
        if calls.len() < ENOUGH {
            return (Law::unknown(), Basis::Defaults);
        }
        let tokens: Vec<f64> = calls.iter().map(|call| call.output_tokens as f64).collect();
        let seconds: Vec<f64> = calls.iter().map(|call| call.took.as_secs_f64()).collect();
        let lengths = lengths(&calls);
        let mean_tokens = mean(&lengths).max(1.0);
        let (base, per_token) = line(&tokens, &seconds);
        let fitted = tokens.iter().map(|tokens| base + per_token * tokens);
        let time = Ratios::of(seconds.iter().zip(fitted).map(|(took, fitted)| took / fitted.max(1e-6)));
        let length = Ratios::of(lengths.iter().map(|tokens| tokens / mean_tokens));
        let sum = |of: fn(&PastCall) -> u64| calls.iter().map(|call| of(call) as f64).sum::<f64>();
        let (bound, input) = (sum(|call| call.bytes_bound), sum(|call| call.input_tokens));
        let (output, bytes) = (sum(|call| call.output_tokens), sum(|call| call.output_bytes));
        let share = |part: f64, whole: f64, unless: f64| if whole > 0.0 { part / whole } else { unless };
        let doubt = |ratios: &Ratios| (ratios.sigma() / (calls.len() as f64).sqrt()).hypot(DAY);
        let law = Law {
            mean_tokens: Some(mean_tokens),
            line: Some((base, per_token)),
            input_ratio: share(input, bound, INPUT_RATIO),
            cached: share(sum(|call| call.cache_read), input, 0.0).min(1.0),
            bytes_per_token: share(bytes, output, BYTES_PER_TOKEN),
            length_doubt: doubt(&length),
            pace_doubt: doubt(&time),
            failed: past.failed.clone().into(),
            calls: past.failed.len() + past.answered.len(),
            length,
            time,
        };
        (law, Basis::History(calls.len()))
    }

    /// What a call at a task is expected to be, of so many reserved input tokens.
    pub(super) fn expected(&self, task: &Task, hints: Hints, reserved_input: u64) -> Drawn {
        let tokens = self.mean_tokens(hints).min(f64::from(task.max_tokens));
        self.drawn(task, reserved_input, tokens, self.mean_seconds(hints, tokens))
    }

    /// A call at a task that brings its answer.
    pub(super) fn draw(
        &self,
        task: &Task,
        hints: Hints,
        reserved_input: u64,
        weather: Weather,
        chance: &mut Chance,
    ) -> Drawn {
        let doubt = |hint: Option<f64>, doubt: f64| if hint.is_some() { doubt.min(HINTED) } else { doubt };
        let length_doubt = doubt(hints.tokens, self.length_doubt);
        let tokens =
            self.mean_tokens(hints) * self.length.draw(chance) * (weather.length * length_doubt).exp();
        let tokens = tokens.clamp(1.0, f64::from(task.max_tokens));
        let pace_doubt = doubt(hints.seconds, self.pace_doubt);
        let pace = self.time.draw(chance) * (weather.pace * pace_doubt).exp();
        self.drawn(task, reserved_input, tokens, self.mean_seconds(hints, tokens) * pace)
    }

    /// How long a call takes that fails and is tried again; none: it does not fail.
    pub(super) fn draw_failure(&self, chance: &mut Chance) -> Option<Duration> {
        let drawn = chance.below(self.calls as u64) as usize;
        self.failed.get(drawn).copied()
    }

    /// Input and output tokens of a call at a task that could hardly have fewer.
    pub(super) fn shortest(&self, task: &Task, hints: Hints) -> (u64, u64) {
        let is_known = hints.tokens.is_some() || self.mean_tokens.is_some();
        // Of what nobody knows, an answer may be a word.
        let output =
            if is_known { self.mean_tokens(hints) * self.length.least() / SHORTER_STILL } else { 1.0 };
        let input = match task.prompt.fixed_tokens {
            Some(tokens) => tokens as f64,
            None => task.prompt.fixed_bytes as f64 * self.input_ratio,
        };
        ((input / SHORTER_STILL) as u64, output.clamp(1.0, f64::from(task.max_tokens)) as u64)
    }

    fn drawn(&self, task: &Task, reserved_input: u64, tokens: f64, seconds: f64) -> Drawn {
        let output = (tokens.round() as u64).clamp(1, u64::from(task.max_tokens));
        let input = self.input(task, reserved_input).round().max(1.0);
        let cache_read = (input * self.cached).round() as u64;
        let usage = Usage { input: input as u64 - cache_read, cache_read, output, ..Usage::default() };
        let output_bytes = (output as f64 * self.bytes_per_token).round() as u64;
        // Whole microseconds, as all times of a run.
        Drawn { usage, output_bytes, took: Duration::from_micros((seconds * 1e6).round() as u64) }
    }

    /// The input tokens of a call with this reservation: what was counted is as it was counted, the rest
    /// is as it always was.
    fn input(&self, task: &Task, reserved_input: u64) -> f64 {
        let Some(counted) = task.prompt.fixed_tokens else {
            return reserved_input as f64 * self.input_ratio;
        };
        let inserted = reserved_input.saturating_sub(task.prompt.fixed_bound() + OVERHEAD_TOKENS);
        counted as f64 + FRAME_TOKENS + inserted as f64 * self.input_ratio
    }

    /// How many tokens answers have in the mean, before `max_tokens` cuts any.
    fn mean_tokens(&self, hints: Hints) -> f64 {
        hints.tokens.or(self.mean_tokens).unwrap_or(f64::from(graph::EXPECTED_OUTPUT_TOKENS))
    }

    /// How long an answer of so many tokens takes, in the mean.
    fn mean_seconds(&self, hints: Hints, tokens: f64) -> f64 {
        match (hints.seconds, self.line) {
            (Some(seconds), _) => seconds,
            (None, Some((base, per_token))) => base + per_token * tokens,
            (None, None) => graph::seconds_for(tokens),
        }
    }
}

/// The lengths that these answers would have had. One that `max_tokens` ended is taken for as long as those
/// that are longer in the mean, where some are.
fn lengths(calls: &[&PastCall]) -> Vec<f64> {
    let tokens = |call: &PastCall| call.output_tokens as f64;
    let mut whole: Vec<f64> = calls.iter().filter(|call| !call.is_cut).map(|call| tokens(call)).collect();
    whole.sort_unstable_by(f64::total_cmp);
    let length = |call: &&PastCall| {
        let cut = tokens(call);
        let longer = &whole[whole.partition_point(|whole| *whole <= cut)..];
        match (call.is_cut, longer) {
            (false, _) => cut,
            (true, []) => cut * LONGER_STILL,
            (true, longer) => mean(longer),
        }
    };
    calls.iter().map(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weather_of_few_plays_is_even_in_both() {
        for plays in [7, 50, 200] {
            let weather: Vec<Weather> = (0..plays).map(|n| Weather::of_play(n, plays)).collect();
            let (pace, length): (Vec<f64>, Vec<f64>) = weather.iter().map(|w| (w.pace, w.length)).unzip();
            let product: f64 = weather.iter().map(|w| w.pace * w.length).sum::<f64>() / plays as f64;
            assert!(mean(&pace).abs() < 1e-9, "{plays}");
            assert!(mean(&length).abs() < 0.15, "{plays}: {}", mean(&length));
            assert!(product.abs() < 0.35, "{plays}: {product}");
        }
    }
}
