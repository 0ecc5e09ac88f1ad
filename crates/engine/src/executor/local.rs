//! Calls as tokio tasks of this process, on the real clock.

use std::borrow::BorrowMut;
use std::collections::HashMap;

use sortie_core::call::{Call, Returned};
use sortie_core::failure::{Class, Failure};
use sortie_core::hash::Hash;
use sortie_core::limit::Told;
use sortie_core::run::event::{AttemptId, Timing};
use sortie_core::run::input::Billing;
use sortie_core::time::Time;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use super::clock::Clock;
use super::signals::Signals;
use super::{Executor, Next};

/// Performs one call: whoever knows providers.
pub trait Caller: Send + Sync + 'static {
    /// Sends one request and waits for its whole answer, within the call's timeout. Must close its
    /// connection where the future is dropped, and must not retry. What the head of the reply tells of
    /// quotas is said to `ear` as soon as it comes.
    fn call(&self, call: Call, ear: Ear) -> impl Future<Output = Returned> + Send;

    /// As [`Executor::request_of`].
    fn request_of(&self, _call: &Call) -> Option<Hash> {
        None
    }
}

/// Hears what the head of a call's reply tells, before the call comes back.
#[derive(Debug)]
pub struct Ear(AttemptId, mpsc::UnboundedSender<(AttemptId, Told)>);

impl Ear {
    /// The head came.
    pub fn told(self, told: Told) {
        // Nobody listens any more where the executor is gone, and the call with it.
        let _ = self.1.send((self.0, told));
    }
}

/// Runs calls side by side as tokio tasks. Must be used within a tokio runtime. Signals are its own, or lent
/// (`&mut Signals`) by who goes on listening when its run has ended.
#[derive(Debug)]
pub struct LocalExecutor<C, S = Signals> {
    caller: Arc<C>,
    clock: Clock,
    signals: S,
    tasks: JoinSet<Returned>,
    /// What each task is for; a task that is not here was given up.
    in_flight: HashMap<Id, (AttemptId, Time)>,
    handles: HashMap<AttemptId, AbortHandle>,
    ear: mpsc::UnboundedSender<(AttemptId, Told)>,
    told: mpsc::UnboundedReceiver<(AttemptId, Told)>,
}

impl<C: Caller, S> LocalExecutor<C, S> {
    /// An executor whose clock begins now, or at `floor` where that is later: a resumed run goes on
    /// at its last record.
    pub fn new(caller: C, floor: Time, signals: S) -> Self {
        let (ear, told) = mpsc::unbounded_channel();
        LocalExecutor {
            caller: Arc::new(caller),
            clock: Clock::of_the_wall(floor),
            signals,
            tasks: JoinSet::new(),
            in_flight: HashMap::new(),
            handles: HashMap::new(),
            ear,
            told,
        }
    }

    /// What a task that ended means; nothing where it was given up.
    fn returned(&mut self, ended: Result<(Id, Returned), JoinError>) -> Option<Next> {
        let (id, returned) = match ended {
            Ok((id, returned)) => (id, Ok(returned)),
            Err(error) => (error.id(), Err(error)),
        };
        let (attempt, started) = self.in_flight.remove(&id)?;
        self.handles.remove(&attempt);
        let returned = returned.unwrap_or_else(|error| {
            tracing::error!(task = attempt.task.0, attempt = attempt.number, %error, "a call's task ended");
            died(Timing { first_token: None, total: self.clock.now().since(started) })
        });
        Some(Next::Returned(attempt, returned))
    }
}

/// A call whose task panicked: a defect of this program, which would meet the same answer again,
/// and which may have struck after the request was sent.
fn died(timing: Timing) -> Returned {
    let mut failure =
        Failure::new(Class::Malformed, "the call's own code panicked: a defect of this program");
    failure.hopeless = true;
    Returned { result: Err(failure), billing: Billing::Unknown, timing }
}

impl<C: Caller, S: BorrowMut<Signals> + Send> Executor for LocalExecutor<C, S> {
    fn now(&self) -> Time {
        self.clock.now()
    }

    fn start(&mut self, call: Call) {
        let (caller, attempt, now) = (Arc::clone(&self.caller), call.attempt, self.now());
        let ear = Ear(attempt, self.ear.clone());
        let handle = self.tasks.spawn(async move { caller.call(call, ear).await });
        self.in_flight.insert(handle.id(), (attempt, now));
        self.handles.insert(attempt, handle);
    }

    fn request_of(&self, call: &Call) -> Option<Hash> {
        self.caller.request_of(call)
    }

    fn abandon(&mut self, attempt: AttemptId) {
        if let Some(handle) = self.handles.remove(&attempt) {
            self.in_flight.remove(&handle.id());
            handle.abort();
        }
    }

    fn abandon_all(&mut self) {
        self.in_flight.clear();
        self.handles.clear();
        self.tasks.abort_all();
    }

    async fn next(&mut self, wake_at: Option<Time>) -> Next {
        loop {
            let ended = tokio::select! {
                // Signals before all else; a wake-up last, for what has come may make it needless.
                biased;
                signal = self.signals.borrow_mut().next() => return Next::Signal(signal),
                // What a head told is heard before its call comes back.
                Some((attempt, told)) = self.told.recv() => return Next::Told(attempt, told),
                Some(ended) = self.tasks.join_next_with_id() => ended,
                () = self.clock.wait_until(wake_at) => return Next::Woke,
            };
            if let Some(next) = self.returned(ended) {
                return next;
            }
        }
    }

