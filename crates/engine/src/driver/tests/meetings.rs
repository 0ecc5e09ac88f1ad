//! When a run says that it uses an account, and when it looks for others.

use std::sync::{Arc, Mutex};

use sortie_core::failure::{Class, Failure};
use sortie_core::limit::{Dimension, GateId, GateSpec, Gates, Learned, Left, Told, Verdict};
use sortie_core::plan::TaskId;
use sortie_core::run::Run;
use sortie_core::run::control::Control;
use sortie_core::run::event::{AttemptId, Timing};
use sortie_core::run::input::{Action, Billing, Input, Reply, Step};
use sortie_core::time::Time;
use sortie_core::usage::Cost;

use super::world::header;
use crate::driver::meeting::Seat;
use crate::sharing::{Met, Sharing, Used};

/// Keeps what it is told, and says that there are so many.
#[derive(Clone, Debug)]
struct Minutes(Arc<Mutex<Vec<(u64, bool)>>>, u32);

impl Sharing for Minutes {
    fn meet(&mut self, gates: &[Used], now: Time) -> Option<Vec<Met>> {
        self.0.lock().unwrap().extend(gates.iter().map(|used| (now.micros() / 1000, used.now)));
        Some(vec![Met { users: self.1, ..Met::default() }; gates.len()])
    }

    fn leave(&mut self) {}
}

#[test]
fn runs_that_start_together_meet_before_the_first_call_and_soon_again() {
    let header = header(&[("one", "answer", &[])]);
    let run = Run::new(header.plan.clone(), header.settings.clone());
    let mut gates = Gates::new(&header.settings);
    let minutes = Minutes(Arc::default(), 1);
    let mut seat = Seat::at(Some(Box::new(minutes.clone())), &header.settings.gates);
    for ms in (1..4000).step_by(5) {
        seat.meet(&run, &mut gates, Time::from_micros(ms * 1000));
    }
    let met = minutes.0.lock().unwrap().clone();
    // Nothing is under way in this test: only the first time it is said to be used.
    assert_eq!(
        met,
        [
            (1, true),
            (51, false),
            (151, false),
            (351, false),
            (751, false),
            (1551, false),
            (2551, false),
            (3551, false)
        ]
    );
}

#[test]
fn who_comes_to_others_starts_when_they_know() {
    let header = header(&[("one", "answer", &[])]);
    let run = Run::new(header.plan.clone(), header.settings.clone());
    let mut gates = Gates::new(&header.settings);
    let mut seat = Seat::at(Some(Box::new(Minutes(Arc::default(), 2))), &header.settings.gates);
    let at = |ms: u64| Time::from_micros(ms * 1000);
    seat.meet(&run, &mut gates, at(1));
    let held = gates.check(GateId(0), &Cost::default(), at(999)).unwrap_err();
    assert_eq!((held.verdict, &*held.reason), (Verdict::WaitUntil(at(1001)), "a share of test/model"));
    seat.meet(&run, &mut gates, at(1001));
    assert_eq!(gates.check(GateId(0), &Cost::default(), at(1001)), Ok(()));
}

/// Says how many there are, meeting by meeting; none where it fails.
#[derive(Debug)]
struct Answers(Vec<Option<u32>>);

impl Sharing for Answers {
    fn meet(&mut self, gates: &[Used], _: Time) -> Option<Vec<Met>> {
        self.0.remove(0).map(|users| vec![Met { users, ..Met::default() }; gates.len()])
    }

    fn leave(&mut self) {}
}

/// How many of 60 may start at once half a second after two meetings, where so many gates bear one name.
fn at_once(answers: [Option<u32>; 2], namesakes: usize) -> u32 {
    let header = header(&[("one", "answer", &[])]);
    let gate = GateSpec {
        requests_per_minute: Some(60_000),
        requests_burst: 60,
        ..header.settings.gates[0].clone()
    };
    let run = Run::new(header.plan.clone(), header.settings.clone());
    let specs = vec![gate; namesakes];
    let mut gates = Gates::of(&specs, 100);
    let mut seat = Seat::at(Some(Box::new(Answers(answers.into()))), &specs);
    let at = |ms: u64| Time::from_micros(ms * 1000);
    seat.meet(&run, &mut gates, at(1));
    seat.meet(&run, &mut gates, at(1001));
    let ask = Cost::default();
    let mut started = 0;
    while gates.check(GateId(0), &ask, at(1500)).is_ok() {
        let attempt = AttemptId::new(TaskId(started), 1);
        gates.reserve(GateId(0), attempt, &ask, at(1500));
        started += 1;
    }
    started
}

