//! What calls say, in the order of their starts, and how many there were at a time.

use std::collections::BTreeMap;

use sortie_core::failure::Class;

use super::{FEWEST, FitError, Observed, stats};
use crate::scenario::MAX_SECONDS;

/// Fewer calls than this say nothing of those that are like them.
pub(super) const A_FEW: usize = 5;

/// The earliest and the latest start that a clock may tell, in seconds: more than three thousand years.
const MAX_CLOCK: f64 = 1e11;

/// The share of the first tokens before which the network's time has to end.
const BEFORE: f64 = 0.05;

/// All calls that reached a server.
#[derive(Debug)]
pub(super) struct Evidence {
    /// Those that the server worked for, in the order of their starts.
    pub(super) calls: Vec<Work>,
    /// How many were sent, those that were refused included.
    pub(super) sent: usize,
    /// Seconds of the network there and back, where refusals show it.
    pub(super) network: Option<f64>,
    /// Whether the time of an answer depends on its length.
    pub(super) by_length: bool,
    /// The most calls at a time.
    pub(super) widest: usize,
    /// How many answered calls had so many beside them when they started, themselves included.
    pub(super) widths: BTreeMap<usize, usize>,
    /// How many different providers were called.
    pub(super) providers: usize,
}

/// A call that a server worked for, in seconds.
#[derive(Clone, Debug)]
pub(super) struct Work {
    /// Since the first call's start.
    pub(super) start: f64,
    /// From its start to its first token.
    pub(super) first: Option<f64>,
    /// From its start to its end.
    pub(super) total: f64,
    /// Tokens of its answer, 1 at least.
    pub(super) tokens: f64,
    /// Whether it was answered: what broke off held its slot, and says nothing more.
    pub(super) is_answered: bool,
    /// How many calls there were when it started, itself included.
    pub(super) beside: usize,
}

impl Work {
    /// From its first token to its last; all of its time where the first is not known.
    pub(super) fn generation(&self) -> f64 {
        (self.total - self.first.unwrap_or(0.0)).max(MOMENT)
    }
}

/// The shortest time that is told from none, in seconds.
pub(super) const MOMENT: f64 = 1e-6;

impl Evidence {
    pub(super) fn of(observed: &[Observed]) -> Result<Self, FitError> {
        let within = |time: f64| (0.0..=MAX_SECONDS).contains(&time);
        let makes_sense = |call: &Observed| {
            within(call.total_s)
                && call.first_token_s.is_none_or(within)
                && (-MAX_CLOCK..=MAX_CLOCK).contains(&call.started_s)
        };
        if let Some(index) = observed.iter().position(|call| !makes_sense(call)) {
            return Err(FitError::Senseless { index });
        }
        let sent: Vec<&Observed> = observed.iter().filter(|call| was_sent(call)).collect();
        let mut calls: Vec<Work> =
            sent.iter().filter(|call| was_begun(call)).map(|call| work(call)).collect();
        calls.sort_by(|a, b| a.start.total_cmp(&b.start));
        let origin = calls.first().map_or(0.0, |call| call.start);
        for call in &mut calls {
            call.start -= origin;
        }
        count_beside(&mut calls);
        let mut widths = BTreeMap::new();
        for call in calls.iter().filter(|call| call.is_answered) {
            *widths.entry(call.beside).or_default() += 1;
        }
        let answered = widths.values().sum();
        if answered < FEWEST {
            return Err(FitError::TooFew { answered });
        }
        let mut providers: Vec<&str> = sent.iter().map(|call| call.provider.as_str()).collect();
        providers.sort_unstable();
        providers.dedup();
        Ok(Evidence {
            sent: sent.len(),
            network: network(&sent),
            by_length: by_length(&calls, &widths),
            widest: calls.iter().map(|call| call.beside).max().unwrap_or(1),
            widths,
            providers: providers.len(),
            calls,
        })
    }

    /// The calls that were answered.
    pub(super) fn answered(&self) -> impl Iterator<Item = &Work> {
        self.calls.iter().filter(|call| call.is_answered)
    }

    /// Whether there are enough answered calls that had nobody beside them.
    pub(super) fn knows_one_alone(&self) -> bool {
        self.widths.get(&1).is_some_and(|calls| *calls >= A_FEW)
    }
}

/// A call that never left, or that was sent away to somewhere else.
fn was_sent(call: &Observed) -> bool {
    !call.failed.is_some_and(|failed| failed.class.is_unsent())
}

/// Whether an answer is one: of the model's words, whoever does not like them.
pub(super) fn is_answer(call: &Observed) -> bool {
    call.failed.is_none_or(|failed| matches!(failed.class, Class::Refused | Class::InvalidOutput))
}

/// Whether the server began with it: it is an answer, or broke off as one.
fn was_begun(call: &Observed) -> bool {
    let class = call.failed.map(|failed| failed.class);
    let breaks = matches!(class, Some(Class::CutOff | Class::Malformed | Class::Timeout));
    is_answer(call) || breaks || call.first_token_s.is_some()
}

fn work(call: &Observed) -> Work {
    Work {
        start: call.started_s,
        first: call.first_token_s.map(|first| first.min(call.total_s)),
        total: call.total_s.max(MOMENT),
        tokens: call.output_tokens.max(1) as f64,
        // An answer without a token is one of a kind.
        is_answered: is_answer(call) && call.output_tokens > 0,
        beside: 1,
    }
}

fn count_beside(calls: &mut [Work]) {
    let mut ends: Vec<f64> = Vec::new();
    for call in calls {
        ends.retain(|end| *end > call.start + MOMENT);
        ends.push(call.start + call.total);
        call.beside = ends.len();
    }
}

/// What refusals take, which nobody works for; unless it is as long as what others work for.
fn network(sent: &[&Observed]) -> Option<f64> {
    let is_refusal = |call: &&&Observed| {
        !was_begun(call) && call.failed.and_then(|failed| failed.status).is_some_and(|status| status >= 300)
    };
    let refusals = stats::sorted(sent.iter().filter(is_refusal).map(|call| call.total_s));
    let firsts = stats::sorted(
        sent.iter().filter(|call| is_answer(call)).map(|call| call.first_token_s.unwrap_or(call.total_s)),
    );
    let network = stats::quantile(&refusals, 0.5);
    (refusals.len() >= A_FEW && network < stats::quantile(&firsts, BEFORE)).then_some(network)
}

/// Whether times differ less when they are divided by lengths. Where all lengths are the same they may
/// have been the reason; they are taken for it.
fn by_length(calls: &[Work], widths: &BTreeMap<usize, usize>) -> bool {
    // Calls with as many beside them: others are slower for another reason.
    let most = widths.iter().max_by_key(|(_, count)| **count).map_or(1, |(width, _)| *width);
    let alike = || calls.iter().filter(|call| call.is_answered && call.beside == most);
    let times: Vec<f64> = alike().map(|call| call.generation().ln()).collect();
    let each: Vec<f64> = alike().map(|call| (call.generation() / call.tokens).ln()).collect();
    stats::spread(&each) <= stats::spread(&times)
}
