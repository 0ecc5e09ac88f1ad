//! One quota of an account as we know it: configured, told by replies, or both.
//!
//! What replies tell lags behind: it was true when the provider took that request in, and does not
//! count what was sent since. So it is brought forward by what we sent and by what refilled meanwhile,
//! and counts only where it is worse than our own books: those hold every request from the moment that
//! it is sent, at its upper bound.
//!
//! The two are kept apart. What a request did not use of its bound comes back to our books when it ends;
//! what was told counts what it really took, so there the bound goes as soon as its own head tells.
//!
//! A provider's bucket may be smaller than its quota of a minute, and headers do not say so: 60 a minute
//! may be enforced as one a second (Anthropic's documentation of rate limits). So a burst is taken to be
//! a second's worth, and is tried deeper by a quarter of what was granted; the refusal that follows names
//! the bucket's size, which is then kept to.

use std::time::Duration;

use super::bucket::{Bucket, UNIT};
use super::dimension::{Dimension, Left};
use super::learned::LearnedQuota;
use super::part::{Own, Share};
use crate::time::Time;
use crate::usage::Cost;

/// A burst is tried deeper by this part of what was granted: what is refused then is no more than that.
const TRIED_DEEPER: u64 = 4;

/// What replies told too much of is forgotten by this part with each newer one: of what is not heard of yet, some
/// overtook the request whose reply tells, and is counted twice. A burst's worst such reply would hold back
/// what follows as long as the bucket is not full.
const FORGOTTEN: i128 = 8;

impl LearnedQuota {
    /// How much the bucket is taken to hold.
    pub(super) fn capacity(&self) -> u64 {
        Known::from(self).capacity(self.dimension)
    }
}

/// A rate that somebody stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stated {
    per_minute: u64,
    burst: u64,
}

/// What replies have told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    limit: u64,
    /// The deepest that a request was granted: that much was missing then.
    granted: u64,
    /// How much the bucket holds, as a refusal showed.
    burst: Option<u64>,
}

impl From<&LearnedQuota> for Known {
    fn from(learned: &LearnedQuota) -> Self {
        Known { limit: learned.limit.max(1), granted: learned.granted, burst: learned.burst }
    }
}

impl Known {
    fn capacity(&self, dimension: Dimension) -> u64 {
        if dimension != Dimension::Requests {
            return self.burst.unwrap_or(self.limit);
        }
        let deeper = self.granted.saturating_add((self.granted / TRIED_DEEPER).max(1));
        let tried = (self.limit / 60).max(deeper);
        self.burst.unwrap_or(tried).min(self.limit)
    }
}

/// An attempt whose reply tells a quota.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    /// When it started.
    pub(super) started: Time,
    /// The how manieth it was that started, counted from 1.
    pub(super) number: u64,
    /// What was reserved for it.
    pub(super) reserved: u64,
    /// What was sent since and is counted in nothing that was heard.
    pub(super) since: u64,
}

/// One quota of one gate.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    dimension: Dimension,
    stated: Option<Stated>,
    known: Option<Known>,
    /// The account's bucket by our own books.
    account: Bucket,
    /// The same by what replies told, whoever uses it.
    heard: Bucket,
    /// Whose reply told it that started last.
    newest: u64,
    /// Which part of the account is ours.
    share: Share,
    /// That part, where others share it.
    own: Option<Own>,
}

impl Meter {
    /// A quota that is configured.
    pub(super) fn stated(dimension: Dimension, per_minute: u64, burst: u64, lag: Duration) -> Self {
        let stated = Stated { per_minute: per_minute.max(1), burst: burst.max(1) };
        Meter::new(dimension, Some(stated), None, lag, Time::ZERO)
    }

    /// A quota that a reply has told.
    pub(super) fn told(left: Left, lag: Duration, now: Time) -> Self {
        let known = Known { limit: left.limit.max(1), granted: 0, burst: None };
        Meter::new(left.dimension, None, Some(known), lag, now)
    }

