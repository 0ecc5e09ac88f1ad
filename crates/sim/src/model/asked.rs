//! What a request comes to when nothing goes wrong: its answer and when that comes, which depend on
//! the scenario, the seed and what the request says, and on nothing else.

use std::time::Duration;

use bytes::Bytes;
use sortie_core::hash::Hash;
use sortie_core::run::event::Finish;
use sortie_core::usage::Usage;
use sortie_providers::dialect::{Anthropic, Dialect, Part, Particulars, Request, Shape};
use sortie_providers::tokens::{self, Counter};

use super::{Refusal, cache, is_anthropic, models, room};
use crate::answer::{self, Answer, BYTES_PER_TOKEN, INPUT_OVERHEAD, Length};
use crate::directive::Steering;
use crate::scenario::{Latency, MAX_OUTPUT_TOKENS, Scenario};
use crate::timeline::{Pace, ServerRequest};
use sortie_core::chance::Chance;

/// How many times longer than allowed an overlong answer is.
const OVERLONG: u64 = 4;

/// A generation request and its answer.
pub(super) struct Asked {
    pub(super) dialect: &'static dyn Dialect,
    pub(super) request: Request,
    pub(super) said: Particulars,
    /// The body that says it, with what a kept response has said before it.
    pub(super) told: Bytes,
    pub(super) steering: Steering,
    /// What makes it this request and no other.
    pub(super) content: Hash,
    pub(super) answer: Answer,
    pub(super) usage: Usage,
    pub(super) pace: Pace,
    /// The network's share of the time, which error replies take too.
    pub(super) network: Duration,
}

impl Asked {
    /// Reads a request and works out its answer.
    pub(super) fn read(
        scenario: &Scenario,
        seed: u64,
        dialect: &'static dyn Dialect,
        request: &ServerRequest,
    ) -> Result<Self, Box<Refusal>> {
        let mut said = dialect.particulars(&request.body);
        let told = request.body.clone();
        let is_long = request.path != dialect.path() && room::is_long(&request.headers);
        let request = dialect.read(&request.headers, &told).map_err(Refusal::new)?;
        models::check_served(scenario, dialect, &request.model)?;
        said.tier = models::served_tier(dialect, &request.model, said.tier)?;
        let steering = Steering::read(&request.prompt)
            .map_err(|error| Refusal::says(dialect, 400, error.to_string()))?;
        let input = input_tokens(dialect, &request, &said);
        room::check(dialect, &request, (said.bound, is_long), input).map_err(Refusal::new)?;
        let content = content(dialect, &request, &said);
        let chance = |purpose| Chance::new(seed, &content, purpose);
        let tokens = (scenario.output_tokens.draw(&mut chance("output")) as u64).min(MAX_OUTPUT_TOKENS);
        let length = Length { tokens, untold: answer::drawn_thought(&mut chance("thought")) };
        let answer = answer::compose(&request, &said, &steering, length, &mut chance("words"));
        let output = answer.output_tokens;
        let web_searches = if dialect.name() == Anthropic.name() { steering.web_searches } else { 0 };
        let usage = Usage { input, output, web_searches, ..Usage::default() };
        let network = scenario.network(&mut chance("network"));
        let pace = pace(scenario, &mut chance("latency"), &steering, &answer, network);
        Ok(Asked {
            dialect,
            request,
            said,
            told,
            steering,
            content,
            answer,
            usage,
            pace,
            network: seconds(network),
        })
    }

    /// Takes in how its input is read, from caches or not.
    pub(super) fn read_as(&mut self, input: Usage) {
        let Usage { output, web_searches, .. } = self.usage;
        self.usage = Usage { output, web_searches, ..input };
    }

    /// Makes the answer longer than the request allows; its text begins anew where it would have ended.
    pub(super) fn lengthen(&mut self) {
        let tokens = OVERLONG * u64::from(self.request.max_tokens);
        let (answer, bytes) = (&mut self.answer, (tokens * answer::BYTES_PER_TOKEN) as usize);
        answer.text = answer.text.repeat(bytes / answer.text.len().max(1));
        (answer.finish, answer.output_tokens, self.usage.output) = (Finish::Stop, tokens, tokens);
        self.pace.pieces = answer::pieces(&self.answer.text).len();
    }
}

/// When the answer's tokens come; `network` is in seconds. A steered time is kept to the letter,
/// network included.
fn pace(
    scenario: &Scenario,
    chance: &mut Chance,
    steering: &Steering,
    answer: &Answer,
    network: f64,
) -> Pace {
    let (first, last) = match &scenario.latency {
        Latency::Paced { first_token, tokens_per_second } => {
            let (first, pace) = (first_token.draw(chance), tokens_per_second.draw(chance));
            let first = steering.ttft.unwrap_or(network + first);
            (first, first + answer.output_tokens as f64 / pace)
        }
        Latency::Total { seconds, first_token } => {
            let (total, first) = (network + seconds.draw(chance), network + first_token.draw(chance));
            (steering.ttft.unwrap_or(first.min(total)), total)
        }
    };
    let (first, last) = match steering.latency {
        Some(latency) => (first.min(latency), latency),
        None => (first, last.max(first)),
    };
    let pieces = answer::pieces(&answer.text).len();
    Pace { first: seconds(first), last: seconds(last), pieces }
}

pub(super) fn seconds(seconds: f64) -> Duration {
    Duration::from_micros((seconds * 1e6).round() as u64)
}

/// The input tokens that a request is billed for, of whatever kind: those of the model's own tokenizer
/// where it is published, so that whoever counts with it is not billed for more.
pub(super) fn input_tokens(dialect: &dyn Dialect, request: &Request, said: &Particulars) -> u64 {
    let counter = if is_anthropic(dialect) { None } else { tokens::of_model(&request.model) };
    match counter {
        Some(counter) => counted(counter, request, said),
        None if said.parts.is_empty() => answer::input_tokens(request),
        None => cache::total(said),
    }
}

fn counted(counter: &dyn Counter, request: &Request, said: &Particulars) -> u64 {
    let of_part = |part: &Part| {
        let is_text = part.bytes == part.text.len() as u64;
        if is_text { counter.count(&part.text) } else { part.bytes.div_ceil(BYTES_PER_TOKEN) }
    };
    let texts = if said.parts.is_empty() {
        counter.count(&request.prompt) + request.system.as_ref().map_or(0, |system| counter.count(system))
    } else {
        said.parts.iter().map(of_part).sum()
    };
    texts + INPUT_OVERHEAD
}

/// What makes two requests the same: all that they say, but not how they want the answer sent.
fn content(dialect: &dyn Dialect, request: &Request, said: &Particulars) -> Hash {
    let Request { model, system, prompt, max_tokens, temperature, stream: _, stop, shape, kept_as: _ } =
        request;
    let asked = serde_json::json!([dialect.name(), model, system, prompt, max_tokens, temperature]);
    let mut all = vec![asked.to_string()];
    // What few requests say changes nothing for those that do not say it.
    if !stop.is_empty() || *shape != Shape::Text {
        all.push(format!("{stop:?}{shape:?}"));
    }
    let plain = usize::from(system.is_some()) + 1;
    if said.parts.len() > plain || said.choices > 1 || said.thinking.is_some() {
        let texts: Vec<&str> = said.parts.iter().map(|part| part.text.as_str()).collect();
        all.push(format!("{texts:?}{}{:?}", said.choices, said.thinking));
    }
    Hash::of(all.concat().as_bytes())
}