    fn ready(&mut self) -> Option<Next> {
        if let Some(signal) = self.signals.borrow_mut().ready() {
            return Some(Next::Signal(signal));
        }
        if let Ok((attempt, told)) = self.told.try_recv() {
            return Some(Next::Told(attempt, told));
        }
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            if let Some(next) = self.returned(ended) {
                return Some(next);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sortie_core::call::Text;
    use sortie_core::run::event::{Finish, Signal};

    use super::*;
    use crate::executor::testing::{answer, attempt, call};

    /// Does what the prompt says, and tells when a call is dropped before its end.
    struct Obedient(mpsc::UnboundedSender<AttemptId>);

    struct Dropped(AttemptId, mpsc::UnboundedSender<AttemptId>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.1.send(self.0);
        }
    }

    impl Caller for Obedient {
        async fn call(&self, call: Call, ear: Ear) -> Returned {
            let _dropped = Dropped(call.attempt, self.0.clone());
            match call.prompt.as_str() {
                "panic" => panic!("as told"),
                "hang" => std::future::pending().await,
                "tell" => {
                    ear.told(Told { admitted: true, quotas: Vec::new() });
                    answer("told")
                }
                text => answer(text),
            }
        }
    }

    fn executor()
    -> (LocalExecutor<Obedient>, mpsc::UnboundedReceiver<AttemptId>, crate::executor::signals::Stop) {
        let (send, receive) = mpsc::unbounded_channel();
        let (stop, signals) = Signals::channel();
        (LocalExecutor::new(Obedient(send), Time::ZERO, signals), receive, stop)
    }

    #[tokio::test]
    async fn a_call_comes_back_with_its_answer() {
        let (mut executor, _, _stop) = executor();
        executor.start(call(7, "hello"));
        let Next::Returned(back, returned) = executor.next(None).await else { panic!("no return") };
        assert_eq!(back, attempt(7));
        let text = Text { text: "hello".to_owned(), finish: Finish::Stop, model: "m".to_owned() };
        assert_eq!(returned.result, Ok(text));
    }

    #[tokio::test]
    async fn what_a_head_tells_is_heard_before_its_call_comes_back() {
        let (mut executor, _, _stop) = executor();
        executor.start(call(7, "tell"));
        let told = Told { admitted: true, quotas: Vec::new() };
        assert_eq!(executor.next(None).await, Next::Told(attempt(7), told));
        assert_eq!(executor.next(None).await, Next::Returned(attempt(7), answer("told")));
    }

    #[tokio::test]
    async fn a_call_that_panics_fails_once_and_takes_nothing_with_it() {
        let (mut executor, _, _stop) = executor();
        executor.start(call(1, "panic"));
        let Next::Returned(back, returned) = executor.next(None).await else { panic!("no return") };
        assert_eq!(back, attempt(1));
        assert_eq!(returned.billing, Billing::Unknown);
        let failure = returned.result.unwrap_err();
        assert_eq!(failure.policy(), sortie_core::failure::Policy::Fail);
        executor.start(call(2, "still here"));
        assert!(matches!(executor.next(None).await, Next::Returned(back, _) if back == attempt(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_given_up_is_dropped_and_never_comes_back() {
        let (mut executor, mut dropped, _stop) = executor();
        executor.start(call(1, "hang"));
        executor.start(call(2, "done before it is given up"));
        tokio::task::yield_now().await;
        executor.abandon(attempt(1));
        executor.abandon(attempt(2));
        executor.abandon(attempt(9));
        let wake_at = executor.now() + Duration::from_secs(3600);
        assert_eq!(executor.next(Some(wake_at)).await, Next::Woke);
        assert!(executor.now() >= wake_at);
        let mut gone = [dropped.try_recv(), dropped.try_recv()];
        gone.sort_by_key(|dropped| dropped.ok());
        assert_eq!(gone, [Ok(attempt(1)), Ok(attempt(2))]);
    }

    #[tokio::test]
    async fn a_signal_between_two_runs_is_kept_for_the_next() {
        fn run(signals: &mut Signals) -> LocalExecutor<Obedient, &mut Signals> {
            LocalExecutor::new(Obedient(mpsc::unbounded_channel().0), Time::ZERO, signals)
        }
        let (stop, mut signals) = Signals::channel();
        drop(run(&mut signals));
        stop.send(Signal::Interrupt);
        assert_eq!(run(&mut signals).ready(), Some(Next::Signal(Signal::Interrupt)));
        assert_eq!(run(&mut signals).ready(), None);
        stop.send(Signal::Terminate);
        assert_eq!(signals.unless(async { "done" }).await, Err(Signal::Terminate));
        assert_eq!(signals.unless(async { "done" }).await, Ok("done"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_goes_before_an_answer_and_an_answer_before_a_wake_up() {
        let (mut executor, _, stop) = executor();
        executor.start(call(1, "an answer"));
        stop.send(Signal::Interrupt);
        stop.send(Signal::Terminate);
        tokio::task::yield_now().await;
        let now = Some(executor.now());
        assert_eq!(executor.ready(), Some(Next::Signal(Signal::Interrupt)));
        assert_eq!(executor.next(now).await, Next::Signal(Signal::Terminate));
        assert_eq!(executor.next(now).await, Next::Returned(attempt(1), answer("an answer")));
        assert_eq!(executor.ready(), None);
        assert_eq!(executor.next(now).await, Next::Woke);
    }
}
