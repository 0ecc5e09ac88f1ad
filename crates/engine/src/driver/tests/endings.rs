//! Ends other than the last task's, and calls that are never sent.

use std::sync::Arc;

use sortie_core::failure::Class;
use sortie_core::limit::Gates;
use sortie_core::prediction::{CostRange, Prediction, Spread};
use sortie_core::run::Run;
use sortie_core::run::event::{Event, Outcome, Signal};
use sortie_core::run::input::Input;
use sortie_core::time::Time;

use super::world::{
    DIAMOND, Seen, Watched, Witness, Witnessed, World, drive, header, results, side_by_side, template,
};
use crate::driver::round::Driver;
use crate::driver::{Controls, DriveError, Ended, Foreseen, create, resume};
use crate::executor::local::{Caller, Ear, LocalExecutor};
use crate::executor::signals::Signals;
use crate::executor::simulated::{Pace, SimulatedExecutor};
use crate::executor::testing::answer;
use crate::store::Store;
use crate::store::memory::MemoryStore;
use crate::store::sqlite::{Durability, SqliteStore};

/// A run of the diamond that hears so many signals after its first append.
async fn signalled(signals: &[Signal]) -> (Ended, Witnessed<MemoryStore>) {
    let mut store = Witnessed::new(MemoryStore::new(), &Witness::default());
    let (stop, heard) = Signals::channel();
    let opened = create(&mut store, header(DIAMOND)).await.unwrap();
    let mut witness = (store.witness.clone(), StopAtOnce(stop, signals.to_vec()));
    let inner = SimulatedExecutor::new(World::of(DIAMOND), Time::ZERO, Pace::Jumping, heard);
    let mut executor = Watched { inner, witness: store.witness.clone() };
    let ended = opened.drive(&mut store, &mut executor, &mut witness).await.unwrap();
    (ended, store)
}

/// Sends its signals as soon as it is shown anything.
struct StopAtOnce(crate::executor::signals::Stop, Vec<Signal>);

impl crate::driver::Observe for StopAtOnce {
    fn records(&mut self, _: &[sortie_core::run::event::Record], _: &[crate::store::Output]) {
        for signal in self.1.drain(..) {
            self.0.send(signal);
        }
    }
}

#[tokio::test]
async fn the_first_signal_lets_what_is_in_flight_finish() {
    let (ended, store) = signalled(&[Signal::Terminate]).await;
    assert_eq!(ended, Ended::Finished(Outcome::Interrupted { signal: Signal::Terminate }));
    assert_eq!(store.witness.started().len(), 2, "nothing new started");
    let results = results(&store).await;
    assert_eq!((&*results[0], &*results[1], &*results[4]), ("task 0's answer", "Ready", "Failed"));
}

#[tokio::test]
async fn the_second_signal_ends_a_run_at_once_and_leaves_it_resumable() {
    let (ended, mut store) = signalled(&[Signal::Interrupt, Signal::Terminate]).await;
    assert_eq!(ended, Ended::AtOnce(Signal::Terminate));
    assert_eq!(store.witness.saw().last(), Some(&Seen::AbandonedAll));
    let records = store.read("r").await.unwrap().1;
    assert!(matches!(records.last().unwrap().event, Event::CancelRequested { signal: Signal::Interrupt }));
    let opened = resume(&mut store, "r").await.unwrap();
    let ended = drive(opened, DIAMOND, &mut store, Signals::none()).await.unwrap();
    assert_eq!(ended, Ended::Finished(Outcome::Completed));
}

#[tokio::test]
async fn a_resumed_run_goes_on_with_another_budget_where_the_user_set_one() {
    let (_, mut store) = signalled(&[Signal::Interrupt]).await;
    let budget = sortie_core::money::Usd::from_f64(5.0);
    let opened = resume(&mut store, "r").await.unwrap().with_budgets(budget.into());
    let before = opened.records().len();
    let ended = drive(opened, DIAMOND, &mut store, Signals::none()).await.unwrap();
    assert_eq!(ended, Ended::Finished(Outcome::Completed));
    let records = store.read("r").await.unwrap().1;
    assert_eq!(records[before].event, Event::RunResumed);
    assert_eq!(records[before + 1].event, Event::BudgetSet { budget, agent: None });
}

#[tokio::test]
async fn a_run_timeout_gives_up_what_is_in_flight() {
    let mut header = header(&side_by_side(1));
    Arc::make_mut(&mut header.settings).run_timeout = std::time::Duration::from_millis(500);
    let mut store = Witnessed::new(MemoryStore::new(), &Witness::default());
    let opened = create(&mut store, header).await.unwrap();
    let ended = drive(opened, &side_by_side(1), &mut store, Signals::none()).await.unwrap();
    assert!(matches!(ended, Ended::Finished(Outcome::TimedOut { .. })), "{ended:?}");
    let lost = store.witness.started()[0];
    let saw = store.witness.saw();
    assert_eq!(saw[saw.len() - 2..], [Seen::Abandoned(lost), Seen::AbandonedAll]);
}

