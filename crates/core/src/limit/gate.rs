//! The limits of one account and model class, asked as one.

use std::collections::HashMap;
use std::time::Duration;

use super::concurrency::Concurrency;
use super::dimension::{Dimension, Left, Told};
use super::meter::{Heard, Meter};
use super::pace::Pace;
use super::part::Share;
use super::{GateSpec, Held, Learned, Scope, Verdict, WaitReason, burst_of};
use crate::run::event::AttemptId;
use crate::time::Time;
use crate::usage::Cost;

/// An attempt under way.
#[derive(Clone, Debug)]
struct UnderWay {
    /// The how manyth it is.
    number: u64,
    started: Time,
    ask: Cost,
    /// For each meter whether it counts this attempt.
    counted: Vec<bool>,
    /// What the head of its reply told, once it came.
    heard: Option<Vec<Left>>,
}

#[derive(Clone, Debug)]
pub(super) struct Gate {
    name: String,
    concurrency: Option<Concurrency>,
    meters: Vec<Meter>,
    pace: Pace,
    /// Whether the pace begins by finding out what nobody states.
    probes: bool,
    /// Whether anything was found out here, and not only by who was asked.
    has_learned: bool,
    /// Which part of the account is ours.
    share: Share,
    /// How late its quotas are counted ([`GateSpec::lag`]).
    lag: Duration,
    under_way: HashMap<AttemptId, UnderWay>,
    /// How many attempts ever started.
    starts: u64,
    /// The provider said slow down: nobody starts before this.
    closed_until: Time,
    /// Nothing passes before: those who use the account besides us have to know of us first.
    joins: Time,
    /// Whether a start was asked for since [`Gate::take_asked`] last told.
    asked: bool,
    /// When it said so, first, of the last time.
    closed_at: Option<Time>,
    /// Since when nothing was let in: the first refusal after the last call that was.
    refused_since: Option<Time>,
    /// When the gate opened after a refusal that none of the told quotas explains.
    doubted: Option<Time>,
}

/// How long a refusal that nothing explains is remembered: the next one within that time is a limit that
/// nobody tells.
const DOUBTED_FOR: Duration = Duration::from_secs(60);

impl Gate {
    pub(super) fn new(spec: &GateSpec) -> Self {
        let tokens =
            |dimension, rate: Option<u64>| rate.map(|rate| Meter::stated(dimension, rate, rate, spec.lag));
        let requests = spec.requests_per_minute.map(|rate| {
            Meter::stated(Dimension::Requests, u64::from(rate), u64::from(spec.requests_burst), spec.lag)
        });
        Gate {
            name: spec.name.clone(),
            concurrency: spec.max_concurrent.map(Concurrency::new),
            pace: if requests.is_none() && spec.probes { Pace::seeking() } else { Pace::idle() },
            probes: spec.probes,
            has_learned: false,
            meters: requests
                .into_iter()
                .chain(tokens(Dimension::InputTokens, spec.input_tokens_per_minute))
                .chain(tokens(Dimension::OutputTokens, spec.output_tokens_per_minute))
                .chain(tokens(Dimension::Tokens, spec.tokens_per_minute))
                .collect(),
            share: Share::ALL,
            lag: spec.lag,
            under_way: HashMap::new(),
            starts: 0,
            closed_until: Time::ZERO,
            joins: Time::ZERO,
            asked: false,
            closed_at: None,
            refused_since: None,
            doubted: None,
        }
    }

    /// What is stated is all that there is.
    pub(super) fn enforce(&mut self) {
        self.pace.known();
    }

    pub(super) fn check(&self, ask: &Cost, now: Time) -> Result<(), Held> {
        let held = |verdict, reason: WaitReason| {
            Err(Held { verdict, reason: reason.to_string(), scope: Scope::Gate })
        };
        let name = || self.name.clone();
        if self.closed_until > now {
            return held(Verdict::WaitUntil(self.closed_until), WaitReason::Throttled(name()));
        }
        if self.joins > now {
            return held(Verdict::WaitUntil(self.joins), WaitReason::Share(name()));
        }
        if self.concurrency.as_ref().is_some_and(Concurrency::is_full) {
            return held(Verdict::WaitForSettle, WaitReason::GateConcurrency(name()));
        }
        if self.pace.is_waiting_to_hear() {
            return held(Verdict::WaitForSettle, WaitReason::FirstWords(name()));
        }
        let meters = self.meters.iter();
        let waits = meters.filter_map(|meter| Some((meter.wait_for(ask, now)?, Some(meter.dimension()))));
        let pace = self.pace.wait_for(now).map(|until| (until, None));
        match waits.chain(pace).max_by_key(|(until, _)| *until) {
            None => Ok(()),
            Some((until, Some(quota))) => held(Verdict::WaitUntil(until), WaitReason::Quota(quota, name())),
            Some((until, None)) => held(Verdict::WaitUntil(until), WaitReason::Pace(name())),
        }
    }