    /// A quota that an earlier run has learned at a time. Where the clock was set back since, that is now:
    /// a bucket gains nothing before its time.
    pub(super) fn recalled(learned: &LearnedQuota, lag: Duration, at: Time, now: Time) -> Self {
        let at = at.min(now);
        let mut meter = Meter::new(learned.dimension, None, Some(learned.into()), lag, at);
        meter.lacks(i128::from(learned.missing) * UNIT, at);
        meter.change(now);
        meter
    }

    fn new(
        dimension: Dimension,
        stated: Option<Stated>,
        known: Option<Known>,
        lag: Duration,
        now: Time,
    ) -> Self {
        let account = Bucket::full(1, 1, lag);
        let heard = account.clone();
        let mut meter =
            Meter { dimension, stated, known, account, heard, newest: 0, share: Share::ALL, own: None };
        meter.change(now);
        meter
    }

    pub(super) fn dimension(&self) -> Dimension {
        self.dimension
    }

    /// Whether it is of this kind, and replies have told it.
    pub(super) fn is_told(&self, dimension: Dimension) -> bool {
        self.dimension == dimension && self.known.is_some()
    }

    /// Takes over what an earlier run has learned; a configured rate stays the upper bound.
    pub(super) fn recall(&mut self, learned: &LearnedQuota, at: Time, now: Time) {
        let recalled = Meter::recalled(learned, self.account.lag(), at, now);
        self.known = recalled.known;
        self.lacks(recalled.missing(now), now);
        self.change(now);
    }

    /// Others who use the same account have seen what its bucket holds: each would have to be refused for it.
    pub(super) fn heed(&mut self, learned: &LearnedQuota, now: Time) {
        if let Some(known) = &mut self.known
            && known.limit == learned.limit
            && known.burst.is_none()
            && learned.burst.is_some()
        {
            known.burst = learned.burst;
            self.change(now);
        }
    }

    /// What is worth remembering.
    pub(super) fn learned(&self, now: Time) -> Option<LearnedQuota> {
        let known = self.known?;
        let missing = u64::try_from(self.missing(now) / UNIT).unwrap_or(u64::MAX);
        Some(LearnedQuota {
            dimension: self.dimension,
            limit: known.limit,
            burst: known.burst,
            granted: known.granted,
            missing,
        })
    }

    /// The user states another rate while the run goes on: what may start now stays what it was.
    pub(super) fn state(&mut self, per_minute: u64, burst: u64, now: Time) {
        self.stated = Some(Stated { per_minute: per_minute.max(1), burst: burst.max(1) });
        self.change_holding(now);
    }

    /// Others use this account, too: which part of it is ours.
    pub(super) fn share(&mut self, share: Share, now: Time) {
        self.share = Share { users: share.users.max(1), ..share };
        self.change(now);
    }

    /// Others have used it up, as far as anybody knows, until a time.
    pub(super) fn used_up(&mut self, until: Time) {
        self.account.used_up(until);
        self.heard.used_up(until);
        self.own.iter_mut().for_each(|own| own.used_up(until));
    }

    /// What a provider with this quota would tell of it.
    pub(super) fn left(&self, now: Time) -> Left {
        let limit = self.account.per_minute();
        let missing = u64::try_from((self.missing(now) + UNIT - 1) / UNIT).unwrap_or(u64::MAX);
        Left { dimension: self.dimension, limit, remaining: limit.saturating_sub(missing) }
    }

    /// When an attempt may start; none where it may now.
    pub(super) fn wait_for(&self, ask: &Cost, now: Time) -> Option<Time> {
        let amount = self.dimension.of(ask);
        let buckets = [&self.account, &self.heard].into_iter();
        let own = self.own.iter().filter_map(|own| own.wait_for(amount, now));
        buckets.filter_map(|bucket| bucket.wait_for(amount, now)).chain(own).max()
    }

    /// Takes what an attempt asks.
    pub(super) fn reserve(&mut self, ask: &Cost, now: Time) {
        let amount = self.dimension.of(ask);
        self.account.take(amount, now);
        self.heard.take(amount, now);
        self.own.iter_mut().for_each(|own| own.take(amount, now));
    }

