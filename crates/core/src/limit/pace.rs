//! How fast to start requests where nobody says what the limit is, or where it is less than was said.
//!
//! A refusal tells more than "too fast": the account's bucket is empty at that moment. What was taken in
//! between two refusals, over the time between them, is therefore the rate of the refill itself, whatever
//! the bucket holds. From there the pace follows a cubic as TCP's CUBIC does (RFC 9438): a little below
//! the rate at first, flat around it, then faster and faster until the next refusal, which comes once in
//! half a minute and finds few calls under way. Before the first refusal the pace doubles every five
//! seconds, and hardly more calls than were answered wait to hear whether they were taken in.
//!
//! Three clocks are kept apart: the gate's (until when a provider wants nobody to come), this measure's
//! (only while the gate is open), and the curve's, which begins when the gate opens again. A named wait of
//! minutes changes none of the others. Neither does a time in which nobody wants to start: the search and the
//! curve stand still, because nothing is tried, and the measure begins anew, because buckets fill meanwhile.

use std::time::Duration;

use super::MINUTE;
use super::bucket::Bucket;
use crate::time::Time;

/// The first pace of all, in requests a second, and how many may start at once then: what the default of
/// `max_concurrent` asks of answers within 200 ms, so that small runs lose nothing. An account that allows
/// less answers a few calls 429, which cost nothing.
const FIRST: f64 = 50.0;
const FIRST_AT_ONCE: u32 = 10;

/// In which time the first pace doubles.
const DOUBLES_IN: Duration = Duration::from_secs(5);

/// A minute of doubling, to two hundred thousand a second, without a refusal: there is no limit of requests.
const SOUGHT_FOR: Duration = Duration::from_secs(60);

/// When the curve is back at the measured rate: after as long as the measure took, since what was measured
/// in a moment is soon to be doubted; at most after this long, or after so many requests, so that slow
/// accounts are not asked for more too often.
const FLAT: Duration = Duration::from_secs(15);
const FLAT_REQUESTS: f64 = 35.0;
const FLAT_LEAST: Duration = Duration::from_secs(2);
/// The same, of what it was before: one early refusal says little against a longer measure.
const FLAT_KEPT: f64 = 0.7;

/// The rate after a refusal before anything was taken in, in requests a second.
const UNMEASURED: f64 = 1.0;

/// After so many times that long the curve reaches twice the rate.
const DOUBLE: f64 = 3.0;

/// A provider that says "slow down" for growing too fast wants no more than half as much again within a
/// quarter of an hour (OpenAI's documentation of errors).
const RAMP_DOUBLES_IN: Duration = Duration::from_secs(30 * 60);

/// What a refusal leaves of the pace before any rate was measured.
const FIRST_CUT: f64 = 0.7;

/// So many requests' worth the last measure counts beside the new one: few requests are a poor measure.
const PRIOR: f64 = 3.0;

/// How far below a pace that was refused the refill is, where a bucket holds next to nothing.
const BELOW_REFUSED: f64 = 0.91;

/// A refusal that comes sooner than this, or before so many requests, comes of a bucket that was nearly empty all
/// the time.
const SOON: Duration = Duration::from_secs(4);
const SOON_REQUESTS: f64 = 4.0;

/// A gate that stays closed for longer fills buckets to the brim, and what comes out of them then tells
/// little of the rate.
const LONGEST_MEASURED: Duration = Duration::from_secs(5);

/// The same where nobody wants to start.
const QUIET: Duration = Duration::from_secs(1);

/// So many requests' worth fill no bucket, however long they take.
const FEW: f64 = 2.0;

/// The longest time that a measure is taken over, or so many requests: an account that was not used up for
/// longer had a full bucket meanwhile.
const MEASURED: Duration = Duration::from_secs(60);
const MEASURED_REQUESTS: f64 = 2.0 * FLAT_REQUESTS;

/// The slowest pace, in requests a second: one a minute.
const SLOWEST: f64 = 1.0 / 60.0;

