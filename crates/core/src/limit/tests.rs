//! Gates against providers that keep their own books, in virtual time, with more to do than they allow.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use super::*;
use crate::chance::Chance;
use crate::hash::Hash;
use crate::money::Usd;
use crate::plan::TaskId;

/// What a provider allows, and how it says so.
#[derive(Clone, Debug)]
struct Provider {
    /// From a second on, so many requests a minute.
    per_minute: Vec<(f64, u64)>,
    /// What its bucket holds.
    burst: u64,
    /// Whether its headers tell the quota.
    tells: bool,
    /// What a refusal names, if anything.
    retry_after: Option<Duration>,
    /// What a refusal within the first seconds names.
    first_wait: Option<Duration>,
    /// What the bucket holds at first, where it is not full.
    holds: Option<f64>,
    /// Seconds on the way, there and back.
    network: (f64, f64),
    /// Seconds to answer.
    answers: f64,
}

impl Provider {
    fn new(per_minute: u64, burst: u64) -> Self {
        Provider {
            per_minute: vec![(0.0, per_minute)],
            burst,
            tells: false,
            retry_after: None,
            first_wait: None,
            holds: None,
            network: (0.001, 0.003),
            answers: 0.2,
        }
    }

    fn rate(&self, at: f64) -> u64 {
        self.per_minute.iter().rev().find(|(from, _)| *from <= at).map_or(1, |(_, rate)| *rate)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    Arrives,
    Head(bool),
    Ends(bool),
}

/// What came of a while of work.
#[derive(Debug, Default)]
struct Seen {
    /// When requests were taken in, in seconds.
    taken_in: Vec<f64>,
    /// When they were refused.
    refused: Vec<f64>,
    /// When they were sent.
    sent: Vec<f64>,
    /// When those that had been refused were sent again.
    again: Vec<f64>,
    /// How many were taken in of each user.
    by_user: Vec<usize>,
}

impl Seen {
    /// The share of 429s.
    fn refusals(&self) -> f64 {
        self.refused.len() as f64 / self.sent.len() as f64
    }

    /// Requests taken in between two seconds, as a share of what a rate allows.
    fn used(&self, from: f64, to: f64, per_minute: u64) -> f64 {
        let taken_in = self.taken_in.iter().filter(|at| (from..to).contains(*at)).count();
        taken_in as f64 / ((to - from) * per_minute as f64 / 60.0)
    }
}

/// A world around one gate of each of its users.
struct World {
    users: Vec<Gates>,
    provider: Provider,
    /// What the provider's bucket holds, and since when.
    level: (f64, f64),
    chance: Chance,
    due: BinaryHeap<Reverse<(Time, u32, Happens)>>,
    told: BTreeMap<u32, Left>,
    seen: Seen,
}

const GATE: GateId = GateId(0);
const ASK: Cost = Cost { usd: Usd::ZERO, input_tokens: 10, output_tokens: 10 };

fn attempt(number: u32) -> AttemptId {
    AttemptId { task: TaskId(number), number: 1 }
}

fn seconds(time: Time) -> f64 {
    time.micros() as f64 / 1e6
}

impl World {
    fn new(spec: GateSpec, provider: Provider, wide: u32) -> Self {
        World {
            users: vec![Gates::of(&[spec], wide)],
            level: (provider.holds.unwrap_or(provider.burst as f64), 1.0),
            provider,
            chance: Chance::new(1, &Hash::of(b""), "world"),
            due: BinaryHeap::new(),
            told: BTreeMap::new(),
            seen: Seen::default(),
        }
    }