    /// An attempt has ended; `told`: its head told this quota.
    pub(super) fn settle(&mut self, ask: &Cost, used: &Cost, told: bool, now: Time) {
        let unused = self.dimension.unused(ask, used);
        let is_told = told && self.dimension.is_told_for_a_bound();
        if !is_told {
            self.heard.give_back(unused, now);
        }
        self.account.give_back(unused, now);
        self.own.iter_mut().for_each(|own| own.give_back(unused, now));
    }

    /// A reply to an attempt tells this quota, with what the attempt really took of what was reserved.
    pub(super) fn hear(
        &mut self,
        left: Left,
        admitted: bool,
        Heard { started, number, reserved, since }: Heard,
        now: Time,
    ) {
        let limit = left.limit.max(1);
        let lacked = limit.saturating_sub(left.remaining);
        let same = self.known.filter(|known| known.limit == limit);
        let mut known = same.unwrap_or(Known { limit, granted: 0, burst: None });
        if admitted || same.is_none() {
            // No bucket lacks more than it holds, also where this one was refused.
            known.granted = known.granted.max(lacked);
        }
        if admitted {
            // What was granted from deeper shows that a refusal was no bucket's.
            known.burst = known.burst.filter(|burst| lacked <= *burst);
        }
        if self.known != Some(known) {
            self.known = Some(known);
            if same.is_some() {
                self.change(now);
            } else {
                // A debt to a larger quota would be one of minutes to a smaller one.
                self.change_holding(now);
            }
        }
        if self.dimension.is_told_for_a_bound() {
            self.heard.give_back(i128::from(reserved), now);
        }
        let refilled = now.since(started).as_micros().cast_signed() * i128::from(limit);
        let sent = i128::from(lacked) + i128::from(since);
        let missing = sent * UNIT - refilled;
        // Where nothing is left, more may be owed than can be told.
        if number > self.newest && left.remaining > 0 {
            self.newest = number;
            let over = self.heard.missing(now) - missing;
            self.heard.gives_up(over.max(0) / FORGOTTEN, now);
        }
        self.heard.lacks(missing, now);
    }

    /// The provider refused an attempt, and told this of the quota: whether that explains it.
    pub(super) fn explains(&mut self, ask: &Cost, left: Left, now: Time) -> bool {
        if left.remaining < self.dimension.of(ask).min(left.limit) {
            return true;
        }
        // There should have been room: for requests, because the bucket is smaller than the quota.
        let lacked = left.limit.saturating_sub(left.remaining);
        match &mut self.known {
            Some(known)
                if self.dimension == Dimension::Requests
                    && (1..self.account.capacity()).contains(&lacked) =>
            {
                known.burst = Some(lacked);
                self.change(now);
                true
            }
            _ => false,
        }
    }

    /// What it lacks to be full, as far as anybody knows, in units.
    fn missing(&self, now: Time) -> i128 {
        self.account.missing(now).max(self.heard.missing(now))
    }

    /// It lacks at least so many units, whoever took them.
    fn lacks(&mut self, units: i128, now: Time) {
        self.account.lacks(units, now);
        self.heard.lacks(units, now);
    }

    /// The same as [`Meter::change`], but what may start now stays what it was.
    fn change_holding(&mut self, now: Time) {
        let [account, heard] = [&self.account, &self.heard].map(|bucket| bucket.holds(now));
        self.change(now);
        self.account.hold(account, now);
        self.heard.hold(heard, now);
    }