/// Who is woken so much too late may catch up; at a slow pace nobody has to, and the next comes alone.
const LATE: Duration = Duration::from_millis(20);

/// Without a refusal for so long, and for ten times what it takes to be back at the rate, there is no limit of this
/// kind any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);
const FORGOTTEN_AFTER_REQUESTS: f64 = 10.0 * FLAT_REQUESTS;

/// Requests are counted in thousandths, because a bucket counts whole numbers.
const SCALE: u64 = 1000;

#[derive(Clone, Debug)]
pub(super) struct Pace {
    phase: Phase,
    bucket: Bucket,
    /// Calls that wait for their first word.
    unheard: u32,
    /// Since when the pace would let the next request start: what is later is no use of it.
    free_at: Time,
    /// Requests that were taken in since `since`.
    taken_in: u32,
    /// When the measure began.
    since: Time,
    /// In which state the account's bucket was then.
    begun: Begun,
}

/// What is known of the account's bucket when a measure begins.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Begun {
    /// It was empty, or nearly.
    Empty,
    /// It had been empty, and then nothing was taken from it for so long.
    Rested(Duration),
    /// Nothing.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Other limits bind.
    Idle,
    /// Nothing is known: faster and faster.
    Seeking { since: Time, window: u32 },
    /// A rate was measured, in requests a second, or guessed at; the curve begins at a time.
    Following { rate: f64, is_measured: bool, since: Time, curve: Curve },
}

/// How the pace grows from a measured rate.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Curve {
    /// As a cubic that is back at the rate after so many seconds.
    Cubic { flat: f64 },
    /// Slowly, because the provider minds growth itself.
    Ramp,
}

impl Pace {
    /// One that does not bind until something is refused.
    pub(super) fn idle() -> Self {
        Pace {
            phase: Phase::Idle,
            bucket: Bucket::full(u64::MAX >> 32, SCALE, Duration::ZERO),
            unheard: 0,
            free_at: Time::ZERO,
            taken_in: 0,
            since: Time::ZERO,
            begun: Begun::Unknown,
        }
    }

    /// One that knows nothing and begins carefully.
    pub(super) fn seeking() -> Self {
        Pace { phase: Phase::Seeking { since: Time::ZERO, window: FIRST_AT_ONCE }, ..Pace::idle() }
    }

    /// One that goes on at a rate that was learned before, in requests a second.
    pub(super) fn recalled(rate: f64, now: Time) -> Self {
        let mut pace = Pace::idle();
        pace.follow(rate, true, now, Curve::Cubic { flat: FLAT.as_secs_f64() });
        pace
    }

    /// So many use the account, where there were `before`: each has its part. Where nothing is known and
    /// others are there, what may start at once is theirs: one call finds out what is left.
    pub(super) fn share(&mut self, users: u32, before: u32, now: Time) {
        if users != before && self.since != Time::ZERO {
            // What was taken in so far is of another part.
            self.begin(now.max(self.since), Begun::Unknown);
        }
        match &mut self.phase {
            Phase::Following { rate, .. } => *rate *= f64::from(before) / f64::from(users),
            Phase::Seeking { window, .. } if users > 1 && self.since == Time::ZERO => *window = 1,
            Phase::Seeking { .. } | Phase::Idle => {}
        }
    }

    /// The limits are known from elsewhere: nothing is to be sought.
    pub(super) fn known(&mut self) {
        if matches!(self.phase, Phase::Seeking { .. }) {
            self.phase = Phase::Idle;
        }
    }

    /// The measured rate in requests a second.
    pub(super) fn rate(&self) -> Option<f64> {
        match self.phase {
            Phase::Following { rate, .. } => Some(rate),
            Phase::Idle | Phase::Seeking { .. } => None,
        }
    }

    /// Whether it is still finding out.
    pub(super) fn is_seeking(&self) -> bool {
        matches!(self.phase, Phase::Seeking { .. })
    }

