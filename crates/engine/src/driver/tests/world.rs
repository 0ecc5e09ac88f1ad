//! The plan, the world that answers, and the witness that sees everything in one order.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sortie_core::agent::{Agent, AgentId, Retry, Timeouts};
use sortie_core::call::{Call, Returned};
use sortie_core::failure::{Class, Failure};
use sortie_core::hash::Hash;
use sortie_core::limit::{GateId, GateSpec};
use sortie_core::plan::template::Template;
use sortie_core::plan::{Plan, Prompt, PromptSize, Task, TaskId};
use sortie_core::price::Pricing;
use sortie_core::run::Run;
use sortie_core::run::event::{Answer, AttemptId, Record, Timing};
use sortie_core::run::input::{Billing, Settings};
use sortie_core::time::Time;

use crate::driver::{DriveError, Ended, Observe, Opened};
use crate::executor::signals::Signals;
use crate::executor::simulated::{Answered, Answerer, Pace, SimulatedExecutor};
use crate::executor::testing::answer;
use crate::executor::{Executor, Next};
use crate::store::memory::MemoryStore;
use crate::store::{Header, Listed, Output, Store, StoreError};

/// A plan in a line for each task: its name, what the world does with it, what it depends on.
pub(super) type Written<'a> = &'a [(&'a str, &'a str, &'a [u32])];

/// A diamond whose one side is tried again, beside a failure that two tasks hang behind.
pub(super) const DIAMOND: Written<'static> = &[
    ("top", "answer", &[]),
    ("left", "fail twice", &[0]),
    ("right", "answer", &[0]),
    ("bottom", "answer", &[1, 2]),
    ("refused", "refuse", &[]),
    ("behind", "answer", &[4]),
    ("far behind", "answer", &[5]),
    ("of both", "answer", &[3, 6]),
];

/// A chain with a task that cannot be sent, in one run that is over at once and one that is not.
pub(super) const CHAIN: Written<'static> = &[
    ("first", "answer", &[]),
    ("second", "fail twice", &[0]),
    ("invalid", "invalid", &[]),
    ("behind", "answer", &[2]),
    ("third", "answer", &[1]),
];

/// Some tasks that have nothing to do with each other.
pub(super) fn side_by_side(tasks: usize) -> Vec<(&'static str, &'static str, &'static [u32])> {
    vec![("one of many", "answer", &[] as &[u32]); tasks]
}

/// The header of a run of this plan, whose prompts insert the results that they depend on.
pub(super) fn header(written: Written<'_>) -> Header {
    let tasks = written.iter().map(|&(name, does, depends_on)| task(name, does, depends_on)).collect();
    let settings = Settings {
        seed: 7,
        run_timeout: Duration::from_secs(3600),
        gates: vec![GateSpec {
            name: "test/model".to_owned(),
            account: "test".to_owned(),
            ..GateSpec::default()
        }],
        max_concurrent: 100,
        simulated: true,
        ..Settings::default()
    };
    Header {
        run_id: "r".to_owned(),
        created: Time::ZERO,
        plan: Arc::new(Plan::new("test".to_owned(), vec![agent()], tasks)),
        prompts: Arc::new(written.iter().map(|&(name, does, on)| prompt(name, does, on)).collect()),
        settings: Arc::new(settings),
        binding: serde_json::Value::Null,
    }
}

fn agent() -> Agent {
    Agent {
        name: "agent".to_owned(),
        provider: "test".to_owned(),
        model: "m".to_owned(),
        gate: GateId(0),
        pricing: Pricing::Free,
        max_tokens: 10,
        max_cost: None,
        system_bytes: 0,
        context: None,
        max_output: None,
        fallbacks: Vec::new(),
        fallback_after: None,
        // A crash between failures costs no retry, so three are enough for a world that fails twice.
        retry: Retry::default(),
        timeouts: Timeouts::default(),
    }
}

fn task(name: &str, does: &str, depends_on: &[u32]) -> Task {
    let invalid = (does == "invalid").then(|| Failure::new(Class::Invalid, "the prompt is empty"));
    Task {
        name: name.to_owned(),
        task_type: "general".to_owned(),
        agent: AgentId(0),
        depends_on: depends_on.iter().map(|&id| TaskId(id).into()).collect(),
        prompt: PromptSize {
            fixed_bytes: (name.len() + does.len()) as u64,
            fixed_tokens: None,
            inserts: depends_on.iter().map(|&id| (TaskId(id), 1)).collect(),
            schema_tokens: 0,
        },
        max_tokens: 10,
        priority: 0,
        expected_output_tokens: None,
        expected: None,
        max_cost: None,
        timeout: Duration::from_secs(60),
        same_as: None,
        stops_run: false,
        invalid: invalid.map(Box::new),
    }
}