    /// What was stated or became known decides the buckets.
    fn change(&mut self, now: Time) {
        let told = self.known.map(|known| (known.limit, known.capacity(self.dimension)));
        let (per_minute, capacity) = match (self.stated, told) {
            (Some(stated), Some((limit, _))) => {
                let seen = self.known.and_then(|known| known.burst).unwrap_or(u64::MAX);
                (stated.per_minute.min(limit), stated.burst.min(seen))
            }
            (Some(stated), None) => (stated.per_minute, stated.burst),
            (None, Some(told)) => told,
            (None, None) => return,
        };
        self.account.change(per_minute, capacity, now);
        self.heard.change(per_minute, capacity, now);
        self.own = (self.share.users > 1).then(|| {
            // Of what is there now, too.
            let holds = self.account.holds(now).min(self.heard.holds(now));
            let mut own = self.own.take().unwrap_or_else(|| Own::of(&self.account, holds, now));
            own.change(self.dimension, &self.account, self.share, now);
            own
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Usd;

    const FIRST: Heard = Heard { started: Time::ZERO, number: 1, reserved: 0, since: 0 };
    const ASK: Cost = Cost { usd: Usd::ZERO, input_tokens: 1, output_tokens: 1 };

    fn left(remaining: u64) -> Left {
        Left { dimension: Dimension::Requests, limit: 600, remaining }
    }

    fn meter() -> Meter {
        Meter::told(left(600), Duration::ZERO, Time::ZERO)
    }

    #[test]
    fn a_refusal_with_something_left_tells_how_much_the_bucket_holds() {
        let mut meter = meter();
        assert_eq!(meter.account.capacity(), 10, "a second's worth");
        assert!(meter.explains(&ASK, left(596), Time::ZERO));
        assert_eq!(meter.account.capacity(), 4);
        assert_eq!(meter.learned(Time::ZERO).unwrap().burst, Some(4));
    }

    #[test]
    fn what_a_burst_told_too_much_of_is_forgotten() {
        let mut meter = meter();
        let hear = |meter: &mut Meter, number, since| {
            meter.hear(left(590), true, Heard { number, since, ..FIRST }, Time::ZERO);
            meter.left(Time::ZERO).remaining
        };
        // Eight that it counts already are not heard of yet.
        assert_eq!(hear(&mut meter, 1, 8), 582);
        assert_eq!(hear(&mut meter, 1, 0), 582, "an older one knows nothing better");
        let after = (2..20).map(|number| hear(&mut meter, number, 0)).collect::<Vec<_>>();
        assert!(after.is_sorted() && after.last() == Some(&589), "{after:?}");
    }

    #[test]
    fn a_refusal_that_tells_a_smaller_quota_tells_of_no_debt() {
        let mut meter = meter();
        meter.hear(Left { limit: 300, ..left(0) }, false, FIRST, Time::ZERO);
        assert_eq!(meter.wait_for(&ASK, Time::ZERO), Some(Time::from_micros(200_000)));
    }

    #[test]
    fn a_grant_from_deeper_shows_that_a_refusal_was_no_bucket_s() {
        let mut meter = meter();
        assert!(meter.explains(&ASK, left(599), Time::ZERO));
        assert_eq!(meter.account.capacity(), 1);
        meter.hear(left(580), true, FIRST, Time::ZERO);
        assert_eq!(meter.account.capacity(), 25, "tried a quarter deeper");
    }

    #[test]
    fn what_comes_back_of_a_bound_is_not_taken_from_what_was_told() {
        let left = |dimension, remaining| Left { dimension, limit: 60_000, remaining };
        let ask = Cost { input_tokens: 5_000, ..ASK };
        let used = Cost { input_tokens: 1_000, ..ASK };
        // Others took the rest.
        let of_input = left(Dimension::InputTokens, 2_000);
        let mut meter = Meter::told(left(Dimension::InputTokens, 60_000), Duration::ZERO, Time::ZERO);
        meter.reserve(&ask, Time::ZERO);
        assert_eq!(meter.left(Time::ZERO).remaining, 55_000);
        meter.hear(of_input, true, Heard { reserved: 5_000, ..FIRST }, Time::ZERO);
        assert_eq!(meter.left(Time::ZERO).remaining, 2_000);
        meter.settle(&ask, &used, true, Time::ZERO);
        assert_eq!(meter.left(Time::ZERO).remaining, 2_000);
        // Where no head told it, all that was not used comes back.
        meter.reserve(&used, Time::ZERO);
        meter.settle(&used, &ASK, false, Time::ZERO);
        assert_eq!(meter.left(Time::ZERO).remaining, 1_999);
    }

    #[test]
    fn a_refusal_of_a_full_bucket_is_not_explained_by_it() {
        let mut meter = meter();
        assert!(!meter.explains(&ASK, left(600), Time::ZERO));
        assert!(meter.explains(&ASK, left(0), Time::ZERO));
    }
}