    /// As much work as the provider takes, until a time in seconds.
    fn work(mut self, until: f64) -> Seen {
        let users = self.users.len() as u32;
        self.seen.by_user = vec![0; users as usize];
        let (mut now, mut fresh) = (Time::from_micros(1_000_000), (0..users).collect::<Vec<u32>>());
        let mut again = vec![VecDeque::<(Time, u32)>::new(); users as usize];
        while seconds(now) < until {
            let mut wake = None;
            for (user, (fresh, again)) in fresh.iter_mut().zip(&mut again).enumerate() {
                let until = loop {
                    if let Err(held) = self.users[user].check(GATE, &ASK, now) {
                        break held.verdict;
                    }
                    if again.front().is_some_and(|(at, _)| *at <= now)
                        && let Some((_, id)) = again.pop_front()
                    {
                        self.seen.again.push(seconds(now));
                        self.send(id, now);
                    } else {
                        self.send(*fresh, now);
                        *fresh += users;
                    }
                };
                if let Verdict::WaitUntil(until) = until {
                    wake = Some(wake.unwrap_or(until).min(until));
                }
            }
            let next = self.due.peek().map(|Reverse((at, ..))| *at);
            now = next.into_iter().chain(wake).min().expect("something is under way or waited for");
            if next == Some(now)
                && let Some(Reverse((_, id, happens))) = self.due.pop()
                && let Some(at) = self.happens(id, happens, now)
            {
                again[(id % users) as usize].push_back((at, id));
            }
        }
        self.seen
    }

    fn user(&mut self, id: u32) -> &mut Gates {
        let users = self.users.len();
        &mut self.users[id as usize % users]
    }

    fn way(&mut self) -> Duration {
        let (least, most) = self.provider.network;
        Duration::from_secs_f64(0.5 * (least + (most - least) * self.chance.share()))
    }

    fn send(&mut self, id: u32, now: Time) {
        self.user(id).reserve(GATE, attempt(id), &ASK, now);
        self.seen.sent.push(seconds(now));
        let way = self.way();
        self.due.push(Reverse((now + way, id, Happens::Arrives)));
    }

    /// When to try again, where it was refused.
    fn happens(&mut self, id: u32, happens: Happens, now: Time) -> Option<Time> {
        let way = self.way();
        match happens {
            Happens::Arrives => {
                let (granted, left) = self.arrives(seconds(now));
                let users = self.users.len();
                self.seen.by_user[id as usize % users] += usize::from(granted);
                self.told.insert(id, left);
                self.due.push(Reverse((now + way, id, Happens::Head(granted))));
                let took = if granted { self.provider.answers } else { 0.0 };
                let ends = now + way + Duration::from_secs_f64(took);
                self.due.push(Reverse((ends, id, Happens::Ends(granted))));
                None
            }
            Happens::Head(admitted) => {
                let left = self.told.remove(&id).filter(|_| self.provider.tells);
                let told = Told { admitted, quotas: left.into_iter().collect() };
                self.user(id).hear(GATE, attempt(id), &told, now);
                None
            }
            Happens::Ends(true) => {
                self.user(id).settle(GATE, attempt(id), &ASK, false, now);
                None
            }
            Happens::Ends(false) => {
                let first = self.provider.first_wait.filter(|_| seconds(now) < 5.0);
                let named = first.or(self.provider.retry_after);
                let until = now + named.unwrap_or(Duration::from_secs(1));
                self.user(id).throttled(GATE, attempt(id), false, until, now);
                self.user(id).settle(GATE, attempt(id), &ASK, true, now);
                Some(until)
            }
        }
    }

