//! Calls answered by a model of the world, on a virtual clock that jumps from one to the next.
//!
//! An hour of calls takes as long as deciding them takes, and the same calls give the same times
//! in every run. The clock moves only in [`Executor::next`], so never while a call is being started
//! or a record made durable: what the simulation reports is the plan's time, not ours.

use std::borrow::BorrowMut;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use sortie_core::call::{Call, Returned};
use sortie_core::hash::Hash;
use sortie_core::limit::Told;
use sortie_core::run::event::AttemptId;
use sortie_core::time::Time;

use super::clock::Clock;
use super::signals::Signals;
use super::{Executor, Next};

/// Computes what a call comes back with, and how long it takes.
pub trait Answerer: Send {
    /// The answer to a call that is sent now.
    fn answer(&mut self, call: &Call, now: Time) -> Answered;

    /// As [`Executor::request_of`].
    fn request_of(&self, _call: &Call) -> Option<Hash> {
        None
    }
}

/// What becomes of a call.
#[derive(Debug)]
pub struct Answered {
    /// What it comes back with.
    pub returned: Returned,
    /// After how long.
    pub took: Duration,
    /// After how long the head of the reply comes, if it does, and what it tells.
    pub told: Option<(Duration, Told)>,
}

impl From<(Returned, Duration)> for Answered {
    /// Without a word before the end.
    fn from((returned, took): (Returned, Duration)) -> Self {
        Answered { returned, took, told: None }
    }
}

/// How fast virtual time goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As fast as it can be computed.
    Jumping,
    /// A virtual second takes a second, to be watched. An append that takes longer than the next
    /// answer delays what is seen, not what is reported.
    RealTime,
}

/// When a call comes back; those at the same time in the order of their starts.
type Due = (Time, u64);

/// Answers calls on a virtual clock. Signals are its own, or lent (`&mut Signals`) by who goes on listening when its
/// run has ended.
#[derive(Debug)]
pub struct SimulatedExecutor<A, S = Signals> {
    answerer: A,
    now: Time,
    /// The clock that virtual time keeps to, where it is to be watched.
    pacer: Option<Clock>,
    /// What the last [`Executor::next`] waited for: time goes no further without it.
    awaited: Option<Time>,
    signals: S,
    pending: BTreeMap<Due, Next>,
    /// What is pending of each attempt: its end, and its head where there is one.
    due: HashMap<AttemptId, (Due, Option<Due>)>,
    planned: u64,
}

impl<A: Answerer, S> SimulatedExecutor<A, S> {
    /// An executor whose clock begins at `start`. With [`Pace::RealTime`] it must be used within
    /// a tokio runtime.
    pub fn new(answerer: A, start: Time, pace: Pace, signals: S) -> Self {
        let pacer = match pace {
            Pace::Jumping => None,
            Pace::RealTime => Some(Clock::starting_at(start)),
        };
        SimulatedExecutor {
            answerer,
            now: start,
            pacer,
            awaited: None,
            signals,
            pending: BTreeMap::new(),
            due: HashMap::new(),
            planned: 0,
        }
    }

    /// The answerer, to ask it what it counted.
    pub fn answerer(&self) -> &A {
        &self.answerer
    }

    /// Takes the call that comes back first, if that is no later than this.
    fn take_due(&mut self, until: Time) -> Option<Next> {
        let entry = self.pending.first_entry()?;
        let at = entry.key().0;
        if at > until {
            return None;
        }
        let next = entry.remove();
        if let Next::Returned(attempt, _) = &next {
            self.due.remove(attempt);
        }
        self.now = self.now.max(at);
        Some(next)
    }

    fn plan(&mut self, after: Duration, next: Next) -> Due {
        let due = (self.now + after, self.planned);
        self.planned += 1;
        self.pending.insert(due, next);
        due
    }
}

impl<A: Answerer, S: BorrowMut<Signals> + Send> Executor for SimulatedExecutor<A, S> {
    fn now(&self) -> Time {
        self.now
    }

