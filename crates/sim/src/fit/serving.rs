//! How many requests the server answers at a time, and how much slower it is then.
//!
//! For each number of slots the calls are put into the queue that there would have been: with the ends that
//! they really had, their turns follow. The number is taken under which the times to first tokens and to the
//! ends are explained best by `wait + slowdown(busy) × (first + tokens × per token)`; a number more that has to
//! be known has to pay for itself (Schwarz, "Estimating the dimension of a model", 1978, with deviations that
//! are Laplace's, because a few calls are far off).

use std::collections::BTreeMap;
use std::time::Duration;

use sortie_core::serving::{Queue, Serving};

use super::evidence::{A_FEW, Evidence, MOMENT, Work};
use super::stats;

/// The most slots that are tried; a server with more is one without bounds.
const MOST_SLOTS: usize = 128;

/// The share of a call's time by which those that waited may be faster for any reason.
const HARDLY: f64 = 0.03;

/// How many more or less, on average, are still as many; and of how many are being answered, likewise.
const STEADY: f64 = 0.5;
const STEADY_SHARE: f64 = 0.2;

/// The share of a usual call's time below which differences do not matter: what clocks and networks do.
const BLUR: f64 = 0.02;

/// What was found, with how each call fared under it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// None: as many as come.
    pub(super) slots: Option<u32>,
    /// For each number of calls that are being answered, from one: how many times longer an answer takes.
    pub(super) slowdown: Vec<f64>,
    /// How many answered calls were begun as one of so many.
    pub(super) levels: BTreeMap<usize, usize>,
    /// In the order of the evidence.
    pub(super) turns: Vec<Turn>,
}

/// How long a call waited, in seconds, and beside how many it was begun, itself included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) wait: f64,
    pub(super) busy: usize,
    /// Whether about as many were being answered while it was: the first calls of a test are begun alone, and
    /// take as long as all others.
    pub(super) is_steady: bool,
}

impl Found {
    /// As a scenario has it; nothing where nothing was found.
    pub(super) fn server(&self) -> Option<Serving> {
        let is_slower = self.slowdown.iter().any(|factor| *factor > 1.0);
        let slowdown = if is_slower { self.slowdown.clone() } else { Vec::new() };
        (is_slower || self.slots.is_some()).then_some(Serving { slots: self.slots, slowdown })
    }

    /// How many times longer than alone a call takes that is begun as one of so many.
    pub(super) fn factor(&self, busy: usize) -> f64 {
        Serving { slots: None, slowdown: self.slowdown.clone() }.factor(busy)
    }
}

/// What explains the calls best.
pub(super) fn find(evidence: &Evidence) -> Found {
    let nothing = || Found {
        slots: None,
        slowdown: Vec::new(),
        levels: BTreeMap::new(),
        turns: vec![Turn { wait: 0.0, busy: 1, is_steady: true }; evidence.calls.len()],
    };
    // Several providers are several servers.
    if evidence.widest == 1 || evidence.providers > 1 {
        return nothing();
    }
    let bounded = (1..evidence.widest.min(MOST_SLOTS)).map(|slots| Some(slots as u32));
    let tried = bounded.chain([None]).map(|slots| supposing(evidence, slots)).chain([nothing()]);
    let weighed = tried.map(|found| (badness(evidence, &found), found));
    // Of equals the later, which has less in it.
    let best = weighed.reduce(|best, next| if next.0 <= best.0 { next } else { best });
    best.map_or_else(nothing, |(_, found)| found)
}

/// Seconds of the network, where waiting hides it: while an answer is on its way the next one is begun, so those
/// that waited seem to take less than others. None where they hardly do.
pub(super) fn hidden_network(evidence: &Evidence, found: &Found) -> Option<f64> {
    let slots = found.slots? as usize;
    let usual = Usual::of(evidence, found);
    let ratios = |waited: bool, busy: usize| {
        let alike =
            steady(evidence, found).filter(move |(_, turn)| turn.busy == busy && (turn.wait > 0.0) == waited);
        alike.map(|(call, turn)| served(evidence, call, turn) / usual.time(call)).collect::<Vec<f64>>()
    };
    let is_enough = |ratios: &Vec<f64>| ratios.len() >= A_FEW;
    let waited = Some(ratios(true, slots)).filter(is_enough)?;
    // Nobody is faster for company: those beside fewer are at most as slow.
    let prompt = (1..=slots).rev().map(|busy| ratios(false, busy)).find(is_enough)?;
    let less = stats::median(prompt)? - stats::median(waited)?;
    let time = stats::median(evidence.answered().map(|call| usual.time(call)))?;
    (less > HARDLY).then_some(less * time)
}