#[test]
fn who_cannot_be_met_may_well_be_there() {
    for (answers, starts) in [
        ([Some(3), Some(3)], 20),
        ([Some(3), Some(1)], 60),
        ([Some(3), None], 20),
        ([Some(1), None], 60),
        ([None, None], 60),
        // It was never said to anybody that this run has begun.
        ([None, Some(3)], 0),
    ] {
        assert_eq!(at_once(answers, 1), starts, "{answers:?}");
    }
}

#[test]
fn gates_that_others_take_for_one_share_it_between_them() {
    // Another run that knows of two users takes half, whatever names there are here.
    for (users, namesakes, starts) in [(1, 1, 60), (1, 2, 30), (1, 3, 20), (2, 2, 15), (2, 3, 10), (3, 2, 10)]
    {
        assert_eq!(at_once([Some(users); 2], namesakes), starts, "{users} users, {namesakes} of one name");
    }
}

/// A run beside `others`, driven by hand: what a round is given, and what it comes to.
struct Driven {
    run: Run,
    gates: Gates,
    seat: Seat,
    meetings: Minutes,
    ms: u64,
}

impl Driven {
    fn beside(users: u32) -> Self {
        let header = header(&super::world::side_by_side(9));
        let run = Run::new(header.plan.clone(), header.settings.clone());
        let gates = Gates::of(&header.settings.gates, 1);
        let meetings = Minutes(Arc::default(), users);
        let seat = Seat::at(Some(Box::new(meetings.clone())), &header.settings.gates);
        Driven { run, gates, seat, meetings, ms: 0 }
    }

    /// What the driver does with an input.
    fn hear(&mut self, input: Input) -> Step {
        let now = Time::from_micros(self.ms * 1000);
        self.seat.meet(&self.run, &mut self.gates, now);
        self.run.step(input, now, &mut self.gates)
    }

    /// Wakes whenever the driver would until there is a call.
    fn until_a_call(&mut self, mut step: Step) -> AttemptId {
        for _ in 0..100 {
            if let Some(Action::Call(attempt)) = step.actions.first() {
                return *attempt;
            }
            let wake_at = step.wake_at.into_iter().chain(self.seat.next(&self.gates)).min().unwrap();
            self.ms = self.ms.max(wake_at.micros().div_ceil(1000));
            step = self.hear(Input::Woke);
        }
        panic!("waits for ever, or wakes for nothing")
    }

    /// Wakes for the meetings of so many milliseconds.
    fn idle(&mut self, ms: u64) {
        let until = self.ms + ms;
        while let Some(next) = self.seat.next(&self.gates).map(|at| at.micros() / 1000)
            && next <= until
        {
            self.ms = self.ms.max(next);
            let step = self.hear(Input::Woke);
            assert_eq!(step.actions, []);
        }
        self.ms = until;
    }

    /// The process stands still while a call is under way; how long the next one waits then.
    fn stands_still_for(&mut self, ms: u64) -> u64 {
        let started = self.hear(Input::Started);
        let attempt = self.until_a_call(started);
        self.ms += ms;
        let result = Err(Failure::new(Class::Refused, "as told"));
        let reply = Reply { attempt, result, billing: Billing::Nothing, timing: Timing::default() };
        let began = self.ms;
        let replied = self.hear(Input::Replied(reply));
        self.until_a_call(replied);
        self.ms - began
    }

    /// Starts, is paused while its call ends, goes on after so many milliseconds: how long it waits then.
    fn pauses_for(&mut self, ms: u64) -> u64 {
        let started = self.hear(Input::Started);
        let attempt = self.until_a_call(started);
        drop(self.hear(Input::Controlled(Control::Pause)));
        let result = Err(Failure::new(Class::Refused, "as told"));
        let reply = Reply { attempt, result, billing: Billing::Nothing, timing: Timing::default() };
        drop(self.hear(Input::Replied(reply)));
        self.idle(ms);
        let began = self.ms;
        let resumed = self.hear(Input::Controlled(Control::Resume));
        self.until_a_call(resumed);
        self.ms - began
    }
}