    fn start(&mut self, call: Call) {
        let Answered { returned, took, told } = self.answerer.answer(&call, self.now);
        let attempt = call.attempt;
        let head = told.map(|(after, told)| self.plan(after.min(took), Next::Told(attempt, told)));
        let end = self.plan(took, Next::Returned(attempt, returned));
        self.due.insert(attempt, (end, head));
    }

    fn request_of(&self, call: &Call) -> Option<Hash> {
        self.answerer.request_of(call)
    }

    fn abandon(&mut self, attempt: AttemptId) {
        if let Some((end, head)) = self.due.remove(&attempt) {
            self.pending.remove(&end);
            head.and_then(|head| self.pending.remove(&head));
        }
    }

    fn abandon_all(&mut self) {
        self.pending.clear();
        self.due.clear();
    }

    async fn next(&mut self, wake_at: Option<Time>) -> Next {
        // Virtual time never waits; without this nobody else would hear of a signal.
        tokio::task::yield_now().await;
        if let Some(signal) = self.signals.borrow_mut().ready() {
            return Next::Signal(signal);
        }
        let first = self.pending.keys().next().map(|&(at, _)| at);
        self.awaited = first.into_iter().chain(wake_at).min();
        let Some(at) = self.awaited else {
            let signal = self.signals.borrow_mut().next().await;
            self.catch_up();
            return Next::Signal(signal);
        };
        if let Some(pacer) = self.pacer {
            tokio::select! {
                biased;
                signal = self.signals.borrow_mut().next() => {
                    self.catch_up();
                    return Next::Signal(signal);
                }
                () = pacer.wait_until(Some(at)) => {}
            }
        }
        // Answers before the wake-up of the same moment, for they may make it needless.
        if let Some(next) = self.take_due(at) {
            return next;
        }
        self.now = self.now.max(at);
        Next::Woke
    }

    fn catch_up(&mut self) {
        if let Some(pacer) = self.pacer {
            let until = self.awaited.unwrap_or(Time::from_micros(u64::MAX));
            self.now = pacer.now().clamp(self.now, until.max(self.now));
        }
    }

    fn ready(&mut self) -> Option<Next> {
        match self.signals.borrow_mut().ready() {
            Some(signal) => Some(Next::Signal(signal)),
            None => self.take_due(self.now),
        }
    }
}

#[cfg(test)]
mod tests {
    use sortie_core::run::event::Signal;

    use super::*;
    use crate::executor::testing::{answer, attempt, call};

    /// Answers after as many seconds as the prompt says.
    struct Timed;

    impl Answerer for Timed {
        fn answer(&mut self, call: &Call, _: Time) -> Answered {
            let took = Duration::from_secs(call.prompt.parse().unwrap());
            // Those that take nine seconds say something first.
            let told = (took.as_secs() == 9).then(|| (Duration::from_secs(4), Told::default()));
            Answered { returned: answer("done"), took, told }
        }
    }

    fn second(n: u64) -> Time {
        Time::from_micros(n * 1_000_000)
    }

    fn executor(pace: Pace) -> (SimulatedExecutor<Timed>, super::super::signals::Stop) {
        let (stop, signals) = Signals::channel();
        (SimulatedExecutor::new(Timed, second(10), pace, signals), stop)
    }

    /// What comes next until nothing is in flight, with its time.
    async fn drain(executor: &mut SimulatedExecutor<Timed>, mut wake_ups: Vec<u64>) -> Vec<(String, u64)> {
        let mut seen = Vec::new();
        while !executor.pending.is_empty() || !wake_ups.is_empty() {
            let what = match executor.next(wake_ups.first().map(|&at| second(at))).await {
                Next::Returned(attempt, _) => format!("task {}", attempt.task.0),
                Next::Told(attempt, _) => format!("head of {}", attempt.task.0),
                Next::Woke => {
                    wake_ups.remove(0);
                    "woke".to_owned()
                }
                Next::Signal(signal) => format!("{signal:?}"),
            };
            seen.push((what, executor.now().micros() / 1_000_000));
        }
        seen
    }