    /// Whether too many calls wait for their first word.
    pub(super) fn is_waiting_to_hear(&self) -> bool {
        matches!(self.phase, Phase::Seeking { window, .. } if self.unheard >= window)
    }

    /// When the next request may start; none where it may now.
    pub(super) fn wait_for(&self, now: Time) -> Option<Time> {
        (self.phase != Phase::Idle).then(|| self.bucket.wait_for(SCALE, now))?
    }

    pub(super) fn reserve(&mut self, now: Time) {
        self.unheard += 1;
        if self.since == Time::ZERO {
            self.begin(now, Begun::Unknown);
        }
        self.stand_still(now.since(self.free_at), now);
        self.forget(now);
        self.steer(now);
        self.bucket.take(SCALE, now);
        self.free_at = self.bucket.wait_for(SCALE, now).unwrap_or(now);
    }

    fn begin(&mut self, since: Time, begun: Begun) {
        (self.since, self.begun, self.taken_in) = (since, begun, 0);
    }

    /// Nobody wanted to start for so long.
    fn stand_still(&mut self, idle: Duration, now: Time) {
        self.free_at = self.free_at.max(now);
        if let Phase::Seeking { since, .. } | Phase::Following { since, .. } = &mut self.phase {
            *since = (*since + idle).min(now);
        }
        if idle > self.negligible(QUIET) {
            self.begin(now, Begun::Unknown);
            // What was tried beyond the rate says nothing of the bucket that is there now.
            if let Phase::Following { since, curve: Curve::Cubic { flat }, .. } = &mut self.phase {
                *since = (*since).max(now - Duration::from_secs_f64(*flat));
            }
        }
    }

    /// In which time a bucket does not fill, at least so long.
    fn negligible(&self, least: Duration) -> Duration {
        self.rate().map_or(least, |rate| least.max(Duration::from_secs_f64(FEW / rate)))
    }

    /// What is long past says little of the rate: from time to time one half of it is forgotten.
    fn forget(&mut self, now: Time) {
        let requests = self.rate().map_or(0.0, |rate| MEASURED_REQUESTS / rate);
        let measured = now.since(self.since);
        if measured > MEASURED.max(Duration::from_secs_f64(requests)) {
            self.since = now - measured / 2;
            self.taken_in /= 2;
            self.begun = Begun::Unknown;
        }
    }

    /// A call heard its first word, or ended without one.
    pub(super) fn heard(&mut self, admitted: bool, now: Time) {
        if self.is_waiting_to_hear() {
            self.free_at = self.free_at.max(now);
        }
        self.unheard = self.unheard.saturating_sub(1);
        if admitted {
            self.taken_in += 1;
            if let Phase::Seeking { window, .. } = &mut self.phase {
                *window += 1;
            }
        }
        self.steer(now);
    }

    /// A request was refused that should have been taken in; the gate opens again at `until`.
    /// `ramps`: because the account grew too fast.
    pub(super) fn refused(&mut self, ramps: bool, until: Time, now: Time) {
        let took = now.since(self.since).as_secs_f64();
        let (rate, is_measured) = self.rate_refused(took, now);
        let rate = rate.max(SLOWEST);
        let most = FLAT.as_secs_f64().max(FLAT_REQUESTS / rate);
        let before = match self.phase {
            Phase::Following { curve: Curve::Cubic { flat }, .. } => flat,
            _ => 0.0,
        };
        let least = FLAT_LEAST.as_secs_f64().max(FEW / rate).max(before * FLAT_KEPT).min(most);
        let cubic = Curve::Cubic { flat: took.clamp(least, most) };
        self.follow(rate, is_measured, until, if ramps { Curve::Ramp } else { cubic });
        let closed = until.since(now);
        if closed <= self.negligible(LONGEST_MEASURED) {
            self.begin(now, Begun::Empty);
        } else {
            self.begin(until, Begun::Rested(closed));
        }
    }