#[test]
fn who_comes_back_after_a_pause_stands_aside_as_at_first() {
    for (others, pause_ms, waits_ms) in
        [(1, 2_500, 0), (1, 6_000, 1000), (1, 60_000, 1000), (0, 2_500, 0), (0, 60_000, 0)]
    {
        let mut driven = Driven::beside(others + 1);
        assert_eq!(driven.pauses_for(pause_ms), waits_ms, "{others} others, {pause_ms} ms");
        let (last, is_used) = *driven.meetings.0.lock().unwrap().last().unwrap();
        let is_away = pause_ms > 4_000;
        assert!(is_used || !is_away, "{others} others, {pause_ms} ms: said to be unused at {last}");
    }
}

#[test]
fn who_stood_still_comes_as_at_first() {
    for (others, still_ms, waits_ms) in [(1, 3_500, 0), (1, 4_500, 1000), (1, 60_000, 1000), (0, 60_000, 0)] {
        let waited = Driven::beside(others + 1).stands_still_for(still_ms);
        assert_eq!(waited, waits_ms, "{others} others, {still_ms} ms");
    }
}

#[test]
fn who_could_not_be_met_for_too_long_comes_as_at_first() {
    let header = header(&[("one", "answer", &[])]);
    let run = Run::new(header.plan.clone(), header.settings.clone());
    let at = |ms: u64| Time::from_micros(ms * 1000);
    let ask = Cost::default();
    for (failures, is_open) in [(3, true), (5, false)] {
        let mut gates = Gates::new(&header.settings);
        let answers = [vec![Some(2)], vec![None; failures], vec![Some(2)]].concat();
        let mut seat = Seat::at(Some(Box::new(Answers(answers))), &header.settings.gates);
        let mut ms = 1;
        // It is used all the time.
        gates.reserve(GateId(0), AttemptId::new(TaskId(0), 1), &ask, at(ms));
        for _ in 0..failures + 2 {
            seat.meet(&run, &mut gates, at(ms));
            // Nobody is held up while meetings fail.
            let last = ms == 1 || ms > 1000 * failures as u64 + 1;
            assert!(last || gates.check(GateId(0), &ask, at(ms)).is_ok() || ms < 1001, "{ms}");
            ms += 1000;
        }
        assert_eq!(gates.check(GateId(0), &ask, at(ms - 1000)).is_ok(), is_open, "{failures} failures");
    }
}

/// Tells of what others have learned, meeting by meeting.
#[derive(Debug)]
struct Tells(Learned);

impl Sharing for Tells {
    fn meet(&mut self, gates: &[Used], _: Time) -> Option<Vec<Met>> {
        Some(vec![Met { users: 2, learned: Some(self.0.clone()), ..Met::default() }; gates.len()])
    }

    fn leave(&mut self) {}
}

#[test]
fn what_others_saw_of_a_bucket_s_size_counts_also_for_who_has_learned_of_it() {
    let header = header(&[("one", "answer", &[])]);
    let run = Run::new(header.plan.clone(), header.settings.clone());
    let gate = GateSpec { requests_per_minute: None, ..header.settings.gates[0].clone() };
    let mut gates = Gates::of(std::slice::from_ref(&gate), 100);
    let (at, ask, attempt) = (Time::from_micros(1), Cost::default(), AttemptId::new(TaskId(0), 1));
    // Its own reply told a quota, and nothing of the bucket.
    gates.reserve(GateId(0), attempt, &ask, at);
    let quotas = vec![Left { dimension: Dimension::Requests, limit: 600, remaining: 599 }];
    gates.hear(GateId(0), attempt, &Told { admitted: true, quotas }, at);
    let mut learned = gates.learned(GateId(0), at).unwrap();
    assert_eq!(learned.quotas[0].burst, None);
    learned.quotas[0].burst = Some(3);
    let mut seat = Seat::at(Some(Box::new(Tells(learned.clone()))), &[gate]);
    seat.meet(&run, &mut gates, at);
    assert_eq!(gates.learned(GateId(0), at).unwrap().quotas[0].burst, Some(3));
}