    /// Whether the provider takes a request in, and what it tells.
    fn arrives(&mut self, at: f64) -> (bool, Left) {
        let limit = self.provider.rate(at);
        let (level, since) = self.level;
        let mut level = (level + (at - since) * limit as f64 / 60.0).min(self.provider.burst as f64);
        let granted = level >= 1.0;
        if granted {
            level -= 1.0;
            self.seen.taken_in.push(at);
        } else {
            self.seen.refused.push(at);
        }
        self.level = (level, at);
        let lacks = (self.provider.burst as f64 - level).ceil() as u64;
        (granted, Left { dimension: Dimension::Requests, limit, remaining: limit.saturating_sub(lacks) })
    }
}

fn stated(per_minute: u32, burst: u32) -> GateSpec {
    GateSpec {
        name: "a/m".into(),
        account: "a".into(),
        requests_per_minute: Some(per_minute),
        requests_burst: burst,
        lag: Duration::from_millis(20),
        ..GateSpec::default()
    }
}

fn unknown() -> GateSpec {
    GateSpec {
        name: "a/m".into(),
        account: "a".into(),
        probes: true,
        lag: Duration::from_millis(20),
        ..GateSpec::default()
    }
}

#[test]
fn a_stated_limit_is_used_up_and_never_overdrawn() {
    for (burst, wide) in [(10, 16), (10, 64), (600, 16), (600, 64), (1, 16)] {
        let seen = World::new(stated(600, burst), Provider::new(600, u64::from(burst)), wide).work(181.0);
        assert_eq!(seen.refused.len(), 0, "burst {burst}, {wide} wide");
        let used = (seen.taken_in.len() as f64 - f64::from(burst)) / 1800.0;
        assert!(used > 0.985, "burst {burst}, {wide} wide: {used}");
    }
}

/// On this machine, and over the sea.
const NETWORKS: [(f64, f64); 2] = [(0.001, 0.003), (0.1, 0.5)];

/// Buckets and how many are in flight.
const SIZES: [(u64, u32); 4] = [(10, 16), (10, 64), (600, 16), (600, 64)];

#[test]
fn a_limit_that_replies_tell_is_used_up_with_few_refusals() {
    for network in NETWORKS {
        for (burst, wide) in SIZES {
            let provider = Provider { tells: true, network, ..Provider::new(600, burst) };
            let seen = World::new(unknown(), provider, wide).work(241.0);
            let (refusals, used) = (seen.refusals(), seen.used(61.0, 241.0, 600));
            let case = format!("bucket {burst}, {wide} wide, {network:?}: {refusals} refused, {used} used");
            assert!(refusals < 0.005 && used > 0.99, "{case}");
        }
    }
}

#[test]
fn a_limit_that_nobody_tells_is_found() {
    for retry_after in [None, Some(Duration::from_secs(1))] {
        for network in NETWORKS {
            for (burst, wide) in SIZES {
                let provider = Provider { retry_after, network, ..Provider::new(600, burst) };
                let seen = World::new(unknown(), provider, wide).work(241.0);
                let (refusals, used) = (seen.refusals(), seen.used(61.0, 241.0, 600));
                let case =
                    format!("bucket {burst}, {wide} wide, {network:?}: {refusals} refused, {used} used");
                assert!(refusals < 0.03 && used > 0.95, "{case}");
            }
        }
    }
}

/// Where nothing can be saved up, every refusal costs what refills meanwhile; and where requests overtake
/// each other on the way, any pace near the limit is refused.
#[test]
fn a_bucket_of_one_is_used_as_far_as_it_can_be() {
    for (tells, refusals, used) in [(true, 0.008, 0.98), (false, 0.01, 0.8)] {
        let provider = Provider { tells, ..Provider::new(600, 1) };
        let seen = World::new(unknown(), provider, 16).work(241.0);
        assert!(seen.refusals() < refusals, "{}", seen.refusals());
        assert!(seen.used(61.0, 241.0, 600) > used, "{}", seen.used(61.0, 241.0, 600));
    }
}

#[test]
fn a_limit_that_changes_is_followed() {
    for tells in [true, false] {
        for burst in [10, 600] {
            let changes = vec![(0.0, 600), (121.0, 300), (241.0, 600)];
            let provider = Provider { per_minute: changes, tells, ..Provider::new(600, burst) };
            let seen = World::new(unknown(), provider, 64).work(361.0);
            let refused =
                |from: f64, to: f64| seen.refused.iter().filter(|at| (from..to).contains(*at)).count();
            let halved = seen.used(131.0, 241.0, 300);
            assert!(halved > 0.95, "{tells} {burst}: {halved}");
            assert!(refused(121.0, 131.0) < 5, "{tells} {burst}: {} refused at first", refused(121.0, 131.0));
            assert!(refused(131.0, 241.0) < 15, "{tells} {burst}: {} refused later", refused(131.0, 241.0));
            let doubled = seen.used(301.0, 361.0, 600);
            assert!(doubled > 0.95, "{tells} {burst}: {doubled}");
        }
    }
}

#[test]
fn calls_that_are_refused_together_come_back_apart() {
    let provider = Provider { holds: Some(0.0), ..Provider::new(6_000, 100) };
    let seen = World::new(stated(1_000_000, 256), provider, 256).work(60.0);
    let last = seen.again.iter().take(256).copied().collect::<Vec<_>>();
    assert!(last.len() == 256, "{} came back", last.len());
    let most =
        last.iter().map(|from| last.iter().filter(|at| (*from..from + 0.1).contains(*at)).count()).max();
    assert!(most.unwrap() <= 256 / 5, "{most:?} came back within 100 ms");
}

#[test]
fn a_long_wait_at_the_start_costs_no_more_than_itself() {
    for tells in [true, false] {
        let first_wait = Some(Duration::from_secs(89));
        let provider = Provider { tells, first_wait, holds: Some(0.0), ..Provider::new(600, 600) };
        let seen = World::new(unknown(), provider.clone(), 64).work(89.0);
        assert!(seen.sent.len() <= 10, "{} were sent while the gate was closed", seen.sent.len());
        let seen = World::new(unknown(), provider, 64).work(180.0);
        let used = seen.used(110.0, 180.0, 600);
        assert!(used > 0.95, "tells {tells}: {used}");
    }
}

#[test]
fn two_who_share_an_account_get_half_of_it_each() {
    for (spec, tells) in [(stated(600, 10), false), (unknown(), true)] {
        let mut world = World::new(spec, Provider { tells, ..Provider::new(600, 10) }, 32);
        world.users.push(world.users[0].clone());
        world.users.iter_mut().for_each(|gates| gates.share(GATE, 2, Time::from_micros(1)));
        let seen = world.work(301.0);
        assert!(seen.refusals() < 0.01, "{}", seen.refusals());
        assert!(seen.used(61.0, 301.0, 600) > 0.95, "{}", seen.used(61.0, 301.0, 600));
        let share = seen.by_user[0] as f64 / seen.taken_in.len() as f64;
        assert!((0.45..0.55).contains(&share), "{share}");
    }
}

#[test]
fn heads_that_come_out_of_order_are_not_taken_for_others_that_use_the_account() {
    let at = |ms: u64| Time::from_micros(1_000_000 + ms * 1000);
    let spec = GateSpec { lag: Duration::ZERO, ..stated(60_000, 1000) };
    let mut gates = Gates::of(&[spec], 100);
    for number in 0..10 {
        gates.reserve(GATE, attempt(number), &ASK, at(0));
    }
    let left = |gates: &Gates| gates.left(GATE, at(1))[0].remaining;
    assert_eq!(left(&gates), 59_991, "one refills in a millisecond");
    // The provider took them in last to first; its milliseconds are ours.
    for (missing, number) in (0..10).rev().enumerate() {
        let quotas =
            vec![Left { dimension: Dimension::Requests, limit: 60_000, remaining: 59_999 - missing as u64 }];
        gates.hear(GATE, attempt(number), &Told { admitted: true, quotas }, at(1));
        assert_eq!(left(&gates), 59_991, "{number}");
    }
    // Somebody else's five show all the same.
    gates.reserve(GATE, attempt(10), &ASK, at(1));
    let quotas = vec![Left { dimension: Dimension::Requests, limit: 60_000, remaining: 59_985 }];
    gates.hear(GATE, attempt(10), &Told { admitted: true, quotas }, at(1));
    assert_eq!(left(&gates), 59_985);
}

/// What was saved up before a limit was known is there to be used.
#[test]
fn a_large_bucket_is_used_as_soon_as_replies_tell_of_it() {
    let provider = Provider { tells: true, ..Provider::new(600, 600) };
    let seen = World::new(unknown(), provider, 64).work(31.0);
    assert_eq!(seen.refused.len(), 0);
    assert!(seen.taken_in.len() > 850, "{} of 900", seen.taken_in.len());
}