fn prompt(name: &str, does: &str, depends_on: &[u32]) -> Prompt {
    let results = depends_on.iter().map(|id| format!("; {{{{ results.{id} }}}}"));
    let template = template(&format!("{name}: {does}{}", results.collect::<String>()));
    Prompt { template, system: None, temperature: None, output: None, metadata: None }
}

/// A template that calls tasks by their numbers.
pub(super) fn template(text: &str) -> Template {
    Template::parse(text, |number| number.parse().ok().map(TaskId)).unwrap()
}

/// Does what the plan says, by attempt: a world that knows no more than the calls it gets.
pub(super) struct World(pub(super) Vec<String>);

impl World {
    pub(super) fn of(written: Written<'_>) -> Self {
        World(written.iter().map(|&(_, does, _)| does.to_owned()).collect())
    }
}

impl Answerer for World {
    fn answer(&mut self, call: &Call, _: Time) -> Answered {
        let task = call.attempt.task;
        let took = Duration::from_millis(1000 + 10 * u64::from(task.0));
        let failed = |class| Returned {
            result: Err(Failure::new(class, "as told")),
            billing: Billing::Nothing,
            timing: Timing { first_token: None, total: took },
        };
        let returned = match self.0[task.index()].as_str() {
            "refuse" => failed(Class::Refused),
            "fail twice" if call.attempt.number <= 2 => failed(Class::Overloaded),
            // Tasks at one time, so that one round hears them all.
            "answer together" => return (answer("together"), Duration::from_secs(1)).into(),
            _ => answer(&format!("task {}'s answer", task.0)),
        };
        (returned, took).into()
    }
}

/// What the witness saw.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Seen {
    Appended(Vec<Record>, Vec<Output>),
    AppendFailed,
    Shown(Vec<Record>, Vec<Output>),
    Started(Call),
    Abandoned(AttemptId),
    AbandonedAll,
}

/// Sees everything in one order.
#[derive(Clone, Default)]
pub(super) struct Witness(Arc<Mutex<Vec<Seen>>>);

impl Witness {
    fn see(&self, seen: Seen) {
        self.0.lock().unwrap().push(seen);
    }

    pub(super) fn saw(&self) -> Vec<Seen> {
        self.0.lock().unwrap().clone()
    }

    /// The attempts that were started, in order.
    pub(super) fn started(&self) -> Vec<AttemptId> {
        let of = |seen: &Seen| match seen {
            Seen::Started(call) => Some(call.attempt),
            _ => None,
        };
        self.saw().iter().filter_map(of).collect()
    }

    /// The prompts that were sent, in order.
    pub(super) fn prompts(&self) -> Vec<String> {
        let of = |seen| match seen {
            Seen::Started(call) => Some(call.prompt),
            _ => None,
        };
        self.saw().into_iter().filter_map(of).collect()
    }

    pub(super) fn appends(&self) -> usize {
        self.saw().iter().filter(|seen| matches!(seen, Seen::Appended(..))).count()
    }
}

impl Observe for Witness {
    fn records(&mut self, records: &[Record], outputs: &[Output]) {
        self.see(Seen::Shown(records.to_vec(), outputs.to_vec()));
    }
}

/// How the witnessed store fails an append.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    /// Nothing was written.
    Before,
    /// All was written, and nobody knows.
    After,
}

/// A store under the eyes of the witness, whose N-th append, counted from 1, may fail.
pub(super) struct Witnessed<S> {
    pub(super) inner: S,
    pub(super) witness: Witness,
    pub(super) fail: Option<(usize, Fault)>,
    pub(super) appends: usize,
}

impl<S> Witnessed<S> {
    pub(super) fn new(inner: S, witness: &Witness) -> Self {
        Witnessed { inner, witness: witness.clone(), fail: None, appends: 0 }
    }
}

impl<S: Store + Sync> Store for Witnessed<S> {
    async fn create(&mut self, header: &Header) -> Result<(), StoreError> {
        self.inner.create(header).await
    }

    async fn open(&mut self, run_id: &str) -> Result<(Header, Vec<Record>), StoreError> {
        self.inner.open(run_id).await
    }

