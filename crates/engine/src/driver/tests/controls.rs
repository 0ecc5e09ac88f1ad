//! What a user asks of a run that is under way.

use sortie_core::run::control::Control;
use sortie_core::run::event::{Event, Outcome, Signal};
use sortie_core::time::Time;

use super::world::{DIAMOND, Fault, Watched, Witness, Witnessed, World, drive, header, results};
use crate::driver::{Controller, Controls, DriveError, Ended, Request, Unheard, create, resume};
use crate::executor::signals::{Signals, Stop};
use crate::executor::simulated::{Pace, SimulatedExecutor};
use crate::store::Store;
use crate::store::memory::MemoryStore;

/// Turns of the executor that are more than a small run has.
const TURNS: usize = 100;

/// A run of the diamond, one call after the other, and its user, who comes in after its first append.
async fn attended<T>(
    fail: Option<(usize, Fault)>,
    user: impl AsyncFnOnce(Controller, Stop, Witness) -> T,
) -> (Result<Ended, DriveError>, T, Witnessed<MemoryStore>) {
    let mut header = header(DIAMOND);
    std::sync::Arc::make_mut(&mut header.settings).max_concurrent = 1;
    let mut store = Witnessed::new(MemoryStore::new(), &Witness::default());
    store.fail = fail;
    let (controller, controls) = Controls::channel();
    let (stop, signals) = Signals::channel();
    let opened = create(&mut store, header).await.unwrap().with_controls(controls);
    let witness = store.witness.clone();
    let inner = SimulatedExecutor::new(World::of(DIAMOND), Time::ZERO, Pace::Jumping, signals);
    let mut executor = Watched { inner, witness: witness.clone() };
    let mut looking_on = witness.clone();
    let attending = async {
        while store_is_untouched(&witness) {
            tokio::task::yield_now().await;
        }
        user(controller, stop, witness.clone()).await
    };
    let driving = opened.drive(&mut store, &mut executor, &mut looking_on);
    let (ended, did) = tokio::join!(driving, attending);
    (ended, did, store)
}

fn store_is_untouched(witness: &Witness) -> bool {
    witness.appends() == 0
}

/// What a run has remembered of its user.
async fn asked(store: &Witnessed<MemoryStore>) -> Vec<Event> {
    let records = store.read("r").await.unwrap().1;
    let of_the_user =
        |event: &Event| matches!(event, Event::Controlled { .. } | Event::CancelRequested { .. });
    records.into_iter().map(|record| record.event).filter(of_the_user).collect()
}

#[tokio::test]
async fn what_is_asked_is_confirmed_where_it_is_durable_and_only_there() {
    let change = Request::Change(Control::Concurrency(3));
    let ask = async |controller: Controller, _: Stop, _: Witness| controller.ask(change).await;
    let (ended, confirmed, store) = attended(None, ask).await;
    assert_eq!((ended.unwrap(), confirmed), (Ended::Finished(Outcome::Completed), Ok(true)));
    assert_eq!(asked(&store).await, [Event::Controlled { control: Control::Concurrency(3) }]);

    let (ended, confirmed, store) = attended(Some((2, Fault::Before)), ask).await;
    assert!(matches!(ended, Err(DriveError::Store(_))), "{ended:?}");
    assert_eq!(confirmed, Err(Unheard));
    assert_eq!(asked(&store).await, []);
}

#[tokio::test]
async fn a_paused_run_that_has_nothing_in_flight_waits_for_its_user() {
    let (ended, started, store) = attended(None, async |controller, _, witness| {
        controller.ask(Request::Change(Control::Pause)).await.unwrap();
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
        let started = witness.started().len();
        controller.ask(Request::Change(Control::Resume)).await.unwrap();
        started
    })
    .await;
    assert_eq!(ended.unwrap(), Ended::Finished(Outcome::Completed));
    assert_eq!((started, store.witness.started().len()), (1, 7));
    assert_eq!(results(&store).await[3], "task 3's answer");
}

#[tokio::test]
async fn the_end_of_a_pause_that_there_is_not_is_no_fact() {
    let (_, changed, store) = attended(None, async |controller, _, _| {
        let [before, pause, end] = [Control::Resume, Control::Pause, Control::Resume]
            .map(|control| controller.ask(Request::Change(control)));
        [before.await, pause.await, end.await]
    })
    .await;
    assert_eq!(changed, [Ok(false), Ok(true), Ok(true)]);
    let facts = [Control::Pause, Control::Resume].map(|control| Event::Controlled { control });
    assert_eq!(asked(&store).await, facts);
}

#[tokio::test]
async fn to_cancel_is_the_first_signal_however_often_it_is_asked() {
    let (ended, confirmed, store) = attended(None, async |controller, _, _| {
        let asked = [controller.ask(Request::Cancel), controller.ask(Request::Cancel)];
        let [first, second] = asked;
        (first.await, second.await)
    })
    .await;
    assert_eq!(ended.unwrap(), Ended::Finished(Outcome::Interrupted { signal: Signal::Cancel }));
    assert_eq!(confirmed, (Ok(true), Ok(true)));
    assert_eq!(asked(&store).await, [Event::CancelRequested { signal: Signal::Cancel }]);
    assert_eq!(store.witness.started().len(), 1);
}

#[tokio::test]
async fn a_signal_after_it_ends_the_run_at_once() {
    let (ended, (), mut store) = attended(None, async |controller, stop, _| {
        let confirmed = controller.ask(Request::Cancel);
        stop.send(Signal::Terminate);
        confirmed.await.unwrap();
    })
    .await;
    assert_eq!(ended.unwrap(), Ended::AtOnce(Signal::Terminate));
    let opened = resume(&mut store, "r").await.unwrap();
    let ended = drive(opened, DIAMOND, &mut store, Signals::none()).await.unwrap();
    assert_eq!(ended, Ended::Finished(Outcome::Completed));
}

#[tokio::test]
async fn who_asks_a_run_that_has_ended_is_told_so() {
    let (ended, controller, _) = attended(None, async |controller, _, _| controller).await;
    assert_eq!(ended.unwrap(), Ended::Finished(Outcome::Completed));
    assert_eq!(controller.ask(Request::Change(Control::Pause)).await, Err(Unheard));
}

/// Says what its run's store has when it is dropped.
struct Last(tokio::sync::mpsc::UnboundedSender<usize>, Witness);

impl Drop for Last {
    fn drop(&mut self) {
        let _ = self.0.send(self.1.saw().len());
    }
}

#[tokio::test]
async fn what_is_kept_with_the_controls_goes_before_the_run_is_released() {
    let mut store = Witnessed::new(MemoryStore::new(), &Witness::default());
    let (send, mut dropped) = tokio::sync::mpsc::unbounded_channel();
    let (_controller, controls) = Controls::channel();
    let controls = controls.keeping(Last(send, store.witness.clone()));
    let opened = create(&mut store, header(DIAMOND)).await.unwrap().with_controls(controls);
    let ended = drive(opened, DIAMOND, &mut store, Signals::none()).await.unwrap();
    assert_eq!(ended, Ended::Finished(Outcome::Completed));
    // All that comes after it is that calls are given up, which is before the release.
    assert_eq!(dropped.try_recv().unwrap() + 1, store.witness.saw().len());
}