    pub(super) fn reserve(&mut self, attempt: AttemptId, ask: &Cost, now: Time) {
        self.meters.iter_mut().for_each(|meter| meter.reserve(ask, now));
        let counted = vec![true; self.meters.len()];
        self.starts += 1;
        self.asked = true;
        let number = self.starts;
        self.pace.reserve(now);
        if let Some(concurrency) = &mut self.concurrency {
            concurrency.start();
        }
        self.under_way.insert(attempt, UnderWay { number, started: now, ask: *ask, counted, heard: None });
    }

    /// The head of an attempt's reply came.
    pub(super) fn hear(&mut self, attempt: AttemptId, told: &Told, now: Time) {
        let Some(one) = self.under_way.get_mut(&attempt) else { return };
        if one.heard.replace(told.quotas.clone()).is_some() {
            return;
        }
        let (started, number, ask, counted) = (one.started, one.number, one.ask, one.counted.clone());
        self.pace.heard(told.admitted, now);
        let place = |left: &Left| self.place_of(left.dimension).unwrap_or_else(|| self.begin(*left, now));
        let places: Vec<usize> = told.quotas.iter().map(place).collect();
        let behind = self.sent_behind(number);
        self.has_learned |= !told.quotas.is_empty();
        for (left, place) in told.quotas.iter().zip(places) {
            let is_reserved = counted.get(place).is_some_and(|counted| *counted);
            let reserved = if is_reserved { left.dimension.of(&ask) } else { 0 };
            let heard = Heard { started, number, reserved, since: behind[place] };
            self.meters[place].hear(*left, told.admitted, heard, now);
            if left.dimension == Dimension::Requests {
                self.pace.known();
            }
        }
    }

    /// How much of each quota the provider had not counted yet when it took in the attempt of this number,
    /// which was just heard of: what started later and is not heard of. What was heard of overtook it, as
    /// requests do that start together.
    fn sent_behind(&self, number: u64) -> Vec<u64> {
        let mut sums = vec![0; self.meters.len()];
        for one in self.under_way.values().filter(|one| one.number > number && one.heard.is_none()) {
            for ((sum, meter), counted) in sums.iter_mut().zip(&self.meters).zip(&one.counted) {
                *sum += if *counted { meter.dimension().of(&one.ask) } else { 0 };
            }
        }
        sums
    }

    /// A quota is told for the first time. Of the attempts under way, it knows those that have heard of it
    /// by what it is told; of the others nobody can say whether it does: they are counted beside it.
    fn begin(&mut self, left: Left, now: Time) -> usize {
        let mut meter = Meter::told(left, self.lag, now);
        let place = self.meters.len();
        for one in self.under_way.values_mut().filter(|one| one.heard.is_none()) {
            one.counted.resize(place, false);
            one.counted.push(true);
            meter.reserve(&one.ask, now);
        }
        self.add(meter, now)
    }

    fn place_of(&self, dimension: Dimension) -> Option<usize> {
        self.meters.iter().position(|meter| meter.dimension() == dimension)
    }

    /// One more quota, of which we have the part that we have of the others; where it is.
    fn add(&mut self, mut meter: Meter, now: Time) -> usize {
        meter.share(self.share, now);
        self.meters.push(meter);
        self.meters.len() - 1
    }

    /// An attempt has ended and took `used`.
    pub(super) fn settle(&mut self, attempt: AttemptId, used: &Cost, throttled: bool, now: Time) {
        let Some(UnderWay { started, ask, counted, heard, .. }) = self.under_way.remove(&attempt) else {
            return;
        };
        if heard.is_none() {
            self.pace.heard(!throttled, now);
        }
        if !throttled && self.refused_since.is_some_and(|since| since < started) {
            self.refused_since = None;
        }
        for (meter, _) in self.meters.iter_mut().zip(&counted).filter(|(_, counted)| **counted) {
            let told = heard.iter().flatten().any(|left| left.dimension == meter.dimension());
            meter.settle(&ask, used, told, now);
        }
        if let Some(concurrency) = &mut self.concurrency {
            concurrency.end();
        }
    }

    /// Whether an attempt was under way when the provider last said slow down: its own throttling then
    /// tells nothing new.
    pub(super) fn is_echo(&self, attempt: AttemptId) -> bool {
        let started = self.under_way.get(&attempt).map(|one| one.started);
        started.zip(self.closed_at).is_some_and(|(started, closed)| started <= closed)
    }