    fn expected(seen: &[(&str, u64)]) -> Vec<(String, u64)> {
        seen.iter().map(|&(what, at)| (what.to_owned(), at)).collect()
    }

    #[tokio::test]
    async fn answers_come_in_the_order_of_their_times_then_of_their_starts() {
        let (mut executor, _stop) = executor(Pace::Jumping);
        for (task, seconds) in [(1, "5"), (2, "3"), (3, "5"), (4, "0"), (5, "9"), (7, "9")] {
            executor.start(call(task, seconds));
        }
        executor.abandon(attempt(5));
        executor.abandon(attempt(6));
        assert_eq!(executor.ready(), Some(Next::Returned(attempt(4), answer("done"))));
        assert_eq!(executor.ready(), None, "the clock moves only in `next`");
        let seen = drain(&mut executor, vec![12, 15, 99]).await;
        let order = [
            ("woke", 12),
            ("task 2", 13),
            ("head of 7", 14),
            ("task 1", 15),
            ("task 3", 15),
            ("woke", 15),
            ("task 7", 19),
            ("woke", 99),
        ];
        assert_eq!(seen, expected(&order));
    }

    #[tokio::test]
    async fn a_wake_up_in_the_past_does_not_turn_the_clock_back() {
        let (mut executor, _stop) = executor(Pace::Jumping);
        assert_eq!(executor.next(Some(second(3))).await, Next::Woke);
        assert_eq!(executor.now(), second(10));
    }

    #[tokio::test]
    async fn a_signal_is_heard_without_waiting_and_where_nothing_else_can_come() {
        let (mut executor, stop) = executor(Pace::Jumping);
        executor.start(call(1, "1"));
        stop.send(Signal::Interrupt);
        assert_eq!(drain(&mut executor, vec![]).await, expected(&[("Interrupt", 10), ("task 1", 11)]));
        let (heard, ()) = tokio::join!(executor.next(None), async { stop.send(Signal::Terminate) });
        assert_eq!(heard, Next::Signal(Signal::Terminate));
    }

    #[tokio::test(start_paused = true)]
    async fn in_real_time_a_virtual_second_takes_a_second_and_a_signal_ends_the_wait() {
        let (mut executor, stop) = executor(Pace::RealTime);
        let real = Clock::starting_at(second(10));
        executor.start(call(1, "4"));
        assert_eq!(drain(&mut executor, vec![]).await, expected(&[("task 1", 14)]));
        assert_eq!(
            real.now().since(second(14)),
            Duration::from_millis(0),
            "tokio's virtual clock went along"
        );

        executor.start(call(2, "1000"));
        let signal = async {
            real.wait_until(Some(second(16))).await;
            stop.send(Signal::Interrupt);
        };
        let (heard, ()) = tokio::join!(executor.next(None), signal);
        assert_eq!(heard, Next::Signal(Signal::Interrupt));
        assert_eq!(executor.now(), real.now());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_broken_off_took_its_time() {
        let (mut executor, _stop) = executor(Pace::RealTime);
        let real = Clock::starting_at(second(10));
        for (wake_at, until) in [(None, 20), (Some(second(40)), 30)] {
            tokio::select! {
                next = executor.next(wake_at) => panic!("{next:?}"),
                () = real.wait_until(Some(second(until))) => {}
            }
            executor.catch_up();
            assert_eq!(executor.now(), real.now());
        }
        // Never past what was waited for: it has not been heard yet.
        real.wait_until(Some(second(50))).await;
        executor.catch_up();
        assert_eq!(executor.now(), second(40));
        assert_eq!(executor.next(Some(second(40))).await, Next::Woke);

        // Where time jumps, none passes while nothing happens.
        let (mut executor, _stop) = self::executor(Pace::Jumping);
        executor.catch_up();
        assert_eq!(executor.now(), second(10));
    }
}
