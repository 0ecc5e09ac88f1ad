//! A run between a provider that bills what it does and a journal whose process dies.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sortie_core::call::Call;
use sortie_core::chance::Chance;
use sortie_core::failure::Failure;
use sortie_core::hash::Hash;
use sortie_core::money::Usd;
use sortie_core::run::event::{Answer, AttemptId, Event, Outcome, Record, Then};
use sortie_core::run::input::Budgets;
use sortie_core::time::Time;
use sortie_engine::driver::{self, DriveError, Ended};
use sortie_engine::executor::signals::Signals;
use sortie_engine::executor::simulated::{Answered, Answerer, Pace, SimulatedExecutor};
use sortie_engine::store::memory::MemoryStore;
use sortie_engine::store::{Header, Listed, Output, Store, StoreError};
use sortie_report::fold::Fold;
use sortie_sim::{Model, Scenario};

use super::books::{Bills, Books};
use super::draw::{Draw, RUN};
use crate::binding::Binding;
use crate::caller::SimulatedCaller;
use crate::session::view;

/// The simulator, with what it billed for each attempt.
pub(super) struct Provider {
    pub(super) caller: SimulatedCaller,
    pub(super) bills: Bills,
    served: BTreeMap<AttemptId, Served>,
}

/// What became of an attempt on the provider's side, whether or not anybody was left to hear of it.
pub(super) struct Served {
    /// Its place in the ledger, where it was accepted.
    pub(super) entry: Option<usize>,
    /// The hash of the text that came out of it, or what was said in its place.
    pub(super) result: Result<Hash, Failure>,
}

impl Provider {
    pub(super) fn of(header: &Header) -> Self {
        let binding = Binding::of(header).unwrap();
        let simulation = binding.simulation.unwrap();
        let model = Model::new(Scenario::parse(&simulation.scenario).unwrap(), simulation.seed);
        let plan = Arc::clone(&header.plan);
        let identity = simulation.identity();
        let caller = SimulatedCaller { model, plan, configured: binding.endpoints, identity };
        Provider { caller, bills: Bills::default(), served: BTreeMap::new() }
    }
}

impl Answerer for &mut Provider {
    fn answer(&mut self, call: &Call, now: Time) -> Answered {
        let before = self.caller.model.ledger().len();
        let answer = self.caller.answer(call, now);
        let entries = &self.caller.model.ledger()[before..];
        let bill: Usd = entries.iter().map(|entry| entry.cost_picodollars).sum();
        self.bills.lock().unwrap().insert(call.attempt, bill);
        let result = answer.returned.result.as_ref();
        let result = result.map(|text| Hash::of(text.text.as_bytes())).map_err(Clone::clone);
        let entry = (!entries.is_empty()).then_some(before);
        self.served.insert(call.attempt, Served { entry, result });
        answer
    }
}

/// When the process dies: at this append, before or after it became durable.
#[derive(Clone, Copy, Debug)]
struct Crash {
    at: u64,
    is_durable: bool,
}

/// A journal that shows the books what became durable, and fails when its process dies.
struct Journal {
    memory: MemoryStore,
    books: Books,
    crash: Option<Crash>,
    appends: u64,
    /// Each so many tasks that have ended, the process dies: before that is durable, and after it, in turn.
    kill_every: Option<u64>,
    ended: u64,
    /// How many attempts were in flight at each death, as far as the journal knows.
    deaths: Vec<usize>,
}

impl Journal {
    fn of(header: &Header, provider: &Provider, hardship: Hardship) -> Self {
        let books = Books::new(header, Arc::clone(&provider.bills), !hardship.is_lied_to);
        let (memory, kill_every) = (MemoryStore::new(), hardship.kill_every);
        Journal { memory, books, crash: None, appends: 0, kill_every, ended: 0, deaths: Vec::new() }
    }

    /// Whether the process dies with the next append, and if so whether that becomes durable.
    fn dies(&self, ends: u64) -> Option<bool> {
        let deaths = self.deaths.len() as u64;
        let is_killed = self.kill_every.is_some_and(|every| self.ended + ends >= every * (deaths + 1));
        let crash = self.crash.filter(|crash| crash.at == self.appends);
        if is_killed { Some(deaths % 2 == 1) } else { crash.map(|crash| crash.is_durable) }
    }
}

/// Whether a task has ended with it.
fn is_end(record: &Record) -> bool {
    matches!(
        &record.event,
        Event::AttemptSucceeded { .. }
            | Event::AttemptFailed { then: Then::Fail, .. }
            | Event::TaskFailed { .. }
            | Event::TaskSkipped { .. }
            | Event::TaskShared { .. }
    )
}

impl Store for Journal {
    async fn create(&mut self, header: &Header) -> Result<(), StoreError> {
        self.memory.create(header).await
    }

    async fn open(&mut self, run_id: &str) -> Result<(Header, Vec<Record>), StoreError> {
        self.memory.open(run_id).await
    }

    async fn append(
        &mut self,
        run_id: &str,
        after: u64,
        records: &[Record],
        outputs: &[Output],
    ) -> Result<(), StoreError> {
        self.appends += 1;
        let ends = records.iter().filter(|record| is_end(record)).count() as u64;
        let dies = self.dies(ends);
        if dies != Some(false) {
            self.memory.append(run_id, after, records, outputs).await?;
            self.ended += ends;
            for record in records {
                self.books.take(record);
            }
        }
        if dies.is_none() {
            return Ok(());
        }
        self.deaths.push(self.books.in_flight());
        Err(StoreError::Fenced("the process is dead".to_owned()))
    }

