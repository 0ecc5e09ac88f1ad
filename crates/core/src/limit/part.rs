//! Our part of a quota that others use, too.
//!
//! Rates and bursts are divided exactly: what is taken counts as often as there are users, in a bucket of the
//! whole quota. A bucket that holds less than a request for each of them cannot be divided: if each had one of
//! its own, they would come together and all but one be refused. So they take turns in time, each within its
//! own slots of a period that all of them count alike, by the clock of where they meet.

use std::time::Duration;

use super::bucket::Bucket;
use super::{Dimension, MINUTE};
use crate::time::Time;

/// Which part of an account is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// How many use it, ourselves included; at least 1.
    pub users: u32,
    /// Our place among them, less than `users`, in an order that is the same for all.
    pub place: u32,
    /// What time it is now by the clock of where they meet.
    pub moment: Time,
}

impl Share {
    /// All of it.
    pub const ALL: Share = Share { users: 1, place: 0, moment: Time::ZERO };
}

/// A slot is so much longer than what the bucket refills in, as a part of that: who is woken a little late, or
/// writes its intent down a little slower, must not come too close to the next. Half of it is for being late.
const ROOM: u64 = 20;

/// At least and at most so much, in microseconds: what a machine that has other work takes to wake somebody. At
/// most a quarter of what the bucket refills in.
const ROOM_LEAST: u64 = 20_000;
const ROOM_MOST: u64 = 100_000;

/// Our part of one quota.
#[derive(Clone, Debug)]
pub(super) struct Own {
    /// Everything counts `users` times in it.
    bucket: Bucket,
    share: Share,
    /// By how much the common clock is ahead of ours, in microseconds.
    ahead: i128,
    takes_turns: bool,
}

impl Own {
    /// A part of what a bucket of this quota holds now, in units.
    pub(super) fn of(whole: &Bucket, holds: i128, now: Time) -> Self {
        let mut bucket = Bucket::full(whole.per_minute(), whole.capacity(), whole.lag());
        bucket.hold(holds, now);
        Own { bucket, share: Share::ALL, ahead: 0, takes_turns: false }
    }

    /// From now on it is this part of such a bucket.
    pub(super) fn change(&mut self, dimension: Dimension, whole: &Bucket, share: Share, now: Time) {
        if share != self.share {
            self.bucket.scale(share.users, self.share.users, now);
            self.ahead = i128::from(share.moment.micros()) - i128::from(now.micros());
            self.share = share;
        }
        self.bucket.change(whole.per_minute(), whole.capacity(), now);
        self.takes_turns = dimension == Dimension::Requests && whole.capacity() < u64::from(share.users);
    }

    /// When an attempt may start; none where it may now.
    pub(super) fn wait_for(&self, amount: u64, now: Time) -> Option<Time> {
        let counted = amount.saturating_mul(u64::from(self.share.users));
        let there = self.bucket.wait_for(counted, now).unwrap_or(now);
        let at = if self.takes_turns { self.turn(there) } else { there };
        (at > now).then_some(at)
    }

    /// The first moment from a time on at which it is our turn.
    fn turn(&self, from: Time) -> Time {
        let refills_in = (MINUTE.as_micros() as u64 / self.bucket.per_minute()).max(1);
        let room = (refills_in / ROOM).clamp(ROOM_LEAST.min(refills_in / 4), ROOM_MOST);
        let slot = i128::from(refills_in + room);
        let period = slot * i128::from(self.share.users);
        let begins = slot * i128::from(self.share.place);
        let into = (i128::from(from.micros()) + self.ahead - begins).rem_euclid(period);
        if into <= i128::from(room / 2) {
            return from;
        }
        from + Duration::from_micros(u64::try_from(period - into).unwrap_or(u64::MAX))
    }

    pub(super) fn take(&mut self, amount: u64, now: Time) {
        self.bucket.take(amount.saturating_mul(u64::from(self.share.users)), now);
    }

    pub(super) fn give_back(&mut self, amount: i128, now: Time) {
        self.bucket.give_back(amount * i128::from(self.share.users), now);
    }

    /// Nothing of it is left.
    pub(super) fn used_up(&mut self, until: Time) {
        self.bucket.used_up(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::from_micros(ms * 1000)
    }

    /// When so many start who use a bucket of so many a minute and so many at once, from a second on.
    fn starts(per_minute: u64, capacity: u64, users: u32, from_ms: u64, count: usize) -> Vec<(Time, u32)> {
        let whole = Bucket::full(per_minute, capacity, Duration::ZERO);
        let now = at(from_ms);
        let mut all: Vec<(Time, u32)> = Vec::new();
        for place in 0..users {
            // Their own clocks differ, the common one is one.
            let (ours, share) =
                (now + Duration::from_secs(place.into()), Share { users, place, moment: now });
            let mut own = Own::of(&whole, whole.holds(ours), ours);
            own.change(Dimension::Requests, &whole, share, ours);
            let mut then = ours;
            for _ in 0..count {
                then = own.wait_for(1, then).unwrap_or(then);
                own.take(1, then);
                all.push((now + then.since(ours), place));
            }
        }
        all.sort();
        all
    }

    #[test]
    fn who_shares_what_cannot_be_divided_takes_turns() {
        for (per_minute, capacity, users) in [(50, 1, 2), (50, 1, 3), (1, 1, 2), (600, 1, 2), (120, 2, 4)] {
            for from_ms in [0, 70_123, 1_800_000_000_077] {
                let starts = starts(per_minute, capacity, users, from_ms, 9);
                let apart = Duration::from_millis(60_000 / per_minute);
                for pair in starts[1..starts.len() - users as usize].windows(2) {
                    let gap = pair[1].0.since(pair[0].0);
                    assert!(pair[0].1 != pair[1].1 && gap >= apart, "{per_minute} {users}: {pair:?}");
                    assert!(gap < apart.mul_f64(1.26), "{per_minute} {users}: {gap:?}");
                }
            }
        }
    }

    #[test]
    fn rates_and_bursts_are_divided_to_the_last_part() {
        // Seven a minute and four at once, for three: each has one at once, and another of which a third is there.
        let starts = starts(7, 4, 3, 1000, 8);
        let until = |ms: u64| starts.iter().filter(|(then, _)| *then <= at(1000 + ms)).count();
        assert_eq!((until(0), until(17_142), until(17_143)), (3, 3, 6));
        assert_eq!(until(17_143 + 25_714 + 1), 9);
    }
}