    async fn append(
        &mut self,
        run_id: &str,
        after: u64,
        records: &[Record],
        outputs: &[Output],
    ) -> Result<(), StoreError> {
        self.appends += 1;
        let fault = self.fail.filter(|(n, _)| *n == self.appends).map(|(_, fault)| fault);
        if fault != Some(Fault::Before) {
            self.inner.append(run_id, after, records, outputs).await?;
        }
        if fault.is_some() {
            self.witness.see(Seen::AppendFailed);
            return Err(StoreError::Io { doing: "append".to_owned(), source: "as told".into() });
        }
        self.witness.see(Seen::Appended(records.to_vec(), outputs.to_vec()));
        Ok(())
    }

    async fn release(&mut self, run_id: &str) {
        self.inner.release(run_id).await;
    }

    async fn output(&self, hash: &Hash) -> Result<Arc<str>, StoreError> {
        self.inner.output(hash).await
    }

    async fn outputs(&self, hashes: &[Hash]) -> Result<Vec<Arc<str>>, StoreError> {
        self.inner.outputs(hashes).await
    }

    async fn answered(&self, request: &Hash) -> Result<Option<(String, Answer)>, StoreError> {
        self.inner.answered(request).await
    }

    async fn read(&self, run_id: &str) -> Result<(Header, Vec<Record>), StoreError> {
        self.inner.read(run_id).await
    }

    async fn list(&self) -> Result<Vec<Listed>, StoreError> {
        self.inner.list().await
    }
}

/// An executor under the eyes of the witness.
pub(super) struct Watched<E> {
    pub(super) inner: E,
    pub(super) witness: Witness,
}

impl<E: Executor> Executor for Watched<E> {
    fn now(&self) -> Time {
        self.inner.now()
    }

    fn start(&mut self, call: Call) {
        self.witness.see(Seen::Started(call.clone()));
        self.inner.start(call);
    }

    fn abandon(&mut self, attempt: AttemptId) {
        self.witness.see(Seen::Abandoned(attempt));
        self.inner.abandon(attempt);
    }

    fn abandon_all(&mut self) {
        self.witness.see(Seen::AbandonedAll);
        self.inner.abandon_all();
    }

    async fn next(&mut self, wake_at: Option<Time>) -> Next {
        self.inner.next(wake_at).await
    }

    fn catch_up(&mut self) {
        self.inner.catch_up();
    }

    fn ready(&mut self) -> Option<Next> {
        self.inner.ready()
    }
}

/// Drives an opened run in the simulated world of its plan.
pub(super) async fn drive<S: Store + Sync>(
    opened: Opened,
    written: Written<'_>,
    store: &mut Witnessed<S>,
    signals: Signals,
) -> Result<Ended, DriveError> {
    let mut witness = store.witness.clone();
    let inner = SimulatedExecutor::new(World::of(written), opened.floor(), Pace::Jumping, signals);
    let mut executor = Watched { inner, witness: witness.clone() };
    opened.drive(store, &mut executor, &mut witness).await
}

/// Creates a run of this plan in memory and drives it to its end.
pub(super) async fn run(written: Written<'_>) -> (Ended, Witnessed<MemoryStore>) {
    let mut store = Witnessed::new(MemoryStore::new(), &Witness::default());
    let opened = crate::driver::create(&mut store, header(written)).await.unwrap();
    let ended = drive(opened, written, &mut store, Signals::none()).await.unwrap();
    (ended, store)
}

/// What a run came to: for each task its answer's text as the store has it, or how it ended.
pub(super) async fn results<S: Store>(store: &S) -> Vec<String> {
    let (header, records) = store.read("r").await.unwrap();
    let run = Run::replay(header.plan.clone(), header.settings.clone(), &records).unwrap();
    let mut results = Vec::new();
    for id in header.plan.ids() {
        results.push(match run.output(id) {
            Some(hash) => store.output(&hash).await.unwrap().to_string(),
            None => format!("{:?}", run.task(id).phase),
        });
    }
    results
}

/// The prompts that should have been sent for what was started, by these results.
pub(super) fn prompts_of(witness: &Witness, written: Written<'_>, results: &[String]) -> Vec<String> {
    let prompts = header(written).prompts;
    let rendered = |attempt: AttemptId| {
        prompts[attempt.task.index()].template.render(|id| Some(results[id.index()].as_str())).unwrap()
    };
    witness.started().into_iter().map(rendered).collect()
}