    async fn release(&mut self, run_id: &str) {
        self.memory.release(run_id).await;
    }

    async fn output(&self, hash: &Hash) -> Result<Arc<str>, StoreError> {
        self.memory.output(hash).await
    }

    async fn outputs(&self, hashes: &[Hash]) -> Result<Vec<Arc<str>>, StoreError> {
        self.memory.outputs(hashes).await
    }

    async fn answered(&self, request: &Hash) -> Result<Option<(String, Answer)>, StoreError> {
        self.memory.answered(request).await
    }

    async fn read(&self, run_id: &str) -> Result<(Header, Vec<Record>), StoreError> {
        self.memory.read(run_id).await
    }

    async fn list(&self) -> Result<Vec<Listed>, StoreError> {
        self.memory.list().await
    }
}

/// What a run came to.
pub(super) struct Lived {
    pub(super) outcome: Outcome,
    pub(super) books: Books,
    pub(super) fold: Fold,
    pub(super) records: Vec<Record>,
    /// All that the ledger billed.
    pub(super) billed: Usd,
    pub(super) bills: Bills,
    pub(super) calls: usize,
    pub(super) crashes: u64,
    pub(super) resumes: u64,
    /// How many attempts were in flight at each crash.
    pub(super) deaths: Vec<usize>,
    pub(super) served: BTreeMap<AttemptId, Served>,
    /// The simulator, as the run left it.
    pub(super) model: Model,
}

impl Lived {
    /// What the ledger has for an attempt.
    pub(super) fn bill(&self, attempt: AttemptId) -> Usd {
        self.bills.lock().unwrap().get(&attempt).copied().unwrap_or_default()
    }

    /// From the first record to the last.
    pub(super) fn took(&self) -> Duration {
        let ends = self.records.first().zip(self.records.last());
        ends.map_or(Duration::ZERO, |(first, last)| last.at.since(first.at))
    }
}

/// How much a run has to live through.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hardship {
    /// Of a hundred sessions, how many die.
    pub(super) crashes: u64,
    /// Of a hundred runs that stop short, how many are taken up with a larger budget.
    pub(super) raises: u64,
    /// Whether answers may be longer than `max_tokens`.
    pub(super) is_lied_to: bool,
    /// After how many ended tasks the process is killed each time; the budget then stays what it is.
    pub(super) kill_every: Option<u64>,
}

/// Sessions that may die: later ones live, so that a run comes to an end.
const DEATHS: u64 = 8;

/// Lives a run through to its end.
///
/// # Errors
/// What went wrong, in a sentence.
pub(super) async fn live(header: Header, hardship: Hardship, chance: &mut Chance) -> Result<Lived, String> {
    let mut provider = Provider::of(&header);
    let mut journal = Journal::of(&header, &provider, hardship);
    let created = header.created;
    let mut opened = driver::create(&mut journal, header).await.map_err(|error| error.to_string())?;
    let (mut crashes, mut resumes) = (0, 0);
    let outcome = loop {
        journal.appends = 0;
        journal.crash = (crashes < DEATHS && chance.percent(hardship.crashes))
            .then(|| Crash { at: chance.factor(0.0, 1.6) as u64, is_durable: chance.percent(50) });
        let start = opened.floor().max(created) + Duration::from_millis(chance.below(5_000));
        let start = if resumes == 0 { created } else { start };
        let mut executor = SimulatedExecutor::new(&mut provider, start, Pace::Jumping, Signals::none());
        match opened.drive(&mut journal, &mut executor, &mut ()).await {
            Ok(Ended::Finished(Outcome::Completed)) => break Outcome::Completed,
            Ok(Ended::Finished(outcome)) => {
                if resumes > 2 * DEATHS || !chance.percent(hardship.raises) {
                    break outcome;
                }
            }
            Err(DriveError::Store(StoreError::Fenced(_))) => crashes += 1,
            other => return Err(format!("the run ended otherwise: {other:?}")),
        }
        resumes += 1;
        let raised = journal.books.budget().filter(|_| hardship.kill_every.is_none() && chance.percent(40));
        journal.books.asked_budget = raised.map(|budget| budget + budget.shared_by(2) + Usd::from_pico(1));
        opened = driver::resume(&mut journal, RUN).await.map_err(|error| error.to_string())?;
        opened = opened.with_budgets(Budgets::from(journal.books.asked_budget));
    };
    if let Some(violation) = journal.books.violation.take() {
        return Err(violation);
    }
    let (header, records) = journal.read(RUN).await.map_err(|error| error.to_string())?;
    let mut fold = Fold::new(view(&header));
    for record in &records {
        fold.apply(record);
    }
    let Provider { caller: SimulatedCaller { model, .. }, bills, served } = provider;
    let billed = model.ledger().iter().map(|entry| entry.cost_picodollars).sum();
    let calls = bills.lock().unwrap().len();
    let Journal { books, deaths, .. } = journal;
    Ok(Lived { outcome, books, fold, records, billed, bills, calls, crashes, resumes, deaths, served, model })
}