    /// The rate that a refusal shows after a measure of so many seconds, and whether that is a measure or a guess.
    fn rate_refused(&self, took: f64, now: Time) -> (f64, bool) {
        let taken_in = f64::from(self.taken_in);
        let Phase::Following { rate, is_measured, since, .. } = self.phase else {
            let so_far = if taken_in > 0.0 { taken_in / took.max(1.0) } else { UNMEASURED };
            return (so_far.min(self.per_second(now) * FIRST_CUT), false);
        };
        // At most so much refilled: the bucket may have held some of it.
        let most = taken_in.max(0.5) / took.max(1.0);
        match self.begun {
            Begun::Empty => {
                let measured = (taken_in + PRIOR) / (took + PRIOR / rate);
                // A small bucket ran over while we were slower than its refill: then the pace that was
                // just refused knows better, and the longer it took to get there the more so.
                let tried = (self.per_second(now) * BELOW_REFUSED).max(measured);
                let open = now.since(since).as_secs_f64().min(took);
                let soon = SOON.as_secs_f64().max(SOON_REQUESTS / rate);
                let trust = ((open - soon) / soon).clamp(0.0, 1.0);
                (measured + (tried - measured) * trust, true)
            }
            // What came out of a full bucket at last is no measure, but a sign.
            Begun::Unknown => (rate.max(most * FIRST_CUT), is_measured),
            Begun::Rested(rested) => {
                // And at least so much, where nothing ran over meanwhile.
                let rested = rested.min(MEASURED).as_secs_f64();
                let least = taken_in.max(0.5) / (took.max(1.0) + rested);
                let between = rate.clamp(least, most);
                let guess = if is_measured {
                    between.max(rate * FIRST_CUT)
                } else if took >= rested {
                    between
                } else {
                    (least * most).sqrt()
                };
                (guess, false)
            }
        }
    }

    fn follow(&mut self, rate: f64, is_measured: bool, since: Time, curve: Curve) {
        self.phase = Phase::Following { rate, is_measured, since, curve };
        self.free_at = since;
        self.steer(since);
    }

    /// For how long the pace was used since a time, in seconds.
    fn used_since(&self, since: Time, now: Time) -> f64 {
        now.min(self.free_at).since(since).as_secs_f64()
    }

    /// The pace now, in requests a second.
    fn per_second(&self, now: Time) -> f64 {
        match self.phase {
            Phase::Idle => f64::from(u32::MAX),
            Phase::Seeking { since, .. } => {
                let doublings = self.used_since(since, now) / DOUBLES_IN.as_secs_f64();
                FIRST * doublings.min(20.0).exp2()
            }
            Phase::Following { rate, since, curve: Curve::Ramp, .. } => {
                rate * (1.0 + self.used_since(since, now) / RAMP_DOUBLES_IN.as_secs_f64())
            }
            Phase::Following { rate, since, curve: Curve::Cubic { flat }, .. } => {
                let at = (self.used_since(since, now) - flat) / (flat * (DOUBLE - 1.0));
                rate * (1.0 + at.powi(3))
            }
        }
    }

    /// Sets the bucket to the pace of this moment.
    fn steer(&mut self, now: Time) {
        let (since, most) = match self.phase {
            Phase::Idle => return,
            Phase::Seeking { since, .. } => (since, SOUGHT_FOR.as_secs_f64()),
            Phase::Following { since, rate, .. } => {
                (since, FORGOTTEN_AFTER.as_secs_f64().max(FORGOTTEN_AFTER_REQUESTS / rate))
            }
        };
        if self.used_since(since, now) > most {
            self.phase = Phase::Idle;
        }
        let per_second = self.per_second(now).min(1e6);
        let at_once = match self.phase {
            Phase::Idle => return,
            Phase::Seeking { .. } => f64::from(FIRST_AT_ONCE),
            Phase::Following { .. } => (per_second * LATE.as_secs_f64()).max(1.0),
        };
        let scale = SCALE as f64;
        let per_minute = per_second * MINUTE.as_secs_f64() * scale;
        self.bucket.change(per_minute as u64, (at_once * scale) as u64, now);
    }
}