/// How the calls fared if there are so many slots, and how much slower the server then was.
fn supposing(evidence: &Evidence, slots: Option<u32>) -> Found {
    let turns = turns(&evidence.calls, slots, evidence.network.unwrap_or(0.0));
    let mut found = Found { slots, slowdown: Vec::new(), levels: BTreeMap::new(), turns };
    let usual = Usual::of(evidence, &found);
    let mut ratios: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for (call, turn) in steady(evidence, &found) {
        let ratio = served(evidence, call, turn) / usual.time(call);
        ratios.entry(turn.busy).or_default().push(ratio);
    }
    found.levels = ratios.iter().map(|(busy, ratios)| (*busy, ratios.len())).collect();
    let known: Vec<(usize, f64, f64)> = ratios
        .into_iter()
        .filter_map(|(busy, ratios)| Some((busy, ratios.len() as f64, stats::median(ratios)?)))
        .collect();
    let even =
        stats::never_falling(&known.iter().map(|(_, count, ratio)| (*ratio, *count)).collect::<Vec<_>>());
    let levels: Vec<(usize, f64)> = known.iter().map(|(busy, ..)| *busy).zip(even).collect();
    let reference = levels.iter().find(|(busy, _)| *busy >= usual.busy).map_or(1.0, |(_, ratio)| *ratio);
    let most = levels.last().map_or(0, |(busy, _)| *busy);
    // Nobody is faster for company.
    let factor = |busy| hundredths((between(&levels, busy) / reference).max(1.0));
    found.slowdown = (1..=most).map(factor).collect();
    while found.slowdown.len() > 1 && found.slowdown.ends_with(&[found.slowdown[found.slowdown.len() - 2]; 2])
    {
        found.slowdown.pop();
    }
    found
}

fn hundredths(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// What a level has, or those about it have in proportion to their distance; beyond the ends what they have.
fn between(levels: &[(usize, f64)], busy: usize) -> f64 {
    let above = levels.iter().find(|(level, _)| *level >= busy);
    let below = levels.iter().rev().find(|(level, _)| *level <= busy);
    match (below, above) {
        (Some((low, a)), Some((high, b))) if high > low => {
            a + (b - a) * (busy - low) as f64 / (high - low) as f64
        }
        (Some((_, ratio)), _) | (None, Some((_, ratio))) => *ratio,
        (None, None) => 1.0,
    }
}

/// The turn of each call, from the ends that they had.
fn turns(calls: &[Work], slots: Option<u32>, network: f64) -> Vec<Turn> {
    let mut queue = Queue::default();
    let mut served = Vec::with_capacity(calls.len());
    let turn = |call: &Work| {
        // The slot is free as soon as the answer is on its way.
        let (start, end) = (micros(call.start), micros(call.start + (call.total - network).max(0.0)));
        let turn = queue.turn(slots, start);
        queue.take(None, turn.begins, end);
        served.push((turn.begins, end.max(turn.begins)));
        let wait = turn.begins.saturating_sub(start).as_secs_f64();
        Turn { wait, busy: turn.busy, is_steady: true }
    };
    let mut turns: Vec<Turn> = calls.iter().map(turn).collect();
    for (turn, among) in turns.iter_mut().zip(among(&served)) {
        let busy = turn.busy as f64;
        turn.is_steady = (among - busy).abs() <= (STEADY_SHARE * busy).max(STEADY);
    }
    let steady = calls.iter().zip(&turns).filter(|(call, turn)| call.is_answered && turn.is_steady).count();
    if steady < A_FEW {
        for turn in &mut turns {
            turn.is_steady = true;
        }
    }
    turns
}

/// How many there were on average while each was, itself included: from when until when each was.
fn among(served: &[(Duration, Duration)]) -> Vec<f64> {
    // One more or one less, with whose it is.
    let mut changes: Vec<(Duration, bool, usize)> = Vec::with_capacity(2 * served.len());
    for (index, (begins, ends)) in served.iter().enumerate() {
        changes.extend([(*begins, true, index), (*ends, false, index)]);
    }
    changes.sort_unstable();
    let (mut busy, mut sum, mut last) = (0.0, 0.0, Duration::ZERO);
    let mut sums = vec![0.0; served.len()];
    for (at, begins, index) in changes {
        sum += busy * at.saturating_sub(last).as_secs_f64();
        last = at;
        busy += if begins { 1.0 } else { -1.0 };
        sums[index] = if begins { sum } else { sum - sums[index] };
    }
    let each = served.iter().zip(sums);
    each.map(|((begins, ends), sum)| sum / ends.saturating_sub(*begins).as_secs_f64().max(MOMENT)).collect()
}

/// To the microsecond: what starts as something ends does not start beside it, however it was added up.
fn micros(seconds: f64) -> Duration {
    Duration::from_micros((seconds.max(0.0) * 1e6).round() as u64)
}

fn answered<'a>(evidence: &'a Evidence, found: &'a Found) -> impl Iterator<Item = (&'a Work, Turn)> {
    evidence.calls.iter().zip(found.turns.iter().copied()).filter(|(call, _)| call.is_answered)
}

