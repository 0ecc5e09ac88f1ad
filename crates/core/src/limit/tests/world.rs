//! Users of one account and its provider, which keeps books of its own.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use crate::chance::Chance;
use crate::hash::Hash;
use crate::limit::{Dimension, GateId, GateSpec, Gates, Learned, Left, Share, Told, Verdict};
use crate::money::Usd;
use crate::plan::TaskId;
use crate::run::event::AttemptId;
use crate::time::Time;
use crate::usage::Cost;

/// What a provider allows, and how it says so.
#[derive(Clone, Debug)]
pub(super) struct Provider {
    /// From a second on, so many requests a minute.
    pub(super) per_minute: Vec<(f64, u64)>,
    /// What its bucket holds.
    pub(super) burst: u64,
    /// Whether its headers tell the quota.
    pub(super) tells: bool,
    /// What a refusal names, if anything.
    pub(super) retry_after: Option<Duration>,
    /// What a refusal within the first seconds names.
    pub(super) first_wait: Option<Duration>,
    /// What the bucket holds at first, where it is not full.
    pub(super) holds: Option<f64>,
    /// Seconds on the way, there and back.
    pub(super) network: (f64, f64),
    /// Seconds to answer.
    pub(super) answers: f64,
}

impl Provider {
    pub(super) fn new(per_minute: u64, burst: u64) -> Self {
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
pub(super) struct Seen {
    /// When requests were taken in, in seconds.
    pub(super) taken_in: Vec<f64>,
    /// When they were refused.
    pub(super) refused: Vec<f64>,
    /// When they were sent.
    pub(super) sent: Vec<f64>,
    /// When those that had been refused were sent again.
    pub(super) again: Vec<f64>,
    /// How many were taken in of each user.
    pub(super) by_user: Vec<usize>,
    /// When the last answer of each user came, in seconds.
    pub(super) ended: Vec<f64>,
}

impl Seen {
    /// The share of 429s.
    pub(super) fn refusals(&self) -> f64 {
        self.refused.len() as f64 / self.sent.len() as f64
    }

    /// Requests taken in between two seconds, as a share of what a rate allows.
    pub(super) fn used(&self, from: f64, to: f64, per_minute: u64) -> f64 {
        let taken_in = self.taken_in.iter().filter(|at| (from..to).contains(*at)).count();
        taken_in as f64 / ((to - from) * per_minute as f64 / 60.0)
    }
}

/// What a user has to do: so many tasks from a second on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    pub(super) from: f64,
    pub(super) tasks: u32,
}

/// A world around one gate of each of its users.
pub(super) struct World {
    pub(super) users: Vec<Gates>,
    /// What each has to do; without end where nothing is said.
    pub(super) jobs: Vec<Job>,
    /// From a second on a user knows how many there are.
    pub(super) meetings: Vec<(f64, usize, u32)>,
    /// From a second on until another nobody wants anything.
    pub(super) quiet: Vec<(f64, f64)>,
    /// When they hear of each other next.
    heeds: Time,
    provider: Provider,
    /// What the provider's bucket holds, and since when.
    level: (f64, f64),
    chance: Chance,
    due: BinaryHeap<Reverse<(Time, u32, Happens)>>,
    told: BTreeMap<u32, Left>,
    seen: Seen,
}

pub(super) const GATE: GateId = GateId(0);
pub(super) const ASK: Cost = Cost { usd: Usd::ZERO, input_tokens: 10, output_tokens: 10 };

pub(super) fn attempt(number: u32) -> AttemptId {
    AttemptId::new(TaskId(number), 1)
}

fn seconds(time: Time) -> f64 {
    time.micros() as f64 / 1e6
}

impl World {
    pub(super) fn new(spec: GateSpec, provider: Provider, wide: u32) -> Self {
        World {
            users: vec![Gates::of(&[spec], wide)],
            jobs: Vec::new(),
            meetings: Vec::new(),
            quiet: Vec::new(),
            heeds: Time::ZERO,
            level: (provider.holds.unwrap_or(provider.burst as f64), 1.0),
            provider,
            chance: Chance::new(1, &Hash::of(b""), "world"),
            due: BinaryHeap::new(),
            told: BTreeMap::new(),
            seen: Seen::default(),
        }
    }