    /// The provider refused an attempt that is under way, because it is too much now: nobody passes
    /// before `until`.
    pub(super) fn throttled(&mut self, attempt: AttemptId, ramps: bool, until: Time, now: Time) {
        let is_echo = self.is_echo(attempt);
        if self.closed_until <= now {
            self.closed_at = Some(now);
        }
        self.closed_until = self.closed_until.max(until);
        self.refused_since.get_or_insert(now);
        if is_echo {
            return;
        }
        let explained = self.under_way.get(&attempt).is_some_and(|one| {
            let told = one.heard.iter().flatten();
            let explains = told.map(|left| {
                let meter = self.meters.iter_mut().find(|meter| meter.dimension() == left.dimension);
                meter.is_some_and(|meter| meter.explains(&one.ask, *left, now))
            });
            explains.fold(false, |any, one| any | one)
        });
        if explained && !ramps {
            return;
        }
        // Where quotas are told and there was room, one refusal may be of a moment, and its wait is enough.
        let trusted = self.meters.iter().any(|meter| meter.is_told(Dimension::Requests));
        let doubted = self.doubted.replace(self.closed_until);
        if ramps || !trusted || doubted.is_some_and(|opened| now.since(opened) < DOUBTED_FOR) {
            self.has_learned = true;
            self.pace.refused(ramps, self.closed_until, now);
        }
    }

    /// Where it is closed by a refusal: since when nothing was let in, and until when nothing will be.
    pub(super) fn throttled_for(&self, now: Time) -> Option<(Time, Time)> {
        let since = self.refused_since.filter(|_| self.closed_until > now);
        since.map(|since| (since, self.closed_until))
    }

    /// The user states another rate of requests.
    pub(super) fn set_requests_per_minute(&mut self, per_minute: u32, now: Time) {
        let (rate, burst) = (u64::from(per_minute), u64::from(burst_of(per_minute)));
        if let Some(place) = self.place_of(Dimension::Requests) {
            self.meters[place].state(rate, burst, now);
        } else {
            self.add(Meter::stated(Dimension::Requests, rate, burst, self.lag), now);
        }
        self.pace.known();
    }

    /// Others use this account, too: which part of it is ours.
    pub(super) fn share(&mut self, share: Share, now: Time) {
        let share = Share { users: share.users.max(1), ..share };
        self.pace.share(share.users, self.share.users, now);
        self.share = share;
        self.meters.iter_mut().for_each(|meter| meter.share(share, now));
    }

    /// The same for who has just come to others: they have what there is, and hear of it by `until`.
    pub(super) fn join(&mut self, share: Share, until: Time, now: Time) {
        self.share(share, now);
        self.joins = until;
        self.meters.iter_mut().for_each(|meter| meter.used_up(until));
    }

    /// Nothing passes before `until`, and what there is stays ours.
    pub(super) fn stand_aside(&mut self, until: Time) {
        self.joins = until;
    }

    /// A start was asked for and has to wait.
    pub(super) fn held(&mut self) {
        self.asked = true;
    }

    /// Whether a start was asked for since [`Gate::take_asked`].
    pub(super) fn is_asked(&self) -> bool {
        self.asked
    }

    /// The same, counted anew from now on.
    pub(super) fn take_asked(&mut self) -> bool {
        std::mem::take(&mut self.asked)
    }

    pub(super) fn left(&self, now: Time) -> Vec<Left> {
        self.meters.iter().map(|meter| meter.left(now)).collect()
    }

    pub(super) fn is_used(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Whether it is still finding out what the limits are.
    pub(super) fn is_seeking(&self) -> bool {
        self.pace.is_seeking()
    }

    /// What was sent so far is known by records, and what was found out by it is not.
    pub(super) fn rebuilt(&mut self) {
        let is_stated = self.place_of(Dimension::Requests).is_some();
        self.pace = if self.probes && !is_stated { Pace::seeking() } else { Pace::idle() };
        self.has_learned = false;
    }

    /// What was found out here, with what had been known before: who only heard of it has no news of it.
    pub(super) fn learned(&self, now: Time) -> Option<Learned> {
        if !self.has_learned {
            return None;
        }
        let quotas: Vec<_> = self.meters.iter().filter_map(|meter| meter.learned(now)).collect();
        let rate = self.pace.rate().map(|rate| rate * f64::from(self.share.users));
        (!quotas.is_empty() || rate.is_some()).then_some(Learned { at: now, quotas, rate })
    }

    /// Others have seen how much the buckets hold.
    pub(super) fn heed(&mut self, learned: &Learned, now: Time) {
        for quota in &learned.quotas {
            if let Some(place) = self.place_of(quota.dimension) {
                self.meters[place].heed(quota, now);
            }
        }
    }

    pub(super) fn recall(&mut self, learned: &Learned, now: Time) {
        for quota in &learned.quotas {
            if let Some(place) = self.place_of(quota.dimension) {
                self.meters[place].recall(quota, learned.at, now);
            } else {
                self.add(Meter::recalled(quota, self.lag, learned.at, now), now);
            }
            if quota.dimension == Dimension::Requests {
                self.pace.known();
            }
        }
        if let Some(rate) = learned.rate {
            self.pace = Pace::recalled(rate / f64::from(self.share.users), now);
        }
    }
}