/// Those that tell what it is like beside so many.
pub(super) fn steady<'a>(evidence: &'a Evidence, found: &'a Found) -> impl Iterator<Item = (&'a Work, Turn)> {
    answered(evidence, found).filter(|(_, turn)| turn.is_steady)
}

/// How long the server worked for a call, in seconds.
pub(super) fn served(evidence: &Evidence, call: &Work, turn: Turn) -> f64 {
    (call.total - turn.wait - evidence.network.unwrap_or(0.0)).max(MOMENT)
}

/// How long it took from a call's turn to its first token, in seconds.
pub(super) fn first(evidence: &Evidence, call: &Work, turn: Turn) -> Option<f64> {
    Some((call.first? - turn.wait - evidence.network.unwrap_or(0.0)).max(0.0))
}

/// A usual call where the fewest are being answered of which enough is known.
struct Usual {
    /// How many those are.
    busy: usize,
    first: f64,
    /// Seconds after it, for each token or for all.
    rest: f64,
    by_length: bool,
}

impl Usual {
    fn of(evidence: &Evidence, found: &Found) -> Self {
        let mut levels: BTreeMap<usize, usize> = BTreeMap::new();
        steady(evidence, found).for_each(|(_, turn)| *levels.entry(turn.busy).or_default() += 1);
        let known = levels.iter().find(|(_, calls)| **calls >= A_FEW).or(levels.iter().next());
        let busy = known.map_or(1, |(busy, _)| *busy);
        let alike = || steady(evidence, found).filter(|(_, turn)| turn.busy == busy);
        let first = stats::median(alike().filter_map(|(call, turn)| first(evidence, call, turn)));
        let first =
            first.unwrap_or_else(|| if evidence.by_length { intercept(evidence, alike()) } else { 0.0 });
        let rest = |(call, turn): (&Work, Turn)| {
            let rest = (served(evidence, call, turn) - first).max(MOMENT);
            if evidence.by_length { rest / call.tokens } else { rest }
        };
        Usual {
            busy,
            first,
            rest: stats::median(alike().map(rest)).unwrap_or(MOMENT),
            by_length: evidence.by_length,
        }
    }

    /// The time that a call would take, in seconds.
    fn time(&self, call: &Work) -> f64 {
        self.first + if self.by_length { self.rest * call.tokens } else { self.rest }
    }
}

/// What is left of the times of calls at length 0: the median of the slopes between two of them is taken for
/// what a token takes (Theil and Sen's estimator), 0 at least and never more than the shortest call.
fn intercept<'a>(evidence: &Evidence, calls: impl Iterator<Item = (&'a Work, Turn)>) -> f64 {
    /// Slopes grow with the square of this.
    const ENOUGH: usize = 200;
    let points: Vec<(f64, f64)> =
        calls.take(ENOUGH).map(|(call, turn)| (call.tokens, served(evidence, call, turn))).collect();
    let slopes = points.iter().enumerate().flat_map(|(n, one)| {
        let later = points[n + 1..].iter().filter(|other| (other.0 - one.0).abs() > 0.5);
        later.map(|other| (other.1 - one.1) / (other.0 - one.0))
    });
    let Some(slope) = stats::median(slopes).filter(|slope| *slope > 0.0) else { return 0.0 };
    let least = points.iter().map(|(_, time)| *time).fold(f64::INFINITY, f64::min);
    let left = stats::median(points.iter().map(|(tokens, time)| time - slope * tokens)).unwrap_or(0.0);
    left.clamp(0.0, least * 0.9)
}

/// How badly something explains the calls, and how much has to be known for it: the less the better.
fn badness(evidence: &Evidence, found: &Found) -> f64 {
    let usual = Usual::of(evidence, found);
    let network = evidence.network.unwrap_or(0.0);
    let blur = BLUR * stats::median(evidence.answered().map(|call| call.total)).unwrap_or(0.0);
    let off = |seen: f64, expected: f64| ((seen + blur) / (expected + blur)).ln().abs();
    let (mut sum, mut count) = (0.0, 0.0);
    for (call, turn) in answered(evidence, found) {
        let factor = found.factor(turn.busy);
        sum += off(call.total, network + turn.wait + factor * usual.time(call));
        count += 1.0;
        if let Some(seen) = call.first {
            sum += off(seen, network + turn.wait + factor * usual.first);
            count += 1.0;
        }
    }
    let mut factors = found.slowdown.clone();
    factors.dedup();
    factors.retain(|factor| *factor > 1.0);
    let known = factors.len() + usize::from(found.slots.is_some());
    count * (sum / count + MOMENT).ln() + known as f64 * f64::ln(count)
}