    /// As much work as the provider takes, until a time in seconds.
    pub(super) fn work(mut self, until: f64) -> Seen {
        self.works(until);
        self.seen
    }

    /// What the first of its users has learned by then.
    pub(super) fn learns(mut self, until: f64) -> Option<Learned> {
        self.works(until);
        self.users[0].learned(GATE, Time::from_micros((until * 1e6) as u64))
    }

    fn works(&mut self, until: f64) {
        let users = self.users.len() as u32;
        self.seen.by_user = vec![0; users as usize];
        self.seen.ended = vec![0.0; users as usize];
        let endless = Job { from: 0.0, tasks: u32::MAX / users };
        self.jobs.resize(users as usize, endless);
        let (mut now, mut fresh) = (Time::from_micros(1_000_000), (0..users).collect::<Vec<u32>>());
        let mut again = vec![VecDeque::<(Time, u32)>::new(); users as usize];
        while seconds(now) < until {
            let mut wake = self.meet(now);
            for (user, (fresh, again)) in fresh.iter_mut().zip(&mut again).enumerate() {
                let job = self.jobs[user];
                let begins = Time::from_micros((job.from * 1e6) as u64);
                let is_quiet = |(from, until): &&(f64, f64)| (*from..*until).contains(&seconds(now));
                let quiet = self.quiet.iter().find(is_quiet);
                let begins =
                    quiet.map_or(begins, |(_, until)| Time::from_micros((until * 1e6).ceil() as u64));
                if begins > now {
                    wake = Some(wake.unwrap_or(begins).min(begins));
                    continue;
                }
                let until = loop {
                    if again.is_empty() && *fresh / users >= job.tasks {
                        break Verdict::WaitForSettle;
                    }
                    if let Err(held) = self.users[user].check(GATE, &ASK, now) {
                        break held.verdict;
                    }
                    if again.front().is_some_and(|(at, _)| *at <= now)
                        && let Some((_, id)) = again.pop_front()
                    {
                        self.seen.again.push(seconds(now));
                        self.send(id, now);
                    } else if *fresh / users >= job.tasks {
                        break again
                            .front()
                            .map_or(Verdict::WaitForSettle, |(at, _)| Verdict::WaitUntil(*at));
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
            let Some(then) = next.into_iter().chain(wake).min() else { break };
            now = then;
            if next == Some(now)
                && let Some(Reverse((_, id, happens))) = self.due.pop()
                && let Some(at) = self.happens(id, happens, now)
            {
                again[(id % users) as usize].push_back((at, id));
            }
        }
    }

    /// Those who learn by now how many they are; when the next do.
    fn meet(&mut self, now: Time) -> Option<Time> {
        let at = |second: f64| Time::from_micros((second * 1e6) as u64);
        for (_, user, users) in self.meetings.clone().into_iter().filter(|(second, ..)| at(*second) <= now) {
            let share = Share { users, place: user as u32, moment: now };
            if now < at(self.jobs[user].from + 1.0) {
                // As a run does that comes to others.
                if let Some(learned) = self.users[0].learned(GATE, now) {
                    self.users[user].recall(GATE, &learned, now);
                }
                self.users[user].join(GATE, share, now + Duration::from_secs(1), now);
            } else {
                self.users[user].share(GATE, share, now);
            }
        }
        self.meetings.retain(|(second, ..)| at(*second) > now);
        let first = self.meetings.iter().map(|(second, ..)| at(*second)).min();
        first.into_iter().chain(self.heed(now)).min()
    }

    /// Once a second each hears what the others have seen; when next.
    fn heed(&mut self, now: Time) -> Option<Time> {
        if self.users.len() > 1 && now >= self.heeds {
            self.heeds = now + Duration::from_secs(1);
            let learned: Vec<_> = self.users.iter().filter_map(|gates| gates.learned(GATE, now)).collect();
            for gates in &mut self.users {
                for learned in &learned {
                    gates.heed(GATE, learned, now);
                }
            }
        }
        (self.users.len() > 1).then_some(self.heeds)
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
                let user = id as usize % self.users.len();
                self.seen.ended[user] = seconds(now);
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