#[tokio::test]
async fn a_forecast_that_is_known_before_is_kept_also_where_the_first_step_ends_the_run() {
    let mut header = header(DIAMOND);
    Arc::make_mut(&mut header.settings).run_timeout = std::time::Duration::ZERO;
    let mut store = Witnessed::new(MemoryStore::new(), &Witness::default());
    let forecast = Prediction { cost: CostRange::default(), makespan: Spread::default(), stop: None };
    let opened = create(&mut store, header).await.unwrap().with_forecast(Foreseen::known(forecast));
    let ended = drive(opened, DIAMOND, &mut store, Signals::none()).await.unwrap();
    assert!(matches!(ended, Ended::Finished(Outcome::TimedOut { .. })), "{ended:?}");
    let records = store.read("r").await.unwrap().1;
    assert_eq!(
        (&records[0].event, &records[1].event),
        (&Event::RunStarted, &Event::ForecastMade { forecast })
    );
    assert!(matches!(records.last().unwrap().event, Event::RunEnded { .. }), "{records:?}");
}

#[tokio::test]
async fn a_prompt_that_cannot_be_written_down_fails_its_task_and_nothing_is_sent() {
    let mut header = header(DIAMOND);
    // The answer to task 0 is not JSON and has no score.
    Arc::make_mut(&mut header.prompts)[1].template = template("{{ results.0.score }}");
    let mut store = Witnessed::new(MemoryStore::new(), &Witness::default());
    let opened = create(&mut store, header).await.unwrap();
    let ended = drive(opened, DIAMOND, &mut store, Signals::none()).await.unwrap();
    assert_eq!(ended, Ended::Finished(Outcome::Completed));
    let started: Vec<u32> = store.witness.started().iter().map(|attempt| attempt.task.0).collect();
    assert_eq!(started, [4, 0, 2]);
    assert_eq!(results(&store).await[1..4], ["Failed", "task 2's answer", "Skipped"]);
    let records = store.read("r").await.unwrap().1;
    let failed = records.iter().find_map(|record| match &record.event {
        Event::AttemptFailed { attempt, failure, spent, .. } if attempt.task.0 == 1 => Some((failure, spent)),
        _ => None,
    });
    let (failure, spent) = failed.unwrap();
    assert_eq!(failure.class, Class::Template);
    assert_eq!(*spent, sortie_core::run::event::Spent::default());
}

#[tokio::test]
async fn a_run_that_can_neither_go_on_nor_end_is_an_error() {
    let header = header(DIAMOND);
    let records = {
        let (_, store) = super::world::run(DIAMOND).await;
        store.read("r").await.unwrap().1
    };
    // A run that has ended answers nothing to a wake-up, as would one that has lost its way.
    let run = Run::replay(header.plan.clone(), header.settings.clone(), &records).unwrap();
    let (mut store, gates, mut nobody) = (MemoryStore::new(), Gates::new(&header.settings), ());
    let world = World::of(DIAMOND);
    let mut executor = SimulatedExecutor::new(world, Time::ZERO, Pace::Jumping, Signals::none());
    let driver = Driver::new(&header, run, gates, &mut store, &mut executor, &mut nobody);
    let driven = driver.drive_to_end((Input::Woke, Vec::new()), Foreseen::nothing(), Controls::none()).await;
    assert!(matches!(driven, Err(DriveError::Stalled)), "{driven:?}");
}

/// Answers at once.
struct Prompt;

impl Caller for Prompt {
    async fn call(&self, call: sortie_core::call::Call, _: Ear) -> sortie_core::call::Returned {
        answer(&format!("task {}'s answer", call.attempt.task.0))
    }
}

#[tokio::test]
async fn a_run_on_real_tasks_and_a_real_disk_comes_home_and_may_be_spawned() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::open(dir.path(), Durability::Synced).unwrap();
    let driving = async move {
        let opened = create(&mut store, header(&side_by_side(30))).await.unwrap();
        let mut executor = LocalExecutor::new(Prompt, opened.floor(), Signals::none());
        let ended = opened.drive(&mut store, &mut executor, &mut ()).await.unwrap();
        (ended, results(&store).await)
    };
    let (ended, results) = tokio::spawn(driving).await.unwrap();
    assert_eq!(ended, Ended::Finished(Outcome::Completed));
    let expected: Vec<String> = (0..30).map(|task| format!("task {task}'s answer")).collect();
    assert_eq!(results, expected);
}
