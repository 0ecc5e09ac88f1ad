//! The laws of times and lengths: the quantiles of what was measured, as of a server that answers one alone.

use std::collections::BTreeMap;

use super::evidence::{A_FEW, Evidence, MOMENT, Work};
use super::serving::{self, Found, Turn};
use super::stats;
use crate::scenario::{Latency, Law, MAX_OUTPUT_TOKENS, MAX_SECONDS, Samples, Span};

/// The most numbers of a law: enough for its 99th percentile.
const MOST_SAMPLES: usize = 100;

/// The digits of a number of a law: more than one measurement tells.
const DIGITS: i32 = 4;

/// The laws of a scenario.
#[derive(Debug)]
pub(super) struct Laws {
    pub(super) latency: Latency,
    pub(super) network_ms: Span,
    pub(super) output_tokens: Law,
}

/// The laws that calls follow, if they were served like this.
pub(super) fn find(evidence: &Evidence, found: &Found) -> Laws {
    let alone = Alone::of(evidence, found);
    let first_token = law(alone.firsts(), MAX_SECONDS);
    let latency = if evidence.by_length {
        let rates = alone.rest().map(|(call, rest)| call.tokens / rest);
        Latency::Paced { first_token, tokens_per_second: law(rates, f64::INFINITY) }
    } else {
        Latency::Total { seconds: law(alone.parts.iter().map(|part| part.all), MAX_SECONDS), first_token }
    };
    let network = rounded(evidence.network.unwrap_or(0.0) * 1000.0);
    let lengths = evidence.answered().map(|call| call.tokens);
    Laws {
        latency,
        network_ms: Span { min: network, max: network },
        output_tokens: whole(law(lengths, MAX_OUTPUT_TOKENS as f64)),
    }
}

/// Calls of one level are enough for the laws; then busier ones only tell how much slower they are.
const ENOUGH: usize = 40;

/// The answered calls beside which the fewest were being answered, as many levels of them as are enough: what
/// is in the way of busier ones spreads their times in ways that are not the law's.
fn least_busy<'a>(evidence: &'a Evidence, found: &'a Found) -> Vec<(&'a Work, Turn)> {
    let mut all: Vec<(&Work, Turn)> = serving::steady(evidence, found).collect();
    all.sort_by_key(|(_, turn)| turn.busy);
    if let Some(&(_, Turn { busy, .. })) = all.get(ENOUGH - 1) {
        all.retain(|(_, turn)| turn.busy <= busy);
    }
    all
}

/// Calls as if each had been alone: their parts are divided by how much slower such parts are, in the median,
/// where as many are being answered. Where answers as wholes are 2 times slower, their first tokens may be 3
/// times later: a scenario has one number for both, and the spread of each part is kept.
struct Alone<'a> {
    parts: Vec<Part<'a>>,
}

/// A call as if it had been alone, in seconds.
struct Part<'a> {
    call: &'a Work,
    /// To its first token; none where that is not known, or is blurred by its wait.
    first: Option<f64>,
    /// From there to its end; from its turn on where its first token is not known.
    rest: f64,
    /// From its turn to its end.
    all: f64,
}

impl<'a> Alone<'a> {
    fn of(evidence: &'a Evidence, found: &'a Found) -> Self {
        let all = least_busy(evidence, found);
        let firsts = |(call, turn): &(&Work, Turn)| serving::first(evidence, call, *turn);
        let each = |call: &Work| if evidence.by_length { call.tokens } else { 1.0 };
        let rest = |(call, turn): &(&Work, Turn)| {
            let (all, first) = (serving::served(evidence, call, *turn), firsts(&(call, *turn)));
            (all - first.unwrap_or(0.0)).max(MOMENT)
        };
        let prompt = |one: &&(&Work, Turn)| one.1.wait <= 0.0;
        let by_first = medians(all.iter().filter(prompt).filter_map(|one| Some((one.1.busy, firsts(one)?))));
        let by_rest = medians(all.iter().map(|one| (one.1.busy, rest(one) / each(one.0))));
        let part = |one: &(&'a Work, Turn)| Part {
            call: one.0,
            first: firsts(one)
                .filter(|_| one.1.wait <= 0.0)
                .map(|first| first / by_first.factor(found, one.1.busy)),
            rest: (rest(one) / by_rest.factor(found, one.1.busy)).max(MOMENT),
            all: serving::served(evidence, one.0, one.1) / found.factor(one.1.busy),
        };
        Alone { parts: all.iter().map(part).collect() }
    }

    fn firsts(&self) -> Vec<f64> {
        let known: Vec<f64> = self.parts.iter().filter_map(|part| part.first).collect();
        if known.is_empty() { vec![0.0] } else { known }
    }

    fn rest(&self) -> impl Iterator<Item = (&Work, f64)> {
        self.parts.iter().map(|part| (part.call, part.rest))
    }
}

/// The medians of a part by how many are being answered.
struct Medians {
    of: BTreeMap<usize, f64>,
    /// The fewest of those levels.
    least: usize,
}

fn medians(parts: impl Iterator<Item = (usize, f64)>) -> Medians {
    let mut by_busy: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    parts.for_each(|(busy, time)| by_busy.entry(busy).or_default().push(time));
    let enough = by_busy.into_iter().filter(|(_, times)| times.len() >= A_FEW);
    let of: BTreeMap<usize, f64> = enough
        .filter_map(|(busy, times)| Some((busy, stats::median(times).filter(|time| *time > 0.0)?)))
        .collect();
    Medians { least: of.keys().next().copied().unwrap_or(1), of }
}

impl Medians {
    /// How many times longer it takes than where the fewest are being answered; what whole answers take
    /// longer, where too few tell. Nothing is made of levels that the server does not slow down at.
    fn factor(&self, found: &Found, busy: usize) -> f64 {
        let (own, least) = (self.of.get(&busy), self.of.get(&self.least));
        let whole = found.factor(busy);
        match (own, least) {
            (Some(own), Some(least)) if whole > 1.0 => own / least * found.factor(self.least),
            _ => whole,
        }
    }
}

/// The quantiles of numbers, at most `most`.
fn law(numbers: impl IntoIterator<Item = f64>, most: f64) -> Law {
    let sorted = stats::sorted(numbers);
    let count = sorted.len().min(MOST_SAMPLES);
    let share = |n: usize| (n as f64 + 0.5) / count as f64;
    let numbers: Vec<f64> =
        (0..count).map(|n| rounded(stats::quantile(&sorted, share(n))).clamp(0.0, most)).collect();
    match numbers.first().filter(|first| numbers.last() == Some(first)) {
        Some(one) => Law::Fixed(*one),
        None => Law::Samples(Samples::Numbers(numbers.into())),
    }
}

/// The same of whole numbers, 1 at least.
fn whole(law: Law) -> Law {
    let near = |number: f64| number.round().max(1.0);
    match law {
        Law::Fixed(number) => Law::Fixed(near(number)),
        Law::Samples(Samples::Numbers(numbers)) => {
            Law::Samples(Samples::Numbers(numbers.iter().map(|number| near(*number)).collect()))
        }
        other => other,
    }
}

fn rounded(number: f64) -> f64 {
    if number <= 0.0 || !number.is_finite() {
        return 0.0;
    }
    let scale = 10f64.powi(DIGITS - 1 - number.log10().floor() as i32);
    (number * scale).round() / scale
}
